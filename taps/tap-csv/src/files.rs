//! Which files there are, and which stream each belongs to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use singer_plugin::{PluginError, Result};

use crate::settings::Settings;

/// The files of each stream, sorted by path.
pub fn by_stream(settings: &Settings) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut streams: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for pattern in &settings.files {
        for path in expand(pattern)? {
            let files = streams.entry(stream_name(&settings.stream, &path)).or_default();
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    streams.values_mut().for_each(|files| files.sort());
    Ok(streams)
}

/// A path as it is, or the files a glob finds. Nothing found is an error: a typo must not look like an empty source.
fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    if Path::new(pattern).is_file() {
        return Ok(vec![pattern.into()]);
    }
    let invalid = |what: String| PluginError::config("config.invalid", format!("tap-csv: files: {what}"));
    let found = glob::glob(pattern).map_err(|e| invalid(format!("{pattern:?} is not a pattern: {}", e.msg)))?;
    let mut paths = Vec::new();
    for path in found {
        let path = path.map_err(|e| PluginError::io("cannot look into", e.path(), e.error()))?;
        if path.is_file() {
            paths.push(path);
        }
    }
    match paths.is_empty() {
        true => Err(invalid(format!("{pattern:?} finds no file")).hint("the path is taken from the working directory")),
        false => Ok(paths),
    }
}

/// The stream's name of a file. I12: it is data; nothing is ever opened by it.
fn stream_name(template: &str, path: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    let name = text(path.file_name());
    let lower = name.to_ascii_lowercase();
    let mut stem = name.as_str();
    for endings in [[".gz", ".zst", ".zstd"].as_slice(), &[".csv", ".tsv", ".txt", ".tab"]] {
        if let Some(ending) = endings
            .iter()
            .find(|e| lower[..stem.len()].ends_with(*e) && stem.len() > e.len())
        {
            stem = &name[..stem.len() - ending.len()];
        }
    }
    let dir = text(path.parent().and_then(Path::file_name));
    template
        .replace("{stem}", stem)
        .replace("{name}", &name)
        .replace("{dir}", &dir)
}

/// Whether a file's name says that tabs are between its fields.
pub fn is_tabbed(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let name = [".gz", ".zst", ".zstd"]
        .iter()
        .fold(name.as_str(), |name, ending| name.strip_suffix(ending).unwrap_or(name));
    name.ends_with(".tsv") || name.ends_with(".tab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |path: &str| stream_name("{stem}", Path::new(path));
        assert_eq!(name("/a/flights.csv.gz"), "flights");
        assert_eq!(name("x/Flights.CSV"), "Flights");
        assert_eq!(name("a.b.tsv.zst"), "a.b");
        assert_eq!(name(".csv"), ".csv");
        assert_eq!(name("plain"), "plain");
        assert_eq!(stream_name("{dir}_{stem}", Path::new("/data/2013/x.csv")), "2013_x");
        assert!(is_tabbed(Path::new("a.TSV.gz")) && !is_tabbed(Path::new("a.csv")));
    }
}
