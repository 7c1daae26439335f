//! Write Singer taps and targets in Rust.
//!
//! A plugin declares what it is and hands over two functions; this crate does the rest: command line
//! (`--about --discover --config --catalog --properties --state --bookmark --version --help`), settings (declared once:
//! checked, documented, read from files and environment), catalog and selection, buffered output, judged input, errors
//! with stable codes and exit codes, SIGTERM for targets.
//!
//! A whole tap:
//!
//! ```
//! use serde_json::json;
//! use singer_plugin::catalog::{Catalog, Stream};
//! use singer_plugin::message::Schema;
//! use singer_plugin::settings::{Kind::Count, Setting};
//! use singer_plugin::{Kind, Needs, Plugin, Result, Sync};
//!
//! fn plugin() -> Plugin {
//!     Plugin {
//!         name: "tap-squares",
//!         version: "0.1.0",
//!         description: "Square numbers",
//!         kind: Kind::Tap,
//!         capabilities: &[],
//!         settings: vec![Setting::new("upto", Count, "The last number to square.").default(3)],
//!         needs: Needs::default(),
//!     }
//! }
//!
//! fn discover(_config: &singer_plugin::settings::Config) -> Result<Catalog> {
//!     let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}, "square": {"type": "integer"}}});
//!     let stream = Stream { tap_stream_id: "squares".into(), stream: "squares".into(), schema, ..Stream::default() };
//!     Ok(Catalog { streams: vec![stream] })
//! }
//!
//! fn sync<W: std::io::Write>(sync: Sync<'_, W>) -> Result<()> {
//!     for stream in sync.catalog.streams.iter().filter(|s| s.is_selected()) {
//!         sync.out.schema(&Schema {
//!             stream: stream.stream.clone(),
//!             schema: stream.schema.clone(),
//!             key_properties: vec!["n".into()],
//!             bookmark_properties: vec![],
//!         })?;
//!         let done = sync.state.get("n").and_then(|n| n.as_u64()).unwrap_or(0);
//!         for n in done + 1..=sync.config.get("upto").and_then(|n| n.as_u64()).unwrap_or(0) {
//!             sync.out.record_of(&stream.stream, &json!({"n": n, "square": n * n}))?;
//!             sync.out.state(&json!({"n": n}))?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! // fn main() -> std::process::ExitCode { plugin().run_tap(discover, sync) }
//! # let mut out = Vec::new();
//! # let code = plugin().tap_with(["tap-squares"].map(Into::into), &mut out, &discover, &sync);
//! # assert_eq!(code.map_err(|e| e.to_string()), Ok(()));
//! # let text = String::from_utf8(out).unwrap();
//! # assert_eq!(text.lines().count(), 7);
//! # assert!(text.ends_with("{\"n\":3,\"square\":9}}\n{\"type\":\"STATE\",\"value\":{\"n\":3}}\n"));
//! ```
//!
//! A target is the same with [`Plugin::run_target`]: it gets a [`reader::Reader`] and must print a STATE's value
//! ([`Load::confirm`]) only when everything before it is durable (I1).
//!
//! Where it stands: `taps/*` and `targets/*` in Rust build on it, it builds on `singer-protocol`; it never depends on
//! anything else of Dativo, so such plugins run under any Singer runner. Guards I1 and I10 for their authors, I12 and
//! I13 in what errors say.
#![forbid(unsafe_code)]

#[cfg(feature = "arrow")]
pub mod batches;
#[cfg(feature = "files")]
pub mod by_stream;
pub mod catalog;
pub mod cli;
pub mod error;
#[cfg(feature = "files")]
pub mod files;
#[cfg(feature = "texts")]
pub mod folder;
pub mod name;
#[cfg(feature = "arrow")]
pub mod plain;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod reader;
pub mod settings;
#[cfg(feature = "arrow")]
pub mod sink;
#[cfg(feature = "files")]
pub mod state;
#[cfg(feature = "texts")]
pub mod texts;
pub mod writer;

use std::io::Write;
use std::process::ExitCode;

