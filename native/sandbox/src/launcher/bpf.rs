//! A small assembler for seccomp filters: one verdict per system call, found by binary search.

/// One instruction, as the kernel reads it (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL: u32 = 0x8000_0000;
const NOTIFY: u32 = 0x7fc0_0000;

/// `seccomp_data`: nr at 0, arch at 4, then the arguments, of which the low halves are looked at.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// A system call's number.
pub(crate) type Number = u32;

/// What happens to a call. Each condition looks at the low 32 bits of an argument.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// Refused with this errno; 0 pretends success.
    Refuse(i32),
    /// Told to a listener, which answers.
    Notify,
    /// Refused with the errno if the argument has any of these bits.
    RefuseBits(u32, u32, i32),
    /// Refused with the errno if the argument is one of these.
    RefuseValues(u32, Vec<u32>, i32),
    /// Refused with the errno unless the argument is one of these.
    AllowValues(u32, Vec<u32>, i32),
    /// `socket(domain, type, protocol)`: only these families, types and protocols.
    Sockets(Vec<Family>),
}

/// A kind of socket that may be made: domain, types, protocols.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub domain: u32,
    pub types: Vec<u32>,
    pub protocols: Vec<u32>,
}

const EACCES: i32 = 13;
const EAFNOSUPPORT: i32 = 97;
const EPROTONOSUPPORT: i32 = 93;

const fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

const fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn errno(code: i32) -> Instruction {
    op(RETURN, ERRNO | (code as u32 & 0xffff))
}

const fn argument(index: u32) -> Instruction {
    op(LOAD, FIRST_ARGUMENT + 8 * index)
}

/// The whole filter: calls of another architecture kill, numbers from `unknown` on (x32 included) do not exist.
pub(crate) fn assemble(arch: u32, unknown: Number, rules: &[(Number, Rule)]) -> Vec<Instruction> {
    let mut sorted: Vec<&(Number, Rule)> = rules.iter().collect();
    sorted.sort_by_key(|(number, _)| *number);
    let mut program = vec![
        op(LOAD, ARCH),
        branch(EQUAL, arch, 1, 0),
        op(RETURN, KILL),
        op(LOAD, NUMBER),
        branch(AT_LEAST, unknown, 0, 1),
        errno(38),
    ];
    program.extend(search(&sorted));
    program
}

/// So many numbers are compared one after the other; more are halved first.
const GROUP: usize = 16;

/// Code that finds the accumulator's number among the rules and ends with a verdict.
fn search(rules: &[&(Number, Rule)]) -> Vec<Instruction> {
    if rules.len() > GROUP {
        return halved(rules);
    }
    // One comparison for each number, each with a jump to its verdict; equal verdicts stand once.
    let mut verdicts: Vec<Vec<Instruction>> = Vec::new();
    let mut chosen = Vec::new();
    for (number, rule) in rules {
        let body = verdict(rule);
        let at = verdicts.iter().position(|known| *known == body).unwrap_or_else(|| {
            verdicts.push(body);
            verdicts.len() - 1
        });
        chosen.push((*number, at));
    }
    let mut code = Vec::new();
    for (index, (number, at)) in chosen.iter().enumerate() {
        // Over the comparisons that follow, the default, and the verdicts before its own.
        let before: usize = verdicts[..*at].iter().map(Vec::len).sum();
        let skipped = chosen.len() - index - 1 + 1 + before;
        match u8::try_from(skipped) {
            Ok(skipped) => code.push(branch(EQUAL, *number, skipped, 0)),
            // Too far for a jump: the smaller halves are not.
            Err(_) => return halved(rules),
        }
    }
    code.push(op(RETURN, ALLOW));
    code.extend(verdicts.into_iter().flatten());
    code
}

fn halved(rules: &[&(Number, Rule)]) -> Vec<Instruction> {
    let (low, high) = rules.split_at(rules.len() / 2);
    let low = search(low);
    // Numbers of the upper half jump over the lower half's code.
    let mut code = vec![branch(AT_LEAST, high[0].0, 0, 1), op(JUMP, low.len() as u32)];
    code.extend(low);
    code.extend(search(high));
    code
}

/// Jumps over the next `length` instructions unless the comparison holds; works for any length.
fn skip_unless(code: u16, k: u32, length: usize) -> Vec<Instruction> {
    vec![branch(code, k, 1, 0), op(JUMP, length as u32)]
}

/// Code that decides about one call; it always ends with a return.
fn verdict(rule: &Rule) -> Vec<Instruction> {
    match rule {
        Rule::Refuse(code) => vec![errno(*code)],
        Rule::Notify => vec![op(RETURN, NOTIFY)],
        Rule::RefuseBits(index, bits, code) => vec![
            argument(*index),
            branch(ANY_BIT, *bits, 0, 1),
            errno(*code),
            op(RETURN, ALLOW),
        ],
        Rule::RefuseValues(index, values, code) => among(*index, values, errno(*code), op(RETURN, ALLOW)),
        Rule::AllowValues(index, values, code) => among(*index, values, op(RETURN, ALLOW), errno(*code)),
        Rule::Sockets(families) => {
            let mut code = vec![argument(0)];
            for family in families {
                let mut body = vec![argument(1), op(AND, 0xf)];
                body.extend(one_of(&family.types, errno(EACCES)));
                body.push(argument(2));
                body.extend(one_of(&family.protocols, errno(EPROTONOSUPPORT)));
                body.push(op(RETURN, ALLOW));
                code.extend(skip_unless(EQUAL, family.domain, body.len()));
                code.extend(body);
            }
            code.push(errno(EAFNOSUPPORT));
            code
        }
    }
}

