//! The settings that taps of text files share, ready to use.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use encoding_rs::Encoding;
use serde::Deserialize;

use super::keys::Wanted;
use super::mark::Place;
use super::source::{self, Facts, Meter};
use crate::by_stream::Texts;
use crate::error::{PluginError, Result};
use crate::files::Files;
use crate::settings::{Config, Setting};

/// The settings of one such tap, as a type of its own.
pub trait Settings: Sized {
    /// The tap's name.
    const TAP: &'static str;
    /// Those that only this tap has.
    fn declare() -> Vec<Setting>;
    /// Read the checked settings.
    fn of(config: &Config) -> Result<Self>;
    /// Those that all such taps have.
    fn shared(&self) -> &Shared;
}

#[derive(Deserialize)]
struct Raw {
    files: Texts,
    encoding: String,
    stream: String,
    sample_rows: u64,
    state_every: u64,
    add_metadata_columns: bool,
}

/// What [`keys::settings`](super::keys::settings) declares, ready to use.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Opens the files.
    pub storage: Files,
    /// Paths, URLs and globs.
    pub files: Vec<String>,
    /// Of every file.
    pub encoding: &'static Encoding,
    /// Template of the stream's name.
    pub stream: String,
    /// Keys of the streams.
    pub wanted: Wanted,
    /// Rows to infer from.
    pub sample_rows: u64,
    /// Rows between STATEs.
    pub state_every: u64,
    /// Add _sdc_source_file and _sdc_source_line.
    pub metadata: bool,
}

/// A file's text, opened at a place.
pub struct Text {
    /// The text from there on.
    pub read: Box<dyn Read>,
    /// The byte before the place.
    pub before: Option<u8>,
    /// Whoever reads rows sets it back after each.
    pub meter: Meter,
}

impl Shared {
    /// Of a tap's checked settings.
    pub fn of(tap: &str, config: &Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let encoding = Encoding::for_label(raw.encoding.as_bytes()).ok_or_else(|| {
            let message = format!("{tap}: the encoding {:?} is not known", raw.encoding);
            PluginError::config("config.invalid", message)
                .hint("utf-8, windows-1252, latin1, utf-16le, shift_jis, gb18030, …")
        })?;
        Ok(Shared {
            storage: Files::of(config),
            files: raw.files.into(),
            encoding,
            stream: raw.stream,
            wanted: Wanted::of(config)?,
            sample_rows: raw.sample_rows,
            state_every: raw.state_every.max(1),
            metadata: raw.add_metadata_columns,
        })
    }

    /// A file's text from a place on; none when the file ends before it.
    pub fn text(&self, facts: &Facts, from: Place) -> Result<Option<Text>> {
        let meter: Meter = Rc::new(Cell::new(0));
        let (read, before) = source::open(&self.storage, facts, self.encoding, from.bytes, Rc::clone(&meter))?;
        let is_there = from.bytes == 0 || before.is_some();
        Ok(is_there.then_some(Text { read, before, meter }))
    }
}

/// The types that the settings fix: of `column` in all streams, or of `stream.column`.
#[derive(Clone, Debug)]
pub struct Types<T>(BTreeMap<String, T>);

impl<T> Types<T> {
    /// Read each with the tap's own words for types.
    pub fn of<R>(given: BTreeMap<String, R>, read: impl Fn(&str, &R) -> Result<T>) -> Result<Self> {
        let types = given.into_iter().map(|(column, given)| {
            let fixed = read(&column, &given)?;
            Ok((column, fixed))
        });
        Ok(Types(types.collect::<Result<_>>()?))
    }

    /// The type set for a column.
    pub fn fixed(&self, stream: &str, column: &str) -> Option<&T> {
        let own = self.0.get(&format!("{stream}.{column}"));
        own.or_else(|| self.0.get(column))
    }
}
