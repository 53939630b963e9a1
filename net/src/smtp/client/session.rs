//! The state machine: what the driver sees of it, and the moves that all states share. The states before the first
//! transaction are in `handshake.rs`, those within one in `exchange.rs`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Capabilities;
use super::config::{Config, StartTls};
use super::handshake::Entry;
use super::outcome::{Aim, BodyForm, Cause, Closed, Envelope, Outcome, Protection, Step};
use super::phase::Phase;
use super::reply_reader::ReplyReader;
use super::transaction::Transaction;
use crate::smtp::error::{Error, Network, PeerMisbehaved};
use crate::smtp::output::Output;
use crate::smtp::patience::Patience;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Nonce;

/// One connection to a peer that takes our mail.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) output: Output,
    replies: ReplyReader,
    pub(super) state: State,
    pub(super) entry: Entry,
    pub(super) capabilities: Capabilities,
    pub(super) transaction: Option<Box<Transaction>>,
    /// The message of the transaction in flight, while the caller sends it.
    sending: Option<BodyForm>,
    /// Outcomes of a transaction that is over, for the caller to fetch.
    outcomes: Option<Vec<Outcome>>,
    /// Whether a transaction is open at the peer that will not be completed.
    pub(super) needs_reset: bool,
    /// Whether to use BDAT where it is offered.
    chunking: bool,
    transactions: u32,
    /// See [`Patience::mark`].
    mark: u32,
}

#[derive(Debug)]
pub(super) enum State {
    /// Something is awaited.
    Awaiting(Phase),
    /// The caller makes a TLS handshake.
    Handshake,
    /// No transaction is in flight.
    Ready,
    /// Over.
    Closed(Closed),
}

impl Session {
    /// A session for a connection just opened. It waits for the greeting.
    pub fn new(config: Arc<Config>) -> Session {
        let starttls = config.starttls;
        Session::with_starttls(config, starttls)
    }

    /// A session for a further connection to a peer whose STARTTLS does not work: goes without, unless the
    /// configuration requires TLS.
    pub fn in_clear(config: Arc<Config>) -> Session {
        let starttls = match config.starttls {
            StartTls::Never | StartTls::IfOffered => StartTls::Never,
            StartTls::Required => StartTls::Required,
        };
        Session::with_starttls(config, starttls)
    }

    /// A session that goes nowhere without TLS, whatever the configuration says, unless the connection begins in it.
    pub fn encrypted(config: Arc<Config>, begins_in_tls: bool) -> Session {
        let starttls = if begins_in_tls { StartTls::Never } else { StartTls::Required };
        Session::with_starttls(config, starttls)
    }

    fn with_starttls(config: Arc<Config>, starttls: StartTls) -> Session {
        Session {
            output: Output::default(),
            replies: ReplyReader::default(),
            state: State::Awaiting(Phase::Banner),
            entry: Entry::new(&config, starttls),
            capabilities: Capabilities::default(),
            transaction: None,
            sending: None,
            outcomes: None,
            needs_reset: false,
            chunking: config.chunking,
            transactions: 0,
            mark: 0,
            config,
        }
    }

    /// Whether [`give_nonce`](Self::give_nonce) is of use.
    pub fn wants_nonce(&self) -> bool {
        self.config.login.is_some()
    }

    /// Random bytes for the login, without which SCRAM is not used. Before the first step.
    pub fn give_nonce(&mut self, nonce: Nonce) {
        self.entry.nonce = Some(nonce);
    }

    /// Sends messages with DATA from now on, whatever the peer offers: it has shown that its BDAT does not work.
    pub fn avoid_chunking(&mut self) {
        self.chunking = false;
    }

