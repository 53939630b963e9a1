//! One TLS connection.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::net::Conn;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection};

/// Plain bytes that go into one pass through the session.
const PIECE_BYTES: usize = 16 * 1024;

/// A connection with a session on it. Receiving and sending do not overlap.
pub(crate) struct TlsStream {
    conn: Rc<Conn>,
    session: RefCell<ClientConnection>,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// The connection.
    Io(io::Error),
    /// The peer, its certificate, or what it said.
    Tls(rustls::Error),
    /// The peer closed the connection without saying that it had said all.
    Truncated,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Io(error) => error.fmt(f),
            TlsError::Tls(error) => error.fmt(f),
            TlsError::Truncated => f.write_str("the connection ended without a TLS close"),
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> TlsError {
        TlsError::Io(error)
    }
}

impl TlsStream {
    /// Prepares a session; [`TlsStream::handshake`] begins it.
    pub(crate) fn new(
        conn: Rc<Conn>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<TlsStream, TlsError> {
        let session = ClientConnection::new(config, name).map_err(TlsError::Tls)?;
        Ok(TlsStream { conn, session: RefCell::new(session) })
    }

    /// Goes on until both sides are agreed.
    pub(crate) async fn handshake(&self) -> Result<(), TlsError> {
        loop {
            self.flush().await?;
            if !self.session.borrow().is_handshaking() {
                return Ok(());
            }
            if !self.receive().await? {
                return Err(TlsError::Truncated);
            }
        }
    }

    /// Sends all of it.
    pub(crate) async fn send(&self, data: &[u8]) -> Result<(), TlsError> {
        self.handshake().await?;
        for piece in data.chunks(PIECE_BYTES) {
            self.session.borrow_mut().writer().write_all(piece)?;
            self.flush().await?;
        }
        Ok(())
    }

    /// The next bytes; empty when the peer has said all.
    pub(crate) async fn recv(&self) -> Result<Bytes, TlsError> {
        self.handshake().await?;
        loop {
            let mut plain = vec![0; PIECE_BYTES];
            let read = self.session.borrow_mut().reader().read(&mut plain);
            match read {
                Ok(length) => {
                    plain.truncate(length);
                    return Ok(plain.into());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(TlsError::Truncated);
                }
                Err(error) => return Err(error.into()),
            }
            self.receive().await?;
            // What the peer said may want an answer (a key update).
            self.flush().await?;
        }
    }

    /// Tells the peer that we have said all.
    pub(crate) async fn close(&self) -> Result<(), TlsError> {
        self.session.borrow_mut().send_close_notify();
        self.flush().await
    }

    /// The peer's certificate and its chain.
    pub(crate) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.session.borrow().peer_certificates().unwrap_or_default().to_vec()
    }

    async fn flush(&self) -> Result<(), TlsError> {
        let mut out = Vec::new();
        {
            let mut session = self.session.borrow_mut();
            while session.wants_write() {
                session.write_tls(&mut out)?;
            }
        }
        Ok(self.conn.send(out.into()).await?)
    }

    /// Takes bytes from the connection. False at its end.
    async fn receive(&self) -> Result<bool, TlsError> {
        let bytes = self.conn.recv().await?;
        let taken = {
            let mut session = self.session.borrow_mut();
            let mut rest = &bytes[..];
            loop {
                // An empty read tells the session that the connection has ended.
                if let Err(error) = session.read_tls(&mut rest) {
                    break Err(error.into());
                }
                if let Err(error) = session.process_new_packets() {
                    break Err(TlsError::Tls(error));
                }
                if rest.is_empty() {
                    break Ok(!bytes.is_empty());
                }
            }
        };
        if matches!(taken, Err(TlsError::Tls(_))) {
            // The alert says why; whether it arrives does not matter any more.
            let _ = self.flush().await;
        }
        taken
    }
}
