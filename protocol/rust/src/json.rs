//! RFC 8259 well-formedness in one pass, without recursion and without building anything.
//!
//! Two ways over a value share one trait: `Strict` checks every byte; `Skim` only finds where a value ends and
//! promises nothing about what is inside. Bare `NaN`, `Infinity` and `-Infinity` are let through and counted: Python's
//! json writes them, and a run says so at its end. UTF-8 is checked apart ([`utf8`]), by simdutf8.

use memchr::{memchr2, memchr3};

use crate::error::{Code, Fault};

/// Deeper nesting than this is refused; the check itself uses one bit per level.
pub const MAX_DEPTH: usize = 100_000;

/// What a check saw that JSON does not allow but Dativo lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bare `NaN`, `Infinity` and `-Infinity`.
    pub nonstandard_numbers: u64,
}

/// Check that `bytes` is exactly one JSON value with optional white space around it.
pub fn check(bytes: &[u8]) -> Result<Report, Fault> {
    let mut strict = Strict::default();
    let end = blank(bytes, strict.value(bytes, blank(bytes, 0))?);
    match end == bytes.len() {
        true => Ok(Report {
            nonstandard_numbers: strict.nonstandard,
        }),
        false => Err(Fault::json(bytes, end, "there is more after the value")),
    }
}

/// The same to the letter of the RFC: a bare `NaN` or `Infinity` is a fault.
pub fn check_standard(bytes: &[u8]) -> Result<(), Fault> {
    match check(bytes)?.nonstandard_numbers {
        0 => Ok(()),
        _ => Err(Fault::json(
            bytes,
            blank(bytes, 0),
            "a bare NaN or Infinity outside of a record",
        )),
    }
}

/// Check that `bytes` is UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| {
        let offset = simdutf8::compat::from_utf8(bytes).err().map_or(0, |e| e.valid_up_to());
        Fault {
            code: Code::InvalidUtf8,
            offset,
            truncated: false,
            reason: "not UTF-8",
        }
    })
}

/// A way over JSON text. Both methods take the offset to start at and return the offset behind.
pub(crate) trait Walk {
    /// Over one value; no white space before it.
    fn value(&mut self, s: &[u8], at: usize) -> Result<usize, Fault>;
    /// Over a string from behind its opening quote; also whether it holds an escape.
    fn string(&mut self, s: &[u8], at: usize) -> Result<(usize, bool), Fault>;
}

/// Checks every byte.
#[derive(Default)]
pub(crate) struct Strict {
    pub(crate) nonstandard: u64,
}

/// Finds the end of a value and checks nothing else.
pub(crate) struct Skim;

/// Over one value that starts at `at`, every byte checked; bare `NaN` and the like are added to `nonstandard`.
pub fn value(s: &[u8], at: usize, nonstandard: &mut u64) -> Result<usize, Fault> {
    let mut strict = Strict::default();
    let end = strict.value(s, at)?;
    *nonstandard += strict.nonstandard;
    Ok(end)
}

/// The byte at `at`, or 0 behind the end: no valid JSON holds a bare 0, so it needs no second test.
#[inline(always)]
pub fn peek(s: &[u8], at: usize) -> u8 {
    s.get(at).copied().unwrap_or(0)
}

/// Skip white space.
#[inline(always)]
pub fn blank(s: &[u8], mut at: usize) -> usize {
    while matches!(peek(s, at), b' ' | b'\t' | b'\r' | b'\n') {
        at += 1;
    }
    at
}

/// One bit per open bracket: 1 an object, 0 an array. The innermost 64 levels need no allocation.
#[derive(Default)]
struct Stack {
    top: u64,
    depth: usize,
    below: Vec<u64>,
}

impl Stack {
    #[inline(always)]
    fn push(&mut self, object: bool) {
        if self.depth % 64 == 0 && self.depth > 0 {
            self.below.push(self.top);
        }
        self.top = self.top << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.depth -= 1;
        self.top >>= 1;
        if self.depth % 64 == 0 {
            self.top = self.below.pop().unwrap_or(0);
        }
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.top & 1 == 1
    }
}

