//! The real binary on files in a folder of its own, and what it sends.
//!
//! Every test of this tap begins with a [`Bench`]; each has a folder that goes with it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{json, Value};

pub const BIN: &str = env!("CARGO_BIN_EXE_tap-parquet");

pub struct Bench {
    pub home: tempfile::TempDir,
    pub settings: Value,
}

/// What a run sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// A letter for each message: s, r, S, a, b.
    pub order: String,
    pub schemas: Vec<Value>,
    pub records: Vec<Value>,
    /// Whole RECORD and ACTIVATE_VERSION messages.
    pub messages: Vec<Value>,
    pub batches: Vec<Value>,
    pub states: Vec<Value>,
}

impl Sent {
    pub fn ids(&self) -> Vec<i64> {
        self.records
            .iter()
            .map(|record| record["id"].as_i64().unwrap())
            .collect()
    }

    pub fn state(&self) -> &Value {
        self.states.last().unwrap()
    }
}

impl Bench {
    pub fn new(settings: Value) -> Self {
        Bench {
            home: tempfile::tempdir().unwrap(),
            settings,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self, name: &str, value: &Value) -> PathBuf {
        fs::write(self.path(name), value.to_string()).unwrap();
        self.path(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(BIN);
        command
            .current_dir(self.home.path())
            .arg("--config")
            .arg(self.file("config.json", &self.settings));
        command.env_remove("DATIVO_SPOOL");
        command
    }

    pub fn discover(&self) -> Value {
        let output = self.command().arg("--discover").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn run(&self, catalog: Option<&Value>, state: Option<&Value>) -> Sent {
        let mut command = self.command();
        if let Some(catalog) = catalog {
            command.arg("--catalog").arg(self.file("catalog.json", catalog));
        }
        if let Some(state) = state {
            command.arg("--state").arg(self.file("state.json", state));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        sent(&output.stdout)
    }
}

pub fn sent(bytes: &[u8]) -> Sent {
    let mut sent = Sent::default();
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let message: Value = serde_json::from_slice(line).unwrap();
        match message["type"].as_str().unwrap() {
            "SCHEMA" => (sent.order.push('s'), sent.schemas.push(message)).1,
            "RECORD" => {
                sent.order.push('r');
                sent.records.push(message["record"].clone());
                sent.messages.push(message);
            }
            "STATE" => (sent.order.push('S'), sent.states.push(message["value"].clone())).1,
            "BATCH" => (sent.order.push('b'), sent.batches.push(message)).1,
            _ => (sent.order.push('a'), sent.messages.push(message)).1,
        }
    }
    sent
}

/// Rows `id`, `name` and `at` (a day after another), in row groups of this many.
pub fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: StringArray = ids.clone().map(|id| (id % 2 == 0).then(|| format!("n{id}"))).collect();
    let moments =
        TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| id * 86_400_000_000)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids))),
        ("name", Arc::new(names)),
        ("at", Arc::new(moments)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

pub fn write(path: &std::path::Path, batch: &RecordBatch, group: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A catalog with something set in the metadata of its first stream.
pub fn with(mut catalog: Value, set: Value) -> Value {
    let about = catalog["streams"][0]["metadata"][0]["metadata"]
        .as_object_mut()
        .unwrap();
    about.insert("selected".into(), json!(true));
    about.extend(set.as_object().unwrap().clone());
    catalog
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
