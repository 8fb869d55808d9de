//! The settings of a provider of kind `command`.
//!
//! ```toml
//! [provider.pass]
//! kind = "command"
//! program = "/usr/local/lib/hushfs/pass"
//! user = "vault"                     # required as root
//! # args = ["--store", "/srv/pass"]
//! # directory = "/"
//! # environment = ["LANG"]           passed on from hushfs; nothing else is
//! # set = { HOME = "/home/vault" }   and these, which are no place for a secret
//! # timeout = "5s"
//! # output_max = "2MiB"
//! # at_once = 4
//! # mints = false                    whether each call makes a credential
//! # lists = false                    whether it can be asked what is below a path
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use serde::Deserialize;
use toml::de::DeValue;

use super::super::settings::{ANSWER_LIMIT, Bounds, Wait, read, wrong};
use super::program::Program;
use super::provider::{Command, Knows};
use super::{NamedFile, Provider, Secrecy, SettingsError};
use crate::program;
use crate::sandbox::Account;
use crate::units;

/// The most bytes that an answer may be allowed to have: as a message between the processes takes.
const MOST: u64 = 64 << 20;
/// How many of a provider may run at once.
const AT_ONCE: usize = 4;
/// As many fetches are under way at one provider.
const MOST_AT_ONCE: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    program: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    user: Option<Name>,
    directory: Option<PathBuf>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    timeout: Option<Wait>,
    output_max: Option<Size>,
    at_once: Option<usize>,
    #[serde(default)]
    mints: bool,
    #[serde(default)]
    lists: bool,
}

/// A user, or a size: both are written as a text or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(u32),
}
type Name = TextOrNumber;
type Size = TextOrNumber;

/// Reads the settings. The program is named, to be judged like the configuration.
pub(super) fn check(settings: toml::Table, _: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    let Checked { program, .. } = checked(settings)?;
    Ok(vec![NamedFile { key: "program", path: program.program.path, secret: Secrecy::Public }])
}

/// Opens the provider. The program is first started when something is fetched.
pub(super) fn open(settings: toml::Table, _: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    let Checked { program, at_once, knows } = checked(settings)?;
    Ok(Box::new(Command::new(program, at_once, knows)))
}

struct Checked {
    program: Program,
    at_once: usize,
    knows: Knows,
}

fn checked(settings: toml::Table) -> Result<Checked, SettingsError> {
    let settings: Settings = read(settings, "command")?;
    for (key, path) in [("program", Some(&settings.program)), ("directory", settings.directory.as_ref())] {
        if path.is_some_and(|path| !path.is_absolute()) {
            return Err(wrong(
                key,
                format!("`{key}` is no absolute path"),
                "write the path from the root: no shell and no PATH is asked",
            ));
        }
    }
    for name in settings.environment.iter().chain(settings.set.keys()) {
        if name.is_empty() || name.contains(['=', '\0']) {
            let key = if settings.set.contains_key(name) { "set" } else { "environment" };
            return Err(wrong(key, "that is no name of a variable", "a name such as \"HOME\""));
        }
    }
    if let Some(twice) = settings.environment.iter().find(|name| settings.set.contains_key(*name)) {
        return Err(wrong("set", format!("`{twice}` is in `environment` as well"), "keep one"));
    }
    if settings.args.iter().chain(settings.set.values()).any(|text| text.contains('\0')) {
        return Err(wrong("args", "no text that is passed on can hold a zero byte", "remove it"));
    }
    let at_once = settings.at_once.unwrap_or(AT_ONCE);
    if !(1..=MOST_AT_ONCE).contains(&at_once) {
        return Err(wrong(
            "at_once",
            "`at_once` is out of range",
            format!("choose from 1 to {MOST_AT_ONCE}"),
        ));
    }
    let passed_on =
        settings.environment.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
    let set = settings.set.iter().map(|(name, value)| (name.into(), value.into()));
    let knows = Knows { mints: settings.mints, lists: settings.lists };
    let program = program::Program {
        path: settings.program,
        args: settings.args,
        account: account(settings.user)?,
        directory: settings.directory.unwrap_or_else(|| PathBuf::from("/")),
        environment: passed_on.chain(set).collect(),
        timeout: Bounds::new(settings.timeout, None)?.request,
    };
    let program = Program { program, output_max: output_max(settings.output_max)? };
    Ok(Checked { program, at_once, knows })
}

