//! Where a file is: a path, or an object in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::path::Path as Key;

use crate::error::{PluginError, Result};

/// What a URL begins with, and the name that object stores have for it.
const SCHEMES: [(&str, Scheme); 3] = [("s3", Scheme::S3), ("gs", Scheme::Google), ("az", Scheme::Azure)];

/// A kind of object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `s3://`: Amazon S3 and all that speak its language.
    S3,
    /// `gs://`: Google Cloud Storage.
    Google,
    /// `az://`: Azure Blob Storage.
    Azure,
}

impl Scheme {
    /// As a URL has it.
    pub fn name(self) -> &'static str {
        SCHEMES
            .iter()
            .find(|(_, one)| *one == self)
            .map_or("", |(name, _)| name)
    }
}

/// An object, or a prefix of objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// The kind of store.
    pub scheme: Scheme,
    /// The bucket, or Azure's container.
    pub bucket: String,
    /// The key, as it is: nothing in it is an escape.
    pub key: String,
}

impl Object {
    /// The key as the stores take it.
    pub(crate) fn path(&self) -> Result<Key> {
        Key::parse(&self.key).map_err(|e| {
            PluginError::config("config.invalid", format!("{self} cannot be an object: {e}"))
                .hint("a key has no empty parts, no `.` and no `..`")
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme.name(), self.bucket, self.key)
    }
}

/// Where a file or a folder is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// On this machine.
    Local(PathBuf),
    /// In an object store.
    Object(Object),
}

impl Address {
    /// Read a path, a `file://` URL or a URL of an object store.
    ///
    /// # Errors
    /// `config.invalid`: it is a URL of something else, or names no bucket.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Address::Local(text.into()));
        };
        let lower = scheme.to_ascii_lowercase();
        if lower == "file" {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            return match path.starts_with('/') {
                true => Ok(Address::Local(path.into())),
                false => Err(invalid(text, "names another machine, or no whole path").hint("write file:///PATH")),
            };
        }
        let Some((_, scheme)) = SCHEMES.iter().find(|(name, _)| *name == lower) else {
            return Err(invalid(text, "is a kind of URL that is not read").hint(SAID));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['?', '#', '@', ':', '*', '[']) {
            return Err(invalid(text, "names no bucket").hint(SAID));
        }
        Ok(Address::Object(Object {
            scheme: *scheme,
            bucket: bucket.into(),
            key: key.into(),
        }))
    }

    /// The path, if it is on this machine.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Address::Local(path) => Some(path),
            Address::Object(_) => None,
        }
    }

    /// The last part of the path or key.
    pub fn name(&self) -> String {
        match self {
            Address::Local(path) => text(path.file_name()),
            Address::Object(object) => object.key.rsplit('/').next().unwrap_or_default().into(),
        }
    }

    /// The name of the folder that it is in; a bucket is one.
    pub fn folder_name(&self) -> String {
        match self {
            Address::Local(path) => text(path.parent().and_then(Path::file_name)),
            Address::Object(object) => object.key.rsplit('/').nth(1).unwrap_or(&object.bucket).into(),
        }
    }

    /// The address of `name` below this folder or prefix. The name may have slashes and nothing else that is special.
    #[must_use]
    pub fn join(&self, name: &str) -> Address {
        match self {
            Address::Local(path) => Address::Local(path.join(name)),
            Address::Object(object) => {
                let folder = object.key.trim_end_matches('/');
                let key = if folder.is_empty() {
                    name.into()
                } else {
                    format!("{folder}/{name}")
                };
                Address::Object(Object { key, ..object.clone() })
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Local(path) => path.display().fmt(f),
            Address::Object(object) => object.fmt(f),
        }
    }
}

const SAID: &str = "a path, file:///PATH, s3://BUCKET/KEY, gs://BUCKET/KEY or az://CONTAINER/KEY";

fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn text(part: Option<&std::ffi::OsStr>) -> String {
    part.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()
}

fn invalid(text: &str, what: &str) -> PluginError {
    // I13: a URL may hold a password, and where it ends is told before that.
    let shown: String = text
        .split(['@', '?'])
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    let shown = if text.contains('@') {
        text.split("://").next().unwrap_or_default()
    } else {
        &shown
    };
    PluginError::config("config.invalid", format!("the address {shown:?} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_addresses() {
        for (text, shown, name, folder) in [
            ("data/a b.csv", "data/a b.csv", "a b.csv", "data"),
            ("file:///srv/x.csv", "/srv/x.csv", "x.csv", "srv"),
            (
                "s3://bucket/in/a%20b.csv",
                "s3://bucket/in/a%20b.csv",
                "a%20b.csv",
                "in",
            ),
            ("GS://bucket/x", "gs://bucket/x", "x", "bucket"),
            ("az://box/a/b/c.gz", "az://box/a/b/c.gz", "c.gz", "b"),
            ("c:/x", "c:/x", "x", "c:"),
        ] {
            let at = Address::parse(text).unwrap();
            assert_eq!(
                (at.to_string().as_str(), at.name().as_str(), at.folder_name().as_str()),
                (shown, name, folder)
            );
        }
        for wrong in [
            "s3://",
            "s3:///x",
            "http://host/x",
            "file://host/x",
            "s3://user:secret@bucket/x",
        ] {
            let error = Address::parse(wrong).unwrap_err();
            assert_eq!((error.code, error.exit), ("config.invalid", 2), "{wrong}");
            assert!(!error.to_string().contains("secret"));
        }
        let at = Address::parse("s3://bucket/a/../b").unwrap();
        assert!(matches!(at, Address::Object(object) if object.path().is_err()));
        assert_eq!(Address::parse("s3://b").unwrap().join("x/y").to_string(), "s3://b/x/y");
        assert_eq!(Address::parse("s3://b/p/").unwrap().join("x").to_string(), "s3://b/p/x");
    }
}
