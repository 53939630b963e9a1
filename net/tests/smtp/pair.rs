//! Client against server, in memory: what goes in at one end comes out at the other, byte for byte.

use std::sync::Arc;

use bytes::Bytes;
use net::smtp::address::{Address, Hostname};
use net::smtp::client::{self, BodyForm, DotStuffer, Envelope, Outcome, Protection, Step};
use net::smtp::parameters::{EnvelopeId, MailParameters, Ret};
use net::smtp::reply::Reply;
use net::smtp::sasl::Credentials;
use net::smtp::server::{BareEol, Extensions};
use proptest::prelude::*;

use crate::checks::{Message, Server, server_config};

/// Two sessions and the bytes between them, delivered in pieces of a given size.
struct Pair {
    client: client::Session,
    server: Server,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    piece_bytes: usize,
    outcomes: Vec<Vec<Outcome>>,
    client_writes: usize,
}

impl Pair {
    fn new(extensions: Extensions, piece_bytes: usize, refusals: Vec<(Address, Reply)>) -> Pair {
        let mut config = server_config(BareEol::Reject);
        config.extensions = extensions;
        config.auth.tls_required = false;
        let mut server = Server::new(config, refusals);
        let to_client = server.feed(b"");
        let mut config = client::Config::new(Hostname::parse(b"relay.example.com").expect("valid"));
        config.starttls = client::StartTls::IfOffered;
        config.login = extensions.auth.then(|| client::Login {
            credentials: Credentials { username: "user".into(), password: "secret".into() },
            in_clear: true,
        });
        Pair {
            client: client::Session::new(Arc::new(config)),
            server,
            to_client,
            to_server: Vec::new(),
            piece_bytes,
            outcomes: Vec::new(),
            client_writes: 0,
        }
    }

    /// Sends all messages over one connection, then quits. Returns how the client saw the end.
    fn run(&mut self, messages: &[Message]) -> client::Closed {
        let mut waiting = messages.iter();
        let mut sending: Option<&Message> = None;
        loop {
            let input = std::mem::take(&mut self.to_client);
            let mut pieces = input.chunks(self.piece_bytes.min(input.len().max(1)));
            let mut piece = pieces.next().unwrap_or_default();
            loop {
                match self.client.step(&mut piece) {
                    Step::NeedInput => match pieces.next() {
                        Some(next) => piece = next,
                        None => break,
                    },
                    Step::Ready => {
                        sending = waiting.next();
                        match sending {
                            Some(message) => self.client.begin(envelope(message)),
                            None => self.client.quit(),
                        }
                    }
                    Step::StartTls => self.client.tls_started(Protection::Verified),
                    Step::SendBody(form) => {
                        self.to_server.extend_from_slice(&self.client.take_output());
                        let message = sending.expect("asked for within a transaction");
                        self.to_server.extend(in_form(&message.body, form));
                        self.client.body_sent();
                    }
                    Step::Done(outcomes) => self.outcomes.push(outcomes),
                    Step::Closed(closed) => return closed,
                }
            }
            self.to_server.extend_from_slice(&self.client.take_output());
            let output = std::mem::take(&mut self.to_server);
            assert!(!output.is_empty(), "both wait: a deadlock at {}", self.client.phase());
            self.client_writes += 1;
            for piece in output.chunks(self.piece_bytes) {
                let reply = self.server.feed(piece);
                self.to_client.extend(reply);
            }
        }
    }
}

fn in_form(body: &[u8], form: BodyForm) -> Vec<u8> {
    if let BodyForm::Chunk { size_bytes } = form {
        assert_eq!(size_bytes, body.len() as u64);
        return body.to_vec();
    }
    let (mut stuffer, mut out) = (DotStuffer::new(), Vec::new());
    stuffer.push(Bytes::copy_from_slice(body), &mut out).expect("clean");
    stuffer.finish(&mut out).expect("clean");
    out.concat()
}

fn envelope(message: &Message) -> Envelope {
    Envelope {
        sender: message.sender.clone(),
        recipients: message.recipients.iter().cloned().map(client::Recipient::from).collect(),
        size_bytes: message.body.len() as u64,
        eight_bit: !message.body.is_ascii(),
        parameters: MailParameters {
            ret: Some(Ret::Full),
            envelope_id: EnvelopeId::parse(b"id+2B1"),
            ..MailParameters::default()
        },
    }
}

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).expect("valid")
}

fn message(body: &[u8]) -> Message {
    Message {
        sender: Some(address("a@b.example")),
        recipients: vec![address("c@d.example")],
        body: body.to_vec(),
    }
}

fn pipelining(pipelining: bool) -> Extensions {
    Extensions {
        pipelining,
        size: true,
        eight_bit_mime: true,
        enhanced_status_codes: true,
        ..Extensions::NONE
    }
}

/// Sends `messages` and checks that each arrives, in order, with the CRLF at its end that DATA needs.
fn check(messages: &[Message], extensions: Extensions, piece_bytes: usize) -> Pair {
    let mut pair = Pair::new(extensions, piece_bytes, Vec::new());
    let closed = pair.run(messages);
    assert_eq!(closed.cause, None, "{closed:?}");
    let mut expected = messages.to_vec();
    for message in &mut expected {
        if !extensions.chunking && !message.body.is_empty() && !message.body.ends_with(b"\r\n") {
            message.body.extend_from_slice(b"\r\n");
        }
    }
    assert!(pair.server.served.messages == expected, "messages differ");
    assert!(pair.outcomes.iter().flatten().all(Outcome::is_delivered));
    pair
}

