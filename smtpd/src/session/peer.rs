//! The client's end of a session as the shard holds it: what may be said to it when the service closes.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use engine::net::Conn;
use engine::time::timeout;
use net::smtp::error::{Error, LocalLimit};
use tls::{Received, Stream};

use super::client;
use crate::limits;
use crate::snapshot::Server;

/// The part of a session that the shard looks at when it stops.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) stream: Stream,
    pub(super) turn: Cell<Turn>,
    /// Was told that the service closes: nothing else is sent.
    pub(super) dismissed: Cell<bool>,
    /// That was said, and nothing more is waited for.
    parted: Cell<bool>,
    /// Number of its server.
    pub(super) server: usize,
    /// For whom it speaks.
    pub(super) client: Cell<IpAddr>,
    /// The user at the other end of a socket in the file system.
    pub(super) uid: Option<u32>,
}

/// Whose turn it is to speak, which says what somebody else than the session may tell the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: it is not known yet what it understands, it agrees on TLS, or is being told something.
    Server,
    /// It waits for an answer, or is in the middle of something that will get one.
    Answer,
    /// It has got all its answers, and has begun nothing.
    Client,
}

impl Peer {
    /// The client of a connection just accepted.
    pub(super) fn new(conn: Conn, server: usize) -> Peer {
        let remote = client::remote_of(conn.peer_addr());
        // Only a socket in the file system has no address.
        let uid = conn.peer_addr().ip().is_unspecified().then(|| conn.credentials().ok()).flatten();
        Peer {
            stream: Stream::plain(conn),
            turn: Cell::new(Turn::Server),
            dismissed: Cell::new(false),
            parted: Cell::new(false),
            server,
            client: Cell::new(remote.ip()),
            uid: uid.map(|credentials| credentials.uid),
        }
    }

    /// Sends what the session has to say.
    pub(super) async fn send(&self, bytes: Bytes) -> io::Result<()> {
        self.turn.set(Turn::Server);
        let sent = self.stream.send(bytes).await;
        self.turn.set(Turn::Answer);
        sent
    }

    /// What comes from it next; nothing more once it was dismissed.
    pub(super) async fn recv(&self) -> io::Result<Received> {
        let mut receiving = pin!(self.stream.recv());
        poll_fn(|cx| match self.parted.get() {
            true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            false => receiving.as_mut().poll(cx),
        })
        .await
    }

    /// What is still to be said to it when the service closes; `None`: nothing that it would understand.
    pub(super) fn last_words(&self, server: &Server) -> Option<Bytes> {
        let error = Error::from(LocalLimit::ShuttingDown);
        match (self.turn.get(), &server.http) {
            (Turn::Server, _) => None,
            (_, None) => Some(Bytes::from_static(error.line().as_bytes())),
            (Turn::Answer, Some(_)) => Some(super::http::closing(error)),
            // To a client of HTTP nothing is said that it has not asked for.
            (Turn::Client, Some(_)) => Some(Bytes::new()),
        }
    }

    /// Says goodbye to a client that has got all its answers. Its session then ends as others do: wake it.
    pub(super) async fn dismiss(&self, words: Bytes) {
        let farewell = async {
            self.stream.send(words).await?;
            self.stream.close().await
        };
        let _ = timeout(limits::FAREWELL, farewell).await;
        self.parted.set(true);
    }

    /// Says goodbye to a client that may still send: a connection that is closed with something unread is reset, and what it
    /// was told is lost.
    pub(super) async fn break_off(&self, words: Bytes) {
        let farewell = async {
            self.stream.send(words).await?;
            self.linger().await
        };
        let _ = timeout(limits::FAREWELL, farewell).await;
    }

    /// Closes our side, and waits for the client to close its own.
    pub(super) async fn linger(&self) -> io::Result<()> {
        self.stream.close().await?;
        self.stream.shutdown().await?;
        while !self.stream.recv().await?.is_empty() {}
        Ok(())
    }
}
