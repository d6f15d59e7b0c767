//! Requests as bytes, for what no decent client sends: halves of a header, odd request lines, forged hosts.
//!
//! Owns: one TCP connection, byte by byte. Must not: hide anything that was sent or received.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::memcheck;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// An open connection.
#[derive(Debug)]
pub struct Raw {
    stream: BufReader<TcpStream>,
}

/// A response, split at the empty line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResponse {
    /// Status line and header, without `Date`.
    pub head: String,
    /// The body.
    pub body: String,
}

impl RawResponse {
    /// The status.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line")
    }
}

impl Raw {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self::connect_to(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Connects to an address.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(memcheck::patience(ANSWERS_WITHIN))).expect("a timeout");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes, now.
    ///
    /// # Panics
    /// If the connection is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("an open connection");
    }

    /// Sends bytes to a server that may have hung up, or may do so before it has got them all.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends a GET of `path` from `host` that leaves the connection open.
    pub fn send_get(&mut self, host: &str, path: &str) {
        self.send(get_request(host, path));
    }

    /// Receives so many bytes, wherever they end.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn receive_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("more bytes");
        bytes
    }

    /// Receives one response with a `Content-Length`, as plain files have, or in chunks, as included pages are.
    ///
    /// # Panics
    /// If there is none.
    pub fn receive(&mut self) -> RawResponse {
        let head = self.head().expect("a response");
        self.receive_body(&head)
    }

    /// The same; nothing if the server has hung up instead. (httpd may send a line break that belongs to no answer before it
    /// does.)
    ///
    /// # Panics
    /// If the response is cut behind its head.
    pub fn receive_if_open(&mut self) -> Option<RawResponse> {
        let head = self.head().ok()?;
        Some(self.receive_body(&head))
    }

    fn receive_body(&mut self, head: &str) -> RawResponse {
        let field = |name: &str| {
            head.lines().find_map(|line| Some(line.to_ascii_lowercase().strip_prefix(name)?.trim().to_owned()))
        };
        let body = match field("content-length:") {
            Some(length) => self.receive_bytes(length.parse().expect("a length")),
            None if field("transfer-encoding:").as_deref() == Some("chunked") => self.chunks(),
            None => panic!("no length in {head}"),
        };
        RawResponse { head: without_date(head), body: String::from_utf8_lossy(&body).into_owned() }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.stream.read_line(&mut size).expect("a chunk");
            let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
            body.extend(self.receive_bytes(size));
            assert_eq!(self.receive_bytes(2), b"\r\n", "the end of a chunk");
            if size == 0 {
                return body;
            }
        }
    }

    /// Receives one response up to the end of the connection, its body as it was on the wire.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn receive_to_end(mut self) -> RawResponse {
        let head = self.head().expect("a response");
        let mut body = Vec::new();
        self.stream.read_to_end(&mut body).expect("a body");
        RawResponse { head: without_date(&head), body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Ends what is sent, and receives everything up to the end of the connection. An end that the server did not
    /// make an orderly one is an end too.
    #[must_use]
    pub fn everything(mut self) -> Vec<u8> {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes
    }

    fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("cut header: {head:?}")));
            }
        }
        Ok(head)
    }
}

/// A GET of `path` from `host` that leaves the connection open.
#[must_use]
pub fn get_request(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn without_date(head: &str) -> String {
    head.lines().filter(|line| !line.starts_with("Date:")).map(|line| format!("{line}\n")).collect()
}

/// Sends one request, which must ask for `Connection: close`, and receives all there is.
#[must_use]
pub fn exchange(port: u16, request: &str) -> RawResponse {
    let mut connection = Raw::connect(port);
    connection.send(request);
    connection.receive_to_end()
}

/// Sends one request of this method and path, both as they are, and receives all there is.
#[must_use]
pub fn ask(port: u16, method: &str, host: &str, path: &str) -> RawResponse {
    exchange(port, &format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"))
}
