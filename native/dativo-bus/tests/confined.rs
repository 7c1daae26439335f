//! Children in their fences, seen from outside and told by real programs inside. The attacks are in tests/escape.

mod bus;

use bus::{run, with, Outcome, Place};
use serde_json::{json, Value};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// A probe that runs a line of shell, with this sandbox.
fn line(text: &str, sandbox: Value) -> Value {
    json!({
        "name": "tap-line", "role": "probe", "argv": ["/bin/sh", "-c", text], "sandbox": sandbox,
        "env": {"PATH": "/usr/bin:/bin", "HOME": "{home}", "TMPDIR": "{tmp}"},
    })
}

fn said(text: &str, sandbox: Value) -> (Outcome, Vec<String>) {
    let place = Place::new();
    let outcome = run(&place, &place.plan(&[line(text, sandbox)]));
    place.assert_tidy();
    let logs = outcome.logs("tap-line").into_iter().map(String::from).collect();
    (outcome, logs)
}

/// Whether this machine gives namespaces. Where it does not, the layouts that need them are refused, which is tested too.
fn namespaces() -> bool {
    let (outcome, _) = said("exit 0", json!({"layout": "namespaces"}));
    outcome.reason() == "done"
}

#[test]
fn absent_is_standard_and_what_holds_is_told_before_the_program_runs() {
    let place = Place::new();
    let mut child = line("echo run", json!({}));
    child.as_object_mut().unwrap().remove("sandbox");
    let outcome = run(&place, &place.plan(&[child]));
    outcome.assert_reason("done");
    let kinds: Vec<&str> = outcome.events.iter().filter_map(|e| e["event"].as_str()).collect();
    let at = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap();
    assert!(
        at("spawned") < at("confined") && at("confined") < at("log"),
        "{kinds:?}"
    );
    let told = outcome.all("confined")[0];
    assert_eq!(told["profile"], "standard");
    for promise in ["files", "processes", "secrets", "kernel", "network", "no_new_privs"] {
        assert!(
            told["guarantees"].as_array().unwrap().contains(&json!(promise)),
            "{promise}: {told}"
        );
    }
}

#[test]
fn off_and_limits_promise_little_and_say_so() {
    for (profile, count) in [("off", 0), ("limits", 3)] {
        let (outcome, _) = said("exit 0", json!({ "profile": profile }));
        let told = outcome.all("confined")[0];
        assert_eq!(told["layout"], "none");
        assert_eq!(told["guarantees"].as_array().unwrap().len(), count, "{told}");
    }
}

#[test]
fn nothing_of_the_machine_is_seen_or_changed_but_what_is_granted() {
    let place = Place::new();
    let (secret, out) = (place.text("secret"), place.join("out"));
    std::fs::write(&secret, "hunter2").unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o700)).unwrap();
    let out = out.to_string_lossy().into_owned();
    let text = format!(
        "cat {secret} 2>/dev/null && echo seen; echo mine > {out}/file && echo written; touch {secret}.2 2>/dev/null; \
         (echo x > /usr/bin/evil) 2>/dev/null && echo evil; echo x > $HOME/x && echo x > $TMPDIR/x && echo scratch"
    );
    for layout in ["auto", "floor"] {
        let sandbox = json!({"layout": layout, "write": [out]});
        let outcome = run(&place, &place.plan(&[line(&text, sandbox)]));
        outcome.assert_reason("done");
        assert_eq!(outcome.logs("tap-line"), ["written", "scratch"], "{layout}");
        // With a /tmp of its own it may have made one there.
        assert!(!place.join("secret.2").exists(), "{layout}");
    }
    // What it made belongs to whom the folder belongs to, even when root has started it.
    let (made, folder) = (place.join("out").join("file"), place.join("out"));
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "mine\n");
    assert_eq!(made.metadata().unwrap().uid(), folder.metadata().unwrap().uid());
}

#[test]
fn what_is_hidden_inside_a_grant_stays_hidden() {
    if !namespaces() {
        return;
    }
    let place = Place::new();
    let folder = place.join("project");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(folder.join(".dativo")).unwrap();
    for name in ["open", "dativo.yml", ".dativo/state.db"] {
        std::fs::write(folder.join(name), "text").unwrap();
    }
    let at = folder.to_string_lossy().into_owned();
    let text = format!("cd {at}; cat open; cat dativo.yml; ls .dativo; echo bad > dativo.yml; rm -f dativo.yml; ls");
    let sandbox = json!({"write": [at], "hide": [format!("{at}/dativo.yml"), format!("{at}/.dativo")]});
    let outcome = run(
        &place,
        &place.plan(&[line(&format!("{{ {text}; }} 2>/dev/null"), sandbox)]),
    );
    let logs = outcome.logs("tap-line").join(" ");
    assert!(
        logs.starts_with("text") && logs.contains("dativo.yml") && !logs.contains("state.db"),
        "{logs}"
    );
    assert_eq!(std::fs::read_to_string(folder.join("dativo.yml")).unwrap(), "text");
}

