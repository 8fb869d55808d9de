//! One record per attempt, written in one place.
pub mod record;
