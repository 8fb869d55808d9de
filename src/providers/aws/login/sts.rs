//! Roles, from the Security Token Service.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::types::Credentials as Issued;

use super::super::fault::{Fault, Meaning, grouped};
use super::super::settings::Role;
use super::{ProviderError, Signed, Tools};

/// Assumes `role` with the credentials of `with`.
pub(super) async fn assume(
    role: &Role,
    with: &Signed,
    tools: &Tools<'_>,
    regions: &[String],
) -> Result<Credentials, ProviderError> {
    let issued = in_turn(Some(&with.credentials), tools, regions, |client| async move {
        let asked = client
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(&tools.settings.session.name)
            .set_duration_seconds(seconds(tools))
            .set_external_id(role.external_id.clone());
        asked.send().await.map(|answer| answer.credentials).map_err(|error| Fault::of(&error))
    });
    issued.await.map_err(|fault| {
        let (arn, seen) = (&role.arn, fault.seen());
        let external = if role.external_id.is_some() { " with this external id" } else { ", and may ask for an external id" };
        grouped(&fault, match fault.meaning() {
            Meaning::Forbidden => format!(
                "the role {arn} cannot be assumed with {} ({seen}): that must be allowed `sts:AssumeRole`, and the role's trust policy must allow it{external}",
                with.whence
            ),
            _ => told(arn, &with.whence, &fault),
        })
    })
}

/// Exchanges a token for credentials of `role`.
pub(super) async fn with_token(
    role: &str,
    token: &str,
    whence: &str,
    tools: &Tools<'_>,
    regions: &[String],
) -> Result<Credentials, ProviderError> {
    let issued = in_turn(None, tools, regions, |client| async move {
        let asked = client
            .assume_role_with_web_identity()
            .role_arn(role)
            .role_session_name(&tools.settings.session.name)
            .set_duration_seconds(seconds(tools))
            .web_identity_token(token);
        asked.send().await.map(|answer| answer.credentials).map_err(|error| Fault::of(&error))
    });
    issued.await.map_err(|fault| {
        let seen = fault.seen();
        grouped(&fault, match fault.meaning() {
            Meaning::Forbidden | Meaning::Credentials => format!(
                "AWS gives no credentials for {whence} ({seen}): the token must not have ended, and the role's trust policy must allow its issuer, audience and subject"
            ),
            _ => told(role, whence, &fault),
        })
    })
}

fn told(role: &str, whence: &str, fault: &Fault) -> String {
    let seen = fault.seen();
    match fault.meaning() {
        Meaning::Credentials => format!("AWS does not accept the credentials of {whence} ({seen})"),
        Meaning::Clock => format!("AWS says that the time is wrong ({seen}): set the clock of this host"),
        _ => format!("the token service gives no credentials for the role {role}: {seen}"),
    }
}

fn seconds(tools: &Tools<'_>) -> Option<i32> {
    tools.settings.session.lasts.and_then(|lasts| i32::try_from(lasts.as_secs()).ok())
}

/// Asks in one region after the other, until one answers.
async fn in_turn<F: Future<Output = Result<Option<Issued>, Fault>>>(
    credentials: Option<&Credentials>,
    tools: &Tools<'_>,
    regions: &[String],
    ask: impl Fn(Client) -> F,
) -> Result<Credentials, Fault> {
    let mut last = Fault::NotMade("there is no region");
    for region in regions {
        let endpoint = tools.settings.sts_endpoint.as_deref();
        let config = tools.http.config(tools.settings.bounds, region, endpoint, credentials);
        match ask(Client::new(&config)).await {
            Ok(Some(issued)) => return Ok(taken(issued)),
            Ok(None) => return Err(Fault::Garbled(200)),
            Err(fault) if fault.is_theirs() => last = fault,
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

fn taken(issued: Issued) -> Credentials {
    let end = SystemTime::try_from(issued.expiration).ok();
    Credentials::new(issued.access_key_id, issued.secret_access_key, Some(issued.session_token), end, "sts")
}
