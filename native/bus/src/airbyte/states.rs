//! What a source has said about its streams, as one Singer value: `{"bookmarks": {STREAM: …}, "airbyte": {"type": …}}`.
//!
//! An entry of `bookmarks` is the AirbyteStreamState as it came (`{"stream_descriptor": …, "stream_state": …}`), so every rule about bookmarks
//! (one stream rewound, several taps in one job) holds for them. `airbyte` says how the source keeps state: `STREAM`; `GLOBAL`, with `shared_state`;
//! or `LEGACY`, with `data`, one value for all its streams.

use super::message::{member, members, text};
use std::collections::BTreeMap;

/// What kind of STATE came.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// About one stream: name and namespace.
    Stream(String, Option<String>),
    /// About all of them.
    All,
}

/// The states so far, in JSON as it came.
#[derive(Debug, Default)]
pub struct States {
    /// By the stream's Singer name.
    streams: BTreeMap<String, Vec<u8>>,
    airbyte: Option<Vec<u8>>,
}

impl States {
    /// Those of a bookmark.
    pub fn of(bookmark: Option<&str>) -> States {
        let part = |name| member(bookmark?.as_bytes(), name);
        let own = part("bookmarks").unwrap_or(b"{}");
        let entries = members(own).unwrap_or_default().into_iter();
        States {
            streams: entries.map(|(name, span)| (name, own[span].to_vec())).collect(),
            airbyte: part("airbyte").filter(|kind| *kind != b"{}").map(<[u8]>::to_vec),
        }
    }

    /// Takes an AirbyteStateMessage; `named` gives a stream's Singer name. None when it cannot be understood: nothing is changed then.
    pub fn take(&mut self, state: &[u8], named: &dyn Fn(&str, Option<&str>) -> String) -> Option<Said> {
        let kind = text(state, "type");
        match kind.as_deref() {
            Some("STREAM") => {
                let own = member(state, "stream")?;
                let (name, namespace) = descriptor(own)?;
                self.streams.insert(named(&name, namespace.as_deref()), own.to_vec());
                self.airbyte = Some(br#"{"type":"STREAM"}"#.to_vec());
                Some(Said::Stream(name, namespace))
            }
            Some("GLOBAL") => {
                let own = member(state, "global")?;
                let mut streams = BTreeMap::new();
                for entry in items(member(own, "stream_states")?)? {
                    let (name, namespace) = descriptor(entry)?;
                    streams.insert(named(&name, namespace.as_deref()), entry.to_vec());
                }
                let shared = member(own, "shared_state").unwrap_or(b"null");
                // All of the state is in such a message: what it does not name is gone.
                self.streams = streams;
                self.airbyte = Some([br#"{"type":"GLOBAL","shared_state":"#, shared, b"}"].concat());
                Some(Said::All)
            }
            None | Some("LEGACY") => {
                let data = member(state, "data")?;
                self.streams.clear();
                self.airbyte = Some([br#"{"type":"LEGACY","data":"#, data, b"}"].concat());
                Some(Said::All)
            }
            Some(_) => None,
        }
    }

    /// The Singer STATE, with a newline.
    pub fn line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"STATE","value":{"bookmarks":{"#);
        for (number, (name, entry)) in self.streams.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.extend_from_slice(serde_json::Value::from(name.as_str()).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(entry);
        }
        out.extend_from_slice(br#"},"airbyte":"#);
        out.extend_from_slice(self.airbyte.as_deref().unwrap_or(br#"{"type":"STREAM"}"#));
        out.extend_from_slice(b"}}\n");
    }
}

/// Name and namespace in an AirbyteStreamState.
fn descriptor(state: &[u8]) -> Option<(String, Option<String>)> {
    let found = member(state, "stream_descriptor")?;
    Some((
        text(found, "name")?,
        text(found, "namespace").filter(|name| !name.is_empty()),
    ))
}

/// The values of a JSON list.
fn items(list: &[u8]) -> Option<Vec<&[u8]>> {
    use singer_protocol::json::{blank, peek, value};
    let (mut found, mut at) = (Vec::new(), blank(list, 0));
    if peek(list, at) != b'[' {
        return None;
    }
    at = blank(list, at + 1);
    while peek(list, at) != b']' {
        let end = value(list, at, &mut 0).ok()?;
        members(&list[at..end])?;
        found.push(&list[at..end]);
        at = blank(list, end);
        if peek(list, at) == b',' {
            at = blank(list, at + 1);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(states: &States) -> String {
        let mut out = Vec::new();
        states.line(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn take(states: &mut States, text: &str) -> Option<Said> {
        states.take(text.as_bytes(), &|name, space| {
            space.map_or(name.into(), |space| format!("{space}-{name}"))
        })
    }

    #[test]
    fn streams_add_up_and_keep_their_bytes() {
        let mut states = States::default();
        let one = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"at": 1.50}}}"#;
        assert_eq!(take(&mut states, one), Some(Said::Stream("a".into(), None)));
        let other =
            r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"a","namespace":"p"},"stream_state":null}}"#;
        assert!(take(&mut states, other).is_some());
        let expected = r#"{"type":"STATE","value":{"bookmarks":{"a":{"stream_descriptor":{"name":"a"},"stream_state":{"at": 1.50}},"p-a":{"stream_descriptor":{"name":"a","namespace":"p"},"stream_state":null}},"airbyte":{"type":"STREAM"}}}"#;
        assert_eq!(told(&states), format!("{expected}\n"));
        let value = &expected[r#"{"type":"STATE","value":"#.len()..expected.len() - 1];
        assert_eq!(told(&States::of(Some(value))), told(&states));
    }

    #[test]
    fn a_global_state_is_all_of_it() {
        let mut states = States::default();
        assert!(take(
            &mut states,
            r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"old"}}}"#
        )
        .is_some());
        let all = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":7},"stream_states":[{"stream_descriptor":{"name":"a"}}]}}"#;
        assert_eq!(take(&mut states, all), Some(Said::All));
        assert!(told(&states).contains(r#"{"bookmarks":{"a":{"stream_descriptor":{"name":"a"}}},"airbyte":{"type":"GLOBAL","shared_state":{"lsn":7}}}"#));
        assert!(take(&mut states, r#"{"type":"GLOBAL","global":{"stream_states":[7]}}"#).is_none());
        assert!(told(&states).contains("lsn"));
        assert_eq!(take(&mut states, r#"{"data":{"a":1}}"#), Some(Said::All));
        assert!(told(&states).contains(r#"{"bookmarks":{},"airbyte":{"type":"LEGACY","data":{"a":1}}}"#));
        assert!(take(&mut states, r#"{"type":"OTHER"}"#).is_none());
    }
}
