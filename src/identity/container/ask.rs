//! Asks a container runtime: one HTTP request over its socket.
//!
//! Whoever answers there decides who is let in. So the socket must be root's, in a directory of root's, and the process
//! that listens must have been root's when it began to.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// How long an answer may take, all in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer, in bytes.
const MAX: usize = 4 << 20;

/// Gets what the runtime at `socket` says of `target`; `None` where it knows no such thing. A failure is a clause that names
/// the socket.
pub(super) async fn get(socket: &Path, target: &str) -> Result<Option<Bytes>, String> {
    let answer = match tokio::time::timeout(PATIENCE, exchange(socket, target)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("it does not answer within {} seconds", PATIENCE.as_secs())),
    };
    answer.map_err(|why| format!("the container runtime at {} cannot be asked: {why}", socket.display()))
}

async fn exchange(socket: &Path, target: &str) -> Result<Option<Bytes>, String> {
    let path = socket.to_owned();
    // By itself: what lies on a disk that does not answer keeps that thread, and not us.
    let trusted = tokio::task::spawn_blocking(move || trusted(&path)).await;
    let path = trusted.map_err(|_| "its socket cannot be looked at")??;
    let stream = UnixStream::connect(path).await.map_err(|error| error.to_string())?;
    let server = stream.peer_cred().map_err(|error| error.to_string())?.uid();
    if server != 0 {
        return Err(format!("uid {server} listens there, and only root is believed"));
    }
    let io = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io)?;
    let request = Request::get(target)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(io)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("it answers {status}")),
        }
        let body = Limited::new(response.into_body(), MAX).collect().await;
        body.map(|body| Some(body.to_bytes())).map_err(|error| error.to_string())
    };
    // The connection is driven here, so that it ends with the answer and leaves no task behind. It may end first, with the
    // answer still to be taken.
    let driven = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        answer = driven => answer,
    }
}

/// The socket without links, where only root can have put it there.
fn trusted(socket: &Path) -> Result<PathBuf, String> {
    // As it is written too: a link that is somebody else's leads where he likes.
    socket.ancestors().try_for_each(judge)?;
    let real = socket.canonicalize().map_err(|error| error.to_string())?;
    real.ancestors().try_for_each(judge)?;
    let meta = real.symlink_metadata().map_err(|error| error.to_string())?;
    if meta.file_type().is_socket() { Ok(real) } else { Err("that is not a socket".to_owned()) }
}

fn judge(path: &Path) -> Result<(), String> {
    let meta = path.symlink_metadata().map_err(|error| error.to_string())?;
    let (shown, owner) = (path.display(), meta.uid());
    if owner != 0 {
        return Err(format!("{shown} belongs to uid {owner}, and only what is root's is believed"));
    }
    // In a sticky directory such as /tmp others cannot exchange what is root's.
    if meta.is_dir() && meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
        return Err(format!("others than root can write to {shown}"));
    }
    Ok(())
}
