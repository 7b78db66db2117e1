//! Where whole lines are written: a file, or a pipe, terminal or socket that somebody reads.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What a pipe takes in one piece even when several workers write to it (`PIPE_BUF`).
pub(crate) const PIECE: usize = 4096;

/// What lines are written to.
///
/// A regular file gets them all at once, so it must be opened to append: the kernel then keeps the
/// writes of different workers apart. Anything else gets whole lines in pieces of at most
/// [`PIECE`] bytes, which the kernel does not tear; a longer line may be mixed with others.
#[derive(Debug)]
pub(crate) struct LineTarget {
    file: File,
    is_regular: bool,
    /// The last write ended within a line; the next one must begin with an end of line.
    is_torn: bool,
}

impl LineTarget {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        let file = File::from(fd);
        let is_regular = file.metadata().is_ok_and(|found| found.is_file());
        Self {
            file,
            is_regular,
            is_torn: false,
        }
    }

    /// Whether it is a file, which takes everything at once.
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.file.is_terminal()
    }

    /// Writes lines, waiting for the reader; says how many bytes were written before it failed.
    pub(crate) fn write_lines(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < lines.len() {
            let piece = self.piece(&lines[written..]);
            match self.write_piece(piece) {
                Ok(count) => written += count,
                Err(error) => {
                    self.is_torn |= !matches!(lines[..written].last(), None | Some(b'\n'));
                    return (written, Err(error));
                }
            }
        }
        (written, Ok(()))
    }

    /// The lines that go into one write.
    fn piece<'a>(&self, lines: &'a [u8]) -> &'a [u8] {
        if self.is_regular || lines.len() <= PIECE {
            return lines;
        }
        let end_of_line = |byte: &u8| *byte == b'\n';
        let end = lines[..PIECE].iter().rposition(end_of_line);
        let end = end.or_else(|| lines.iter().position(end_of_line));
        end.map_or(lines, |end| &lines[..=end])
    }

    fn write_piece(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.is_torn {
            self.write(b"\n")?;
            self.is_torn = false;
        }
        self.write(piece)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the pipe has made it so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room()?,
                Err(error) => return Err(error),
            }
        }
    }

    fn wait_for_room(&self) -> io::Result<()> {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// How many lines these are.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    // Sums of bytes are what the processor adds up sixteen or more at a time.
    let in_piece = |piece: &[u8]| {
        piece
            .iter()
            .map(|byte| u8::from(*byte == b'\n'))
            .sum::<u8>()
    };
    bytes
        .chunks(255)
        .map(|piece| u64::from(in_piece(piece)))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    #[test]
    fn a_pipe_gets_whole_lines_in_small_pieces() {
        let (_reader, writer) = io::pipe().unwrap();
        let target = LineTarget::new(writer.into());
        let long = format!("{}\n", "x".repeat(5000));
        let short = format!("{}{}\nc\n", "a\n".repeat(2000), "b".repeat(94));
        let lines = format!("{short}{long}end\n");
        let mut rest = lines.as_bytes();
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let piece = target.piece(rest);
            assert!(piece.ends_with(b"\n"));
            sizes.push(piece.len());
            rest = &rest[piece.len()..];
        }
        assert_eq!(sizes, [4000 + 95, 2, 5001, 4]);
    }

    #[test]
    fn a_pipe_that_does_not_block_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut target = LineTarget::new(writer.into());
        let lines = "0123456789\n".repeat(100_000);
        let text = std::thread::scope(|scope| {
            let read = scope.spawn(move || {
                let mut text = String::new();
                reader.read_to_string(&mut text).unwrap();
                text
            });
            let (written, result) = target.write_lines(lines.as_bytes());
            assert!(result.is_ok() && written == lines.len());
            drop(target);
            read.join().unwrap()
        });
        assert!(text == lines);
    }

    #[test]
    fn half_a_line_at_the_end_of_a_full_disk_is_ended_before_the_next() {
        let full = File::from(memfd_create("full", MFdFlags::MFD_ALLOW_SEALING).unwrap());
        full.set_len(4096).unwrap();
        fcntl(&full, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
        let mut target = LineTarget::new(full.into());
        let lines = format!("{}\n", "x".repeat(3000)).repeat(2);
        let (written, result) = target.write_lines(lines.as_bytes());
        assert_eq!((written, result.is_err()), (4096, true));
        let (reader, writer) = io::pipe().unwrap();
        target.file = File::from(OwnedFd::from(writer));
        assert!(target.write_lines(b"next\n").1.is_ok());
        drop(target);
        assert_eq!(io::read_to_string(reader).unwrap(), "\nnext\n");
    }
}
