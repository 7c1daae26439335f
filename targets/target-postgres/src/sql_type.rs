//! What a column of a table holds: which type a property gets at first, what a catalog says of a column that is there already, and
//! the SQL that turns one into another without changing a value.

use serde_json::Value;
use singer_plugin::columns::kind::Kind;

/// A column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// boolean.
    Bool,
    /// smallint.
    Int2,
    /// integer.
    Int4,
    /// bigint.
    Int8,
    /// real.
    Float4,
    /// double precision.
    Float8,
    /// numeric, with its precision and scale where it has them.
    Numeric(Option<(i32, i32)>),
    /// text.
    Text,
    /// varchar(n) or char(n): how it is written, and n.
    Bounded(String, usize),
    /// date.
    Date,
    /// time.
    Time,
    /// timestamp without time zone.
    Naive,
    /// timestamp with time zone.
    Timestamp,
    /// bytea.
    Bytea,
    /// json.
    Json,
    /// jsonb.
    Jsonb,
    /// uuid.
    Uuid,
    /// Any other: how it is written.
    Other(String),
}

impl Type {
    /// Of a property that has no column yet.
    pub fn of_property(property: &Value, root: &Value) -> Type {
        let kind = Kind::of(property, root);
        match Type::natural(&kind) {
            Type::Text if property["format"] == "uuid" => Type::Uuid,
            Type::Jsonb if scalars_only(property) => Type::Text,
            other => other,
        }
    }

    /// The one that holds just what a field of that kind does.
    pub fn natural(kind: &Kind) -> Type {
        match kind {
            Kind::Boolean => Type::Bool,
            Kind::Integer => Type::Int8,
            Kind::Number => Type::Float8,
            Kind::Decimal { precision, scale, .. } if *scale >= 0 => {
                Type::Numeric(Some((i32::from(*precision), i32::from(*scale))))
            }
            Kind::Decimal { .. } => Type::Numeric(None),
            Kind::Text => Type::Text,
            Kind::Date => Type::Date,
            Kind::Time => Type::Time,
            Kind::Timestamp => Type::Timestamp,
            Kind::Binary => Type::Bytea,
            Kind::Json => Type::Jsonb,
        }
    }

    /// Of a column in the catalog: its type's OID, its modifier, and both as SQL writes them.
    pub fn of_catalog(oid: u32, modifier: i32, written: &str) -> Type {
        let finest = matches!(modifier, -1 | 6);
        match oid {
            16 => Type::Bool,
            17 => Type::Bytea,
            20 => Type::Int8,
            21 => Type::Int2,
            23 => Type::Int4,
            25 => Type::Text,
            114 => Type::Json,
            700 => Type::Float4,
            701 => Type::Float8,
            1042 | 1043 if modifier >= 4 => Type::Bounded(written.into(), (modifier - 4) as usize),
            1043 => Type::Text,
            1082 => Type::Date,
            1083 if finest => Type::Time,
            1114 if finest => Type::Naive,
            1184 if finest => Type::Timestamp,
            1700 if modifier < 4 => Type::Numeric(None),
            // The scale has 11 bits and a sign.
            1700 => Type::Numeric(Some((
                ((modifier - 4) >> 16) & 0xffff,
                (((modifier - 4) & 0x7ff) ^ 0x400) - 0x400,
            ))),
            2950 => Type::Uuid,
            3802 => Type::Jsonb,
            _ => Type::Other(written.into()),
        }
    }

    /// As SQL writes it.
    pub fn sql(&self) -> String {
        match self {
            Type::Bool => "boolean".into(),
            Type::Int2 => "smallint".into(),
            Type::Int4 => "integer".into(),
            Type::Int8 => "bigint".into(),
            Type::Float4 => "real".into(),
            Type::Float8 => "double precision".into(),
            Type::Numeric(None) => "numeric".into(),
            Type::Numeric(Some((precision, scale))) => format!("numeric({precision},{scale})"),
            Type::Text => "text".into(),
            Type::Date => "date".into(),
            Type::Time => "time".into(),
            Type::Naive => "timestamp".into(),
            Type::Timestamp => "timestamptz".into(),
            Type::Bytea => "bytea".into(),
            Type::Json => "json".into(),
            Type::Jsonb => "jsonb".into(),
            Type::Uuid => "uuid".into(),
            Type::Bounded(written, _) | Type::Other(written) => written.clone(),
        }
    }

