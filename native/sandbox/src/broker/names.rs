//! Which address inside the namespace stands for which name: the fixed ones, and those that the name server hands out.

use super::rules::{addresses, Rules};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

/// Names that the name server hands addresses out for, over the whole run (I10).
const MAX_HANDED: usize = 4_096;

/// Whom a connection is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A granted name, still to be resolved.
    Name(String),
    /// A granted address.
    Address(IpAddr),
}

/// What the name server says to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It has this address inside.
    At(Ipv4Addr),
    /// It is not granted.
    No,
    /// It is granted, but there are too many of them.
    Full,
}

/// The names of one plugin.
#[derive(Debug)]
pub(super) struct Names {
    rules: Rules,
    handed: Mutex<Handed>,
}

#[derive(Debug, Default)]
struct Handed {
    by_name: HashMap<String, Ipv4Addr>,
    by_address: HashMap<Ipv4Addr, String>,
}

impl Names {
    /// Nothing is handed out yet.
    pub(super) fn new(rules: Rules) -> Names {
        Names {
            rules,
            handed: Mutex::default(),
        }
    }

    /// The address for a host name in lower case; the same one every time.
    pub(super) fn address_of(&self, name: &str) -> Known {
        if name == "localhost" {
            return Known::At(Ipv4Addr::LOCALHOST);
        }
        if let Some(address) = self.rules.fixed_address(name) {
            return Known::At(address);
        }
        if !self.rules.has_wildcard_for(name) {
            return Known::No;
        }
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = handed.by_name.get(name) {
            return Known::At(*address);
        }
        let taken = handed.by_name.len();
        // Starting behind all that is taken keeps this short; a declared address in the way only skips one ahead.
        let mut free = addresses([127, 8, 0, 1]).skip(taken);
        let fresh = free.find(|a| !self.rules.lists(IpAddr::V4(*a)) && !handed.by_address.contains_key(a));
        match fresh {
            Some(address) if taken < MAX_HANDED => {
                handed.by_name.insert(name.to_string(), address);
                handed.by_address.insert(address, name.to_string());
                Known::At(address)
            }
            _ => Known::Full,
        }
    }

    /// Whom a connection to this address inside is meant for; the error is the name of a host that is not granted.
    pub(super) fn meant(&self, local: IpAddr, port: u16) -> Result<Target, String> {
        if self.rules.grants_address(local, port) {
            return Ok(Target::Address(local));
        }
        let name = match local {
            IpAddr::V4(Ipv4Addr::LOCALHOST) => Some("localhost".to_string()),
            IpAddr::V4(address) => self.name_at(address),
            IpAddr::V6(address) => address.is_loopback().then(|| "localhost".to_string()),
        };
        match name {
            Some(name) if self.rules.grants_name(&name, port) => Ok(Target::Name(name)),
            Some(name) => Err(name),
            None => Err(local.to_string()),
        }
    }

    fn name_at(&self, address: Ipv4Addr) -> Option<String> {
        if let Some(name) = self.rules.fixed_name(address) {
            return Some(name.to_string());
        }
        let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.by_address.get(&address).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[&str]) -> Names {
        Names::new(Rules::parse(&entries.iter().map(|e| (*e).to_string()).collect::<Vec<_>>()).unwrap())
    }

    fn v4(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_leads_back_to_its_name_on_granted_ports_only() {
        let n = names(&[
            "db.example:5432",
            "localhost:80",
            "10.0.0.5:22",
            "db.example:80",
            "127.0.0.1:90",
        ]);
        assert_eq!(n.meant(v4("127.0.1.1"), 5432), Ok(Target::Name("db.example".into())));
        assert_eq!(n.meant(v4("127.0.1.1"), 22), Err("db.example".into()));
        assert_eq!(n.meant(v4("127.0.0.1"), 80), Ok(Target::Name("localhost".into())));
        assert_eq!(n.meant(v4("::1"), 80), Ok(Target::Name("localhost".into())));
        assert_eq!(n.meant(v4("127.0.0.1"), 90), Ok(Target::Address(v4("127.0.0.1"))));
        assert_eq!(n.meant(v4("::1"), 90), Err("localhost".into()));
        assert_eq!(n.meant(v4("127.0.0.1"), 22), Err("localhost".into()));
        assert_eq!(n.meant(v4("10.0.0.5"), 22), Ok(Target::Address(v4("10.0.0.5"))));
        assert_eq!(n.meant(v4("10.0.0.5"), 80), Err("10.0.0.5".into()));
        assert_eq!(n.meant(v4("127.9.9.9"), 80), Err("127.9.9.9".into()));
    }

    #[test]
    fn handed_out_addresses_are_remembered_and_bounded() {
        let n = names(&["*.example:443", "127.8.0.2:1", "x.example:80"]);
        assert_eq!(n.address_of("a.example"), Known::At(Ipv4Addr::new(127, 8, 0, 1)));
        assert_eq!(n.address_of("b.example"), Known::At(Ipv4Addr::new(127, 8, 0, 3)));
        assert_eq!(n.address_of("c.example"), Known::At(Ipv4Addr::new(127, 8, 0, 4)));
        assert_eq!(n.address_of("a.example"), Known::At(Ipv4Addr::new(127, 8, 0, 1)));
        assert_eq!(n.address_of("x.example"), Known::At(Ipv4Addr::new(127, 0, 1, 1)));
        assert_eq!(n.address_of("example"), Known::No);
        assert_eq!(n.meant(v4("127.8.0.3"), 443), Ok(Target::Name("b.example".into())));
        assert_eq!(n.meant(v4("127.0.1.1"), 443), Ok(Target::Name("x.example".into())));
        let mut seen = std::collections::HashSet::new();
        for i in 3..MAX_HANDED {
            let Known::At(address) = n.address_of(&format!("h{i}.example")) else {
                panic!("{i}")
            };
            assert!(seen.insert(address));
        }
        assert_eq!(n.address_of("one-more.example"), Known::Full);
        assert_eq!(n.address_of("b.example"), Known::At(Ipv4Addr::new(127, 8, 0, 3)));
    }
}
