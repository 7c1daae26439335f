//! What is different where a child speaks the Airbyte protocol: what its hop carries, the way back for a config that it renews, and how a
//! destination ends.

use crate::supervisor::Supervisor;
use dativo_bus_engine::airbyte::translated::Translated;
use dativo_bus_engine::relay::{Carrier, Relay};
use dativo_bus_engine::verdict::Failure;
use dativo_bus_engine::wiring::{self, End};
use rustix::fs::ftruncate;
use rustix::io::pwrite;
use std::io;
use std::os::fd::AsFd;

impl Supervisor {
    /// What carries a hop of messages, by who writes into it.
    pub(crate) fn carrier(&self, from: End, relay: Relay) -> Box<dyn Carrier> {
        let spec = match from {
            End::Child(index) => self.plan.children[index].airbyte.as_ref(),
            End::Source | End::Sink => None,
        };
        match spec {
            Some(spec) => {
                let writer = wiring::name(&self.plan, from);
                let recorded = self.recorder.is_some();
                Box::new(Translated::new(
                    relay,
                    writer,
                    spec,
                    self.plan.limits.max_line,
                    recorded,
                ))
            }
            None => Box::new(relay),
        }
    }

    /// Gives a config that a hop's writer wants to have from now on back, at once: it may hold a token that exists nowhere else.
    pub(crate) fn renew(&mut self, hop: usize) {
        let (Some(config), End::Child(index)) = (self.hops[hop].carrier.renewed(), self.hops[hop].from) else {
            return;
        };
        self.keep_config(index, &config);
    }

    /// The same of a destination.
    pub(crate) fn renew_reader(&mut self, index: usize) {
        let hop = self.hops.iter_mut().find(|hop| hop.to == End::Child(index));
        let relay = hop.and_then(|hop| hop.carrier.singer());
        if let Some(config) = relay.and_then(Relay::renewed_abroad) {
            self.keep_config(index, &config);
        }
    }

    /// What a destination said of an error before it exited with 0; `hop` leads to it.
    pub(crate) fn told(&mut self, hop: Option<usize>) -> Option<Failure> {
        self.hops[hop?].carrier.singer()?.verdict_abroad()
    }

    fn keep_config(&mut self, index: usize, config: &[u8]) {
        let name = &self.plan.children[index].name;
        let text = match self.backs.get(&(index, "config".to_string())) {
            // The content itself is in no message (I13).
            Some(back) => match replace(back, config) {
                Ok(()) => return,
                Err(e) => format!("the config that it renewed could not be given back: {e}"),
            },
            None => "it renewed its config, which nobody waits for".into(),
        };
        self.journal.log(name, "stderr", text.as_bytes(), false);
    }
}

/// Makes this all that a file holds.
fn replace(file: impl AsFd, content: &[u8]) -> io::Result<()> {
    ftruncate(&file, 0)?;
    let mut at = 0;
    while at < content.len() {
        at += pwrite(&file, &content[at..], at as u64)?;
    }
    Ok(())
}
