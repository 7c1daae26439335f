//! File names that are made of names in the data. I12: different streams never share a file, and none leaves its folder.

/// Longer names are cut and hashed: file systems end at 255 bytes, and room is left for endings.
const LONGEST: usize = 200;

/// The name without ending. Bytes outside `A-Za-z0-9._-` and a leading dot are percent-encoded; `%` is one of them, so
/// the encoding can be undone, and `~` marks a hashed name, which no other name holds.
pub fn safe(stream: &[u8]) -> String {
    let mut name = String::with_capacity(stream.len());
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'.' if at == 0 => name.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(char::from(*byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.is_empty() {
        return "%".into(); // no encoded name is a bare percent sign
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST - 33);
        name.push_str(&format!("~{:032x}", xxhash_rust::xxh3::xxh3_128(stream)));
    }
    name
}

/// The name of a stream's first, second, … file: `s.csv`, `s~2.csv`. A `~` before a number is in no other name.
pub fn part_of(stem: &str, number: u64, ending: &str) -> String {
    match number {
        1 => format!("{stem}{ending}"),
        number => format!("{stem}~{number}{ending}"),
    }
}

/// The files of a stream among these, by number.
pub fn parts<'a>(names: impl Iterator<Item = &'a String>, stem: &str, ending: &str) -> Vec<(u64, &'a String)> {
    let number = |name: &str| match name.strip_prefix(stem)?.strip_suffix(ending)? {
        "" => Some(1),
        rest => rest.strip_prefix('~')?.parse().ok().filter(|n| *n > 1),
    };
    let mut found: Vec<_> = names.filter_map(|name| Some((number(name)?, name))).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder_and_apart() {
        let hostile = [
            "",
            ".",
            "..",
            "../../x",
            "/etc/passwd",
            ".dativo-state.json",
            "a/b",
            "a%2Fb",
            "a b",
            "é",
            "a\u{0}b",
            "%",
            "%25",
            "A",
            "a",
            "-rf",
            "con.txt",
            "a\nb",
        ];
        let mut seen = std::collections::HashSet::new();
        for stream in hostile {
            let name = safe(stream.as_bytes());
            assert!(
                !name.starts_with('.') && !name.contains('/') && !name.is_empty() && name.is_ascii(),
                "{name}"
            );
            assert!(seen.insert(name), "{stream:?}");
        }
        assert_eq!(safe(b"public-flights.v1"), "public-flights.v1");
        let names = ["a.csv", "a~2.csv", "a~10.csv", "a.2.csv", "ab.csv", "a.csv.gz"].map(String::from);
        let of_a: Vec<_> = parts(names.iter(), "a", ".csv")
            .into_iter()
            .map(|(n, name)| (n, name.as_str()))
            .collect();
        assert_eq!(of_a, [(1, "a.csv"), (2, "a~2.csv"), (10, "a~10.csv")]);
        assert_eq!(
            (part_of("a", 1, ".csv"), part_of("a", 3, ".csv")),
            ("a.csv".into(), "a~3.csv".into())
        );
        let long = |end: &str| safe(format!("{}{end}", "é".repeat(300)).as_bytes());
        assert!(long("a").len() <= LONGEST && long("a") != long("b"));
    }
}
