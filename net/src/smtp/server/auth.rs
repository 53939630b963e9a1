//! AUTH (RFC 4954): the exchange of lines. What is right, the caller knows.
//!
//! PLAIN and LOGIN are taken apart here, so that the caller is asked once, for a name and a password. For any other
//! mechanism it is asked for each response.

use data_encoding::BASE64;

use super::event::{Event, Step};
use super::line::Line;
use super::session::{Question, Session, State};
use crate::limits::{AUTH_FAILURES_MAX, AUTH_LINE_BYTES_MAX, AUTH_ROUNDS_MAX};
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved};

/// Which mechanisms there are.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// In the order of preference, as they are announced. None: AUTH is not offered.
    pub mechanisms: Box<[Box<str>]>,
    /// Offered only under TLS.
    pub tls_required: bool,
}

/// What a peer says of itself in AUTH.
#[derive(Clone, Eq, PartialEq)]
pub enum Claim {
    /// Everything there is to say, by PLAIN or LOGIN.
    Password {
        /// `PLAIN` or `LOGIN`.
        mechanism: Box<str>,
        /// Whose password it is.
        username: Box<[u8]>,
        /// The password.
        password: Box<[u8]>,
        /// As whom to act; empty: as `username` (PLAIN only).
        authorization: Box<[u8]>,
    },
    /// One response of another mechanism.
    Round {
        /// As announced.
        mechanism: Box<str>,
        /// How many challenges came before it.
        round: u32,
        /// The response, decoded. `None`: there was no initial one.
        response: Option<Box<[u8]>>,
    },
}

impl Claim {
    /// The mechanism, as announced.
    pub fn mechanism(&self) -> &str {
        match self {
            Claim::Password { mechanism, .. } | Claim::Round { mechanism, .. } => mechanism,
        }
    }
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claim({})", self.mechanism())
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(super) struct Exchange {
    mechanism: Box<str>,
    /// Challenges that were answered.
    round: u32,
    waits_for: WaitsFor,
}

#[derive(Debug)]
enum WaitsFor {
    /// All of PLAIN.
    Plain,
    /// The first half of LOGIN.
    Username,
    /// The second half.
    Password(Box<[u8]>),
    /// What the caller asked for.
    Response,
}

/// A response, decoded if it can be.
pub(super) type Response = Result<Box<[u8]>, PeerMisbehaved>;

/// Mechanisms in which the server speaks first (RFC 2195, RFC 2831). LOGIN is one as well, and yet its name may come at once.
const SERVER_FIRST: [&str; 2] = ["CRAM-MD5", "DIGEST-MD5"];

impl Session {
    /// AUTH, in a place where it may come.
    pub(super) fn run_auth<'i>(&mut self, mechanism: &[u8], initial: Option<Response>) -> Option<Step<'i>> {
        let mechanism = self.offered_mechanism(mechanism).ok_or(PeerMisbehaved::UnknownMechanism);
        match mechanism.and_then(|mechanism| Ok((initial_response(&mechanism, initial)?, mechanism))) {
            Ok((initial, mechanism)) => self.begin_exchange(mechanism, initial),
            Err(fault) => {
                self.bad_command(fault);
                None
            }
        }
    }

    fn begin_exchange<'i>(&mut self, mechanism: Box<str>, initial: Option<Box<[u8]>>) -> Option<Step<'i>> {
        let waits_for = match &*mechanism {
            name if name.eq_ignore_ascii_case("PLAIN") => WaitsFor::Plain,
            name if name.eq_ignore_ascii_case("LOGIN") => WaitsFor::Username,
            _ => WaitsFor::Response,
        };
        let exchange = Box::new(Exchange { mechanism, round: 0, waits_for });
        match (&exchange.waits_for, initial) {
            (WaitsFor::Response, initial) => {
                let claim =
                    Claim::Round { mechanism: exchange.mechanism.clone(), round: 0, response: initial };
                self.claim(exchange, claim)
            }
            (_, Some(response)) => self.respond(exchange, response),
            (_, None) => {
                self.prompt(exchange);
                None
            }
        }
    }

