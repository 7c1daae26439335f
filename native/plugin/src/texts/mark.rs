//! How far each file was read: `{"bookmarks": {stream: {"columns": {...}, "files": {path: {...}}}}}`.
//!
//! A file is the one that was read when it begins with the same bytes and is not shorter. The columns' kinds are kept
//! too, so that a later run never narrows a column that an earlier one sent wider.

use serde::{Deserialize, Serialize};
use serde_json::{json, Map, Value};

use super::source::Facts;
use crate::error::{PluginError, Result};
pub use crate::state::State;

/// A place between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes of text before it.
    pub bytes: u64,
    /// Lines before it.
    pub lines: u64,
}

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Rows sent.
    pub rows: u64,
    /// Lines of text before the next row.
    pub lines: u64,
    /// Bytes of text (as UTF-8, decompressed) before the next row.
    pub bytes: u64,
    /// The file's size on disk then.
    pub size: u64,
    /// Hash of its first 4 KiB, or of as much as there was.
    pub head: String,
    /// Its end was reached.
    pub done: bool,
    /// Its version then, where the store tells one that changes with every byte: an object's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a mark says about the file that is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never read.
    New,
    /// Read to its end and not changed since.
    Finished,
    /// Go on at the mark.
    GoOn,
    /// Another file, or a shorter one: from the start.
    Replaced,
}

impl Mark {
    /// Nothing read yet of this file.
    pub fn start(facts: &Facts) -> Self {
        Mark {
            rows: 0,
            lines: 0,
            bytes: 0,
            size: facts.found.size,
            head: facts.fingerprint(facts.found.size),
            done: false,
            version: facts.version(),
        }
    }

    /// The place before the next row.
    pub fn place(&self) -> Place {
        Place {
            bytes: self.bytes,
            lines: self.lines,
        }
    }

    /// The next row is at another place.
    pub fn go_to(&mut self, place: Place) {
        (self.bytes, self.lines) = (place.bytes, place.lines);
    }

    /// Compare with the file that is there now.
    pub fn judge(mark: Option<&Mark>, facts: &Facts) -> Verdict {
        match mark {
            None => Verdict::New,
            Some(mark) if facts.found.size < mark.size || facts.fingerprint(mark.size) != mark.head => {
                Verdict::Replaced
            }
            Some(mark) if facts.found.size == mark.size && facts.version() != mark.version => Verdict::Replaced,
            Some(mark) if mark.done && facts.found.size == mark.size => Verdict::Finished,
            Some(_) => Verdict::GoOn,
        }
    }
}

impl State {
    /// The object under `bookmarks.<stream>.<part>`, made if it is missing.
    fn part(&mut self, stream: &str, part: &str) -> &mut Map<String, Value> {
        let object = |value: &mut Value| {
            if !value.is_object() {
                *value = json!({});
            }
        };
        let bookmark = self.bookmark_mut(stream);
        object(bookmark);
        let part = &mut bookmark[part];
        object(part);
        match part {
            Value::Object(map) => map,
            _ => unreachable!("made an object just above"),
        }
    }

    /// How far a file was read.
    pub fn mark(&self, stream: &str, path: &str) -> Result<Option<Mark>> {
        let found = self.bookmark(stream).and_then(|s| s.get("files")?.get(path));
        let Some(value) = found.filter(|v| !v.is_null()) else {
            return Ok(None);
        };
        Mark::deserialize(value).map(Some).map_err(|_| {
            PluginError::config(
                "state.invalid",
                format!("the bookmark of stream {stream:?}, file {path:?} is not one of this tap"),
            )
            .hint("clear it: the file is then read from its start")
        })
    }

    /// Note how far a file was read.
    pub fn set_mark(&mut self, stream: &str, path: &str, mark: &Mark) {
        self.part(stream, "files").insert(path.into(), json!(mark));
    }

    /// The number of files in a stream's bookmark.
    pub fn file_count(&mut self, stream: &str) -> usize {
        self.part(stream, "files").len()
    }

    /// What a column was last sent as, as far as the tap noted it.
    pub fn column(&self, stream: &str, column: &str) -> Option<&Value> {
        self.bookmark(stream)?.get("columns")?.get(column)
    }

    /// Note what a column is sent as.
    pub fn set_column(&mut self, stream: &str, column: &str, sent_as: Value) {
        self.part(stream, "columns").insert(column.into(), sent_as);
    }

    /// All columns that were noted.
    pub fn columns(&mut self, stream: &str) -> &Map<String, Value> {
        self.part(stream, "columns")
    }
}
