//! A peer's end of a connection: lines in, lines out, plain or encrypted.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::TlsSeen;

pub(super) struct Wire {
    transport: Transport,
    /// Received and not yet used.
    buffer: Vec<u8>,
    used: usize,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
    /// A handshake has failed.
    Gone,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Wire {
        Wire { transport: Transport::Plain(stream), buffer: Vec::new(), used: 0 }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.transport {
            Transport::Plain(stream) => Some(stream),
            Transport::Tls(stream) => Some(&stream.sock),
            Transport::Gone => None,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// The next line with its end; none at the end of the stream.
    pub(super) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = self.used;
        loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + end + 1;
                let line = self.buffer[self.used..end].to_vec();
                self.used = end;
                return Ok(Some(line));
            }
            searched = self.buffer.len() - self.used;
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Exactly so many bytes.
    pub(super) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.used < count {
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let bytes = self.buffer[self.used..self.used + count].to_vec();
        self.used += count;
        Ok(bytes)
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..std::mem::take(&mut self.used));
        let start = self.buffer.len();
        self.buffer.resize(start + 64 * 1024, 0);
        let read = match &mut self.transport {
            Transport::Plain(stream) => stream.read(&mut self.buffer[start..]),
            Transport::Tls(stream) => stream.read(&mut self.buffer[start..]),
            Transport::Gone => Ok(0),
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(start + count);
        match read {
            // TLS without close_notify is an end, too.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|count| count > 0),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.transport {
            Transport::Plain(stream) => stream.write_all(bytes),
            Transport::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Transport::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// How long a read may wait.
    pub(super) fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.tcp().map_or(Ok(()), |stream| stream.set_read_timeout(patience))
    }

    /// The next close is a reset.
    pub(super) fn reset_at_close(&self) {
        if let Some(stream) = self.tcp() {
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = setsockopt(stream, sockopt::Linger, &linger);
        }
    }

    /// Shakes hands as the server. What was received in plain text and not used is forgotten.
    pub(super) fn accept_tls(&mut self, config: &Arc<ServerConfig>) -> Result<TlsSeen, String> {
        let Transport::Plain(mut stream) = std::mem::replace(&mut self.transport, Transport::Gone) else {
            return Err("TLS within TLS".into());
        };
        self.buffer.clear();
        self.used = 0;
        let mut session = ServerConnection::new(Arc::clone(config)).map_err(|error| error.to_string())?;
        while session.is_handshaking() || session.wants_write() {
            session.complete_io(&mut stream).map_err(|error| error.to_string())?;
        }
        let seen = TlsSeen {
            version: session.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
            cipher: session
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            sni: session.server_name().map(str::to_owned),
            client_certificate: session.peer_certificates().is_some_and(|chain| !chain.is_empty()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        };
        self.transport = Transport::Tls(Box::new(StreamOwned::new(session, stream)));
        Ok(seen)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Transport::Tls(stream) = &mut self.transport {
            stream.conn.send_close_notify();
            let _ = stream.conn.complete_io(&mut stream.sock);
        }
    }
}
