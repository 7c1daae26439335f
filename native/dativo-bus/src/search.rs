//! The record that a target dies of, found by giving it less and less of what it had read, and set aside.
//!
//! Only where loading a row twice does no harm, which the control plane knows. A try is a target of its own: it is given the
//! SCHEMAs and some lines, and then EOF. When it ends well those lines are loaded and are not given again; when it does not,
//! what it dies of is among them. The first try gets no line at all: a target that cannot even start dies of no record.

use crate::hop::Output;
use crate::leash::Scope;
use crate::restart::Loss;
use crate::supervisor::Supervisor;
use dativo_bus_engine::event::Event;
use dativo_bus_engine::relay::Relay;
use dativo_bus_engine::verdict::Failure;
use std::io;
use std::time::{Duration, Instant};

/// Whether a line is an error as Python's last words are: `package.SomeError: why`.
fn is_error(line: &str) -> bool {
    let Some((name, _)) = line.split_once(": ") else {
        return false;
    };
    let dotted = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    dotted && (name.ends_with("Error") || name.ends_with("Exception"))
}

/// A search while it lasts. Offsets are in what the target reads.
#[derive(Debug)]
pub struct Search {
    index: usize,
    failure: Failure,
    /// Everything before this is loaded.
    low: u64,
    /// What it dies of begins before this.
    high: u64,
    /// The try that runs was given the lines up to here.
    upto: u64,
    /// The last try that failed began here.
    failed_from: Option<u64>,
    tries: u32,
}

impl Supervisor {
    /// The target died and is to go on without what it cannot load.
    pub(crate) fn search(&mut self, loss: Loss, scope: Scope) -> io::Result<()> {
        let Some(relay) = self.edge() else { return Ok(()) };
        let low = relay.ledger.confirmed_end();
        let high = relay.outlet.line_from(loss.read_to.max(low));
        if scope == Scope::Batch {
            return self.set_batch_aside(&loss, low, high);
        }
        self.search = Some(Search {
            index: loss.index,
            failure: loss.failure,
            low,
            high,
            upto: low,
            failed_from: None,
            tries: 0,
        });
        self.attempt_upto(low)
    }

    /// Starts a target that is given the lines from what is loaded up to here.
    fn attempt_upto(&mut self, upto: u64) -> io::Result<()> {
        let Some(search) = self.search.as_mut() else {
            return Ok(());
        };
        (search.upto, search.tries) = (upto, search.tries + 1);
        let (index, low) = (search.index, search.low);
        let placed = self.edge().is_some_and(|relay| {
            relay.outlet.stop_at = Some(upto);
            relay.go_on_at(low).is_ok()
        });
        if !placed || !self.start_again(index)? {
            self.end_search();
        }
        Ok(())
    }

    /// A try has all its lines: it gets its EOF.
    pub(crate) fn close_if_tried(&mut self) {
        let Some(search) = &self.search else { return };
        let (index, upto) = (search.index, search.upto);
        let grace = self.plan.grace.eof.map(Duration::from_secs_f64);
        let Some(hop) = self.hops.last_mut() else { return };
        let given = hop.carrier.singer().is_some_and(|relay| relay.outlet.written() >= upto);
        if given && !hop.blocked() && matches!(hop.output, Output::Open(_)) {
            hop.close_output();
            let child = &mut self.children[index];
            child.input_closed = true;
            child.patience = grace.map(|grace| (Instant::now() + grace, crate::child::Overdue::End));
        }
    }

    /// Whether a child that has ended was a try.
    pub(crate) fn is_try(&self, index: usize) -> bool {
        self.search.as_ref().is_some_and(|search| search.index == index)
    }

    /// A try has ended: halve what is left, or set aside what is found.
    pub(crate) fn tried(&mut self, failure: Option<Failure>) -> io::Result<()> {
        if let Some(hop) = self.hops.last_mut() {
            hop.lose_receiver();
        }
        let Some(search) = self.search.as_mut() else {
            return Ok(());
        };
        let empty = search.upto == search.low;
        match failure {
            Some(_) if empty => {
                self.end_search(); // it is not the data
                return Ok(());
            }
            Some(_) => (search.high, search.failed_from) = (search.upto, Some(search.low)),
            None => search.low = search.upto,
        }
        let (low, high, failed_from) = (search.low, search.high, search.failed_from);
        if low >= high {
            return self.go_on_behind(low);
        }
        let Some(relay) = self.edge() else { return Ok(()) };
        let first = relay.outlet.line_from(low + 1).min(high);
        if first == high && failed_from == Some(low) {
            return self.set_line_aside(low, high);
        }
        let middle = relay.outlet.line_from(low + (high - low) / 2);
        self.attempt_upto(if middle <= low || middle >= high { first } else { middle })
    }

