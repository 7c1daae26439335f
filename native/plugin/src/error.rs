//! What a plugin says when it cannot go on: a stable code, one line, what to change, and the exit code.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use singer_protocol::error::Fault;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, PluginError>;

/// An error that ends the plugin. Printed as `error[code]  message` and `  hint: …` on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError {
    /// A code of `protocol/errors.toml`.
    pub code: &'static str,
    /// One line: what happened, where.
    pub message: String,
    /// What to change.
    pub hint: Option<String>,
    /// The process exit code.
    pub exit: u8,
}

impl PluginError {
    /// The command line, a setting, the catalog or the state is wrong: exit 2.
    pub fn config(code: &'static str, message: impl Into<String>) -> Self {
        PluginError {
            code,
            message: message.into(),
            hint: None,
            exit: 2,
        }
    }

    /// The machine is in the way: exit 3.
    pub fn environment(code: &'static str, message: impl Into<String>) -> Self {
        PluginError {
            code,
            message: message.into(),
            hint: None,
            exit: 3,
        }
    }

    /// The data broke the contract: exit 4.
    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        PluginError {
            code,
            message: message.into(),
            hint: None,
            exit: 4,
        }
    }

    /// The reader of our output went away. Not worth a word: `tap | head` means it.
    pub fn closed() -> Self {
        PluginError {
            code: "pipe.closed",
            message: String::new(),
            hint: None,
            exit: 141,
        }
    }

    /// The same error with its hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed file operation, as what the user can do about it.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let message = format!("{what} {}: {}", path.display(), plain(error));
        let full = PluginError::environment("env.disk_full", message.clone());
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
                full.hint("free some space and run it again: it goes on at the bookmark")
            }
            Some(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR) => {
                PluginError::config("config.invalid", message).hint("check the path in the settings")
            }
            _ => PluginError::environment("env.read_only", message)
                .hint("give this user the right, or choose another place"),
        }
    }

    /// A failed write to our own stdout.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => PluginError::closed(),
            _ => PluginError::io("cannot write to", Path::new("stdout"), error),
        }
    }

    /// A fault in the input of a target.
    pub fn fault(fault: &Fault, stream: Option<&str>, line: u64, offset: u64) -> Self {
        let stream = stream.map(|s| format!("stream {s:?}, ")).unwrap_or_default();
        PluginError::data(
            fault.code.as_str(),
            format!("{stream}line {line}, byte {offset}: {fault}"),
        )
    }

    /// Print it on stderr.
    pub fn report(&self) {
        if self.exit != 141 {
            eprintln!("{self}");
        }
    }
}

/// An OS error without Rust's "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // I12: names from the data may be in the message; it stays one line whatever they hold.
        let one_line = |text: &str| text.replace(|c: char| c.is_control(), " ");
        write!(f, "error[{}]  {}", self.code, one_line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", one_line(hint)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PluginError {}
