//! What a stream's columns are: by a sample of its files' lines.

use std::collections::HashSet;

use serde_json::{Map, Value};
use singer_plugin::texts::source::Facts;
use singer_plugin::texts::table::{self, Typed};
use singer_plugin::Result;

use crate::lines::{Line, Lines};
use crate::settings::Settings;
use crate::shape::Shape;

/// What a column's values are.
#[derive(Clone, Debug)]
pub struct Values {
    shape: Shape,
    /// The settings say so.
    fixed: Option<Value>,
}

/// A stream's columns.
pub type Table = table::Table<Values>;

impl Typed for Values {
    fn schema(&self) -> Value {
        self.fixed.clone().unwrap_or_else(|| self.shape.schema())
    }

    fn settle(&mut self, noted: Option<&Value>) {
        if let Some(sent) = noted {
            self.shape.join(Shape::of(sent));
        }
    }

    fn note(&self) -> Value {
        self.shape.schema()
    }
}

/// Look at a file's lines, as many as are still to be looked at.
pub fn look(settings: &Settings, facts: &Facts, table: &mut Table, budget: &mut u64) -> Result<()> {
    if *budget == 0 {
        return Ok(());
    }
    // What is wrong with a line is told when it is read for good, with those before it sent.
    let mut lines = Lines::open(facts, settings)?;
    while let (true, Ok(Some(line))) = (*budget > 0, lines.next()) {
        let Line::Object(from, to) = line else { continue };
        *budget -= 1;
        let Ok(record) = serde_json::from_slice::<Map<String, Value>>(lines.bytes(from, to)) else {
            continue;
        };
        for (name, value) in &record {
            let at = table.column(name, |stream, name| Values {
                shape: Shape::default(),
                fixed: settings.types.fixed(stream, name).cloned(),
            });
            table.columns[at].typed.shape.add(value);
        }
    }
    Ok(())
}

/// The properties that are not selected.
pub fn dropped(table: &Table) -> HashSet<Vec<u8>> {
    let dropped = table.columns.iter().filter(|c| !c.selected);
    dropped.map(|c| c.name.clone().into_bytes()).collect()
}
