//! One pass over a record's bytes: every byte is checked as JSON, and every value against its SCHEMA.
//!
//! Nothing is built. After the first breach the rest is only checked as JSON, so that a record which is no JSON is
//! told as that. What a bare `NaN` is has no answer in JSON: it passes for a number without bounds.

use super::breach::Breach;
use super::number::{small, whole_numbers, Decimal};
use super::schema::{
    ArrayRules, Bound, More, Node, NumberRules, ObjectRules, StringRules, Values, ARRAY, BOOLEAN, INTEGER, NULL,
    NUMBER, OBJECT, STRING,
};
use super::seen::Seen;
use serde_json::Value;
use singer_protocol::error::Fault;
use singer_protocol::json::{self, blank, peek};
use singer_protocol::text::{unescape, Text};

/// What a record turned out to be.
#[derive(Debug)]
pub struct Found {
    /// The offset of its bracket.
    pub start: usize,
    /// The offset behind it.
    pub end: usize,
    /// Bare `NaN` and `Infinity`.
    pub nonstandard: u64,
    /// The first rule that it breaks.
    pub breach: Option<Breach>,
}

#[derive(Default)]
struct Scan {
    nonstandard: u64,
    breach: Option<Breach>,
    /// A declared property came twice: the last one counts, and the first was judged.
    twice: bool,
}

/// Reads the record that starts at `at` against its SCHEMA.
pub fn record(s: &[u8], at: usize, node: &Node) -> Result<Found, Fault> {
    let mut scan = Scan::default();
    let end = scan.value(s, at, node)?;
    if scan.twice {
        // Of duplicate keys the last counts, here as for every reader.
        if let Some(text) = once(&s[at..end]) {
            let mut again = Scan::default();
            again.value(&text, 0, node)?;
            scan.breach = again.breach;
        }
    }
    if scan.breach.is_some() {
        scan.breach = scan.breach.filter(|b| !forgiven(b, &s[at..end]));
        if let Some(breach) = &mut scan.breach {
            breach.path.reverse();
        }
    }
    Ok(Found {
        start: at,
        end,
        nonstandard: scan.nonstandard,
        breach: scan.breach,
    })
}

/// The same value without duplicate keys.
fn once(text: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    serde_json::to_vec(&value).ok()
}

/// A record that only says that its row was deleted need not have the other columns.
fn forgiven(breach: &Breach, record: &[u8]) -> bool {
    breach.rule == "required" && breach.path.len() == 1 && is_deletion(record)
}

fn is_deletion(record: &[u8]) -> bool {
    let (mut at, mut deleted) = (blank(record, 1), false);
    while peek(record, at) == b'"' {
        let Ok((end, escaped)) = json::string(record, at + 1) else {
            return false;
        };
        let key = Text {
            raw: &record[at + 1..end - 1],
            escaped,
        };
        let start = blank(record, blank(record, end) + 1);
        let Ok(end) = json::value(record, start, &mut 0) else {
            return false;
        };
        if key.is(b"_sdc_deleted_at") {
            deleted = peek(record, start) != b'n';
        }
        at = blank(record, end);
        at = if peek(record, at) == b',' {
            blank(record, at + 1)
        } else {
            at
        };
    }
    deleted
}

impl Scan {
    fn broken(&mut self, rule: &'static str, clause: impl Into<std::borrow::Cow<'static, str>>, value: Option<&[u8]>) {
        if self.breach.is_none() {
            self.breach = Some(Breach::new(rule, clause, value));
        }
    }

