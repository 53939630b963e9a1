//! A connection, plain or encrypted.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use engine::net::{Conn, Handover};
use rustls::pki_types::CertificateDer;

use crate::client::Target;
use crate::limits::SEND_BYTES;
use crate::machine::Machine;
use crate::server::SniSlot;
use crate::{ClientSide, Dane, Received, ServerSide, TlsError, TlsInfo};

/// A connection. Operations take `&self`: a receive and a send may run at once (one of each). Dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    conn: Conn,
    /// None in clear.
    session: RefCell<Option<Box<Machine>>>,
}

/// A connection on its way from one shard to another, with its TLS session; closed when dropped.
pub struct Moving {
    conn: Handover,
    session: Option<Box<Machine>>,
}

impl Moving {
    /// The connection, as one of this shard.
    pub fn take_up(self) -> Stream {
        Stream { conn: self.conn.take_up(), session: RefCell::new(self.session) }
    }
}

impl std::fmt::Debug for Moving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Moving({:?})", self.conn)
    }
}

impl Stream {
    /// Takes an idle connection off this shard. `None`: something came meanwhile, the peer is gone, or a send is under
    /// way; it is closed.
    pub async fn take_off(self) -> Option<Moving> {
        let Stream { conn, session } = self;
        let session = session.into_inner();
        if session.as_ref().is_some_and(|machine| machine.has_plain() || machine.has_ended()) {
            return None;
        }
        Some(Moving { conn: conn.take_off().await?, session })
    }

    /// A connection in clear.
    pub fn plain(conn: Conn) -> Stream {
        Stream { conn, session: RefCell::new(None) }
    }

    /// Lets the peer begin TLS, and agrees with it. Wrap it in [`engine::time::timeout`] for a deadline. What arrived in
    /// clear before is the caller's to drop.
    ///
    /// # Errors
    /// After one, the connection is of no more use.
    ///
    /// # Panics
    /// When the connection is encrypted already.
    pub async fn accept_tls(&self, side: &ServerSide) -> Result<TlsInfo, TlsError> {
        self.accept_tls_after(side, &[]).await
    }

