//! The hosts that a plugin may reach, read from its grant: `HOST:PORT`, `*.DOMAIN:PORT`, `IPv4:PORT`, `[IPv6]:PORT`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Each distinct port costs up to two listeners, and one message carries at most 253 of them.
const MAX_PORTS: usize = 100;
/// Far more than a plugin has, far fewer than there are fixed addresses.
const MAX_RULES: usize = 1_000;
/// Where the sandbox's own name server answers.
pub(super) const DNS_PORT: u16 = 53;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// Exactly this name.
    Name(String),
    /// Every name below this one, at any depth, itself not included.
    Below(String),
    /// This address.
    Address(IpAddr),
}

/// What a plugin may reach, and the address inside its namespace that stands for each name.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<(Host, u16)>,
    fixed: Vec<(String, Ipv4Addr)>,
}

impl Rules {
    /// Reads the grant's entries; a repeated one counts once. The error names the entry and what is wrong with it.
    pub fn parse(entries: &[String]) -> Result<Rules, String> {
        let mut out = Rules::default();
        for entry in entries {
            let rule = parse(entry).map_err(|wrong| format!("{entry:?}: {wrong}"))?;
            if !out.rules.contains(&rule) {
                out.rules.push(rule);
            }
        }
        if out.rules.len() > MAX_RULES || out.ports().len() > MAX_PORTS {
            return Err(format!(
                "too many hosts: at most {MAX_RULES}, on at most {MAX_PORTS} different ports"
            ));
        }
        let names: Vec<String> = out.rules.iter().filter_map(|(host, _)| fixed_name(host)).collect();
        let mut free = addresses([127, 0, 1, 1]).filter(|a| !out.lists(IpAddr::V4(*a)));
        let mut fixed: Vec<(String, Ipv4Addr)> = Vec::new();
        for name in names {
            if !fixed.iter().any(|(known, _)| *known == name) {
                // MAX_RULES is far below the number of free addresses.
                fixed.extend(free.next().map(|address| (name, address)));
            }
        }
        drop(free);
        out.fixed = fixed;
        Ok(out)
    }

    /// The plugin's `/etc/hosts`: localhost, and a loopback address of its own for each declared name.
    pub fn hosts_file(&self) -> String {
        let mut text = String::from("127.0.0.1 localhost\n");
        for (name, address) in &self.fixed {
            text.push_str(&format!("{address} {name}\n"));
        }
        text
    }

    /// Every declared port once, in ascending order.
    pub(super) fn ports(&self) -> BTreeSet<u16> {
        self.rules.iter().map(|(_, port)| *port).collect()
    }

    /// Whether something on that port can be meant by an IPv6 address.
    pub(super) fn wants_ipv6(&self, port: u16) -> bool {
        self.rules.iter().any(|(host, p)| {
            *p == port
                && match host {
                    Host::Name(name) => name == "localhost",
                    Host::Address(address) => address.is_ipv6(),
                    Host::Below(_) => false,
                }
        })
    }

    /// The declared addresses that are not loopback, each once: the namespace must have them.
    pub(super) fn outer_addresses(&self) -> BTreeSet<IpAddr> {
        let address = |(host, _): &(Host, u16)| match host {
            Host::Address(address) if !address.is_loopback() => Some(*address),
            _ => None,
        };
        self.rules.iter().filter_map(address).collect()
    }

    /// Whether that address is declared, on any port.
    pub(super) fn lists(&self, address: IpAddr) -> bool {
        let same = |host: &Host| matches!(host, Host::Address(a) if *a == address);
        self.rules.iter().any(|(host, _)| same(host))
    }

    /// Whether that address may be reached on that port.
    pub(super) fn grants_address(&self, address: IpAddr, port: u16) -> bool {
        self.rules.contains(&(Host::Address(address), port))
    }

    /// Whether that name (lower case) may be reached on that port.
    pub(super) fn grants_name(&self, name: &str, port: u16) -> bool {
        self.rules.iter().any(|(host, p)| *p == port && covers(host, name))
    }

