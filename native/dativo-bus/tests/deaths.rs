//! Whoever dies, nothing outlives the run (I8), and the run's private directory goes with it.

mod bus;

use bus::{assert_gone, kill, marked, pair, run, start, start_with, tap, target, with, Place, BUS};
use serde_json::{json, Value};
use std::io::Write;
use std::process::{Command, Stdio};

/// The child with a variable in its environment that finds its descendants again.
fn mark(mut child: Value, marker: &str) -> Value {
    child["env"]["DATIVO_TEST_MARK"] = json!(marker);
    child
}

fn marker(place: &Place) -> String {
    format!("mark:{}:", place.text("run"))
}

#[test]
fn kill_9_of_the_tap() {
    let place = Place::new();
    let mut running = start(&place, &place.plan(&[tap("slow"), target("each")]));
    running.wait_for("bookmark").unwrap();
    let pid = running.child_pid("tap-test");
    kill(pid, "KILL");
    let outcome = running.finish();
    let end = outcome.assert_reason("plugin.killed");
    assert_eq!(end["child"], "tap-test");
    // What was delivered is confirmed: bookmarks go on to the last STATE that the target read.
    assert_eq!(end["last_bookmark_is_last_state"], true);
    place.assert_tidy();
}

#[test]
fn kill_9_of_the_target() {
    let place = Place::new();
    let mut running = start(&place, &place.plan(&[tap("slow"), target("each")]));
    let bookmark = running.wait_for("bookmark").unwrap();
    assert!(bookmark["records"].as_u64() <= bookmark["of"].as_u64());
    let pid = running.child_pid("target-test");
    kill(pid, "KILL");
    let outcome = running.finish();
    assert_eq!(outcome.assert_reason("plugin.killed")["child"], "target-test");
    place.assert_tidy();
}

#[test]
fn kill_9_of_the_bus() {
    let place = Place::new();
    let mut running = start(&place, &place.plan(&[tap("slow"), target("each")]));
    running.wait_for("bookmark").unwrap();
    let pids = [running.child_pid("tap-test"), running.child_pid("target-test")];
    running.signal("KILL");
    let outcome = running.finish_without_end();
    assert!(outcome.all("end").is_empty());
    for pid in pids {
        assert_gone(pid);
    }
    // Its directory stays, but its lock is free: so the control plane can tell and sweep it.
    let free = Command::new("flock")
        .arg("--nonblock")
        .arg(place.join("run/lock"))
        .arg("true")
        .status()
        .unwrap();
    assert!(free.success());
}

#[test]
fn the_reader_of_events_dies() {
    let place = Place::new();
    let mark_text = marker(&place);
    let children = [mark(tap("slow"), &mark_text), mark(target("each"), &mark_text)];
    let mut running = start(&place, &place.plan(&children));
    running.wait_for("bookmark").unwrap();
    assert_eq!(marked(&mark_text).len(), 2);
    assert_eq!(running.abandon(), Some(1));
    assert!(marked(&mark_text).is_empty());
    place.assert_tidy();
}

#[test]
fn the_control_plane_hangs_up() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("slow-deaf"), target("stuck")]);
    plan["control_fd"] = json!(0);
    let file = place.join("plan.json");
    std::fs::write(&file, plan.to_string()).unwrap();
    let script = format!(
        "exec {BUS} --plan-fd 3 --events-fd 4 3<{} 4>{}",
        file.display(),
        place.text("events")
    );
    let mut bus = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut control = bus.stdin.take().unwrap();
    // Words that it does not know change nothing.
    control.write_all(b"{\"later\":1}\nwhat?\n").unwrap();
    while std::fs::read_to_string(place.join("events"))
        .unwrap_or_default()
        .matches("spawned")
        .count()
        < 2
    {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(control);
    assert_eq!(bus.wait().unwrap().code(), Some(1));
    let events = std::fs::read_to_string(place.join("events")).unwrap();
    for line in events.lines().filter(|l| l.contains("spawned")) {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_gone(u32::try_from(event["pid"].as_u64().unwrap()).unwrap());
    }
    place.assert_tidy();
}

#[test]
fn daemons_are_found_and_killed() {
    for (tap_mode, target_mode, reason) in [
        ("daemon", "ok", "done"),
        ("ok", "daemon", "done"),
        ("ok", "daemon-holds", "done"),
        ("daemon-holds", "ok", "plugin.hung"),
    ] {
        let place = Place::new();
        let mark_text = marker(&place);
        let mut plan = place.plan(&[mark(tap(tap_mode), &mark_text), mark(target(target_mode), &mark_text)]);
        plan["grace"]["term"] = json!(0.3);
        let outcome = run(&place, &plan);
        outcome.assert_reason(reason);
        assert_eq!(outcome.end()["streams"]["t"]["records"], 20);
        assert!(marked(&mark_text).is_empty(), "{tap_mode} {target_mode}");
        place.assert_tidy();
    }
}

