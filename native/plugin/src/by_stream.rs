//! Settings that are one or several, and the same for all streams or different by stream.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A string or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<Texts> for Vec<String> {
    fn from(texts: Texts) -> Self {
        match texts {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        }
    }
}

/// The same for all streams, or by stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ByStream<T> {
    /// For all streams.
    All(T),
    /// By the stream's name.
    Each(BTreeMap<String, T>),
}

impl<T> ByStream<T> {
    /// What a stream has.
    pub fn of(&self, stream: &str) -> Option<&T> {
        match self {
            ByStream::All(one) => Some(one),
            ByStream::Each(streams) => streams.get(stream),
        }
    }

    /// The streams that are named.
    pub fn streams(&self) -> impl Iterator<Item = &String> {
        match self {
            ByStream::All(_) => None,
            ByStream::Each(streams) => Some(streams.keys()),
        }
        .into_iter()
        .flatten()
    }
}
