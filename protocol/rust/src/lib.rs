//! The Singer wire format for programs that move it, and for programs that speak it.
//!
//! Where it stands: `native/bus` frames and routes with it, `native/plugin` reads and writes with it; both run the
//! vectors of `protocol/vectors`, as `protocol/python` does. It does no I/O but what [`framing::Framer::fill`] is
//! handed, starts nothing and holds no policy.
//!
//! * [`framing`] cuts a byte stream into lines without copying them.
//! * [`line`](mod@line) judges one line: message, junk, or a [`error::Fault`]. [`order`] adds the rule that SCHEMA comes first.
//! * [`envelope`] finds `type`, `stream`, `version` and the payload's span without parsing the record.
//! * [`json`] checks well-formedness in one iterative pass. [`text`] undoes string escapes when somebody asks.
//! * [`bookmark`] merges what several taps of one job say, stream by stream.
//! * [`state`] gives a STATE value its canonical 128-bit fingerprint.
//! * [`message`] has the typed messages for plugin authors; a record stays raw.
//! * `columns` (feature `arrow`) turns records into Arrow columns and back.
//!
//! Guards I3 (spans point into the bytes that came; nothing is re-encoded), I9 (a line is a message, counted junk, or
//! an error: never nothing) and I10 (no recursion, no buffer beyond the line cap).
//! Anyone may depend on this crate; it depends on nothing of Dativo.
#![forbid(unsafe_code)]

pub mod bookmark;
#[cfg(feature = "arrow")]
pub mod columns;
pub mod envelope;
pub mod error;
pub mod framing;
pub mod json;
pub mod line;
pub mod message;
pub mod order;
pub mod state;
pub mod text;
