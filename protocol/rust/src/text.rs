//! The inside of a JSON string: kept as the bytes that came, unescaped only when somebody needs the characters.

use std::borrow::Cow;

use memchr::memchr;

/// The bytes between a JSON string's quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes as they came.
    pub raw: &'a [u8],
    /// They hold at least one escape.
    pub escaped: bool,
}

impl<'a> Text<'a> {
    /// The text of a whole JSON string token, quotes included; `None` when it is no string.
    pub fn of_token(token: &'a [u8]) -> Option<Self> {
        let raw = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Text {
            raw,
            escaped: memchr(b'\\', raw).is_some(),
        })
    }

    /// The characters as bytes: UTF-8, but a lone surrogate stays apart from others (its three generalized UTF-8
    /// bytes), so that two different texts never become one. Use this as a stream's identity.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        match self.escaped {
            false => Cow::Borrowed(self.raw),
            true => Cow::Owned(unescape(self.raw)),
        }
    }

    /// The characters for people; what is not Unicode becomes U+FFFD.
    pub fn to_str_lossy(&self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(b) => String::from_utf8_lossy(b),
            Cow::Owned(b) => Cow::Owned(String::from_utf8_lossy(&b).into_owned()),
        }
    }

    /// Whether it says `other`, escapes undone.
    pub fn is(&self, other: &[u8]) -> bool {
        match self.escaped {
            false => self.raw == other,
            true => unescape(self.raw) == other,
        }
    }
}

/// Undo the escapes of a JSON string's inside. Never fails: what is no escape is kept as it is.
pub fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    unescape_into(raw, &mut out);
    out
}

/// The same, appended; whether all of it is Unicode, which half a surrogate pair is not.
pub fn unescape_into(raw: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = raw;
    let mut whole = true;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (byte, used) = match rest.get(1) {
            Some(b'b') => (8, 2),
            Some(b'f') => (12, 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b't') => (b'\t', 2),
            Some(&c @ (b'"' | b'\\' | b'/')) => (c, 2),
            Some(b'u') => match hex4(rest, 2) {
                Some(first) => {
                    let (used, is_char) = push_unit(out, first, rest);
                    rest = &rest[used..];
                    whole &= is_char;
                    continue;
                }
                None => (b'\\', 1),
            },
            _ => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
    whole
}

/// Push the character of `\uHHHH` at the start of `rest` (with its second half, if it is a pair); bytes used, and whether it is one.
fn push_unit(out: &mut Vec<u8>, first: u32, rest: &[u8]) -> (usize, bool) {
    if (0xD800..0xDC00).contains(&first) && rest.get(6) == Some(&b'\\') && rest.get(7) == Some(&b'u') {
        if let Some(second @ 0xDC00..=0xDFFF) = hex4(rest, 8) {
            return (
                12,
                push_code(out, 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)),
            );
        }
    }
    (6, push_code(out, first))
}

fn push_code(out: &mut Vec<u8>, code: u32) -> bool {
    match char::from_u32(code) {
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        // A lone surrogate, three bytes as UTF-8 would write it.
        None => out.extend_from_slice(&[
            0xE0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3F) as u8,
            0x80 | (code & 0x3F) as u8,
        ]),
    }
    !(0xD800..0xE000).contains(&code)
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .iter()
        .try_fold(0, |n, b| Some(n << 4 | (*b as char).to_digit(16)?))
}
