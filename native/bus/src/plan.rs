//! The plan: the one JSON document that says what to start, how to confine it and how to wire it.
//!
//! Field for field `protocol/schemas/plan.schema.json`; what the schema cannot say (an order of roles, a descriptor
//! used twice) is checked in [`crate::wiring`].

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use crate::adapt::Adapt;
pub use crate::airbyte::Airbyte;
pub use crate::beside::{CopyTo, DeadLetters, KnownSchema, Tape};
pub use crate::confine::{ChildLimits, Layout, Network, Profile, Sandbox};
pub use crate::policy::{
    BadRecord, BatchPolicy, CheckPolicy, ConfirmPolicy, Grace, JunkPolicy, Limits, Policy, Spill, Spooling,
};

/// The plan's version that this bus understands.
pub const VERSION: u32 = 1;

/// The limits that a child may have, by name.
const RLIMITS: [&str; 9] = [
    "as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack",
];

/// Why a plan cannot be used: where in it, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub struct PlanError {
    /// A path into the document, as `children[0].role`; empty for the document itself.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.is_empty() {
            true => write!(f, "{}", self.message),
            false => write!(f, "{}: {}", self.at, self.message),
        }
    }
}

impl std::error::Error for PlanError {}

/// One attempt of one job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The document's version, 1.
    pub plan: u32,
    /// The run's name, repeated in the `started` event.
    pub run: String,
    /// The job's name.
    pub job: String,
    /// Values that no event may show (I13).
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// A directory that the bus makes (0700), locks and removes; its parent exists.
    pub run_dir: PathBuf,
    /// A descriptor with JSON lines from the control plane; when it hangs up, everything is killed.
    #[serde(default)]
    pub control_fd: Option<i32>,
    /// A stream that comes from elsewhere, in place of a tap.
    #[serde(default)]
    pub source: Option<Source>,
    /// Where the stream goes, in place of a target.
    #[serde(default)]
    pub sink: Option<Sink>,
    /// Who is started, in the order of the wiring.
    pub children: Vec<Child>,
    /// Bounds, in bytes.
    #[serde(default)]
    pub limits: Limits,
    /// What to do with what is not quite right.
    #[serde(default)]
    pub policy: Policy,
    /// The file for records that are set aside.
    #[serde(default)]
    pub dead_letters: Option<DeadLetters>,
    /// What earlier runs saw, by stream.
    #[serde(default)]
    pub known_schemas: BTreeMap<String, KnownSchema>,
    /// How long who may take, in seconds.
    #[serde(default)]
    pub grace: Grace,
    /// What is kept for a target that dies; with it, the control plane is asked whether to start a child again.
    #[serde(default)]
    pub spill: Option<Spill>,
    /// Where rows lie that go as columns.
    #[serde(default)]
    pub spool: Option<Spooling>,
    /// A file that every line for the last receiver is appended to, as it was.
    #[serde(default)]
    pub copy_to: Option<CopyTo>,
    /// Where the run is recorded.
    #[serde(default)]
    pub tape: Option<Tape>,
    /// Who is started when a SCHEMA cannot be used here, and judges that stream's records.
    #[serde(default)]
    pub checker: Option<Child>,
    /// Seconds between two `counters` events.
    #[serde(default = "quarter")]
    pub counters_every: f64,
}

/// A shell pipe in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The descriptor to read.
    pub fd: i32,
    /// Whose stream it is, for messages.
    #[serde(default)]
    pub name: Option<String>,
    /// After its EOF, ask the control plane whether its writer ended or died.
    #[serde(default)]
    pub await_verdict: bool,
}

/// A shell pipe out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// The descriptor to write.
    pub fd: i32,
    /// Who reads it, for messages.
    #[serde(default)]
    pub name: Option<String>,
    /// For the control plane: whether a closed pipe is worth a word.
    #[serde(default)]
    pub quiet: bool,
    /// What is changed in what goes there.
    #[serde(default)]
    pub adapt: Option<Adapt>,
}

