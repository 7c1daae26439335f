//! A column: its name, its type, and how a statement reads it.

use arrow_schema::Field;
use serde_json::{json, Value};

use crate::shape::Shape;
use crate::table::identifier;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as SQL writes it.
    pub sql_type: String,
    /// How its values come.
    pub shape: Shape,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Column {
    /// Its place in a statement, in which the table is called `t`.
    pub fn reference(&self) -> String {
        format!("t.{}", identifier(&self.name))
    }

    /// What a statement selects of it.
    pub fn expression(&self) -> String {
        let place = self.reference();
        match self.shape {
            Shape::Cast => format!("{place}::text"),
            Shape::CastList | Shape::CastRow => format!("to_json({place})::text"),
            _ => place,
        }
    }

    /// Its field in a record batch.
    pub fn field(&self) -> Field {
        self.shape.kind().field(&self.name)
    }

    /// Its JSON Schema.
    pub fn property(&self) -> Value {
        let mut property = self.shape.property();
        if let (true, Some(name)) = (self.nullable, property.get("type").cloned()) {
            property["type"] = json!([name, "null"]);
        }
        property
    }
}
