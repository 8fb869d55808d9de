//! What operators have done to what is remembered: fetch it again, forget it, tell of its versions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Daemon;
use crate::access::Act;
use crate::audit::Outcome;
use crate::config::checked::{Shows, is_of_scope};
use crate::control::{Answer, Evicted, Peer, Refreshed, Reply, VersionSeen, Which};
use crate::explain::{self, Place, Whom};
use crate::identity::Caller;
use crate::reference::Reference;
use crate::words::nearest;

/// Secrets that one operator has fetched at once: as many as are let go at a time, so that none waits so long for its turn
/// that it fails.
const AT_ONCE: usize = 8;

/// How often it is looked whether a file that is watched is what it was.
const LOOKING: Duration = Duration::from_secs(1);

/// Lines that may wait for a peer to take them.
const WAITING: usize = 64;

fn refused(message: impl Into<String>) -> Answer {
    Answer::Refused { message: message.into() }
}

fn act<'a>(verb: &'static str, path: &str, peer: &Peer, since: Instant) -> Act<'a> {
    Act {
        verb,
        path: path.to_owned(),
        by: Caller { tid: peer.tid(), uid: peer.uid(), gid: peer.gid() },
        version: None,
        outcome: Outcome::Allowed,
        told: "",
        took: since.elapsed(),
    }
}

impl Daemon {
    /// Has secrets fetched again, and tells of each as it comes.
    pub(super) fn refresh_all(self: Arc<Self>, peer: Arc<Peer>, which: Which) -> Reply {
        let meant = match self.meant(&which) {
            Ok(meant) => meant,
            Err(message) => return Reply::Once(refused(message)),
        };
        if let Err(why) = self.access.can_record() {
            return Reply::Once(refused(format!("nothing was fetched: {why}")));
        }
        let (says, lines) = mpsc::channel(WAITING);
        tokio::spawn(async move { self.refresh_each(&peer, &which, meant, &says).await });
        Reply::Lines(lines)
    }

    async fn refresh_each(
        self: &Arc<Self>,
        peer: &Peer,
        which: &Which,
        meant: BTreeSet<Reference>,
        says: &mpsc::Sender<Answer>,
    ) {
        let since = Instant::now();
        let deadline = self.state.lock().config.limits.deadline;
        let begins = Answer::Refreshing {
            secrets: meant.len(),
            deadline_millis: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        };
        let (mut done, mut failed, mut version) = (0_usize, 0_usize, None);
        let (total, mut left) = (meant.len(), meant.into_iter());
        let mut under_way = JoinSet::new();
        let mut stays = says.send(begins).await.is_ok();
        while stays {
            while under_way.len() < AT_ONCE
                && let Some(reference) = left.next()
            {
                let daemon = Arc::clone(self);
                under_way.spawn(async move { daemon.refresh_one(&reference).await });
            }
            let refreshed = tokio::select! {
                refreshed = under_way.join_next() => refreshed,
                // Whoever wanted it is gone: no more is begun. What was goes on, as for any reader.
                () = says.closed() => None,
            };
            match refreshed {
                None => break,
                Some(Err(_)) => failed += 1,
                Some(Ok(refreshed)) => {
                    done += 1;
                    failed += usize::from(refreshed.error.is_some());
                    version.clone_from(&refreshed.version);
                    stays = says.send(Answer::Refreshed(refreshed)).await.is_ok();
                }
            }
        }
        let told = match (total, failed) {
            (1, 0) if done == 1 => String::new(),
            _ => format!("{done} of {total} fetched again, {failed} of them failed"),
        };
        let recorded = self.access.record_act(&Act {
            version: version.as_deref().filter(|_| total == 1),
            outcome: if failed == 0 { Outcome::Allowed } else { Outcome::Failed },
            told: &told,
            ..act("refresh", which.written(), peer, since)
        });
        let ends = match recorded {
            Ok(()) => Answer::Done { message: format!("{done} fetched again, {failed} failed") },
            Err(why) => refused(format!("it was done, but: {why}")),
        };
        let _ = says.send(ends).await;
    }

