//! What both runners of `protocol/vectors/airbyte` share: the cases of one direction, and what a case says of any hop.
//!
//! `airbyte` runs those of sources, `destination` those that name a destination. No other test imports it.

use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::route::Router;
use dativo_bus_engine::verdict::Failure;
use serde_json::{json, Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// The cases of one direction, by folder.
pub fn cases(to_destinations: bool) -> Vec<(PathBuf, Value)> {
    let topic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors/airbyte");
    let mut found: Vec<PathBuf> = fs::read_dir(topic).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path.join("case.json")).unwrap()).unwrap();
    let cases = found.into_iter().map(|path| (path.clone(), read(&path)));
    cases
        .filter(|(_, case)| case.get("destination").is_some() == to_destinations)
        .collect()
}

/// What differs between a case and what came of it.
pub struct Differences<'a> {
    case: &'a Value,
    about: String,
    /// Each with the case's name.
    pub found: Vec<String>,
}

impl<'a> Differences<'a> {
    /// Of a case whose bytes come in pieces of `chunk`.
    pub fn of(path: &Path, case: &'a Value, chunk: usize) -> Differences<'a> {
        let name = path.file_name().unwrap().to_string_lossy();
        Differences {
            case,
            about: format!("{name} in steps of {chunk}"),
            found: Vec::new(),
        }
    }

    /// Notes `what` unless it is the `same`.
    pub fn unless(&mut self, same: bool, what: String) {
        if !same {
            self.found.push(format!("{}: {what}", self.about));
        }
    }

    /// Compares with a key of the case, or with `default` where it lacks that.
    pub fn compare(&mut self, key: &str, came: &Value, default: Value) {
        let wanted = self.case.get(key).unwrap_or(&default);
        let same = came == wanted;
        self.unless(same, format!("{key} {came}"));
    }

    /// The failure, the records of each stream, what was rejected, and the events of these kinds; no config is in any.
    pub fn of_the_hop(&mut self, failure: Option<&Failure>, router: &Router, journal: &Journal, kinds: &[&str]) {
        let error = failure.map_or(Value::Null, |f| json!({"code": f.reason, "line": f.line}));
        self.compare("error", &error, Value::Null);
        let totals = router.totals();
        let counted = totals.iter().filter(|(_, t)| t.records > 0);
        let counts: Map<String, Value> = counted.map(|(name, t)| (name.to_string(), t.records.into())).collect();
        self.compare("counts", &counts.into(), Value::Null);

        let text = String::from_utf8(journal.pending().to_vec()).unwrap();
        self.unless(!text.contains("hunter2"), "a config among the events".into());
        let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let rejected = events.iter().filter(|e| e["event"] == "reject");
        let rejected = rejected.map(|e| json!({"line": e["line"], "rule": e["rule"], "path": e["path"]}));
        self.compare("rejected", &rejected.collect(), json!([]));
        events.retain(|e| kinds.iter().any(|kind| e["event"] == *kind));
        for event in &mut events {
            event.as_object_mut().unwrap().remove("at");
        }
        self.compare("events", &events.into(), json!([]));
    }

    /// The config that a connector wants to have from now on.
    pub fn of_its_config(&mut self, renewed: Option<Vec<u8>>) {
        let renewed = renewed.map(|config| String::from_utf8(config).unwrap());
        self.compare("renewed", &json!(renewed), Value::Null);
    }
}
