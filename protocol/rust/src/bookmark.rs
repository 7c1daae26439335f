//! The algebra of bookmarks: an update merged onto a base, stream by stream. SPEC.md, section 6.
//!
//! Only what several taps of one job need; the same rules as `dativo_protocol.bookmark`, held by the same vectors. Every
//! digit of a number stays.

use serde_json::{Map, Value};

const STREAMS: &str = "bookmarks";
const SYNCING: &str = "currently_syncing";

/// Whether a value says nothing: it is never a bookmark, and never clears one.
pub fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

/// The entries by stream; none where the value is opaque.
pub fn streams(value: &Value) -> Option<&Map<String, Value>> {
    value.get(STREAMS)?.as_object()
}

/// `update` on top of `base`. An opaque value replaces all, an empty one nothing.
pub fn merge(base: Value, update: Value) -> Value {
    if is_empty(&update) || update.get(STREAMS).is_some_and(Value::is_null) {
        return base;
    }
    if streams(&base).is_none() || streams(&update).is_none() {
        return update;
    }
    let (Value::Object(mut whole), Value::Object(update)) = (base, update) else {
        return Value::Null; // both have streams, so both are objects
    };
    if !update.contains_key(SYNCING) {
        whole.remove(SYNCING); // it speaks of the run that wrote it
    }
    for (key, value) in update {
        match (key.as_str(), whole.get_mut(&key), value) {
            (STREAMS, Some(Value::Object(ours)), Value::Object(theirs)) => ours.extend(theirs),
            (_, _, value) => {
                whole.insert(key, value);
            }
        }
    }
    Value::Object(whole)
}

/// What one of several taps says, without the streams that are not its own to speak of, and without what it is at:
/// others are elsewhere.
pub fn restricted(mut update: Value, foreign: impl Fn(&str) -> bool) -> Value {
    if let Some(whole) = update.as_object_mut() {
        if whole.get(SYNCING).is_some_and(|at| !at.is_null()) {
            whole.remove(SYNCING);
        }
        if let Some(entries) = whole.get_mut(STREAMS).and_then(Value::as_object_mut) {
            entries.retain(|stream, _| !foreign(stream));
        }
    }
    update
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_tap_speaks_of_its_own_streams_only() {
        let said = value(r#"{"bookmarks": {"a": {"id": 2}, "b": {"id": 0}}, "currently_syncing": "a", "v": 1.50}"#);
        let kept = restricted(said, |stream| stream == "b");
        assert_eq!(kept.to_string(), r#"{"bookmarks":{"a":{"id":2}},"v":1.50}"#);
        let over = restricted(value(r#"{"bookmarks": {}, "currently_syncing": null}"#), |_| false);
        assert!(over.get(SYNCING).is_some_and(Value::is_null));
    }
}
