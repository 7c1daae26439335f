//! A tap's rows as Arrow columns: sent as files in the spool where the runner has one (`DATIVO_SPOOL`), else as RECORDs.
//!
//! A tap hands over record batches and need not know which it is. Guards I9 (a value that a RECORD cannot hold ends the tap, and
//! the error says which) and I10 (the spool is bounded by the runner: a batch waits until there is room for it).

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use serde::Serialize;
use serde_json::Value;
use singer_protocol::columns::lines::{Lines, Unwritable};
use singer_protocol::columns::spool;
use singer_protocol::message::{self, ActivateVersion, Schema};

use crate::error::{PluginError, Result};
use crate::plain::plain;
use crate::writer::{Writer, LIMIT};

/// Where the runner says that its spool is.
const SPOOL: &str = "DATIVO_SPOOL";
/// How many bytes may lie there.
const SPOOL_BYTES: &str = "DATIVO_SPOOL_BYTES";
/// Between two looks at a full spool.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Writes a tap's messages, rows as record batches.
#[derive(Debug)]
pub struct Batches<'a, W: Write> {
    out: &'a mut Writer<W>,
    spool: Option<Spool>,
    streams: HashMap<String, Sent>,
}

/// What was sent of a stream.
#[derive(Debug)]
struct Sent {
    schema: Value,
    lines: Option<(SchemaRef, Lines)>,
    rows: u64,
}

impl<'a, W: Write> Batches<'a, W> {
    /// Looks for the spool in the environment.
    ///
    /// # Errors
    /// `DATIVO_SPOOL` names no folder that can be written, or `DATIVO_SPOOL_BYTES` is no number.
    pub fn new(out: &'a mut Writer<W>) -> Result<Self> {
        let spool = match std::env::var_os(SPOOL) {
            Some(folder) if !folder.is_empty() => {
                let bytes = std::env::var(SPOOL_BYTES).unwrap_or_default();
                Some(Spool::open(folder.into(), &bytes)?)
            }
            _ => None,
        };
        Ok(Batches {
            out,
            spool,
            streams: HashMap::new(),
        })
    }

    /// Whether rows leave as columns.
    pub fn spooled(&self) -> bool {
        self.spool.is_some()
    }

    /// A SCHEMA.
    pub fn schema(&mut self, schema: &Schema) -> Result<()> {
        let rows = self.streams.get(&schema.stream).map_or(0, |sent| sent.rows);
        let sent = Sent {
            schema: schema.schema.clone(),
            lines: None,
            rows,
        };
        self.streams.insert(schema.stream.clone(), sent);
        self.out.schema(schema)
    }

    /// Rows of a stream whose SCHEMA was sent. Blocks while the spool is full.
    pub fn rows(&mut self, stream: &str, batch: &RecordBatch, version: Option<i64>) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let Some(sent) = self.streams.get_mut(stream) else {
            let message = format!("stream {stream:?}: its rows came before its SCHEMA");
            return Err(PluginError::data("data.record_before_schema", message));
        };
        match &mut self.spool {
            Some(spool) => {
                for batch in plain(batch).map_err(|found| unwritable(stream, sent.rows, &found))? {
                    let uri = spool.seal(&batch)?;
                    batch_line(self.out.buffer(), stream, &uri, version);
                    // Whoever reads it can begin at once.
                    self.out.flush()?;
                }
            }
            None => records(self.out, stream, sent, batch, version)?,
        }
        sent.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// An ACTIVATE_VERSION.
    pub fn activate(&mut self, stream: &str, version: i64) -> Result<()> {
        let stream = stream.into();
        message::write_activate_version(self.out.buffer(), &ActivateVersion { stream, version });
        self.out.settle()
    }

    /// A STATE, and everything before it: written now.
    pub fn state<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.out.state(value)
    }
}

