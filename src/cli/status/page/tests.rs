use super::*;
use crate::control::{MemoryStatus, MountStatus};
use crate::resolve::{ProviderStatus, SecretStatus};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn provider(name: &str, down: Option<&str>) -> ProviderRow {
    let status = ProviderStatus {
        name: name.into(),
        down: down.map(str::to_owned),
        asked_again: down.map(|_| at(2)),
        asked: 1234,
        failed: 17,
        took_micros: Some(12_000),
        answered: Some(at(-5)),
    };
    ProviderRow { status, kind: "command".into(), login_until: None }
}

fn secret(reference: &str, kept: Kept, error: Option<&str>) -> SecretRow {
    let status = SecretStatus {
        reference: reference.into(),
        made_for: None,
        kept,
        version: Some("8d9f0c1e-3b2a-4c5d-9e8f-7a6b5c4d3e2f".into()),
        created: Some(at(-9000)),
        fetched: Some(at(-200)),
        fresh_until: Some(at(100)),
        usable_until: Some(at(3700)),
        leased: false,
        next_refresh: Some(at(40)),
        error: error.map(str::to_owned),
        retried: error.map(|_| at(9)),
        reads: 12_345,
        hits: 12_300,
    };
    SecretRow { status, files: vec!["app/token".into()] }
}

fn report() -> Report {
    let long = "prod-eu-west-1:teams/payments/services/settlement/database/primary";
    Report {
        version: "0.1.0".into(),
        pid: 4711,
        time: at(0),
        mount: MountStatus { point: "/run/hushfs".into(), since: at(-100_000), open_handles: 3 },
        memory: MemoryStatus {
            cache_used: 20_480,
            cache_max: 16 << 20,
            locked: true,
            unlocked_because: None,
        },
        audit_lost: 0,
        providers: vec![provider("local", None), provider("prod-eu-west-1", Some("connection refused"))],
        configured: 5,
        secrets: vec![
            secret("local:app", Kept::Fresh, None),
            secret(long, Kept::Stale, Some("connection refused")),
            secret(&format!("{long}2"), Kept::Failed, Some("there is\x1b[2J none")),
        ],
    }
}

fn drawn(width: Option<usize>) -> String {
    Page { width, fancy: false }.whole(&report())
}

#[test]
fn a_pipe_gets_everything_and_no_colour() {
    let page = drawn(None);
    for said in [
        "hushfs 0.1.0, process 4711",
        "mounted 27h ago, 3 open files",
        "cache 20 KiB of 16 MiB, locked",
        "left alone for 2s",
        "prod-eu-west-1:teams/payments/services/settlement/database/primary2",
        "fresh for 100s",
        "stale, for 61min",
        "failed, for 9s",
        "8d9f0c1e-3b2a-4c5d-9e8f-7a6b5c4d3e2f",
        "12345",
        "connection refused",
    ] {
        assert!(page.contains(said), "{said} is not in\n{page}");
    }
    assert!(!page.contains('\x1b'), "{page}");
}

#[test]
fn on_narrow_terminals_no_row_is_torn() {
    for width in [80, 40] {
        let page = drawn(Some(width));
        let tables = page.split("\n\n").skip(1).take(2).collect::<Vec<_>>().join("\n");
        for line in tables.lines() {
            assert!(line.chars().count() <= width, "{width}: `{line}` in\n{page}");
        }
        // A header and a row for each, no more: nothing is wrapped.
        assert_eq!(tables.lines().count(), 3 + 4, "{width}:\n{page}");
        assert!(tables.contains("…"), "{width}: long references are shortened in the middle\n{page}");
        assert!(
            tables.lines().filter(|line| line.contains("ary ") || line.contains("ary2 ")).count() == 2,
            "{page}"
        );
        for said in ["fresh for 100s", "stale, for 61min", "failed, for 9s", "left alone for 2s", "local:app"]
        {
            assert!(page.contains(said), "{width}: {said} is not in\n{page}");
        }
    }
    assert!(drawn(Some(80)).contains("VERSION") && !drawn(Some(40)).contains("HITS"));
}

#[test]
fn in_colour_the_same_is_said() {
    let plain = drawn(Some(80));
    let fancy = Page { width: Some(80), fancy: true }.whole(&report());
    assert!(fancy.contains("\x1b["), "{fancy}");
    let mut bare = String::new();
    let mut rest = fancy.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        bare.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    let trimmed = |page: &str| page.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&bare), trimmed(&plain));
}

#[test]
fn a_check_says_only_what_is_not_well() {
    let page = Page { width: None, fancy: false };
    assert_eq!(
        page.troubles_of(&report()),
        "prod-eu-west-1: left alone for 2s: connection refused\n\
         prod-eu-west-1:teams/payments/services/settlement/database/primary: stale, for 61min: connection refused\n\
         prod-eu-west-1:teams/payments/services/settlement/database/primary2: failed, for 9s: there is\\u{1b}[2J none"
    );
    let well = Report { providers: Vec::new(), secrets: Vec::new(), ..report() };
    assert_eq!(page.troubles_of(&well), "");
}
