//! The statements that read a table, or a part of it (I12: every name and value is quoted).

use crate::column::Column;
use crate::table::{literal, Table};

/// Which rows, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Part {
    conditions: Vec<String>,
    order: Vec<String>,
}

impl Part {
    /// All of them, as they lie.
    pub fn all() -> Part {
        Part::default()
    }

    /// Those whose `column` is null.
    pub fn null(column: &Column) -> Part {
        Part {
            conditions: vec![format!("{} is null", column.reference())],
            order: vec![],
        }
    }

    /// In the order of these columns, none of which is null.
    pub fn by(columns: &[&Column]) -> Part {
        let nullable = columns.iter().filter(|column| column.nullable);
        Part {
            conditions: nullable
                .map(|column| format!("{} is not null", column.reference()))
                .collect(),
            order: columns.iter().map(|column| column.reference()).collect(),
        }
    }

    /// Only rows behind these values of the columns, or at them as well.
    #[must_use]
    pub fn from(mut self, columns: &[&Column], values: &[String], inclusive: bool) -> Part {
        let names: Vec<_> = columns.iter().map(|column| column.reference()).collect();
        let values: Vec<_> = columns
            .iter()
            .zip(values)
            .map(|(column, value)| bound(column, value))
            .collect();
        let sign = if inclusive { ">=" } else { ">" };
        self.conditions.push(match names.len() {
            1 => format!("{} {sign} {}", names[0], values[0]),
            _ => format!("({}) {sign} ({})", names.join(", "), values.join(", ")),
        });
        self
    }

    /// The rows of a heap, block by block, in so many parts: none is in two, and none in no part, whatever was written behind
    /// the last block meanwhile.
    pub fn blocks(blocks: i64, count: i64) -> Vec<Part> {
        let edge = |n: i64| format!("'({},0)'::tid", blocks * n / count);
        let parts = (0..count).map(|n| {
            let mut conditions = vec![format!("t.ctid >= {}", edge(n))];
            if n + 1 < count {
                conditions.push(format!("t.ctid < {}", edge(n + 1)));
            }
            Part {
                conditions,
                order: vec![],
            }
        });
        parts.collect()
    }
}

/// A value as one of a column's type.
pub fn bound(column: &Column, value: &str) -> String {
    format!("{}::{}", literal(value), column.sql_type)
}

/// `COPY (SELECT …) TO STDOUT` of these columns of a part of a table.
pub fn copy(table: &Table, columns: &[Column], part: &Part) -> String {
    let selected: Vec<_> = columns.iter().map(Column::expression).collect();
    let mut text = format!("copy (select {} from {} as t", selected.join(", "), table.quoted());
    for (n, condition) in part.conditions.iter().enumerate() {
        text.push_str(if n == 0 { " where " } else { " and " });
        text.push_str(condition);
    }
    if !part.order.is_empty() {
        text.push_str(" order by ");
        text.push_str(&part.order.join(", "));
    }
    text.push_str(") to stdout (format binary)");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    fn column(name: &str, sql_type: &str, nullable: bool) -> Column {
        Column {
            name: name.into(),
            sql_type: sql_type.into(),
            shape: if sql_type == "interval" {
                Shape::Cast
            } else {
                Shape::Int4
            },
            nullable,
        }
    }

    #[test]
    fn statements() {
        let table = Table {
            schema: "pu\"blic".into(),
            name: "my.orders".into(),
            ..Table::default()
        };
        let columns = [column("id", "integer", false), column("a b", "interval", true)];
        let (id, span) = (&columns[0], &columns[1]);
        let text = |part| copy(&table, &columns, &part);
        let start = "copy (select t.\"id\", t.\"a b\"::text from \"pu\"\"blic\".\"my.orders\" as t";
        let end = ") to stdout (format binary)";
        assert_eq!(text(Part::all()), format!("{start}{end}"));
        assert_eq!(text(Part::null(span)), format!("{start} where t.\"a b\" is null{end}"));
        assert_eq!(
            text(Part::by(&[span]).from(&[span], &["x'y".into()], true)),
            format!("{start} where t.\"a b\" is not null and t.\"a b\" >= E'x''y'::interval order by t.\"a b\"{end}")
        );
        assert_eq!(
            text(Part::by(&[id, span]).from(&[id, span], &["1".into(), "2".into()], false)),
            format!(
                "{start} where t.\"a b\" is not null and (t.\"id\", t.\"a b\") > (E'1'::integer, E'2'::interval) \
                 order by t.\"id\", t.\"a b\"{end}"
            )
        );
    }

    #[test]
    fn blocks_meet() {
        let parts: Vec<_> = Part::blocks(10, 3)
            .into_iter()
            .map(|part| part.conditions.join(" "))
            .collect();
        let expected = [
            "t.ctid >= '(0,0)'::tid t.ctid < '(3,0)'::tid",
            "t.ctid >= '(3,0)'::tid t.ctid < '(6,0)'::tid",
            "t.ctid >= '(6,0)'::tid",
        ];
        assert_eq!(parts, expected);
    }
}
