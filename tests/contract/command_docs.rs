//! The programs in docs/command.md, with the tools that they are for.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hushfs::providers::{Provider, ProviderError, kind};

use crate::upstream::{bytes, fetch};

/// `nobody`.
const USER: u32 = 65534;

/// A directory of that user's, with the program below a heading of the page.
struct Home(tempfile::TempDir);

impl Home {
    fn new(heading: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::set_permissions(home.0.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        chown(home.0.path(), Some(USER), Some(USER)).unwrap();
        let page = include_str!("../../docs/command.md");
        let section = page.split_once(&format!("\n## {heading}\n")).unwrap().1;
        let program = section.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
        std::fs::write(home.path("program.py"), program).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program as the user, which must succeed.
    fn run(&self, program: &str, args: &[&str], input: &str) -> Vec<u8> {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(self.variables())
            .current_dir("/")
            .uid(USER)
            .gid(USER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; scripts/test installs it"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program} {args:?}");
        output.stdout
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
        chown(self.path(name), Some(USER), Some(USER)).unwrap();
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let at = |name: &str| self.path(name).display().to_string();
        vec![
            ("HOME", at("")),
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("PASSWORD_STORE_DIR", at("store")),
            ("AGE_DIR", at("")),
            ("AGE_KEY", at("key")),
            ("SOPS_DIR", at("")),
            ("SOPS", at("sops")),
        ]
    }

    fn provider(&self) -> Box<dyn Provider> {
        let set: Vec<_> =
            self.variables().into_iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        // By its interpreter: a file that was just written may still be open for writing in a child of another test.
        let program = self.path("program.py").display().to_string();
        let settings = format!(
            "program = '/usr/bin/python3'\nargs = ['-I', '{program}']\nuser = 'nobody'\ntimeout = '20s'\nset = {{ {} }}",
            set.join(", ")
        );
        (kind("command").unwrap().open)(settings.parse().unwrap(), Path::new("/")).unwrap()
    }
}

#[test]
fn pass() {
    let home = Home::new("pass");
    let generate =
        ["--batch", "--passphrase", "", "--quick-generate-key", "hushfs", "default", "default", "never"];
    home.run("/usr/bin/gpg", &generate, "");
    home.run("/usr/bin/pass", &["init", "hushfs"], "");
    home.run(
        "/usr/bin/pass",
        &["insert", "--multiline", "web/shop"],
        "horse\nuser: shop\nurl: https://x: y\n",
    );
    let provider = home.provider();
    let fetched = fetch(&*provider, "web/shop").unwrap();
    let value = String::from_utf8(bytes(&fetched)).unwrap();
    assert_eq!(value, "{\"password\":\"horse\",\"url\":\"https://x: y\",\"user\":\"shop\"}");
    assert_eq!(fetch(&*provider, "web/shop").unwrap().version, fetched.version);
    let error = fetch(&*provider, "web/none").err().unwrap();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    home.run("/usr/bin/gpgconf", &["--kill", "gpg-agent"], "");
    std::fs::remove_dir_all(home.path(".gnupg")).unwrap();
    let error = fetch(&*provider, "web/shop").err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_)), "without its key: {error}");
}

#[test]
fn age() {
    let home = Home::new("age");
    let key = home.run("/usr/bin/age-keygen", &[], "");
    home.write("key", &key);
    let recipient = String::from_utf8(key).unwrap();
    let recipient = recipient.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    home.write("token.age", &home.run("/usr/bin/age", &["--recipient", recipient], "a value\n"));
    let provider = home.provider();
    assert_eq!(bytes(&fetch(&*provider, "token").unwrap()), b"a value\n");
    assert!(matches!(fetch(&*provider, "none").err().unwrap(), ProviderError::NotFound(_)));
    home.write("key", &home.run("/usr/bin/age-keygen", &[], ""));
    assert!(
        matches!(fetch(&*provider, "token").err().unwrap(), ProviderError::Refused(_)),
        "with another key"
    );
}

#[test]
fn sops_by_a_stand_in() {
    let home = Home::new("sops");
    let stand_in =
        "#!/bin/sh\n[ \"$1 $2 $3\" = '--decrypt --output-type json' ] && exec /usr/bin/cat \"$4\"\n";
    home.write("sops", stand_in.as_bytes());
    std::fs::set_permissions(home.path("sops"), std::fs::Permissions::from_mode(0o755)).unwrap();
    home.write("db.yaml", b"{\"password\": \"horse\", \"port\": 5432, \"more\": {\"a\": \"b\"}}");
    let provider = home.provider();
    assert_eq!(bytes(&fetch(&*provider, "db").unwrap()), b"{\"password\":\"horse\"}");
    assert!(matches!(fetch(&*provider, "none").err().unwrap(), ProviderError::NotFound(_)));
    home.write("sops", b"#!/bin/sh\nexit 128\n");
    assert!(matches!(fetch(&*provider, "db").err().unwrap(), ProviderError::Refused(_)));
}