    /// Has one fetched again: the one place from which operators do.
    async fn refresh_one(&self, reference: &Reference) -> Refreshed {
        let before = self.resolver.status_of(reference).and_then(|known| known.version);
        let (version, error) = match self.resolver.refresh(reference).await {
            Ok(version) => (Some(version), None),
            Err(why) => (None, Some(why.to_string())),
        };
        Refreshed { reference: reference.named(), before, version, error }
    }

    /// Forgets secrets now.
    pub(super) fn evict_all(&self, peer: &Peer, which: &Which) -> Answer {
        let mut meant = match self.meant(which) {
            Ok(meant) => meant,
            Err(message) => return refused(message),
        };
        // Versions of them that a handle had to be found again by.
        let pinned = |known: &Reference| known.version().is_some() && meant.contains(&known.unpinned());
        let pinned: Vec<_> = self.resolver.references().into_iter().filter(pinned).collect();
        meant.extend(pinned);
        // On record first: it cannot fail, and what is not on record is not done.
        let told = match meant.len() {
            1 => String::new(),
            count => format!("{count} secrets"),
        };
        let recorded = self
            .access
            .record_act(&Act { told: &told, ..act("evict", which.written(), peer, Instant::now()) });
        if let Err(why) = recorded {
            return refused(format!("nothing was forgotten: {why}"));
        }
        let known = self.access.evict(&meant);
        let held = self.fs.open_handles_of(&meant);
        let secrets = meant.iter().zip(known).zip(held).map(|((reference, known), held_open)| Evicted {
            reference: reference.named(),
            known,
            held_open,
        });
        Answer::Evicted { secrets: secrets.collect() }
    }

