//! Whether a column can take the values of a batch as they are: if not, how they are converted, or what the column must become.
//! No value is changed to fit (I9).

use arrow_array::StringArray;

use crate::cell::{uuid, Form};
use crate::source::Source;
use crate::sql_type::Type;

/// Whole numbers up to this are given back by a float64.
const FLOAT8_WHOLE: i64 = 1 << 53;
/// The same for a float32.
const FLOAT4_WHOLE: i64 = 1 << 24;

/// How values get into a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are written in the column's own binary form.
    Direct(Form),
    /// They are staged in this form, and the server converts them.
    Convert(Form),
    /// The column must have this type first.
    Widen(Type),
}

/// How the values of `source` get into a column that holds `held`.
pub fn fit(source: Source<'_>, held: &Type) -> Fit {
    use Fit::{Direct, Widen};
    if source.array().null_count() == source.array().len() {
        return Direct(Form::Null);
    }
    match (source, held) {
        (Source::Bool(_), Type::Bool) => Direct(Form::Bool),
        (Source::Int(array), held) => integers(source, array.iter().flatten(), held),
        (Source::Float(array), held) => floats(source, array.iter().flatten(), held),
        (Source::Decimal(_) | Source::Long(_), Type::Numeric(None)) => Direct(Form::Numeric),
        (Source::Decimal(array), Type::Numeric(Some(held))) => decimals(array.precision(), array.scale(), *held),
        (Source::Long(array), Type::Numeric(Some(held))) => decimals(array.precision(), array.scale(), *held),
        (Source::Decimal(_) | Source::Long(_), Type::Float4 | Type::Float8) => Widen(Type::Numeric(None)),
        (Source::Decimal(_) | Source::Long(_), held) if held.is_integer() => Widen(Type::Numeric(None)),
        (Source::Text(array), held) => texts(source, array, held),
        (Source::Date(_), Type::Date) => Direct(Form::Date),
        (Source::Time(_), Type::Time) => Direct(Form::Time),
        (Source::Time(_), Type::Other(written)) if written.starts_with("time(") => Widen(Type::Time),
        (Source::Timestamp(_), Type::Timestamp | Type::Naive) => Direct(Form::Timestamp),
        (Source::Timestamp(_), Type::Other(written)) if written.starts_with("timestamp(") => Widen(Type::Timestamp),
        (Source::Binary(_), Type::Bytea) => Direct(Form::Bytes),
        (Source::Json(array), held) => json(array, held),
        (source, held) => elsewhere(source, held),
    }
}

/// A kind of values in a column of another kind.
fn elsewhere(source: Source<'_>, held: &Type) -> Fit {
    match held {
        Type::Text | Type::Json | Type::Jsonb | Type::Other(_) => Fit::Convert(Form::staged(source)),
        _ => Fit::Widen(Type::Text),
    }
}

fn integers(source: Source<'_>, values: impl Iterator<Item = i64>, held: &Type) -> Fit {
    let within = |low: i64, high: i64| {
        let mut values = values;
        values.all(|value| (low..=high).contains(&value))
    };
    let (fits, form, wider) = match held {
        Type::Int8 => return Fit::Direct(Form::Int8),
        Type::Numeric(None) => return Fit::Direct(Form::Numeric),
        Type::Int4 => (within(i32::MIN.into(), i32::MAX.into()), Form::Int4, Type::Int8),
        Type::Int2 => (within(i16::MIN.into(), i16::MAX.into()), Form::Int2, Type::Int8),
        Type::Float8 => (within(-FLOAT8_WHOLE, FLOAT8_WHOLE), Form::Float8, Type::Numeric(None)),
        Type::Float4 => (within(-FLOAT4_WHOLE, FLOAT4_WHOLE), Form::Float4, Type::Numeric(None)),
        Type::Numeric(Some((precision, scale))) => {
            let room = u32::try_from(precision - scale).unwrap_or(0);
            let limit = 10_i64.checked_pow(room).map_or(i64::MAX, |limit| limit - 1);
            let whole = *scale >= 0 && (room > 18 || within(-limit, limit));
            (whole, Form::Numeric, Type::Numeric(None))
        }
        held => return elsewhere(source, held),
    };
    if fits {
        Fit::Direct(form)
    } else {
        Fit::Widen(wider)
    }
}

fn floats(source: Source<'_>, mut values: impl Iterator<Item = f64>, held: &Type) -> Fit {
    match held {
        Type::Float8 => Fit::Direct(Form::Float8),
        Type::Float4 if values.all(|value| value.is_nan() || f64::from(value as f32) == value) => {
            Fit::Direct(Form::Float4)
        }
        Type::Float4 => Fit::Widen(Type::Float8),
        held if held.is_integer() => Fit::Widen(Type::Float8),
        Type::Numeric(None) => Fit::Convert(Form::Float8),
        Type::Numeric(_) => Fit::Widen(Type::Numeric(None)),
        held => elsewhere(source, held),
    }
}

fn decimals(precision: u8, scale: i8, (most, places): (i32, i32)) -> Fit {
    let (precision, scale) = (i32::from(precision), i32::from(scale));
    match scale <= places && precision - scale <= most - places {
        true => Fit::Direct(Form::Numeric),
        false => Fit::Widen(Type::Numeric(None)),
    }
}

fn texts(source: Source<'_>, array: &StringArray, held: &Type) -> Fit {
    match held {
        Type::Text => Fit::Direct(Form::Text),
        Type::Bounded(_, most) if shorter(array, *most) => Fit::Direct(Form::Text),
        Type::Uuid if array.iter().flatten().all(|text| uuid(text.as_bytes()).is_some()) => Fit::Direct(Form::Uuid),
        Type::Other(written) if written.starts_with("time") => Fit::Widen(Type::Text),
        held => elsewhere(source, held),
    }
}

