//! Conversations of the client with a peer, as text files: `client/*.txt`.
//!
//! A line is one of
//! - `S: TEXT`: the peer says TEXT and CRLF; `S+ TEXT` without the CRLF; `\r`, `\n`, `\0`, `\xHH`, `\\` are escapes;
//! - `C: TEXT`: the client says TEXT;
//! - `mail: SENDER RECIPIENT...`: a transaction to begin when the session is ready, with the message `.dot` and
//!   CRLF; the next begins when it is over; after the last comes QUIT, unless `idle` stands there;
//! - `size: BYTES`, `8bit`, `strict 8bit`, `smtputf8`, `requiretls`, `ret: RET`, `envid: ENVID`: what is said of the
//!   last of them; `rcpt: NOTIFY ORCPT`, `-` for nothing: of its next recipient that has nothing yet;
//! - `aim: all or none`, `aim: probe`: what the last of them is to achieve;
//! - `starttls: offered`, `starttls: required`: when to use it; `tls: encrypted`, `tls: verified`, `tls: REASON`: how
//!   the handshake ends;
//! - `lmtp`, `no chunking`, `login: USER PASSWORD`, `login: USER PASSWORD in-clear`, `xclient: NAME=VALUE`: how the
//!   client is set up;
//! - `lost: ConnectionLost`, `lost: TimedOut`: the connection breaks here;
//! - `outcome: PHASE CAUSE`: what a recipient ends with, in order; `closed: PHASE CAUSE`: how the session ends.
//!
//! Each is played as written, and with the peer's bytes one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use net::smtp::address::{Address, Hostname};
use net::smtp::client::{
    Aim, BodyForm, Closed, Config, DotStuffer, Envelope, Login, Protection, Protocol, Recipient, Session,
    StartTls, Step, XclientAttribute,
};
use net::smtp::error::Network;
use net::smtp::parameters::{EnvelopeId, MailParameters, Notify, OriginalRecipient, RcptParameters, Ret};
use net::smtp::sasl::Credentials;

use crate::text::{show, split_titles, unescape};

struct Transcript {
    name: String,
    config: Config,
    mails: VecDeque<(Envelope, Aim)>,
    stays_idle: bool,
    turns: Vec<Turn>,
    outcomes: Vec<String>,
    closed: Option<String>,
}

enum Turn {
    Peer(Vec<u8>),
    Client(Vec<u8>),
    Lost(Network),
    Tls(Result<Protection, String>),
}

#[test]
fn the_client_keeps_to_every_transcript() {
    for (at, title, lines) in split_titles("client") {
        for piece_bytes in [usize::MAX, 1] {
            play(parse(&format!("{at} ({title})"), &lines), piece_bytes);
        }
    }
}

/// The driver.
struct Client {
    session: Session,
    mails: VecDeque<(Envelope, Aim)>,
    stays_idle: bool,
    said: Vec<u8>,
    outcomes: Vec<String>,
    closed: Option<Closed>,
}

fn play(transcript: Transcript, piece_bytes: usize) {
    let Transcript { name, config, mails, stays_idle, turns, outcomes, closed } = transcript;
    let mut session = Session::new(Arc::new(config));
    session.give_nonce([0; 18]);
    let mut client =
        Client { session, mails, stays_idle, said: Vec::new(), outcomes: Vec::new(), closed: None };
    client.run(b"");
    for turn in turns {
        match turn {
            Turn::Peer(bytes) => {
                // The client must be waiting: a peer that answers before it is asked is another test.
                assert_eq!(show(&client.said), "", "{name}: said before the peer");
                bytes.chunks(piece_bytes.min(bytes.len())).for_each(|piece| client.run(piece));
            }
            Turn::Client(line) => {
                let said = &client.said;
                assert!(said.starts_with(&line), "{name}: wanted {}, not {}", show(&line), show(said));
                client.said.drain(..line.len());
            }
            Turn::Tls(result) => {
                assert!(matches!(client.session.step(&mut &[][..]), Step::StartTls), "{name}: no handshake");
                match result {
                    Ok(protection) => client.session.tls_started(protection),
                    Err(reason) => client.session.tls_failed(&reason),
                }
                client.run(b"");
            }
            Turn::Lost(how) => {
                client.session.lost(how);
                client.run(b"");
            }
        }
    }
    assert_eq!(show(&client.said), "", "{name}: more than was wanted");
    assert_eq!(client.outcomes, outcomes, "{name}: outcomes");
    let seen = client.closed.map(|closed| match closed.cause {
        Some(cause) => format!("{} {cause}", closed.phase),
        None => closed.phase.to_string(),
    });
    assert_eq!(seen, closed, "{name}: closed");
}

