//! Secrets in text: every form in which a plugin is likely to print one is found and replaced by `***` (I13).
//!
//! Forms: as it is, each longer line of a value of many lines, escaped for JSON, percent-encoded, and in base64 however
//! it lies in what was encoded (after `user:`, say). All matches are found, overlapping ones too, and their union is
//! replaced. A value of under four bytes would be found everywhere; it is replaced only where it is a whole word.

use crate::neutral::neutral;
use aho_corasick::AhoCorasick;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::Engine;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Range;

/// What stands in place of a secret.
pub const MASK: &str = "***";
/// Shorter values count as whole words only; shorter beginnings at a cut are let be.
const SHORT: usize = 4;
/// A line of a value of many lines is a secret of its own from this length on.
const LINE: usize = 8;

/// Finds secrets. One without any costs nothing.
#[derive(Default)]
pub struct Redactor {
    finder: Option<AhoCorasick>,
    patterns: Vec<String>,
    words: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.patterns.len() + self.words.len())
    }
}

impl Redactor {
    /// For these values. An error only if there are too many of them for any automaton.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Redactor, String> {
        let (mut patterns, mut words) = (BTreeSet::new(), BTreeSet::new());
        for secret in secrets {
            // As it is told, too: without what is around it, and made harmless as all text of plugins is.
            let tidy = neutral(secret);
            for value in [secret, secret.trim(), tidy.trim()] {
                match value.len() {
                    0 => {}
                    1..SHORT => drop(words.insert(value.to_string())),
                    _ => patterns.extend(forms(value)),
                }
            }
            if secret.contains(['\n', '\r']) {
                for line in secret.split(['\n', '\r']).map(str::trim).filter(|l| l.len() >= LINE) {
                    patterns.extend(forms(line));
                }
            }
        }
        let patterns: Vec<String> = patterns.into_iter().filter(|p| p.len() >= SHORT).collect();
        let finder = (!patterns.is_empty())
            .then(|| AhoCorasick::new(&patterns))
            .transpose()
            .map_err(|e| e.to_string())?;
        let words = words.into_iter().collect();
        Ok(Redactor {
            finder,
            patterns,
            words,
        })
    }

    /// Whether there is anything to find.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.words.is_empty()
    }

    /// The text without secrets. Of one that was `cut`, an end that is the beginning of a secret is replaced as well.
    pub fn text<'a>(&self, text: &'a str, cut: bool) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        if let Some(finder) = &self.finder {
            found.extend(finder.find_overlapping_iter(text).map(|m| m.range()));
        }
        for word in &self.words {
            let whole = |at: &usize| {
                let inside = |c: char| c.is_alphanumeric() || c == '_';
                let before = text[..*at].chars().next_back().is_some_and(inside);
                !before && !text[at + word.len()..].chars().next().is_some_and(inside)
            };
            let places = text.match_indices(word.as_str()).map(|(at, _)| at);
            found.extend(places.filter(whole).map(|at| at..at + word.len()));
        }
        if cut {
            found.extend(self.beginning(text));
        }
        match found.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(masked(text, found)),
        }
    }

    /// The longest end of the text with which a secret begins.
    fn beginning(&self, text: &str) -> Option<Range<usize>> {
        let ends = |pattern: &String| {
            let longest = pattern.len().saturating_sub(1).min(text.len());
            let mut lengths = (SHORT..=longest).rev();
            lengths.find(|n| text.as_bytes().ends_with(&pattern.as_bytes()[..*n]))
        };
        let length = self.patterns.iter().filter_map(ends).max()?;
        Some(text.len() - length..text.len())
    }
}

/// Replaces the union of these ranges.
fn masked(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|range| range.start);
    let mut union: Vec<Range<usize>> = Vec::new();
    for range in found {
        match union.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => union.push(range),
        }
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for mut range in union {
        // A pattern may begin or end within a character only at a cut: the character goes with it.
        while !text.is_char_boundary(range.start) {
            range.start -= 1;
        }
        while !text.is_char_boundary(range.end) {
            range.end += 1;
        }
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(MASK);
        at = at.max(range.end);
    }
    out.push_str(&text[at..]);
    out
}