#[test]
fn messages_of_every_awkward_shape_arrive_byte_for_byte() {
    let long_lines = [&[b'x'; 998][..], b"\r\n", &[b'y'; 100_000], b"\r\n"].concat();
    let every_byte: Vec<u8> = (0..=255).filter(|byte| !b"\r\n".contains(byte)).collect();
    let bodies: &[&[u8]] = &[
        b"",
        b"\r\n",
        b".",
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b"\r\n.\r\n",
        b"no final newline",
        b"a\r\n.no final newline",
        b"\0NUL\0\r\n\0",
        &every_byte,
        &long_lines,
        b"Subject: x\r\n\r\nMAIL FROM:<a@b.example>\r\nQUIT\r\n",
        &b"0123456789abcdef.\r\n".repeat(100_000),
    ];
    let messages: Vec<Message> = bodies.iter().map(|body| message(body)).collect();
    for (offered, piece_bytes) in [(true, usize::MAX), (false, usize::MAX), (true, 1000), (true, 255)] {
        check(&messages, pipelining(offered), piece_bytes);
        check(&messages, Extensions { chunking: true, ..pipelining(offered) }, piece_bytes);
    }
    let small: Vec<Message> = messages.into_iter().filter(|message| message.body.len() < 10_000).collect();
    for extensions in [pipelining(true), pipelining(false), Extensions::ALL] {
        check(&small, extensions, 1);
    }
}

#[test]
fn a_pipelined_transaction_takes_two_writes() {
    let pair =
        check(&[message(b"x\r\n"), message(b"y\r\n"), message(b"z\r\n")], pipelining(true), usize::MAX);
    assert_eq!(pair.client_writes, 1 + 3 * 2 + 1, "EHLO; an envelope and a message each; QUIT");
}

#[test]
fn a_pipelined_transaction_with_a_chunk_takes_one_write() {
    let extensions = Extensions { chunking: true, ..pipelining(true) };
    let pair = check(&[message(b"x\r\n"), message(b"y\r\n"), message(b"z\r\n")], extensions, usize::MAX);
    assert_eq!(pair.client_writes, 1 + 3 + 1, "EHLO; a transaction each; QUIT");
}

#[test]
fn refused_recipients_are_told_apart_at_both_ends() {
    let refused = Reply::new(550, None, "no such user");
    let chunking = |offered| Extensions { chunking: true, ..pipelining(offered) };
    for extensions in [pipelining(true), pipelining(false), chunking(true), chunking(false)] {
        let refusals =
            vec![(address("gone@d.example"), refused.clone()), (address("left@d.example"), refused.clone())];
        let mut pair = Pair::new(extensions, usize::MAX, refusals);
        let mut messages = [message(b"one\r\n"), message(b"two\r\n"), message(b"three\r\n")];
        messages[0].recipients.insert(0, address("gone@d.example"));
        messages[1].recipients = vec![address("gone@d.example"), address("left@d.example")];
        assert_eq!(pair.run(&messages).cause, None);
        let delivered: Vec<Vec<bool>> = pair
            .outcomes
            .iter()
            .map(|outcomes| outcomes.iter().map(Outcome::is_delivered).collect())
            .collect();
        assert_eq!(delivered, [vec![false, true], vec![false, false], vec![true]]);
        let bodies: Vec<&[u8]> =
            pair.server.served.messages.iter().map(|message| &message.body[..]).collect();
        assert_eq!(bodies, [b"one\r\n".as_slice(), b"three\r\n"]);
    }
}

/// Bodies made of what matters: line ends, dots at line starts, NUL, 8-bit, runs long enough to fill blocks.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\0".to_vec()),
        1 => Just(b"\r\n.\r\n".to_vec()),
        3 => prop::collection::vec(any::<u8>().prop_filter("line ends come whole", |byte| !b"\r\n".contains(byte)), 0..80),
        1 => (0usize..600).prop_map(|bytes| vec![b'x'; bytes]),
    ];
    prop::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
}

fn any_message() -> impl Strategy<Value = Message> {
    let sender = prop::option::of(Just(address("\"odd sender\"@b.example")));
    (sender, 1usize..20, any_body()).prop_map(|(sender, count, body)| Message {
        sender,
        recipients: (0..count).map(|index| address(&format!("user{index}@d.example"))).collect(),
        body,
    })
}

fn any_extensions() -> impl Strategy<Value = Extensions> {
    any::<[bool; 8]>().prop_map(|[pipelining, size, codes, chunking, dsn, limits, starttls, auth]| {
        Extensions {
            pipelining,
            size,
            eight_bit_mime: true,
            enhanced_status_codes: codes,
            chunking,
            smtputf8: dsn,
            dsn,
            limits,
            require_tls: limits,
            starttls,
            auth,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn random_messages_arrive_byte_for_byte(
        messages in prop::collection::vec(any_message(), 1..5),
        extensions in any_extensions(),
        piece_bytes in prop_oneof![Just(usize::MAX), 1usize..700],
    ) {
        check(&messages, extensions, piece_bytes);
    }
}
