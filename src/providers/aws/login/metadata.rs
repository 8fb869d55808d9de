//! What runs us tells us credentials: the agent of a container (ECS, EKS), or the metadata service of an EC2 instance.
//!
//! Both are beside us and are never asked by a proxy, which would get another's credentials or none. Of the instance only
//! version 2 is asked, which takes a session first.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http_body_util::BodyExt;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::super::fault::{Fault, grouped};
use super::{Found, ProviderError, Tools, files, unreadable};

/// The agent of ECS.
const ECS: &str = "http://169.254.170.2";
/// Whom credentials may be asked from without TLS: this host, and the agents of ECS and EKS.
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// Where the roles of an instance are.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Longest token for an agent.
const TOKEN_LIMIT: usize = 64 << 10;

/// How both answer. Whoever has no such thing says so in `Code`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

/// The credentials of the container that we are in: at `place`, or where the environment says. `None` where it says nothing.
pub(super) async fn container(
    place: Option<&(String, Option<PathBuf>)>,
    tools: &Tools<'_>,
) -> Result<Option<Found>, ProviderError> {
    let set = tools.environment;
    let (url, token_file, token) = match place {
        Some((url, token_file)) => (url.clone(), token_file.clone(), None),
        None => {
            let relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{ECS}{path}"));
            let Some(url) = relative.or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI")) else {
                return Ok(None);
            };
            let token_file = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from);
            (url, token_file, set("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new))
        }
    };
    if !is_near(&url) {
        return Err(ProviderError::Misconfigured(
            "the address for credentials of a container is neither of this host, nor of the agent of ECS or EKS, nor https".into(),
        ));
    }
    let token = match token_file {
        Some(path) => {
            let read = files::read_line(&path, TOKEN_LIMIT).await;
            Some(read.map_err(|error| unreadable("container", &path, &error))?)
        }
        None => token,
    };
    let document = ask_agent(&url, token.as_deref().map(String::as_str), tools).await?;
    let credentials = document.credentials();
    Ok(Some(Found { credentials, whence: "the container".into(), stamps: Vec::new(), roles: Vec::new() }))
}

async fn ask_agent(url: &str, token: Option<&str>, tools: &Tools<'_>) -> Result<Document, ProviderError> {
    let unfit = |what: &str| {
        ProviderError::Misconfigured(format!("the credentials of the container cannot be asked for: {what}"))
    };
    let mut request = HttpRequest::get(url).map_err(|_| unfit("their address is no URL"))?;
    request.headers_mut().insert("accept", "application/json");
    if let Some(token) = token {
        let added = request.headers_mut().try_insert("authorization", token.to_owned());
        added.map_err(|_| unfit("their token is not one"))?;
    }
    let asked = async {
        let answer = tools.http.near.call(request).await.map_err(|error| Fault::of_connector(&error))?;
        let (status, body) = (answer.status().as_u16(), answer.into_body().collect().await);
        let body = body.map_err(|_| Fault::Connection("the answer broke off".into()))?.to_bytes();
        if status != 200 {
            return Err(Fault::answer(status, None, None, None));
        }
        serde_json::from_slice(&body).map_err(|_| Fault::Garbled(status))
    };
    let answered = tokio::time::timeout(tools.settings.bounds.request, asked).await;
    answered.unwrap_or(Err(Fault::TimedOut)).map_err(|fault| {
        grouped(&fault, format!("the agent of the container gives no credentials: {}", fault.seen()))
    })
}

/// The credentials of the instance that we are on. `None` where there is nobody to ask, or the instance has no role.
pub(super) async fn instance(tools: &Tools<'_>) -> Result<Option<Found>, ProviderError> {
    let Some(client) = client(tools).await else { return Ok(None) };
    let role = match client.get(ROLES).await {
        Ok(roles) => roles.as_ref().lines().next().unwrap_or_default().to_owned(),
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => {
            return Ok(None);
        }
        Err(ImdsError::FailedToLoadToken(failure)) if failure.is_dispatch_failure() => return Ok(None),
        Err(error) => return Err(of_instance(&error)),
    };
    let document = client.get(format!("{ROLES}{role}")).await.map_err(|error| of_instance(&error))?;
    let document: Document = serde_json::from_str(document.as_ref()).map_err(|_| {
        ProviderError::Misconfigured(
            "the instance has a role, and gets no credentials for it: its trust policy must allow EC2".into(),
        )
    })?;
    let credentials = document.credentials();
    Ok(Some(Found { credentials, whence: "the instance".into(), stamps: Vec::new(), roles: Vec::new() }))
}

/// The region that the instance is in.
pub(super) async fn region(tools: &Tools<'_>) -> Option<String> {
    let region = client(tools).await?.get("/latest/meta-data/placement/region").await.ok()?;
    Some(region.as_ref().trim().to_owned()).filter(|region| !region.is_empty())
}

async fn client<'a>(tools: &Tools<'a>) -> Option<&'a imds::Client> {
    let set = tools.environment;
    if set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    // Always named: else the client looks into AWS's files by itself.
    let six =
        set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let usual = if six { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
    let named = tools.settings.imds_endpoint.clone();
    let endpoint =
        named.or_else(|| set("AWS_EC2_METADATA_SERVICE_ENDPOINT")).unwrap_or_else(|| usual.to_owned());
    let bounds = tools.settings.bounds;
    let made = tools.instance.get_or_try_init(|| async {
        let config = ProviderConfig::without_region().with_http_client(tools.http.near.clone());
        let builder = imds::Client::builder().configure(&config).endpoint(endpoint)?;
        let builder = builder.max_attempts(1).connect_timeout(bounds.connect).read_timeout(bounds.request);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(builder.operation_timeout(bounds.request).build())
    });
    made.await.ok()
}

fn of_instance(error: &ImdsError) -> ProviderError {
    let seen = match error {
        ImdsError::ErrorResponse(answer) => format!("status {}", answer.response().status().as_u16()),
        ImdsError::FailedToLoadToken(_) => "it gives no session".to_owned(),
        _ => "it does not answer".to_owned(),
    };
    ProviderError::unavailable(format!("the metadata service of the instance gives no credentials: {seen}"))
}

impl Document {
    fn credentials(self) -> Credentials {
        let end = self.expiration.and_then(|end| DateTime::from_str(&end, Format::DateTime).ok());
        let end = end.and_then(|end| SystemTime::try_from(end).ok());
        Credentials::new(self.access_key_id, self.secret_access_key, self.token, end, "metadata")
    }
}

/// Whether credentials may be asked for there: anybody on the way could read what goes without TLS.
fn is_near(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    AGENTS.contains(&host)
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_without_tls_are_asked_for_from_nobody_far() {
        for url in [
            "https://example.com/x",
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "http://[::1]:80/x",
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1",
        ] {
            assert!(is_near(url), "{url}");
        }
        for url in [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "http://127.0.0.1@evil/",
            "ftp://x",
        ] {
            assert!(!is_near(url), "{url}");
        }
    }
}
