//! One line of an Airbyte source: its type, and where in the line its parts stand. Nothing is built and nothing is changed.

use singer_protocol::error::Fault;
use singer_protocol::json::{blank, peek, string, utf8, value};
use singer_protocol::text::Text;
use std::ops::Range;

/// A place in the line.
pub type Span = Range<usize>;

/// A message of the protocol, as far as the bus needs it.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// RECORD.
    Record(Record<'a>),
    /// STATE: the object in `state`.
    State(Span),
    /// LOG: the object in `log`.
    Log(Span),
    /// TRACE: the object in `trace`.
    Trace(Span),
    /// CONTROL: the object in `control`.
    Control(Span),
    /// SPEC, CATALOG or CONNECTION_STATUS: answers to questions that a sync does not ask.
    Answer,
    /// One of the above that lacks what it is named for.
    Hollow,
    /// No message: text, broken JSON, a type that nobody knows. It is judged as a Singer line would be.
    Strange,
}

/// The parts of a RECORD.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its stream.
    pub stream: Option<Text<'a>>,
    /// The stream's namespace.
    pub namespace: Option<Text<'a>>,
    /// The record itself.
    pub data: Span,
    /// When it was read: milliseconds since 1970.
    pub emitted_at: Option<Span>,
}

/// Goes over an object that begins at `at`; `each` is told a key and where its value begins, and says where it ends. The offset behind it.
pub(crate) fn object<'a>(
    s: &'a [u8],
    at: usize,
    each: &mut dyn FnMut(Text<'a>, usize) -> Result<usize, Fault>,
) -> Result<usize, Fault> {
    if peek(s, at) != b'{' {
        return Err(Fault::json(s, at, "an object was expected"));
    }
    let mut at = blank(s, at + 1);
    if peek(s, at) == b'}' {
        return Ok(at + 1);
    }
    loop {
        if peek(s, at) != b'"' {
            return Err(Fault::json(s, at, "a key was expected"));
        }
        let (end, escaped) = string(s, at + 1)?;
        let key = Text {
            raw: &s[at + 1..end - 1],
            escaped,
        };
        let colon = blank(s, end);
        if peek(s, colon) != b':' {
            return Err(Fault::json(s, colon, "a colon was expected"));
        }
        at = blank(s, each(key, blank(s, colon + 1))?);
        match peek(s, at) {
            b'}' => return Ok(at + 1),
            b',' => at = blank(s, at + 1),
            _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
        }
    }
}

/// The members of the object that `s` is: each key with its value's place, the last of duplicate keys behind the others. None if it is none.
pub fn members(s: &[u8]) -> Option<Vec<(String, Span)>> {
    let mut found = Vec::new();
    let start = blank(s, 0);
    let end = object(s, start, &mut |key, at| {
        let end = value(s, at, &mut 0)?;
        found.push((key.to_str_lossy().into_owned(), at..end));
        Ok(end)
    });
    (blank(s, end.ok()?) == s.len()).then_some(found)
}

/// One member of the object that `s` is.
pub fn member<'a>(s: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let found = members(s)?;
    let (_, span) = found.into_iter().rev().find(|(key, _)| key == name)?;
    Some(&s[span])
}

/// The text of one member, if it is a string.
pub fn text(s: &[u8], name: &str) -> Option<String> {
    Some(Text::of_token(member(s, name)?)?.to_str_lossy().into_owned())
}

