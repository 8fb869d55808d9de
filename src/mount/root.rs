//! The mount for the whole host: a read-write superblock with a public read-only mount, and a private writable clone of it.
//!
//! A superblock that is read-only cannot be made writable by another mount of it (measured on Linux 6.18), so only the
//! public mount is. It is the private one that is the clone: before Linux 6.15 or so only what is in its place can be
//! cloned (`EINVAL` measured on 6.1 and 6.12).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::MountError;
use crate::sys::mountattr;

/// Mounts, and gives the FUSE descriptor and the private mount.
pub(super) fn mount(point: &Path) -> Result<(OwnedFd, OwnedFd), MountError> {
    let fuse = open_device()?;
    let public = public(&fuse).map_err(|error| {
        MountError::new(
            format!("the kernel does not make a FUSE mount: {error}"),
            "it takes CAP_SYS_ADMIN and Linux 5.12 or later; in a container: --cap-add SYS_ADMIN --device /dev/fuse",
        )
    })?;
    let cannot = |error: io::Error| MountError::io("cannot mount at", point, &error);
    move_mount(&public, "", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|error| cannot(error.into()))?;
    let private = private(&public).map_err(|error| {
        // Nobody serves it, so nothing may be left of it.
        let _ = unmount(point);
        cannot(error)
    })?;
    Ok((fuse, private))
}

/// Warns where the host will not see the mount: some settings of a unit (`PrivateTmp=`, `ProtectSystem=`) give the daemon a
/// mount namespace of its own.
pub(super) fn warn_of_a_namespace() {
    let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    if let (Some(init), Some(ours)) = (of("1"), of("self"))
        && init != ours
    {
        tracing::warn!(
            "hushfs runs in a mount namespace of its own, and the mount is seen in there alone; hint: leave out of the unit \
             what makes one (PrivateTmp=, ProtectSystem= and the like)"
        );
    }
}

/// Opens /dev/fuse.
fn open_device() -> Result<OwnedFd, MountError> {
    let path = Path::new("/dev/fuse");
    rustix::fs::openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|error| {
        MountError::new(
            format!("cannot open /dev/fuse: {error}"),
            "load the module (`modprobe fuse`); in a container: --device /dev/fuse",
        )
    })
}

/// A new file system and the mount of it that will be public, read-only from the first moment.
fn public(fuse: &OwnedFd) -> io::Result<OwnedFd> {
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    fsconfig_set_string(context, "fd", fuse.as_raw_fd().to_string())?;
    for (key, value) in [
        ("source", "hushfs"),
        ("subtype", "hushfs"),
        ("rootmode", "40000"),
        ("user_id", "0"),
        ("group_id", "0"),
    ] {
        fsconfig_set_string(context, key, value)?;
    }
    fsconfig_set_flag(context, "allow_other")?;
    fsconfig_set_flag(context, "default_permissions")?;
    fsconfig_create(context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// A writable clone that is nowhere to be seen.
fn private(public: &OwnedFd) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let private = open_tree(public, "", flags)?;
    mountattr::make_private_and_writable(private.as_fd())?;
    Ok(private)
}

/// Detaches what is mounted at `point`.
pub(super) fn unmount(point: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}
