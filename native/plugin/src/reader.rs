//! A target's input: messages from stdin, judged as `protocol/SPEC.md` says, until EOF or SIGTERM.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use singer_protocol::envelope::{Envelope, Kind};
use singer_protocol::framing::{self, Fill, Framer};
use singer_protocol::line::{inspect, Check, Line};
use singer_protocol::order::Order;
use singer_protocol::text::Text;

use crate::error::{PluginError, Result};

/// How the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The tap side closed it: everything came.
    Eof,
    /// SIGTERM or SIGINT: commit only up to the last STATE and leave with exit code 143 or 130.
    Signal(i32),
}

/// One message of the input.
#[derive(Debug)]
pub struct Input<'a> {
    /// The line as it came, without its newline.
    pub line: &'a [u8],
    /// Its envelope; spans point into `line`.
    pub envelope: Envelope<'a>,
    /// Line number from 1.
    pub number: u64,
    /// The line's byte offset in the input.
    pub offset: u64,
}

impl Input<'_> {
    /// What kind of message it is.
    pub fn kind(&self) -> Kind {
        self.envelope.kind
    }

    /// The bytes of the record, the state's value or the schema.
    pub fn payload(&self) -> &[u8] {
        self.envelope.payload().map_or(&[], |span| &self.line[span])
    }

    /// An error about this message, with its place.
    pub fn error(&self, code: &'static str, what: &str) -> PluginError {
        let stream = self
            .envelope
            .stream
            .map(|s| format!("stream {:?}, ", s.to_str_lossy()))
            .unwrap_or_default();
        PluginError::data(
            code,
            format!("{stream}line {}, byte {}: {what}", self.number, self.offset),
        )
    }
}

