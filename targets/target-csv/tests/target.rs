//! The real binary: what is on disk, read back by the crate csv, after every way a run can end.

#[path = "../../target-jsonl/tests/bench/mod.rs"]
mod bench;

use std::fs;
use std::io::Read;

use bench::{records, schema, state, stderr, Bench, Live};
use rustix::process::Signal;

const BIN: &str = env!("CARGO_BIN_EXE_target-csv");

fn declared(stream: &str, columns: &[&str]) -> String {
    let properties: Vec<_> = columns.iter().map(|c| format!("{c:?}:{{}}")).collect();
    let properties = properties.join(",");
    format!("{{\"type\":\"SCHEMA\",\"stream\":{stream:?},\"schema\":{{\"properties\":{{{properties}}}}},\"key_properties\":[]}}\n")
}

fn record(text: &str) -> String {
    format!("{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{text}}}\n")
}

fn rows(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{id}\n")).collect()
}

fn wrote(bench: &Bench, columns: &[&str], records: &[&str]) -> String {
    let records: String = records.iter().map(|text| record(text)).collect();
    let output = bench.run(format!("{}{records}{}", declared("s", columns), state(1)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    bench.file("s.csv")
}

#[test]
fn every_value_is_a_field() {
    let bench = Bench::new();
    let text = wrote(
        &bench,
        &["n", "t", "ok", "o"],
        &[
            r#"{"n":1.10,"t":"plain","ok":true,"o":null}"#,
            r#"{"o":{"a":[1, "x"]},"t":"a,b \"c\"\nd\re","n":123456789012345678901234567890}"#,
            r#"{"t":"","n":null}"#,
            r#"{ "t" : "\u00e9\ud83d\ude00\\/" , "ok" : false }"#,
            r#"{"t":"first","t":"last"}"#,
            "{}",
        ],
    );
    let wanted = "n,t,ok,o\n1.10,plain,true,\n123456789012345678901234567890,\"a,b \"\"c\"\"\nd\re\",,\"{\"\"a\"\":[1, \"\"x\"\"]}\"\n,\"\",,\n,é😀\\/,false,\n,last,,\n,,,\n";
    assert_eq!(text, wanted);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let second = reader.records().nth(1).unwrap().unwrap();
    assert_eq!(&second[1], "a,b \"c\"\nd\re");
    assert_eq!(&second[3], "{\"a\":[1, \"x\"]}");
    // One column: an empty line would be no row.
    let bench = Bench::new();
    assert_eq!(
        wrote(&bench, &["a"], &["{}", r#"{"a":""}"#, r#"{"a":0}"#]),
        "a\n\"\"\n\"\"\n0\n"
    );
}

#[test]
fn dialects() {
    let with = |more: &'static str| {
        let bench = Bench { more, ..Bench::new() };
        wrote(
            &bench,
            &["a b", "c"],
            &[r#"{"a b":"x;y","c":null}"#, r#"{"a b":"NA","c":"it's, \"so\""}"#],
        )
    };
    assert_eq!(
        with(r#","delimiter":";""#),
        "a b;c\n\"x;y\";\nNA;\"it's, \"\"so\"\"\"\n"
    );
    assert_eq!(with(r#","null":"NA""#), "a b,c\nx;y,NA\n\"NA\",\"it's, \"\"so\"\"\"\n");
    assert_eq!(with(r#","quote":"'","header":false"#), "x;y,\nNA,'it''s, \"so\"'\n");
    assert_eq!(
        with(r#","line_end":"crlf","encoding":"utf-8-bom""#),
        "\u{feff}a b,c\r\nx;y,\r\nNA,\"it's, \"\"so\"\"\"\r\n"
    );
    assert_eq!(
        with(r#","delimiter":"\\t""#),
        "a b\tc\nx;y\t\nNA\t\"it's, \"\"so\"\"\"\n"
    );
    for (more, text) in [
        (r#","delimiter":"ab""#, "delimiter must be one ASCII character"),
        (r#","delimiter":"\"""#, "get in each other's way"),
        (r#","null":",""#, "get in each other's way"),
    ] {
        let bench = Bench { more, ..Bench::new() };
        let output = bench.run(b"");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
    }
}

#[test]
fn new_columns_begin_a_file() {
    let bench = Bench::new();
    let run = |input: String| {
        let output = bench.run(input.as_bytes());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    let (one, two, both) = (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a":3,"b":4}"#);
    run(format!("{}{}{}", declared("s", &["a"]), record(one), state(1)));
    // A column that the SCHEMA brings, and later one that only a record has.
    run(format!(
        "{}{}{}{}",
        declared("s", &["b"]),
        record(two),
        record(both),
        state(2)
    ));
    run(format!(
        "{}{}{}{}",
        declared("s", &["a"]),
        record(both),
        record(r#"{"c":5}"#),
        state(3)
    ));
    run(format!(
        "{}{}{}",
        declared("s", &["c", "a"]),
        record(r#"{"c":6}"#),
        state(4)
    ));
    assert_eq!(bench.file("s.csv"), "a\n1\n");
    assert_eq!(bench.file("s~2.csv"), "a,b\n,2\n3,4\n3,4\n");
    assert_eq!(bench.file("s~3.csv"), "a,b,c\n,,5\n,,6\n");
    // Overwritten: one file again, and the others are gone with the first commit.
    let bench = Bench {
        mode: "overwrite",
        ..bench
    };
    let mut live = Live::start(&bench);
    live.send(&format!("{}{}", declared("s", &["x"]), record(r#"{"x":1}"#)));
    live.end(Signal::KILL);
    assert_eq!(bench.file("s~3.csv"), "a,b,c\n,,5\n,,6\n");
    assert_eq!(wrote(&bench, &["x"], &[r#"{"x":1}"#, r#"{"y":1}"#]), "x\n1\n");
    assert_eq!(bench.files(), [".dativo-state.json", "s.csv", "s~4.csv"]);
    assert_eq!(bench.file("s~4.csv"), "x,y\n,1\n");
    assert_eq!(wrote(&bench, &["z"], &[r#"{"z":1}"#]), "z\n1\n");
    assert_eq!(bench.files(), [".dativo-state.json", "s.csv"]);
    // No new file is wanted.
    let fixed = Bench {
        mode: "append",
        more: r#","new_columns":"fail""#,
        ..bench
    };
    let output = fixed.run(format!("{}{}", declared("s", &["z"]), record(r#"{"z":1,"w":2}"#)).as_bytes());
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("has a property \"w\""), "{}", stderr(&output));
}

#[test]
fn kill_9_at_any_place_loses_nothing_and_doubles_nothing() {
    for more in ["", r#","gzip":true"#] {
        let bench = Bench { more, ..Bench::new() };
        let mut done = 0;
        for round in 1..=8 {
            let mut live = Live::start(&bench);
            live.send(&declared("s", &["id"]));
            let next = done + 700 * round;
            live.send(&format!("{}{}", records("s", done..next), state(next)));
            assert_eq!(live.state(), format!("{{\"id\":{next}}}"));
            done = next;
            live.send(&records("s", done..done + 40_000 * (round % 3)));
            // A file of other columns that is not committed.
            live.send(&record(r#"{"other":1}"#));
            live.send("{\"type\":\"RECORD\",\"stream\":\"s\",\"rec");
            assert_eq!(live.end(Signal::KILL), (None, Some(9)));
            assert_eq!(bench.bookmark(), format!("{{\"id\":{done}}}"));
        }
        let output = bench.run(
            format!(
                "{}{}{}",
                declared("s", &["id"]),
                records("s", done..done + 5),
                state(done + 5)
            )
            .as_bytes(),
        );
        assert!(output.status.success());
        let text = match more {
            "" => bench.file("s.csv"),
            _ => {
                let mut text = String::new();
                let file = fs::File::open(bench.out().join("s.csv.gz")).unwrap();
                flate2::read::MultiGzDecoder::new(file)
                    .read_to_string(&mut text)
                    .unwrap();
                text
            }
        };
        assert!(text == format!("id\n{}", rows(0..done + 5)), "{more}");
        assert_eq!(bench.files().len(), 2);
    }
}

#[test]
fn files_of_others_go_on_by_their_header() {
    let bench = Bench::new();
    fs::create_dir(bench.out()).unwrap();
    fs::write(bench.out().join("s.csv"), "\u{feff}b,a\n1,2\n").unwrap();
    assert_eq!(
        wrote(&bench, &["a", "b"], &[r#"{"a":4,"b":3}"#]),
        "\u{feff}b,a\n1,2\n3,4\n"
    );
}

#[test]
fn texts_that_no_file_can_hold_are_refused() {
    let bench = Bench::new();
    let output = bench.run(
        format!(
            "{}{}{}",
            declared("s", &["a"]),
            record(r#"{"a":"x"}"#),
            record(r#"{"a":"\ud800"}"#)
        )
        .as_bytes(),
    );
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).starts_with("error[data.invalid_utf8]"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_stream_without_a_schema_of_its_own_and_a_large_value() {
    let bench = Bench::new();
    let large = "x".repeat(30 << 20);
    let output = bench.run(format!("{}{}", schema("s"), record(&format!("{{\"a\":\"{large}\"}}"))).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(bench.file("s.csv") == format!("a\n{large}\n"));
}
