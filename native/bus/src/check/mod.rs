//! Records against their SCHEMA, at the target's edge.
//!
//! [`crate::route`] asks here for every record, and [`crate::relay`] for every SCHEMA. [`schema`] makes a SCHEMA ready,
//! [`scan`] reads a record against it in the same pass that checks its JSON, [`number`] compares numbers digit by digit,
//! [`breach`] says what is wrong, `seen` which columns came, `dialect` which words a SCHEMA is written in. [`changes`] is
//! what a stream's policy makes of another SCHEMA, [`columnar`] sees it of whole columns, [`columns`] takes columns out of a record, [`rejects`] is the book of
//! what is not delivered, [`held`] keeps ACTIVATE_VERSION back, [`referee`] is asked where a SCHEMA cannot be made
//! ready, as one that `endless` finds to unfold without end.
//!
//! Invariants it guards: I9 (what breaks its SCHEMA is set aside with its reason, or the run fails), I3 (a record is only
//! rewritten where a policy says so), I10 (one table for each stream, nothing for each record).
//!
//! Who may import it: this crate; `native/dativo-bus` for the file behind [`rejects::Shelf`].

pub mod breach;
pub mod changes;
pub mod columnar;
pub mod columns;
mod dialect;
mod endless;
pub mod held;
pub mod number;
pub mod referee;
pub mod rejects;
pub mod scan;
pub mod schema;
mod seen;

use crate::plan::Plan;
use crate::policy::{Activate, SchemaChange, Switch};
use crate::verdict::Failure;
use breach::Breach;
use changes::{Baseline, Passage};
use schema::Node;
use serde_json::Value;
use std::collections::BTreeMap;

/// All SCHEMA texts together that are kept (I10).
const MOST_TEXT: usize = 64 << 20;

/// What is known of the streams of one hop.
#[derive(Debug, Default)]
pub struct Checks {
    on: bool,
    edge: bool,
    changes: SchemaChange,
    known: BTreeMap<String, Baseline>,
    streams: Vec<Option<Checked>>,
    kept: usize,
    referee: Option<referee::Shared>,
    /// It has a stream to judge.
    asks: bool,
}

#[derive(Debug)]
struct Checked {
    node: Option<Node>,
    /// The referee judges its records.
    referred: bool,
    before: Baseline,
    dropped: Vec<String>,
    refused: Vec<String>,
    /// The message as its writer sent it.
    line: Vec<u8>,
    passage: Passage,
}

/// A notice's code and text.
type Notice = (&'static str, String);

/// What a SCHEMA came to.
#[derive(Debug)]
pub struct Adopted {
    /// What goes on to the receiver.
    pub passage: Passage,
    /// What to tell.
    pub notices: Vec<Notice>,
    /// Why nothing more can be checked.
    pub failure: Option<Failure>,
}

/// What a record came to that needed more than a look.
#[derive(Debug)]
pub enum Judged {
    /// It goes on as it came.
    Good,
    /// This line goes on in its place.
    Instead(Vec<u8>),
    /// It is not delivered.
    Bad(Breach),
    /// Nobody could say: the run fails.
    Unjudged(Failure),
}

/// A SCHEMA message, as [`Checks::schema`] takes it.
#[derive(Debug)]
pub struct Message<'a> {
    /// The stream's index.
    pub stream: usize,
    /// Its name.
    pub name: &'a str,
    /// The whole line.
    pub line: &'a [u8],
    /// The bytes of `schema`.
    pub schema: &'a [u8],
    /// The bytes of `key_properties`.
    pub keys: Option<&'a [u8]>,
    /// It is the same as the one before.
    pub repeated: bool,
}

impl Checks {
    /// The checks of a hop: only the one at the target's edge has any.
    pub fn of(plan: &Plan, edge: bool) -> Checks {
        let known = plan.known_schemas.iter().filter(|_| edge).map(|(name, known)| {
            let baseline = Baseline {
                schema: known.schema.clone(),
                keys: known.key_properties.clone(),
            };
            (name.clone(), baseline)
        });
        Checks {
            on: edge && plan.policy.validate == Switch::On,
            edge,
            changes: plan.policy.schema_change.clone(),
            known: known.collect(),
            ..Checks::default()
        }
    }

    /// The same with somebody to ask where a SCHEMA cannot be used here.
    pub fn with_referee(self, referee: Option<referee::Shared>) -> Checks {
        Checks { referee, ..self }
    }

    /// Whether ACTIVATE_VERSION is held back here.
    pub fn holds(plan: &Plan, edge: bool) -> bool {
        edge && plan.policy.activate == Activate::Hold
    }

    /// Whether records are checked.
    pub fn on(&self) -> bool {
        self.on
    }

    /// Whether somebody is asked who may take long.
    pub fn slow(&self) -> bool {
        self.asks
    }

    /// What a stream's records are read against, where that is all there is to do.
    #[inline(always)]
    pub fn plain(&self, stream: usize) -> Option<&Node> {
        let checked = self.streams.get(stream)?.as_ref()?;
        let plain = self.on && checked.dropped.is_empty() && checked.refused.is_empty();
        checked.node.as_ref().filter(|_| plain)
    }

    /// Whether it shows at a look that all rows of a batch pass as they are.
    pub fn proven(&self, stream: usize, batch: &arrow_array::RecordBatch) -> bool {
        let untouched = |checked: &Checked| {
            let same = checked.dropped.is_empty() && checked.refused.is_empty() && !checked.referred;
            same && checked
                .node
                .as_ref()
                .is_none_or(|node| !self.on || columnar::proves(node, batch))
        };
        self.streams.get(stream).and_then(Option::as_ref).is_some_and(untouched)
    }

