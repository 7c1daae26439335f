//! What happens inside the plugin's empty network namespace: addresses on its loopback interface, and the listeners.

use super::rules::{Rules, DNS_PORT};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport};
use rustix::net::{bind, listen, socket_with, AddressFamily, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Connections that wait to be accepted, for each listener.
const BACKLOG: i32 = 1_024;
/// How often it is tried whether a new IPv6 address can be used; with pauses of 1 ms that is some seconds.
const IPV6_ROUNDS: usize = 5_000;

/// Readies the network namespace that this process is in, and gives the listeners that [`super::serve`] accepts from:
/// first the name server's, then those of the declared ports. It needs CAP_NET_ADMIN and CAP_NET_BIND_SERVICE there.
pub fn prepare(rules: &Rules) -> io::Result<Vec<OwnedFd>> {
    let control = stream_socket(AddressFamily::INET)?;
    raise_loopback(&control).map_err(|e| because(e, "cannot bring the loopback interface up"))?;
    for (index, address) in rules.outer_addresses().into_iter().enumerate() {
        let added = match address {
            IpAddr::V4(v4) => add_ipv4(&control, index, v4),
            IpAddr::V6(v6) => add_ipv6(v6),
        };
        added.map_err(|e| because(e, &format!("cannot have the address {address} inside")))?;
    }
    let mut listeners = vec![listener(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)))?];
    for port in rules.ports() {
        listeners.push(listener(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?);
        if rules.wants_ipv6(port) {
            match listener(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
                Ok(fd) => listeners.push(fd),
                // Without IPv6, localhost still has its IPv4 address; declared IPv6 addresses were refused above.
                Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(listeners)
}

fn listener(address: SocketAddr) -> io::Result<OwnedFd> {
    let ipv6 = address.is_ipv6();
    let fd = stream_socket(if ipv6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    })?;
    let bound = || -> rustix::io::Result<()> {
        set_socket_reuseaddr(&fd, true)?;
        if address.port() == DNS_PORT {
            // A declared port 53 shares it with the name server; the kernel prefers the more exact address.
            set_socket_reuseport(&fd, true)?;
        }
        if ipv6 {
            set_ipv6_v6only(&fd, true)?;
        }
        bind(&fd, &address)?;
        listen(&fd, BACKLOG)
    };
    bound().map_err(|e| because(e.into(), &format!("cannot listen on {address} inside")))?;
    Ok(fd)
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

fn because(error: io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn raise_loopback(control: &OwnedFd) -> io::Result<()> {
    let mut request = interface("lo")?;
    // lo has no other flags that could be lost.
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is and which outlives the call.
    done(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) })
}

/// Adds the address as `lo:INDEX`, and only that address: the default mask would take its whole class along.
fn add_ipv4(control: &OwnedFd, index: usize, address: Ipv4Addr) -> io::Result<()> {
    let mut request = interface(&format!("lo:{index}"))?;
    for (operation, value) in [
        (libc::SIOCSIFADDR, address),
        (libc::SIOCSIFNETMASK, Ipv4Addr::BROADCAST),
    ] {
        let socket_address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from(value).to_be(),
            },
            sin_zero: [0; 8],
        };
        // SAFETY: sockaddr_in and sockaddr are plain data of the same size, and the family says which one it is.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(socket_address) };
        // SAFETY: both operations read an ifreq, which `request` is and which outlives the call.
        done(unsafe { libc::ioctl(control.as_raw_fd(), operation as _, &request) })?;
    }
    Ok(())
}

fn add_ipv6(address: Ipv6Addr) -> io::Result<()> {
    let control = stream_socket(AddressFamily::INET6)?;
    // SAFETY: the name is a string of this program that ends in NUL.
    let index = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
    let request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr {
            s6_addr: address.octets(),
        },
        ifr6_prefixlen: 128,
        ifr6_ifindex: libc::c_int::try_from(index).unwrap_or(0),
    };
    // SAFETY: SIOCSIFADDR on an IPv6 socket reads an in6_ifreq, which `request` is and which outlives the call.
    done(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFADDR as _, &request) })?;
    // The kernel makes it usable a moment later; the plugin must not start before that.
    for _ in 0..IPV6_ROUNDS {
        match bind(&control, &SocketAddr::from((address, 0))) {
            Err(Errno::ADDRNOTAVAIL) => std::thread::sleep(Duration::from_millis(1)),
            other => return Ok(other?),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn interface(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq is plain data, for which all zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
