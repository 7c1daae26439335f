//! Connectors that speak the Airbyte protocol: a source's messages become Singer messages before anything judges them, and what was judged
//! becomes messages for a destination.
//!
//! Where it stands: between the pipe of a source and the [`crate::relay`] of its hop ([`translated`] is the hop's carrier). [`message`]
//! finds its way in a line, [`translate`] writes the Singer line for it and keeps count, [`states`] holds what the source said about each
//! stream as one Singer value. At the other edge [`outbound`] writes what a destination reads and knows what its answers confirm; the relay
//! asks it for each line that goes out. [`remarks`] are what both say beside the data. The streams, their SCHEMAs and the bookmark to go on from
//! stand in the plan ([`Airbyte`]): it asks for nothing else.
//!
//! Invariants it guards: I1 (a STATE is confirmed when every stream's part of it has come back), I3 (the bytes of `data` and of every state go on as they came), I9 (a line that cannot be translated goes on as it came,
//! to be judged as any other line), I10 (one line and one batch of lines are held), I11 (records that the source counted and that did not
//! come, an error that it told and a stream that it did not end: each fails the run), I13 (a renewed config is in no event).
//!
//! Who may import it: `native/dativo-bus` and, for the plan, [`crate::plan`].

pub mod message;
pub mod outbound;
pub mod remarks;
pub mod states;
pub mod translate;
pub mod translated;

use serde::Deserialize;

/// That a child speaks the Airbyte protocol, and what has to be known for that.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Airbyte {
    /// The streams of its configured catalog. To a destination no others go.
    pub streams: Vec<Stream>,
    /// The bookmark that it was started with: the JSON text of a Singer value as [`states`] writes it.
    #[serde(default)]
    pub state: Option<String>,
}

/// One configured stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Its name there.
    pub name: String,
    /// Its namespace there, if it has one.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name in Singer messages and bookmarks.
    pub stream: String,
    /// To a destination: what the stream may be called instead in SCHEMA messages.
    #[serde(default)]
    pub also: Vec<String>,
    /// What SCHEMA says of it; of a destination it says nothing.
    #[serde(default)]
    pub schema: serde_json::Value,
    /// The same.
    #[serde(default)]
    pub key_properties: Vec<String>,
    /// Columns that are not selected: left out of its records.
    #[serde(default)]
    pub without: Vec<String>,
}

impl Stream {
    /// Its SCHEMA message, with a newline.
    fn schema_line(&self) -> Vec<u8> {
        let message = serde_json::json!({
            "type": "SCHEMA", "stream": self.stream, "schema": self.schema, "key_properties": self.key_properties,
        });
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        line
    }
}
