//! The run itself: SCHEMA, rows, STATE, ACTIVATE_VERSION.
//!
//! Each table is read in a transaction of its own, read-only and of one snapshot. A full load that is interrupted starts anew, with a
//! new version: where its rows lie (ctid) means nothing under another snapshot. With `resume_full_table` it is read in the order of its
//! key and goes on behind the last key that was sent; what changed meanwhile before that key comes with the next full load.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use postgres::Client;
use singer_plugin::batches::Batches;
use singer_plugin::message::Schema;
use singer_plugin::{Result, Sync};

use crate::bookmark::{self, Halfway, State};
use crate::choice::{Choice, Method};
use crate::column::Column;
use crate::copy::Plan;
use crate::discover;
use crate::lane::Lanes;
use crate::session::Session;
use crate::settings::Settings;
use crate::statement::{bound, copy, Part};
use crate::table::{literal, schema};

const BEGIN: &str = "begin isolation level repeatable read read only";
/// A part of a table is not smaller than this (8 KB each): a lane should not wait for statements.
const PART_BLOCKS: i64 = 1024;

/// Read what is selected.
pub fn sync<W: Write>(sync: Sync<'_, W>) -> Result<()> {
    let settings = Settings::of(&sync.config)?;
    let session = Session::of(&sync.config)?;
    session.heed_signals()?;
    let mut client = session.connect()?;
    let tables = discover::tables(&session, &mut client, &settings)?;
    let mut choices = Vec::new();
    for asked in sync.catalog.streams.iter().filter(|stream| stream.is_selected()) {
        match Choice::of(asked, &tables)? {
            Some(choice) => choices.push(choice),
            None => eprintln!(
                "warning: stream {:?} has no selected columns: it is left out",
                asked.tap_stream_id
            ),
        }
    }
    let mut run = Run {
        settings,
        session,
        clients: vec![client],
        state: State::of(sync.state)?,
        out: Batches::new(sync.out)?,
    };
    for choice in &choices {
        run.stream(choice)?;
    }
    Ok(())
}

struct Run<'a, W: Write> {
    settings: Settings,
    session: Session,
    clients: Vec<Client>,
    state: State,
    out: Batches<'a, W>,
}

/// What is done with a batch when it was sent, so that a STATE never says more than was sent.
enum Follow<'c> {
    /// Nothing: only the end of the load is a place to go on at.
    Nothing,
    /// The value of the replication key in the last row is the bookmark; where the next run reads only what is behind it, it is
    /// `pending` until a row with another value comes.
    Position {
        place: usize,
        column: &'c Column,
        pending: Option<String>,
    },
    /// The key of the last row is.
    Key { places: Vec<usize>, at: Halfway },
}