/// What a child is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Writes a stream.
    Tap,
    /// Reads and writes one.
    Mapper,
    /// Reads one and confirms STATEs.
    Target,
    /// Answers a question (`--about`, `--discover`, `--version`): no Singer.
    Probe,
    /// Judges records whose SCHEMA the bus cannot use ([`crate::check::referee`]). Not a part of the wiring.
    Checker,
}

impl Role {
    /// The name in plans and events.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Tap => "tap",
            Role::Mapper => "mapper",
            Role::Target => "target",
            Role::Probe => "probe",
            Role::Checker => "checker",
        }
    }
}

/// One process to start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// Its name in events and messages.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Program and arguments; may hold `{file:x}`, `{run_dir}`, `{home}`, `{tmp}`.
    pub argv: Vec<String>,
    /// Its whole environment; values may hold the same.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Files only it can reach.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    /// Resource limits by name; null leaves one as it is.
    #[serde(default)]
    pub rlimits: BTreeMap<String, Option<u64>>,
    /// How it is confined; standard, with nothing granted, when absent.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Bounds of its whole process tree.
    #[serde(default)]
    pub limits: ChildLimits,
    /// A target that speaks Arrow: records are made into columns for it. Needs a `spool`.
    #[serde(default)]
    pub arrow: bool,
    /// A tap or target that speaks the Airbyte protocol: its messages are translated.
    #[serde(default)]
    pub airbyte: Option<Airbyte>,
    /// What is changed in what it reads.
    #[serde(default)]
    pub adapt: Option<Adapt>,
    /// What it gets when its input broke off.
    #[serde(default)]
    pub on_upstream_failure: OnUpstreamFailure,
    /// Parts of stderr lines that prove that it was stopped, whatever it exits with.
    #[serde(default)]
    pub interrupt_log: Vec<String>,
    /// Parts of stderr lines that are warnings. Not used yet.
    #[serde(default)]
    pub warn_log: Vec<String>,
}

/// A file for one child.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What is in it. Never shown anywhere (I13).
    pub content: String,
    /// How the child reaches it.
    #[serde(default)]
    pub mode: FileMode,
    /// A descriptor for the content that the child leaves, if it changed a file of mode `file`.
    #[serde(default)]
    pub back_fd: Option<i32>,
}

/// A value that must not be shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret")
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.mode, self.content.len())
    }
}

/// How a child reaches a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileMode {
    /// Sealed memory at /proc/self/fd/N: read-only, without a name.
    #[default]
    Memfd,
    /// A 0600 file in the child's scratch directory: writable, for plugins that rewrite their config.
    File,
}

/// What a receiver gets when its input broke off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUpstreamFailure {
    /// EOF: it keeps all that came.
    #[default]
    Eof,
    /// SIGTERM: it commits up to the last STATE only, as Dativo's own targets do.
    Term,
}

/// A complaint of the parser without the text that it complains about: that may be a secret (I13).
fn without_values(message: &str) -> String {
    match (message.find(" string \""), message.rfind("\", expected ")) {
        (Some(start), Some(end)) if start < end => format!("{} string{}", &message[..start], &message[end + 1..]),
        _ => message.to_string(),
    }
}

fn quarter() -> f64 {
    0.25
}

