//! What can be wrong with a line, as the stable codes of `protocol/errors.toml` (group "4: fix the data").

use std::fmt;

/// A stable dotted code. All of these end a run with exit code 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A line that starts as an object is not well-formed JSON.
    InvalidJson,
    /// A line that starts as an object is not UTF-8.
    InvalidUtf8,
    /// A line is longer than the cap.
    LineTooLong,
    /// RECORD, ACTIVATE_VERSION or BATCH came before the stream's SCHEMA.
    RecordBeforeSchema,
    /// Well-formed JSON, but not a Singer message.
    BadMessage,
    /// A BATCH for a target that cannot load it.
    BatchRefused,
    /// A BATCH names a file that its tap may not hand over.
    BatchOutside,
    /// Junk, where the policy is to fail.
    Junk,
    /// A record breaks its stream's SCHEMA.
    Schema,
    /// A SCHEMA changed, where it is frozen.
    SchemaChanged,
}

impl Code {
    /// The dotted code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::InvalidJson => "data.invalid_json",
            Code::InvalidUtf8 => "data.invalid_utf8",
            Code::LineTooLong => "data.line_too_long",
            Code::RecordBeforeSchema => "data.record_before_schema",
            Code::BadMessage => "data.bad_message",
            Code::BatchRefused => "data.batch_refused",
            Code::BatchOutside => "data.batch_outside",
            Code::Junk => "data.junk",
            Code::Schema => "data.schema",
            Code::SchemaChanged => "data.schema_changed",
        }
    }

    /// The process exit code that goes with it.
    pub const fn exit(self) -> u8 {
        4
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one line cannot be used, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The stable code.
    pub code: Code,
    /// Byte offset within the line.
    pub offset: usize,
    /// The line ended where more was needed: of a stream's last, unterminated line this says "cut short".
    pub truncated: bool,
    /// One clause for people, without data in it (I12, I13).
    pub reason: &'static str,
}

impl Fault {
    /// A fault of the JSON grammar at `offset`; at the end of the line it counts as cut short.
    pub fn json(bytes: &[u8], offset: usize, reason: &'static str) -> Self {
        let truncated = offset >= bytes.len();
        let reason = if truncated {
            "the line ends in the middle of a value"
        } else {
            reason
        };
        Fault {
            code: Code::InvalidJson,
            offset: offset.min(bytes.len()),
            truncated,
            reason,
        }
    }

    /// A well-formed object that is not a message.
    pub(crate) fn message(reason: &'static str) -> Self {
        Fault {
            code: Code::BadMessage,
            offset: 0,
            truncated: false,
            reason,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Code::InvalidJson | Code::InvalidUtf8 => write!(f, "{} (byte {} of the line)", self.reason, self.offset),
            _ => f.write_str(self.reason),
        }
    }
}

impl std::error::Error for Fault {}
