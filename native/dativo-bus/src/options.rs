//! The command line: few options, since everything that matters is in the plan.

use crate::gather::Gather;
use crate::play::Play;
use crate::tree::{Question, Tree};
use std::ffi::OsString;
use std::path::PathBuf;

const HELP: &str = "\
Usage: dativo-bus [--plan-fd N] [--events-fd N]
       dativo-bus --probe
       dativo-bus --play FILE… [--until N] [--stream NAME…] [--state FILE] [--real-time]
       dativo-bus --tape-info FILE
       dativo-bus --tree-look DIR | --tree-hash DIR | --tree-link DIR NEW [--but NAME…]
       dativo-bus --gather --lane N… --control-fd N --events-fd N [--memory N] [--disk N] [--folder DIR] [--max-line N]

The data plane of Dativo. Reads a plan (JSON) from a descriptor, runs it, writes events (JSON lines) to another.

Options:
  --plan-fd N           read the plan from descriptor N [default: 0]
  --events-fd N         write events to descriptor N [default: 1]
  --probe               try every layer of the sandbox and print what works here, as JSON
  --play FILE           be a tap: print a tape's stream, or the letters of dead-letter files, as Singer messages
  --until N             of --play: stop behind so many records
  --stream NAME         of --play with letters: only this stream (repeatable)
  --state FILE          of --play with letters: only those behind this bookmark
  --real-time           of --play with a tape: as slowly as it was recorded
  --tape-info FILE      print what a tape holds, as JSON
  --gather              print the streams of several taps as one, with one bookmark
  --lane N              of --gather: read a tap's messages from descriptor N (repeatable)
  --control-fd N        of --gather: what is said to it, as JSON lines
  --memory N, --disk N  of --gather: bytes that may wait for a STATE
  --folder DIR          of --gather: where on disk
  --max-line N          of --gather: bytes of the longest message
  --tree-look DIR       print one hash over the size, ctime and inode of all files in a folder
  --tree-hash DIR       print the SHA-256 of each: HASH SPACE NAME NUL, or @ NAME NUL TARGET NUL for a link
  --tree-link DIR NEW   make a folder with the same files, as hard links
  --but NAME            of --tree-…: a name at the top that does not count (repeatable)
  --schema plan|event   print the JSON Schema of the plan or of the events
  --version             print the version
  --help                print this

Exit codes: 0 the run is done, 1 it was interrupted, 2 bad plan, 3 the machine lacks something.
";
const PLAN_SCHEMA: &str = include_str!("../../../protocol/schemas/plan.schema.json");
const EVENT_SCHEMA: &str = include_str!("../../../protocol/schemas/event.schema.json");

/// Where the plan comes from and the events go.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// The plan's descriptor.
    pub plan_fd: i32,
    /// The events' descriptor.
    pub events_fd: i32,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a plan.
    Run(Options),
    /// Say what this machine gives.
    Probe,
    /// Print a recorded stream, or letters.
    Play(Play),
    /// Make one stream of several.
    Gather(Gather),
    /// Say what a tape holds.
    TapeInfo(PathBuf),
    /// Answer a question about a folder's files.
    Tree(Tree),
    /// Print a text and exit.
    Print(String),
}

