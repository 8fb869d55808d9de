//! Real containers read from a real mount: engines of our own, started and ended by the tests.
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
#[path = "../formats/values.rs"]
mod values;
#[path = "../formats/written.rs"]
#[allow(dead_code, reason = "shared with tests/formats, which uses more of it")]
mod written;

mod docker;
mod image;

mod attack;
mod env_file;
mod explain;
mod outage;
mod owners;
mod podman;
mod rules;
