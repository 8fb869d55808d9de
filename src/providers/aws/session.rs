//! One question at AWS, and what is done until it has an answer or a reason.
//!
//! - Credentials that AWS refuses are found anew once, if others are to be had.
//! - Regions are asked in their order. One whose service is down, or cannot be reached, is asked last for a while.
//! - Where there is one region, what fails at once on AWS's side is asked once more.
//! - Who is told to come again later is not asked again: that is for whoever asks us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::arn::Id;
use super::fault::{Fault, Meaning, grouped};
use super::http::Http;
use super::login::{self, Login, Signed, Tools};
use super::settings::Settings;
use super::{LoginState, ProviderError};

/// A region that failed is asked after the others for so long.
const ASIDE: Duration = Duration::from_secs(30);
/// Before the same region is asked once more.
const PAUSE: Duration = Duration::from_millis(100);

/// A provider's connections, login and regions.
pub(super) struct Session {
    pub(super) settings: Settings,
    http: OnceCell<Http>,
    regions: OnceCell<Vec<String>>,
    instance: OnceCell<aws_config::imds::Client>,
    login: Login,
    /// Regions that failed, and when.
    failed: Mutex<Vec<(String, Instant)>>,
}

/// Where a question is asked.
pub(super) struct Place {
    /// What a client of the service is made of.
    pub(super) config: SdkConfig,
    pub(super) region: String,
    /// Where the credentials are from.
    pub(super) whence: Arc<str>,
}

/// A question that has no answer.
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) region: String,
    pub(super) whence: Arc<str>,
}

/// Why there is no answer: there was nobody to ask, or what was asked failed.
pub(super) enum Unanswered {
    Before(ProviderError),
    Refused(Box<Refusal>),
}

impl Session {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: OnceCell::new(),
            regions: OnceCell::new(),
            instance: OnceCell::new(),
            login: Login::default(),
            failed: Mutex::default(),
        }
    }

    /// The answer to `question` in the first region that gives one.
    pub(super) async fn ask<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        id: &Id,
        question: impl Fn(Place) -> F,
    ) -> Result<T, Unanswered> {
        let regions = self.regions().await.map_err(Unanswered::Before)?;
        let order = self.order(id, regions);
        let mut signed = self.signed(regions).await.map_err(Unanswered::Before)?;
        let mut renewed = false;
        let mut again = order.len() == 1;
        let mut at = 0;
        loop {
            let region = order.get(at).cloned().unwrap_or_default();
            let config = self.place(&region, &signed).await.map_err(Unanswered::Before)?;
            let since = Instant::now();
            let fault =
                match question(Place { config, region: region.clone(), whence: signed.whence.clone() }).await
                {
                    Ok(answer) => {
                        self.works(&region);
                        return Ok(answer);
                    }
                    Err(fault) => fault,
                };
            if fault.meaning() == Meaning::Credentials && !renewed {
                renewed = true;
                self.login.forget(&signed).await;
                let fresh = self.signed(regions).await.map_err(Unanswered::Before)?;
                if fresh.credentials != signed.credentials {
                    signed = fresh;
                    continue;
                }
            }
            if fault.is_theirs() && at + 1 < order.len() {
                self.fails(&region);
                at += 1;
                continue;
            }
            let at_once = since.elapsed() < self.settings.bounds.request / 4;
            if fault.is_theirs() && fault.retry_after().is_none() && again && at_once {
                again = false;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            return Err(Unanswered::Refused(Box::new(Refusal { fault, region, whence: signed.whence })));
        }
    }

    /// The regions of the settings, or of the surroundings; found when first needed.
    pub(super) async fn regions(&self) -> Result<&[String], ProviderError> {
        let found = self.regions.get_or_try_init(|| async {
            if !self.settings.regions.is_empty() {
                return Ok(self.settings.regions.clone());
            }
            Ok(vec![login::region(&self.tools().await?).await?])
        });
        found.await.map(Vec::as_slice)
    }

    /// The regions to ask about `id`, those first that have not just failed.
    fn order(&self, id: &Id, regions: &[String]) -> Vec<String> {
        let mut order = regions.to_vec();
        if let Some(own) = id.region() {
            match order.iter().position(|region| region == own) {
                Some(at) => {
                    let own = order.remove(at);
                    order.insert(0, own);
                }
                None => order = vec![own.to_owned()],
            }
        }
        let failed = self.failed.lock();
        let aside = |region: &String| failed.iter().any(|(name, at)| name == region && at.elapsed() < ASIDE);
        order.sort_by_key(aside);
        order
    }

    fn works(&self, region: &str) {
        self.failed.lock().retain(|(name, _)| name != region);
    }

    fn fails(&self, region: &str) {
        let mut failed = self.failed.lock();
        failed.retain(|(name, _)| name != region);
        failed.push((region.to_owned(), Instant::now()));
    }

    /// Where the login stands. Waits for one that is under way.
    pub(super) async fn login_state(&self) -> LoginState {
        self.login.state().await
    }

    async fn tools(&self) -> Result<Tools<'_>, ProviderError> {
        let made =
            self.http.get_or_try_init(|| Http::new(self.settings.bounds, self.settings.ca_file.as_deref()));
        let (http, instance) = (made.await?, &self.instance);
        Ok(Tools { settings: &self.settings, http, environment: login::environment, instance })
    }

    async fn signed(&self, regions: &[String]) -> Result<Signed, ProviderError> {
        self.login.signed(&self.tools().await?, regions).await
    }

    async fn place(&self, region: &str, signed: &Signed) -> Result<SdkConfig, ProviderError> {
        let (settings, tools) = (&self.settings, self.tools().await?);
        Ok(tools.http.config(settings.bounds, region, settings.endpoint(region), Some(&signed.credentials)))
    }
}

