//! A tap or target that dies under the other one, and is started again in place.

mod bus;

use bus::{hostile, Outcome, Place, Running};
use serde_json::{json, Value};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Records 0 to 2999 of some size, a STATE every 100. What `state.json` says is where it begins.
const TAP: &str = "
start = json.load(open(sys.argv[2]))['bookmarks']['t'] + 1 if len(sys.argv) > 2 else 1
for n in range(start, 3001):
    write({'type': 'RECORD', 'stream': 't', 'record': {'id': n, 'v': 'x' * 500}})
    if n % 100 == 0:
        state(n)
    if n == DIES and start == 1:
        os.kill(os.getpid(), 9)
";

/// Stores what it reads in a file, confirms each STATE, dies once when it has seen a record.
const TARGET: &str = "
out, once = open(sys.argv[2], 'a'), sys.argv[2] + '.died'
known = False
for line in sys.stdin:
    message = json.loads(line)
    if message['type'] == 'SCHEMA':
        known = True
    if message['type'] == 'RECORD':
        assert known, 'no SCHEMA'
        out.write(str(message['record']['id']) + '\\n')
        if message['record']['id'] == DIES and not os.path.exists(once):
            open(once, 'w').close()
            out.flush()
            os.kill(os.getpid(), 9)
    if message['type'] == 'STATE':
        out.flush()
        print(json.dumps(message['value']), flush=True)
";

/// Starts the plan with a control pipe, and answers each loss by `word`.
fn mended(place: &Place, mut plan: Value, mut word: impl FnMut(&Value) -> Value) -> Outcome {
    let (theirs, ours) = dativo_sandbox::pipes::pipe(65_536).unwrap();
    plan["control_fd"] = json!(9);
    let line = format!("exec {} --plan-fd=0 9<&{}", bus::BUS, theirs.as_raw_fd());
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).unwrap();
    let mut running: Running = bus::start_with(place, &plan, Command::new("bash").args(["-c", &line]));
    drop(theirs);
    let mut control = File::from(ours);
    while let Some(lost) = running.wait_for("lost") {
        writeln!(control, "{}", word(&lost)).unwrap();
    }
    running.finish()
}

fn children(place: &Place, tap: i64, target: i64) -> (Value, Value) {
    let tap = hostile("tap", &TAP.replace("DIES", &tap.to_string()));
    let mut other = hostile("target", &TARGET.replace("DIES", &target.to_string()));
    other["argv"].as_array_mut().unwrap().push(json!(place.text("out")));
    (tap, other)
}

fn plan(place: &Place, tap: &Value, target: &Value, spill: Value) -> Value {
    let mut plan = place.plan(&[tap.clone(), target.clone()]);
    plan["spill"] = spill;
    plan
}

fn arrived(place: &Place) -> Vec<u64> {
    let text = std::fs::read_to_string(place.join("out")).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_dead_target_goes_on_behind_its_bookmark() {
    for spill in [json!({"memory": 1 << 20}), json!({"memory": 0, "dir": "PLACE"})] {
        let place = Place::new();
        let spill: Value = serde_json::from_str(&spill.to_string().replace("PLACE", &place.text("spill"))).unwrap();
        let (tap, target) = children(&place, -1, 1555);
        let outcome = mended(&place, plan(&place, &tap, &target, spill), |lost| {
            assert_eq!(
                (&lost["child"], &lost["code"]),
                (&json!("target-test"), &json!("plugin.killed"))
            );
            json!({"restart": target, "bookmark": null})
        });
        outcome.assert_reason("done");
        assert_eq!(outcome.all("resumed").len(), 1);
        let mut ids = arrived(&place);
        let twice = ids.len() as u64 - 3001;
        assert!((1..=101).contains(&twice), "{twice} rows came twice");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, (0..=3000).collect::<Vec<u64>>());
        assert_eq!(outcome.last_bookmark(), Some(&json!({"bookmarks": {"t": 3000}})));
        let books = &outcome.all("bookmark").last().unwrap()["streams"]["t"];
        assert_eq!(books["records"], 3001);
    }
}

