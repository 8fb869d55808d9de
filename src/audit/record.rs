//! One record: what was attempted, by whom, and what came of it.

use serde::{Deserialize, Serialize};

use crate::config::checked::is_of_scope;

/// The version of this layout: raised when a field changes its meaning or goes. New fields do not raise it.
pub const LAYOUT: u32 = 1;

/// One attempt, as it stands in the log: one JSON object on one line. Never a value, never its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Layout version, [`LAYOUT`].
    pub v: u32,
    /// When the attempt was answered, RFC 3339 in UTC with microseconds.
    #[serde(serialize_with = "super::line::time")]
    pub time: jiff::Timestamp,
    /// Unique within one run of the daemon: `<start in seconds, hex>-<counter>`.
    pub request: String,
    /// What was attempted.
    pub op: Op,
    /// How it ended.
    pub outcome: Outcome,
    /// The file below the mount, `scope/name` or `scope/workload/name`; for operator verbs the reference.
    pub path: String,
    /// The scope, or `scope/workload`. Of what hushfs did by itself, the workload that it was for, where it was for one.
    pub scope: String,
    /// The caller's uid (for operator verbs, the real uid).
    pub uid: u32,
    /// The caller's gid.
    pub gid: u32,
    /// The caller's process; where that could not be identified, the thread that asked (0 for one of another pid namespace).
    pub pid: u32,
    /// The caller's executable as the kernel names it; empty where unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub exe: String,
    /// The system unit the caller runs in, in its own group or in one below; empty where none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The whole id of the container the caller runs in; empty where none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The caller's control group, from the root of the hierarchy that systemd manages; empty where it is the root, or unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cgroup: String,
    /// Whether the caller is in another user namespace than hushfs, where its executable could be forged.
    #[serde(default, skip_serializing_if = "is_false")]
    pub other_user_namespace: bool,
    /// The rule that allowed it: `scope.rule-number` from 1; empty where none did. With `learned`, the rule whose ids matched.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Whether only learning allowed it; `reason` says why it would have been denied.
    #[serde(default, skip_serializing_if = "is_false")]
    pub learned: bool,
    /// The provider's version of the secret; empty where none was reached.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Whether that version was beyond its time and served because its provider fails.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stale: bool,
    /// Why, in words, where it was denied or failed, or would have been denied but for learning; for a change also what was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The errno the caller saw, by name (`EACCES`); empty for success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub errno: String,
    /// From the request's arrival to its answer, in microseconds.
    pub micros: u64,
    /// How many equal attempts this line stands for (1 unless coalesced).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
}

impl Record {
    /// Whether it is about the scope `asked`, or one of its workloads (`scope/workload`).
    pub fn is_of_scope(&self, asked: &str) -> bool {
        is_of_scope(&self.scope, asked)
    }
}

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// A file was opened.
    Open,
    /// A file was read through a descriptor that another process opened.
    Read,
    /// A `stat` made hushfs ask the provider for the true size.
    Stat,
    /// A value was fetched ahead of its end for those who read it before. Recorded where it went otherwise than the time before:
    /// another version, a failure, or none any more.
    Refresh,
    /// The same, before anybody read it: `prefetch`.
    Prefetch,
    /// The names of a directory (`dir`) were asked for. Recorded where it went otherwise than the time before.
    List,
    /// A credential that was made for readers was ended before its time.
    Revoke,
    /// An operator's verb on the command line (`store show`, `store edit`, ...).
    Operator,
    /// What is to be done on a change of a file was done (`on_change`); `uid`, `gid`, `pid` and `exe` are hushfs's own, `version` is
    /// the new one, and `reason` says what was done.
    Change,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The caller may, and got it.
    Allowed,
    /// The caller may not, or could not be identified.
    Denied,
    /// The caller may, but it could not be had.
    Failed,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}
