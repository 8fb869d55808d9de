//! Why an attempt did not succeed, and the errno that says so.

use std::fmt;

use rustix::io::Errno;

use crate::format::FormatError;
use crate::identity::Refusal;
use crate::policy::Denial;
use crate::providers::ProviderError;
use crate::render::RenderError;
use crate::resolve::ResolveError;
use crate::template::TemplateError;

/// Why an attempt did not succeed. Each has its errno in [`Failure::errno`] and its words for the audit record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The caller could not be identified.
    #[error("{0}")]
    Unidentified(#[from] Refusal),
    /// The rules do not allow it.
    #[error("{0}")]
    Denied(Denial),
    /// The provider has no value.
    #[error("{0}")]
    Provider(#[from] ProviderError),
    /// The value does not fit the file.
    #[error("{0}")]
    Render(#[from] RenderError),
    /// No answer within the deadline.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// There was a value, which may no longer be served, and there is no new one.
    #[error("{0}")]
    Expired(String),
    /// The caller has a signal waiting.
    #[error("the caller stopped waiting")]
    Interrupted,
    /// The attempt could not be put on record and `on_failure` is `deny`.
    #[error("the attempt could not be put on record")]
    NotOnRecord,
    /// hushfs is being stopped.
    #[error("hushfs is shutting down")]
    Closing,
    /// The version that was opened can no longer be had.
    #[error("the version that was opened is gone")]
    VersionGone,
    /// No such inode: its name went with a reload.
    #[error("the file is no longer configured")]
    Unconfigured,
    /// All handles are in use.
    #[error("too many files are open")]
    TooManyHandles,
    /// The caller's uid has as many as it may.
    #[error("the caller's uid has too many files open")]
    TooManyOwnHandles,
    /// As many wait for a fetch or for evidence as may.
    #[error("too many requests of {0} are waiting")]
    TooManyWaiting(Whose),
    /// As many fetches were started as may be in that time.
    #[error("{whose} makes providers be asked more often than {per_second} times a second")]
    TooManyMisses {
        /// Who started too many.
        whose: Whose,
        /// How many it may.
        per_second: u32,
    },
    /// Opened for writing.
    #[error("hushfs is read-only")]
    ReadOnly,
    /// Sent or spliced from the page cache, which other readers share.
    #[error("it is read by sendfile or splice, which take what other readers share")]
    MovesPages,
    /// A directory where a file is needed.
    #[error("it is a directory")]
    IsDirectory,
    /// A file where a directory is needed.
    #[error("it is not a directory")]
    NotDirectory,
    /// No such name. Configured names always exist, so this is for others.
    #[error("no such name")]
    NoSuchName,
    /// A directory of which the files are what a provider has, and that could not be found out.
    #[error("what the directory has is not known: {0}")]
    NotListed(String),
    /// A longer name than a file can have.
    #[error("the name is longer than 255 bytes")]
    NameTooLong,
    /// No such extended attribute.
    #[error("no such attribute")]
    NoSuchAttribute,
}

/// Whose bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// That of the caller's process.
    Process,
    /// That of the caller's uid.
    Uid,
    /// That of all callers, of which each uid has a share.
    Everybody,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "the caller's process",
            Self::Uid => "the caller's uid",
            Self::Everybody => "all callers",
        })
    }
}

impl Failure {
    /// What the caller sees.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Unidentified(_) | Self::Denied(_) => Errno::ACCESS,
            // Never ENOENT: programs take a missing file for "not configured" and start open.
            Self::Provider(ProviderError::NotFound(_))
            | Self::Render(RenderError::Format(FormatError::NoSuchKey(_)) | RenderError::Template(TemplateError::NoSuchKey { .. })) => {
                Errno::NOKEY
            }
            Self::Render(RenderError::TooLarge { .. } | RenderError::Template(TemplateError::TooLarge { .. })) => Errno::FBIG,
            Self::TimedOut => Errno::TIMEDOUT,
            Self::Expired(_) => Errno::KEYEXPIRED,
            Self::Interrupted => Errno::INTR,
            Self::Provider(
                ProviderError::Refused(_)
                | ProviderError::Unavailable { .. }
                | ProviderError::Malformed(_)
                | ProviderError::Misconfigured(_)
                // Of no reader: a read may have it made.
                | ProviderError::WouldMint(_),
            )
            | Self::Render(RenderError::Format(_) | RenderError::Template(_))
            | Self::NotOnRecord
            | Self::NotListed(_)
            | Self::Closing => Errno::IO,
            Self::VersionGone | Self::Unconfigured => Errno::STALE,
            Self::TooManyHandles => Errno::NFILE,
            Self::TooManyOwnHandles | Self::TooManyWaiting(_) | Self::TooManyMisses { .. } => Errno::AGAIN,
            Self::ReadOnly => Errno::ROFS,
            Self::MovesPages => Errno::INVAL,
            Self::IsDirectory => Errno::ISDIR,
            Self::NotDirectory => Errno::NOTDIR,
            Self::NoSuchName => Errno::NOENT,
            Self::NameTooLong => Errno::NAMETOOLONG,
            Self::NoSuchAttribute => Errno::NODATA,
        }
    }

    /// The errno's name, as the audit record shows it.
    pub fn errno_name(&self) -> &'static str {
        match self.errno() {
            Errno::ACCESS => "EACCES",
            Errno::NOKEY => "ENOKEY",
            Errno::FBIG => "EFBIG",
            Errno::TIMEDOUT => "ETIMEDOUT",
            Errno::KEYEXPIRED => "EKEYEXPIRED",
            Errno::INTR => "EINTR",
            Errno::STALE => "ESTALE",
            Errno::NFILE => "ENFILE",
            Errno::AGAIN => "EAGAIN",
            Errno::ROFS => "EROFS",
            Errno::INVAL => "EINVAL",
            Errno::ISDIR => "EISDIR",
            Errno::NOTDIR => "ENOTDIR",
            Errno::NOENT => "ENOENT",
            Errno::NAMETOOLONG => "ENAMETOOLONG",
            Errno::NODATA => "ENODATA",
            _ => "EIO",
        }
    }

    /// Whether the caller has as much as it may: it will try again, maybe at once.
    pub fn is_over_a_bound(&self) -> bool {
        self.errno() == Errno::AGAIN
    }

    /// Whether the caller was turned away, as against let in and not served.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Unidentified(_) | Self::Denied(_))
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Provider(error) => Self::Provider(error),
            ResolveError::TimedOut | ResolveError::NotAsked => Self::TimedOut,
            ResolveError::Expired(_) => Self::Expired(error.to_string()),
        }
    }
}
