//! Who we are at AWS: credentials, found when first needed, kept while they serve.
//!
//! ```text
//!  mod.rs        kept until they end, a file they came from changes, or AWS refuses them; one login for all who wait
//!    |-- origin.rs     where the first ones come from
//!    |     |-- keys.rs, profile.rs, ini.rs   files
//!    |     '-- metadata.rs                   what a container or an instance is told
//!    '-- sts.rs        roles assumed with them, in order, and tokens of others
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_config::imds;
use aws_credential_types::Credentials;
use tokio::sync::{Mutex, OnceCell};

use super::http::{Http, unreadable};
use super::settings::{Origin, Role, Settings};
use super::{LoginState, ProviderError, Stamp, files};

mod ini;
mod keys;
mod metadata;
mod origin;
mod profile;
mod sts;

/// Credentials are renewed that long before they end, or after three quarters of what they last.
const BEFORE_THE_END: Duration = Duration::from_secs(300);
/// Credentials that cannot be renewed and still hold are tried again after that.
const AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// What a login needs beside its settings.
pub(super) struct Tools<'a> {
    pub(super) settings: &'a Settings,
    pub(super) http: &'a Http,
    /// The environment, by name.
    pub(super) environment: Environment,
    /// The client of the instance's metadata, with its session there.
    pub(super) instance: &'a OnceCell<imds::Client>,
}

/// Looks up a variable of the environment. An empty one counts as none, as it does for AWS's own tools.
pub(super) type Environment = fn(&str) -> Option<String>;

/// The environment of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Credentials, and where they are from in words for a message.
#[derive(Clone)]
pub(super) struct Signed {
    pub(super) credentials: Credentials,
    pub(super) whence: Arc<str>,
}

/// What an origin gives.
struct Found {
    credentials: Credentials,
    whence: String,
    /// The files it was read from.
    stamps: Vec<Stamp>,
    /// Roles that a profile says are to be assumed, before those of the settings.
    roles: Vec<Role>,
}

/// The login of one provider.
#[derive(Default)]
pub(super) struct Login(Mutex<State>);

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// The last failure: the answer for all who were waiting then.
    failed: Option<(Instant, ProviderError)>,
}

struct Kept {
    signed: Signed,
    stamps: Vec<Stamp>,
    renew: Option<SystemTime>,
}

impl Login {
    /// Credentials that serve now.
    pub(super) async fn signed(
        &self,
        tools: &Tools<'_>,
        regions: &[String],
    ) -> Result<Signed, ProviderError> {
        let asked = Instant::now();
        let mut state = self.0.lock().await;
        let now = SystemTime::now();
        if let Some(kept) = &state.kept
            && kept.serves(now).await
        {
            return Ok(kept.signed.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| *at >= asked) {
            return Err(error.clone());
        }
        match anew(tools, regions).await {
            Ok(kept) => {
                let signed = kept.signed.clone();
                *state = State { kept: Some(kept), failed: None };
                Ok(signed)
            }
            Err(error) => {
                if let (Some(kept), ProviderError::Unavailable { message, .. }) = (&mut state.kept, &error)
                    && kept.holds(now).await
                {
                    tracing::warn!("AWS credentials cannot be renewed, and hold a little longer: {message}");
                    kept.renew = Some(now + AFTER_A_FAILURE);
                    return Ok(kept.signed.clone());
                }
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Where it stands. Waits for a login that is under way.
    pub(super) async fn state(&self) -> LoginState {
        match &self.0.lock().await.kept {
            Some(kept) if kept.holds(SystemTime::now()).await => {
                LoginState::LoggedIn { until: kept.signed.credentials.expiry() }
            }
            _ => LoginState::LoggedOut,
        }
    }

    /// Keeps these no longer: AWS refuses them.
    pub(super) async fn forget(&self, refused: &Signed) {
        let mut state = self.0.lock().await;
        if state.kept.as_ref().is_some_and(|kept| kept.signed.credentials == refused.credentials) {
            state.kept = None;
        }
    }
}

impl Kept {
    async fn serves(&self, now: SystemTime) -> bool {
        self.renew.is_none_or(|renew| now < renew) && self.holds(now).await
    }

    async fn holds(&self, now: SystemTime) -> bool {
        let ended = self.signed.credentials.expiry().is_some_and(|end| end <= now);
        !ended && files::all_hold(&self.stamps).await
    }
}

async fn anew(tools: &Tools<'_>, regions: &[String]) -> Result<Kept, ProviderError> {
    let found = origin::find(&tools.settings.origin, tools, regions).await?;
    let Found { mut credentials, mut whence, stamps, roles } = found;
    for role in roles.iter().chain(&tools.settings.roles) {
        credentials =
            sts::assume(role, &Signed { credentials, whence: whence.into() }, tools, regions).await?;
        whence = format!("the role {}", role.arn);
    }
    let now = SystemTime::now();
    let renew = credentials.expiry().map(|end| {
        let lasts = end.duration_since(now).unwrap_or_default();
        now + lasts - BEFORE_THE_END.min(lasts / 4)
    });
    Ok(Kept { signed: Signed { credentials, whence: whence.into() }, stamps, renew })
}

/// The region that the surroundings name, where the settings name none.
pub(super) async fn region(tools: &Tools<'_>) -> Result<String, ProviderError> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = (tools.environment)(name) {
            return Ok(region);
        }
    }
    let origin = &tools.settings.origin;
    let of_profile = match origin {
        Origin::Chain | Origin::Profile(_) => profile::region(origin, tools).await?,
        _ => None,
    };
    if let Some(region) = of_profile {
        return Ok(region);
    }
    let of_instance = match origin {
        Origin::Chain | Origin::Instance => metadata::region(tools).await,
        _ => None,
    };
    let remedy = "no region is known: set `region`, or AWS_REGION in the environment of hushfs";
    of_instance.ok_or_else(|| ProviderError::Misconfigured(remedy.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(renew: u64, end: u64, stamps: Vec<Stamp>) -> Kept {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let credentials = Credentials::new("id", "secret", None, Some(at(end)), "test");
        Kept { signed: Signed { credentials, whence: "here".into() }, stamps, renew: Some(at(renew)) }
    }

    #[tokio::test]
    async fn credentials_serve_until_they_are_to_be_renewed_and_hold_until_their_end() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let kept = kept(75, 100, Vec::new());
        for (now, serves, holds) in
            [(0, true, true), (74, true, true), (75, false, true), (100, false, false)]
        {
            assert_eq!((kept.serves(at(now)).await, kept.holds(at(now)).await), (serves, holds), "{now}");
        }
    }

    #[tokio::test]
    async fn credentials_of_a_file_that_changed_hold_no_longer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamp = Stamp::of(file.path(), &file.as_file().metadata().unwrap());
        let kept = kept(75, 100, vec![stamp]);
        assert!(kept.serves(SystemTime::UNIX_EPOCH).await);
        std::fs::write(file.path(), "other").unwrap();
        assert!(!kept.serves(SystemTime::UNIX_EPOCH).await);
    }
}
