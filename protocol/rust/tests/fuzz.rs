//! Arbitrary bytes, hostile JSON and mutated messages against serde_json as the oracle.
//!
//! Each test goes on for `DATIVO_FUZZ_SECONDS` (default 2; CI gives 60) in all on two cores, at least one round.

mod fuzzing;

use std::io::Read;

use fuzzing::fuzz;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use singer_protocol::envelope::{self, Kind};
use singer_protocol::framing::{Fill, Framer};
use singer_protocol::line::{inspect, Check, Junk, Line};
use singer_protocol::{json, state, text};

/// White space that may stand between any two tokens.
fn gap() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 2 => Just(" ".into()), 1 => "[ \t\r]{1,3}"]
}

/// A JSON string token: plain, escaped in every way, and with the names that matter.
fn string_token() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z{}\\[\\],:]{0,9}",
        1 => Just(r#"\""#.to_string()),
        1 => Just(r"\\".to_string()),
        1 => Just(r"\/\b\f\n\r\t".to_string()),
        1 => Just(r"\u0041\u00e9\ud83d\ude00".to_string()),
        1 => Just("é😀\u{2028}\u{7f}".to_string()),
        1 => Just("type".to_string()),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number_token() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,2})?"
}

fn value_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string_token(),
        number_token(),
        Just("null".to_string()),
        Just("true".to_string()),
        Just("{}".to_string()),
        Just("[]".to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (vec((inner.clone(), gap()), 0..4), gap()).prop_map(|(items, g)| {
                let items: Vec<_> = items.into_iter().map(|(v, g)| format!("{g}{v}{g}")).collect();
                format!("[{g}{}]", items.join(","))
            }),
            (vec((string_token(), inner, gap()), 0..4), gap()).prop_map(|(items, g)| {
                let items: Vec<_> = items.into_iter().map(|(k, v, g)| format!("{g}{k}{g}:{v}{g}")).collect();
                format!("{{{}{g}}}", items.join(","))
            }),
        ]
    })
}

