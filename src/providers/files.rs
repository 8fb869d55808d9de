//! The files that a provider's settings name: tokens, keys, certificates.
//!
//! What a provider reads on this host it reads here, so that there is one place that knows how: the fetcher may have no
//! right to open anything itself.
#![cfg_attr(
    not(all(feature = "vault", feature = "aws", feature = "gcp")),
    allow(dead_code, reason = "what each kind of provider takes of it differs")
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::Stamp;

/// Opens a file to read.
pub(crate) type Opener = Box<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

/// Where files come from, if not from the kernel.
static FROM: OnceLock<Opener> = OnceLock::new();

/// Has every file come from `opener`, for as long as this process lives.
pub(crate) fn come_from(opener: Opener) {
    // A second one would be a mistake, and the first one stays.
    let _ = FROM.set(opener);
}

/// Opens a file to read. Blocks, but not for the writer of a pipe.
///
/// # Errors
/// As open(2). In the fetcher, where it is no file that [`check`](super::Kind::check) named, `EACCES`.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    match FROM.get() {
        Some(open) => open(path),
        None => {
            let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        }
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// As open(2) and read(2); [`io::ErrorKind::FileTooLarge`].
pub(crate) async fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let path = path.to_owned();
    blocking(move || read_now(&path, limit).map(|(bytes, _)| bytes)).await
}

/// As [`read`], with the state that the file had: [`still_holds`] tells whether it is worth reading again.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_stamped(path: &Path, limit: usize) -> io::Result<(Zeroizing<Vec<u8>>, Stamp)> {
    let path = path.to_owned();
    blocking(move || read_now(&path, limit)).await
}

/// Whether the file is still in that state; where that cannot be told for now, it is. By a descriptor: in the fetcher nothing can
/// be told from a path.
pub(crate) async fn still_holds(stamp: &Stamp) -> bool {
    let stamp = stamp.clone();
    let meta = blocking(move || Ok(Stamp::of(&stamp.path, &open(&stamp.path)?.metadata()?) == stamp)).await;
    meta.unwrap_or_else(|error| passes(&error))
}

/// Whether the next who asks for the file may get it, though nothing is done about it.
pub(crate) fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{ResourceBusy, TimedOut, WouldBlock};
    matches!(error.kind(), ResourceBusy | TimedOut | WouldBlock)
}

/// Whether all of them are still as they were.
pub(crate) async fn all_hold(stamps: &[Stamp]) -> bool {
    for stamp in stamps {
        if !still_holds(stamp).await {
            return false;
        }
    }
    true
}

/// A short text in a file: without the white space around it, and not empty.
///
/// # Errors
/// As [`read`]; [`io::ErrorKind::InvalidData`] where it is empty or not UTF-8.
pub(crate) async fn read_line(path: &Path, limit: usize) -> io::Result<Zeroizing<String>> {
    let bytes = read(path, limit).await?;
    let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty, or not UTF-8"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn read_now(path: &Path, limit: usize) -> io::Result<(Zeroizing<Vec<u8>>, Stamp)> {
    let file = open(path)?;
    let meta = file.metadata()?;
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(meta.len()).unwrap_or(usize::MAX).min(limit).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.max(4096)));
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes")));
    }
    Ok((bytes, Stamp::of(path, &meta)))
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
