//! Columns of one record, by name: whether one is used, and the record without some.
//!
//! It is the one place where a record is rewritten (I3): `schema_change: discard_column` asks for that.

use singer_protocol::json::{blank, peek, string, value};
use singer_protocol::text::Text;
use std::ops::Range;

/// One member of an object, from its key's quote to the end of its value.
struct Member {
    name: String,
    span: Range<usize>,
    value: Range<usize>,
}

/// The members of the object that `text` holds from `start` on; the text is known to be JSON.
fn members(text: &[u8], start: usize) -> Vec<Member> {
    let (mut found, mut at) = (Vec::new(), blank(text, start + 1));
    while peek(text, at) == b'"' {
        let Ok((end, escaped)) = string(text, at + 1) else {
            break;
        };
        let key = Text {
            raw: &text[at + 1..end - 1],
            escaped,
        };
        let from = blank(text, blank(text, end) + 1);
        let Ok(to) = value(text, from, &mut 0) else {
            break;
        };
        found.push(Member {
            name: key.to_str_lossy().into_owned(),
            span: at..to,
            value: from..to,
        });
        at = blank(text, to);
        at = if peek(text, at) == b',' {
            blank(text, at + 1)
        } else {
            at
        };
    }
    found
}

/// The first of these columns in which a record holds a value.
pub fn used(record: &[u8], names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let holds = |m: &Member| names.contains(&m.name) && peek(record, m.value.start) != b'n';
    members(record, 0).into_iter().find(holds).map(|m| m.name)
}

/// The line without these columns of its record; none if it has none of them. All else stays as it came.
pub fn without(line: &[u8], start: usize, end: usize, names: &[String]) -> Option<Vec<u8>> {
    if names.is_empty() {
        return None;
    }
    let all = members(line, start);
    let count = all.len();
    let kept: Vec<&Member> = all.iter().filter(|m| !names.contains(&m.name)).collect();
    if kept.len() == count {
        return None;
    }
    let mut out = Vec::with_capacity(line.len());
    out.extend_from_slice(&line[..=start]);
    for (number, member) in kept.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&line[member.span.clone()]);
    }
    out.extend_from_slice(&line[end - 1..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn columns_are_taken_out() {
        let line = br#"{"record":{"a": 1, "b":{"a":"}"} ,"c":1.50},"z":1}"#;
        let (start, end) = (10, line.len() - 7);
        assert_eq!(line[end - 1], b'}');
        let left = |columns: &[&str]| without(line, start, end, &names(columns)).map(|l| String::from_utf8(l).unwrap());
        assert_eq!(left(&["b"]).unwrap(), r#"{"record":{"a": 1,"c":1.50},"z":1}"#);
        assert_eq!(left(&["a", "b", "c"]).unwrap(), r#"{"record":{},"z":1}"#);
        assert_eq!(left(&["d"]), None);
    }

    #[test]
    fn a_null_is_no_use() {
        assert_eq!(used(br#"{"a":null,"b":1}"#, &names(&["a"])), None);
        assert_eq!(used(br#"{"a":null,"\u0062":1}"#, &names(&["b"])), Some("b".into()));
    }
}
