//! A probe's output, passed on as it is, up to a cap.

use crate::journal::Journal;
use crate::relay::{Carrier, Relay};
use crate::verdict::Failure;

const BLOCK: usize = 64 << 10;

/// What a probe prints.
#[derive(Debug)]
pub struct Capture {
    writer: String,
    cap: u64,
    block: Vec<u8>,
    start: usize,
    end: usize,
    taken: u64,
    given: u64,
    stopped: bool,
}

impl Capture {
    /// At most `cap` bytes from `writer`.
    pub fn new(writer: &str, cap: u64) -> Capture {
        let block = vec![0; BLOCK];
        Capture {
            writer: writer.to_string(),
            cap,
            block,
            start: 0,
            end: 0,
            taken: 0,
            given: 0,
            stopped: false,
        }
    }
}

impl Carrier for Capture {
    fn hungry(&self) -> bool {
        !self.stopped && self.start == self.end
    }

    fn space(&mut self) -> &mut [u8] {
        (self.start, self.end) = (0, 0);
        &mut self.block
    }

    fn filled(&mut self, count: usize) {
        self.end = count;
        self.taken += count as u64;
    }

    fn work(&mut self, _journal: &mut Journal) -> Option<Failure> {
        let over = self.taken.saturating_sub(self.cap);
        if over == 0 || self.stopped {
            return None;
        }
        self.end -= (over as usize).min(self.end);
        self.stopped = true;
        let message = format!("{} printed more than {} bytes [limits.capture]", self.writer, self.cap);
        Some(Failure::of("data.line_too_long", &self.writer, message).setting("limits.capture"))
    }

    fn idle(&self) -> bool {
        true
    }

    fn finish(&mut self, _died: bool, _journal: &mut Journal) -> Option<Failure> {
        self.stopped = true;
        None
    }

    fn cut(&mut self) {
        self.stopped = true;
    }

    fn discard(&mut self) {
        self.stopped = true;
        self.start = self.end;
    }

    fn pending(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    fn wrote(&mut self, count: usize) {
        self.start += count;
        self.given += count as u64;
    }

    fn progress(&self) -> u64 {
        self.taken
    }

    fn bytes_in(&self) -> u64 {
        self.taken
    }

    fn bytes_out(&self) -> u64 {
        self.given
    }

    fn singer(&mut self) -> Option<&mut Relay> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_exact() {
        let mut journal = Journal::default();
        let mut capture = Capture::new("tap", 100);
        capture.space()[..60].fill(b'x');
        capture.filled(60);
        assert!(capture.work(&mut journal).is_none() && !capture.hungry());
        capture.wrote(60);
        assert!(capture.hungry());
        capture.space()[..60].fill(b'x');
        capture.filled(60);
        let failure = capture.work(&mut journal).unwrap();
        assert_eq!(
            (failure.reason, failure.setting),
            ("data.line_too_long", Some("limits.capture"))
        );
        assert_eq!(capture.pending().len(), 40);
        assert!(!capture.hungry());
    }
}
