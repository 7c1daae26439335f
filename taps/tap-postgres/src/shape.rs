//! What a PostgreSQL type is in COPY's binary form, in Arrow and in JSON Schema.

use serde_json::{json, Value};
use singer_plugin::columns::kind::Kind;

use crate::settings::Nonfinite;

/// A type, as far as reading its values goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// boolean
    Bool,
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// oid
    Oid,
    /// real
    Float4,
    /// double precision
    Float8,
    /// numeric with a precision that Arrow's decimals have
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// Any other numeric: its digits as a text
    Digits,
    /// Types that are sent as their text
    Text,
    /// uuid
    Uuid,
    /// bytea
    Bytea,
    /// date
    Date,
    /// time without time zone
    Time,
    /// timestamp, with or without time zone
    Stamp,
    /// json
    Json,
    /// jsonb
    Jsonb,
    /// An array of such elements
    List(Element),
    /// Anything else, made a text by the server
    Cast,
    /// Any other array, made JSON by the server
    CastList,
    /// A row, made JSON by the server
    CastRow,
}

/// What the elements of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// boolean
    Bool,
    /// smallint
    Int2,
    /// integer
    Int4,
    /// bigint
    Int8,
    /// real
    Float4,
    /// double precision
    Float8,
    /// numeric
    Numeric,
    /// Types that are sent as their text
    Text,
    /// uuid
    Uuid,
}

/// A type as pg_type describes it; for a domain, the type below it.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// Its name, where it is one of PostgreSQL's own or of an extension that is known.
    pub name: String,
    /// pg_type.typtype.
    pub kind: char,
    /// Whether it is an array.
    pub array: bool,
    /// The element's type, for an array.
    pub element: String,
    /// The element's typtype.
    pub element_kind: char,
    /// The modifier, -1 for none.
    pub modifier: i32,
}

/// Which types are sent as their own text.
fn is_text(name: &str, kind: char) -> bool {
    kind == 'e' || matches!(name, "text" | "varchar" | "bpchar" | "name" | "citext")
}

impl Shape {
    /// The shape of a type's values.
    pub fn of(found: &Described, nonfinite: Nonfinite) -> Shape {
        if found.array {
            return Shape::of_array(found);
        }
        let shape = match found.name.as_str() {
            name if is_text(name, found.kind) => Shape::Text,
            "bool" => Shape::Bool,
            "int2" => Shape::Int2,
            "int4" => Shape::Int4,
            "int8" => Shape::Int8,
            "oid" => Shape::Oid,
            "float4" => Shape::Float4,
            "float8" => Shape::Float8,
            "numeric" => Shape::of_numeric(found.modifier),
            "uuid" => Shape::Uuid,
            "bytea" => Shape::Bytea,
            "date" => Shape::Date,
            "time" => Shape::Time,
            "timestamp" | "timestamptz" => Shape::Stamp,
            "json" => Shape::Json,
            "jsonb" => Shape::Jsonb,
            _ if found.kind == 'c' => Shape::CastRow,
            _ => Shape::Cast,
        };
        match nonfinite == Nonfinite::Text && shape.has_others() {
            true => Shape::Cast,
            false => shape,
        }
    }

