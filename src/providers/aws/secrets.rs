//! Secrets Manager: a secret's value by name or ARN, of the current version, of a stage or of one version.
//!
//! `DescribeSecret` is not asked before a value is: it costs what `GetSecretValue` costs, needs one more right, and the
//! value is no longer than 64 KiB. It is asked when a secret is marked for deletion, for the date.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
use aws_smithy_types::date_time::Format;

use super::arn::Id;
use super::batch::{Batch, Turn};
use super::fault::{Fault, Meaning};
use super::list::{self, Page};
use super::session::{Place, Session};
use super::value::{READ, deleted, get};
use super::{Fetched, Listing, LoginState, Mint, Provider, ProviderError, SettingsError, settings};
use crate::reference::Reference;

/// Asked for at a login: there is none of that name, and AWS says so only to whom it knows.
const NOBODYS: &str = "hushfs/log-in";
/// The right that listing needs, which knows no resources.
const LIST: &str = "secretsmanager:ListSecrets";
/// Secrets on a page: AWS's limit.
const PAGE: i32 = 100;

/// Opens the provider. Nobody is reached before the first fetch.
pub(super) fn open(table: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    let settings = settings::open_secrets(table, base)?;
    let batch = settings.batch.then(Batch::default).map(Arc::new);
    Ok(Box::new(Secrets { session: Arc::new(Session::new(settings)), batch }))
}

struct Secrets {
    session: Arc<Session>,
    /// Where several secrets meet that are asked for at the same time.
    batch: Option<Arc<Batch>>,
}

#[async_trait::async_trait]
impl Provider for Secrets {
    async fn fetch(&self, reference: &Reference, _: Mint) -> Result<Fetched, ProviderError> {
        let id = Id::new(reference.path(), &self.session.settings.prefix);
        let what = named(reference);
        if let (None, Some(batch)) = (reference.version(), &self.batch) {
            match batch.turn(&self.session, &id, &what) {
                Turn::Together(answer) => {
                    if let Ok(Some(answer)) = answer.await {
                        return answer;
                    }
                    let _under_way = batch.under_way();
                    return self.alone(&id, None, &what).await;
                }
                Turn::Alone(_under_way) => return self.alone(&id, None, &what).await,
            }
        }
        self.alone(&id, reference.version(), &what).await
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let (listing, path) = (Listing::new(under, depth)?, under.path());
        let id = Id::new(path, &self.session.settings.prefix);
        if !id.is_name() {
            return Err(list::is_arn(path));
        }
        let asked = self.session.ask(&id, |place| {
            let (listing, under) = (listing.clone(), id.in_region(&place.region));
            async move {
                let place = &place;
                list::gather(listing, &under, |next| page(place, format!("{under}/"), next)).await
            }
        });
        let gathered = asked.await.map_err(|error| error.told(&format!("what is below `{path}`"), LIST))?;
        gathered?.found()
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        let id = Id::new(NOBODYS, "");
        match self.session.ask(&id, |place| deleted(place, NOBODYS.to_owned())).await {
            Err(error) if !error.knows_us() => {
                Err(error.told("Secrets Manager", "secretsmanager:DescribeSecret"))
            }
            _ => Ok(()),
        }
    }

    async fn login_state(&self) -> LoginState {
        self.session.login_state().await
    }
}

impl Secrets {
    async fn alone(&self, id: &Id, version: Option<&str>, what: &str) -> Result<Fetched, ProviderError> {
        let asked = self.session.ask(id, |place| {
            let name = id.in_region(&place.region);
            get(place, name, version)
        });
        let error = match asked.await {
            Ok(value) => return value.fetched(what),
            Err(error) => error,
        };
        let told = error.told(what, READ);
        if error.meaning() != Some(Meaning::Deleted) {
            return Err(told);
        }
        let date = self.session.ask(id, |place| {
            let name = id.in_region(&place.region);
            deleted(place, name)
        });
        let date = date.await.ok().flatten().and_then(|date| date.fmt(Format::DateTime).ok());
        let date = date.map(|date| format!(" (DeletedDate {date})")).unwrap_or_default();
        Err(match told {
            ProviderError::NotFound(text) => ProviderError::NotFound(format!("{text}{date}")),
            other => other,
        })
    }
}

/// A page of the secrets whose names begin so; without those that are marked for deletion, as AWS lists them.
async fn page(place: &Place, prefix: String, next: Option<String>) -> Result<Page, Fault> {
    let names = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let asked = Client::new(&place.config).list_secrets().filters(names).max_results(PAGE);
    let answer = asked.set_next_token(next).send().await.map_err(|error| Fault::of(&error))?;
    let names = answer.secret_list.ok_or(list::NO_PAGE)?.into_iter().filter_map(|secret| secret.name);
    Ok(Page { names: names.collect(), next: answer.next_token })
}

/// How messages name what was asked for.
fn named(reference: &Reference) -> String {
    let path = reference.path();
    match reference.version() {
        None => format!("the secret `{path}`"),
        Some(version) => format!("version `{version}` of the secret `{path}`"),
    }
}
