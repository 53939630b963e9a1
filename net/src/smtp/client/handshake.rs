//! From the greeting to the first transaction: hello, TLS, XCLIENT, login.

use data_encoding::BASE64;

use super::Capabilities;
use super::config::{Config, Protocol, StartTls};
use super::outcome::{Cause, Protection};
use super::phase::Phase;
use super::session::{Session, State};
use crate::limits::XCLIENT_LINE_BYTES_MAX;
use crate::smtp::error::{Error, PeerIncompatible, PeerMisbehaved};
use crate::smtp::parameters::encode_xtext;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::{self, Mechanism, Nonce};

/// What is still to be done before mail can be sent, and what has come of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) greeting: Option<Reply>,
    pub(super) protection: Protection,
    /// When to ask for TLS: as configured, until it is up or is known not to work.
    pub(super) starttls: StartTls,
    /// How many of the configured attributes have been told.
    told: usize,
    login: LoginState,
    pub(super) nonce: Option<Nonce>,
}

#[derive(Debug)]
enum LoginState {
    /// Not wanted, or done.
    Settled,
    Wanted,
    Running(Box<sasl::Client>),
}

impl Entry {
    pub(super) fn new(config: &Config, starttls: StartTls) -> Entry {
        let login = if config.login.is_some() { LoginState::Wanted } else { LoginState::Settled };
        Entry { greeting: None, protection: Protection::None, starttls, told: 0, login, nonce: None }
    }
}

impl Session {
    pub(super) fn take_banner(&mut self, reply: Reply) {
        if !reply.is_positive() {
            return self.refused(&reply);
        }
        self.entry.greeting = Some(reply);
        self.say_hello();
    }

    /// The first hello, or one after which all that the peer said before is void.
    pub(super) fn say_hello(&mut self) {
        self.capabilities = Capabilities::default();
        match self.config.protocol {
            Protocol::Smtp => self.push_hello("EHLO ", Phase::Ehlo),
            Protocol::Lmtp => self.push_hello("LHLO ", Phase::Lhlo),
        }
    }

    fn push_hello(&mut self, verb: &str, phase: Phase) {
        let buffer = self.output.buffer();
        buffer.extend_from_slice(verb.as_bytes());
        buffer.extend_from_slice(self.config.hostname.as_bytes());
        buffer.extend_from_slice(b"\r\n");
        self.wait_for(phase);
    }

    pub(super) fn take_hello(&mut self, phase: Phase, reply: &Reply) {
        if reply.is_positive() {
            if phase != Phase::Helo {
                self.capabilities = Capabilities::from_ehlo(reply);
            }
            self.enter();
        } else if phase == Phase::Ehlo && reply.is_permanent() && self.entry.starttls != StartTls::Required {
            self.push_hello("HELO ", Phase::Helo);
        } else {
            self.refused(reply);
        }
    }

    /// The next of what is still to be done, in the order in which each needs what was before.
    fn enter(&mut self) {
        if self.entry.starttls != StartTls::Never {
            if self.capabilities.starttls {
                self.output.push_constant(b"STARTTLS\r\n");
                return self.wait_for(Phase::StartTls);
            }
            if self.entry.starttls == StartTls::Required {
                return self.lacks(Phase::StartTls, PeerIncompatible::StartTls);
            }
        }
        if self.entry.told < self.config.xclient.len() {
            return self.say_xclient();
        }
        if matches!(self.entry.login, LoginState::Wanted) {
            return self.begin_login();
        }
        self.state = State::Ready;
    }

    pub(super) fn take_starttls(&mut self, reply: &Reply) {
        if reply.is_positive() {
            self.state = State::Handshake;
        } else if self.entry.starttls == StartTls::Required || reply.is_intermediate() {
            self.refused(reply);
        } else {
            self.entry.starttls = StartTls::Never;
            self.enter();
        }
    }

    // XCLIENT.

    /// Tells as many attributes as fit on a line.
    fn say_xclient(&mut self) {
        let Some(taken) = self.capabilities.xclient else {
            return self.lacks(Phase::Xclient, PeerIncompatible::Xclient);
        };
        let mut line = b"XCLIENT".to_vec();
        let verb_bytes = line.len();
        while let Some((attribute, value)) = self.config.xclient.get(self.entry.told) {
            let fits = line.len();
            if taken.contains(*attribute) {
                line.push(b' ');
                line.extend_from_slice(attribute.name().as_bytes());
                line.push(b'=');
                encode_xtext(value, &mut line);
                if line.len() > XCLIENT_LINE_BYTES_MAX && fits > verb_bytes {
                    line.truncate(fits);
                    break;
                }
            }
            self.entry.told += 1;
        }
        if line.len() == verb_bytes {
            // The peer takes none of what is left.
            let told_before = matches!(self.state, State::Awaiting(Phase::Xclient));
            return if told_before { self.say_hello() } else { self.enter() };
        }
        line.extend_from_slice(b"\r\n");
        self.output.buffer().extend_from_slice(&line);
        self.wait_for(Phase::Xclient);
    }

