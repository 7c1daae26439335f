//! A table, view, materialized view or foreign table: what it is called, and how it is offered.

use serde_json::{json, Map, Value};
use singer_plugin::catalog::{Metadata, Stream};

use crate::column::Column;

/// What can be read.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its number in pg_class.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its stream.
    pub stream: String,
    /// pg_class.relkind, as a letter.
    pub kind: char,
    /// Its rows lie in one heap, where a block's number says which part they are of.
    pub heap: bool,
    /// What the planner thinks it holds; below 0 when it never looked.
    pub rows: i64,
    /// The columns that this user may read, in their order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, or of another unique index without nulls.
    pub key: Vec<String>,
}

impl Table {
    /// Its name for a statement.
    pub fn quoted(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// A column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// How the catalog offers it.
    pub fn offer(&self) -> Stream {
        let mut metadata = vec![Metadata {
            breadcrumb: vec![],
            metadata: object(json!({
                "inclusion": "available",
                "selected-by-default": true,
                "schema-name": self.schema,
                "table-name": self.name,
                "is-view": matches!(self.kind, 'v' | 'm'),
                "row-count": self.rows.max(0),
                "table-key-properties": self.key,
            })),
        }];
        metadata.extend(self.columns.iter().map(|column| {
            let automatic = self.key.contains(&column.name);
            Metadata {
                breadcrumb: vec!["properties".into(), column.name.clone()],
                metadata: object(json!({
                    "inclusion": if automatic { "automatic" } else { "available" },
                    "selected-by-default": true,
                    "sql-datatype": column.sql_type,
                })),
            }
        }));
        Stream {
            tap_stream_id: self.stream.clone(),
            stream: self.stream.clone(),
            schema: schema(&self.columns),
            key_properties: Some(self.key.clone()),
            metadata,
            ..Stream::default()
        }
    }
}

/// The JSON Schema of rows of these columns.
pub fn schema(columns: &[Column]) -> Value {
    let properties: Map<String, Value> = columns.iter().map(|c| (c.name.clone(), c.property())).collect();
    json!({"type": "object", "properties": properties})
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A name for a statement (I12).
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text for a statement, whatever the server takes a backslash for (I12).
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_stay_what_they_are() {
        assert_eq!(identifier("a\"b.c d"), "\"a\"\"b.c d\"");
        assert_eq!(literal("it's \\ 'x"), "E'it''s \\\\ ''x'");
    }
}
