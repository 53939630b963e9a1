//! What the fuzz targets check, shared with the test that replays their corpora. Uses the public interface only.
#![allow(dead_code, unreachable_pub)] // a module of several programs; each uses its own part

use std::sync::Arc;

use data_encoding::BASE64;
use net::smtp::address::{Address, Hostname};
use net::smtp::client::{self, BodyForm, XclientAttribute};
use net::smtp::error::{Network, PeerMisbehaved};
use net::smtp::parameters::MailParameters;
use net::smtp::reply::Reply;
use net::smtp::sasl::Credentials;
use net::smtp::server::{self, Close, Discard, Event, Step};

/// Settings small enough that a short input reaches the limits.
pub fn server_config(bare_eol: server::BareEol) -> server::Config {
    let mut config = server::Config::new(Hostname::parse(b"mx.example.com").expect("valid"));
    config.bare_eol = bare_eol;
    config.extensions = server::Extensions {
        pipelining: true,
        size: true,
        eight_bit_mime: true,
        enhanced_status_codes: true,
        ..server::Extensions::NONE
    };
    config.auth.mechanisms = ["PLAIN", "LOGIN", "X-WHY"].map(Box::from).into();
    config
}

/// What a server session said and did.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Served {
    pub output: Vec<u8>,
    /// Sender, recipients and bytes of every accepted message.
    pub messages: Vec<Message>,
    pub discards: Vec<Discard>,
    pub close: Option<Close>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Message {
    pub sender: Option<Address>,
    pub recipients: Vec<Address>,
    pub body: Vec<u8>,
}

/// A server with its driver, in memory.
pub struct Server {
    pub session: server::Session,
    pub served: Served,
    open: Message,
    /// Recipients to refuse.
    refusals: Vec<(Address, Reply)>,
}

impl Server {
    pub fn new(config: server::Config, refusals: Vec<(Address, Reply)>) -> Server {
        let session = server::Session::new(Arc::new(config));
        Server { session, served: Served::default(), open: Message::default(), refusals }
    }

    /// Feeds one piece of input and runs until more is wanted. Returns the output, which is also recorded.
    pub fn feed(&mut self, mut input: &[u8]) -> Vec<u8> {
        loop {
            match self.session.step(&mut input) {
                Step::NeedInput => {
                    assert!(input.is_empty(), "input is used up before more is wanted");
                    break;
                }
                Step::Body(bytes) => {
                    assert!(!bytes.is_empty(), "an empty body slice is no progress");
                    self.open.body.extend_from_slice(bytes);
                }
                Step::Discard(discard) => {
                    self.open = Message::default();
                    self.served.discards.push(discard);
                }
                Step::Handshake => {
                    assert!(input.is_empty(), "nothing is kept for after the handshake");
                    self.session.tls_started();
                }
                Step::Close(close) => {
                    self.served.close = Some(close);
                    break;
                }
                Step::Event(event) => self.answer(event),
            }
        }
        let output = self.session.take_output();
        self.served.output.extend_from_slice(&output);
        output.to_vec()
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Connect | Event::Data | Event::StartTls => {}
            Event::Line => self.session.watch_next_line(),
            Event::Auth(server::Claim::Password { username, .. }) if *username != *b"user" => {
                return self.session.refuse(PeerMisbehaved::WrongCredentials.into());
            }
            Event::Auth(server::Claim::Round { round: 0, .. }) => return self.session.challenge(b"why?"),
            Event::Auth(_) => {}
            Event::XClient(_) => self.open = Message::default(),
            Event::Hello(_) => self.open = Message::default(),
            Event::Mail(mail) => self.open.sender = mail.sender,
            Event::Rcpt(server::Rcpt { recipient, .. }) => {
                if let Some((_, reply)) = self.refusals.iter().find(|(refused, _)| *refused == recipient) {
                    return self.session.reply(reply);
                }
                self.open.recipients.push(recipient);
            }
            Event::EndOfData(summary) => {
                assert_eq!(summary.size_bytes, self.open.body.len() as u64);
                assert_eq!(summary.eight_bit, !self.open.body.is_ascii());
                self.served.messages.push(std::mem::take(&mut self.open));
                return self.session.accept_message("T");
            }
        }
        self.session.accept();
    }
}

