//! How fast records become columns, and columns records: one thread, whole files in memory.
//!
//! `transcode rows FILE [TIMES]`: a file of Singer lines, SCHEMA first; RECORDs, or records without an envelope; prints
//! rows/s and CPU. `transcode seal FILE OUT`: the same, written as one Arrow file. `transcode lines FILE SCHEMA [TIMES]`: such
//! a file, written as RECORDs of the SCHEMA message in SCHEMA's first line.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use arrow_array::RecordBatch;
use serde_json::Value;
use singer_protocol::columns::lines::Lines;
use singer_protocol::columns::rows::{Pushed, Rows};
use singer_protocol::columns::spool;
use singer_protocol::envelope::{self, Kind};

/// Rows of a batch, as `native/plugin` has them.
const BATCH_ROWS: usize = 65_536;

/// The spans of the records of a file of lines, found by their envelopes.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let record = |line| match envelope::scan(line) {
        Ok(found) if found.kind == Kind::Record => found.payload().map(|span| &line[span]),
        Ok(found) if found.type_name.is_none() => Some(line),
        _ => None,
    };
    lines.filter_map(record).collect()
}

/// The `schema` of the SCHEMA message that is the first line of a file.
fn schema(bytes: &[u8]) -> Result<Value, Box<dyn Error>> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut message: Value = serde_json::from_slice(first)?;
    Ok(message["schema"].take())
}

fn gather(schema: &Value, records: &[&[u8]], mut each: impl FnMut(RecordBatch)) -> Result<(), Box<dyn Error>> {
    let mut rows = Rows::new(schema);
    for record in records {
        if rows.len() == BATCH_ROWS {
            each(rows.take());
        }
        if rows.push(record)? == Pushed::TakeFirst {
            each(rows.take());
            rows.push(record)?;
        }
    }
    if !rows.is_empty() {
        each(rows.take());
    }
    Ok(())
}

/// CPU seconds that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ')
        .next()
        .and_then(|ns| ns.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1e9
}

fn timed(
    what: &str,
    times: u32,
    mut once: impl FnMut() -> Result<usize, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    for _ in 0..times {
        let (begun, used) = (Instant::now(), cpu());
        let rows = once()?;
        let (wall, used) = (begun.elapsed().as_secs_f64(), cpu() - used);
        println!(
            "{}",
            serde_json::json!({"what": what, "rows": rows, "wall_s": wall, "cpu_s": used, "rows_per_cpu_s": rows as f64 / used})
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let times = |at: usize| arguments.get(at).map_or(Ok(1), |text| text.parse());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rows", file, ..] => {
            let bytes = std::fs::read(file)?;
            let (schema, records) = (schema(&bytes)?, records(&bytes));
            timed("records to arrow", times(2)?, || {
                let mut count = 0;
                gather(&schema, &records, |batch| count += batch.num_rows())?;
                Ok(count)
            })
        }
        ["seal", file, out] => {
            let bytes = std::fs::read(file)?;
            let mut batches = Vec::new();
            gather(&schema(&bytes)?, &records(&bytes), |batch| batches.push(batch))?;
            spool::seal(Path::new(out), &batches)?;
            Ok(())
        }
        ["lines", file, declared, ..] => {
            let schema = schema(&std::fs::read(declared)?)?;
            let batches = spool::read(Path::new(file))?;
            let Some(first) = batches.first() else { return Ok(()) };
            let lines = Lines::new(&first.schema(), &schema);
            let mut out = Vec::new();
            timed("arrow to records", times(3)?, || {
                for batch in &batches {
                    out.clear();
                    lines.write(
                        batch,
                        0..batch.num_rows(),
                        br#"{"type":"RECORD","stream":"s","record":"#,
                        b"}\n",
                        &mut out,
                    )?;
                }
                Ok(batches.iter().map(RecordBatch::num_rows).sum())
            })
        }
        _ => Err("usage: transcode rows FILE [TIMES] | seal FILE OUT | lines FILE SCHEMA [TIMES]".into()),
    }
}