    /// Whether a `*.DOMAIN` entry covers that name on some port.
    pub(super) fn has_wildcard_for(&self, name: &str) -> bool {
        let wild = |host: &Host| matches!(host, Host::Below(_)) && covers(host, name);
        self.rules.iter().any(|(host, _)| wild(host))
    }

    /// The address that stands for a declared name.
    pub(super) fn fixed_address(&self, name: &str) -> Option<Ipv4Addr> {
        self.fixed.iter().find(|(n, _)| n == name).map(|(_, address)| *address)
    }

    /// The declared name that this address stands for.
    pub(super) fn fixed_name(&self, address: Ipv4Addr) -> Option<&str> {
        let found = self.fixed.iter().find(|(_, a)| *a == address);
        found.map(|(name, _)| name.as_str())
    }
}

/// A plausible host name in lower case, without its last dot; else None. What passes holds letters, digits, `-`, `_`
/// and dots only, and no resolver takes it for a number (`127.1` is an address to `getaddrinfo`). I12: it goes into a
/// hosts file and into the machine's resolver.
pub(super) fn hostname(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label =
        |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(plain) && !l.starts_with('-') && !l.ends_with('-');
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = |l: &str| {
        l.strip_prefix("0x")
            .is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let number = last.bytes().all(|b| b.is_ascii_digit()) || hex(last);
    (name.len() <= 253 && name.split('.').all(label) && !number).then_some(name)
}

/// Usable host addresses in 127.0.0.0/8 from `first` on: none ends in 0 or 255.
pub(super) fn addresses(first: [u8; 4]) -> impl Iterator<Item = Ipv4Addr> {
    let first = u32::from_be_bytes(first);
    (first..0x7fff_ffff)
        .map(Ipv4Addr::from)
        .filter(|a| !matches!(a.octets()[3], 0 | 255))
}

fn fixed_name(host: &Host) -> Option<String> {
    match host {
        Host::Name(name) if name != "localhost" => Some(name.clone()),
        _ => None,
    }
}

fn covers(host: &Host, name: &str) -> bool {
    match host {
        Host::Name(exact) => exact == name,
        Host::Below(domain) => name
            .strip_suffix(domain.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|rest| !rest.is_empty()),
        Host::Address(_) => false,
    }
}

fn parse(entry: &str) -> Result<(Host, u16), String> {
    let (host, port) = entry.rsplit_once(':').ok_or("write it as HOST:PORT")?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|p| digits && *p > 0);
    let port: u16 = port.ok_or("the port must be a number from 1 to 65535")?;
    let host = parse_host(host)?;
    let own = match &host {
        Host::Name(name) => name == "localhost",
        Host::Address(address) => *address == IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Below(_) => false,
    };
    if own && port == DNS_PORT {
        return Err("there the sandbox's own name server answers".into());
    }
    Ok((host, port))
}

