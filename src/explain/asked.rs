//! The question.

use jiff::Timestamp;

use super::explanation::JudgedBy;
use super::place::Place;
use super::view::View;
use crate::identity::ProcessId;

/// What is asked, and by whom.
pub struct Asked<'a> {
    /// Of which file.
    pub place: &'a Place,
    /// What the asker may see.
    pub view: View,
    /// Of whose processes alone is told, where not of everybody's.
    pub only_of: Option<u32>,
    /// Who answers.
    pub judged_by: JudgedBy,
    /// The uid that serves the mount.
    pub served_by: u32,
    /// Whether the configuration's files have changed since they were read; `None` where that is not told.
    pub outdated: Option<bool>,
    /// When. A scope may be learning then.
    pub now: Timestamp,
    /// Who has counted what processes read; without, none has read anything.
    pub counted: Option<&'a Counted<'a>>,
}

/// Says how many times rules that count have let a process instance in to `scope/name`.
pub type Counted<'a> = dyn Fn(ProcessId, &str) -> u32 + Send + Sync + 'a;

impl Asked<'_> {
    /// Whether it may be told of a process with these uids.
    pub(super) fn may_ask_about(&self, uids: [u32; 4]) -> bool {
        self.only_of.is_none_or(|uid| uids == [uid; 4])
    }

    /// How many times the process was let in to the file.
    pub(super) fn reads(&self, process: ProcessId) -> u32 {
        self.counted.map_or(0, |counted| counted(process, &self.place.path()))
    }
}
