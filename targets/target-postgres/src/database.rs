//! The one connection of a run: its session, its transaction, COPY, and what the server says as errors of this target.

use std::io::Write;

use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Row};
use singer_plugin::postgres::Access;
use singer_plugin::{PluginError, Result};

use crate::cell::Cell;
use crate::name::{literal, quoted};
use crate::settings::Settings;

/// COPY's data leave in pieces of this size.
const PIECE: usize = 256 * 1024;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Why a COPY failed.
#[derive(Debug)]
pub enum Refused {
    /// A row with this key is there already.
    Duplicate,
    /// A value cannot be held: its row, its column where that is known, and why.
    Value(Option<usize>, Option<String>, String),
    /// Anything else.
    Failed(PluginError),
}

/// A run's connection.
pub struct Database {
    access: Access,
    client: Client,
    /// The schema's name, quoted.
    pub schema: String,
    /// The schema's name.
    pub schema_name: String,
    open: bool,
}

impl Database {
    /// Connects, and waits for another run of the job to end.
    pub fn connect(access: Access, settings: &Settings, job: &str) -> Result<Database> {
        let client = access.connect()?;
        let mut database = Database {
            access,
            client,
            schema: quoted(&settings.schema),
            schema_name: settings.schema.clone(),
            open: false,
        };
        // I2: a commit that is confirmed must survive the server's crash, whatever its default is.
        let session = format!(
            "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET client_min_messages = warning; \
             SET lock_timeout = '{}s'; SET idle_in_transaction_session_timeout = 0; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            settings.lock_timeout
        );
        let lock = format!(
            "SELECT pg_advisory_lock(hashtextextended({}, 0))",
            literal(&format!("target-postgres {} {job}", settings.schema))
        );
        for sql in [session, lock] {
            let ran = database.client.batch_execute(&sql);
            ran.map_err(|e| database.failed("cannot begin", &e))?;
        }
        Ok(database)
    }

    /// Runs statements in the transaction, which it begins where there is none.
    pub fn run(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.begin(doing)?;
        let ran = self.client.batch_execute(sql);
        ran.map_err(|e| self.failed(doing, &e))
    }

    /// The rows of a query.
    pub fn rows(&mut self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.begin(doing)?;
        let found = self.client.query(sql, values);
        found.map_err(|e| self.failed(doing, &e))
    }

    fn begin(&mut self, doing: &str) -> Result<()> {
        if !self.open {
            let ran = self.client.batch_execute("BEGIN");
            ran.map_err(|e| self.failed(doing, &e))?;
            self.open = true;
        }
        Ok(())
    }

    /// Makes the transaction durable.
    pub fn commit(&mut self) -> Result<()> {
        if self.open {
            let ran = self.client.batch_execute("COMMIT");
            ran.map_err(|e| self.failed("cannot commit", &e))?;
            self.open = false;
        }
        Ok(())
    }

    /// Copies rows into a table: one cell for each of its columns.
    pub fn copy(
        &mut self,
        doing: &str,
        table: &str,
        columns: &[String],
        cells: &[Cell<'_>],
        rows: usize,
    ) -> std::result::Result<(), Refused> {
        self.begin(doing).map_err(Refused::Failed)?;
        for (column, cell) in columns.iter().zip(cells) {
            cell.check()
                .map_err(|(row, why)| Refused::Value(Some(row), Some(column.clone()), why))?;
        }
        let names: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        let list = if names.is_empty() {
            String::new()
        } else {
            format!("({})", names.join(", "))
        };
        let sql = format!("COPY {table} {list} FROM STDIN (FORMAT binary)");
        match send(&mut self.client, &sql, columns, cells, rows) {
            Ok(()) => Ok(()),
            Err(Broken::Value(row, column, why)) => Err(Refused::Value(Some(row), Some(column), why)),
            Err(Broken::Server(error)) => Err(self.refused(doing, &error)),
        }
    }

    fn refused(&self, doing: &str, error: &postgres::Error) -> Refused {
        let Some(said) = error.as_db_error() else {
            return Refused::Failed(self.failed(doing, error));
        };
        if *said.code() == SqlState::UNIQUE_VIOLATION {
            return Refused::Duplicate;
        }
        if !matches!(&said.code().code()[..2], "22" | "23") {
            return Refused::Failed(self.failed(doing, error));
        }
        // "COPY orders, line 7, column meta"; the names of tables may look like that too, so the last of them counts.
        let place = said.where_().unwrap_or_default();
        let line = place.rsplit_once(", line ").map_or("", |(_, rest)| rest);
        let number = line
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse::<usize>().ok());
        let column = line.split_once(", column ").map(|(_, rest)| rest.to_string());
        let column = said.column().map(str::to_owned).or(column);
        Refused::Value(
            number.map(|number| number.saturating_sub(1)),
            column,
            said.message().to_string(),
        )
    }

    /// What the server, or the way to it, said.
    pub fn failed(&self, doing: &str, error: &postgres::Error) -> PluginError {
        let text = |what: &str| format!("{doing} ({}): {what}", self.access.place());
        match error.code() {
            Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => PluginError::environment(
                "env.locked",
                text("another run of the job, or of a table, holds a lock"),
            )
            .hint("wait for it to end, or raise lock_timeout"),
            Some(code) if [SqlState::FEATURE_NOT_SUPPORTED, SqlState::DEPENDENT_OBJECTS_STILL_EXIST].contains(code) => {
                let said = error.as_db_error().map_or("", |said| said.message());
                PluginError::config("config.invalid", text(said))
                    .hint("drop what depends on the table, or choose another table_name or mode")
            }
            _ => self.access.failed(doing, error),
        }
    }
}

enum Broken {
    Value(usize, String, String),
    Server(postgres::Error),
}

/// Writes the rows and ends the COPY.
fn send(
    client: &mut Client,
    sql: &str,
    columns: &[String],
    cells: &[Cell<'_>],
    rows: usize,
) -> std::result::Result<(), Broken> {
    let mut writer = client.copy_in(sql).map_err(Broken::Server)?;
    let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
    piece.extend_from_slice(SIGNATURE);
    let count = (cells.len() as i16).to_be_bytes();
    for row in 0..rows {
        piece.extend_from_slice(&count);
        for (at, cell) in cells.iter().enumerate() {
            if let Err((row, why)) = cell.put(row, &mut piece) {
                return Err(Broken::Value(row, columns[at].clone(), why));
            }
        }
        if piece.len() >= PIECE {
            if writer.write_all(&piece).is_err() {
                break; // the server's reason comes with the end
            }
            piece.clear();
        }
    }
    piece.extend_from_slice(&(-1_i16).to_be_bytes());
    drop(writer.write_all(&piece));
    writer.finish().map(drop).map_err(Broken::Server)
}