    /// Whether it holds whole numbers of at most 64 bits.
    pub fn is_integer(&self) -> bool {
        matches!(self, Type::Int2 | Type::Int4 | Type::Int8)
    }

    /// An expression of this type as text, as a record would hold it.
    fn text(&self, value: &str) -> String {
        match self {
            Type::Text => value.into(),
            Type::Naive | Type::Timestamp => {
                let zoned = if *self == Type::Timestamp {
                    "AT TIME ZONE 'UTC'"
                } else {
                    ""
                };
                // Years beyond four digits, BC and infinity have no other spelling than PostgreSQL's.
                format!(
                    "CASE WHEN {value} >= '0001-01-01' AND {value} < '10000-01-01' \
                     THEN to_char({value} {zoned}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') ELSE {value}::text END"
                )
            }
            Type::Bytea => format!("replace(encode({value}, 'base64'), E'\\n', '')"),
            _ => format!("{value}::text"),
        }
    }

    /// An expression of this type as another type that holds all its values.
    pub fn converted(&self, other: &Type, value: &str) -> String {
        match (self, other) {
            (own, other) if own == other => value.into(),
            (_, Type::Text) => self.text(value),
            (Type::Float4 | Type::Float8, Type::Numeric(_)) => format!("{value}::text::numeric"),
            (Type::Json, Type::Jsonb) => format!("{value}::jsonb"),
            (_, Type::Json | Type::Jsonb) => {
                let plain = self.is_integer()
                    || matches!(
                        self,
                        Type::Bool | Type::Numeric(_) | Type::Float4 | Type::Float8 | Type::Text
                    );
                let inner = if plain { value.into() } else { self.text(value) };
                format!("to_{}({inner})", other.sql())
            }
            (_, Type::Other(written) | Type::Bounded(written, _)) => format!("({})::{written}", self.text(value)),
            _ => format!("{value}::{}", other.sql()),
        }
    }
}

/// Whether a property that is JSON is so because it may be several of the plain types: it is a text then, with strings as they
/// are and the others as their JSON (SPEC.md, section 7).
fn scalars_only(property: &Value) -> bool {
    let branches = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| property[key].as_array());
    let mut branches = branches.flatten().peekable();
    let names: Vec<&str> = match &property["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap_or("?")).collect(),
        _ => vec![],
    };
    let known = ["null", "boolean", "integer", "number", "string"];
    let said = !names.is_empty() || branches.peek().is_some();
    said && names.iter().all(|name| known.contains(name)) && branches.all(scalars_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_in_the_catalog() {
        let numeric = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        for (oid, modifier, written, wanted) in [
            (1700, numeric(38, 20), "numeric(38,20)", Type::Numeric(Some((38, 20)))),
            (1700, numeric(5, -2), "numeric(5,-2)", Type::Numeric(Some((5, -2)))),
            (1700, -1, "numeric", Type::Numeric(None)),
            (1043, -1, "character varying", Type::Text),
            (
                1043,
                36,
                "character varying(32)",
                Type::Bounded("character varying(32)".into(), 32),
            ),
            (
                1184,
                0,
                "timestamp(0) with time zone",
                Type::Other("timestamp(0) with time zone".into()),
            ),
            (869, -1, "inet", Type::Other("inet".into())),
        ] {
            assert_eq!(Type::of_catalog(oid, modifier, written), wanted);
        }
    }

    #[test]
    fn several_plain_types() {
        for (property, wanted) in [
            (json!({"type": ["string", "integer", "null"]}), true),
            (json!({"anyOf": [{"type": "string"}, {"type": "number"}]}), true),
            (json!({"type": ["string", "object"]}), false),
            (json!({"anyOf": [{"type": "string"}, {}]}), false),
            (json!({}), false),
        ] {
            assert_eq!(scalars_only(&property), wanted, "{property}");
        }
    }
}
