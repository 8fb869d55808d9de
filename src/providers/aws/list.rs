//! What is below a name, page by page. Of a page only the names are looked at; a value is in none.

use std::time::Duration;

use super::fault::Fault;
use super::{Listing, ProviderError, listing};

/// Pages that are asked for at most, also where AWS has some without a name on them.
const PAGES: usize = 1000;
/// Longest time for all of them.
const LONGEST: Duration = Duration::from_secs(60);

/// What comes of an answer without a list: where nothing is below a name, AWS's is empty.
pub(super) const NO_PAGE: Fault = Fault::Garbled(200);

/// One page: names, and what the next one is asked for with.
pub(super) struct Page {
    pub(super) names: Vec<String>,
    pub(super) next: Option<String>,
}

/// Adds to `listing` what is below `under` on all pages. In one region: what a page is asked for with is of no use in another.
pub(super) async fn gather<F: Future<Output = Result<Page, Fault>>>(
    listing: Listing,
    under: &str,
    page: impl Fn(Option<String>) -> F,
) -> Result<Result<Listing, ProviderError>, Fault> {
    let all = tokio::time::timeout(LONGEST, pages(listing, under, page)).await;
    all.unwrap_or(Err(Fault::TimedOut))
}

async fn pages<F: Future<Output = Result<Page, Fault>>>(
    mut listing: Listing,
    under: &str,
    page: impl Fn(Option<String>) -> F,
) -> Result<Result<Listing, ProviderError>, Fault> {
    let mut next = None;
    for _ in 0..PAGES {
        let asked = page(next.take()).await?;
        let mut names = asked.names.iter().filter_map(|name| listing::below(under, name));
        if let Err(error) = names.try_for_each(|name| listing.add(name)) {
            return Ok(Err(error));
        }
        next = asked.next.filter(|next| !next.is_empty());
        if next.is_none() {
            return Ok(Ok(listing));
        }
    }
    Ok(Err(listing.too_many("names that AWS can list in time")))
}

/// That an ARN names one secret or parameter, and has nothing below it.
pub(super) fn is_arn(path: &str) -> ProviderError {
    ProviderError::Misconfigured(format!("`{path}`: nothing is below an ARN; list what is below a name"))
}
