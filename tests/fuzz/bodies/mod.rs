//! What is tried with any bytes. A body returns, or panics where something is wrong.

mod decoders;
mod formats;
mod references;
mod templates;

pub(crate) use formats::formats;
pub(crate) use references::references;
pub(crate) use templates::templates;
