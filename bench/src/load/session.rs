//! One SMTP connection of the generator.

use std::time::Duration;

use bytes::Bytes;
use engine::net::{Conn, Connect};
use engine::time::{self, Instant};

use crate::ident::Parcel;
use crate::load::options::Options;
use crate::message::{Envelope, Message};
use crate::reply::{Replies, Reply};

/// Why something failed: where in the dialogue, and how.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no; the session can go on.
    Refused(String),
    /// The connection is of no more use.
    Broken(String),
}

/// A message that was answered 250.
#[derive(Debug)]
pub(super) struct Acknowledged {
    /// Its accepted recipients.
    pub parcels: Vec<Parcel>,
    /// Refusals of the others.
    pub refused: Vec<String>,
    /// When its last bytes were handed to the kernel, before waiting for the reply.
    pub dot_at: Instant,
}

/// A connection past EHLO.
#[derive(Debug)]
pub(super) struct Session {
    conn: Conn,
    replies: Replies,
    timeout: Duration,
    pipelining: bool,
    announces_size: bool,
    /// Messages that were tried on it.
    pub messages: u32,
}

impl Session {
    /// Connects, reads the greeting, says EHLO.
    pub(super) async fn open(options: &Options) -> Result<Session, Failure> {
        let connect = Conn::connect(Connect { remote: options.target, local: None });
        let conn = match time::timeout(options.timeout, connect).await {
            Ok(Ok(conn)) => conn,
            Ok(Err(error)) => return Err(Failure::Broken(format!("connect: {}", error.kind()))),
            Err(_) => return Err(Failure::Broken("connect: timeout".into())),
        };
        let mut session = Session {
            conn,
            replies: Replies::default(),
            timeout: options.timeout,
            pipelining: false,
            announces_size: false,
            messages: 0,
        };
        session.greet(options.pipelining).await?;
        Ok(session)
    }

    /// One transaction. `envelope` is called with whether the server wants SIZE.
    pub(super) async fn send(
        &mut self,
        message: Message,
        envelope: impl FnOnce(bool) -> Envelope,
    ) -> Result<Acknowledged, Failure> {
        self.messages += 1;
        let id = message.id;
        let envelope = envelope(self.announces_size);
        let (parcels, refused) = if self.pipelining {
            self.envelope_at_once(&envelope, id).await?
        } else {
            self.envelope_step_by_step(&envelope, id).await?
        };
        let dot_at = time::now_precise();
        self.write("data", message.wire).await?;
        let reply = self.reply("data").await?;
        if !reply.is_positive() {
            return Err(Failure::Refused(format!("end of data: {}", reply.summary())));
        }
        Ok(Acknowledged { parcels, refused, dot_at })
    }

    /// Abandons a transaction that was refused half-way.
    pub(super) async fn reset(&mut self) -> Result<(), Failure> {
        self.command("RSET", b"RSET\r\n").await.map(drop)
    }

    /// True when the session still answers.
    pub(super) async fn noop(&mut self) -> bool {
        self.command("NOOP", b"NOOP\r\n").await.is_ok_and(|reply| reply.is_positive())
    }

    /// Says QUIT and waits for the answer.
    pub(super) async fn quit(mut self) {
        // The messages are through; how the farewell goes changes nothing.
        let _ = self.command("QUIT", b"QUIT\r\n").await;
    }

    async fn greet(&mut self, pipelining: bool) -> Result<(), Failure> {
        let greeting = self.reply("greeting").await?;
        if !greeting.is_positive() {
            return Err(Failure::Broken(format!("greeting: {}", greeting.summary())));
        }
        let hello = self.command("EHLO", b"EHLO load.bench.invalid\r\n").await?;
        if !hello.is_positive() {
            return Err(Failure::Broken(format!("EHLO: {}", hello.summary())));
        }
        self.pipelining = pipelining && hello.announces("PIPELINING");
        self.announces_size = hello.announces("SIZE");
        Ok(())
    }

