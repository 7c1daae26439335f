//! dativo-bus-engine: the rules of the data plane, without processes, descriptors or clocks of its own.
//!
//! Where it stands: `dativo-bus` (the executable) feeds it bytes and exits and does what it says; it stands on
//! `protocol/rust` (framing, envelope, JSON, columns). The way of a line: [`relay`] frames it, [`route`] judges and counts it
//! (`counts`) with [`check`] against its SCHEMA, [`adapt`] puts it as the receiver understands it, [`transcode`] gathers it into columns for a target that speaks Arrow,
//! whose files [`spool`] keeps (of a source that speaks another protocol,
//! [`airbyte`] has made it a Singer line before), [`outlet`] holds it for the receiver and keeps it until a bookmark covers it ([`spill`],
//! [`shelf`], [`resume`]), [`tally`] keeps the books of both edges, [`ledger`] remembers STATEs until the target confirms
//! them, [`verdict`] keeps the first failure, and [`event`] and [`journal`] tell the control plane, in texts without
//! secrets ([`redact`]) and without tricks ([`neutral`], [`flood`]). Of a child, [`plan`] holds what is granted and bounded
//! ([`confine`]) and what lies [`beside`] the stream, [`limits`] what a death is owed to, and [`batch`] which files it may
//! hand over. [`tape`] is how a run is recorded.
//!
//! Invariants it guards: I1 (a bookmark only for what was delivered and echoed), I3 (bytes forwarded as they came),
//! I4 (never backwards), I9 (a line is forwarded, counted as junk, or fails the run), I10 (bounded memory),
//! I11 (done only when the counts say so), I12 (names are data), I13 (no secret and no content of a child's file in any
//! event).
//!
//! Who may import it: `native/dativo-bus`, and tests.
#![forbid(unsafe_code)]

pub mod adapt;
pub mod airbyte;
pub mod batch;
pub mod beside;
pub mod capture;
pub mod carrier;
pub mod check;
pub mod confine;
mod counts;
pub mod event;
pub mod flood;
pub mod journal;
pub mod junk;
pub mod ledger;
pub mod limits;
pub mod lines;
pub mod neutral;
pub mod outlet;
pub mod plan;
pub mod policy;
pub mod redact;
pub mod relay;
pub mod resume;
pub mod route;
pub mod shelf;
pub mod spill;
pub mod spool;
pub mod tally;
pub mod tape;
pub mod transcode;
pub mod verdict;
pub mod wiring;
