//! What the broker tells: who was reached for, and how it went. A plugin cannot flood it (I10).

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// After so many reports, connections that open, close or fail are only counted.
const MAX_REPORTS: u64 = 10_000;
/// Different denied names, and different denied connections, that are reported.
const MAX_DENIED: usize = 1_000;

/// How a plugin's reach for a host went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is connected.
    Open,
    /// It was connected, and that is over.
    Closed,
    /// It is not granted, or its name leads where no public name may.
    Denied,
    /// The host could not be reached.
    Failed,
}

impl Outcome {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Open => "open",
            Outcome::Closed => "closed",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        }
    }
}

/// One report: a `connection` event without its child and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The host, in printable ASCII of at most 253 characters.
    pub host: String,
    /// Its port; None when only the name was asked for.
    pub port: Option<u16>,
    /// The address that it led to.
    pub address: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// Why, unless it simply worked.
    pub reason: Option<String>,
    /// Bytes from the plugin to the host, with `Closed`.
    pub sent: Option<u64>,
    /// Bytes from the host to the plugin, with `Closed`.
    pub received: Option<u64>,
}

impl Report {
    /// A report with nothing but who and how.
    pub(super) fn new(outcome: Outcome, host: &str, port: impl Into<Option<u16>>) -> Report {
        Report {
            host: printable(host.as_bytes()),
            port: port.into(),
            address: None,
            outcome,
            reason: None,
            sent: None,
            received: None,
        }
    }

    /// With the reason.
    pub(super) fn because(mut self, reason: impl fmt::Display) -> Report {
        self.reason = Some(reason.to_string());
        self
    }

    /// With the address that it led to.
    pub(super) fn leading_to(mut self, address: Option<impl fmt::Display>) -> Report {
        self.address = address.map(|a| a.to_string());
        self
    }
}

/// Bytes from a plugin as a host's name that can be shown (I12).
pub(super) fn printable(name: &[u8]) -> String {
    let shown = |b: &u8| if b.is_ascii_graphic() { char::from(*b) } else { '?' };
    name.iter().take(253).map(shown).collect()
}

/// A denied host and port.
type Key = (String, Option<u16>);

/// Passes reports on, within bounds.
pub(super) struct Reporter {
    sink: Box<dyn Fn(Report) + Send + Sync>,
    told: AtomicU64,
    untold: AtomicU64,
    /// Names that were asked for, and connections.
    denied: Mutex<[HashSet<Key>; 2]>,
}

impl Reporter {
    /// Reports go to `sink`, from several threads.
    pub(super) fn new(sink: impl Fn(Report) + Send + Sync + 'static) -> Reporter {
        Reporter {
            sink: Box::new(sink),
            told: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            denied: Mutex::default(),
        }
    }

    /// Tells of a connection that opened or failed, unless that was told too often; says whether it did.
    pub(super) fn tell(&self, report: Report) -> bool {
        if self.told.fetch_add(1, Ordering::Relaxed) >= MAX_REPORTS {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        (self.sink)(report);
        true
    }

    /// Tells how a connection ended whose opening was told; of others it is only counted.
    pub(super) fn tell_end(&self, opening_told: bool, report: Report) {
        if opening_told {
            (self.sink)(report);
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells of a denied host, once for each host and port.
    pub(super) fn deny(&self, report: Report) {
        let key = (report.host.clone(), report.port);
        {
            let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = &mut denied[usize::from(report.port.is_some())];
            if seen.contains(&key) {
                return;
            }
            if seen.len() >= MAX_DENIED {
                self.untold.fetch_add(1, Ordering::Relaxed);
                return;
            }
            seen.insert(key);
        }
        (self.sink)(report);
    }

    /// How many were only counted.
    pub(super) fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn collecting() -> (Reporter, Arc<Mutex<Vec<Report>>>) {
        let all = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&all);
        (Reporter::new(move |r| sink.lock().unwrap().push(r)), all)
    }

    #[test]
    fn a_flood_is_counted_not_told() {
        let (reporter, all) = collecting();
        let first = reporter.tell(Report::new(Outcome::Open, "a", 1));
        for _ in 0..MAX_REPORTS + 5 {
            reporter.tell(Report::new(Outcome::Failed, "a", 1));
        }
        let late = reporter.tell(Report::new(Outcome::Open, "a", 1));
        assert!(first && !late);
        reporter.tell_end(late, Report::new(Outcome::Closed, "a", 1));
        assert_eq!(reporter.untold(), 8);
        reporter.tell_end(first, Report::new(Outcome::Closed, "a", 1));
        assert_eq!(all.lock().unwrap().len() as u64, MAX_REPORTS + 1);
    }

    #[test]
    fn a_denied_host_is_told_once_and_names_do_not_crowd_out_connections() {
        let (reporter, all) = collecting();
        for n in 0..MAX_DENIED + 10 {
            reporter.deny(Report::new(Outcome::Denied, &format!("n{n}"), None));
            reporter.deny(Report::new(Outcome::Denied, "n1", None));
        }
        reporter.deny(Report::new(Outcome::Denied, "n1", 80));
        reporter.deny(Report::new(Outcome::Denied, "n1", 80));
        assert_eq!(all.lock().unwrap().len(), MAX_DENIED + 1);
        assert!(reporter.untold() >= 10);
    }

    #[test]
    fn names_are_shown_in_printable_ascii() {
        assert_eq!(printable(b"a\n\x1b[2J \xff.b"), "a??[2J??.b");
        assert_eq!(printable(&[b'x'; 300]).len(), 253);
    }
}
