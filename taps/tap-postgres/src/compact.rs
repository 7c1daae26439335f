//! JSON text without the space between its values: a json column keeps what was written, line breaks too.

/// Appends a JSON text on one line.
pub fn json(out: &mut Vec<u8>, text: &[u8]) {
    // The server's own JSON has no more than a blank behind a comma or colon, which does no harm.
    if !text.iter().any(|byte| *byte < b' ') {
        out.extend_from_slice(text);
        return;
    }
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match (quoted, byte) {
            (false, b' ' | b'\n' | b'\r' | b'\t') => continue,
            (false, b'"') => quoted = true,
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => quoted = false,
            _ => {}
        }
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_space_goes() {
        let compact = |text: &str| {
            let mut out = Vec::new();
            super::json(&mut out, text.as_bytes());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(compact("{\"a\": 1, \"a\": 2}"), "{\"a\": 1, \"a\": 2}");
        assert_eq!(
            compact("{\n  \"a \\\" \\\\\": [1e400,\t\" \\n\"] }\r\n"),
            "{\"a \\\" \\\\\":[1e400,\" \\n\"]}"
        );
    }
}