    /// A positive reply is a new greeting: the session begins anew.
    pub(super) fn take_xclient(&mut self, reply: &Reply) {
        if !reply.is_positive() {
            self.refused(reply);
        } else if self.entry.told < self.config.xclient.len() {
            self.say_xclient();
        } else {
            self.say_hello();
        }
    }

    // AUTH.

    fn begin_login(&mut self) {
        let Some(login) = &self.config.login else { return };
        let Some(mechanism) = self.mechanism(login.in_clear) else {
            return self.lacks(Phase::Auth, PeerIncompatible::Auth);
        };
        let nonce = self.entry.nonce.unwrap_or_default();
        let mut client = sasl::Client::new(mechanism, &login.credentials, &nonce);
        let buffer = self.output.buffer();
        buffer.extend_from_slice(b"AUTH ");
        buffer.extend_from_slice(mechanism.name().as_bytes());
        if let Some(response) = client.initial_response() {
            buffer.push(b' ');
            buffer.extend_from_slice(BASE64.encode(&response).as_bytes());
        }
        buffer.extend_from_slice(b"\r\n");
        self.entry.login = LoginState::Running(Box::new(client));
        self.wait_for(match mechanism {
            Mechanism::CramMd5 => Phase::AuthCramMd5,
            Mechanism::Login => Phase::AuthLogin,
            Mechanism::Plain => Phase::AuthPlain,
            Mechanism::ScramSha256 => Phase::Auth,
        });
    }

    /// The best of what the peer offers. A password is better not shown, except to a peer that is known to be the
    /// right one: then what it stores decides, and CRAM-MD5 makes it store the password itself.
    fn mechanism(&self, in_clear: bool) -> Option<Mechanism> {
        use Mechanism::{CramMd5, Login, Plain, ScramSha256};
        let order = match self.entry.protection {
            Protection::Verified => [ScramSha256, Plain, Login, CramMd5],
            Protection::None | Protection::Encrypted => [ScramSha256, CramMd5, Plain, Login],
        };
        let shown_to_all = self.entry.protection == Protection::None && !in_clear;
        order.into_iter().find(|&mechanism| {
            self.capabilities.auth.contains(mechanism)
                && !(mechanism.shows_password() && shown_to_all)
                && !(mechanism == ScramSha256 && self.entry.nonce.is_none())
        })
    }

    pub(super) fn take_auth(&mut self, phase: Phase, reply: &Reply) {
        let LoginState::Running(client) = &mut self.entry.login else { return self.unexpected() };
        if reply.is_positive() {
            return match client.succeeded() {
                Ok(()) => {
                    self.entry.login = LoginState::Settled;
                    self.enter();
                }
                Err(failure) => self.login_failed(failure),
            };
        }
        if !reply.is_intermediate() {
            return self.refused(reply);
        }
        let challenge = reply.lines().next().and_then(|text| BASE64.decode(text.trim_ascii()).ok());
        let response = match (challenge, phase) {
            (Some(challenge), _) => client.respond(&challenge),
            // Some servers ask for name and password in plain words.
            (None, Phase::AuthLogin | Phase::AuthLoginUser) => client.respond(b""),
            (None, _) => Err(sasl::Failure::Challenge),
        };
        match response {
            Ok(response) => {
                let buffer = self.output.buffer();
                buffer.extend_from_slice(BASE64.encode(&response).as_bytes());
                buffer.extend_from_slice(b"\r\n");
                self.wait_for(if phase == Phase::AuthLogin { Phase::AuthLoginUser } else { Phase::Auth });
            }
            Err(failure) => self.login_failed(failure),
        }
    }

    fn login_failed(&mut self, failure: sasl::Failure) {
        self.fail(Cause::Error(Error::PeerMisbehaved(match failure {
            sasl::Failure::Challenge => PeerMisbehaved::BadChallenge,
            sasl::Failure::ServerUnproven => PeerMisbehaved::PasswordUnproven,
        })));
    }

    /// Ends a connection to a peer that lacks what we cannot do without.
    fn lacks(&mut self, phase: Phase, lack: PeerIncompatible) {
        self.state = State::Awaiting(phase);
        self.fail(Cause::Error(lack.into()));
    }

    /// A reply that ends the session before it was ready.
    fn refused(&mut self, reply: &Reply) {
        if reply.is_intermediate() { self.unexpected() } else { self.fail(Cause::Reply(reply.clone())) }
    }
}
