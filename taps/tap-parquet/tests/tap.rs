//! The real binary on real files: what comes out, and what a second run adds.

mod bench;

use std::fs;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, LargeStringArray, RecordBatch};
use bench::{rows, sent, stderr, with, write, Bench};
use serde_json::{json, Value};
use singer_plugin::columns::spool;

#[test]
fn the_catalog_says_what_the_files_hold() {
    let bench =
        Bench::new(json!({"files": "in/*.parquet", "key_properties": ["id"], "replication_key": {"boats": "at"}}));
    write(&bench.path("in/boats.parquet"), &rows(0..3), 10);
    let catalog = bench.discover();
    let stream = &catalog["streams"][0];
    assert_eq!(
        (
            &stream["tap_stream_id"],
            &stream["key_properties"],
            &stream["replication_key"]
        ),
        (&json!("boats"), &json!(["id"]), &json!("at"))
    );
    assert_eq!(
        stream["schema"]["properties"]["id"],
        json!({"type": ["integer", "null"]})
    );
    assert_eq!(stream["schema"]["properties"]["at"]["format"], "date-time");
    let sent = bench.run(None, None);
    assert_eq!(sent.order, "srrrS");
    assert_eq!(
        sent.records[1],
        json!({"id": 1, "name": null, "at": "1970-01-02T00:00:00Z"})
    );
    assert_eq!(
        (
            &sent.schemas[0]["key_properties"],
            &sent.schemas[0]["bookmark_properties"]
        ),
        (&json!(["id"]), &json!(["at"]))
    );
    assert_eq!(sent.schemas[0]["schema"], stream["schema"]);
}

#[test]
fn a_run_goes_on_at_the_row_group_where_the_last_one_ended() {
    let bench = Bench::new(json!({"files": "in/*.parquet", "stream": "all"}));
    write(&bench.path("in/a.parquet"), &rows(0..30), 10);
    write(&bench.path("in/b.parquet"), &rows(30..50), 10);
    write(&bench.path("in/.hidden.parquet"), &rows(90..91), 10);
    let whole = bench.run(None, None);
    assert_eq!(whole.ids(), (0..50).collect::<Vec<_>>());
    // From each STATE on the rest comes, and exactly that.
    let mut before = 0;
    let mut states = whole.states.iter();
    for (at, letter) in whole.order.chars().enumerate() {
        match letter {
            'r' => before += 1,
            'S' => assert_eq!(
                bench.run(None, states.next()).ids(),
                (before..50).collect::<Vec<_>>(),
                "{at}"
            ),
            _ => {}
        }
    }
    assert!(whole.states.len() >= 4, "{}", whole.order);
    // A new file is new, a touched one is not, and one that is another is read again.
    write(&bench.path("in/c.parquet"), &rows(50..55), 10);
    fs::copy(bench.path("in/a.parquet"), bench.path("x")).unwrap();
    fs::rename(bench.path("x"), bench.path("in/a.parquet")).unwrap();
    let more = bench.run(None, Some(whole.state()));
    assert_eq!(more.ids(), (50..55).collect::<Vec<_>>());
    write(&bench.path("in/b.parquet"), &rows(60..62), 10);
    assert_eq!(bench.run(None, Some(more.state())).ids(), [60, 61]);
    assert_eq!(bench.run(None, Some(more.state())).order.matches('s').count(), 1);
}

