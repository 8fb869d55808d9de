//! A table of fixed-size records in a memfd, so that a successor of this process can read what it left behind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Bytes of one record.
pub const RECORD: usize = 128;

/// `slots` records of [`RECORD`] bytes each, zero at first.
pub struct SharedTable {
    fd: OwnedFd,
    slots: usize,
    start: Mutex<Start>,
}

struct Start(NonNull<u8>);

// SAFETY: the mapping lives as long as the table and is only touched under its mutex.
unsafe impl Send for Start {}

impl SharedTable {
    /// A new table. Its memory is touched, and so used, only as far as records are written.
    ///
    /// # Errors
    /// As memfd_create(2), ftruncate(2) and mmap(2).
    pub fn new(name: &str, slots: usize) -> io::Result<Self> {
        let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, (slots * RECORD) as u64)?;
        // Nobody who gets the descriptor can make a read of ours fault.
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::open(fd)
    }

    /// The table behind a descriptor that [`SharedTable::fd`] gave.
    ///
    /// # Errors
    /// As fstat(2) and mmap(2).
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let size = usize::try_from(rustix::fs::fstat(&fd)?.st_size).unwrap_or(0);
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a shared mapping of a descriptor whose size is sealed; it touches no memory of ours.
        let start =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), size, protection, MapFlags::SHARED, &fd, 0)? };
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { fd, slots: size / RECORD, start: Mutex::new(Start(start)) })
    }

    /// How many records there are room for.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The descriptor, to hand on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Writes a record. A slot out of range is ignored.
    pub fn write(&self, slot: usize, record: &[u8; RECORD]) {
        if slot >= self.slots {
            return;
        }
        let start = self.start.lock();
        // SAFETY: the slot lies within the mapping, and the mutex keeps other writers of this process away.
        unsafe {
            std::ptr::copy_nonoverlapping(record.as_ptr(), start.0.as_ptr().add(slot * RECORD), RECORD)
        };
    }

    /// Reads a record. A slot out of range is all zero.
    pub fn read(&self, slot: usize) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        if slot < self.slots {
            let start = self.start.lock();
            // SAFETY: as in `write`.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    start.0.as_ptr().add(slot * RECORD),
                    record.as_mut_ptr(),
                    RECORD,
                );
            }
        }
        record
    }
}

impl Drop for SharedTable {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and nothing refers to it any more.
        let _ = unsafe { rustix::mm::munmap(self.start.lock().0.as_ptr().cast(), self.slots * RECORD) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_writes_another_reads_by_the_descriptor() {
        let table = SharedTable::new("test", 8).unwrap();
        table.write(3, &[7; RECORD]);
        let other = SharedTable::open(table.fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(other.slots(), 8);
        assert_eq!(other.read(3), [7; RECORD]);
        assert_eq!(other.read(4), [0; RECORD]);
        assert_eq!(other.read(8), [0; RECORD]);
    }
}
