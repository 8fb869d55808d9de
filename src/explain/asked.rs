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
    /// Who answers.
    pub judged_by: JudgedBy,
    /// The uid that serves the mount.
    pub served_by: u32,
    /// When. A scope may be learning then.
    pub now: Timestamp,
    /// Who has counted what processes read; without, none has read anything.
    pub counted: Option<&'a Counted<'a>>,
}

/// Says how many times rules that count have let a process instance in to `scope/name`.
pub type Counted<'a> = dyn Fn(ProcessId, &str) -> u32 + Send + Sync + 'a;

impl Asked<'_> {
    /// How many times the process was let in to the file.
    pub(super) fn reads(&self, process: ProcessId) -> u32 {
        self.counted.map_or(0, |counted| counted(process, &self.place.path()))
    }
}
