//! What stands at the target's edge: what is kept for it, the copy of what it is given, the letters that it is not given.

use crate::letters::Letters;
use crate::shelf::Files;
use crate::supervisor::Supervisor;
use dativo_bus_engine::check::rejects::Letterbox;
use dativo_bus_engine::event::Event;
use dativo_bus_engine::outlet::Outlet;
use dativo_bus_engine::plan::Plan;
use dativo_bus_engine::shelf::Shelf;
use dativo_bus_engine::spill::{Bounds, Spill};
use dativo_bus_engine::verdict::Failure;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

const COPY_BUFFER: usize = 256 << 10;

/// Where the plan wants dead letters.
pub fn letterbox(plan: &Plan) -> Option<Box<dyn Letterbox>> {
    let letters = plan.dead_letters.as_ref()?;
    Some(Box::new(Letters::new(letters.path.clone())))
}

impl Supervisor {
    /// As the plan wants it. What cannot be had on disk is told, and kept in memory only; a copy that cannot be made fails
    /// the run.
    pub(crate) fn outlet(&mut self) -> Outlet {
        let (spill, copy) = (self.spill(), self.copy());
        Outlet::new(true).with_spill(spill).with_copy(copy)
    }

    fn spill(&mut self) -> Option<Spill> {
        let kept = self.plan.spill.as_ref()?;
        let bounds = Bounds {
            memory: kept.memory,
            disk: kept.disk,
            age: Duration::from_secs_f64(kept.age),
        };
        let made = kept.dir.as_deref().map(Files::within).transpose();
        if let Err(e) = &made {
            let text = format!("nothing can be kept on disk for a target that dies: {e}");
            let code = "spill.memory_only";
            self.journal.tell(&Event::Notice { code, text: &text });
        }
        let shelf = made.ok().flatten().map(|files| Box::new(files) as Box<dyn Shelf>);
        Some(Spill::new(bounds, shelf))
    }

    fn copy(&mut self) -> Option<Box<dyn Write>> {
        let path = &self.plan.copy_to.as_ref()?.path;
        let mut options = std::fs::OpenOptions::new();
        match options.create(true).append(true).mode(0o600).open(path) {
            Ok(file) => Some(Box::new(BufWriter::with_capacity(COPY_BUFFER, file))),
            Err(e) => {
                let message = format!("cannot write {}: {e}", path.display());
                self.verdict.fail(Failure::run("env.copy", message));
                None
            }
        }
    }

    /// Makes the dead letters so far durable, or fails the run (I9). Whether they are.
    pub(crate) fn keep_letters(&mut self) -> bool {
        let kept = self.rejects.borrow_mut().sync();
        match kept {
            Ok(()) => true,
            Err(failure) => {
                match self.hops.len() {
                    0 => self.fail(failure),
                    hops => self.data_failed(hops - 1, failure),
                }
                false
            }
        }
    }
}
