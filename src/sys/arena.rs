//! Locked memory for values.
//!
//! Blocks come from mappings that are locked (never swapped), left out of core dumps and not inherited over fork. A block
//! is overwritten when it is dropped. Small blocks share mappings by size class, so that a thousand tokens do not lock a
//! thousand pages.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use zeroize::Zeroize;

/// Smallest block, in bytes.
const SMALLEST: usize = 64;
/// Largest block that shares a mapping, in bytes.
const LARGEST_SHARED: usize = 32 * 1024;
/// Size of a shared mapping, in bytes.
const CHUNK: usize = 128 * 1024;
/// Number of size classes: 64, 128, ... 32 KiB.
const CLASSES: usize = (LARGEST_SHARED / SMALLEST).trailing_zeros() as usize + 1;
/// Size of a page, in bytes. Larger pages only round more up than needed.
const PAGE: usize = 4096;

static FREE: Mutex<[Vec<Slot>; CLASSES]> = Mutex::new([const { Vec::new() }; CLASSES]);
/// The errno with which some of it could not be locked; 0 when all is.
static UNLOCKED: AtomicI32 = AtomicI32::new(0);
/// Whether that was warned of.
static WARNED: AtomicBool = AtomicBool::new(false);

/// The start of a free block. A plain address, so that the lists are `Send`.
struct Slot(NonNull<u8>);

// SAFETY: a slot is an address that nobody else uses until it is taken from its list.
unsafe impl Send for Slot {}

/// A block of bytes in locked memory, overwritten when dropped.
pub struct Block {
    start: NonNull<u8>,
    len: usize,
    room: usize,
}

// SAFETY: a block owns its bytes alone.
unsafe impl Send for Block {}
// SAFETY: a shared block gives its bytes out by shared reference only.
unsafe impl Sync for Block {}

impl Block {
    /// Copies `bytes` into a new block.
    ///
    /// Memory that cannot be locked is used all the same, with one warning that says what to set; memory that cannot be
    /// had at all ends the process as any failed allocation does.
    pub fn copy_from(bytes: &[u8]) -> Self {
        let mut block = Self::zeroed(bytes.len());
        block.as_mut_slice().copy_from_slice(bytes);
        block
    }

    /// A block of `len` zeros, to be written to. Memory is as for [`Block::copy_from`].
    pub fn zeroed(len: usize) -> Self {
        let room = room_for(len);
        // Zero either way: fresh from the kernel, or overwritten when it was given back.
        let start = match class_of(room) {
            None => map(room),
            Some(class) => take(class, room),
        };
        Self { start, len, room }
    }

    /// The bytes, to be written to.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `start` is valid for `len` initialised bytes as long as the block lives, and the block is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` is valid for `len` initialised bytes as long as the block lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.as_mut_slice().zeroize();
        match class_of(self.room) {
            None => {
                // SAFETY: this is the whole mapping that `map(room)` made, and nothing refers to it any more.
                let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.room) };
            }
            Some(class) => {
                if let Some(list) = FREE.lock().get_mut(class) {
                    list.push(Slot(self.start));
                }
            }
        }
    }
}

fn room_for(len: usize) -> usize {
    if len <= LARGEST_SHARED { len.max(SMALLEST).next_power_of_two() } else { len.next_multiple_of(PAGE) }
}

fn class_of(room: usize) -> Option<usize> {
    (room <= LARGEST_SHARED).then(|| (room / SMALLEST).trailing_zeros() as usize)
}

fn take(class: usize, room: usize) -> NonNull<u8> {
    let mut free = FREE.lock();
    let Some(list) = free.get_mut(class) else { return map(room) };
    if let Some(Slot(start)) = list.pop() {
        return start;
    }
    let chunk = map(CHUNK);
    for offset in (room..CHUNK).step_by(room) {
        // SAFETY: the offset lies within the mapping of `CHUNK` bytes.
        list.push(Slot(unsafe { chunk.add(offset) }));
    }
    chunk
}

fn map(size: usize) -> NonNull<u8> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a fresh anonymous mapping touches no memory of ours.
    let mapped = unsafe {
        rustix::mm::mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, flags)
    };
    let Some(start) = mapped.ok().and_then(|start| NonNull::new(start.cast::<u8>())) else {
        std::alloc::handle_alloc_error(
            std::alloc::Layout::from_size_align(size, PAGE)
                .unwrap_or(std::alloc::Layout::new::<[u8; PAGE]>()),
        );
    };
    // SAFETY: the range is the mapping just made; the advice leaves its bytes alone, and so does locking.
    let kept = unsafe {
        rustix::mm::madvise(start.as_ptr().cast(), size, Advice::LinuxDontDump)
            .and_then(|()| rustix::mm::madvise(start.as_ptr().cast(), size, Advice::LinuxDontFork))
            .and_then(|()| rustix::mm::mlock(start.as_ptr().cast(), size))
    };
    if let Err(error) = kept {
        UNLOCKED.store(error.raw_os_error(), Ordering::Relaxed);
        warn_of_unlocked(error.raw_os_error());
    }
    start
}

/// The errno with which memory of this process could not be locked, if some could not.
pub fn unlocked() -> Option<i32> {
    Some(UNLOCKED.load(Ordering::Relaxed)).filter(|errno| *errno != 0)
}

/// Warns that memory cannot be locked, here or in a process that this one started: once.
pub fn warn_of_unlocked(errno: i32) {
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            error = %std::io::Error::from_raw_os_error(errno),
            "memory for secrets cannot be locked and may be swapped out; hint: set `LimitMEMLOCK=infinity` in the unit, or \
             raise `ulimit -l`, or lower `cache_max`"
        );
    }
}

/// Leaves the warning to the process that started this one.
pub fn leave_warning_to_parent() {
    WARNED.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back_whole() {
        for len in [0, 1, 63, 64, 65, 4096, LARGEST_SHARED, LARGEST_SHARED + 1, 1 << 20] {
            let bytes: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
            assert_eq!(Block::copy_from(&bytes).as_slice(), bytes, "{len} bytes");
        }
    }

    #[test]
    fn a_dropped_block_is_overwritten() {
        let block = Block::copy_from(&[0xA5; 200]);
        let (start, room) = (block.start, block.room);
        let class = class_of(room).unwrap();
        drop(block);
        let free = FREE.lock();
        if free[class].iter().any(|slot| slot.0 == start) {
            // SAFETY: the block is on the free list, its mapping stays, and the list is held.
            let left = unsafe { std::slice::from_raw_parts(start.as_ptr(), 200) };
            assert!(left.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn memory_is_left_out_of_core_dumps_and_locked() {
        let block = Block::copy_from(&[1; 100_000]);
        let address = format!("{:x}-", block.start.as_ptr() as usize);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut found, mut ours) = (false, false);
        for line in smaps.lines() {
            if line.split_once('-').is_some_and(|(from, _)| u64::from_str_radix(from, 16).is_ok()) {
                ours = line.starts_with(&address);
            } else if ours && line.starts_with("VmFlags:") {
                found = true;
                assert!(line.contains(" dd"), "not DONTDUMP: {line}");
                assert!(line.contains(" lo") || unlocked().is_some(), "not locked: {line}");
            }
        }
        assert!(found || smaps.contains("VmFlags"), "no mapping at {address}");
    }
}
