//! Done or interrupted: the first failure decides, and exit codes alone prove nothing (I11).

use singer_protocol::error::Fault;

/// Why a run was interrupted. `reason` is a code of `protocol/errors.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub reason: &'static str,
    /// The child, source or sink that it is about.
    pub child: Option<Box<str>>,
    /// One line for people.
    pub message: Box<str>,
    /// The stream, where it is about a message.
    pub stream: Option<Box<str>>,
    /// The line's number from 1.
    pub line: Option<u64>,
    /// The byte offset in that child's output.
    pub offset: Option<u64>,
    /// The plan's setting to change.
    pub setting: Option<&'static str>,
}

impl Failure {
    /// A failure of a child (or source, or sink).
    pub fn of(reason: &'static str, child: &str, message: impl Into<Box<str>>) -> Failure {
        let child = Some(child.into());
        Failure {
            reason,
            child,
            message: message.into(),
            stream: None,
            line: None,
            offset: None,
            setting: None,
        }
    }

    /// A failure of the run as a whole.
    pub fn run(reason: &'static str, message: impl Into<Box<str>>) -> Failure {
        Failure {
            child: None,
            ..Failure::of(reason, "", message)
        }
    }

    /// With the plan's setting to change.
    pub fn setting(mut self, setting: &'static str) -> Failure {
        self.setting = Some(setting);
        self
    }
}

/// Where a faulty line stood.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// Who wrote it.
    pub child: &'a str,
    /// Its stream, if it could be told.
    pub stream: Option<String>,
    /// Its number from 1.
    pub line: u64,
    /// The offset of its first byte.
    pub offset: u64,
}

/// A faulty line as a failure: names child, stream, line, offset and the setting.
pub fn data_failure(fault: &Fault, place: &Place<'_>) -> Failure {
    let at = place
        .stream
        .as_ref()
        .map(|s| format!(" of stream {s:?}"))
        .unwrap_or_default();
    let setting = match fault.code.as_str() {
        "data.line_too_long" => Some("limits.max_line"),
        "data.batch_refused" => Some("policy.batch"),
        "data.batch_outside" => Some("sandbox.write"),
        "data.junk" => Some("policy.junk"),
        _ => None,
    };
    let named = setting.map(|s| format!(" [{s}]")).unwrap_or_default();
    let message = format!(
        "{}: line {}{at}, byte {}: {fault}{named}",
        place.child, place.line, place.offset
    );
    Failure {
        reason: fault.code.as_str(),
        child: Some(place.child.into()),
        message: message.into(),
        stream: place.stream.as_deref().map(Into::into),
        line: Some(place.line),
        offset: Some(place.offset),
        setting,
    }
}

/// The run's verdict so far.
#[derive(Debug, Default)]
pub struct Verdict {
    first: Option<Failure>,
}

impl Verdict {
    /// Notes a failure; only the first counts. Whether it was the first.
    pub fn fail(&mut self, failure: Failure) -> bool {
        let first = self.first.is_none();
        self.first.get_or_insert(failure);
        first
    }

    /// The failure that decided.
    pub fn failure(&self) -> Option<&Failure> {
        self.first.as_ref()
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.first.is_some()
    }
}

/// What is known of a child when it has ended and its output was read.
#[derive(Clone, Debug)]
pub struct ExitFacts<'a> {
    /// Its name.
    pub child: &'a str,
    /// Its exit code, if no signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The stderr line that proves that it was stopped.
    pub stop_line: Option<&'a str>,
    /// For one that reads: whether the bus had closed its input by then.
    pub input_closed: Option<bool>,
    /// Bytes that were forwarded and that it never read.
    pub unread: u64,
}

/// What a child's end says against the run, if anything.
pub fn judge_exit(facts: &ExitFacts<'_>) -> Option<Failure> {
    let name = facts.child;
    if let Some(signal) = facts.signal {
        return Some(Failure::of(
            "plugin.killed",
            name,
            format!("{name} was killed by signal {signal}{}", signal_name(signal)),
        ));
    }
    if facts.code != Some(0) {
        let code = facts.code.unwrap_or(-1);
        return Some(Failure::of("plugin.exited", name, format!("{name} exited with {code}")));
    }
    if let Some(line) = facts.stop_line {
        let message = format!("{name} exited with 0, but was stopped: its log says {line:?}");
        return Some(Failure::of("plugin.stopped", name, message));
    }
    if facts.input_closed == Some(false) {
        let message = format!("{name} exited with 0 before its input had ended");
        return Some(Failure::of("plugin.early_end", name, message));
    }
    if facts.unread > 0 {
        let message = format!(
            "{name} exited with 0 and left {} bytes of its input unread",
            facts.unread
        );
        return Some(Failure::of("target.unread", name, message));
    }
    None
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        25 => " (SIGXFSZ)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(
        code: Option<i32>,
        signal: Option<i32>,
        stop: Option<&str>,
        closed: Option<bool>,
        unread: u64,
    ) -> &'static str {
        let facts = ExitFacts {
            child: "t",
            code,
            signal,
            stop_line: stop,
            input_closed: closed,
            unread,
        };
        judge_exit(&facts).map_or("fine", |f| f.reason)
    }

    #[test]
    fn exit_codes_alone_prove_nothing() {
        assert_eq!(reason(Some(0), None, None, Some(true), 0), "fine");
        assert_eq!(reason(Some(0), None, None, None, 0), "fine");
        assert_eq!(
            reason(Some(0), None, Some("Received SIGTERM"), None, 0),
            "plugin.stopped"
        );
        assert_eq!(reason(Some(0), None, None, Some(false), 0), "plugin.early_end");
        assert_eq!(reason(Some(0), None, None, Some(true), 1), "target.unread");
        assert_eq!(reason(Some(3), None, None, Some(false), 1), "plugin.exited");
        assert_eq!(reason(None, Some(9), None, Some(true), 0), "plugin.killed");
    }

    #[test]
    fn the_first_failure_decides() {
        let mut verdict = Verdict::default();
        assert!(verdict.fail(Failure::run("run.cancelled", "first")));
        assert!(!verdict.fail(Failure::of("plugin.exited", "t", "second")));
        assert_eq!(verdict.failure().unwrap().message.as_ref(), "first");
    }
}
