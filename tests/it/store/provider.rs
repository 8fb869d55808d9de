//! The provider of kind `store`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use hushfs::providers::ProviderError;

use super::{CANARY, Place, bytes, failure, fetch};

#[test]
fn the_provider_serves_versions_and_the_state_of_the_file() {
    let place = Place::new();
    place.ok(&["set", "a"], b"one");
    place.ok(&["set", "a"], b"two");
    let provider = place.provider("path = 'store.age'");
    let newest = fetch(provider.as_ref(), "l:a#ignored").unwrap();
    assert_eq!((bytes(&newest), newest.version.as_str()), (b"two".to_vec(), "2"));
    assert!(newest.created.elapsed().unwrap() < Duration::from_secs(60));
    let meta = fs::metadata(place.path("store.age")).unwrap();
    let stamp = newest.stamp.unwrap();
    assert_eq!(stamp.path, place.path("store.age"));
    assert_eq!(stamp.state, (meta.ino(), meta.size(), meta.mtime() * 1_000_000_000 + meta.mtime_nsec()));
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a?version=1").unwrap()), b"one");
    for (reference, name) in [("l:none", "`none`"), ("l:a?version=9", "version `9`")] {
        let error = failure(provider.as_ref(), reference);
        assert!(matches!(&error, ProviderError::NotFound(text) if text.contains(name)), "{error}");
    }
    place.ok(&["set", "a"], b"three");
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"three");
    // Nothing changed: no decryption, so the key is not missed.
    fs::remove_file(place.path("store.key")).unwrap();
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), b"three");
}

#[test]
fn each_way_a_store_can_be_unusable_has_its_error() {
    let place = Place::new();
    place.ok(&["set", "a"], CANARY.as_bytes());
    let provider = place.provider("path = 'store.age'");
    let (store, whole) = (place.path("store.age"), fs::read(place.path("store.age")).unwrap());
    for damaged in [&b""[..], b"garbage", &whole[..whole.len() - 1], &whole[..whole.len() / 2]] {
        fs::write(&store, damaged).unwrap();
        let error = failure(provider.as_ref(), "l:a");
        assert!(matches!(&error, ProviderError::Malformed(text) if text.contains("backup")), "{error}");
    }
    fs::remove_file(&store).unwrap();
    let error = failure(provider.as_ref(), "l:a");
    assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains("store init")), "{error}");
    fs::write(&store, &whole).unwrap();
    assert_eq!(bytes(&fetch(provider.as_ref(), "l:a").unwrap()), CANARY.as_bytes(), "and it recovers");
    fs::rename(place.path("store.key"), place.path("kept.key")).unwrap();
    fs::write(&store, &whole).unwrap();
    let error = failure(provider.as_ref(), "l:a");
    assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains("no key at")), "{error}");
}
