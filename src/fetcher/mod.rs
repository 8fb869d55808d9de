//! The second process: providers run in a child that has no FUSE descriptor and looks at no caller.
//!
//! This folder owns that child, and a second one for providers that start programs, which no sandbox may hold: [`serve()`] is
//! what runs in them, [`Link`] is the front's end. They talk in the messages of `wire.rs` over a socket pair. Files that
//! settings name come over another one: the child may open none itself, so it asks (`borrows.rs`) and the front opens them
//! (`lends.rs`). A child is started again when it dies; whoever waits then waits a little longer.

mod arrived;
mod borrows;
mod ended;
mod lends;
mod link;
mod packet;
mod process;
mod question;
mod routes;
mod serve;
mod settings;
mod wire;

pub use ended::Ended;
pub use routes::Link;
pub use serve::serve;
pub use settings::ProviderSettings;
