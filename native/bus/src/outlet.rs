//! The outgoing side of a hop: what passed, until the receiver has taken it, and with a spill until a bookmark covers it.
//!
//! Without a spill the framer's buffer holds what waits, as spans of it; with one it is moved there. Either way the bytes
//! that are handed over go into the books of the target's edge ([`crate::tally`]), and, where one is asked for, every line
//! into a copy.

use crate::ledger::Ledger;
use crate::resume::Schemas;
use crate::spill::Spill;
use crate::tally::{Entry, Tally};
use crate::verdict::Failure;
use singer_protocol::framing::{Framer, Line};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;

/// More waiting bytes than this, and nothing is read.
const ENOUGH: u64 = 128 << 10;
/// Lines of our own making wait as one piece until they are so many bytes.
const TOGETHER: usize = 32 << 10;
/// More waiting pieces than this (junk lies between them), and no further line is judged.
const MOST_PIECES: usize = 1024;

/// What waits to be written, where there is no spill.
#[derive(Debug)]
enum Piece {
    /// Bytes of the framer's buffer, as they came.
    Span(Range<u64>),
    /// Lines of our own making, and how much of them is written.
    Own(Vec<u8>, usize),
}

/// The outgoing side of one hop.
#[derive(Default)]
pub struct Outlet {
    ready: VecDeque<Piece>,
    owed_newline: bool,
    accepted: u64,
    pub(crate) written: u64,
    /// Where every line goes as well, and what went wrong there.
    copy: Option<Box<dyn Write>>,
    trouble: Option<Failure>,
    /// What the receiver may need again.
    pub(crate) spill: Option<Spill>,
    pub(crate) schemas: Schemas,
    /// What a receiver that was started again reads first, and how much of it it has.
    pub(crate) preamble: (Vec<u8>, usize),
    /// The receiver is gone: only the spill is filled.
    pub(crate) parked: bool,
    /// Nothing behind this offset is handed over yet.
    pub stop_at: Option<u64>,
    /// What is not handed over again: from, to.
    skips: VecDeque<Range<u64>>,
    /// The books, at the target's edge.
    tally: Option<Tally>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outlet({} of {}, {:?})", self.written, self.accepted, self.spill)
    }
}

impl Outlet {
    /// Nothing waits. `edge`: it leads to the target.
    pub fn new(edge: bool) -> Outlet {
        Outlet {
            tally: edge.then(Tally::default),
            ..Outlet::default()
        }
    }

    /// The same, where the receiver can be started again.
    pub fn with_spill(self, spill: Option<Spill>) -> Outlet {
        Outlet { spill, ..self }
    }

    /// The same, where every line is copied.
    pub fn with_copy(self, copy: Option<Box<dyn Write>>) -> Outlet {
        Outlet { copy, ..self }
    }

    /// Forwards a line as it came.
    pub fn accept(&mut self, framer: &mut Framer, line: &Line, entry: Entry) {
        let whole = line.whole();
        self.accepted += line.end - line.start + 1;
        self.note(framer.slice(line.span()), entry);
        if let Some(spill) = &mut self.spill {
            spill.push(framer.slice(line.span()));
            framer.release(whole.end);
            return;
        }
        self.owed_newline = !line.terminated;
        match self.ready.back_mut() {
            Some(Piece::Span(run)) if run.end == whole.start => run.end = whole.end,
            _ => self.ready.push_back(Piece::Span(whole)),
        }
    }

    /// Forwards a line of our own making (without its newline).
    pub fn send(&mut self, mut line: Vec<u8>, entry: Entry) {
        self.accepted += line.len() as u64 + 1;
        self.note(&line, entry);
        if let Some(spill) = &mut self.spill {
            spill.push(&line);
            return;
        }
        if std::mem::take(&mut self.owed_newline) {
            line.insert(0, b'\n');
        }
        line.push(b'\n');
        match self.ready.back_mut() {
            // One write for many.
            Some(Piece::Own(waiting, _)) if waiting.len() < TOGETHER => waiting.extend_from_slice(&line),
            _ => self.ready.push_back(Piece::Own(line, 0)),
        }
    }

    /// A SCHEMA is about to be forwarded: a receiver that is started again must know it.
    pub fn declare(&mut self, stream: usize, repeated: bool, line: &[u8]) {
        if self.spill.is_some() && !repeated {
            self.schemas.sent(stream, self.accepted, line);
        }
    }

    /// Lines were judged and not forwarded: their bytes need not be kept.
    pub fn skip(&mut self, framer: &mut Framer) {
        if self.ready.is_empty() {
            framer.release(framer.position());
        }
    }

    fn note(&mut self, line: &[u8], entry: Entry) {
        if let Some(tally) = &mut self.tally {
            tally.expect(entry);
        }
        if let Some(copy) = &mut self.copy {
            if let Err(e) = copy.write_all(line).and_then(|()| copy.write_all(b"\n")) {
                (self.copy, self.trouble) = (None, Some(copy_failure(&e)));
            }
        }
    }

    /// Whether the copy is whole. Call it when no more lines come.
    pub fn finish_copy(&mut self) -> Option<Failure> {
        let mut copy = self.copy.take()?;
        copy.flush().err().map(|e| copy_failure(&e))
    }

    /// What went wrong beside the lines themselves.
    pub fn trouble(&mut self) -> Option<Failure> {
        let damaged = self.spill.as_ref().and_then(Spill::broken).map(|why| {
            let message = format!("what was kept for the receiver cannot be read back: {why}");
            Failure::run("delivery.interrupted", message)
        });
        self.trouble.take().or(damaged)
    }

