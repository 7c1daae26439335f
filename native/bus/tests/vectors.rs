//! Every vector of `protocol/vectors` that the data plane can meet, through a whole hop and its ledger.

use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::ledger::{Answer, Ledger};
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::relay::{Carrier, Relay};
use dativo_bus_engine::tally::Sum;
use dativo_bus_engine::verdict::Failure;
use serde_json::Value;
use singer_protocol::state::fingerprint;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn cases(topic: &str) -> Vec<(PathBuf, Value)> {
    let topic = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../protocol/vectors")
        .join(topic);
    let mut found: Vec<_> = fs::read_dir(topic)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    let read = |path: &Path| serde_json::from_slice(&fs::read(path.join("case.json")).unwrap()).unwrap();
    found.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

fn input(path: &Path, case: &Value) -> Vec<u8> {
    let Some(pieces) = case.get("input").and_then(Value::as_array) else {
        return fs::read(path.join("input.singer")).unwrap();
    };
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let mut bytes = String::new();
    for piece in pieces {
        bytes += &text(&piece["text"]);
        if let Some(made) = piece.get("generate") {
            let times = made["repeat"][1].as_u64().unwrap_or(0) as usize;
            bytes += &(text(&made["prefix"]) + &text(&made["repeat"][0]).repeat(times) + &text(&made["suffix"]));
        }
    }
    bytes.into_bytes()
}

fn plan(case: &Value) -> Plan {
    let policy = case.get("policy").cloned().unwrap_or_else(|| serde_json::json!({}));
    let max_line = case
        .get("max_line")
        .cloned()
        .unwrap_or_else(|| serde_json::json!(67_108_864));
    let known = case
        .get("known_schemas")
        .cloned()
        .unwrap_or_else(|| serde_json::json!({}));
    let document = serde_json::json!({
        "known_schemas": known, "plan": 1, "run": "r", "job": "j", "run_dir": "/x", "policy": policy, "limits": {"max_line": max_line},
        "children": [{"name": "tap", "role": "tap", "argv": ["t"]}, {"name": "target", "role": "target", "argv": ["t"], "adapt": case.get("adapt")}],
    });
    Plan::parse(document.to_string().as_bytes()).unwrap()
}

/// Feeds a hop in steps of `chunk` bytes and takes its output in steps of `gulp`.
fn receive(bytes: &[u8], case: &Value, chunk: usize, gulp: usize) -> (Relay, Option<Failure>, Vec<u8>, Journal) {
    let plan = plan(case);
    let mut relay = Relay::new(&plan, "tap", true).with_reader(plan.children.last());
    if case.get("upstream").is_none() {
        relay.ended_well();
    }
    let (mut journal, mut output, mut failure, mut rest) = (Journal::default(), Vec::new(), None, bytes);
    let mut ended = false;
    loop {
        if failure.is_none() && relay.hungry() && !rest.is_empty() {
            let space = relay.space();
            let count = space.len().min(chunk).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            relay.filled(count);
        }
        if failure.is_none() {
            failure = relay.work(&mut journal);
        }
        let pending = relay.pending();
        let count = pending.len().min(gulp);
        output.extend_from_slice(&pending[..count]);
        relay.wrote(count);
        if count > 0 || (failure.is_none() && !rest.is_empty()) {
            continue;
        }
        if ended || failure.is_some() {
            assert!(relay.idle());
            return (relay, failure, output, journal);
        }
        ended = true;
        failure = relay.finish(case.get("upstream").is_some_and(|u| u == "died"), &mut journal);
    }
}

fn events(journal: &Journal) -> Vec<Value> {
    let text = String::from_utf8(journal.pending().to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check(topic: &str) {
    let mut wrong = Vec::new();
    for (path, case) in cases(topic) {
        let bytes = input(&path, &case);
        let expected_output = match case["output"].as_str().unwrap() {
            "same" => bytes.clone(),
            file => fs::read(path.join(file)).unwrap(),
        };
        let error = case["error"].as_object();
        let error = error.map(|e| (e["code"].as_str().unwrap().to_string(), e["line"].as_u64()));
        let mut junk: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in case.get("messages").and_then(Value::as_array).into_iter().flatten() {
            if let Some(kind) = entry.get("junk") {
                *junk.entry(kind.as_str().unwrap()).or_default() +=
                    entry.get("times").map_or(1, |t| t.as_u64().unwrap());
            }
        }
        let steps: &[(usize, usize)] = match bytes.len() > 1 << 20 {
            true => &[(1 << 18, 1 << 16)],
            false => &[(1 << 18, 1 << 18), (1, 3), (7, 1)],
        };
        for (chunk, gulp) in steps {
            let (relay, failure, output, journal) = receive(&bytes, &case, *chunk, *gulp);
            let mut differ = |what: &str, same: bool| {
                if !same {
                    wrong.push(format!(
                        "{topic}/{} in steps of {chunk}: {what}",
                        path.file_name().unwrap().to_string_lossy()
                    ));
                }
            };
            let got = failure.map(|f| (f.reason.to_string(), f.line));
            differ(&format!("error {got:?} wanted {error:?}"), got == error);
            let counts: BTreeMap<&str, u64> = relay
                .router
                .totals()
                .iter()
                .filter(|(_, t)| t.records > 0)
                .map(|(n, t)| (*n, t.records))
                .collect();
            let wanted = case["counts"].as_object().unwrap();
            let wanted: BTreeMap<&str, u64> = wanted
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_u64().unwrap()))
                .filter(|(_, n)| *n > 0)
                .collect();
            differ(&format!("counts {counts:?} wanted {wanted:?}"), counts == wanted);
            differ("output", output == expected_output);
            let told = serde_json::to_value(relay.router.junk).unwrap();
            let told: BTreeMap<&str, u64> = told
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_u64().unwrap()))
                .filter(|(_, n)| *n > 0)
                .collect();
            // The junk line that fails a run is counted as well; the vector lists what came before it.
            let failing = matches!(&error, Some((code, _)) if code == "data.junk");
            differ(&format!("junk {told:?} wanted {junk:?}"), failing || told == junk);
            let events = events(&journal);
            let expected = case
                .get("notices")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let mut notices: Vec<&Value> = events
                .iter()
                .filter(|e| e["event"] == "notice")
                .map(|e| &e["code"])
                .collect();
            let nonstandard = Value::from("data.nonstandard_number");
            notices.extend((relay.router.nonstandard > 0).then_some(&nonstandard));
            let kept = Value::from("data.schema_kept");
            notices.retain(|code| **code != kept);
            differ("notices", notices == expected.iter().collect::<Vec<_>>());
            let mut told: Vec<Value> = events.iter().filter(|e| e["event"] == "adapted").cloned().collect();
            for event in told.iter_mut().filter_map(Value::as_object_mut) {
                event.retain(|key, _| key != "event" && key != "at");
            }
            let wanted = case
                .get("adapted")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            differ(&format!("adapted {told:?} wanted {wanted:?}"), told == wanted);
            let told = events.iter().filter(|e| e["event"] == "reject");
            let told: Vec<Value> = told
                .map(|e| serde_json::json!({"line": e["line"], "rule": e["rule"], "path": e["path"]}))
                .collect();
            let wanted = case
                .get("rejected")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            differ(&format!("rejected {told:?} wanted {wanted:?}"), told == wanted);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn framing() {
    check("framing");
}

#[test]
fn envelope() {
    check("envelope");
}

#[test]
fn order() {
    check("order");
}

#[test]
fn malformed() {
    check("malformed");
}

#[test]
fn adapt() {
    check("adapt");
}

#[test]
fn validation() {
    check("validation");
}

#[test]
fn state() {
    for (path, case) in cases("state") {
        let texts = |key: &str| -> Vec<String> {
            case[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap().to_string())
                .collect()
        };
        let mut ledger = Ledger::default();
        for (index, text) in texts("forwarded").iter().enumerate() {
            let print = fingerprint(text.as_bytes()).unwrap();
            ledger.forward(text.as_bytes(), print, index as u64 + 1, index as u64, index as u64);
            ledger.handed(Sum::default());
        }
        let (mut confirmed, mut ignored, mut logs) = (None, Vec::new(), 0);
        for line in texts("target_lines").iter().filter(|line| !line.trim().is_empty()) {
            match ledger.answer(line.as_bytes(), u64::MAX) {
                Answer::Bookmark { seq, .. } => confirmed = Some(seq - 1),
                Answer::Ignored(why) => ignored.push(why),
                Answer::Log => logs += 1,
                Answer::Repeat => {}
                Answer::Unbalanced(accepted, handed) => panic!("{accepted:?} {handed:?}"),
            }
        }
        assert_eq!(confirmed, case["confirmed"].as_u64(), "{path:?}");
        assert_eq!(serde_json::json!(ignored), case["ignored"], "{path:?}");
        assert_eq!(logs, case.get("logs").and_then(Value::as_u64).unwrap_or(0), "{path:?}");
    }
}
