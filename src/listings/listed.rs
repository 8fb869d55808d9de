//! What a directory has: from what the provider has to files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names::{Unfit, safe};
use crate::config::checked::{Dir, DirOf, File, How, Shows};
use crate::reference::Reference;

/// Files that one directory has at most. What a provider lists has a bound of its own.
const MOST: usize = 10_000;

/// What a directory has, as it was found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its files.
    pub files: Vec<Arc<File>>,
    /// What the provider has that can be no file, by what it is called there, and why.
    pub left_out: BTreeMap<String, Unfit>,
}

impl Listed {
    /// The files of `dir`, where the provider has these: keys of its secret, or paths of secrets below it.
    pub(super) fn of(dir: &Dir, names: Vec<String>) -> Self {
        let mut listed = Self::default();
        let names: BTreeSet<_> = names.into_iter().collect();
        let above: BTreeSet<String> = match dir.of {
            DirOf::Keys => BTreeSet::new(),
            DirOf::Secrets { .. } => names.iter().flat_map(|name| directories(name)).collect(),
        };
        for name in names {
            let file = match above.contains(&name) {
                true => Err(Unfit::Directory),
                false if listed.files.len() >= MOST => Err(Unfit::TooMany(MOST)),
                false => file(dir, &name),
            };
            match file {
                Ok(file) => listed.files.push(Arc::new(file)),
                Err(why) => drop(listed.left_out.insert(name, why)),
            }
        }
        listed
    }
}

/// The paths of all directories on the way to `name`.
fn directories(name: &str) -> impl Iterator<Item = String> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at)).map(str::to_owned)
}

/// The file for what the provider calls so.
fn file(dir: &Dir, name: &str) -> Result<File, Unfit> {
    let How::Secret { from, form } = dir.like.shows.how() else { return Err(Unfit::NoReference) };
    let (path, from) = match dir.of {
        DirOf::Keys => (safe(name)?, from.with_key(name)),
        DirOf::Secrets { .. } => {
            let segments = name.split('/').map(safe).collect::<Result<Vec<_>, _>>()?;
            (segments.join("/"), below(from, name).ok_or(Unfit::NoReference)?)
        }
    };
    let (name, shows) = (format!("{}/{path}", dir.like.name), Arc::new(Shows::secret(from, *form)));
    Ok(File { name, shows, ..File::clone(&dir.like) })
}

/// The secret called `name` below a path, if a reference can name it.
fn below(under: &Reference, name: &str) -> Option<Reference> {
    let path = format!("{}/{name}", under.path());
    let reference: Reference = format!("{}:{path}", under.provider()).parse().ok()?;
    let is_that = reference.path() == path && reference.key().is_none() && reference.version().is_none();
    let reference = is_that.then_some(reference)?;
    Some(under.whom().map_or(reference.clone(), |whom| reference.made_for(whom)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::CacheRules;
    use crate::format::Form;

    fn dir(from: &str, of: DirOf) -> Dir {
        let like = File {
            name: "d".into(),
            shows: Arc::new(Shows::secret(from.parse().unwrap(), Form::RAW)),
            uid: 1,
            gid: 2,
            mode: 0o400,
            cache: vec![CacheRules::DEFAULT],
            on_change: Vec::new(),
        };
        Dir { like: Arc::new(like), of }
    }

    fn shown(listed: &Listed) -> Vec<(&str, String)> {
        listed.files.iter().map(|file| (file.name.as_str(), file.shows.to_string())).collect()
    }

    fn listed(dir: &Dir, names: &[&str]) -> Listed {
        Listed::of(dir, names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn every_key_is_a_file_whatever_it_is_called_and_what_cannot_be_one_keeps_no_other_out() {
        let long = "x".repeat(300);
        let listed = listed(&dir("p:app", DirOf::Keys), &["user", "a/b", "..", "", "nul\0", &long]);
        let wanted = [
            ("d/%2E%2E", "p:app#.."),
            ("d/a%2Fb", "p:app#a/b"),
            ("d/nul%00", "p:app#nul\0"),
            ("d/user", "p:app#user"),
        ];
        assert_eq!(shown(&listed), wanted.map(|(name, of)| (name, of.to_owned())));
        assert_eq!(listed.left_out, [(String::new(), Unfit::Empty), (long, Unfit::Long(300))].into());
        assert!(listed.files.iter().all(|file| (file.uid, file.mode) == (1, 0o400)));
    }

    #[test]
    fn every_secret_below_a_path_is_a_file_in_directories_as_there() {
        let names = ["db", "web/a", "web/b b", "both", "both/x", "od#d", "../up", "a//b"];
        let listed = listed(&dir("p:kv/team", DirOf::Secrets { depth: 2 }), &names);
        let wanted = [
            ("d/both/x", "p:kv/team/both/x"),
            ("d/db", "p:kv/team/db"),
            ("d/web/a", "p:kv/team/web/a"),
            ("d/web/b b", "p:kv/team/web/b b"),
        ];
        assert_eq!(shown(&listed), wanted.map(|(name, of)| (name, of.to_owned())));
        let left_out = [
            ("both", Unfit::Directory),
            ("od#d", Unfit::NoReference),
            ("../up", Unfit::NoReference),
            ("a//b", Unfit::Empty),
        ];
        assert_eq!(listed.left_out, left_out.map(|(name, why)| (name.to_owned(), why)).into());
    }

    #[test]
    fn more_than_a_directory_can_have_are_left_out() {
        let names: Vec<String> = (0..MOST + 3).map(|number| format!("{number:06}")).collect();
        let listed = Listed::of(&dir("p:app", DirOf::Keys), names);
        assert_eq!((listed.files.len(), listed.left_out.len()), (MOST, 3));
    }
}
