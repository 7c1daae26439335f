//! One stream: its SCHEMA, its table, and how its rows get there.
//!
//! Rows are copied straight into the table, its key included, several batches by one COPY. Only when a key turns out to be there
//! already are these batches staged and merged, and so are some of those behind them: each time twice as many as before, until one
//! goes straight again.

use std::collections::BTreeMap;

use singer_plugin::sink::{Declared, Slice};
use singer_plugin::{PluginError, Result};

use crate::batch::{Batch, Part};
use crate::cell::Cell;
use crate::database::{Database, Refused};
use crate::fit::{fit, Fit};
use crate::flight::Flight;
use crate::merge::{How, Staged, Stages, DELETED_AT};
use crate::name;
use crate::settings::{Mode, Settings};
use crate::sql_type::Type;
use crate::table::{Column, Table};

/// Holds the version of a row's full load.
const VERSION: &str = "_sdc_table_version";
/// Batches that are staged in a row after keys were found, at most.
const MOST_STAGED: u32 = 64;

/// A stream.
#[derive(Debug)]
pub struct Stream {
    doing: String,
    name: String,
    table_name: String,
    declared: BTreeMap<String, Type>,
    order: Vec<String>,
    keys: Vec<String>,
    mode: Mode,
    table: Option<Table>,
    settled: bool,
    staged_left: u32,
    staged_next: u32,
    /// Whether this run made the table: then it holds no version but those that were loaded.
    made: bool,
    /// The oldest version that this run loaded.
    oldest: Option<i64>,
    /// The COPY under way.
    flight: Option<Flight>,
}

impl Stream {
    /// A stream whose first SCHEMA came.
    pub fn new(declared: &Declared, settings: &Settings) -> Stream {
        let table_name = name::table(&settings.table(&declared.stream));
        let mut stream = Stream {
            doing: format!("stream {:?}", declared.stream),
            name: declared.stream.clone(),
            table_name,
            declared: BTreeMap::new(),
            order: vec![],
            keys: vec![],
            mode: Mode::Append,
            table: None,
            settled: false,
            staged_left: 0,
            staged_next: 1,
            made: false,
            oldest: None,
            flight: None,
        };
        stream.declare(declared, settings);
        stream
    }

    /// Takes over a SCHEMA.
    pub fn declare(&mut self, declared: &Declared, settings: &Settings) {
        let properties = declared.schema["properties"].as_object();
        self.order.clear();
        for (property, schema) in properties.into_iter().flatten() {
            let column = name::column(property);
            self.declared
                .insert(column.clone(), Type::of_property(schema, &declared.schema));
            self.order.push(column);
        }
        self.keys = declared.keys.clone();
        self.mode = settings.mode_of(!self.keys.is_empty());
        self.settled = false;
    }

    /// The columns of the key, where rows are told apart by it.
    fn key_columns(&self) -> Vec<String> {
        match self.mode {
            Mode::Append => vec![],
            _ => self.keys.iter().map(|key| name::column(key)).collect(),
        }
    }

    /// The type of a column that nobody declared.
    fn undeclared(column: &str, natural: Type) -> Type {
        match natural {
            // What targets and taps add besides the SCHEMA is plain.
            Type::Jsonb if column.starts_with("_sdc_") => Type::Text,
            natural => natural,
        }
    }

    /// Makes the table what the SCHEMA, and `more` columns, need.
    fn settle(&mut self, database: &mut Database, more: Vec<Column>) -> Result<&mut Table> {
        let keys = self.key_columns();
        let wanted = self.order.iter().map(|name| Column {
            name: name.clone(),
            held: self.declared[name].clone(),
        });
        let mut columns: Vec<Column> = wanted.collect();
        for column in more {
            if columns.iter().all(|known| known.name != column.name) {
                columns.push(column);
            }
        }
        if let Some(key) = keys.iter().find(|key| columns.iter().all(|c| c.name != **key)) {
            let message = format!("{}: its key {key:?} is no property of its SCHEMA", self.doing);
            return Err(PluginError::data("data.rejected", message)
                .hint("report it to the tap's author, or set mode to append"));
        }
        let doing = &self.doing;
        let mut table = match self.table.take() {
            Some(table) => table,
            None => {
                let name = match self.mode {
                    Mode::Overwrite => name::successor(&self.table_name),
                    _ => self.table_name.clone(),
                };
                match Table::find(database, doing, &name)? {
                    Some(table) => table,
                    None => {
                        self.made = true;
                        Table::create(database, doing, &name, columns.clone(), &keys)?
                    }
                }
            }
        };
        columns.retain(|column| table.held(&column.name).is_none());
        table.change(database, doing, columns, vec![])?;
        table.key(database, doing, &keys)?;
        self.settled = true;
        Ok(self.table.insert(table))
    }

