//! The real binary with `gzip`: files that are cut back between members.

mod bench;

use std::fs::File;
use std::io::Read;

use bench::{lines, records, schema, state, stderr, Bench, Live};
use rustix::process::Signal;

const BIN: &str = env!("CARGO_BIN_EXE_target-jsonl");

fn text(bench: &Bench) -> String {
    let mut text = String::new();
    let file = File::open(bench.out().join("s.jsonl.gz")).unwrap();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn kill_9_leaves_whole_members() {
    let bench = Bench {
        more: r#","gzip":true"#,
        ..Bench::new()
    };
    let mut done = 0;
    for round in 1..=6 {
        let mut live = Live::start(&bench);
        live.send(&schema("s"));
        let next = done + 9_000 * round;
        live.send(&format!(
            "{}{}{}",
            records("s", done..next),
            state(next),
            records("s", next..next + 20_000)
        ));
        assert_eq!(live.state(), format!("{{\"id\":{next}}}"));
        done = next;
        assert_eq!(live.end(Signal::KILL), (None, Some(9)));
    }
    let output = bench.run(format!("{}{}{}", schema("s"), records("s", done..done + 5), state(done + 5)).as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(text(&bench) == lines(0..done + 5));
}
