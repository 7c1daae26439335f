//! The one connection of a run: its session, its transaction, COPY, and what the server says as errors of this target.

use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Row};
use singer_plugin::postgres::Access;
use singer_plugin::{PluginError, Result};

use crate::cell::Cell;
use crate::copying::Copying;
use crate::name::{literal, quoted};
use crate::settings::Settings;

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

/// Who has the connection.
enum Link {
    Here(Box<Client>),
    Copying(Copying),
    Gone,
}

/// A run's connection. While a COPY is under way nothing else is asked of the server: [`Database::land`] comes first.
pub struct Database {
    access: Access,
    link: Link,
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
            link: Link::Here(Box::new(client)),
            schema: quoted(&settings.schema),
            schema_name: settings.schema.clone(),
            open: false,
        };
        // A COPY takes as long as its tap. I2: a commit that is confirmed must survive the server's crash, whatever its default is.
        let session = format!(
            "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1; SET client_min_messages = warning; \
             SET lock_timeout = '{}s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            settings.lock_timeout
        );
        let lock = format!(
            "SELECT pg_advisory_lock(hashtextextended({}, 0))",
            literal(&format!("target-postgres {} {job}", settings.schema))
        );
        for sql in [session, lock] {
            let ran = database.client()?.batch_execute(&sql);
            ran.map_err(|e| database.failed("cannot begin", &e))?;
        }
        Ok(database)
    }

    /// Runs statements in the transaction, which it begins where there is none.
    pub fn run(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.begin(doing)?;
        let ran = self.client()?.batch_execute(sql);
        ran.map_err(|e| self.failed(doing, &e))
    }

    /// The rows of a query.
    pub fn rows(&mut self, doing: &str, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.begin(doing)?;
        let found = self.client()?.query(sql, values);
        found.map_err(|e| self.failed(doing, &e))
    }

    fn begin(&mut self, doing: &str) -> Result<()> {
        if !self.open {
            let ran = self.client()?.batch_execute("BEGIN");
            ran.map_err(|e| self.failed(doing, &e))?;
            self.open = true;
        }
        Ok(())
    }

    /// Makes the transaction durable.
    pub fn commit(&mut self) -> Result<()> {
        if self.open {
            let ran = self.client()?.batch_execute("COMMIT");
            ran.map_err(|e| self.failed("cannot commit", &e))?;
            self.open = false;
        }
        Ok(())
    }

    /// Begins to copy rows into columns of a table.
    pub fn copy(&mut self, doing: &str, table: &str, columns: &[String]) -> Result<()> {
        self.begin(doing)?;
        let names: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        let list = if names.is_empty() {
            String::new()
        } else {
            format!("({})", names.join(", "))
        };
        let sql = format!("COPY {table} {list} FROM STDIN (FORMAT binary)");
        self.client()?;
        if let Link::Here(client) = std::mem::replace(&mut self.link, Link::Gone) {
            self.link = Link::Copying(Copying::begin(client, sql));
        }
        Ok(())
    }

    /// Copies rows, one cell for each of the columns. `false`: the server has ended the COPY; [`Database::land`] tells why.
    pub fn put(&mut self, columns: &[String], cells: &[Cell<'_>], rows: usize) -> std::result::Result<bool, Refused> {
        let Link::Copying(copying) = &mut self.link else {
            return Err(Refused::Failed(elsewhere()));
        };
        let refused = |at: usize, (row, why)| Refused::Value(Some(row), Some(columns[at].clone()), why);
        for (at, cell) in cells.iter().enumerate() {
            cell.check().map_err(|unfit| refused(at, unfit))?;
        }
        let count = (cells.len() as i16).to_be_bytes();
        for row in 0..rows {
            let piece = copying.piece();
            piece.extend_from_slice(&count);
            for (at, cell) in cells.iter().enumerate() {
                cell.put(row, piece).map_err(|unfit| refused(at, unfit))?;
            }
            if !copying.pass_on() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the COPY. Rows are counted from its begin.
    pub fn land(&mut self, doing: &str) -> std::result::Result<(), Refused> {
        let Link::Copying(copying) = std::mem::replace(&mut self.link, Link::Gone) else {
            return Err(Refused::Failed(elsewhere()));
        };
        let (client, ended) = copying.end();
        self.link = Link::Here(client);
        ended.map_err(|error| self.refused(doing, &error))
    }

    fn client(&mut self) -> Result<&mut Client> {
        match &mut self.link {
            Link::Here(client) => Ok(client),
            _ => Err(elsewhere()),
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

/// An error of this program.
fn elsewhere() -> PluginError {
    PluginError {
        code: "database.failed",
        message: "a COPY has the connection: this is a bug of target-postgres".into(),
        hint: None,
        exit: 1,
    }
}