    /// Finds, makes and widens the columns of a batch.
    fn prepare(&mut self, database: &mut Database, batch: &mut Batch<'_>, versioned: bool) -> Result<()> {
        let mut more: Vec<Column> = Vec::new();
        for part in &batch.parts {
            if !self.declared.contains_key(&part.column) {
                let held = Stream::undeclared(&part.column, Type::natural(&part.kind));
                more.push(Column {
                    name: part.column.clone(),
                    held,
                });
            }
        }
        if versioned {
            more.push(Column {
                name: VERSION.into(),
                held: Type::Int8,
            });
        }
        let lacks = |table: &Table| {
            more.iter().any(|column| table.held(&column.name).is_none())
                || batch.parts.iter().any(|part| table.held(&part.column).is_none())
        };
        if !self.settled || self.table.as_ref().is_none_or(lacks) {
            self.settle(database, more)?;
        }
        while !self.fits(batch, versioned) {
            let (doing, Some(table)) = (&self.doing, &mut self.table) else {
                return Ok(());
            };
            let wider = |part: &Part<'_>| match &part.fit {
                Fit::Widen(wider) => Some(Column {
                    name: part.column.clone(),
                    held: wider.clone(),
                }),
                _ => None,
            };
            table.change(database, doing, vec![], batch.parts.iter().filter_map(wider).collect())?;
        }
        Ok(())
    }

    /// Finds the columns of a batch and the ways into them; whether the table can take it as it is.
    fn fits(&self, batch: &mut Batch<'_>, versioned: bool) -> bool {
        let Some(table) = self.table.as_ref().filter(|_| self.settled) else {
            return false;
        };
        let mut all = !versioned || table.held(VERSION).is_some();
        for part in &mut batch.parts {
            let Some(held) = table.held(&part.column) else {
                all = false;
                continue;
            };
            part.held = held.clone();
            part.fit = fit(part.source, held);
            all &= !matches!(part.fit, Fit::Widen(_));
        }
        all
    }

    /// Puts rows into the table, or gives them to a COPY that does.
    pub fn load(
        &mut self,
        database: &mut Database,
        stages: &mut Stages,
        slice: &Slice<'_>,
        hard_delete: bool,
    ) -> Result<()> {
        let (name, declared_keys) = (self.name.clone(), self.keys.clone());
        let mut batch = Batch::of(&name, &declared_keys, slice.batch)?;
        let keys = self.key_columns();
        if !keys.is_empty() {
            batch.check_keys()?;
        }
        if let Some(version) = slice.version {
            self.oldest = Some(self.oldest.map_or(version, |oldest| oldest.min(version)));
            batch.parts.retain(|part| part.column != VERSION);
        }
        if !self.fits(&mut batch, slice.version.is_some()) {
            self.land(database, stages)?;
            self.prepare(database, &mut batch, slice.version.is_some())?;
        }
        let deletes = hard_delete && !keys.is_empty() && deletes(&batch);
        let how = match (keys.is_empty(), slice.partial) {
            (true, _) => How::Add,
            (false, true) => How::Change,
            (false, false) => How::Upsert,
        };
        if how == How::Change || deletes || !batch.is_direct() {
            self.land(database, stages)?;
        } else if self.staged_left == 0 && self.copy(database, stages, &batch, slice, how)? {
            return Ok(());
        }
        self.stage(database, stages, &batch, slice.version, how, deletes)
    }

    /// Whether a COPY is under way.
    pub fn is_copying(&self) -> bool {
        self.flight.is_some()
    }

    /// Gives rows to a COPY. `false`: keys were found in those before, these are to be staged too.
    fn copy(
        &mut self,
        database: &mut Database,
        stages: &mut Stages,
        batch: &Batch<'_>,
        slice: &Slice<'_>,
        how: How,
    ) -> Result<bool> {
        let (mut columns, mut cells) = (batch.columns(), batch.cells());
        if let Some(version) = slice.version {
            columns.push(VERSION.into());
            cells.push(Cell::Number(version));
        }
        if self.flight.as_ref().is_some_and(|flight| !flight.takes(&columns)) {
            self.land(database, stages)?;
            if self.staged_left > 0 {
                return Ok(false);
            }
        }
        let flight = match &mut self.flight {
            Some(flight) => flight,
            None => {
                let Some(table) = &self.table else { return Ok(false) };
                if how == How::Upsert {
                    database.run(&self.doing, "SAVEPOINT straight")?;
                }
                database.copy(&self.doing, table.path(), &columns)?;
                self.flight.insert(Flight::new(columns.clone(), how == How::Upsert))
            }
        };
        flight.keep(slice.batch, slice.version);
        let put = database.put(&columns, &cells, batch.rows);
        if !put.map_err(|refused| batch.error(&self.doing, refused))? {
            self.land(database, stages)?;
        }
        Ok(true)
    }

    /// Ends the COPY under way; what it could not add because of keys that are there is staged and merged.
    pub fn land(&mut self, database: &mut Database, stages: &mut Stages) -> Result<()> {
        let Some(flight) = self.flight.take() else {
            return Ok(());
        };
        match database.land(&self.doing) {
            Ok(()) if flight.undone_alone => {
                self.staged_next = 1;
                database.run(&self.doing, "RELEASE straight")
            }
            Ok(()) => Ok(()),
            Err(Refused::Duplicate) if flight.undone_alone => {
                database.run(&self.doing, "ROLLBACK TO straight; RELEASE straight")?;
                let (name, keys, more) = (self.name.clone(), self.keys.clone(), self.staged_next);
                for kept in flight.into_kept() {
                    let mut batch = Batch::of(&name, &keys, &kept.batch)?;
                    if kept.version.is_some() {
                        batch.parts.retain(|part| part.column != VERSION);
                    }
                    self.fits(&mut batch, kept.version.is_some());
                    self.stage(database, stages, &batch, kept.version, How::Upsert, false)?;
                }
                self.staged_left = more - 1;
                self.staged_next = (more * 2).min(MOST_STAGED);
                Ok(())
            }
            Err(refused) => Err(flight.error(&self.doing, &self.name, &self.keys, refused)),
        }
    }

    /// Puts rows into a temporary table and has the server merge them.
    fn stage(
        &mut self,
        database: &mut Database,
        stages: &mut Stages,
        batch: &Batch<'_>,
        version: Option<i64>,
        how: How,
        hard_delete: bool,
    ) -> Result<()> {
        self.staged_left = self.staged_left.saturating_sub(1);
        let Some(table) = &self.table else { return Ok(()) };
        let staged = Staged {
            table,
            batch,
            keys: &self.key_columns(),
            version: version.map(|version| (VERSION, version)),
            how,
            hard_delete,
        };
        stages.merge(database, &self.doing, &staged)
    }

    /// Deletes the rows of older versions; rows without a version were never versioned, and stay.
    pub fn activate(&mut self, database: &mut Database, version: i64, share: f64) -> Result<()> {
        let table = self.settle(database, vec![])?;
        let path = table.path().to_string();
        let has_versions = table.held(VERSION).is_some();
        let all_new = self.made && self.oldest.is_none_or(|oldest| oldest >= version);
        if all_new || !has_versions {
            return Ok(());
        }
        let doing = &self.doing;
        let column = name::quoted(VERSION);
        if share < 1.0 {
            let sql = format!("SELECT count(*) FILTER (WHERE {column} < $1), count(*) FROM {path}");
            let found = database.rows(doing, &sql, &[&version])?;
            let (old, all) = found
                .first()
                .map_or((0, 0), |row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
            // A source that came back nearly empty looks just like one that lost its rows.
            if old as f64 > share * all as f64 {
                let message = format!(
                    "{doing}: ACTIVATE_VERSION would delete {old} of {all} rows, more than max_delete_share: nothing was deleted"
                );
                return Err(PluginError::data("data.delete_share", message)
                    .hint("if the source did lose these rows, set max_delete_share for this run (1: never ask)"));
            }
        }
        database.run(doing, &format!("DELETE FROM {path} WHERE {column} < {version}"))
    }

    /// Before a commit: the table is there, even if no row came. At the end of an overwriting run it takes its name.
    pub fn finish(&mut self, database: &mut Database, last: bool) -> Result<()> {
        if !self.settled {
            self.settle(database, vec![])?;
        }
        match &mut self.table {
            Some(table) if last && self.mode == Mode::Overwrite => {
                table.replace(database, &self.doing, &self.table_name)
            }
            _ => Ok(()),
        }
    }
}

/// Whether some of its rows stand for a deletion.
fn deletes(batch: &Batch<'_>) -> bool {
    batch
        .part(DELETED_AT)
        .is_some_and(|part| part.source.array().null_count() < batch.rows)
}
