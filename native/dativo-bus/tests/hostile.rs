//! Output that means harm: floods, escapes, secrets, lines without end. Each ends with a clear reason, or harms nobody.

mod bus;

use bus::{hostile, run, tap, target, with, Outcome, Place};
use serde_json::{json, Value};

fn tap_of(lines: &str) -> Value {
    hostile("tap", lines)
}

fn run_with(children: &[Value], field: &str, value: Value) -> Outcome {
    let place = Place::new();
    let mut plan = place.plan(children);
    plan[field] = value;
    let outcome = run(&place, &plan);
    place.assert_tidy();
    outcome
}

fn all_text(outcome: &Outcome) -> String {
    outcome.events.iter().map(Value::to_string).collect()
}

#[test]
fn secrets_are_in_no_event() {
    let lines = r#"
import base64
err = lambda text: print(text, file=sys.stderr, flush=True)
err('password=hunter-22! ' + base64.b64encode(b'user:hunter-22!').decode())
err('h\x1b[0munter-22! %s' % json.dumps('hunter-22!'))
os.write(2, b'split hunt'); time.sleep(0.2); os.write(2, b'er-22! joined\n')
err('x' * 995 + 'hunter-22! and more')
err('Received SIGTERM hunter-22!')
print('junk hunter-22!', flush=True)
print('{"type":"RECORD","stream":"hunter-22!","record":{}}', flush=True)"#;
    let place = Place::new();
    let answers = "print('log hunter-22!')\nprint(json.dumps({'s': 'hunter-22!'}), flush=True)\nsys.stdin.read()";
    let tap = with(tap_of(lines), "interrupt_log", json!(["Received SIGTERM"]));
    let mut plan = place.plan(&[tap, hostile("target", answers)]);
    plan["secrets"] = json!(["hunter-22!"]);
    plan["limits"] = json!({"log_line": 1000});
    let outcome = run(&place, &plan);
    assert_eq!(outcome.assert_reason("data.record_before_schema")["stream"], "***");
    let text = all_text(&outcome);
    assert!(!text.contains("hunt") && !text.contains("aHVudGVyLTIyI"), "{text}");
    let logs = outcome.logs("tap-test");
    assert!(
        logs.contains(&"password=*** dXNlcj***") || logs[0].starts_with("password=*** dXN"),
        "{logs:?}"
    );
    assert!(logs.contains(&"split *** joined"), "{logs:?}");
    assert!(logs.iter().any(|l| l.ends_with("x***…")), "{logs:?}");
    assert_eq!(outcome.logs("target-test"), ["log ***"]);
    assert_eq!(outcome.all("state_ignored")[0]["text"], r#"{"s": "***"}"#);
    assert_eq!(outcome.all("junk")[0]["text"], "junk ***");
}

#[test]
fn a_log_cannot_drive_the_terminal_or_forge_a_line() {
    let lines = r#"
text = '\x1b[2J\x1b]0;owned\x07ok\rerror[x] forged \u202egpj \u2028 end'
os.write(2, text.encode() + b'\xff\x9b31m\n')
os.write(1, b'junk \x1b[31m\n')"#;
    let outcome = run_with(&[tap_of(lines), target("ok")], "policy", json!({}));
    outcome.assert_reason("done");
    assert_eq!(
        outcome.logs("tap-test"),
        ["ok error[x] forged gpj   end\u{fffd}\u{fffd}31m"]
    );
    assert_eq!(outcome.all("junk")[0]["text"], "junk ");
}

#[test]
fn floods_of_logs_are_counted_not_told() {
    let flood = "block = b'y' * 50 + b'\\n'\nfor _ in range(300): os.write(2, block * 1000)";
    let outcome = run_with(&[tap_of(flood), target("ok")], "policy", json!({}));
    outcome.assert_reason("done");
    let told = outcome.logs("tap-test").len() as u64;
    let dropped: u64 = outcome.all("log").iter().filter_map(|e| e["dropped"].as_u64()).sum();
    assert!(
        told < 20_000 && (300_000..=300_001).contains(&(told + dropped)),
        "{told} {dropped}"
    );
    let peak = outcome.end()["bus"]["max_rss_kb"].as_u64().unwrap();
    assert!(peak < 60 << 10, "{peak}");
}

#[test]
fn floods_of_a_targets_stdout_are_counted_not_told() {
    for line in ["no state", r#"{"forged": 1}"#] {
        let lines = format!(
            "block = {:?} * 1000\nfor _ in range(100): os.write(1, block.encode())\nsys.stdin.read()",
            format!("{line}\n")
        );
        let outcome = run_with(&[tap_of(""), hostile("target", &lines)], "policy", json!({}));
        outcome.assert_reason("done");
        assert!(outcome.events.len() < 20_000, "{}", outcome.events.len());
        assert!(outcome.all("bookmark").is_empty());
        let dropped: u64 = outcome.all("log").iter().filter_map(|e| e["dropped"].as_u64()).sum();
        assert!(dropped > 80_000, "{dropped}");
    }
}

#[test]
fn a_line_without_end() {
    let endless = "while True: os.write(1, b'x' * 65536)";
    let message = "os.write(1, b'{\"type\": \"RECORD\", \"stream\": \"t\", \"record\": {\"v\": \"')\nwhile True: os.write(1, b'x' * 65536)";
    for lines in [endless, message] {
        let outcome = run_with(&[tap_of(lines), target("ok")], "limits", json!({"max_line": 2 << 20}));
        assert_eq!(
            outcome.assert_reason("data.line_too_long")["setting"],
            "limits.max_line"
        );
        let peak = outcome.end()["bus"]["max_rss_kb"].as_u64().unwrap();
        assert!(peak < 30 << 10, "{peak}");
    }
    // On stderr it is one log line, cut.
    let outcome = run_with(
        &[tap_of("for _ in range(500): os.write(2, b'x' * 65536)"), target("ok")],
        "policy",
        json!({}),
    );
    outcome.assert_reason("done");
    assert_eq!(outcome.logs("tap-test").len(), 1);
}

#[test]
fn a_target_that_answers_without_end() {
    let endless = "for _ in range(500): os.write(1, b'x' * 65536)\nsys.stdin.read()";
    let outcome = run_with(
        &[tap_of(""), hostile("target", endless)],
        "limits",
        json!({"max_line": 1 << 20}),
    );
    outcome.assert_reason("done");
    let peak = outcome.end()["bus"]["max_rss_kb"].as_u64().unwrap();
    assert!(peak < 30 << 10, "{peak}");
}

#[test]
fn deep_json() {
    let nest = |depth: usize| {
        format!("record(0)\nsys.stdout.write('{{\"type\":\"RECORD\",\"stream\":\"t\",\"record\":' + '{{\"a\":' * {depth} + '1' + '}}' * {depth} + '}}\\n')")
    };
    let read = "for line in sys.stdin.buffer: pass";
    let confirm = json!({"confirm": "never"});
    let outcome = run_with(
        &[tap_of(&nest(10_000)), hostile("target", read)],
        "policy",
        confirm.clone(),
    );
    assert_eq!(outcome.assert_reason("done")["streams"]["t"]["records"], 3);
    let outcome = run_with(
        &[tap_of(&nest(200_000)), hostile("target", read)],
        "policy",
        confirm.clone(),
    );
    outcome.assert_reason("data.invalid_json");
    // In a STATE, where a fingerprint is taken, and in what the target says.
    let state = "sys.stdout.write('{\"type\":\"STATE\",\"value\":' + '[' * 50_000 + ']' * 50_000 + '}\\n')";
    let answer = "print('[' * 90_000 + ']' * 90_000)\nprint('{\"a\":' * 300_000, flush=True)\nfor line in sys.stdin.buffer: pass";
    run_with(&[tap_of(state), hostile("target", answer)], "policy", confirm).assert_reason("done");
}

#[test]
fn a_forged_state_moves_nothing() {
    let forge = "print(json.dumps({'bookmarks': {'t': 99}}))\nprint(json.dumps({'type': 'STATE', 'value': {'bookmarks': {'t': 1}}}), flush=True)\nsys.stdin.read()";
    let outcome = run_with(&[tap_of("state(1)"), hostile("target", forge)], "policy", json!({}));
    outcome.assert_reason("done");
    assert!(outcome.all("bookmark").is_empty());
    assert_eq!(outcome.end()["last_bookmark_is_last_state"], false);
    assert_eq!(outcome.all("state_ignored").len(), 2);
}

#[test]
fn stdout_closed_and_still_alive() {
    let lines = "sys.stdout.flush()\nos.close(1)\ntime.sleep(1000)";
    let outcome = run_with(
        &[tap_of(lines), target("ok")],
        "grace",
        json!({"eof": 0.5, "term": 0.3, "drain": 5}),
    );
    assert_eq!(outcome.assert_reason("plugin.hung")["child"], "tap-test");
    let outcome = run_with(
        &[
            tap_of("state(1)"),
            hostile("target", &format!("sys.stdin.read()\n{lines}")),
        ],
        "grace",
        json!({"eof": 0.5, "term": 0.3, "drain": 5}),
    );
    assert_eq!(outcome.assert_reason("plugin.hung")["child"], "target-test");
}

#[test]
fn half_a_line_and_no_more() {
    let half = "sys.stdout.write('{\"type\": \"RECORD\", \"stream\"')\nsys.stdout.flush()\ntime.sleep(1000)";
    let limited = with(tap_of(half), "limits", json!({"idle": 0.5}));
    let outcome = run_with(&[limited, target("ok")], "policy", json!({}));
    assert_eq!(outcome.assert_reason("limit.idle")["streams"]["t"]["records"], 1);
}

#[test]
fn streams_without_number() {
    let lines = "for n in range(300_000): sys.stdout.write('{\"type\":\"SCHEMA\",\"stream\":\"s%d\",\"schema\":{},\"key_properties\":[]}\\n' % n)";
    let outcome = run_with(
        &[tap_of(lines), hostile("target", "for line in sys.stdin.buffer: pass")],
        "policy",
        json!({"confirm": "never"}),
    );
    let end = outcome.assert_reason("data.bad_message");
    assert_eq!(end["line"], 100_002);
    assert!(end["bus"]["max_rss_kb"].as_u64().unwrap() < 120 << 10, "{end}");
}

#[test]
fn the_tap_keeps_its_words() {
    run_with(
        &[tap("ok"), target("ok")],
        "secrets",
        json!(["tap-test", "records", "text", "t"]),
    )
    .assert_reason("done");
}

/// A tap that sends one BATCH of this manifest, with a spool that it may write.
fn batch(place: &Place, manifest: &str, children: impl Fn(Value) -> Vec<Value>) -> Outcome {
    std::fs::create_dir_all(place.join("spool")).unwrap();
    std::fs::write(place.join("spool/a b"), "x").unwrap();
    std::fs::write(place.join("secret"), "x").unwrap();
    let _ = std::os::unix::fs::symlink(place.join("secret"), place.join("spool/link"));
    let manifest = manifest.replace("PLACE", &place.text(""));
    let line = format!(
        "write({{'type': 'BATCH', 'stream': 't', 'encoding': {{'format': 'jsonl'}}, 'manifest': ['{manifest}']}})"
    );
    let sandbox = json!({"profile": "limits", "write": [place.text("spool")]});
    let mut plan = place.plan(&children(with(tap_of(&line), "sandbox", sandbox)));
    plan["policy"] = json!({"batch": "forward", "confirm": "never"});
    run(place, &plan)
}

#[test]
fn a_batch_names_only_what_its_tap_may_write() {
    let read = "for line in sys.stdin.buffer: pass";
    let pair = |tap: Value| vec![tap, hostile("target", read)];
    for (manifest, reason) in [
        ("PLACEspool/a b", "done"),
        ("file://PLACEspool/a%20b", "done"),
        ("s3://bucket/key", "done"),
        ("PLACEsecret", "data.batch_outside"),
        ("PLACEspool/link", "data.batch_outside"),
        ("file://PLACEspool/%2e%2e/secret", "data.batch_outside"),
        ("/etc/passwd", "data.batch_outside"),
        ("spool/a b", "data.batch_outside"),
    ] {
        let place = Place::new();
        let outcome = batch(&place, manifest, pair);
        let end = outcome.assert_reason(reason);
        if reason != "done" {
            assert_eq!(
                (&end["child"], &end["line"], &end["setting"]),
                (&json!("tap-test"), &json!(3), &json!("sandbox.write"))
            );
        }
    }
    // A mapper passes on what the tap may write.
    let place = Place::new();
    let pass = "for line in sys.stdin: print(line, end='', flush=True)";
    let mapper = with(
        with(hostile("target", pass), "role", json!("mapper")),
        "name",
        json!("map-test"),
    );
    let three = |tap: Value| vec![tap, mapper.clone(), hostile("target", read)];
    batch(&place, "PLACEspool/a b", three).assert_reason("done");
}

#[test]
fn a_file_that_a_plugin_renews_comes_back() {
    let place = Place::new();
    let renew = "path = sys.argv[2]\nopen(path, 'w').write('{\"token\": \"new\"}')";
    let mut tap = tap_of(renew);
    tap["argv"].as_array_mut().unwrap().push(json!("{file:config}"));
    tap["files"] = json!({"config": {"content": "{}", "mode": "file", "back_fd": 7}});
    let plan = place.plan(&[tap, target("ok")]);
    std::fs::write(place.join("plan.json"), plan.to_string()).unwrap();
    let line = format!(
        "{} --plan-fd 3 7>{} 3<{}",
        bus::BUS,
        place.text("back"),
        place.text("plan.json")
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("exec {line}")]);
    bus::start_with(&place, &plan, &mut command)
        .finish()
        .assert_reason("done");
    let back = std::fs::read_to_string(place.join("back")).unwrap();
    assert_eq!(back, "{\"token\": \"new\"}");
}
