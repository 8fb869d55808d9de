//! The file that a path means. By names alone: the mount is never touched.

use std::path::{Component, Path};
use std::sync::Arc;

use super::view::View;
use crate::config::checked::{Config, File, Scope, is_of_scope};
use crate::words::nearest;

/// A file of a scope, or a name that the scope may not have.
pub struct Place {
    /// The scope.
    pub scope: Arc<Scope>,
    /// The file, if there is one of that name.
    pub file: Option<Arc<File>>,
    /// Its name.
    pub name: String,
}

/// Why a path means no file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchPath {
    /// An absolute path that does not begin with the mount's.
    #[error("`{0}` is not below the mount `{1}`")]
    NotBelow(String, String),
    /// Not the name of a scope and the name of a file.
    #[error("`{0}` does not name a file: write `scope/name`, or the path of a file below the mount")]
    NotAFile(String),
    /// The name of a scope that has a directory for each of its workloads, one of which is this.
    #[error("`{0}` has a directory for each of its workloads: write `{1}/name`")]
    OfAWorkload(String, String),
    /// No scope of that name; perhaps this one was meant.
    #[error("there is no scope `{0}`{hint}", hint = meant(.1.as_deref()))]
    NoScope(String, Option<String>),
}

/// The word that was perhaps meant.
fn meant(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// Whether the scope of that name has a directory for each of its workloads.
fn has_workloads(config: &Config, scope: &str) -> bool {
    config.scopes.iter().any(|one| one.name != scope && is_of_scope(&one.name, scope))
}

/// What is said where there is no scope of a name. Everybody can list the directories in which scopes are.
fn no_scope(config: &Config, scope: &str) -> NoSuchPath {
    let names: Vec<_> = config.scopes.iter().map(|one| one.name.as_str()).collect();
    if let Some(workload) = names.iter().find(|name| is_of_scope(name, scope)) {
        return NoSuchPath::OfAWorkload(scope.to_owned(), (*workload).to_owned());
    }
    let is = |name: &&&str| name.split_once('/').is_some_and(|(_, workload)| workload == scope);
    let near = names.iter().find(is).copied().or_else(|| nearest(scope, &names));
    NoSuchPath::NoScope(scope.to_owned(), near.map(str::to_owned))
}

impl Place {
    /// The place of `path`: `scope/name`, `scope/workload/name`, or the absolute path below the mount.
    ///
    /// # Errors
    /// When it cannot mean a file.
    pub fn find(config: &Config, path: &str) -> Result<Self, NoSuchPath> {
        let below = match Path::new(path) {
            absolute if absolute.is_absolute() => absolute
                .strip_prefix(&config.mount)
                .map_err(|_| NoSuchPath::NotBelow(path.to_owned(), config.mount.display().to_string()))?,
            relative => relative,
        };
        let one = |name: Component<'_>| match name {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        };
        let names = below.components().map(one).collect::<Option<Vec<_>>>();
        let not_a_file = || NoSuchPath::NotAFile(path.to_owned());
        let (scope, name) = match names.unwrap_or_default().as_slice() {
            [scope, workload, name @ ..] if !name.is_empty() && has_workloads(config, scope) => {
                (format!("{scope}/{workload}"), name.join("/"))
            }
            [scope, name] => (scope.clone(), name.clone()),
            // A file in a directory of a scope.
            [scope, name @ ..] if config.scopes.iter().any(|one| one.name == *scope) && name.len() > 1 => {
                (scope.clone(), name.join("/"))
            }
            _ => return Err(not_a_file()),
        };
        let found = config.scopes.iter().find(|one| one.name == scope);
        let scope = Arc::clone(found.ok_or_else(|| no_scope(config, &scope))?);
        let file = scope.files.iter().find(|file| file.name == name).map(Arc::clone);
        Ok(Self { scope, file, name })
    }

    /// `scope/name`, or `scope/workload/name`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.scope.name, self.name)
    }

    /// What is said where there is no file of the name.
    pub(super) fn no_such_file(&self, view: View) -> String {
        let message = format!("scope `{}` has no file `{}`", self.scope.name, self.name);
        if view == View::Own || self.scope.files.is_empty() {
            return message;
        }
        let names: Vec<_> = self.scope.files.iter().map(|file| file.name.as_str()).collect();
        let near = meant(nearest(&self.name, &names));
        format!("{message}; it has {}{near}", names.join(", "))
    }
}
