//! The real binary: what is on disk after every way a run can end.

mod bench;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bench::{feed, lines, records, schema, state, stderr, Bench, Live};
use rustix::process::Signal;

const BIN: &str = env!("CARGO_BIN_EXE_target-jsonl");

#[test]
fn a_records_bytes_stay_as_they_came() {
    let bench = Bench::new();
    let record = "{ \"n\" : 1.10, \"big\":123456789012345678901234567890,\"t\":\"\\u00e9\\ud800\", \"n\":2 }";
    let input = format!(
        "{}{{\"record\": {record} ,\"stream\":\"s\",\"type\":\"RECORD\"}}\r\n{}",
        schema("s"),
        "{\"type\":\"STATE\",\"value\":{\"b\": 1.0, \"a\":[]}}\n"
    );
    let output = bench.run(input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"b\": 1.0, \"a\":[]}\n");
    assert_eq!(bench.file("s.jsonl"), format!("{record}\n"));
    assert_eq!(bench.bookmark(), "{\"b\": 1.0, \"a\":[]}");
}

#[test]
fn records_behind_the_last_state_are_kept_at_a_clean_end_only() {
    let bench = Bench::new();
    let input = format!(
        "{}{}{}{}",
        schema("s"),
        records("s", 0..3),
        state(3),
        records("s", 3..5)
    );
    assert!(bench.run(input.as_bytes()).status.success());
    assert_eq!(bench.file("s.jsonl"), lines(0..5));

    let bench = Bench::new();
    let output = bench.run(format!("{input}{{\"type\":\"REC").as_bytes());
    assert_eq!(output.status.code(), Some(4));
    assert!(
        stderr(&output).starts_with("error[data.invalid_json]"),
        "{}",
        stderr(&output)
    );
    assert_eq!(bench.file("s.jsonl"), lines(0..3));
    assert_eq!(bench.bookmark(), "{\"id\":3}");
}

#[test]
fn kill_9_at_any_place_loses_nothing_and_doubles_nothing() {
    for mode in ["append", "overwrite"] {
        let bench = Bench { mode, ..Bench::new() };
        let mut done = 0;
        for round in 1..=12 {
            let mut live = Live::start(&bench);
            live.send(&schema("s"));
            let next = done + 7 * round;
            live.send(&format!("{}{}", records("s", done..next), state(next)));
            assert_eq!(live.state(), format!("{{\"id\":{next}}}"));
            done = next;
            // More than its buffer, so that some of it is in the file, and half a line.
            live.send(&records("s", done..done + 20_000 * (round % 3)));
            live.send("{\"type\":\"RECORD\",\"stream\":\"s\",\"rec");
            assert_eq!(live.end(Signal::KILL), (None, Some(9)));
            assert_eq!(bench.bookmark(), format!("{{\"id\":{done}}}"));
        }
        let output =
            bench.run(format!("{}{}{}", schema("s"), records("s", done..done + 5), state(done + 5)).as_bytes());
        assert!(output.status.success());
        assert_eq!(bench.file("s.jsonl"), lines(0..done + 5), "{mode}");
        assert_eq!(bench.files(), [".dativo-state.json", "s.jsonl"]);
    }
}

#[test]
fn sigterm_keeps_what_the_last_state_covers() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let bench = Bench::new();
        let mut live = Live::start(&bench);
        live.send(&format!(
            "{}{}{}{}",
            schema("s"),
            records("s", 0..3),
            state(3),
            records("s", 3..9)
        ));
        assert_eq!(live.state(), "{\"id\":3}");
        assert_eq!(live.end(signal), (Some(code), None));
        assert_eq!(bench.file("s.jsonl"), lines(0..3));
        assert_eq!(bench.bookmark(), "{\"id\":3}");
    }
}

