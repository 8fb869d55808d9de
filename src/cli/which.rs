//! Which secrets a verb is about.

use super::path;
use crate::control::Which;

/// Some, or all.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhichArg {
    /// A file (`scope/name`, or its path, from the root or from here), a whole scope, or a reference (`provider:path`)
    #[arg(value_name = "PATH|REF")]
    what: Option<String>,
    /// All of which anything is known
    #[arg(long)]
    all: bool,
}

impl From<WhichArg> for Which {
    fn from(arg: WhichArg) -> Self {
        match arg.what {
            // A reference is no path from here.
            Some(what) if what.contains(':') => Self::Named(what),
            Some(what) => Self::Named(path::meant(&what)),
            None => Self::All,
        }
    }
}
