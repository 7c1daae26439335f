//! Records as Arrow columns, and back, exact in every digit (SPEC.md, sections 7 and 14).
//!
//! [`kind`] says which Arrow type a property of a SCHEMA has, [`rows`] gathers RECORDs into record batches, [`lines`] writes
//! record batches as RECORDs, [`spool`] writes and reads the files that a BATCH names.
//!
//! Who uses it: the bus, where a target speaks Arrow and its tap does not; `native/plugin`, for taps and targets whose rows
//! are columns inside. Guards I9 (a value that its column cannot hold widens it: none is changed and none is lost) and I10
//! (a batch is bounded by whoever gathers it).

mod cells;
mod clock;
mod column;
mod digits;
pub mod kind;
pub mod lines;
mod nested;
mod number;
mod places;
mod property;
pub mod rows;
mod schema;
mod spelling;
pub mod spool;
mod values;
