//! Programs in C that the tests call from: what no language above can be made to do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Host, says};

impl Host {
    /// Compiles `c/NAME.c` into the host's directory, where every user may run it.
    pub(crate) fn compile(&self, name: &str) -> PathBuf {
        self.compile_as(name, name, &[])
    }

    /// As `compile`, with another name for what comes out and options of gcc.
    pub(crate) fn compile_as(&self, source: &str, name: &str, options: &[&str]) -> PathBuf {
        compile(source, options, &self.path(name));
        self.path(name)
    }
}

/// The program `c/caller.c`, built once.
pub(crate) fn caller() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("caller");
        // At a fixed place in memory, as some programs are: its libraries are not.
        compile("caller", &["-no-pie", "-Wl,-z,now"], &path);
        path
    })
}

fn compile(source: &str, options: &[&str], to: &Path) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mount/c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-Wall", "-Wextra", "-Werror", "-O1", "-g", "-pthread"]).args(options);
    says(gcc.arg(sources.join(source).with_extension("c")).arg("-o").arg(to));
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
}
