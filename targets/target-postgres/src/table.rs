//! A table as it is in the database, and the statements that make it what a stream's values need.

use singer_plugin::{PluginError, Result};

use crate::database::Database;
use crate::name::quoted;
use crate::sql_type::Type;

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub held: Type,
}

/// A table that exists.
#[derive(Debug)]
pub struct Table {
    name: String,
    path: String,
    columns: Vec<Column>,
    unique: Vec<Vec<String>>,
}

const COLUMNS: &str = "SELECT a.attname::text, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod) \
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
const EXISTS: &str = "SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relname = $2";
/// The unique indexes that ON CONFLICT can use, as their columns' names.
const UNIQUE: &str = "SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_index i \
    JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place) \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
    WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid AND i.indimmediate \
      AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts GROUP BY i.indexrelid";

impl Table {
    /// The table of that name, if there is one.
    pub fn find(database: &mut Database, doing: &str, name: &str) -> Result<Option<Table>> {
        let schema = database.schema_name.clone();
        let found = database.rows(doing, EXISTS, &[&schema, &name])?;
        let Some(kind) = found.first().map(|row| row.get::<_, String>(0)) else {
            return Ok(None);
        };
        if !matches!(kind.as_str(), "r" | "p") {
            let message = format!("{doing}: {name:?} is there, and is no table");
            return Err(PluginError::config("config.invalid", message)
                .hint("choose another table_name or default_target_schema"));
        }
        let columns = database.rows(doing, COLUMNS, &[&schema, &name])?;
        let columns = columns.iter().map(|row| Column {
            name: row.get(0),
            held: Type::of_catalog(row.get(1), row.get(2), row.get(3)),
        });
        let unique = database.rows(doing, UNIQUE, &[&schema, &name])?;
        Ok(Some(Table {
            name: name.to_string(),
            path: format!("{}.{}", database.schema, quoted(name)),
            columns: columns.collect(),
            unique: unique.iter().map(|row| row.get(0)).collect(),
        }))
    }

    /// A new one. Its key is there from the start: COPY then finds out by itself whether a key comes twice.
    pub fn create(
        database: &mut Database,
        doing: &str,
        name: &str,
        columns: Vec<Column>,
        keys: &[String],
    ) -> Result<Table> {
        let path = format!("{}.{}", database.schema, quoted(name));
        let mut parts: Vec<_> = columns
            .iter()
            .map(|c| format!("{} {}", quoted(&c.name), c.held.sql()))
            .collect();
        if !keys.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", list(keys)));
        }
        database.run(doing, &format!("CREATE TABLE {path} ({})", parts.join(", ")))?;
        let mut unique = keys.to_vec();
        unique.sort();
        Ok(Table {
            name: name.to_string(),
            path,
            columns,
            unique: vec![unique],
        })
    }

    /// Its qualified, quoted name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What one of its columns holds.
    pub fn held(&self, column: &str) -> Option<&Type> {
        self.columns.iter().find(|c| c.name == column).map(|c| &c.held)
    }

    /// Makes sure that no two rows can have the same key.
    pub fn key(&mut self, database: &mut Database, doing: &str, keys: &[String]) -> Result<()> {
        let mut sorted = keys.to_vec();
        sorted.sort();
        if keys.is_empty() || self.unique.contains(&sorted) {
            return Ok(());
        }
        let sql = format!("CREATE UNIQUE INDEX ON {} ({})", self.path, list(keys));
        database.run(doing, &sql).map_err(|error| match error.code {
            "data.rejected" => {
                let message = format!(
                    "{doing}: the table {:?} has rows with the same {}",
                    self.name,
                    keys.join(", ")
                );
                PluginError::config("config.invalid", message).hint("remove them, or set mode to append")
            }
            _ => error,
        })?;
        self.unique.push(sorted);
        Ok(())
    }

    /// Adds columns, and gives others a type that holds more: exactly, or not at all.
    pub fn change(&mut self, database: &mut Database, doing: &str, add: Vec<Column>, widen: Vec<Column>) -> Result<()> {
        let mut actions: Vec<_> = add
            .iter()
            .map(|c| format!("ADD COLUMN {} {}", quoted(&c.name), c.held.sql()))
            .collect();
        self.columns.extend(add);
        for mut wider in widen {
            let column = quoted(&wider.name);
            let Some(own) = self.columns.iter_mut().find(|c| c.name == wider.name) else {
                continue;
            };
            if own.held.is_integer() && wider.held == Type::Float8 {
                let beyond = format!(
                    "SELECT 1 FROM {} WHERE abs({column}::numeric) > 9007199254740992 LIMIT 1",
                    self.path
                );
                if !database.rows(doing, &beyond, &[])?.is_empty() {
                    wider.held = Type::Numeric(None);
                }
            }
            let using = own.held.converted(&wider.held, &column);
            actions.push(format!("ALTER COLUMN {column} TYPE {} USING {using}", wider.held.sql()));
            eprintln!(
                "{doing}: values do not fit {} in column {:?}; it is {} now",
                own.held.sql(),
                wider.name,
                wider.held.sql()
            );
            own.held = wider.held;
        }
        match actions.is_empty() {
            true => Ok(()),
            false => database.run(doing, &format!("ALTER TABLE {} {}", self.path, actions.join(", "))),
        }
    }

    /// Takes the place, and the name, of another table.
    pub fn replace(&mut self, database: &mut Database, doing: &str, name: &str) -> Result<()> {
        let old = format!("{}.{}", database.schema, quoted(name));
        let sql = format!(
            "DROP TABLE IF EXISTS {old}; ALTER TABLE {} RENAME TO {}",
            self.path,
            quoted(name)
        );
        database.run(doing, &sql)?;
        (self.name, self.path) = (name.to_string(), old);
        Ok(())
    }
}

/// Columns, quoted, with commas between them.
pub fn list(columns: &[String]) -> String {
    columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}
