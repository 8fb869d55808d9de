//! Every operation on a real mount: one file for each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy.toml allows these in test functions, and what they call is part of the test"
)]

mod attack;
mod audit;
mod bounds;
mod c;
mod control;
mod digest;
mod dirs;
mod exe;
mod explain;
mod explain_state;
mod fetcher;
mod generations;
mod groups;
mod hang;
mod learn;
mod hardening;
mod inotify;
mod inventory;
mod life;
mod limits;
mod log;
#[cfg(feature = "command")]
mod metrics;
mod mutate;
mod on_change;
mod open;
mod outage;
mod owners;
mod pages;
mod passed;
#[cfg(feature = "command")]
mod per_caller;
mod place;
#[cfg(feature = "command")]
mod programs;
mod race;
mod read;
mod remembered;
mod readdir;
mod reads;
mod reload;
mod sandbox;
mod service;
mod spoof;
mod stat;
#[cfg(feature = "command")]
mod status;
mod suggest;
mod support;
mod templates;
mod unit;
mod user;
mod ways;
#[cfg(feature = "command")]
mod watch;
mod xattr;
