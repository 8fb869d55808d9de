//! The path that somebody means, who may stand in the mount. By names alone: the mount is not touched.

use std::path::{Component, Path, PathBuf};

use crate::config::normal;
use crate::mount;

/// `scope/name` or `scope/workload/name` as it is, and what is the path of a file from the current directory as the path from the root.
pub(super) fn meant(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    from_here(path, &here, &mount::seen().unwrap_or_default()).unwrap_or_else(|| path.to_owned())
}

fn from_here(path: &str, here: &Path, mounts: &[PathBuf]) -> Option<String> {
    let written = Path::new(path);
    // Not where one is: then `scope/name` is all that it can be.
    if written.is_absolute() || !here.is_absolute() {
        return None;
    }
    // There are no symbolic links in the mount.
    let whole = normal(&here.join(written));
    let is_of_here = matches!(written.components().next(), Some(Component::CurDir | Component::ParentDir));
    let written = written.components().count();
    // Of two names that are written in a directory of the mount the first is a scope: which of those have workloads in them is not
    // known here.
    let is_file = |names| names == 2 || (names == 3 && written != 2);
    let below =
        |mount: &PathBuf| whole.strip_prefix(mount).is_ok_and(|below| is_file(below.components().count()));
    (is_of_here || mounts.iter().any(below)).then(|| whole.to_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_from_the_current_directory_is_told_from_a_scope_and_a_name() {
        let mounts = [PathBuf::from("/run/hushfs")];
        for (here, path, meant) in [
            ("/run/hushfs/a", "token", Some("/run/hushfs/a/token")),
            ("/run/hushfs/a", "./token", Some("/run/hushfs/a/token")),
            ("/run/hushfs/a", "../b/token", Some("/run/hushfs/b/token")),
            ("/run/hushfs/a", "b/token", None),
            ("/run/hushfs/a/web", "token", Some("/run/hushfs/a/web/token")),
            ("/run/hushfs/a/web", "../worker/token", Some("/run/hushfs/a/worker/token")),
            ("/run/hushfs/a", "./web/token", Some("/run/hushfs/a/web/token")),
            ("/run/hushfs", "a/web/token", Some("/run/hushfs/a/web/token")),
            ("/root", "a/web/token", None),
            ("/run/hushfs", "a/token", Some("/run/hushfs/a/token")),
            ("/run", "hushfs/a/token", Some("/run/hushfs/a/token")),
            ("/run", "./hushfs/a/token", Some("/run/hushfs/a/token")),
            ("/run", "hushfs/a", None),
            ("/root", "a/token", None),
            ("/root", "./a/token", Some("/root/a/token")),
            ("/root", "/run/hushfs/a/token", None),
            ("", "./a/token", None),
        ] {
            assert_eq!(from_here(path, Path::new(here), &mounts).as_deref(), meant, "{path} in {here}");
        }
    }
}
