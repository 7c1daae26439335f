//! Writing: uploads that are there as a whole or not at all, puts with a condition, deleting.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::address::{Address, Object};
use super::engine::Coming;
use super::fault;
use super::storage::Files;
use crate::error::{PluginError, Result};

/// A part of a larger object. Stores take at most 10,000 of them, some only ones of equal size.
const PART: usize = 8 << 20;
/// So many parts are on their way at once (I10).
const AHEAD: usize = 2;

/// When a put is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Always.
    None,
    /// Only if nothing is there.
    New,
    /// Only if this version is still there.
    Same(&'a str),
}

/// A file on its way: nobody sees it before [`Upload::finish`], and nothing is left of one that is dropped.
#[derive(Debug)]
pub struct Upload {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Local {
        file: File,
        part: PathBuf,
        path: PathBuf,
        done: bool,
    },
    Object(Box<Parts>),
}

#[derive(Debug)]
struct Parts {
    files: Files,
    store: Arc<dyn ObjectStore>,
    object: Object,
    path: object_store::path::Path,
    buffer: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    coming: VecDeque<Coming<object_store::Result<()>>>,
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Local { file, .. } => file.write(bytes),
            Inner::Object(parts) => Ok(parts.add(bytes)?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload {
    /// Make it a file, whole and durable, in place of what was there.
    pub fn finish(mut self) -> Result<()> {
        match &mut self.inner {
            Inner::Local { file, part, path, done } => {
                file.sync_all().map_err(|e| PluginError::io("cannot write", part, &e))?;
                fs::rename(&*part, &*path).map_err(|e| PluginError::io("cannot write", path, &e))?;
                *done = true;
                sync_folder(
                    path.parent()
                        .filter(|p| !p.as_os_str().is_empty())
                        .unwrap_or(Path::new(".")),
                )
            }
            Inner::Object(parts) => parts.finish(),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        match &mut self.inner {
            Inner::Local { part, done: false, .. } => drop(fs::remove_file(part)),
            Inner::Local { .. } => {}
            Inner::Object(parts) => parts.abort(),
        }
    }
}

impl Parts {
    fn told(&self, error: &object_store::Error) -> PluginError {
        fault::told("cannot write", &self.object, error)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<usize> {
        let n = bytes.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        if self.buffer.len() == PART {
            self.send()?;
        }
        Ok(n)
    }

    /// Send the buffer as a part.
    fn send(&mut self) -> Result<()> {
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let (store, path) = (Arc::clone(&self.store), self.path.clone());
                let begun = self.files.ask(async move { store.put_multipart(&path).await })?;
                begun.map_err(|e| self.told(&e))?
            }
        };
        let part = upload.put_part(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART)).into());
        self.upload = Some(upload);
        self.coming.push_back(self.files.begin(part)?);
        self.settle(AHEAD)
    }

    /// Wait until at most `most` parts are on their way.
    fn settle(&mut self, most: usize) -> Result<()> {
        while self.coming.len() > most {
            if let Some(answer) = self.coming.pop_front() {
                answer.wait()?.map_err(|e| self.told(&e))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let (store, path) = (Arc::clone(&self.store), self.path.clone());
            let payload = PutPayload::from(std::mem::take(&mut self.buffer));
            let done = self.files.ask(async move { store.put(&path, payload).await })?;
            return done.map(drop).map_err(|e| self.told(&e));
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        self.settle(0)?;
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        // What fails here may have been done: it is not aborted.
        let done = self.files.ask(async move { upload.complete().await })?;
        done.map(drop).map_err(|e| self.told(&e))
    }

    fn abort(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            let _ = self.files.ask(async move { upload.abort().await });
        }
    }
}

/// Make renames in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| PluginError::io("cannot sync", folder, &e))
}

/// Conditions on local files are decided in this process alone; between processes a lock of the caller's is needed.
static LOCAL: Mutex<()> = Mutex::new(());

