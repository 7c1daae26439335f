//! What a catalog asks for, held against what there is.

use serde_json::Value;
use singer_plugin::catalog::Stream;
use singer_plugin::{PluginError, Result};

use crate::column::Column;
use crate::table::Table;

/// How a stream is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// All of it, every time.
    Full,
    /// What is new by this column.
    Incremental(String),
}

/// A stream that is to be read.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its identity in catalogs and bookmarks.
    pub id: String,
    /// Its name in messages.
    pub stream: String,
    /// Where its rows are.
    pub table: Table,
    /// The columns that are chosen.
    pub columns: Vec<Column>,
    /// Those of them that tell rows apart.
    pub key: Vec<String>,
    /// How it is read.
    pub method: Method,
}

fn invalid(stream: &str, what: &str) -> PluginError {
    PluginError::config("catalog.invalid", format!("stream {stream:?}: {what}")).hint("make a new one with --discover")
}

impl Choice {
    /// What `asked` means for one of the tables. None when no column of it is left.
    pub fn of(asked: &Stream, tables: &[Table]) -> Result<Option<Choice>> {
        let id = asked.tap_stream_id.clone();
        let table =
            find(asked, tables).ok_or_else(|| invalid(&id, "there is no such table, or this user may not read it"))?;
        let method = method(asked, table)?;
        let mut columns = columns(asked, table)?;
        if columns.is_empty() {
            return Ok(None);
        }
        // Without them a row could not be told from another, nor the next run go on.
        let mut needed = table.key.clone();
        if let Method::Incremental(key) = &method {
            needed.push(key.clone());
        }
        columns.extend(table.columns.iter().filter(|c| needed.contains(&c.name)).cloned());
        let place = |column: &Column| table.columns.iter().position(|c| c.name == column.name);
        columns.sort_by_key(place);
        columns.dedup_by(|a, b| a.name == b.name);
        let key = [
            asked.key_properties.clone(),
            asked.names("view-key-properties"),
            asked.names("table-key-properties"),
        ]
        .into_iter()
        .flatten()
        .find(|names| !names.is_empty())
        .unwrap_or_else(|| table.key.clone());
        if let Some(lost) = key.iter().find(|name| !columns.iter().any(|c| c.name == **name)) {
            return Err(invalid(
                &id,
                &format!("the key's column {lost:?} is not there, or not selected"),
            ));
        }
        Ok(Some(Choice {
            stream: if asked.stream.is_empty() {
                id.clone()
            } else {
                asked.stream.clone()
            },
            id,
            table: table.clone(),
            columns,
            key,
            method,
        }))
    }

    /// A chosen column and its place.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }
}

fn find<'a>(asked: &Stream, tables: &'a [Table]) -> Option<&'a Table> {
    let text = |key: &str| asked.about(None)?.get(key)?.as_str();
    match (text("schema-name"), text("table-name")) {
        (Some(schema), Some(name)) => tables.iter().find(|t| t.schema == schema && t.name == name),
        _ => tables.iter().find(|table| table.stream == asked.tap_stream_id),
    }
}

fn columns(asked: &Stream, table: &Table) -> Result<Vec<Column>> {
    let Some(properties) = asked
        .schema
        .get("properties")
        .and_then(Value::as_object)
        .filter(|p| !p.is_empty())
    else {
        return Ok(table
            .columns
            .iter()
            .filter(|c| asked.column_is_selected(&c.name))
            .cloned()
            .collect());
    };
    let chosen = properties.keys().filter(|name| asked.column_is_selected(name));
    chosen
        .map(|name| {
            let column = table.column(name);
            let lost = || {
                invalid(
                    &asked.tap_stream_id,
                    &format!("its column {name:?} is not in the table any more"),
                )
            };
            column.cloned().ok_or_else(lost)
        })
        .collect()
}

