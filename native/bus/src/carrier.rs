//! What moves over a hop, as the loop sees it: bytes in, judged, bytes out.

use crate::airbyte::Airbyte;
use crate::journal::Journal;
use crate::relay::Relay;
use crate::verdict::Failure;
use std::time::Instant;

/// What moves over a hop: a Singer stream ([`Relay`]), one that is made of Airbyte messages
/// ([`crate::airbyte::translated::Translated`]), or a probe's raw output ([`crate::capture::Capture`]).
pub trait Carrier {
    /// Whether it would take more input now.
    fn hungry(&self) -> bool;
    /// Where input goes; follow with [`Carrier::filled`] and [`Carrier::work`].
    fn space(&mut self) -> &mut [u8];
    /// So many bytes were put into [`Carrier::space`].
    fn filled(&mut self, count: usize);
    /// Judges what is there. After a failure nothing more is judged or read.
    fn work(&mut self, journal: &mut Journal) -> Option<Failure>;
    /// Whether [`Carrier::work`] has judged every complete line that came.
    fn idle(&self) -> bool;
    /// Whether [`Carrier::work`] stopped before that so that others get their turn: it is to be called again soon.
    fn resting(&self) -> bool {
        false
    }
    /// The writer's EOF came: what is left of its last line is all of it.
    fn ended(&mut self) {}
    /// Whether what comes in is not what is judged: a tape has [`Carrier::translated`] then.
    fn translates(&self) -> bool {
        false
    }
    /// What came in since that was asked, as it was judged.
    fn translated(&mut self) -> Vec<u8> {
        Vec::new()
    }
    /// The writer's config as it wants to have it from now on, once.
    fn renewed(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// The writer was started again: what it writes is a new stream of bytes.
    fn new_writer(&mut self, _airbyte: Option<&Airbyte>) {}
    /// At the writer's EOF, when idle. When its writer `died`, a faulty last line is part of that, not an error of its own.
    fn finish(&mut self, died: bool, journal: &mut Journal) -> Option<Failure>;
    /// Judges nothing and reads nothing any more; what was accepted can still be written.
    fn cut(&mut self);
    /// When [`Carrier::quiet`] is to be called, if nothing comes before.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// Nothing came until it was due.
    fn quiet(&mut self, _now: Instant) -> Option<Failure> {
        None
    }
    /// Forgets what waits: there is nobody to write it to.
    fn discard(&mut self);
    /// The next bytes to write.
    fn pending(&self) -> &[u8];
    /// Where in the writer's bytes [`Carrier::pending`] stands, if it is those bytes as they came and still there.
    fn pending_from(&self) -> Option<u64> {
        None
    }
    /// So many of the [`Carrier::pending`] bytes were written.
    fn wrote(&mut self, count: usize);
    /// A number that grows with every complete line that came, or with every byte where there are no lines.
    fn progress(&self) -> u64;
    /// Bytes that came in.
    fn bytes_in(&self) -> u64;
    /// Bytes that were written to the receiver.
    fn bytes_out(&self) -> u64;
    /// The Singer stream, if it is one.
    fn singer(&mut self) -> Option<&mut Relay>;
}
