//! What the fuzz tests share: cases from a strategy, round after round, for as long as `DATIVO_FUZZ_SECONDS` says.
//!
//! Seconds in a developer's run, a minute in CI; a failing case is shrunk and shown, and nothing is kept on disk.

use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Try a test for half of `DATIVO_FUZZ_SECONDS` (default 2), at least one round of cases.
pub fn fuzz<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let seconds = std::env::var("DATIVO_FUZZ_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(2.0);
    let until = Instant::now() + Duration::from_secs_f64(seconds / 2.0);
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    loop {
        if let Err(e) = runner.run(&strategy, &test) {
            panic!("{e}");
        }
        if Instant::now() >= until {
            return;
        }
    }
}