#[test]
fn it_ends_as_its_program_ends() {
    for sandbox in [json!({}), json!({"layout": "floor"})] {
        let (outcome, _) = said("exit 7", sandbox.clone());
        assert_eq!(outcome.all("exited")[0]["code"], 7);
        let (outcome, _) = said("kill -SEGV $$", sandbox.clone());
        assert_eq!(outcome.all("exited")[0]["signal"], 11);
        // A daemon does not outlive it, wherever it hides.
        let (outcome, logs) = said(
            "setsid sh -c 'sleep 987 & sleep 987' >/dev/null 2>&1 & echo bye",
            sandbox,
        );
        outcome.assert_reason("done");
        assert_eq!(logs, ["bye"]);
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let place = Place::new();
    let script = place.join("script");
    std::fs::write(&script, "#!/nowhere/python\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (argv, reason, words) in [
        ("/nowhere/tap", "plugin.start_failed", "no such file"),
        (
            &place.text("script"),
            "plugin.start_failed",
            "/nowhere/python, does not exist or is not granted",
        ),
    ] {
        let mut child = line("", json!({}));
        child["argv"] = json!([argv]);
        let outcome = run(&place, &place.plan(&[child]));
        let end = outcome.assert_reason(reason);
        assert!(end["message"].as_str().unwrap().contains(words), "{end}");
    }
    let (outcome, _) = said("exit 0", json!({"profile": "strict", "layout": "floor"}));
    let end = outcome.assert_reason("sandbox.unavailable");
    assert!(
        end["message"].as_str().unwrap().contains("strict needs namespaces"),
        "{end}"
    );
    let (outcome, _) = said("exit 0", json!({"write": ["/nowhere/at/all"]}));
    outcome.assert_reason("sandbox.unavailable");
}

#[test]
fn a_host_that_is_granted_is_reached_and_told_and_no_other() {
    use std::io::{Read, Write};
    if !namespaces() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut bytes = [0u8; 4];
        peer.read_exact(&mut bytes).unwrap();
        peer.write_all(b"pong").unwrap();
    });
    let script = format!(
        "import socket\nc = socket.create_connection(('localhost', {port}), 5)\nc.sendall(b'ping')\nprint(c.recv(4).decode())\n\
         try: socket.create_connection(('elsewhere.example', 443), 5)\nexcept OSError as e: print(type(e).__name__)"
    );
    let place = Place::new();
    let mut child = line(
        "",
        json!({"profile": "strict", "network": [format!("localhost:{port}")]}),
    );
    child["argv"] = json!(["/usr/bin/python3", "-c", script]);
    let outcome = run(&place, &place.plan(&[child]));
    server.join().unwrap();
    outcome.assert_reason("done");
    assert_eq!(outcome.logs("tap-line"), ["pong", "gaierror"]);
    let told: Vec<(&str, &str)> = outcome
        .all("connection")
        .iter()
        .map(|e| (e["host"].as_str().unwrap(), e["outcome"].as_str().unwrap()))
        .collect();
    for expected in [
        ("localhost", "open"),
        ("localhost", "closed"),
        ("elsewhere.example", "denied"),
    ] {
        assert!(told.contains(&expected), "{told:?}");
    }
}

#[test]
fn it_steps_back_from_where_the_bus_stands() {
    let place = Place::new();
    let child = with(
        line("nice; ionice", json!({})),
        "limits",
        json!({"nice": 3, "ionice": "idle"}),
    );
    let plan = place.plan(&[child]);
    let mut command = std::process::Command::new("nice");
    command.args(["-n", "5", bus::BUS]);
    let outcome = bus::start_with(&place, &plan, &mut command).finish();
    outcome.assert_reason("done");
    assert_eq!(outcome.logs("tap-line"), ["8", "idle"]);
}

#[test]
fn nothing_of_the_bus_is_in_reach() {
    // The bus's own environment, descriptors and command line.
    let (outcome, logs) = said(
        "cat /proc/1/environ 2>/dev/null | tr '\\0' '\\n' | grep -c PATH=; ls /proc/self/fd | wc -l; id -u; \
         grep -h ^CapEff /proc/self/status",
        json!({}),
    );
    outcome.assert_reason("done");
    assert_eq!(logs[0], "0", "{logs:?}");
    assert!(logs[1].parse::<u32>().unwrap() <= 4, "{logs:?}");
    assert!(logs[3].ends_with("0000000000000000"), "{logs:?}");
}
