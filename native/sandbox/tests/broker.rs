//! The broker between a real network namespace and real listeners outside: what gets through, and what does not.

mod namespace;

use dativo_sandbox::broker::{Machine, Report, Resolve};
use namespace::hosts::{ask, connect, count, echo, ends_with, exchange, host, moody, nobody, wait};
use namespace::run;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// Every name leads to this machine: what a hostile name server would say.
const REBOUND: Resolve = |_, port| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);

#[test]
fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    let (counting, echoing) = (host("127.0.0.1", count), host("127.0.0.1", echo));
    let rules = [format!("localhost:{counting}"), format!("127.0.0.1:{echoing}")];
    let Some(ran) = run(&rules, Machine::here(), || {
        let mut stream = connect("127.0.0.1", counting);
        stream.write_all(&vec![b'x'; 3_000_001]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        exchange(&mut connect("127.0.0.1", echoing), "hello");
        said
    }) else {
        return;
    };
    assert_eq!(ran.said, "3000001 bytes");
    let closed: Vec<_> = ran.reports.iter().filter(|r| r.outcome.name() == "closed").collect();
    let of = |port: u16| closed.iter().find(|r| r.port == Some(port)).unwrap();
    assert_eq!((of(counting).sent, of(counting).received), (Some(3_000_001), Some(13)));
    assert_eq!((of(echoing).sent, of(echoing).received), (Some(5), Some(5)));
    assert_eq!((of(echoing).host.as_str(), &of(echoing).reason), ("127.0.0.1", &None));
    assert_eq!(ran.reports.len(), 4);
}

#[test]
fn a_reset_of_either_side_reaches_the_other() {
    // It leaves a byte unread, so that closing is a reset.
    let port = host("127.0.0.1", |mut stream| {
        stream.write_all(b"answer").unwrap();
        std::thread::sleep(Duration::from_millis(200));
    });
    let waiting = host("127.0.0.1", wait);
    let rules = [port, waiting].map(|port| format!("localhost:{port}"));
    let Some(ran) = run(&rules, Machine::here(), || {
        // Its end was told to the host, which goes on waiting; `run` sees that its reset is noticed all the same.
        let gone = connect("127.0.0.1", waiting);
        gone.shutdown(Shutdown::Write).unwrap();
        rustix::net::sockopt::set_socket_linger(&gone, Some(Duration::ZERO)).unwrap();
        let mut stream = connect("127.0.0.1", port);
        stream.write_all(b"unread").unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(ends_with(stream), ErrorKind::ConnectionReset);
        drop(gone);
        String::from_utf8_lossy(&answer).into_owned()
    }) else {
        return;
    };
    assert_eq!(ran.said, "answer");
    let broken = |r: &&Report| r.outcome.name() == "closed" && r.reason.is_some();
    assert_eq!(ran.reports.iter().filter(broken).count(), 2, "{:?}", ran.reports);
}

