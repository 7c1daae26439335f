//! The files of a BATCH.

use std::fs::File;
use std::io::Write;

use serde_json::{json, Value};
use singer_protocol::columns::spool;

use super::{batch, line, rows, run, schema, slow, state, told, Notes};

#[test]
fn files_of_a_batch_are_rows_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    spool::seal(&path("1.arrow"), &[batch(&[1, 2]), batch(&[3])]).unwrap();
    std::fs::write(path("2.jsonl"), "{\"id\": 4}\n\n{\"id\":5}").unwrap();
    let mut zipped = flate2::write::GzEncoder::new(File::create(path("3.gz")).unwrap(), flate2::Compression::fast());
    zipped.write_all(b"{\"id\":6}\n").unwrap();
    zipped.finish().unwrap();
    std::fs::write(path("4.numbers"), "7 8").unwrap();
    let sdk = |encoding: Value, name: &str| {
        line(
            &json!({"type": "BATCH", "stream": "s", "encoding": encoding, "manifest": [spool::uri_of(&path(name))], "version": 9}),
        )
    };
    let arrow = sdk(json!({"format": "arrow"}), "1.arrow");
    let input = [
        schema("s", &["id"]),
        rows("s", 0..1),
        arrow.clone(),
        sdk(json!({"format": "jsonl", "compression": "none"}), "2.jsonl"),
        sdk(json!({"format": "jsonl", "compression": "gzip"}), "3.gz"),
        line(
            &json!({"type": "BATCH", "stream": "s", "filepath": path("3.gz"), "format": "jsonl", "compression": "gzip"}),
        ),
        sdk(json!({"format": "numbers"}), "4.numbers"),
        state(8),
    ];
    let (told_, out) = told(&input.concat(), slow());
    let expected = [
        "load s [0]",
        "load s [1, 2] v9",
        "load s [3] v9",
        "load s [4, 5, 6] v9",
        "load s [6]",
        "load s [7] v9",
        "load s [8] v9",
        "commit 8 last",
    ];
    assert_eq!(told_[1..], expected);
    // The same bytes, and only of what lay in the spool.
    assert_eq!(out, format!("{arrow}8\n"));
    // Given back before anything is committed, and loaded only behind the STATE that is pending.
    let mut notes = Notes::default();
    let (_, out) = run(
        &[
            schema("s", &["id"]),
            rows("s", 0..1),
            state(1),
            arrow.clone(),
            "{".into(),
        ]
        .concat(),
        slow(),
        &mut notes,
    );
    assert_eq!(notes.told[1..], ["load s [0]", "commit 1"]);
    assert_eq!(out, format!("{arrow}1\n"));
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("bad.jsonl"), "{\"id\": 4}\n[1]\n").unwrap();
    std::fs::write(path("bad.arrow"), "ARROW1 no").unwrap();
    let uri = |name: &str| spool::uri_of(&path(name));
    let cases = [
        (
            json!({"encoding": {"format": "jsonl"}, "manifest": [uri("bad.jsonl")]}),
            "data.bad_message",
            "line 2",
        ),
        (
            json!({"encoding": {"format": "jsonl"}, "manifest": [uri("none.jsonl")]}),
            "data.bad_message",
            "none.jsonl",
        ),
        (
            json!({"encoding": {"format": "arrow"}, "manifest": [uri("bad.arrow")]}),
            "data.bad_message",
            "bad.arrow",
        ),
        (
            json!({"encoding": {"format": "jsonl", "compression": "zstd"}, "manifest": [uri("x")]}),
            "data.batch_refused",
            "zstd",
        ),
        (
            json!({"encoding": {"format": "parquet"}, "manifest": [uri("x")]}),
            "data.batch_refused",
            "parquet",
        ),
        (
            json!({"encoding": {"format": "arrow"}, "manifest": ["s3://x/y"]}),
            "data.batch_refused",
            "s3://x/y",
        ),
        (
            json!({"encoding": {}, "manifest": [uri("x")]}),
            "data.batch_refused",
            "format",
        ),
    ];
    for (mut message, code, text) in cases {
        message["type"] = json!("BATCH");
        message["stream"] = json!("s");
        let (ended, out) = run(
            &format!("{}{message}\n", schema("s", &["id"])),
            slow(),
            &mut Notes::default(),
        );
        let error = ended.unwrap_err();
        assert_eq!((error.code, out.as_str()), (code, ""), "{message}");
        assert!(
            error.message.contains("stream \"s\", line 2") && error.message.contains(text),
            "{error}"
        );
    }
}
