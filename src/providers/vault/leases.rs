//! What was lent, afterwards: renewed, ended. And what an engine would lend if it were asked.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::answers::{other, parse, seconds};
use super::cluster::Cluster;
use super::credential::json;
use super::exchange::{Answer, Request};
use super::session::Session;
use super::{Lease, ProviderError};

/// Before the accessor of a token that was made. No lease of the server's is called so: their names have a slash.
const TOKEN: &str = "accessor:";

/// What stands first below a mount where an engine keeps what it does not make for whoever asks: passwords that it rotates,
/// the certificates of an authority and those that it has issued.
const KEPT: [&str; 7] = ["static-creds", "static-cred", "cert", "ca", "ca_chain", "issuer", "issuers"];

/// The handle of a token by its accessor.
pub(super) fn of_token(accessor: &str) -> String {
    format!("{TOKEN}{accessor}")
}

/// Whether what an engine has at this path below its mount was there before anybody asks.
pub(super) fn is_kept(rest: &str) -> bool {
    rest.split('/').next().is_some_and(|first| KEPT.contains(&first))
}

/// Renews a lease of the server's, by as much as it lasted at first. The server grants less near its longest life.
pub(super) async fn renew(
    cluster: &Cluster,
    session: &Session,
    lease: &Lease,
    deadline: Instant,
) -> Result<Lease, ProviderError> {
    let id = lease.handle.as_str();
    if !id.contains('/') {
        return Err(ProviderError::Misconfigured(format!("`{id}` is no lease that can be renewed")));
    }
    let path = "sys/leases/renew";
    let body = json(&Renewal { lease_id: id, increment: lease.term.as_secs() })?;
    let answer = cluster.ask(&Request::write(path, &body, Some(&session.token)), deadline).await?;
    match answer.status {
        200 => {
            let renewed: Renewed = parse(path, &answer)?;
            let lasts = seconds(renewed.lease_duration);
            let lasts = session.lends().at_most.map_or(lasts, |most| lasts.min(most));
            Ok(Lease { lasts, renewable: renewed.renewable, ..lease.clone() })
        }
        400 | 404 => Err(not_renewed(cluster, session, id, deadline).await),
        _ => Err(refused(path, id, &answer)),
    }
}

/// Why a lease was not renewed: the status is the same for one that is over and one that is not renewable.
async fn not_renewed(cluster: &Cluster, session: &Session, id: &str, deadline: Instant) -> ProviderError {
    let Ok(body) = json(&Named { lease_id: id }) else { return over(id) };
    let request = Request::write("sys/leases/lookup", &body, Some(&session.token));
    match cluster.ask(&request, deadline).await {
        Ok(answer) if answer.status == 200 => ProviderError::Misconfigured(format!(
            "the lease `{id}` cannot be renewed, or no further; it lasts until its time"
        )),
        Ok(_) => over(id),
        Err(error) => error,
    }
}

/// Ends a lease of the server's, or a token.
pub(super) async fn revoke(
    cluster: &Cluster,
    session: &Session,
    handle: &str,
    deadline: Instant,
) -> Result<(), ProviderError> {
    if let Some(accessor) = handle.strip_prefix(TOKEN).filter(|accessor| !accessor.contains('/')) {
        let path = "auth/token/revoke-accessor";
        let body = json(&Accessor { accessor })?;
        let answer = cluster.ask(&Request::write(path, &body, Some(&session.token)), deadline).await?;
        return ended(path, handle, &answer);
    }
    if !handle.contains('/') {
        return Err(ProviderError::Misconfigured(format!("`{handle}` cannot be revoked")));
    }
    let path = "sys/leases/revoke";
    // At once, so that it is known to be done. It takes the engine's own server, which may not answer: then the server is to
    // do it when it can.
    let at_once = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let body = json(&Revocation { lease_id: handle, sync: true })?;
    match cluster.ask(&Request::write(path, &body, Some(&session.token)), at_once).await {
        Ok(answer) if !matches!(answer.status, 400 | 429 | 500..) => return ended(path, handle, &answer),
        Ok(_) | Err(ProviderError::Unavailable { .. }) => {}
        Err(error) => return Err(error),
    }
    let body = json(&Revocation { lease_id: handle, sync: false })?;
    let answer = cluster.ask(&Request::write(path, &body, Some(&session.token)), deadline).await?;
    ended(path, handle, &answer)
}

fn ended(path: &str, handle: &str, answer: &Answer) -> Result<(), ProviderError> {
    match answer.status {
        200 | 202 | 204 => Ok(()),
        400 | 404 => Err(over(handle)),
        _ => Err(refused(path, handle, answer)),
    }
}

fn over(handle: &str) -> ProviderError {
    ProviderError::NotFound(format!("the lease `{handle}` is over: its time has passed, or it was revoked"))
}

fn refused(path: &str, handle: &str, answer: &Answer) -> ProviderError {
    match answer.status {
        status @ (401 | 403) => ProviderError::Refused(format!(
            "`{handle}`: the token may not do that (HTTP {status}): its policies need `path \"{path}\" {{ capabilities = [\"update\"] }}`"
        )),
        _ => other(path, answer),
    }
}

#[derive(Serialize)]
struct Named<'a> {
    lease_id: &'a str,
}

#[derive(Serialize)]
struct Renewal<'a> {
    lease_id: &'a str,
    /// Seconds.
    increment: u64,
}

#[derive(Serialize)]
struct Revocation<'a> {
    lease_id: &'a str,
    sync: bool,
}

#[derive(Serialize)]
struct Accessor<'a> {
    accessor: &'a str,
}

#[derive(Deserialize)]
struct Renewed {
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_from_what_is_made_by_the_first_word_below_the_mount() {
        for path in
            ["static-creds/app", "static-cred/app", "cert/0a-0b", "ca/pem", "ca_chain", "issuer/default"]
        {
            assert!(is_kept(path), "{path}");
        }
        for path in ["creds/app", "creds/static-creds", "sts/deploy", "issue/web", "certs-of-mine", ""] {
            assert!(!is_kept(path), "{path}");
        }
    }
}