/// What a target does with its input.
pub trait Take {
    /// One message, in order.
    fn take(&mut self, input: &Input<'_>) -> Result<()>;

    /// Everything that was read is taken, and the reader is about to wait for more: a good moment to commit.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    /// How long the reader may wait for more before it calls [`Take::quiet`]; for ever if none.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// Nothing came for as long as [`Take::patience`] said.
    fn quiet(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What ended a wait.
enum Woken {
    Input,
    Signal(i32),
    Nothing,
}

/// Catches SIGTERM and SIGINT without interrupting anything: a byte in a pipe.
#[derive(Debug)]
pub struct Signals {
    wake: OwnedFd,
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Catch them from now on.
    pub fn catch() -> Result<Self> {
        let failed = |e: std::io::Error| PluginError::environment("env.kernel", format!("cannot catch signals: {e}"));
        let (wake, sent) = rustix::pipe::pipe().map_err(|e| failed(e.into()))?;
        let which = Arc::new(AtomicUsize::new(0));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register_usize(signal, Arc::clone(&which), signal as usize).map_err(failed)?;
            let sent = sent.try_clone().map_err(failed)?;
            signal_hook::low_level::pipe::register(signal, sent).map_err(failed)?;
        }
        Ok(Signals { wake, which })
    }

    /// The signal that came, if one did.
    fn came(&self) -> Option<i32> {
        match self.which.load(Ordering::SeqCst) as i32 {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Wait until `fd` can be read, a signal comes, or time is up.
    fn before(&self, fd: BorrowedFd<'_>, patience: Option<Duration>) -> Result<Woken> {
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut fds = [
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::from_borrowed_fd(fd, PollFlags::IN),
        ];
        loop {
            match poll(&mut fds, patience.as_ref()) {
                Ok(0) => return Ok(Woken::Nothing),
                Ok(_) if fds[0].revents().is_empty() => return Ok(Woken::Input),
                Ok(_) => return Ok(Woken::Signal(self.which.load(Ordering::SeqCst) as i32)),
                Err(Errno::INTR) => {}
                Err(e) => {
                    return Err(PluginError::environment(
                        "env.kernel",
                        format!("cannot wait for input: {e}"),
                    ))
                }
            }
        }
    }
}

/// Reads a target's input.
#[derive(Debug)]
pub struct Reader {
    source: File,
    framer: Framer,
    order: Order,
    signals: Option<Signals>,
    junk: BTreeMap<&'static str, u64>,
}

impl Reader {
    /// Read stdin and heed SIGTERM and SIGINT.
    pub fn stdin(max_line: usize) -> Result<Self> {
        let source = rustix::io::dup(std::io::stdin())
            .map_err(|e| PluginError::environment("env.kernel", format!("stdin cannot be used: {e}")))?;
        Reader::heeding(source.into(), max_line)
    }

    /// Read a pipe and heed SIGTERM and SIGINT.
    pub(crate) fn heeding(source: File, max_line: usize) -> Result<Self> {
        Ok(Reader {
            signals: Some(Signals::catch()?),
            ..Reader::of(source, max_line)
        })
    }

    /// Read any file or pipe, heedless of signals.
    pub fn of(source: File, max_line: usize) -> Self {
        let framer = Framer::new(max_line);
        Reader {
            source,
            framer,
            order: Order::default(),
            signals: None,
            junk: BTreeMap::new(),
        }
    }

    /// Hand every message to `target`, in order, until the input ends. Junk is left out and counted (I9: never silently;
    /// [`Reader::junk`] has the counts).
    pub fn each(&mut self, target: &mut impl Take) -> Result<End> {
        let mut ended = false;
        loop {
            let place = match self.framer.advance() {
                Ok(None) if ended => self.framer.last(),
                other => other,
            };
            match place {
                Ok(Some(place)) => self.one(&place, target)?,
                Ok(None) if ended => {
                    // A signal that came together with the end: whoever sent it may have ended the tap as well.
                    let came = self.signals.as_ref().and_then(Signals::came);
                    return Ok(came.map_or(End::Eof, End::Signal));
                }
                Ok(None) => {
                    self.framer.release_all();
                    target.settle()?;
                    if let Some(signals) = &self.signals {
                        match signals.before(self.source.as_fd(), target.patience())? {
                            Woken::Input => {}
                            Woken::Signal(signal) => return Ok(End::Signal(signal)),
                            Woken::Nothing => {
                                target.quiet()?;
                                continue;
                            }
                        }
                    }
                    let fill = self.framer.fill(&mut self.source);
                    let fill = fill.map_err(|e| PluginError::io("cannot read", "stdin".as_ref(), &e))?;
                    ended = fill == Fill::End;
                }
                Err(long) => {
                    let found = singer_protocol::envelope::head(&long.head).ok().and_then(|e| e.stream);
                    let stream = found.map(|s| s.to_str_lossy().into_owned());
                    return Err(
                        PluginError::fault(&long.fault(), stream.as_deref(), long.number, long.start)
                            .hint(format!("the cap is {} bytes", long.max_line)),
                    );
                }
            }
        }
    }

    fn one(&mut self, place: &framing::Line, target: &mut impl Take) -> Result<()> {
        let line = self.framer.slice(place.span());
        let name = |s: Option<Text<'_>>| s.map(|s| s.to_str_lossy().into_owned());
        match inspect(line, Check::Json) {
            Ok(Line::Message { envelope, .. }) => {
                self.order
                    .admit(&envelope)
                    .map_err(|f| PluginError::fault(&f, name(envelope.stream).as_deref(), place.number, place.start))?;
                target.take(&Input {
                    line,
                    envelope,
                    number: place.number,
                    offset: place.start,
                })
            }
            Ok(Line::Junk(junk)) => {
                *self.junk.entry(junk.name()).or_default() += 1;
                Ok(())
            }
            Err(fault) => {
                let stream = singer_protocol::envelope::head(line).ok().and_then(|e| e.stream);
                Err(PluginError::fault(
                    &fault,
                    name(stream).as_deref(),
                    place.number,
                    place.start,
                ))
            }
        }
    }

    /// Lines that were no messages, by kind.
    pub fn junk(&self) -> &BTreeMap<&'static str, u64> {
        &self.junk
    }
}
