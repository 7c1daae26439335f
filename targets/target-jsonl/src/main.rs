//! target-jsonl: one JSON lines file per stream.
//!
//! Where it stands: a Singer target on `singer-plugin`, at the end of any pipeline; it knows nothing of Dativo but the
//! job's name in its environment. Messages, files and commits are `singer_plugin::folder`'s; here is how a record stands in a
//! file: its bytes as they came (I3), and a newline.
#![forbid(unsafe_code)]

use singer_plugin::folder::{self, Format};
use singer_plugin::{Kind, Needs, Plugin, Result};

#[derive(Debug)]
struct Lines;

impl Format for Lines {
    fn ending(&self) -> &str {
        ".jsonl"
    }

    #[inline]
    fn write(&mut self, _at: usize, record: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        out.extend_from_slice(record);
        out.push(b'\n');
        Ok(true)
    }
}

fn main() -> std::process::ExitCode {
    let plugin = Plugin {
        name: "target-jsonl",
        version: env!("CARGO_PKG_VERSION"),
        description: "JSON lines files, one per stream, atomic at each STATE",
        kind: Kind::Target,
        capabilities: &[],
        settings: folder::settings(),
        needs: Needs {
            write: &["{config:path}"],
            network: singer_plugin::files::NETWORK,
            ..Needs::default()
        },
    };
    plugin.run_target(|load| folder::load::load(load, Lines), folder::load::bookmark)
}
