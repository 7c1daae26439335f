//! Runs what object stores do: a runtime on one thread of its own, started when the first store is asked.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle};

use crate::error::{PluginError, Result};

/// Lives as long as the process.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    handle: Handle,
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Coming<T> {
    answer: mpsc::Receiver<T>,
}

impl<T> Coming<T> {
    /// Wait for it.
    pub(crate) fn wait(self) -> Result<T> {
        self.answer.recv().map_err(|_| {
            PluginError::environment("env.kernel", "the thread that talks to object stores has died")
                .hint("raise the limits on memory and processes")
        })
    }
}

impl Engine {
    pub(crate) fn start() -> Result<Self> {
        let failed = |e: std::io::Error| {
            PluginError::environment("env.kernel", format!("no thread for object stores: {e}"))
                .hint("raise the limit on processes")
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("object-stores".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(failed)?;
        Ok(Engine { handle })
    }

    /// Start something; its answer may be waited for, now or later.
    pub(crate) fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Coming<T> {
        let (send, answer) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = send.send(work.await); // nobody may be waiting any more
        });
        Coming { answer }
    }
}