fn method(asked: &Stream, table: &Table) -> Result<Method> {
    let told = |key: &str| {
        asked
            .about(None)
            .and_then(|about| about.get(key)?.as_str())
            .filter(|text| !text.is_empty())
    };
    let key = told("replication-key").or(asked.replication_key.as_deref());
    let named = ["forced-replication-method", "replication-method"]
        .into_iter()
        .find_map(told);
    let named = named
        .or(asked.replication_method.as_deref())
        .filter(|name| !name.is_empty());
    let stream = &asked.tap_stream_id;
    match (named, key) {
        (Some("FULL_TABLE"), _) | (None, None) => Ok(Method::Full),
        (Some("INCREMENTAL") | None, Some(key)) => match table.column(key) {
            None => Err(invalid(
                stream,
                &format!("its replication key {key:?} is no column of the table"),
            )),
            Some(column) if !column.shape.has_order() => {
                let what = format!(
                    "its replication key {key:?} is of type {}, which has no order",
                    column.sql_type
                );
                Err(invalid(stream, &what).hint("choose a column with times or growing numbers"))
            }
            Some(_) => Ok(Method::Incremental(key.into())),
        },
        (Some("INCREMENTAL"), None) => {
            Err(invalid(stream, "INCREMENTAL needs a replication key")
                .hint("set replication-key, or choose FULL_TABLE"))
        }
        (Some("LOG_BASED"), _) => Err(invalid(stream, "this tap does not read the server's log (LOG_BASED)")
            .hint("choose INCREMENTAL or FULL_TABLE, or the variant meltanolabs of this tap")),
        (Some(other), _) => {
            Err(invalid(stream, &format!("{other:?} is no replication method"))
                .hint("choose INCREMENTAL or FULL_TABLE"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use serde_json::json;

    fn table() -> Table {
        let column = |name: &str, shape| Column {
            name: name.into(),
            sql_type: "x".into(),
            shape,
            nullable: true,
        };
        Table {
            schema: "s".into(),
            name: "t".into(),
            stream: "s-t".into(),
            key: vec!["id".into()],
            columns: vec![
                column("at", Shape::Stamp),
                column("id", Shape::Int4),
                column("doc", Shape::Jsonb),
            ],
            ..Table::default()
        }
    }

    fn chosen(change: impl Fn(&mut Stream)) -> Result<Option<Choice>> {
        let mut asked = table().offer();
        change(&mut asked);
        Choice::of(&asked, &[table()])
    }

    fn set(stream: &mut Stream, place: usize, key: &str, value: Value) {
        stream.metadata[place].metadata.insert(key.into(), value);
    }

    #[test]
    fn the_key_and_the_replication_key_come_along() {
        let found = chosen(|asked| {
            set(asked, 1, "selected", json!(false));
            set(asked, 2, "inclusion", json!("available"));
            set(asked, 2, "selected", json!(false));
            set(asked, 0, "replication-key", json!("at"));
        });
        let found = found.unwrap().unwrap();
        let names: Vec<_> = found.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["at", "id", "doc"]);
        assert_eq!(found.method, Method::Incremental("at".into()));
        assert_eq!(found.key, ["id"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let told = |change: &dyn Fn(&mut Stream)| chosen(change).map(drop).unwrap_err().to_string();
        let method = |name: &'static str| move |asked: &mut Stream| set(asked, 0, "replication-method", json!(name));
        assert!(told(&method("LOG_BASED")).contains("LOG_BASED"));
        assert!(told(&method("INCREMENTAL")).contains("needs a replication key"));
        assert!(told(&|asked| set(asked, 0, "replication-key", json!("doc"))).contains("has no order"));
        assert!(told(&|asked| set(asked, 0, "table-name", json!("gone"))).contains("no such table"));
        assert!(
            told(&|asked| asked.schema = json!({"properties": {"old": {}}})).contains("\"old\" is not in the table")
        );
        assert!(told(&|asked| asked.key_properties = Some(vec!["nr".into()])).contains("\"nr\" is not there"));
        assert!(chosen(method("FULL_TABLE")).unwrap().is_some());
    }
}
