//! tap-jsonl: JSON Lines files as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo. The flow:
//! [`settings`] > `singer_plugin::texts` (files and globs, here or in object stores, as UTF-8 text; how far each was read) >
//! [`lines`] (lines with their place) > [`shape`] (what a sample's values are, as JSON Schema) > [`table`] (what a sample says of a
//! stream's columns) > [`sync`](mod@sync) (a file's lines as RECORDs, within `singer_plugin::texts::run`, which sends SCHEMA and
//! STATE), where [`columns`] leaves out what the catalog does not select.
//!
//! Guards I3 (a record is its line, byte for byte), I9 (a line is sent, or counted as the settings say, or the run fails, with
//! file and line), I10 (one line and one buffer in memory) and I12 (names are data).
#![forbid(unsafe_code)]

mod columns;
mod lines;
mod settings;
mod shape;
mod sync;
mod table;

use singer_plugin::texts::run;

fn main() -> std::process::ExitCode {
    let description = "JSON Lines files, plain or compressed, here or in an object store";
    run::main::<settings::Settings>(env!("CARGO_PKG_VERSION"), description)
}
