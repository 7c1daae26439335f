//! The files that a BATCH names: Arrow IPC files in the spool, sealed by their writer (SPEC.md, section 14).
//!
//! A file may come from a plugin that is not trusted, so all that the Arrow library takes for granted is looked at before
//! it reads (I10: no more memory than the file has bytes).

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::FileWriter;
use arrow_ipc::{root_as_footer, root_as_message, Block};
use arrow_schema::{ArrowError, DataType};
use percent_encoding::{percent_decode_str, percent_encode, AsciiSet, NON_ALPHANUMERIC};

/// What is escaped in the path of a URI.
const NAMED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What an Arrow file begins and ends with.
const MAGIC: &[u8] = b"ARROW1";

/// Bytes behind the footer: its length and the magic.
const TRAILER: usize = 10;

/// Writes a sealed file: under `NAME.part`, then read-only and renamed. Returns its size in bytes.
///
/// # Errors
/// The file cannot be written; nothing is left of it.
pub fn seal(path: &Path, batches: &[RecordBatch]) -> io::Result<u64> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    write(&part, batches)
        .and_then(|size| fs::rename(&part, path).map(|()| size))
        .inspect_err(|_| drop(fs::remove_file(&part)))
}

fn write(part: &Path, batches: &[RecordBatch]) -> io::Result<u64> {
    let first = batches.first().ok_or_else(|| wrong("a file of no record batches"))?;
    let out = BufWriter::with_capacity(1 << 20, File::create(part)?);
    let mut writer = FileWriter::try_new(out, &first.schema()).map_err(io_error)?;
    for batch in batches {
        writer.write(batch).map_err(io_error)?;
    }
    let mut out = writer.into_inner().map_err(io_error)?;
    out.flush()?;
    let about = out.get_ref().metadata()?;
    let mut permissions = about.permissions();
    permissions.set_readonly(true);
    out.get_ref().set_permissions(permissions)?;
    Ok(about.len())
}

/// Reads the record batches of a file. A file that is not one of ours never makes this panic or allocate more than its size allows.
///
/// # Errors
/// It cannot be read, or is no such file ([`io::ErrorKind::InvalidData`]).
pub fn read(path: &Path) -> io::Result<Vec<RecordBatch>> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(wrong("not a plain file"));
    }
    let size = usize::try_from(about.len()).map_err(|_| wrong("too large for this machine"))?;
    let mut bytes =
        MutableBuffer::try_from_len_zeroed(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    file.read_exact(bytes.as_slice_mut())?;
    decode(&bytes.into())
}

/// The record batches of a file's bytes. They share those bytes.
///
/// # Errors
/// It is no such file ([`io::ErrorKind::InvalidData`]).
pub fn decode(bytes: &Buffer) -> io::Result<Vec<RecordBatch>> {
    let data = bytes.as_slice();
    let behind = data
        .len()
        .checked_sub(TRAILER)
        .ok_or_else(|| wrong("too short for an Arrow file"))?;
    let (body, trailer) = data.split_at(behind);
    if !data.starts_with(MAGIC) || !trailer.ends_with(MAGIC) {
        return Err(wrong("not an Arrow file"));
    }
    let length = trailer.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
    let from = behind
        .checked_sub(length as usize)
        .ok_or_else(|| wrong("its footer has no room"))?;
    let footer = root_as_footer(&body[from..]).map_err(|_| wrong("its footer is broken"))?;
    if footer.dictionaries().is_some_and(|d| !d.is_empty()) {
        return Err(wrong("it has dictionaries"));
    }
    let schema = footer.schema().ok_or_else(|| wrong("it has no schema"))?;
    if schema.endianness() != arrow_ipc::Endianness::Little {
        return Err(wrong("its numbers are not little-endian"));
    }
    let schema = try_fb_to_schema(schema).map_err(io_error)?;
    if let Some(field) = schema.fields().iter().find(|field| !sound(field.data_type())) {
        return Err(wrong(&format!("a column of the type {}", field.data_type())));
    }
    let decoder = FileDecoder::new(Arc::new(schema), footer.version());
    let mut batches = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let part = checked(bytes, block)?;
        let batch = decoder.read_record_batch(block, &part).map_err(io_error)?;
        batches.push(batch.ok_or_else(|| wrong("a block that is no record batch"))?);
    }
    Ok(batches)
}