#[test]
fn what_is_not_granted_is_not_reached() {
    let (port, other) = (host("127.0.0.1", echo), host("127.0.0.1", echo));
    let unlisted = host("127.0.0.1", echo);
    let rules = [format!("localhost:{port}"), format!("db.example:{other}")];
    let Some(ran) = run(&rules, Machine::here(), || {
        let refused = TcpStream::connect(("127.0.0.1", unlisted)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        for (address, port) in [
            ("127.0.0.1", other),
            ("127.0.1.1", port),
            ("127.66.6.6", port),
            ("::1", other),
        ] {
            // IPv6 only has listeners where something can be meant by it.
            match TcpStream::connect((address, port)) {
                Ok(stream) => assert_eq!(ends_with(stream), ErrorKind::ConnectionReset),
                Err(e) => assert_eq!((address, e.kind()), ("::1", ErrorKind::ConnectionRefused)),
            }
        }
        let out = TcpStream::connect_timeout(&SocketAddr::from(([192, 0, 2, 1], port)), Duration::from_secs(5));
        assert_eq!(out.unwrap_err().kind(), ErrorKind::NetworkUnreachable);
        String::new()
    }) else {
        return;
    };
    let expected = [
        format!("localhost:{other} denied"),
        format!("db.example:{port} denied"),
        format!("127.66.6.6:{port} denied"),
    ];
    assert_eq!(ran.outcomes(), expected);
}

#[test]
fn a_public_name_that_leads_back_to_this_machine_is_denied() {
    let port = host("127.0.0.1", echo);
    let rules = [format!("evil.example:{port}"), format!("known.example:{port}")];
    let machine = Machine::new(REBOUND, "127.0.0.1 known.example");
    let Some(ran) = run(&rules, machine, || {
        assert_eq!(ends_with(connect("127.0.1.1", port)), ErrorKind::ConnectionReset);
        exchange(&mut connect("127.0.1.2", port), "the administrator's word");
        String::new()
    }) else {
        return;
    };
    let reason = ran.reports[0].reason.as_deref();
    assert_eq!(
        reason,
        Some("evil.example leads to 127.0.0.1, where no public name may")
    );
    let last = [
        format!("known.example:{port} open"),
        format!("known.example:{port} closed"),
    ];
    assert_eq!(ran.outcomes()[1..], last);
}

#[test]
fn a_host_that_is_down_is_an_error_at_once() {
    let port = nobody();
    let begin = Instant::now();
    let Some(ran) = run(&[format!("localhost:{port}")], Machine::here(), || {
        ends_with(connect("127.0.0.1", port)).to_string()
    }) else {
        return;
    };
    assert_eq!(ran.said, ErrorKind::ConnectionReset.to_string());
    assert_eq!(ran.outcomes(), [format!("localhost:{port} failed")]);
    // No patience ran out on the way.
    assert!(begin.elapsed() < Duration::from_secs(9));
}

#[test]
fn names_are_answered_from_the_grant_and_a_wildcard_leads_on() {
    let port = host("127.0.0.1", echo);
    let rules = [
        format!("db.example:{port}"),
        format!("*.wild.example:{port}"),
        "ns.example:53".into(),
    ];
    let machine = Machine::new(REBOUND, "127.0.0.1 a.wild.example ns.example");
    let Some(ran) = run(&rules, machine, || {
        let answers = ask(&[
            ("DB.example", 1),
            ("db.example", 28),
            ("a.wild.example", 1),
            ("b.wild.example", 1),
            ("a.wild.example", 1),
            ("wild.example", 1),
            ("secret.evil.example", 1),
            ("secret.evil.example", 28),
            ("localhost", 1),
        ]);
        exchange(&mut connect("127.8.0.1", port), "to a.wild.example");
        // A granted port 53 is not the name server's.
        ends_with(connect("127.0.1.2", 53));
        // Bytes that are no query: hung up on, and the next one is served.
        let mut rude = connect("127.0.0.1", 53);
        rude.write_all(&[0xff; 700]).unwrap();
        assert!(!matches!(rude.read(&mut [0]), Ok(1..)));
        let _silent: Vec<TcpStream> = (0..7).map(|_| connect("127.0.0.1", 53)).collect();
        assert_eq!(ask(&[("db.example", 1)]), ["127.0.1.1"]);
        answers.join(" ")
    }) else {
        return;
    };
    let expected = "127.0.1.1 none 127.8.0.1 127.8.0.2 127.8.0.1 error 3 error 3 error 3 127.0.0.1";
    assert_eq!(ran.said, expected);
    let outcomes = ran.outcomes();
    assert_eq!(outcomes[..2], ["wild.example:- denied", "secret.evil.example:- denied"]);
    assert!(
        outcomes.contains(&format!("a.wild.example:{port} open")),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&"ns.example:53 failed".to_string()), "{outcomes:?}");
}

