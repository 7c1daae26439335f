//! `dativo-bus --probe` on the machine that the tests run on, as it is and with its namespaces taken away.

mod bus;

use bus::BUS;
use serde_json::Value;
use std::process::Command;

fn probe(command: &mut Command) -> Option<Value> {
    let done = command.output().unwrap();
    done.status
        .success()
        .then(|| serde_json::from_slice(&done.stdout).unwrap())
}

#[test]
fn it_tries_every_layer_and_every_profile() {
    let found = probe(Command::new(BUS).arg("--probe")).unwrap();
    for layer in ["no_new_privs", "subreaper", "memfd_seal", "seccomp"] {
        assert_eq!(found["layers"][layer]["works"], true, "{found}");
    }
    assert_eq!(found["executable"], BUS);
    assert_eq!(found["profiles"]["limits"]["layout"], "none");
    let spaces = found["layers"]["mount_namespace"]["works"] == true && found["layers"]["proc_mount"]["works"] == true;
    assert_eq!(found["profiles"]["strict"]["available"], spaces, "{found}");
}

#[test]
fn without_namespaces_there_is_the_floor() {
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" --probe";
    let Some(found) = probe(Command::new("unshare").args(["-Ur", "sh", "-c", script, BUS])) else {
        return eprintln!("skipped: unshare -Ur does not work here");
    };
    assert_eq!(found["layers"]["user_namespace"]["works"], false);
    let strict = &found["profiles"]["strict"];
    assert_eq!(strict["available"], false);
    assert!(
        strict["reason"]
            .as_str()
            .unwrap()
            .starts_with("strict needs namespaces"),
        "{strict}"
    );
    if found["landlock"].as_i64().unwrap() > 0 {
        assert_eq!(found["profiles"]["standard"]["layout"], "floor");
    }
}
