//! What is below a path, as it is gathered: sorted, each once, no deeper than asked for, and bounded.

use std::collections::BTreeSet;

use super::ProviderError;
use crate::reference::Reference;

/// The most names that are listed below one path.
pub const NAMES_MAX: usize = 10_000;
/// The longest name, in bytes: as long as a path can be.
const NAME_MAX: usize = 4096;

/// Names below a path. All that lists goes through one.
#[derive(Debug, Clone)]
pub struct Listing {
    under: String,
    depth: usize,
    names: BTreeSet<String>,
    deeper: Deeper,
}

/// Whether anything was found that lies deeper than was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deeper {
    None,
    Some,
}

impl Listing {
    /// Nothing yet.
    ///
    /// # Errors
    /// When it could only stay empty.
    pub fn new(under: &Reference, depth: u32) -> Result<Self, ProviderError> {
        let under = under.path().to_owned();
        if depth == 0 {
            return Err(ProviderError::Misconfigured(format!(
                "`{under}`: a list of depth 0 holds nothing; choose 1 or more"
            )));
        }
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        Ok(Self { under, depth, names: BTreeSet::new(), deeper: Deeper::None })
    }

    /// Adds a name, relative to the path, unless it lies too deep.
    ///
    /// # Errors
    /// When there are more than [`NAMES_MAX`]; when it is longer than any name is.
    pub fn add(&mut self, name: &str) -> Result<(), ProviderError> {
        if name.len() > NAME_MAX {
            let under = &self.under;
            return Err(ProviderError::Malformed(format!(
                "`{under}`: a name below it is longer than {NAME_MAX} bytes"
            )));
        }
        if segments(name) > self.depth {
            self.found_deeper();
            return Ok(());
        }
        self.names.insert(name.to_owned());
        if self.names.len() > NAMES_MAX { Err(self.too_many("secrets")) } else { Ok(()) }
    }

    /// Takes note that there is something deeper than was asked for.
    pub(crate) fn found_deeper(&mut self) {
        self.deeper = Deeper::Some;
    }

    /// Whether nothing at all was found.
    pub(crate) fn is_bare(&self) -> bool {
        self.names.is_empty() && self.deeper == Deeper::None
    }

    /// Why there is no list of so much.
    pub(crate) fn too_many(&self, what: &str) -> ProviderError {
        ProviderError::Misconfigured(format!(
            "`{}`: there are more than {NAMES_MAX} {what} below it: list a path further down, or with less `depth`",
            self.under
        ))
    }

    /// What was gathered.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.names.into_iter().collect()
    }

    /// What was gathered, by a provider that knows names alone and no folders.
    ///
    /// # Errors
    /// When nothing is below the path.
    pub(crate) fn found(self) -> Result<Vec<String>, ProviderError> {
        if self.is_bare() {
            let under = &self.under;
            return Err(ProviderError::NotFound(format!("`{under}`: there is no secret below it")));
        }
        Ok(self.names())
    }
}

/// The rest of `name` below `under`, both names with `/` between their segments.
pub(crate) fn below<'n>(under: &str, name: &'n str) -> Option<&'n str> {
    name.strip_prefix(under)?.strip_prefix('/')
}

/// Of how many segments a name is; the `/` at the end of a folder that cannot be named otherwise begins none.
fn segments(name: &str) -> usize {
    name.strip_suffix('/').unwrap_or(name).split('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(depth: u32) -> Listing {
        Listing::new(&"p:app".parse().unwrap(), depth).unwrap()
    }

    #[test]
    fn names_are_sorted_each_once_and_no_deeper_than_asked_for() {
        let mut two = listing(2);
        for name in ["b", "a/x", "b", "..", "a/b/c", "../"] {
            two.add(name).unwrap();
        }
        assert_eq!(two.found().unwrap(), ["..", "../", "a/x", "b"]);
        let mut one = listing(1);
        one.add("a/x").unwrap();
        assert_eq!(one.found().unwrap(), [""; 0], "there is something, though deeper");
        assert!(matches!(listing(1).found(), Err(ProviderError::NotFound(_))));
        assert!(Listing::new(&"p:app".parse().unwrap(), 0).is_err());
    }

    #[test]
    fn more_names_than_may_be_are_an_error_that_says_what_to_do() {
        let mut all = listing(1);
        (0..NAMES_MAX).for_each(|n| all.add(&n.to_string()).unwrap());
        all.add("0").unwrap();
        all.add("deep/er").unwrap();
        let error = all.add("one more").unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{told}");
        assert!(told.contains("`app`") && told.contains("10000") && told.contains("depth"), "{told}");
        assert!(listing(1).add(&"x".repeat(NAME_MAX + 1)).is_err());
    }

    #[test]
    fn a_name_is_below_a_path_by_whole_segments() {
        assert_eq!(below("app", "app/db"), Some("db"));
        assert_eq!(below("app", "apple/db"), None);
        assert_eq!(below("app", "app"), None);
    }
}