#[test]
fn the_c_library_resolves_through_it() {
    let Some(ran) = run(&["*.wild.example:443".into()], Machine::here(), || {
        let script = "mount -t tmpfs none /mnt && cd /mnt && \
            echo 'hosts: files dns' >n && printf 'nameserver 127.0.0.1\\noptions use-vc timeout:1 attempts:1\\n' >r && \
            mount --bind n /etc/nsswitch.conf && mount --bind r /etc/resolv.conf || { echo no mounts; exit; }
            getent ahosts api.wild.example | head -1; getent ahosts other.example || echo unknown";
        let out = Command::new("/bin/sh").args(["-c", script]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }) else {
        return;
    };
    if ran.said.starts_with("no mounts") {
        eprintln!("skipped: the resolver's files cannot be replaced here");
        return;
    }
    assert!(
        ran.said.starts_with("127.8.0.1 ") && ran.said.ends_with("unknown\n"),
        "{}",
        ran.said
    );
    assert_eq!(ran.outcomes(), ["other.example:- denied"]);
}

#[test]
fn granted_addresses_exist_inside_and_no_others() {
    let port = host("127.0.0.9", echo);
    let rules = [
        format!("127.0.0.9:{port}"),
        "192.0.2.7:9".into(),
        "[2001:db8::7]:9".into(),
    ];
    let Some(ran) = run(&rules, Machine::here(), || {
        exchange(&mut connect("127.0.0.9", port), "an address of the operator's");
        let has = |a: &str| TcpListener::bind((a, 0)).is_ok().to_string();
        [
            has("192.0.2.7"),
            has("2001:db8::7"),
            has("192.0.2.8"),
            has("2001:db8::8"),
            has("::1"),
        ]
        .join(" ")
    }) else {
        return;
    };
    assert_eq!(ran.said, "true true false false true");
    let none = run(&[], Machine::here(), || ask(&[("db.example", 1)]).join(" ")).unwrap();
    assert_eq!(none.said, "error 3");
}

#[test]
fn many_connections_at_a_time_and_no_more_than_that() {
    let port = host("127.0.0.1", echo);
    let Some(ran) = run(&[format!("localhost:{port}")], Machine::here(), || {
        let mut all: Vec<TcpStream> = (0..256).map(|_| connect("127.0.0.1", port)).collect();
        for (n, stream) in all.iter_mut().enumerate() {
            exchange(stream, &format!("{n} {}", "x".repeat(n * 100)));
        }
        assert_eq!(ends_with(connect("127.0.0.1", port)), ErrorKind::ConnectionReset);
        let threads: Vec<_> = all
            .into_iter()
            .take(200)
            .map(|mut stream| {
                std::thread::spawn(move || (0..50).for_each(|_| exchange(&mut stream, "at the same time")))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        String::new()
    }) else {
        return;
    };
    let of = |outcome: &str| ran.reports.iter().filter(|r| r.outcome.name() == outcome).count();
    assert_eq!((of("open"), of("closed"), of("failed"), of("denied")), (256, 256, 1, 0));
}

#[test]
fn no_connection_is_left_over_whatever_both_sides_do() {
    let port = host("127.0.0.1", moody);
    let Some(ran) = run(&[format!("localhost:{port}")], Machine::here(), || {
        let threads = (0..8u8).map(|seed| {
            std::thread::spawn(move || {
                for round in 0..60u8 {
                    let mut stream = connect("127.0.0.1", port);
                    let short = Some(Duration::from_millis(5));
                    stream
                        .set_read_timeout(short)
                        .and(stream.set_write_timeout(short))
                        .unwrap();
                    let mut piece = vec![seed.wrapping_add(round); usize::from(round % 5) * 300_000 + 1];
                    // Errors are expected: resets, full buffers, ends.
                    let _ = stream.write_all(&piece);
                    match round % 3 {
                        0 => drop(stream.read(&mut piece)),
                        1 => drop(stream.shutdown(Shutdown::Write).and_then(|()| stream.read(&mut piece))),
                        _ => {}
                    }
                }
            })
        });
        threads
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        String::new()
    }) else {
        return;
    };
    // `run` has seen that none is left.
    let of = |outcome: &str| ran.reports.iter().filter(|r| r.outcome.name() == outcome).count();
    assert_eq!((of("open"), of("closed"), of("denied"), of("failed")), (480, 480, 0, 0));
}