    /// Bytes that were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Bytes that the receiver was given, as offsets in what it reads: a receiver that was started again begins where it
    /// goes on.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The first beginning of a line that is not before this offset.
    pub fn line_from(&mut self, offset: u64) -> u64 {
        self.spill.as_mut().map_or(offset, |spill| spill.line_from(offset))
    }

    /// The line that begins there, without its newline.
    pub fn line_at(&mut self, offset: u64) -> Vec<u8> {
        self.spill.as_mut().map_or_else(Vec::new, |spill| spill.line_at(offset))
    }

    /// These lines are not handed over any more.
    pub(crate) fn skip_lines(&mut self, lines: Range<u64>) {
        match self.skips.back_mut() {
            Some(last) if last.end == lines.start => last.end = lines.end,
            _ => self.skips.push_back(lines),
        }
    }

    /// Everything before this offset is covered by a bookmark.
    pub(crate) fn confirm(&mut self, offset: u64) {
        if let Some(spill) = &mut self.spill {
            spill.confirm(offset);
        }
        self.schemas.confirm(offset);
        while self.skips.front().is_some_and(|lines| lines.end <= offset) {
            self.skips.pop_front();
        }
    }

    /// How many bytes may be handed over before the next that may not.
    fn room(&self) -> usize {
        let at = self.written;
        let next = self.skips.iter().map(|lines| lines.start).find(|start| *start >= at);
        let stop = self.stop_at.into_iter().chain(next).min().unwrap_or(u64::MAX);
        usize::try_from(stop.saturating_sub(at)).unwrap_or(usize::MAX)
    }

    /// Passes over what is not handed over.
    pub(crate) fn pass_over(&mut self, ledger: &mut Ledger) {
        while let Some(end) = self
            .skips
            .iter()
            .find(|lines| lines.contains(&self.written))
            .map(|lines| lines.end)
        {
            let Some(spill) = &mut self.spill else { return };
            let bytes = spill.pending();
            let count = bytes.len().min((end - self.written) as usize);
            if count == 0 {
                return;
            }
            if let Some(tally) = &mut self.tally {
                tally.handed(self.written, &bytes[..count], |before| ledger.handed(before));
            }
            spill.advance(count);
            self.written += count as u64;
        }
    }

    /// Bytes accepted and not written.
    fn waiting(&self) -> u64 {
        if let Some(spill) = &self.spill {
            return spill.end() - spill.cursor();
        }
        let size = |piece: &Piece| match piece {
            Piece::Span(span) => span.end - span.start,
            Piece::Own(line, written) => (line.len() - written) as u64,
        };
        self.ready.iter().map(size).sum::<u64>() + u64::from(self.owed_newline)
    }

    /// Whether more should be read.
    pub fn hungry(&self) -> bool {
        match &self.spill {
            Some(spill) if self.parked => !spill.full(),
            _ => self.waiting() < ENOUGH && !self.scattered(),
        }
    }

    /// Whether what waits is in too many pieces for more to be judged.
    pub fn scattered(&self) -> bool {
        self.ready.len() >= MOST_PIECES
    }

    /// The receiver has gone and may come back: what waits stays, and more is taken as long as there is room.
    pub fn park(&mut self) {
        self.parked = true;
    }

    /// Forgets what waits.
    pub fn discard(&mut self) {
        self.ready.clear();
        self.owed_newline = false;
        self.spill = None;
        self.preamble = (Vec::new(), 0);
    }

    /// The next bytes to write.
    pub fn pending<'a>(&'a self, framer: &'a Framer) -> &'a [u8] {
        if let Some(spill) = &self.spill {
            let (preamble, at) = &self.preamble;
            return match self.parked {
                true => b"",
                false if *at < preamble.len() => &preamble[*at..],
                false => {
                    let bytes = spill.pending();
                    &bytes[..bytes.len().min(self.room())]
                }
            };
        }
        match self.ready.front() {
            Some(Piece::Span(span)) => framer.slice(span.clone()),
            Some(Piece::Own(line, written)) => &line[*written..],
            None if self.owed_newline => b"\n",
            None => b"",
        }
    }

    /// Where in the framer's bytes the pending ones stand, if they do.
    pub fn pending_from(&self) -> Option<u64> {
        match self.ready.front() {
            Some(Piece::Span(span)) => Some(span.start),
            Some(Piece::Own(..)) | None => None,
        }
    }

    /// So many of the pending bytes were written.
    pub fn wrote(&mut self, count: usize, framer: &mut Framer, ledger: &mut Ledger) {
        if self.preamble.1 < self.preamble.0.len() {
            self.preamble.1 += count;
            if self.preamble.1 == self.preamble.0.len() {
                self.preamble = (Vec::new(), 0);
            }
            return;
        }
        if let Some(mut tally) = self.tally.take() {
            let bytes = &self.pending(framer)[..count];
            tally.handed(self.written, bytes, |before| ledger.handed(before));
            self.tally = Some(tally);
        }
        self.written += count as u64;
        if let Some(spill) = &mut self.spill {
            spill.advance(count);
            self.pass_over(ledger);
            return;
        }
        let done = match self.ready.front_mut() {
            None => {
                self.owed_newline &= count == 0;
                return;
            }
            Some(Piece::Span(span)) => {
                span.start += count as u64;
                span.is_empty()
            }
            Some(Piece::Own(line, written)) => {
                *written += count;
                *written == line.len()
            }
        };
        if done {
            self.ready.pop_front();
        }
        let mut spans = self.ready.iter();
        let next = spans.find_map(|piece| match piece {
            Piece::Span(span) => Some(span.start),
            Piece::Own(..) => None,
        });
        framer.release(next.unwrap_or(framer.position()));
    }
}

fn copy_failure(error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let code = if full { "env.disk_full" } else { "env.copy" };
    Failure::run(
        code,
        format!("the copy of what is delivered cannot be written: {error}"),
    )
}