/// Append a BATCH line of one file.
fn batch_line(out: &mut Vec<u8>, stream: &str, uri: &str, version: Option<i64>) {
    out.extend_from_slice(br#"{"type":"BATCH","stream":"#);
    message::push_string(out, stream);
    out.extend_from_slice(br#","encoding":{"format":"arrow"},"manifest":["#);
    message::push_string(out, uri);
    out.push(b']');
    push_version(out, version);
    out.extend_from_slice(b"}\n");
}

fn push_version(out: &mut Vec<u8>, version: Option<i64>) {
    if let Some(version) = version {
        out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
    }
}

/// The rows as RECORD lines, as many at once as fit the writer's buffer.
fn records<W: Write>(
    out: &mut Writer<W>,
    stream: &str,
    sent: &mut Sent,
    batch: &RecordBatch,
    version: Option<i64>,
) -> Result<()> {
    if !matches!(&sent.lines, Some((arrow, _)) if *arrow == batch.schema()) {
        sent.lines = Some((batch.schema(), Lines::new(&batch.schema(), &sent.schema)));
    }
    let Some((_, lines)) = &sent.lines else { return Ok(()) };
    let before = message::record_start(stream);
    let mut after = Vec::new();
    push_version(&mut after, version);
    after.extend_from_slice(message::RECORD_END);
    let rows = batch.num_rows();
    let step = (LIMIT / (memory(batch) / rows + 1)).clamp(1, 4096);
    for start in (0..rows).step_by(step) {
        let range = start..rows.min(start + step);
        lines
            .write(batch, range, &before, &after, out.buffer())
            .map_err(|found| unwritable(stream, sent.rows, &found))?;
        out.settle()?;
    }
    Ok(())
}

/// I9: which value it is, and why.
fn unwritable(stream: &str, before: u64, found: &Unwritable) -> PluginError {
    let row = before + found.row as u64 + 1;
    let place = format!("stream {stream:?}, row {row} of this run, column {:?}", found.column);
    PluginError::data("data.bad_source", format!("{place}: {}", found.reason))
        .hint("a RECORD cannot hold this value: mend it in the source, or leave the column out")
}

/// Bytes of the rows of a batch; of a slice only its part counts.
pub fn memory(batch: &RecordBatch) -> usize {
    let size = |column: &dyn Array| column.to_data().get_slice_memory_size();
    let all = batch.columns().iter().map(|column| {
        // Only nested and unknown layouts cannot tell the part: the whole is too much, never too little.
        size(column.as_ref()).unwrap_or_else(|_| column.get_array_memory_size())
    });
    all.sum()
}

/// The runner's folder for files.
#[derive(Debug)]
struct Spool {
    folder: PathBuf,
    bytes: u64,
    next: u64,
}

impl Spool {
    fn open(folder: PathBuf, bytes: &str) -> Result<Self> {
        let wrong = |what: String| PluginError::config("config.invalid", what).hint("the runner of this tap sets it");
        let bytes = bytes
            .parse()
            .map_err(|_| wrong(format!("{SPOOL_BYTES} is not a number of bytes")))?;
        if !folder.is_absolute() {
            return Err(wrong(format!("{SPOOL} is not an absolute path")));
        }
        let failed = |e: &std::io::Error| PluginError::io("cannot use the spool", &folder, e);
        // Files of a tap before this one may still lie there: their names are taken.
        let mut next = 1;
        for entry in std::fs::read_dir(&folder).map_err(|e| failed(&e))? {
            let name = entry.map_err(|e| failed(&e))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.split('.').next()?.parse::<u64>().ok());
            next = next.max(number.map_or(0, |number| number.saturating_add(1)));
        }
        Ok(Spool { folder, bytes, next })
    }

    /// Writes a file when there is room for it; its address.
    fn seal(&mut self, batch: &RecordBatch) -> Result<String> {
        let path = self.folder.join(format!("{}.arrow", self.next));
        let failed = |e: std::io::Error| PluginError::io("cannot write", &path, &e);
        let size = memory(batch) as u64;
        // If the runner goes away it takes this process along (I8): nobody waits here for ever.
        loop {
            let used = spool::used(&self.folder).map_err(failed)?;
            if used == 0 || used.saturating_add(size) <= self.bytes {
                break;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        spool::seal(&path, std::slice::from_ref(batch)).map_err(failed)?;
        self.next += 1;
        Ok(spool::uri_of(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use serde_json::json;

    use super::*;

    /// What was written, to be looked at while the tap still works.
    #[derive(Clone, Debug, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Out {
        fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
        }
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn schema(stream: &str) -> Schema {
        let properties = json!({"n": {"type": "integer"}, "t": {"type": ["null", "string"]}, "x": {"type": "number"}});
        Schema {
            stream: stream.into(),
            schema: json!({"type": "object", "properties": properties}),
            key_properties: vec![],
            bookmark_properties: vec![],
        }
    }

    fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
        let text: StringArray = range.clone().map(|n| (n % 2 == 0).then(|| format!("t{n}"))).collect();
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(range))),
            ("t", Arc::new(text)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    fn batches(out: &mut Writer<Out>, spool: Option<Spool>) -> Batches<'_, Out> {
        Batches {
            out,
            spool,
            streams: HashMap::new(),
        }
    }

    #[test]
    fn without_a_spool_rows_are_records() {
        let seen = Out::default();
        let mut out = Writer::new(seen.clone());
        let mut sent = batches(&mut out, None);
        sent.schema(&schema("a \"b\"")).unwrap();
        sent.rows("a \"b\"", &numbers(0..3), Some(7)).unwrap();
        sent.rows("a \"b\"", &numbers(3..20_000), None).unwrap();
        sent.activate("a \"b\"", 7).unwrap();
        sent.state(&json!({"n": 20_000})).unwrap();
        let lines = seen.lines();
        assert_eq!(
            lines[1],
            json!({"type": "RECORD", "stream": "a \"b\"", "record": {"n": 0, "t": "t0"}, "version": 7})
        );
        assert_eq!(
            lines[4],
            json!({"type": "RECORD", "stream": "a \"b\"", "record": {"n": 3, "t": null}})
        );
        assert!((0..20_000).all(|n| lines[n + 1]["record"]["n"] == json!(n)));
        assert_eq!(
            lines[20_001],
            json!({"type": "ACTIVATE_VERSION", "stream": "a \"b\"", "version": 7})
        );
        assert_eq!(lines.len(), 20_003);
    }

    #[test]
    fn what_no_record_can_hold_is_told_with_its_place() {
        let seen = Out::default();
        let mut out = Writer::new(seen.clone());
        let mut sent = batches(&mut out, None);
        assert_eq!(
            sent.rows("s", &numbers(0..1), None).unwrap_err().code,
            "data.record_before_schema"
        );
        sent.schema(&schema("s")).unwrap();
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::NAN]));
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        sent.rows("s", &numbers(0..10), None).unwrap();
        let error = sent.rows("s", &batch, None).unwrap_err();
        assert_eq!((error.code, error.exit), ("data.bad_source", 4));
        assert!(
            error
                .message
                .starts_with("stream \"s\", row 12 of this run, column \"x\": "),
            "{error}"
        );
        out.flush().unwrap();
        assert_eq!(seen.lines().len(), 12); // the SCHEMA and what was good
    }

    #[test]
    fn a_full_spool_is_waited_for_and_a_batch_too_large_for_it_comes_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("4.arrow"), b"").unwrap();
        let room = 3 * memory(&numbers(0..1000)) as u64;
        let spool = Spool::open(folder.path().into(), &room.to_string()).unwrap();
        let seen = Out::default();
        let reader = std::thread::spawn({
            let seen = seen.clone();
            move || {
                let mut rows = 0;
                let mut at = 1;
                while rows < 40_000 {
                    let Some(line) = seen.lines().get(at).cloned() else {
                        continue;
                    };
                    at += 1;
                    assert_eq!((&line["type"], &line["stream"]), (&json!("BATCH"), &json!("s")));
                    assert_eq!(
                        (&line["encoding"], &line["version"]),
                        (&json!({"format": "arrow"}), &json!(3))
                    );
                    let path = spool::path_of(line["manifest"][0].as_str().unwrap()).unwrap();
                    let size = std::fs::metadata(&path).unwrap().len();
                    let used = spool::used(path.parent().unwrap()).unwrap();
                    assert!(used <= room + 4096 || used == size, "{used} of {room}");
                    for batch in spool::read(&path).unwrap() {
                        assert_eq!(batch, numbers(rows..rows + batch.num_rows() as i64));
                        rows += batch.num_rows() as i64;
                    }
                    std::fs::remove_file(path).unwrap();
                }
                at
            }
        });
        let mut out = Writer::new(seen);
        let mut sent = batches(&mut out, Some(spool));
        assert!(sent.spooled());
        sent.schema(&schema("s")).unwrap();
        for start in (0..20_000).step_by(1000) {
            sent.rows("s", &numbers(start..start + 1000), Some(3)).unwrap();
        }
        sent.rows("s", &numbers(0..0), Some(3)).unwrap();
        sent.rows("s", &numbers(20_000..40_000), Some(3)).unwrap();
        assert_eq!(reader.join().unwrap(), 22);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["4.arrow"]);
    }

    #[test]
    fn a_spool_that_cannot_be_used_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let code = |folder: PathBuf, bytes: &str| Spool::open(folder, bytes).unwrap_err().code;
        assert_eq!(code(folder.path().into(), "much"), "config.invalid");
        assert_eq!(code("spool".into(), "1"), "config.invalid");
        assert_eq!(code(folder.path().join("none"), "1"), "config.invalid");
    }
}
