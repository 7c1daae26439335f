//! A folder with files, the real binary on them, and what it sent.
//!
//! Used by every test program beside it and by tap-jsonl's; each names its `BIN` and uses its own part. The messages are parsed with serde_json, not with the
//! code under test.
#![allow(dead_code)] // each test program uses its part

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::BIN;

pub struct Bench {
    pub home: TempDir,
    pub config: Value,
}

/// What a run sent.
pub struct Sent {
    pub records: Vec<Value>,
    pub texts: Vec<String>,
    pub schemas: Vec<Value>,
    pub states: Vec<Value>,
    /// Record and SCHEMA marks in their order: `r`, `s`, `S` (STATE).
    pub order: String,
    pub stderr: String,
}

impl Bench {
    pub fn new(config: Value) -> Self {
        Bench {
            home: TempDir::new().unwrap(),
            config,
        }
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let config = self.file("config.json", self.config.to_string());
        let mut command = Command::new(BIN);
        command
            .arg("--config")
            .arg(config)
            .args(args)
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn fails(&self, code: i32, text: &str) -> String {
        let output = self.output(&[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn run(&self, args: &[&str]) -> Sent {
        let output = self.output(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        let mut sent = Sent {
            records: vec![],
            texts: vec![],
            schemas: vec![],
            states: vec![],
            order: String::new(),
            stderr,
        };
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            match message["type"].as_str().unwrap() {
                "RECORD" => {
                    sent.records.push(message["record"].clone());
                    sent.texts.push(line.into());
                    sent.order.push('r');
                }
                "SCHEMA" => {
                    sent.schemas.push(message);
                    sent.order.push('s');
                }
                _ => {
                    sent.states.push(message["value"].clone());
                    sent.order.push('S');
                }
            }
        }
        sent
    }

    pub fn resume(&self, state: &Value) -> Sent {
        let path = self.file("state.json", state.to_string());
        self.run(&["--state", path.to_str().unwrap()])
    }
}
