//! The files that a BATCH names: a tap must not make its target read what the tap itself could not (I6).
//!
//! Readers differ in how they take a URI apart, so every reading of a name must stay inside of what was granted. What
//! lies with a store elsewhere (`s3:` and the like) is no file of this machine.

use serde_json::{Map, Value};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Schemes that lead to another machine.
const REMOTE: [&str; 26] = [
    "s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "adl", "wasb", "wasbs", "http", "https", "hdfs", "webhdfs",
    "ftp", "ftps", "sftp", "oci", "oss", "cosn", "obs", "b2", "swift", "dbfs", "r2",
];

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To a file within what is granted, by no symbolic link.
    Inside,
    /// It would be within, but there is none.
    Missing,
    /// Anywhere else.
    Outside,
}

/// Who knows what is granted.
pub trait Gate: fmt::Debug {
    /// Where an absolute path without `..` leads.
    fn place(&self, path: &Path) -> Place;
    /// Opens a file within what is granted, as [`Gate::place`] finds it: whoever may write there may have changed it since.
    fn open(&self, path: &Path) -> io::Result<File>;
}

/// The first name in a BATCH that may not be handed over, and why not.
pub fn refused(line: &[u8], gate: &dyn Gate) -> Option<String> {
    // Of duplicate keys the last counts, here as for every reader. A line that cannot be read here is none that could
    // be judged: it may be nested deeper than this parser goes.
    let Ok(message) = serde_json::from_slice::<Map<String, Value>>(line) else {
        return Some("the message is too odd to be judged".into());
    };
    let names = ["manifest", "filepath"].iter().filter_map(|key| message.get(*key));
    let mut names = names.flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    });
    names.find_map(|name| {
        let Value::String(name) = name else {
            return Some(format!("{name} is no name of a file"));
        };
        why_not(name, gate).map(|why| format!("{name:?} {why}"))
    })
}

fn why_not(name: &str, gate: &dyn Gate) -> Option<&'static str> {
    let paths = match readings(name) {
        Ok(paths) => paths,
        Err(why) => return Some(why),
    };
    let mut inside = paths.is_empty();
    for path in paths {
        if !straight(&path) {
            return Some("is not an absolute path without . and ..");
        }
        match gate.place(&path) {
            Place::Inside => inside = true,
            Place::Missing => {}
            Place::Outside => return Some("is not within what may be handed over, or a symbolic link or no file"),
        }
    }
    (!inside).then_some("is not there")
}

/// The paths that a reader may take a name for; none if it leads to another machine.
fn readings(name: &str) -> Result<Vec<PathBuf>, &'static str> {
    if name.contains('\0') {
        return Err("holds a NUL");
    }
    if name.starts_with('/') {
        return Ok(vec![PathBuf::from(name)]);
    }
    if name.contains("::") {
        return Err("is a chain of schemes");
    }
    let Some((scheme, rest)) = name.split_once(':') else {
        return Err("is not an absolute path without . and ..");
    };
    let scheme = scheme.to_ascii_lowercase();
    if REMOTE.contains(&scheme.as_str()) && rest.starts_with("//") {
        return Ok(Vec::new());
    }
    if scheme != "file" {
        return Err("has a scheme that is not known");
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => match rest.split_once('/') {
            Some(("" | "localhost", _)) => &rest[rest.find('/').unwrap_or(0)..],
            _ => return Err("names a host"),
        },
        None => rest,
    };
    // With and without what could be a query or a fragment, decoded or not.
    let bare = path.split(['?', '#']).next().unwrap_or(path);
    let mut paths = Vec::new();
    for text in [path, bare] {
        for reading in [PathBuf::from(text), decoded(text)] {
            if !paths.contains(&reading) {
                paths.push(reading);
            }
        }
    }
    Ok(paths)
}

fn decoded(text: &str) -> PathBuf {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [byte, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|p| std::str::from_utf8(p).ok());
        let code = pair.filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|p| u8::from_str_radix(p, 16).ok()) {
            Some(code) if *byte == b'%' => {
                out.push(code);
                rest = &tail[2..];
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

fn straight(path: &Path) -> bool {
    let plain = |c: Component<'_>| matches!(c, Component::RootDir | Component::Normal(_));
    let text = path.as_os_str().as_encoded_bytes();
    // `components` passes over a single dot between slashes, so it is looked for in the text.
    path.is_absolute()
        && path.components().all(plain)
        && !text.contains(&0)
        && !text.split(|b| *b == b'/').any(|p| p == b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grants /spool, where all files but `missing` are.
    #[derive(Debug)]
    struct Spool;

    impl Gate for Spool {
        fn place(&self, path: &Path) -> Place {
            match path.strip_prefix("/spool") {
                Ok(rest) if rest.ends_with("missing") || rest.as_os_str().as_encoded_bytes().contains(&b'%') => {
                    Place::Missing
                }
                Ok(_) => Place::Inside,
                Err(_) => Place::Outside,
            }
        }

        fn open(&self, path: &Path) -> io::Result<File> {
            File::open(path)
        }
    }

    fn may(name: &str) -> bool {
        let line = serde_json::json!({"type": "BATCH", "stream": "t", "manifest": [name]}).to_string();
        refused(line.as_bytes(), &Spool).is_none()
    }

    #[test]
    fn files_that_are_granted_and_stores_elsewhere() {
        for name in [
            "/spool/1.gz",
            "file:///spool/1.gz",
            "FILE:///spool/1.gz",
            "file://localhost/spool/1.gz",
            "file:/spool/1.gz",
            "file:///spool/a%20b.gz",
            "file:///spool/a#b",
            "s3://bucket/1.gz",
            "gs://bucket/../1.gz",
        ] {
            assert!(may(name), "{name}");
        }
    }

    #[test]
    fn what_a_tap_may_not_hand_over() {
        for name in [
            "",
            "1.gz",
            "/etc/shadow",
            "/spool/../etc/shadow",
            "/spool/./1.gz",
            "/spool/missing",
            "file:///etc/shadow",
            "file:///spool/%2e%2e/etc/shadow",
            "file:///spool/..%2fetc/shadow",
            "file:///spool/x%00",
            "file://host/spool/1.gz",
            "file:spool/1.gz",
            "file://spool",
            "local:///etc/shadow",
            "osfs:///etc/shadow",
            "zip://*.csv::file:///etc/shadow",
            "s3:/spool/1.gz",
            "file:///etc/shadow?/spool",
        ] {
            assert!(!may(name), "{name}");
        }
    }

    #[test]
    fn both_shapes_and_what_is_no_name() {
        for (line, fine) in [
            (r#"{"filepath":"/spool/1"}"#, true),
            (r#"{"filepath":"/etc/1"}"#, false),
            (r#"{"manifest":["/spool/1"],"filepath":"/etc/1"}"#, false),
            (r#"{"manifest":["/spool/1","/etc/1"]}"#, false),
            (r#"{"manifest":[]}"#, true),
            (r#"{"manifest":[7]}"#, false),
            (
                &format!(
                    r#"{{"x":{}1{},"manifest":["/etc/1"]}}"#,
                    "[".repeat(500),
                    "]".repeat(500)
                ),
                false,
            ),
            (r#"{"manifest":[["/etc/1"]]}"#, false),
        ] {
            assert_eq!(refused(line.as_bytes(), &Spool).is_none(), fine, "{line}");
        }
        let why = refused(br#"{"filepath":"/etc/1"}"#, &Spool).unwrap();
        assert!(why.starts_with("\"/etc/1\" is not within"), "{why}");
    }
}