#[test]
fn what_the_target_remembers_counts() {
    let place = Place::new();
    let (tap, target) = children(&place, -1, 1500);
    // It dies right after record 1500, before its STATE; it says that it has all up to 1400.
    let outcome = mended(
        &place,
        plan(&place, &tap, &target, json!({})),
        |_| json!({"restart": target, "bookmark": {"bookmarks": {"t": 1400}}}),
    );
    outcome.assert_reason("done");
    let place = Place::new();
    let (tap, target) = children(&place, -1, 1500);
    let outcome = mended(
        &place,
        plan(&place, &tap, &target, json!({})),
        |_| json!({"restart": target, "bookmark": {"bookmarks": {"t": "somebody else's"}}}),
    );
    let end = outcome.assert_reason("plugin.killed");
    assert!(
        end["message"].as_str().unwrap().contains("remembers another bookmark"),
        "{end}"
    );
}

#[test]
fn a_dead_tap_resumes_under_the_living_target() {
    let place = Place::new();
    let (tap, target) = children(&place, 1234, -1);
    let outcome = mended(&place, plan(&place, &tap, &target, json!({})), |lost| {
        assert_eq!((&lost["role"], &lost["tail"]), (&json!("tap"), &json!(34)));
        assert_eq!(lost["state"], json!({"bookmarks": {"t": 1200}}));
        let mut again = tap.clone();
        again["files"] = json!({"state": {"content": lost["state"].to_string()}});
        again["argv"].as_array_mut().unwrap().push(json!("{file:state}"));
        json!({"restart": again})
    });
    outcome.assert_reason("done");
    let pids: Vec<_> = outcome.all("spawned").iter().map(|e| e["child"].clone()).collect();
    assert_eq!(pids, ["tap-test", "target-test", "tap-test"]);
    let mut ids = arrived(&place);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3001);
}

#[test]
fn given_up_it_is_the_failure_that_it_was() {
    for tap_dies in [true, false] {
        let place = Place::new();
        let (tap, target) = children(&place, if tap_dies { 777 } else { -1 }, if tap_dies { -1 } else { 777 });
        let outcome = mended(
            &place,
            plan(&place, &tap, &target, json!({})),
            |_| json!({"give_up": true}),
        );
        outcome.assert_reason("plugin.killed");
        assert_eq!(outcome.last_bookmark(), Some(&json!({"bookmarks": {"t": 700}})));
        place.assert_tidy();
    }
}

#[test]
fn what_is_not_kept_any_more_cannot_be_given_again() {
    let place = Place::new();
    let tap = hostile("tap", "for n in range(1, 9000): write({'type': 'RECORD', 'stream': 't', 'record': {'id': n, 'v': 'x' * 900}})\nstate(9)");
    let (_, target) = children(&place, -1, 8000);
    let spill = json!({"memory": 1 << 20, "disk": 2 << 20, "dir": place.text("spill")});
    let outcome = mended(
        &place,
        plan(&place, &tap, &target, spill),
        |_| json!({"restart": target}),
    );
    let end = outcome.assert_reason("plugin.killed");
    assert!(end["message"].as_str().unwrap().contains("not kept any more"), "{end}");
}

#[test]
fn a_copy_has_every_line() {
    let place = Place::new();
    let (tap, target) = children(&place, -1, -1);
    let mut plan = place.plan(&[tap, target]);
    plan["copy_to"] = json!({"path": place.text("copy")});
    bus::run(&place, &plan).assert_reason("done");
    let copy = std::fs::read_to_string(place.join("copy")).unwrap();
    assert_eq!(copy.lines().filter(|l| l.contains("\"RECORD\"")).count(), 3001);
    assert_eq!(copy.lines().count(), 3001 + 30 + 1);
}

