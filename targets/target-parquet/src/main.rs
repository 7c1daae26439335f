//! target-parquet: a folder of Parquet files per stream, here or in an object store.
//!
//! Where it stands: a Singer target on `singer-plugin`, at the end of any pipeline; it knows nothing of Dativo but the job's name in
//! its environment. The flow: [`load`](mod@load) (what comes, by stream and version) > [`shape`] (the columns of a stream's files) >
//! [`partition`] (which rows go into which folder) > [`writer`] (one open file) > [`store`] (files and the commit that makes them
//! count) with [`manifest`] (what is committed, per job). [`settings`] are read once.
//!
//! Guards I1 and I2 (a STATE is printed when the manifest that names its files is durable), I5 (one writer per job), I9 (a value that
//! its column cannot hold starts a file whose column can), I10 (open files and what they hold in memory are bounded) and I12
//! (names and values are no paths).
#![forbid(unsafe_code)]

mod load;
mod manifest;
mod partition;
mod settings;
mod shape;
mod store;
mod writer;

use singer_plugin::files::NETWORK;
use singer_plugin::{Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "target-parquet",
        version: env!("CARGO_PKG_VERSION"),
        description: "Parquet files, local or in an object store, committed by a manifest",
        kind: Kind::Target,
        capabilities: &["activate-version", "arrow", "batch", "schema-evolution"],
        settings: settings::declare(),
        needs: Needs {
            write: &["{config:path}"],
            network: NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_target(load::load, load::bookmark)
}
