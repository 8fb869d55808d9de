//! The mount for one user: made by the setuid helper fusermount3, which passes the FUSE descriptor over a socket.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::MountError;

const HELPER: &str = "fusermount3";

/// Mounts, and gives the FUSE descriptor.
pub(super) fn mount(point: &Path) -> Result<OwnedFd, MountError> {
    let cannot = |error: &io::Error| MountError::io("cannot mount at", point, error);
    let (ours, theirs) = UnixStream::pair().map_err(|error| cannot(&error))?;
    // The helper finds its end by number, so that one end alone is inherited.
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).map_err(|error| cannot(&error.into()))?;
    let options = "ro,nosuid,nodev,noexec,default_permissions,fsname=hushfs,subtype=hushfs";
    let child = Command::new(HELPER)
        .args(["-o", options, "--"])
        .arg(point)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| helper_missing(&error))?;
    drop(theirs);
    let fd = receive(&ours);
    let output = child.wait_with_output().map_err(|error| cannot(&error))?;
    match fd {
        Ok(Some(fd)) if output.status.success() => Ok(fd),
        _ => Err(refused(&String::from_utf8_lossy(&output.stderr))),
    }
}

/// Detaches what is mounted at `point`.
pub(super) fn unmount(point: &Path) -> io::Result<()> {
    let output = Command::new(HELPER).args(["-u", "-z", "--"]).arg(point).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn helper_missing(error: &io::Error) -> MountError {
    match error.kind() {
        io::ErrorKind::NotFound => MountError::new(
            "fusermount3 is not installed, and without root it takes that to mount",
            "install it: apt-get install fuse3 (Debian, Ubuntu), dnf install fuse3 (Fedora)",
        ),
        _ => {
            MountError::new(format!("fusermount3 cannot be started: {error}"), "see the error of the system")
        }
    }
}

/// What the helper says, and what to do about it.
fn refused(stderr: &str) -> MountError {
    let said = stderr.trim();
    let hint = if said.contains("/dev/fuse") || said.contains("modprobe") {
        "load the module (`modprobe fuse` as root) and see that you may read and write /dev/fuse"
    } else if said.contains("user_allow_other") {
        "as root add the line `user_allow_other` to /etc/fuse.conf"
    } else if said.contains("Operation not permitted") || said.contains("not permitted") {
        "fusermount3 must be setuid root, which does not work under no_new_privs or in most containers"
    } else if said.contains("no write access") || said.contains("user has no") {
        "choose a directory of your own for `mount`"
    } else {
        "see the message of fusermount3"
    };
    MountError::new(
        format!("fusermount3 refused: {}", if said.is_empty() { "no reason given" } else { said }),
        hint,
    )
}

/// The descriptor that comes with one byte; `None` when the helper hung up without it.
fn receive(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0; 1];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    recvmsg(socket.as_fd(), &mut buffers, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let fds = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(fds)
}
