//! Every vector of `protocol/vectors` that a receiver can meet, through this crate's own pieces.
//!
//! The receiver here is the smallest one: frame, judge, check the order, keep what would be forwarded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use singer_protocol::envelope::Kind;
use singer_protocol::error::Code;
use singer_protocol::framing::{Fill, Framer};
use singer_protocol::line::{inspect, Check, Junk, Line};
use singer_protocol::message::{self, Message};
use singer_protocol::order::Order;
use singer_protocol::state::{fingerprint, Shape};

fn cases(topic: &str) -> Vec<(PathBuf, Value)> {
    let topic = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(topic);
    let mut found: Vec<_> = fs::read_dir(topic)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
        .into_iter()
        .map(|path| {
            (
                path.clone(),
                serde_json::from_slice(&fs::read(path.join("case.json")).unwrap()).unwrap(),
            )
        })
        .collect()
}

fn input(path: &Path, case: &Value) -> Vec<u8> {
    let Some(pieces) = case.get("input").and_then(Value::as_array) else {
        return fs::read(path.join("input.singer")).unwrap();
    };
    let mut bytes = Vec::new();
    for piece in pieces {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        bytes.extend(text(&piece["text"]).into_bytes());
        if let Some(made) = piece.get("generate") {
            bytes.extend(text(&made["prefix"]).into_bytes());
            bytes.extend(
                text(&made["repeat"][0])
                    .repeat(made["repeat"][1].as_u64().unwrap_or(0) as usize)
                    .into_bytes(),
            );
            bytes.extend(text(&made["suffix"]).into_bytes());
        }
    }
    bytes
}

#[derive(Default)]
struct Outcome {
    messages: Vec<String>,
    error: Option<(Code, u64)>,
    counts: BTreeMap<String, u64>,
    nonstandard: u64,
    output: Vec<u8>,
}

fn receive(bytes: &[u8], case: &Value, chunk: usize) -> Outcome {
    let policy = |key: &str, value: &str| case["policy"].get(key).is_some_and(|v| v == value);
    let check = if policy("check", "envelope") {
        Check::Envelope
    } else {
        Check::Json
    };
    let max_line = case.get("max_line").and_then(Value::as_u64).unwrap_or(67_108_864) as usize;
    let (mut framer, mut order, mut out) = (
        Framer::with_chunk(max_line, chunk),
        Order::default(),
        Outcome::default(),
    );
    let (mut source, mut ended) = (bytes, false);
    loop {
        let line = match framer.advance() {
            Ok(None) if ended => framer.last(),
            other => other,
        };
        let line = match line {
            Err(long) => {
                out.error = Some((Code::LineTooLong, long.number));
                return out;
            }
            Ok(Some(line)) => line,
            Ok(None) if ended => return out,
            Ok(None) => {
                framer.release_all();
                ended = framer.fill(&mut source).unwrap() == Fill::End;
                continue;
            }
        };
        let text = framer.slice(line.span());
        let junk = |kind: Junk, out: &mut Outcome| {
            let fail = policy("junk", "fail");
            match fail {
                true => out.error = Some((Code::Junk, line.number)),
                false => out.messages.push(format!("junk {}", kind.name())),
            }
            fail
        };
        if line.bom && junk(Junk::Bom, &mut out) {
            return out;
        }
        if line.bom && text.is_empty() && !line.terminated {
            continue;
        }
        let judged = inspect(text, check).and_then(|judged| {
            if let Line::Message { envelope, .. } = &judged {
                order.admit(envelope)?;
                assert!(
                    message::parse(text, envelope).is_ok(),
                    "what is let through has its typed form"
                );
            }
            Ok(judged)
        });
        match judged {
            Err(fault) => {
                let torn = !line.terminated && fault.truncated && case.get("upstream").is_some_and(|u| u == "died");
                out.error = if torn { None } else { Some((fault.code, line.number)) };
                return out;
            }
            Ok(Line::Junk(kind)) => {
                if junk(kind, &mut out) {
                    return out;
                }
            }
            Ok(Line::Message {
                envelope,
                nonstandard_numbers,
            }) => {
                if envelope.kind == Kind::Batch && !policy("batch", "forward") {
                    out.error = Some((Code::BatchRefused, line.number));
                    return out;
                }
                let stream = envelope
                    .stream
                    .filter(|_| envelope.kind != Kind::State)
                    .map(|s| s.to_str_lossy().into_owned());
                out.messages.push(format!(
                    "{} {}",
                    envelope.kind.name(),
                    stream.as_deref().unwrap_or_default()
                ));
                out.nonstandard += nonstandard_numbers;
                if envelope.kind == Kind::Record {
                    *out.counts.entry(stream.unwrap_or_default()).or_default() += 1;
                }
                out.output.extend_from_slice(text);
                out.output.push(b'\n');
            }
        }
    }
}

