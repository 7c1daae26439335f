//! Files of text as sources: CSV, JSON Lines.
//!
//! The flow: [`streams`] (which file is which stream) > [`source`] (bytes as UTF-8 text: gz, zst, encodings) > a format of the
//! tap's own > [`table`] (a stream's columns) > [`run`] (the frame of such a tap: catalog, SCHEMA, STATE) > [`mark`] (how far each
//! file was read), with [`keys`] and [`shared`] (the settings that such taps share) and [`spelling`] (which texts are days and
//! moments).
//!
//! Behind the feature `texts`; it stands on [`files`](crate::files), so every tap of text reads object stores too. Guards I10 (a
//! few chunks and one row in memory) and I12 (names are data).

pub mod keys;
pub mod mark;
pub mod run;
pub mod shared;
pub mod source;
pub mod spelling;
pub mod streams;
pub mod table;
