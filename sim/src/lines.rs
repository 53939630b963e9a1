//! Reads a connection line by line.

use std::io;

use engine::net::Conn;

/// Longest line that either end sends.
const LINE_BYTES: usize = 4096;

/// A connection and what was read ahead.
pub(crate) struct Lines<'c> {
    conn: &'c Conn,
    ahead: Vec<u8>,
    at: usize,
}

impl<'c> Lines<'c> {
    pub(crate) fn new(conn: &'c Conn) -> Self {
        Lines { conn, ahead: Vec::new(), at: 0 }
    }

    /// The next line without its CRLF; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let ahead = &self.ahead[self.at..];
            if let Some(end) = ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = ahead[..end].to_vec();
                self.at += end + 2;
                return Ok(Some(line));
            }
            assert!(ahead.len() < LINE_BYTES, "a line without end: {:?}", String::from_utf8_lossy(ahead));
            self.ahead.drain(..self.at);
            self.at = 0;
            let bytes = self.conn.recv().await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.ahead.extend_from_slice(&bytes);
        }
    }
}