    fn value(&mut self, s: &[u8], at: usize, node: &Node) -> Result<usize, Fault> {
        if self.breach.is_some() {
            return json::value(s, at, &mut self.nonstandard);
        }
        let end = match peek(s, at) {
            b'"' => {
                let (end, escaped) = json::string(s, at + 1)?;
                if node.kinds & STRING == 0 {
                    self.wrong_kind(node, &s[at..end]);
                } else if let Some(rules) = &node.string {
                    self.string(rules, &s[at + 1..end - 1], escaped);
                }
                end
            }
            b'0'..=b'9' | b'-' if peek(s, at + 1) != b'I' => {
                let end = json::number(s, at)?;
                if node.kinds & NUMBER == 0 && !(node.kinds & INTEGER != 0 && whole(&s[at..end])) {
                    self.wrong_kind(node, &s[at..end]);
                } else if let Some(rules) = &node.number {
                    self.number(rules, &s[at..end]);
                }
                end
            }
            b'{' => {
                if node.kinds & OBJECT == 0 {
                    let end = json::value(s, at, &mut self.nonstandard)?;
                    self.wrong_kind(node, &s[at..end]);
                    end
                } else if let Some(rules) = &node.object {
                    self.object(s, at, rules)?
                } else {
                    json::value(s, at, &mut self.nonstandard)?
                }
            }
            b'[' => {
                if node.kinds & ARRAY == 0 {
                    let end = json::value(s, at, &mut self.nonstandard)?;
                    self.wrong_kind(node, &s[at..end]);
                    end
                } else if let Some(rules) = &node.array {
                    self.array(s, at, rules)?
                } else {
                    json::value(s, at, &mut self.nonstandard)?
                }
            }
            first => {
                let end = json::value(s, at, &mut self.nonstandard)?;
                let kind = match first {
                    b't' | b'f' => BOOLEAN,
                    b'n' => NULL,
                    _ => NUMBER,
                };
                if node.kinds & kind == 0 {
                    self.wrong_kind(node, &s[at..end]);
                }
                end
            }
        };
        if let Some(more) = &node.more {
            if self.breach.is_none() {
                self.more(&s[at..end], more)?;
            }
        }
        Ok(end)
    }

    #[cold]
    fn wrong_kind(&mut self, node: &Node, value: &[u8]) {
        let names = [
            (NUMBER, "a number"),
            (INTEGER, "an integer"),
            (STRING, "a string"),
            (BOOLEAN, "a boolean"),
            (ARRAY, "an array"),
            (OBJECT, "an object"),
            (NULL, "null"),
        ];
        let kinds = if node.kinds & NUMBER != 0 {
            node.kinds & !INTEGER
        } else {
            node.kinds
        };
        let words: Vec<&str> = names
            .iter()
            .filter(|(kind, _)| kinds & kind != 0)
            .map(|n| n.1)
            .collect();
        let clause = match words.as_slice() {
            [] => "is not allowed here".to_string(),
            // That null would do as well helps nobody who looks at a wrong value.
            [words @ .., "null"] if !words.is_empty() && value != b"null" => format!("is not {}", words.join(" or ")),
            words => format!("is not {}", words.join(" or ")),
        };
        self.broken("type", clause, Some(value));
    }

    fn string(&mut self, rules: &StringRules, raw: &[u8], escaped: bool) {
        // A character has at least one byte, so most strings need not be counted.
        let bytes = raw.len() as u64;
        if rules.shortest == 0 && rules.longest.is_none_or(|most| bytes <= most) {
            return;
        }
        let length = match escaped {
            false => characters(raw),
            true => characters(&unescape(raw)),
        };
        let quoted = || [b"\"", raw, b"\""].concat();
        if length < rules.shortest {
            let clause = format!("has {length} characters, and at least {} are required", rules.shortest);
            self.broken("minLength", clause, Some(&quoted()));
        } else if let Some(most) = rules.longest.filter(|most| length > *most) {
            let clause = format!("has {length} characters, and at most {most} are allowed");
            self.broken("maxLength", clause, Some(&quoted()));
        }
    }

    fn number(&mut self, rules: &NumberRules, text: &[u8]) {
        let quick = small(text);
        let mut exact = None;
        let mut beyond = |bound: &Bound, less: bool| {
            let order = match (quick, bound.small) {
                (Some(value), Some(bound)) => value.cmp(&bound),
                _ => (*exact.get_or_insert_with(|| Decimal::parse(text))).cmp(&bound.value),
            };
            (bound.exclusive && order.is_eq()) || if less { order.is_lt() } else { order.is_gt() }
        };
        if let Some(least) = rules.least.as_ref().filter(|least| beyond(least, true)) {
            let (rule, word) = match least.exclusive {
                true => ("exclusiveMinimum", "not more than"),
                false => ("minimum", "less than"),
            };
            self.broken(rule, format!("is {word} {}", least.text), Some(text));
        } else if let Some(most) = rules.most.as_ref().filter(|most| beyond(most, false)) {
            let (rule, word) = match most.exclusive {
                true => ("exclusiveMaximum", "not less than"),
                false => ("maximum", "more than"),
            };
            self.broken(rule, format!("is {word} {}", most.text), Some(text));
        } else if let Some((unit, shown)) = &rules.unit {
            if Decimal::parse(text).is_multiple_of(unit) == Some(false) {
                self.broken("multipleOf", format!("is no multiple of {shown}"), Some(text));
            }
        }
    }

