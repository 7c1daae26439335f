//! The files of a BATCH: which there are, and their rows.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use singer_protocol::columns::spool;
use singer_protocol::framing::{Fill, Framer};
use singer_protocol::json;
use singer_protocol::message::Batch;

/// What a BATCH names.
#[derive(Debug)]
pub(super) struct Files {
    /// arrow, jsonl, or another one.
    pub(super) format: String,
    /// In their order.
    pub(super) paths: Vec<PathBuf>,
    /// Of all rows.
    pub(super) version: Option<i64>,
    /// See SPEC.md, section 14.
    pub(super) partial: bool,
}

impl Files {
    /// Of either shape: the Meltano SDK's or PipelineWise's. The error says what cannot be read.
    pub(super) fn of(batch: &Batch) -> Result<Self, String> {
        let rest = &batch.rest;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let filepath = text(rest.get("filepath"));
        let (format, compression) = match (&filepath, rest.get("encoding")) {
            (None, Some(encoding)) => (text(encoding.get("format")), text(encoding.get("compression"))),
            _ => (text(rest.get("format")), text(rest.get("compression"))),
        };
        let format = format.ok_or("a BATCH that does not say the format of its files")?;
        if format == "jsonl" && !matches!(compression.as_deref(), None | Some("none" | "gzip" | "gz")) {
            return Err(format!("a BATCH of jsonl files with the compression {compression:?}"));
        }
        let uris = match (filepath, rest.get("manifest").and_then(Value::as_array)) {
            (Some(path), _) => vec![Some(path)],
            (None, Some(list)) => list.iter().map(|uri| text(Some(uri))).collect(),
            (None, None) => return Err("a BATCH that names no files".into()),
        };
        let paths = uris.into_iter().map(|uri| {
            let uri = uri.unwrap_or_default();
            spool::path_of(&uri).ok_or_else(|| format!("a BATCH file at {uri:?}, which is no file:// address"))
        });
        Ok(Files {
            format,
            paths: paths.collect::<Result<_, _>>()?,
            version: rest.get("version").and_then(Value::as_i64),
            partial: rest.get("partial") == Some(&Value::Bool(true)),
        })
    }
}

fn failed(path: &Path, e: &std::io::Error) -> String {
    format!("the BATCH file {} cannot be read: {e}", path.display())
}

/// The record batches of an arrow file.
pub(super) fn arrow(path: &Path) -> Result<Vec<RecordBatch>, String> {
    spool::read(path).map_err(|e| failed(path, &e))
}

/// The records of a jsonl file, one a line; gzip is known by its first bytes, whatever the message says.
pub(super) struct Lines {
    path: PathBuf,
    source: Box<dyn Read>,
    framer: Framer,
    ended: bool,
}

impl Lines {
    pub(super) fn open(path: &Path, max_line: usize) -> Result<Self, String> {
        let mut head = Vec::new();
        let opened = File::open(path).and_then(|mut file| {
            (&file).take(2).read_to_end(&mut head)?;
            file.rewind()?;
            Ok(file)
        });
        let file = opened.map_err(|e| failed(path, &e))?;
        let source: Box<dyn Read> = match head == [0x1f, 0x8b] {
            true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
            false => Box::new(file),
        };
        Ok(Lines {
            path: path.into(),
            source,
            framer: Framer::new(max_line),
            ended: false,
        })
    }

    /// The next record: one JSON object, checked in full.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        loop {
            let place = match self.framer.advance() {
                Ok(None) if self.ended => self.framer.last(),
                other => other,
            };
            match place {
                Ok(Some(place)) => {
                    let line = self.framer.slice(place.span());
                    let first = json::blank(line, 0);
                    if first == line.len() {
                        continue;
                    }
                    let wrong = |what: &str| format!("{}, line {}: {what}", self.path.display(), place.number);
                    if json::peek(line, first) != b'{' {
                        return Err(wrong("a record is not a JSON object"));
                    }
                    let checked = json::utf8(line).and_then(|_| json::check(line));
                    checked.map_err(|fault| wrong(&fault.to_string()))?;
                    return Ok(Some(self.framer.slice(place.span())));
                }
                Ok(None) if self.ended => return Ok(None),
                Ok(None) => {
                    self.framer.release_all();
                    let fill = self.framer.fill(&mut self.source);
                    self.ended = fill.map_err(|e| failed(&self.path, &e))? == Fill::End;
                }
                Err(long) => {
                    return Err(format!(
                        "{}, line {}: {}",
                        self.path.display(),
                        long.number,
                        long.fault()
                    ))
                }
            }
        }
    }
}
