//! A byte stream cut into lines without copying them.
//!
//! One growing buffer, three marks. Bytes come in at `end` ([`Framer::fill`]); [`Framer::advance`] moves `cursor` over
//! one line at a time and hands out its [`Line`] (offsets, not a borrow); [`Framer::release`] gives up everything
//! before an offset. Lines that were advanced over but not released stay where they are, so a run of neighbouring
//! lines is forwarded with one write of [`Framer::slice`], and bytes that the receiver has not taken yet need no second
//! buffer. All offsets are offsets in the stream, from 0.

use std::io::{ErrorKind, Read};
use std::ops::Range;

use memchr::memchr;

use crate::error::{Code, Fault};

/// How much one read asks for, and how large the buffer is while lines are short.
pub const CHUNK: usize = 256 * 1024;
/// The line cap when nobody sets one.
pub const DEFAULT_MAX_LINE: usize = 64 * 1024 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// One line's place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Line number from 1.
    pub number: u64,
    /// Offset of its first byte in the stream (after a byte order mark).
    pub start: u64,
    /// Offset behind its last byte; the newline is not part of it.
    pub end: u64,
    /// False for a last line without a newline.
    pub terminated: bool,
    /// A UTF-8 byte order mark stood before it (only ever line 1).
    pub bom: bool,
}

impl Line {
    /// The line without its newline.
    pub fn span(&self) -> Range<u64> {
        self.start..self.end
    }

    /// The line with its newline, if it has one: neighbouring lines' `whole` spans touch.
    pub fn whole(&self) -> Range<u64> {
        self.start..self.end + u64::from(self.terminated)
    }
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes, at least one.
    Read(usize),
    /// The stream has ended.
    End,
    /// A non-blocking source has nothing now.
    WouldBlock,
    /// The buffer holds all it may: advance over lines and release them first.
    Full,
}

/// A line beyond the cap: its number, where it starts, and the first bytes, enough to name its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Line number from 1.
    pub number: u64,
    /// Offset of its first byte in the stream.
    pub start: u64,
    /// At most the first 512 bytes.
    pub head: Vec<u8>,
    /// The cap that it passed.
    pub max_line: usize,
}

impl TooLong {
    /// As a fault with its code.
    pub fn fault(&self) -> Fault {
        Fault {
            code: Code::LineTooLong,
            offset: self.max_line,
            truncated: false,
            reason: "the line is longer than the cap",
        }
    }
}

/// Cuts one stream into lines.
#[derive(Debug)]
pub struct Framer {
    buf: Vec<u8>,
    tail: usize,    // first byte that is kept
    cursor: usize,  // first byte that no line was made of yet
    scanned: usize, // no newline in cursor..scanned
    end: usize,     // behind the last byte read
    base: u64,      // stream offset of buf[0]
    lines: u64,
    max_line: usize,
    chunk: usize,
}

impl Framer {
    /// A framer whose lines may have `max_line` bytes, newline not counted.
    pub fn new(max_line: usize) -> Self {
        Self::with_chunk(max_line, CHUNK)
    }

    /// The same with a chosen read size.
    pub fn with_chunk(max_line: usize, chunk: usize) -> Self {
        let chunk = chunk.max(1);
        Framer {
            buf: Vec::new(),
            tail: 0,
            cursor: 0,
            scanned: 0,
            end: 0,
            base: 0,
            lines: 0,
            max_line,
            chunk,
        }
    }

    /// Read once from `source`. Interrupted reads are tried again.
    pub fn fill<R: Read>(&mut self, source: &mut R) -> std::io::Result<Fill> {
        let space = self.space();
        if space.is_empty() {
            return Ok(Fill::Full);
        }
        loop {
            match source.read(space) {
                Ok(0) => return Ok(Fill::End),
                Ok(n) => {
                    self.filled(n);
                    return Ok(Fill::Read(n));
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Fill::WouldBlock),
                Err(e) => return Err(e),
            }
        }
    }

