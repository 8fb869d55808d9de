//! The second process: providers run in a child that has no FUSE descriptor and looks at no caller.
//!
//! This folder owns that child: [`serve()`] is what runs in it, [`Link`] is the front's end. They talk in the messages of
//! `wire.rs` over a socket pair. The child is started again when it dies; whoever waits then waits a little longer.

mod link;
mod serve;
mod wire;

pub use link::{Link, ProviderSettings};
pub use serve::serve;