impl<W: Write> Run<'_, W> {
    fn stream(&mut self, choice: &Choice) -> Result<()> {
        let bookmark_properties = match &choice.method {
            Method::Full => vec![],
            Method::Incremental(key) => vec![key.clone()],
        };
        self.out.schema(&Schema {
            stream: choice.stream.clone(),
            schema: schema(&choice.columns),
            key_properties: choice.key.clone(),
            bookmark_properties,
        })?;
        self.execute(0..1, BEGIN, choice)?;
        match &choice.method {
            Method::Full => self.full(choice)?,
            Method::Incremental(key) => self.incremental(choice, key)?,
        }
        self.execute(0..self.clients.len(), "rollback", choice)
    }

    /// A statement on some of the connections.
    fn execute(&mut self, clients: Range<usize>, statement: &str, choice: &Choice) -> Result<()> {
        let doing = format!("cannot read stream {:?}", choice.id);
        let done = self.clients[clients]
            .iter_mut()
            .try_for_each(|client| client.batch_execute(statement));
        done.map_err(|e| self.session.failed(&doing, &e))
    }

    /// A question with one answer, asked on the first connection.
    fn ask<T: for<'r> postgres::types::FromSql<'r>>(&mut self, choice: &Choice, question: &str) -> Result<T> {
        let doing = format!("cannot read stream {:?}", choice.id);
        let answer = self.clients[0].query_one(question, &[]).and_then(|row| row.try_get(0));
        answer.map_err(|e| self.session.failed(&doing, &e))
    }

    fn full(&mut self, choice: &Choice) -> Result<()> {
        let before = self.state.version(&choice.id);
        let keyed = self.settings.resume_full_table && !choice.table.key.is_empty();
        let key: Option<Vec<_>> = choice.table.key.iter().map(|name| choice.column(name)).collect();
        let key = key.filter(|key| keyed && key.iter().all(|(_, column)| column.shape.has_order()));
        let halfway = self.state.halfway(&choice.id)?;
        let halfway = halfway.filter(|at| key.is_some() && at.key == choice.table.key);
        let version = halfway.as_ref().map_or_else(|| new_version(before), |at| at.version);
        if before.is_none() {
            self.out.activate(&choice.stream, version)?;
        }
        match key {
            None => {
                let parts = self.parts(choice)?;
                self.read(choice, &parts, Some(version), Follow::Nothing)?;
            }
            Some(key) => {
                let columns: Vec<_> = key.iter().map(|(_, column)| *column).collect();
                let mut part = Part::by(&columns);
                if let Some(at) = &halfway {
                    self.check(choice, &columns, &at.values)?;
                    part = part.from(&columns, &at.values, false);
                }
                let at = halfway.unwrap_or_else(|| Halfway {
                    version,
                    key: choice.table.key.clone(),
                    values: vec![],
                });
                let places = key.iter().map(|(place, _)| *place).collect();
                self.read(choice, &[part], Some(version), Follow::Key { places, at })?;
            }
        }
        self.out.activate(&choice.stream, version)?;
        self.state.set_loaded(&choice.id, version);
        self.out.state(self.state.value())
    }

    fn incremental(&mut self, choice: &Choice, key: &str) -> Result<()> {
        let Some((place, column)) = choice.column(key) else {
            return Ok(());
        };
        let (inclusive, from) = (
            self.settings.replication_key_inclusive,
            self.state.position(&choice.id, key)?,
        );
        let mut parts = Vec::new();
        match &from {
            Some(value) => {
                let values = [value.clone()];
                self.check(choice, &[column], &values)?;
                parts.push(Part::by(&[column]).from(&[column], &values, inclusive));
            }
            None => {
                // They have no place in the order, so they come before any bookmark says that they were sent.
                if column.nullable {
                    parts.push(Part::null(column));
                }
                parts.push(Part::by(&[column]));
            }
        }
        let pending = None;
        self.read(choice, &parts, None, Follow::Position { place, column, pending })?;
        self.out.state(self.state.value())
    }

    /// Whether the server can read the values of a bookmark.
    fn check(&mut self, choice: &Choice, columns: &[&Column], values: &[String]) -> Result<()> {
        let values: Vec<_> = columns
            .iter()
            .zip(values)
            .map(|(column, value)| bound(column, value))
            .collect();
        let question = format!("select {}", values.join(", "));
        match self.clients[0].simple_query(&question) {
            Ok(_) => Ok(()),
            Err(e) if e.code().is_some_and(|code| code.code().starts_with("22")) => Err(bookmark::invalid(&choice.id)),
            Err(e) => Err(self.session.failed("cannot use the bookmark", &e)),
        }
    }

    /// The whole table, or parts of its heap for several lanes under one snapshot.
    fn parts(&mut self, choice: &Choice) -> Result<Vec<Part>> {
        let workers = self.settings.workers;
        if workers == 1 || !choice.table.heap {
            return Ok(vec![Part::all()]);
        }
        // From here on nobody can move its rows: this transaction holds the table.
        let hold = format!("select from {} as t limit 0", choice.table.quoted());
        self.execute(0..1, &hold, choice)?;
        let size = format!(
            "select case when current_setting('server_version_num')::int < 140000 then 0 \
             else pg_relation_size({}) / current_setting('block_size')::int end",
            choice.table.oid
        );
        let blocks: i64 = self.ask(choice, &size)?;
        let count = (blocks / PART_BLOCKS).min(workers as i64 * 16);
        if count < 2 {
            return Ok(vec![Part::all()]);
        }
        let snapshot: String = self.ask(choice, "select pg_export_snapshot()")?;
        while self.clients.len() < workers + 1 {
            self.clients.push(self.session.connect()?);
        }
        let join = format!("{BEGIN}; set transaction snapshot {}", literal(&snapshot));
        self.execute(1..self.clients.len(), &join, choice)?;
        Ok(Part::blocks(blocks, count))
    }

    fn read(&mut self, choice: &Choice, parts: &[Part], version: Option<i64>, mut follow: Follow<'_>) -> Result<()> {
        let plan = Arc::new(Plan::new(
            &choice.id,
            choice.columns.clone(),
            &choice.table.key,
            self.settings.nonfinite,
            self.settings.batch_rows,
        ));
        let statements = parts
            .iter()
            .map(|part| copy(&choice.table, &choice.columns, part))
            .collect();
        // The first connection holds the snapshot of the others, or reads itself.
        let spread = matches!(follow, Follow::Nothing) && parts.len() > 1;
        let readers = match spread {
            true => self.clients.split_off(1),
            false => vec![self.clients.remove(0)],
        };
        let mut lanes = Lanes::start(&self.session, &plan, statements, readers);
        while let Some(batch) = lanes.next()? {
            self.before(choice, &batch, &mut follow)?;
            self.out.rows(&choice.stream, &batch, version)?;
            self.after(choice, &batch, &mut follow)?;
        }
        self.clients.extend(lanes.end()?);
        if let Follow::Position {
            column,
            pending: Some(value),
            ..
        } = &follow
        {
            self.position(choice, column, value);
        }
        Ok(())
    }

    /// A bookmark that waited for a row with another value, in case that is here.
    fn before(&mut self, choice: &Choice, batch: &RecordBatch, follow: &mut Follow<'_>) -> Result<()> {
        let Follow::Position { place, column, pending } = follow else {
            return Ok(());
        };
        let first = bookmark::text_of(batch.column(*place), 0);
        match pending.take_if(|value| first.as_ref() != Some(value)) {
            None => Ok(()),
            Some(value) => {
                self.position(choice, column, &value);
                self.out.state(self.state.value())
            }
        }
    }

    fn after(&mut self, choice: &Choice, batch: &RecordBatch, follow: &mut Follow<'_>) -> Result<()> {
        let last = batch.num_rows() - 1;
        let text = |place: usize| bookmark::text_of(batch.column(place), last);
        match follow {
            Follow::Nothing => Ok(()),
            Follow::Position { place, column, pending } => match text(*place) {
                None => Ok(()),
                Some(value) if self.settings.replication_key_inclusive => {
                    self.position(choice, column, &value);
                    self.out.state(self.state.value())
                }
                value => {
                    *pending = value;
                    Ok(())
                }
            },
            Follow::Key { places, at } => {
                let Some(values) = places.iter().map(|place| text(*place)).collect() else {
                    return Ok(());
                };
                at.values = values;
                self.state.set_halfway(&choice.id, at);
                self.out.state(self.state.value())
            }
        }
    }

    fn position(&mut self, choice: &Choice, column: &Column, value: &str) {
        self.state
            .set_position(&choice.id, &column.name, &bookmark::value_of(column, value));
    }
}

/// Milliseconds since 1970, and never less than the version before.
fn new_version(before: Option<i64>) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    before.map_or(now, |before| now.max(before.saturating_add(1)))
}
