//! What an observed plugin tries is told once each, and it may do no more than otherwise.

mod bus;

use bus::{python, run, with, Outcome, Place};
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::path::Path;

fn curious(place: &Place, sandbox: Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/curious.py");
    let home = std::env::var("HOME").unwrap_or_default();
    let mut sandbox = sandbox;
    // The interpreter may be installed in a home.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins");
    sandbox["read"] = json!([here, format!("{home}/.pyenv"), format!("{home}/.local/share/uv")]);
    let argv = json!([python(), script, place.text("stuff")]);
    json!({"name": "tap-test", "role": "probe", "argv": argv, "env": {"PATH": "/usr/bin:/bin"}, "sandbox": sandbox})
}

/// Runs it in a folder with some files; None where there are no namespaces.
fn observed(sandbox: Value) -> Option<(Place, Outcome)> {
    let place = Place::new();
    std::fs::create_dir_all(place.join("stuff")).unwrap();
    for name in ["secret.txt", "relative.txt", "looked", "by-child"] {
        std::fs::write(place.join("stuff").join(name), "x").unwrap();
    }
    let child = with(curious(&place, sandbox), "cwd", json!(place.text("stuff")));
    let outcome = run(&place, &place.plan(&[child]));
    if outcome.reason() == "sandbox.unavailable" {
        eprintln!("skipped: {}", outcome.end()["message"]);
        return None;
    }
    Some((place, outcome))
}

/// Kind, path below the folder (or what it is), existence.
fn told(place: &Place, outcome: &Outcome) -> Vec<(String, String, Value)> {
    let folder = format!("{}/", place.text("stuff"));
    let text = |e: &Value, field: &str| e[field].as_str().unwrap().to_string();
    let mine = |e: &&&Value| e["kind"] == "connect" || text(e, "what").starts_with(&folder);
    let short = |e: &&Value| {
        let what = text(e, "what").replacen(&folder, "", 1);
        (text(e, "kind"), what, e["exists"].clone())
    };
    outcome.all("access").iter().filter(mine).map(short).collect()
}

#[test]
fn every_attempt_is_told_once_and_nothing_more_is_allowed() {
    let sandbox = json!({"observe": true, "network": ["db.invalid:5432"]});
    let Some((place, outcome)) = observed(sandbox) else {
        return;
    };
    outcome.assert_reason("done");
    let found = told(&place, &outcome);
    for (kind, what, exists) in [
        ("read", "secret.txt", json!(true)),
        ("read", "relative.txt", json!(true)),
        ("write", "made.txt", json!(false)),
        ("write", "old", json!(false)),
        ("write", "new", json!(false)),
        ("look", "looked", json!(true)),
        ("write", "folder", json!(false)),
        ("read", "from-root", json!(false)),
        ("run", "program", json!(false)),
        ("read", "by-thread", json!(false)),
        ("read", "by-child", json!(true)),
        ("connect", "db.invalid:5432", json!(null)),
        ("connect", "localhost:9", json!(null)),
    ] {
        assert!(
            found.contains(&(kind.into(), what.into(), exists.clone())),
            "{kind} {what} {exists} is not in {found:#?}"
        );
    }
    let distinct: BTreeSet<(&String, &String)> = found.iter().map(|(kind, what, _)| (kind, what)).collect();
    assert_eq!(distinct.len(), found.len(), "told twice: {found:#?}");
    assert!(!place.join("stuff/made.txt").exists() && !place.join("stuff/folder").exists());
    place.assert_tidy();
}

#[test]
fn nobody_is_observed_unasked() {
    let Some((_, outcome)) = observed(json!({})) else {
        return;
    };
    assert!(outcome.all("access").is_empty());
}

#[test]
fn without_namespaces_it_is_not_started() {
    for sandbox in [
        json!({"observe": true, "layout": "floor"}),
        json!({"observe": true, "profile": "limits"}),
    ] {
        let place = Place::new();
        std::fs::create_dir_all(place.join("stuff")).unwrap();
        let outcome = run(&place, &place.plan(&[curious(&place, sandbox)]));
        assert_eq!(outcome.reason(), "sandbox.unavailable");
        assert!(outcome.end()["message"]
            .as_str()
            .unwrap()
            .contains("observed only in namespaces"));
    }
}