/// Upserts into a file at its end and after each STATE; dies of the records that it is told to.
const PICKY: &str = "
poison, rows = {int(n) for n in sys.argv[3].split(',')}, []
def store():
    with open(sys.argv[2], 'a') as out:
        out.writelines(f'{n}\\n' for n in rows)
    rows.clear()
for line in sys.stdin:
    message = json.loads(line)
    if message['type'] == 'RECORD':
        if message['record']['id'] in poison:
            sys.stderr.write('cannot load this\\n')
            sys.exit(1)
        rows.append(message['record']['id'])
    if message['type'] == 'STATE':
        store()
        print(json.dumps(message['value']), flush=True)
store()
";

fn picky(place: &Place, poison: &str) -> Value {
    let mut target = hostile("target", PICKY);
    target["argv"].as_array_mut().unwrap().push(json!(place.text("out")));
    target["argv"].as_array_mut().unwrap().push(json!(poison));
    target
}

fn quarantining(place: &Place, target: &Value) -> Value {
    let (tap, _) = children(place, -1, -1);
    let mut plan = plan(place, &tap, target, json!({}));
    plan["policy"] = json!({"on_bad_record": "quarantine"});
    plan["dead_letters"] = json!({"path": place.text("letters")});
    plan
}

fn letters(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.join("letters")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|letter| letter["type"] == "RECORD").collect()
}

#[test]
fn what_a_target_cannot_load_is_found_and_set_aside() {
    let place = Place::new();
    let target = picky(&place, "1,777,778,3000");
    let word = json!({"restart": target, "search": "record"});
    let outcome = mended(&place, quarantining(&place, &target), |_| word.clone());
    let end = outcome.assert_reason("done");
    assert_eq!(end["rejected"], json!({"t": 4}));
    assert_eq!(end["streams"]["t"]["records"], 2997);
    let letters = letters(&place);
    let found: Vec<&Value> = letters.iter().map(|letter| &letter["record"]["id"]).collect();
    assert_eq!(found, [1, 777, 778, 3000]);
    let why = &letters[0]["dead_letter"];
    assert_eq!(why["rule"], "target");
    assert!(why["reason"].as_str().unwrap().ends_with("cannot load this"), "{why}");
    let mut ids = arrived(&place);
    ids.sort_unstable();
    ids.dedup();
    let wanted: Vec<u64> = (0..=3000).filter(|n| ![1, 777, 778, 3000].contains(n)).collect();
    assert_eq!(ids, wanted);
    assert_eq!(outcome.last_bookmark(), Some(&json!({"bookmarks": {"t": 3000}})));
}

#[test]
fn where_rows_would_stay_twice_the_batch_is_set_aside() {
    let place = Place::new();
    let target = picky(&place, "777");
    let outcome = mended(
        &place,
        quarantining(&place, &target),
        |_| json!({"restart": target, "search": "batch"}),
    );
    let end = outcome.assert_reason("done");
    let set_aside = letters(&place).len() as u64;
    assert_eq!(end["rejected"], json!({"t": set_aside}));
    assert!((1..=2300).contains(&set_aside), "{set_aside}");
    let ids = arrived(&place);
    assert_eq!(ids.len() as u64, 3001 - set_aside);
    assert_eq!(outcome.last_bookmark(), Some(&json!({"bookmarks": {"t": 3000}})));
}

#[test]
fn a_target_that_cannot_start_dies_of_no_record() {
    let place = Place::new();
    let mut target = hostile("target", "sys.exit(1)");
    target["argv"].as_array_mut().unwrap().push(json!(place.text("out")));
    let word = json!({"restart": target, "search": "record"});
    let outcome = mended(&place, quarantining(&place, &target), |_| word.clone());
    outcome.assert_reason("plugin.exited");
    assert!(!place.join("letters").exists());
}
