//! tap-parquet: Parquet files, here or in object stores, as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo but the spool that
//! `singer-plugin` may find. The flow: [`settings`] > [`source`] (one file: its footer and its row groups) > [`table`] (a stream's files
//! and columns) > [`sync`](mod@sync) (SCHEMA, rows, STATE) with [`since`] (rows behind a replication key's bookmark) and [`bookmark`]
//! (how far each file was read).
//!
//! Guards I9 (a row is sent or the run fails, with file and column), I10 (one batch in memory, sized by what a row takes) and I12 (names
//! are data).
#![forbid(unsafe_code)]

mod bookmark;
mod settings;
mod since;
mod source;
mod sync;
mod table;

use singer_plugin::files::NETWORK;
use singer_plugin::{Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "tap-parquet",
        version: env!("CARGO_PKG_VERSION"),
        description: "Parquet files, local or in an object store",
        kind: Kind::Tap,
        capabilities: &["arrow"],
        settings: settings::declare(),
        needs: Needs {
            read: &["{config:files}"],
            network: NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_tap(sync::discover, sync::sync)
}
