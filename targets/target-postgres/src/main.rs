//! target-postgres: each stream a table, data and bookmark in one transaction.
//!
//! Where it stands: a Singer target on `singer-plugin`, whose driver (`sink`) hands it record batches and says when to commit; it
//! knows nothing of Dativo but the job's name in its environment. The flow: [`load`](mod@load) (a run) > [`stream`] (a stream's rows) >
//! [`batch`] and [`fit`] (each field, its column, the way into it) > [`cell`] (the bytes of COPY) > [`database`] and
//! [`copying`] (one COPY for many batches, a [`flight`]); beside them
//! [`table`] (what is there and what it becomes), [`merge`] (what cannot be copied straight), [`bookmark`].
//!
//! Guards I1 and I2 (a STATE is printed when the transaction that holds its rows and itself is committed), I9 (a value
//! that does not fit widens its column exactly, or ends the run), I10 (COPY streams in pieces) and I12 (names are quoted).
#![forbid(unsafe_code)]

mod batch;
mod bookmark;
mod cell;
mod copying;
mod database;
mod fit;
mod flight;
mod load;
mod merge;
mod name;
mod numeric;
mod settings;
mod source;
mod sql_type;
mod stream;
mod table;

use singer_plugin::{postgres, Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "target-postgres",
        version: env!("CARGO_PKG_VERSION"),
        description: "PostgreSQL tables by binary COPY, data and bookmark in one transaction",
        kind: Kind::Target,
        capabilities: &[
            "activate-version",
            "arrow",
            "batch",
            "hard-delete",
            "schema-evolution",
            "target-schema",
            "upsert",
        ],
        settings: settings::declared(),
        needs: Needs {
            read: postgres::READ,
            network: postgres::NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_target(load::load, load::stored)
}
