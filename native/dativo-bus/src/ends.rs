//! The descriptors that a plan names, taken over from the caller, each once.

use crate::give_back::{self, Backs};
use crate::options::Options;
use dativo_bus_engine::plan::Plan;
use dativo_sandbox::Inherited;
use std::os::fd::OwnedFd;

/// The descriptors that the plan names, taken over.
#[derive(Debug)]
pub struct Ends {
    /// Where events go.
    pub events: OwnedFd,
    /// The control plane's words.
    pub control: Option<OwnedFd>,
    /// The stream in.
    pub source: Option<OwnedFd>,
    /// The stream out.
    pub sink: Option<OwnedFd>,
    /// Where files of the children go that they have changed.
    pub backs: Backs,
}

impl Ends {
    /// Takes them; the error says which one is not open.
    pub fn take(plan: &Plan, options: &Options, inherited: &mut Inherited) -> Result<Ends, String> {
        let mut take = |what: &str, fd: i32| {
            inherited
                .take(fd)
                .map_err(|e| format!("bad plan: {what} names descriptor {fd}, which cannot be used: {e}"))
        };
        let mut backs = Backs::new();
        for (index, name, fd) in give_back::named(plan) {
            backs.insert((index, name.to_string()), take("back_fd", fd)?);
        }
        Ok(Ends {
            backs,
            events: take("--events-fd", options.events_fd)?,
            control: plan.control_fd.map(|fd| take("control_fd", fd)).transpose()?,
            source: plan.source.as_ref().map(|s| take("source.fd", s.fd)).transpose()?,
            sink: plan.sink.as_ref().map(|s| take("sink.fd", s.fd)).transpose()?,
        })
    }
}
