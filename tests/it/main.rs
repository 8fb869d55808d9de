//! Everything that works without a mount, in one binary.

mod config;
