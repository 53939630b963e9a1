//! Sends stored messages on, byte for byte as they came, without knowing what they say.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use engine::budget::{Budget, Reservation};
use engine::net::{Conn, Connect};
use engine::sync::Notify;

use crate::floor::log::Log;
use crate::limits::{FLOOR_BACKLOG_BYTES, FLOOR_MAX_REPLY_BYTES};

/// What each forwarded message leaves in the log: as long as a server's note that a recipient is done.
const SETTLED: &[u8] = &[0x5a; 48];

/// Stored messages that wait to be sent on.
#[derive(Debug)]
pub(super) struct Backlog {
    letters: RefCell<VecDeque<Letter>>,
    added: Notify,
    budget: Budget,
}

#[derive(Debug)]
struct Letter {
    envelope: Bytes,
    message: Bytes,
    _space: Reservation,
}

impl Backlog {
    pub(super) fn new() -> Backlog {
        Backlog {
            letters: RefCell::default(),
            added: Notify::new(),
            budget: Budget::new(FLOOR_BACKLOG_BYTES),
        }
    }

    /// Waits for room before a message is acknowledged.
    pub(super) async fn room(&self, bytes: usize) -> Reservation {
        self.budget.reserve(bytes).await
    }

    pub(super) fn push(&self, envelope: Bytes, message: Bytes, space: Reservation) {
        self.letters.borrow_mut().push_back(Letter { envelope, message, _space: space });
        self.added.notify_one();
    }

    async fn pop(&self) -> Letter {
        loop {
            let letter = self.letters.borrow_mut().pop_front();
            match letter {
                Some(letter) => return letter,
                None => self.added.notified().await,
            }
        }
    }
}

/// One connection to the next hop, for ever. Ends with what went wrong.
pub(super) async fn forward(backlog: Rc<Backlog>, log: Rc<Log>, to: SocketAddr, replies: usize) -> io::Error {
    match attempt(&backlog, &log, to, replies).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn attempt(
    backlog: &Backlog,
    log: &Log,
    to: SocketAddr,
    replies: usize,
) -> io::Result<std::convert::Infallible> {
    // Connect when there is something to send, so that the next hop may start after us.
    let mut letter = backlog.pop().await;
    let conn = Conn::connect(Connect { remote: to, local: None }).await?;
    lines(&conn, 1).await?;
    conn.send(Bytes::from_static(b"EHLO load.bench.invalid\r\n")).await?;
    last_line(&conn).await?;
    loop {
        conn.send(letter.envelope).await?;
        lines(&conn, replies).await?;
        conn.send(letter.message).await?;
        lines(&conn, 1).await?;
        log.note(Bytes::from_static(SETTLED));
        letter = backlog.pop().await;
    }
}

/// Reads `count` lines, each of which must begin like a positive reply.
async fn lines(conn: &Conn, mut count: usize) -> io::Result<()> {
    let mut at_start = true;
    while count > 0 {
        let input = conn.recv().await?;
        if input.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for byte in input.iter() {
            if at_start && !matches!(byte, b'2' | b'3') {
                return Err(io::Error::other("the next hop refused a message"));
            }
            at_start = *byte == b'\n';
            count -= usize::from(at_start && count > 0);
        }
    }
    Ok(())
}

/// Reads a reply of several lines to its end.
async fn last_line(conn: &Conn) -> io::Result<()> {
    let mut text = Vec::new();
    loop {
        let input = conn.recv().await?;
        if input.is_empty() || text.len() > FLOOR_MAX_REPLY_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.extend_from_slice(&input);
        let last =
            text.strip_suffix(b"\r\n").map(|text| text.rsplit(|byte| *byte == b'\n').next().unwrap_or(text));
        if last.and_then(|line| line.get(3)) == Some(&b' ') {
            return Ok(());
        }
    }
}
