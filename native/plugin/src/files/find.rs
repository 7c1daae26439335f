//! Which files there are: a path, a glob, all below a prefix.

use std::path::Path;
use std::time::UNIX_EPOCH;

use futures_util::TryStreamExt;
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStoreExt};

use super::address::{Address, Object};
use super::fault;
use super::storage::Files;
use crate::error::{PluginError, Result};

/// `*` and `?` stay within a folder, as in a shell; `**` does not.
const RULES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub address: Address,
    /// Its size in bytes.
    pub size: u64,
    /// Changes when the file does: an object's etag, else time and size.
    pub version: String,
    /// The etag as a request takes it.
    pub(crate) etag: Option<String>,
}

impl Found {
    pub(crate) fn object(at: &Object, meta: &ObjectMeta) -> Self {
        let time = || format!("{:x}-{:x}", meta.last_modified.timestamp_micros(), meta.size);
        Found {
            address: Address::Object(Object {
                key: meta.location.as_ref().into(),
                ..at.clone()
            }),
            size: meta.size,
            // A listing and an answer's header may quote it differently.
            version: meta
                .e_tag
                .as_deref()
                .map_or_else(time, |tag| tag.trim_matches('"').into()),
            etag: meta.e_tag.clone().filter(|tag| tag.starts_with('"')),
        }
    }

    fn local(path: &Path, about: &std::fs::Metadata) -> Self {
        let time = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        Found {
            address: Address::Local(path.into()),
            size: about.len(),
            version: format!("{:x}-{:x}", time.map_or(0, |t| t.as_nanos()), about.len()),
            etag: None,
        }
    }
}

impl Files {
    /// A file, or none. Links are followed, as everything that opens a path does.
    pub fn look(&self, at: &Address) -> Result<Option<Found>> {
        match at {
            Address::Local(path) => match std::fs::metadata(path) {
                Ok(about) => Ok(about.is_file().then(|| Found::local(path, &about))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(PluginError::io("cannot look at", path, &e)),
            },
            Address::Object(object) => {
                let (store, path) = (self.store(object)?, object.path()?);
                match self.ask(async move { store.head(&path).await })? {
                    Ok(meta) => Ok(Some(Found::object(object, &meta))),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(e) => Err(fault::told("cannot look at", object, &e)),
                }
            }
        }
    }

    /// The files that a text names, sorted: a path or URL, or all that a glob finds (`*`, `?`, `[…]`, `**` over folders).
    ///
    /// # Errors
    /// Nothing found is `config.invalid`: a typo must not look like an empty source.
    pub fn find(&self, setting: &str, text: &str) -> Result<Vec<Found>> {
        let at = Address::parse(text)?;
        if !at.name().is_empty() {
            let exact = match &at {
                // A pattern may be longer than a path may be.
                Address::Local(path) => std::fs::metadata(path).is_ok_and(|m| m.is_file()),
                Address::Object(_) => true,
            };
            if let Some(found) = exact.then(|| self.look(&at)).transpose()?.flatten() {
                return Ok(vec![found]);
            }
        }
        let wrong = |what: String| PluginError::config("config.invalid", format!("{setting}: {what}"));
        let no_pattern = |e: glob::PatternError| wrong(format!("{text:?} is not a pattern: {}", e.msg));
        let mut found = Vec::new();
        match &at {
            Address::Local(path) => {
                for path in glob::glob(&path.to_string_lossy()).map_err(no_pattern)? {
                    let path = path.map_err(|e| PluginError::io("cannot look into", e.path(), e.error()))?;
                    found.extend(self.look(&Address::Local(path))?);
                }
            }
            Address::Object(object) => {
                let pattern = Pattern::new(&object.key).map_err(no_pattern)?;
                let plain = object.key.split(['*', '?', '[']).next().unwrap_or_default();
                let folder = plain.rfind('/').map_or("", |end| &plain[..end]);
                if plain.len() < object.key.len() {
                    found = self.list(&Address::Object(Object {
                        key: folder.into(),
                        ..object.clone()
                    }))?;
                    found.retain(
                        |one| matches!(&one.address, Address::Object(o) if pattern.matches_with(&o.key, RULES)),
                    );
                }
            }
        }
        if found.is_empty() {
            let hint = match at {
                Address::Local(_) => "the path is taken from the working directory",
                Address::Object(_) => "`*` stays within a folder, `**` goes into all below",
            };
            return Err(wrong(format!("{text:?} finds no file")).hint(hint));
        }
        found.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(found)
    }

    /// All files below a folder or prefix, at any depth, sorted; none when it is not there.
    pub fn list(&self, folder: &Address) -> Result<Vec<Found>> {
        let mut found = match folder {
            Address::Local(path) => {
                let pattern = Path::new(&Pattern::escape(&path.to_string_lossy())).join("**/*");
                let all = glob::glob(&pattern.to_string_lossy())
                    .map_err(|e| PluginError::config("config.invalid", format!("{folder}: {}", e.msg)))?;
                let mut found = Vec::new();
                for path in all {
                    let path = path.map_err(|e| PluginError::io("cannot look into", e.path(), e.error()))?;
                    found.extend(self.look(&Address::Local(path))?);
                }
                found
            }
            Address::Object(object) => {
                let key = object.key.trim_end_matches('/').to_string();
                let (store, path) = (self.store(object)?, Object { key, ..object.clone() }.path()?);
                let listed = self.ask(async move { store.list(Some(&path)).try_collect::<Vec<_>>().await })?;
                let listed = listed.map_err(|e| fault::told("cannot list", object, &e))?;
                listed.iter().map(|meta| Found::object(object, meta)).collect()
            }
        };
        found.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(found)
    }
}
