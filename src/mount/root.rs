//! The mount for the whole host: a read-write superblock with a private mount, and the public read-only clone of it.
//!
//! A superblock that is read-only cannot be made writable by another mount of it (measured on Linux 6.18), so only the
//! public mount is.

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
    let private = superblock(&fuse).map_err(|error| {
        MountError::new(
            format!("the kernel does not make a FUSE mount: {error}"),
            "it takes CAP_SYS_ADMIN and Linux 5.12 or later; in a container: --cap-add SYS_ADMIN --device /dev/fuse",
        )
    })?;
    publish(&private, point).map_err(|error| MountError::io("cannot mount at", point, &error))?;
    Ok((fuse, private))
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

fn superblock(fuse: &OwnedFd) -> io::Result<OwnedFd> {
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
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Clones the private mount, makes the clone read-only while nobody can reach it, and moves it to its place.
fn publish(private: &OwnedFd, point: &Path) -> io::Result<()> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let public = open_tree(private, "", flags)?;
    mountattr::make_read_only(public.as_fd())?;
    move_mount(&public, "", CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Detaches what is mounted at `point`.
pub(super) fn unmount(point: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}
