//! Lines of a plugin's log output: cut at a cap, the rest of an overlong line skipped, never more than the cap held.

use memchr::memchr;

/// One line of output.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the newline; at most the cap.
    pub bytes: &'a [u8],
    /// It was longer.
    pub cut: bool,
}

/// Splits output into lines.
#[derive(Debug)]
pub struct Lines {
    cap: usize,
    held: Vec<u8>,
    skipping: bool,
}

impl Lines {
    /// Lines of at most `cap` bytes.
    pub fn new(cap: usize) -> Lines {
        Lines {
            cap,
            held: Vec::new(),
            skipping: false,
        }
    }

    /// Takes more output and hands each complete line to `each`.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(at) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..at], &bytes[at + 1..]);
            bytes = rest;
            if self.held.is_empty() && !self.skipping {
                each(Line {
                    bytes: &line[..line.len().min(self.cap)],
                    cut: line.len() > self.cap,
                });
                continue;
            }
            self.hold(line);
            each(Line {
                bytes: &self.held,
                cut: self.skipping,
            });
            self.reset();
        }
        self.hold(bytes);
    }

    /// At the end: a last line without a newline.
    pub fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.held.is_empty() {
            each(Line {
                bytes: &self.held,
                cut: self.skipping,
            });
        }
        self.reset();
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = self.cap - self.held.len();
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.skipping |= bytes.len() > room;
    }

    fn reset(&mut self) {
        self.skipping = false;
        match self.held.capacity() > 1 << 20 {
            true => self.held = Vec::new(),
            false => self.held.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]], cap: usize) -> Vec<(String, bool)> {
        let mut lines = Lines::new(cap);
        let mut out = Vec::new();
        let mut each = |line: Line<'_>| out.push((String::from_utf8_lossy(line.bytes).into_owned(), line.cut));
        for chunk in chunks {
            lines.feed(chunk, &mut each);
        }
        lines.finish(&mut each);
        out
    }

    #[test]
    fn lines_across_reads() {
        let expected = [("ab".to_string(), false), (String::new(), false), ("c".into(), false)];
        assert_eq!(split(&[b"a", b"b\n\nc"], 10), expected);
    }

    #[test]
    fn overlong_lines_are_cut_and_the_next_is_whole() {
        let expected = [("abcd".to_string(), true), ("ef".into(), false)];
        assert_eq!(split(&[b"abcdefgh", b"ijkl\nef\n"], 4), expected);
        assert_eq!(split(&[b"abcdefghijkl\nef"], 4), expected);
    }

    #[test]
    fn a_flood_without_newlines_is_bounded() {
        let mut lines = Lines::new(100);
        for _ in 0..10_000 {
            lines.feed(&[b'x'; 1000], |_| panic!("no line yet"));
        }
        assert!(lines.held.capacity() <= 1000);
    }
}
