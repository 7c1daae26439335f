//! A record without the properties that are not selected: a copy of its bytes that leaves some out.

use std::collections::HashSet;

use singer_plugin::text::Text;
use singer_plugin::wire_json::{blank, peek, string, value};

/// Append an object, known to be well-formed, without these properties.
pub fn without(dropped: &HashSet<Vec<u8>>, s: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    let (mut at, mut first) = (blank(s, 1), true);
    while peek(s, at) == b'"' {
        let Ok((end, escaped)) = string(s, at + 1) else { break };
        let name = Text {
            raw: &s[at + 1..end - 1],
            escaped,
        };
        let Ok(stop) = value(s, blank(s, blank(s, end) + 1), &mut 0) else {
            break;
        };
        if !dropped.contains(name.bytes().as_ref()) {
            if !first {
                out.push(b',');
            }
            out.extend_from_slice(&s[at..stop]);
            first = false;
        }
        at = blank(s, stop);
        if peek(s, at) == b',' {
            at = blank(s, at + 1);
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_out() {
        let dropped: HashSet<Vec<u8>> = [b"a".to_vec(), "é".into()].into();
        for (record, rest) in [
            ("{}", "{}"),
            ("{\"a\":1}", "{}"),
            ("{ \"a\" : {\"b\":[1,2]} , \"c\":\"}\\\"\" }", "{\"c\":\"}\\\"\"}"),
            (
                "{\"b\":1.10, \"\\u00e9\":2,\"a\":3,\"d\" : NaN}",
                "{\"b\":1.10,\"d\" : NaN}",
            ),
        ] {
            let mut out = Vec::new();
            without(&dropped, record.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), rest);
        }
    }
}
