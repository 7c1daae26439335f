//! The vectors of `protocol/vectors/airbyte` that go to a destination: what it reads, and what its words come to.

mod airbyte_cases;

use airbyte_cases::{cases, Differences};
use dativo_bus_engine::carrier::Carrier;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::ledger::Answer;
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::relay::{Heard, Relay};
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use serde_json::{json, Value};
use std::fs;

fn plan(case: &Value) -> Plan {
    let mut policy = json!({"validate": "on", "activate": "hold"});
    let own = case.get("policy").cloned().unwrap_or(json!({}));
    policy.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    let document = json!({
        "plan": 1, "run": "r", "job": "j", "run_dir": "/x", "policy": policy,
        "children": [
            {"name": "tap", "role": "tap", "argv": ["s"]},
            {"name": "destination", "role": "target", "argv": ["t"], "airbyte": case["destination"]},
        ],
    });
    Plan::parse(document.to_string().as_bytes()).unwrap()
}

struct Came {
    relay: Relay,
    failure: Option<Failure>,
    output: Vec<u8>,
    journal: Journal,
}

fn receive(bytes: &[u8], case: &Value, chunk: usize, gulp: usize) -> Came {
    let plan = plan(case);
    let mut relay = Relay::new(&plan, "tap", true).with_reader(&plan, End::Child(1));
    let (mut journal, mut output, mut failure, mut rest) = (Journal::default(), Vec::new(), None, bytes);
    while failure.is_none() && !rest.is_empty() {
        let space = relay.space();
        let count = space.len().min(chunk).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        relay.filled(count);
        failure = relay.work(&mut journal);
        let count = relay.pending().len().min(gulp);
        output.extend_from_slice(&relay.pending()[..count]);
        relay.wrote(count);
    }
    if failure.is_none() {
        relay.ended_well();
        failure = relay.finish(false, &mut journal);
    }
    while !relay.pending().is_empty() {
        let count = relay.pending().len();
        output.extend_from_slice(relay.pending());
        relay.wrote(count);
    }
    Came {
        relay,
        failure,
        output,
        journal,
    }
}

/// The output with the moment at which it was made left out.
fn timeless(output: &str) -> String {
    let mut lines = Vec::new();
    for line in output.lines() {
        match line.find(r#""emitted_at":"#).filter(|_| line.contains("STREAM_STATUS")) {
            Some(at) => {
                let from = at + r#""emitted_at":"#.len();
                let digits = line[from..].chars().take_while(char::is_ascii_digit).count();
                assert!(digits == 13, "{line}");
                lines.push(format!("{}NOW{}", &line[..from], &line[from + digits..]));
            }
            None => lines.push(line.to_string()),
        }
    }
    lines.concat()
}

fn sorted(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(value) if line.contains("STATE") => value.to_string(),
        _ => line.to_string(),
    }
}

#[test]
fn vectors() {
    let mut wrong = Vec::new();
    let cases = cases(true);
    assert!(cases.len() > 5);
    for (path, case) in cases {
        let bytes = fs::read(path.join("input.singer")).unwrap();
        let expected = fs::read_to_string(path.join("output.airbyte")).unwrap();
        for (chunk, gulp) in [(1 << 18, 1 << 18), (1, 3), (7, 1)] {
            let mut came = receive(&bytes, &case, chunk, gulp);
            let mut differences = Differences::of(&path, &case, chunk);
            let output = String::from_utf8(std::mem::take(&mut came.output)).unwrap();
            let given: Vec<String> = output.lines().map(|line| sorted(&timeless(line))).collect();
            let wanted: Vec<String> = expected.lines().map(sorted).collect();
            differences.unless(given == wanted, format!("output {given:#?}"));
            hear(&mut came, &case, output.len() as u64, &bytes, &mut differences);
            let kinds = ["log", "trouble"];
            differences.of_the_hop(came.failure.as_ref(), &came.relay.router, &came.journal, &kinds);
            let against = came.relay.verdict_abroad().map(|failure| failure.reason);
            differences.compare("held_against", &json!(against), Value::Null);
            differences.of_its_config(came.relay.renewed_abroad());
            wrong.append(&mut differences.found);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the destination of a case says, after it has read everything.
fn hear(came: &mut Came, case: &Value, read: u64, sent: &[u8], differences: &mut Differences<'_>) {
    let (mut confirmed, mut ignored, mut failed) = (Vec::new(), Vec::new(), None);
    let sent = String::from_utf8_lossy(sent);
    for line in case.get("said").and_then(Value::as_array).into_iter().flatten() {
        let line = line.as_str().unwrap().as_bytes();
        match came.relay.hear(line, read, &mut came.journal).unwrap() {
            Heard::Answer(Answer::Bookmark { seq, value, .. }) => {
                let text = String::from_utf8(value).unwrap();
                let there = sent.contains(&format!(r#""value":{text}}}"#));
                differences.unless(there, format!("bookmark {text}"));
                confirmed.push(seq);
            }
            Heard::Answer(Answer::Ignored(why)) => ignored.push(why),
            Heard::Answer(Answer::Log | Answer::Repeat) | Heard::Nothing => {}
            Heard::Answer(other) => differences.unless(false, format!("{other:?}")),
            Heard::Failed(failure) => failed = Some(failure.reason),
        }
    }
    differences.compare("confirmed", &json!(confirmed), json!([]));
    differences.compare("ignored", &json!(ignored), json!([]));
    differences.compare("failed", &json!(failed), Value::Null);
}

/// Before it is read, a state cannot come back.
#[test]
fn what_it_has_not_read_it_cannot_confirm() {
    let case = json!({"destination": {"streams": [{"name": "a", "stream": "a"}]}});
    let input = br#"{"type":"SCHEMA","stream":"a","schema":{"type":"object"},"key_properties":[]}
{"type":"RECORD","stream":"a","record":{"x":1}}
{"type":"STATE","value":{"n":1}}
"#;
    let mut came = receive(input, &case, 1 << 18, 1 << 18);
    let output = String::from_utf8(came.output.clone()).unwrap();
    let state = output.lines().find(|line| line.contains("STATE")).unwrap();
    let before = output.find(state).unwrap() as u64;
    let heard = |came: &mut Came, read| came.relay.hear(state.as_bytes(), read, &mut came.journal).unwrap();
    assert_eq!(heard(&mut came, before), Heard::Answer(Answer::Ignored("unread")));
    let whole = before + state.len() as u64;
    let confirmed = heard(&mut came, whole);
    assert!(
        matches!(confirmed, Heard::Answer(Answer::Bookmark { records: 1, .. })),
        "{confirmed:?}"
    );
    assert_eq!(heard(&mut came, whole), Heard::Answer(Answer::Repeat));
}
