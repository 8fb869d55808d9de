//! Real programs read one file each of a real mount. Each check compares exact bytes, or an effect that only the right
//! bytes have.
//!
//! The one known exception is a shared mapping, which `python.rs` pins.
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

mod host;
mod peer;

mod archives;
mod copies;
mod curl;
mod databases;
mod java;
mod keys;
mod node;
mod owners;
mod python;
mod servers;
mod settings;
mod shells;
mod text;
mod watchers;
