//! What front and fetcher say to each other: a length of four bytes, then one message in postcard.
//!
//! Both ends are the same binary, so the layout needs no version. A message may hold a value, so each is in locked memory.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use postcard::ser_flavors::Size;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::providers::{Fetched, Lease, LoginState, LoginTime, Mint, ProviderError, Stamp};
use crate::secret::SecretBytes;
use crate::sys::arena::Block;

/// The longest message in bytes: the longest value that a configuration can allow, and room for the rest.
const LONGEST: usize = 80 << 20;

/// From the front.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// Open these providers instead of those open so far.
    Configure(Vec<Settings>),
    /// Ask a provider.
    Provider {
        /// Comes back with the answer.
        id: u64,
        /// Its name.
        provider: String,
        what: What,
    },
    /// Say that you are there.
    Ping,
}

/// What is asked of a provider.
#[derive(Serialize, Deserialize)]
pub(super) enum What {
    /// A secret.
    Fetch {
        /// In its printed form.
        reference: String,
        mint: Mint,
    },
    /// What is below a path.
    List {
        /// In its printed form.
        reference: String,
        depth: u32,
    },
    /// To log in.
    LogIn,
    /// Where it stands with its login.
    LoginState,
    /// To renew what it made.
    Renew(Lease),
    /// To end what it made, by its handle.
    Revoke(String),
}

/// From the fetcher.
#[derive(Serialize, Deserialize)]
pub(super) enum Said {
    /// To what a provider was asked. Apart, as it is so much larger.
    Answer(Box<Answer>),
    /// Unasked: logins of this provider from before this time are over.
    Ended { provider: String, before: LoginTime },
    /// To a ping.
    Alive,
}

/// To what a provider was asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    /// As it was asked.
    pub(super) id: u64,
    /// Who was asked.
    pub(super) provider: String,
    /// What came of it.
    pub(super) result: Result<Given, ProviderError>,
    /// The errno with which the fetcher's memory for values could not be locked. The front warns of it, so that one limit
    /// that is too small for both gives one warning.
    pub(super) unlocked: Option<i32>,
}

/// What a provider gives.
#[derive(Serialize, Deserialize)]
pub(super) enum Given {
    Value(Value),
    List(Vec<String>),
    LoginState(LoginState),
    Renewed(Lease),
    /// Nothing: it has done it.
    Done,
}

/// A provider's settings on their way.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) kind: String,
    /// The table as JSON, since postcard does not describe itself.
    pub(super) table: String,
    pub(super) base: PathBuf,
}

/// A value on its way.
#[derive(Serialize, Deserialize)]
pub(super) struct Value(#[serde(with = "Layout")] pub(super) Fetched);

/// How [`Fetched`] is laid out in a message.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Fetched")]
struct Layout {
    #[serde(with = "locked")]
    bytes: SecretBytes,
    version: String,
    created: SystemTime,
    expires: Option<SystemTime>,
    lease: Option<Lease>,
    notes: BTreeMap<String, String>,
    stamp: Option<Stamp>,
}

/// A secret's bytes in a message: from locked memory to locked memory.
mod locked {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use crate::secret::SecretBytes;

    #[expect(clippy::disallowed_methods, reason = "the value goes to the front over a socket pair")]
    pub(super) fn serialize<S: Serializer>(bytes: &SecretBytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretBytes, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = SecretBytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<SecretBytes, E> {
                Ok(SecretBytes::copy_from(bytes))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// Sends one message.
pub(super) async fn send<M: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &M) -> io::Result<()> {
    let invalid = |error: postcard::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let len = postcard::serialize_with_flavor(message, Size::default()).map_err(invalid)?;
    let mut block = Block::zeroed(len);
    postcard::to_slice(message, block.as_mut_slice()).map_err(invalid)?;
    let len =
        u32::try_from(block.as_slice().len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    to.write_all(&len.to_le_bytes()).await?;
    to.write_all(block.as_slice()).await?;
    to.flush().await
}

/// Receives one message; `None` at the end.
pub(super) async fn receive<M: for<'a> Deserialize<'a>>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<M>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    let mut block = Block::zeroed(len);
    from.read_exact(block.as_mut_slice()).await?;
    // The error's text is fixed: postcard's names no input, and it should stay that way.
    postcard::from_bytes(block.as_slice())
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message cannot be read"))
}
