//! Servers that write down what a program sends: one HTTP request, or one PostgreSQL login.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// What came.
pub(crate) struct Request {
    /// The request line and the headers.
    pub(crate) head: String,
    /// What followed.
    pub(crate) body: Vec<u8>,
}

fn listen<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        serve(stream)
    });
    (port, thread)
}

/// Takes one HTTP request with a Content-Length and answers 200.
pub(crate) fn http() -> (u16, JoinHandle<Request>) {
    listen(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "hung up after {head:?}");
        }
        let header = |name: &str| {
            head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(|v| v.trim().to_owned()))
        };
        if header("expect:").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        }
        let mut body = vec![0; header("content-length:").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n").unwrap();
        Request { head, body }
    })
}

/// Asks a PostgreSQL client for a password in the clear, and gives what it sent.
pub(crate) fn postgres() -> (u16, JoinHandle<Vec<u8>>) {
    listen(|mut stream| {
        // A startup message has no type byte.
        let _startup = message(&mut stream);
        stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).unwrap();
        let mut kind = [0];
        stream.read_exact(&mut kind).unwrap();
        assert_eq!(kind, *b"p", "the answer is no password message");
        let password = message(&mut stream);
        let refusal = b"SFATAL\0C28P01\0Mseen\0\0";
        stream.write_all(b"E").unwrap();
        stream.write_all(&u32::try_from(refusal.len() + 4).unwrap().to_be_bytes()).unwrap();
        stream.write_all(refusal).unwrap();
        password
    })
}

fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).unwrap();
    body
}
