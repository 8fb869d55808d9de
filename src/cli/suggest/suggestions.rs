//! What is suggested, as data: what `--json` prints, and what the text is made of.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::attempts::{Attempts, Caller, Gathered, LeftOut, Place};
use super::by_scope;
use super::choose::{self, FOREIGN, Proposal, Rule};
use super::present::{self, Present};
use super::sentences;
use crate::cli::names::Names;
use crate::config::Config;
use crate::config::checked::Scope;

/// Callers of one uid in one scope that are shown. Each may be a program of his own making.
const PER_UID: usize = 16;

#[derive(Serialize)]
pub(super) struct Suggestions {
    /// The configuration that was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<PathBuf>,
    pub(super) scopes: Vec<OfScope>,
}

#[derive(Serialize)]
pub(super) struct OfScope {
    pub(super) scope: String,
    /// How many rules it has; none where it is not configured, or that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<usize>,
    /// Where these are written, `file:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules_at: Option<String>,
    /// Those who tried: whom learning allowed first, then by the number of attempts.
    pub(super) callers: Vec<Suggested>,
    pub(super) left_out: Vec<NotSuggested>,
}

/// One who tried.
#[derive(Serialize)]
pub(super) struct Suggested {
    /// The rule to add, as an inline table of TOML; none where `notes` say why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) strengths: Vec<Strength>,
    pub(super) uid: u32,
    pub(super) user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
    /// The service of the user's own manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<String>,
    pub(super) programs: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) attempts: u64,
    pub(super) learned: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) reason: String,
    pub(super) notes: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Strength {
    pub(super) selector: &'static str,
    pub(super) strength: String,
}

/// Attempts that are not made into a rule.
#[derive(Serialize)]
pub(super) struct NotSuggested {
    pub(super) uid: u32,
    pub(super) user: String,
    pub(super) attempts: u64,
    pub(super) why: String,
}

impl Suggestions {
    pub(super) fn of(gathered: Gathered, config: Option<&Config>, names: &mut Names) -> Self {
        let find = |name: &str| config?.scopes.iter().find(|scope| scope.name == name);
        let mut callers = by_scope(gathered.callers.into_iter().map(|one| (one.0.scope.clone(), one)));
        let mut left_out =
            by_scope(gathered.left_out.into_iter().map(|((scope, uid, why), n)| (scope, (uid, why, n))));
        let mut scopes: Vec<_> = callers.keys().chain(left_out.keys()).cloned().collect();
        scopes.sort();
        scopes.dedup();
        let mut of_scope = |scope: String| {
            let configured = find(&scope);
            let (tried, too_many) = bounded(callers.remove(&scope).unwrap_or_default());
            let one = |(caller, attempts): (Caller, Attempts)| {
                Suggested::of(&caller, attempts, configured.map(|scope| &**scope), names)
            };
            let callers = tried.into_iter().map(one).collect();
            let told = left_out.remove(&scope).unwrap_or_default().into_iter();
            let told = told.map(|(uid, why, n)| (uid, why.sentence().to_owned(), n)).chain(too_many);
            let not = |(uid, why, attempts)| NotSuggested { uid, user: names.shown(uid), attempts, why };
            let left_out = told.map(not).collect();
            let rules = configured.map(|scope| scope.rules.iter().count());
            let rules_at = configured.map(|scope| scope.rules_at.clone());
            OfScope { scope, rules, rules_at, callers, left_out }
        };
        let scopes = scopes.into_iter().map(&mut of_scope).collect();
        Self { config: config.map(|config| config.path.clone()), scopes }
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }
}

