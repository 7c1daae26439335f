//! Streams under other names: a template with `{stream}`, `{schema}`, `{table}` and `{name}` in it.
//!
//! SQL taps call a stream `schema-table`, and SQL targets make a schema of what stands before the dash: where there is
//! none to make, or another is meant, the name is in the way. A name stays data (I12): the target gets text, never a path.

use serde::Deserialize;
use std::fmt;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Stream,
    Schema,
    Table,
    Name,
}

/// How the names of streams are made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Template, String> {
        let (mut parts, mut rest) = (Vec::new(), text.as_str());
        while let Some((before, tail)) = rest.split_once('{') {
            let (field, after) = tail.split_once('}').ok_or("a { without its }")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_string()));
            }
            parts.push(match field {
                "stream" => Part::Stream,
                "schema" => Part::Schema,
                "table" => Part::Table,
                "name" => Part::Name,
                _ => {
                    return Err(format!(
                        "{{{field}}} is not one of {{stream}}, {{schema}}, {{table}}, {{name}}"
                    ))
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_string()));
        }
        match parts.iter().any(|part| !matches!(part, Part::Text(_) | Part::Schema)) {
            true => Ok(Template { text, parts }),
            false => Err("all streams would be called the same: {stream}, {table} or {name} must be in it".into()),
        }
    }
}

impl Template {
    /// The name of a stream by it. `{schema}` is what stands before the first dash and `{table}` what stands behind it;
    /// a stream without a dash is all table. `{name}` is the whole name with `_` for all but letters and digits.
    pub fn of(&self, stream: &str) -> String {
        let (schema, table) = stream.split_once('-').unwrap_or(("", stream));
        let mut made = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Stream => made.push_str(stream),
                Part::Schema => made.push_str(schema),
                Part::Table => made.push_str(table),
                Part::Name => made.extend(stream.chars().map(|c| if c.is_alphanumeric() { c } else { '_' })),
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(template: &str, stream: &str) -> String {
        Template::try_from(template.to_string()).unwrap().of(stream)
    }

    #[test]
    fn each_field() {
        assert_eq!(made("{table}", "public-air-lines"), "air-lines");
        assert_eq!(made("{table}", "users"), "users");
        assert_eq!(made("raw_{schema}_{table}", "public-x"), "raw_public_x");
        assert_eq!(made("{name}", "a.b-c/é"), "a_b_c_é");
        assert_eq!(made("x{stream}", "a-b"), "xa-b");
    }

    #[test]
    fn what_is_no_template() {
        for text in ["", "all", "{schema}", "{tabel}", "{table", "{}"] {
            assert!(Template::try_from(text.to_string()).is_err(), "{text}");
        }
    }
}
