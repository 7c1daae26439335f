//! Each limit of a child ends the run, with an error that names the limit, the child, the value and the setting.

mod bus;

use bus::{assert_gone, hostile, marked, run, start, tap, target, with, Outcome, Place};
use serde_json::{json, Value};

/// Runs a tap of these Python lines under these limits.
fn limited(lines: &str, limits: Value, rlimits: Value) -> Outcome {
    let place = Place::new();
    let tap = with(with(hostile("tap", lines), "limits", limits), "rlimits", rlimits);
    let mut plan = place.plan(&[tap, target("ok")]);
    plan["grace"]["drain"] = json!(10);
    let outcome = run(&place, &plan);
    place.assert_tidy();
    outcome
}

fn assert_limit(outcome: &Outcome, name: &str) -> String {
    let end = outcome.assert_reason(&format!("limit.{name}"));
    assert_eq!(
        (&end["child"], &end["setting"]),
        (&json!("tap-test"), &json!(format!("limits.{name}")))
    );
    let message = end["message"].as_str().unwrap();
    assert!(
        message.starts_with("tap-test ") && message.contains(&format!("reached limits.{name}")),
        "{message}"
    );
    message.to_string()
}

fn exited<'a>(outcome: &'a Outcome, child: &str) -> &'a Value {
    outcome.all("exited").into_iter().find(|e| e["child"] == child).unwrap()
}

#[test]
fn memory_of_one_process() {
    let lines = "keep = []\nwhile True:\n  keep.append(b'x' * 1_000_000)\n  time.sleep(0.002)";
    let outcome = limited(lines, json!({"memory": 100 << 20}), json!({}));
    let message = assert_limit(&outcome, "memory");
    assert!(
        message.contains("was killed") && message.contains("memory 1") && message.ends_with("100 MiB"),
        "{message}"
    );
    let peak = exited(&outcome, "tap-test")["peak_kb"].as_u64().unwrap();
    assert!((80 << 10..200 << 10).contains(&peak), "{peak}");
    assert_eq!(outcome.end()["streams"]["t"]["records"], 1);
}

#[test]
fn memory_of_many_processes_each_below_the_limit() {
    let lines = "for _ in range(10):\n  if os.fork() == 0:\n    x = bytearray(os.urandom(1000) * 30_000)\n    time.sleep(1000)\ntime.sleep(1000)";
    assert_limit(&limited(lines, json!({"memory": 150 << 20}), json!({})), "memory");
}

#[test]
fn memory_that_a_fork_shares_counts_once() {
    let lines = "x = bytearray(60_000_000)\nfor _ in range(4):\n  if os.fork() == 0:\n    time.sleep(0.5)\n    os._exit(0)\nfor _ in range(4): os.wait()";
    let outcome = limited(lines, json!({"memory": 150 << 20}), json!({}));
    outcome.assert_reason("done");
    assert!(exited(&outcome, "tap-test")["peak_processes"].as_u64().unwrap() > 1);
}

#[test]
fn memory_that_the_rlimit_refuses() {
    let outcome = limited(
        "x = bytearray(300_000_000)",
        json!({"memory": 200 << 20}),
        json!({"data": 200 << 20}),
    );
    assert!(assert_limit(&outcome, "memory").contains("exited with 1"));
}

#[test]
fn processes_and_none_is_left() {
    let place = Place::new();
    let lines = "for _ in range(30):\n  if os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\ntime.sleep(1000)";
    let mark = format!("mark:{}:", place.text("run"));
    let mut tap = with(hostile("tap", lines), "limits", json!({"processes": 20}));
    tap["env"]["DATIVO_TEST_MARK"] = json!(mark);
    let outcome = run(&place, &place.plan(&[tap, target("ok")]));
    assert!(assert_limit(&outcome, "processes").contains(" processes reached"));
    assert!(marked(&mark).is_empty());
}

#[test]
fn a_fork_bomb_ends() {
    let lines = "while True:\n  try: os.fork()\n  except OSError: time.sleep(0.01)";
    let outcome = limited(lines, json!({"processes": 30, "wall": 20}), json!({}));
    assert_limit(&outcome, "processes");
}

#[test]
fn cpu_of_the_tree_and_of_one_process() {
    let spin = "for _ in range(2):\n  if os.fork() == 0: break\nwhile True: pass";
    assert_limit(&limited(spin, json!({"cpu": 0.7}), json!({})), "cpu");
    let outcome = limited("while True: pass", json!({}), json!({"cpu": 1}));
    assert!(assert_limit(&outcome, "cpu").contains("limits.cpu 1 s"));
}

