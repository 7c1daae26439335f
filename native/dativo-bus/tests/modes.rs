//! Every way in which a tap or a target may behave, and the verdict that it deserves.

mod bus;

use bus::{hostile, mapper, pair, run, start, tap, target, target_with_copy, with, Outcome, Place};
use serde_json::json;
use std::time::Duration;

fn ids(outcome: &Outcome) -> Option<u64> {
    outcome
        .last_bookmark()
        .map(|b| b["bookmarks"]["t"]["id"].as_u64().unwrap())
}

#[test]
fn all_is_well() {
    let outcome = pair(tap("ok"), target("ok"));
    let end = outcome.assert_reason("done");
    assert_eq!(end["streams"]["t"]["records"], 20);
    assert_eq!(end["states"], json!({"forwarded": 2, "confirmed": 1}));
    assert_eq!(end["covered"], json!({"records": 20, "of": 20}));
    assert_eq!(end["last_bookmark_is_last_state"], true);
    assert_eq!(end["bytes_in"], end["bytes_out"]);
    assert_eq!(ids(&outcome), Some(19));
    let kinds: Vec<&str> = outcome.events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(&kinds[..5], ["started", "spawned", "confined", "spawned", "confined"]);
    assert_eq!(outcome.all("schema").len(), 1);
    assert_eq!(outcome.all("exited").len(), 2);
    assert_eq!(outcome.logs("tap-test"), ["tap starts"]);
    let counters = *outcome.all("counters").last().unwrap();
    assert_eq!((&counters["records"], &counters["states"]), (&json!(20), &json!(2)));
}

#[test]
fn bytes_arrive_as_they_were_sent() {
    let place = Place::new();
    let copy = place.text("copy");
    let outcome = run(&place, &place.plan(&[tap("many"), target_with_copy("ok", &copy)]));
    outcome.assert_reason("done");
    let got = std::fs::read(&copy).unwrap();
    assert_eq!(got.len() as u64, outcome.end()["bytes_out"].as_u64().unwrap());
    assert_eq!(got.iter().filter(|b| **b == b'\n').count(), 1 + 50_000 + 10 + 2);
}

#[test]
fn a_tap_that_fails() {
    for (mode, reason) in [("exit1", "plugin.exited"), ("kill9", "plugin.killed")] {
        let outcome = pair(tap(mode), target("ok"));
        let end = outcome.assert_reason(reason);
        assert_eq!(
            (&end["child"], &end["streams"]["t"]["records"]),
            (&json!("tap-test"), &json!(10))
        );
        // What it had delivered was flushed and confirmed.
        assert_eq!(ids(&outcome), Some(9), "{mode}");
    }
}

#[test]
fn a_tap_that_was_stopped_but_exits_0() {
    let stopped = with(tap("stopped"), "interrupt_log", json!(["Received SIGTERM"]));
    pair(stopped, target("ok")).assert_reason("plugin.stopped");
    pair(tap("stopped"), target("ok")).assert_reason("done");
}

#[test]
fn a_tap_that_ends_early_but_in_order() {
    let outcome = pair(tap("exit0half"), target("ok"));
    assert_eq!(
        outcome.assert_reason("done")["covered"],
        json!({"records": 10, "of": 10})
    );
}

#[test]
fn a_line_cut_in_the_middle_is_no_message() {
    for check in ["json", "envelope"] {
        let place = Place::new();
        let mut plan = place.plan(&[tap("cut"), target("ok")]);
        plan["policy"] = json!({"check": check});
        let outcome = run(&place, &plan);
        let end = outcome.assert_reason("data.invalid_json");
        assert_eq!(
            (&end["line"], &end["stream"], &end["child"]),
            (&json!(13), &json!("t"), &json!("tap-test"))
        );
        assert_eq!(end["streams"]["t"]["records"], 10);
    }
}