fn shorter(array: &StringArray, most: usize) -> bool {
    let fits = |text: &str| text.len() <= most || text.chars().count() <= most;
    array.iter().flatten().all(fits)
}

fn json(array: &StringArray, held: &Type) -> Fit {
    let nested = || array.iter().flatten().any(|text| text.starts_with(['{', '[']));
    // What is too long, or too exact, for the column's type comes as JSON.
    let numbers = || {
        array
            .iter()
            .flatten()
            .all(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
    };
    let numeric = held.is_integer() || matches!(held, Type::Float4 | Type::Float8 | Type::Numeric(_));
    match held {
        Type::Jsonb => Fit::Direct(Form::Jsonb),
        Type::Json => Fit::Direct(Form::Text),
        Type::Text => Fit::Direct(Form::Unquoted),
        Type::Other(written) if !written.starts_with("time") => Fit::Convert(Form::Unquoted),
        Type::Bounded(..) => Fit::Widen(Type::Text),
        Type::Numeric(None) if numbers() => Fit::Convert(Form::Unquoted),
        _ if numeric && numbers() => Fit::Widen(Type::Numeric(None)),
        _ if nested() => Fit::Widen(Type::Jsonb),
        _ => Fit::Widen(Type::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Date32Array, Decimal128Array, Float64Array, Int64Array};

    #[test]
    fn integers_stay_where_they_fit() {
        let (small, large) = (Int64Array::from(vec![Some(7), None]), Int64Array::from(vec![i64::MAX]));
        let (small, large) = (Source::Int(&small), Source::Int(&large));
        for (held, first, second) in [
            (Type::Int8, Fit::Direct(Form::Int8), Fit::Direct(Form::Int8)),
            (Type::Int4, Fit::Direct(Form::Int4), Fit::Widen(Type::Int8)),
            (Type::Int2, Fit::Direct(Form::Int2), Fit::Widen(Type::Int8)),
            (Type::Float8, Fit::Direct(Form::Float8), Fit::Widen(Type::Numeric(None))),
            (
                Type::Numeric(Some((3, 2))),
                Fit::Direct(Form::Numeric),
                Fit::Widen(Type::Numeric(None)),
            ),
            (
                Type::Numeric(Some((38, 2))),
                Fit::Direct(Form::Numeric),
                Fit::Direct(Form::Numeric),
            ),
            (Type::Text, Fit::Convert(Form::Int8), Fit::Convert(Form::Int8)),
            (Type::Date, Fit::Widen(Type::Text), Fit::Widen(Type::Text)),
        ] {
            assert_eq!((fit(small, &held), fit(large, &held)), (first, second), "{held:?}");
        }
        let nulls = Int64Array::from(vec![None::<i64>; 2]);
        assert_eq!(fit(Source::Int(&nulls), &Type::Uuid), Fit::Direct(Form::Null));
    }

    #[test]
    fn the_others() {
        let float = Float64Array::from(vec![0.1]);
        assert_eq!(fit(Source::Float(&float), &Type::Float4), Fit::Widen(Type::Float8));
        assert_eq!(fit(Source::Float(&float), &Type::Int8), Fit::Widen(Type::Float8));
        let decimal = Decimal128Array::from(vec![1]).with_precision_and_scale(12, 4).unwrap();
        assert_eq!(
            fit(Source::Decimal(&decimal), &Type::Numeric(Some((12, 4)))),
            Fit::Direct(Form::Numeric)
        );
        assert_eq!(
            fit(Source::Decimal(&decimal), &Type::Numeric(Some((12, 5)))),
            Fit::Widen(Type::Numeric(None))
        );
        let date = Date32Array::from(vec![1]);
        assert_eq!(fit(Source::Date(&date), &Type::Timestamp), Fit::Widen(Type::Text));
    }

    #[test]
    fn texts_and_json() {
        let same = StringArray::from(vec!["0190163d-8694-739b-aea5-966c26f8ad91"]);
        let upper = StringArray::from(vec!["0190163D-8694-739B-AEA5-966C26F8AD91"]);
        assert_eq!(fit(Source::Text(&same), &Type::Uuid), Fit::Direct(Form::Uuid));
        assert_eq!(fit(Source::Text(&upper), &Type::Uuid), Fit::Widen(Type::Text));
        let char2 = Type::Bounded("character(2)".into(), 2);
        assert_eq!(
            fit(Source::Text(&StringArray::from(vec!["éé"])), &char2),
            Fit::Direct(Form::Text)
        );
        assert_eq!(
            fit(Source::Text(&StringArray::from(vec!["abc"])), &char2),
            Fit::Widen(Type::Text)
        );
        let (plain, nested) = (StringArray::from(vec!["\"x\"", "1"]), StringArray::from(vec!["{}"]));
        assert_eq!(fit(Source::Json(&plain), &Type::Int8), Fit::Widen(Type::Text));
        assert_eq!(fit(Source::Json(&nested), &Type::Int8), Fit::Widen(Type::Jsonb));
        let number = StringArray::from(vec!["-123456789012345678901234567890"]);
        for held in [Type::Int8, Type::Float8] {
            assert_eq!(fit(Source::Json(&number), &held), Fit::Widen(Type::Numeric(None)));
        }
        assert_eq!(
            fit(Source::Json(&number), &Type::Numeric(None)),
            Fit::Convert(Form::Unquoted)
        );
        assert_eq!(fit(Source::Json(&plain), &Type::Text), Fit::Direct(Form::Unquoted));
    }
}
