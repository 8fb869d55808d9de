//! Everything unsafe, and nothing else. Each file wraps one thing the kernel offers in a safe interface.

pub mod arena;