#[test]
fn a_replication_key_says_which_rows_are_new() {
    for (key, first) in [("id", json!(19)), ("at", json!("1970-01-20T00:00:00Z"))] {
        let bench = Bench::new(json!({"files": "s.parquet", "replication_key": key}));
        write(&bench.path("s.parquet"), &rows(0..20), 5);
        let whole = bench.run(None, None);
        let bookmark = &whole.state()["bookmarks"]["s"];
        assert_eq!((whole.ids().len(), &bookmark["replication_key_value"]), (20, &first));
        assert_eq!(bookmark.get("reached"), None);
        // The same file: nothing. The table written anew: its new rows, and those of the last value.
        assert!(bench.run(None, Some(whole.state())).ids().is_empty());
        write(&bench.path("s.parquet"), &rows(10..30), 5);
        let more = bench.run(None, Some(whole.state()));
        assert_eq!(more.ids(), (19..30).collect::<Vec<_>>());
        // On the way the bookmark is the old one, so that a run that stops here loses nothing.
        let first_state = &more.states[0]["bookmarks"]["s"];
        assert_eq!(first_state["replication_key_value"], first);
        let rest = bench.run(None, Some(&more.states[0])).ids();
        let told = first_state["files"].as_object().unwrap().values().next().unwrap()["groups"]
            .as_i64()
            .unwrap();
        assert_eq!(rest, ((10 + 5 * told).max(19)..30).collect::<Vec<_>>());
    }
    let bench = Bench::new(json!({"files": "s.parquet", "replication_key": "id"}));
    write(&bench.path("s.parquet"), &rows(0..20), 5);
    let state = json!({"bookmarks": {"s": {"replication_key": "id", "replication_key_value": "x"}}});
    fs::write(bench.path("state.json"), state.to_string()).unwrap();
    let output = bench.command().args(["--state", "state.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).starts_with("error[state.invalid]"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_full_table_has_a_version_and_is_activated() {
    let bench = Bench::new(json!({"files": "s.parquet"}));
    write(&bench.path("s.parquet"), &rows(0..20), 10);
    let catalog = with(bench.discover(), json!({"replication-method": "FULL_TABLE"}));
    let whole = bench.run(Some(&catalog), None);
    assert_eq!((whole.ids().len(), whole.order.contains('a')), (20, true));
    let versions: std::collections::BTreeSet<_> =
        whole.messages.iter().map(|m| m["version"].as_i64().unwrap()).collect();
    assert_eq!(versions.len(), 1);
    // Interrupted, it goes on under its version; ended, it begins again under another.
    let rest = bench.run(Some(&catalog), Some(&whole.states[0]));
    assert_eq!(
        (rest.ids(), rest.messages[0]["version"].as_i64()),
        ((10..20).collect(), versions.first().copied())
    );
    let again = bench.run(Some(&catalog), Some(whole.state()));
    assert_eq!(again.ids().len(), 20);
    assert!(again.messages[0]["version"].as_i64() > versions.first().copied());
    let log = with(bench.discover(), json!({"replication-method": "LOG_BASED"}));
    fs::write(bench.path("log.json"), log.to_string()).unwrap();
    let output = bench.command().args(["--catalog", "log.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn only_what_is_selected_is_read() {
    let bench = Bench::new(json!({"files": ["s.parquet", "t.parquet"], "key_properties": {"s": ["id"]}}));
    write(&bench.path("s.parquet"), &rows(0..2), 10);
    write(&bench.path("t.parquet"), &rows(5..6), 10);
    let mut catalog = bench.discover();
    catalog["streams"][1]["metadata"][0]["metadata"]["selected"] = json!(false);
    catalog = with(catalog, json!({}));
    let columns = catalog["streams"][0]["metadata"].as_array_mut().unwrap();
    columns
        .iter_mut()
        .skip(1)
        .for_each(|column| column["metadata"]["selected"] = json!(column["breadcrumb"][1] == "name"));
    let sent = bench.run(Some(&catalog), None);
    assert_eq!(
        sent.records,
        [json!({"id": 0, "name": "n0"}), json!({"id": 1, "name": null})]
    );
    let names: Vec<_> = sent.schemas[0]["schema"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!((names, sent.schemas.len()), (vec!["id", "name"], 1));
}

#[test]
fn with_a_spool_rows_are_files_of_kinds() {
    let bench = Bench::new(json!({"files": "s.parquet"}));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("t", Arc::new(LargeStringArray::from(vec![Some("é"), None]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    write(&bench.path("s.parquet"), &batch, 1);
    let folder = bench.path("spool");
    fs::create_dir(&folder).unwrap();
    let output = bench
        .command()
        .env("DATIVO_SPOOL", &folder)
        .env("DATIVO_SPOOL_BYTES", "1000000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let sent = sent(&output.stdout);
    assert_eq!(sent.order, "sbbS");
    let files = sent
        .batches
        .iter()
        .flat_map(|message| message["manifest"].as_array().unwrap().clone());
    let found: Vec<_> = files
        .flat_map(|uri| spool::read(&spool::path_of(uri.as_str().unwrap()).unwrap()).unwrap())
        .collect();
    let kinds: Vec<_> = found[0]
        .schema()
        .fields()
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    assert_eq!(kinds, [arrow_schema::DataType::Int64, arrow_schema::DataType::Utf8]);
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

#[test]
fn files_of_one_stream_may_differ() {
    let bench = Bench::new(json!({"files": "in/*.parquet", "stream": "s"}));
    write(&bench.path("in/1.parquet"), &rows(0..1), 10);
    let column: ArrayRef = Arc::new(LargeStringArray::from(vec!["a1"]));
    write(
        &bench.path("in/2.parquet"),
        &RecordBatch::try_from_iter([("id", column)]).unwrap(),
        10,
    );
    let sent = bench.run(None, None);
    assert_eq!(
        sent.schemas[0]["schema"]["properties"]["id"]["type"],
        json!(["null", "integer", "string"])
    );
    assert_eq!(
        (&sent.records[0]["id"], &sent.records[1]["id"]),
        (&json!(0), &json!("a1"))
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    let bench = Bench::new(json!({"files": "bad.parquet"}));
    fs::write(bench.path("bad.parquet"), "PAR1 is not enough").unwrap();
    let says = |arguments: &[&str], code: i32, text: &str| {
        let output = bench.command().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(text) || String::from_utf8_lossy(&output.stdout).contains(text),
            "{}",
            stderr(&output)
        );
    };
    says(&[], 4, "error[data.bad_source]");
    says(&["--discover"], 4, "bad.parquet");
    says(&["--about", "--format", "json"], 0, "\"arrow\"");
    let bench = Bench::new(json!({"files": "none*.parquet"}));
    let output = bench.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let bench = Bench::new(json!({"files": "s.parquet", "key_properties": ["no"]}));
    write(&bench.path("s.parquet"), &rows(0..1), 10);
    let output = bench.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("\"no\""), "{}", stderr(&output));
    let state: Value = json!({"bookmarks": {"s": {"files": 3}}});
    let bench = Bench::new(json!({"files": "s.parquet"}));
    write(&bench.path("s.parquet"), &rows(0..1), 10);
    fs::write(bench.path("state.json"), state.to_string()).unwrap();
    let output = bench.command().args(["--state", "state.json"]).output().unwrap();
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("state.invalid"),
        "{}",
        stderr(&output)
    );
}
