//! The FUSE protocol: fuser's types on one side, ours on the other.
//!
//! This folder is the only user of the crate fuser. It translates and replies; it knows no rule and no secret.

mod adapter;
mod handshake;
mod notify;
mod pages;
mod reply;
mod session;

pub use notify::Notifications;
pub use session::{Session, Workers};
