//! Names of schemas, tables and columns: data, never SQL (I12).
//!
//! A name is kept as it is, its case too. What PostgreSQL cannot hold (more than 63 bytes, NUL, nothing at all) or keeps for
//! itself gets a hash of the whole name at its end, so that it is the same in every run and unlike every other.

/// The longest identifier, in bytes.
const LONGEST: usize = 63;
/// Columns that every table has already.
const SYSTEM: [&str; 6] = ["ctid", "cmin", "cmax", "xmin", "xmax", "tableoid"];
/// Tables of this target start with it.
const OURS: &str = "_dativo_";

/// The name as an SQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The column of a property.
pub fn column(property: &str) -> String {
    legal(property, SYSTEM.contains(&property))
}

/// A table, by the name that the template makes of its stream.
pub fn table(name: &str) -> String {
    legal(name, name.starts_with(OURS))
}

/// The table that is filled in place of another, until it takes its place.
pub fn successor(table: &str) -> String {
    legal(&format!("{OURS}new_{table}"), false)
}

fn legal(name: &str, taken: bool) -> String {
    let fits = name.len() <= LONGEST && !name.is_empty() && !name.contains('\0');
    if fits && !taken {
        return name.to_string();
    }
    let mark = format!("_{:08x}", hash(name));
    let clean = name.replace('\0', "\u{2400}");
    let mut end = clean.len().min(LONGEST - mark.len());
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    // A stream's table must not look like one of ours either.
    let start = if taken && clean.starts_with(OURS) { 1 } else { 0 };
    format!("{}{mark}", &clean[start..end])
}

/// FNV-1a, folded to 32 bits.
fn hash(name: &str) -> u32 {
    let whole = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (whole ^ (whole >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_kept() {
        for name in [
            "orders",
            "public-orders",
            "Äpfel 🍎",
            "a.b",
            "say \"hi\"",
            &"x".repeat(63),
        ] {
            assert_eq!((table(name), column(name)), (name.to_string(), name.to_string()));
        }
        assert_eq!(quoted("say \"hi\""), "\"say \"\"hi\"\"\"");
    }

    #[test]
    fn others_are_marked_and_differ() {
        let long = "é".repeat(40);
        let names = [
            &long,
            &format!("{long}x"),
            "",
            "\0",
            "_dativo_bookmarks",
            "_dativo_new_orders",
        ];
        let tables: Vec<_> = names.iter().map(|name| table(name)).collect();
        for (at, name) in tables.iter().enumerate() {
            assert!(
                name.len() <= LONGEST && !name.starts_with(OURS) && !name.contains('\0'),
                "{name}"
            );
            assert!(!tables[..at].contains(name), "{tables:?}");
        }
        assert!(tables[0].starts_with(&"é".repeat(27)), "{tables:?}");
        assert_eq!(column("_dativo_bookmarks"), "_dativo_bookmarks");
        assert_ne!(column("ctid"), "ctid");
        assert!(successor(&"y".repeat(63)).len() <= LONGEST);
    }
}
