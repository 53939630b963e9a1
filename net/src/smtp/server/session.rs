//! The state machine.

use std::sync::Arc;

use bytes::Bytes;

use super::Config;
use super::auth::Exchange;
use super::command::Known;
use super::event::{Close, Event, Step, Verb};
use super::hello::Announced;
use super::line::LineReader;
use super::message::{Chunk, Incoming};
use super::watch::{Held, Watching};
use crate::smtp::error::{Error, PeerMisbehaved};
use crate::smtp::output::Output;
use crate::smtp::patience::{Clock, Patience};
use crate::smtp::reply::{Reply, printable};

/// One connection of a peer that sends mail. Small, and without heap while idle.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) output: Output,
    pub(super) line: LineReader,
    pub(super) state: State,
    pub(super) verb: Option<Verb>,
    /// Announced in the place of what the settings say.
    pub(super) announced: Option<Box<Announced>>,
    /// Whether the connection is under TLS.
    pub(super) encrypted: bool,
    /// Whether the peer may use XCLIENT.
    pub(super) xclient: bool,
    /// Whether an AUTH was accepted.
    pub(super) authenticated: bool,
    /// Credentials that were wrong.
    pub(super) auth_failures: u8,
    /// An AUTH that is with the caller.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Whether its MAIL said SMTPUTF8.
    pub(super) smtputf8: bool,
    /// Whether a MAIL was accepted and its transaction is not over.
    pub(super) in_transaction: bool,
    /// Whether the last MAIL was refused: what was pipelined behind it is no fault.
    pub(super) mail_refused: bool,
    /// Recipients accepted in this transaction; those answered after a refused MAIL.
    pub(super) recipients: u32,
    /// The message of this transaction, once some of it has come.
    pub(super) message: Option<Incoming>,
    /// Transactions begun on this connection.
    pub(super) transactions: u32,
    /// Since the last accepted message.
    pub(super) bad_commands: u8,
    /// See [`Patience::mark`].
    pub(super) mark: u32,
    /// Which lines the caller sees before they are read.
    pub(super) watching: Watching,
    /// The line that is with the caller.
    pub(super) held: Option<Box<Held>>,
    /// What the next reply answers, from when it was said until the next command is waited for.
    pub(super) said: Option<Said>,
}

/// Something of the peer that gets a reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// A line with this verb.
    Command(Known),
    /// A whole message.
    EndOfData,
}

#[derive(Debug)]
pub(super) enum State {
    /// Just connected.
    New,
    /// An event is with the caller.
    Asked(Question),
    /// The greeting is in the output, and not yet taken.
    Greeting,
    /// STARTTLS was accepted: the rest of the input is dropped.
    Handshake,
    /// The next line is a command.
    Command,
    /// A message comes in.
    Data,
    /// A chunk of one comes in.
    Chunk(Chunk),
    /// A chunk that belongs to no message: so many bytes of it are still to come.
    SkipChunk(u64),
    /// The next line is a response of the peer to a challenge.
    Auth(Box<Exchange>),
    /// A line that the caller has seen is to be read.
    Passed(Box<Held>),
    /// Over.
    Closed(Close),
}

/// Which event is with the caller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Auth,
    Chunk(Chunk),
    Connect,
    Hello(Verb),
    Line,
    Mail,
    Rcpt,
    StartTls,
    Data,
    EndOfData,
    /// With the greeting that counts from then on, and whether the client is authenticated.
    XClient(Option<Verb>, Option<bool>),
}

impl Session {
    /// A session for a connection just accepted. Its first step is [`Event::Connect`].
    pub fn new(config: Arc<Config>) -> Session {
        Session {
            config,
            output: Output::default(),
            line: LineReader::default(),
            state: State::New,
            verb: None,
            announced: None,
            encrypted: false,
            xclient: false,
            authenticated: false,
            auth_failures: 0,
            exchange: None,
            smtputf8: false,
            in_transaction: false,
            mail_refused: false,
            recipients: 0,
            message: None,
            transactions: 0,
            bad_commands: 0,
            mark: 0,
            watching: Watching::default(),
            held: None,
            said: None,
        }
    }