    /// Within an exchange: the next line is a response.
    pub(super) fn step_auth<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        if self.watching.next_line() {
            return self.step_watched_response(input);
        }
        let line = self.line.next(input, AUTH_LINE_BYTES_MAX, decode_response);
        let response = match line {
            Line::Partial => return Some(Step::NeedInput),
            Line::Endless => {
                self.abort(PeerMisbehaved::CommandWithoutEnd.into());
                return None;
            }
            Line::TooLong => Err(PeerMisbehaved::AuthLineTooLong),
            Line::Complete(response) => response,
        };
        self.mark = self.mark.wrapping_add(1);
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("called in this state only")
        };
        self.take_response(exchange, response)
    }

    /// Goes on with a response that has been read, or says what is wrong with it.
    pub(super) fn take_response<'i>(
        &mut self,
        exchange: Box<Exchange>,
        response: Result<Box<[u8]>, PeerMisbehaved>,
    ) -> Option<Step<'i>> {
        match response {
            Ok(response) => self.respond(exchange, response),
            Err(fault) => {
                self.bad_command(fault);
                None
            }
        }
    }

    fn respond<'i>(&mut self, mut exchange: Box<Exchange>, response: Box<[u8]>) -> Option<Step<'i>> {
        let mechanism = exchange.mechanism.clone();
        let claim = match std::mem::replace(&mut exchange.waits_for, WaitsFor::Response) {
            WaitsFor::Plain => match split_plain(&response) {
                Some([authorization, username, password]) => Claim::Password {
                    mechanism,
                    username: username.into(),
                    password: password.into(),
                    authorization: authorization.into(),
                },
                None => {
                    self.bad_command(PeerMisbehaved::BadAuthResponse);
                    return None;
                }
            },
            WaitsFor::Username => {
                exchange.waits_for = WaitsFor::Password(response);
                self.prompt(exchange);
                return None;
            }
            WaitsFor::Password(username) => {
                Claim::Password { mechanism, username, password: response, authorization: Box::default() }
            }
            WaitsFor::Response => {
                exchange.round += 1;
                Claim::Round { mechanism, round: exchange.round, response: Some(response) }
            }
        };
        self.claim(exchange, claim)
    }

    fn claim<'i>(&mut self, exchange: Box<Exchange>, claim: Claim) -> Option<Step<'i>> {
        self.exchange = Some(exchange);
        Some(self.ask(Question::Auth, Event::Auth(claim)))
    }

    /// Asks for what PLAIN and LOGIN want next.
    fn prompt(&mut self, exchange: Box<Exchange>) {
        self.output.push_constant(match exchange.waits_for {
            WaitsFor::Username => b"334 VXNlcm5hbWU6\r\n",
            WaitsFor::Password(_) => b"334 UGFzc3dvcmQ6\r\n",
            WaitsFor::Plain | WaitsFor::Response => b"334 \r\n",
        });
        self.state = State::Auth(exchange);
    }

    /// Answers [`Event::Auth`] with 334 and this challenge: the peer's next response comes as another
    /// [`Claim::Round`]. Too many rounds end the exchange.
    ///
    /// # Panics
    /// When that event is not pending.
    pub fn challenge(&mut self, challenge: &[u8]) {
        assert!(matches!(self.question(), Question::Auth), "only AUTH has challenges");
        let Some(mut exchange) = self.exchange.take() else { unreachable!("made with the question") };
        self.state = State::Command;
        self.mark = self.mark.wrapping_add(1);
        if exchange.round >= AUTH_ROUNDS_MAX {
            return self.bad_command(PeerMisbehaved::BadAuthResponse);
        }
        let buffer = self.output.buffer();
        buffer.extend_from_slice(b"334 ");
        buffer.extend_from_slice(BASE64.encode(challenge).as_bytes());
        buffer.extend_from_slice(b"\r\n");
        exchange.waits_for = WaitsFor::Response;
        self.state = State::Auth(exchange);
    }

    /// The caller has judged. `permanent`: the peer was wrong, which is counted.
    pub(super) fn auth_answered(&mut self, accepted: bool, permanent: bool) {
        self.exchange = None;
        if accepted {
            self.authenticated = true;
            self.auth_failures = 0;
        } else if permanent {
            self.auth_failures += 1;
            if self.auth_failures >= AUTH_FAILURES_MAX {
                self.abort(Error::LocalLimit(LocalLimit::TooManyAuthFailures));
            }
        }
    }
}

/// RFC 4954 section 4: where the server speaks first, there is no initial response.
fn initial_response(mechanism: &str, initial: Option<Response>) -> Result<Option<Box<[u8]>>, PeerMisbehaved> {
    let server_first = SERVER_FIRST.iter().any(|known| known.eq_ignore_ascii_case(mechanism));
    match initial {
        Some(_) if server_first => Err(PeerMisbehaved::BadAuthResponse),
        initial => initial.transpose(),
    }
}

/// The argument of AUTH behind the mechanism: base64, or `=` for an empty response.
pub(super) fn decode_initial(text: &[u8]) -> Result<Box<[u8]>, PeerMisbehaved> {
    if text == b"=" { Ok(Box::default()) } else { decode(text) }
}

/// A line of an exchange, without its LF.
pub(super) fn decode_response(line: &[u8]) -> Result<Box<[u8]>, PeerMisbehaved> {
    match line.strip_suffix(b"\r") {
        Some(b"*") => Err(PeerMisbehaved::AuthCancelled),
        Some(text) => decode(text),
        None => Err(PeerMisbehaved::ControlCharacter),
    }
}

fn decode(text: &[u8]) -> Result<Box<[u8]>, PeerMisbehaved> {
    BASE64.decode(text).map(Box::from).map_err(|_| PeerMisbehaved::BadAuthResponse)
}

/// Authorization identity, user and password (RFC 4616).
fn split_plain(response: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = response.split(|&byte| byte == 0);
    let three = [parts.next()?, parts.next()?, parts.next()?];
    (parts.next().is_none() && !three[1].is_empty()).then_some(three)
}
