//! target-jsonl: one JSON lines file per stream.
//!
//! Where it stands: a Singer target on `singer-plugin`, at the end of any pipeline; it knows nothing of Dativo but the
//! job's name in its environment. The flow: [`load`](mod@load) (messages) > [`store`] (files, commit) > [`sidecar`] (what
//! is committed, per job), with [`name`] (a stream's file name).
//!
//! Guards I1 (a STATE is printed when its records are synced and the sidecar says so), I3 (record bytes as they came),
//! I9, I10 (buffers are bounded over all streams) and I12 (a stream's name is no path).
#![forbid(unsafe_code)]

mod load;
mod name;
mod sidecar;
mod store;

use singer_plugin::settings::{Kind::Choice, Kind::Count, Kind::Text, Setting};
use singer_plugin::{framing, Kind, Needs, Plugin};

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "target-jsonl",
        version: env!("CARGO_PKG_VERSION"),
        description: "JSON lines files, one per stream, atomic at each STATE",
        kind: Kind::Target,
        capabilities: &[],
        settings: vec![
            Setting::new("path", Text, "The directory to write into; made if it is missing.").required(),
            Setting::new(
                "mode",
                Choice(&["append", "overwrite"]),
                "What becomes of a stream's file.",
            )
            .default("append"),
            Setting::new("max_line", Count, "The longest message in bytes.").default(framing::DEFAULT_MAX_LINE as u64),
        ],
        needs: Needs {
            write: &["{config:path}"],
            ..Needs::default()
        },
    };
    plugin.run_target(load::load, load::bookmark)
}
