//! `--play` with dead-letter files: each letter as the record that it was, without what was said about it.
//!
//! `--state` says which were replayed before: `{"bookmarks": {STREAM: {RUN: LINE}}}` leaves out the letters of a stream up
//! to that line of that run's file. No STATE is printed: a replay moves nobody's bookmark.

use crate::play::{open, read_line, Out, Play};
use serde_json::Value;
use singer_protocol::envelope::{self, Kind};
use std::collections::HashMap;
use std::io;

/// A letter is a record and a few words about it.
const LONGEST: u64 = 1 << 30;

/// Up to which line the letters of a stream were replayed.
fn replayed(wanted: &Play) -> io::Result<impl Fn(&str, &str) -> u64> {
    let mut state = Value::Null;
    if let Some(path) = &wanted.state {
        let named = |e: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| named(e.to_string()))?;
        state = serde_json::from_slice(&bytes).map_err(|e| named(e.to_string()))?;
    }
    Ok(move |stream: &str, run: &str| state["bookmarks"][stream][run].as_u64().unwrap_or(0))
}

/// Prints the letters of every file.
pub fn play(wanted: &Play, out: &mut Out) -> io::Result<()> {
    let (upto, mut line) = (replayed(wanted)?, Vec::new());
    for path in &wanted.files {
        let run = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (mut file, mut number, mut no_message) = (open(path)?, 0, 0u64);
        let mut schemas: HashMap<String, Vec<u8>> = HashMap::new();
        while !out.full() && read_line(&mut file, &mut line, LONGEST)? {
            number += 1;
            let named = envelope::scan(&line).ok().and_then(|found| {
                let stream = found.stream.as_ref()?.to_str_lossy().into_owned();
                Some((stream, found.kind))
            });
            let Some((stream, kind)) = named else {
                no_message += u64::from(!line.trim_ascii().is_empty());
                continue;
            };
            if !wanted.streams.is_empty() && !wanted.streams.contains(&stream) {
                continue;
            }
            match kind {
                Kind::Schema => drop(schemas.insert(stream, ended(&line))),
                Kind::Record if number > upto(&stream, &run) => {
                    if let Some(schema) = schemas.remove(&stream) {
                        out.line(&schema, false)?;
                    }
                    out.line(&ended(&without_member(&line, b"dead_letter")), true)?;
                }
                _ => {}
            }
        }
        if no_message > 0 {
            eprintln!("{run}: {no_message} lines are no messages and cannot be replayed");
        }
    }
    Ok(())
}

fn ended(line: &[u8]) -> Vec<u8> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    [line, b"\n"].concat()
}

/// An object without one of its own members; every other byte stays (I3).
fn without_member(object: &[u8], name: &[u8]) -> Vec<u8> {
    let (mut depth, mut at, mut comma) = (0usize, 0, None);
    // Where the member's text begins, once it was found.
    let mut found: Option<usize> = None;
    while at < object.len() {
        match object[at] {
            b'"' => {
                let end = string_end(object, at);
                let is_key = object[end..].trim_ascii_start().first() == Some(&b':');
                if depth == 1 && is_key && found.is_none() && object.get(at + 1..end - 1) == Some(name) {
                    found = Some(at);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if let (0, Some(start)) = (depth, found) {
                    return [&object[..comma.unwrap_or(start)], &object[at..]].concat();
                }
            }
            b',' if depth == 1 => match found {
                Some(start) => {
                    // The comma before it goes; without one, the comma behind it.
                    let (from, to) = comma.map_or((start, at + 1), |before| (before, at));
                    return [&object[..from], &object[to..]].concat();
                }
                None => comma = Some(at),
            },
            _ => {}
        }
        at += 1;
    }
    object.to_vec()
}

/// Behind the string that begins here.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str) -> String {
        String::from_utf8(without_member(text.as_bytes(), b"dead_letter")).unwrap()
    }

    #[test]
    fn only_the_member_goes() {
        for (with, bare) in [
            (r#"{"a":1,"dead_letter":{"x":[1,"}"]}}"#, r#"{"a":1}"#),
            (r#"{"dead_letter":{"x":",\""},"a":NaN}"#, r#"{"a":NaN}"#),
            (
                r#"{"a": 1.50, "dead_letter" : null , "b":{"dead_letter":1}}"#,
                r#"{"a": 1.50, "b":{"dead_letter":1}}"#,
            ),
            (r#"{"dead_letter":1}"#, "{}"),
            (
                r#"{"a":"dead_letter","b":["dead_letter"]}"#,
                r#"{"a":"dead_letter","b":["dead_letter"]}"#,
            ),
        ] {
            assert_eq!(without(with), bare);
        }
    }
}
