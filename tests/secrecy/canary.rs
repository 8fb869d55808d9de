//! A value that is nowhere else, and the search for it in every form in which it might get away.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Values to look for. They are kept in a directory of their own, which is not searched.
pub(crate) struct Canaries {
    dir: tempfile::TempDir,
    /// What each pattern is: the value's name and the form.
    forms: HashMap<String, String>,
}

impl Canaries {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("hushfs-canary-").tempdir().unwrap();
        Self { dir, forms: HashMap::new() }
    }

    /// A new value of forty letters and digits, to be known by the way that it takes.
    pub(crate) fn make(&mut self, way: &str) -> String {
        const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let random: String =
            (0..3).map(|_| std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap()).collect();
        let random: Vec<u32> = random.chars().filter_map(|c| c.to_digit(16)).collect();
        let sign = |pair: &[u32]| char::from(SIGNS[(pair[0] * 16 + pair[1]) as usize % SIGNS.len()]);
        let value: String = random.chunks_exact(2).take(40).map(sign).collect();
        self.watch(way, &value);
        value
    }

    /// Looks for this value, too.
    pub(crate) fn watch(&mut self, way: &str, value: &str) {
        for (form, text) in forms(value) {
            self.forms.insert(text, format!("{way}, {form}"));
        }
        self.write();
    }

    /// Looks for just this text, as it is.
    pub(crate) fn watch_text(&mut self, way: &str, text: &str) {
        self.forms.insert(text.to_owned(), format!("{way}, as it is"));
        self.write();
    }

    fn write(&self) {
        let patterns: Vec<&str> = self.forms.keys().map(String::as_str).collect();
        std::fs::write(self.dir.path().join("patterns"), patterns.join("\n")).unwrap();
    }

    /// A file for a value that a program is to take up, where it is not searched for.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Where any of the values is in these files and directories, and in which form.
    pub(crate) fn found_in(&self, places: &[&Path]) -> Vec<String> {
        let output = Command::new("grep")
            .env("LC_ALL", "C")
            .args([
                "--recursive",
                "--devices=skip",
                "--text",
                "--only-matching",
                "--no-messages",
                "--with-filename",
            ])
            .args(["--null", "--fixed-strings", "--file"])
            .arg(self.dir.path().join("patterns"))
            .arg("--")
            .args(places)
            .output()
            .unwrap();
        // 2 where a file went away meanwhile.
        assert!(output.status.code().is_some(), "grep was killed");
        let text = String::from_utf8_lossy(&output.stdout);
        let hits = text.lines().filter_map(|line| line.split_once('\0'));
        let hits = hits.filter(|(file, _)| !Path::new(file).starts_with(self.dir.path()));
        let mut hits: Vec<String> =
            hits.map(|(file, pattern)| format!("{file}: {}", self.forms[pattern])).collect();
        hits.sort();
        hits.dedup();
        hits
    }

    /// The number of values' forms.
    pub(crate) fn count(&self) -> usize {
        self.forms.len()
    }

    /// All forms, each on a line.
    pub(crate) fn all(&self) -> String {
        self.forms.keys().fold(String::new(), |all, form| all + form + "\n")
    }
}

fn forms(value: &str) -> Vec<(String, String)> {
    let each = |form: &dyn Fn(u8) -> String| value.bytes().map(form).collect::<Vec<_>>();
    let (first, second) = value.split_at(value.len() / 2);
    let mut forms = vec![
        ("first half".to_owned(), first.to_owned()),
        ("second half".to_owned(), second.to_owned()),
        ("hexadecimal".to_owned(), each(&|b| format!("{b:02x}")).concat()),
        ("hexadecimal in capitals".to_owned(), each(&|b| format!("{b:02X}")).concat()),
        ("percent".to_owned(), each(&|b| format!("%{b:02X}")).concat()),
        ("percent in small letters".to_owned(), each(&|b| format!("%{b:02x}")).concat()),
        ("JSON escapes".to_owned(), each(&|b| format!("\\u{b:04x}")).concat()),
        ("list of numbers".to_owned(), each(&|b| b.to_string()).join(", ")),
        ("compact list of numbers".to_owned(), each(&|b| b.to_string()).join(",")),
    ];
    for before in 0..3 {
        // What does not depend on what stands before and after it.
        let bytes = [&vec![0; before], value.as_bytes()].concat();
        let whole = bytes.len() / 3 * 4;
        let from = (before * 8).div_ceil(6);
        let mut name = String::new();
        write!(name, "base64 at {before}").unwrap();
        forms.push((name.clone(), STANDARD.encode(&bytes)[from..whole].to_owned()));
        forms.push((name + " for URLs", URL_SAFE.encode(&bytes)[from..whole].to_owned()));
    }
    forms
}

#[test]
fn every_form_of_a_value_is_found() {
    let mut canaries = Canaries::new();
    let value = canaries.make("one");
    canaries.make("two");
    let place = tempfile::tempdir().unwrap();
    assert!(canaries.found_in(&[place.path()]).is_empty());
    std::fs::write(place.path().join("all"), canaries.all()).unwrap();
    // URL-safe base64 of letters and digits may be the same as the usual one.
    assert_eq!(canaries.found_in(&[place.path()]).len(), canaries.count());
    for before in ["", "a", "ab", "abc", "{\"x\":\""] {
        std::fs::write(place.path().join("all"), STANDARD.encode(format!("{before}{value}\"}}"))).unwrap();
        assert_eq!(canaries.found_in(&[place.path()]).len(), 1, "after {before:?}");
    }
}