    /// Tells of the versions of a file.
    pub(super) async fn watch_path(self: Arc<Self>, peer: Arc<Peer>, path: String) -> Reply {
        // In that order: whether there is such a file is not told to who may not open it.
        let found = match self.may_watch(&peer, &path).await {
            Ok(()) => self.shown(&path),
            Err(message) => Err(message),
        };
        let (path, shows) = match found {
            Ok(found) => found,
            Err(message) => return Reply::Once(refused(message)),
        };
        if peer.is_operator()
            && let Err(why) = self.access.record_act(&act("watch", &path, &peer, Instant::now()))
        {
            return Reply::Once(refused(format!("nothing is watched: {why}")));
        }
        // In that order, so that none is missed in between.
        let news = self.watchers.watch(shows.secrets());
        let first = self.version_of(&shows);
        shows.secrets().iter().for_each(|whole| self.resolver.want(whole));
        let (says, lines) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            if let Err(why) = self.tell_versions(&peer, &path, &shows, first, news, &says).await {
                let _ = says.send(refused(why)).await;
            }
        });
        Reply::Lines(lines)
    }

    /// The version that a file has, if all of its secrets are known, and when the last of them was fetched.
    fn version_of(&self, shows: &Shows) -> Option<(String, Timestamp)> {
        let one = |whole: &Reference| {
            let known = self.resolver.status_of(whole)?;
            Some((known.version?, known.fetched?))
        };
        let known: Vec<_> = shows.secrets().iter().map(one).collect::<Option<_>>()?;
        let version = shows.version(known.iter().map(|(version, _)| version.as_str())).into_owned();
        Some((version, known.into_iter().map(|(_, fetched)| fetched).max()?))
    }

    /// Until the peer goes away, or there is a reason to tell it no more.
    async fn tell_versions(
        &self,
        peer: &Peer,
        path: &str,
        shows: &Shows,
        first: Option<(String, Timestamp)>,
        mut news: mpsc::Receiver<String>,
        says: &mpsc::Sender<Answer>,
    ) -> Result<(), String> {
        let mut last = None;
        let mut next = first;
        loop {
            if let Some((version, time)) = next.take()
                && last.as_ref() != Some(&version)
            {
                // By the rules that are in force now.
                self.may_watch(peer, path).await?;
                let seen = VersionSeen { path: path.to_owned(), version: version.clone(), time };
                if says.send(Answer::Version(seen)).await.is_err() {
                    return Ok(());
                }
                last = Some(version);
            }
            tokio::select! {
                version = news.recv() => match version {
                    Some(_) if shows.is_template() => next = self.version_of(shows),
                    Some(version) => next = Some((version, Timestamp::now())),
                    None => return Err("it was given up: lines were not taken as fast as they came".to_owned()),
                },
                () = says.closed() => return Ok(()),
                () = tokio::time::sleep(LOOKING) => {}
            }
            self.still_shows(path, shows)?;
        }
    }

    /// The configuration may have been read again since.
    fn still_shows(&self, path: &str, shows: &Shows) -> Result<(), String> {
        let (_, now) = self.shown(path)?;
        if now.secrets() == shows.secrets() && now.is_template() == shows.is_template() {
            return Ok(());
        }
        Err(format!("`{path}` shows another secret since the configuration was read again: watch it anew"))
    }

    /// An operator may watch any file, somebody else one that he would be let open now.
    async fn may_watch(&self, peer: &Peer, path: &str) -> Result<(), String> {
        if peer.is_operator() {
            return Ok(());
        }
        let explained = self.explained(peer, path, &Whom::Itself).await?;
        let allowed = |one: &explain::Explanation| one.outcome == explain::Outcome::Allowed;
        if !explained.explanations.is_empty() && explained.explanations.iter().all(allowed) {
            return Ok(());
        }
        Err(format!(
            "you may not open `{path}` yourself, so you may not watch it; `hushfs explain {path} --self` says why"
        ))
    }

    /// The file that a path means, as `scope/name`, and what it shows.
    fn shown(&self, path: &str) -> Result<(String, Arc<Shows>), String> {
        let place = Place::find(&self.state.lock().config, path).map_err(|error| error.to_string())?;
        match &place.file {
            Some(file) => Ok((place.path(), Arc::clone(&file.shows))),
            None => Err(format!("scope `{}` has no file `{}`", place.scope.name, place.name)),
        }
    }

    /// The whole secrets that an operator means.
    fn meant(&self, which: &Which) -> Result<BTreeSet<Reference>, String> {
        let known = self.resolver.references();
        let Which::Named(name) = which else { return Ok(known.into_iter().collect()) };
        let state = self.state.lock();
        let config = &state.config;
        // A file or a scope first: their names may have a colon.
        let below = name.strip_prefix(&*config.mount.to_string_lossy()).unwrap_or(name).trim_matches('/');
        // A scope with all its workloads, or one of those.
        let mut of = config.scopes.iter().filter(|scope| is_of_scope(&scope.name, below)).peekable();
        if of.peek().is_some() {
            return Ok(of
                .flat_map(|scope| &scope.files)
                .flat_map(|file| file.shows.secrets())
                .cloned()
                .collect());
        }
        let not_found = match Place::find(config, name) {
            Ok(Place { file: Some(file), .. }) => return Ok(file.shows.secrets().iter().cloned().collect()),
            Ok(place) => format!("scope `{}` has no file `{}`", place.scope.name, place.name),
            Err(why) => why.to_string(),
        };
        let Ok(reference) = name.parse::<Reference>() else {
            let scopes: Vec<_> = config.scopes.iter().map(|scope| scope.name.as_str()).collect();
            return Err(match nearest(name, &scopes) {
                _ if name.contains('/') => not_found,
                Some(near) => format!("there is no scope `{name}`; did you mean `{near}`?"),
                None => format!(
                    "`{name}` is no file (`scope/name`), no scope and no reference (`provider:path`) that is known here"
                ),
            });
        };
        let whole = reference.whole();
        let files = || config.scopes.iter().flat_map(|scope| &scope.files);
        let configured = || files().flat_map(|file| file.shows.secrets()).cloned();
        // For whomever it is made, if it is made for several.
        let is_meant = |of: &Reference| of.as_asked() == whole;
        let known: BTreeSet<_> = known.into_iter().filter(is_meant).collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let unknown: BTreeSet<_> = configured().filter(is_meant).collect();
        if !unknown.is_empty() {
            return Ok(unknown);
        }
        let all: Vec<_> = configured().map(|of| of.to_string()).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let near = nearest(name, &all).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Err(format!("no file shows `{whole}`, and nothing is known of it{near}"))
    }
}