fn streams(topic: &str) {
    let mut wrong = Vec::new();
    for (path, case) in cases(topic) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = input(&path, &case);
        let mut expected = Vec::new();
        for entry in case["messages"].as_array().unwrap() {
            let text = match entry.get("junk") {
                Some(junk) => format!("junk {}", junk.as_str().unwrap()),
                None => {
                    let stream = if entry["type"] == "STATE" {
                        ""
                    } else {
                        entry["stream"].as_str().unwrap_or_default()
                    };
                    format!("{} {stream}", entry["type"].as_str().unwrap())
                }
            };
            let times = entry.get("times").and_then(Value::as_u64).unwrap_or(1) as usize;
            expected.extend(std::iter::repeat_n(text, times));
        }
        let output = match case["output"].as_str().unwrap() {
            "same" => bytes.clone(),
            file => fs::read(path.join(file)).unwrap(),
        };
        let chunks: &[usize] = if bytes.len() > 1 << 20 {
            &[262_144]
        } else {
            &[262_144, 1, 7]
        };
        for chunk in chunks {
            let got = receive(&bytes, &case, *chunk);
            let error = case["error"]
                .as_object()
                .map(|e| (e["code"].as_str().unwrap(), e["line"].as_u64().unwrap()));
            let counts: BTreeMap<String, u64> = case["counts"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.clone(), v.as_u64().unwrap()))
                .collect();
            let notices = case.get("notices").map_or(0, |n| n.as_array().unwrap().len());
            let mut report = |what: &str, ours: String, theirs: String| {
                if ours != theirs {
                    let cut = |s: String| s.chars().take(300).collect::<String>();
                    wrong.push(format!(
                        "{topic}/{name} (chunk {chunk}) {what}: {} wanted {}",
                        cut(ours),
                        cut(theirs)
                    ));
                }
            };
            report("messages", format!("{:?}", got.messages), format!("{expected:?}"));
            report(
                "error",
                format!("{:?}", got.error.map(|(c, l)| (c.as_str(), l))),
                format!("{error:?}"),
            );
            report("counts", format!("{:?}", got.counts), format!("{counts:?}"));
            report(
                "notices",
                usize::from(got.nonstandard > 0).to_string(),
                notices.to_string(),
            );
            report(
                "output",
                String::from_utf8_lossy(&got.output).into(),
                String::from_utf8_lossy(&output).into(),
            );
            assert!(got.output.len() == output.len() || !wrong.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn framing() {
    streams("framing");
}

#[test]
fn envelope() {
    streams("envelope");
}

#[test]
fn order() {
    streams("order");
}

#[test]
fn malformed() {
    streams("malformed");
}

#[test]
fn precision() {
    for (path, case) in cases("precision") {
        let line = case["line"].as_str().unwrap().as_bytes();
        let Line::Message {
            envelope,
            nonstandard_numbers,
        } = inspect(line, Check::Json).unwrap()
        else {
            panic!("{path:?}");
        };
        let Message::Record(record) = message::parse(line, &envelope).unwrap() else {
            panic!("{path:?}")
        };
        // I3: the record's own bytes, digits and all.
        assert_eq!(
            std::str::from_utf8(record.record).unwrap(),
            case["record"].as_str().unwrap(),
            "{path:?}"
        );
        assert_eq!(nonstandard_numbers > 0, case.get("notices").is_some(), "{path:?}");
    }
}

#[test]
fn state() {
    for (path, case) in cases("state") {
        let texts = |key: &str| -> Vec<String> {
            case[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap().to_string())
                .collect()
        };
        let forwarded: Vec<_> = texts("forwarded")
            .iter()
            .map(|t| fingerprint(t.as_bytes()).unwrap().hash)
            .collect();
        let (mut confirmed, mut ignored, mut logs) = (None::<usize>, Vec::new(), 0);
        for line in texts("target_lines") {
            let Ok(print) = fingerprint(line.as_bytes()) else {
                logs += u64::from(!line.trim().is_empty());
                continue;
            };
            let from = confirmed.map_or(0, |seq| seq + 1);
            if matches!(print.shape, Shape::Null | Shape::EmptyObject) {
                ignored.push("empty");
            } else if print.shape != Shape::Object {
                ignored.push("foreign"); // only an object is a bookmark
            } else if let Some(at) = forwarded[from..].iter().rposition(|hash| *hash == print.hash) {
                confirmed = Some(from + at);
            } else if !forwarded.contains(&print.hash) {
                ignored.push("foreign");
            }
        }
        assert_eq!(confirmed.map(|c| c as u64), case["confirmed"].as_u64(), "{path:?}");
        assert_eq!(serde_json::json!(ignored), case["ignored"], "{path:?}");
        assert_eq!(logs, case.get("logs").and_then(Value::as_u64).unwrap_or(0), "{path:?}");
    }
}

#[test]
fn merge() {
    for (path, case) in cases("merge") {
        let part = |key: &str| case[key].clone();
        let merged = singer_protocol::bookmark::merge(part("base"), part("update"));
        assert_eq!(merged, part("merged"), "{path:?}");
    }
}
