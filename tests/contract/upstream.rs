//! What a case has to know of a kind of provider and its server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hushfs::providers::{Fetched, Mint, Provider, ProviderError, SettingsError, kind};

/// Where a provider is to find its server.
pub(crate) struct At {
    /// `http://127.0.0.1:PORT` or `https://localhost:PORT`, without a slash at the end.
    pub(crate) url: String,
    /// The authority that its certificate is to be checked by, as a file in PEM.
    pub(crate) ca: Option<PathBuf>,
}

/// A kind of provider, its server and what is stored there. One server serves all cases of a kind, so each case uses names
/// and credentials of its own.
pub(crate) trait Upstream: Sized {
    /// The kind's name in a configuration.
    const KIND: &'static str;
    /// Whether it keeps any bytes at all; else only text.
    const BINARY: bool;
    /// Whether one version can be asked for by name.
    const VERSIONS: bool;
    /// Whether a secret's name has segments, so that some lie deeper than others.
    const FOLDERS: bool = true;

    /// The server, started by whoever asks first.
    fn start() -> Self;

    /// Where it listens, for those that are reached by HTTP.
    fn address(&self) -> SocketAddr;

    /// Settings (TOML, without `kind`), with credentials that may read everything that [`Upstream::put`] puts. `timeout` is
    /// 2 s and `connect_timeout` 1 s. A credential that is made for this is one that [`Upstream::revoke`] takes back.
    fn settings(&self, at: &At) -> String;

    /// The same with credentials that may also list; `None` where whoever reads may.
    fn settings_to_list(&self, _: &At) -> Option<String> {
        None
    }

    /// The same with credentials that are good but may read nothing; `None` where there is no such thing.
    fn settings_without_rights(&self, at: &At) -> Option<String>;

    /// The same with credentials that the server does not know; `None` where there is no such thing.
    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String>;

    /// Has the server take back the credentials in `settings`; false where it cannot.
    fn revoke(&self, settings: &str) -> bool;

    /// Stores a value under `name` (letters, digits, `-`, with `/` between them), over what was there. Returns the path for a
    /// reference.
    fn put(&self, name: &str, value: &[u8]) -> String;

    /// The path that those are below which are put under `name/…`.
    fn folder(&self, name: &str) -> String {
        name.to_owned()
    }

    /// The path of a secret that is not there, where one could be.
    fn nowhere(&self) -> String;

    /// A version that there is none of.
    fn no_version(&self) -> String;

    /// What [`Upstream::put`] was given, found again in what was fetched.
    fn value(&self, fetched: &Fetched) -> Vec<u8>;

    /// Opens the provider with these settings.
    fn open(settings: &str) -> Result<Box<dyn Provider>, SettingsError> {
        let kind = kind(Self::KIND).unwrap_or_else(|| panic!("no kind {}", Self::KIND));
        let table: toml::Table = settings.parse().unwrap();
        (kind.check)(table.clone(), Path::new("/")).unwrap();
        (kind.open)(table, Path::new("/"))
    }

    /// Directly.
    fn direct(&self) -> At {
        At { url: format!("http://{}", self.address()), ca: None }
    }
}

/// The path as a reference of a provider named `p`.
pub(crate) fn reference(path: &str, version: Option<&str>) -> hushfs::reference::Reference {
    let version = version.map(|version| format!("?version={version}")).unwrap_or_default();
    format!("p:{path}{version}").parse().unwrap()
}

/// Fetches in a runtime of its own.
pub(crate) fn fetch(provider: &dyn Provider, path: &str) -> Result<Fetched, ProviderError> {
    block_on(provider.fetch(&reference(path, None), Mint::Allowed))
}

/// Runs it as the fetcher does.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The bytes that were fetched.
#[expect(clippy::disallowed_methods, reason = "the test compares them with what it stored")]
pub(crate) fn bytes(fetched: &Fetched) -> Vec<u8> {
    fetched.bytes.expose_secret().to_vec()
}
