//! Hosts outside, and what a plugin does with its connections to them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// A host outside that treats each connection as `with` says; gives its port.
pub fn host(address: &str, with: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || with(stream));
        }
    });
    port
}

/// A port that nobody listens on.
pub fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends everything back.
pub fn echo(mut stream: TcpStream) {
    // A test that breaks off ends this, too.
    let _ = io::copy(&mut stream.try_clone().unwrap(), &mut stream);
}

/// Says how much it was sent, but only after the end of it.
pub fn count(mut stream: TcpStream) {
    let n = io::copy(&mut stream, &mut io::sink()).unwrap();
    stream.write_all(format!("{n} bytes").as_bytes()).unwrap();
}

/// Does what its first byte says: echo, say nothing and go, answer at length and go, end first and listen on.
pub fn moody(mut stream: TcpStream) {
    let mut mood = [0];
    // Whatever goes wrong here is what the test is about.
    let _ = stream.read_exact(&mut mood);
    match mood[0] % 4 {
        0 => echo(stream),
        1 => std::thread::sleep(Duration::from_millis(20)),
        2 => drop(stream.write_all(&vec![0; 1 << 20])),
        _ => drop(
            stream
                .shutdown(Shutdown::Write)
                .and_then(|()| io::copy(&mut stream, &mut io::sink())),
        ),
    }
}

/// Reads to the end and says nothing, longer than any test.
pub fn wait(mut stream: TcpStream) {
    // It may be reset.
    let _ = io::copy(&mut stream, &mut io::sink());
    std::thread::sleep(Duration::from_secs(100));
}

/// A connection from inside.
pub fn connect(address: &str, port: u16) -> TcpStream {
    let stream = TcpStream::connect((address, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a text and wants it back.
pub fn exchange(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text.as_bytes());
}

/// How a connection ends that nothing is to be read from.
pub fn ends_with(mut stream: TcpStream) -> io::ErrorKind {
    match stream.read(&mut [0]) {
        Ok(n) => panic!("{n} bytes, no error"),
        Err(e) => e.kind(),
    }
}

/// Asks the sandbox's name server for addresses, all over one connection; "none" for an empty answer.
pub fn ask(names: &[(&str, u8)]) -> Vec<String> {
    let mut server = connect("127.0.0.1", 53);
    let answer = |(name, kind): &(&str, u8)| {
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, *kind, 0, 1]);
        server.write_all(&(query.len() as u16).to_be_bytes()).unwrap();
        server.write_all(&query).unwrap();
        let mut length = [0; 2];
        server.read_exact(&mut length).unwrap();
        let mut out = vec![0; usize::from(u16::from_be_bytes(length))];
        server.read_exact(&mut out).unwrap();
        match (out[3] & 15, out[7], out.last_chunk::<4>()) {
            (0, 1, Some(address)) => Ipv4Addr::from(*address).to_string(),
            (0, ..) => "none".into(),
            (code, ..) => format!("error {code}"),
        }
    };
    names.iter().map(answer).collect()
}