impl Plan {
    /// Reads and checks a plan.
    pub fn parse(document: &[u8]) -> Result<Plan, PlanError> {
        let mut from = serde_json::Deserializer::from_slice(document);
        let plan: Plan = serde_path_to_error::deserialize(&mut from).map_err(|e| {
            let at = e.path().to_string();
            PlanError {
                at: if at == "." { String::new() } else { at },
                message: without_values(&e.into_inner().to_string()),
            }
        })?;
        from.end().map_err(|e| PlanError {
            at: String::new(),
            message: e.to_string(),
        })?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), PlanError> {
        let wrong = |at: &str, message: String| Err(PlanError { at: at.into(), message });
        if self.plan != VERSION {
            return wrong(
                "plan",
                format!("version {} is not understood, only {VERSION}", self.plan),
            );
        }
        if !self.run_dir.is_absolute() {
            return wrong("run_dir", "must be an absolute path".into());
        }
        if self.tape.as_ref().is_some_and(|tape| !tape.path.is_absolute()) {
            return wrong("tape.path", "must be an absolute path".into());
        }
        if self.limits.max_line < 1 || self.limits.max_line > 1 << 40 {
            return wrong("limits.max_line", "must be from 1 byte to 1 TiB".into());
        }
        if self.limits.pipe < 4096 {
            return wrong("limits.pipe", "must be at least 4096".into());
        }
        if self.limits.log_line < 80 {
            return wrong("limits.log_line", "must be at least 80".into());
        }
        if self.policy.on_bad_record == BadRecord::Quarantine && self.dead_letters.is_none() {
            return wrong(
                "dead_letters",
                "policy.on_bad_record is quarantine, and no file is named".into(),
            );
        }
        if self
            .dead_letters
            .as_ref()
            .is_some_and(|letters| !letters.path.is_absolute())
        {
            return wrong("dead_letters.path", "must be an absolute path".into());
        }
        if self.policy.bad_percent.is_some_and(|p| !(0.0..=100.0).contains(&p)) {
            return wrong("policy.bad_percent", "must be from 0 to 100".into());
        }
        let seconds = [
            ("grace.eof", self.grace.eof.unwrap_or(0.0)),
            ("grace.term", self.grace.term),
            ("grace.drain", self.grace.drain),
        ];
        if let Some((at, _)) = seconds.iter().find(|(_, s)| !(0.0..=1e9).contains(s)) {
            return wrong(at, "must be seconds, 0 or more".into());
        }
        if !(f64::MIN_POSITIVE..=1e9).contains(&self.counters_every) {
            return wrong("counters_every", "must be more than 0 seconds".into());
        }
        if let Some(spill) = &self.spill {
            if !(0.0..=1e9).contains(&spill.age) || spill.dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
                return wrong("spill", "age is seconds, 0 or more, and dir an absolute path".into());
            }
        }
        if self.spool.as_ref().is_some_and(|spool| !spool.dir.is_absolute()) {
            return wrong("spool.dir", "must be an absolute path".into());
        }
        let arrow = self.children.iter().position(|child| child.arrow);
        if let Some(index) = arrow.filter(|index| self.spool.is_none() || self.children[*index].role != Role::Target) {
            return wrong(
                &format!("children[{index}].arrow"),
                "only a target's, and with a spool".into(),
            );
        }
        let speaks = |child: &Child| child.airbyte.is_some() && !matches!(child.role, Role::Tap | Role::Target);
        let airbyte = self.children.iter().position(speaks);
        if let Some(index) = airbyte {
            return wrong(
                &format!("children[{index}].airbyte"),
                "only a tap's or a target's".into(),
            );
        }
        if self.copy_to.as_ref().is_some_and(|copy| !copy.path.is_absolute()) {
            return wrong("copy_to.path", "must be an absolute path".into());
        }
        for (index, child) in self.children.iter().enumerate() {
            child.check(&format!("children[{index}]"))?;
        }
        if let Some(checker) = &self.checker {
            checker.check("checker")?;
            let gives_back = checker.files.values().any(|file| file.back_fd.is_some());
            if checker.role != Role::Checker || gives_back {
                return wrong("checker", "its role is checker, and it gives no file back".into());
            }
        }
        crate::wiring::check(self)
    }
}

