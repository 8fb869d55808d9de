//! Secrets of many values, as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hushfs::format::{Form, Format, FormatError};
use hushfs::secret::SecretBytes;
use serde_json::{Map, Value};
use tempfile::TempDir;

/// What a secret is written as.
#[expect(clippy::disallowed_methods, reason = "made-up values")]
pub(crate) fn written(format: Format, secret: &Value) -> Result<Vec<u8>, FormatError> {
    let secret = SecretBytes::copy_from(secret.to_string().as_bytes());
    let written = Form { format, ..Form::RAW }.write(&secret, None)?;
    Ok(written.expose_secret().to_vec())
}

/// All values that a format can hold, in one file.
pub(crate) struct Values {
    /// The file and what else the reader needs is here.
    pub(crate) dir: TempDir,
    /// The file.
    pub(crate) file: PathBuf,
    /// What it holds.
    pub(crate) wanted: BTreeMap<String, String>,
}

/// Writes what can be written of `values`. What is refused must be what the format `cannot` hold, and nothing else is.
pub(crate) fn write(format: Format, values: &[String], cannot: impl Fn(&str) -> bool) -> Values {
    let name = |at: usize| format!("v{at:05}");
    let mut wanted = BTreeMap::new();
    for (at, value) in values.iter().enumerate() {
        match written(format, &Value::Object(Map::from_iter([(name(at), value.as_str().into())]))) {
            Ok(_) => {
                assert!(!cannot(value), "{format:?} does not refuse {value:?}");
                wanted.insert(name(at), value.clone());
            }
            Err(FormatError::Unwritable { .. }) => assert!(cannot(value), "{format:?} refuses {value:?}"),
            Err(other) => panic!("{value:?}: {other}"),
        }
    }
    assert!(wanted.len() > values.len() / 4, "{format:?} holds {} of {}", wanted.len(), values.len());
    let secret = wanted.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values");
    std::fs::write(&file, written(format, &Value::Object(secret)).unwrap()).unwrap();
    Values { dir, file, wanted }
}

impl Values {
    /// That a reader that printed `name=value` and a NUL for each variable read them all, and exactly.
    #[track_caller]
    pub(crate) fn read_as_environment(&self, printed: &[u8]) {
        let mut read = BTreeMap::new();
        for variable in printed.split(|byte| *byte == 0) {
            let variable = String::from_utf8(variable.to_vec()).unwrap();
            if let Some((name, value)) = variable.split_once('=') {
                read.insert(name.to_owned(), value.to_owned());
            }
        }
        self.read_as(&read);
    }

    /// That a reader that printed one JSON object read them all, and exactly.
    #[track_caller]
    pub(crate) fn read_as_json(&self, printed: &[u8]) {
        self.read_as(&serde_json::from_slice(printed).expect("one object of strings"));
    }

    #[track_caller]
    pub(crate) fn read_as(&self, read: &BTreeMap<String, String>) {
        let wrong = self.wanted.iter().filter(|(name, value)| read.get(*name) != Some(*value));
        let wrong: Vec<_> =
            wrong.map(|(name, value)| format!("{value:?} is read as {:?}", read.get(name))).collect();
        let shown: Vec<_> =
            wrong.iter().map(|line| line.chars().take(300).collect::<String>()).take(20).collect();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), self.wanted.len(), shown.join("\n"));
    }
}

/// What a program prints that must succeed. It has a minute.
#[track_caller]
pub(crate) fn printed(program: &Path, args: &[&str], dir: &Path) -> Vec<u8> {
    let mut command = Command::new("/usr/bin/timeout");
    command.args(["--signal=KILL", "60"]).arg(program).args(args).current_dir(dir);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", dir);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}",
        program.display(),
        said.chars().take(3000).collect::<String>()
    );
    output.stdout
}

/// A program of the distribution.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(|place| Path::new(place).join(name));
    places
        .into_iter()
        .find(|place| place.exists())
        .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}
