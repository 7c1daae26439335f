//! The real binary on wrong input: what is said, with which exit code, and what was sent before.

mod bench;

use std::io::{Read, Write};
use std::process::Stdio;

use bench::Bench;
use serde_json::{json, Value};

const BIN: &str = env!("CARGO_BIN_EXE_tap-csv");

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let bad = |content: &[u8], config: Value, code: i32, text: &str| {
        let mut whole = json!({"files": ["t.csv"], "state_every": 1});
        whole
            .as_object_mut()
            .unwrap()
            .extend(config.as_object().unwrap().clone());
        let bench = Bench::new(whole);
        bench.file("t.csv", content);
        bench.fails(code, text)
    };
    let none = || json!({});
    // The rows before it are sent, and their STATE.
    let sent = bad(
        b"a,b\n1,2\n3\n",
        none(),
        4,
        "error[data.bad_source]  t.csv line 3: 1 fields where the header has 2",
    );
    assert_eq!((sent.matches("RECORD").count(), sent.matches("STATE").count()), (1, 1));
    let sent = bad(
        b"a\nx\n\xff\n",
        none(),
        4,
        "error[data.invalid_utf8]  t.csv line 3: field 1 is not UTF-8",
    );
    assert_eq!(sent.matches("RECORD").count(), 1);
    bad(b"a\xff\n1\n", none(), 4, "error[data.invalid_utf8]  t.csv line 1");
    let sent = bad(
        b"a\nx\n\x81\x20\n",
        json!({"encoding": "shift_jis"}),
        4,
        "error[data.invalid_utf8]  t.csv line 3: the text is not Shift_JIS",
    );
    assert_eq!(sent.matches("RECORD").count(), 1);
    bad(
        b"a;b\n1;2\n",
        none(),
        2,
        "the header is a single column that holds \";\"",
    );
    bad(b"a,a\n1,2\n", none(), 4, "the column \"a\" comes twice");
    bad(
        b"a\nx\n",
        json!({"types": {"a": "integer"}}),
        4,
        "t.csv line 2: column \"a\" is not of type integer",
    );
    bad(b"a\nx\n", json!({"types": {"a": "int"}}), 2, "error[config.invalid]");
    bad(b"a\nx\n", json!({"key_properties": ["id"]}), 2, "has no column \"id\"");
    bad(
        b"a\nx\n",
        json!({"key_properties": {"u": ["a"]}}),
        2,
        "names a stream \"u\"",
    );
    bad(
        b"a\nx\n",
        json!({"delimiter": "ab"}),
        2,
        "delimiter must be one ASCII character",
    );
    bad(b"a\nx\n", json!({"encoding": "klingon"}), 2, "error[config.invalid]");
    bad(b"a\nx\n", json!({"fils": 1}), 2, "error[config.unknown]");
    bad(
        b"a\nx\n",
        json!({"sample_rows": "many"}),
        2,
        "\"sample_rows\" must be an integer from 0",
    );
    bad(b"a\nx\n", json!({"files": ["u*.csv"]}), 2, "\"u*.csv\" finds no file");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"a\n1\n2\n").unwrap();
    let gz = gz.finish().unwrap();
    bad(&gz[..gz.len() - 6], none(), 4, "error[data.bad_source]  t.csv line ");
}

#[test]
fn broken_state_and_config_files() {
    let bench = Bench::new(json!({"files": "t.csv"}));
    bench.file("t.csv", "a\n1\n");
    let state = |content: &str| {
        let path = bench.file("s.json", content);
        bench.output(&["--state", path.to_str().unwrap()])
    };
    for fine in [
        "",
        "{}",
        "null",
        r#"{"bookmarks":null}"#,
        r#"{"bookmarks":{"t":null}}"#,
        r#"{"type":"STATE","value":{}}"#,
    ] {
        let output = state(fine);
        assert!(
            output.status.success(),
            "{fine}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for broken in [
        "[]",
        "{",
        r#"{"bookmarks":[]}"#,
        r#"{"bookmarks":{"t":{"files":{"t.csv":{"rows":1}}}}}"#,
    ] {
        let output = state(broken);
        assert_eq!(output.status.code(), Some(2), "{broken}");
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("error[state.invalid]"),
            "{broken}"
        );
    }
    // Keys of others stay in the state.
    let kept = r#"{"bookmarks":{"other":{"x":1}},"more":[1]}"#;
    let value: Value =
        serde_json::from_str(String::from_utf8(state(kept).stdout).unwrap().lines().last().unwrap()).unwrap();
    assert_eq!(
        (&value["value"]["more"], &value["value"]["bookmarks"]["other"]),
        (&json!([1]), &json!({"x": 1}))
    );
}

#[test]
fn several_configs_and_the_environment() {
    let bench = Bench::new(json!({"files": "nothing.csv", "header": true}));
    bench.file("t.csv", "1\n");
    let more = bench.file("more.json", r#"{"files":"t.csv"}"#);
    let output = bench
        .command(&["--config", more.to_str().unwrap(), "--config=ENV"])
        .env("TAP_CSV_HEADER", r#"["n"]"#)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r#""record":{"n":1}"#), "{text}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let bench = Bench::new(json!({"files": "t.csv"}));
    bench.file("t.csv", format!("a,b\n{}", "1,some text\n".repeat(200_000)));
    let mut child = bench
        .command(&[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(141), b"".as_slice())
    );
}