    fn set_line_aside(&mut self, low: u64, high: u64) -> io::Result<()> {
        let why = self.why();
        match self.set_aside(low, high, &why) {
            Ok(true) => {
                let tries = self.search.as_ref().map_or(0, |search| search.tries);
                let text = format!("a record that the target cannot load was found in {tries} tries and set aside");
                let code = "delivery.searched";
                self.journal.tell(&Event::Notice { code, text: &text });
                self.go_on_behind(high)
            }
            Ok(false) => {
                self.end_search(); // no record: it dies of something else
                Ok(())
            }
            Err(failure) => {
                self.fail(failure);
                self.end_search();
                Ok(())
            }
        }
    }

    /// Sets the line between two offsets aside. `false` where it is no record.
    fn set_aside(&mut self, from: u64, to: u64, why: &str) -> Result<bool, Failure> {
        let Supervisor { hops, journal, .. } = self;
        let relay = hops.last_mut().and_then(|hop| hop.carrier.singer());
        relay.map_or(Ok(false), |relay| relay.set_aside_at(from, to, why, journal))
    }

    fn set_batch_aside(&mut self, loss: &Loss, low: u64, high: u64) -> io::Result<()> {
        let why = format!(
            "{}; the whole batch is set aside: rows given twice would stay twice",
            loss.failure.message
        );
        let index = loss.index;
        let (mut at, mut count) = (low, 0u64);
        while at < high {
            let Some(relay) = self.edge() else { return Ok(()) };
            let next = relay.outlet.line_from(at + 1);
            match self.set_aside(at, next, &why) {
                Ok(set_aside) => count += u64::from(set_aside),
                Err(failure) => {
                    self.fail(failure);
                    self.let_go(index);
                    return Ok(());
                }
            }
            at = next;
        }
        let text = format!("{count} records that the target had read when it died are set aside");
        let code = "delivery.searched";
        self.journal.tell(&Event::Notice { code, text: &text });
        if self.edge().is_some_and(|relay| relay.go_on_at(low).is_ok()) && self.start_again(index)? {
            return Ok(());
        }
        self.fail(loss.failure.clone());
        self.let_go(index);
        Ok(())
    }

    /// The search is over: the target goes on behind what is loaded or set aside.
    fn go_on_behind(&mut self, offset: u64) -> io::Result<()> {
        let Some(search) = self.search.take() else {
            return Ok(());
        };
        let placed = self.edge().is_some_and(|relay| {
            relay.outlet.stop_at = None;
            relay.go_on_at(offset).is_ok()
        });
        if placed && self.start_again(search.index)? {
            let child = &self.children[search.index].name;
            self.journal.tell(&Event::Resumed { child, records: 0 });
            return Ok(());
        }
        self.fail(search.failure);
        self.let_go(search.index);
        Ok(())
    }

    /// Nothing is found: the failure that began it stands.
    pub(crate) fn end_search(&mut self) {
        let Some(search) = self.search.take() else { return };
        if let Some(relay) = self.edge() {
            relay.outlet.stop_at = None;
        }
        self.fail(search.failure);
        self.let_go(search.index);
    }

    /// What the target says when it is given the record.
    fn why(&self) -> String {
        let Some(search) = &self.search else {
            return String::new();
        };
        let child = &self.children[search.index];
        let lines: Vec<&str> = child.last_lines().filter(|line| !line.trim().is_empty()).collect();
        // What is said behind an error's own line is where it came from and where to read about it.
        let last = lines.iter().rev().find(|line| is_error(line)).or(lines.last());
        let said = last.map(|line| self.journal.shown(line.trim().as_bytes(), false));
        match said {
            Some(said) => format!("{}: {said}", search.failure.message),
            None => search.failure.message.to_string(),
        }
    }

    fn edge(&mut self) -> Option<&mut Relay> {
        self.hops.last_mut().and_then(|hop| hop.carrier.singer())
    }
}
