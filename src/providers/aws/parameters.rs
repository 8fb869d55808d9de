//! Parameter Store: a parameter's value by its path, decrypted, of the last version, of one version or of a label.

use std::path::Path;
use std::time::SystemTime;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::ParameterStringFilter;
use zeroize::Zeroizing;

use super::arn::Id;
use super::fault::Fault;
use super::list::{self, Page};
use super::session::{Place, Session};
use super::{Fetched, Listing, LoginState, Mint, Provider, ProviderError, SettingsError, settings};
use crate::reference::Reference;
use crate::secret::SecretBytes;

/// The right that reading needs.
const READ: &str = "ssm:GetParameter";
/// The right that listing needs, which knows no resources.
const LIST: &str = "ssm:DescribeParameters";
/// Parameters on a page: AWS's limit.
const PAGE: i32 = 50;
/// Asked for at a login: there is none of that name, and AWS says so only to whom it knows.
const NOBODYS: &str = "/hushfs/log-in";

/// Opens the provider. Nobody is reached before the first fetch.
pub(super) fn open(table: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    Ok(Box::new(Parameters(Session::new(settings::open_parameters(table, base)?))))
}

struct Parameters(Session);

#[async_trait::async_trait]
impl Provider for Parameters {
    async fn fetch(&self, reference: &Reference, _: Mint) -> Result<Fetched, ProviderError> {
        let (path, version) = (reference.path(), reference.version());
        let id = Id::new(path, prefix(path, &self.0.settings.prefix));
        let what = match version {
            None => format!("the parameter `{path}`"),
            Some(version) => format!("version `{version}` of the parameter `{path}`"),
        };
        let asked = self.0.ask(&id, |place| {
            let name = id.in_region(&place.region);
            get(place, version.map(|version| format!("{name}:{version}")).unwrap_or(name))
        });
        let fetched = asked.await.map_err(|error| error.told(&what, READ))?;
        fetched.ok_or_else(|| {
            ProviderError::Malformed(format!("what AWS answers for {what} has no value, or no version"))
        })
    }

    async fn list(&self, under: &Reference, depth: u32) -> Result<Vec<String>, ProviderError> {
        let (listing, path) = (Listing::new(under, depth)?, under.path());
        let id = Id::new(path, folder_prefix(&self.0.settings.prefix));
        if !id.is_name() {
            return Err(list::is_arn(path));
        }
        let asked = self.0.ask(&id, |place| {
            let (listing, under) = (listing.clone(), id.in_region(&place.region));
            async move {
                let place = &place;
                list::gather(listing, &under, |next| page(place, under.clone(), next)).await
            }
        });
        let gathered = asked.await.map_err(|error| error.told(&format!("what is below `{path}`"), LIST))?;
        gathered?.found()
    }

    async fn log_in(&self) -> Result<(), ProviderError> {
        match self.0.ask(&Id::new(NOBODYS, ""), |place| get(place, NOBODYS.to_owned())).await {
            Err(error) if !error.knows_us() => Err(error.told("Parameter Store", READ)),
            _ => Ok(()),
        }
    }

    async fn login_state(&self) -> LoginState {
        self.0.login_state().await
    }
}

/// What stands before the path: AWS wants a `/` before a path, and a reference has none there.
fn prefix<'a>(path: &str, prefix: &'a str) -> &'a str {
    if path.contains('/') { folder_prefix(prefix) } else { prefix }
}

/// The same before a path that others are below.
fn folder_prefix(set: &str) -> &str {
    if set.is_empty() { "/" } else { set }
}

/// A page of the parameters below a path. `GetParametersByPath` would be cheaper, and give their values.
async fn page(place: &Place, path: String, next: Option<String>) -> Result<Page, Fault> {
    let below = ParameterStringFilter::builder().key("Path").option("Recursive").values(path).build();
    let below = below.map_err(|_| Fault::NotMade("the request could not be built"))?;
    let asked = Client::new(&place.config).describe_parameters().parameter_filters(below).max_results(PAGE);
    let answer = asked.set_next_token(next).send().await.map_err(|error| Fault::of(&error))?;
    let names = answer.parameters.ok_or(list::NO_PAGE)?.into_iter().filter_map(|parameter| parameter.name);
    Ok(Page { names: names.collect(), next: answer.next_token })
}

async fn get(place: Place, name: String) -> Result<Option<Fetched>, Fault> {
    let asked = Client::new(&place.config).get_parameter().name(name).with_decryption(true).send();
    let answer = asked.await.map_err(|error| Fault::of(&error))?;
    let Some(parameter) = answer.parameter else { return Ok(None) };
    let Some(value) = parameter.value.map(Zeroizing::new).filter(|_| parameter.version > 0) else {
        return Ok(None);
    };
    let created = parameter.last_modified_date.and_then(|at| SystemTime::try_from(at).ok());
    let bytes = SecretBytes::copy_from(value.as_bytes());
    Ok(Some(Fetched::new(bytes, parameter.version.to_string(), created.unwrap_or_else(SystemTime::now))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_the_slash_that_aws_wants() {
        for (path, set, name) in [
            ("app/db", "", "/app/db"),
            ("token", "", "token"),
            ("token", "/", "/token"),
            ("app/db", "/prod/", "/prod/app/db"),
            ("arn:aws:ssm:r:0:parameter/app/db", "/prod/", "arn:aws:ssm:r:0:parameter/app/db"),
        ] {
            assert_eq!(Id::new(path, prefix(path, set)).in_region("r"), name, "{path}");
        }
    }
}