use serde_json::{json, Map, Value};
#[cfg(feature = "arrow")]
pub use singer_protocol::columns;
pub use singer_protocol::{envelope, framing, json as wire_json, line, message, text};

use catalog::Catalog;
use cli::{Action, Arguments};
pub use error::{PluginError, Result};
use reader::{End, Reader};
use settings::{Config, Setting};
use writer::Writer;

/// The STATE value that a destination holds for a job.
pub type Stored = Option<Vec<u8>>;

/// Tap or target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads a source and writes messages.
    Tap,
    /// Reads messages and writes a destination.
    Target,
}

/// What a plugin is.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its name, `tap-…` or `target-…`.
    pub name: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// One line.
    pub description: &'static str,
    /// Tap or target.
    pub kind: Kind,
    /// Capabilities beyond those that this crate brings.
    pub capabilities: &'static [&'static str],
    /// Its settings.
    pub settings: Vec<Setting>,
    /// What it must reach, for runners that confine it (I6).
    pub needs: Needs,
}

/// What a plugin must reach: paths, or `{config:KEY}` for the paths that a setting holds. The network is asked for by
/// naming `host:port`s, `{config:KEY}` for a URL in a setting, or by `config` alone: every host that the settings name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Read.
    pub read: &'static [&'static str],
    /// Written.
    pub write: &'static [&'static str],
    /// Connected to.
    pub network: &'static [&'static str],
}

/// What a tap's sync gets.
#[derive(Debug)]
pub struct Sync<'a, W: Write> {
    /// The settings, checked.
    pub config: Config,
    /// The catalog handed in, or the discovered one.
    pub catalog: Catalog,
    /// The state handed in; empty for a first run.
    pub state: Map<String, Value>,
    /// Where messages go.
    pub out: &'a mut Writer<W>,
}

/// What a target's load gets.
#[derive(Debug)]
pub struct Load {
    /// The settings, checked.
    pub config: Config,
    /// The job's name (DATIVO_JOB, else `default`).
    pub job: String,
    /// The input.
    pub reader: Reader,
}

impl Load {
    /// Print a STATE's value. I1: only when every record before it is durable.
    pub fn confirm(value: &[u8]) -> Result<()> {
        let mut line = value.to_vec();
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        out.write_all(&line)
            .and_then(|()| out.flush())
            .map_err(|e| PluginError::output(&e))
    }
}

impl Plugin {
    /// The manifest that `--about --format json` prints.
    pub fn manifest(&self) -> Value {
        let own: &[&str] = match self.kind {
            Kind::Tap => &["about", "exit-codes", "catalog", "properties", "discover", "state"],
            Kind::Target => &["about", "exit-codes", "bookmark"],
        };
        let network = match self.needs.network {
            ["config"] => json!("config"),
            hosts => json!(hosts),
        };
        let capabilities: Vec<_> = own.iter().chain(self.capabilities).collect();
        json!({
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "kind": if self.kind == Kind::Tap { "tap" } else { "target" },
            "capabilities": capabilities,
            "settings": settings::schema(&self.settings),
            "sandbox": {"read": self.needs.read, "write": self.needs.write, "network": network},
            "env": if self.kind == Kind::Target { json!(["DATIVO_JOB", "DATIVO_RUN"]) } else { json!([]) },
        })
    }

