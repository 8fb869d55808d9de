//! What is known of one directory: its list, or why there is none, and when it is to be asked for again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::listed::Listed;
use crate::clock::Moment;
use crate::config::checked::{CacheRules, Dir};
use crate::resolve::ResolveError;

/// The shortest time from one question to the next: the first pause after a list could not be had for a reason that passes. And the
/// longest such pause.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One directory.
pub struct Listing {
    /// Below the mount, `scope/name`.
    pub path: String,
    /// What it is of.
    pub dir: Arc<Dir>,
    state: Mutex<State>,
    landed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    known: Option<Arc<Listed>>,
    /// When the list was found out.
    at: Option<Moment>,
    failure: Option<ResolveError>,
    /// Before when it is not asked for again.
    not_before: Option<Moment>,
    pause: Duration,
    asking: bool,
    /// Whether a task has it asked for again in time.
    kept: bool,
    /// When somebody looked into it last.
    used: Option<Moment>,
}

/// How a directory stands for somebody who looks into it.
pub enum Seen {
    /// Its list is known.
    Known(Arc<Listed>),
    /// It is not, and it is not asked for now.
    Failed(ResolveError),
    /// It is being asked for: this tells when that has ended.
    Asked(watch::Receiver<u64>),
}

/// What came of asking for a list.
pub(super) struct Came {
    /// Whether the directory has other files than before.
    pub(super) is_other: bool,
    /// Whether it went otherwise than the time before.
    pub(super) is_news: bool,
}

/// A directory that is kept up to date.
pub(super) struct Kept<'l>(&'l Listing);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.state.lock().kept = false;
    }
}

impl Listing {
    pub(super) fn new(path: String, dir: Arc<Dir>) -> Self {
        Self { path, dir, state: Mutex::default(), landed: watch::Sender::new(0) }
    }

    /// What it has, as far as that is known.
    pub fn known(&self) -> Option<Arc<Listed>> {
        self.state.lock().known.clone()
    }

    /// Why its list is not as it should be, if it could not be had last.
    pub fn failure(&self) -> Option<ResolveError> {
        self.state.lock().failure.clone()
    }

    pub(super) fn rules(&self) -> CacheRules {
        self.dir.like.cache.first().copied().unwrap_or(CacheRules::DEFAULT)
    }

    /// How it stands now; `missed` is whether something was looked for that it does not have. Says whether it is to be asked for.
    pub(super) fn look(&self, missed: bool) -> (Seen, bool) {
        let (now, rules) = (Moment::now(), self.rules());
        let mut state = self.state.lock();
        state.used = Some(now);
        let lasts = if missed { rules.fresh_for.min(rules.missing_for) } else { rules.fresh_for };
        let is_fresh = state.at.is_some_and(|at| now.since(at) < lasts.max(PAUSE)) && state.failure.is_none();
        let may_ask = state.not_before.is_none_or(|from| now >= from);
        let asks = !is_fresh && may_ask && !state.asking;
        state.asking |= asks;
        let seen = match (&state.known, &state.failure) {
            (Some(known), _) => Seen::Known(Arc::clone(known)),
            (None, Some(why)) if !state.asking => Seen::Failed(why.clone()),
            // Nothing is known, and it may be asked: so it is being asked for.
            (None, _) => Seen::Asked(self.landed.subscribe()),
        };
        (seen, asks)
    }

    /// When it is to be asked for again though nobody looks, if somebody has looked lately; `None` where nobody has.
    pub(super) fn next(&self) -> Option<Moment> {
        let (now, rules) = (Moment::now(), self.rules());
        let state = self.state.lock();
        let wanted = rules.prefetch || state.used.is_some_and(|used| now.since(used) < rules.idle_after);
        let fresh_until = state.at.map_or(now, |at| at.after(rules.fresh_for.max(PAUSE)));
        wanted.then(|| fresh_until.max(state.not_before.unwrap_or(now)))
    }

    /// Somebody asks for it now; not where somebody does already.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        !std::mem::replace(&mut state.asking, true)
    }

    /// It is kept up to date until what this gives is dropped; `None` where it is already.
    pub(super) fn keep(&self) -> Option<Kept<'_>> {
        let kept = std::mem::replace(&mut self.state.lock().kept, true);
        (!kept).then_some(Kept(self))
    }

    /// Its list was found out, or not. Who waits is told by [`Listing::tell`].
    pub(super) fn came(&self, result: Result<Listed, ResolveError>) -> Came {
        let (now, rules) = (Moment::now(), self.rules());
        let mut state = self.state.lock();
        state.asking = false;
        // Where there is nothing any more the names stay, and whoever opens one is told: a file that is missing is taken for one that
        // was never wanted.
        match result {
            Ok(listed) => {
                let is_other = state.known.as_deref() != Some(&listed);
                let is_news = is_other || state.failure.is_some();
                if is_other {
                    self.say_what_is_left_out(&listed);
                    state.known = Some(Arc::new(listed));
                }
                (state.at, state.failure, state.not_before) = (Some(now), None, None);
                state.pause = Duration::ZERO;
                Came { is_other, is_news }
            }
            Err(why) => {
                state.pause = (state.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
                let pause = match &why {
                    why if why.is_missing() => rules.missing_for,
                    why if why.is_no() => rules.refused_for,
                    _ => state.pause,
                };
                state.not_before = Some(now.after(pause));
                let is_news = state.failure.as_ref() != Some(&why);
                if is_news {
                    tracing::warn!(directory = self.path, "what it has cannot be found out: {why}");
                }
                state.failure = Some(why);
                Came { is_other: false, is_news }
            }
        }
    }

    /// Tells those who wait that it was asked for.
    pub(super) fn tell(&self) {
        self.landed.send_modify(|times| *times = times.wrapping_add(1));
    }

    fn say_what_is_left_out(&self, listed: &Listed) {
        for (name, why) in &listed.left_out {
            tracing::warn!(
                directory = self.path,
                "`{}` is no file there: {why}",
                crate::words::printable(name)
            );
        }
    }
}
