//! `--tree-…`: what the files of an installed plugin are. Every start looks at all of them, so it has to be quick.
//!
//! Python's `plugins/seal.py` asks. Nothing of a plan is known here, and nothing of a plugin is started. Three questions:
//! the look (size, ctime and inode of each file, nothing is read), the hashes, and a second tree of links to the same
//! files. Folders, or files, are shared out among as many threads as there are processors.

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, CWD};
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// More threads than this get in each other's way.
const MOST_THREADS: usize = 8;
const PIECE: usize = 1 << 17;
/// Room for the names of most folders at once: the kernel is asked twice then.
const LISTING: usize = 1 << 15;
/// Folders of a tree of links are read-only, as those that it is made of.
const FOLDER: u32 = 0o555;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// One hash over name, size, ctime and inode of everything.
    Look,
    /// The SHA-256 of each file, or where a link leads.
    Hash,
    /// The same tree at another place, its files hard links.
    Link(PathBuf),
}

/// A question about a tree, but for some names at its top.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    /// What is asked.
    pub question: Question,
    /// The top folder.
    pub top: PathBuf,
    /// Names at the top that do not count.
    pub but: Vec<OsString>,
}

/// Prints the answer: a hash in hex, or `HASH NAME` (`link:TARGET NAME` is `@NAME`, then `TARGET`), each ended by a NUL.
pub fn answer(tree: &Tree) -> io::Result<()> {
    let folders = walk(&tree.top, &tree.but)?;
    match &tree.question {
        Question::Look => print(fingerprint(&folders).as_bytes()),
        Question::Hash => print(&hashes(&tree.top, &folders)?),
        Question::Link(new) => link(&tree.top, new, &folders),
    }
}

fn print(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes)
}

/// One folder of the tree: its path below the top, and what is in it but for folders.
struct Folder {
    path: PathBuf,
    files: Vec<File>,
}

struct File {
    name: OsString,
    link: bool,
    size: u64,
    changed: (i64, u64),
    inode: u64,
}

/// Folders that nobody has read yet, and how many are being read: at none and none all is read.
#[derive(Default)]
struct Waiting {
    folders: Vec<PathBuf>,
    busy: usize,
    failed: bool,
}

fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS)
}

/// All folders, in the order of their paths, with their files in the order of their names.
fn walk(top: &Path, but: &[OsString]) -> io::Result<Vec<Folder>> {
    let root = fs::openat(
        CWD,
        top,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| named(e.into(), top))?;
    let (waiting, more) = (
        Mutex::new(Waiting {
            folders: vec![PathBuf::new()],
            ..Waiting::default()
        }),
        Condvar::new(),
    );
    let work = || -> io::Result<Vec<Folder>> {
        let mut found = Vec::new();
        loop {
            let mut held = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let path = loop {
                if held.failed || (held.folders.is_empty() && held.busy == 0) {
                    more.notify_all();
                    return Ok(found);
                }
                if let Some(path) = held.folders.pop() {
                    break path;
                }
                held = more.wait(held).unwrap_or_else(PoisonError::into_inner);
            };
            held.busy += 1;
            drop(held);
            let skipped = if path.as_os_str().is_empty() { but } else { &[] };
            let read = read_folder(&root, &path, skipped).map_err(|e| named(e, &top.join(&path)));
            let mut held = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            held.busy -= 1;
            match read {
                Ok((folder, below)) => {
                    held.folders.extend(below);
                    found.push(folder);
                }
                Err(e) => {
                    held.failed = true;
                    more.notify_all();
                    return Err(e);
                }
            }
            more.notify_all();
        }
    };
    let mut all = Vec::new();
    for part in in_threads(threads(), &work) {
        all.extend(part?);
    }
    all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// The same work in several threads, this one among them.
fn in_threads<T: Send>(number: usize, work: &(impl Fn() -> T + Sync)) -> Vec<T> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..number).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        for other in others {
            match other.join() {
                Ok(part) => parts.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        parts
    })
}

fn read_folder(root: &OwnedFd, path: &Path, skipped: &[OsString]) -> io::Result<(Folder, Vec<PathBuf>)> {
    let here: &Path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let handle = fs::openat(root, here, flags, Mode::empty())?;
    let (mut files, mut below) = (Vec::new(), Vec::new());
    let mut space = Vec::with_capacity(LISTING);
    let mut entries = RawDir::new(&handle, space.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." || skipped.iter().any(|one| one == name) {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Directory {
            below.push(path.join(name));
            continue;
        }
        let about = fs::statat(handle.as_fd(), entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind == FileType::Unknown {
            // Some file systems do not tell the kind in the listing.
            kind = FileType::from_raw_mode(about.st_mode);
            if kind == FileType::Directory {
                below.push(path.join(name));
                continue;
            }
        }
        files.push(File {
            name: name.to_os_string(),
            link: kind == FileType::Symlink,
            size: about.st_size as u64,
            changed: (about.st_ctime, about.st_ctime_nsec),
            inode: about.st_ino,
        });
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let path = path.to_path_buf();
    Ok((Folder { path, files }, below))
}

fn fingerprint(folders: &[Folder]) -> String {
    let mut total = Sha256::new();
    for folder in folders {
        total.update(folder.path.as_os_str().as_bytes());
        total.update([0]);
        for file in &folder.files {
            total.update(file.name.as_bytes());
            total.update([0]);
            for number in [file.size, file.changed.0 as u64, file.changed.1, file.inode] {
                total.update(number.to_le_bytes());
            }
        }
    }
    hex(&total.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All files with their paths below the top.
fn files(folders: &[Folder]) -> Vec<(PathBuf, &File)> {
    let each = |folder: &'_ Folder| folder.path.clone();
    folders
        .iter()
        .flat_map(|folder| {
            folder
                .files
                .iter()
                .map(move |file| (each(folder).join(&file.name), file))
        })
        .collect()
}

fn hashes(top: &Path, folders: &[Folder]) -> io::Result<Vec<u8>> {
    let every = files(folders);
    let parts = shared_out(&every, |found: &mut Vec<u8>, (path, file)| {
        let whole = top.join(path);
        if file.link {
            let target = std::fs::read_link(&whole).map_err(|e| named(e, &whole))?;
            found.push(b'@');
            found.extend_from_slice(path.as_os_str().as_bytes());
            found.push(0);
            found.extend_from_slice(target.as_os_str().as_bytes());
        } else {
            found.extend_from_slice(digest(&whole).map_err(|e| named(e, &whole))?.as_bytes());
            found.push(b' ');
            found.extend_from_slice(path.as_os_str().as_bytes());
        }
        found.push(0);
        Ok(())
    })?;
    Ok(parts.concat())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let (mut total, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&total.finalize())),
            length => total.update(&piece[..length]),
        }
    }
}