impl Files {
    /// Begin a file. Its folder is made where there is none.
    pub fn create(&self, at: &Address) -> Result<Upload> {
        let inner = match at {
            Address::Local(path) => {
                let part = beside(path)?;
                let file = File::create(&part).map_err(|e| PluginError::io("cannot write", &part, &e))?;
                Inner::Local {
                    file,
                    part,
                    path: path.clone(),
                    done: false,
                }
            }
            Address::Object(object) => Inner::Object(Box::new(Parts {
                files: self.clone(),
                store: self.store(object)?,
                path: object.path()?,
                object: object.clone(),
                buffer: Vec::new(),
                upload: None,
                coming: VecDeque::new(),
            })),
        };
        Ok(Upload { inner })
    }

    /// Put a small document, durably and in one step; its new version, or none when the condition does not hold.
    pub fn put(&self, at: &Address, bytes: &[u8], condition: Condition<'_>) -> Result<Option<String>> {
        match at {
            Address::Local(_) => {
                let _one = LOCAL.lock().unwrap_or_else(PoisonError::into_inner);
                let there = self.look(at)?.map(|found| found.version);
                let holds = match condition {
                    Condition::None => true,
                    Condition::New => there.is_none(),
                    Condition::Same(version) => there.as_deref() == Some(version),
                };
                if !holds {
                    return Ok(None);
                }
                let mut upload = self.create(at)?;
                upload
                    .write_all(bytes)
                    .map_err(|e| PluginError::io("cannot write", at.to_string().as_ref(), &e))?;
                upload.finish()?;
                Ok(self.look(at)?.map(|found| found.version))
            }
            Address::Object(object) => self.put_object(object, bytes, condition),
        }
    }

    fn put_object(&self, object: &Object, bytes: &[u8], condition: Condition<'_>) -> Result<Option<String>> {
        let (store, path) = (self.store(object)?, object.path()?);
        let mode = match condition {
            Condition::None => PutMode::Overwrite,
            Condition::New => PutMode::Create,
            Condition::Same(there) => {
                let (tag, version) = there.split_once('\n').unwrap_or((there, ""));
                let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
                PutMode::Update(UpdateVersion {
                    e_tag: some(tag),
                    version: some(version),
                })
            }
        };
        let conditional = condition != Condition::None;
        let payload = PutPayload::from(bytes.to_vec());
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        let done = self.ask(async move { store.put_opts(&path, payload, options).await })?;
        match done {
            Ok(done) => Ok(Some(seen_as(done.e_tag, done.version))),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(None),
            // The object to replace is gone; S3 says 409 when one condition meets another.
            Err(object_store::Error::NotFound { .. })
                if conditional && self.look(&Address::Object(object.clone()))?.is_none() =>
            {
                Ok(None)
            }
            Err(e) => Err(fault::told("cannot write", object, &e)),
        }
    }

    /// Delete a file; one that is not there is fine.
    pub fn delete(&self, at: &Address) -> Result<()> {
        match at {
            Address::Local(path) => match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(PluginError::io("cannot remove", path, &e)),
                _ => Ok(()),
            },
            Address::Object(object) => {
                let (store, path) = (self.store(object)?, object.path()?);
                match self.ask(async move { store.delete(&path).await })? {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(e) => Err(fault::told("cannot delete", object, &e)),
                }
            }
        }
    }
}

/// What [`Condition::Same`] holds of an object: some stores go by the etag, some by the version.
pub(crate) fn seen_as(tag: Option<String>, version: Option<String>) -> String {
    format!("{}\n{}", tag.unwrap_or_default(), version.unwrap_or_default())
}

/// Where a file is written before it has its name: hidden, in the same folder.
fn beside(path: &Path) -> Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        fs::create_dir_all(folder).map_err(|e| PluginError::io("cannot make", folder, &e))?;
    }
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(folder.join(format!(".{name}.{}.part", std::process::id())))
}
