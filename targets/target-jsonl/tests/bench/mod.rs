//! A folder, the real target on it, and messages to feed it.
//!
//! Used by the test programs of target-jsonl and target-csv; each names its `BIN` and uses its own part.
#![allow(dead_code)] // each test program uses its part

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::process::{kill_process, Pid, Signal};
use tempfile::TempDir;

use super::BIN;

pub struct Bench {
    pub home: TempDir,
    pub mode: &'static str,
    pub job: &'static str,
    /// More settings, with a comma before each.
    pub more: &'static str,
}

impl Bench {
    pub fn new() -> Self {
        Bench {
            home: TempDir::new().unwrap(),
            mode: "append",
            job: "default",
            more: "",
        }
    }

    pub fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    pub fn command(&self) -> Command {
        let config = self.home.path().join("config.json");
        fs::write(
            &config,
            format!(r#"{{"path":{:?},"mode":"{}"{}}}"#, self.out(), self.mode, self.more),
        )
        .unwrap();
        let mut command = Command::new(BIN);
        command
            .arg("--config")
            .arg(config)
            .env("DATIVO_JOB", self.job)
            .env_remove("DATIVO_RUN");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, input: &[u8]) -> Output {
        feed(self.command(), input)
    }

    pub fn bookmark(&self) -> String {
        let mut command = self.command();
        command.args(["--bookmark", self.job]);
        String::from_utf8(feed(command, b"").stdout).unwrap().trim().into()
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).unwrap()
    }

    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.out())
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }
}

pub fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// A target that is fed by hand, and whose STATEs are waited for.
pub struct Live {
    pub child: Child,
    pub stdin: ChildStdin,
    pub stdout: BufReader<ChildStdout>,
}

impl Live {
    pub fn start(bench: &Bench) -> Self {
        let mut child = bench.command().stderr(Stdio::inherit()).spawn().unwrap();
        let (stdin, stdout) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        Live { child, stdin, stdout }
    }

    pub fn send(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).unwrap();
    }

    pub fn state(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    pub fn end(mut self, signal: Signal) -> (Option<i32>, Option<i32>) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = self.child.wait().unwrap();
        (status.code(), status.signal())
    }
}

pub fn schema(stream: &str) -> String {
    format!("{{\"type\":\"SCHEMA\",\"stream\":{stream:?},\"schema\":{{}},\"key_properties\":[]}}\n")
}

pub fn records(stream: &str, ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{{\"type\":\"RECORD\",\"stream\":{stream:?},\"record\":{{\"id\":{id}}}}}\n"))
        .collect()
}

pub fn state(id: u32) -> String {
    format!("{{\"type\":\"STATE\",\"value\":{{\"id\":{id}}}}}\n")
}

pub fn lines(ids: std::ops::Range<u32>) -> String {
    ids.map(|id| format!("{{\"id\":{id}}}\n")).collect()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