    /// Where the next bytes may be written; follow with [`Framer::filled`]. Empty when the buffer is full.
    ///
    /// I10: an unfinished line never takes more than the cap plus the one byte that proves it too long, and kept lines
    /// never more than the larger of the cap and one chunk on top.
    pub fn space(&mut self) -> &mut [u8] {
        let line_room = (self.max_line.saturating_add(1)).saturating_sub(self.end - self.cursor);
        let most = self
            .max_line
            .saturating_add(1)
            .saturating_add(self.chunk.max(self.max_line));
        let room = most.saturating_sub(self.end - self.tail).min(line_room).min(self.chunk);
        if room == 0 {
            return &mut [];
        }
        // A little room at the end is worth a short read; moving the bytes down for it is not.
        if self.buf.len() - self.end < room.min(self.chunk / 4).max(1) {
            self.compact();
            if self.buf.len() - self.end < room.min(self.chunk / 4).max(1) {
                let doubled = self.buf.len().saturating_mul(2).min(most);
                self.buf
                    .resize(doubled.max(self.end + room).max(self.chunk.min(most)), 0);
            }
        }
        let stop = self.buf.len().min(self.end + room);
        &mut self.buf[self.end..stop]
    }

    /// `n` bytes were written into [`Framer::space`].
    pub fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buf.len());
    }

    /// The next complete line, if the buffer holds one.
    pub fn advance(&mut self) -> Result<Option<Line>, TooLong> {
        match memchr(b'\n', &self.buf[self.scanned..self.end]) {
            Some(at) => {
                let stop = self.scanned + at;
                self.line(stop, true).map(Some)
            }
            None => {
                self.scanned = self.end;
                match self.end - self.cursor > self.max_line {
                    true => Err(self.too_long()),
                    false => Ok(None),
                }
            }
        }
    }

    /// At the end of the stream: the last line, if it has no newline. Call it when [`Framer::advance`] has no more.
    pub fn last(&mut self) -> Result<Option<Line>, TooLong> {
        if self.cursor == self.end {
            return Ok(None);
        }
        self.line(self.end, false).map(Some)
    }

    fn line(&mut self, stop: usize, terminated: bool) -> Result<Line, TooLong> {
        if stop - self.cursor > self.max_line {
            return Err(self.too_long());
        }
        let bom = self.base + self.cursor as u64 == 0 && self.buf[self.cursor..stop].starts_with(BOM);
        let start = self.cursor + if bom { BOM.len() } else { 0 };
        self.lines += 1;
        self.cursor = stop + usize::from(terminated);
        self.scanned = self.cursor;
        Ok(Line {
            number: self.lines,
            start: self.base + start as u64,
            end: self.base + stop as u64,
            terminated,
            bom,
        })
    }

    fn too_long(&self) -> TooLong {
        let head = self.buf[self.cursor..self.end.min(self.cursor + 512)].to_vec();
        TooLong {
            number: self.lines + 1,
            start: self.base + self.cursor as u64,
            head,
            max_line: self.max_line,
        }
    }

    /// The bytes of a span that was advanced over and not released yet.
    ///
    /// # Panics
    /// When the span was released already or was never read: a mistake in the caller, never in the data.
    pub fn slice(&self, span: Range<u64>) -> &[u8] {
        assert!(
            span.start >= self.base + self.tail as u64 && span.end <= self.base + self.end as u64,
            "span not held"
        );
        &self.buf[(span.start - self.base) as usize..(span.end - self.base) as usize]
    }

    /// Give up everything before `offset` (at most what was advanced over).
    pub fn release(&mut self, offset: u64) {
        let to = (offset.saturating_sub(self.base) as usize).min(self.cursor);
        self.tail = self.tail.max(to);
        if self.tail == self.end {
            self.base += self.end as u64;
            (self.tail, self.cursor, self.scanned, self.end) = (0, 0, 0, 0);
            if self.buf.len() > 4 * self.chunk {
                self.buf = Vec::new();
            }
        }
    }

    /// Give up all lines that were advanced over.
    pub fn release_all(&mut self) {
        self.release(self.position());
    }

    /// Offset behind the last line that was advanced over.
    pub fn position(&self) -> u64 {
        self.base + self.cursor as u64
    }

    /// Bytes read so far: the stream's offset behind the last byte in the buffer.
    pub fn bytes_read(&self) -> u64 {
        self.base + self.end as u64
    }

    /// Bytes held: lines not released, and the start of the next one.
    pub fn held(&self) -> usize {
        self.end - self.tail
    }

    /// Bytes of the line that is not complete yet.
    pub fn partial(&self) -> usize {
        self.end - self.cursor
    }

    /// Lines handed out so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Size of the buffer now.
    pub fn capacity(&self) -> usize {
        self.buf.len()
    }

    fn compact(&mut self) {
        if self.tail == 0 {
            return;
        }
        self.buf.copy_within(self.tail..self.end, 0);
        self.base += self.tail as u64;
        self.cursor -= self.tail;
        self.scanned -= self.tail;
        self.end -= self.tail;
        self.tail = 0;
    }
}