impl Walk for Strict {
    fn value(&mut self, s: &[u8], mut at: usize) -> Result<usize, Fault> {
        let mut stack = Stack::default();
        loop {
            match peek(s, at) {
                b'"' => at = string(s, at + 1)?.0,
                b'0'..=b'9' => at = number(s, at)?,
                b'-' if peek(s, at + 1) == b'I' => at = self.constant(s, at + 1, b"Infinity")?,
                b'-' => at = number(s, at)?,
                open @ (b'{' | b'[') => {
                    let object = open == b'{';
                    if stack.depth == MAX_DEPTH {
                        return Err(Fault::json(s, at, "nested too deep"));
                    }
                    at = blank(s, at + 1);
                    if peek(s, at) == open + 2 {
                        at += 1;
                    } else {
                        stack.push(object);
                        if object {
                            at = key(s, at)?;
                        }
                        continue;
                    }
                }
                b't' => at = word(s, at, b"true")?,
                b'f' => at = word(s, at, b"false")?,
                b'n' => at = word(s, at, b"null")?,
                b'N' => at = self.constant(s, at, b"NaN")?,
                b'I' => at = self.constant(s, at, b"Infinity")?,
                _ => return Err(Fault::json(s, at, "a value was expected")),
            }
            loop {
                if stack.depth == 0 {
                    return Ok(at);
                }
                at = blank(s, at);
                match (peek(s, at), stack.in_object()) {
                    (b',', true) => {
                        at = key(s, blank(s, at + 1))?;
                        break;
                    }
                    (b',', false) => {
                        at = blank(s, at + 1);
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        stack.pop();
                        at += 1;
                    }
                    _ => return Err(Fault::json(s, at, "a comma or a closing bracket was expected")),
                }
            }
        }
    }

    #[inline(always)]
    fn string(&mut self, s: &[u8], at: usize) -> Result<(usize, bool), Fault> {
        string(s, at)
    }
}

impl Strict {
    #[cold]
    fn constant(&mut self, s: &[u8], at: usize, name: &'static [u8]) -> Result<usize, Fault> {
        self.nonstandard += 1;
        word(s, at, name)
    }
}

/// Over `"key" :` and the white space behind it.
#[inline(always)]
fn key(s: &[u8], at: usize) -> Result<usize, Fault> {
    if peek(s, at) != b'"' {
        return Err(Fault::json(s, at, "a key was expected"));
    }
    let colon = blank(s, string(s, at + 1)?.0);
    match peek(s, colon) {
        b':' => Ok(blank(s, colon + 1)),
        _ => Err(Fault::json(s, colon, "a colon was expected")),
    }
}

#[inline(always)]
fn word(s: &[u8], at: usize, word: &'static [u8]) -> Result<usize, Fault> {
    match s.get(at..at + word.len()) {
        Some(found) if found == word => Ok(at + word.len()),
        _ if word.starts_with(s.get(at..).unwrap_or_default()) => Err(Fault::json(s, s.len(), "cut short")),
        _ => Err(Fault::json(s, at, "a value was expected")),
    }
}

#[inline(always)]
fn digits(s: &[u8], mut at: usize) -> Result<usize, Fault> {
    if !peek(s, at).is_ascii_digit() {
        return Err(Fault::json(s, at, "a digit was expected"));
    }
    while peek(s, at).is_ascii_digit() {
        at += 1;
    }
    Ok(at)
}

