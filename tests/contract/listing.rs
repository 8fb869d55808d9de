//! The cases of what is below a path, each for any provider.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hushfs::fetcher::{Link, ProviderSettings};
use hushfs::providers::{Provider, ProviderError, Runs, kind};

use crate::network::{CANARY, Network, Weather};
use crate::upstream::{Upstream, block_on, fetch, reference};

/// What a list of a folder needs: 2 s for a request, twice where it is asked once more, and what the machine needs.
const LONGEST: Duration = Duration::from_secs(6);

/// Lists in a runtime of its own.
pub(crate) fn list(provider: &dyn Provider, under: &str, depth: u32) -> Result<Vec<String>, ProviderError> {
    block_on(provider.list(&reference(under, None), depth))
}

fn opened_to_list<U: Upstream>(server: &U) -> Box<dyn Provider> {
    U::open(&settings_to_list(server)).unwrap()
}

fn settings_to_list<U: Upstream>(server: &U) -> String {
    let at = server.direct();
    server.settings_to_list(&at).unwrap_or_else(|| server.settings(&at))
}

/// Puts some secrets into a folder. Gives its path, and their names by how deep they lie.
fn folder<U: Upstream>(server: &U, name: &str) -> (String, [Vec<&'static str>; 3]) {
    let put = |names: &[&str]| {
        for relative in names {
            server.put(&format!("{name}/{relative}"), CANARY.as_bytes());
        }
    };
    put(&["b", "a"]);
    if !U::FOLDERS {
        return (server.folder(name), [vec!["a", "b"], vec!["a", "b"], vec!["a", "b"]]);
    }
    put(&["b/d", "b/c/e", "z/y"]);
    // Not below it, though its name begins like it.
    server.put(&format!("{name}-2/x"), b"a value");
    let all = [vec!["a", "b"], vec!["a", "b", "b/d", "z/y"], vec!["a", "b", "b/c/e", "b/d", "z/y"]];
    (server.folder(name), all)
}

pub(crate) fn a_list<U: Upstream>() {
    let server = U::start();
    let (under, wanted) = folder(&server, "listed");
    let provider = opened_to_list(&server);
    for (depth, wanted) in (1..).zip(wanted) {
        let names = list(&*provider, &under, depth).unwrap_or_else(|error| panic!("{depth}: {error}"));
        assert_eq!(names, wanted, "of depth {depth}");
        for name in names {
            let path = format!("{under}/{name}");
            let fetched = fetch(&*provider, &path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(server.value(&fetched) == CANARY.as_bytes(), "{path}: it is what was put there");
        }
    }
    assert_eq!(list(&*provider, &under, u32::MAX).unwrap().len(), if U::FOLDERS { 5 } else { 2 });
    if U::FOLDERS {
        let names = list(&*provider, &format!("{under}/b"), 1).unwrap();
        assert_eq!(names, ["d"]);
        assert_eq!(list(&*provider, &format!("{under}/z"), 9).unwrap(), ["y"]);
    }
}

pub(crate) fn a_list_of_nothing<U: Upstream>() {
    let server = U::start();
    let (under, _) = folder(&server, "around-nothing");
    let provider = opened_to_list(&server);
    let nowhere = server.folder("nothing-was-put-here");
    let error = list(&*provider, &nowhere, 9).expect_err("an empty list looks like one that is right");
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    assert_eq!(error.to_string().matches(&nowhere).count(), 1, "{error}");
    let error = list(&*provider, &under, 0).unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
    // What is a secret is no folder.
    let error = list(&*provider, &format!("{under}/a"), 1).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)) || !U::FOLDERS, "{error}");
}

pub(crate) fn a_list_without_rights<U: Upstream>() {
    let server = U::start();
    let (under, _) = folder(&server, "unlisted");
    let at = server.direct();
    // Who may read all of it may still not list it.
    let readers = server.settings_to_list(&at).map(|_| server.settings(&at));
    let others = [server.settings_without_rights(&at), server.settings_with_wrong_credentials(&at)];
    for settings in readers.into_iter().chain(others.into_iter().flatten()) {
        let error = list(&*U::open(&settings).unwrap(), &under, 2).unwrap_err();
        let refused = matches!(error, ProviderError::Refused(_));
        let not_said_to = U::KIND == "command" && error.to_string().contains("lists = true");
        assert!(refused || not_said_to, "{error}");
    }
}

/// As the daemon does it: the names come from a process of its own.
pub(crate) fn a_list_from_the_fetcher<U: Upstream>() {
    let server = U::start();
    let (under, [_, wanted, _]) = folder(&server, "through");
    let start = |runs| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command.arg("fetcher").args((runs == Runs::WithPrograms).then_some("--programs"));
        command
    };
    let of = |name: &str, settings: &str| ProviderSettings {
        name: name.to_owned(),
        kind: kind(U::KIND).unwrap().name,
        table: settings.parse().unwrap(),
        base: Path::new("/").to_owned(),
    };
    let settings = settings_to_list(&server);
    block_on(async {
        let link = Link::start(start, &[of("p", &settings)]).unwrap();
        assert_eq!(link.list(&reference(&under, None), 2).await.unwrap(), wanted);
        let nowhere = reference(&server.folder("nothing-was-put-there"), None);
        let error = link.list(&nowhere, 2).await.unwrap_err();
        assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
        let stranger = link.list(&"q:app".parse().unwrap(), 1).await.unwrap_err();
        assert!(matches!(stranger, ProviderError::Misconfigured(_)), "{stranger}");
        link.close().await;
    });
}

pub(crate) fn a_list_in_bad_weather<U: Upstream>() {
    let server = U::start();
    let (under, [wanted, ..]) = folder(&server, "weathered");
    let network = Network::plain(server.address(), Weather::Fine);
    let at = network.at();
    let settings = server.settings_to_list(&at).unwrap_or_else(|| server.settings(&at));
    let provider = U::open(&settings).unwrap();
    let body = format!("{{\"errors\": [\"{CANARY}\"]}}");
    let error = |weather| {
        network.turns(weather);
        let since = Instant::now();
        let error = list(&*provider, &under, 1).expect_err("it was listed");
        assert!(since.elapsed() < LONGEST, "after {:?}: {error}", since.elapsed());
        assert!(!format!("{error} {error:?}").contains(CANARY), "a byte of the answer is in the error");
        error
    };
    assert_eq!(list(&*provider, &under, 1).unwrap(), wanted);
    for weather in [Weather::Closes, Weather::Hangs, Weather::Answers(503, "", body.clone())] {
        let told = error(weather.clone());
        assert!(matches!(told, ProviderError::Unavailable { .. }), "{weather:?}: {told}");
    }
    let told = error(Weather::Answers(429, "Retry-After: 7\r\n", body));
    let ProviderError::Unavailable { retry_after, .. } = &told else { panic!("{told}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(7)), "{told}");
    for body in [CANARY.to_owned(), format!("{{\"data\": \"{CANARY}\"}}"), String::new()] {
        let told = error(Weather::Answers(200, "", body.clone()));
        assert!(matches!(told, ProviderError::Malformed(_)), "{body}: {told}");
    }
    network.turns(Weather::Fine);
    assert_eq!(list(&*provider, &under, 1).unwrap(), wanted, "when it is back");
}
