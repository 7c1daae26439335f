//! The bookmark beside the data: one row per job in a table of the same schema, written in the transaction of the rows it covers.

use singer_plugin::{PluginError, Result, Stored};

use crate::database::Database;
use crate::name::{literal, quoted};

const TABLE: &str = "_dativo_bookmarks";
const DOING: &str = "cannot keep the bookmark";
/// Whoever makes the schema or the table holds this, so that two jobs that begin together do not both.
const MAKING: i64 = 0x4461_7469_766f;

/// Makes the schema and the table where they are missing, for all who come later.
pub fn prepare(database: &mut Database) -> Result<()> {
    let (schema, name) = (database.schema.clone(), database.schema_name.clone());
    if exists(database)? {
        return database.commit();
    }
    database.run(DOING, &format!("SELECT pg_advisory_xact_lock({MAKING})"))?;
    let found = database.rows(DOING, "SELECT 1 FROM pg_namespace WHERE nspname = $1", &[&name])?;
    if found.is_empty() {
        database.run(DOING, &format!("CREATE SCHEMA {schema}"))?;
    }
    let columns = "job text PRIMARY KEY, run text, value text NOT NULL, at timestamptz NOT NULL";
    database.run(
        DOING,
        &format!("CREATE TABLE IF NOT EXISTS {schema}.{} ({columns})", quoted(TABLE)),
    )?;
    database.commit()
}

fn exists(database: &mut Database) -> Result<bool> {
    let path = format!("{}.{}", database.schema, quoted(TABLE));
    let found = database.rows(DOING, "SELECT to_regclass($1) IS NOT NULL", &[&path])?;
    Ok(found.first().is_some_and(|row| row.get(0)))
}

/// Puts a STATE's value into the transaction.
pub fn store(database: &mut Database, job: &str, value: &[u8]) -> Result<()> {
    let value =
        std::str::from_utf8(value).map_err(|_| PluginError::data("data.invalid_utf8", "a STATE is not UTF-8"))?;
    let run = std::env::var("DATIVO_RUN").unwrap_or_default();
    let sql = format!(
        "INSERT INTO {}.{} (job, run, value, at) VALUES ({}, {}, {}, now()) \
         ON CONFLICT (job) DO UPDATE SET run = EXCLUDED.run, value = EXCLUDED.value, at = EXCLUDED.at",
        database.schema,
        quoted(TABLE),
        literal(job),
        literal(&run),
        literal(value),
    );
    database.run(DOING, &sql)
}

/// What is stored for a job.
pub fn stored(database: &mut Database, job: &str) -> Result<Stored> {
    if !exists(database)? {
        return Ok(None);
    }
    let sql = format!("SELECT value FROM {}.{} WHERE job = $1", database.schema, quoted(TABLE));
    let found = database.rows("cannot read the bookmark", &sql, &[&job])?;
    Ok(found.first().map(|row| row.get::<_, String>(0).into_bytes()))
}
