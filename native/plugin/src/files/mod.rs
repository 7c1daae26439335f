//! Files here and in object stores, by one kind of address.
//!
//! [`address`] (what a setting's text names) > [`storage`] (the `storage` setting, and the stores it opens) > [`find`] (paths and
//! globs as sorted lists) > [`read`] (streams with read-ahead, ranges, small documents) and [`write`](mod@write) (uploads, and
//! puts with a condition). Local files go through plain `std::fs`; nothing here starts a thread or opens a connection before an
//! object store is really asked ([`engine`]).
//!
//! Who uses it: taps and targets of files, behind the feature `files`. Guards I10 (a few chunks in memory, whatever the object's
//! size), I12 (keys and names are data) and I13 (an error never quotes what the `storage` setting holds).

pub mod address;
mod engine;
mod fault;
pub mod find;
pub mod read;
pub mod storage;
pub mod write;

pub use address::{Address, Object};
pub use find::Found;
pub use read::{Ranges, Stream};
pub use storage::{setting, Files, NETWORK};
pub use write::{Condition, Upload};

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;

    use super::address::Scheme;
    use super::*;

    /// A bucket in memory, and a folder.
    fn both() -> (Files, Vec<Address>, tempfile::TempDir) {
        let store = Arc::new(object_store::memory::InMemory::new());
        let home = tempfile::tempdir().unwrap();
        let files = Files::default().with_store(Scheme::S3, "b", store);
        let places = vec![Address::parse("s3://b/in").unwrap(), Address::Local(home.path().into())];
        (files, places, home)
    }

    fn put(files: &Files, at: &Address, bytes: &[u8]) {
        let mut upload = files.create(at).unwrap();
        upload.write_all(bytes).unwrap();
        upload.finish().unwrap();
    }

    #[test]
    fn the_same_here_and_in_a_bucket() {
        let (files, places, _home) = both();
        for folder in places {
            for name in ["b.csv", "a.csv", "x/c.csv", "x/y/d.csv", "a.txt", "odd [1].csv"] {
                put(&files, &folder.join(name), name.as_bytes());
            }
            let found = |pattern: &str| -> Vec<String> {
                let found = files.find("files", &format!("{folder}/{pattern}")).unwrap();
                found
                    .iter()
                    .map(|f| f.address.to_string()[folder.to_string().len() + 1..].into())
                    .collect()
            };
            assert_eq!(found("*.csv"), ["a.csv", "b.csv", "odd [1].csv"]);
            assert_eq!(found("a.*"), ["a.csv", "a.txt"]);
            assert_eq!(found("*/*.csv"), ["x/c.csv"]);
            assert_eq!(
                found("**/*.csv"),
                ["a.csv", "b.csv", "odd [1].csv", "x/c.csv", "x/y/d.csv"]
            );
            assert_eq!(found("x/[cd].csv"), ["x/c.csv"]);
            assert_eq!(found("odd [1].csv"), ["odd [1].csv"]);
            assert_eq!(files.list(&folder).unwrap().len(), 6);
            for nothing in ["*.tsv", "c.csv", "x"] {
                let error = files.find("files", &format!("{folder}/{nothing}")).unwrap_err();
                assert_eq!((error.code, error.exit), ("config.invalid", 2), "{nothing}");
            }
        }
    }

    #[test]
    fn large_files_from_any_place_on() {
        let (files, places, _home) = both();
        let content: Vec<u8> = (0..25_000_000_u32).map(|n| (n % 251) as u8).collect();
        for at in places.iter().map(|folder| folder.join("large")) {
            put(&files, &at, &content);
            let found = files.look(&at).unwrap().unwrap();
            assert_eq!(found.size, content.len() as u64);
            for from in [0, 1, 4 << 20, 24_999_999, 25_000_000] {
                let mut read = Vec::new();
                files.open(&found, from).unwrap().read_to_end(&mut read).unwrap();
                assert!(read == content[from as usize..], "{from}");
            }
            let ranges = files.ranges(&found).unwrap();
            assert_eq!(ranges.read_at(24_999_990, 10).unwrap(), content[24_999_990..]);
            assert!(ranges.read_at(24_999_990, 11).is_err());
            assert_eq!(files.head(&found, 7).unwrap(), content[..7]);
            // An upload that is not finished leaves nothing and changes nothing.
            let mut upload = files.create(&at).unwrap();
            upload.write_all(&content[..20_000_000]).unwrap();
            drop(upload);
            assert_eq!(files.look(&at).unwrap().unwrap(), found);
            files.delete(&at).unwrap();
            files.delete(&at).unwrap();
            assert_eq!(files.look(&at).unwrap(), None);
        }
    }

    #[test]
    fn documents_are_put_only_over_what_was_read() {
        let (files, places, _home) = both();
        for at in places.iter().map(|folder| folder.join("deep/m.json")) {
            assert_eq!(files.document(&at).unwrap(), None);
            assert_eq!(files.put(&at, b"0", Condition::Same("x")).unwrap(), None);
            let first = files.put(&at, b"1", Condition::New).unwrap().unwrap();
            assert_eq!(files.put(&at, b"2", Condition::New).unwrap(), None);
            assert_eq!(files.document(&at).unwrap(), Some((b"1".to_vec(), first.clone())));
            let second = files.put(&at, b"23", Condition::Same(&first)).unwrap().unwrap();
            assert_eq!(files.put(&at, b"3", Condition::Same(&first)).unwrap(), None);
            assert_eq!(files.document(&at).unwrap(), Some((b"23".to_vec(), second)));
        }
    }
}
