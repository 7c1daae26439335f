//! A file as UTF-8 text: gz and zst by their magic bytes, any encoding, from any place on.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use crate::error::{PluginError, Result};
use crate::files::{read, Address, Files, Found};

const CHUNK: usize = 256 * 1024;
/// How much of a file's beginning identifies it.
pub const HEAD: usize = 4096;
/// No row is larger (I10); a quote that never closes would make one of the whole file.
pub const MAX_ROW: u64 = 64 * 1024 * 1024;

/// What is known of a file before it is read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it is, its size and version.
    pub found: Found,
    /// Its first bytes, at most [`HEAD`].
    pub head: Vec<u8>,
}

impl Facts {
    /// Look at a file.
    pub fn of(files: &Files, at: &Address) -> Result<Self> {
        let found = files.look(at)?.ok_or_else(|| {
            PluginError::config("config.invalid", format!("{at} is no longer there")).hint("run it again")
        })?;
        let head = files.head(&found, HEAD)?;
        Ok(Facts { found, head })
    }

    /// What identifies the file, over as much of its head as there was when it had `size` bytes.
    pub fn fingerprint(&self, size: u64) -> String {
        let length = self.head.len().min(size.min(HEAD as u64) as usize);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&self.head[..length]))
    }

    /// Its version, if it is an object: that of a path says when it was written, not what is in it.
    pub fn version(&self) -> Option<String> {
        let found = &self.found;
        found.address.local().is_none().then(|| found.version.clone())
    }

    fn compression(&self) -> Compression {
        match self.head.as_slice() {
            [0x1F, 0x8B, ..] => Compression::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Why text cannot be had, carried inside an `io::Error` through the CSV reader.
#[derive(Debug)]
pub enum Trouble {
    /// Bytes that the encoding does not have.
    Encoding(&'static str),
    /// A row beyond [`MAX_ROW`].
    Endless,
    /// The compressed data is damaged or cut short.
    Compressed(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Encoding(name) => write!(f, "the text is not {name}"),
            Trouble::Endless => write!(f, "a row has more than {} MiB: a quote is not closed", MAX_ROW >> 20),
            Trouble::Compressed(why) => write!(f, "the compressed data is damaged: {why}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// Bytes handed out since the last row ended; whoever reads rows sets it back.
pub type Meter = Rc<Cell<u64>>;

/// A file's text from `from` on (a byte of the text as UTF-8), and the byte before it.
pub fn open(
    files: &Files,
    facts: &Facts,
    encoding: &'static Encoding,
    from: u64,
    meter: Meter,
) -> Result<(Box<dyn Read>, Option<u8>)> {
    let at = &facts.found.address;
    let compression = facts.compression();
    if compression == Compression::None && encoding == UTF_8 {
        let mut inner = files.open(&facts.found, from.saturating_sub(1))?;
        let mut before = None;
        if from > 0 {
            let mut byte = [0];
            inner.read_exact(&mut byte).map_err(|e| explain(at, None, &e))?;
            before = Some(byte[0]);
        }
        return Ok((Box::new(Metered { inner, meter }), before));
    }
    let file = files.open(&facts.found, 0)?;
    let plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(Inflated(flate2::bufread::MultiGzDecoder::new(
            BufReader::with_capacity(CHUNK, file),
        ))),
        Compression::Zstd => Box::new(Inflated(zstd::Decoder::new(file).map_err(|e| explain(at, None, &e))?)),
    };
    let mut text: Box<dyn Read> = match encoding == UTF_8 {
        true => plain,
        false => Box::new(Decoded::new(plain, encoding)),
    };
    let before = skip(&mut text, from).map_err(|e| explain(at, None, &e))?;
    Ok((Box::new(Metered { inner: text, meter }), before))
}

/// A failed read as what it was about.
pub fn explain(at: &Address, line: Option<u64>, error: &io::Error) -> PluginError {
    let place = line.map(|line| format!(" line {line}")).unwrap_or_default();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Trouble>()) {
        Some(trouble @ Trouble::Encoding(_)) => {
            PluginError::data("data.invalid_utf8", format!("{at}{place}: {trouble}"))
                .hint("set `encoding` to the file's encoding, such as windows-1252")
        }
        Some(trouble @ Trouble::Endless) => PluginError::data("data.bad_source", format!("{at}{place}: {trouble}"))
            .hint("set `quote` to the character around fields, or to \"\" if there is none"),
        Some(trouble) => PluginError::data("data.bad_source", format!("{at}{place}: {trouble}"))
            .hint("check the file, for example with gzip -t or zstd -t"),
        None => read::explain(at, error),
    }
}

/// Read `count` bytes away; the last of them.
fn skip(text: &mut dyn Read, count: u64) -> io::Result<Option<u8>> {
    let mut buffer = vec![0; CHUNK];
    let (mut left, mut last) = (count, None);
    while left > 0 {
        let want = buffer.len().min(left as usize);
        match text.read(&mut buffer[..want])? {
            0 => return Ok(None),
            n => {
                last = Some(buffer[n - 1]);
                left -= n as u64;
            }
        }
    }
    Ok(last)
}

struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.meter.get() > MAX_ROW {
            return Err(io::Error::other(Trouble::Endless));
        }
        let n = self.inner.read(out)?;
        self.meter.set(self.meter.get() + n as u64);
        Ok(n)
    }
}

/// Marks every error of a decompressor as one of the data, but for those of the disk or the store below it.
struct Inflated<R>(R);

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(|e| match (e.raw_os_error(), e.get_ref()) {
            (Some(_), _) => e,
            (None, Some(inner)) if inner.is::<PluginError>() => e,
            (None, _) => io::Error::other(Trouble::Compressed(e.to_string())),
        })
    }
}

/// Turns any encoding into UTF-8. A byte order mark is taken away.
struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    name: &'static str,
    raw: Box<[u8]>,
    text: Box<[u8]>,
    taken: usize,
    ready: usize,
    bad: bool,
    finished: bool,
}

impl<R: Read> Decoded<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        let (raw, text) = (vec![0; CHUNK].into(), vec![0; 3 * CHUNK + 16].into()); // room for the worst case
        Decoded {
            inner,
            decoder,
            name: encoding.name(),
            raw,
            text,
            taken: 0,
            ready: 0,
            bad: false,
            finished: false,
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        let n = self.inner.read(&mut self.raw)?;
        self.finished = n == 0;
        let (result, _, written) =
            self.decoder
                .decode_to_utf8_without_replacement(&self.raw[..n], &mut self.text, n == 0);
        // What stands before the bad bytes is good text and comes first; then the error, at its row.
        self.bad = !matches!(result, DecoderResult::InputEmpty);
        (self.taken, self.ready) = (0, written);
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready {
            if self.bad {
                return Err(io::Error::other(Trouble::Encoding(self.name)));
            }
            if self.finished {
                return Ok(0);
            }
            self.decode()?;
        }
        let n = out.len().min(self.ready - self.taken);
        out[..n].copy_from_slice(&self.text[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}
