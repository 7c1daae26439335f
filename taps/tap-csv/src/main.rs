//! tap-csv: CSV files as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo. The flow:
//! [`settings`] > [`files`] (globs, which file is which stream) > [`source`] (bytes as UTF-8 text: gz, zst, encodings) >
//! [`rows`] (CSV rows with their place) > [`kinds`] and [`texts`] (what a column's texts are, and one text as JSON) > [`table`] (a
//! stream's columns) > [`sync`](mod@sync) (SCHEMA, RECORD, STATE) with [`bookmark`] (how far each file was read).
//!
//! Guards I9 (a row is sent or the run fails, with file and line), I10 (one row and one buffer in memory), I12 (names
//! are data). No digit is lost: a number keeps its text, and what a double or 64 bits cannot hold stays a string or a
//! wide integer.
#![forbid(unsafe_code)]

mod bookmark;
mod files;
mod kinds;
mod rows;
mod settings;
mod source;
mod sync;
mod table;
mod texts;

use singer_plugin::{Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "tap-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "CSV files, plain or compressed, with inferred types",
        kind: Kind::Tap,
        capabilities: &[],
        settings: settings::declare(),
        needs: Needs {
            read: &["{config:files}"],
            ..Needs::default()
        },
    };
    plugin.run_tap(sync::discover, sync::sync)
}