#[test]
fn stream_names_are_never_paths() {
    let bench = Bench::new();
    let long = "é".repeat(400);
    let names = [
        "../../x",
        "/etc/x",
        "..",
        ".dativo-state.json",
        "a/b",
        "a%2Fb",
        "",
        " ",
        "-rf",
        long.as_str(),
    ];
    let mut input = String::new();
    for (n, name) in names.iter().enumerate() {
        input.push_str(&format!("{}{}", schema(name), records(name, n as u32..n as u32 + 1)));
    }
    let output = bench.run(format!("{input}{}", state(1)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let files = bench.files();
    assert_eq!(files.len(), names.len() + 1, "{files:?}");
    assert_eq!(bench.file("%2E.%2F..%2Fx.jsonl"), lines(0..1));
    let outside: Vec<_> = fs::read_dir(bench.home.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(outside.len(), 2, "{outside:?}"); // the settings and the folder
}

#[test]
fn overwrite_swaps_at_the_first_state() {
    let mut bench = Bench::new();
    assert!(bench
        .run(
            format!(
                "{}{}{}{}",
                schema("s"),
                records("s", 0..3),
                schema("quiet"),
                records("quiet", 0..2)
            )
            .as_bytes()
        )
        .status
        .success());
    bench.mode = "overwrite";
    // Killed before any STATE: the old file is untouched.
    let mut live = Live::start(&bench);
    live.send(&format!("{}{}", schema("s"), records("s", 50..40_000)));
    live.end(Signal::KILL);
    assert_eq!(bench.file("s.jsonl"), lines(0..3));
    // The whole run: the new rows replace the old ones; the stream that sent none keeps its file.
    let input = format!(
        "{}{}{}{}{}",
        schema("s"),
        schema("quiet"),
        records("s", 7..9),
        state(9),
        records("s", 9..10)
    );
    assert!(bench.run(input.as_bytes()).status.success());
    assert_eq!(bench.file("s.jsonl"), lines(7..10));
    assert_eq!(bench.file("quiet.jsonl"), lines(0..2));
    assert_eq!(bench.files(), [".dativo-state.json", "quiet.jsonl", "s.jsonl"]);
}

#[test]
fn a_crash_between_commit_and_swap_is_finished_by_the_next_start() {
    let bench = Bench {
        mode: "overwrite",
        ..Bench::new()
    };
    assert!(bench
        .run(format!("{}{}{}", schema("s"), records("s", 0..3), state(3)).as_bytes())
        .status
        .success());
    let new = bench.out().join(".dativo-new-default");
    fs::create_dir(&new).unwrap();
    fs::write(new.join("s.jsonl"), format!("{}{{\"id\":", lines(5..9))).unwrap();
    let length = lines(5..9).len();
    fs::write(
        bench.out().join(".dativo-state.json"),
        format!(r#"{{"default":{{"value":{{"id":9}},"files":{{"s.jsonl":{length}}},"swaps":["s.jsonl"],"complete":false}}}}"#),
    )
    .unwrap();
    assert_eq!(bench.bookmark(), "{\"id\":9}");
    let output = bench.run(format!("{}{}{}", schema("s"), records("s", 9..10), state(10)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(bench.file("s.jsonl"), lines(5..10));
}

#[test]
fn jobs_do_not_share_a_file() {
    let mut bench = Bench {
        job: "one",
        ..Bench::new()
    };
    assert!(bench
        .run(format!("{}{}{}", schema("s"), records("s", 0..3), state(3)).as_bytes())
        .status
        .success());
    bench.job = "two/..";
    let output = bench.run(format!("{}{}", schema("s"), records("s", 3..4)).as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("belongs to the job \"one\""),
        "{}",
        stderr(&output)
    );
    let output = bench.run(format!("{}{}{}", schema("other"), records("other", 3..4), state(4)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        (bench.file("s.jsonl"), bench.file("other.jsonl")),
        (lines(0..3), lines(3..4))
    );
    assert_eq!(bench.bookmark(), "{\"id\":4}");
    bench.job = "one";
    assert_eq!(bench.bookmark(), "{\"id\":3}");
    let mut live = Live::start(&bench);
    live.send(&format!("{}{}{}", schema("s"), records("s", 3..4), state(4)));
    assert_eq!(live.state(), "{\"id\":4}");
    let output = bench.run(b"");
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).starts_with("error[job.busy]"), "{}", stderr(&output));
    live.end(Signal::KILL);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let bench = Bench::new();
    assert!(bench
        .run(format!("{}{}{}", schema("s"), records("s", 0..3), state(3)).as_bytes())
        .status
        .success());
    let plain = bench.command();
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 400; exec \"$@\"")
        .arg("sh")
        .arg(BIN)
        .args(plain.get_args());
    limited
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = format!(
        "{}{}{}{}",
        schema("s"),
        records("s", 3..6),
        state(6),
        records("s", 6..90_000)
    );
    let output = feed(limited, input.as_bytes());
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).starts_with("error[env.disk_full]"),
        "{}",
        stderr(&output)
    );
    let done = if bench.bookmark() == "{\"id\":6}" { 6 } else { 3 };
    assert_eq!(bench.file("s.jsonl"), lines(0..done));
    let output = bench.run(format!("{}{}{}", schema("s"), records("s", done..9), state(9)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(bench.file("s.jsonl"), lines(0..9));
}

#[test]
fn files_of_others_are_added_to_only_when_whole() {
    let bench = Bench::new();
    fs::create_dir(bench.out()).unwrap();
    fs::write(bench.out().join("s.jsonl"), "{\"old\":1}\n").unwrap();
    fs::write(bench.out().join("torn.jsonl"), "{\"old\":").unwrap();
    let mut live = Live::start(&bench);
    live.send(&format!("{}{}", schema("s"), records("s", 0..40_000)));
    live.end(Signal::KILL);
    let output = bench.run(format!("{}{}{}", schema("s"), records("s", 0..2), state(2)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(bench.file("s.jsonl"), format!("{{\"old\":1}}\n{}", lines(0..2)));
    let output = bench.run(format!("{}{}", schema("torn"), records("torn", 0..2)).as_bytes());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(bench.file("torn.jsonl"), "{\"old\":");
}

#[test]
fn a_bookmark_is_not_given_when_its_data_is_gone() {
    let bench = Bench::new();
    assert!(bench
        .run(format!("{}{}{}", schema("s"), records("s", 0..3), state(3)).as_bytes())
        .status
        .success());
    fs::remove_file(bench.out().join("s.jsonl")).unwrap();
    assert_eq!(bench.bookmark(), "");
    assert!(Path::new(&bench.out()).exists());
}

#[test]
fn empty_states_are_no_bookmarks_and_batches_are_refused() {
    let bench = Bench::new();
    let empty = "{\"type\":\"STATE\",\"value\":{ }}\n{\"type\":\"STATE\",\"value\":null}\n";
    let output = bench.run(format!("{}{}{}{empty}", schema("s"), records("s", 0..1), state(1)).as_bytes());
    assert!(output.status.success());
    assert_eq!(
        bench.bookmark(),
        if output.stdout.is_empty() { "" } else { "{\"id\":1}" }
    );
    let batch =
        "{\"type\":\"BATCH\",\"stream\":\"s\",\"encoding\":{\"format\":\"jsonl\"},\"manifest\":[\"file:///x\"]}\n";
    let output = bench.run(format!("{}{batch}", schema("s")).as_bytes());
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).starts_with("error[data.batch_refused]"));
}

#[test]
fn more_streams_than_files_may_be_open() {
    let bench = Bench::new();
    let names: Vec<String> = (0..700).map(|n| format!("s{n}")).collect();
    let mut input: String = names.iter().map(|name| schema(name)).collect();
    for round in 0..3 {
        input.extend(names.iter().map(|name| records(name, round..round + 1)));
        input.push_str(&state(round + 1));
    }
    let plain = bench.command();
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg("ulimit -n 300; exec \"$@\"")
        .arg("sh")
        .arg(BIN)
        .args(plain.get_args());
    limited
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = feed(limited, input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(names
        .iter()
        .all(|name| bench.file(&format!("{name}.jsonl")) == lines(0..3)));
}

#[test]
fn the_command_line_says_what_is_wrong() {
    let says = |args: &[&str], code: i32, text: &str| {
        let output = Command::new(BIN).args(args).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(all.contains(text), "{args:?}: {all}");
    };
    says(&[], 2, "error[config.missing]");
    says(&["--nonsense"], 2, "error[usage]");
    says(&["--config", "/nowhere"], 2, "error[config.invalid]");
    says(&["--version"], 0, "target-jsonl 0.1.0");
    says(&["--about", "--format", "json"], 0, "\"bookmark\"");
    says(&["--help"], 0, "--bookmark JOB");
    let bench = Bench::new();
    fs::write(bench.out(), "a file where the folder should be").unwrap();
    let output = bench.run(b"");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
}
