//! One line judged: a message, junk of a named kind, or a fault. The same rules as `protocol/SPEC.md` gives receivers.

use std::ops::Range;

use crate::envelope::{self, Envelope, Kind};
use crate::error::{Code, Fault};
use crate::json::{self, blank, peek};
use crate::text::Text;

/// Lines that carry no message. What to do with them is the caller's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Junk {
    /// Nothing but white space.
    Blank,
    /// Neither an object nor an array: a log line.
    Text,
    /// A JSON array, or what begins like one.
    Array,
    /// A byte order mark at the stream's start ([`crate::framing::Line::bom`]).
    Bom,
    /// An object whose type is none of the five.
    UnknownType,
}

impl Junk {
    /// The name in events and vectors.
    pub const fn name(self) -> &'static str {
        match self {
            Junk::Blank => "blank",
            Junk::Text => "text",
            Junk::Array => "array",
            Junk::Bom => "bom",
            Junk::UnknownType => "unknown_type",
        }
    }
}

/// How much of a line to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Every byte of every message.
    #[default]
    Json,
    /// Of a RECORD only the envelope and that it ends in `}`; every other message wholly.
    Envelope,
}

/// What a line is.
#[allow(clippy::large_enum_variant)] // nearly every line is a message, and a box would be an allocation for each
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A message of one of the five kinds with the fields its kind needs.
    Message {
        /// Its envelope.
        envelope: Envelope<'a>,
        /// Bare `NaN` and `Infinity` in it (never counted by [`Check::Envelope`] in a RECORD).
        nonstandard_numbers: u64,
    },
    /// Not a message.
    Junk(Junk),
}

/// Judge one line (without its newline, without a byte order mark).
///
/// I9: every line is a message, junk that the caller counts, or a fault that ends the run.
pub fn inspect(line: &[u8], check: Check) -> Result<Line<'_>, Fault> {
    let first = blank(line, 0);
    match peek(line, first) {
        b'{' => {}
        b'[' => return Ok(Line::Junk(Junk::Array)),
        _ if first == line.len() => return Ok(Line::Junk(Junk::Blank)),
        _ => return Ok(Line::Junk(Junk::Text)),
    }
    json::utf8(line)?;
    let mut nonstandard_numbers = 0;
    let mut envelope = match check {
        Check::Json => Envelope::default(),
        Check::Envelope => envelope::head(line)?,
    };
    if check == Check::Json || envelope.kind != Kind::Record {
        let (checked, report) = envelope::check(line)?;
        envelope = checked;
        nonstandard_numbers = report.nonstandard_numbers;
        if nonstandard_numbers > 0 && envelope.kind != Kind::Record {
            // Only a record may hold them: nothing that Dativo itself must understand.
            json::check_standard(line)?;
        }
    } else if line.iter().rev().find(|b| !b.is_ascii_whitespace()) != Some(&b'}') {
        let cut = line.len();
        return Err(Fault {
            truncated: true,
            offset: cut,
            code: Code::InvalidJson,
            reason: "the record has no end",
        });
    }
    complete(line, &envelope)?;
    match envelope.kind {
        Kind::Unknown { .. } => Ok(Line::Junk(Junk::UnknownType)),
        _ => Ok(Line::Message {
            envelope,
            nonstandard_numbers,
        }),
    }
}

/// Whether a message has the fields that its kind needs, as its kind needs them.
fn complete(line: &[u8], found: &Envelope<'_>) -> Result<(), Fault> {
    let starts = |span: &Option<Range<usize>>, with: &[u8]| {
        span.as_ref().is_some_and(|span| with.contains(&peek(line, span.start)))
    };
    let unicode = |text: &Option<Text<'_>>| match text {
        Some(text) if text.escaped => std::str::from_utf8(&text.bytes()).is_ok(),
        _ => true,
    };
    let reason = match found.kind {
        Kind::Missing => "the message has no \"type\", or one that is not a string",
        _ if !unicode(&found.type_name) || !unicode(&found.stream) => "its \"type\" or \"stream\" is not Unicode text",
        Kind::Unknown { miscased: true } => "the type is not in upper case, which targets do not take",
        Kind::Unknown { miscased: false } => return Ok(()),
        Kind::State if found.value.is_none() => "the STATE has no \"value\"",
        Kind::State => return Ok(()),
        _ if found.stream.is_none() => "the message has no \"stream\", or one that is not a string",
        Kind::Record if !starts(&found.record, b"{") => "the RECORD has no \"record\", or one that is not an object",
        Kind::Schema if !starts(&found.schema, b"{") => "the SCHEMA has no \"schema\", or one that is not an object",
        Kind::Schema if !names(line, &found.key_properties) => "\"key_properties\" is not a list of names",
        Kind::ActivateVersion if !integer(line, &found.version) => "the ACTIVATE_VERSION has no integer \"version\"",
        Kind::Batch if !starts(&found.files, b"[\"") => "the BATCH names neither a \"manifest\" nor a \"filepath\"",
        _ => return Ok(()),
    };
    Err(Fault::message(reason))
}

/// A list of strings, one string, null, or nothing.
fn names(line: &[u8], span: &Option<Range<usize>>) -> bool {
    let Some(span) = span else { return true };
    match peek(line, span.start) {
        b'n' | b'"' => true,
        b'[' => serde_json::from_slice::<Vec<String>>(&line[span.clone()]).is_ok(),
        _ => false,
    }
}

fn integer(line: &[u8], span: &Option<Range<usize>>) -> bool {
    let text = span.clone().and_then(|span| std::str::from_utf8(&line[span]).ok());
    text.is_some_and(|text| text.parse::<i64>().is_ok())
}