impl Client {
    fn run(&mut self, mut input: &[u8]) {
        loop {
            match self.session.step(&mut input) {
                Step::NeedInput | Step::StartTls => break,
                Step::Ready => match self.mails.pop_front() {
                    Some((envelope, aim)) => self.session.begin_with(envelope, aim),
                    None if self.stays_idle => break,
                    None => self.session.quit(),
                },
                Step::SendBody(BodyForm::Chunk { size_bytes }) => {
                    self.said.extend_from_slice(&self.session.take_output());
                    self.said.extend(b".dot\r\n".iter().cycle().take(size_bytes as usize));
                    self.session.body_sent();
                }
                Step::SendBody(BodyForm::Dots) => {
                    self.said.extend_from_slice(&self.session.take_output());
                    let (mut stuffer, mut slices) = (DotStuffer::new(), Vec::new());
                    stuffer.push(Bytes::from_static(b".dot\r\n"), &mut slices).expect("clean");
                    stuffer.finish(&mut slices).expect("clean");
                    self.said.extend(slices.concat());
                    self.session.body_sent();
                }
                Step::Done(outcomes) => {
                    for outcome in outcomes {
                        let uncertain = if outcome.is_uncertain() { " (uncertain)" } else { "" };
                        let left_over = if outcome.is_left_over() { " (left over)" } else { "" };
                        let delivered = if outcome.is_delivered() { " (delivered)" } else { "" };
                        self.outcomes.push(format!(
                            "{} {}{uncertain}{delivered}{left_over}",
                            outcome.phase, outcome.cause
                        ));
                    }
                }
                Step::Closed(closed) => {
                    self.closed = Some(closed);
                    break;
                }
            }
        }
        self.said.extend_from_slice(&self.session.take_output());
    }
}

fn parse(name: &str, lines: &[&str]) -> Transcript {
    let mut transcript = Transcript {
        name: name.to_owned(),
        config: Config::new(Hostname::parse(b"relay.example.com").expect("valid")),
        mails: VecDeque::new(),
        stays_idle: false,
        turns: Vec::new(),
        outcomes: Vec::new(),
        closed: None,
    };
    for line in lines {
        parse_line(&mut transcript, line).unwrap_or_else(|| panic!("{name}: {line}"));
    }
    transcript
}

fn parse_recipient(mail: &mut Envelope, text: &str) -> Option<()> {
    let (notify, original) = text.split_once(' ')?;
    let recipient = mail.recipients.iter_mut().find(|to| to.parameters == RcptParameters::default())?;
    if notify != "-" {
        recipient.parameters.notify = Some(Notify::parse(notify.as_bytes())?);
    }
    if original != "-" {
        recipient.parameters.original_recipient = Some(OriginalRecipient::parse(original.as_bytes())?);
    }
    Some(())
}

fn parse_line(transcript: &mut Transcript, line: &str) -> Option<()> {
    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "S:" => transcript.turns.push(Turn::Peer(unescape(text, b"\r\n")?)),
        "S+" => transcript.turns.push(Turn::Peer(unescape(text, b"")?)),
        "C:" => transcript.turns.push(Turn::Client(unescape(text, b"\r\n")?)),
        "lost:" if text == "TimedOut" => transcript.turns.push(Turn::Lost(Network::TimedOut)),
        "lost:" => transcript.turns.push(Turn::Lost(Network::ConnectionLost)),
        "mail:" => {
            let mut addresses = text.split(' ').map(|text| Address::parse(text.as_bytes()).ok());
            let sender = addresses.next()?;
            let recipients =
                addresses.map(|address| address.map(Recipient::from)).collect::<Option<Vec<_>>>()?;
            let parameters = MailParameters::default();
            let envelope = Envelope { sender, recipients, size_bytes: 6, eight_bit: false, parameters };
            transcript.mails.push_back((envelope, Aim::Deliver));
        }
        "size:" => transcript.mails.back_mut()?.0.size_bytes = text.parse().ok()?,
        "8bit" => transcript.mails.back_mut()?.0.eight_bit = true,
        "smtputf8" => transcript.mails.back_mut()?.0.parameters.smtp_utf8 = true,
        "requiretls" => transcript.mails.back_mut()?.0.parameters.require_tls = true,
        "ret:" => transcript.mails.back_mut()?.0.parameters.ret = Some(Ret::parse(text.as_bytes())?),
        "envid:" => {
            transcript.mails.back_mut()?.0.parameters.envelope_id = Some(EnvelopeId::parse(text.as_bytes())?);
        }
        "rcpt:" => parse_recipient(&mut transcript.mails.back_mut()?.0, text)?,
        "aim:" => {
            transcript.mails.back_mut()?.1 = match text {
                "all or none" => Aim::AllOrNone,
                "probe" => Aim::Probe,
                _ => return None,
            }
        }
        "starttls:" => {
            transcript.config.starttls = match text {
                "offered" => StartTls::IfOffered,
                "required" => StartTls::Required,
                _ => return None,
            }
        }
        "tls:" => transcript.turns.push(Turn::Tls(match text {
            "encrypted" => Ok(Protection::Encrypted),
            "verified" => Ok(Protection::Verified),
            reason => Err(reason.to_owned()),
        })),
        "lmtp" => transcript.config.protocol = Protocol::Lmtp,
        "no" if text == "chunking" => transcript.config.chunking = false,
        "login:" => {
            let mut words = text.split(' ');
            let (username, password) = (words.next()?.into(), words.next()?.into());
            let in_clear = words.next() == Some("in-clear");
            let credentials = Credentials { username, password };
            transcript.config.login = Some(Login { credentials, in_clear });
        }
        "xclient:" => {
            let (name, value) = text.split_once('=')?;
            let value = unescape(value, b"")?.into();
            transcript.config.xclient.push((XclientAttribute::parse(name.as_bytes())?, value));
        }
        "strict" => transcript.config.eight_bit_as_is = false,
        "idle" => transcript.stays_idle = true,
        "outcome:" => transcript.outcomes.push(text.to_owned()),
        "closed:" => transcript.closed = Some(text.to_owned()),
        _ => return None,
    }
    Some(())
}
