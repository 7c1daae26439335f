//! Records whose SCHEMA the bus cannot use: a checker judges them, and one that fails lets none of them pass.

mod bus;

use bus::{checker, hostile, kill, run, start, target_with_copy, with, Outcome, Place};
use serde_json::{json, Value};

/// A SCHEMA that names a dialect nobody knows, and records 0 to 4.
const TAP: &str = r##"
schema = {"$schema": "http://json-schema.org/schema#", "properties": {"id": {"$ref": "#/definitions/id"}}, "definitions": {"id": {}}}
for _ in range(2):
    write({"type": "SCHEMA", "stream": "t", "schema": schema, "key_properties": []})
for number in range(5):
    record(number)
state(4)"##;

fn plan(place: &Place, mode: Option<&str>) -> Value {
    let copy = place.text("copy");
    let mut plan = place.plan(&[hostile("tap", TAP), target_with_copy("ok", &copy)]);
    plan["policy"] = json!({"validate": "on", "on_bad_record": "discard"});
    plan["checker"] = mode.map_or(Value::Null, |mode| with(checker(mode), "limits", json!({"idle": 3})));
    plan
}

fn run_with(mode: Option<&str>) -> (Outcome, Vec<i64>) {
    let place = Place::new();
    let outcome = run(&place, &plan(&place, mode));
    place.assert_tidy();
    let text = std::fs::read_to_string(place.join("copy")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ids = lines.filter_map(|line| line["record"]["id"].as_i64()).collect();
    (outcome, ids)
}

fn notices(outcome: &Outcome) -> Vec<&str> {
    let codes = outcome.all("notice").into_iter().filter_map(|e| e["code"].as_str());
    codes.filter(|code| code.starts_with("data.schema_")).collect()
}

#[test]
fn a_checker_judges_what_the_bus_cannot() {
    let (outcome, ids) = run_with(Some("good"));
    outcome.assert_reason("done");
    // The tap's first record came under a SCHEMA that needs nobody.
    assert_eq!(ids, [0, 0, 2, 3, 4]);
    assert_eq!(outcome.end()["rejected"], json!({"t": 1}));
    assert_eq!(notices(&outcome), ["data.schema_slow"]);
    let told = outcome.all("reject");
    assert_eq!((&told[0]["rule"], &told[0]["path"]), (&json!("pattern"), &json!("/id")));
    assert_eq!(told[0]["reason"], "column id: 1 breaks the rule pattern of its SCHEMA");
    let roles: Vec<&Value> = outcome.all("spawned").iter().map(|e| &e["role"]).collect();
    assert!(roles.contains(&&json!("checker")), "{roles:?}");
    assert!(outcome.all("confined").iter().any(|e| e["child"] == "checker"));
}

#[test]
fn nobody_is_started_for_a_schema_that_the_bus_can_use() {
    let place = Place::new();
    let mut plan = plan(&place, Some("good"));
    plan["children"][0] = hostile("tap", "state(1)");
    let outcome = run(&place, &plan);
    outcome.assert_reason("done");
    assert_eq!(outcome.all("spawned").len(), 2);
}

#[test]
fn without_a_checker_they_pass_with_a_notice() {
    let (outcome, ids) = run_with(None);
    outcome.assert_reason("done");
    assert_eq!(ids, [0, 0, 1, 2, 3, 4]);
    assert_eq!(notices(&outcome), ["data.schema_unusable"]);
}

#[test]
fn a_schema_that_the_checker_cannot_use_either_is_told() {
    let (outcome, ids) = run_with(Some("refuses"));
    outcome.assert_reason("done");
    assert_eq!(ids.len(), 6);
    let text = outcome.all("notice")[0]["text"].as_str().unwrap();
    assert!(text.ends_with("; it is odd"), "{text}");
}

#[test]
fn what_it_logs_never_stops_it() {
    let (outcome, ids) = run_with(Some("chatty"));
    outcome.assert_reason("done");
    assert_eq!(ids.len(), 5);
    assert_eq!(outcome.logs("checker").len(), 6);
}

#[test]
fn one_that_fails_fails_the_run_and_lets_nothing_pass() {
    for (mode, how) in [
        ("dies", "ended"),
        ("hangs", "gave no answer for 3 s"),
        ("babbles", "gave an answer that is none"),
        ("repeats", "gave an answer that is none"),
    ] {
        let (outcome, ids) = run_with(Some(mode));
        let end = outcome.assert_reason("data.unchecked");
        let message = end["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("checker {how}")), "{mode}: {message}");
        assert_eq!((&end["child"], &end["stream"]), (&json!("checker"), &json!("t")));
        assert!(ids.iter().all(|id| *id == 0), "{mode}: {ids:?}");
        assert!(outcome.last_bookmark().is_none(), "{mode}");
    }
}

#[test]
fn one_that_is_killed_fails_the_run() {
    let place = Place::new();
    let mut plan = plan(&place, Some("good"));
    let gate = place.text("gate");
    let lines = format!("{TAP}\nwhile not os.path.exists({gate:?}): time.sleep(0.01)\nrecord(5)\nstate(5)");
    plan["children"][0] = hostile("tap", &lines);
    let mut running = start(&place, &plan);
    kill(running.child_pid("checker"), "KILL");
    std::fs::write(gate, "").unwrap();
    let outcome = running.finish();
    let end = outcome.assert_reason("data.unchecked");
    assert_eq!((&end["line"], &end["stream"]), (&json!(11), &json!("t")));
    place.assert_tidy();
}

#[test]
fn one_that_cannot_be_started_fails_the_run() {
    let place = Place::new();
    let mut plan = plan(&place, Some("good"));
    plan["checker"]["argv"][0] = json!("/nowhere/python");
    run(&place, &plan).assert_reason("plugin.start_failed");
    place.assert_tidy();
}

#[test]
fn a_slow_one_does_not_keep_signals_waiting() {
    let place = Place::new();
    let mut plan = plan(&place, Some("slow"));
    let lines = format!("{TAP}\nfor number in range(5, 600):\n    record(number)");
    plan["children"][0] = hostile("tap", &lines);
    let mut running = start(&place, &plan);
    running.child_pid("checker");
    running.signal("TERM");
    let outcome = running.finish();
    outcome.assert_reason("run.cancelled");
    place.assert_tidy();
}

#[test]
fn a_checker_is_no_part_of_the_wiring() {
    let place = Place::new();
    let mut plan = plan(&place, Some("good"));
    plan["checker"]["role"] = json!("tap");
    assert_eq!(run(&place, &plan).code, Some(2));
}