#[test]
fn a_record_of_60_megabytes() {
    let outcome = pair(tap("huge"), target("ok"));
    let end = outcome.assert_reason("done");
    assert_eq!(end["streams"]["t"]["records"], 21);
    // I10: one line and constants, not a multiple of it.
    let peak = end["bus"]["max_rss_kb"].as_u64().unwrap();
    assert!(peak < 160 * 1024, "{peak} KiB");
}

#[test]
fn a_line_over_the_cap() {
    let outcome = pair(tap("over"), target("ok"));
    let end = outcome.assert_reason("data.line_too_long");
    assert_eq!(
        (&end["setting"], &end["stream"]),
        (&json!("limits.max_line"), &json!("t"))
    );
    assert_eq!(
        (&end["line"], &end["streams"]["t"]["records"]),
        (&json!(13), &json!(10))
    );
    assert_eq!(ids(&outcome), Some(9));
}

#[test]
fn junk_is_dropped_counted_and_told() {
    for (mode, kind) in [("stdoutlog", "text"), ("blank", "blank")] {
        let outcome = pair(tap(mode), target("ok"));
        let end = outcome.assert_reason("done");
        assert_eq!(
            (&end["junk"][kind], &end["streams"]["t"]["records"]),
            (&json!(1), &json!(20))
        );
        let told = outcome.all("junk");
        assert_eq!((told.len(), &told[0]["line"]), (1, &json!(13)));
    }
    let outcome = pair(tap("junk"), target("ok"));
    let end = outcome.assert_reason("done");
    assert_eq!(
        (&end["junk"]["blank"], &end["junk"]["text"]),
        (&json!(3000), &json!(3000))
    );
    assert_eq!(
        (outcome.all("junk").len(), &end["streams"]["t"]["records"]),
        (10, &json!(3020))
    );
}

#[test]
fn junk_fails_on_request() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("blank"), target("ok")]);
    plan["policy"] = json!({"junk": "fail"});
    let outcome = run(&place, &plan);
    assert_eq!(outcome.assert_reason("data.junk")["setting"], "policy.junk");
}

#[test]
fn data_that_cannot_be_forwarded() {
    for (mode, reason, line) in [
        ("early-record", "data.record_before_schema", 1),
        ("invalid", "data.invalid_json", 13),
        ("utf8", "data.invalid_utf8", 13),
        ("lower", "data.bad_message", 13),
        ("batch", "data.batch_refused", 13),
    ] {
        let outcome = pair(tap(mode), target("ok"));
        let end = outcome.assert_reason(reason);
        assert_eq!(
            (&end["line"], &end["child"]),
            (&json!(line), &json!("tap-test")),
            "{mode}"
        );
        assert!(
            end["message"].as_str().unwrap().contains(&format!("line {line}")),
            "{end}"
        );
    }
}

#[test]
fn batch_where_the_target_can() {
    let place = Place::new();
    let mut plan = place.plan(&[tap("batch"), target("ok")]);
    plan["policy"] = json!({"batch": "forward"});
    run(&place, &plan).assert_reason("done");
}

#[test]
fn notices_are_no_failures() {
    let outcome = pair(tap("nan"), target("ok"));
    outcome.assert_reason("done");
    assert_eq!(outcome.all("notice")[0]["code"], "data.nonstandard_number");
    let outcome = pair(tap("no-last-state"), target("ok"));
    assert_eq!(
        outcome.assert_reason("done")["covered"],
        json!({"records": 10, "of": 20})
    );
    assert_eq!(outcome.all("notice")[0]["code"], "state.uncovered");
    let outcome = pair(tap("no-last-state"), target("silent"));
    outcome.assert_reason("done");
    assert_eq!(outcome.all("notice")[1]["code"], "state.unconfirmed");
}

#[test]
fn a_last_line_without_a_newline_is_a_message() {
    let outcome = pair(tap("no-newline"), target("ok"));
    let end = outcome.assert_reason("done");
    assert_eq!(ids(&outcome), Some(20));
    assert_eq!(
        end["bytes_out"].as_u64().unwrap(),
        end["bytes_in"].as_u64().unwrap() + 1
    );
}

