//! What a call leaves behind on the stack.

use zeroize::Zeroize;

/// How far below its own frame a call is taken to reach, in bytes: parsers and ciphers, not optimised, on a thread whose
/// stack has two mebibytes.
const REACH: usize = 256 << 10;

/// Runs `call`, then overwrites the stack that it used.
///
/// For what handles values in the clear: ciphers work on copies in local arrays, which nobody wipes, and a thread of a
/// pool may sleep on top of them for hours.
pub fn wiped_after<T>(call: impl FnOnce() -> T) -> T {
    let result = apart(call);
    overwrite();
    result
}

/// Not inlined, so that the frames of `call` lie below ours, where they are overwritten.
#[inline(never)]
fn apart<T>(call: impl FnOnce() -> T) -> T {
    call()
}

#[inline(never)]
fn overwrite() {
    // In words: a rendered file waits for this.
    let mut below = [0_u64; REACH / size_of::<u64>()];
    below.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn leave(value: u8) -> usize {
        let local = std::hint::black_box([value; 4096]);
        std::hint::black_box(&local).as_ptr() as usize
    }

    fn is_left(at: usize, value: u8) -> bool {
        // Read through the kernel, which does not mind that the frame is gone.
        use std::os::unix::fs::FileExt;
        let mut found = [0; 4096];
        std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut found, at as u64).unwrap();
        found.iter().filter(|byte| **byte == value).count() > 1000
    }

    #[test]
    fn local_arrays_do_not_outlive_the_call() {
        // Far enough down that reading it does not overwrite it.
        #[inline(never)]
        fn deep(levels: u32) -> usize {
            let room = std::hint::black_box([0_u8; 16 << 10]);
            let at = if levels == 0 { leave(0xA5) } else { deep(levels - 1) };
            std::hint::black_box(&room);
            at
        }
        let left = deep(4);
        assert!(is_left(left, 0xA5), "without it the bytes stay, so this test can tell");
        let wiped = wiped_after(|| deep(4));
        assert!(!is_left(wiped, 0xA5));
    }
}
