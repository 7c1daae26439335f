//! What a connector says beside its data, as source and as destination: its log, its errors, the config that it renews.

use super::message::{member, text};
use crate::event::Event;
use crate::journal::Journal;
use crate::verdict::Failure;

/// What a connector says beside its data is not read beyond this (I10).
pub const LARGEST: usize = 1 << 20;
/// Characters of an error that are told.
const WORDS: usize = 2000;

/// What one connector said.
#[derive(Debug, Default)]
pub struct Remarks {
    /// Its name.
    name: String,
    /// The first error that it told.
    trouble: Option<String>,
    renewed: Option<Vec<u8>>,
}

impl Remarks {
    /// Of the connector of that name: nothing yet.
    pub fn of(name: &str) -> Remarks {
        Remarks {
            name: name.to_string(),
            ..Remarks::default()
        }
    }

    /// It was started again.
    pub fn again(&mut self) {
        self.trouble = None;
    }

    /// Its config as it wants to have it from now on, once.
    pub fn renewed(&mut self) -> Option<Vec<u8>> {
        self.renewed.take()
    }

    /// What is to be held against one that exited with 0 (I11).
    pub fn verdict(&self) -> Option<Failure> {
        let (name, words) = (&self.name, self.trouble.as_ref()?);
        let message = format!("{name} exited with 0, but told of an error: {words}");
        Some(Failure::of("plugin.exited", name, message))
    }

    /// A LOG: lines of its log.
    pub fn log(&self, log: &[u8], journal: &mut Journal) {
        let level = text(log, "level").unwrap_or_default();
        let words = text(log, "message").unwrap_or_default();
        let mut said = format!("{level} {words}").trim().as_bytes().to_vec();
        if let Some(stack) = text(log, "stack_trace").filter(|stack| !stack.is_empty()) {
            said.extend_from_slice(format!(" {stack}").as_bytes());
        }
        let cut = said.len() > LARGEST;
        said.truncate(LARGEST);
        for line in said
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
        {
            journal.log(&self.name, "stdout", line, cut);
        }
    }

    /// Whether a TRACE is small enough to be read; if not, that is told.
    pub fn readable(&self, trace: &[u8], journal: &mut Journal) -> bool {
        let fits = trace.len() <= LARGEST;
        if !fits {
            let text = b"a TRACE of more than 1 MiB was left out";
            journal.log(&self.name, "stdout", text, false);
        }
        fits
    }

    /// The error of a TRACE. `stream`: whose it is, as Singer calls it.
    pub fn error(&mut self, error: &[u8], stream: Option<&str>, journal: &mut Journal) {
        let shown = |name: &str| {
            let words = text(error, name).filter(|words| !words.trim().is_empty())?;
            let shown = journal.shown(words.as_bytes(), false);
            Some(shown.chars().take(WORDS).collect::<String>())
        };
        let detail = shown("internal_message");
        let message = shown("message")
            .or_else(|| detail.clone())
            .unwrap_or_else(|| "no words".into());
        let kind = match text(error, "failure_type").as_deref() {
            Some("config_error") => "config_error",
            Some("transient_error") => "transient_error",
            _ => "system_error",
        };
        let event = Event::Trouble {
            child: &self.name,
            kind,
            message: &message,
            detail: detail.as_deref(),
            stream,
        };
        match self.trouble {
            // The first one decides: it is told whatever else the connector says.
            None => journal.tell(&event),
            Some(_) => journal.remark(&self.name, &event),
        }
        self.trouble.get_or_insert(message);
    }

    /// A CONTROL: the config that it wants to have.
    pub fn control(&mut self, control: &[u8], journal: &mut Journal) {
        let config = member(control, "connectorConfig").and_then(|one| member(one, "config"));
        match config.filter(|config| config.len() <= LARGEST && config.starts_with(b"{")) {
            // The last one counts. It is shown nowhere (I13).
            Some(config) => self.renewed = Some(config.to_vec()),
            None => journal.log(
                &self.name,
                "stdout",
                b"a CONTROL message without a config of at most 1 MiB was left out",
                false,
            ),
        }
    }
}
