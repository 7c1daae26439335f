//! What the vectors do not say: how the pieces are used together, and their limits.

use std::io::Cursor;

use singer_protocol::envelope::{self, Kind};
use singer_protocol::error::Code;
use singer_protocol::framing::{Fill, Framer};
use singer_protocol::line::{inspect, Check, Line};
use singer_protocol::message::{self, Message};
use singer_protocol::state::{fingerprint, Shape};
use singer_protocol::text::Text;
use singer_protocol::{json, text};

/// A line's bytes, number, start, and whether it had its newline.
type Cut = (Vec<u8>, u64, u64, bool);

fn lines(input: &[u8], max_line: usize, chunk: usize) -> Result<Vec<Cut>, String> {
    let mut framer = Framer::with_chunk(max_line, chunk);
    let (mut source, mut out) = (Cursor::new(input), Vec::new());
    loop {
        while let Some(line) = framer
            .advance()
            .map_err(|e| format!("line {} at {}", e.number, e.start))?
        {
            out.push((
                framer.slice(line.span()).to_vec(),
                line.number,
                line.start,
                line.terminated,
            ));
        }
        framer.release_all();
        if framer.fill(&mut source).unwrap() == Fill::End {
            break;
        }
        assert!(framer.capacity() <= 2 * (max_line + chunk) + 2);
    }
    if let Some(line) = framer.last().map_err(|e| e.number.to_string())? {
        out.push((
            framer.slice(line.span()).to_vec(),
            line.number,
            line.start,
            line.terminated,
        ));
    }
    Ok(out)
}

#[test]
fn lines_come_out_whole_at_any_chunk_size() {
    for chunk in 1..20 {
        let got = lines(b"\xef\xbb\xbfone\n\ntwo\r\nthree", 100, chunk).unwrap();
        let texts: Vec<_> = got.iter().map(|l| l.0.as_slice()).collect();
        assert_eq!(texts, [b"one".as_slice(), b"", b"two\r", b"three"]);
        assert_eq!(got.iter().map(|l| l.2).collect::<Vec<_>>(), [3, 7, 8, 13]);
        assert_eq!(got.iter().map(|l| l.3).collect::<Vec<_>>(), [true, true, true, false]);
    }
}

#[test]
fn a_line_beyond_the_cap_is_an_error_and_is_not_buffered() {
    for chunk in [1, 3, 8, 64] {
        assert_eq!(lines(b"ok\n12345678\n", 8, chunk).unwrap().len(), 2);
        assert_eq!(lines(b"ok\n123456789\n", 8, chunk), Err("line 2 at 3".into()));
        assert_eq!(lines(b"ok\n123456789", 8, chunk), Err("line 2 at 3".into()));
    }
    let mut framer = Framer::with_chunk(1000, 64);
    let mut endless = std::io::repeat(b'x');
    while framer.advance().is_ok() {
        framer.fill(&mut endless).unwrap();
    }
    assert_eq!(framer.held(), 1001); // I10: the cap and the byte that proves it too long
}

#[test]
fn kept_lines_are_forwarded_in_one_piece() {
    let mut framer = Framer::with_chunk(100, 4);
    let mut source = Cursor::new(b"a\nbb\nccc\n".as_slice());
    let (mut from, mut to) = (None, 0);
    loop {
        while let Some(line) = framer.advance().unwrap() {
            from.get_or_insert(line.whole().start);
            to = line.whole().end;
        }
        if framer.fill(&mut source).unwrap() == Fill::End {
            break;
        }
    }
    assert_eq!(framer.slice(from.unwrap()..to), b"a\nbb\nccc\n");
    framer.release(5);
    assert_eq!(framer.slice(5..9), b"ccc\n");
}

#[test]
fn an_unread_buffer_reports_full_and_goes_on_after_release() {
    let mut framer = Framer::with_chunk(10, 16);
    let mut source = std::io::repeat(b'\n');
    while framer.fill(&mut source).unwrap() != Fill::Full {
        while framer.advance().unwrap().is_some() {}
    }
    framer.release_all();
    assert!(matches!(framer.fill(&mut source).unwrap(), Fill::Read(_)));
}

#[test]
fn envelopes_in_every_dress() {
    let same = [
        r#"{"type":"RECORD","stream":"s","record":{"id":1}}"#,
        r#"{"type": "RECORD", "stream": "s", "record": {"id": 1}}"#,
        r#"{"record":{"type":"STATE","stream":"no"},"stream":"s","type":"RECORD"}"#,
        r#"  {  "type" : "RECORD"  ,"time_extracted":"x", "stream" :"s", "record" :{ } }  "#,
        r#"{"\u0074ype":"REC\u004fRD","stream":"\u0073","record":{"}":"{\"}"}}"#,
        r#"{"type":"STATE","type":"RECORD","stream":"no","stream":"s","record":5,"record":{}}"#,
    ];
    for line in same {
        let scanned = envelope::scan(line.as_bytes()).unwrap();
        let (checked, _) = envelope::check(line.as_bytes()).unwrap();
        assert_eq!(scanned, checked, "{line}");
        assert_eq!(scanned.kind, Kind::Record, "{line}");
        assert!(scanned.stream.unwrap().is(b"s"), "{line}");
        let record = &line[scanned.payload().unwrap()];
        assert!(record.starts_with('{') && record.ends_with('}'), "{line}");
    }
    let head = envelope::head(same[1].as_bytes()).unwrap();
    assert!(head.partial && head.kind == Kind::Record && head.stream.unwrap().is(b"s"));
    assert!(!envelope::head(same[2].as_bytes()).unwrap().partial);
}

