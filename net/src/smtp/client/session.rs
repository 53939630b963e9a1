//! The state machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Capabilities;
use super::config::{Config, StartTls};
use super::outcome::{Cause, Closed, Envelope, Outcome, Phase, Protection, Step};
use super::reply_reader::ReplyReader;
use super::transaction::Transaction;
use crate::smtp::error::{Error, Network, PeerIncompatible, PeerMisbehaved};
use crate::smtp::output::Output;
use crate::smtp::patience::Patience;
use crate::smtp::reply::Reply;

/// One connection to a peer that takes our mail.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    output: Output,
    replies: ReplyReader,
    state: State,
    greeting: Option<Reply>,
    capabilities: Capabilities,
    protection: Protection,
    /// When to ask for TLS: as configured, until it is up or is known not to work.
    starttls: StartTls,
    transaction: Option<Box<Transaction>>,
    /// Outcomes of a transaction that is over, for the caller to fetch.
    outcomes: Option<Vec<Outcome>>,
    /// Whether a transaction is open at the peer that will not be completed.
    needs_reset: bool,
    transactions: u32,
    /// See [`Patience::mark`].
    mark: u32,
}

#[derive(Debug)]
enum State {
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

    fn with_starttls(config: Arc<Config>, starttls: StartTls) -> Session {
        Session {
            config,
            output: Output::default(),
            replies: ReplyReader::default(),
            state: State::Awaiting(Phase::Banner),
            greeting: None,
            capabilities: Capabilities::default(),
            protection: Protection::None,
            starttls,
            transaction: None,
            outcomes: None,
            needs_reset: false,
            transactions: 0,
            mark: 0,
        }
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
                    return match self.state {
                        State::Ready if !self.replies.is_amid() => Step::Ready,
                        State::Awaiting(Phase::Body) => Step::SendBody,
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
        assert!(matches!(self.state, State::Ready), "a transaction begins when the session is ready");
        let transaction = Transaction::new(envelope, self.capabilities, self.protection, &self.config);
        self.transactions = self.transactions.saturating_add(1);
        if !transaction.is_offered() {
            self.outcomes = Some(transaction.into_outcomes());
            return;
        }
        let pipelined = transaction.pipelined;
        if self.needs_reset {
            self.output.push_constant(b"RSET\r\n");
        }
        if pipelined || !self.needs_reset {
            transaction.push_mail(self.capabilities, &mut self.output);
        }
        if pipelined {
            transaction.push_all_rcpt(&mut self.output);
            self.output.push_constant(b"DATA\r\n");
        }
        self.transaction = Some(Box::new(transaction));
        self.wait_for(if self.needs_reset { Phase::Rset } else { Phase::Mail });
    }

    /// TLS is up. After [`Step::StartTls`], or before the first step of a connection that is encrypted from its
    /// first byte. What the peer offered before is forgotten.
    ///
    /// # Panics
    /// At any other time, and with [`Protection::None`].
    pub fn tls_started(&mut self, protection: Protection) {
        assert!(protection != Protection::None, "TLS protects");
        self.protection = protection;
        self.starttls = StartTls::Never;
        match self.state {
            State::Handshake => {
                self.capabilities = Capabilities::default();
                self.push_hello("EHLO ");
                self.wait_for(Phase::Ehlo);
            }
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

    /// The message and its final dot have been handed to the connection. Say so before the next step.
    ///
    /// # Panics
    /// When no [`Step::SendBody`] came before.
    pub fn body_sent(&mut self) {
        assert!(matches!(self.state, State::Awaiting(Phase::Body)), "no message was asked for");
        self.wait_for(Phase::Eod);
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
        let (idle, total) = match self.state {
            State::Awaiting(Phase::Body) => (self.config.timeouts.body, Duration::MAX),
            State::Awaiting(_) | State::Handshake => {
                let time = self.config.timeouts.of(self.phase());
                (time, time)
            }
            State::Ready | State::Closed(_) => (Duration::MAX, Duration::MAX),
        };
        Patience { idle, total, mark: self.mark }
    }

    /// What is awaited now.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Awaiting(phase) => *phase,
            State::Handshake => Phase::StartTls,
            State::Ready => Phase::Mail,
            State::Closed(closed) => closed.phase,
        }
    }

    /// The greeting, once it has come.
    pub fn greeting(&self) -> Option<&Reply> {
        self.greeting.as_ref()
    }

    /// How the connection is protected.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// What the peer offers.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Transactions begun on this connection.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    // Replies.

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
            Phase::Ehlo | Phase::Helo => self.take_hello(phase, reply),
            Phase::StartTls => self.take_starttls(reply),
            Phase::Rset if reply.is_positive() => {
                self.needs_reset = false;
                self.ask_next(Phase::Mail);
            }
            Phase::Mail => self.take_mail(reply),
            Phase::Rcpt => self.take_rcpt(reply),
            Phase::Data => self.take_data(reply),
            // A refusal may come before the whole message has been sent; the rest cannot be taken back.
            Phase::Body if !reply.is_positive() && !reply.is_intermediate() => self.fail(Cause::Reply(reply)),
            Phase::Eod if !reply.is_intermediate() => {
                self.finish(Phase::Eod, Some(reply));
                self.needs_reset = false;
            }
            Phase::Rset | Phase::Body | Phase::Eod | Phase::Quit => self.unexpected(),
        }
    }

    fn take_banner(&mut self, reply: Reply) {
        let accepted = reply.is_positive();
        if !accepted {
            return self.refused(reply);
        }
        self.greeting = Some(reply);
        self.push_hello("EHLO ");
        self.wait_for(Phase::Ehlo);
    }

    fn take_hello(&mut self, phase: Phase, reply: Reply) {
        if reply.is_positive() {
            if phase == Phase::Ehlo {
                self.capabilities = Capabilities::from_ehlo(&reply);
            }
            self.greeted();
        } else if phase == Phase::Ehlo && reply.is_permanent() && self.starttls != StartTls::Required {
            self.push_hello("HELO ");
            self.wait_for(Phase::Helo);
        } else {
            self.refused(reply);
        }
    }

    /// The peer has told what it offers.
    fn greeted(&mut self) {
        match self.starttls {
            StartTls::IfOffered | StartTls::Required if self.capabilities.starttls => {
                self.output.push_constant(b"STARTTLS\r\n");
                self.wait_for(Phase::StartTls);
            }
            StartTls::Required => self.fail_at(Phase::StartTls, PeerIncompatible::StartTls.into()),
            StartTls::Never | StartTls::IfOffered => self.state = State::Ready,
        }
    }

    fn take_starttls(&mut self, reply: Reply) {
        if reply.is_positive() {
            self.state = State::Handshake;
        } else if self.starttls == StartTls::Required || reply.is_intermediate() {
            self.refused(reply);
        } else {
            self.starttls = StartTls::Never;
            self.state = State::Ready;
        }
    }

    fn take_mail(&mut self, reply: Reply) {
        if reply.is_intermediate() {
            return self.unexpected();
        }
        let transaction = self.transaction();
        let accepted = reply.is_positive();
        transaction.mail_accepted = accepted;
        if !accepted {
            transaction.decide_rest(Phase::Mail, &Cause::Reply(reply));
        }
        // The answers to what was sent behind MAIL come in any case.
        if accepted || transaction.pipelined {
            self.ask_next(Phase::Rcpt)
        } else {
            self.finish(Phase::Mail, None)
        }
    }

    fn take_rcpt(&mut self, reply: Reply) {
        if reply.is_intermediate() {
            return self.unexpected();
        }
        let transaction = self.transaction();
        let refusal = (!reply.is_positive()).then_some(Cause::Reply(reply));
        transaction.answer_recipient(refusal);
        if !transaction.all_answered() {
            self.ask_next(Phase::Rcpt);
        } else if transaction.any_accepted || transaction.pipelined {
            self.ask_next(Phase::Data);
        } else {
            self.finish(Phase::Rcpt, None);
        }
    }

    fn take_data(&mut self, reply: Reply) {
        if reply.is_positive() {
            self.unexpected();
        } else if !reply.is_intermediate() {
            self.finish(Phase::Data, Some(reply));
        } else if self.transaction().any_accepted {
            self.wait_for(Phase::Body);
        } else {
            // RFC 2920 3.1: DATA was accepted though no recipient was; end it with a lone dot.
            self.output.push_constant(b".\r\n");
            self.wait_for(Phase::Eod);
        }
    }

    // Moves.

    /// Sends the command for `phase`, unless it has left already, and waits for its answer.
    fn ask_next(&mut self, phase: Phase) {
        let transaction = self.transaction.as_ref().expect("asked within a transaction");
        if !transaction.pipelined {
            match phase {
                Phase::Mail => transaction.push_mail(self.capabilities, &mut self.output),
                Phase::Rcpt => transaction.push_next_rcpt(&mut self.output),
                Phase::Data => self.output.push_constant(b"DATA\r\n"),
                other => unreachable!("{other} is no part of an envelope"),
            }
        }
        self.wait_for(phase);
    }

    fn wait_for(&mut self, phase: Phase) {
        self.state = State::Awaiting(phase);
        self.mark = self.mark.wrapping_add(1);
    }

    /// Ends the transaction. `reply` decides for who is left.
    fn finish(&mut self, phase: Phase, reply: Option<Reply>) {
        let mut transaction = self.transaction.take().expect("finished within a transaction");
        if let Some(reply) = reply {
            transaction.decide_rest(phase, &Cause::Reply(reply));
        }
        self.needs_reset = transaction.mail_accepted;
        self.outcomes = Some(transaction.into_outcomes());
        self.state = State::Ready;
    }

    /// Ends the connection, and with it the transaction in flight.
    fn fail(&mut self, cause: Cause) {
        let phase = self.phase();
        if let Some(mut transaction) = self.transaction.take() {
            transaction.decide_rest(phase, &cause);
            self.outcomes = Some(transaction.into_outcomes());
        }
        self.close(Some(cause));
    }

    /// Ends a connection that never became ready.
    fn fail_at(&mut self, phase: Phase, error: Error) {
        self.state = State::Awaiting(phase);
        self.fail(Cause::Error(error));
    }

    /// A reply that ends the session before it was ready.
    fn refused(&mut self, reply: Reply) {
        if reply.is_intermediate() { self.unexpected() } else { self.fail(Cause::Reply(reply)) }
    }

    fn unexpected(&mut self) {
        self.fail(Cause::Error(PeerMisbehaved::ReplyUnexpected.into()));
    }

    fn close(&mut self, cause: Option<Cause>) {
        self.state = State::Closed(Closed { phase: self.phase(), cause });
        self.output.clear();
    }

    fn transaction(&mut self) -> &mut Transaction {
        self.transaction.as_mut().expect("these replies are awaited within a transaction")
    }

    fn push_hello(&mut self, verb: &str) {
        let buffer = self.output.buffer();
        buffer.extend_from_slice(verb.as_bytes());
        buffer.extend_from_slice(self.config.hostname.as_bytes());
        buffer.extend_from_slice(b"\r\n");
    }
}