/// Over a number of the RFC: no bare `NaN`, no leading zero.
#[inline(always)]
pub fn number(s: &[u8], mut at: usize) -> Result<usize, Fault> {
    at += usize::from(peek(s, at) == b'-');
    at = match peek(s, at) {
        b'0' => at + 1,
        _ => digits(s, at)?,
    };
    if peek(s, at) == b'.' {
        at = digits(s, at + 1)?;
    }
    if matches!(peek(s, at), b'e' | b'E') {
        at += 1 + usize::from(matches!(peek(s, at + 1), b'+' | b'-'));
        at = digits(s, at)?;
    }
    Ok(at)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// High bit set in the first byte that is a quote, a backslash or a control character (later bytes may be set wrongly).
#[inline(always)]
fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    (zero(quote) | zero(slash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH
}

/// Over one of the words `true`, `false` and `null`.
#[cfg(feature = "arrow")]
#[inline(always)]
pub(crate) fn literal(s: &[u8], at: usize, name: &'static [u8]) -> Result<usize, Fault> {
    word(s, at, name)
}

/// Over a value that is known to be well-formed.
#[cfg(feature = "arrow")]
#[inline]
pub(crate) fn skip(s: &[u8], at: usize) -> Result<usize, Fault> {
    Skim.value(s, at)
}

/// Over a string that is known to be well-formed, from behind its opening quote. Also whether it holds an escape.
#[cfg(feature = "arrow")]
#[inline(always)]
pub(crate) fn text(s: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        at += stop(s.get(at..).unwrap_or_default());
        match s.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
            None => return Err(Fault::json(s, s.len(), "the string has no end")),
        }
    }
}

/// Where the first quote, backslash or control character is; the length where there is none.
#[cfg(feature = "arrow")]
#[inline(always)]
pub(crate) fn stop(s: &[u8]) -> usize {
    let mut at = 0;
    while let Some(Ok(eight)) = s.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let found = stops(u64::from_le_bytes(eight));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = s.get(at..).unwrap_or_default();
    let special = |b: &u8| matches!(b, 0..=0x1F | b'"' | b'\\');
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// Over a string from behind its opening quote: eight bytes a step, every escape and control character looked at. Also
/// whether it holds an escape.
#[inline(always)]
pub fn string(s: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        while let Some(Ok(eight)) = s.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let found = stops(u64::from_le_bytes(eight));
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match s.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape(s, at)?;
            }
            Some(0..=0x1F) => return Err(Fault::json(s, at, "a control character must be escaped")),
            Some(_) => at += 1,
            None => return Err(Fault::json(s, at, "the string has no end")),
        }
    }
}

#[inline(always)]
fn escape(s: &[u8], at: usize) -> Result<usize, Fault> {
    match peek(s, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
        b'u' => match (at + 2..at + 6).find(|i| !peek(s, *i).is_ascii_hexdigit()) {
            None => Ok(at + 6),
            Some(bad) => Err(Fault::json(s, bad, "four hex digits were expected")),
        },
        _ => Err(Fault::json(s, at + 1, "not an escape")),
    }
}

impl Walk for Skim {
    /// Only one kind of bracket need be counted: in well-formed JSON the other kind balances inside it.
    fn value(&mut self, s: &[u8], at: usize) -> Result<usize, Fault> {
        let open = peek(s, at);
        match open {
            b'"' => Ok(self.string(s, at + 1)?.0),
            b'{' | b'[' => {
                let (close, mut depth, mut at) = (open + 2, 1_usize, at + 1);
                while let Some(found) = s.get(at..).and_then(|rest| memchr3(open, close, b'"', rest)) {
                    at += found + 1;
                    match s[at - 1] {
                        b'"' => at = self.string(s, at)?.0,
                        byte if byte == open => depth += 1,
                        _ => depth -= 1,
                    }
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                Err(Fault::json(s, s.len(), "a bracket has no end"))
            }
            _ => {
                let end = s[at.min(s.len())..]
                    .iter()
                    .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'));
                match end {
                    Some(0) => Err(Fault::json(s, at, "a value was expected")),
                    Some(n) => Ok(at + n),
                    None => Err(Fault::json(s, s.len(), "cut short")),
                }
            }
        }
    }

    #[inline(always)]
    fn string(&mut self, s: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
        let mut escaped = false;
        while let Some(found) = s.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += found;
            if s[at] == b'"' {
                return Ok((at + 1, escaped));
            }
            escaped = true;
            at += 2;
        }
        Err(Fault::json(s, s.len(), "the string has no end"))
    }
}
