//! Which properties of an object came, without an allocation for up to 128 of them.

/// Which properties came: one bit each.
pub(super) struct Seen {
    low: u128,
    high: Vec<u128>,
}

impl Seen {
    pub(super) fn new(count: usize) -> Seen {
        Seen {
            low: 0,
            high: vec![0; count.saturating_sub(1) / 128],
        }
    }

    fn place(&mut self, index: usize) -> &mut u128 {
        match index / 128 {
            0 => &mut self.low,
            word => &mut self.high[word - 1],
        }
    }

    /// Notes it; whether it was there.
    pub(super) fn add(&mut self, index: usize) -> bool {
        let bit = 1 << (index % 128);
        let word = self.place(index);
        let before = *word & bit != 0;
        *word |= bit;
        before
    }

    pub(super) fn has(&mut self, index: usize) -> bool {
        *self.place(index) & (1 << (index % 128)) != 0
    }
}
