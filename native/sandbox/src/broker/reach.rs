//! Reaching the host that is meant, from outside: its name is resolved here, by the machine, and what a public name may
//! lead to is checked here (a name's owner decides where it leads, and could point it at this machine).

use super::names::Target;
use super::report::Outcome;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For one address to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const MAX_TRIED: usize = 8;
/// Where clouds serve credentials or configuration to whoever asks, beyond the link-local ones.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// What gives a name's addresses: `getaddrinfo`, or a test's own.
pub type Resolve = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The machine outside, as far as names go.
#[derive(Clone, Debug)]
pub struct Machine {
    resolve: Resolve,
    hosts: HashMap<String, Vec<IpAddr>>,
}

/// Why a host was not reached.
#[derive(Debug)]
pub(super) struct Unreached {
    /// Denied or failed.
    pub(super) outcome: Outcome,
    /// The last address that it came to.
    pub(super) address: Option<IpAddr>,
    /// Why.
    pub(super) reason: String,
}

impl Machine {
    /// This machine: its resolver, and its `/etc/hosts` as it is now.
    pub fn here() -> Machine {
        let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
        Machine::new(
            |host, port| (host, port).to_socket_addrs().map(Iterator::collect),
            &String::from_utf8_lossy(&hosts),
        )
    }

    /// A machine with that resolver and that hosts file. Where its hosts file says that a name leads, it may lead: that
    /// is the administrator's word.
    pub fn new(resolve: Resolve, hosts_file: &str) -> Machine {
        let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in hosts_file.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            for name in words {
                hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
            }
        }
        Machine { resolve, hosts }
    }

    /// Connects to the target, trying its addresses in order.
    pub(super) fn connect(&self, target: &Target, port: u16) -> Result<(TcpStream, IpAddr), Unreached> {
        let addresses = self.addresses(target, port)?;
        let mut last = unreached(Outcome::Failed, None, "its name leads nowhere".into());
        for address in addresses.into_iter().take(MAX_TRIED) {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                // A port of this machine that nobody serves can, rarely, be connected to itself.
                Ok(stream) if stream.local_addr().ok() != Some(address) => return Ok((stream, address.ip())),
                Ok(_) => last = unreached(Outcome::Failed, Some(address.ip()), "nobody listens there".into()),
                Err(e) => last = unreached(Outcome::Failed, Some(address.ip()), e.to_string()),
            }
        }
        Err(last)
    }

    fn addresses(&self, target: &Target, port: u16) -> Result<Vec<SocketAddr>, Unreached> {
        let name = match target {
            // The operator's word.
            Target::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Target::Name(name) => name,
        };
        let found = (self.resolve)(name, port).map_err(|e| unreached(Outcome::Failed, None, e.to_string()))?;
        let (open, closed): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| self.may_lead(name, a.ip()));
        match closed.first() {
            Some(address) if open.is_empty() => {
                let reason = format!("{name} leads to {}, where no public name may", address.ip());
                Err(unreached(Outcome::Denied, Some(address.ip()), reason))
            }
            _ => Ok(open),
        }
    }

    fn may_lead(&self, name: &str, address: IpAddr) -> bool {
        let local = name == "localhost" || name.ends_with(".localhost");
        let said = self.hosts.get(name).is_some_and(|listed| listed.contains(&address));
        local || said || is_public(address)
    }
}

fn unreached(outcome: Outcome, address: Option<IpAddr>, reason: String) -> Unreached {
    Unreached {
        outcome,
        address,
        reason,
    }
}

/// Whether a name that anyone may own can lead there: not to this machine, its link, a group, or a cloud's metadata.
/// Private networks are fine: that is where databases live.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            // fd00:ec2::/32 is Amazon's, fd20:ce::254 is Google's.
            let metadata = matches!(
                v6.segments(),
                [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254]
            );
            let hidden = embedded(v6).is_none_or(is_public_v4);
            !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || link_local || metadata) && hidden
        }
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let nowhere = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast();
    !(nowhere || v4.is_loopback() || v4.is_link_local() || METADATA_V4.contains(&v4))
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, translated, NAT64 and 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => pair(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => pair(high, low),
        [0x64, 0xff9b, _, _, _, _, high, low] => pair(high, low),
        [0x2002, high, low, ..] => pair(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let resolve: Resolve = |host, port| {
            let list: &[&str] = match host {
                "rebound.example" => &["127.0.0.1", "::1"],
                "mixed.example" => &["169.254.169.254", "10.0.0.9"],
                "listed.example" => &["127.0.0.1"],
                "nowhere.example" => &[],
                "db.localhost" => &["127.0.0.1"],
                _ => return Err(io::Error::other("Name or service not known")),
            };
            Ok(list.iter().map(|a| SocketAddr::new(a.parse().unwrap(), port)).collect())
        };
        Machine::new(
            resolve,
            "127.0.0.1 localhost\n# 127.0.0.1 no\n 127.0.0.1\tx Listed.Example # y\njunk z\n",
        )
    }

    fn leads(name: &str) -> Result<Vec<SocketAddr>, Unreached> {
        machine().addresses(&Target::Name(name.into()), 5432)
    }

    #[test]
    fn a_public_name_leads_to_no_private_place() {
        let denied = leads("rebound.example").unwrap_err();
        assert_eq!(denied.outcome, Outcome::Denied);
        assert_eq!(
            denied.reason,
            "rebound.example leads to 127.0.0.1, where no public name may"
        );
        assert_eq!(leads("mixed.example").unwrap(), ["10.0.0.9:5432".parse().unwrap()]);
        assert_eq!(leads("listed.example").unwrap().len(), 1);
        assert_eq!(leads("db.localhost").unwrap().len(), 1);
        assert_eq!(leads("y").unwrap_err().outcome, Outcome::Failed);
        let nowhere = machine()
            .connect(&Target::Name("nowhere.example".into()), 1)
            .unwrap_err();
        assert_eq!((nowhere.outcome, nowhere.address), (Outcome::Failed, None));
        let literal = Target::Address("169.254.169.254".parse().unwrap());
        assert_eq!(machine().addresses(&literal, 80).unwrap().len(), 1);
    }

    #[test]
    fn every_form_of_a_private_place_is_known() {
        let closed = "127.0.0.1 127.255.0.3 0.0.0.0 0.1.2.3 169.254.169.254 224.0.0.1 255.255.255.255 \
            100.100.100.200 168.63.129.16 :: ::1 fe80::1 febf::1 ff02::1 fd00:ec2::254 fd20:ce::254 \
            ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 \
            64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 2002:7f00:1::1";
        for closed in closed.split_whitespace() {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
        let open = "8.8.8.8 10.0.0.1 192.168.1.1 172.16.0.1 100.64.0.1 2001:db8::1 fd00::1 fc00::1 \
            ::ffff:10.0.0.1 64:ff9b::808:808 2002:808:808::1";
        for open in open.split_whitespace() {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
    }
}
