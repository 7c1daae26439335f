//! The real binary on real files: what comes out, and what a second run adds.

#[path = "../../tap-csv/tests/bench/mod.rs"]
mod bench;

use std::fs;
use std::io::Write;

use bench::Bench;
use serde_json::{json, Value};

const BIN: &str = env!("CARGO_BIN_EXE_tap-jsonl");

fn add(path: &std::path::Path, text: &[u8]) {
    fs::OpenOptions::new()
        .append(true)
        .open(path)
        .unwrap()
        .write_all(text)
        .unwrap();
}

#[test]
fn a_records_bytes_stay_as_they_came() {
    let bench = Bench::new(json!({"files": "t.jsonl", "key_properties": {"t": ["id"]}, "replication_key": "at"}));
    let odd = r#"{ "id" : 1.10, "at":"2024-01-31T05:00:00Z", "t":"\u00e9\/", "n":{"a":[1, null]}, "id":12345678901234567890 }"#;
    bench.file(
        "t.jsonl",
        format!("\u{feff}{odd}\r\n\n  {{\"id\":2}} \t\n{{\"id\":3,\"at\":null}}"),
    );
    let sent = bench.run(&[]);
    assert_eq!(sent.order, "srrrS");
    assert_eq!(
        sent.texts[0],
        format!(r#"{{"type":"RECORD","stream":"t","record":{odd}}}"#)
    );
    assert_eq!(sent.texts[1], r#"{"type":"RECORD","stream":"t","record":{"id":2}}"#);
    let schema = &sent.schemas[0];
    assert_eq!(
        (&schema["key_properties"], &schema["bookmark_properties"]),
        (&json!(["id"]), &json!(["at"]))
    );
    let properties = &schema["schema"]["properties"];
    assert_eq!(
        properties["at"],
        json!({"type": ["null", "string"], "format": "date-time"})
    );
    assert_eq!(properties["id"]["maximum"].to_string(), "9".repeat(38));
    assert_eq!(
        properties["n"]["properties"]["a"]["items"]["type"],
        json!(["null", "integer"])
    );
    assert_eq!(
        bench.output(&["--discover"]).stdout,
        bench.output(&["--discover"]).stdout
    );
}

#[test]
fn compressed_and_encoded_files_are_the_same_records() {
    let text = "{\"name\":\"München\"}\r\n{\"name\":2}\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for (name, bytes, encoding) in [
        ("t.jsonl.gz", gz.finish().unwrap(), "utf-8"),
        ("t.ndjson.zst", zstd::encode_all(text.as_bytes(), 1).unwrap(), "utf-8"),
        (
            "t.json",
            encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            "windows-1252",
        ),
        ("t.log", utf16, "utf-16le"),
    ] {
        let bench = Bench::new(json!({"files": [name], "encoding": encoding}));
        bench.file(name, bytes);
        let sent = bench.run(&[]);
        assert_eq!(sent.records, [json!({"name": "München"}), json!({"name": 2})], "{name}");
        assert_eq!(sent.schemas[0]["stream"], "t");
    }
}

#[test]
fn every_state_resumes_at_its_line() {
    let mut text = String::new();
    for n in 0..50 {
        text.push_str(&format!(
            "{{\"id\":{n},\"t\":\"é\"}}{}",
            if n % 3 == 0 { "\r\n\n" } else { "\n" }
        ));
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    for (name, bytes) in [
        ("t.jsonl", text.clone().into_bytes()),
        ("t.jsonl", text.trim_end().into()),
        ("t.jsonl.gz", gz.finish().unwrap()),
    ] {
        let bench = Bench::new(json!({"files": [name, "u.jsonl"], "state_every": 7, "add_metadata_columns": true}));
        bench.file(name, bytes);
        bench.file("u.jsonl", "{}\n{\"x\" : 1 }\n");
        let whole = bench.run(&[]);
        assert_eq!(whole.records.len(), 52);
        assert_eq!(whole.records[3]["_sdc_source_line"], 5);
        assert_eq!(
            whole.records[50],
            json!({"_sdc_source_file": "u.jsonl", "_sdc_source_line": 1})
        );
        assert_eq!(
            whole.records[51],
            json!({"x": 1, "_sdc_source_file": "u.jsonl", "_sdc_source_line": 2})
        );
        let (mut sent, mut states) = (0, whole.states.iter());
        for mark in whole.order.chars() {
            match mark {
                'r' => sent += 1,
                'S' => assert_eq!(
                    bench.resume(states.next().unwrap()).records,
                    whole.records[sent..],
                    "{name} after {sent}"
                ),
                _ => {}
            }
        }
    }
}

#[test]
fn finished_grown_and_replaced_files() {
    let bench = Bench::new(json!({"files": ["*.jsonl"], "on_bad_line": "skip"}));
    let a = bench.file("a.jsonl", "{\"x\":1}\n{\"x\":2}\n{\"x\":");
    bench.file("empty.jsonl", "");
    let first = bench.run(&[]);
    assert_eq!(first.records.len(), 2);
    assert!(
        first.stderr.contains("a.jsonl line 3: the last line is cut short"),
        "{}",
        first.stderr
    );
    let state = first.states.last().unwrap();
    assert_eq!(bench.resume(state).records, Vec::<Value>::new());
    // The line that was being written is whole now.
    add(&a, b"3.5}\n{\"x\":4}");
    let grown = bench.resume(state);
    assert_eq!(grown.records, [json!({"x": 3.5}), json!({"x": 4})]);
    assert_eq!(
        grown.schemas[0]["schema"]["properties"]["x"]["type"],
        json!(["null", "number"])
    );
    let state = grown.states.last().unwrap();
    add(&a, b"\n{\"x\":5}\n");
    assert_eq!(bench.resume(state).records, [json!({"x": 5})]);
    // What was sent once is never narrowed.
    fs::write(&a, "{\"x\":7}\n").unwrap();
    let replaced = bench.resume(state);
    assert_eq!(replaced.records, [json!({"x": 7})]);
    assert!(
        replaced.stderr.contains("a.jsonl is not the file that was read before"),
        "{}",
        replaced.stderr
    );
    assert_eq!(
        replaced.schemas[0]["schema"]["properties"]["x"]["type"],
        json!(["null", "number"])
    );
}

#[test]
fn bad_lines_fail_with_their_place_or_are_counted() {
    let bad: [(&[u8], &str, &str); 7] = [
        (b"[1]", "data.bad_source", "t.jsonl line 2: not a JSON object"),
        (b"{\"a\":1", "data.bad_source", "t.jsonl line 2"),
        (
            b"{\"a\":1}}",
            "data.bad_source",
            "t.jsonl line 2: there is more after the value",
        ),
        (b"{\"a\":01}", "data.bad_source", "t.jsonl line 2"),
        (b"{\"a\":\"\xff\"}", "data.invalid_utf8", "t.jsonl line 2: not UTF-8"),
        (
            b"{\"a\":\"\x00\"}",
            "data.bad_source",
            "t.jsonl line 2: a control character must be escaped",
        ),
        (
            b"{\"a\":\"0123456789012345678901234567890123456789\"}",
            "data.line_too_long",
            "t.jsonl line 2: longer than `max_line`",
        ),
    ];
    for (line, code, text) in bad {
        let content = [b"{\"a\":1}\n", line, b"\n{\"a\":2}\n"].concat();
        let mut bench = Bench::new(json!({"files": "t.jsonl", "max_line": 40}));
        bench.file("t.jsonl", &content);
        let sent = bench.fails(4, text);
        assert_eq!((sent.matches("RECORD").count(), bench.fails(4, code)), (1, sent));
        bench.config["on_bad_line"] = json!("skip");
        let sent = bench.run(&[]);
        assert_eq!(sent.records, [json!({"a": 1}), json!({"a": 2})]);
        assert!(
            sent.stderr.contains(text) && sent.stderr.contains("1 bad lines were left out"),
            "{}",
            sent.stderr
        );
    }
    let fails = |config: Value, text: &str| {
        let bench = Bench::new(config);
        bench.file("t.jsonl", "{\"a\":1}\n");
        bench.fails(2, text);
    };
    fails(json!({"files": "u*.jsonl"}), "\"u*.jsonl\" finds no file");
    fails(json!({"files": "http://host/x"}), "is a kind of URL that is not read");
    fails(
        json!({"files": "t.jsonl", "key_properties": ["id"]}),
        "has no column \"id\"",
    );
    fails(json!({"files": "t.jsonl", "types": {"a": "int"}}), "is not a type");
    fails(
        json!({"files": "t.jsonl", "storage": {"nonsense": 1}, "encoding": "klingon"}),
        "is not known",
    );
}

#[test]
fn a_line_of_100_megabytes() {
    let large = "x".repeat(100 << 20);
    let mut bench = Bench::new(json!({"files": "t.jsonl", "on_bad_line": "skip", "max_line": 1 << 20}));
    bench.file("t.jsonl", format!("{{\"a\":1}}\n{{\"a\":\"{large}\"}}\n{{\"a\":2}}\n"));
    let sent = bench.run(&[]);
    assert_eq!(sent.records, [json!({"a": 1}), json!({"a": 2})]);
    assert!(sent.stderr.contains("t.jsonl line 2: longer"), "{}", sent.stderr);
    bench.config["max_line"] = json!(200 << 20);
    let output = bench.output(&[]);
    assert!(output.status.success());
    assert!(output.stdout.len() > 100 << 20);
}

#[test]
fn the_catalog_chooses() {
    let bench = Bench::new(json!({"files": ["*.jsonl"], "key_properties": {"a": ["id"]}, "types": {"a.x": "string"}}));
    bench.file("a.jsonl", "{\"id\":1,\"x\":2, \"y\":3}\n");
    bench.file("b.jsonl", "{\"z\":1}\n");
    let mut catalog: Value = serde_json::from_slice(&bench.output(&["--discover"]).stdout).unwrap();
    for (stream, entry, selected) in [(0, 0, true), (0, 1, false), (0, 2, false), (1, 0, false)] {
        catalog["streams"][stream]["metadata"][entry]["metadata"]["selected"] = json!(selected);
    }
    let path = bench.file("catalog.json", catalog.to_string());
    let sent = bench.run(&["--catalog", path.to_str().unwrap()]);
    assert_eq!(sent.records, [json!({"id": 1, "y": 3})]); // a key stays, whatever is chosen
    assert_eq!(sent.schemas.len(), 1);
    assert!(sent.schemas[0]["schema"]["properties"].get("x").is_none());
    assert_eq!(
        catalog["streams"][0]["schema"]["properties"]["x"],
        json!({"type": ["null", "string"]})
    );
}