/// Does something with each item, in several threads; gives what each thread made.
fn shared_out<I: Sync, T: Default + Send>(
    items: &[I],
    each: impl Fn(&mut T, &I) -> io::Result<()> + Sync,
) -> io::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = T::default();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(&mut made, item)?;
        }
        Ok(made)
    };
    in_threads(threads(), &work).into_iter().collect()
}

fn link(top: &Path, new: &Path, folders: &[Folder]) -> io::Result<()> {
    // The order of paths has every folder behind the one that it is in.
    for folder in folders {
        let there = new.join(&folder.path);
        std::fs::create_dir(&there).map_err(|e| named(e, &there))?;
    }
    shared_out(&files(folders), |(): &mut (), (path, _)| {
        let there = new.join(path);
        std::fs::hard_link(top.join(path), &there).map_err(|e| named(e, &there))
    })?;
    for folder in folders.iter().filter(|folder| !folder.path.as_os_str().is_empty()) {
        let there = new.join(&folder.path);
        fs::chmod(&there, Mode::from_raw_mode(FOLDER)).map_err(|e| named(e.into(), &there))?;
    }
    Ok(())
}

/// With the place in it. The number comes first: Python makes its own error of it.
fn named(problem: io::Error, path: &Path) -> io::Error {
    let number = problem.raw_os_error().unwrap_or_default();
    let place = OsString::from_vec(path.as_os_str().as_bytes().to_vec());
    io::Error::new(problem.kind(), format!("{number} {}", place.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::create_dir(top.join("own")).unwrap();
        for (name, body) in [("one", "1"), ("a/two", "22"), ("a/b/three", ""), ("own/not", "x")] {
            std::fs::write(top.join(name), body).unwrap();
        }
        std::fs::write(top.join(OsStr::from_bytes(b"\xff")), "odd").unwrap();
        symlink("b", top.join("a/folder")).unwrap();
        place
    }

    fn look(top: &Path) -> String {
        fingerprint(&walk(top, &["own".into()]).unwrap())
    }

    #[test]
    fn the_look_sees_writes_comings_and_goings_but_not_in_what_is_left_out() {
        let place = tree();
        let top = place.path().join("top");
        let first = look(&top);
        assert_eq!(first, look(&top));
        std::fs::write(top.join("own/more"), "").unwrap();
        assert_eq!(first, look(&top));
        let about = std::fs::metadata(top.join("a/two")).unwrap();
        std::fs::write(top.join("a/two"), "23").unwrap();
        std::fs::File::options()
            .write(true)
            .open(top.join("a/two"))
            .unwrap()
            .set_modified(about.modified().unwrap())
            .unwrap();
        let second = look(&top);
        assert_ne!(first, second);
        std::fs::write(top.join("a/b/new"), "").unwrap();
        let third = look(&top);
        assert_ne!(second, third);
        std::fs::remove_file(top.join("a/b/new")).unwrap();
        assert_eq!(second, look(&top));
        std::fs::create_dir(top.join("a/empty")).unwrap();
        assert_ne!(second, look(&top));
    }

    #[test]
    fn hashes_and_links_are_of_the_same_files() {
        let place = tree();
        let (top, new) = (place.path().join("top"), place.path().join("new"));
        let folders = walk(&top, &["own".into()]).unwrap();
        let sorted = |bytes: Vec<u8>| {
            let mut parts: Vec<_> = bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
            parts.sort();
            parts
        };
        let there = sorted(hashes(&top, &folders).unwrap());
        assert_eq!(
            there.len(),
            7,
            "five names, a link's target, and what is behind the last NUL"
        );
        let one = format!("{} one", hex(&Sha256::digest(b"1")));
        assert!(there.contains(&one.into_bytes()));
        assert!(there.contains(&b"@a/folder".to_vec()));
        link(&top, &new, &folders).unwrap();
        assert_eq!(sorted(hashes(&new, &walk(&new, &[]).unwrap()).unwrap()), there);
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(new.join("a/b")).unwrap().permissions());
        assert_eq!(mode & 0o777, FOLDER);
        fs::chmod(new.join("a"), Mode::from_raw_mode(0o755)).unwrap();
        fs::chmod(new.join("a/b"), Mode::from_raw_mode(0o755)).unwrap();
    }

    #[test]
    fn what_is_not_there_is_named_with_its_number() {
        let problem = walk(Path::new("/nowhere/at/all"), &[]).err().unwrap();
        assert_eq!(problem.to_string(), "2 /nowhere/at/all");
    }
}
