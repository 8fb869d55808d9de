//! The second process: providers run in a child that has no FUSE descriptor and looks at no caller.
//!
//! This folder owns that child: [`serve()`] is what runs in it, [`Link`] is the front's end. They talk in the messages of
//! `wire.rs` over a socket pair. Files that settings name come over another one: the child may open none itself, so it asks
//! (`borrows.rs`) and the front opens them (`lends.rs`). The child is started again when it dies; whoever waits then waits a little longer.

mod borrows;
mod lends;
mod link;
mod packet;
mod serve;
mod wire;

pub use link::{Link, ProviderSettings};
pub use serve::serve;
