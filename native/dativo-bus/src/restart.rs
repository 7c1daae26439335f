//! A tap or target that ended as it should not have, under others that live: the control plane is asked, and either has it
//! started again or gives the run up.
//!
//! Meanwhile a target's hop fills its spill; a tap's hop stands still. A target goes on behind its bookmark with what the
//! spill has kept; a tap is given the STATE to go on from by the control plane. Only one child is mended at a time: when
//! another fails meanwhile, or anything else does, the run is over as it would have been.

use crate::child::Child;
use crate::hop::Input;
use crate::launch::{launch, Launching};
use crate::leash::Restart;
use crate::supervisor::Supervisor;
use dativo_bus_engine::event::Event;
use dativo_bus_engine::ledger::Answer;
use dativo_bus_engine::plan::Role;
use dativo_bus_engine::resume::Stuck;
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::End;
use dativo_sandbox::pipes::Stream;
use dativo_sandbox::Exit;
use std::io;

/// A child that is waited for.
#[derive(Debug)]
pub struct Loss {
    pub(crate) index: usize,
    pub(crate) failure: Failure,
    exit: (Option<i32>, Option<i32>),
    /// Of a target: up to where it had read.
    pub(crate) read_to: u64,
    /// The control plane knows.
    told: bool,
}

impl Supervisor {
    /// Whether a child may be started again when it fails now.
    pub(crate) fn mendable(&self, index: usize) -> bool {
        let role = self.children[index].role;
        let placed = match role {
            Role::Target => self.hops.last().is_some_and(|hop| hop.to == End::Child(index)),
            Role::Tap => self.hops.first().is_some_and(|hop| hop.from == End::Child(index)),
            Role::Mapper | Role::Probe | Role::Checker => false,
        };
        let undisturbed = !self.verdict.failed() && self.cancelled.is_none() && !self.abandoned;
        let reachable = self.plan.spill.is_some() && self.zygote.is_some() && self.has_leash();
        let spec = &self.plan.children[index];
        // What it is to give back was handed out once; a destination's config stays here, for as long as the run.
        let stays = role == Role::Target && spec.airbyte.is_some();
        let gives_back = !stays && spec.files.values().any(|file| file.back_fd.is_some());
        placed && undisturbed && reachable && self.loss.is_none() && !gives_back
    }

    /// Notes that a child is waited for. Its hop keeps what it has.
    pub(crate) fn lose(&mut self, index: usize, failure: Failure, exit: &Exit) {
        let mut read_to = 0;
        if let Some(hop) = self.hops.iter_mut().find(|hop| hop.to == End::Child(index)) {
            read_to = hop.consumed();
            hop.lose_receiver();
        }
        self.loss = Some(Loss {
            index,
            failure,
            exit: (exit.code, exit.signal),
            read_to,
            told: false,
        });
    }

    /// Tells the control plane of a loss, once all that the child has written is in; gives it up when the run has failed.
    pub(crate) fn tell_loss(&mut self) {
        let Some(loss) = self.loss.as_ref().filter(|loss| !loss.told) else {
            return;
        };
        let index = loss.index;
        let tap = self.children[index].role == Role::Tap;
        if tap && !matches!(self.hops[0].input, Input::Lost) {
            return;
        }
        let (code, signal) = loss.exit;
        let edge = self.hops.last_mut().and_then(|hop| hop.carrier.singer());
        let left = edge.map_or(Ok(()), |relay| relay.emit());
        if left.is_err() {
            return self.give_up();
        }
        let edge = self.hops.last_mut().and_then(|hop| hop.carrier.singer());
        let (state, tail) = edge.map_or((None, 0), |relay| {
            let (state, tail) = relay.tail();
            (state.map(<[u8]>::to_vec), tail)
        });
        let Some(loss) = self.loss.as_mut() else { return };
        loss.told = true;
        let child = &self.children[index];
        let event = Event::Lost {
            child: &child.name,
            role: child.role.name(),
            code: loss.failure.reason,
            message: &loss.failure.message,
            exit: code,
            signal,
            tail: if tap { tail } else { 0 },
        };
        match state.filter(|_| tap) {
            Some(state) => self.journal.tell_with(&event, "state", &state),
            None => self.journal.tell(&event),
        }
    }

    /// The loss stands: the run ends as it would have without anybody to mend it.
    pub(crate) fn give_up(&mut self) {
        let Some(loss) = self.loss.take() else { return };
        self.fail(loss.failure);
        self.let_go(loss.index);
    }

