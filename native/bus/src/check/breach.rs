//! How a record breaks its SCHEMA: which rule, where in the record, and what stood there.

use singer_protocol::text::unescape;
use std::borrow::Cow;

/// Of a value, at most so many bytes are kept to be shown.
const KEPT: usize = 256;
/// Of a value, at most so many characters are shown.
const SHOWN: usize = 60;

/// The first rule that a record breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The keyword, as `type`.
    pub rule: Cow<'static, str>,
    /// What is wrong, as the end of a sentence that begins with the value.
    pub clause: Cow<'static, str>,
    /// Names and positions on the way to the value, innermost first while the record is being read.
    pub path: Vec<String>,
    /// The beginning of the value's text, and whether that is not all of it; none if there is no value.
    pub value: Option<(Vec<u8>, bool)>,
}

impl Breach {
    /// A breach at the place that is being read.
    pub fn new(rule: &'static str, clause: impl Into<Cow<'static, str>>, value: Option<&[u8]>) -> Breach {
        Breach {
            rule: Cow::Borrowed(rule),
            clause: clause.into(),
            path: Vec::new(),
            value: value.map(|text| (text[..text.len().min(KEPT)].to_vec(), text.len() > KEPT)),
        }
    }

    /// The place as a JSON Pointer.
    pub fn pointer(&self) -> String {
        let escaped = self.path.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
        escaped.map(|step| format!("/{step}")).collect()
    }

    /// One clause for people. `show` makes the text of a plugin fit to be shown (and is told whether it is cut).
    pub fn reason(&self, show: impl Fn(&[u8], bool) -> String) -> String {
        let place = match self.path.as_slice() {
            [] => String::new(),
            path => format!("column {}: ", show(path.join(".").as_bytes(), false)),
        };
        let Some((text, cut)) = &self.value else {
            return format!("{place}{}", self.clause);
        };
        // Without escapes, for a secret may be spelled with some.
        let value = match text.strip_prefix(b"\"") {
            Some(inside) => show(&[b"\"", unescape(inside).as_slice()].concat(), *cut),
            None => show(text, *cut),
        };
        let short: String = value.chars().take(SHOWN).collect();
        let dots = if *cut || short.len() < value.len() { "…" } else { "" };
        format!("{place}{short}{dots} {}", self.clause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_in_words() {
        let mut breach = Breach::new("type", "is not a number", Some(b"\"12,50\""));
        breach.path = vec!["meta".into(), "a/b".into()];
        let show = |text: &[u8], _| String::from_utf8_lossy(text).into_owned();
        assert_eq!(breach.reason(show), "column meta.a/b: \"12,50\" is not a number");
        assert_eq!(breach.pointer(), "/meta/a~1b");
        let missing = Breach::new("required", "is required and missing", None);
        assert_eq!(missing.reason(show), "is required and missing");
        let long = Breach::new("maxLength", "is too long", Some(&[b'x'; 1000]));
        assert_eq!(long.reason(show), format!("{}… is too long", "x".repeat(60)));
    }
}
