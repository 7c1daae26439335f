//! Streams that come from and go to a shell pipe, and probes.

mod bus;

use bus::{probe, run, tap, target, target_with_copy, with, Outcome, Place, BUS};
use serde_json::{json, Value};
use std::io::Write;
use std::process::{Command, Stdio};

const STREAM: &str = r#"{"type":"SCHEMA","stream":"s","schema":{},"key_properties":[]}
{"type":"RECORD","stream":"s","record":{"id":1}}
{"type":"RECORD","stream":"s","record":{"id":2}}
{"type":"STATE","value":{"bookmarks":{"s":2}}}
"#;

/// Runs a shell line in which `$BUS` is the bus with its plan on 3 and its events on 4; `$IN` is a file with STREAM.
/// The line's own stdin is a pipe that gets `words` and then stays open until the end.
fn shell(place: &Place, plan: &Value, line: &str, words: &str) -> (Outcome, Vec<u8>) {
    std::fs::write(place.join("plan.json"), plan.to_string()).unwrap();
    std::fs::write(place.join("in"), STREAM).unwrap();
    std::fs::write(place.join("events"), "").unwrap();
    let bus = format!(
        "{BUS} --plan-fd 3 --events-fd 4 3<{} 4>>{}",
        place.text("plan.json"),
        place.text("events")
    );
    let line = line.replace("$BUS", &bus).replace("$IN", &place.text("in"));
    let mut child = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {line}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(words.as_bytes()).unwrap();
    let stdin = child.stdin.take();
    let mut out = Vec::new();
    std::io::Read::read_to_end(child.stdout.as_mut().unwrap(), &mut out).unwrap();
    let code = child.wait().unwrap().code();
    drop(stdin);
    let events = std::fs::read_to_string(place.join("events")).unwrap();
    place.assert_tidy();
    (
        Outcome {
            code,
            events: events.lines().map(|l| serde_json::from_str(l).unwrap()).collect(),
        },
        out,
    )
}

fn from_source(place: &Place, mode: &str) -> Value {
    let mut plan = place.plan(&[target_with_copy(mode, &place.text("copy"))]);
    plan["source"] = json!({"fd": 0, "name": "tap-elsewhere"});
    plan
}

fn to_sink(place: &Place, mode: &str) -> Value {
    let mut plan = place.plan(&[tap(mode)]);
    plan["sink"] = json!({"fd": 1, "name": "target-elsewhere"});
    plan
}

