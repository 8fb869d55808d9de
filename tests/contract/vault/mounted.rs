//! A mounted hushfs and a real server: what a crowd, an outage, a storm and a rotation cost both. What is printed is in
//! `docs/freshness.md`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::{Bao, text_file};
use super::settings;
use crate::support::Host;
use crate::upstream::At;

mod leases;
mod outage;
mod storm;

/// A host that is mounted with these rules and files of scope `a`, and with a server at this address as `p`.
fn mounted(at: &At, token: &str, cache: &str, files: &str) -> Host {
    let settings = settings(at, &format!("token_file = '{}'", text_file(token)));
    crate::mounted::mounted("vault", &settings, cache, files)
}

fn direct(bao: &Bao) -> At {
    At { url: bao.url.clone(), ca: None }
}

/// A token that may read all key/value secrets.
fn reader(bao: &Bao) -> String {
    bao.token(&bao.policy("path \"secret/data/*\" { capabilities = [\"read\"] }"), &json!({ "ttl": "1h" }))
}

fn put(bao: &Bao, name: &str, value: &str) {
    bao.write(&format!("secret/data/{name}"), &json!({ "data": { "value": value } }));
}

/// Files that show secrets of their names.
fn files<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("file.{name} = \"p:secret/{name}#value\"\n")).collect()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n}")).collect()
}

/// Writes all of them.
fn put_all(bao: &Bao, names: &[String], value: &str) {
    std::thread::scope(|scope| {
        for some in names.chunks(names.len().div_ceil(8)) {
            scope.spawn(move || some.iter().for_each(|name| put(bao, name, value)));
        }
    });
}

/// Reads all of them, again and again for that long, in two threads. What each read took, shortest first.
fn read_for(host: &Host, names: &[String], time: Duration, wanted: &[u8]) -> Vec<Duration> {
    let files: Vec<_> = names.iter().map(|name| host.file(&format!("a/{name}"))).collect();
    let since = Instant::now();
    let reads = |from: usize| {
        let mut took = Vec::new();
        for file in files.iter().cycle().skip(from) {
            let before = Instant::now();
            let value = fs::read(file);
            took.push(before.elapsed());
            assert_eq!(value.unwrap_or_else(|error| panic!("{}", why(host, &error))), wanted);
            if since.elapsed() > time {
                return took;
            }
        }
        took
    };
    let mut took = std::thread::scope(|scope| {
        let other = scope.spawn(|| reads(files.len() / 2));
        [reads(0), other.join().unwrap()].concat()
    });
    took.sort();
    took
}

/// What hushfs has on record of reads and fetches that failed.
fn why(host: &Host, error: &std::io::Error) -> String {
    std::thread::sleep(Duration::from_millis(200));
    let records = host.audit();
    let failed = records.iter().filter(|record| record["outcome"] == "failed");
    let failed: Vec<_> = failed.map(ToString::to_string).take(5).collect();
    format!("{error}: {}", failed.join("\n"))
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

/// How often each secret was read at the server, by the server's own log.
fn reads(log: &Path) -> HashMap<String, usize> {
    let mut reads = HashMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        let asked = &record["request"];
        let path = asked["path"].as_str().and_then(|path| path.strip_prefix("secret/data/"));
        if let (Some("request"), Some("read"), Some(path)) =
            (record["type"].as_str(), asked["operation"].as_str(), path)
        {
            *reads.entry(path.to_owned()).or_default() += 1;
        }
    }
    reads
}

#[test]
fn a_thousand_first_readers_make_one_request() {
    const READERS: usize = 1000;
    let (bao, log) = Bao::audited();
    put(&bao, "app", "one");
    let host = mounted(&direct(&bao), &reader(&bao), "", &files(&["app".to_owned()]));
    let (file, start) = (host.file("a/app"), Barrier::new(READERS));
    let read = || {
        start.wait();
        let since = Instant::now();
        assert_eq!(fs::read(&file).unwrap(), b"one");
        since.elapsed()
    };
    let slowest = std::thread::scope(|scope| {
        let all: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        all.into_iter().map(|one| one.join().unwrap()).max().unwrap()
    });
    println!("{READERS} first readers at once: {:?} requests, the slowest waited {slowest:?}", reads(&log));
    assert_eq!(reads(&log), HashMap::from([("app".to_owned(), 1)]));
    assert!(slowest < Duration::from_secs(20), "{slowest:?}");
}

#[test]
fn only_what_is_read_is_fetched() {
    const FRESH: Duration = Duration::from_secs(2);
    let (bao, log) = Bao::audited();
    let names = names(10_000);
    let wanted: Vec<_> = names.iter().step_by(100).cloned().collect();
    put_all(&bao, &wanted, "one");
    let host = mounted(&direct(&bao), &reader(&bao), "fresh_for = \"2s\"", &files(&names));
    for name in &wanted {
        assert_eq!(fs::read(host.file(&format!("a/{name}"))).unwrap(), b"one");
    }
    let once = reads(&log);
    assert!(once.len() == 100, "{once:?}");
    std::thread::sleep(FRESH * 3);
    let after = reads(&log);
    let (least, most) = (after.values().min().unwrap(), after.values().max().unwrap());
    println!(
        "10000 configured, 100 read: {} requests; after 3 times fresh_for {} for the same {}, {least} to {most} each",
        once.values().sum::<usize>(),
        after.values().sum::<usize>(),
        after.len()
    );
    assert!(wanted.iter().all(|name| after.contains_key(name)) && after.len() == 100, "{after:?}");
    assert!(*least >= 2 && *most <= 6, "fetched ahead as often as that is due");
}