    /// The SCHEMA line of a stream, as its writer sent it.
    pub fn line(&self, stream: usize) -> Option<&[u8]> {
        self.streams
            .get(stream)?
            .as_ref()
            .map(|checked| checked.line.as_slice())
    }

    /// Takes a SCHEMA. An error says what may not change.
    pub fn schema(&mut self, message: &Message<'_>) -> Result<Adopted, String> {
        let mut adopted = Adopted {
            passage: Passage::AsItCame,
            notices: Vec::new(),
            failure: None,
        };
        let name = message.name;
        if self.streams.len() <= message.stream {
            self.streams.resize_with(message.stream + 1, || None);
        }
        if let Some(before) = self.streams[message.stream].as_ref().filter(|_| message.repeated) {
            adopted.passage = before.passage.clone();
            return Ok(adopted);
        }
        let before = self.streams[message.stream].take();
        let first = before.is_none();
        if let Some(old) = &before {
            self.kept -= old.line.len();
        }
        self.kept += message.line.len();
        if self.kept > MOST_TEXT {
            return Err("the SCHEMAs of all streams together are longer than can be kept".into());
        }
        let keys = message.keys.and_then(names);
        let parsed = serde_json::from_slice::<Value>(message.schema).ok();
        let old = before.map(|checked| checked.before);
        let baseline = old.or_else(|| self.known.get(name).cloned());
        let policy = self.changes.of(name);
        let (mut node, mut text) = (None, message.schema.to_vec());
        let mut checked = Checked {
            node: None,
            referred: false,
            before: Baseline {
                schema: Value::Null,
                keys: keys.clone(),
            },
            dropped: Vec::new(),
            refused: Vec::new(),
            line: message.line.to_vec(),
            passage: Passage::AsItCame,
        };
        if let Some(schema) = parsed.filter(|_| self.edge) {
            let now = Baseline { schema, keys };
            let ruling = changes::rule(policy, message.line, baseline.as_ref(), &now, first)?;
            adopted.notices.extend(
                ruling
                    .notice
                    .map(|text| ("data.schema_kept", format!("SCHEMA of {name}: {text}"))),
            );
            if ruling.passage != Passage::AsItCame {
                text = ruling.schema.to_string().into_bytes();
            }
            adopted.passage = ruling.passage;
            checked.before = Baseline {
                schema: ruling.schema,
                keys: now.keys,
            };
            (checked.dropped, checked.refused) = (ruling.dropped, ruling.refused);
        }
        if self.on {
            match schema::compile(&text) {
                Ok(made) => node = Some(made),
                Err(why) => match self.refer(message.stream, name, &text, &why) {
                    Ok((referred, notice)) => {
                        checked.referred = referred;
                        self.asks |= referred;
                        adopted.notices.push(notice);
                    }
                    Err(failure) => adopted.failure = Some(failure),
                },
            }
        }
        checked.node = node;
        checked.passage = adopted.passage.clone();
        self.streams[message.stream] = Some(checked);
        Ok(adopted)
    }

    /// Hands a SCHEMA that cannot be used here to the referee. Whether it takes it, and what to tell.
    fn refer(&self, stream: usize, name: &str, text: &[u8], why: &str) -> Result<(bool, Notice), Failure> {
        let refused = match &self.referee {
            Some(referee) => referee::announce(referee, stream, dialect::draft(text), text)?,
            None => Some(String::new()),
        };
        let Some(also) = refused else {
            let text = format!("records of {name} are checked by Python's jsonschema, which is slow: {why}");
            return Ok((true, ("data.schema_slow", text)));
        };
        let also = if also.is_empty() { also } else { format!("; {also}") };
        let text = format!("SCHEMA of {name} cannot be used to check its records: {why}{also}");
        Ok((false, ("data.schema_unusable", text)))
    }

    /// Judges a record whose JSON was checked, in full.
    pub fn record(&self, stream: usize, line: &[u8], start: usize, end: usize) -> Judged {
        let Some(checked) = self.streams.get(stream).and_then(Option::as_ref) else {
            return Judged::Good;
        };
        if let Some(name) = columns::used(&line[start..end], &checked.refused) {
            let mut breach = Breach::new("schema_change", "is new, and rows that use it are set aside", None);
            breach.path.push(name);
            return Judged::Bad(breach);
        }
        let without = columns::without(line, start, end, &checked.dropped);
        let (text, from) = match &without {
            Some(text) => (text.as_slice(), start),
            None => (line, start),
        };
        if let Some(referee) = self.referee.as_ref().filter(|_| checked.referred) {
            let end = end + text.len() - line.len();
            return match (referee::judge(referee, stream, &text[from..end]), without) {
                (Err(failure), _) => Judged::Unjudged(failure),
                (Ok(Some(breach)), _) => Judged::Bad(breach),
                (Ok(None), Some(text)) => Judged::Instead(text),
                (Ok(None), None) => Judged::Good,
            };
        }
        let node = checked.node.as_ref().filter(|_| self.on);
        let breach = node.and_then(|node| scan::record(text, from, node).ok()?.breach);
        match (breach, without) {
            (Some(breach), _) => Judged::Bad(breach),
            (None, Some(text)) => Judged::Instead(text),
            (None, None) => Judged::Good,
        }
    }
}

/// The names in `key_properties`: a list of them, or one.
pub(crate) fn names(text: &[u8]) -> Option<Vec<String>> {
    let many = serde_json::from_slice::<Vec<String>>(text).ok();
    many.or_else(|| serde_json::from_slice::<String>(text).ok().map(|one| vec![one]))
}
