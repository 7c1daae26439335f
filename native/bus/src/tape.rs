//! The format of a flight recording, before compression: a JSON line says what comes, then come that many bytes.
//!
//! `protocol/SPEC.md`, section 13. [`Line`] is the writing side of one channel: it keeps lines whole where it can, so
//! that a tape reads like a log. [`Reader`] is the way back; what it reads is not trusted, so every part is bounded.

use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read};

/// The version of the format that this bus writes and reads.
pub const VERSION: u32 = 1;
/// A line that is longer is recorded in parts.
const LONGEST_PART: usize = 1 << 20;
/// Envelopes are short; a longer one is none.
const LONGEST_ENVELOPE: u64 = 1 << 20;

/// The first line of a tape, and of each attempt that is recorded behind it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub tape: u32,
    /// The run.
    pub run: String,
    /// The job.
    pub job: String,
    /// When it began, RFC 3339.
    pub at: String,
    /// The bus that wrote it.
    pub bus: String,
    /// Who wrote to whom: channel `in.0` is what the first of the first pair wrote.
    pub hops: Vec<(String, String)>,
    /// Whether the first writer is a plugin of this run, and not the other side of a shell pipe.
    pub from_tap: bool,
    /// Whether the last reader is one.
    pub to_target: bool,
}

/// What stands before the bytes of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Microseconds since the recording began.
    pub t: u64,
    /// `in.N`, `out.N`, `stderr.NAME`, `answer.NAME` or `event`.
    pub channel: String,
    /// How many bytes follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Instead of bytes: from and to where in the bytes of `in.N`, when they went on as they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same: Option<(u64, u64)>,
}

/// A header as its line.
pub fn header(header: &Header, out: &mut Vec<u8>) {
    json(header, out);
}

/// One part: its envelope, its bytes, and an LF if they do not end with one.
pub fn part(t: u64, channel: &str, bytes: &[u8], out: &mut Vec<u8>) {
    for bytes in bytes.chunks(LONGEST_PART) {
        let envelope = Envelope {
            t,
            channel: channel.into(),
            bytes: Some(bytes.len() as u64),
            same: None,
        };
        json(&envelope, out);
        out.extend_from_slice(bytes);
        if bytes.last() != Some(&b'\n') {
            out.push(b'\n');
        }
    }
}

/// The writer of a channel has come to its end: a part without bytes.
pub fn end(t: u64, channel: &str, out: &mut Vec<u8>) {
    let envelope = Envelope {
        t,
        channel: channel.into(),
        bytes: Some(0),
        same: None,
    };
    json(&envelope, out);
}

/// A part of what went on as it came.
pub fn same(t: u64, channel: &str, from: u64, to: u64, out: &mut Vec<u8>) {
    let envelope = Envelope {
        t,
        channel: channel.into(),
        bytes: None,
        same: Some((from, to)),
    };
    json(&envelope, out);
}

fn json(value: &impl Serialize, out: &mut Vec<u8>) {
    // Strings and numbers always serialize.
    out.extend(serde_json::to_vec(value).unwrap_or_default());
    out.push(b'\n');
}

/// What comes over one channel, cut into parts at the ends of lines.
#[derive(Debug)]
pub struct Line {
    channel: String,
    held: Vec<u8>,
}

impl Line {
    /// The writing side of a channel.
    pub fn new(channel: String) -> Line {
        Line {
            channel,
            held: Vec::new(),
        }
    }

    /// Its name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Takes what came; complete lines are written to `out`, the rest waits.
    pub fn take(&mut self, t: u64, bytes: &[u8], out: &mut Vec<u8>) {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        if !lines.is_empty() && self.held.is_empty() {
            part(t, &self.channel, lines, out);
        } else if !lines.is_empty() {
            self.held.extend_from_slice(lines);
            self.flush(t, out);
        }
        self.held.extend_from_slice(rest);
        if self.held.len() >= LONGEST_PART {
            self.flush(t, out);
        }
    }

    /// Writes what waits.
    pub fn flush(&mut self, t: u64, out: &mut Vec<u8>) {
        part(t, &self.channel, &self.held, out);
        self.held.clear();
    }
}

/// What comes next on a tape.
#[derive(Debug)]
pub enum Part {
    /// A recording begins.
    Header(Header),
    /// Bytes of a channel, in [`Reader::bytes`].
    Bytes(Envelope),
    /// Bytes that went on as they came.
    Same(Envelope),
}

/// Reads a tape that is decompressed already.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    line: Vec<u8>,
    bytes: Vec<u8>,
    begun: bool,
}

impl<R: BufRead> Reader<R> {
    /// For a stream that begins with a header.
    pub fn new(from: R) -> Reader<R> {
        Reader {
            from,
            line: Vec::new(),
            bytes: Vec::new(),
            begun: false,
        }
    }

