//! The files that a BATCH names.

use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

/// Writes a sealed file: under `NAME.part`, then read-only and renamed. Returns its size in bytes.
///
/// # Errors
/// The file cannot be written; nothing is left of it.
pub fn seal(path: &Path, batches: &[RecordBatch]) -> io::Result<u64> {
    let _ = (path, batches);
    unimplemented!()
}

/// Reads the record batches of a file. A file that is not one of ours never makes this panic or allocate more than its size allows.
///
/// # Errors
/// It cannot be read, or is no such file ([`io::ErrorKind::InvalidData`]).
pub fn read(path: &Path) -> io::Result<Vec<RecordBatch>> {
    let _ = path;
    unimplemented!()
}

/// Bytes of the sealed and unsealed files in a folder; what goes away meanwhile counts as nothing.
pub fn used(folder: &Path) -> io::Result<u64> {
    let _ = folder;
    unimplemented!()
}

/// The path of a `file:` URI or a plain absolute path, as in a manifest; none for any other.
pub fn path_of(uri: &str) -> Option<PathBuf> {
    let _ = uri;
    unimplemented!()
}

/// The `file://` URI of an absolute path.
pub fn uri_of(path: &Path) -> String {
    let _ = path;
    unimplemented!()
}
