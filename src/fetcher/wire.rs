//! What front and fetcher say to each other: a length of four bytes, then one message in postcard.
//!
//! Both ends are the same binary, so the layout needs no version. Buffers that held a value are wiped.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::{Zeroize, Zeroizing};

use crate::providers::{Fetched, ProviderError, Stamp};
use crate::reference::Reference;
use crate::secret::SecretBytes;

/// The longest message in bytes: the longest value that a configuration can allow, and room for the rest.
const LONGEST: usize = 80 << 20;

/// From the front.
#[derive(Serialize, Deserialize)]
pub(super) enum Ask {
    /// Open these providers instead of those open so far.
    Configure(Vec<Settings>),
    /// Fetch a secret.
    Fetch {
        /// Comes back with the answer.
        id: u64,
        /// In its printed form.
        reference: String,
    },
    /// Say that you are there.
    Ping,
}

/// From the fetcher.
#[derive(Serialize, Deserialize)]
pub(super) enum Said {
    /// To a fetch.
    Answer(Answer),
    /// To a ping.
    Alive,
}

/// To a fetch.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    /// As it was asked.
    pub(super) id: u64,
    /// What came of it.
    pub(super) result: Result<Value, ProviderError>,
    /// The errno with which the fetcher's memory for values could not be locked. The front warns of it, so that one limit
    /// that is too small for both gives one warning.
    pub(super) unlocked: Option<i32>,
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

/// A value on its way. Wiped when dropped.
#[derive(Serialize, Deserialize)]
pub(super) struct Value {
    bytes: Vec<u8>,
    version: String,
    created: SystemTime,
    stamp: Option<Stamp>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl From<Fetched> for Value {
    #[expect(
        clippy::disallowed_methods,
        reason = "the value goes to the front over a socket pair, and is wiped here"
    )]
    fn from(fetched: Fetched) -> Self {
        Self {
            bytes: fetched.bytes.expose_secret().to_vec(),
            version: fetched.version,
            created: fetched.created,
            stamp: fetched.stamp,
        }
    }
}

impl Value {
    pub(super) fn into_fetched(mut self) -> Fetched {
        Fetched {
            bytes: SecretBytes::copy_from(&self.bytes),
            version: std::mem::take(&mut self.version),
            created: self.created,
            stamp: self.stamp.take(),
        }
    }
}

impl Ask {
    pub(super) fn fetch(id: u64, reference: &Reference) -> Self {
        Self::Fetch { id, reference: reference.to_string() }
    }
}

/// Sends one message.
pub(super) async fn send<M: Serialize>(to: &mut (impl AsyncWrite + Unpin), message: &M) -> io::Result<()> {
    let invalid = |error: postcard::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let bytes = Zeroizing::new(postcard::to_stdvec(message).map_err(invalid)?);
    let len = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    to.write_all(&len.to_le_bytes()).await?;
    to.write_all(&bytes).await?;
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
    let mut bytes = Zeroizing::new(vec![0; len]);
    from.read_exact(&mut bytes).await?;
    // The error's text is fixed: postcard's names no input, and it should stay that way.
    postcard::from_bytes(&bytes)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a message cannot be read"))
}
