//! The whole way of one question.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::explanation::{Explanation, Seen};
use super::judge::{self, explain};
use super::look::look;
use super::members;
use crate::identity::{self, Attestor, Found, Tid};

/// Of how many processes of a unit or container each is looked at.
const MEMBERS: usize = 256;

/// Who is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// The process that asks.
    Itself,
    /// A process, or a thread.
    Pid(u32),
    /// The processes of a system unit.
    Unit(String),
    /// The processes of a container, by its id, or 12 digits of it or more, or by its name.
    Container(String),
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// At least one.
    pub explanations: Vec<Explanation>,
    /// What processes of a unit or container could not be looked at and why, one clause each.
    pub unseen: Vec<String>,
}

/// Explains what would become of an open by whom it is asked about: one explanation, or for a unit or container one for
/// each kind of process in it, the oldest first.
///
/// # Errors
/// Why it cannot be told, as a clause.
pub async fn answer(
    attestor: &Arc<Attestor>,
    asked: &Asked<'_>,
    whom: &Whom,
    itself: Tid,
) -> Result<Explained, String> {
    // As for an open that would be denied: an executable may have been replaced since.
    let scope = Arc::clone(&asked.place.scope);
    let _ = tokio::task::spawn_blocking(move || scope.rules.look_again()).await;
    let tid = match whom {
        Whom::Itself => itself,
        Whom::Pid(pid) => Tid(*pid),
        Whom::Unit(unit) => return each(attestor, asked, members::of_unit(unit).await?).await,
        Whom::Container(container) => {
            return each(attestor, asked, members::of_container(attestor, container).await?).await;
        }
    };
    Ok(Explained { explanations: vec![one(attestor, asked, tid).await?], unseen: Vec::new() })
}

/// What is seen of the process.
///
/// # Errors
/// Why nothing can be seen of it, as a clause.
pub async fn whoami(attestor: &Arc<Attestor>, tid: Tid) -> Found<Seen> {
    let (seen, evidence) = look(attestor, tid, None).await?;
    Ok(judge::of_process(&seen, &evidence))
}

async fn one(attestor: &Arc<Attestor>, asked: &Asked<'_>, tid: Tid) -> Result<Explanation, String> {
    // Before it is looked at, which counts among the looks at its user's processes, and after.
    let uids = identity::uids(tid).map_err(|why| why.to_string())?;
    if !asked.may_ask_about(uids) {
        return Err(not_his(asked, tid));
    }
    let (seen, evidence) = look(attestor, tid, Some(asked)).await.map_err(|why| why.to_string())?;
    if !asked.may_ask_about(seen.uids) {
        return Err(not_his(asked, tid));
    }
    explain(asked, &seen, &evidence)
}

/// What is said to somebody of a process that is not his, or not his alone.
fn not_his(asked: &Asked<'_>, tid: Tid) -> String {
    let uid = asked.only_of.unwrap_or_default();
    format!("process {} is not one that has uid {uid} alone, and only root may ask about those", tid.0)
}

async fn each(attestor: &Arc<Attestor>, asked: &Asked<'_>, found: Vec<Tid>) -> Result<Explained, String> {
    let (mut explanations, mut unseen) = (Vec::new(), Vec::new());
    if let Some(more) = found.len().checked_sub(MEMBERS).filter(|more| *more > 0) {
        unseen.push(format!("{more} more processes are not looked at"));
    }
    for tid in found.into_iter().take(MEMBERS) {
        match one(attestor, asked, tid).await {
            Ok(explanation) => explanations.push(explanation),
            Err(why) => unseen.push(format!("process {}: {why}", tid.0)),
        }
    }
    if explanations.is_empty() {
        return Err(unseen.join("; "));
    }
    explanations.sort_by_key(|one| Reverse(one.caller.age_seconds));
    Ok(Explained { explanations: of_each_kind(explanations), unseen })
}

/// The first of each kind of process.
fn of_each_kind(all: Vec<Explanation>) -> Vec<Explanation> {
    let mut kinds: Vec<Explanation> = Vec::new();
    for explanation in all {
        if !kinds.iter().any(|known| known.caller.is_of_the_kind_of(&explanation.caller)) {
            kinds.push(explanation);
        }
    }
    kinds
}

impl Seen {
    /// Whether it runs the same program with the same ids in the same container and namespaces.
    fn is_of_the_kind_of(&self, other: &Self) -> bool {
        let kind = |of: &Self| {
            let container = of.container.as_ref().map(|container| container.id.clone());
            let namespaces = (of.user_namespace, of.mount_namespace);
            (of.exe.clone(), of.uids, of.gids, of.groups.clone(), container, namespaces)
        };
        kind(self) == kind(other)
    }
}