    /// Takes bytes from `input` (and moves it forward) up to the first thing the caller must act on.
    pub fn step(&mut self, input: &mut &[u8]) -> Step {
        loop {
            if let Some(outcomes) = self.outcomes.take() {
                return Step::Done(outcomes);
            }
            if let State::Closed(closed) = &self.state {
                return Step::Closed(closed.clone());
            }
            if matches!(self.state, State::Handshake) {
                if input.is_empty() {
                    return Step::StartTls;
                }
                // Said before the handshake, and so by anybody.
                self.unexpected();
                continue;
            }
            match self.replies.next(input) {
                Ok(Some(reply)) => self.take_reply(reply),
                Err(fault) => self.fail(Cause::Error(fault.into())),
                Ok(None) => {
                    return match (&self.state, self.sending) {
                        (State::Ready, _) if !self.replies.is_amid() => Step::Ready,
                        (_, Some(form)) => Step::SendBody(form),
                        _ => Step::NeedInput,
                    };
                }
            }
        }
    }

    /// Begins a transaction. What needs no peer to fail (a size over the announced limit) fails at once, with
    /// [`Step::Done`].
    ///
    /// # Panics
    /// When the session is not [ready](Step::Ready), or the envelope has no or too many recipients.
    pub fn begin(&mut self, envelope: Envelope) {
        self.begin_with(envelope, Aim::Deliver);
    }

    /// The same with another aim.
    ///
    /// # Panics
    /// As there.
    pub fn begin_with(&mut self, envelope: Envelope, aim: Aim) {
        assert!(matches!(self.state, State::Ready), "a transaction begins when the session is ready");
        let protection = self.entry.protection;
        let transaction =
            Transaction::new(envelope, aim, self.capabilities, protection, self.chunking, &self.config);
        self.transactions = self.transactions.saturating_add(1);
        if transaction.is_offered() {
            self.open_transaction(transaction);
        } else {
            self.outcomes = Some(transaction.into_outcomes());
        }
    }

    /// TLS is up. After [`Step::StartTls`], or before the first step of a connection that is encrypted from its
    /// first byte. What the peer offered before is forgotten.
    ///
    /// # Panics
    /// At any other time, and with [`Protection::None`].
    pub fn tls_started(&mut self, protection: Protection) {
        assert!(protection != Protection::None, "TLS protects");
        self.entry.protection = protection;
        self.entry.starttls = StartTls::Never;
        match self.state {
            State::Handshake => self.say_hello(),
            State::Awaiting(Phase::Banner) => {}
            _ => panic!("no handshake was asked for"),
        }
    }

    /// The TLS handshake failed, or its result does not do. [`Step::Closed`] follows.
    ///
    /// # Panics
    /// When no [`Step::StartTls`] came before.
    pub fn tls_failed(&mut self, reason: &str) {
        assert!(matches!(self.state, State::Handshake), "no handshake was asked for");
        self.fail(Cause::Tls(reason.into()));
    }

    /// The message has been handed to the connection, in the form that was asked for. Say so before the next step.
    ///
    /// # Panics
    /// When no [`Step::SendBody`] came before.
    pub fn body_sent(&mut self) {
        assert!(self.sending.take().is_some(), "no message was asked for");
        self.mark = self.mark.wrapping_add(1);
    }

    /// Says QUIT. [`Step::Closed`] follows when it is answered; the driver need not wait for that.
    ///
    /// # Panics
    /// When the session is neither [ready](Step::Ready) nor closed.
    pub fn quit(&mut self) {
        match self.state {
            State::Ready => {
                self.output.push_constant(b"QUIT\r\n");
                self.wait_for(Phase::Quit);
            }
            State::Closed(_) => {}
            State::Awaiting(_) | State::Handshake => panic!("cannot quit at {}", self.phase()),
        }
    }

    /// The connection broke, or a clock of [`patience`](Self::patience) ran out. A transaction in flight is
    /// settled: who has no outcome yet gets `how`, at the phase that was awaited.
    pub fn lost(&mut self, how: Network) {
        match self.state {
            State::Awaiting(Phase::Quit) => self.close(None),
            State::Closed(_) => {}
            _ => self.fail(Cause::Error(Error::Network(how))),
        }
    }

    /// What there is to send since the last call. Empty when there is nothing.
    pub fn take_output(&mut self) -> Bytes {
        self.output.take()
    }

