//! `--play`: a tape, or letters, as a tap. It is started as a child of a plan, in the sandbox, and may read its files only.

use crate::play_letters;
use dativo_bus_engine::tape::{Part, Reader};
use singer_protocol::envelope::{self, Kind};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zstd::stream::read::Decoder;

/// What a zstd frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// log2 of the bytes that a frame may look back: what we write needs 20, and more memory than this is not given (I10).
const WINDOW: u32 = 23;
const BUFFER: usize = 256 << 10;

/// What to play.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Play {
    /// One tape, or files of letters.
    pub files: Vec<PathBuf>,
    /// Stop behind so many records.
    pub until: Option<u64>,
    /// Only letters of these streams; of all when there are none.
    pub streams: Vec<String>,
    /// Only letters behind this bookmark.
    pub state: Option<PathBuf>,
    /// As slowly as it was recorded.
    pub real_time: bool,
}

/// Prints it on stdout.
pub fn play(wanted: &Play) -> io::Result<()> {
    let mut out = Out::new(wanted.until);
    if let [path] = wanted.files.as_slice() {
        let mut file = open(path)?;
        if file.fill_buf()?.starts_with(&MAGIC) {
            tape(file, path, wanted.real_time, &mut out)?;
            return out.flush();
        }
    }
    play_letters::play(wanted, &mut out)?;
    out.flush()
}

/// A file to read; the error names it.
pub fn open(path: &Path) -> io::Result<BufReader<File>> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    Ok(BufReader::with_capacity(BUFFER, File::open(path).map_err(named)?))
}

/// The parts of a compressed tape.
pub fn reader(file: impl BufRead) -> io::Result<Reader<impl BufRead>> {
    let mut decoder = Decoder::with_buffer(file)?;
    decoder.window_log_max(WINDOW)?;
    Ok(Reader::new(BufReader::with_capacity(BUFFER, decoder)))
}

/// Whether the tape only breaks off: what is before that is whole.
pub fn breaks_off(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn tape(file: impl BufRead, path: &Path, real_time: bool, out: &mut Out) -> io::Result<()> {
    let mut reader = reader(file)?;
    let (begun, mut held) = (Instant::now(), Vec::new());
    loop {
        match reader.next_part() {
            Ok(Some(Part::Bytes(envelope))) if envelope.channel == "in.0" => {
                if real_time {
                    out.flush()?;
                    std::thread::sleep(Duration::from_micros(envelope.t).saturating_sub(begun.elapsed()));
                }
                // Its writer ended: what comes behind that is another one's.
                if reader.bytes().is_empty() {
                    out.last(&mut held)?;
                }
                if out.take(&mut held, reader.bytes())? {
                    return Ok(());
                }
            }
            // A further attempt: what the one before broke off in is no line of it.
            Ok(Some(Part::Header(_))) => out.last(&mut held)?,
            Ok(Some(_)) => {}
            Ok(None) => return out.last(&mut held),
            Err(e) if breaks_off(&e) => {
                eprintln!("{}: the tape breaks off here; what is before is whole", path.display());
                return out.last(&mut held);
            }
            Err(e) => return Err(io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
        }
    }
}

/// Stdout, up to so many records.
pub struct Out {
    to: BufWriter<StdoutLock<'static>>,
    left: Option<u64>,
}

impl Out {
    fn new(until: Option<u64>) -> Out {
        Out {
            to: BufWriter::with_capacity(BUFFER, io::stdout().lock()),
            left: until,
        }
    }

    /// Whether it has had all the records that it may have.
    pub fn full(&self) -> bool {
        self.left == Some(0)
    }

    /// Writes one line (with its LF).
    pub fn line(&mut self, line: &[u8], record: bool) -> io::Result<()> {
        self.to.write_all(line)?;
        if record {
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    }

    /// Writes the complete lines of what came; the beginning of one is held. Whether it is full.
    fn take(&mut self, held: &mut Vec<u8>, bytes: &[u8]) -> io::Result<bool> {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        if !lines.is_empty() {
            if held.is_empty() {
                self.lines(lines)?;
            } else {
                held.extend_from_slice(lines);
                self.lines(held)?;
                held.clear();
            }
        }
        held.extend_from_slice(rest);
        Ok(self.full())
    }

    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.left.is_none() {
            return self.to.write_all(lines);
        }
        for line in lines.split_inclusive(|b| *b == b'\n') {
            if self.full() {
                return Ok(());
            }
            let record = is_record(line);
            self.line(line, record)?;
        }
        Ok(())
    }

    /// A last line without an LF, if it is a message and not the beginning of one.
    fn last(&mut self, held: &mut Vec<u8>) -> io::Result<()> {
        if !self.full() && envelope::check(held).is_ok() {
            let record = is_record(held);
            held.push(b'\n');
            self.line(held, record)?;
        }
        held.clear();
        Ok(())
    }

    /// All of it, now.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether a line is a RECORD.
pub fn is_record(line: &[u8]) -> bool {
    envelope::head(line).is_ok_and(|found| found.kind == Kind::Record)
}

/// Reads a line with its LF, of at most so many bytes. Whether there was one.
pub fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>, most: u64) -> io::Result<bool> {
    line.clear();
    let read = Read::take(from, most).read_until(b'\n', line)?;
    match read as u64 == most && line.last() != Some(&b'\n') {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")),
        false => Ok(read > 0),
    }
}
