//! Nothing but features.
//!
//! Cargo builds a crate again for each set of its features that an executable asks for, and all that stands on it.
//! Eight plugins and the data plane are installed one by one: with the same features of what they share, Arrow, tokio
//! and ring are built once. `tests/architecture/test_builds.py` says where two of them differ.
#![forbid(unsafe_code)]