    /// How long to wait for the next input; while the message is being sent, for the peer to take the next block.
    /// Between transactions there is no limit: how long to keep an idle connection is the caller's to say.
    pub fn patience(&self) -> Patience {
        let timeouts = &self.config.timeouts;
        let (idle, total) = match self.state {
            _ if self.sending.is_some() => (timeouts.body, Duration::MAX),
            State::Awaiting(_) | State::Handshake => (timeouts.of(self.phase()), timeouts.of(self.phase())),
            State::Ready | State::Closed(_) => (Duration::MAX, Duration::MAX),
        };
        Patience { idle, total, mark: self.mark }
    }

    /// What is awaited now.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Awaiting(_) if self.sending.is_some() => Phase::Body,
            State::Awaiting(phase) => *phase,
            State::Handshake => Phase::StartTls,
            State::Ready => Phase::Mail,
            State::Closed(closed) => closed.phase,
        }
    }

    /// The greeting, once it has come.
    pub fn greeting(&self) -> Option<&Reply> {
        self.entry.greeting.as_ref()
    }

    /// How the connection is protected.
    pub fn protection(&self) -> Protection {
        self.entry.protection
    }

    /// What the peer offers.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Transactions begun on this connection.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether the peer takes a further transaction on this connection, as far as it has said (MAILMAX of RFC
    /// 9422).
    pub fn has_room(&self) -> bool {
        self.capabilities.limits.mail_max.is_none_or(|max| self.transactions < max)
    }

    fn take_reply(&mut self, reply: Reply) {
        self.mark = self.mark.wrapping_add(1);
        match self.state {
            State::Awaiting(Phase::Quit) => self.close(None),
            // RFC 5321 3.8: the peer closes, whatever was asked.
            _ if reply.code() == 421 => self.fail(Cause::Reply(reply)),
            State::Awaiting(phase) => self.take_awaited(phase, reply),
            State::Handshake | State::Ready | State::Closed(_) => self.unexpected(),
        }
    }

    fn take_awaited(&mut self, phase: Phase, reply: Reply) {
        match phase {
            Phase::Banner => self.take_banner(reply),
            Phase::Ehlo | Phase::Helo | Phase::Lhlo => self.take_hello(phase, &reply),
            Phase::StartTls => self.take_starttls(&reply),
            Phase::Xclient => self.take_xclient(&reply),
            Phase::AuthCramMd5 | Phase::AuthPlain | Phase::AuthLogin | Phase::AuthLoginUser | Phase::Auth => {
                self.take_auth(phase, &reply)
            }
            Phase::Rset => self.take_rset(&reply),
            Phase::Mail => self.take_mail(reply),
            Phase::Rcpt => self.take_rcpt(reply),
            Phase::Data => self.take_data(reply),
            Phase::Eod => self.take_end(reply),
            Phase::Body | Phase::Quit => self.unexpected(),
        }
    }

    // Moves.

    pub(super) fn wait_for(&mut self, phase: Phase) {
        self.state = State::Awaiting(phase);
        self.mark = self.mark.wrapping_add(1);
    }

    /// Has the caller send the message; the next reply is that of `phase`.
    pub(super) fn send_body(&mut self, form: BodyForm, phase: Phase) {
        self.sending = Some(form);
        self.wait_for(phase);
    }

    /// Whether the caller still sends the message.
    pub(super) fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// A transaction is over, the connection is not.
    pub(super) fn settle(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes = Some(outcomes);
        self.state = State::Ready;
    }

    /// Ends the connection, and with it the transaction in flight.
    pub(super) fn fail(&mut self, cause: Cause) {
        let phase = self.phase();
        if let Some(mut transaction) = self.transaction.take() {
            transaction.decide_rest(phase, &cause);
            self.outcomes = Some(transaction.into_outcomes());
        }
        self.close(Some(cause));
    }

    pub(super) fn unexpected(&mut self) {
        self.fail(Cause::Error(PeerMisbehaved::ReplyUnexpected.into()));
    }

    fn close(&mut self, cause: Option<Cause>) {
        self.state = State::Closed(Closed { phase: self.phase(), cause });
        self.sending = None;
        self.output.clear();
    }
}