/// A whole conversation after the greeting.
pub fn serve(config: &server::Config, refusals: &[(Address, Reply)], pieces: &[&[u8]]) -> Served {
    converse(Server::new(config.clone(), refusals.to_vec()), pieces)
}

/// The same with a peer that may use XCLIENT.
fn serve_listed(config: &server::Config, pieces: &[&[u8]]) -> Served {
    let mut server = Server::new(config.clone(), Vec::new());
    server.session.offer_xclient();
    converse(server, pieces)
}

/// The same where each line is shown, and passed.
fn serve_watched(config: &server::Config, pieces: &[&[u8]]) -> Served {
    let mut server = Server::new(config.clone(), Vec::new());
    server.session.offer_xclient();
    server.session.watch_lines();
    converse(server, pieces)
}

fn converse(mut server: Server, pieces: &[&[u8]]) -> Served {
    server.feed(b"");
    for piece in pieces {
        if server.served.close.is_none() {
            server.feed(piece);
        }
    }
    server.served
}

/// Server input: whatever comes, however it is cut, the session says and does the same, and stays small.
pub fn server_bytes(data: &[u8]) {
    let (&cut, input) = data.split_first().unwrap_or((&0, b""));
    for bare_eol in [server::BareEol::Reject, server::BareEol::Convert] {
        let mut config = server_config(bare_eol);
        config.size_bytes_max = 400;
        config.recipients_max = 3;
        config.hops_max = 2;
        // What comes behind STARTTLS is dropped, and how much that is depends on the cut.
        config.extensions = server::Extensions { starttls: false, ..server::Extensions::ALL };
        let whole = serve_listed(&config, &[input]);
        let (head, tail) = input.split_at(usize::from(cut).min(input.len()));
        assert_eq!(serve_listed(&config, &[head, tail]), whole);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(serve_listed(&config, &bytes), whole);
        assert_eq!(serve_watched(&config, &[head, tail]), whole);
        check_replies(&whole.output);
        for message in &whole.messages {
            assert!(message.body.len() <= 400);
            check_clean(&message.body);
            for address in message.recipients.iter().chain(&message.sender) {
                check_address(address);
            }
        }
    }
}

/// Path parser: what it accepts holds no control character and parses again to the same.
pub fn path(data: &[u8]) {
    if let Ok((address, rest)) = Address::parse_path(data) {
        assert!(data.ends_with(rest));
        if let Some(address) = address {
            check_address(&address);
        }
    }
    if let Ok(address) = Address::parse(data) {
        assert_eq!(address.as_bytes(), data);
        check_address(&address);
    }
    if let Ok(hostname) = Hostname::parse(data) {
        assert!(!hostname.as_bytes().iter().any(u8::is_ascii_control));
    }
}

fn check_address(address: &Address) {
    let text = address.as_bytes();
    assert!(!text.iter().any(u8::is_ascii_control));
    assert_eq!(Address::parse(text).as_ref(), Ok(address));
    let path = [b"<", text, b">"].concat();
    assert_eq!(Address::parse_path(&path), Ok((Some(address.clone()), &b""[..])));
}

