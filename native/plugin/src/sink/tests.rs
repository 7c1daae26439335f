//! What a sink is told, and when a STATE is printed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::RecordBatch;
use serde_json::{json, Value};

use super::{run_to, Declared, Opened, Pace, Sink, Slice};
use crate::reader::{End, Reader};
use crate::settings::Config;
use crate::{Load, PluginError, Result};

mod files;

/// Notes what it is told; the values of column `id` stand for rows.
#[derive(Debug, Default)]
struct Notes {
    told: Vec<String>,
    fail_at: Option<&'static str>,
    largest: usize,
}

impl Notes {
    fn note(&mut self, what: String) -> Result<()> {
        if self.fail_at.is_some_and(|at| what.starts_with(at)) {
            return Err(PluginError::environment("env.disk_full", "no space"));
        }
        self.told.push(what);
        Ok(())
    }

    fn ids(batch: &RecordBatch) -> Vec<i64> {
        batch
            .column_by_name("id")
            .unwrap()
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    }
}

impl Sink for Notes {
    fn declare(&mut self, declared: &Declared) -> Result<()> {
        let columns: Vec<_> = declared.schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        self.note(format!("declare {} {columns:?} {:?}", declared.stream, declared.keys))
    }

    fn load(&mut self, slice: &Slice<'_>) -> Result<()> {
        self.largest = self.largest.max(slice.batch.num_rows());
        let ids = Notes::ids(slice.batch);
        let version = slice.version.map(|v| format!(" v{v}")).unwrap_or_default();
        let partial = if slice.partial { " partial" } else { "" };
        self.note(format!("load {} {ids:?}{version}{partial}", slice.stream))
    }

    fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        self.note(format!("activate {stream} v{version}"))
    }

    fn commit(&mut self, state: Option<&[u8]>, last: bool) -> Result<()> {
        let state = String::from_utf8_lossy(state.unwrap_or(b"nothing")).into_owned();
        self.note(format!("commit {state}{}", if last { " last" } else { "" }))
    }

    fn open(&mut self, format: &str, path: &Path) -> Result<Option<Opened>> {
        if format != "numbers" {
            return Ok(None);
        }
        let text = std::fs::read_to_string(path).unwrap();
        let batches: Vec<_> = text
            .split_whitespace()
            .map(|id| Ok(batch(&[id.parse().unwrap()])))
            .collect();
        Ok(Some(Box::new(batches.into_iter())))
    }
}

fn batch(ids: &[i64]) -> RecordBatch {
    let column: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::Int64Array::from(ids.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("id", column, true)]).unwrap()
}

/// Never by itself.
fn slow() -> Pace {
    Pace {
        wait: Duration::from_secs(3600),
        ..Pace::default()
    }
}

fn run(input: &str, pace: Pace, notes: &mut Notes) -> (Result<End>, String) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut out = Vec::new();
    let ended = run_to(load(Reader::of(file, 1 << 20)), pace, notes, &mut out);
    (ended, String::from_utf8(out).unwrap())
}

fn load(reader: Reader) -> Load {
    Load {
        config: Config::default(),
        job: "default".into(),
        reader,
    }
}

/// What the sink was told and what was printed, of a run that ended well.
fn told(input: &str, pace: Pace) -> (Vec<String>, String) {
    let mut notes = Notes::default();
    let (ended, out) = run(input, pace, &mut notes);
    assert_eq!(ended, Ok(End::Eof));
    (notes.told, out)
}

fn schema(stream: &str, columns: &[&str]) -> String {
    let properties: serde_json::Map<_, _> = columns
        .iter()
        .map(|c| (c.to_string(), json!({"type": ["null", "integer"]})))
        .collect();
    let schema = json!({"properties": properties});
    line(&json!({"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": [columns[0]]}))
}

fn line(message: &Value) -> String {
    format!("{message}\n")
}

fn rows(stream: &str, ids: std::ops::Range<i64>) -> String {
    ids.map(|id| line(&json!({"type": "RECORD", "stream": stream, "record": {"id": id}})))
        .collect()
}

fn state(id: i64) -> String {
    line(&json!({"type": "STATE", "value": id}))
}

