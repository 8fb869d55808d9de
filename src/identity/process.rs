//! What is known of a process.

/// A thread's id: what the header of a FUSE request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid(pub u32);

/// A process's id (thread group).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pid(pub u32);

/// One process instance: ids are used again, start times tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Its id.
    pub pid: Pid,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// The executable of a process, by the kernel's own reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exe {
    /// The device it lies on.
    pub dev: u64,
    /// Its inode on that device.
    pub ino: u64,
    /// Its path as the kernel names it: for people, never for decisions.
    pub path: String,
}

/// Who is asking, proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process instance.
    pub process: ProcessId,
    /// The uid: all four of the thread are this one.
    pub uid: u32,
    /// The gid for file access.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The executable, where it could be established on the host.
    pub exe: Option<Exe>,
    /// The system unit, by its cgroup.
    pub unit: Option<String>,
}
