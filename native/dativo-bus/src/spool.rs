//! The run's spool on disk: a private folder with one part for the tap and one for the bus, removed at the end.

use crate::run_dir::RunDir;
use arrow_array::RecordBatch;
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::relay::columns::Columns;
use dativo_bus_engine::spool::Spool;
use dativo_bus_engine::verdict::Failure;
use singer_protocol::columns::spool;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The tap's part: it seals files there and reads nothing else of the spool.
const TAP: &str = "tap";
/// The bus's own part.
const BUS: &str = "bus";

/// The folder. It is removed with the last who holds it.
#[derive(Debug)]
pub struct Folder {
    place: Rc<RunDir>,
    own: PathBuf,
    tap: PathBuf,
    number: u64,
}

/// Makes the spool that a plan wants, before anybody is started who is to reach it.
pub fn make(plan: &Plan) -> Result<Option<Rc<RunDir>>, Failure> {
    let Some(wanted) = &plan.spool else { return Ok(None) };
    let place = RunDir::create(&wanted.dir)?;
    place.directory(TAP)?;
    place.directory(BUS)?;
    Ok(Some(Rc::new(place)))
}

/// The columns of the target's edge, where there is a spool and the target speaks Arrow.
pub fn columns(plan: &Plan, place: Option<&Rc<RunDir>>) -> Option<Columns> {
    let (wanted, place) = (plan.spool.as_ref()?, place?);
    plan.children.last().filter(|child| child.arrow)?;
    let folder = Folder {
        own: place.path().join(BUS),
        tap: place.path().join(TAP),
        place: Rc::clone(place),
        number: 0,
    };
    Some(Columns::new(Box::new(folder), wanted.bytes))
}

impl Spool for Folder {
    fn seal(&mut self, batch: &RecordBatch) -> io::Result<(PathBuf, u64)> {
        self.number += 1;
        let path = self.own.join(format!("{}.arrow", self.number));
        let size = spool::seal(&path, std::slice::from_ref(batch))?;
        Ok((path, size))
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.place.path())
    }

    fn remove(&mut self, path: &Path) {
        // One that is gone already is none the worse; what stays goes with the folder.
        let _ = std::fs::remove_file(path);
    }

    fn clear(&mut self, known: &dyn Fn(&Path) -> bool) {
        for entry in std::fs::read_dir(&self.tap).into_iter().flatten().flatten() {
            let path = entry.path();
            if !known(&path) {
                self.remove(&path);
            }
        }
    }
}
