//! Lines with their place in the file.

use std::io::Read;

use memchr::{memchr, memrchr};
use singer_plugin::texts::mark::Place;
use singer_plugin::texts::shared::Text;
use singer_plugin::texts::source::{explain, Facts, Meter};
use singer_plugin::{wire_json, PluginError, Result};

use crate::settings::Settings;

/// The buffer to read into; it grows to the longest line.
const BUFFER: usize = 512 * 1024;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A JSON object: where it is in the buffer.
    Object(usize, usize),
    /// White space.
    Blank,
    /// Neither: the error's code and the reason.
    Bad(&'static str, &'static str),
    /// The file's last line has no end yet, and is no JSON: somebody may be writing it.
    Unfinished,
}

/// Reads one file's lines.
pub struct Lines {
    text: Box<dyn Read>,
    facts: Facts,
    meter: Meter,
    max_line: usize,
    buffer: Vec<u8>,
    /// What of the buffer is to come.
    start: usize,
    end: usize,
    /// Up to here the buffer is known to be UTF-8.
    clean: usize,
    ended: bool,
    place: Place,
}

impl Lines {
    /// The lines of a file from its beginning.
    pub fn open(facts: &Facts, settings: &Settings) -> Result<Self> {
        match Lines::resume(facts, settings, Place::default())? {
            Some(lines) => Ok(lines),
            None => unreachable!("nothing comes before the beginning"),
        }
    }

    /// The lines of a file from a place where a line ended; none when the line before it has grown since.
    pub fn resume(facts: &Facts, settings: &Settings, from: Place) -> Result<Option<Self>> {
        let Some(Text { read, before, meter }) = settings.shared.text(facts, from)? else {
            return Ok(None);
        };
        let mut lines = Lines {
            text: read,
            facts: facts.clone(),
            meter,
            max_line: settings.max_line,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            clean: 0,
            ended: false,
            place: from,
        };
        if !matches!(before, None | Some(b'\n')) {
            // The last line had no newline: it comes now, or the line is another one.
            while lines.start == lines.end && !lines.ended {
                lines.fill()?;
            }
            match lines.buffer[lines.start..lines.end].first() {
                None => {}
                Some(b'\n') => {
                    lines.start += 1;
                    lines.place.bytes += 1;
                }
                Some(b'\r') if lines.end - lines.start == 1 || lines.buffer[lines.start + 1] == b'\n' => {}
                Some(_) => return Ok(None),
            }
        }
        Ok(Some(lines))
    }

    /// The place behind the last line.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The bytes of an object.
    pub fn bytes(&self, from: usize, to: usize) -> &[u8] {
        &self.buffer[from..to]
    }

    /// An error about the last line.
    pub fn error(&self, code: &'static str, what: &str) -> PluginError {
        PluginError::data(
            code,
            format!("{} line {}: {what}", self.facts.found.address, self.place.lines),
        )
    }

    /// The error about a last line that is [`Line::Unfinished`].
    pub fn unfinished(&self) -> PluginError {
        let (at, line) = (&self.facts.found.address, self.place.lines + 1);
        let what = "the last line is cut short: perhaps it is still being written";
        PluginError::data("data.bad_source", format!("{at} line {line}: {what}"))
            .hint("run it again when it is whole, or set on_bad_line: skip")
    }

    /// The next line; none at the end.
    pub fn next(&mut self) -> Result<Option<Line>> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[searched..self.end]) {
                let (from, to) = (self.start, searched + at);
                self.start = to + 1;
                self.count(to + 1 - from);
                return Ok(Some(self.judge(from, to)));
            }
            let seen = self.end - self.start;
            if self.ended {
                return Ok(self.last());
            }
            if seen > self.max_line {
                return self.skip_long().map(Some);
            }
            self.fill()?;
            searched = self.start + seen;
        }
    }

    /// What stands behind the last newline.
    fn last(&mut self) -> Option<Line> {
        let (from, to) = (self.start, self.end);
        if from == to {
            return None;
        }
        self.start = to;
        match self.judge(from, to) {
            // It stays unread: the place stays before it.
            Line::Bad(..) => Some(Line::Unfinished),
            line => {
                self.count(to - from);
                Some(line)
            }
        }
    }

    fn count(&mut self, bytes: usize) {
        self.place.bytes += bytes as u64;
        self.place.lines += 1;
    }

    /// Over a line that is too long, without keeping it (I10).
    fn skip_long(&mut self) -> Result<Line> {
        let mut skipped = 0;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.start..self.end]) {
                self.start += at + 1;
                self.count(skipped + at + 1);
                break;
            }
            skipped += self.end - self.start;
            (self.start, self.end, self.clean) = (0, 0, 0);
            if self.ended {
                self.count(skipped);
                break;
            }
            self.fill()?;
        }
        Ok(Line::Bad("data.line_too_long", "longer than `max_line`"))
    }

    fn fill(&mut self) -> Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.clean = self.clean.saturating_sub(self.start);
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        }
        self.meter.set(0);
        let read = self.text.read(&mut self.buffer[self.end..]);
        let n = read.map_err(|e| explain(&self.facts.found.address, Some(self.place.lines + 1), &e))?;
        self.ended = n == 0;
        let from = self.end;
        self.end += n;
        // Whole lines are checked at once; a bad one among them makes each be looked at alone.
        if let Some(last) = memrchr(b'\n', &self.buffer[from..self.end]) {
            let to = from + last;
            if self.clean <= to && wire_json::utf8(&self.buffer[self.clean..to]).is_ok() {
                self.clean = to;
            }
        }
        Ok(())
    }

    #[inline]
    fn judge(&self, mut from: usize, to: usize) -> Line {
        let line = &self.buffer[from..to];
        if self.place.lines <= 1 && line.starts_with(MARK) {
            from += MARK.len();
        }
        let line = self.buffer[from..to].trim_ascii();
        if line.is_empty() {
            return Line::Blank;
        }
        if line.len() > self.max_line {
            return Line::Bad("data.line_too_long", "longer than `max_line`");
        }
        if to > self.clean && wire_json::utf8(line).is_err() {
            return Line::Bad("data.invalid_utf8", "not UTF-8");
        }
        if line[0] != b'{' {
            return Line::Bad("data.bad_source", "not a JSON object");
        }
        match wire_json::check(line) {
            Ok(_) => {
                let from = from + (self.buffer[from..to].len() - self.buffer[from..to].trim_ascii_start().len());
                Line::Object(from, from + line.len())
            }
            Err(fault) => Line::Bad("data.bad_source", fault.reason),
        }
    }
}
