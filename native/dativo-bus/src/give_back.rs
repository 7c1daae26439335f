//! A file that a child was given to write, such as a config with a token that it renews: given back when it changed.

use dativo_bus_engine::plan::{self, FileMode, Plan};
use rustix::fs::{fstat, openat2, FileType, Mode, OFlags, ResolveFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// A larger file is no config.
const LARGEST: u64 = 1 << 20;
const WITHIN: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// The descriptors that a plan names for that, by child and file.
pub type Backs = BTreeMap<(usize, String), OwnedFd>;

/// Every one of a plan: child, name of the file, number of the descriptor.
pub fn named(plan: &Plan) -> impl Iterator<Item = (usize, &str, i32)> {
    let files = plan.children.iter().enumerate();
    files.flat_map(|(index, child)| {
        child
            .files
            .iter()
            .filter_map(move |(name, file)| Some((index, name.as_str(), file.back_fd?)))
    })
}

/// Where a child's files are, below its scratch directory, which it may own.
pub fn directory(scratch: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(scratch, "files", flags, Mode::empty(), WITHIN)?)
}

/// After the end of child number `index`: writes what it left of each such file into its descriptor, and closes that. A
/// file that is as it was leaves its descriptor empty, and so does one that is no plain file of reasonable size.
/// `directory` holds the files as `NAME.json`.
pub fn give_back(child: &plan::Child, index: usize, directory: impl AsFd, backs: &mut Backs) -> Vec<String> {
    let mut troubles = Vec::new();
    for (name, file) in &child.files {
        let Some(back) = backs.remove(&(index, name.clone())) else {
            continue;
        };
        if file.mode != FileMode::File {
            continue;
        }
        // The content itself is in no message (I13).
        match left(&directory, name) {
            Ok(content) if content == file.content.as_bytes() => {}
            Ok(content) => {
                if let Err(e) = File::from(back).write_all(&content) {
                    troubles.push(format!("{}: its file {name} could not be given back: {e}", child.name));
                }
            }
            Err(e) => troubles.push(format!("{}: its file {name} cannot be read any more: {e}", child.name)),
        }
    }
    troubles
}

fn left(directory: impl AsFd, name: &str) -> io::Result<Vec<u8>> {
    // The child could have put a link, a pipe or a device in its place.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = openat2(directory, format!("{name}.json"), flags, Mode::empty(), WITHIN)?;
    let about = fstat(&fd)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut content = Vec::new();
    File::from(fd).take(LARGEST + 1).read_to_end(&mut content)?;
    match content.len() as u64 > LARGEST {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dativo_sandbox::pipes;
    use std::path::Path;
    use std::path::PathBuf;

    fn plan() -> Plan {
        let file = r#"{"content":"old","mode":"file","back_fd":9}"#;
        let text = format!(
            r#"{{"plan":1,"run":"r","job":"j","run_dir":"/x","children":[{{"name":"p","role":"probe","argv":["x"],"files":{{"config":{file},"other":{{"content":"x"}}}}}}]}}"#
        );
        Plan::parse(text.as_bytes()).unwrap()
    }

    /// What comes back when `change` was done to the file of that path.
    fn back(change: impl Fn(&Path)) -> (String, usize) {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place: PathBuf = std::env::temp_dir().join(format!("dativo-back-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let file = place.join("config.json");
        std::fs::write(&file, "old").unwrap();
        change(&file);
        let plan = plan();
        assert_eq!(named(&plan).collect::<Vec<_>>(), [(0, "config", 9)]);
        let (reader, writer) = pipes::pipe(4096).unwrap();
        let mut backs = Backs::from([((0, "config".to_string()), writer)]);
        let troubles = give_back(&plan.children[0], 0, File::open(&place).unwrap(), &mut backs);
        assert!(backs.is_empty());
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        std::fs::remove_dir_all(place).unwrap();
        (text, troubles.len())
    }

    #[test]
    fn a_change_comes_back_and_nothing_else_does() {
        assert_eq!(back(|_| {}), (String::new(), 0));
        assert_eq!(back(|file| std::fs::write(file, "new").unwrap()), ("new".into(), 0));
        // As careful programs write: another file, moved into its place.
        let moved = |file: &Path| {
            let other = file.with_extension("tmp");
            std::fs::write(&other, "newer").unwrap();
            std::fs::rename(other, file).unwrap();
        };
        assert_eq!(back(moved), ("newer".into(), 0));
    }

    #[test]
    fn what_is_no_plain_file_does_not() {
        let replaced = |with: fn(&Path)| {
            back(move |file| {
                std::fs::remove_file(file).unwrap();
                with(file);
            })
        };
        assert_eq!(replaced(|_| {}), (String::new(), 1));
        assert_eq!(
            replaced(|file| std::os::unix::fs::symlink("/etc/passwd", file).unwrap()),
            (String::new(), 1)
        );
        assert_eq!(replaced(|file| std::fs::create_dir(file).unwrap()), (String::new(), 1));
        let fifo = |file: &Path| {
            assert!(std::process::Command::new("mkfifo")
                .arg(file)
                .status()
                .unwrap()
                .success())
        };
        assert_eq!(replaced(fifo), (String::new(), 1));
        let large = |file: &Path| std::fs::write(file, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert_eq!(back(large), (String::new(), 1));
    }
}
