//! hushfs mounts secrets as read-only files and decides every open by who is asking.
//!
//! This page is the map. The modules stand in the order in which a request meets them; each may name only modules
//! further down (`tests/layers.rs` fails on an arrow that points up).
//!
//! ```text
//!  kernel
//!    |
//!  fuse/       fuser <-> our types, errno, reply; the only user of the crate fuser
//!    |
//!  fs/         inode tree, attributes, open handles; which files a directory has that lists a provider: listings/
//!    |
//!  access.rs   the file to read first: the whole way of one open, from top to bottom
//!    |-- identity/   Caller                -> Identity                 attestors, one per file
//!    |-- policy/     Identity + node       -> Allow(Grant) | Deny      pure: no I/O, no async
//!    |-- resolve/    Grant                 -> Secret                   cache -> single flight -> fetcher
//!    |-- render/     Secret                -> the bytes of the file
//!    |-- audit/      one record per attempt, written in one place
//!    '-- readers/    who read which version, and still runs
//! ```
//!
//! Beside that way: `config/` (raw -> checked), `fetcher/` (the process that runs `providers/`, one file each), `control/`
//! (the socket on which the daemon is asked), `metrics/` (what is counted, for Prometheus), `explain/` (what a decision turns on, for people), `cli/` (one file per verb), `run.rs` (the only file that names every module),
//! `pokes/` (what tells watchers of a file that it changed), and
//! at the bottom `sandbox/` (what the fetcher may not do), `secret.rs` and `sys/` (the only unsafe code).

// What composes and commands
pub mod cli;
pub mod run;

// The way of one request
pub mod control;
pub mod explain;
pub mod fuse;
pub mod fs;
pub mod listings;
pub mod access;
pub mod metrics;
pub mod failure;
pub mod audit;
pub mod render;
pub mod resolve;

// What they work on
pub mod config;
pub mod policy;
pub mod change;
pub mod readers;
pub mod identity;
pub mod fetcher;
pub mod providers;
pub mod template;
pub mod format;
pub mod reference;

// Ground
pub mod mount;
pub mod pokes;
pub mod program;
pub mod sandbox;
pub mod units;
pub mod words;
pub mod bounded;
pub mod tally;
pub mod clock;
pub mod socket;
pub mod secret;
pub mod sys;
