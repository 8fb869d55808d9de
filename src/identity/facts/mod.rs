//! What can be found out about a caller beyond its identity, one fact in each file.
//!
//! Nothing here may ask a file system that the caller chose, unless it runs on a thread of its own
//! ([`Inspections`](super::inspections::Inspections)).

pub(super) mod digest;
pub(super) mod hardening;
pub(super) mod mappings;
mod mounts;
pub(super) mod tracer;
