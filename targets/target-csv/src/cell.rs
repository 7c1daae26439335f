//! One JSON value as a field of a CSV row (RFC 4180).

use singer_plugin::text::unescape;

use crate::settings::Settings;

/// How fields are written.
#[derive(Clone, Debug)]
pub struct Cells {
    /// The bytes that make a field be quoted.
    special: [bool; 256],
    delimiter: u8,
    quote: u8,
    null: Vec<u8>,
}

/// A string with half a surrogate pair: no file in UTF-8 can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfPair;

impl Cells {
    /// For these settings.
    pub fn new(settings: &Settings) -> Self {
        let mut special = [false; 256];
        for byte in [settings.delimiter, settings.quote, b'\n', b'\r'] {
            special[byte as usize] = true;
        }
        Cells {
            special,
            delimiter: settings.delimiter,
            quote: settings.quote,
            null: settings.null.clone(),
        }
    }

    /// Null, or nothing. Alone in its row it is quoted when it is empty: readers take an empty line for no row.
    pub fn null(&self, alone: bool, out: &mut Vec<u8>) {
        match alone && self.null.is_empty() {
            true => out.extend_from_slice(&[self.quote; 2]),
            false => out.extend_from_slice(&self.null),
        }
    }

    /// A JSON value: a string's characters, a number's or a word's text, an object's or array's JSON text.
    #[inline]
    pub fn value(&self, json: &[u8], alone: bool, out: &mut Vec<u8>) -> Result<(), HalfPair> {
        match json.first() {
            None | Some(b'n') => self.null(alone, out),
            Some(b'"') => {
                let raw = &json[1..json.len() - 1];
                match raw.contains(&b'\\') {
                    false => self.text(raw, out),
                    true => {
                        let text = unescape(raw);
                        std::str::from_utf8(&text).map_err(|_| HalfPair)?;
                        self.text(&text, out);
                    }
                }
            }
            Some(b'{' | b'[') => self.text(json, out),
            // A number that is the text of null, or holds the delimiter, is quoted as everything is.
            Some(_) => self.text(json, out),
        }
        Ok(())
    }

    /// A text; quoted where it must be, and where it would be taken for null.
    #[inline]
    pub fn text(&self, text: &[u8], out: &mut Vec<u8>) {
        if text != self.null.as_slice() && !text.iter().any(|byte| self.special[*byte as usize]) {
            out.extend_from_slice(text);
            return;
        }
        out.push(self.quote);
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| *byte == self.quote) {
            out.extend_from_slice(&rest[..=at]);
            out.push(self.quote);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.push(self.quote);
    }

    /// What stands between two fields.
    #[inline]
    pub fn between(&self, out: &mut Vec<u8>) {
        out.push(self.delimiter);
    }
}
