//! The plugin's name server: DNS over TCP (RFC 7766), answered from the grant alone. Nothing asked here leaves the
//! machine, so a name carries no data out; what arrives is a stranger's bytes, read within strict bounds.

use super::names::{Known, Names};
use super::report::{printable, Outcome, Report, Reporter};
use super::rules::hostname;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A question with options fits easily.
const MAX_QUERY: usize = 1_024;
/// The longest name on the wire.
const MAX_NAME: usize = 255;
/// For a whole query to arrive, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer may be remembered, in seconds. It never changes during a run.
const TTL: u32 = 600;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;

const FORMAT_ERROR: u8 = 1;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

/// Answers one connection after the other, for ever. As many threads run this as may be connected at a time; the rest
/// waits in the listener's queue.
pub(super) fn serve(listener: &TcpListener, names: &Names, reporter: &Reporter) {
    loop {
        match listener.accept() {
            // A conversation that breaks off needs nothing: the next one starts afresh.
            Ok((stream, _)) => drop(converse(stream, names, reporter)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Out of descriptors, or a connection that is gone already.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn converse(mut stream: TcpStream, names: &Names, reporter: &Reporter) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut query = [0u8; MAX_QUERY];
    loop {
        let deadline = Instant::now() + PATIENCE;
        let mut length = [0u8; 2];
        read_by(&mut stream, &mut length, deadline)?;
        let Some(query) = query.get_mut(..usize::from(u16::from_be_bytes(length))) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        read_by(&mut stream, query, deadline)?;
        let Some(answer) = answer(query, |name| look(name, names, reporter)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        // An answer is a header, the question and one address: it always fits.
        let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
        stream.write_all(&[&length, answer.as_slice()].concat())?;
    }
}

/// Fills the buffer, or fails at the deadline however slowly the bytes drip.
fn read_by(stream: &mut TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => rest = rest.get_mut(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn look(name: &[u8], names: &Names, reporter: &Reporter) -> Known {
    // A label may hold any byte, a dot or a NUL too; only what is a host's name is looked for, and later resolved.
    let found = std::str::from_utf8(name).ok().and_then(hostname);
    let known = found.map_or(Known::No, |name| names.address_of(&name));
    let report = || Report::new(Outcome::Denied, &printable(name), None);
    match known {
        Known::At(_) => {}
        Known::No => reporter.deny(report().because("its name was asked for, and it is not granted")),
        Known::Full => reporter.deny(report().because("too many different names below a granted domain")),
    }
    known
}

/// The answer to a query, or None where the only answer is to hang up.
fn answer(query: &[u8], look: impl FnOnce(&[u8]) -> Known) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let [flags_high, flags_low] = [*header.get(2)?, *header.get(3)?];
    if flags_high & 0x80 != 0 {
        // A response; answering those could go on for ever.
        return None;
    }
    let reply = |code: u8, question: &[u8], address: Option<Ipv4Addr>| {
        let mut out = Vec::with_capacity(HEADER + question.len() + 16);
        out.extend_from_slice(header.get(..2)?);
        // Response, the opcode and "recursion desired" as asked; "recursion available", "checking disabled" as asked.
        out.extend_from_slice(&[0x80 | flags_high & 0x79, 0x80 | flags_low & 0x10 | code]);
        let counts = [u16::from(!question.is_empty()), u16::from(address.is_some()), 0, 0];
        out.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        out.extend_from_slice(question);
        if let Some(address) = address {
            // The name is the question's, which is where the header ends.
            out.extend_from_slice(&[0xc0, HEADER as u8, 0, TYPE_A as u8, 0, CLASS_IN as u8]);
            out.extend_from_slice(&TTL.to_be_bytes());
            out.extend_from_slice(&[0, 4]);
            out.extend_from_slice(&address.octets());
        }
        Some(out)
    };
    if flags_high & 0x78 != 0 {
        return reply(NOT_IMPLEMENTED, &[], None);
    }
    let Some((name, end)) = question(query).filter(|_| header.get(4..6) == Some(&[0, 1])) else {
        return reply(FORMAT_ERROR, &[], None);
    };
    let (Some(asked), Some(kind), Some(class)) = (query.get(HEADER..end + 4), short(query, end), short(query, end + 2))
    else {
        return reply(FORMAT_ERROR, &[], None);
    };
    if class != CLASS_IN {
        return reply(REFUSED, asked, None);
    }
    match look(&name) {
        Known::At(address) => reply(0, asked, matches!(kind, TYPE_A | TYPE_ANY).then_some(address)),
        Known::No => reply(NO_SUCH_NAME, asked, None),
        Known::Full => reply(SERVER_FAILURE, asked, None),
    }
}

/// The question's name with dots between its labels, and where its type begins. A compressed name is refused: there is
/// nothing before a question that it could point to.
fn question(query: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length > 63 || at + length - HEADER >= MAX_NAME {
            return None;
        }
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(query.get(at..at + length)?);
        at += length;
    }
}

fn short(query: &[u8], at: usize) -> Option<u16> {
    let bytes = query.get(at..at + 2)?;
    Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(labels: &[&[u8]], kind: u16) -> Vec<u8> {
        let mut q = vec![0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            q.push(label.len() as u8);
            q.extend_from_slice(label);
        }
        q.push(0);
        q.extend_from_slice(&kind.to_be_bytes());
        q.extend_from_slice(&CLASS_IN.to_be_bytes());
        q
    }

    fn here(name: &[u8]) -> Known {
        match name {
            b"Db.example" => Known::At(Ipv4Addr::new(127, 0, 1, 1)),
            b"full.example" => Known::Full,
            _ => Known::No,
        }
    }

    #[test]
    fn an_address_is_answered_byte_for_byte() {
        let q = query(&[b"Db", b"example"], TYPE_A);
        let mut expected = vec![0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        expected.extend_from_slice(&q[HEADER..]);
        expected.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 0x58, 0, 4, 127, 0, 1, 1]);
        assert_eq!(answer(&q, here).unwrap(), expected);
    }

    #[test]
    fn other_types_of_a_known_name_are_empty_and_other_names_do_not_exist() {
        for (labels, kind, code) in [
            (&[&b"Db"[..], b"example"][..], 28u16, 0u8),
            (&[b"Db", b"example"], 16, 0),
            (&[b"other"], TYPE_A, NO_SUCH_NAME),
            (&[], TYPE_A, NO_SUCH_NAME),
            (&[b"full", b"example"], TYPE_A, SERVER_FAILURE),
        ] {
            let out = answer(&query(labels, kind), here).unwrap();
            assert_eq!(
                (out[3] & 15, &out[4..8]),
                (code, &[0, 1, 0, 0][..]),
                "{labels:?} {kind}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_question_is_refused() {
        let good = query(&[b"Db", b"example"], TYPE_A);
        let with = |at: usize, byte: u8| {
            let mut q = good.clone();
            q[at] = byte;
            answer(&q, here)
        };
        assert_eq!(with(2, 0x81), None);
        assert_eq!(answer(&good[..11], here), None);
        assert_eq!(with(2, 0x28).unwrap()[3] & 15, NOT_IMPLEMENTED);
        assert_eq!(with(5, 2).unwrap()[3] & 15, FORMAT_ERROR);
        // A compression pointer, a label beyond the end, a missing class, another class.
        assert_eq!(with(12, 0xc0).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(with(12, 63).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(answer(&good[..good.len() - 1], here).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(with(good.len() - 1, 3).unwrap()[3] & 15, REFUSED);
        let long: Vec<&[u8]> = vec![&[b'a'; 63]; 4];
        assert_eq!(answer(&query(&long, TYPE_A), here).unwrap()[3] & 15, FORMAT_ERROR);
        assert_eq!(question(&query(&long[..3], TYPE_A)).unwrap().0.len(), 191);
    }

    #[test]
    fn a_label_with_a_dot_or_a_nul_is_no_host_name() {
        let names = Names::new(super::super::Rules::parse(&["*.example:1".into(), "a.b:1".into()]).unwrap());
        let reporter = Reporter::new(|r| assert_eq!(r.outcome, Outcome::Denied));
        for hostile in [
            &b"a\0.example"[..],
            b"a b.example",
            b"a\n.example",
            b"..example",
            b".example",
            b"a/b.example",
        ] {
            assert_eq!(look(hostile, &names, &reporter), Known::No);
        }
        assert!(matches!(look(b"A.Example", &names, &reporter), Known::At(_)));
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_give_a_malformed_answer() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let good = query(&[b"Db", b"example"], TYPE_A);
        let mut answered = 0;
        for round in 0..200_000 {
            let mut q = if round % 2 == 0 {
                good.clone()
            } else {
                vec![0; (next() % 64) as usize]
            };
            let changes = if round % 2 == 0 { next() % 4 } else { q.len() as u64 };
            for _ in 0..changes {
                let at = (next() % q.len().max(1) as u64) as usize;
                if let Some(byte) = q.get_mut(at) {
                    *byte = next() as u8;
                }
            }
            if next() % 8 == 0 {
                q.truncate((next() % 40) as usize);
            }
            if let Some(out) = answer(&q, here) {
                assert!(out.len() >= HEADER && out.len() <= q.len() + 16 && out[..2] == q[..2] && out[2] & 0x80 != 0);
                answered += 1;
            }
        }
        assert!(answered > 10_000);
    }
}
