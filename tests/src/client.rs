//! A peer that says exactly what the test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A raw SMTP client: sends bytes, reads replies.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects, without waiting for the greeting.
    pub fn open(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        stream.set_nodelay(true).expect("a socket option");
        Client { stream: BufReader::new(stream) }
    }

    /// Connects, reads the greeting and says EHLO.
    pub fn connect(port: u16) -> Client {
        let mut client = Client::open(port);
        client.expect("220");
        client.command("EHLO client.test.example\r\n", "250");
        client
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).expect("the server reads");
    }

    /// Sends bytes as they are; an error when the server has closed.
    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Closes the sending side.
    pub fn finish(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }

    /// Resets the connection: the server gets an error instead of an end.
    pub fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        nix::sys::socket::setsockopt(self.stream.get_ref(), nix::sys::socket::sockopt::Linger, &linger)
            .expect("a socket option");
    }

    /// Reads one reply, all its lines; empty at the end of the stream.
    pub fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            match self.stream.read_line(&mut reply) {
                Ok(0) => return reply,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return reply,
                Err(error) => panic!("no reply: {error} (so far {reply:?})"),
            }
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    /// Reads a reply that begins with `code`.
    pub fn expect(&mut self, code: &str) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(code), "expected {code}, got {reply:?}");
        reply
    }

    /// Sends a line and reads a reply that begins with `code`.
    pub fn command(&mut self, line: &str, code: &str) -> String {
        self.write(line.as_bytes());
        self.expect(code)
    }

    /// Sends a message whose bytes are those of `body` (dots are doubled here) and expects a `250`. Gives the
    /// transaction id of `queued as`.
    pub fn send(&mut self, from: &str, to: &[&str], body: &[u8]) -> String {
        let reply = self.try_send(from, to, body);
        assert!(reply.starts_with("250"), "not accepted: {reply:?}");
        reply.trim_end().rsplit(' ').next().unwrap_or_default().to_owned()
    }

    /// The same, but gives whatever the server answers at the end of data.
    pub fn try_send(&mut self, from: &str, to: &[&str], body: &[u8]) -> String {
        self.command(&format!("MAIL FROM:<{from}>\r\n"), "250");
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>\r\n"), "250");
        }
        self.command("DATA\r\n", "354");
        if self.try_write(&transparent(body)).is_err() {
            return self.reply();
        }
        self.reply()
    }

    /// Everything up to the end of the stream.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A reset is an end, too.
        let _ = self.stream.read_to_end(&mut all);
        all
    }
}

/// The message with its dots doubled, CRLF at its end, and the final dot (RFC 5321 section 4.5.2).
fn transparent(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(body.len() + 16);
    let mut at_line_start = true;
    for &byte in body {
        if at_line_start && byte == b'.' {
            wire.push(b'.');
        }
        wire.push(byte);
        at_line_start = byte == b'\n';
    }
    if !body.is_empty() && !body.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}
