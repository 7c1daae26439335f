//! Rows that cannot be copied straight into their table: staged in a temporary one, then merged by the server.

use std::collections::BTreeMap;

use singer_plugin::Result;

use crate::batch::Batch;
use crate::cell::Cell;
use crate::database::Database;
use crate::fit::Fit;
use crate::name::quoted;
use crate::table::{list, Table};

/// Set in rows that stand for a deletion.
pub const DELETED_AT: &str = "_sdc_deleted_at";

/// The temporary tables of a transaction, by the types of their columns.
#[derive(Debug, Default)]
pub struct Stages {
    made: BTreeMap<String, String>,
}

/// What becomes of staged rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are added.
    Add,
    /// The last row of each key takes the place of the table's.
    Upsert,
    /// The last row of each key changes the columns that it has, and leaves the others.
    Change,
}

/// Rows to be staged.
#[derive(Clone, Copy, Debug)]
pub struct Staged<'a> {
    /// Where they go.
    pub table: &'a Table,
    /// They.
    pub batch: &'a Batch<'a>,
    /// The columns by which they are told apart.
    pub keys: &'a [String],
    /// Their version, and its column.
    pub version: Option<(&'a str, i64)>,
    /// What becomes of them.
    pub how: How,
    /// Those that stand for a deletion delete.
    pub hard_delete: bool,
}

impl Stages {
    /// The transaction has ended, and they with it.
    pub fn clear(&mut self) {
        self.made.clear();
    }

    /// Stages the rows of a batch and merges them.
    pub fn merge(&mut self, database: &mut Database, doing: &str, rows: &Staged<'_>) -> Result<()> {
        let Staged {
            table,
            batch,
            keys,
            version,
            how,
            hard_delete,
        } = *rows;
        let mut types = Vec::new();
        let mut values = Vec::new();
        for (at, part) in batch.parts.iter().enumerate() {
            let staged = match part.fit {
                Fit::Direct(_) => part.held.clone(),
                _ => part.source.staged(),
            };
            values.push(staged.converted(&part.held, &format!("s.c{at}")));
            types.push(format!("c{at} {}", staged.sql()));
        }
        let mut columns = batch.columns();
        if let Some((column, version)) = version {
            columns.push(column.to_string());
            values.push(format!("{version}::bigint"));
        }
        let stage = self.stage(database, doing, &types.join(", "))?;
        let names: Vec<_> = (0..types.len())
            .map(|at| format!("c{at}"))
            .chain(["place".into()])
            .collect();
        let mut cells = batch.cells();
        cells.push(Cell::Row);
        database.copy(doing, &stage, &names)?;
        let put = database.put(&names, &cells, batch.rows);
        put.and_then(|_| database.land(doing))
            .map_err(|refused| batch.error(doing, refused))?;
        let selected: Vec<_> = values
            .iter()
            .zip(&columns)
            .map(|(value, name)| format!("{value} AS {}", quoted(name)))
            .collect();
        let (path, all) = (table.path(), list(&columns));
        let mut run = |sql: String| database.run(doing, &sql);
        if how == How::Add {
            run(format!(
                "INSERT INTO {path} ({all}) SELECT {} FROM {stage} s ORDER BY place",
                values.join(", ")
            ))?;
            return run(format!("TRUNCATE {stage}"));
        }
        let key = keys.iter().map(|key| columns.iter().position(|column| column == key));
        let key: Vec<_> = key.flatten().map(|at| values[at].clone()).collect();
        let last = format!(
            "(SELECT DISTINCT ON ({key}) {} FROM {stage} s ORDER BY {key}, place DESC) l",
            selected.join(", "),
            key = key.join(", ")
        );
        let same: Vec<_> = keys.iter().map(|key| format!("t.{0} = l.{0}", quoted(key))).collect();
        let same = same.join(" AND ");
        let others: Vec<_> = columns
            .iter()
            .filter(|name| !keys.contains(name))
            .map(|name| quoted(name))
            .collect();
        let set = |from: &str| {
            others
                .iter()
                .map(|name| format!("{name} = {from}.{name}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut kept = "true".to_string();
        if hard_delete && columns.iter().any(|name| name == DELETED_AT) {
            let mark = quoted(DELETED_AT);
            run(format!(
                "DELETE FROM {path} t USING {last} WHERE {same} AND l.{mark} IS NOT NULL"
            ))?;
            kept = format!("l.{mark} IS NULL");
        }
        if how == How::Change && !others.is_empty() {
            run(format!(
                "UPDATE {path} t SET {} FROM {last} WHERE {same} AND {kept}",
                set("l")
            ))?;
        }
        let conflict = match how {
            How::Upsert if !others.is_empty() => format!("DO UPDATE SET {}", set("EXCLUDED")),
            _ => "DO NOTHING".into(),
        };
        run(format!(
            "INSERT INTO {path} ({all}) SELECT {all} FROM {last} WHERE {kept} ON CONFLICT ({}) {conflict}",
            list(keys)
        ))?;
        run(format!("TRUNCATE {stage}"))
    }

    fn stage(&mut self, database: &mut Database, doing: &str, types: &str) -> Result<String> {
        if let Some(name) = self.made.get(types) {
            return Ok(name.clone());
        }
        let name = format!("pg_temp._dativo_stage_{}", self.made.len());
        let comma = if types.is_empty() { "" } else { ", " };
        database.run(
            doing,
            &format!("CREATE TEMP TABLE {name} ({types}{comma}place bigint) ON COMMIT DROP"),
        )?;
        self.made.insert(types.to_string(), name.clone());
        Ok(name)
    }
}
