//! target-csv: CSV files, one per stream and layout.
//!
//! Where it stands: a Singer target on `singer-plugin`, at the end of any pipeline; it knows nothing of Dativo but the job's
//! name in its environment. Messages, files and commits are `singer_plugin::folder`'s; here is how a record stands in a file:
//! [`settings`] > [`table`] (a stream's columns, a record's values by column) > [`cell`] (one JSON value as a field), straight from
//! the record's bytes.
//!
//! Guards I9 (a property that no column has begins a file that has one; nothing is left out) and I12 (what is in a value is data:
//! quoted where it must be).
#![forbid(unsafe_code)]

mod cell;
mod settings;
mod table;

use singer_plugin::{folder, Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "target-csv",
        version: env!("CARGO_PKG_VERSION"),
        description: "CSV files, one per stream and layout, atomic at each STATE",
        kind: Kind::Target,
        capabilities: &[],
        settings: settings::declare(),
        needs: Needs {
            write: &["{config:path}"],
            network: singer_plugin::files::NETWORK,
            ..Needs::default()
        },
    };
    let load = |load: singer_plugin::Load| {
        let tables = table::Tables::new(settings::Settings::of(&load.config)?);
        folder::load::load(load, tables)
    };
    plugin.run_target(load, folder::load::bookmark)
}
