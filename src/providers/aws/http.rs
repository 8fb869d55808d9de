//! How AWS is reached: TLS, proxies, the limit of an answer.

use std::path::{Path, PathBuf};

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::settings::{ANSWER_LIMIT, Bounds};
use super::{ProviderError, files};

/// Longest bundle of authorities: that of a distribution has a quarter of it.
const BUNDLE_LIMIT: usize = 1 << 20;

/// The ways out, with their connections.
#[derive(Debug)]
pub(super) struct Http {
    /// To AWS: by the proxy that the environment names, if it names one.
    pub(super) aws: Client,
    /// To what is beside us, and answers nobody who comes from a proxy: the metadata of an instance or a container.
    pub(super) near: Client,
}

/// What the SDK sends its requests with.
#[derive(Debug, Clone)]
pub(super) struct Client(SharedHttpConnector);

impl Http {
    /// With the authorities in `ca_file`, else with the system's.
    pub(super) async fn new(bounds: Bounds, ca_file: Option<&Path>) -> Result<Self, ProviderError> {
        let trust = match ca_file {
            Some(path) => authorities(path).await?,
            None => TrustStore::default(),
        };
        let context = TlsContext::builder().with_trust_store(trust).build();
        let context = context.map_err(|_| ProviderError::Misconfigured("TLS cannot be set up".into()))?;
        let settings = HttpConnectorSettings::builder().connect_timeout(bounds.connect).build();
        // Reads the system's authorities: not in a thread that others wait for.
        let built = tokio::task::spawn_blocking(move || {
            let client = |proxy| {
                let builder: ConnectorBuilder = Connector::builder();
                let builder = builder.connector_settings(settings.clone()).proxy_config(proxy);
                let builder = builder.tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
                let inner = builder.tls_context(context.clone()).build();
                Client(SharedHttpConnector::new(Limited(inner)))
            };
            Self { aws: client(ProxyConfig::from_env()), near: client(ProxyConfig::disabled()) }
        });
        built.await.map_err(|_| ProviderError::unavailable("the client for AWS could not be built"))
    }

    /// What a client of a service is made of. It asks once: who is asked again, and where, is the session's to say.
    pub(super) fn config(
        &self,
        bounds: Bounds,
        region: &str,
        endpoint: Option<&str>,
        credentials: Option<&Credentials>,
    ) -> SdkConfig {
        let waits = TimeoutConfig::builder().connect_timeout(bounds.connect);
        let waits = waits.operation_attempt_timeout(bounds.request).operation_timeout(bounds.request);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.aws.clone())
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(waits.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .sleep_impl(TokioSleep::new());
        let mut config = config.build().into_builder();
        config.set_endpoint_url(endpoint.map(str::to_owned));
        config.set_credentials_provider(credentials.cloned().map(SharedCredentialsProvider::new));
        config.build()
    }
}

/// The authorities in a file. The client takes them unseen and panics at what is none, so each is looked at here.
async fn authorities(path: &Path) -> Result<TrustStore, ProviderError> {
    let wrong = |what: &str| ProviderError::Misconfigured(format!("`ca_file` {}: {what}", path.display()));
    let pem = files::read(path, BUNDLE_LIMIT).await.map_err(|error| unreadable("ca_file", path, &error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| wrong("it is not PEM"))?;
        roots.add(certificate).map_err(|_| wrong("a certificate in it cannot be used"))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it"));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem.to_vec()))
}

/// A file of the settings that cannot be read.
pub(super) fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> ProviderError {
    let path: PathBuf = path.to_owned();
    ProviderError::Misconfigured(format!("`{key}` {} cannot be read: {error}", path.display()))
}

/// Ends an answer that is too long while it is being read.
#[derive(Debug)]
struct Limited(Connector);

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let limited = |body| SdkBody::from_body_1_x(http_body_util::Limited::new(body, ANSWER_LIMIT));
            Ok(answer.await?.map(limited))
        })
    }
}

impl Client {
    /// One request that is not the SDK's.
    pub(super) fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.call(request)
    }
}

impl HttpClient for Client {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_authorities_that_has_none_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, says) in [
            ("", "there is no certificate in it"),
            ("words", "there is no certificate in it"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is not PEM"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "a certificate in it cannot be used",
            ),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = authorities(file.path()).await.err().unwrap();
            assert!(
                matches!(&error, ProviderError::Misconfigured(told) if told.contains(says)),
                "{text}: {error}"
            );
        }
        let error = authorities(Path::new("/nowhere/ca.pem")).await.err().unwrap();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
