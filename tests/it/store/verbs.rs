//! What each verb does, seen from a shell.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{CANARY, Place};

#[test]
fn init_is_private_says_where_and_never_overwrites() {
    let place = Place::empty();
    let store = place.path("new/dir/store.age");
    let args = ["init", "--store", store.to_str().unwrap()];
    let told = String::from_utf8(place.ok(&args, b"")).unwrap();
    let key = store.with_extension("key");
    for file in [&store, &key] {
        assert!(told.contains(&format!("cp --preserve {}", file.display())), "{told}");
    }
    assert!(told.contains("recipients add --new"), "{told}");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(store.parent().unwrap()), mode(&store), mode(&key)), (0o700, 0o600, 0o600));
    let before = (fs::read(&store).unwrap(), fs::read(&key).unwrap());
    assert!(place.fails(&args, b"").contains("already there"));
    fs::remove_file(&store).unwrap();
    assert!(place.fails(&args, b"").contains("store.key is already there"));
    assert!(!store.exists());
    assert_eq!(before.1, fs::read(&key).unwrap());
}

#[test]
fn a_binary_value_comes_back_byte_for_byte() {
    let place = Place::new();
    let all: Vec<u8> = (0..=255).collect();
    place.ok(&["set", "app/raw"], &all);
    assert_eq!(place.ok(&["show", "app/raw"], b""), all);
    place.ok(&["set", "line"], b"x\n");
    assert_eq!(place.ok(&["show", "line"], b""), b"x\n");
    place.ok(&["set", "line", "--trim"], b"x\r\n");
    assert_eq!(place.ok(&["show", "line"], b""), b"x");
    assert!(place.fails(&["set", "line"], b"").contains("is empty"));
    place.ok(&["set", "line", "--allow-empty"], b"");
    assert_eq!(place.ok(&["show", "line"], b""), b"");
}

#[test]
fn named_values_are_set_shown_and_removed_one_by_one() {
    let place = Place::new();
    place.ok(&["set", "db#user"], b"app");
    place.ok(&["set", "db#password"], CANARY.as_bytes());
    assert_eq!(place.ok(&["show", "db#password"], b""), CANARY.as_bytes());
    assert_eq!(
        place.ok(&["show", "db"], b""),
        format!(r#"{{"password":"{CANARY}","user":"app"}}"#).into_bytes()
    );
    assert!(place.fails(&["set", "db"], CANARY.as_bytes()).contains("--replace"));
    assert!(place.fails(&["set", "db#bytes"], &[0xff]).contains("not text"));
    place.ok(&["rm", "db#user"], b"");
    assert!(place.fails(&["show", "db#user"], b"").contains("no value named `user`"));
    assert_eq!(place.ok(&["show", "db#user", "--version", "2"], b""), b"app");
    assert!(place.fails(&["rm", "db#password"], b"").contains("last value"));
    place.ok(&["set", "db", "--replace"], b"raw");
    assert!(place.fails(&["set", "db#user"], b"x").contains("--replace"));
    place.ok(&["rm", "db"], b"");
    assert!(place.fails(&["show", "db"], b"").contains("no secret `db`"));
    assert_eq!(place.list(), serde_json::json!([]));
}

#[test]
fn list_shows_names_and_versions_and_no_value() {
    let place = Place::new();
    for _ in 0..2 {
        place.ok(&["set", "a"], CANARY.as_bytes());
    }
    assert_eq!(place.list()[0]["version"], "1", "the same value again is no new version");
    for n in 0..11 {
        place.ok(&["set", "a"], format!("{CANARY}{n}").as_bytes());
    }
    place.ok(&["set", "b#k"], CANARY.as_bytes());
    let text = [place.ok(&["list"], b""), place.ok(&["list", "--history", "a"], b"")].concat();
    assert!(!String::from_utf8(text).unwrap().contains(CANARY));
    let list = place.list();
    assert_eq!((&list[0]["name"], &list[0]["version"]), (&"a".into(), &"12".into()));
    assert_eq!(list[1]["keys"], serde_json::json!(["k"]));
    let history = place.ok(&["list", "--json", "--history", "a"], b"");
    let history: serde_json::Value = serde_json::from_slice(&history).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 10);
    assert!(place.fails(&["show", "a", "--version", "2"], b"").contains("no version `2`"));
}

#[test]
fn a_value_over_the_limit_is_refused() {
    let place = Place::new();
    place.ok(&["set", "a"], &vec![b'x'; 1 << 20]);
    assert!(place.fails(&["set", "a"], &vec![b'x'; (1 << 20) + 1]).contains("larger than 1048576 bytes"));
    assert_eq!(place.ok(&["show", "a"], b"").len(), 1 << 20);
}

#[test]
fn import_makes_one_secret_of_a_file() {
    let place = Place::new();
    fs::write(place.path("app.env"), format!("export A='{CANARY}'\n# c\nB=\"x\ny\"\n")).unwrap();
    place.ok(&["import", "app.env"], b"");
    assert_eq!(place.ok(&["show", "app#A"], b""), CANARY.as_bytes());
    assert_eq!(place.ok(&["show", "app#B"], b""), b"x\ny");
    fs::write(place.path("db.json"), r#"{"port":5432,"tls":true,"host":"h"}"#).unwrap();
    place.ok(&["import", "db.json", "--as", "app/db"], b"");
    assert_eq!(place.ok(&["show", "app/db"], b""), br#"{"host":"h","port":"5432","tls":"true"}"#);
    place.ok(&["import", "-", "--as", "piped"], b"K=v");
    assert_eq!(place.ok(&["show", "piped#K"], b""), b"v");
    fs::write(place.path("bad.env"), format!("A=b\n{CANARY}\n")).unwrap();
    assert!(place.fails(&["import", "bad.env"], b"").contains("bad.env: line 2: there is no `=`"));
    fs::write(place.path("bad.json"), format!(r#"{{"a":{{"b":"{CANARY}"}}}}"#)).unwrap();
    assert!(place.fails(&["import", "bad.json"], b"").contains("`a` is an object"));
    fs::write(place.path(".env"), "A=b").unwrap();
    assert!(place.fails(&["import", ".env"], b"").contains("--as NAME"));
}

#[test]
fn no_value_is_in_any_file_beside_the_import() {
    let place = Place::new();
    for n in 0..3 {
        place.ok(&["set", "a#k"], format!("{CANARY}{n}").as_bytes());
    }
    place.ok(&["rotate-key"], b"");
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
}
