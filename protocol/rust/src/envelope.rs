//! `type`, `stream`, `version` and the payload's span of one message, without parsing the record.
//!
//! Any key order, any spacing, escaped keys; of a key that comes twice the last one counts, as JSON parsers do.
//! Three depths: [`check`] reads and checks every byte; [`scan`] reads all of the line but only finds its way;
//! [`head`] stops where the record begins, when what it needs stands before it (as every known tap writes it).

use std::ops::Range;

use crate::error::Fault;
use crate::json::{blank, peek, Report, Skim, Strict, Walk};
use crate::text::Text;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RECORD
    Record,
    /// SCHEMA
    Schema,
    /// STATE
    State,
    /// ACTIVATE_VERSION
    ActivateVersion,
    /// BATCH
    Batch,
    /// Any other type. `miscased`: it is one of the five in another case, which no target takes and nobody may drop.
    Unknown {
        /// One of the five, in another case.
        miscased: bool,
    },
    /// No `type`, or one that is not a string.
    #[default]
    Missing,
}

impl Kind {
    /// The kind that a `type` names.
    pub fn of(name: &[u8]) -> Kind {
        match name {
            b"RECORD" => Kind::Record,
            b"SCHEMA" => Kind::Schema,
            b"STATE" => Kind::State,
            b"ACTIVATE_VERSION" => Kind::ActivateVersion,
            b"BATCH" => Kind::Batch,
            _ => {
                let known: [&[u8]; 5] = [b"RECORD", b"SCHEMA", b"STATE", b"ACTIVATE_VERSION", b"BATCH"];
                Kind::Unknown {
                    miscased: known.iter().any(|k| k.eq_ignore_ascii_case(name)),
                }
            }
        }
    }

    /// The name on the wire; empty for unknown and missing.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Record => "RECORD",
            Kind::Schema => "SCHEMA",
            Kind::State => "STATE",
            Kind::ActivateVersion => "ACTIVATE_VERSION",
            Kind::Batch => "BATCH",
            Kind::Unknown { .. } | Kind::Missing => "",
        }
    }
}

/// What a line's top level says. Spans are offsets in the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The message's kind.
    pub kind: Kind,
    /// `type` as text, if it is a string.
    pub type_name: Option<Text<'a>>,
    /// `stream`, if it is a string.
    pub stream: Option<Text<'a>>,
    /// Span of the value of `version`.
    pub version: Option<Range<usize>>,
    /// Span of the value of `record`.
    pub record: Option<Range<usize>>,
    /// Span of the value of `value` (of STATE).
    pub value: Option<Range<usize>>,
    /// Span of the value of `schema`.
    pub schema: Option<Range<usize>>,
    /// Span of the value of `key_properties`.
    pub key_properties: Option<Range<usize>>,
    /// Span of the value of `manifest` or `filepath` (of BATCH).
    pub files: Option<Range<usize>>,
    /// The scan stopped at the record: its span runs to the line's end, and keys behind it were not seen.
    pub partial: bool,
}

impl Envelope<'_> {
    /// The span of what this kind carries: record, value or schema.
    pub fn payload(&self) -> Option<Range<usize>> {
        match self.kind {
            Kind::Record => self.record.clone(),
            Kind::State => self.value.clone(),
            Kind::Schema => self.schema.clone(),
            _ => None,
        }
    }
}

/// Find the envelope; the line is read to its end but only its structure is looked at.
pub fn scan(line: &[u8]) -> Result<Envelope<'_>, Fault> {
    walk(line, &mut Skim, false)
}

/// Find the envelope and stop where the record begins, if `type` and `stream` came before it.
pub fn head(line: &[u8]) -> Result<Envelope<'_>, Fault> {
    walk(line, &mut Skim, true)
}

/// Find the envelope and check that the whole line is well-formed JSON. UTF-8 is not checked here.
pub fn check(line: &[u8]) -> Result<(Envelope<'_>, Report), Fault> {
    let mut strict = Strict::default();
    let envelope = walk(line, &mut strict, false)?;
    Ok((
        envelope,
        Report {
            nonstandard_numbers: strict.nonstandard,
        },
    ))
}

/// Over what follows a record that ends at `at`, for who has checked all before it: the number of bare `NaN` and the
/// like. `None` when a key there says something else about what kind of message it is: then the line must be read again.
pub fn tail(line: &[u8], mut at: usize) -> Result<Option<u64>, Fault> {
    let (mut strict, mut found) = (Strict::default(), Envelope::default());
    loop {
        at = blank(line, at);
        match peek(line, at) {
            b'}' => {
                let found = ended(line, at + 1, found)?;
                let plain = found.kind == Kind::Missing && found.type_name.is_none();
                return Ok((plain && found.stream.is_none() && found.record.is_none()).then_some(strict.nonstandard));
            }
            b',' => {
                let start = blank(line, at + 1);
                let Some(end) = field(line, start, &mut strict, false, &mut found)? else {
                    return Ok(None);
                };
                if ["type", "stream", "record"].iter().any(|key| names(line, start, key)) {
                    return Ok(None);
                }
                at = end;
            }
            _ => return Err(Fault::json(line, at, "a comma or a closing bracket was expected")),
        }
    }
}

