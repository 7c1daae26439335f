//! Reading: streams that begin anywhere, ranges, and small documents as a whole.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use std::sync::Arc;

use super::address::{Address, Object};
use super::engine::Coming;
use super::fault;
use super::find::Found;
use super::storage::Files;
use super::write::seen_as;
use crate::error::{PluginError, Result};

/// One request asks for this much.
const CHUNK: u64 = 4 << 20;
/// So many requests are on their way at once (I10: [`CHUNK`] bytes each).
const AHEAD: usize = 3;

type Answer = object_store::Result<Bytes>;

/// One object as it was found: an etag that changes meanwhile is an error and not a mixture.
#[derive(Clone, Debug)]
struct Whole {
    files: Files,
    store: Arc<dyn ObjectStore>,
    object: Object,
    path: object_store::path::Path,
    size: u64,
    etag: Option<String>,
}

impl Whole {
    fn of(files: &Files, object: &Object, found: &Found) -> Result<Self> {
        Ok(Whole {
            files: files.clone(),
            store: files.store(object)?,
            path: object.path()?,
            object: object.clone(),
            size: found.size,
            etag: found.etag.clone(),
        })
    }

    fn begin(&self, from: u64, to: u64) -> Result<Coming<Answer>> {
        let (store, path) = (Arc::clone(&self.store), self.path.clone());
        let options = GetOptions {
            range: Some(GetRange::Bounded(from..to)),
            if_match: self.etag.clone(),
            ..GetOptions::default()
        };
        self.files
            .begin(async move { store.get_opts(&path, options).await?.bytes().await })
    }

    fn end(&self, answer: Coming<Answer>) -> io::Result<Bytes> {
        let answer = answer.wait().map_err(io::Error::other)?;
        answer.map_err(|e| io::Error::other(fault::told("cannot read", &self.object, &e)))
    }
}

/// A file's bytes from some place on.
#[derive(Debug)]
pub enum Stream {
    /// A file of this machine, as it is.
    Local(File),
    /// An object.
    Object(Box<Chunks>),
}

/// An object, a few chunks ahead of its reader.
#[derive(Debug)]
pub struct Chunks {
    whole: Whole,
    /// The next byte that is asked for.
    next: u64,
    coming: VecDeque<Coming<Answer>>,
    now: Bytes,
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Local(file) => file.read(out),
            Stream::Object(chunks) => chunks.read(out),
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            while self.coming.len() < AHEAD && self.next < self.whole.size {
                let to = self.whole.size.min(self.next + CHUNK);
                self.coming
                    .push_back(self.whole.begin(self.next, to).map_err(io::Error::other)?);
                self.next = to;
            }
            match self.coming.pop_front() {
                Some(answer) => self.now = self.whole.end(answer)?,
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.now.len());
        out[..n].copy_from_slice(&self.now.split_to(n));
        Ok(n)
    }
}

/// A file that is read at places, as Parquet's readers do.
#[derive(Debug)]
pub struct Ranges {
    size: u64,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Local(File),
    Object(Box<Whole>),
}

impl Ranges {
    /// The file's size.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Exactly `length` bytes from `from` on.
    ///
    /// # Errors
    /// The file ends before, or cannot be read; `into_inner` of the error may hold a [`PluginError`].
    pub fn read_at(&self, from: u64, length: usize) -> io::Result<Bytes> {
        let end = from.checked_add(length as u64).filter(|end| *end <= self.size);
        let Some(end) = end else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before"));
        };
        match &self.inner {
            _ if length == 0 => Ok(Bytes::new()),
            Inner::Local(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, from)?;
                Ok(bytes.into())
            }
            Inner::Object(whole) => whole.end(whole.begin(from, end)?),
        }
    }
}

impl From<PluginError> for io::Error {
    fn from(error: PluginError) -> Self {
        io::Error::other(error)
    }
}

/// What a failed read was about: the error that it carries, or the file's own trouble.
pub fn explain(at: &Address, error: &io::Error) -> PluginError {
    match (
        error.get_ref().and_then(|inner| inner.downcast_ref::<PluginError>()),
        at,
    ) {
        (Some(carried), _) => carried.clone(),
        (None, Address::Local(path)) => PluginError::io("cannot read", path, error),
        (None, at) => PluginError::io("cannot read", at.to_string().as_ref(), error),
    }
}

impl Files {
    /// A file's bytes, from `start` on.
    pub fn open(&self, found: &Found, start: u64) -> Result<Stream> {
        match &found.address {
            Address::Local(path) => {
                let opened = File::open(path).and_then(|mut file| {
                    if start > 0 {
                        file.seek(SeekFrom::Start(start))?;
                    }
                    Ok(file)
                });
                opened
                    .map(Stream::Local)
                    .map_err(|e| PluginError::io("cannot read", path, &e))
            }
            Address::Object(object) => Ok(Stream::Object(Box::new(Chunks {
                whole: Whole::of(self, object, found)?,
                next: start,
                coming: VecDeque::new(),
                now: Bytes::new(),
            }))),
        }
    }

    /// A file to be read at places.
    pub fn ranges(&self, found: &Found) -> Result<Ranges> {
        let inner = match &found.address {
            Address::Local(path) => {
                Inner::Local(File::open(path).map_err(|e| PluginError::io("cannot read", path, &e))?)
            }
            Address::Object(object) => Inner::Object(Box::new(Whole::of(self, object, found)?)),
        };
        Ok(Ranges {
            size: found.size,
            inner,
        })
    }

    /// The first bytes of a file, at most `most`.
    pub fn head(&self, found: &Found, most: usize) -> Result<Vec<u8>> {
        let failed = |e: &io::Error| explain(&found.address, e);
        let mut head = Vec::new();
        match &found.address {
            Address::Local(_) => {
                let stream = self.open(found, 0)?;
                stream
                    .take(most as u64)
                    .read_to_end(&mut head)
                    .map_err(|e| failed(&e))?;
            }
            Address::Object(_) => {
                let most = found.size.min(most as u64) as usize;
                head = self.ranges(found)?.read_at(0, most).map_err(|e| failed(&e))?.into();
            }
        }
        Ok(head)
    }

    /// A small document as a whole, with its version for [`Condition::Same`](super::Condition); none when it is not there.
    pub fn document(&self, at: &Address) -> Result<Option<(Vec<u8>, String)>> {
        match at {
            Address::Local(path) => {
                let Some(found) = self.look(at)? else { return Ok(None) };
                let bytes = std::fs::read(path).map_err(|e| PluginError::io("cannot read", path, &e))?;
                Ok(Some((bytes, found.version)))
            }
            Address::Object(object) => {
                let (store, path) = (self.store(object)?, object.path()?);
                let got = self.ask(async move {
                    let got = store.get(&path).await?;
                    Ok::<_, object_store::Error>((got.meta.clone(), got.bytes().await?))
                })?;
                match got {
                    Ok((meta, bytes)) => Ok(Some((bytes.into(), seen_as(meta.e_tag, meta.version)))),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(e) => Err(fault::told("cannot read", object, &e)),
                }
            }
        }
    }
}