    /// A modifier holds the precision and, in eleven bits and with its sign, the scale.
    fn of_numeric(modifier: i32) -> Shape {
        let bits = modifier - 4;
        let (precision, scale) = ((bits >> 16) & 0xffff, ((bits & 0x7ff) ^ 1024) - 1024);
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if modifier >= 4 && precision <= 76 && scale <= precision => {
                Shape::Decimal { precision, scale }
            }
            _ => Shape::Digits,
        }
    }

    fn of_array(found: &Described) -> Shape {
        Shape::List(match found.element.as_str() {
            name if is_text(name, found.element_kind) => Element::Text,
            "bool" => Element::Bool,
            "int2" => Element::Int2,
            "int4" => Element::Int4,
            "int8" => Element::Int8,
            "float4" => Element::Float4,
            "float8" => Element::Float8,
            "numeric" => Element::Numeric,
            "uuid" => Element::Uuid,
            _ => return Shape::CastList,
        })
    }

    /// Whether it has values that its JSON Schema has not: NaN, infinity, the day before year 1.
    pub fn has_others(self) -> bool {
        use Shape::{Date, Decimal, Digits, Float4, Float8, Stamp, Time};
        matches!(self, Float4 | Float8 | Decimal { .. } | Digits | Date | Time | Stamp)
    }

    /// Whether its values can be bookmarks: they have an order, and a text that the server reads back.
    pub fn has_order(self) -> bool {
        !matches!(
            self,
            Shape::Bytea | Shape::Json | Shape::Jsonb | Shape::List(_) | Shape::CastList | Shape::CastRow
        )
    }

    /// The type of its column.
    pub fn kind(self) -> Kind {
        match self {
            Shape::Bool => Kind::Boolean,
            Shape::Int2 | Shape::Int4 | Shape::Int8 | Shape::Oid => Kind::Integer,
            Shape::Float4 | Shape::Float8 => Kind::Number,
            Shape::Decimal { precision, scale } => Kind::Decimal {
                precision,
                scale: scale as i8,
                text: true,
            },
            Shape::Digits | Shape::Text | Shape::Uuid | Shape::Cast => Kind::Text,
            Shape::Bytea => Kind::Binary,
            Shape::Date => Kind::Date,
            Shape::Time => Kind::Time,
            Shape::Stamp => Kind::Timestamp,
            Shape::Json | Shape::Jsonb | Shape::List(_) | Shape::CastList | Shape::CastRow => Kind::Json,
        }
    }

    /// Its JSON Schema (SPEC.md, section 7, the way back), but for null.
    pub fn property(self) -> Value {
        let string = |format: &str| json!({"type": "string", "format": format});
        let integer = |least: i64, most: i64| json!({"type": "integer", "minimum": least, "maximum": most});
        match self {
            Shape::Bool => json!({"type": "boolean"}),
            Shape::Int2 => integer(i16::MIN.into(), i16::MAX.into()),
            Shape::Int4 => integer(i32::MIN.into(), i32::MAX.into()),
            Shape::Int8 => integer(i64::MIN, i64::MAX),
            Shape::Oid => integer(0, u32::MAX.into()),
            Shape::Float4 | Shape::Float8 => json!({"type": "number"}),
            Shape::Decimal { precision, scale } => {
                json!({"type": "string", "format": "x-singer.decimal", "precision": precision, "scale": scale})
            }
            Shape::Digits => string("x-singer.decimal"),
            Shape::Text | Shape::Cast => json!({"type": "string"}),
            Shape::Uuid => string("uuid"),
            Shape::Bytea => json!({"type": "string", "contentEncoding": "base64"}),
            Shape::Date => string("date"),
            Shape::Time => string("time"),
            Shape::Stamp => string("date-time"),
            Shape::Json | Shape::Jsonb => json!({}),
            Shape::List(_) | Shape::CastList => json!({"type": "array"}),
            Shape::CastRow => json!({"type": "object"}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, modifier: i32) -> Described {
        Described {
            name: name.into(),
            kind: 'b',
            modifier,
            ..Described::default()
        }
    }

    #[test]
    fn a_numeric_is_a_decimal_where_one_can_hold_it() {
        let of = |precision: i32, scale: i32| {
            let modifier = ((precision << 16) | (scale & 0x7ff)) + 4;
            Shape::of(&named("numeric", modifier), Nonfinite::Fail)
        };
        let decimal = |precision, scale| Shape::Decimal { precision, scale };
        assert_eq!(of(12, 2), decimal(12, 2));
        assert_eq!(of(38, 38), decimal(38, 38));
        assert_eq!(of(76, 0), decimal(76, 0));
        assert_eq!([of(77, 0), of(3, -2), of(2, 5), of(1000, 300)], [Shape::Digits; 4]);
        assert_eq!(Shape::of(&named("numeric", -1), Nonfinite::Fail), Shape::Digits);
        assert_eq!(Shape::of(&named("numeric", 786_438), Nonfinite::Text), Shape::Cast);
        assert_eq!(Shape::of(&named("int8", -1), Nonfinite::Text), Shape::Int8);
    }

    #[test]
    fn the_schema_and_the_arrow_type_are_of_one_kind() {
        let all = [
            Shape::Bool,
            Shape::Int2,
            Shape::Int8,
            Shape::Oid,
            Shape::Float4,
            Shape::Decimal {
                precision: 50,
                scale: 3,
            },
            Shape::Digits,
            Shape::Text,
            Shape::Uuid,
            Shape::Bytea,
            Shape::Date,
            Shape::Time,
            Shape::Stamp,
            Shape::Jsonb,
            Shape::List(Element::Int4),
            Shape::CastRow,
        ];
        for shape in all {
            let property = shape.property();
            assert_eq!(Kind::of(&property, &property), shape.kind(), "{shape:?}");
        }
    }
}
