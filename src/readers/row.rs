//! One reading as it is told to people.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::Identity;

/// A process read a version of a file, and still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The process.
    pub pid: u32,
    /// Its uid.
    pub uid: u32,
    /// Its executable as the kernel names it, when it opened the file last; empty where unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exe: String,
    /// The system unit it runs in; empty where none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The whole id of the container it runs in; empty where none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The file, `scope/name`.
    pub path: String,
    /// The secret that the file showed, whole.
    pub reference: String,
    /// For which workload that is made (`scope/workload`), where each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
    /// The version.
    pub version: String,
    /// Whether it is the last that the process opened of that file: what it holds, unless it kept what it read before.
    pub newest: bool,
    /// When it was let in to that version first.
    pub first: Timestamp,
    /// And last.
    pub last: Timestamp,
    /// How many times.
    pub times: u64,
}

impl Row {
    /// One of `who`, of which the rest is to be filled in.
    pub(super) fn of(who: &Identity, now: Timestamp) -> Self {
        Self {
            pid: who.process.pid.0,
            uid: who.uid,
            exe: who.exe.as_ref().map(|exe| exe.path.clone()).unwrap_or_default(),
            unit: who.unit().unwrap_or_default().to_owned(),
            container: who.container().map(|container| container.id.clone()).unwrap_or_default(),
            path: String::new(),
            reference: String::new(),
            made_for: None,
            version: String::new(),
            newest: false,
            first: now,
            last: now,
            times: 0,
        }
    }
}
