//! Running the real `dativo-bus` on real processes, for the tests beside this folder.
//!
//! A test writes small shell or Python programs as plugins, a plan that names them, and reads the events back. Nothing
//! of the bus is replaced: what is tested is what ships.
#![allow(dead_code)] // each test file uses its own part

use serde_json::{json, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

/// The executable under test.
pub const BUS: &str = env!("CARGO_BIN_EXE_dativo-bus");
/// A run that takes longer is killed: a hang fails its test instead of stopping them all.
const PATIENCE: Duration = Duration::from_secs(50);

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A folder of its own for one run.
pub struct Place {
    path: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("dativo-bus-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Place { path }
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.join(name).to_string_lossy().into_owned()
    }

    /// A plan with these children; its run directory is `run` in this place.
    pub fn plan(&self, children: &[Value]) -> Value {
        json!({
            "plan": 1, "run": "r-test", "job": "job", "run_dir": self.text("run"), "children": children,
            "grace": {"eof": null, "term": 2, "drain": 5},
        })
    }

    /// Nothing may be left of the run's private directory.
    pub fn assert_tidy(&self) {
        assert!(!self.join("run").exists(), "the run directory is still there");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The interpreter itself: `python3` may be a shell script that picks one and adds to the environment.
pub fn python() -> String {
    static PYTHON: OnceLock<String> = OnceLock::new();
    let find = || {
        let asked = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .unwrap();
        String::from_utf8(asked.stdout).unwrap().trim().to_string()
    };
    PYTHON.get_or_init(find).clone()
}

fn plugin(file: &str, name: &str, role: &str, arguments: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins").join(file);
    let mut argv = vec![python(), script.to_string_lossy().into_owned()];
    argv.extend(arguments.iter().map(|a| (*a).to_string()));
    let path = std::env::var("PATH").unwrap_or_default();
    let sandbox = json!({"profile": "limits"});
    json!({"name": name, "role": role, "argv": argv, "env": {"PATH": path, "PYTHONUTF8": "1"}, "sandbox": sandbox})
}

pub fn tap(mode: &str) -> Value {
    plugin("tap.py", "tap-test", "tap", &[mode])
}

pub fn target(mode: &str) -> Value {
    plugin("target.py", "target-test", "target", &[mode])
}

pub fn target_with_copy(mode: &str, copy: &str) -> Value {
    plugin("target.py", "target-test", "target", &[mode, copy])
}

pub fn mapper(arguments: &[&str]) -> Value {
    plugin("mapper.py", "map-test", "mapper", arguments)
}

pub fn checker(mode: &str) -> Value {
    plugin("checker.py", "checker", "checker", &[mode])
}

pub fn probe(arguments: &[&str]) -> Value {
    plugin("probe.py", "tap-test", "probe", arguments)
}

/// A tap or target of a few Python lines. A tap has `record(value)` and `state(value)` and has written a SCHEMA and one
/// record before its lines begin.
pub fn hostile(role: &str, lines: &str) -> Value {
    let file = if role == "tap" {
        "hostile_tap.py"
    } else {
        "hostile_target.py"
    };
    plugin(file, &format!("{role}-test"), role, &[lines])
}

/// The child with one more field.
pub fn with(mut child: Value, field: &str, value: Value) -> Value {
    child[field] = value;
    child
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub events: Vec<Value>,
}

impl Outcome {
    pub fn all(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|e| e["event"] == kind).collect()
    }

    pub fn end(&self) -> &Value {
        let end = self.events.last().expect("no event at all");
        assert_eq!(end["event"], "end", "the last event is {end}");
        end
    }

    pub fn reason(&self) -> &str {
        self.end()["reason"].as_str().unwrap_or("done")
    }

    /// The verdict, checked against the exit code.
    pub fn assert_reason(&self, reason: &str) -> &Value {
        let end = self.end();
        assert_eq!(self.reason(), reason, "{end}");
        assert_eq!(end["verdict"], if reason == "done" { "done" } else { "interrupted" });
        let code = if reason == "done" {
            0
        } else {
            i32::from(reason.starts_with("env.") || reason.starts_with("sandbox.")) * 2 + 1
        };
        assert_eq!(self.code, Some(code), "{end}");
        end
    }

    pub fn last_bookmark(&self) -> Option<&Value> {
        self.all("bookmark").last().map(|e| &e["value"])
    }

    pub fn logs(&self, child: &str) -> Vec<&str> {
        self.all("log")
            .iter()
            .filter(|e| e["child"] == child)
            .map(|e| e["text"].as_str().unwrap())
            .collect()
    }
}

/// A run that can be watched and disturbed while it lasts.
pub struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub events: Vec<Value>,
}

/// Starts the bus with this plan; its events can be read one by one.
pub fn start(place: &Place, plan: &Value) -> Running {
    start_with(place, plan, Command::new(BUS).arg("--plan-fd=0"))
}

/// The same with a command line of one's own, which reads the plan from descriptor 0 and writes events to 1.
pub fn start_with(place: &Place, plan: &Value, command: &mut Command) -> Running {
    let file = place.join("plan.json");
    File::create(&file)
        .unwrap()
        .write_all(plan.to_string().as_bytes())
        .unwrap();
    let mut child = command
        .stdin(File::open(file).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        // The test program has long ended by then, unless something hangs.
        let _ = Command::new("kill").args(["-9", &pid]).status();
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Running {
        child,
        lines,
        events: Vec::new(),
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads events until one is of this kind; None at the end of the run.
    pub fn wait_for(&mut self, kind: &str) -> Option<Value> {
        for line in self.lines.by_ref() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            self.events.push(event.clone());
            if event["event"] == kind {
                return Some(event);
            }
        }
        None
    }

    /// The pid of a child, once it was started.
    pub fn child_pid(&mut self, name: &str) -> u32 {
        let known = |e: &Value| e["event"] == "spawned" && e["child"] == name;
        loop {
            if let Some(event) = self.events.iter().find(|e| known(e)) {
                return u32::try_from(event["pid"].as_u64().unwrap()).unwrap();
            }
            self.wait_for("spawned").expect("it was never started");
        }
    }

    pub fn signal(&self, signal: &str) {
        kill(self.pid(), signal);
    }

    /// Gives up reading events: as a control plane that died.
    pub fn abandon(mut self) -> Option<i32> {
        drop(self.lines);
        self.child.wait().unwrap().code()
    }

    pub fn finish(mut self) -> Outcome {
        while self.wait_for("end").is_some() {}
        Outcome {
            code: self.child.wait().unwrap().code(),
            events: self.events,
        }
    }
}

/// Runs a plan to its end.
pub fn run(place: &Place, plan: &Value) -> Outcome {
    start(place, plan).finish()
}

/// Runs a tap and a target.
pub fn pair(tap: Value, target: Value) -> Outcome {
    let place = Place::new();
    let outcome = run(&place, &place.plan(&[tap, target]));
    place.assert_tidy();
    outcome
}

pub fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status()
        .unwrap()
        .success());
}

/// Waits until a process is gone (or a zombie that somebody else has to collect).
pub fn assert_gone(pid: u32) {
    for _ in 0..2000 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z") {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} is still there");
}

/// The pids whose environment holds this marker: what a run has left behind, wherever it hides.
pub fn marked(marker: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.windows(marker.len()).any(|w| w == marker.as_bytes())
    })
    .collect()
}

impl Running {
    /// For a run that ends without a verdict.
    pub fn finish_without_end(mut self) -> Outcome {
        while self.wait_for("end").is_some() {}
        Outcome {
            code: self.child.wait().unwrap().code(),
            events: self.events,
        }
    }

    /// For a bus that refuses its plan: its exit code and what it said on stderr (which must be piped).
    pub fn refused(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        assert!(self.wait_for("end").is_none() && self.events.is_empty());
        (self.child.wait().unwrap().code(), said)
    }
}
