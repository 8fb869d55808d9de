//! hushfs without rules: what `scripts/bench` compares rules with.
//!
//! It serves a configuration as `hushfs mount` does, but that every scope has one rule that demands nothing, which the configuration
//! language rightly refuses. Whoever is let through by owner, group and mode may read. Callers are identified all the same, for the
//! record: what is left out is the rules, not the knowledge of who reads.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hushfs::config::Config;
use hushfs::config::checked::Scope;
use hushfs::policy::{Rule, Rules};
use hushfs::run;
use hushfs::sandbox::{Account, Cage};

/// As `hushfs` has it.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// hushfs without rules.
#[derive(Parser)]
enum Verb {
    /// Mount a configuration as if its rules demanded nothing
    Mount {
        #[arg(long)]
        config: PathBuf,
    },
    /// What talks to providers: started by `mount`
    Fetcher {
        #[arg(long)]
        uid: Option<u32>,
        #[arg(long)]
        gid: Option<u32>,
    },
}

fn open_to_all(scope: &Scope) -> Arc<Scope> {
    let rule = Rule::new(format!("{}.0", scope.name), Vec::new());
    let Scope { name, uid, gid, dir_mode, files, .. } = scope;
    let (name, rules, files) = (name.clone(), Rules::new(vec![rule]), files.clone());
    let rules_at = scope.rules_at.clone();
    Arc::new(Scope {
        name,
        rules_at,
        uid: *uid,
        gid: *gid,
        dir_mode: *dir_mode,
        rules: rules.into(),
        dirs: Vec::new(),
        learn_until: None,
        bundles: BTreeMap::new(),
        files,
    })
}

fn mount(config: &Path) -> Result<(), String> {
    let config = hushfs::config::load(config).map_err(|problems| problems.to_string())?;
    let scopes = config.scopes.iter().map(|scope| open_to_all(scope)).collect();
    run::mount(Config { scopes, ..config }).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Mount { config } => mount(&config),
        Verb::Fetcher { uid, gid } => {
            let account = uid.zip(gid).map(|(uid, gid)| Account { uid, gid });
            run::fetch(Cage::Whole(account), || ()).map_err(|error| error.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "open_to_all: {error}");
            ExitCode::FAILURE
        }
    }
}
