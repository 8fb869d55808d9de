//! A server that has too much to do, and one that answers with errors.

use std::fs;
use std::time::{Duration, Instant};

use super::super::server::Bao;
use super::{mounted, names, p99, put_all, read_for, reader};
use crate::mounted::{asked, until_it_reads};
use crate::network::{Network, Weather};

const STORM: Duration = Duration::from_secs(5);

/// Readers of a hundred secrets get through `weather`, in which there are at most so many attempts.
fn readers_get_through(what: &str, weather: Weather, most: u64) {
    let (bao, _) = Bao::own();
    let names = names(100);
    put_all(&bao, &names, "one");
    let network = Network::plain(bao.address, Weather::Fine);
    let host = mounted(&network.at(), &reader(&bao), "fresh_for = \"1s\"", &super::files(&names));
    for name in &names {
        assert_eq!(fs::read(host.file(&format!("a/{name}"))).unwrap(), b"one");
    }
    let (before, requests) = (asked(&host), network.requests());
    network.turns(weather);
    let since = Instant::now();
    let took = read_for(&host, &names, STORM, b"one");
    let (attempts, requests) = (asked(&host) - before, network.requests() - requests);
    println!(
        "{what} for {:?}: {} reads of 100 secrets, 99 % within {:?}; {attempts} attempts, {requests} requests",
        since.elapsed(),
        took.len(),
        p99(&took)
    );
    assert!(attempts <= most, "{attempts} of {most}");
    put_all(&bao, &names, "two");
    network.turns(Weather::Fine);
    let back = until_it_reads(&host, &host.file("a/n7"), b"two");
    println!("{what}: over, and the new value is read after {back:?}");
    assert!(back <= Duration::from_secs(6), "{back:?}");
    host.eventually("all are read anew", || {
        names.iter().all(|name| fs::read(host.file(&format!("a/{name}"))).unwrap() == b"two")
    });
}

#[test]
fn readers_get_through_a_server_that_says_when_to_come_again() {
    let weather = Weather::Answers(429, "Retry-After: 2\r\n", String::new());
    // Those under way, and then one each two seconds.
    readers_get_through("429 with Retry-After of 2 s", weather, 16 + 4);
}

#[test]
fn readers_get_through_a_server_that_answers_with_errors() {
    // Those under way, and then one each quarter of a second at most.
    readers_get_through("500", Weather::Answers(500, "", String::new()), 16 + 4 * 6);
}
