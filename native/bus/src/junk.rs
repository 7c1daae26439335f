//! Lines that are no messages: counted by kind, the first few of each kind told.

use serde::Serialize;
use singer_protocol::line::Junk;

/// How many lines of each kind are told one by one.
pub const TOLD: u64 = 5;

/// Counts by kind, as events show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JunkCounts {
    /// Empty lines.
    pub blank: u64,
    /// Log lines and the like.
    pub text: u64,
    /// JSON arrays.
    pub array: u64,
    /// Byte order marks.
    pub bom: u64,
    /// Objects of another type.
    pub unknown_type: u64,
}

impl JunkCounts {
    /// Counts one; whether it is among the first few, to be told.
    pub fn count(&mut self, kind: Junk) -> bool {
        let counter = match kind {
            Junk::Blank => &mut self.blank,
            Junk::Text => &mut self.text,
            Junk::Array => &mut self.array,
            Junk::Bom => &mut self.bom,
            Junk::UnknownType => &mut self.unknown_type,
        };
        *counter += 1;
        *counter <= TOLD
    }

    /// Both together.
    pub fn plus(self, other: JunkCounts) -> JunkCounts {
        JunkCounts {
            blank: self.blank + other.blank,
            text: self.text + other.text,
            array: self.array + other.array,
            bom: self.bom + other.bom,
            unknown_type: self.unknown_type + other.unknown_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_told() {
        let mut counts = JunkCounts::default();
        let told = (0..7).filter(|_| counts.count(Junk::Blank)).count();
        assert_eq!((told, counts.blank), (5, 7));
        assert_eq!(counts.plus(counts).blank, 14);
    }
}