/// The callers, most attempts first, and what is left out of uids that have too many.
#[expect(clippy::type_complexity, reason = "two lists, taken apart at once")]
fn bounded(mut callers: Vec<(Caller, Attempts)>) -> (Vec<(Caller, Attempts)>, Vec<(u32, String, u64)>) {
    callers.sort_by_key(|(caller, attempts)| (caller.uid, Reverse(attempts.count)));
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for of_uid in callers.chunk_by(|(a, _), (b, _)| a.uid == b.uid) {
        let (shown, rest) = of_uid.split_at_checked(PER_UID).unwrap_or((of_uid, &[]));
        kept.extend_from_slice(shown);
        if let Some((caller, _)) = rest.first() {
            let attempts = rest.iter().fold(0_u64, |sum, (_, one)| sum.saturating_add(one.count));
            let why = format!(
                "{} more programs, units and containers of this user: see `hushfs audit`",
                rest.len()
            );
            left_out.push((caller.uid, why, attempts));
        }
    }
    // Whom a rule names comes before strangers, who may try as often as they like.
    kept.sort_by_key(|(_, attempts)| Reverse((attempts.learned > 0, attempts.count)));
    (kept, left_out)
}

impl LeftOut {
    fn sentence(&self) -> &'static str {
        match self {
            Self::Systemd => {
                "systemd reads for `LoadCredential=` itself, before the service starts. A rule for it would let every \
                 unit of the host ask for the file: have the service read it by its path"
            }
            Self::OtherUserNamespace => FOREIGN,
            Self::Unidentified => {
                "they could not be identified (`hushfs audit` says why), and nobody who cannot be is let in"
            }
            Self::OddProgram => {
                "the path of their program is none of this host, or has characters that do not show"
            }
        }
    }
}

impl Suggested {
    fn of(caller: &Caller, attempts: Attempts, scope: Option<&Scope>, names: &mut Names) -> Self {
        let mut notes = Vec::new();
        let rule = match choose::choose(caller, &attempts, names) {
            Proposal::Rule(rule) => Some(rule),
            Proposal::Advice(advice) => {
                notes.push(format!("No rule: {advice}"));
                None
            }
        };
        let present =
            scope.map_or(Present::None, |scope| present::find(scope, caller, &attempts, rule.as_ref()));
        let rule = match present {
            Present::Matches { rule, names_program } => {
                notes = vec![sentences::matches(&rule, names_program, caller, &attempts)];
                None
            }
            Present::Undone(undone) => {
                notes = vec![sentences::undone(&undone, caller, &attempts)];
                None
            }
            Present::Nearly(nearly) => {
                // Where nothing is proposed, there is nothing to write in its place either.
                notes.extend(rule.as_ref().map(|_| sentences::mend(&nearly)));
                rule
            }
            Present::Stranger => {
                notes.push("No rule of the scope is for this user so far".to_owned());
                rule
            }
            Present::None => rule,
        };
        notes.extend(rule.iter().flat_map(|rule| sentences::of_rule(rule, caller, &attempts)));
        if attempts.replaced {
            notes.push("Their program was replaced while it ran: this names the path that it had".to_owned());
        }
        let shut_out = scope.map_or(Vec::new(), |scope| present::shut_out(scope, caller, &attempts));
        let whose: BTreeSet<_> = shut_out.iter().map(|file| (file.uid, file.gid)).collect();
        for (uid, gid) in whose {
            let of = shut_out.iter().filter(|file| (file.uid, file.gid) == (uid, gid));
            let names: Vec<_> = of.map(|file| file.name.as_str()).collect();
            notes.push(format!(
                "A rule does not help with {}: uid {uid}, gid {gid} and the mode keep them out. Set `group` or `mode` of the scope",
                names.join(", ")
            ));
        }
        let (mut unit, mut user_unit, mut container) = (None, None, None);
        match &caller.place {
            Place::Container(name) => container = Some(name.clone()),
            Place::Unit(name) => unit = Some(name.clone()),
            Place::OfUser { unit, .. } => user_unit = Some(unit.clone()),
            Place::Program(_) => {}
        }
        let strengths = rule.as_ref().map(Rule::strengths).unwrap_or_default();
        Self {
            rule: rule.as_ref().map(Rule::written),
            strengths: strengths
                .into_iter()
                .map(|(selector, strength)| Strength { selector, strength })
                .collect(),
            uid: caller.uid,
            user: names.shown(caller.uid),
            unit,
            user_unit,
            container,
            programs: attempts.programs.into_iter().collect(),
            files: attempts.files.into_iter().collect(),
            attempts: attempts.count,
            learned: attempts.learned,
            first: attempts.first,
            last: attempts.last,
            reason: attempts.reason,
            notes,
        }
    }
}
