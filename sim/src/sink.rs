//! The receiving end: takes messages, now and then refuses or hangs up, and writes down what it took.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use engine::net::{Conn, Listener};
use engine::rng;
use engine::sim::{HostId, Sim};
use engine::task::{Class, spawn};
use engine::time::{self, Instant};

use crate::lines::Lines;
use crate::mail::{self, Number};

/// Port of every sink.
pub const PORT: u16 = 25;

/// How often, of a thousand, a sink does not take a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mood {
    /// RCPT is answered 450.
    pub refuses_recipient: u64,
    /// The end of data is answered 451.
    pub refuses_message: u64,
    /// The connection ends in the middle of the message.
    pub hangs_up: u64,
    /// The message is taken and the connection ends instead of the answer: the sender must send it again.
    pub takes_and_hangs_up: u64,
    /// Messages whose number this divides are refused for good, each time; 0: none. (Not of a thousand.)
    pub fails_every: u64,
    /// RCPT is answered 450 until so many seconds of the world have passed. (Not of a thousand.)
    pub refuses_until_s: u64,
}

/// One message that a sink took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it was answered.
    pub at: Instant,
    /// Whether 250 was sent; if not, the sender cannot know that it was taken.
    pub answered: bool,
}

/// What a sink took, in order of time.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// By number.
    pub taken: BTreeMap<Number, Vec<Delivery>>,
    /// Reports on messages that have failed, by the number of the message that they are about.
    pub reports: BTreeMap<Number, usize>,
    /// Messages that are none of ours, or not byte for byte.
    pub damaged: Vec<Vec<u8>>,
}

/// Starts a sink process; it runs until it is crashed.
pub fn start(sim: &mut Sim, host: HostId, mood: Mood, deliveries: &Rc<RefCell<Deliveries>>) {
    let addr = SocketAddr::new(sim.addr(host), PORT);
    let deliveries = deliveries.clone();
    sim.start(host, 1, move |id| {
        let deliveries = deliveries.clone();
        async move {
            if id == engine::boot::control() {
                return;
            }
            let listener = Listener::bind(addr, 0).expect("the port is free");
            loop {
                let conn = listener.accept().await.expect("a listener accepts");
                let deliveries = deliveries.clone();
                let _task = spawn(Class::Interactive, async move { session(&conn, mood, &deliveries).await });
            }
        }
    });
}

fn happens(of_a_thousand: u64) -> bool {
    of_a_thousand > 0 && rng::below(1000) < of_a_thousand
}

fn is_early(mood: Mood) -> bool {
    time::now().0 / 1_000_000_000 < mood.refuses_until_s
}

async fn session(conn: &Conn, mood: Mood, deliveries: &Rc<RefCell<Deliveries>>) -> io::Result<()> {
    let mut lines = Lines::new(conn);
    let mut recipients = 0;
    say(conn, "220 sink.test ESMTP\r\n").await?;
    while let Some(line) = lines.next().await? {
        let verb = line.split(|&byte| byte == b' ').next().unwrap_or_default().to_ascii_uppercase();
        match &verb[..] {
            b"EHLO" => say(conn, "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n").await?,
            b"MAIL" | b"RSET" => {
                recipients = 0;
                say(conn, "250 ok\r\n").await?;
            }
            b"RCPT" if happens(mood.refuses_recipient) || is_early(mood) => {
                say(conn, "450 4.2.1 not now\r\n").await?
            }
            b"RCPT" => {
                recipients += 1;
                say(conn, "250 ok\r\n").await?;
            }
            b"DATA" if recipients == 0 => refuse_data(conn, &mut lines).await?,
            b"DATA" => {
                if !data(conn, &mut lines, mood, deliveries).await? {
                    return Ok(());
                }
            }
            b"QUIT" => return say(conn, "221 bye\r\n").await,
            _ => say(conn, "502 what?\r\n").await?,
        }
    }
    Ok(())
}

/// DATA that was pipelined behind refused recipients may be answered either way (RFC 2920 section 3.1).
async fn refuse_data(conn: &Conn, lines: &mut Lines<'_>) -> io::Result<()> {
    if rng::below(2) == 0 {
        say(conn, "354 go on\r\n").await?;
        let message = read_message(lines).await?;
        assert!(message.is_none_or(|message| message.is_empty()), "a message for nobody");
    }
    say(conn, "554 5.5.1 no valid recipients\r\n").await
}

/// False when the connection is to end.
async fn data(
    conn: &Conn,
    lines: &mut Lines<'_>,
    mood: Mood,
    deliveries: &Rc<RefCell<Deliveries>>,
) -> io::Result<bool> {
    say(conn, "354 go on\r\n").await?;
    if happens(mood.hangs_up) {
        return Ok(false);
    }
    let Some(message) = read_message(lines).await? else { return Ok(false) };
    if happens(mood.refuses_message) {
        say(conn, "451 4.3.0 not now\r\n").await?;
        return Ok(true);
    }
    if fails(&message, mood) {
        say(conn, "554 5.7.1 never\r\n").await?;
        return Ok(true);
    }
    let answered = !happens(mood.takes_and_hangs_up);
    take(message, answered, &mut deliveries.borrow_mut());
    if answered {
        say(conn, "250 2.0.0 taken\r\n").await?;
    }
    Ok(answered)
}

async fn read_message(lines: &mut Lines<'_>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while let Some(line) = lines.next().await? {
        if line == b"." {
            return Ok(Some(message));
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        message.extend_from_slice(b"\r\n");
    }
    Ok(None)
}

fn take(message: Vec<u8>, answered: bool, deliveries: &mut Deliveries) {
    match mail::number(&message) {
        Some(number) if mail::is_intact(&message, number) => {
            deliveries.taken.entry(number).or_default().push(Delivery { at: time::now(), answered });
        }
        Some(number) if is_report(&message) => *deliveries.reports.entry(number).or_default() += 1,
        _ => deliveries.damaged.push(message),
    }
}

fn fails(message: &[u8], mood: Mood) -> bool {
    let number = mail::number(message).filter(|_| mood.fails_every > 0 && !is_report(message));
    number.is_some_and(|number| number.is_multiple_of(mood.fails_every))
}

/// A report on a message that has failed, which names it by giving back its header.
pub fn is_report(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    text.contains("multipart/report; report-type=delivery-status") && text.contains("Action: failed")
}

async fn say(conn: &Conn, text: &'static str) -> io::Result<()> {
    conn.send(Bytes::from_static(text.as_bytes())).await
}