#[test]
fn wall_clock_from_the_start() {
    let outcome = limited(
        "while True:\n  record(1)\n  time.sleep(0.01)",
        json!({"wall": 1}),
        json!({}),
    );
    let message = assert_limit(&outcome, "wall");
    assert!(
        message.ends_with("since its start reached limits.wall 1 s"),
        "{message}"
    );
    let wall = exited(&outcome, "tap-test")["wall_s"].as_f64().unwrap();
    assert!((1.0..1.5).contains(&wall), "{wall}");
}

#[test]
fn idle_even_with_half_a_line_now_and_then() {
    assert_limit(&limited("time.sleep(1000)", json!({"idle": 0.4}), json!({})), "idle");
    let drip = "while True:\n  sys.stdout.write('x')\n  sys.stdout.flush()\n  print('busy', file=sys.stderr, flush=True)\n  time.sleep(0.05)";
    assert_limit(&limited(drip, json!({"idle": 0.5}), json!({})), "idle");
    let busy = "for n in range(30):\n  record(n)\n  time.sleep(0.05)";
    limited(busy, json!({"idle": 1}), json!({})).assert_reason("done");
}

#[test]
fn a_tap_is_not_idle_while_its_target_is_slow() {
    let place = Place::new();
    let tap = with(
        hostile("tap", "for n in range(3000): record('x' * 1000)"),
        "limits",
        json!({"idle": 0.8}),
    );
    let slow = hostile(
        "target",
        "for n, line in enumerate(sys.stdin.buffer):\n  if n % 1000 == 999: time.sleep(1)",
    );
    let mut plan = place.plan(&[tap, slow]);
    plan["policy"] = json!({"confirm": "never"});
    run(&place, &plan).assert_reason("done");
}

#[test]
fn a_target_is_idle_only_with_something_to_do() {
    let place = Place::new();
    let stuck = with(target("stuck"), "limits", json!({"idle": 0.5}));
    let outcome = run(&place, &place.plan(&[tap("ok"), stuck]));
    assert_eq!(outcome.assert_reason("limit.idle")["child"], "target-test");
    let place = Place::new();
    let waiting = with(target("ok"), "limits", json!({"idle": 0.5}));
    let late = hostile("tap", "time.sleep(1.5)\nrecord(1)");
    run(&place, &place.plan(&[late, waiting])).assert_reason("done");
}

#[test]
fn open_files_that_are_held_and_that_are_refused() {
    let hold = "keep = [os.open('/dev/null', 0) for _ in range(60)]\ntry:\n  while True: keep.append(os.open('/dev/null', 0))\nexcept OSError: time.sleep(1000)";
    let outcome = limited(hold, json!({"memory": 1u64 << 30}), json!({"nofile": 64}));
    assert!(assert_limit(&outcome, "files").contains("open files reached limits.files 64"));
    let fail = "keep = [os.open('/dev/null', 0) for _ in range(100)]";
    let outcome = limited(fail, json!({}), json!({"nofile": 64}));
    assert!(assert_limit(&outcome, "files").contains("exited with 1"));
}

#[test]
fn a_file_that_is_too_large() {
    let lines =
        "f = open('/tmp/dativo-test-%d' % os.getpid(), 'wb')\nos.unlink(f.name)\nf.write(b'x' * 2_000_000)\nf.flush()";
    assert_limit(&limited(lines, json!({}), json!({"fsize": 1 << 20})), "file_size");
    let signalled = format!("import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{lines}");
    assert_limit(&limited(&signalled, json!({}), json!({"fsize": 1 << 20})), "file_size");
}

#[test]
fn a_limit_of_the_target_stops_the_tap() {
    let place = Place::new();
    let hungry = hostile(
        "target",
        "keep = []\nfor line in sys.stdin:\n  keep.append(b'x' * 3_000_000)",
    );
    let hungry = with(hungry, "limits", json!({"memory": 100 << 20}));
    let mut running = start(&place, &place.plan(&[tap("slow"), hungry]));
    let pid = running.child_pid("tap-test");
    let outcome = running.finish();
    assert_eq!(outcome.assert_reason("limit.memory")["child"], "target-test");
    assert_gone(pid);
}
