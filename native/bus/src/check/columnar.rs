//! Columns against their SCHEMA: whether a record batch shows at a look that none of its rows breaks it.
//!
//! Types, nulls, bounds of numbers and lengths are seen without looking at rows. Where that proves nothing the rows are read
//! as records, by [`super::scan`] as any other, so that both encodings have the same rows rejected.

use super::schema::{Bound, Node, NumberRules, ARRAY, BOOLEAN, INTEGER, NULL, NUMBER, OBJECT, STRING};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int16Type, Int32Type, Int64Type, Int8Type, UInt16Type, UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use singer_protocol::columns::kind::JSON;
use singer_protocol::json;

/// Whether every row of the batch surely keeps to the SCHEMA.
pub fn proves(node: &Node, batch: &RecordBatch) -> bool {
    let plain = node.kinds & OBJECT != 0 && node.more.is_none();
    let Some(rules) = node.object.as_deref().filter(|_| plain) else {
        return plain && well_formed(batch);
    };
    if rules.fewest > 0 || rules.most.is_some() {
        return false;
    }
    let schema = batch.schema();
    let declared = |name: &str| rules.properties.iter().any(|p| p.declared && p.name == name);
    let more = schema.fields().iter().any(|field| !declared(field.name()));
    if more && (rules.closed || rules.additional.is_some()) {
        return false;
    }
    well_formed(batch)
        && rules
            .properties
            .iter()
            .all(|property| match schema.index_of(&property.name) {
                Ok(index) => column(&property.node, schema.field(index), batch.column(index)),
                Err(_) => !property.required,
            })
}

/// Whether what is marked as JSON is JSON.
fn well_formed(batch: &RecordBatch) -> bool {
    let schema = batch.schema();
    let mut marked = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| is_json(field));
    marked.all(|(_, array)| match array.as_string_opt::<i32>() {
        Some(texts) => texts
            .iter()
            .flatten()
            .all(|text| json::check(text.as_bytes()).is_ok_and(|report| report.nonstandard_numbers == 0)),
        None => false,
    })
}

fn is_json(field: &Field) -> bool {
    field
        .metadata()
        .get("ARROW:extension:name")
        .is_some_and(|name| name == JSON)
}

fn column(node: &Node, field: &Field, array: &ArrayRef) -> bool {
    if node.more.is_some() || (array.null_count() > 0 && node.kinds & NULL == 0) {
        return false;
    }
    if array.null_count() == array.len() {
        return true;
    }
    if is_json(field) {
        return json_kinds(node, array);
    }
    let has = |kinds: u8| node.kinds & kinds != 0;
    match array.data_type() {
        DataType::Null => true,
        DataType::Boolean => has(BOOLEAN),
        DataType::Int8 => has(INTEGER) && within::<Int8Type>(node.number.as_deref(), array),
        DataType::Int16 => has(INTEGER) && within::<Int16Type>(node.number.as_deref(), array),
        DataType::Int32 => has(INTEGER) && within::<Int32Type>(node.number.as_deref(), array),
        DataType::Int64 => has(INTEGER) && within::<Int64Type>(node.number.as_deref(), array),
        DataType::UInt8 => has(INTEGER) && within::<UInt8Type>(node.number.as_deref(), array),
        DataType::UInt16 => has(INTEGER) && within::<UInt16Type>(node.number.as_deref(), array),
        DataType::UInt32 => has(INTEGER) && within::<UInt32Type>(node.number.as_deref(), array),
        DataType::UInt64 => has(INTEGER) && within::<UInt64Type>(node.number.as_deref(), array),
        DataType::Float32 | DataType::Float64 => has(NUMBER) && node.number.is_none(),
        // A number or a string, as the SCHEMA has it.
        DataType::Decimal128(..) | DataType::Decimal256(..) => match (has(STRING), has(NUMBER)) {
            (true, false) => node.string.is_none(),
            (false, true) => node.number.is_none(),
            (true, true) => node.string.is_none() && node.number.is_none(),
            (false, false) => false,
        },
        DataType::Utf8 => has(STRING) && short_enough(node, array),
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Binary => {
            has(STRING) && node.string.is_none()
        }
        _ => false,
    }
}

/// Whether every value is of a kind that may be, where that is all there is to say.
fn json_kinds(node: &Node, array: &ArrayRef) -> bool {
    let plain = node.number.is_none() && node.string.is_none() && node.array.is_none() && node.object.is_none();
    let Some(texts) = array.as_string_opt::<i32>().filter(|_| plain) else {
        return false;
    };
    texts.iter().flatten().all(|text| {
        let kind = match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') => OBJECT,
            Some(b'[') => ARRAY,
            Some(b'"') => STRING,
            Some(b't' | b'f') => BOOLEAN,
            Some(b'n') => NULL,
            Some(_) => NUMBER,
            None => return false,
        };
        node.kinds & kind != 0
    })
}

