//! A connection, plain or encrypted.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use engine::net::Conn;

use crate::Received;

/// A connection. Operations take `&self`: a receive and a send may run at once (one of each). Dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    conn: Conn,
}

impl Stream {
    /// A connection in clear.
    pub fn plain(conn: Conn) -> Stream {
        Stream { conn }
    }

    /// The next bytes; empty at the end of the stream, and from then on. In clear they stand in the shard's ring of
    /// buffers: drop them soon. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn recv(&self) -> io::Result<Received> {
        Ok(self.conn.recv().await?.into())
    }

    /// Sends all of `data`. When the future is dropped, any part of it may have been sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send(&self, data: Bytes) -> io::Result<()> {
        self.conn.send(data).await
    }

    /// Sends all of `list` in as few writes as possible. When the future is dropped, any part of it may have been
    /// sent.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send_list(&self, list: Vec<Bytes>) -> io::Result<()> {
        self.conn.send_list(list).await
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