    /// The same where the first bytes of the handshake were received already.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub async fn accept_tls_after(&self, side: &ServerSide, early: &[u8]) -> Result<TlsInfo, TlsError> {
        let sni = SniSlot::default();
        let session = side.session(&sni).map_err(TlsError::of)?;
        self.encrypt_with(Machine::server(session));
        self.handshake(early).await?;
        let session = self.session.borrow();
        let machine = session.as_ref().expect("just put there");
        side.info(machine.state(), &sni)
    }

    /// Begins TLS with the server on the other side, and agrees with it. Wrap it in [`engine::time::timeout`] for a deadline.
    /// What arrived in clear before is the caller's to drop.
    ///
    /// # Errors
    /// After one, the connection is of no more use.
    ///
    /// # Panics
    /// When the connection is encrypted already.
    pub async fn connect_tls(&self, side: &ClientSide, host: &str) -> Result<TlsInfo, TlsError> {
        let target = self.agree(side, host).await?;
        self.with_session(|machine| side.info(machine.state(), &target))
    }

    /// The same with a server whose certificate DNS vouches for. The check comes after the handshake, when nothing has been
    /// said over it. `side` is one that checks nothing, and asks for the server by the name that its records are of.
    ///
    /// # Errors
    /// As above, and where the certificate does not satisfy `dane`.
    ///
    /// # Panics
    /// As above.
    pub async fn connect_tls_by_dane(&self, side: &ClientSide, dane: &Dane) -> Result<TlsInfo, TlsError> {
        self.agree(side, dane.base()).await?;
        self.with_session(|machine| side.info_by_dane(machine.state(), dane))
    }

    async fn agree(&self, side: &ClientSide, host: &str) -> Result<Target, TlsError> {
        let target = Target::new(host, self.conn.peer_addr().ip());
        let session = side.session(&target).map_err(TlsError::of)?;
        self.encrypt_with(Machine::client(session));
        self.handshake(&[]).await?;
        Ok(target)
    }

    fn encrypt_with(&self, machine: Machine) {
        let before = self.session.replace(Some(Box::new(machine)));
        assert!(before.is_none(), "TLS within TLS");
    }

    /// Goes on until both sides are agreed.
    async fn handshake(&self, early: &[u8]) -> Result<(), TlsError> {
        let mut taken = self.with_session(|machine| match early {
            [] => machine.start(),
            early => machine.take(early),
        });
        loop {
            let outgoing = self.with_session(Machine::take_outgoing);
            if !outgoing.is_empty() {
                let sent = self.conn.send(outgoing.into()).await;
                // Why the handshake failed says more than that the peer did not wait to hear of it.
                if taken.is_ok() {
                    sent?;
                }
            }
            taken.map_err(TlsError::of)?;
            if !self.with_session(|machine| machine.state().is_handshaking()) {
                return Ok(());
            }
            let bytes = self.conn.recv().await?;
            if bytes.is_empty() {
                return Err(TlsError::Ended);
            }
            taken = self.with_session(|machine| machine.take(&bytes));
        }
    }

    /// Whether what is sent and received is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.session.borrow().is_some()
    }

    /// The peer's certificate and its chain, leaf first. Empty in clear, and where it sent none.
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let session = self.session.borrow();
        let certificates = session.as_ref().and_then(|machine| machine.state().peer_certificates());
        certificates.unwrap_or_default().to_vec()
    }

    /// The next bytes; empty at the end of the stream, and from then on. In clear they stand in the shard's ring of
    /// buffers: drop them soon. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the connection; `InvalidData` when the peer breaks the rules of TLS.
    pub async fn recv(&self) -> io::Result<Received> {
        loop {
            if let Some(machine) = self.session.borrow_mut().as_mut()
                && (machine.has_plain() || machine.has_ended())
            {
                return Ok(machine.take_plain().into());
            }
            let bytes = self.conn.recv().await?;
            if bytes.is_empty() || !self.is_encrypted() {
                return Ok(bytes.into());
            }
            if let Err(error) = self.with_session(|machine| machine.take(&bytes)) {
                drop(bytes);
                // Boxed: idle sessions wait in this future, which must not be large.
                return Err(Box::pin(self.break_off(error)).await);
            }
        }
    }

    /// Tells the peer, as far as it listens, what it did wrong.
    async fn break_off(&self, error: rustls::Error) -> io::Error {
        let _ = self.flush().await;
        broken(error)
    }

    /// Sends all of `data`. When the future is dropped, any part of it may have been sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send(&self, data: Bytes) -> io::Result<()> {
        if !self.is_encrypted() {
            return self.conn.send(data).await;
        }
        // Boxed, as above.
        Box::pin(self.send_encrypted(std::slice::from_ref(&data))).await
    }

    /// Sends all of `list` in as few writes as possible. When the future is dropped, any part of it may have been
    /// sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send_list(&self, list: Vec<Bytes>) -> io::Result<()> {
        if !self.is_encrypted() {
            return self.conn.send_list(list).await;
        }
        Box::pin(self.send_encrypted(&list)).await
    }

    /// Whether the peer has said, encrypted, that it has said all. A stream that ends without that was cut.
    pub fn has_ended(&self) -> bool {
        self.session.borrow().as_ref().is_some_and(|machine| machine.has_ended())
    }

    /// Ends what we send, below TLS.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.conn.shutdown().await
    }

    /// Says that all is said, where that is encrypted; in clear there is nothing to say.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn close(&self) -> io::Result<()> {
        if !self.is_encrypted() {
            return Ok(());
        }
        self.with_session(Machine::close).map_err(broken)?;
        Box::pin(self.flush()).await
    }

    /// Small parts share records; large ones are encrypted from where they are.
    async fn send_encrypted(&self, list: &[Bytes]) -> io::Result<()> {
        let mut gathered: Vec<u8> = Vec::new();
        for (index, part) in list.iter().enumerate() {
            let alone = gathered.is_empty() && (part.len() >= SEND_BYTES || index + 1 == list.len());
            let mut rest: &[u8] = part;
            if alone {
                while !rest.is_empty() {
                    let (piece, more) = rest.split_at(rest.len().min(SEND_BYTES));
                    self.send_piece(piece).await?;
                    rest = more;
                }
                continue;
            }
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(SEND_BYTES - gathered.len()));
                gathered.extend_from_slice(piece);
                rest = more;
                if gathered.len() == SEND_BYTES {
                    self.send_piece(&gathered).await?;
                    gathered.clear();
                }
            }
        }
        self.send_piece(&gathered).await
    }

    async fn send_piece(&self, plain: &[u8]) -> io::Result<()> {
        self.with_session(|machine| machine.encrypt(plain)).map_err(broken)?;
        self.flush().await
    }

    async fn flush(&self) -> io::Result<()> {
        let outgoing = self.with_session(Machine::take_outgoing);
        self.conn.send(outgoing.into()).await
    }

    /// Sends past the session, as somebody between the peers would.
    #[cfg(test)]
    pub(crate) async fn send_in_clear(&self, data: Bytes) {
        self.conn.send(data).await.expect("sends");
    }

    fn with_session<R>(&self, f: impl FnOnce(&mut Machine) -> R) -> R {
        f(self.session.borrow_mut().as_mut().expect("called on encrypted connections only"))
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.conn.peer_addr()
    }

    /// Our address. Unspecified when the connection is gone before anyone asked.
    pub fn local_addr(&self) -> SocketAddr {
        self.conn.local_addr()
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TlsError::of(error))
}
