//! A run is recorded: what came, what went on, what was said; a tape that cannot be written does not stop the run.

mod bus;

use bus::{run, start_with, tap, target, with, Outcome, Place, BUS};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn taped(place: &Place, mode: &str) -> Value {
    with(
        place.plan(&[tap(mode), target("ok")]),
        "tape",
        json!({"path": place.text("t.tape.zst")}),
    )
}

fn said(arguments: &[&str]) -> String {
    let done = Command::new(BUS).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn info(place: &Place) -> Value {
    serde_json::from_str(&said(&["--tape-info", &place.text("t.tape.zst")])).unwrap()
}

fn ids(stream: &str) -> Vec<u64> {
    let messages = stream.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    messages
        .filter_map(|message| message["record"]["id"].as_u64())
        .collect()
}

#[test]
fn what_is_recorded_is_what_is_played() {
    let place = Place::new();
    let plan = with(taped(&place, "ok"), "secrets", json!(["tap starts"]));
    run(&place, &plan).assert_reason("done");
    let mode = place.join("t.tape.zst").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let found = info(&place);
    assert_eq!(
        (
            &found["records"],
            &found["states"],
            &found["verdict"],
            &found["complete"]
        ),
        (&json!(20), &json!(2), &json!("done"), &json!(true))
    );
    assert_eq!(found["bookmark"], json!({"bookmarks": {"t": {"id": 19}}}));
    assert_eq!(found["hops"], json!([["tap-test", "target-test"]]));
    let path = place.text("t.tape.zst");
    let stream = said(&["--play", &path]);
    assert_eq!(ids(&stream), (0..20).collect::<Vec<_>>());
    assert_eq!(ids(&said(&["--play", &path, "--until", "3"])), [0, 1, 2]);
    assert_eq!(found["bytes"], json!(stream.len()));
    // A second attempt is recorded behind the first.
    run(&place, &plan).assert_reason("done");
    assert_eq!(info(&place)["attempts"], json!(2));
    assert_eq!(ids(&said(&["--play", &path])).len(), 40);
}

#[test]
fn the_torn_line_of_a_tap_that_died_is_not_played() {
    let place = Place::new();
    run(&place, &taped(&place, "kill9")).assert_reason("plugin.killed");
    assert_eq!(
        ids(&said(&["--play", &place.text("t.tape.zst")])),
        (0..10).collect::<Vec<_>>()
    );
    let found = info(&place);
    assert_eq!(
        (&found["verdict"], &found["child"]),
        (&json!("interrupted"), &json!("tap-test"))
    );
}

#[test]
fn long_lines_and_junk_come_back_as_they_were() {
    for (mode, count) in [("huge", 21), ("junk", 3020), ("no-newline", 20)] {
        let place = Place::new();
        run(&place, &taped(&place, mode)).assert_reason("done");
        assert_eq!(info(&place)["records"], json!(count), "{mode}");
    }
}

/// Runs it where no file may be larger than a few kilobytes: a write beyond that fails, as on a full disk.
fn without_room(place: &Place, plan: &Value) -> Outcome {
    let script = format!("trap '' XFSZ; ulimit -f 64; exec '{BUS}' --plan-fd=0");
    start_with(place, plan, Command::new("sh").args(["-c", &script])).finish()
}

#[test]
fn a_tape_without_room_ends_and_the_run_goes_on() {
    let place = Place::new();
    let outcome = without_room(&place, &taped(&place, "many"));
    outcome.assert_reason("done");
    let notices = outcome.all("notice");
    let notice = notices.iter().find(|event| event["code"] == "tape.ended");
    assert!(notice.is_some_and(|n| n["text"].as_str().unwrap().starts_with("the recording ended before")));
}

#[test]
fn a_place_that_cannot_hold_a_tape_fails_the_run_before_it_begins() {
    let place = Place::new();
    std::os::unix::fs::symlink("/dev/null", place.join("t.tape.zst")).unwrap();
    let outcome = run(&place, &taped(&place, "ok"));
    outcome.assert_reason("env.permission");
    assert!(outcome.all("spawned").is_empty());
}

#[test]
fn what_is_no_tape_is_refused() {
    let place = Place::new();
    std::fs::write(place.join("t.tape.zst"), b"{}\n").unwrap();
    let done = Command::new(BUS)
        .args(["--tape-info", &place.text("t.tape.zst")])
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).starts_with("error[tape.invalid]  "));
}
