//! Where the first credentials come from, and the order in which they are looked for.

use aws_credential_types::Credentials;

use super::super::settings::Origin;
use super::{Found, ProviderError, Tools, files, keys, metadata, profile, sts, unreadable};

/// Longest token that somebody else issued.
const TOKEN_LIMIT: usize = 64 << 10;

/// The credentials of that origin.
pub(super) async fn find(
    origin: &Origin,
    tools: &Tools<'_>,
    regions: &[String],
) -> Result<Found, ProviderError> {
    match origin {
        Origin::Chain => chain(tools, regions).await,
        Origin::Profile(name) => profile(name, tools, regions).await?.ok_or_else(|| {
            ProviderError::Misconfigured(format!(
                "there is no profile `{name}` with credentials in {}",
                profile::places(tools)
            ))
        }),
        Origin::Keys(path) => keys::find(path).await,
        other => single(other, tools, regions).await,
    }
}

/// The first that is there, in the order of AWS's own tools.
async fn chain(tools: &Tools<'_>, regions: &[String]) -> Result<Found, ProviderError> {
    if let Some(found) = in_environment(tools) {
        return Ok(found);
    }
    if let Some(found) = profile(&profile::usual(tools), tools, regions).await? {
        return Ok(found);
    }
    if let (Some(token_file), Some(role)) =
        ((tools.environment)("AWS_WEB_IDENTITY_TOKEN_FILE"), (tools.environment)("AWS_ROLE_ARN"))
    {
        let origin = Origin::WebIdentity { role, token_file: token_file.into() };
        return single(&origin, tools, regions).await;
    }
    if let Some(found) = metadata::container(None, tools).await? {
        return Ok(found);
    }
    if let Some(found) = metadata::instance(tools).await? {
        return Ok(found);
    }
    Err(ProviderError::Misconfigured(
        "there are no AWS credentials: neither in the environment of hushfs, nor in a profile, nor of a container or an instance; \
         set `credentials_file`, `profile` or `web_identity` (docs/aws.md)"
            .into(),
    ))
}

/// One that is not made of others.
async fn single(origin: &Origin, tools: &Tools<'_>, regions: &[String]) -> Result<Found, ProviderError> {
    let none = |what: &str| ProviderError::Misconfigured(what.into());
    match origin {
        Origin::WebIdentity { role, token_file } => {
            let (token, stamp) = files::read_stamped(token_file, TOKEN_LIMIT)
                .await
                .map_err(|error| unreadable("web_identity", token_file, &error))?;
            let token = std::str::from_utf8(&token).map(str::trim).unwrap_or_default();
            if token.is_empty() {
                return Err(none(&format!("there is no token in {}", token_file.display())));
            }
            let whence = format!("the role {role} by the token in {}", token_file.display());
            let credentials = sts::with_token(role, token, &whence, tools, regions).await?;
            Ok(Found { credentials, whence, stamps: vec![stamp], roles: Vec::new() })
        }
        Origin::Container(place) => metadata::container(place.as_ref(), tools).await?.ok_or_else(|| {
            none("the environment names no credentials of a container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set")
        }),
        Origin::Instance => metadata::instance(tools).await?.ok_or_else(|| {
            none("the metadata service of the instance cannot be reached, or has no role: is this an EC2 instance with a role, and is the hop limit 2 where hushfs is in a container?")
        }),
        _ => in_environment(tools).ok_or_else(|| {
            none("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set in the environment of hushfs")
        }),
    }
}

/// A profile, with what it refers to.
async fn profile(name: &str, tools: &Tools<'_>, regions: &[String]) -> Result<Option<Found>, ProviderError> {
    let (profiles, stamps) = profile::read(tools).await?;
    let Some(resolved) = profiles.resolve(name)? else { return Ok(None) };
    let whence = format!("the profile `{name}`");
    let mut found = match resolved.base {
        profile::Base::Keys(credentials) => {
            Found { credentials, whence, stamps: Vec::new(), roles: Vec::new() }
        }
        profile::Base::Elsewhere(origin) => single(&origin, tools, regions).await?,
    };
    found.stamps.extend(stamps);
    found.roles = resolved.roles;
    Ok(Some(found))
}

fn in_environment(tools: &Tools<'_>) -> Option<Found> {
    let id = (tools.environment)("AWS_ACCESS_KEY_ID")?;
    let secret = (tools.environment)("AWS_SECRET_ACCESS_KEY")?;
    let token = (tools.environment)("AWS_SESSION_TOKEN");
    let credentials = Credentials::new(id, secret, token, None, "environment");
    Some(Found { credentials, whence: "the environment".into(), stamps: Vec::new(), roles: Vec::new() })
}
