//! `--gather`: what comes out, and in what order, when taps end well, end badly, say nothing for long or say too much.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

use rustix::io::{fcntl_setfd, FdFlags};
use rustix::pipe::{pipe_with, PipeFlags};
use serde_json::{json, Value};

struct Gather {
    child: Child,
    lanes: Vec<File>,
    control: Option<File>,
    answers: BufReader<File>,
}

impl Gather {
    fn start(lanes: usize, memory: u64) -> Gather {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ends: Vec<_> = (0..lanes).map(|_| pipe()).collect();
        let (control_read, control_write) = pipe();
        let (events_read, events_write) = pipe();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dativo-bus"));
        command
            .arg("--gather")
            .args(["--max-line", "1000000", "--memory", &memory.to_string()]);
        for (flag, fd) in ends
            .iter()
            .map(|(read, _)| ("--lane", read))
            .chain([("--control-fd", &control_read), ("--events-fd", &events_write)])
        {
            fcntl_setfd(fd, FdFlags::empty()).unwrap();
            command.args([flag, &fd.as_raw_fd().to_string()]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        Gather {
            child,
            lanes: ends.into_iter().map(|(_, write)| write.into()).collect(),
            control: Some(control_write.into()),
            answers: BufReader::new(events_read.into()),
        }
    }

    fn say(&mut self, word: &Value) {
        writeln!(self.control.as_mut().unwrap(), "{word}").unwrap();
    }

    fn send(&mut self, lane: usize, lines: &[&str]) {
        lines
            .iter()
            .for_each(|line| writeln!(self.lanes[lane], "{line}").unwrap());
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    fn end(&mut self, lane: usize, well: bool) -> Value {
        self.say(&json!({"end": lane, "well": well}));
        self.answer()
    }

    /// Everything that comes out once it is told to finish.
    fn finish(mut self) -> (Vec<String>, Value) {
        self.say(&json!({"finish": true}));
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let last = self.answer();
        assert!(self.child.wait().unwrap().success());
        (text.lines().map(String::from).collect(), last)
    }
}

fn record(stream: &str, id: u64) -> String {
    json!({"type": "RECORD", "stream": stream, "record": {"id": id}}).to_string()
}

fn state(value: &Value) -> String {
    json!({"type": "STATE", "value": value}).to_string()
}

fn values(lines: &[String]) -> Vec<Value> {
    let all = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["type"] == "STATE")
        .map(|line| line["value"].clone())
        .collect()
}

#[test]
fn bookmarks_are_merged_and_lines_stay_as_they_are() {
    let mut gather = Gather::start(2, 1 << 20);
    gather.say(&json!({"base": {"bookmarks": {"z": 1}, "currently_syncing": "z"}}));
    gather.say(&json!({"begin": 0, "others": ["b"]}));
    gather.say(&json!({"begin": 1, "others": ["a"]}));
    let odd = r#"{ "record": {"n": 1.50, "t": "\u00e9"}, "stream": "a", "type": "RECORD" }"#;
    gather.send(
        0,
        &[
            odd,
            &state(&json!({"bookmarks": {"a": 1, "b": 7}, "currently_syncing": "a"})),
        ],
    );
    assert_eq!(
        gather.end(0, true),
        json!({"ended": 0, "state": {"bookmarks": {"a": 1}}, "tail": 0})
    );
    gather.send(1, &[&record("b", 1), &state(&json!({"bookmarks": {"b": 1}}))]);
    gather.end(1, true);
    let (lines, last) = gather.finish();
    assert_eq!(lines[0], odd);
    assert_eq!(
        values(&lines),
        [
            json!({"bookmarks": {"z": 1, "a": 1}}),
            json!({"bookmarks": {"z": 1, "a": 1, "b": 1}})
        ]
    );
    assert_eq!(last, json!({"finished": true, "records": 2}));
}

#[test]
fn what_no_state_covers_is_dropped_when_its_tap_fails_and_kept_when_it_ends_well() {
    for (well, wanted) in [(false, 1), (true, 3)] {
        let mut gather = Gather::start(1, 1 << 20);
        gather.say(&json!({"begin": 0}));
        gather.send(0, &[&record("a", 1), &state(&json!({"bookmarks": {"a": 1}}))]);
        gather.send(0, &[&record("a", 2), &record("a", 3)]);
        let answer = gather.end(0, well);
        assert_eq!(
            (answer["state"].clone(), answer["tail"].clone()),
            (json!({"bookmarks": {"a": 1}}), json!(0))
        );
        let (lines, last) = gather.finish();
        assert_eq!(lines.iter().filter(|line| line.contains("RECORD")).count(), wanted);
        assert_eq!(last["records"], json!(wanted));
    }
}

#[test]
fn half_a_line_of_a_tap_that_was_killed_is_nothing() {
    let mut gather = Gather::start(1, 1 << 20);
    gather.say(&json!({"begin": 0}));
    gather.send(0, &[&record("a", 1), &state(&json!({"bookmarks": {"a": 1}}))]);
    gather.lanes[0]
        .write_all(br#"{"type":"RECORD","stream":"a","rec"#)
        .unwrap();
    gather.end(0, false);
    gather.say(&json!({"begin": 0}));
    gather.send(0, &[&record("a", 2), &state(&json!({"bookmarks": {"a": 2}}))]);
    gather.end(0, true);
    let (lines, last) = gather.finish();
    assert_eq!(last["records"], json!(2));
    assert_eq!(
        values(&lines),
        [json!({"bookmarks": {"a": 1}}), json!({"bookmarks": {"a": 2}})]
    );
}

#[test]
fn without_room_one_streams_and_its_records_are_told_when_it_fails() {
    let mut gather = Gather::start(2, 0);
    gather.say(&json!({"begin": 0, "others": ["b"]}));
    gather.say(&json!({"begin": 1, "others": ["a"]}));
    let count: usize = 20_000;
    let mut lane = gather.lanes[0].try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        (0..count).for_each(|id| writeln!(lane, "{}", record("a", id as u64)).unwrap());
    });
    let mut out = BufReader::new(gather.child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap(); // it does not wait for a STATE: there is no room to wait in
    assert_eq!(line.trim_end(), record("a", 0));
    for _ in 1..count {
        line.clear();
        out.read_line(&mut line).unwrap();
    }
    writer.join().unwrap();
    gather.send(1, &[&record("b", 1), &state(&json!({"bookmarks": {"b": 1}}))]);
    gather.end(1, true);
    let answer = gather.end(0, false);
    assert_eq!(answer["tail"], json!(count));
    gather.say(&json!({"finish": true}));
    gather.control = None; // it may not go on behind them: it waits to be ended
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("STATE"), "{rest}");
    assert!(!gather.child.wait().unwrap().success());
}

#[test]
fn a_bookmark_without_streams_is_refused_and_nothing_of_it_comes_out() {
    let mut gather = Gather::start(1, 1 << 20);
    gather.say(&json!({"begin": 0}));
    gather.send(0, &[&record("a", 1), &state(&json!({"lsn": 5}))]);
    let answer = gather.answer();
    assert_eq!(answer["refused"], json!(0));
    gather.end(0, false);
    let (lines, _) = gather.finish();
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn it_ends_when_nobody_speaks_to_it_any_more() {
    let mut gather = Gather::start(1, 1 << 20);
    gather.control = None;
    assert!(!gather.child.wait().unwrap().success());
}