/// Whom the program is to be, where that is somebody else.
fn account(user: Option<Name>) -> Result<Option<Account>, SettingsError> {
    let us = rustix::process::geteuid();
    let Some(user) = user else {
        if us.is_root() {
            let hint = "name the user that the program needs to be, or one that may do nothing: `user = \"nobody\"`; for root write `user = \"root\"`";
            return Err(wrong("user", "as whom the program is to run is not said, and hushfs is root", hint));
        }
        return Ok(None);
    };
    let (shown, found) = match user {
        TextOrNumber::Text(name) => (name.clone(), User::from_name(&name)),
        TextOrNumber::Number(uid) => (uid.to_string(), User::from_uid(Uid::from_raw(uid))),
    };
    let found = found.map_err(|error| {
        wrong("user", format!("user `{shown}` cannot be looked up: {error}"), "try again")
    })?;
    let Some(found) = found else {
        let hint = format!("create it first: `useradd --system {shown}`");
        return Err(wrong("user", format!("there is no user `{shown}` on this host"), hint));
    };
    let account = Account { uid: found.uid.as_raw(), gid: found.gid.as_raw() };
    if !us.is_root() && account.uid != us.as_raw() {
        return Err(wrong("user", "only root can run a program as another user", "leave `user` out"));
    }
    Ok(us.is_root().then_some(account))
}

fn output_max(size: Option<Size>) -> Result<usize, SettingsError> {
    let size = match size {
        None => Ok(ANSWER_LIMIT as u64),
        Some(TextOrNumber::Number(bytes)) => Ok(u64::from(bytes)),
        Some(TextOrNumber::Text(text)) => units::size(&DeValue::String(text.into())),
    };
    let size = size.map_err(|hint| wrong("output_max", "`output_max` takes a size", hint))?;
    if !(1..=MOST).contains(&size) {
        return Err(wrong("output_max", "`output_max` is out of range", "choose from \"1B\" to \"64MiB\""));
    }
    usize::try_from(size)
        .map_err(|_| wrong("output_max", "`output_max` is out of range", "choose a smaller one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_setting_is_named_with_a_hint() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let base = Path::new("/");
        for (text, key) in [
            ("user = 'root'", None),
            ("program = 'pass'\nuser = 'root'", Some("program")),
            ("program = '/bin/true'", Some("user")),
            ("program = '/bin/true'\nuser = 'nobody-of-that-name'", Some("user")),
            ("program = '/bin/true'\nuser = 4000000", Some("user")),
            ("program = '/bin/true'\nuser = 'root'\ndirectory = 'x'", Some("directory")),
            ("program = '/bin/true'\nuser = 'root'\nenvironment = ['A=b']", Some("environment")),
            ("program = '/bin/true'\nuser = 'root'\nset = { '' = 'x' }", Some("set")),
            ("program = '/bin/true'\nuser = 'root'\nenvironment = ['A']\nset = { A = 'x' }", Some("set")),
            ("program = '/bin/true'\nuser = 'root'\nset = { A = 1 }", Some("set")),
            ("program = '/bin/true'\nuser = 'root'\nargs = 'x'", Some("args")),
            ("program = '/bin/true'\nuser = 'root'\ntimeout = '1h'", Some("timeout")),
            ("program = '/bin/true'\nuser = 'root'\noutput_max = '1GiB'", Some("output_max")),
            ("program = '/bin/true'\nuser = 'root'\noutput_max = 'much'", Some("output_max")),
            ("program = '/bin/true'\nuser = 'root'\nat_once = 0", Some("at_once")),
            ("program = '/bin/true'\nuser = 'root'\nmints = 'yes'", Some("mints")),
            ("program = '/bin/true'\nuser = 'root'\nlists = 'yes'", Some("lists")),
            ("program = '/bin/true'\nuser = 'root'\nshell = true", Some("shell")),
        ] {
            let error = check(text.parse().unwrap(), base).unwrap_err();
            assert_eq!(error.key.as_deref(), key, "{text:?}: {error}");
            assert!(error.hint.is_some(), "{text:?}");
        }
        let files = check("program = '/bin/true'\nuser = 'nobody'".parse().unwrap(), base).unwrap();
        assert_eq!((files[0].key, files[0].secret), ("program", Secrecy::Public));
    }
}