    /// Takes bytes from `input` (and moves it forward) up to the first thing the caller must act on.
    ///
    /// # Panics
    /// When an event is unanswered.
    pub fn step<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        loop {
            let step = match &self.state {
                State::New => Some(self.ask(Question::Connect, Event::Connect)),
                State::Asked(question) => panic!("{question:?} is unanswered"),
                State::Greeting if input.is_empty() => Some(Step::NeedInput),
                State::Greeting => {
                    self.output.clear();
                    self.abort(PeerMisbehaved::TalkedBeforeGreeting.into());
                    None
                }
                State::Handshake => {
                    *input = &[];
                    Some(Step::Handshake)
                }
                State::Command => self.step_command(input),
                State::Data => self.step_data(input),
                State::Chunk(chunk) => self.step_chunk(*chunk, input),
                State::SkipChunk(left_bytes) => self.step_skip(*left_bytes, input),
                State::Auth(_) => self.step_auth(input),
                State::Passed(_) => self.step_passed(),
                State::Closed(why) => Some(Step::Close(*why)),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// Answers the pending event with its usual positive reply.
    ///
    /// # Panics
    /// When no event is pending.
    pub fn accept(&mut self) {
        match self.question() {
            Question::Auth => self.push("235 2.7.0 Authentication succeeded\r\n"),
            Question::Chunk(_) => {}
            Question::Connect | Question::XClient(..) => self.push_banner(),
            Question::Hello(_) => return self.accept_hello(None, None),
            Question::Line => return self.pass_line(None),
            Question::Mail => self.push("250 2.1.0 Ok\r\n"),
            Question::Rcpt => self.push("250 2.1.5 Ok\r\n"),
            Question::StartTls => self.push("220 2.0.0 Ready to start TLS\r\n"),
            Question::Data => self.output.push_constant(b"354 End data with <CR><LF>.<CR><LF>\r\n"),
            Question::EndOfData => self.push("250 2.0.0 Ok\r\n"),
        }
        self.answered(true);
    }

    /// Answers [`Event::EndOfData`] with `250 2.0.0 Ok: queued as ID`.
    ///
    /// # Panics
    /// When that event is not pending.
    pub fn accept_message(&mut self, id: &str) {
        assert!(matches!(self.question(), Question::EndOfData), "only a complete message can be queued");
        let text: &[u8] =
            if self.with_enhanced() { b"250 2.0.0 Ok: queued as " } else { b"250 Ok: queued as " };
        let buffer = self.output.buffer();
        buffer.extend_from_slice(text);
        buffer.extend(id.bytes().map(printable));
        buffer.extend_from_slice(b"\r\n");
        self.answered(true);
    }

    /// Answers the pending event. The class of the code decides: 2xx (3xx for DATA) accepts, anything else
    /// refuses. No code closes the connection, except as the answer to [`Event::Connect`]: see
    /// [`hang_up`](Self::hang_up).
    ///
    /// # Panics
    /// When no event is pending.
    pub fn reply(&mut self, reply: &Reply) {
        let accepted = match self.question() {
            Question::Data => reply.is_intermediate(),
            // A chunk is answered when it has come.
            Question::Chunk(_) if reply.is_positive() => return self.answered(true),
            _ => reply.is_positive(),
        };
        let with_enhanced = self.with_enhanced();
        reply.encode(with_enhanced, self.output.buffer());
        match self.question() {
            Question::Chunk(chunk) => self.chunk_answered(chunk, Some(PeerMisbehaved::ChunkRefused.into())),
            Question::Auth if !accepted => self.refused_auth(reply.is_permanent()),
            Question::Line => self.line_answered(),
            _ => self.answered(accepted),
        }
    }

    /// Answers the pending event with what the table has for `error`.
    ///
    /// # Panics
    /// When no event is pending.
    pub fn refuse(&mut self, error: Error) {
        let question = self.question();
        self.push(error.line());
        match question {
            Question::Chunk(chunk) => self.chunk_answered(chunk, Some(error)),
            Question::Auth => self.refused_auth(!error.is_transient()),
            Question::Line => self.line_answered(),
            _ => self.answered(false),
        }
    }

    /// Lets the peer use XCLIENT: before the answer to [`Event::Connect`].
    pub fn offer_xclient(&mut self) {
        self.xclient = true;
    }

    /// The connection is under TLS from now on: after [`Step::Handshake`], or before the first step where TLS comes
    /// before SMTP (RFC 8314). What the peer said before is forgotten (RFC 3207 4.2).
    ///
    /// # Panics
    /// At any other time.
    pub fn tls_started(&mut self) {
        match self.state {
            State::New => {}
            State::Handshake => {
                self.state = State::Command;
                self.line = LineReader::default();
                self.mark = self.mark.wrapping_add(1);
                self.forget();
            }
            ref state => panic!("no handshake is due: {state:?}"),
        }
        self.encrypted = true;
    }

    /// While a message comes in (between the answer to [`Event::Data`] and [`Event::EndOfData`]): drops what has
    /// come and what comes of it, and answers with `error` at its end. The caller drops its intake; no
    /// [`Step::Discard`] follows.
    ///
    /// # Panics
    /// When no message comes in.
    pub fn refuse_message(&mut self, error: Error) {
        assert!(self.in_data(), "no message comes in: {:?}", self.state);
        if let Some(incoming) = &mut self.message {
            incoming.refusal = incoming.refusal.or(Some(error));
        }
    }

    /// Ends the session once the output so far is sent: the next step is [`Step::Close`]. A pending event is
    /// void.
    pub fn hang_up(&mut self) {
        self.close(Close::HungUp);
    }

    /// Ends the session, telling the peer `error` (a 421): for shutdown, too many connections. A pending event is
    /// void.
    pub fn abort(&mut self, error: Error) {
        if !matches!(self.state, State::Closed(_)) {
            self.push(error.line());
            self.close(Close::Failed(error));
        }
    }

    /// Ends the session because a clock of [`patience`](Self::patience) ran out.
    pub fn timed_out(&mut self, _clock: Clock) {
        self.abort(PeerMisbehaved::TimedOut.into());
    }

    /// What there is to send, all replies since the last call. Empty when there is nothing.
    pub fn take_output(&mut self) -> Bytes {
        if matches!(self.state, State::Greeting) {
            self.state = State::Command;
        }
        self.output.take()
    }

    /// How long to wait for the next input.
    pub fn patience(&self) -> Patience {
        let idle = self.config.timeouts.idle;
        let total = match &self.message {
            Some(incoming) if self.in_data() => incoming.patience(&self.config.timeouts),
            _ => idle,
        };
        Patience { idle, total, mark: self.mark }
    }

    /// Whether a MAIL was accepted and its transaction is not over.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Whether a message is coming in.
    pub fn in_data(&self) -> bool {
        matches!(self.state, State::Data | State::Chunk(_))
    }

    /// Whether an AUTH was accepted.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// What the last reply answers, by the names that scripts have for it: while a command is being answered and behind that,
    /// its verb, and `EOD` of a whole message. While the peer is waited for, and for verbs that have no such name, how far it has
    /// come: what it said last and got a positive answer to; for a message that comes in, `DATA`.
    pub fn stage(&self) -> &'static str {
        let said = match self.said {
            Some(Said::EndOfData) => Some("EOD"),
            Some(Said::Command(verb)) => verb.stage(),
            None => None,
        };
        if let Some(said) = said {
            return said;
        }
        match self.verb {
            _ if self.message.is_some() => "DATA",
            _ if self.recipients > 0 => "RCPT",
            _ if self.in_transaction => "MAIL",
            Some(Verb::Ehlo) => "EHLO",
            Some(Verb::Helo) => "HELO",
            None => "BANNER",
        }
    }

    /// Whether everything the session holds is in the session itself.
    #[cfg(test)]
    pub(super) fn has_no_heap(&self) -> bool {
        matches!(self.output, Output::Empty) && self.line.has_no_heap()
    }

    /// Which greeting counts, if there was one.
    pub fn verb(&self) -> Option<Verb> {
        self.verb
    }

    // Answers.

    pub(super) fn ask<'i>(&mut self, question: Question, event: Event) -> Step<'i> {
        self.state = State::Asked(question);
        Step::Event(event)
    }

    pub(super) fn question(&self) -> Question {
        match self.state {
            State::Asked(question) => question,
            ref state => panic!("no event is pending: {state:?}"),
        }
    }

    pub(super) fn answered(&mut self, accepted: bool) {
        let question = self.question();
        self.state = State::Command;
        self.mark = self.mark.wrapping_add(1);
        match question {
            Question::Connect if accepted => self.state = State::Greeting,
            Question::Connect => self.close(Close::HungUp),
            Question::Line => {}
            Question::EndOfData => {
                if accepted {
                    self.bad_commands = 0;
                }
                self.end_transaction();
            }
            Question::Mail if !accepted => self.mail_refused = true,
            _ if !accepted => {}
            Question::Auth => self.auth_answered(true, false),
            Question::Chunk(chunk) => self.chunk_answered(chunk, None),
            Question::Hello(verb) => {
                self.verb = Some(verb);
                self.end_transaction();
            }
            Question::Mail => {
                self.end_transaction();
                self.in_transaction = true;
                self.transactions = self.transactions.saturating_add(1);
            }
            Question::Rcpt => self.recipients += 1,
            Question::StartTls => self.state = State::Handshake,
            Question::Data => {
                self.message = Some(Incoming::lines(&self.config));
                self.state = State::Data;
            }
            Question::XClient(verb, authenticated) => {
                let before = self.authenticated;
                self.forget();
                self.verb = verb;
                self.authenticated = authenticated.unwrap_or(before);
            }
        }
    }

    fn refused_auth(&mut self, permanent: bool) {
        self.answered(false);
        self.auth_answered(false, permanent);
    }

    /// Everything the peer said of itself and of its messages.
    fn forget(&mut self) {
        self.verb = None;
        self.announced = None;
        self.authenticated = false;
        self.end_transaction();
    }

    pub(super) fn end_transaction(&mut self) {
        self.in_transaction = false;
        self.mail_refused = false;
        self.recipients = 0;
        self.message = None;
    }

    pub(super) fn close(&mut self, why: Close) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::Closed(why);
        }
    }

    /// Whether replies have enhanced codes: they are for those who know them (RFC 2034 4).
    pub fn with_enhanced(&self) -> bool {
        self.offered().enhanced_status_codes && self.verb == Some(Verb::Ehlo)
    }

    pub(super) fn push(&mut self, line: &'static str) {
        let with_enhanced = self.with_enhanced();
        self.output.push_line(line, with_enhanced);
    }

    fn push_banner(&mut self) {
        let buffer = self.output.buffer();
        buffer.extend_from_slice(b"220 ");
        buffer.extend_from_slice(self.config.hostname.as_bytes());
        buffer.extend_from_slice(b" ESMTP\r\n");
    }
}
