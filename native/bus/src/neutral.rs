//! Text of a plugin, made harmless for a terminal and for a log: no escape sequences, no control characters, nothing
//! that reorders what is shown or begins a new line.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';
const STRING_END: char = '\u{9c}';

/// The text without anything but what can be read. What breaks a line becomes a space.
pub fn neutral(text: &str) -> Cow<'_, str> {
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ESCAPE => after_escape(&mut rest),
            // The 8-bit forms of ESC [, and of ESC P, X, ], ^ and _.
            '\u{9b}' => control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => control_string(&mut rest),
            '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if harmless(c) => out.push(c),
            _ => {}
        }
    }
    Cow::Owned(out)
}

fn harmless(c: char) -> bool {
    match c {
        '\t' | ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => false,
        _ => true,
    }
}

fn after_escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            control_string(rest);
        }
        _ => {
            while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
            rest.next_if(|c| ('0'..='~').contains(c));
        }
    }
}

/// Parameters, intermediates, one final.
fn control_sequence(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
    rest.next_if(|c| ('@'..='~').contains(c));
}

/// Everything up to the string's end. One that has none is only an introducer: what follows it is text to read.
fn control_string(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        if c == ESCAPE && ahead.next_if_eq(&'\\').is_some() || c == BELL || c == STRING_END {
            *rest = ahead;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_stays() {
        for text in ["", "plain", "tab\there", "äöü 日本 🚀 [31m", "a\u{301}"] {
            assert!(matches!(neutral(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_drives_a_terminal_goes() {
        for (text, left) in [
            ("\x1b[31mred\x1b[0m", "red"),
            ("\u{9b}31mred", "red"),
            ("a\x1b]0;title\x07b", "ab"),
            ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            ("a\x1bPq#1\x1b\\b", "ab"),
            ("a\x1b]no end", "ano end"),
            ("a\x1b(Bb\x1b7c\x1bcd", "abcd"),
            ("\x1b[", ""),
            ("\x1b", ""),
            ("a\x08\x08\0\x7f\u{84}b", "ab"),
            ("10%\r20%", "10% 20%"),
            ("a\u{2028}b\u{2029}c\u{85}d\ne", "a b c d e"),
            ("user\u{202e}txt.exe\u{2066}x\u{2069}", "usertxt.exex"),
            ("hun\x1b[0mter2", "hunter2"),
        ] {
            assert_eq!(neutral(text), left, "{text:?}");
        }
    }
}
