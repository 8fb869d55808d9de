//! What each way of logging in sends.

use std::time::Instant;

use serde::Serialize;
use zeroize::Zeroizing;

use super::ProviderError;
use super::auth::{Auth, By, SecretId, Text};
use super::cluster::Cluster;
use super::credential::{Used, header, json, read};
use super::denied::denied;
use super::exchange::Request;
use super::tokens::{Token, terms, token};
use super::wrapped::Unwrapped;

/// Logs in.
pub(super) struct Login {
    auth: Auth,
    unwrapped: Unwrapped,
}

impl Login {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, unwrapped: Unwrapped::default() }
    }

    /// Whether the token is made for us. Else it is found in a file, and another can only come from there.
    pub(super) fn makes_tokens(&self) -> bool {
        matches!(self.auth, Auth::Login { .. })
    }

    /// Where the token comes from, for messages.
    pub(super) fn source(&self) -> String {
        match &self.auth {
            Auth::Token(path) => path.display().to_string(),
            Auth::Login { mount, .. } => format!("auth/{mount}"),
        }
    }

    /// Gets a token. What was read for it is added to `used`, also where it fails.
    pub(super) async fn log_in(
        &self,
        cluster: &Cluster,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<Token, ProviderError> {
        match &self.auth {
            Auth::Token(path) => {
                let value = header(path, &read(path, used).await?)?;
                let terms = terms(cluster, &value, deadline).await?;
                Ok(Token { value, terms })
            }
            Auth::Login { mount, by } => {
                let (path, body) = self.request(cluster, mount, by, used, deadline).await?;
                let answer = cluster.ask(&Request::write(&path, &body, None), deadline).await?;
                match denied(&path, cluster.answering(), by, answer.status) {
                    Some(error) => Err(error),
                    None => token(&path, &answer),
                }
            }
        }
    }

    async fn request(
        &self,
        cluster: &Cluster,
        mount: &str,
        by: &By,
        used: &mut Used,
        deadline: Instant,
    ) -> Result<(String, Zeroizing<Vec<u8>>), ProviderError> {
        let path = format!("auth/{mount}/login");
        match by {
            By::AppRole { role, secret } => {
                let role_id = match role {
                    Text::Here(id) => Zeroizing::new(id.clone()),
                    Text::In(path) => read(path, used).await?,
                };
                let secret_id = match secret {
                    None => None,
                    Some(SecretId::In(path)) => Some(read(path, used).await?),
                    Some(SecretId::WrappedIn(path)) => {
                        Some(self.unwrapped.secret_id(cluster, mount, path, used, deadline).await?)
                    }
                };
                let secret_id = secret_id.as_ref().map(|id| id.as_str());
                Ok((path, json(&AppRoleLogin { role_id: &role_id, secret_id })?))
            }
            By::Jwt { role, token } => {
                let jwt = read(token, used).await?;
                Ok((path, json(&JwtLogin { role: role.as_deref(), jwt: &jwt })?))
            }
            By::Cert { role } => Ok((path, json(&CertLogin { name: role.as_deref() })?)),
            By::Userpass { username, password } => {
                let password = read(password, used).await?;
                Ok((format!("{path}/{username}"), json(&UserpassLogin { password: &password })?))
            }
        }
    }
}

#[derive(Serialize)]
struct AppRoleLogin<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Serialize)]
struct JwtLogin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: &'a str,
}

#[derive(Serialize)]
struct CertLogin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct UserpassLogin<'a> {
    password: &'a str,
}
