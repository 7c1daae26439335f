//! When two STATE values are the same: a canonical 128-bit fingerprint.
//!
//! Key order, white space and string escapes do not matter; of a key that comes twice the last one counts; integers
//! are compared by their digits, other numbers as f64. Iterative: one entry of work space per open value.

use xxhash_rust::xxh3::{xxh3_128, Xxh3};

use crate::error::Fault;
use crate::json::{self, blank, peek, Skim, Walk};
use crate::text::Text;

/// What a STATE value is, as far as bookmarks care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `null`
    Null,
    /// `{}`
    EmptyObject,
    /// An object with something in it: what a bookmark should be.
    Object,
    /// A list, a string, a number, a boolean.
    Other,
}

/// A STATE value's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The canonical hash: equal values, equal hashes.
    pub hash: u128,
    /// The value's shape.
    pub shape: Shape,
}

/// Fingerprint one JSON value (white space around it allowed). Anything that is not UTF-8 JSON is a fault.
pub fn fingerprint(value: &[u8]) -> Result<Fingerprint, Fault> {
    json::utf8(value)?;
    json::check(value)?;
    let start = blank(value, 0);
    let shape = match peek(value, start) {
        b'n' => Shape::Null,
        b'{' if peek(value, blank(value, start + 1)) == b'}' => Shape::EmptyObject,
        b'{' => Shape::Object,
        _ => Shape::Other,
    };
    Ok(Fingerprint {
        hash: hash(value, start)?,
        shape,
    })
}

/// An open array or object: where its entries begin, and the key whose value is being read.
struct Open {
    object: bool,
    entries: usize,
    key: u128,
}

/// Hash a value that was checked before.
fn hash(s: &[u8], mut at: usize) -> Result<u128, Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut entries: Vec<(u128, u128)> = Vec::new();
    loop {
        let mut value = match peek(s, at) {
            byte @ (b'{' | b'[') => {
                let object = byte == b'{';
                open.push(Open {
                    object,
                    entries: entries.len(),
                    key: 0,
                });
                at = blank(s, at + 1);
                if peek(s, at) == byte + 2 {
                    at += 1;
                    open.pop();
                    tagged(if object { 1 } else { 2 }, b"")
                } else {
                    at = read_key(s, at, &mut open)?;
                    continue;
                }
            }
            _ => {
                let end = Skim
                    .value(s, at)
                    .or_else(|fault| if fault.truncated { Ok(s.len()) } else { Err(fault) })?;
                let token = &s[at..end];
                at = end;
                scalar(token)
            }
        };
        loop {
            let Some(parent) = open.last() else { return Ok(value) };
            entries.push((parent.key, value));
            at = blank(s, at);
            if peek(s, at) == b',' {
                at = read_key(s, blank(s, at + 1), &mut open)?;
                break;
            }
            at += 1;
            value = close(&mut open, &mut entries);
        }
    }
}

/// Inside an object: over the key, remembering it. Inside an array: nothing.
fn read_key(s: &[u8], at: usize, open: &mut [Open]) -> Result<usize, Fault> {
    match open.last_mut() {
        Some(parent) if parent.object => {
            let (end, escaped) = Skim.string(s, at + 1)?;
            parent.key = tagged(
                3,
                &Text {
                    raw: &s[at + 1..end - 1],
                    escaped,
                }
                .bytes(),
            );
            Ok(blank(s, blank(s, end) + 1))
        }
        _ => Ok(at),
    }
}

fn close(open: &mut Vec<Open>, entries: &mut Vec<(u128, u128)>) -> u128 {
    let Some(done) = open.pop() else { return 0 };
    let mut own = entries.split_off(done.entries);
    if done.object {
        own.reverse(); // the last of several equal keys comes first, stays first when sorted, and is the one kept
        own.sort_by_key(|entry| entry.0);
        own.dedup_by_key(|entry| entry.0);
    }
    let mut all = Xxh3::new();
    all.update(&[if done.object { 1 } else { 2 }]);
    for (key, value) in own {
        if done.object {
            all.update(&key.to_le_bytes());
        }
        all.update(&value.to_le_bytes());
    }
    all.digest128()
}

fn scalar(token: &[u8]) -> u128 {
    if let Some(text) = Text::of_token(token) {
        return tagged(3, &text.bytes());
    }
    if !matches!(token.first(), Some(b'-' | b'0'..=b'9')) || token == b"-Infinity" {
        return tagged(4, token); // true, false, null, NaN, Infinity
    }
    if token.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        let number: f64 = std::str::from_utf8(token)
            .ok()
            .and_then(|t| t.parse().ok())
            .unwrap_or(f64::NAN);
        let number = if number == 0.0 { 0.0 } else { number };
        return tagged(5, &number.to_bits().to_le_bytes());
    }
    tagged(6, if token == b"-0" { b"0" } else { token })
}

fn tagged(tag: u8, bytes: &[u8]) -> u128 {
    let mut tagged = Vec::with_capacity(bytes.len() + 1);
    tagged.push(tag);
    tagged.extend_from_slice(bytes);
    xxh3_128(&tagged)
}
