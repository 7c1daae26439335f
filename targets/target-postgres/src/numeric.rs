//! Decimals in the binary form of `numeric`: groups of four digits, with the scale as it came.

/// A decimal of 64 bits or less, of which most are.
const FAST_SCALE: u32 = 16;
const NEGATIVE: u16 = 0x4000;

/// Appends the field's length and value: `magnitude` / 10^`scale`.
pub fn put(out: &mut Vec<u8>, negative: bool, magnitude: u128, scale: i8) {
    match (u64::try_from(magnitude), u32::try_from(scale)) {
        (Ok(small), Ok(places)) if places <= FAST_SCALE => put_small(out, negative, small, places),
        _ => {
            let mut digits = itoa(magnitude);
            put_digits(out, negative, &mut digits, scale);
        }
    }
}

fn put_small(out: &mut Vec<u8>, negative: bool, magnitude: u64, scale: u32) {
    let unit = 10_u64.pow(scale);
    let behind = scale.div_ceil(4);
    let (mut whole, mut part) = (magnitude / unit, magnitude % unit * 10_u64.pow(behind * 4 - scale));
    let mut groups = [0_u16; 9];
    let mut at = groups.len();
    for _ in 0..behind {
        at -= 1;
        groups[at] = (part % 10_000) as u16;
        part /= 10_000;
    }
    while whole > 0 {
        at -= 1;
        groups[at] = (whole % 10_000) as u16;
        whole /= 10_000;
    }
    put_groups(out, negative, &groups[at..], behind as usize, scale as u16);
}

/// The same from ASCII digits, for numbers of any length.
pub fn put_digits(out: &mut Vec<u8>, negative: bool, digits: &mut Vec<u8>, scale: i8) {
    if scale < 0 {
        digits.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
    }
    let scale = usize::from(scale.max(0).unsigned_abs());
    let behind = scale.div_ceil(4);
    digits.extend(std::iter::repeat_n(b'0', behind * 4 - scale));
    let number = |group: &[u8]| {
        group
            .iter()
            .fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    };
    let mut groups: Vec<u16> = digits.rchunks(4).map(number).collect();
    groups.resize(groups.len().max(behind), 0);
    groups.reverse();
    put_groups(out, negative, &groups, behind, scale as u16);
}

fn put_groups(out: &mut Vec<u8>, negative: bool, groups: &[u16], behind: usize, scale: u16) {
    let weight = groups.len() as i16 - behind as i16 - 1;
    out.extend_from_slice(&(8 + 2 * groups.len() as i32).to_be_bytes());
    out.extend_from_slice(&(groups.len() as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&(if negative { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn itoa(number: u128) -> Vec<u8> {
    number.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &[u8]) -> (i16, u16, u16, Vec<u16>) {
        let words: Vec<u16> = field[4..]
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        assert_eq!(field[..4], (field.len() as i32 - 4).to_be_bytes());
        assert_eq!(usize::from(words[0]), words.len() - 4);
        (words[1] as i16, words[2], words[3], words[4..].to_vec())
    }

    fn written(negative: bool, magnitude: u128, scale: i8) -> (i16, u16, u16, Vec<u16>) {
        let mut out = Vec::new();
        put(&mut out, negative, magnitude, scale);
        read(&out)
    }

    #[test]
    fn groups_of_four() {
        assert_eq!(written(false, 12_345, 2), (0, 0, 2, vec![123, 4500]));
        assert_eq!(written(true, 12_345_678, 0), (1, NEGATIVE, 0, vec![1234, 5678]));
        assert_eq!(written(false, 1, 5), (-1, 0, 5, vec![0, 1000]));
        assert_eq!(written(false, 0, 0), (-1, 0, 0, vec![]));
        assert_eq!(written(false, 0, 3), (-1, 0, 3, vec![0]));
        assert_eq!(written(false, 12, -5), (1, 0, 0, vec![120, 0]));
    }

    #[test]
    fn both_ways_agree() {
        for magnitude in [1_u128, 9_999, 10_000, 123_456_789_012_345_678, u64::MAX.into()] {
            for scale in 0..=16_i8 {
                let mut slow = Vec::new();
                put_digits(&mut slow, false, &mut itoa(magnitude), scale);
                let (weight, sign, places, groups) = read(&slow);
                assert_eq!(
                    written(false, magnitude, scale),
                    (weight, sign, places, groups),
                    "{magnitude} {scale}"
                );
            }
        }
    }
}
