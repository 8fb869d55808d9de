//! What is written is read back by the programs that it is written for, each value exactly.
//!
//! All values of a format stand in one file, so that one that runs over into the next is found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy.toml allows these in test functions, and what they call is part of the test"
)]

mod values;
mod written;

mod ini;
mod node;
mod properties;
mod python;
mod shells;
mod structured;
mod systemd;
