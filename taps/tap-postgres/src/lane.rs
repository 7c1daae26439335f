//! Lanes: connections that read statements at the same time, each in a thread of its own that takes the rows apart while the
//! main thread sends the batch before.

use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use postgres::Client;
use singer_plugin::{PluginError, Result};

use crate::copy::{Plan, Rows};
use crate::session::Session;

/// The lanes of one table. Dropped before its end it stops them, and their connections are not given back.
#[derive(Debug)]
pub struct Lanes {
    batches: Option<Receiver<Result<RecordBatch>>>,
    threads: Vec<JoinHandle<Option<Client>>>,
}

struct Work {
    session: Session,
    plan: Arc<Plan>,
    statements: Vec<String>,
    next: AtomicUsize,
}

impl Lanes {
    /// Reads the statements, in their order, with these connections.
    pub fn start(session: &Session, plan: &Arc<Plan>, statements: Vec<String>, clients: Vec<Client>) -> Lanes {
        // A batch is gathered, one waits, one is being sent: no more of them than that for each lane.
        let (sender, batches) = sync_channel(clients.len());
        let work = Arc::new(Work {
            session: session.clone(),
            plan: Arc::clone(plan),
            statements,
            next: AtomicUsize::new(0),
        });
        let threads = clients.into_iter().map(|client| {
            let (work, sender) = (Arc::clone(&work), sender.clone());
            std::thread::spawn(move || work.run(client, &sender))
        });
        let threads = threads.collect();
        Lanes {
            batches: Some(batches),
            threads,
        }
    }

    /// The next batch of any lane.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self.batches.as_ref().map(Receiver::recv) {
            Some(Ok(batch)) => batch.map(Some),
            _ => Ok(None),
        }
    }

    /// All was read: the connections, for what comes next. I11: a lane that is gone without a word has not read all.
    pub fn end(mut self) -> Result<Vec<Client>> {
        self.batches = None;
        let ended: Option<Vec<Client>> = self.threads.into_iter().map(|thread| thread.join().ok()?).collect();
        ended.ok_or_else(|| PluginError {
            exit: 1,
            ..PluginError::config("database.failed", "a connection ended before its rows did")
        })
    }
}

impl Work {
    /// Reads statements until there are none. Gives the connection back unless something went wrong with it.
    fn run(&self, mut client: Client, sender: &SyncSender<Result<RecordBatch>>) -> Option<Client> {
        loop {
            let statement = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(statement) = self.statements.get(statement) else {
                return Some(client);
            };
            if let Err(error) = self.read(&mut client, statement, sender) {
                // Nobody listens any more when another lane's error came first.
                drop(sender.send(Err(error)));
                // A connection in the middle of a COPY would be read to its end before it closes.
                std::mem::forget(client);
                return None;
            }
        }
    }

    fn read(&self, client: &mut Client, statement: &str, sender: &SyncSender<Result<RecordBatch>>) -> Result<()> {
        let doing = || format!("cannot read stream {:?}", self.plan.stream);
        let failed = |e: &postgres::Error| self.session.failed(&doing(), e);
        let mut rows = Rows::new(&self.plan);
        let send = |rows: &mut Rows<'_>| match rows.batch()? {
            Some(batch) => sender.send(Ok(batch)).map_err(|_| PluginError::closed()),
            None => Ok(()),
        };
        let mut source = client.copy_out(statement).map_err(|e| failed(&e))?;
        loop {
            let piece = source.fill_buf().map_err(|error| {
                let inner = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<postgres::Error>());
                match inner {
                    Some(inner) => failed(inner),
                    None => PluginError::config("database.failed", format!("{}: {error}", doing())),
                }
            })?;
            if piece.is_empty() {
                break;
            }
            let length = piece.len();
            let full = rows.feed(piece)?;
            source.consume(length);
            if full {
                send(&mut rows)?;
            }
        }
        rows.end()?;
        send(&mut rows)
    }
}