/// Reads the arguments.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action, String> {
    let mut options = Options {
        plan_fd: 0,
        events_fd: 1,
    };
    let mut wanted = Play::default();
    let mut gather = Gather::default();
    let mut gathers = false;
    let arguments: Vec<OsString> = arguments.collect();
    if arguments
        .first()
        .is_some_and(|first| first.to_string_lossy().starts_with("--tree-"))
    {
        return tree(arguments);
    }
    let mut arguments = arguments.into_iter().map(|a| a.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (argument.clone(), None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| arguments.next())
                .ok_or(format!("{name} needs a value; see --help"))
        };
        match name.as_str() {
            "--plan-fd" => options.plan_fd = number(&name, &value()?)?,
            "--events-fd" => options.events_fd = number(&name, &value()?)?,
            "--play" => wanted.files.push(value()?.into()),
            "--until" => wanted.until = Some(count(&name, &value()?)?),
            "--stream" => wanted.streams.push(value()?),
            "--state" => wanted.state = Some(value()?.into()),
            "--real-time" => wanted.real_time = true,
            "--gather" => gathers = true,
            "--lane" => gather.lanes.push(number(&name, &value()?)?),
            "--control-fd" => gather.control_fd = number(&name, &value()?)?,
            "--memory" => gather.memory = count(&name, &value()?)?,
            "--disk" => gather.disk = count(&name, &value()?)?,
            "--folder" => gather.folder = Some(value()?.into()),
            "--max-line" => gather.max_line = count(&name, &value()?)? as usize,
            "--tape-info" => return Ok(Action::TapeInfo(value()?.into())),
            "--probe" => return Ok(Action::Probe),
            "--schema" => match value()?.as_str() {
                "plan" => return Ok(Action::Print(PLAN_SCHEMA.into())),
                "event" => return Ok(Action::Print(EVENT_SCHEMA.into())),
                other => return Err(format!("--schema {other:?} is not known: plan or event")),
            },
            "--version" => return Ok(Action::Print(format!("dativo-bus {}\n", env!("CARGO_PKG_VERSION")))),
            "--help" | "-h" => return Ok(Action::Print(HELP.into())),
            _ => return Err(format!("unknown argument {argument:?}; see --help")),
        }
    }
    if gathers {
        gather.events_fd = options.events_fd;
        return match gather.lanes.is_empty() {
            true => Err("--gather needs a --lane".into()),
            false => Ok(Action::Gather(gather)),
        };
    }
    if gather != Gather::default() {
        return Err("--lane, --control-fd, --memory, --disk, --folder and --max-line are of --gather".into());
    }
    if !wanted.files.is_empty() {
        return Ok(Action::Play(wanted));
    }
    if wanted != Play::default() {
        return Err("--until, --stream, --state and --real-time are of --play".into());
    }
    match options.plan_fd == options.events_fd {
        true => Err("--plan-fd and --events-fd must differ".into()),
        false => Ok(Action::Run(options)),
    }
}

/// `--tree-…`: its paths may be any bytes.
fn tree(arguments: Vec<OsString>) -> Result<Action, String> {
    let mut rest = arguments.into_iter();
    let name = rest.next().unwrap_or_default();
    let mut path = || {
        rest.next()
            .ok_or(format!("{} needs a folder; see --help", name.to_string_lossy()))
    };
    let top = path()?.into();
    let question = match name.to_str() {
        Some("--tree-look") => Question::Look,
        Some("--tree-hash") => Question::Hash,
        Some("--tree-link") => Question::Link(path()?.into()),
        _ => return Err(format!("unknown argument {name:?}; see --help")),
    };
    let mut but = Vec::new();
    while let Some(word) = rest.next() {
        match (word.to_str(), rest.next()) {
            (Some("--but"), Some(name)) => but.push(name),
            _ => return Err(format!("--but NAME is expected, not {word:?}")),
        }
    }
    Ok(Action::Tree(Tree { question, top, but }))
}

fn count(name: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{name} must be a number, not {value:?}"))
}

fn number(name: &str, value: &str) -> Result<i32, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n >= 0)
        .ok_or(format!("{name} must be the number of a descriptor, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Action, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn descriptors_have_defaults_and_both_spellings() {
        assert_eq!(
            of(&[]),
            Ok(Action::Run(Options {
                plan_fd: 0,
                events_fd: 1
            }))
        );
        assert_eq!(
            of(&["--plan-fd", "3", "--events-fd=4"]),
            Ok(Action::Run(Options {
                plan_fd: 3,
                events_fd: 4
            }))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for arguments in [
            &["--plan-fd"][..],
            &["--plan-fd", "x"],
            &["--plan-fd", "1"],
            &["--schema", "x"],
            &["run"],
            &["--gather"],
            &["--lane", "4"],
            &["--tree-look"],
            &["--tree-link", "a"],
            &["--tree-hash", "a", "--but"],
            &["--tree-eat", "a"],
        ] {
            assert!(of(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn schemas_are_json() {
        for name in ["plan", "event"] {
            let Ok(Action::Print(text)) = of(&["--schema", name]) else {
                panic!("no schema")
            };
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}
