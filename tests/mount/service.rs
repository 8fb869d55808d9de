//! A service that secrets come from, for one test: a program that counts how often it is asked, and is up, down, slow or of
//! another mind, as the test wants it.

use std::fs;
use std::os::unix::fs::chown;

use crate::support::Host;

/// The program. `state` says what it does: `up`, `down`, `hang`, `missing`, `refused`, or more of them for single paths
/// (`down b`), the first that fits.
const PROGRAM: &str = r#"#!/bin/sh
cd "$SERVICE" || exit 1
read -r question
path=${question#*'"path":"'}
path=${path%%'"'*}
echo "$path" >> asked
while read -r state only; do
    [ -z "$only" ] || [ "$only" = "$path" ] || continue
    break
done < state
value=$(cat value)
case $state in
    up) echo "{\"value\": \"$value\", \"version\": \"of $value\"}" ;;
    slow) sleep 0.3; echo "{\"value\": \"$value\", \"version\": \"of $value\"}" ;;
    crawl) sleep 1.5; echo "{\"value\": \"$value\", \"version\": \"of $value\"}" ;;
    hang) exec sleep 600 ;;
    missing) echo '{"error": {"kind": "not_found"}}' ;;
    refused) echo '{"error": {"kind": "refused"}}' ;;
    later) echo '{"error": {"kind": "unavailable", "retry_after": 3}}' ;;
    *) echo '{"error": {"kind": "unavailable"}}' ;;
esac
"#;

/// It is configured as the provider `asked`.
pub(crate) struct Service<'h>(&'h Host);

impl<'h> Service<'h> {
    /// One of this host that is up, and has `value`.
    pub(crate) fn of(host: &'h Host, value: &str) -> Self {
        host.write("service.sh", PROGRAM.as_bytes(), 0o755);
        fs::create_dir(host.path("service")).unwrap();
        chown(host.path("service"), Some(65534), Some(65534)).unwrap();
        let service = Self(host);
        service.is("up");
        service.has(value);
        fs::write(host.path("service/asked"), "").unwrap();
        chown(host.path("service/asked"), Some(65534), Some(65534)).unwrap();
        service
    }

    /// The one of this host that there is already.
    pub(crate) fn again(host: &'h Host) -> Self {
        Self(host)
    }

    /// The provider, to be written among the scopes.
    pub(crate) fn provider(&self, settings: &str) -> String {
        let program = self.0.path("service.sh");
        let directory = self.0.path("service");
        format!(
            "\n[provider.asked]\nkind = \"command\"\nprogram = \"{}\"\nuser = \"nobody\"\nset = {{ SERVICE = \"{}\" }}\n{settings}\n",
            program.display(),
            directory.display()
        )
    }

    /// From now on it is so.
    pub(crate) fn is(&self, state: &str) {
        self.replace("state", &format!("{state}\n"));
    }

    /// From now on it has that value.
    pub(crate) fn has(&self, value: &str) {
        self.replace("value", value);
    }

    /// How often it was asked, for whatever.
    pub(crate) fn asked(&self) -> usize {
        fs::read_to_string(self.0.path("service/asked")).unwrap().lines().count()
    }

    /// How often it was asked for that path.
    pub(crate) fn asked_for(&self, path: &str) -> usize {
        let asked = fs::read_to_string(self.0.path("service/asked")).unwrap();
        asked.lines().filter(|line| *line == path).count()
    }

    fn replace(&self, name: &str, text: &str) {
        // In one step: it may be read at this moment.
        self.0.write("service.new", text.as_bytes(), 0o644);
        fs::rename(self.0.path("service.new"), self.0.path("service").join(name)).unwrap();
    }
}
