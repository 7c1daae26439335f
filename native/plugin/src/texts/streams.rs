//! Which files there are, and which stream each belongs to.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::files::{Address, Files, Found};

/// The endings of compressed files.
const COMPRESSED: &[&str] = &[".gz", ".zst", ".zstd"];

/// The files of each stream, sorted. `template` makes the stream's name of `{stem}`, `{name}` and `{dir}`; `endings` are those that a
/// stem lacks, as `.csv`, beside those of compression.
pub fn by_stream(
    files: &Files,
    patterns: &[String],
    template: &str,
    endings: &[&str],
) -> Result<BTreeMap<String, Vec<Found>>> {
    let mut streams: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for pattern in patterns {
        for found in files.find("files", pattern)? {
            let of_stream = streams
                .entry(stream_name(template, &found.address, endings))
                .or_default();
            if !of_stream.iter().any(|other| other.address == found.address) {
                of_stream.push(found);
            }
        }
    }
    streams
        .values_mut()
        .for_each(|files| files.sort_by(|a, b| a.address.cmp(&b.address)));
    Ok(streams)
}

/// The stream's name of a file. I12: it is data; nothing is ever opened by it.
fn stream_name(template: &str, at: &Address, endings: &[&str]) -> String {
    let name = at.name();
    let lower = name.to_ascii_lowercase();
    let mut stem = name.as_str();
    for endings in [COMPRESSED, endings] {
        if let Some(ending) = endings
            .iter()
            .find(|e| lower[..stem.len()].ends_with(*e) && stem.len() > e.len())
        {
            stem = &name[..stem.len() - ending.len()];
        }
    }
    template
        .replace("{stem}", stem)
        .replace("{name}", &name)
        .replace("{dir}", &at.folder_name())
}

/// A file's name in small letters, without the ending of its compression.
pub fn plain_name(at: &Address) -> String {
    let name = at.name().to_ascii_lowercase();
    let plain = COMPRESSED
        .iter()
        .fold(name.as_str(), |name, e| name.strip_suffix(e).unwrap_or(name));
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |template: &str, path: &str| {
            let at = Address::parse(path).unwrap();
            stream_name(template, &at, &[".csv", ".tsv", ".txt", ".tab"])
        };
        assert_eq!(name("{stem}", "/a/flights.csv.gz"), "flights");
        assert_eq!(name("{stem}", "x/Flights.CSV"), "Flights");
        assert_eq!(name("{stem}", "a.b.tsv.zst"), "a.b");
        assert_eq!(name("{stem}", ".csv"), ".csv");
        assert_eq!(name("{stem}", "plain"), "plain");
        assert_eq!(name("{dir}_{stem}", "/data/2013/x.csv"), "2013_x");
        assert_eq!(name("{dir}_{stem}", "s3://bucket/2013/x.csv"), "2013_x");
        assert_eq!(plain_name(&Address::parse("a.TSV.gz").unwrap()), "a.tsv");
    }
}