/// Reads a line. What it says twice counts the last time, as everywhere.
pub fn read(line: &[u8]) -> Message<'_> {
    let start = blank(line, 0);
    if peek(line, start) != b'{' || utf8(line).is_err() {
        return Message::Strange;
    }
    let (mut kind, mut record) = (None, None);
    let mut payloads: [Option<Span>; 4] = Default::default();
    let end = object(line, start, &mut |key, at| {
        if key.is(b"record") && peek(line, at) == b'{' {
            let (found, end) = read_record(line, at)?;
            record = Some(found);
            return Ok(end);
        }
        let end = value(line, at, &mut 0)?;
        match key.bytes().as_ref() {
            b"type" => kind = Text::of_token(&line[at..end]),
            b"record" => record = None,
            name => {
                if let Some(slot) = [&b"state"[..], b"log", b"trace", b"control"]
                    .iter()
                    .position(|n| *n == name)
                {
                    payloads[slot] = Some(at..end).filter(|_| peek(line, at) == b'{');
                }
            }
        }
        Ok(end)
    });
    match end {
        Ok(end) if blank(line, end) == line.len() => {}
        _ => return Message::Strange,
    }
    let Some(kind) = kind else { return Message::Strange };
    let [state, log, trace, control] = payloads;
    let (found, build): (_, fn(Span) -> Message<'static>) = match kind.bytes().as_ref() {
        b"RECORD" => {
            let whole = record.filter(|r: &Record<'_>| r.stream.is_some() && peek(line, r.data.start) == b'{');
            return whole.map_or(Message::Hollow, Message::Record);
        }
        b"STATE" => (state, Message::State),
        b"LOG" => (log, Message::Log),
        b"TRACE" => (trace, Message::Trace),
        b"CONTROL" => (control, Message::Control),
        b"SPEC" | b"CATALOG" | b"CONNECTION_STATUS" => return Message::Answer,
        // Singer's own words are no messages of this protocol.
        b"SCHEMA" | b"ACTIVATE_VERSION" | b"BATCH" => return Message::Hollow,
        _ => return Message::Strange,
    };
    found.map_or(Message::Hollow, build)
}

fn read_record(line: &[u8], at: usize) -> Result<(Record<'_>, usize), Fault> {
    let mut found = Record::default();
    let end = object(line, at, &mut |key, at| {
        let end = value(line, at, &mut 0)?;
        match key.bytes().as_ref() {
            b"stream" => found.stream = Text::of_token(&line[at..end]),
            b"namespace" => found.namespace = Text::of_token(&line[at..end]).filter(|name| !name.raw.is_empty()),
            b"data" => found.data = at..end,
            b"emitted_at" => found.emitted_at = Some(at..end),
            _ => {}
        }
        Ok(end)
    })?;
    Ok((found, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_in_any_spelling() {
        for line in [
            r#"{"type":"RECORD","record":{"stream":"a","data":{"x":1},"emitted_at":5}}"#,
            r#" {"record" : {"emitted_at":5, "namespace":null,"data":{"y":2},"data":{"x":1},"stream":"\u0061"} , "type":"RECORD"} "#,
        ] {
            let Message::Record(found) = read(line.as_bytes()) else {
                panic!("{line}")
            };
            assert!(found.stream.unwrap().is(b"a") && found.namespace.is_none());
            assert_eq!(&line[found.data], r#"{"x":1}"#);
            assert_eq!(&line[found.emitted_at.unwrap()], "5");
        }
    }

    #[test]
    fn what_is_no_message_is_told_from_what_is_a_bad_one() {
        for line in [
            "",
            "x",
            "[1]",
            "{",
            r#"{"type":"RECORD"} x"#,
            r#"{"type":"NEW"}"#,
            "{}",
            r#"{"type":3}"#,
        ] {
            assert_eq!(read(line.as_bytes()), Message::Strange, "{line}");
        }
        for line in [
            r#"{"type":"RECORD","stream":"a","record":{"x":1}}"#,
            r#"{"type":"RECORD","record":{"stream":"a","data":[]}}"#,
            r#"{"type":"RECORD","record":7}"#,
            r#"{"type":"STATE","value":{}}"#,
            r#"{"type":"SCHEMA","stream":"a","schema":{},"key_properties":[]}"#,
            r#"{"type":"LOG","log":"x"}"#,
        ] {
            assert_eq!(read(line.as_bytes()), Message::Hollow, "{line}");
        }
        assert_eq!(read(b"{\"type\":\"LOG\",\"log\":{\"m\":\"\xff\"}}"), Message::Strange);
        assert_eq!(read(br#"{"type":"SPEC","spec":{}}"#), Message::Answer);
    }
}