#[test]
fn a_target_that_closes_its_input_and_stays() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("slow"), target("closes")]);
    plan["grace"]["term"] = json!(0.3);
    let outcome = run(&place, &plan);
    let end = outcome.assert_reason("plugin.early_end");
    assert_eq!(end["child"], "target-test");
}

#[test]
fn a_target_that_hangs_after_its_input() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("ok"), target("hangs")]);
    plan["grace"] = json!({"eof": 0.3, "term": 0.3});
    let outcome = run(&place, &plan);
    let end = outcome.assert_reason("plugin.hung");
    assert_eq!(
        (&end["child"], &end["setting"]),
        (&json!("target-test"), &json!("grace.eof"))
    );
    place.assert_tidy();
}

#[test]
fn a_tap_that_closes_its_output_and_stays() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("closes-and-stays"), target("ok")]);
    plan["grace"] = json!({"eof": 0.5, "term": 0.3});
    let outcome = run(&place, &plan);
    assert_eq!(outcome.assert_reason("plugin.hung")["child"], "tap-test");
    // The target had its EOF all the same.
    assert_eq!(outcome.end()["last_bookmark_is_last_state"], true);
}

#[test]
fn the_second_signal_ends_at_once() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("slow-deaf"), target("stuck")]);
    plan["grace"] = json!({"eof": null, "term": 1000, "drain": 1000});
    let mut running = start(&place, &plan);
    running.wait_for("counters").unwrap();
    running.signal("INT");
    running.signal("TERM");
    let outcome = running.finish();
    outcome.assert_reason("run.cancelled");
    assert_eq!(outcome.all("exited").len(), 2);
    place.assert_tidy();
}

#[test]
fn a_cancelled_run_does_not_wait_for_a_stuck_target() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("slow"), target("stuck")]);
    plan["grace"] = json!({"eof": null, "term": 0.3, "drain": 0.3});
    let mut running = start(&place, &plan);
    running.wait_for("counters").unwrap();
    running.signal("TERM");
    running.finish().assert_reason("run.cancelled");
    place.assert_tidy();
}

#[test]
fn children_that_cannot_be_started() {
    let place = Place::new();
    let missing = with(target("ok"), "argv", json!(["/no/such/target"]));
    let outcome = run(&place, &place.plan(&[tap("slow"), missing]));
    let end = outcome.assert_reason("plugin.start_failed");
    assert!(
        end["message"]
            .as_str()
            .unwrap()
            .contains("cannot run /no/such/target: no such file"),
        "{end}"
    );
    assert_eq!(
        outcome.all("exited").len(),
        1,
        "the tap was already there and was ended"
    );
    place.assert_tidy();

    let script = place.text("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    assert!(Command::new("chmod").args(["755", &script]).status().unwrap().success());
    let end = run(
        &place,
        &place.plan(&[tap("ok"), with(target("ok"), "argv", json!([script]))]),
    );
    assert!(end.assert_reason("plugin.start_failed")["message"]
        .as_str()
        .unwrap()
        .contains("interpreter"));

    let lost = with(target("ok"), "cwd", json!("/no/such/folder"));
    let end = run(&place, &place.plan(&[tap("ok"), lost]));
    assert!(end.assert_reason("plugin.start_failed")["message"]
        .as_str()
        .unwrap()
        .contains("/no/such/folder"));

    let unknown = with(target("ok"), "argv", json!(["no-such-program-anywhere"]));
    run(&place, &place.plan(&[tap("ok"), unknown])).assert_reason("plugin.start_failed");
}

#[test]
fn a_run_directory_that_cannot_be_made() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("ok"), target("ok")]);
    plan["run_dir"] = json!("/proc/no/such/place");
    let outcome = run(&place, &plan);
    outcome.assert_reason("env.run_dir");
    assert!(outcome.all("spawned").is_empty());
    plan["run_dir"] = json!(place.text("taken"));
    std::fs::create_dir(place.join("taken")).unwrap();
    run(&place, &plan).assert_reason("env.run_dir");
    assert!(place.join("taken").exists());
}

#[test]
fn plans_that_are_refused() {
    let place = Place::new();
    let good = place.plan(&[tap("ok"), target("ok")]);
    for (field, value, says) in [
        ("plan", json!(2), "plan: version 2"),
        ("children", json!([]), "children: at least one"),
        ("colour", json!("red"), "unknown field `colour`"),
        ("source", json!({"fd": 0}), "children[0].role"),
        ("control_fd", json!(77), "descriptor 77"),
    ] {
        let mut plan = good.clone();
        plan[field] = value;
        let mut command = Command::new(BUS);
        let running = start_with(&place, &plan, command.stderr(Stdio::piped()));
        let (code, said) = running.refused();
        assert_eq!(code, Some(2), "{field}");
        assert!(said.contains("bad plan") && said.contains(says), "{field}: {said}");
    }
    assert!(pair(tap("ok"), target("ok")).code == Some(0));
}