    async fn envelope_at_once(
        &mut self,
        envelope: &Envelope,
        id: crate::ident::Id,
    ) -> Result<(Vec<Parcel>, Vec<String>), Failure> {
        self.write("envelope", vec![Bytes::copy_from_slice(&envelope.wire)]).await?;
        let mail = self.reply("MAIL").await?;
        let (mut parcels, mut refused) = (Vec::with_capacity(envelope.ends.len() - 2), Vec::new());
        for recipient in 0..envelope.ends.len() - 2 {
            let reply = self.reply("RCPT").await?;
            note(&reply, Parcel { id, recipient: recipient as u16 }, &mut parcels, &mut refused);
        }
        let data = self.reply("DATA").await?;
        if data.code == 354 && (parcels.is_empty() || !mail.is_positive()) {
            // RFC 2920: a server may say 354 although nobody is to get the message.
            self.command("empty data", b".\r\n").await?;
        }
        verdict(&mail, &data, &parcels, refused.first())?;
        Ok((parcels, refused))
    }

    async fn envelope_step_by_step(
        &mut self,
        envelope: &Envelope,
        id: crate::ident::Id,
    ) -> Result<(Vec<Parcel>, Vec<String>), Failure> {
        let command =
            |at: usize| &envelope.wire[if at == 0 { 0 } else { envelope.ends[at - 1] }..envelope.ends[at]];
        let mail = self.command("MAIL", command(0)).await?;
        if !mail.is_positive() {
            return Err(Failure::Refused(format!("MAIL: {}", mail.summary())));
        }
        let (mut parcels, mut refused) = (Vec::with_capacity(envelope.ends.len() - 2), Vec::new());
        for recipient in 0..envelope.ends.len() - 2 {
            let reply = self.command("RCPT", command(1 + recipient)).await?;
            note(&reply, Parcel { id, recipient: recipient as u16 }, &mut parcels, &mut refused);
        }
        if let ([], Some(first)) = (parcels.as_slice(), refused.first()) {
            return Err(Failure::Refused(first.clone()));
        }
        let data = self.command("DATA", command(envelope.ends.len() - 1)).await?;
        verdict(&mail, &data, &parcels, refused.first())?;
        Ok((parcels, refused))
    }

    async fn command(&mut self, phase: &'static str, line: &[u8]) -> Result<Reply, Failure> {
        self.write(phase, vec![Bytes::copy_from_slice(line)]).await?;
        self.reply(phase).await
    }

    async fn write(&mut self, phase: &'static str, mut pieces: Vec<Bytes>) -> Result<(), Failure> {
        let sent = match (pieces.len(), pieces.pop()) {
            (1, Some(only)) => time::timeout(self.timeout, self.conn.send(only)).await,
            (_, Some(last)) => {
                pieces.push(last);
                time::timeout(self.timeout, self.conn.send_list(pieces)).await
            }
            (_, None) => return Ok(()),
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Broken(format!("{phase}: {}", error.kind()))),
            Err(_) => Err(Failure::Broken(format!("{phase}: timeout"))),
        }
    }

    async fn reply(&mut self, phase: &'static str) -> Result<Reply, Failure> {
        loop {
            if let Some(reply) = self.replies.pop() {
                if reply.code == 421 {
                    return Err(Failure::Broken(format!("{phase}: {}", reply.summary())));
                }
                return Ok(reply);
            }
            let input = match time::timeout(self.timeout, self.conn.recv()).await {
                Ok(Ok(input)) => input,
                Ok(Err(error)) => return Err(Failure::Broken(format!("{phase}: {}", error.kind()))),
                Err(_) => return Err(Failure::Broken(format!("{phase}: timeout"))),
            };
            if input.is_empty() {
                return Err(Failure::Broken(format!("{phase}: connection closed")));
            }
            if self.replies.feed(&input).is_err() {
                return Err(Failure::Broken(format!("{phase}: not an SMTP reply")));
            }
        }
    }
}

fn note(reply: &Reply, parcel: Parcel, parcels: &mut Vec<Parcel>, refused: &mut Vec<String>) {
    if reply.is_positive() {
        parcels.push(parcel);
    } else {
        refused.push(format!("RCPT: {}", reply.summary()));
    }
}

/// Whether the message may follow.
fn verdict(mail: &Reply, data: &Reply, parcels: &[Parcel], refused: Option<&String>) -> Result<(), Failure> {
    if !mail.is_positive() {
        return Err(Failure::Refused(format!("MAIL: {}", mail.summary())));
    }
    if let ([], Some(first)) = (parcels, refused) {
        return Err(Failure::Refused(first.clone()));
    }
    if data.code != 354 {
        return Err(Failure::Refused(format!("DATA: {}", data.summary())));
    }
    Ok(())
}
