//! What is said: the layout of `--json`, and of the control socket's answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is said where the daemon goes by what its files do not say any more.
pub const OUTDATED: &str = "the configuration file has changed since hushfs read it: `hushfs reload`";

/// What would become of an open, and what that turns on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// `scope/name`.
    pub path: String,
    /// Whose word it is.
    pub judged_by: JudgedBy,
    /// Whether the configuration's files have changed since the daemon read them: it goes by what they said then. `None`
    /// where that is not told.
    pub outdated: Option<bool>,
    /// What would become of it.
    pub outcome: Outcome,
    /// What the caller would see instead of the bytes.
    pub errno: Option<String>,
    /// Why not, or why not without learning, in words.
    pub reason: Option<String>,
    /// The rule that allows it or, where only learning does, that is nearest.
    pub rule: Option<String>,
    /// Until when, where only learning allows it.
    pub learning_until: Option<Timestamp>,
    /// Who it is.
    pub caller: Seen,
    /// What owner, group and mode say.
    pub kernel: Kernel,
    /// What each rule says, in the order in which they are tried. Empty for a caller that is denied whatever they say.
    pub rules: Vec<RuleSeen>,
    /// How many rules are left out, because they are for others.
    pub rules_not_shown: usize,
    /// What would have to be otherwise; `None` where a rule allows it.
    pub to_change: Option<Change>,
    /// What no rule can keep out, where it is allowed: who else may act in the caller's place.
    pub beware: Vec<String>,
}

/// Whose word an explanation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JudgedBy {
    /// The running daemon's, with what it remembers.
    Daemon,
    /// That of a command that read the configuration.
    Configuration,
}

/// What would become of an open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A rule allows it, or learning.
    Allowed,
    /// Nothing does.
    Denied,
    /// It turns on what could not be found out here.
    Unknown,
}

/// What is seen of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The process.
    pub pid: u32,
    /// The thread that was looked at.
    pub thread: u32,
    /// The file system uid: what the kernel tells of a caller.
    pub uid: u32,
    /// Real, effective, saved and file system uid, which must all be the same.
    pub uids: [u32; 4],
    /// The gid for file access.
    pub gid: u32,
    /// Real, effective, saved and file system gid, which differ in a setgid program.
    pub gids: [u32; 4],
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The executable.
    pub exe: Option<ExeSeen>,
    /// The system unit.
    pub unit: Option<String>,
    /// The container.
    pub container: Option<ContainerSeen>,
    /// The path among the control groups.
    pub cgroup: Option<String>,
    /// The user namespace.
    pub user_namespace: Option<Whose>,
    /// The mount namespace.
    pub mount_namespace: Option<Whose>,
    /// How long ago the process started, in seconds.
    pub age_seconds: Option<u64>,
    /// Whether it can gain no rights by executing a program.
    pub no_new_privs: Option<bool>,
    /// Whether other processes of its uid are kept out of its memory.
    pub not_dumpable: Option<bool>,
    /// Whether a debugger is attached to it.
    pub traced: Option<bool>,
    /// Why it is denied whatever the rules say; then only what stands in front of `groups` is known.
    pub refused: Option<String>,
}

/// An executable, by the kernel's own reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExeSeen {
    /// As the kernel names it, in the process's own view.
    pub path: String,
    /// `major:minor`.
    pub device: String,
    /// On that device.
    pub inode: u64,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSeen {
    /// The whole id.
    pub id: String,
    /// Who made it, where its control group says so: `docker`, `podman` or `kubernetes`.
    pub engine: Option<String>,
    /// Its name, where its runtime was asked and said it.
    pub name: Option<String>,
    /// The uid of its Kubernetes pod.
    pub pod_uid: Option<String>,
}

/// Whose namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// That of hushfs.
    Ours,
    /// Another.
    Other,
}

/// What the kernel itself checks, before hushfs is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Whether it lets the caller through to the rules.
    pub passes: bool,
    /// The uid that a mount made without root is for.
    pub mount_only_for: Option<u32>,
    /// Entering the scope's directory.
    pub directory: Permissions,
    /// Reading the file. `None` for somebody who may not know whether it is there.
    pub file: Option<Permissions>,
}

/// Owner, group and mode, and what they make of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits, in octal.
    pub mode: String,
    /// As what the caller passes, if it does.
    pub passes_as: Option<Passes>,
}

/// As what somebody passes owner, group and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passes {
    /// By the owner's bits.
    Owner,
    /// By the group's bits.
    Group,
    /// By the bits for others.
    Others,
    /// By `CAP_DAC_OVERRIDE` or `CAP_DAC_READ_SEARCH`, as root has them.
    Capability,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSeen {
    /// `scope.number`.
    pub rule: String,
    /// Whether the caller has all that it demands, in a user namespace for which it holds.
    pub matches: bool,
    /// Whether it is for callers of that user namespace.
    pub holds_in_namespace: bool,
    /// What it demands.
    pub selectors: Vec<SelectorSeen>,
}

/// What a selector says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectorSeen {
    /// What is demanded, `key:value`.
    pub selector: String,
    /// How hard it is to evade.
    pub strength: String,
    /// Whether the caller has it.
    pub matched: Told,
    /// What the caller has of the kind.
    pub seen: String,
}

/// Yes, no, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It has it.
    Yes,
    /// It does not have it.
    No,
    /// It cannot be told, which counts as no.
    Unknown,
}

/// What would have to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The rule that is nearest: of which the least is missing.
    pub rule: Option<String>,
    /// What is missing, one clause each.
    pub missing: Vec<String>,
}