    pub(crate) fn let_go(&mut self, index: usize) {
        for number in 0..self.hops.len() {
            if matches!(self.hops[number].input, Input::Lost) {
                self.hops[number].input = Input::Done;
            }
            if self.hops[number].to == End::Child(index) {
                self.receiver_gone(number);
            }
        }
    }

    /// Starts the child that is waited for again, as the control plane has it now.
    pub(crate) fn restart(&mut self, word: Restart) -> io::Result<()> {
        let Some(loss) = self.loss.as_ref().filter(|loss| loss.told) else {
            return Ok(());
        };
        let index = loss.index;
        let old = &self.plan.children[index];
        if word.child.name != old.name || word.child.role != old.role {
            return Ok(()); // a word about somebody else
        }
        let target = old.role == Role::Target;
        self.plan.children[index] = word.child;
        let mut again = 0;
        if target {
            let bookmark = word.bookmark.as_ref().map(|raw| raw.get().as_bytes());
            match self.resume_receiver(bookmark) {
                Ok(records) => again = records,
                Err(stuck) => {
                    self.stay_lost(stuck);
                    return Ok(());
                }
            }
        }
        let Some(loss) = self.loss.take() else { return Ok(()) };
        if let Some(scope) = word.search.filter(|_| target) {
            return self.search(loss, scope);
        }
        if self.start_again(index)? {
            let child = &self.children[index].name;
            self.journal.tell(&Event::Resumed { child, records: again });
        } else {
            self.fail(loss.failure);
        }
        Ok(())
    }

    /// Starts a child and puts it in the place of the one before it. `false`: it could not be started, and the run failed.
    pub(crate) fn start_again(&mut self, index: usize) -> io::Result<bool> {
        self.generation += 1;
        let scratch = format!("{index}.{}", self.generation);
        let (Some(zygote), Some(run_dir)) = (&self.zygote, &self.run_dir) else {
            return Ok(false);
        };
        let mut launched = match launch(zygote, &self.plan, index, run_dir, &scratch).and_then(Launching::confirmed) {
            Ok(launched) => launched,
            Err(failure) => {
                self.fail(failure);
                self.let_go(index);
                return Ok(false);
            }
        };
        self.tell_spawned(index, &launched);
        let (group, place) = (launched.group.take(), launched.process.scratch.take());
        let spec = &self.plan.children[index];
        self.watch.again(index, spec, &launched.process, group, place);
        let target = spec.role == Role::Target;
        let (mut child, mut ends) = Child::new(&self.plan, spec, launched, !target)?;
        child.wire = self.recorder.as_ref().map(|recorder| recorder.child(&child.name));
        self.children[index] = child;
        if target {
            if let (Some(hop), Some(fd)) = (self.hops.last_mut(), ends.input.take()) {
                hop.find_receiver(Stream::owned(fd)?);
            }
        } else if let (Some(hop), Some(fd)) = (self.hops.first_mut(), ends.output.take()) {
            hop.carrier.new_writer(self.plan.children[index].airbyte.as_ref());
            hop.input = Input::Open(Stream::owned(fd)?);
        }
        Ok(true)
    }

    /// From where the target goes on; how many records it gets again.
    fn resume_receiver(&mut self, bookmark: Option<&[u8]>) -> Result<u64, Stuck> {
        let relay = self.hops.last_mut().and_then(|hop| hop.carrier.singer());
        let relay = relay.ok_or(Stuck::NotKept)?;
        if let Some(Answer::Bookmark {
            value,
            records,
            seq,
            books,
        }) = relay.resume(bookmark)?
        {
            let books = relay.router.named(books);
            let forwarded = relay.router.records;
            relay.confirmed();
            if self.keep_letters() {
                self.journal.bookmark(&value, records, forwarded, seq, books);
            }
        }
        let relay = self.hops.last_mut().and_then(|hop| hop.carrier.singer());
        Ok(relay.map_or(0, |relay| relay.router.records - relay.ledger.covered()))
    }

    fn stay_lost(&mut self, stuck: Stuck) {
        if let Some(loss) = &mut self.loss {
            let why = match stuck {
                Stuck::NotKept => "what it had read since its last bookmark is not kept any more",
                Stuck::Stranger => "it remembers another bookmark than the one that it confirmed",
            };
            let message = format!("{}; it cannot be started again in place: {why}", loss.failure.message);
            loss.failure.message = message.into();
        }
        self.give_up();
    }
}
