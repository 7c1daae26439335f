//! tap-csv: CSV files as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo. The flow:
//! [`settings`] > `singer_plugin::texts` (files and globs, here or in object stores, as UTF-8 text; how far each was read) >
//! [`rows`] (CSV rows with their place) > [`kinds`] and [`texts`] (what a column's texts are, and one text as JSON) > [`table`] (what
//! headers and a sample say of a stream's columns) > [`sync`](mod@sync) (a file's rows as RECORDs, within
//! `singer_plugin::texts::run`, which sends SCHEMA and STATE).
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

use singer_plugin::texts::run;

fn main() -> std::process::ExitCode {
    let description = "CSV files, plain or compressed, here or in an object store, with inferred types";
    run::main::<settings::Settings>(env!("CARGO_PKG_VERSION"), description)
}