/// Every form of one value.
fn forms(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([value.to_string()]);
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_start_matches('"');
    let json = json.strip_suffix('"').unwrap_or(json);
    forms.extend([
        json.to_string(),
        json.replace('/', "\\/"),
        ascii(json, false),
        ascii(json, true),
    ]);
    // As Python's quote with its default, without one, and JavaScript's encodeURIComponent leave characters.
    for safe in ["-._~/", "-._~", "-._~!'()*"] {
        for upper in [true, false] {
            let quoted = percent(value, safe, upper);
            forms.insert(quoted.replace("%20", "+"));
            forms.insert(quoted);
        }
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for before in 0..3usize {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value.as_bytes());
            let text = engine.encode(&bytes);
            // Only characters that no neighbour has a bit of.
            let (start, end) = ([0, 2, 3][before], bytes.len() * 8 / 6);
            forms.extend(text.get(start..end).map(String::from));
        }
    }
    forms
}

/// As JSON in ASCII has it.
fn ascii(json: &str, upper: bool) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing into a String cannot fail.
            let _ = match upper {
                true => write!(out, "\\u{unit:04X}"),
                false => write!(out, "\\u{unit:04x}"),
            };
        }
    }
    out
}

fn percent(value: &str, safe: &str, upper: bool) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        // Writing into a String cannot fail.
        let _ = match byte {
            b if b.is_ascii_alphanumeric() || safe.as_bytes().contains(&b) => write!(out, "{}", b as char),
            b if upper => write!(out, "%{b:02X}"),
            b => write!(out, "%{b:02x}"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secret: &str, text: &str) -> String {
        Redactor::new([secret]).unwrap().text(text, false).into_owned()
    }

    #[test]
    fn every_form_of_a_value() {
        let secret = "p\"ss/wörd +1";
        for text in [
            "p\"ss/wörd +1",
            r#"p\"ss/wörd +1"#,
            r#"p\"ss\/wörd +1"#,
            r#"p\"ss/w\u00f6rd +1"#,
            r#"p\"ss/w\u00F6rd +1"#,
            "p%22ss/w%C3%B6rd%20%2B1",
            "p%22ss%2fw%c3%b6rd+%2b1",
        ] {
            assert_eq!(shown(secret, &format!("<{text}>")), "<***>", "{text}");
        }
    }

    #[test]
    fn base64_wherever_it_lies() {
        for secret in ["hunter22", "a-longer secret?", "öäüß~~~~x"] {
            for before in ["", "u", "us", "user:"] {
                for after in ["", "!", "!?", ":more of it"] {
                    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                        let text = engine.encode(format!("{before}{secret}{after}"));
                        let shown = shown(secret, &text);
                        assert!(shown.contains(MASK), "{before}{secret}{after} {text}");
                        // At most the characters that neighbours have a part in stay.
                        let left = text.len() - secret.len() * 8 / 6;
                        assert!(shown.len() <= left + MASK.len() + 4, "{shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn lines_of_a_key() {
        let key = "-----BEGIN KEY-----\r\nMIIEvQIBADANBg\nabc\n-----END KEY-----\n";
        assert_eq!(shown(key, "bad key MIIEvQIBADANBg, abc"), "bad key ***, abc");
        assert_eq!(
            shown(key, &format!("{:?}", key.replace('\r', ""))),
            "\"***\\n***\\nabc\\n***\\n\""
        );
    }

    #[test]
    fn short_values_are_words() {
        assert_eq!(
            shown("abc", "abc abcd xabc abc_ (abc) abc"),
            "*** abcd xabc abc_ (***) ***"
        );
        assert_eq!(shown("abcd", "xabcdx"), "x***x");
        assert_eq!(shown("", "text"), "text");
        assert_eq!(shown("pass1\n", "x pass1 x"), "x *** x");
        assert_eq!(shown("pa\u{1}ss", "x pass x"), "x *** x");
    }

    #[test]
    fn secrets_that_overlap_go_together() {
        let redactor = Redactor::new(["secret-one", "one-two-three", "one-two"]).unwrap();
        assert_eq!(redactor.text("a secret-one-two-three b one-two", false), "a *** b ***");
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut() {
        let redactor = Redactor::new(["hunter-ä-22"]).unwrap();
        assert_eq!(redactor.text("pass hunter-", true), "pass ***");
        assert_eq!(redactor.text("pass hunter-", false), "pass hunter-");
        assert_eq!(redactor.text("pass hun", true), "pass hun");
        assert_eq!(redactor.text("hunt", true), "***");
        assert_eq!(redactor.text("a hunter-ä-22 hunter-ä-22", true), "a *** ***");
        assert!(!format!("{redactor:?}").contains("hunter"));
    }
}
