//! `hot_loop LOOP FILE TIMES`: one of the bus's hot loops over a file of Singer messages, so many times, and nothing else.
//!
//! `tests/bench/instructions.py` runs it under callgrind, with one pass and with two: the difference is what a pass takes,
//! whatever starting costs. `tests/bench/transcoding.py` runs it by the clock. It prints the processor time of a pass in
//! nanoseconds (the kernel's, of this thread) and what the passes came to, which must not depend on how often they ran.

use dativo_bus_engine::journal::Journal;
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::relay::{Carrier, Relay};
use serde_json::value::RawValue;
use serde_json::{json, Value};
use singer_protocol::columns::lines::Lines;
use singer_protocol::columns::rows::{Pushed, Rows};
use std::{env, fs, hint, process};

/// Rows of one record batch.
const BATCH: usize = 16_384;
/// What is read at once, as from a pipe.
const CHUNK: usize = 256 << 10;

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [name, file, times] = &words[..] else {
        eprintln!("usage: hot_loop reference|relay|validate|to-columns|from-columns FILE TIMES");
        process::exit(2);
    };
    let bytes = fs::read(file).expect("the file");
    let times: u32 = times.parse().expect("a number");
    let (spent, result) = match name.as_str() {
        "reference" => passes(times, || reference(&bytes)),
        "relay" => passes(times, || relay(&bytes, "off")),
        "validate" => passes(times, || relay(&bytes, "on")),
        "to-columns" => {
            let (schema, records) = parts(&bytes);
            passes(times, || {
                gather(&schema, &records).iter().map(|one| one.num_rows()).sum()
            })
        }
        "from-columns" => {
            let (schema, records) = parts(&bytes);
            let batches = gather(&schema, &records);
            let lines = Lines::new(&batches[0].schema(), &schema);
            let mut out = Vec::new();
            passes(times, || {
                let mut written = 0;
                for batch in &batches {
                    out.clear();
                    lines
                        .write(batch, 0..batch.num_rows(), b"", b"\n", &mut out)
                        .expect("it came from records");
                    written += out.len();
                }
                written
            })
        }
        _ => panic!("no loop is called {name}"),
    };
    println!(
        "{}",
        json!({"loop": name, "ns_per_pass": spent / u64::from(times), "result": result})
    );
}

fn passes(times: u32, mut pass: impl FnMut() -> usize) -> (u64, usize) {
    let start = on_processor();
    let mut result = 0;
    for _ in 0..times {
        result = hint::black_box(pass());
    }
    (on_processor() - start, result)
}

/// Nanoseconds that this thread has run, as the kernel counts them.
fn on_processor() -> u64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What every machine and compiler does alike: a multiplication and an exclusive or for each byte.
fn reference(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        hint::black_box((hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    });
    hash as usize
}

/// The hop to a target, from the bytes of a pipe to the bytes of a pipe.
fn relay(bytes: &[u8], validate: &str) -> usize {
    let plan = json!({
        "plan": 1, "run": "r", "job": "j", "run_dir": "/x", "policy": {"validate": validate},
        "children": [{"name": "tap", "role": "tap", "argv": ["t"]}, {"name": "target", "role": "target", "argv": ["t"]}],
    });
    let plan = Plan::parse(plan.to_string().as_bytes()).expect("a plan");
    let (mut relay, mut journal) = (Relay::new(&plan, "tap", true), Journal::default());
    relay.ended_well();
    let (mut rest, mut written) = (bytes, 0);
    while !rest.is_empty() || !relay.pending().is_empty() {
        if relay.hungry() && !rest.is_empty() {
            let space = relay.space();
            let count = space.len().min(rest.len()).min(CHUNK);
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            relay.filled(count);
        }
        assert!(relay.work(&mut journal).is_none(), "the file is in order");
        let count = relay.pending().len();
        written += count;
        relay.wrote(count);
    }
    assert_eq!(written, bytes.len());
    relay.router.records as usize
}

/// The schema and the records of a file with one stream.
fn parts(bytes: &[u8]) -> (Value, Vec<&[u8]>) {
    let (mut schema, mut records) = (Value::Null, Vec::new());
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let message: Message = serde_json::from_slice(line).expect("JSON");
        if let Some(found) = message.schema {
            schema = serde_json::from_str(found.get()).expect("JSON");
        }
        records.extend(message.record.map(|found| found.get().as_bytes()));
    }
    (schema, records)
}

fn gather(schema: &Value, records: &[&[u8]]) -> Vec<arrow_array::RecordBatch> {
    let (mut rows, mut batches) = (Rows::new(schema), Vec::new());
    for record in records {
        while rows.push(record).expect("an object") == Pushed::TakeFirst {
            batches.push(rows.take());
        }
        if rows.len() == BATCH {
            batches.push(rows.take());
        }
    }
    if !rows.is_empty() {
        batches.push(rows.take());
    }
    batches
}