impl Child {
    /// Whether it is a child that could stand in a plan; `at` is where it stands.
    pub fn check(&self, at: &str) -> Result<(), PlanError> {
        let wrong = |field: String, message: &str| {
            Err(PlanError {
                at: format!("{at}.{field}"),
                message: message.into(),
            })
        };
        if self.name.is_empty() {
            return wrong("name".into(), "must not be empty");
        }
        if self.argv.first().is_none_or(String::is_empty) {
            return wrong("argv".into(), "must name a program");
        }
        let texts = self.argv.iter().chain(self.env.values()).chain(&self.cwd);
        if texts.clone().any(|t| t.contains('\0')) || self.env.keys().any(|k| k.contains(['\0', '='])) {
            return wrong("argv, env, cwd".into(), "a NUL byte, or = in a variable's name");
        }
        // A file's name becomes part of a path, so only what cannot leave the run directory (I12).
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if let Some(name) = self.files.keys().find(|n| n.is_empty() || !n.chars().all(plain)) {
            return wrong(
                format!("files.{name}"),
                "a file's name is made of letters, digits, - and _",
            );
        }
        if let Some(name) = self.rlimits.keys().find(|n| !RLIMITS.contains(&n.as_str())) {
            return wrong(format!("rlimits.{name}"), &format!("not one of {}", RLIMITS.join(", ")));
        }
        if let Some(reason) = self.sandbox.wrong() {
            return wrong("sandbox".into(), &reason);
        }
        if let Some(reason) = self.limits.wrong() {
            return wrong("limits".into(), reason);
        }
        for text in texts {
            for part in text.split("{file:").skip(1) {
                if let Some((name, _)) = part.split_once('}') {
                    if !self.files.contains_key(name) {
                        return wrong(
                            "argv, env, cwd".into(),
                            &format!("{{file:{name}}} is not among the files"),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHILD: &str = r#"{"name":"t","role":"tap","argv":["/bin/true","--config","{file:config}"],"files":{"config":{"content":"{}","mode":"memfd"}}}"#;

    fn plan(children: &str, rest: &str) -> Result<Plan, PlanError> {
        let text = format!(
            r#"{{"plan":1,"run":"r","job":"j","run_dir":"/tmp/x","sink":{{"fd":1,"name":"s"}},"children":[{children}]{rest}}}"#
        );
        Plan::parse(text.as_bytes())
    }

    fn refused(children: &str, rest: &str) -> String {
        plan(children, rest).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_schema() {
        let plan = plan(CHILD, "").unwrap();
        assert_eq!(plan.limits.max_line, 67_108_864);
        assert_eq!(plan.policy.check, CheckPolicy::Json);
        assert_eq!(plan.grace.eof, None);
        assert!((plan.counters_every - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn errors_name_the_place() {
        assert!(refused(&CHILD.replace("\"tap\"", "\"tab\""), "").starts_with("children[0].role: unknown variant"));
        assert!(refused(CHILD, r#","limits":{"max_lines":1}"#).contains("unknown field `max_lines`"));
        assert!(refused(CHILD, r#","limits":{"max_line":0}"#).starts_with("limits.max_line"));
        assert!(refused(CHILD, r#","grace":{"term":-1}"#).starts_with("grace.term"));
        assert!(refused(&CHILD.replace("{file:config}", "{file:state}"), "").contains("{file:state}"));
        assert!(refused(
            &CHILD.replace("\"config\":", "\"../x\":").replace("{file:config}", ""),
            ""
        )
        .contains("files.../x"));
        let limited = CHILD.replace("\"argv\"", "\"rlimits\":{\"niceness\":1},\"argv\"");
        assert!(refused(&limited, "").starts_with("children[0].rlimits.niceness: not one of as, core"));
        assert!(refused(CHILD, "} {").contains("trailing"));
        assert!(Plan::parse(b"").unwrap_err().to_string().contains("EOF"));
    }

    #[test]
    fn a_files_content_is_in_no_debug_output() {
        let plan = plan(&CHILD.replace("\"{}\"", "\"hunter2\""), "").unwrap();
        assert!(!format!("{plan:?}").contains("hunter2"));
        let wrong = refused(
            &CHILD.replace(r#"{"content":"{}","mode":"memfd"}"#, r#""hunter2\", expected 2""#),
            "",
        );
        assert!(
            !wrong.contains("hunter2") && wrong.contains("files.config: invalid type: string, expected"),
            "{wrong}"
        );
    }
}