#[test]
fn a_pipe_in_and_a_file_in() {
    for line in ["cat $IN | $BUS", "$BUS <$IN"] {
        let place = Place::new();
        let (outcome, _) = shell(&place, &from_source(&place, "ok"), line, "");
        let end = outcome.assert_reason("done");
        assert_eq!(
            (&end["streams"]["s"]["records"], &end["states"]["confirmed"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(std::fs::read_to_string(place.join("copy")).unwrap(), STREAM);
    }
}

#[test]
fn a_pipe_out_and_a_file_out() {
    let place = Place::new();
    let (outcome, out) = shell(&place, &to_sink(&place, "ok"), "$BUS | cat", "");
    let end = outcome.assert_reason("done");
    assert_eq!(end["bytes_out"], out.len());
    assert_eq!(end["states"], json!({"forwarded": 2, "confirmed": 0}));
    assert!(outcome.all("bookmark").is_empty());
    let (outcome, _) = shell(
        &place,
        &to_sink(&place, "ok"),
        &format!("$BUS >{}", place.text("out")),
        "",
    );
    outcome.assert_reason("done");
    assert_eq!(std::fs::read(place.join("out")).unwrap(), out);
}

#[test]
fn head_ends_it_quietly() {
    for mode in ["slow", "many"] {
        let place = Place::new();
        let line = "{ $BUS; } | head -n 3; exit ${PIPESTATUS[0]}";
        let (outcome, out) = shell(&place, &to_sink(&place, mode), line, "");
        assert_eq!(outcome.assert_reason("pipe.closed")["child"], "target-elsewhere");
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 3);
        assert_eq!(outcome.all("exited").len(), 1);
    }
}

#[test]
fn two_halves_of_a_shell_pipe() {
    let place = Place::new();
    let left = Place::new();
    let mut plan = to_sink(&left, "many");
    plan["run_dir"] = json!(left.text("run"));
    std::fs::write(left.join("plan.json"), plan.to_string()).unwrap();
    let left_bus = format!(
        "{BUS} --plan-fd 3 --events-fd 4 3<{} 4>{}",
        left.text("plan.json"),
        left.text("events")
    );
    let (outcome, _) = shell(&place, &from_source(&place, "ok"), &format!("{left_bus} | $BUS"), "");
    assert_eq!(outcome.assert_reason("done")["streams"]["t"]["records"], 50_010);
    left.assert_tidy();
}

#[test]
fn the_control_plane_says_how_the_source_ended() {
    for (words, reason) in [
        ("{\"source\":\"ended\"}\n", "done"),
        (
            "{\"source\":\"died\",\"reason\":\"tap-x was killed\"}\n",
            "pipe.upstream_died",
        ),
    ] {
        let place = Place::new();
        let mut plan = from_source(&place, "ok");
        plan["source"]["await_verdict"] = json!(true);
        plan["control_fd"] = json!(5);
        let (outcome, _) = shell(&place, &plan, "exec 5<&0; cat $IN | $BUS", words);
        let end = outcome.assert_reason(reason);
        assert_eq!(end["streams"]["s"]["records"], 2);
        if reason != "done" {
            assert!(end["message"].as_str().unwrap().contains("tap-x was killed"));
        }
    }
}

#[test]
fn the_question_is_asked_at_eof() {
    // The answer comes only after the question: the shell waits for the event before it writes it.
    let place = Place::new();
    let mut plan = from_source(&place, "ok");
    plan["source"]["await_verdict"] = json!(true);
    plan["control_fd"] = json!(5);
    let events = place.text("events");
    let answer = format!(
        "until grep -q source_eof {events}; do sleep 0.02; done; echo '{{\"source\":\"ended\"}}'; exec sleep 1000"
    );
    let line = format!("exec 5< <({answer}); waiter=$!; cat $IN | $BUS; code=$?; kill $waiter; exit $code");
    let (outcome, _) = shell(&place, &plan, &line, "");
    outcome.assert_reason("done");
    assert_eq!(outcome.all("source_eof").len(), 1);
}

#[test]
fn a_dead_source_keeps_the_target_from_committing() {
    let place = Place::new();
    let mut plan = place.plan(&[with(target("commits"), "on_upstream_failure", json!("term"))]);
    plan["source"] = json!({"fd": 0, "name": "tap-x", "await_verdict": true});
    plan["control_fd"] = json!(5);
    let died = "{\"source\":\"died\",\"reason\":\"exit 1\"}\n";
    let (outcome, _) = shell(
        &place,
        &plan,
        "exec 5<&0; { cat $IN; printf '{\"type\":\"REC'; } | $BUS",
        died,
    );
    let end = outcome.assert_reason("pipe.upstream_died");
    assert_eq!(end["states"]["confirmed"], 1);
    let exit = outcome.all("exited")[0];
    assert_eq!(exit["code"], 143, "it was asked to stop and saw no EOF");
}

#[test]
fn a_probes_output_is_passed_on() {
    let place = Place::new();
    let mut plan = place.plan(&[probe(&["hello"])]);
    plan["sink"] = json!({"fd": 1});
    let (outcome, out) = shell(&place, &plan, "$BUS", "");
    outcome.assert_reason("done");
    let said: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(said["argv"], json!(["hello"]));
    assert_eq!(outcome.end()["bytes_out"], out.len());
    assert!(outcome.all("counters").is_empty());
}

#[test]
fn a_probe_that_prints_too_much() {
    let place = Place::new();
    let chatty = json!({"name": "tap-chatty", "role": "probe", "argv": ["yes"], "env": tap("")["env"], "sandbox": {"profile": "limits"}});
    let mut plan = place.plan(&[chatty]);
    plan["sink"] = json!({"fd": 1});
    plan["limits"] = json!({"capture": 100_000});
    let (outcome, out) = shell(&place, &plan, "$BUS", "");
    assert_eq!(outcome.assert_reason("data.line_too_long")["setting"], "limits.capture");
    assert_eq!(out.len(), 100_000);
}

#[test]
fn a_probe_without_a_sink_is_logged() {
    let place = Place::new();
    let words = json!({"name": "tap-words", "role": "probe", "argv": ["echo", "[1,2]"], "env": tap("")["env"], "sandbox": {"profile": "limits"}});
    let outcome = run(&place, &place.plan(&[words]));
    outcome.assert_reason("done");
    assert_eq!(outcome.logs("tap-words"), ["[1,2]"]);
    assert_eq!(outcome.all("log")[0]["source"], "stdout");
}

#[test]
fn what_a_child_gets_and_what_not() {
    let place = Place::new();
    let mut child = probe(&[
        "{file:config}",
        "{file:state}",
        "{home}",
        "{tmp}",
        "{run_dir}",
        "{\"a\":1}",
    ]);
    child["env"]["HOME"] = json!("{home}");
    child["env"]["STATE"] = json!("{file:state}");
    child["cwd"] = json!("{home}");
    child["files"] = json!({
        "config": {"content": "{\"password\":\"hunter2\"}", "mode": "memfd"},
        "state": {"content": "{}", "mode": "file"},
    });
    child["rlimits"] = json!({"core": 0, "nofile": 64, "data": null});
    let mut plan = place.plan(&[child]);
    plan["sink"] = json!({"fd": 1});
    let (outcome, out) = shell(
        &place,
        &plan,
        "SECRET=leak exec 7</dev/null 9</dev/null; export SECRET=leak; $BUS",
        "",
    );
    outcome.assert_reason("done");
    let said: Value = serde_json::from_slice(&out).unwrap();
    let run_dir = place.text("run");
    let arg = |index: usize| said["argv"][index].as_str().unwrap().to_string();
    // I13: the config has no name; the state is private.
    assert!(arg(0).starts_with("/proc/self/fd/"));
    assert_eq!(said["files"][arg(0)], "{\"password\":\"hunter2\"}");
    assert_eq!(arg(1), format!("{run_dir}/0/files/state.json"));
    assert_eq!(
        (&said["files"][arg(1)], &said["modes"][arg(1)]),
        (&json!("{}"), &json!("0o600"))
    );
    assert_eq!(
        (arg(2), arg(3), arg(4)),
        (format!("{run_dir}/0/home"), format!("{run_dir}/0/tmp"), run_dir.clone())
    );
    assert_eq!(said["modes"][arg(2)], "0o700");
    assert_eq!(arg(5), "{\"a\":1}");
    // I6: its environment, directory, descriptors and limits are those of the plan.
    let mut variables: Vec<&str> = said["env"].as_object().unwrap().keys().map(String::as_str).collect();
    variables.retain(|name| *name != "LC_CTYPE"); // Python's own doing
    assert_eq!(variables, ["HOME", "PATH", "PYTHONUTF8", "STATE"]);
    assert_eq!(said["cwd"], format!("{run_dir}/0/home"));
    let config_fd: u64 = arg(0).rsplit('/').next().unwrap().parse().unwrap();
    let mut fds: Vec<u64> = said["fds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fd| fd.as_u64().unwrap())
        .collect();
    fds.retain(|fd| ![0, 1, 2, config_fd].contains(fd));
    assert!(fds.len() <= 1, "only the listing's own descriptor may be left: {fds:?}");
    assert_eq!(said["pipes"], json!(["pipe", "pipe", "pipe"]));
    assert_eq!(said["stdin"], "");
    assert_eq!((&said["nofile"], &said["core"]), (&json!([64, 64]), &json!([0, 0])));
    assert_eq!((&said["no_new_privs"], &said["leader"]), (&json!("1"), &json!(true)));
    // What a target writes is for its user to share or not: the umask is the user's.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ours = status.lines().find_map(|line| line.strip_prefix("Umask:\t")).unwrap();
    assert_eq!(said["umask"], json!(u32::from_str_radix(ours, 8).unwrap()));
    assert_eq!(
        (&said["blocked"], &said["ignored"]),
        (&json!("0000000000000000"), &json!(false))
    );
    // I13: no event holds the content of a file.
    assert!(!std::fs::read_to_string(place.join("events"))
        .unwrap()
        .contains("hunter2"));
}

#[test]
fn the_command_line() {
    let ask = |arguments: &[&str]| Command::new(BUS).args(arguments).stdin(Stdio::null()).output().unwrap();
    let version = ask(&["--version"]);
    assert_eq!(
        version.stdout,
        format!("dativo-bus {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    assert!(String::from_utf8(ask(&["--help"]).stdout)
        .unwrap()
        .contains("--plan-fd"));
    let schema: Value = serde_json::from_slice(&ask(&["--schema", "plan"]).stdout).unwrap();
    assert!(schema["properties"]["children"].is_object());
    assert_eq!(ask(&["--nonsense"]).status.code(), Some(2));
    let empty = ask(&[]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(String::from_utf8(empty.stderr)
        .unwrap()
        .starts_with("dativo-bus: bad plan: EOF"));
}
