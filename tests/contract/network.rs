//! A network between a provider and its server: it passes on, or does what networks and servers do on a bad day.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tls::{Authority, Certificate};
use crate::upstream::At;

/// Something that no error may repeat: each faulty answer has it in its body.
pub(crate) const CANARY: &str = "canary-5ecr3t";

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Weather {
    /// It gets to the server.
    Fine,
    /// The connection is closed before a byte is answered.
    Closes,
    /// Nothing is answered.
    Hangs,
    /// An answer comes one byte at a time, five in a second.
    Trickles,
    /// This is answered: status, further headers (each ended by CR LF), body.
    Answers(u16, &'static str, String),
    /// A body that ends before its announced length.
    Truncated,
    /// A body that never ends.
    Endless,
}

/// A listener that stands where the server would.
pub(crate) struct Network {
    address: SocketAddr,
    secure: bool,
    state: Arc<State>,
}

struct State {
    upstream: Option<SocketAddr>,
    weather: Mutex<Weather>,
    /// What is open, to be cut when the weather changes.
    open: Mutex<Vec<TcpStream>>,
    requests: AtomicUsize,
}

impl Network {
    /// In front of `upstream`, in plain text.
    pub(crate) fn plain(upstream: SocketAddr, weather: Weather) -> Self {
        Self::new(Some(upstream), weather, None)
    }

    /// In front of `upstream`, with TLS at `localhost`.
    pub(crate) fn secure(upstream: SocketAddr, certificate: Certificate) -> Self {
        Self::new(Some(upstream), Weather::Fine, Some(Authority::server(certificate)))
    }

    /// Nobody is behind it.
    pub(crate) fn of_its_own(weather: Weather) -> Self {
        Self::new(None, weather, None)
    }

    fn new(upstream: Option<SocketAddr>, weather: Weather, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream,
            weather: Mutex::new(weather),
            open: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let secure = tls.is_some();
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls) = (Arc::clone(&serving), tls.clone());
                let open = stream.try_clone().unwrap();
                state.open.lock().push(stream.try_clone().unwrap());
                std::thread::spawn(move || {
                    // Whoever hangs up is not to be told.
                    let _ = match tls {
                        None => state.serve(stream),
                        Some(tls) => ServerConnection::new(tls)
                            .map_err(io::Error::other)
                            .and_then(|tls| state.serve(StreamOwned::new(tls, stream))),
                    };
                    // The client would wait for an answer to its next request as long as a copy is open.
                    let _ = open.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, secure, state }
    }

    /// Where it is, for a provider.
    pub(crate) fn at(&self) -> At {
        if self.secure {
            let ca = Some(Authority::ours().file.clone());
            return At { url: format!("https://localhost:{}", self.address.port()), ca };
        }
        At { url: format!("http://{}", self.address), ca: None }
    }

    /// Changes, for connections that are open too: they are cut.
    pub(crate) fn turns(&self, weather: Weather) {
        *self.state.weather.lock() = weather;
        for stream in self.state.open.lock().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many requests have arrived.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl State {
    fn serve(&self, mut client: impl Read + Write) -> io::Result<()> {
        loop {
            let Some(request) = read_request(&mut client)? else { return Ok(()) };
            self.requests.fetch_add(1, Ordering::Relaxed);
            let weather = self.weather.lock().clone();
            match weather {
                Weather::Fine => {
                    let Some(upstream) = self.upstream else { return Ok(()) };
                    let mut server = TcpStream::connect(upstream)?;
                    server.write_all(&one_of_its_own(&request))?;
                    let mut answer = Vec::new();
                    server.read_to_end(&mut answer)?;
                    client.write_all(&answer)?;
                    return client.flush();
                }
                Weather::Closes => return Ok(()),
                Weather::Hangs => loop {
                    std::thread::sleep(Duration::from_secs(3600));
                },
                Weather::Trickles => {
                    client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{")?;
                    loop {
                        client.write_all(b" ")?;
                        client.flush()?;
                        std::thread::sleep(Duration::from_millis(200));
                    }
                }
                Weather::Answers(status, headers, body) => {
                    let length = body.len();
                    write!(
                        client,
                        "HTTP/1.1 {status} Some\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
                    )?;
                    client.flush()?;
                }
                Weather::Truncated => {
                    write!(
                        client,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{{\"{CANARY}\":"
                    )?;
                    return client.flush();
                }
                Weather::Endless => {
                    client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n\"")?;
                    let some = vec![b'x'; 1 << 16];
                    loop {
                        client.write_all(&some)?;
                    }
                }
            }
        }
    }
}

/// The head and the body of a request, as it came.
fn read_request(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if from.read(&mut byte)? == 0 {
            return Ok(None);
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    from.read_exact(&mut body)?;
    request.extend(body);
    Ok(Some(request))
}

/// The request for a connection that ends with its answer.
fn one_of_its_own(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&request[..end]);
    let lines = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut all = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    all.extend(b"\r\nConnection: close");
    all.extend(&request[end..]);
    all
}

/// A proxy: it passes on whole requests in plain text, and tunnels what it is asked to (`CONNECT`).
pub(crate) struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || Self::serve(client, &heard));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests began or went on with that.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.asked.lock().iter().filter(|line| line.contains(part)).count()
    }

    fn serve(mut client: TcpStream, heard: &Mutex<Vec<String>>) -> io::Result<()> {
        let Some(request) = read_request(&mut client)? else { return Ok(()) };
        let text = String::from_utf8_lossy(&request).into_owned();
        let (line, rest) = text.split_once("\r\n").unwrap();
        heard.lock().push(line.to_owned());
        let words: Vec<_> = line.split(' ').collect();
        if words[0] == "CONNECT" {
            let server = TcpStream::connect(words[1])?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
            std::thread::spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let (mut from, mut to) = (server, client);
            io::copy(&mut from, &mut to)?;
            return to.shutdown(Shutdown::Write);
        }
        let url = words[1].strip_prefix("http://").unwrap();
        let (host, path) = url.split_once('/').unwrap();
        let request = format!("{} /{path} HTTP/1.1\r\n{rest}", words[0]);
        let mut server = TcpStream::connect(host)?;
        server.write_all(&one_of_its_own(request.as_bytes()))?;
        io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Both)
    }
}