#[test]
fn answers_of_a_target() {
    for (mode, confirmed, ignored) in [
        ("each", 2, &[][..]),
        ("same", 2, &[]),
        ("num", 1, &["foreign"]),
        ("log", 1, &[]),
        ("reordered", 1, &[]),
        ("foreign", 1, &["foreign"]),
    ] {
        let outcome = pair(tap("ok"), target(mode));
        let end = outcome.assert_reason("done");
        assert_eq!(end["states"]["confirmed"], confirmed, "{mode}");
        let why: Vec<&str> = outcome
            .all("state_ignored")
            .iter()
            .map(|e| e["why"].as_str().unwrap())
            .collect();
        assert_eq!(why, ignored, "{mode}");
    }
    let outcome = pair(tap("ok"), target("log"));
    let logged = outcome.all("log");
    assert!(logged
        .iter()
        .any(|e| e["source"] == "stdout" && e["text"] == "INFO hello from target stdout"));
}

#[test]
fn a_target_that_claims_what_it_has_not_read() {
    // The tap sends its last STATE only after the target has spoken: the claim is foreign, or unread, never a bookmark.
    let outcome = pair(tap("ok"), target("unread"));
    let first = outcome.all("state_ignored");
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0]["why"] == "foreign" || first[0]["why"] == "unread");
    assert_eq!(outcome.assert_reason("done")["states"]["confirmed"], 1);
}

#[test]
fn a_target_that_never_confirms() {
    for mode in ["silent", "list", "die0"] {
        let outcome = pair(tap("ok"), target(mode));
        // A small input may be read at one go; then only the missing STATE shows that it was not used. Or some of it lies unread.
        assert!(
            ["target.unconfirmed", "target.unread", "plugin.early_end"].contains(&outcome.reason()),
            "{mode}: {}",
            outcome.end()
        );
        assert_eq!(outcome.end()["states"]["confirmed"], 0);
    }
    let place = Place::new();
    let mut plan = place.plan(&[tap("ok"), target("silent")]);
    plan["policy"] = json!({"confirm": "never"});
    let outcome = run(&place, &plan);
    outcome.assert_reason("done");
    assert_eq!(outcome.all("notice")[0]["code"], "state.unconfirmed");
}

#[test]
fn an_empty_answer_keeps_the_old_bookmark() {
    let outcome = pair(tap("ok"), target("empty"));
    assert_eq!(outcome.assert_reason("done")["last_bookmark_is_last_state"], false);
    assert_eq!(outcome.all("state_ignored")[0]["why"], "empty");
}

#[test]
fn a_target_that_dies() {
    for (mode, reason) in [
        ("die1", "plugin.exited"),
        ("kill9", "plugin.killed"),
        ("die0", "plugin.early_end"),
    ] {
        let outcome = pair(tap("slow"), target(mode));
        assert_eq!(outcome.assert_reason(reason)["child"], "target-test");
        assert_eq!(outcome.all("exited").len(), 2);
    }
    // Much input: the bus meets the broken pipe first.
    for mode in ["die1", "half"] {
        let outcome = pair(tap("many"), target(mode));
        let expected = if mode == "die1" {
            "plugin.exited"
        } else {
            "plugin.early_end"
        };
        assert_eq!(outcome.assert_reason(expected)["child"], "target-test");
    }
}

#[test]
fn a_target_that_leaves_input_unread() {
    // The tap has ended and its output lies in the target's pipe before the target looks at it.
    let place = Place::new();
    let script = "sleep 1; dd bs=100 count=1 2>/dev/null >/dev/null; exit 0";
    let lazy = json!({"name": "target-lazy", "role": "target", "argv": ["sh", "-c", script], "env": target("")["env"], "sandbox": {"profile": "limits"}});
    let outcome = run(&place, &place.plan(&[tap("ok"), lazy]));
    assert!(
        ["target.unread", "plugin.early_end"].contains(&outcome.reason()),
        "{}",
        outcome.end()
    );
}

