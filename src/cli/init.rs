//! `hushfs init`: a commented configuration to start from.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{ConfigArg, Failure, Outcome, term};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
}

/// Where things go when nothing else is said.
struct Places {
    mount: PathBuf,
    store: PathBuf,
}

pub(crate) fn run(args: Args) -> Outcome {
    let path = args.config.path();
    let path = std::path::absolute(&path).unwrap_or(path);
    let places = places();
    if let Some(parent) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|error| Failure::new(format!("`{}` cannot be made: {error}", parent.display())))?;
    }
    write(&path, &text(&places))?;
    term::say(next_steps(&path, &places));
    Ok(ExitCode::SUCCESS)
}

/// Writes the file as nobody else may read it, unless there is one.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(format!("`{}` is there already; it stays as it is", path.display()))
                .hint("look at it with `hushfs check`, or move it away first")
        }
        _ => Failure::new(format!("`{}` cannot be written: {error}", path.display()))
            .hint("run as root, or name another file: --config FILE"),
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a configuration would be in the way of the next try.
        let _ = std::fs::remove_file(path);
        Failure::new(format!("`{}` cannot be written: {error}", path.display()))
    })
}

fn places() -> Places {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        return Places { mount: "/run/hushfs".into(), store: "/var/lib/hushfs/store.age".into() };
    }
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime =
        directory("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", uid.as_raw()).into());
    let data = directory("XDG_DATA_HOME").or_else(|| directory("HOME").map(|home| home.join(".local/share")));
    // Whoever did not log in (su, cron) has no runtime directory, and cannot make one.
    let mount = match &data {
        Some(data) if !runtime.is_dir() => data.join("hushfs/mount"),
        _ => runtime.join("hushfs"),
    };
    Places { mount, store: data.unwrap_or(runtime).join("hushfs/store.age") }
}

fn next_steps(path: &Path, places: &Places) -> String {
    let (path, store) = (crate::config::quoted(path), crate::config::quoted(&places.store));
    format!(
        "wrote {path}\n\nnext:\n  hushfs store init --store {store}\n  \
         edit the file: its examples are comments\n  hushfs check --config {path}\n  hushfs mount --config {path}"
    )
}

/// The file.
fn text(places: &Places) -> String {
    // A JSON string is a TOML basic string.
    let quote = |path: &Path| serde_json::Value::from(path.display().to_string()).to_string();
    let (mount, store) = (quote(&places.mount), quote(&places.store));
    format!(
        r##"# hushfs: which secrets appear as which files, and who may read them.
# `hushfs check` says whether this file is right; `hushfs reload` applies it to a running mount.

# Where the secrets appear. Each scope below is a directory there.
mount = {mount}

# Where they come from. This is the embedded encrypted store; make it once with
#   hushfs store init --store {path}
[provider.local]
kind = "store"
path = {store}

# Who read what. "stderr", "journal" or the path of a file. What cannot be recorded is not served.
[audit]
to = "stderr"
on_failure = "deny"

# A directory of secrets and who may read them. Remove the `#` and put your own names in.
# Every selector of a rule must match; with several rules, any one is enough.
#
# [scope.app]
# allow = {{ user = "app", exe = "/usr/bin/app" }}
# file.token = "local:app#token"
# file.".env" = {{ from = "local:app", format = "dotenv" }}

# Numbers for Prometheus (docs/metrics.md): on a socket, or on an address of this host. Off unless you say so.
#
# [metrics]
# listen = "/run/hushfs-metrics.sock"  # or "127.0.0.1:9464"
# group  = "prometheus"                # who may ask, beside root; for a socket only

# Bounds, as they are unless you say otherwise.
#
# [limits]
# cache_max = "32MiB"     # secrets held in memory
# size_max  = "1MiB"      # the longest secret
# deadline  = "10s"       # how long an open may wait for a provider
# stat_wait = "1s"        # how long a stat may wait for one
# waiting_per_uid = 4096  # requests that may wait at once
# waiting_per_process = 2048
# misses_per_uid = 200    # how often in a second a provider may be made to be asked
# misses_per_process = 100
#
# How long secrets are kept; a provider, a scope or a file may say otherwise.
#
# [cache]
# fresh_for   = "5min"    # a value is served before it is fetched again
# stale_for   = "1h"      # it is served beyond that, while its provider fails
# missing_for = "5s"      # it is remembered that a secret does not exist
# refused_for = "30s"     # it is remembered that the provider refuses it
# idle_after  = "1h"      # after the last read it is no longer fetched ahead
"##,
        path = crate::config::quoted(&places.store)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_file_is_toml_with_and_without_its_examples() {
        let text = text(&Places { mount: "/run/a \"b\"".into(), store: "/s".into() });
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["mount"].as_str(), Some("/run/a \"b\""));
        let examples = text.replace("# [", "[").replace("# allow", "allow").replace("# file", "file");
        let table: toml::Table = examples.parse().unwrap();
        assert!(table["scope"]["app"]["file"].get("token").is_some());
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hushfs.toml");
        write(&path, "first").unwrap();
        assert!(write(&path, "second").unwrap_err().to_string().contains("stays as it is"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}