/// Returns `hit` if the argument is among the values, else `miss`.
fn among(index: u32, values: &[u32], hit: Instruction, miss: Instruction) -> Vec<Instruction> {
    let mut code = vec![argument(index)];
    for value in values {
        code.extend([branch(EQUAL, *value, 0, 1), hit]);
    }
    code.push(miss);
    code
}

/// Goes on if the accumulator is one of the values, else returns `miss`.
fn one_of(values: &[u32], miss: Instruction) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        // Over the remaining comparisons and the miss.
        let rest = (values.len() - at) as u8;
        code.push(branch(EQUAL, *value, rest, 0));
    }
    code.push(miss);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: u32 = 0xC000_003E;

    /// What the kernel's interpreter would do with a call.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u32; 6]) -> u32 {
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let i = program[at];
            at += 1;
            match i.code {
                LOAD if i.k == NUMBER => a = number,
                LOAD if i.k == ARCH => a = arch,
                LOAD => a = arguments[((i.k - FIRST_ARGUMENT) / 8) as usize],
                AND => a &= i.k,
                JUMP => at += i.k as usize,
                RETURN => return i.k,
                EQUAL | AT_LEAST | ANY_BIT => {
                    let hit = match i.code {
                        EQUAL => a == i.k,
                        AT_LEAST => a >= i.k,
                        _ => a & i.k != 0,
                    };
                    at += usize::from(if hit { i.jt } else { i.jf });
                }
                other => panic!("unknown code {other:#x}"),
            }
        }
    }

    fn verdict_of(rules: &[(Number, Rule)], number: u32, arguments: [u32; 6]) -> u32 {
        run(&assemble(X86, 463, rules), X86, number, arguments)
    }

    #[test]
    fn every_number_gets_its_own_verdict() {
        let rules: Vec<(Number, Rule)> = (0..400)
            .step_by(3)
            .map(|n| (n, Rule::Refuse((n % 90) as i32 + 1)))
            .collect();
        for number in 0..460 {
            let expected = match number % 3 == 0 && number < 400 {
                true => ERRNO | (number % 90 + 1),
                false => ALLOW,
            };
            assert_eq!(verdict_of(&rules, number, [0; 6]), expected, "{number}");
        }
    }

    #[test]
    fn strangers_are_killed_and_the_unknown_does_not_exist() {
        let program = assemble(X86, 463, &[]);
        assert_eq!(run(&program, 0x4000_0003, 1, [0; 6]), KILL);
        assert_eq!(run(&program, X86, 463, [0; 6]), ERRNO | 38);
        assert_eq!(run(&program, X86, 0x4000_0001, [0; 6]), ERRNO | 38);
        assert_eq!(run(&program, X86, 1, [0; 6]), ALLOW);
    }

    #[test]
    fn arguments_decide() {
        let rules = [
            (16, Rule::RefuseValues(1, vec![0x5412, 0x541c], 1)),
            (44, Rule::RefuseBits(3, 0x2000_0000, 95)),
            (135, Rule::AllowValues(0, vec![0, u32::MAX], 1)),
            (
                41,
                Rule::Sockets(vec![
                    Family {
                        domain: 2,
                        types: vec![1],
                        protocols: vec![0, 6],
                    },
                    Family {
                        domain: 1,
                        types: vec![1, 2, 5],
                        protocols: vec![0],
                    },
                ]),
            ),
        ];
        let of = |number, arguments| verdict_of(&rules, number, arguments);
        assert_eq!(of(16, [0, 0x5412, 0, 0, 0, 0]), ERRNO | 1);
        assert_eq!(of(16, [0, 0x5401, 0, 0, 0, 0]), ALLOW);
        assert_eq!(of(44, [0, 0, 0, 0x2000_0040, 0, 0]), ERRNO | 95);
        assert_eq!(of(44, [0, 0, 0, 0x40, 0, 0]), ALLOW);
        assert_eq!(of(135, [0; 6]), ALLOW);
        assert_eq!(of(135, [8, 0, 0, 0, 0, 0]), ERRNO | 1);
        let nonblocking = 0o4000 | 1;
        assert_eq!(of(41, [2, nonblocking, 6, 0, 0, 0]), ALLOW);
        assert_eq!(of(41, [2, 2, 0, 0, 0, 0]), ERRNO | 13);
        assert_eq!(of(41, [2, 1, 262, 0, 0, 0]), ERRNO | 93);
        assert_eq!(of(41, [1, 5, 0, 0, 0, 0]), ALLOW);
        assert_eq!(of(41, [16, 3, 0, 0, 0, 0]), ERRNO | 97);
    }
}
