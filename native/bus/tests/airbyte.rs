//! Every vector of `protocol/vectors/airbyte` through a whole hop: what a source writes, what its target gets.

mod airbyte_cases;

use airbyte_cases::{cases, Differences};
use dativo_bus_engine::airbyte::translated::Translated;
use dativo_bus_engine::carrier::Carrier;
use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::relay::Relay;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use serde_json::{json, Value};
use std::fs;

fn plan(case: &Value) -> Plan {
    let given = |key: &str, default: Value| case.get(key).cloned().unwrap_or(default);
    let mut policy = json!({"validate": "on"});
    let own = given("policy", json!({}));
    policy.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    let document = json!({
        "plan": 1, "run": "r", "job": "j", "run_dir": "/x", "policy": policy,
        "limits": {"max_line": given("max_line", json!(67_108_864))},
        "children": [
            {"name": "source", "role": "tap", "argv": ["s"], "airbyte": case["airbyte"]},
            {"name": "target", "role": "target", "argv": ["t"]},
        ],
    });
    Plan::parse(document.to_string().as_bytes()).unwrap()
}

struct Came {
    carrier: Translated,
    failure: Option<Failure>,
    output: Vec<u8>,
    journal: Journal,
    recorded: Vec<u8>,
}

/// Feeds a hop in steps of `chunk` bytes and takes its output in steps of `gulp`.
fn receive(bytes: &[u8], case: &Value, chunk: usize, gulp: usize) -> Came {
    let plan = plan(case);
    let relay = Relay::new(&plan, "source", true).with_reader(&plan, End::Child(1));
    let spec = plan.children[0].airbyte.as_ref().unwrap();
    let mut carrier = Translated::new(relay, "source", spec, plan.limits.max_line, true);
    let (mut journal, mut output, mut failure, mut rest) = (Journal::default(), Vec::new(), None, bytes);
    let (mut ended, mut recorded) = (false, Vec::new());
    loop {
        if failure.is_none() && carrier.hungry() && !rest.is_empty() {
            let space = carrier.space();
            let count = space.len().min(chunk).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            carrier.filled(count);
        }
        if failure.is_none() {
            failure = carrier.work(&mut journal);
        }
        recorded.extend(carrier.translated());
        let count = carrier.pending().len().min(gulp);
        output.extend_from_slice(&carrier.pending()[..count]);
        carrier.wrote(count);
        if count > 0 || (failure.is_none() && (!rest.is_empty() || !carrier.idle())) {
            continue;
        }
        if failure.is_none() && !ended {
            ended = true;
            carrier.ended();
            continue;
        }
        if failure.is_none() {
            failure = carrier.finish(case.get("upstream").is_some(), &mut journal);
            while !carrier.pending().is_empty() {
                let count = carrier.pending().len();
                output.extend_from_slice(carrier.pending());
                carrier.wrote(count);
            }
        }
        return Came {
            carrier,
            failure,
            output,
            journal,
            recorded,
        };
    }
}

#[test]
fn vectors() {
    let mut wrong = Vec::new();
    let cases = cases(false);
    assert!(cases.len() > 15);
    for (path, case) in cases {
        let bytes = fs::read(path.join("input.airbyte")).unwrap();
        let expected = fs::read_to_string(path.join("output.singer")).unwrap();
        for (chunk, gulp) in [(1 << 18, 1 << 18), (1, 3), (7, 1)] {
            let mut came = receive(&bytes, &case, chunk, gulp);
            let mut differences = Differences::of(&path, &case, chunk);
            let output = String::from_utf8(came.output).unwrap();
            differences.unless(output == expected, format!("output {output}"));
            let router = &came.carrier.singer().unwrap().router;
            let kinds = ["log", "stream_status", "estimate", "trouble"];
            differences.of_the_hop(came.failure.as_ref(), router, &came.journal, &kinds);
            let mut junk = serde_json::to_value(router.junk).unwrap();
            junk.as_object_mut().unwrap().retain(|_, number| *number != 0);
            differences.compare("junk", &junk, json!({}));
            differences.of_its_config(came.carrier.renewed());
            // A tape holds what was judged: all that was delivered is in it.
            let recorded = String::from_utf8_lossy(&came.recorded).into_owned();
            let whole = output.lines().all(|line| recorded.contains(line));
            differences.unless(whole || case.get("airbyte").is_none(), "recorded".into());
            wrong.append(&mut differences.found);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Feeds lines without end and looks at what is held.
#[test]
fn floods_are_bounded() {
    let case = json!({"airbyte": {"streams": []}});
    let config = format!(r#"{{"token":"{}"}}"#, "x".repeat(10_000));
    let control = format!(
        r#"{{"type":"CONTROL","control":{{"type":"CONNECTOR_CONFIG","connectorConfig":{{"config":{config}}}}}}}"#
    );
    let error = r#"{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"no","failure_type":"config_error"}}}"#;
    let flood: String = (0..20_000)
        .map(|i| if i % 2 == 0 { error } else { &control[..] })
        .flat_map(|l| [l, "\n"])
        .collect();
    let came = receive(flood.as_bytes(), &case, 1 << 18, 1 << 18);
    assert_eq!(came.failure.unwrap().reason, "plugin.exited");
    let told = came.journal.pending().iter().filter(|byte| **byte == b'\n').count();
    assert!(told < 8_000, "{told} events");
    assert!(came.output.is_empty());
}
