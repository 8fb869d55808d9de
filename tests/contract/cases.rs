//! The cases, each for any provider.

use std::time::{Duration, Instant, SystemTime};

use hushfs::providers::{Fetched, Mint, Provider, ProviderError};

pub(crate) use crate::listing::{
    a_list, a_list_from_the_fetcher, a_list_in_bad_weather, a_list_of_nothing, a_list_without_rights,
};
use crate::network::{CANARY, Network, Weather};
use crate::tls::Certificate;
use crate::upstream::{At, Upstream, block_on, fetch, reference};

/// With the settings of [`Upstream::settings`] no fetch takes longer: 2 s for a request, and what the machine needs.
const LONGEST: Duration = Duration::from_secs(4);

fn opened<U: Upstream>(settings: &str) -> Box<dyn Provider> {
    U::open(settings).unwrap_or_else(|error| panic!("{error}: {:?}", error.hint))
}

fn expect_value<U: Upstream>(server: &U, provider: &dyn Provider, path: &str, value: &[u8]) -> Fetched {
    let fetched = fetch(provider, path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(server.value(&fetched) == value, "{path}: not what was stored");
    fetched
}

/// The error, in time, and without a byte of what was answered.
fn expect_error(provider: &dyn Provider, path: &str) -> ProviderError {
    let since = Instant::now();
    let error = fetch(provider, path).err().unwrap_or_else(|| panic!("{path}: it was fetched"));
    assert!(since.elapsed() < LONGEST, "after {:?}: {error}", since.elapsed());
    let told = format!("{error} {error:?}");
    assert!(!told.contains(CANARY), "a byte of the answer is in the error");
    error
}

pub(crate) fn found<U: Upstream>() {
    let server = U::start();
    let path = server.put("found", b"a value");
    let provider = opened::<U>(&server.settings(&server.direct()));
    let fetched = expect_value(&server, &*provider, &path, b"a value");
    assert!(!fetched.version.is_empty());
    let age = SystemTime::now().duration_since(fetched.created).unwrap_or_default();
    assert!(age < Duration::from_secs(120), "it was made just now, not {age:?} ago");
}

pub(crate) fn missing<U: Upstream>() {
    let server = U::start();
    let provider = opened::<U>(&server.settings(&server.direct()));
    let error = expect_error(&*provider, &server.nowhere());
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
}

pub(crate) fn a_missing_version<U: Upstream>() {
    let server = U::start();
    let path = server.put("no-version", b"a value");
    let provider = opened::<U>(&server.settings(&server.direct()));
    let asked = reference(&path, Some(&server.no_version()));
    let error = block_on(provider.fetch(&asked, Mint::Allowed)).err().expect("it was fetched");
    let wanted = if U::VERSIONS { "not found" } else { "misconfigured" };
    assert!(error.to_string().starts_with(wanted), "{error}");
}

pub(crate) fn refused<U: Upstream>() {
    let server = U::start();
    let path = server.put("refused", b"a value");
    let Some(settings) = server.settings_without_rights(&server.direct()) else { return };
    let error = expect_error(&*opened::<U>(&settings), &path);
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
}

pub(crate) fn wrong_credentials<U: Upstream>() {
    let server = U::start();
    let path = server.put("wrong-credentials", b"a value");
    let Some(settings) = server.settings_with_wrong_credentials(&server.direct()) else { return };
    let provider = opened::<U>(&settings);
    for error in [expect_error(&*provider, &path), block_on(provider.log_in()).unwrap_err()] {
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
}

pub(crate) fn revoked_credentials<U: Upstream>() {
    let server = U::start();
    let path = server.put("revoked", b"a value");
    let settings = server.settings(&server.direct());
    let provider = opened::<U>(&settings);
    expect_value(&server, &*provider, &path, b"a value");
    if server.revoke(&settings) {
        let error = expect_error(&*provider, &path);
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
}

pub(crate) fn rotation<U: Upstream>() {
    let server = U::start();
    let provider = opened::<U>(&server.settings(&server.direct()));
    let path = server.put("rotation", b"the first");
    let first = expect_value(&server, &*provider, &path, b"the first");
    assert_eq!(server.put("rotation", b"the second"), path);
    let second = expect_value(&server, &*provider, &path, b"the second");
    assert_ne!(first.version, second.version);
    let again = expect_value(&server, &*provider, &path, b"the second");
    assert_eq!(again.version, second.version, "nothing has changed");
}

pub(crate) fn a_version_that_is_pinned<U: Upstream>() {
    if !U::VERSIONS {
        return;
    }
    let server = U::start();
    let provider = opened::<U>(&server.settings(&server.direct()));
    let path = server.put("pinned", b"the first");
    let first = expect_value(&server, &*provider, &path, b"the first");
    server.put("pinned", b"the second");
    let again = block_on(provider.fetch(&reference(&path, Some(&first.version)), Mint::Allowed)).unwrap();
    assert!(server.value(&again) == b"the first");
    assert_eq!(again.version, first.version);
}

pub(crate) fn unicode<U: Upstream>() {
    let server = U::start();
    let value = "snow \u{2603}, \u{1f511}, \"quotes\", \\ and\nlines\t";
    let path = server.put("unicode", value.as_bytes());
    let provider = opened::<U>(&server.settings(&server.direct()));
    expect_value(&server, &*provider, &path, value.as_bytes());
}

pub(crate) fn binary<U: Upstream>() {
    if !U::BINARY {
        return;
    }
    let server = U::start();
    let value: Vec<u8> = (0..=255).collect();
    let path = server.put("binary", &value);
    let provider = opened::<U>(&server.settings(&server.direct()));
    expect_value(&server, &*provider, &path, &value);
}

pub(crate) fn concurrent_fetches<U: Upstream>() {
    let server = U::start();
    let names = ["at-once-1", "at-once-2", "at-once-3", "at-once-4"];
    let paths = names.map(|name| server.put(name, name.as_bytes()));
    let provider = opened::<U>(&server.settings(&server.direct()));
    let provider: std::sync::Arc<dyn Provider> = provider.into();
    let all: Vec<_> = block_on(async {
        let tasks = (0..32).map(|n| {
            let (provider, asked) = (std::sync::Arc::clone(&provider), reference(&paths[n % 4], None));
            tokio::spawn(async move { provider.fetch(&asked, Mint::Allowed).await })
        });
        let mut all = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            all.push(task.await.unwrap());
        }
        all
    });
    for (n, fetched) in all.into_iter().enumerate() {
        let fetched = fetched.unwrap_or_else(|error| panic!("fetch {n}: {error}"));
        assert!(server.value(&fetched) == names[n % 4].as_bytes(), "each gets its own");
    }
}

pub(crate) fn logging_in<U: Upstream>() {
    let server = U::start();
    let provider = opened::<U>(&server.settings(&server.direct()));
    block_on(provider.log_in()).unwrap();
}

/// Errors name what the operator knows them by: the path asked for.
pub(crate) fn nothing_is_said_twice<U: Upstream>() {
    let server = U::start();
    let provider = opened::<U>(&server.settings(&server.direct()));
    let nowhere = server.nowhere();
    let told = expect_error(&*provider, &nowhere).to_string();
    let name = nowhere.split('#').next().unwrap();
    assert_eq!(told.matches(name).count(), 1, "{told}");
    assert_eq!(told.matches("not found").count(), 1, "{told}");
}

/// What a provider makes of a server in such weather.
fn in_weather<U: Upstream>(weather: Weather) -> (ProviderError, usize) {
    let server = U::start();
    let path = server.put("weather", b"a value");
    let network = Network::plain(server.address(), weather);
    let provider = opened::<U>(&server.settings(&network.at()));
    (expect_error(&*provider, &path), network.requests())
}

fn is_unavailable(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Unavailable { .. })
}

pub(crate) fn a_server_that_is_down<U: Upstream>() {
    let server = U::start();
    let path = server.put("down", b"a value");
    let nobody = At { url: format!("http://{}", crate::process::free_port()), ca: None };
    let error = expect_error(&*opened::<U>(&server.settings(&nobody)), &path);
    assert!(is_unavailable(&error), "{error}");
    let (error, _) = in_weather::<U>(Weather::Closes);
    assert!(is_unavailable(&error), "{error}");
}

pub(crate) fn a_server_that_hangs<U: Upstream>() {
    let (error, _) = in_weather::<U>(Weather::Hangs);
    assert!(is_unavailable(&error), "{error}");
}

pub(crate) fn a_slow_trickle<U: Upstream>() {
    let (error, _) = in_weather::<U>(Weather::Trickles);
    assert!(is_unavailable(&error), "{error}");
}

pub(crate) fn too_many_requests<U: Upstream>() {
    let body = format!("{{\"errors\": [\"{CANARY}\"]}}");
    let (error, asked) = in_weather::<U>(Weather::Answers(429, "Retry-After: 7\r\n", body));
    let ProviderError::Unavailable { retry_after, .. } = &error else { panic!("{error}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(7)), "{error}");
    assert_eq!(asked, 1, "who says when to come again is not asked before");
}

pub(crate) fn errors_of_the_server<U: Upstream>() {
    for status in [500, 502, 503, 504] {
        let (error, asked) = in_weather::<U>(Weather::Answers(status, "", format!("<h1>{CANARY}</h1>")));
        assert!(is_unavailable(&error), "{status}: {error}");
        assert!(asked <= 3, "{status}: asked {asked} times for one fetch");
    }
}

pub(crate) fn garbage<U: Upstream>() {
    for body in
        [CANARY.to_owned(), format!("{{\"data\": \"{CANARY}\"}}"), format!("[\"{CANARY}\"]"), String::new()]
    {
        let (error, _) = in_weather::<U>(Weather::Answers(200, "", body.clone()));
        assert!(matches!(error, ProviderError::Malformed(_)), "{body}: {error}");
    }
}

pub(crate) fn a_truncated_body<U: Upstream>() {
    let (error, _) = in_weather::<U>(Weather::Truncated);
    assert!(is_unavailable(&error) || matches!(error, ProviderError::Malformed(_)), "{error}");
}

pub(crate) fn a_huge_body<U: Upstream>() {
    let (error, _) = in_weather::<U>(Weather::Endless);
    assert!(matches!(error, ProviderError::Malformed(_)), "{error}");
    assert!(error.to_string().contains("longer than"), "it is the length that is refused: {error}");
}

/// Credentials do not follow a redirect to somebody else.
pub(crate) fn a_redirect_elsewhere<U: Upstream>() {
    let other = Network::of_its_own(Weather::Answers(200, "", "{}".to_owned()));
    let to: &'static str = format!("Location: {}/elsewhere\r\n", other.at().url).leak();
    let (error, _) = in_weather::<U>(Weather::Answers(307, to, String::new()));
    assert!(!matches!(error, ProviderError::NotFound(_)), "{error}");
    assert_eq!(other.requests(), 0);
}

fn with_certificate<U: Upstream>(certificate: Certificate) -> Result<(), ProviderError> {
    let server = U::start();
    let path = server.put("certificate", b"a value");
    let network = Network::secure(server.address(), certificate);
    let provider = opened::<U>(&server.settings(&network.at()));
    fetch(&*provider, &path).map(|fetched| assert!(server.value(&fetched) == b"a value"))
}

pub(crate) fn a_certificate_of_our_own_authority<U: Upstream>() {
    with_certificate::<U>(Certificate::Good).unwrap();
}

fn is_about_the_certificate<U: Upstream>(certificate: Certificate) {
    let error = with_certificate::<U>(certificate).expect_err("it was trusted");
    assert!(is_unavailable(&error) || matches!(error, ProviderError::Misconfigured(_)), "{error}");
    assert!(error.to_string().contains("certificate"), "it says what is wrong: {error}");
}

pub(crate) fn a_certificate_of_somebody_else<U: Upstream>() {
    is_about_the_certificate::<U>(Certificate::OfSomebodyElse);
}

pub(crate) fn a_wrong_host_name<U: Upstream>() {
    is_about_the_certificate::<U>(Certificate::OfAnotherName);
}

pub(crate) fn an_expired_certificate<U: Upstream>() {
    is_about_the_certificate::<U>(Certificate::Expired);
}

pub(crate) fn a_server_that_comes_back<U: Upstream>() {
    let server = U::start();
    let path = server.put("back", b"a value");
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened::<U>(&server.settings(&network.at()));
    expect_value(&server, &*provider, &path, b"a value");
    network.turns(Weather::Answers(503, "", String::new()));
    assert!(is_unavailable(&expect_error(&*provider, &path)));
    network.turns(Weather::Fine);
    expect_value(&server, &*provider, &path, b"a value");
}

/// As the daemon does it: in a process of its own behind its sandbox, with files that the front opens. The same value comes,
/// and `check --online` finds nothing amiss.
fn by_the_binary<U: Upstream>(server: &U, at: &At, path: &str) {
    let settings = server.settings(at);
    let fetched = fetch(&*opened::<U>(&settings), path).unwrap_or_else(|error| panic!("{error}"));
    let dir = tempfile::tempdir().unwrap();
    let (config, here) = (dir.path().join("hushfs.toml"), dir.path().display());
    let text = format!(
        "mount = '{here}/mount'\naudit = {{ to = '{here}/audit.log' }}\n[scope.app]\nallow = {{ uid = 0 }}\nfile.value = 'p:{path}'\n\
         [provider.p]\nkind = '{}'\n{settings}\n",
        U::KIND
    );
    crate::process::write_private(&config, text);
    let hushfs = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hushfs"));
        let output = command.args(arguments).arg("--config").arg(&config).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stdout));
        output.stdout
    };
    assert!(hushfs(&["get", &format!("p:{path}")]) == crate::upstream::bytes(&fetched));
    hushfs(&["check", "--online"]);
}

pub(crate) fn in_the_fetcher<U: Upstream>() {
    let server = U::start();
    let path = server.put("in-the-fetcher", b"a value");
    by_the_binary(&server, &server.direct(), &path);
}

pub(crate) fn in_the_fetcher_with_our_own_authority<U: Upstream>() {
    let server = U::start();
    let path = server.put("in-the-fetcher-by-tls", b"a value");
    let network = Network::secure(server.address(), Certificate::Good);
    by_the_binary(&server, &network.at(), &path);
}