/// Whether the key at `at` is this one; a key with escapes may be any.
fn names(line: &[u8], at: usize, key: &str) -> bool {
    let rest = line.get(at + 1..).unwrap_or_default();
    let plain = rest.iter().take_while(|b| !matches!(b, b'"' | b'\\')).count();
    rest.get(plain) == Some(&b'\\') || &rest[..plain] == key.as_bytes()
}

/// How nearly every tap begins a record: Python's two habits of spacing.
const STARTS: [&[u8]; 2] = [br#"{"type":"RECORD","stream":""#, br#"{"type": "RECORD", "stream": ""#];
const RECORDS: [&[u8]; 2] = [br#","record":{"#, br#", "record": {"#];

fn walk<'a, W: Walk>(s: &'a [u8], way: &mut W, stop: bool) -> Result<Envelope<'a>, Fault> {
    let mut found = Envelope::default();
    let mut at;
    if let Some(start) = STARTS.iter().find(|start| s.starts_with(start)) {
        let (end, escaped) = way.string(s, start.len())?;
        found.kind = Kind::Record;
        found.type_name = Some(Text {
            raw: b"RECORD",
            escaped: false,
        });
        found.stream = Some(Text {
            raw: &s[start.len()..end - 1],
            escaped,
        });
        if stop {
            if let Some(record) = RECORDS.iter().find(|record| s[end..].starts_with(record)) {
                found.record = Some(end + record.len() - 1..s.len());
                found.partial = true;
                return Ok(found);
            }
        }
        at = end;
    } else {
        at = blank(s, 0);
        if peek(s, at) != b'{' {
            return Err(Fault::json(s, at, "an object was expected"));
        }
        at = blank(s, at + 1);
        if peek(s, at) == b'}' {
            return ended(s, at + 1, found);
        }
        match field(s, at, way, stop, &mut found)? {
            Some(end) => at = end,
            None => return Ok(found),
        }
    }
    loop {
        at = blank(s, at);
        match peek(s, at) {
            b'}' => return ended(s, at + 1, found),
            b',' => match field(s, blank(s, at + 1), way, stop, &mut found)? {
                Some(end) => at = end,
                None => return Ok(found),
            },
            _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
        }
    }
}

fn ended<'a>(s: &'a [u8], at: usize, found: Envelope<'a>) -> Result<Envelope<'a>, Fault> {
    let end = blank(s, at);
    match end == s.len() {
        true => Ok(found),
        false => Err(Fault::json(s, end, "there is more after the message")),
    }
}

/// Over one `"key": value`; `None` when the scan may stop here.
fn field<'a, W: Walk>(
    s: &'a [u8],
    at: usize,
    way: &mut W,
    stop: bool,
    found: &mut Envelope<'a>,
) -> Result<Option<usize>, Fault> {
    if peek(s, at) != b'"' {
        return Err(Fault::json(s, at, "a key was expected"));
    }
    let (end, escaped) = way.string(s, at + 1)?;
    let key = Text {
        raw: &s[at + 1..end - 1],
        escaped,
    }
    .bytes();
    let colon = blank(s, end);
    if peek(s, colon) != b':' {
        return Err(Fault::json(s, colon, "a colon was expected"));
    }
    let start = blank(s, colon + 1);
    if stop
        && key.as_ref() == b"record"
        && found.kind == Kind::Record
        && found.stream.is_some()
        && peek(s, start) == b'{'
    {
        found.record = Some(start..s.len());
        found.partial = true;
        return Ok(None);
    }
    let end = way.value(s, start)?;
    let span = start..end;
    match key.as_ref() {
        b"type" => {
            found.type_name = Text::of_token(&s[span]);
            found.kind = found.type_name.map_or(Kind::Missing, |name| Kind::of(&name.bytes()));
        }
        b"stream" => found.stream = Text::of_token(&s[span]),
        b"record" => found.record = Some(span),
        b"version" => found.version = Some(span),
        b"value" => found.value = Some(span),
        b"schema" => found.schema = Some(span),
        b"manifest" | b"filepath" => found.files = Some(span),
        b"key_properties" => found.key_properties = Some(span),
        _ => {}
    }
    Ok(Some(end))
}