#[test]
fn rows_before_a_state_are_committed_with_it_and_no_others() {
    // The commit comes at the third STATE; the two before it are superseded.
    let pace = Pace { rows: 6, ..slow() };
    let input = [
        schema("s", &["id"]),
        rows("s", 0..2),
        state(2),
        rows("s", 2..4),
        state(4),
        rows("s", 4..7),
        state(7),
    ];
    let (told_, out) = told(&format!("{}{}", input.concat(), rows("s", 7..9)), pace);
    let expected = [
        "declare s [\"id\"] [\"id\"]",
        "load s [0, 1, 2, 3, 4, 5, 6]",
        "commit 7",
        "load s [7, 8]",
        "commit 7 last",
    ];
    assert_eq!(told_, expected);
    assert_eq!(out, "7\n");
    // Nothing at all is an end too.
    assert_eq!(told("", slow()).0, ["commit nothing last"]);
    let (told_, out) = told(
        &format!("{}{}{}", schema("s", &["id"]), rows("s", 0..1), state(1)),
        slow(),
    );
    assert_eq!(told_[1..], ["load s [0]", "commit 1 last"]);
    assert_eq!(out, "1\n");
}

#[test]
fn a_failure_of_the_input_keeps_what_the_last_state_covers() {
    let good = [schema("s", &["id"]), rows("s", 0..2), state(2), rows("s", 2..5)].concat();
    for broken in [
        "{\"type\":\"REC",
        "{\"type\":\"RECORD\",\"stream\":\"none\",\"record\":{}}\n",
    ] {
        let mut notes = Notes::default();
        let (ended, out) = run(&format!("{good}{broken}"), slow(), &mut notes);
        assert_eq!(ended.unwrap_err().exit, 4);
        assert_eq!(
            (&notes.told[1..], out.as_str()),
            (&["load s [0, 1]".to_string(), "commit 2".into()][..], "2\n")
        );
    }
    for fail_at in ["load", "commit", "declare"] {
        let mut notes = Notes {
            fail_at: Some(fail_at),
            ..Notes::default()
        };
        let (ended, out) = run(&good, Pace { rows: 1, ..slow() }, &mut notes);
        assert_eq!(ended.unwrap_err().code, "env.disk_full");
        assert_eq!(out, "");
        assert!(
            !notes.told.iter().any(|told| told.starts_with("commit")),
            "{:?}",
            notes.told
        );
    }
}

#[test]
fn rows_behind_a_state_wait_in_memory_and_then_the_state_is_committed_first() {
    let pace = Pace {
        batch_rows: 2,
        batch_bytes: 200,
        ..slow()
    };
    let many = [
        schema("s", &["id"]),
        rows("s", 0..1),
        state(1),
        rows("s", 1..400),
        state(400),
    ]
    .concat();
    let (told_, out) = told(&many, pace);
    assert_eq!(told_[1..3], ["load s [0]", "commit 1"]);
    assert_eq!(out, "1\n400\n");
    let text = told_.join(" ");
    let mut loaded = told_
        .iter()
        .filter_map(|told| told.strip_prefix("load s "))
        .flat_map(|ids| serde_json::from_str::<Vec<i64>>(ids).unwrap());
    assert!((0..400).all(|id| loaded.next() == Some(id)), "{text}");
}

#[test]
fn order_within_a_stream_is_kept_around_a_pending_state() {
    let versioned = |id: i64, version: i64| {
        line(&json!({"type": "RECORD", "stream": "s", "record": {"id": id}, "version": version}))
    };
    let activate = line(&json!({"type": "ACTIVATE_VERSION", "stream": "s", "version": 2}));
    let input = [
        schema("s", &["id"]),
        schema("t", &["id"]),
        versioned(0, 1),
        rows("t", 0..1),
        state(1),
        versioned(1, 1),
        versioned(2, 2),
        activate,
        schema("s", &["id", "n"]),
        schema("s", &["id", "n"]),
        versioned(3, 2),
        rows("t", 1..2),
    ];
    // With a second STATE, at the end, all of it is before it.
    let expected = [
        "declare s [\"id\"] [\"id\"]",
        "declare t [\"id\"] [\"id\"]",
        "load s [0] v1",
        "load s [1] v1",
        "load s [2] v2",
        "activate s v2",
        "declare s [\"id\", \"n\"] [\"id\"]",
        "load s [3] v2",
        "load t [0, 1]",
        "commit 2 last",
    ];
    assert_eq!(told(&format!("{}{}", input.concat(), state(2)), slow()).0, expected);
    // Without it, and torn: what is behind the STATE is not told.
    let mut notes = Notes::default();
    let (ended, out) = run(&format!("{}{{", input.concat()), slow(), &mut notes);
    assert!(ended.is_err());
    assert_eq!(
        notes.told,
        [
            "declare s [\"id\"] [\"id\"]",
            "declare t [\"id\"] [\"id\"]",
            "load s [0] v1",
            "load t [0]",
            "commit 1"
        ]
    );
    assert_eq!(out, "1\n");
}