impl Refusal {
    /// What is told of it. `what` is what was asked for, `action` the right that it needs.
    pub(super) fn told(&self, what: &str, action: &str) -> ProviderError {
        let (seen, region, whence) = (self.fault.seen(), &self.region, &self.whence);
        grouped(
            &self.fault,
            match self.fault.meaning() {
                Meaning::Missing => format!("{what} in {region} ({seen})"),
                Meaning::Deleted => format!(
                    "{what} in {region} is marked for deletion: `aws secretsmanager restore-secret` brings it back"
                ),
                Meaning::Forbidden => {
                    format!("{what} in {region} may not be read with {whence} ({seen}): allow it `{action}`")
                }
                Meaning::ForbiddenByKms => format!(
                    "{what} in {region} may not be decrypted with {whence} ({seen}): allow it `kms:Decrypt` on the key"
                ),
                Meaning::KmsState => format!(
                    "{what} in {region} cannot be decrypted ({seen}): the KMS key is disabled, deleted or of another kind"
                ),
                Meaning::Credentials => format!(
                    "AWS does not accept the credentials of {whence} ({seen}): they have ended, were taken back or are wrong"
                ),
                Meaning::Clock => {
                    format!("AWS says that the time is wrong ({seen}): set the clock of this host")
                }
                Meaning::Throttled => format!("AWS is asked too often in {region} ({seen})"),
                Meaning::Question => {
                    format!("AWS does not take the question for {what} in {region} ({seen})")
                }
                Meaning::Theirs | Meaning::Strange => format!("AWS in {region}: {seen}"),
            },
        )
    }
}

impl Unanswered {
    /// As [`Refusal::told`].
    pub(super) fn told(&self, what: &str, action: &str) -> ProviderError {
        match self {
            Self::Before(error) => error.clone(),
            Self::Refused(refusal) => refusal.told(what, action),
        }
    }

    /// Whether AWS was reached and knows us, but has no such thing or does not let us: all that a login has to show.
    pub(super) fn knows_us(&self) -> bool {
        let known = [Meaning::Missing, Meaning::Deleted, Meaning::Forbidden];
        matches!(self, Self::Refused(refusal) if known.contains(&refusal.fault.meaning()))
    }

    /// Whether it would be the same for anything else that is asked for now.
    pub(super) fn is_for_all(&self) -> bool {
        use Meaning::{Clock, Credentials, Theirs, Throttled};
        matches!(self.meaning(), None | Some(Theirs | Throttled | Credentials | Clock))
    }

    /// What AWS means, where it was asked.
    pub(super) fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Before(_) => None,
            Self::Refused(refusal) => Some(refusal.fault.meaning()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    fn session(text: &str) -> Session {
        Session::new(settings::open_secrets(text.parse().unwrap(), std::path::Path::new("/")).unwrap())
    }

    #[test]
    fn a_region_that_failed_is_asked_last_until_it_works() {
        let session = session("regions = ['a', 'b', 'c']");
        let order = |path: &str| session.order(&Id::new(path, ""), &session.settings.regions).join(" ");
        assert_eq!(order("x"), "a b c");
        session.fails("a");
        assert_eq!(order("x"), "b c a");
        assert_eq!(order("arn:aws:secretsmanager:c:0:secret:x"), "c b a");
        session.works("a");
        assert_eq!(order("x"), "a b c");
        assert_eq!(order("arn:aws:secretsmanager:b:0:secret:x"), "b a c");
        assert_eq!(order("arn:aws:secretsmanager:elsewhere:0:secret:x"), "elsewhere");
    }
}
