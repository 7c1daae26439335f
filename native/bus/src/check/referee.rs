//! Who checks records against a SCHEMA that [`super::schema`] cannot use: another process, asked line by line.
//!
//! The question and the answer are each one line of JSON. A SCHEMA is announced with `{"stream":N,"draft":D,"schema":…}`, and
//! answered with `{"usable":true}` or `{"usable":false,"why":…}`. A record is asked for with `{"stream":N,"record":…}`, and
//! answered with `{"valid":true}`, with `{"valid":false,"rule":…,"path":[…],"value":…,"cut":…}`, or with `{"unable":…}`.
//! Any other answer is none, and none fails the run: a record that was not judged does not pass (I9).

use super::breach::Breach;
use crate::verdict::Failure;
use serde::Deserialize;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A rule's name, or a reason, that is longer is no answer.
const LONGEST: usize = 1024;

/// Who can be asked. The answer is its line, without the newline.
pub trait Referee: fmt::Debug {
    /// Asks for one line with one line (its newline included), and waits for it, but not for ever.
    fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Failure>;
    /// What fails the run when an answer makes no sense.
    fn nonsense(&self) -> Failure;
}

/// The referee, as a hop and its owner share it.
pub type Shared = Rc<RefCell<dyn Referee>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usable {
    usable: bool,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    valid: Option<bool>,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    path: Vec<String>,
    #[serde(default)]
    value: String,
    #[serde(default)]
    cut: bool,
    unable: Option<String>,
}

/// Announces a stream's SCHEMA. `Some`: why it cannot be used there either.
pub fn announce(referee: &Shared, stream: usize, draft: u32, schema: &[u8]) -> Result<Option<String>, Failure> {
    let head = format!(r#"{{"stream":{stream},"draft":{draft},"schema":"#);
    let mut referee = referee.borrow_mut();
    let answer = referee.ask(&question(head, schema))?;
    match serde_json::from_slice(&answer) {
        Ok(Usable { usable: true, .. }) => Ok(None),
        Ok(Usable { why, .. }) if why.len() <= LONGEST => Ok(Some(why)),
        _ => Err(referee.nonsense()),
    }
}

/// How a record breaks the SCHEMA that was announced last for its stream, if it does.
pub fn judge(referee: &Shared, stream: usize, record: &[u8]) -> Result<Option<Breach>, Failure> {
    let head = format!(r#"{{"stream":{stream},"record":"#);
    let mut referee = referee.borrow_mut();
    let answer = referee.ask(&question(head, record))?;
    let verdict = serde_json::from_slice::<Verdict>(&answer).ok();
    match verdict.filter(|said| said.rule.len() <= LONGEST) {
        Some(Verdict {
            valid: Some(true),
            unable: None,
            ..
        }) => Ok(None),
        Some(Verdict {
            valid: Some(false),
            unable: None,
            rule,
            path,
            value,
            cut,
        }) if !rule.is_empty() => {
            let clause = format!("breaks the rule {rule} of its SCHEMA");
            let mut breach = Breach::new("schema", clause, Some(value.as_bytes()));
            breach.value.iter_mut().for_each(|(_, short)| *short |= cut);
            breach.rule = rule.into();
            breach.path = path;
            Ok(Some(breach))
        }
        Some(Verdict {
            valid: None,
            unable: Some(why),
            ..
        }) if why.len() <= LONGEST => Ok(Some(Breach::new("schema", format!("cannot be checked: {why}"), None))),
        _ => Err(referee.nonsense()),
    }
}

fn question(head: String, value: &[u8]) -> Vec<u8> {
    let mut line = head.into_bytes();
    line.extend_from_slice(value);
    line.extend_from_slice(b"}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Says(&'static str, Vec<u8>);

    impl Referee for Says {
        fn ask(&mut self, question: &[u8]) -> Result<Vec<u8>, Failure> {
            self.1 = question.to_vec();
            Ok(self.0.as_bytes().to_vec())
        }

        fn nonsense(&self) -> Failure {
            Failure::run("data.unchecked", "nonsense")
        }
    }

    fn asked(answer: &'static str) -> Result<Option<Breach>, Failure> {
        let says = Rc::new(RefCell::new(Says(answer, Vec::new())));
        let shared: Shared = says.clone();
        let judged = judge(&shared, 3, br#"{"a":1.10}"#);
        assert_eq!(says.borrow().1, b"{\"stream\":3,\"record\":{\"a\":1.10}}\n");
        judged
    }

    #[test]
    fn a_verdict_in_full() {
        assert_eq!(asked(r#"{"valid":true}"#), Ok(None));
        let said = r#"{"valid":false,"rule":"pattern","path":["a","0"],"value":"\"x\"","cut":false}"#;
        let breach = asked(said).unwrap().unwrap();
        assert_eq!((breach.rule.as_ref(), breach.pointer().as_str()), ("pattern", "/a/0"));
        let reason = breach.reason(|text, _| String::from_utf8_lossy(text).into_owned());
        assert_eq!(reason, r#"column a.0: "x" breaks the rule pattern of its SCHEMA"#);
        let unable = asked(r#"{"unable":"RecursionError"}"#).unwrap().unwrap();
        assert_eq!(unable.clause, "cannot be checked: RecursionError");
    }

    #[test]
    fn what_makes_no_sense_lets_nothing_pass() {
        for said in [
            "",
            "true",
            "{}",
            r#"{"valid":null}"#,
            r#"{"valid":false}"#,
            r#"{"valid":true,"unable":"x"}"#,
            r#"{"valid":true,"other":1}"#,
            r#"{"usable":true}"#,
        ] {
            assert!(asked(said).is_err(), "{said}");
        }
    }
}