#[test]
fn a_quiet_input_is_committed_and_a_busy_one_by_time() {
    let pipe = || {
        rustix::pipe::pipe()
            .map(|(read, write)| (File::from(read), File::from(write)))
            .unwrap()
    };
    let ((reader, mut writer), (mut seen, out)) = (pipe(), pipe());
    let pace = Pace {
        wait: Duration::from_millis(20),
        ..Pace::default()
    };
    let thread = std::thread::spawn(move || {
        let mut notes = Notes::default();
        let mut out = out;
        let reader = Reader::heeding(reader, 1 << 20).unwrap();
        (run_to(load(reader), pace, &mut notes, &mut out), notes.told)
    });
    for id in 0..3 {
        // Rows behind the STATE stay open, and nothing more comes until it is told.
        let text = [
            schema("s", &["id"]),
            rows("s", 2 * id..2 * id + 1),
            state(id),
            rows("s", 2 * id + 1..2 * id + 2),
        ]
        .concat();
        writer.write_all(text.as_bytes()).unwrap();
        let mut line = [0; 2];
        seen.read_exact(&mut line).unwrap();
        assert_eq!(line, [b'0' + id as u8, b'\n']);
    }
    drop(writer);
    let (ended, told) = thread.join().unwrap();
    assert_eq!(ended, Ok(End::Eof));
    assert_eq!(
        told[1..],
        [
            "load s [0]",
            "commit 0",
            "load s [1]",
            "load s [2]",
            "commit 1",
            "load s [3]",
            "load s [4]",
            "commit 2",
            "load s [5]",
            "commit 2 last"
        ]
    );
}

#[test]
fn at_end_means_once() {
    let pace = Pace {
        at_end: true,
        rows: 1,
        ..slow()
    };
    let input = [
        schema("s", &["id"]),
        rows("s", 0..2),
        state(2),
        rows("s", 2..3),
        state(3),
        rows("s", 3..4),
    ]
    .concat();
    let (told_, out) = told(&input, pace);
    assert_eq!(told_[1..], ["load s [0, 1, 2, 3]", "commit 3 last"]);
    assert_eq!(out, "3\n");
    let mut notes = Notes::default();
    let (ended, out) = run(&format!("{input}{{"), pace, &mut notes);
    assert!(ended.is_err() && out.is_empty() && !notes.told.iter().any(|told| told.starts_with("commit")));
}

#[test]
fn deletions_are_partial_and_empty_states_are_none() {
    let delete =
        line(&json!({"type": "RECORD", "stream": "s", "record": {"id": 1, "_sdc_deleted_at": "2026-01-01T00:00:00Z"}}));
    let input = [
        schema("s", &["id", "n"]),
        rows("s", 0..1),
        delete,
        "{\"type\":\"STATE\",\"value\":{ }}\n{\"type\":\"STATE\",\"value\":null}\nhello\n".into(),
    ];
    let (told_, out) = told(&input.concat(), Pace { rows: 1, ..slow() });
    assert_eq!(told_[1..], ["load s [0]", "load s [1] partial", "commit nothing last"]);
    assert_eq!(out, "");
}

#[test]
fn memory_is_bounded_over_all_streams() {
    let pace = Pace {
        batch_rows: 1000,
        batch_bytes: 4000,
        ..slow()
    };
    let mut input: String = (0..50).map(|n| schema(&format!("s{n}"), &["id"])).collect();
    for round in 0..100 {
        input.extend((0..50).map(|n| rows(&format!("s{n}"), round..round + 1)));
    }
    let mut notes = Notes::default();
    assert_eq!(run(&input, pace, &mut notes).0, Ok(End::Eof));
    // No stream reaches its own bounds; together they do, and are handed over long before the end.
    assert!(notes.largest < 60, "{}", notes.largest);
    let loads = notes.told.iter().filter(|told| told.starts_with("load")).count();
    assert!((60..1000).contains(&loads), "{loads}");
}
