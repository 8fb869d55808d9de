//! Keys: rotation, recovery, backup, passphrase.

use std::fs;

use hushfs::providers::ProviderError;

use super::{CANARY, Place, bytes, failure, fetch};

#[test]
fn rotate_key_keeps_recovery_keys_and_old_copies_open_with_the_old_key() {
    let place = Place::empty();
    place.ok(&["init", "--recovery", "recovery.key"], b"");
    place.ok(&["set", "a"], b"x");
    for name in ["store.age", "store.key"] {
        fs::copy(place.path(name), place.path(&format!("old-{name}"))).unwrap();
    }
    let provider = place.provider("path = 'store.age'");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"x");
    let told = String::from_utf8(place.ok(&["rotate-key"], b"")).unwrap();
    assert!(told.contains("still open with the old key"), "{told}");
    assert_eq!(place.ok(&["show", "a"], b""), b"x");
    assert_eq!(place.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    assert!(place.fails(&["show", "a", "--key", "old-store.key"], b"").contains("does not open the store"));
    assert_eq!(place.ok(&["show", "a", "--store", "old-store.age", "--key", "old-store.key"], b""), b"x");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"x", "the daemon follows the rotation");
    let old = place.provider("path = 'store.age'\nkey = 'old-store.key'");
    assert!(matches!(failure(old.as_ref(), "l:a"), ProviderError::Refused(_)));
}

#[test]
fn a_backup_opens_elsewhere_with_its_key_or_the_recovery_key_alone() {
    let place = Place::empty();
    place.ok(&["init", "--recovery", "recovery.key"], b"");
    place.ok(&["set", "a"], b"x");
    let elsewhere = Place::empty();
    for name in ["store.age", "store.key"] {
        fs::copy(place.path(name), elsewhere.path(name)).unwrap();
    }
    assert_eq!(elsewhere.ok(&["show", "a"], b""), b"x");
    let alone = Place::empty();
    fs::copy(place.path("store.age"), alone.path("store.age")).unwrap();
    fs::copy(place.path("recovery.key"), alone.path("recovery.key")).unwrap();
    assert_eq!(alone.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    assert!(alone.fails(&["show", "a"], b"").contains("there is no key at"));
    // Every write goes to all recipients.
    alone.ok(&["set", "b", "--key", "recovery.key"], b"y");
    fs::copy(place.path("store.key"), alone.path("store.key")).unwrap();
    assert_eq!(alone.ok(&["show", "b"], b""), b"y");
}

#[test]
fn recipients_are_added_and_removed_but_never_the_last_own_one() {
    let place = Place::new();
    place.ok(&["set", "a"], b"x");
    place.ok(&["recipients", "add", "--new", "second.key"], b"");
    assert_eq!(place.ok(&["show", "a", "--key", "second.key"], b""), b"x");
    let list = String::from_utf8(place.ok(&["recipients"], b"")).unwrap();
    let own = list.lines().find(|line| line.ends_with("(in the key file)")).unwrap();
    let own = own.split_whitespace().next().unwrap();
    let second = list.lines().find(|line| !line.contains(own)).unwrap();
    assert!(place.fails(&["recipients", "remove", own], b"").contains("rotate-key"));
    place.ok(&["recipients", "remove", second], b"");
    assert!(place.fails(&["show", "a", "--key", "second.key"], b"").contains("does not open"));
    assert!(place.fails(&["recipients", "add", "age1nonsense"], b"").contains("not a public key"));
}

#[test]
fn a_key_under_a_passphrase_serves_daemon_and_operator() {
    let place = Place::empty();
    fs::write(place.path("pass"), format!("{CANARY}\n")).unwrap();
    fs::write(place.path("wrong"), "other").unwrap();
    let with = ["--passphrase-file", "pass"];
    place.ok(&[&["init", "--passphrase", "--recovery", "recovery.key"], &with[..]].concat(), b"");
    place.ok(&[&["set", "a"], &with[..]].concat(), b"x");
    assert!(fs::read(place.path("store.key")).unwrap().starts_with(b"age-encryption.org/"));
    place.ok(&[&["rotate-key"], &with[..]].concat(), b"");
    assert!(fs::read(place.path("store.key")).unwrap().starts_with(b"age-encryption.org/"));
    assert_eq!(place.ok(&["show", "a", "--key", "recovery.key"], b""), b"x");
    let fetched = |settings: &str| fetch(place.provider(settings).as_ref(), "l:a");
    assert_eq!(bytes(&fetched("path = 'store.age'\npassphrase_file = 'pass'").unwrap()), b"x");
    let wrong = fetched("path = 'store.age'\npassphrase_file = 'wrong'").err().unwrap();
    assert!(matches!(wrong, ProviderError::Refused(_)), "{wrong}");
    let none = fetched("path = 'store.age'").err().unwrap();
    assert!(
        matches!(&none, ProviderError::Misconfigured(text) if text.contains("passphrase_file")),
        "{none}"
    );
}