    fn array(&mut self, s: &[u8], start: usize, rules: &ArrayRules) -> Result<usize, Fault> {
        let (mut at, mut count) = (blank(s, start + 1), 0_u64);
        if peek(s, at) == b']' {
            at += 1;
        } else {
            loop {
                at = match &rules.items {
                    Some(items) => {
                        let before = self.breach.is_some();
                        let end = self.value(s, at, items)?;
                        self.step(before, || count.to_string());
                        end
                    }
                    None => json::value(s, at, &mut self.nonstandard)?,
                };
                count += 1;
                at = blank(s, at);
                match peek(s, at) {
                    b',' => at = blank(s, at + 1),
                    b']' => break at += 1,
                    _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
                }
            }
        }
        if count < rules.fewest {
            let clause = format!("has {count} items, and at least {} are required", rules.fewest);
            self.broken("minItems", clause, Some(&s[start..at]));
        } else if let Some(most) = rules.most.filter(|most| count > *most) {
            let clause = format!("has {count} items, and at most {most} are allowed");
            self.broken("maxItems", clause, Some(&s[start..at]));
        }
        Ok(at)
    }

    fn object(&mut self, s: &[u8], start: usize, rules: &ObjectRules) -> Result<usize, Fault> {
        let mut seen = Seen::new(rules.properties.len());
        let (mut at, mut count, mut next) = (blank(s, start + 1), 0_u64, 0_usize);
        if peek(s, at) == b'}' {
            at += 1;
        } else {
            loop {
                if peek(s, at) != b'"' {
                    return Err(Fault::json(s, at, "a key was expected"));
                }
                count += 1;
                // Records mostly have their columns in the SCHEMA's order: the next one is tried before any other.
                let expected = rules.properties.get(next).and_then(|p| p.spelled.as_deref());
                let (key, end, index) = match expected.filter(|name| s[at + 1..].starts_with(name)) {
                    Some(name) => (at + 1, at + 1 + name.len(), Some(next)),
                    None => {
                        let (end, escaped) = json::string(s, at + 1)?;
                        let text = Text {
                            raw: &s[at + 1..end - 1],
                            escaped,
                        };
                        (at + 1, end, rules.index.get(text.bytes().as_ref()).copied())
                    }
                };
                let colon = blank(s, end);
                if peek(s, colon) != b':' {
                    return Err(Fault::json(s, colon, "a colon was expected"));
                }
                at = blank(s, colon + 1);
                let found = index.map(|i| (i, &rules.properties[i]));
                if let Some((i, _)) = found {
                    self.twice |= seen.add(i);
                    next = i + 1;
                }
                let node = match found {
                    Some((_, property)) if property.declared => Some(&property.node),
                    _ if rules.closed => {
                        if self.breach.is_none() {
                            self.broken("additionalProperties", "is not declared in the SCHEMA", None);
                            self.step(false, || name_of(&s[key..end - 1]));
                        }
                        None
                    }
                    _ => rules.additional.as_ref(),
                };
                at = match node {
                    Some(node) => {
                        let before = self.breach.is_some();
                        let value = self.value(s, at, node)?;
                        self.step(before, || name_of(&s[key..end - 1]));
                        value
                    }
                    None => json::value(s, at, &mut self.nonstandard)?,
                };
                at = blank(s, at);
                match peek(s, at) {
                    b',' => at = blank(s, at + 1),
                    b'}' => break at += 1,
                    _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
                }
            }
        }
        if rules.requires && self.breach.is_none() {
            let mut wanted = rules.properties.iter().enumerate();
            if let Some((_, property)) = wanted.find(|(i, p)| p.required && !seen.has(*i)) {
                self.broken("required", "is required and missing", None);
                self.step(false, || property.name.clone());
            }
        }
        if count < rules.fewest {
            let clause = format!("has {count} columns, and at least {} are required", rules.fewest);
            self.broken("minProperties", clause, Some(&s[start..at]));
        } else if let Some(most) = rules.most.filter(|most| count > *most) {
            let clause = format!("has {count} columns, and at most {most} are allowed");
            self.broken("maxProperties", clause, Some(&s[start..at]));
        }
        Ok(at)
    }

