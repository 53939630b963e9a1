//! The sending end: sessions that send numbered messages and write down what they were answered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::net::{Conn, Connect};
use engine::sim::{HostId, Sim};
use engine::task::{Class, spawn};
use engine::time::{self, Instant};

use crate::lines::Lines;
use crate::mail::{self, Number};

/// Waiting longer than this for a reply is giving up.
const PATIENCE: Duration = Duration::from_secs(300);
/// Pause after a failed session.
const PAUSE: Duration = Duration::from_millis(200);

/// What a client was answered for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The final dot may have been sent, and no answer was seen: the message may exist or not.
    Unknown,
    /// 250 was seen, then.
    Accepted(Instant),
    /// A refusal with this code was seen, at whatever stage.
    Refused(u16),
}

/// What the client knows of every message it tried.
pub type Ledger = BTreeMap<Number, Answer>;

/// How much to send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// Number of the first message.
    pub first: Number,
    /// Messages in all. A number is used once: what was not accepted is not sent again.
    pub messages: u64,
    /// Sessions at once.
    pub sessions: u64,
    /// Most messages in one session.
    pub per_session: u64,
    /// 0: all recipients are at `sink.test`; else they are spread over so many domains `d0.sink.test`, `d1.sink.test` ...
    pub domains: u64,
}

/// Starts a client process that sends the load and ends.
pub fn start(sim: &mut Sim, host: HostId, load: Load, ledger: &Rc<RefCell<Ledger>>) {
    let ledger = ledger.clone();
    sim.start(host, 1, move |id| {
        let ledger = ledger.clone();
        async move {
            if id != engine::boot::control() {
                let next = Rc::new(RefCell::new(load.first..load.first + load.messages));
                let session = || spawn(Class::Interactive, sessions(load, next.clone(), ledger.clone()));
                let tasks: Vec<_> = (0..load.sessions).map(|_| session()).collect();
                for task in tasks {
                    task.await;
                }
            }
        }
    });
}

async fn sessions(load: Load, next: Rc<RefCell<std::ops::Range<Number>>>, ledger: Rc<RefCell<Ledger>>) {
    let take = || next.borrow_mut().next();
    let mut waiting = take();
    while let Some(first) = waiting {
        let mut batch = vec![first];
        while (batch.len() as u64) < 1 + engine::rng::below(load.per_session)
            && let Some(number) = take()
        {
            batch.push(number);
        }
        // Only a session that never got to its first message has left it untouched.
        let untouched = match session(load, &batch, &ledger).await {
            Ok(()) => None,
            Err(_) => batch.into_iter().find(|number| !ledger.borrow().contains_key(number)),
        };
        if untouched.is_some() {
            time::sleep(PAUSE).await;
        }
        waiting = untouched.or_else(take);
    }
}

/// One session with several messages. Messages without an entry in the ledger afterwards were not tried.
async fn session(load: Load, batch: &[Number], ledger: &Rc<RefCell<Ledger>>) -> io::Result<()> {
    let conn = within(Conn::connect(Connect { remote: load.server, local: None })).await?;
    let mut lines = Lines::new(&conn);
    if reply(&mut lines).await? != 220 {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    command(&conn, &mut lines, "EHLO client.test\r\n").await?;
    for &number in batch {
        let answer = transaction(&conn, &mut lines, number, load.domains, ledger).await?;
        let answer = match answer {
            250 => Answer::Accepted(time::now()),
            code => Answer::Refused(code),
        };
        ledger.borrow_mut().insert(number, answer);
        if answer == Answer::Refused(421) {
            return Ok(());
        }
    }
    command(&conn, &mut lines, "QUIT\r\n").await?;
    Ok(())
}

async fn transaction(
    conn: &Conn,
    lines: &mut Lines<'_>,
    number: Number,
    domains: u64,
    ledger: &Rc<RefCell<Ledger>>,
) -> io::Result<u16> {
    let below = number.checked_rem(domains).map_or(String::new(), |domain| format!("d{domain}."));
    let envelope =
        format!("MAIL FROM:<from{number}@client.test>\r\nRCPT TO:<to{number}@{below}sink.test>\r\nDATA\r\n");
    conn.send(Bytes::from(envelope)).await?;
    let (mail, recipient, data) = (reply(lines).await?, reply(lines).await?, reply(lines).await?);
    if data != 354 {
        let refusal = [mail, recipient, data].into_iter().find(|&code| code >= 400);
        return Ok(refusal.unwrap_or(data));
    }
    ledger.borrow_mut().insert(number, Answer::Unknown);
    within(conn.send(dot_stuffed(&mail::message(number)))).await?;
    reply(lines).await
}

/// The message as it goes over the wire, with the final dot.
fn dot_stuffed(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out.into()
}

async fn command(conn: &Conn, lines: &mut Lines<'_>, text: &'static str) -> io::Result<u16> {
    conn.send(Bytes::from_static(text.as_bytes())).await?;
    reply(lines).await
}

/// The code of the next reply, whatever its number of lines.
async fn reply(lines: &mut Lines<'_>) -> io::Result<u16> {
    loop {
        let line = within(lines.next()).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let code = line.get(..3).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let code = code.unwrap_or_else(|| panic!("no reply: {:?}", String::from_utf8_lossy(&line)));
        if line.get(3) != Some(&b'-') {
            return Ok(code);
        }
    }
}

async fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    time::timeout(PATIENCE, future).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
