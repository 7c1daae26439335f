//! The real binary on real files: what comes out, and what a second run adds.

mod bench;

use std::fs;
use std::io::Write;

use bench::Bench;
use serde_json::{json, Map, Value};

const BIN: &str = env!("CARGO_BIN_EXE_tap-csv");

fn kind(schema: &Value, column: &str) -> Value {
    schema["schema"]["properties"][column]["type"][1].clone()
}

#[test]
fn types_are_inferred_and_digits_stay() {
    let bench = Bench::new(json!({"files": "t.csv", "key_properties": {"t": ["id"]}, "replication_key": "day"}));
    bench.file(
        "t.csv",
        "id,zip,amount,wide,ok,day,at,text\n1,007,2.50,18446744073709551615,true,2013-01-31,2013-01-01T05:00:00Z,\"a \"\"b\"\"\n\u{e9}\"\n2,,NA,1,False,,2013-01-01 05:00:00+02:00,\n",
    );
    let sent = bench.run(&[]);
    assert_eq!(sent.order, "srrS");
    let kinds: Vec<_> = ["id", "zip", "amount", "wide", "ok", "day", "at", "text"]
        .map(|c| kind(&sent.schemas[0], c))
        .into();
    assert_eq!(
        json!(kinds),
        json!(["integer", "string", "number", "integer", "boolean", "string", "string", "string"])
    );
    assert_eq!(sent.schemas[0]["schema"]["properties"]["at"]["format"], "date-time");
    assert_eq!(
        sent.schemas[0]["schema"]["properties"]["wide"]["maximum"].to_string(),
        "9".repeat(38)
    );
    assert_eq!(
        (
            &sent.schemas[0]["key_properties"],
            &sent.schemas[0]["bookmark_properties"]
        ),
        (&json!(["id"]), &json!(["day"]))
    );
    let record = r#"{"id":1,"zip":"007","amount":2.50,"wide":18446744073709551615,"ok":true,"day":"2013-01-31","at":"2013-01-01T05:00:00Z","text":"a \"b\"\né"}"#;
    assert_eq!(
        sent.texts[0],
        format!(r#"{{"type":"RECORD","stream":"t","record":{record}}}"#)
    );
    assert_eq!(
        sent.records[1],
        json!({"id":2,"zip":null,"amount":null,"wide":1,"ok":false,"day":null,"at":"2013-01-01T05:00:00+02:00","text":null})
    );
}

#[test]
fn a_later_value_widens_its_column_for_good() {
    let bench = Bench::new(json!({"files": "t.csv", "sample_rows": 1, "state_every": 1}));
    let path = bench.file("t.csv", "a,b\n1,1\n2,1.5\nx,2\n12345678901234567890,2\n");
    let sent = bench.run(&[]);
    assert_eq!(sent.order, "srSsrSsrSrSS");
    let kinds: Vec<_> = sent
        .schemas
        .iter()
        .map(|s| json!([kind(s, "a"), kind(s, "b")]))
        .collect();
    assert_eq!(
        json!(kinds),
        json!([["integer", "integer"], ["integer", "number"], ["string", "number"]])
    );
    assert_eq!(sent.records[2], json!({"a": "x", "b": 2}));
    assert_eq!(sent.records[3]["a"], "12345678901234567890");
    // A later run does not narrow them again.
    fs::write(&path, "a,b\n1,1\n2,1.5\nx,2\n12345678901234567890,2\n5,6\n").unwrap();
    let again = bench.resume(sent.states.last().unwrap());
    assert_eq!(again.schemas[0], sent.schemas[2]);
    assert_eq!(again.records, [json!({"a": "5", "b": 6})]);
}

#[test]
fn compressed_and_encoded_files_are_the_same_rows() {
    let text = "name,n\nMünchen,1\n\"a,b\",2\n";
    let bench = Bench::new(json!({"files": "t.csv"}));
    bench.file("t.csv", text);
    let plain = bench.run(&[]).records;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let (half, rest) = text.as_bytes().split_at(9);
    let members: Vec<u8> = [half, rest]
        .iter()
        .flat_map(|part| {
            let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            member.write_all(part).unwrap();
            member.finish().unwrap()
        })
        .collect();
    let latin = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(text.as_bytes());
    let variants = [
        ("t.csv.gz", gz.clone(), "utf-8"),
        ("named-wrongly.csv", gz, "utf-8"),
        ("members.csv.gz", members, "utf-8"),
        ("t.csv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap(), "utf-8"),
        ("latin.csv", latin, "windows-1252"),
        ("wide.csv", utf16, "utf-16le"),
        ("marked.csv", marked, "utf-8"),
        ("crlf.csv", text.replace('\n', "\r\n").into_bytes(), "utf-8"),
    ];
    for (name, bytes, encoding) in variants {
        let bench = Bench::new(json!({"files": [name], "encoding": encoding}));
        bench.file(name, bytes);
        let sent = bench.run(&[]);
        assert_eq!(sent.records, plain, "{name}");
        assert_eq!(sent.schemas[0]["stream"], name.split('.').next().unwrap());
    }
}

#[test]
fn every_state_resumes_at_its_row() {
    let mut text = String::from("id,text\r\n");
    for n in 0..40 {
        text.push_str(&format!("{n},\"row {n}\r\nof two lines é\"\r\n"));
        if n % 7 == 0 {
            text.push_str("\r\n");
        }
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let files = [
        ("t.csv", text.clone().into_bytes(), "utf-8"),
        ("t.csv", text.trim_end().replace('\r', "").into_bytes(), "utf-8"),
        ("t.csv.gz", gz.finish().unwrap(), "utf-8"),
        ("t.csv", utf16, "utf-16be"),
        ("t.csv", marked, "utf-8"),
    ];
    for (name, bytes, encoding) in files {
        let bench = Bench::new(
            json!({"files": [name, "u.csv"], "encoding": encoding, "state_every": 3, "add_metadata_columns": true}),
        );
        bench.file(name, bytes);
        bench.file(
            "u.csv",
            encoding_rs::Encoding::for_label(encoding.as_bytes())
                .unwrap()
                .encode("")
                .0,
        );
        let whole = bench.run(&[]);
        assert_eq!(whole.records.len(), 40);
        let mut sent = 0;
        let mut states = whole.states.iter();
        for mark in whole.order.chars() {
            match mark {
                'r' => sent += 1,
                'S' => assert_eq!(
                    bench.resume(states.next().unwrap()).records,
                    whole.records[sent..],
                    "{encoding} after {sent}"
                ),
                _ => {}
            }
        }
        for (n, record) in whole.records.iter().enumerate() {
            let blank = if n == 0 { 0 } else { (n - 1) / 7 + 1 };
            assert_eq!(record["_sdc_source_line"], 2 + 2 * n + blank, "{encoding} row {n}");
        }
    }
}

#[test]
fn finished_appended_and_replaced_files() {
    let bench = Bench::new(json!({"files": ["*.csv"]}));
    let a = bench.file("a.csv", "x\n1\n2\n");
    bench.file("b.csv", "x\n1\n");
    let first = bench.run(&[]);
    assert_eq!(first.records.len(), 3);
    let state = first.states.last().unwrap();
    let nothing = bench.resume(state);
    assert_eq!((nothing.order.as_str(), nothing.states.last()), ("ssS", Some(state)));
    fs::OpenOptions::new()
        .append(true)
        .open(&a)
        .unwrap()
        .write_all(b"3\n4\n")
        .unwrap();
    let appended = bench.resume(state);
    assert_eq!(appended.records, [json!({"x": 3}), json!({"x": 4})]);
    assert_eq!(appended.stderr, "");
    fs::write(&a, "x\n7\n8\n9\n").unwrap();
    let replaced = bench.resume(state);
    assert_eq!(replaced.records.len(), 3);
    assert!(
        replaced.stderr.contains("a.csv is not the file that was read before"),
        "{}",
        replaced.stderr
    );
    fs::write(&a, "x\n1\n").unwrap();
    assert_eq!(bench.resume(state).records, [json!({"x": 1})]);
    // The last row had no newline, and has grown.
    fs::write(&a, "x\n1\n2").unwrap();
    let open = bench.run(&[]).states.pop().unwrap();
    fs::write(&a, "x\n1\n25\n").unwrap();
    assert_eq!(bench.resume(&open).records, [json!({"x": 1}), json!({"x": 25})]);
    fs::write(&a, "x\n1\n2\n3\n").unwrap();
    assert_eq!(bench.resume(&open).records, [json!({"x": 3})]);
}

#[test]
fn files_of_one_name_are_one_stream() {
    let bench = Bench::new(json!({"files": ["d*/*.csv"], "stream": "all", "header": true}));
    fs::create_dir(bench.home.path().join("d1")).unwrap();
    fs::create_dir(bench.home.path().join("d2")).unwrap();
    bench.file("d1/x.csv", "a,b\n1,2\n");
    bench.file("d2/x.csv", "c,a\n3,4\n");
    let sent = bench.run(&[]);
    assert_eq!(sent.schemas.len(), 1);
    let columns: Vec<_> = sent.schemas[0]["schema"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(columns, ["a", "b", "c"]);
    assert_eq!(sent.records, [json!({"a": 1, "b": 2}), json!({"c": 3, "a": 4})]);
}

#[test]
fn headers_delimiters_and_fixed_types() {
    let bench = Bench::new(json!({
        "files": "t.txt", "header": ["k", "v"], "delimiter": ";", "quote": "'", "null_values": ["-"],
        "types": {"k": "string", "t.v": "number"}, "add_metadata_columns": true
    }));
    bench.file("t.txt", "1;'.5'\n2;-\n");
    let sent = bench.run(&[]);
    assert_eq!(
        sent.records,
        [
            json!({"k": "1", "v": serde_json::from_str::<Value>("0.5").unwrap(), "_sdc_source_file": "t.txt", "_sdc_source_line": 1}),
            json!({"k": "2", "v": null, "_sdc_source_file": "t.txt", "_sdc_source_line": 2}),
        ]
    );
    let bench = Bench::new(json!({"files": ["t.tsv"], "header": false}));
    bench.file("t.tsv", "1\t2\n");
    assert_eq!(bench.run(&[]).records, [json!({"column_1": 1, "column_2": 2})]);
}

#[test]
fn the_catalog_chooses() {
    let bench = Bench::new(json!({"files": ["*.csv"], "key_properties": {"a": ["id"]}}));
    bench.file("a.csv", "id,x,y\n1,2,3\n");
    bench.file("b.csv", "z\n1\n");
    let mut catalog: Value = serde_json::from_slice(&bench.output(&["--discover"]).stdout).unwrap();
    let names: Vec<_> = catalog["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["tap_stream_id"].clone())
        .collect();
    assert_eq!(json!(names), json!(["a", "b"]));
    let mut choose = |stream: usize, column: usize, selected: bool| {
        let entry: &mut Map<String, Value> = catalog["streams"][stream]["metadata"][column]["metadata"]
            .as_object_mut()
            .unwrap();
        entry.insert("selected".into(), json!(selected));
        bench.file("catalog.json", catalog.to_string())
    };
    for (stream, column, selected) in [(0, 0, true), (0, 1, false), (0, 2, false)] {
        choose(stream, column, selected);
    }
    let path = choose(1, 0, false);
    for flag in ["--catalog", "--properties"] {
        let sent = bench.run(&[flag, path.to_str().unwrap()]);
        assert_eq!(sent.records, [json!({"id": 1, "y": 3})]); // a key stays, whatever is chosen
        assert_eq!(sent.schemas.len(), 1);
        assert!(sent.schemas[0]["schema"]["properties"].get("x").is_none());
    }
    fs::remove_file(bench.home.path().join("a.csv")).unwrap();
    bench.file("c.csv", "z\n1\n");
    let bench = Bench {
        config: json!({"files": ["*.csv"]}),
        ..bench
    };
    let output = bench.output(&["--catalog", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[catalog.invalid]"));
}
