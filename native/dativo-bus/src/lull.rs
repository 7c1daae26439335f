//! A writer of small pieces is read less often.
//!
//! Most taps flush each line. Read as soon as it is there, each record wakes this process, which costs the two of
//! them more than the record itself; left alone for a moment, the pipe gathers a few of them.

use std::time::{Duration, Instant};

/// What should be there before it is worth reading.
const WORTH: f64 = 16.0 * 1024.0;
/// The longest that bytes lie unread for this: what a STATE can be late.
const LONGEST: Duration = Duration::from_millis(2);
/// Less than this is not worth a timer.
const SHORTEST: Duration = Duration::from_micros(100);

/// When a hop's input is read next.
#[derive(Debug, Default)]
pub struct Lull {
    /// When something was read last, or when the wait after it was over.
    free: Option<Instant>,
    /// When it was read last.
    last: Option<Instant>,
}

impl Lull {
    /// `count` bytes came. A writer that had nothing to say for a while is read at once when it has; one that fills
    /// the pipe faster than it can be read is never waited for.
    pub fn came(&mut self, count: usize, now: Instant) {
        let (free, last) = (self.free.replace(now), self.last.replace(now));
        let (Some(free), Some(last)) = (free, last) else {
            return;
        };
        if now.saturating_duration_since(free) > LONGEST {
            return;
        }
        let pace = count as f64 / now.saturating_duration_since(last).as_secs_f64().max(1e-9);
        let wait = Duration::try_from_secs_f64(WORTH / pace.max(1.0))
            .unwrap_or(LONGEST)
            .min(LONGEST);
        if wait >= SHORTEST && count < WORTH as usize {
            self.free = Some(now + wait);
        }
    }

    /// Until when nothing should be read, if that is not over.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.free.filter(|free| *free > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `count` bytes `gap` after the wait is over; the wait that follows.
    fn read(lull: &mut Lull, now: &mut Instant, gap: Duration, count: usize) -> Duration {
        *now = lull.until(*now).unwrap_or(*now) + gap;
        lull.came(count, *now);
        lull.until(*now).map_or(Duration::ZERO, |until| until - *now)
    }

    #[test]
    fn a_line_every_tenth_of_a_millisecond_is_gathered() {
        let (mut lull, mut now) = (Lull::default(), Instant::now());
        assert_eq!(read(&mut lull, &mut now, LONGEST, 600), Duration::ZERO);
        assert_eq!(read(&mut lull, &mut now, SHORTEST, 600), LONGEST);
        assert_eq!(read(&mut lull, &mut now, SHORTEST, 12_000), LONGEST);
        assert_eq!(lull.until(now + LONGEST), None);
    }

    #[test]
    fn a_writer_that_rests_is_read_as_soon_as_it_writes() {
        let (mut lull, mut now) = (Lull::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(read(&mut lull, &mut now, LONGEST * 2, 600), Duration::ZERO);
        }
    }

    #[test]
    fn a_writer_that_fills_the_pipe_is_not_waited_for() {
        let (mut lull, mut now) = (Lull::default(), Instant::now());
        read(&mut lull, &mut now, LONGEST, 600);
        read(&mut lull, &mut now, SHORTEST, 600);
        assert_eq!(read(&mut lull, &mut now, Duration::ZERO, 65_536), Duration::ZERO);
        assert_eq!(
            read(&mut lull, &mut now, SHORTEST / 4, 8_000),
            Duration::ZERO,
            "320 MB/s"
        );
    }
}
