//! tap-csv: CSV files as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo. The flow:
//! [`settings`] > `singer_plugin::texts` (files and globs, here or in object stores, as UTF-8 text; how far each was read) >
//! [`rows`] (CSV rows with their place) > [`kinds`] and [`texts`] (what a column's texts are, and one text as JSON) > [`table`] (a
//! stream's columns) > [`sync`](mod@sync) (SCHEMA, RECORD, STATE).
//!
//! Guards I9 (a row is sent or the run fails, with file and line), I10 (one row and one buffer in memory), I12 (names
//! are data). No digit is lost: a number keeps its text, and what a double or 64 bits cannot hold stays a string or a
//! wide integer.
#![forbid(unsafe_code)]

mod kinds;
mod rows;
mod settings;
mod sync;
mod table;
mod texts;

use singer_plugin::{Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "tap-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "CSV files, plain or compressed, here or in an object store, with inferred types",
        kind: Kind::Tap,
        capabilities: &[],
        settings: settings::declare(),
        needs: Needs {
            read: &["{config:files}"],
            network: singer_plugin::files::NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_tap(sync::discover, sync::sync)
}