fn parse_host(host: &str) -> Result<Host, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|a| a.parse::<Ipv6Addr>().ok());
        let address = address.ok_or("that is no IPv6 address in brackets")?;
        if address.to_ipv4_mapped().is_some() {
            return Err("write it as an IPv4 address".into());
        }
        // A link-local address means nothing without the interface, which is not the same inside.
        if address.is_unspecified() || address.is_multicast() || address.segments()[0] & 0xffc0 == 0xfe80 {
            return Err("that is no address of a host".into());
        }
        return Ok(Host::Address(IpAddr::V6(address)));
    }
    if host.contains(':') {
        return Err("write an IPv6 address as [ADDRESS]:PORT".into());
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        if address.octets()[0] == 0 || address.is_multicast() || address.is_broadcast() {
            return Err("that is no address of a host".into());
        }
        return Ok(Host::Address(IpAddr::V4(address)));
    }
    if let Some(domain) = host.strip_prefix("*.") {
        let domain = hostname(domain).ok_or("after `*.` comes a domain's name")?;
        return Ok(Host::Below(domain));
    }
    let name = hostname(host);
    Ok(Host::Name(name.ok_or(
        "that is no host name (letters, digits, dots, hyphens; xn-- for others)",
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries parted by spaces.
    fn rules(entries: &str) -> Result<Rules, String> {
        Rules::parse(&entries.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn entries_are_normalised_and_counted_once() {
        let r = rules("DB.Example.:5432 db.example:5432 db.example:80 _a.b-c:1 localhost:1").unwrap();
        assert_eq!(r.rules.len(), 4);
        let hosts = "127.0.0.1 localhost\n127.0.1.1 db.example\n127.0.1.2 _a.b-c\n";
        assert_eq!(r.hosts_file(), hosts);
        assert_eq!(r.fixed_name(Ipv4Addr::new(127, 0, 1, 2)), Some("_a.b-c"));
        assert_eq!(r.ports(), BTreeSet::from([1, 80, 5432]));
        assert!(r.wants_ipv6(1) && !r.wants_ipv6(80));
        assert_eq!(rules("").unwrap().hosts_file(), "127.0.0.1 localhost\n");
    }

    #[test]
    fn what_no_host_can_be_is_refused() {
        let plain = ": db db: db:0 db:+1 db:65536 db:1x :1 .:1 a..b:1 -a:1 a-:1 a#b:1 a/b:1 ä:1 *:1 *.:1 a.*.b:1 \
            *.*.a:1 127.1:1 1:1 0x7f000001:1 a.0x1:1 a.0x:1 *.1:1 1.2.3.4.:1 256.1.1.1:1 ::1:1 [::1:1 ::1]:1 \
            [fe80::1]:1 [::1%lo]:1 [::ffff:1.2.3.4]:1 [::]:1 0.0.0.0:1 224.0.0.1:1 255.255.255.255:1 localhost:53 \
            127.0.0.1:53";
        for wrong in plain.split_whitespace() {
            assert!(rules(wrong).is_err(), "{wrong:?}");
        }
        let long = format!("{}.x:1", "a".repeat(64));
        let spaced = [
            "",
            "a b:1",
            "a\n127.0.0.1 b:1",
            "a\tb:1",
            "db: 1",
            " db:1",
            &long,
            "a\nb:1",
        ];
        let message = spaced.map(|wrong| Rules::parse(&[wrong.into()]).unwrap_err()).concat();
        assert!(
            message.contains("\"a\\nb:1\": ") && !message.contains('\n'),
            "{message}"
        );
    }

    #[test]
    fn a_wildcard_covers_what_is_below_it_and_nothing_else() {
        let r = rules("*.sales.example:443 api.sales.example:80 [2001:db8::5]:443 10.1.2.3:443").unwrap();
        assert!(r.grants_name("a.sales.example", 443) && r.grants_name("a.b.sales.example", 443));
        assert!(r.grants_name("api.sales.example", 443) && r.grants_name("api.sales.example", 80));
        let not_below = "sales.example xsales.example .sales.example a.sales.example.evil 10.1.2.3";
        for wrong in not_below.split_whitespace() {
            assert!(!r.grants_name(wrong, 443), "{wrong}");
        }
        assert!(!r.grants_name("a.sales.example", 80) && r.has_wildcard_for("a.sales.example"));
        let v6: IpAddr = "2001:db8::5".parse().unwrap();
        assert!(r.grants_address(v6, 443) && !r.grants_address(v6, 80));
        assert_eq!(r.outer_addresses().len(), 2);
    }

    #[test]
    fn fixed_addresses_go_on_past_254_and_around_declared_ones() {
        let mut entries: Vec<String> = (0..300).map(|n| format!("h{n}:1")).collect();
        entries.push("127.0.1.1:7".into());
        let r = Rules::parse(&entries).unwrap();
        assert_eq!(r.fixed_address("h0"), Some(Ipv4Addr::new(127, 0, 1, 2)));
        assert_eq!(r.fixed_address("h252"), Some(Ipv4Addr::new(127, 0, 1, 254)));
        assert_eq!(r.fixed_address("h253"), Some(Ipv4Addr::new(127, 0, 2, 1)));
        assert!(Rules::parse(&(1..=101).map(|p| format!("h:{p}")).collect::<Vec<_>>()).is_err());
    }
}
