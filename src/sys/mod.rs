//! Everything unsafe, and nothing else. Each file wraps one thing the kernel offers in a safe interface.
#![expect(unsafe_code, reason = "this is the place for it")]

pub mod arena;
pub mod descriptor;
pub mod mountattr;
pub mod pidfd;
pub mod program;
pub mod sharedtable;
pub mod stack;
