//! ACTIVATE_VERSION that waits for the end of its stream.
//!
//! A target may delete every row of an older version when it comes. Behind rows it is therefore held until its tap has
//! ended well and no row of the stream was rejected; then it goes out, and the last STATE once more behind it, so that
//! the bookmark covers the deletion.

/// What waits at one hop: one message for each stream at most (I10).
#[derive(Debug, Default)]
pub struct Held {
    on: bool,
    waiting: Vec<(usize, Vec<u8>)>,
    state: Option<Vec<u8>>,
}

impl Held {
    /// Nothing waits yet; `on`: messages are held at all.
    pub fn new(on: bool) -> Held {
        Held { on, ..Held::default() }
    }

    /// Takes an ACTIVATE_VERSION that comes behind so many rows of its stream; whether it waits here.
    pub fn take(&mut self, stream: usize, rows: u64, line: &[u8]) -> bool {
        if !self.on || rows == 0 {
            return false;
        }
        self.waiting.retain(|(other, _)| *other != stream);
        self.waiting.push((stream, line.to_vec()));
        true
    }

    /// Notes the last STATE.
    pub fn state(&mut self, line: &[u8]) {
        if self.on {
            self.state = Some(line.to_vec());
        }
    }

    /// All that waits, in the order that it came in.
    pub fn release(&mut self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut self.waiting)
    }

    /// The last STATE.
    pub fn last_state(&self) -> Option<&[u8]> {
        self.state.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_any_row_it_passes() {
        let mut held = Held::new(true);
        assert!(!held.take(0, 0, b"a"));
        assert!(held.take(0, 1, b"a") && held.take(1, 1, b"b") && held.take(0, 1, b"c"));
        assert_eq!(held.release(), [(1, b"b".to_vec()), (0, b"c".to_vec())]);
        assert!(!Held::new(false).take(0, 1, b"a"));
    }
}