    /// The bytes of the last [`Part::Bytes`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The next part, None at the end. `UnexpectedEof`: the tape breaks off; `InvalidData`: it is none.
    pub fn next_part(&mut self) -> io::Result<Option<Part>> {
        self.line.clear();
        let read = Read::take(&mut self.from, LONGEST_ENVELOPE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') && (read as u64) < LONGEST_ENVELOPE && self.begun {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Ok(header) = serde_json::from_slice::<Header>(&self.line) {
            if header.tape != VERSION {
                return Err(wrong(&format!("version {} of the format is not known", header.tape)));
            }
            self.begun = true;
            return Ok(Some(Part::Header(header)));
        }
        if !self.begun {
            return Err(wrong("it does not begin with a tape's header"));
        }
        let envelope: Envelope =
            serde_json::from_slice(&self.line).map_err(|_| wrong("a part of it has no envelope"))?;
        let Some(count) = envelope.bytes else {
            return Ok(Some(Part::Same(envelope)));
        };
        if count > LONGEST_PART as u64 {
            return Err(wrong("a part of it is too long"));
        }
        self.bytes.resize(count as usize, 0);
        self.from.read_exact(&mut self.bytes)?;
        if self.bytes.last().is_some_and(|last| *last != b'\n') {
            self.from.read_exact(&mut [0])?;
        }
        Ok(Some(Part::Bytes(envelope)))
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Vec<u8> {
        let mut out = Vec::new();
        let first = Header {
            tape: VERSION,
            run: "r-1".into(),
            job: "j".into(),
            at: "2026-11-26T10:00:00Z".into(),
            bus: "0".into(),
            hops: vec![("tap".into(), "target".into())],
            from_tap: true,
            to_target: true,
        };
        header(&first, &mut out);
        out
    }

    fn read(tape: &[u8]) -> (Vec<(String, Vec<u8>)>, Option<io::Error>) {
        let (mut reader, mut found) = (Reader::new(tape), Vec::new());
        loop {
            match reader.next_part() {
                Ok(Some(Part::Bytes(envelope))) => found.push((envelope.channel, reader.bytes().to_vec())),
                Ok(Some(_)) => {}
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out_and_lines_stay_whole() {
        let (mut tape, mut line) = (begun(), Line::new("in.0".into()));
        for bytes in [&b"{\"a\":1}\n{\"b"[..], b"\":2}", b"\nlast \xff"] {
            line.take(7, bytes, &mut tape);
        }
        line.flush(8, &mut tape);
        end(8, "in.0", &mut tape);
        same(9, "out.0", 0, 16, &mut tape);
        part(9, "stderr.tap", b"{\"tape\":1}\n", &mut tape);
        let (found, error) = read(&tape);
        assert!(error.is_none());
        let text = |at: usize| String::from_utf8_lossy(&found[at].1).into_owned();
        assert_eq!((text(0), text(1)), ("{\"a\":1}\n".into(), "{\"b\":2}\n".into()));
        assert_eq!(found[2], ("in.0".into(), b"last \xff".to_vec()));
        assert_eq!(found[3], ("in.0".into(), Vec::new()));
        assert_eq!(found[4].1, b"{\"tape\":1}\n");
        let shown = String::from_utf8_lossy(&tape).into_owned();
        assert!(
            shown.contains("\n{\"t\":7,\"channel\":\"in.0\",\"bytes\":8}\n{\"a\":1}\n"),
            "{shown}"
        );
        assert!(
            shown.contains("\n{\"t\":9,\"channel\":\"out.0\",\"same\":[0,16]}\n"),
            "{shown}"
        );
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        let (mut tape, mut line) = (begun(), Line::new("in.0".into()));
        let long = vec![b'x'; 3 * LONGEST_PART / 2];
        line.take(1, &long, &mut tape);
        line.take(1, b"y\n", &mut tape);
        let (found, _) = read(&tape);
        let joined: Vec<u8> = found.into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(joined.len(), long.len() + 2);
    }

    #[test]
    fn one_that_breaks_off_gives_what_is_whole() {
        let mut tape = begun();
        let first = tape.len();
        part(1, "in.0", b"{\"a\":1}\n", &mut tape);
        for end in first + 1..tape.len() - 1 {
            let (found, error) = read(&tape[..end]);
            assert!(found.is_empty());
            assert_eq!(error.unwrap().kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        let other = String::from_utf8_lossy(&tape).replace("\"tape\":1", "\"tape\":2");
        assert!(read(other.as_bytes()).1.unwrap().to_string().contains("version 2"));
        for none in [&b"{\"type\":\"RECORD\"}\n"[..], b"\xff\xff", b"x"] {
            assert_eq!(read(none).1.unwrap().kind(), io::ErrorKind::InvalidData);
        }
        let mut huge = begun();
        huge.extend_from_slice(b"{\"t\":1,\"channel\":\"in.0\",\"bytes\":99999999999}\n");
        assert_eq!(read(&huge).1.unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