    /// Notes where a breach lies that was found just now.
    #[inline(always)]
    fn step(&mut self, before: bool, name: impl Fn() -> String) {
        if !before {
            if let Some(breach) = &mut self.breach {
                breach.path.push(name());
            }
        }
    }

    fn more(&mut self, value: &[u8], more: &More) -> Result<(), Fault> {
        if more.values.as_ref().is_some_and(|values| !values.hold(value)) {
            self.broken("enum", "is none of the values that are allowed", Some(value));
        }
        for node in &more.all {
            if self.breach.is_none() {
                self.value(value, 0, node)?;
            }
        }
        if let Some(nodes) = &more.any {
            if !nodes.iter().any(|node| self.fits(value, node)) {
                self.broken("anyOf", "is none of what is allowed", Some(value));
            }
        }
        if let Some(nodes) = &more.one {
            let fitting = nodes.iter().filter(|node| self.fits(value, node)).count();
            if fitting != 1 {
                let clause = match fitting {
                    0 => "is none of what is allowed",
                    _ => "is more than one of what is allowed, and must be exactly one",
                };
                self.broken("oneOf", clause, Some(value));
            }
        }
        if more.not.as_ref().is_some_and(|node| self.fits(value, node)) {
            self.broken("not", "is what is not allowed", Some(value));
        }
        if let Some(validator) = more.foreign.as_ref().filter(|_| self.breach.is_none()) {
            self.foreign(value, validator);
        }
        Ok(())
    }

    /// Whether a value, known to be JSON, is what `node` wants.
    fn fits(&mut self, value: &[u8], node: &Node) -> bool {
        let mut trial = Scan::default();
        let read = trial.value(value, 0, node).is_ok();
        self.twice |= trial.twice;
        read && trial.breach.is_none()
    }

    fn foreign(&mut self, text: &[u8], validator: &jsonschema::Validator) {
        let Ok(value) = serde_json::from_slice::<Value>(text) else {
            let mut nonstandard = 0;
            if json::value(text, 0, &mut nonstandard).is_ok() && nonstandard == 0 {
                self.broken("depth", "is nested too deep to be checked", Some(text));
            }
            return;
        };
        let value = whole_numbers(value);
        if validator.is_valid(&value) {
            return;
        }
        let deleted = value.get("_sdc_deleted_at").is_some_and(|at| !at.is_null());
        let lacks = |e: &jsonschema::ValidationError<'_>| {
            let required = matches!(e.kind, jsonschema::error::ValidationErrorKind::Required { .. });
            required && e.instance_path.as_str().is_empty()
        };
        let error = validator.iter_errors(&value).find(|e| !(deleted && lacks(e)));
        let Some(error) = error else {
            return;
        };
        let (place, rule) = (error.instance_path.as_str(), error.schema_path.as_str());
        let rule = rule
            .rsplit('/')
            .find(|step| step.parse::<u64>().is_err())
            .unwrap_or("schema");
        let shown = serde_json::to_vec(&error.instance).unwrap_or_default();
        let mut breach = Breach::new("schema", format!("breaks the rule {rule} of its SCHEMA"), Some(&shown));
        breach.rule = rule.to_string().into();
        let steps = place.split('/').skip(1);
        breach.path = steps.map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
        breach.path.reverse();
        self.breach = Some(breach);
    }
}

fn name_of(raw: &[u8]) -> String {
    let text = Text {
        raw,
        escaped: raw.contains(&b'\\'),
    };
    text.to_str_lossy().into_owned()
}

fn whole(text: &[u8]) -> bool {
    let plain = !text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    plain || Decimal::parse(text).is_integer()
}

/// Unicode characters. A lone surrogate is three bytes and one character here.
fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|b| **b & 0xC0 != 0x80).count() as u64
}

impl Values {
    fn hold(&self, value: &[u8]) -> bool {
        match value.first() {
            Some(b'"') => {
                let text = Text::of_token(value);
                text.is_some_and(|text| self.strings.iter().any(|s| text.is(s.as_bytes())))
            }
            Some(b't') => self.yes,
            Some(b'f') => self.no,
            Some(b'n') => self.kinds & NULL != 0,
            Some(b'0'..=b'9' | b'-') if value.last() != Some(&b'y') => {
                let number = Decimal::parse(value);
                self.numbers.contains(&number)
            }
            // A bare NaN is let through everywhere; an object or an array is none of these.
            first => !matches!(first, Some(b'{' | b'[')),
        }
    }
}