#[test]
fn a_mapper_in_between() {
    let place = Place::new();
    let copy = place.text("copy");
    let outcome = run(
        &place,
        &place.plan(&[tap("ok"), mapper(&[]), target_with_copy("ok", &copy)]),
    );
    assert_eq!(outcome.assert_reason("done")["streams"]["t"]["records"], 20);
    assert_eq!(ids(&outcome), Some(19));
    assert!(std::fs::read_to_string(&copy).unwrap().contains("\"v\": \"X\""));
    let outcome = run(&place, &place.plan(&[tap("slow"), mapper(&["die"]), target("ok")]));
    let end = outcome.assert_reason("plugin.exited");
    assert_eq!(
        (&end["child"], &end["streams"]["t"]["records"]),
        (&json!("map-test"), &json!(4))
    );
}

#[test]
fn cancelled_and_drained() {
    for (mode, last) in [("slow-drain", Some(999)), ("slow", None), ("slow-deaf", None)] {
        let place = Place::new();
        let mut plan = place.plan(&[tap(mode), target("ok")]);
        // One that ends by itself has time on a busy machine, too; the others are ended by the bus.
        plan["grace"]["term"] = json!(if last.is_some() { 30 } else { 1 });
        let mut running = start(&place, &plan);
        running.wait_for("counters").unwrap();
        running.signal("TERM");
        let outcome = running.finish();
        let end = outcome.assert_reason("run.cancelled");
        assert!(end["last_bookmark_is_last_state"].as_bool().unwrap(), "{end}");
        assert!(ids(&outcome).is_some());
        assert!(last.is_none() || ids(&outcome) == last);
        place.assert_tidy();
    }
}

#[test]
fn a_signal_that_crosses_the_verdict() {
    // The verdict is queued behind a bookmark that fills the pipe: nobody reads it before the signal is there.
    let place = Place::new();
    let tap = hostile("tap", "state('x' * 300_000)");
    let mut running = start(&place, &place.plan(&[tap, target("ok")]));
    running.wait_for("spawned").unwrap();
    let pid = running.pid();
    let below = format!("/proc/{pid}/task/{pid}/children");
    while !std::fs::read_to_string(&below).unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("TERM");
    let outcome = running.finish();
    assert_eq!(outcome.end()["covered"]["records"], 1, "{}", outcome.end());
    place.assert_tidy();
}

#[test]
fn a_target_that_must_not_see_eof() {
    // With `term` it gets SIGTERM instead, prints what it has committed and is not blamed for its exit code.
    let committing = with(target("commits"), "on_upstream_failure", json!("term"));
    let outcome = pair(tap("exit1"), committing);
    let end = outcome.assert_reason("plugin.exited");
    assert_eq!(end["child"], "tap-test");
    assert_eq!(ids(&outcome), Some(9));
    let exit = outcome
        .all("exited")
        .into_iter()
        .find(|e| e["child"] == "target-test")
        .unwrap();
    assert_eq!(exit["code"], 143);
}

#[test]
fn log_lines_are_bounded_and_floods_counted() {
    let outcome = pair(tap("long-log"), target("ok"));
    outcome.assert_reason("done");
    let longest = outcome.logs("tap-test").iter().map(|l| l.len()).max().unwrap();
    assert_eq!(longest, 16_384 + '…'.len_utf8());
    let outcome = pair(tap("flood"), target("ok"));
    outcome.assert_reason("done");
    let told = outcome.logs("tap-test").iter().filter(|l| !l.is_empty()).count() as u64;
    let dropped: u64 = outcome.all("log").iter().filter_map(|e| e["dropped"].as_u64()).sum();
    assert_eq!(told + dropped, 20_001);
}