/// One top-level entry of a message: mostly the keys that matter, in plain or escaped spelling.
fn entry() -> impl Strategy<Value = String> {
    let types = prop_oneof![
        4 => Just(r#""RECORD""#.to_string()),
        1 => Just(r#""REC\u004fRD""#.to_string()),
        2 => Just(r#""SCHEMA""#.to_string()),
        1 => Just(r#""STATE""#.to_string()),
        1 => Just(r#""BATCH""#.to_string()),
        1 => Just(r#""ACTIVATE_VERSION""#.to_string()),
        1 => Just(r#""record""#.to_string()),
        1 => value_text(),
    ];
    let pair = prop_oneof![
        4 => types.prop_map(|v| (r#""type""#.to_string(), v)),
        1 => Just((r#""\u0074ype""#.to_string(), r#""RECORD""#.to_string())),
        4 => string_token().prop_map(|v| (r#""stream""#.to_string(), v)),
        3 => value_text().prop_map(|v| (r#""record""#.to_string(), v)),
        1 => value_text().prop_map(|v| (r#""value""#.to_string(), v)),
        1 => value_text().prop_map(|v| (r#""schema""#.to_string(), v)),
        1 => value_text().prop_map(|v| (r#""version""#.to_string(), v)),
        1 => (string_token(), value_text()),
    ];
    (pair, gap(), gap()).prop_map(|((k, v), a, b)| format!("{a}{k}{b}:{a}{v}{b}"))
}

fn message_text() -> impl Strategy<Value = String> {
    let free = (vec(entry(), 0..6), gap()).prop_map(|(entries, g)| format!("{g}{{{}}}{g}", entries.join(",")));
    let usual =
        (string_token(), vec((string_token(), value_text()), 0..4), any::<bool>()).prop_map(|(stream, row, wide)| {
            let (colon, comma) = if wide { (": ", ", ") } else { (":", ",") };
            let row: Vec<_> = row.into_iter().map(|(k, v)| format!("{k}{colon}{v}")).collect();
            let row = row.join(comma);
            format!(r#"{{"type"{colon}"RECORD"{comma}"stream"{colon}{stream}{comma}"record"{colon}{{{row}}}}}"#)
        });
    prop_oneof![free, usual]
}

/// Valid messages with some bytes changed, cut, doubled or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\0-.eEtfnNI u"#.to_vec())];
    (message_text(), vec((any::<prop::sample::Index>(), 0..4_u8, byte), 0..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (at, how, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

/// Where serde_json and JSON itself part: it has no word on these, so neither has the oracle.
fn same_validity(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let ours = json::check(bytes);
    let theirs = serde_json::from_slice::<IgnoredAny>(bytes);
    match &ours {
        Ok(report) if report.nonstandard_numbers > 0 => prop_assert!(theirs.is_err()),
        _ => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} against {:?}", ours, theirs),
    }
    Ok(ours.is_ok())
}

/// A source that gives as many bytes at a time as it is told, so that every cut is met.
struct Dribble<'a> {
    rest: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self
            .sizes
            .next()
            .copied()
            .unwrap_or(1)
            .min(out.len())
            .min(self.rest.len());
        out[..n].copy_from_slice(&self.rest[..n]);
        self.rest = &self.rest[n..];
        Ok(n)
    }
}

#[test]
fn framing_is_splitting_at_newlines() {
    let piece = prop_oneof![
        Just(b"\n".to_vec()),
        vec(any::<u8>(), 0..40),
        Just(b"\xef\xbb\xbf".to_vec())
    ];
    let input = (vec(piece, 0..30), vec(1..50_usize, 1..5), 1..60_usize, 1..64_usize);
    fuzz(input, |(pieces, sizes, max_line, chunk)| {
        let bytes = pieces.concat();
        let mut source = Dribble {
            rest: &bytes,
            sizes: sizes.iter().cycle(),
        };
        let mut framer = Framer::with_chunk(max_line, chunk);
        let mut expected = bytes.split_inclusive(|b| *b == b'\n');
        let (mut ended, mut position) = (false, 0_u64);
        loop {
            let got = match framer.advance() {
                Ok(None) if ended => framer.last(),
                other => other,
            };
            match got {
                Err(long) => {
                    let line = expected.next().unwrap_or_default();
                    prop_assert!(line.strip_suffix(b"\n").unwrap_or(line).len() > max_line);
                    prop_assert_eq!(long.start, position);
                    return Ok(());
                }
                Ok(Some(line)) => {
                    let whole = expected.next().unwrap_or_default();
                    let skip = if line.bom { 3 } else { 0 };
                    prop_assert_eq!(framer.slice(line.whole()), &whole[skip..]);
                    prop_assert!(line.start - skip as u64 == position && line.bom == (position == 0 && skip == 3));
                    prop_assert!((line.end - position) as usize <= max_line);
                    position += whole.len() as u64;
                    if line.number % 3 == 0 {
                        framer.release(line.start);
                    }
                }
                Ok(None) if ended => break,
                Ok(None) => match framer.fill(&mut source).unwrap_or(Fill::End) {
                    Fill::End => ended = true,
                    Fill::Full => framer.release_all(),
                    _ => prop_assert!(framer.capacity() <= 2 * max_line + chunk + max_line + 2),
                },
            }
        }
        prop_assert!(expected.next().is_none());
        prop_assert_eq!(position, bytes.len() as u64);
        Ok(())
    });
}

#[test]
fn arbitrary_bytes_are_judged_and_never_panic() {
    let soup = vec(prop::sample::select(br#"{}[]",:\ 01-.eEtrufalsn"#.to_vec()), 0..24);
    fuzz(prop_oneof![vec(any::<u8>(), 0..60), soup, mutated()], |bytes| {
        let valid = same_validity(&bytes)?;
        let _ = envelope::scan(&bytes);
        let _ = envelope::head(&bytes);
        let _ = text::unescape(&bytes);
        let utf8 = std::str::from_utf8(&bytes).is_ok();
        prop_assert_eq!(json::utf8(&bytes).is_ok(), utf8);
        prop_assert_eq!(state::fingerprint(&bytes).is_ok(), valid && utf8);
        for check in [Check::Json, Check::Envelope] {
            if let Ok(Line::Message { envelope, .. }) = inspect(&bytes, check) {
                prop_assert!(utf8 && (valid || (check == Check::Envelope && envelope.kind == Kind::Record)));
            }
        }
        Ok(())
    });
}

#[test]
fn the_envelope_is_what_a_parser_sees() {
    fuzz(message_text(), |line| {
        let bytes = line.as_bytes();
        prop_assert!(same_validity(bytes)?);
        let parsed: Map<String, Value> = serde_json::from_str(&line).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let text_of = |key: &str| parsed.get(key).and_then(Value::as_str).map(str::to_owned);
        let found = envelope::scan(bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let (checked, _) = envelope::check(bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&found, &checked);
        prop_assert_eq!(found.type_name.map(|t| t.to_str_lossy().into_owned()), text_of("type"));
        prop_assert_eq!(found.stream.map(|t| t.to_str_lossy().into_owned()), text_of("stream"));
        let spans = [
            ("record", &found.record),
            ("value", &found.value),
            ("schema", &found.schema),
            ("version", &found.version),
        ];
        for (key, span) in spans {
            let ours = span.clone().map(|s| serde_json::from_str::<Value>(&line[s]));
            prop_assert_eq!(ours.transpose().ok().flatten(), parsed.get(key).cloned());
        }
        let head = envelope::head(bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
        if !head.partial {
            prop_assert_eq!(&head, &found);
        }
        match (inspect(bytes, Check::Json), text_of("type")) {
            (Ok(Line::Junk(junk)), kind) => {
                prop_assert_eq!(junk, Junk::UnknownType);
                prop_assert_eq!(
                    kind.map(|k| Kind::of(k.as_bytes())),
                    Some(Kind::Unknown { miscased: false })
                );
            }
            (Ok(Line::Message { envelope, .. }), kind) => prop_assert_eq!(Some(envelope.kind.name().to_owned()), kind),
            (Err(_), _) => {}
        }
        Ok(())
    });
}

#[test]
fn fingerprints_survive_reencoding() {
    fuzz((value_text(), value_text()), |(one, other)| {
        let hash = |text: &str| state::fingerprint(text.as_bytes()).map(|f| f.hash);
        let value: Value = serde_json::from_str(&one).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(hash(&one), hash(&value.to_string()));
        let other_value: Value = serde_json::from_str(&other).map_err(|e| TestCaseError::fail(e.to_string()))?;
        if value == other_value {
            prop_assert_eq!(hash(&one), hash(&other));
        }
        Ok(())
    });
}
