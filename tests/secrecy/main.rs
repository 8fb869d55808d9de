//! Where a value must not be: outputs, logs, records, files, environments, core dumps; and how much of it is held.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy.toml allows these in test functions, and what they call is part of the test"
)]

#[path = "../mount/support.rs"]
#[allow(dead_code, reason = "shared with tests/mount, which uses more of it")]
mod support;

mod canary;
mod daemon;

mod cache;
mod dumps;
mod memory;
mod outputs;
mod types;