/// The bytes of a block whose every length stays within them.
fn checked(bytes: &Buffer, block: &Block) -> io::Result<Buffer> {
    let outside = || wrong("a block reaches beyond its file");
    let number = |n: i64| usize::try_from(n).map_err(|_| outside());
    let (from, body) = (number(block.offset())?, number(block.bodyLength())?);
    let head = number(i64::from(block.metaDataLength()))?;
    let length = head.checked_add(body).ok_or_else(outside)?;
    let within = from.checked_add(length).is_some_and(|end| end <= bytes.len());
    if !within || head < 8 {
        return Err(outside());
    }
    let part = bytes.slice_with_length(from, length);
    let start = if part[..4] == [0xFF; 4] { 8 } else { 4 };
    let message = root_as_message(&part[start..head]).map_err(|_| wrong("a block's head is broken"))?;
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| wrong("a block that is no record batch"))?;
    if batch.compression().is_some() {
        return Err(wrong("it is compressed"));
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let end = number(buffer.offset())?.checked_add(number(buffer.length())?);
        if end.is_none_or(|end| end > body) {
            return Err(outside());
        }
    }
    // A row takes a bit at least, or it could be said to be there any number of times.
    let most = bytes.len().saturating_mul(8);
    let counts = batch
        .nodes()
        .into_iter()
        .flatten()
        .flat_map(|node| [node.length(), node.null_count()]);
    for count in counts.chain([batch.length()]) {
        if number(count)? > most {
            return Err(wrong("more rows than its bytes could hold"));
        }
    }
    Ok(part)
}

/// Whether a BATCH may have a column of this type. What has no JSON, and what the library trusts too much, has no place in one.
fn sound(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) | DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::Interval(_) => false,
        DataType::ListView(_) | DataType::LargeListView(_) => false,
        DataType::FixedSizeBinary(size) => *size > 0,
        DataType::FixedSizeList(item, size) => *size > 0 && sound(item.data_type()),
        DataType::List(item) | DataType::LargeList(item) => sound(item.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|f| sound(f.data_type())),
        DataType::Map(entries, _) => {
            matches!(entries.data_type(), DataType::Struct(pair) if pair.len() == 2) && sound(entries.data_type())
        }
        DataType::Decimal32(precision, scale) => digits(*precision, *scale, 9),
        DataType::Decimal64(precision, scale) => digits(*precision, *scale, 18),
        DataType::Decimal128(precision, scale) => digits(*precision, *scale, 38),
        DataType::Decimal256(precision, scale) => digits(*precision, *scale, 76),
        _ => true,
    }
}

fn digits(precision: u8, scale: i8, most: u8) -> bool {
    (1..=most).contains(&precision) && i16::from(scale).abs() <= i16::from(precision)
}

/// Bytes of the sealed and unsealed files in a folder; what goes away meanwhile counts as nothing.
pub fn used(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        match entry.and_then(|e| e.metadata()) {
            Ok(about) if about.is_file() => sum += about.len(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// The path of a `file:` URI or a plain absolute path, as in a manifest; none for any other.
pub fn path_of(uri: &str) -> Option<PathBuf> {
    if uri.starts_with('/') {
        return (!uri.contains('\0')).then(|| PathBuf::from(uri));
    }
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    (path.starts_with('/') && !decoded.contains(&0)).then(|| PathBuf::from(std::ffi::OsString::from_vec(decoded)))
}

/// The `file://` URI of an absolute path.
pub fn uri_of(path: &Path) -> String {
    format!("file://{}", percent_encode(path.as_os_str().as_bytes(), NAMED))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("an Arrow file that cannot be used: {what}"),
    )
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => wrong(&other.to_string()),
    }
}
