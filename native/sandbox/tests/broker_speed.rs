//! How fast the broker is, beside the same without it. Run it by hand; it asserts nothing about time:
//! `cargo test --release -p dativo-sandbox --test broker_speed -- --ignored --nocapture`

mod namespace;

use dativo_sandbox::broker::Machine;
use namespace::hosts::{connect, echo, exchange, host};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

const BULK: u64 = 1 << 30;
const ROUNDS: usize = 3;

fn give(mut stream: TcpStream) {
    let piece = vec![7u8; 1 << 20];
    for _ in 0..BULK >> 20 {
        stream.write_all(&piece).unwrap();
    }
}

fn take(mut stream: TcpStream) {
    let mut piece = vec![0u8; 1 << 20];
    while stream.read(&mut piece).unwrap() > 0 {}
    stream.write_all(b"!").unwrap();
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// MB/s from the host, MB/s to it, and microseconds to connect, send a byte and have it back.
fn measure(giving: u16, taking: u16, echoing: u16) -> String {
    let rate = |begin: Instant| BULK as f64 / 1e6 / begin.elapsed().as_secs_f64();
    let down = || {
        let (mut stream, begin) = (connect("127.0.0.1", giving), Instant::now());
        let mut piece = vec![0u8; 1 << 20];
        while stream.read(&mut piece).unwrap() > 0 {}
        rate(begin)
    };
    let up = || {
        let (stream, begin) = (connect("127.0.0.1", taking), Instant::now());
        give(stream.try_clone().unwrap());
        stream.shutdown(Shutdown::Write).unwrap();
        io::copy(&mut &stream, &mut io::sink()).unwrap();
        rate(begin)
    };
    let hello = || {
        let begin = Instant::now();
        exchange(&mut connect("127.0.0.1", echoing), "x");
        begin.elapsed().as_secs_f64() * 1e6
    };
    let medians = [
        median((0..ROUNDS).map(|_| down()).collect()),
        median((0..ROUNDS).map(|_| up()).collect()),
        median((0..500).map(|_| hello()).collect()),
    ];
    format!(
        "from the host {:.0} MB/s, to it {:.0} MB/s, connect and echo {:.0} us",
        medians[0], medians[1], medians[2]
    )
}

#[test]
#[ignore = "measures, for several seconds"]
fn speed() {
    let (giving, taking, echoing) = (
        host("127.0.0.1", give),
        host("127.0.0.1", take),
        host("127.0.0.1", echo),
    );
    println!("direct: {}", measure(giving, taking, echoing));
    let rules = [giving, taking, echoing].map(|port| format!("localhost:{port}"));
    if let Some(ran) = namespace::run(&rules, Machine::here(), || measure(giving, taking, echoing)) {
        println!("broker: {}", ran.said);
    }
}
