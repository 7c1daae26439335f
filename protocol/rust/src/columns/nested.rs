//! Arrays of arrays: lists, structs, maps and dictionaries, written as JSON.

use arrow_array::cast::AsArray;
use arrow_array::{Array, FixedSizeListArray, MapArray};
use arrow_schema::DataType;

use super::cells::{Cell, Cells};
use super::lines::{close, Form};
use super::spelling::Why;

const NO_JSON: Why = "a column of a type that JSON has no way to write";

pub(super) fn open<'a>(array: &'a dyn Array, form: &'a Form) -> Result<Box<dyn Cell + 'a>, Why> {
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Box::new(List {
                offsets: list.value_offsets(),
                items: Cells::open(list.values().as_ref(), first(form)?, None)?,
            })
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Box::new(List {
                offsets: list.value_offsets(),
                items: Cells::open(list.values().as_ref(), first(form)?, None)?,
            })
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let items = Cells::open(list.values().as_ref(), first(form)?, None)?;
            Box::new(Fixed { list, items })
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter().zip(&form.below);
            let members =
                fields.map(|(column, (lead, form))| Ok((&lead[..], Cells::open(column.as_ref(), form, None)?)));
            Box::new(Object(members.collect::<Result<_, Why>>()?))
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let [(key_lead, key), (value_lead, value)] = &form.below[..] else {
                return Err(NO_JSON);
            };
            Box::new(Pairs {
                map,
                named: map.keys().data_type().is_string(),
                key_lead,
                keys: Cells::open(map.keys().as_ref(), key, None)?,
                value_lead,
                values: Cells::open(map.values().as_ref(), value, None)?,
            })
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let values = dictionary.values();
            Box::new(Dictionary {
                keys: if values.is_empty() {
                    Vec::new()
                } else {
                    dictionary.normalized_keys()
                },
                values: Cells::open(values.as_ref(), form, None)?,
            })
        }
        _ => return Err(NO_JSON),
    })
}

fn first(form: &Form) -> Result<&Form, Why> {
    form.below.first().map(|(_, form)| form).ok_or(NO_JSON)
}

fn items(cells: &Cells<'_>, rows: std::ops::Range<usize>, out: &mut Vec<u8>) -> Result<(), Why> {
    out.push(b'[');
    for row in rows {
        cells.write(row, out)?;
        out.push(b',');
    }
    close(out, b']');
    Ok(())
}

/// Lists by their offsets.
struct List<'a, O> {
    offsets: &'a [O],
    items: Cells<'a>,
}

impl<O: arrow_array::OffsetSizeTrait> Cell for List<'_, O> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        items(
            &self.items,
            self.offsets[row].as_usize()..self.offsets[row + 1].as_usize(),
            out,
        )
    }
}

/// Lists of one length.
struct Fixed<'a> {
    list: &'a FixedSizeListArray,
    items: Cells<'a>,
}

impl Cell for Fixed<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        let length = self.list.value_length() as usize;
        items(&self.items, row * length..(row + 1) * length, out)
    }
}

/// Structs: each member with its name in front.
struct Object<'a>(Vec<(&'a [u8], Cells<'a>)>);

impl Cell for Object<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        out.push(b'{');
        for (lead, cells) in &self.0 {
            out.extend_from_slice(lead);
            cells.write(row, out)?;
            out.push(b',');
        }
        close(out, b'}');
        Ok(())
    }
}

/// Maps: an object where the keys are strings, else a list of objects with a key and a value.
struct Pairs<'a> {
    map: &'a MapArray,
    named: bool,
    key_lead: &'a [u8],
    keys: Cells<'a>,
    value_lead: &'a [u8],
    values: Cells<'a>,
}

impl Cell for Pairs<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        let offsets = self.map.value_offsets();
        out.push(if self.named { b'{' } else { b'[' });
        for row in offsets[row] as usize..offsets[row + 1] as usize {
            if self.named {
                self.keys.write(row, out)?;
                out.push(b':');
                self.values.write(row, out)?;
            } else {
                out.push(b'{');
                out.extend_from_slice(self.key_lead);
                self.keys.write(row, out)?;
                out.push(b',');
                out.extend_from_slice(self.value_lead);
                self.values.write(row, out)?;
                out.push(b'}');
            }
            out.push(b',');
        }
        close(out, if self.named { b'}' } else { b']' });
        Ok(())
    }
}

/// Values by their number.
struct Dictionary<'a> {
    keys: Vec<usize>,
    values: Cells<'a>,
}

impl Cell for Dictionary<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Why> {
        self.values.write(
            *self.keys.get(row).ok_or("a value that its dictionary does not have")?,
            out,
        )
    }
}
