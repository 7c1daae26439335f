//! How much log a child may tell: a burst, then a steady rate. What is over it is counted and not told (I10).

use std::time::{Duration, Instant};

const LINES: f64 = 5_000.0;
const LINES_PER_SECOND: f64 = 500.0;
const BYTES: f64 = (8 << 20) as f64;
const BYTES_PER_SECOND: f64 = (1 << 20) as f64;

/// A token bucket for lines, and one for their bytes.
#[derive(Debug)]
pub struct Bucket {
    lines: f64,
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(now: Instant) -> Bucket {
        Bucket {
            lines: LINES,
            bytes: BYTES,
            at: now,
        }
    }

    /// Whether a line of `size` bytes may be told now.
    pub fn take(&mut self, size: usize, now: Instant) -> bool {
        let passed = now
            .saturating_duration_since(self.at)
            .min(Duration::from_secs(60))
            .as_secs_f64();
        self.at = now;
        self.lines = (self.lines + passed * LINES_PER_SECOND).min(LINES);
        self.bytes = (self.bytes + passed * BYTES_PER_SECOND).min(BYTES);
        if self.lines < 1.0 || self.bytes < size as f64 {
            return false;
        }
        self.lines -= 1.0;
        self.bytes -= size as f64;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let told = |bucket: &mut Bucket, now| (0..20_000).filter(|_| bucket.take(100, now)).count();
        assert_eq!(told(&mut bucket, start), 5_000);
        assert_eq!(told(&mut bucket, start + Duration::from_secs(2)), 1_000);
        assert_eq!(told(&mut bucket, start + Duration::from_secs(2)), 0);
    }

    #[test]
    fn bytes_count_too() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        let told = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(1 << 20, now)).count();
        assert_eq!(told(&mut bucket, start), 8);
        assert_eq!(told(&mut bucket, start + Duration::from_millis(3_500)), 3);
    }
}
