//! Lines on their way to a descriptor.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::audit::line::Line;

/// Memory beyond this is given back after a burst.
const KEPT: usize = 1 << 20;

/// How long a full non-blocking descriptor is waited for before it counts as failed.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Encoded lines, of which the first `done` bytes are handed over.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    done: usize,
}

impl Buffer {
    /// Appends a line.
    pub(super) fn add(&mut self, line: &Line) {
        line.append_to(&mut self.bytes);
    }

    /// Writes everything: in one write(2) where the other side takes it, and a short write is finished.
    pub(super) fn write_to(&mut self, out: impl AsFd) -> io::Result<()> {
        self.write_pieces(out, usize::MAX)
    }

    /// Writes everything in whole lines of at most `most` bytes together (a longer line goes alone): what a pipe takes in one
    /// piece (`PIPE_BUF`) is not torn by what others write to it.
    pub(super) fn write_pieces(&mut self, out: impl AsFd, most: usize) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.done..).filter(|rest| !rest.is_empty()) {
            match rustix::io::write(&out, piece(rest, most)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.done = self.done.saturating_add(n),
                Err(Errno::INTR) => {}
                // Whoever shares the descriptor has made it non-blocking.
                Err(Errno::AGAIN) => {
                    let mut fds = [PollFd::new(&out, PollFlags::OUT)];
                    if rustix::event::poll(&mut fds, Some(&PATIENCE))? == 0 {
                        return Err(Errno::AGAIN.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.done = 0;
        Ok(())
    }

    /// Goes back to the start of a line that is handed over in part: another file must begin with a whole one.
    pub(super) fn back_to_line(&mut self) {
        let done = self.bytes.get(..self.done).unwrap_or_default();
        self.done = done.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
    }

    /// Ends a torn line that is already in the file. Only while nothing is handed over.
    pub(super) fn end_torn_line(&mut self) {
        self.bytes.insert(self.done, b'\n');
    }
}

/// The first whole lines of `lines` that have at most `most` bytes together, or the first line if that is longer.
fn piece(lines: &[u8], most: usize) -> &[u8] {
    let Some(head) = lines.get(..most) else { return lines };
    let is_end = |byte: &u8| *byte == b'\n';
    let end = head.iter().rposition(is_end).or_else(|| lines.iter().position(is_end));
    end.and_then(|end| lines.get(..=end)).unwrap_or(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines() {
        assert_eq!(piece(b"one\ntwo\nthree\n", 9), b"one\ntwo\n");
        assert_eq!(piece(b"one\ntwo\n", 8), b"one\ntwo\n");
        assert_eq!(piece(b"long line\ntwo\n", 4), b"long line\n");
        assert_eq!(piece(b"one\n", usize::MAX), b"one\n");
    }

    #[test]
    fn a_line_handed_over_in_part_is_repeated_whole_in_another_file() {
        let mut buffer = Buffer { bytes: b"one\ntwo\n".to_vec(), done: 6 };
        buffer.back_to_line();
        assert_eq!(buffer.done, 4);
        buffer.done = 2;
        buffer.back_to_line();
        assert_eq!(buffer.done, 0);
    }

    #[test]
    fn a_full_device_is_an_error_and_nothing_is_forgotten() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut buffer = Buffer { bytes: b"one\n".to_vec(), done: 0 };
        buffer.write_to(&full).unwrap_err();
        let mut file = tempfile::tempfile().unwrap();
        buffer.write_to(&file).unwrap();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "one\n");
    }
}
