//! Landlock: which files can be opened at all. What a provider's settings name is not among them; it comes from the front.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope,
};

use super::WRITER;

/// What this uses: Linux 6.12.
const NEWEST: ABI = ABI::V6;

/// What a resolver reads, each a file of its own in a directory with much else.
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/services",
    "/etc/ld.so.cache",
];

/// Directories and files that hold nothing but what is for everybody: libraries that a resolver loads, certificates of
/// authorities, where the resolver's configuration is a link to.
const PUBLIC: [&str; 24] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/dev/null",
    "/dev/urandom",
];

/// Where a program is told of other certificates of authorities.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Restricts this thread and all that it starts to reading what a resolver and TLS read. Gives what the kernel has not.
pub(super) fn restrict() -> Result<Option<String>, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    restrict_to(allowed().filter_map(|path| rule(&path, read)), "the fetcher")
}

/// Restricts this thread and all that it starts to writing to what is below `directory`. Gives what the kernel has not.
pub(super) fn restrict_to_writing_below(directory: BorrowedFd<'_>) -> Result<Option<String>, RulesetError> {
    restrict_to([Ok(PathBeneath::new(directory, AccessFs::WriteFile))], WRITER)
}

fn restrict_to<T: AsFd>(
    rules: impl IntoIterator<Item = Result<PathBeneath<T>, RulesetError>>,
    who: &str,
) -> Result<Option<String>, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        // To listen is not to be had; to connect is, since the ports are the operator's.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    let status = ruleset.add_rules(rules)?.restrict_self()?;
    let lacks = |what: &str| {
        format!("{what}; hint: it takes Linux 6.12 or newer with Landlock (boot with `lsm=landlock,…`)")
    };
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced, _) => None,
        (RulesetStatus::NotEnforced, _) => {
            Some(lacks(&format!("the kernel has no Landlock, so {who} can open what its rights allow")))
        }
        (_, LandlockStatus::Available { effective_abi, .. }) => Some(lacks(&format!(
            "the kernel's Landlock is an older one ({effective_abi:?}), so {who} is confined by less than there is"
        ))),
        _ => Some(lacks(&format!("{who} is confined by less of Landlock than there is"))),
    })
}

fn allowed() -> impl Iterator<Item = PathBuf> {
    let told = CERTIFICATES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    RESOLVER.iter().chain(&PUBLIC).map(PathBuf::from).chain(told)
}

/// What is not there, or cannot be, is left out.
fn rule(path: &Path, read: BitFlags<AccessFs>) -> Option<Result<PathBeneath<PathFd>, RulesetError>> {
    let opened = PathFd::new(path).ok()?;
    let access = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
    Some(Ok(PathBeneath::new(opened, access)))
}

/// Tells when a file of the resolver was replaced: a rule is about the file that was there, and not about its name.
#[derive(Debug)]
pub struct Outdated {
    denied: Vec<&'static str>,
}

impl Outdated {
    pub(super) fn watch() -> Self {
        Self { denied: denied() }
    }

    /// Whether a process started anew could read what this one cannot. Opens five files or so.
    pub fn is_so(&self) -> bool {
        denied().iter().any(|path| !self.denied.contains(path))
    }
}

fn denied() -> Vec<&'static str> {
    let is_denied = |path: &str| {
        std::fs::File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    RESOLVER.into_iter().filter(|path| is_denied(path)).collect()
}
