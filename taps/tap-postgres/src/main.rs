//! tap-postgres: tables and views of PostgreSQL as Singer streams.
//!
//! Where it stands: a Singer tap on `singer-plugin`, at the head of any pipeline; it knows nothing of Dativo. The flow:
//! [`settings`] > [`discover`] ([`table`]s and their [`column`]s with their [`shape`]s, from the system catalogs) > [`choice`]
//! (which of them) and [`bookmark`] (where the last run ended) > [`sync`](mod@sync) (SCHEMA, rows, STATE, ACTIVATE_VERSION), which cuts a table into [`statement`]s
//! and has them read by [`lane`]s (a connection and a thread each). A lane takes `COPY … (FORMAT binary)` apart ([`copy`]) and
//! gathers the values as Arrow columns ([`cells`], with [`numeric`], [`moment`], [`texts`], [`list`] and [`compact`]). [`session`] makes
//! connections, and ends what they do at a signal.
//!
//! Guards I9 (a value that has no JSON form ends the run with its row's key, unless `nonfinite` says otherwise), I10 (three batches
//! and one row in memory for each lane), I11 (no exit code 0 after a signal), I12 (names and bookmarks are quoted, never
//! pasted), I13 (through `singer_plugin::postgres`). No digit is lost: numerics are decimals with all of theirs.
#![forbid(unsafe_code)]

mod bookmark;
mod cells;
mod choice;
mod column;
mod compact;
mod copy;
mod discover;
mod lane;
mod list;
mod moment;
mod numeric;
mod session;
mod settings;
mod shape;
mod statement;
mod sync;
mod table;
mod texts;

use singer_plugin::{postgres, Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: settings::NAME,
        version: env!("CARGO_PKG_VERSION"),
        description: "Tables and views of PostgreSQL, read by binary COPY",
        kind: Kind::Tap,
        capabilities: &["arrow"],
        settings: settings::declare(),
        needs: Needs {
            read: postgres::READ,
            network: postgres::NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_tap(discover::discover, sync::sync)
}