/// Output of a server: whole lines, each a reply.
pub fn check_replies(output: &[u8]) {
    let text = std::str::from_utf8(output).expect("replies are ASCII here");
    assert!(text.is_empty() || text.ends_with("\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.len() + 2 <= 512 && line.len() >= 4, "{line:?}");
        assert!(line.bytes().take(3).all(|byte| byte.is_ascii_digit()), "{line:?}");
        assert!(!line.bytes().any(|byte| byte.is_ascii_control()), "{line:?}");
    }
}

/// No CR without LF, no LF without CR.
pub fn check_clean(body: &[u8]) {
    for (at, &byte) in body.iter().enumerate() {
        assert!(byte != b'\r' || body.get(at + 1) == Some(&b'\n'));
        assert!(byte != b'\n' || (at > 0 && body[at - 1] == b'\r'));
    }
}

/// Client replies: whatever the peer says, every envelope is settled once, and what the client says is commands.
pub fn client_replies(data: &[u8]) {
    let (&kind, rest) = data.split_first().unwrap_or((&0, b""));
    let (&piece_bytes, input) = rest.split_first().unwrap_or((&1, b""));
    for pieces in [input.chunks(usize::from(piece_bytes).max(1)), input.chunks(input.len().max(1))] {
        let mut client = Client::default();
        let mut session = Client::session(kind);
        client.run(&mut session, b"");
        for piece in pieces {
            client.run(&mut session, piece);
        }
        session.lost(Network::ConnectionLost);
        client.run(&mut session, b"");
        assert!(client.closed, "a lost connection is closed");
        assert_eq!(client.settled, client.begun, "every envelope is settled once");
        let text = std::str::from_utf8(&client.output).expect("commands are ASCII here");
        assert!(text.is_empty() || text.ends_with("\r\n"));
        for line in text.split_terminator("\r\n") {
            let known = [
                "EHLO ",
                "HELO ",
                "LHLO ",
                "STARTTLS",
                "XCLIENT ",
                "AUTH ",
                "MAIL FROM:<",
                "RCPT TO:<",
                "DATA",
                "BDAT ",
                "RSET",
                "QUIT",
                ".",
            ];
            let is_response = kind & 2 != 0 && BASE64.decode(line.as_bytes()).is_ok();
            assert!(is_response || known.iter().any(|command| line.starts_with(command)), "{line:?}");
            assert!(!line.bytes().any(|byte| byte.is_ascii_control()), "{line:?}");
        }
    }
}

/// A client's driver that sends empty messages.
#[derive(Default)]
struct Client {
    output: Vec<u8>,
    begun: usize,
    settled: usize,
    closed: bool,
}

impl Client {
    const BODY_BYTES: u64 = 100;

    /// Protocol and what is to be done before mail is sent, by the bits of `kind`.
    fn session(kind: u8) -> client::Session {
        let mut config = client::Config::new(Hostname::parse(b"relay.example.com").expect("valid"));
        if kind & 1 != 0 {
            config.protocol = client::Protocol::Lmtp;
        }
        if kind & 2 != 0 {
            let credentials = Credentials { username: "user".into(), password: "pencil".into() };
            config.login = Some(client::Login { credentials, in_clear: true });
        }
        if kind & 4 != 0 {
            config.xclient = vec![
                (XclientAttribute::Name, b"[UNAVAILABLE]"[..].into()),
                (XclientAttribute::Helo, b"a b"[..].into()),
            ];
        }
        if kind & 8 != 0 {
            config.starttls = client::StartTls::IfOffered;
        }
        let mut session = client::Session::new(Arc::new(config));
        session.give_nonce([7; 18]);
        session
    }

    fn run(&mut self, session: &mut client::Session, mut input: &[u8]) {
        loop {
            match session.step(&mut input) {
                client::Step::NeedInput => break,
                client::Step::Ready if self.begun < 3 => {
                    self.begun += 1;
                    session.begin(Client::envelope(self.begun));
                }
                client::Step::Ready => session.quit(),
                client::Step::StartTls => session.tls_failed("no handshake here"),
                client::Step::SendBody(form) => {
                    self.output.extend_from_slice(&session.take_output());
                    if let BodyForm::Chunk { size_bytes } = form {
                        assert_eq!(size_bytes, Client::BODY_BYTES, "the peer is told how much comes");
                    }
                    session.body_sent();
                }
                client::Step::Done(outcomes) => {
                    self.settled += 1;
                    assert_eq!(outcomes.len(), self.settled, "one outcome for each recipient");
                }
                client::Step::Closed(_) => {
                    self.closed = true;
                    break;
                }
            }
        }
        self.output.extend_from_slice(&session.take_output());
    }

    /// As many recipients as the envelope's number says.
    fn envelope(number: usize) -> client::Envelope {
        let address = |text: &[u8]| Address::parse(text).expect("valid");
        client::Envelope {
            sender: Some(address(b"a@b.example")),
            recipients: vec![address(b"c@d.example").into(); number],
            size_bytes: Client::BODY_BYTES,
            eight_bit: number == 2,
            parameters: MailParameters::default(),
        }
    }
}