#[test]
fn json_is_checked_to_the_letter() {
    let good = [
        "{}",
        " [ ] ",
        "-0.5e+10",
        "\"\\ud800\"",
        "[[[],{}],{\"a\":{}}]",
        "[1,\"a\\\\\",null,true,false]",
        "0",
    ];
    let bad = [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\tb\"",
        "nul",
        "[1 2]",
        "{\"a\":1,}",
        "{,}",
        "[}",
        "{\"a\":1]",
        "1 1",
        "-",
        "'a'",
        "\u{1}",
        "Nan",
        "[1,2",
        "\"abc",
        "{a:1}",
        "\"\\",
        "nulll",
    ];
    for text in good {
        assert!(json::check(text.as_bytes()).is_ok(), "{text}");
    }
    for text in bad {
        assert!(json::check(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(
        json::check(b"[NaN,-Infinity,{\"a\":Infinity}]")
            .unwrap()
            .nonstandard_numbers,
        3
    );
    let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    assert!(json::check(&deep(100_000)).is_ok());
    assert_eq!(json::check(&deep(100_001)).unwrap_err().code, Code::InvalidJson);
    assert!(json::check(&[b"{\"a\":".repeat(500), b"1".to_vec(), b"}".repeat(500)].concat()).is_ok());
    let mixed = [b"[{\"a\":".repeat(200), b"1".to_vec(), b"}]".repeat(200)].concat();
    assert!(json::check(&mixed).is_ok());
    assert!(json::check(&[&mixed[..mixed.len() - 2], b"]}"].concat()).is_err());
}

#[test]
fn a_line_cut_short_says_so() {
    let whole = br#"{"type":"RECORD","stream":"t","record":{"a":[1,true,"x\u00e9"]}}"#;
    for n in 1..whole.len() {
        let fault = inspect(&whole[..n], Check::Json).unwrap_err();
        assert!(fault.truncated && fault.code == Code::InvalidJson, "{n}");
    }
    assert!(!inspect(b"{]", Check::Json).unwrap_err().truncated);
}

#[test]
fn texts_stay_apart() {
    assert_eq!(text::unescape(br#"a\n\u00e9\ud83d\ude00\/"#), "a\né😀/".as_bytes());
    let lone = Text {
        raw: br"\ud800",
        escaped: true,
    };
    let other = Text {
        raw: br"\udc00",
        escaped: true,
    };
    assert_ne!(lone.bytes(), other.bytes());
    assert_eq!(lone.to_str_lossy(), "\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn states_are_compared_by_meaning() {
    let hash = |text: &str| fingerprint(text.as_bytes()).unwrap().hash;
    let same = [
        (r#"{"a":1,"b":[1,2]}"#, r#" { "b" : [1, 2], "a" : 1 } "#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"\u0061":"\u00e9"}"#, "{\"a\":\"é\"}"),
        ("1.0", "1.00"),
        ("1e2", "100.0"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("12345678901234567890.5", "12345678901234567890.50"),
    ];
    for (a, b) in same {
        assert_eq!(hash(a), hash(b), "{a} {b}");
    }
    let other = [
        "{}",
        "[]",
        "null",
        "\"\"",
        "0",
        "0.0",
        "true",
        "[[]]",
        "[{}]",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "[1,2]",
        "[12]",
        "[2,1]",
        "{\"a\":1,\"b\":2}",
        "{\"a\":2,\"b\":1}",
        "12345678901234567890",
        "12345678901234567891",
        "\"0\"",
        "[[1],2]",
        "[1,[2]]",
    ];
    for (i, a) in other.iter().enumerate() {
        for b in &other[i + 1..] {
            assert_ne!(hash(a), hash(b), "{a} {b}");
        }
    }
    assert_eq!(fingerprint(b" { } ").unwrap().shape, Shape::EmptyObject);
    assert_eq!(fingerprint(b"null").unwrap().shape, Shape::Null);
    assert_eq!(fingerprint(b"[1]").unwrap().shape, Shape::Other);
    assert!(fingerprint(b"{\"a\":1").is_err() && fingerprint(b"").is_err() && fingerprint(b"\"\xff\"").is_err());
    let deep = [b"{\"a\":[".repeat(40_000), b"1".to_vec(), b"]}".repeat(40_000)].concat();
    assert!(fingerprint(&deep).is_ok());
}

#[test]
fn typed_messages_keep_digits_and_order() {
    let line = br#"{"type":"SCHEMA","stream":"s","key_properties":"id","schema":{"z":1.10,"a":123456789012345678901234567890}}"#;
    let Line::Message { envelope, .. } = inspect(line, Check::Json).unwrap() else {
        panic!()
    };
    let Message::Schema(schema) = message::parse(line, &envelope).unwrap() else {
        panic!()
    };
    assert_eq!(schema.key_properties, ["id"]);
    let mut out = Vec::new();
    message::write_schema(&mut out, &schema);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(r#""schema":{"z":1.10,"a":123456789012345678901234567890}"#),
        "{text}"
    );
    let line = br#"{"type":"RECORD","stream":"s","record":{"n":1.10},"version":7}"#;
    let Line::Message { envelope, .. } = inspect(line, Check::Json).unwrap() else {
        panic!()
    };
    let Message::Record(record) = message::parse(line, &envelope).unwrap() else {
        panic!()
    };
    assert_eq!((record.record, record.version), (br#"{"n":1.10}"#.as_slice(), Some(7)));
    let line = br#"{"type":"BATCH","stream":"s","manifest":["file:///x"],"batch_size":10}"#;
    let Line::Message { envelope, .. } = inspect(line, Check::Json).unwrap() else {
        panic!()
    };
    let Message::Batch(batch) = message::parse(line, &envelope).unwrap() else {
        panic!()
    };
    assert_eq!(batch.rest.keys().collect::<Vec<_>>(), ["manifest", "batch_size"]);
}
