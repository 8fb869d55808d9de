//! What is found out about a caller beyond its identity, and only when a rule turns on it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Container, Identity, Pid, Tid};

/// Something that can be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// How long ago the process started.
    Age,
    /// What the kernel keeps the process from, and others from doing to it.
    Hardening,
    /// Whether another process traces it.
    Tracer,
    /// Which files of executable code it has mapped.
    Mappings,
    /// The SHA-256 of its executable.
    Digest,
    /// What the container runtime says of its container.
    Container,
    /// What the container runtime says of the image of that container; asked for after [`Fact::Container`].
    Image,
    /// How many times this process instance was given the file.
    Reads,
}

/// A set of facts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts(u16);

/// A fact, or why it could not be established (a clause, for the record and for people).
pub type Found<T> = Result<T, Arc<str>>;

/// What was found out. `None` is what nobody asked for yet.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// [`Fact::Age`].
    pub age: Option<Duration>,
    /// [`Fact::Hardening`].
    pub hardening: Option<Found<Hardening>>,
    /// [`Fact::Tracer`]: one of its threads that is traced, if there is one.
    pub tracer: Option<Found<Option<Traced>>>,
    /// [`Fact::Mappings`]: the first file of executable code that somebody other than root could have written, if there is one.
    pub mappings: Option<Found<Option<Arc<str>>>>,
    /// [`Fact::Container`].
    pub container: Option<Found<Arc<Container>>>,
    /// [`Fact::Image`]: the digests under which repositories hold it.
    pub repo_digests: Option<Found<Arc<[String]>>>,
    /// [`Fact::Digest`].
    pub digest: Option<Found<Digest>>,
    /// [`Fact::Reads`].
    pub reads: Option<u32>,
}

/// [`Fact::Hardening`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardening {
    /// It cannot gain rights by executing a setuid or setgid program (`NoNewPrivs` of status).
    pub no_new_privs: bool,
    /// Whether other processes of its uid are kept out of its memory (`PR_GET_DUMPABLE`). `None` for uid 0, where it cannot be
    /// told.
    pub not_dumpable: Option<bool>,
}

/// A thread that is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// The thread.
    pub thread: Tid,
    /// The process that traces it.
    pub by: Pid,
}

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// Whom a selector looks at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Who it is.
    pub who: &'a Identity,
    /// What else is known.
    pub evidence: &'a Evidence,
}

impl Facts {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fact` is one of them.
    pub fn contains(self, fact: Fact) -> bool {
        self.0 & bit(fact) != 0
    }

    /// These and `fact`.
    #[must_use]
    pub const fn with(self, fact: Fact) -> Self {
        Self(self.0 | bit(fact))
    }

    /// These and those.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These without `fact`.
    #[must_use]
    pub fn without(self, fact: Fact) -> Self {
        Self(self.0 & !bit(fact))
    }
}

const fn bit(fact: Fact) -> u16 {
    1 << fact as u16
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Age => "the age of the process",
            Self::Hardening => "the hardening of the process",
            Self::Tracer => "whether the process is traced",
            Self::Mappings => "what code the process has mapped",
            Self::Digest => "the digest of the executable",
            Self::Container => "the container of the process",
            Self::Image => "the image of its container",
            Self::Reads => "how often the process read it",
        })
    }
}