fn short_enough(node: &Node, array: &ArrayRef) -> bool {
    let Some(rules) = node.string.as_deref() else {
        return true;
    };
    // Lengths count code points: never more than bytes, never fewer than a fourth of them.
    let longest = rules.longest.unwrap_or(u64::MAX);
    let fits = |text: &str| text.len() as u64 <= longest && text.len() as u64 / 4 >= rules.shortest;
    array.as_string::<i32>().iter().flatten().all(fits)
}

fn within<T>(rules: Option<&NumberRules>, array: &ArrayRef) -> bool
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128> + Ord,
{
    let Some(rules) = rules else { return true };
    // The least and the greatest value that may be; none where a bound is no whole number.
    let edge = |bound: &Option<Bound>, open: i128, step: i128| match bound {
        None => Some(open),
        Some(bound) => whole(bound).map(|edge| if bound.exclusive { edge + step } else { edge }),
    };
    let (Some(least), Some(most), None) = (
        edge(&rules.least, i128::MIN, 1),
        edge(&rules.most, i128::MAX, -1),
        &rules.unit,
    ) else {
        return false;
    };
    let column = array.as_primitive::<T>();
    let ends = if column.null_count() == 0 {
        column
            .values()
            .iter()
            .copied()
            .min()
            .zip(column.values().iter().copied().max())
    } else {
        column.iter().flatten().min().zip(column.iter().flatten().max())
    };
    ends.is_none_or(|(smallest, largest)| least <= smallest.into() && largest.into() <= most)
}

fn whole(bound: &Bound) -> Option<i128> {
    bound.small.map(i128::from).or_else(|| bound.text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::schema::compile;
    use arrow_array::{Int64Array, StringArray};
    use std::collections::HashMap;
    use std::sync::Arc;

    fn proven(property: &str, array: ArrayRef, json: bool) -> bool {
        let mut field = Field::new("c", array.data_type().clone(), true);
        if json {
            field.set_metadata(HashMap::from([("ARROW:extension:name".into(), JSON.into())]));
        }
        let schema = Arc::new(arrow_schema::Schema::new(vec![field]));
        let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
        let text = format!(r#"{{"type":"object","properties":{{"c":{property}}},"required":["c"]}}"#);
        proves(&compile(text.as_bytes()).unwrap(), &batch)
    }

    #[test]
    fn what_is_seen_at_a_look() {
        let ints = |values: &[Option<i64>]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let texts = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let bounded = r#"{"type":["null","integer"],"minimum":-5,"maximum":5}"#;
        assert!(proven(bounded, ints(&[Some(5), None]), false));
        assert!(!proven(bounded, ints(&[Some(6)]), false));
        assert!(!proven(r#"{"type":"integer"}"#, ints(&[None, Some(1)]), false));
        let int8 = r#"{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}"#;
        assert!(proven(int8, ints(&[Some(i64::MIN), Some(i64::MAX)]), false));
        let almost = r#"{"type":"integer","exclusiveMinimum":-9223372036854775808}"#;
        assert!(!proven(almost, ints(&[Some(i64::MIN)]), false) && proven(almost, ints(&[Some(-i64::MAX)]), false));
        assert!(!proven(
            r#"{"type":"integer","exclusiveMaximum":6}"#,
            ints(&[Some(6)]),
            false
        ));
        assert!(!proven(r#"{"type":"integer","multipleOf":2}"#, ints(&[Some(6)]), false));
        assert!(proven(r#"{"type":"string","maxLength":3}"#, texts(&["abc", ""]), false));
        assert!(!proven(r#"{"type":"string","maxLength":3}"#, texts(&["abcd"]), false));
        assert!(!proven(r#"{"type":"string","pattern":"b"}"#, texts(&["abc"]), false));
        assert!(!proven(r#"{"type":"integer"}"#, texts(&["abc"]), false));
        let object = r#"{"type":"object"}"#;
        assert!(proven(object, texts(&[r#"{"a":1}"#]), true));
        assert!(!proven(object, texts(&["[1]"]), true));
        assert!(!proven(object, texts(&[r#"{"a":1"#]), true));
        assert!(!proven(object, texts(&[r#"{"a":NaN}"#]), true));
    }
}