    /// The main function of a tap.
    pub fn run_tap(
        &self,
        discover: impl Fn(&Config) -> Result<Catalog>,
        sync: impl Fn(Sync<'_, std::fs::File>) -> Result<()>,
    ) -> ExitCode {
        exit(
            writer::stdout()
                .and_then(|out| self.tap_with(std::env::args_os(), out, &discover, &sync))
                .map(|()| 0),
        )
    }

    /// The same with a command line and an output of the caller's, for tests.
    pub fn tap_with<W: Write>(
        &self,
        words: impl IntoIterator<Item = std::ffi::OsString>,
        mut out: W,
        discover: &dyn Fn(&Config) -> Result<Catalog>,
        sync: &dyn Fn(Sync<'_, W>) -> Result<()>,
    ) -> Result<()> {
        let arguments = Arguments::parse(self, words.into_iter().skip(1))?;
        match arguments.action {
            Action::Discover => {
                let catalog = discover(&arguments.config(self)?)?;
                print(&mut out, &format!("{:#}", json!(catalog)))
            }
            Action::Run => {
                let (config, state) = (arguments.config(self)?, arguments.state()?);
                let catalog = match arguments.catalog()? {
                    Some(catalog) => catalog,
                    None => discover(&config)?,
                };
                let mut writer = Writer::new(out);
                let ended = sync(Sync {
                    config,
                    catalog,
                    state,
                    out: &mut writer,
                });
                // What was read before an error is good data, and says how far the tap came.
                let flushed = writer.flush();
                ended.and(flushed)
            }
            other => self.tell(other, &mut out),
        }
    }

    /// The main function of a target. `load` returns how its input ended; `bookmark` the STATE value stored for a job.
    pub fn run_target(
        &self,
        load: impl Fn(Load) -> Result<End>,
        bookmark: impl Fn(&Config, &str) -> Result<Stored>,
    ) -> ExitCode {
        exit(self.target_with(std::env::args_os(), &load, &bookmark))
    }

    fn target_with(
        &self,
        words: impl IntoIterator<Item = std::ffi::OsString>,
        load: &dyn Fn(Load) -> Result<End>,
        bookmark: &dyn Fn(&Config, &str) -> Result<Stored>,
    ) -> Result<u8> {
        let arguments = Arguments::parse(self, words.into_iter().skip(1))?;
        match (arguments.action, &arguments.job) {
            (Action::Bookmark, Some(job)) => match bookmark(&arguments.config(self)?, job)? {
                Some(value) => Load::confirm(&value).map(|()| 0),
                None => Ok(0),
            },
            (Action::Run, _) => {
                let config = arguments.config(self)?;
                let job = std::env::var("DATIVO_JOB")
                    .ok()
                    .filter(|j| !j.is_empty())
                    .unwrap_or("default".into());
                let set = config.get("max_line").and_then(Value::as_u64).map(|n| n as usize);
                let max_line = set.unwrap_or(framing::DEFAULT_MAX_LINE);
                let mut reader = Reader::stdin(max_line)?;
                if let Some(path) = &arguments.input {
                    let file = std::fs::File::open(path).map_err(|e| PluginError::io("cannot read", path, &e))?;
                    reader = Reader::of(file, max_line);
                }
                match load(Load { config, job, reader })? {
                    End::Eof => Ok(0),
                    End::Signal(signal) => Ok((128 + signal) as u8),
                }
            }
            (other, _) => self.tell(other, &mut std::io::stdout()).map(|()| 0),
        }
    }

    /// The actions that need no settings.
    fn tell(&self, action: Action, out: &mut dyn Write) -> Result<()> {
        match action {
            Action::Version => print(out, &format!("{} {}", self.name, self.version)),
            Action::AboutJson => print(out, &format!("{:#}", self.manifest())),
            Action::AboutText => print(out, self.about().trim_end()),
            _ => print(out, cli::help(self).trim_end()),
        }
    }

    fn about(&self) -> String {
        let manifest = self.manifest();
        let mut text = format!("{} {}\n{}\n\nSettings:\n", self.name, self.version, self.description);
        for (name, property) in manifest["settings"]["properties"].as_object().into_iter().flatten() {
            let default = property
                .get("default")
                .map(|d| format!(" (default {d})"))
                .unwrap_or_default();
            let about = property["description"].as_str().unwrap_or_default();
            text.push_str(&format!("  {name:<22} {about}{default}\n"));
        }
        text
    }
}

fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(format!("{text}\n").as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| PluginError::output(&e))
}

fn exit(ended: Result<u8>) -> ExitCode {
    ended
        .unwrap_or_else(|error| {
            error.report();
            error.exit
        })
        .into()
}
