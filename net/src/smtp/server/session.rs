//! The state machine.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::body::{Decoded, Decoder};
use super::command::{self, Command};
use super::event::{Close, Discard, Event, Mail, Rcpt, Step, Summary, Verb};
use super::line::{Line, LineReader};
use super::{Config, Extensions, Timeouts};
use crate::limits::{BAD_COMMANDS_MAX, DISCARD_BYTES_MAX};
use crate::smtp::HeaderScan;
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved};
use crate::smtp::output::Output;
use crate::smtp::patience::{Clock, Patience};
use crate::smtp::reply::{Reply, printable};

/// One connection of a peer that sends mail. Small, and without heap while idle.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    output: Output,
    line: LineReader,
    state: State,
    verb: Option<Verb>,
    /// Whether the connection is under TLS.
    encrypted: bool,
    /// Whether its MAIL said SMTPUTF8.
    smtputf8: bool,
    /// Whether a MAIL was accepted and its transaction is not over.
    in_transaction: bool,
    /// Recipients accepted in this transaction.
    recipients: u32,
    /// Transactions begun on this connection.
    transactions: u32,
    /// Since the last accepted message.
    bad_commands: u8,
    /// See [`Patience::mark`].
    mark: u32,
}

#[derive(Debug)]
enum State {
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
    Data(Incoming),
    /// Over.
    Closed(Close),
}

/// Which event is with the caller.
#[derive(Clone, Copy, Debug)]
enum Question {
    Connect,
    Hello(Verb),
    Mail,
    Rcpt,
    StartTls,
    Data,
    EndOfData,
}

/// A message on its way in.
#[derive(Debug)]
struct Incoming {
    decoder: Decoder,
    header: HeaderScan,
    /// Bytes passed on.
    size_bytes: u64,
    /// Why the message will be refused, once that is clear. From then on nothing is passed on.
    refusal: Option<Error>,
    /// Bytes taken since then.
    discarded_bytes: u64,
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
            encrypted: false,
            smtputf8: false,
            in_transaction: false,
            recipients: 0,
            transactions: 0,
            bad_commands: 0,
            mark: 0,
        }
    }

    /// Takes bytes from `input` (and moves it forward) up to the first thing the caller must act on.
    ///
    /// # Panics
    /// When an event is unanswered.
    pub fn step<'i>(&mut self, input: &mut &'i [u8]) -> Step<'i> {
        loop {
            let step = match &mut self.state {
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
                State::Data(_) => self.step_data(input),
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
            Question::Connect => self.push_banner(),
            Question::Hello(verb) => self.push_hello(verb),
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
            _ => reply.is_positive(),
        };
        let with_enhanced = self.with_enhanced();
        reply.encode(with_enhanced, self.output.buffer());
        self.answered(accepted);
    }

    /// Answers the pending event with what the table has for `error`.
    ///
    /// # Panics
    /// When no event is pending.
    pub fn refuse(&mut self, error: Error) {
        self.question();
        self.push(error.line());
        self.answered(false);
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
                self.verb = None;
                self.end_transaction();
                self.mark = self.mark.wrapping_add(1);
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
        match &mut self.state {
            State::Data(incoming) => incoming.refusal = incoming.refusal.or(Some(error)),
            state => panic!("no message comes in: {state:?}"),
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
        let Timeouts { idle, data, data_bytes_per_second } = self.config.timeouts;
        let total = match &self.state {
            State::Data(incoming) => {
                let taken = incoming.size_bytes + incoming.discarded_bytes;
                data.saturating_add(Duration::from_secs(taken / data_bytes_per_second.max(1)))
            }
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
        matches!(self.state, State::Data(_))
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

    // Commands.

    fn step_command<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        let offered = self.offered();
        let command = match self.line.next(input, |line| command::parse(line, offered)) {
            Line::Partial => return Some(Step::NeedInput),
            Line::Endless => {
                self.abort(PeerMisbehaved::CommandWithoutEnd.into());
                return None;
            }
            Line::TooLong => Err(PeerMisbehaved::CommandTooLong),
            Line::Complete(command) => command,
        };
        self.mark = self.mark.wrapping_add(1);
        match command.and_then(|command| self.in_sequence(command)) {
            Ok(command) => self.run(command),
            Err(fault) => {
                self.bad_command(fault);
                None
            }
        }
    }

    /// A command that may come now.
    fn in_sequence(&self, command: Command) -> Result<Command, PeerMisbehaved> {
        match command {
            Command::StartTls if !self.offered().starttls => Err(PeerMisbehaved::NotImplemented),
            Command::StartTls if self.in_transaction => Err(PeerMisbehaved::NestedMail),
            Command::Mail(_) if self.config.tls_required && !self.encrypted => Err(PeerMisbehaved::NeedTls),
            Command::Mail(_) if self.in_transaction => Err(PeerMisbehaved::NestedMail),
            Command::Mail(_) if self.config.hello_required && self.verb.is_none() => {
                Err(PeerMisbehaved::NeedHello)
            }
            Command::Rcpt(_) | Command::Data if !self.in_transaction => Err(PeerMisbehaved::NeedMail),
            Command::Data if self.recipients == 0 => Err(PeerMisbehaved::NeedRecipient),
            command => Ok(command),
        }
    }

    fn run<'i>(&mut self, command: Command) -> Option<Step<'i>> {
        match command {
            Command::Data => return Some(self.ask(Question::Data, Event::Data)),
            Command::Hello(hello) => return Some(self.ask(Question::Hello(hello.verb), Event::Hello(hello))),
            Command::Mail(mail) => return self.run_mail(mail),
            Command::Rcpt(rcpt) => return self.run_rcpt(rcpt),
            Command::StartTls => return Some(self.ask(Question::StartTls, Event::StartTls)),
            Command::Help => self.push("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"),
            Command::Noop => self.push("250 2.0.0 Ok\r\n"),
            Command::Quit => {
                self.push("221 2.0.0 Bye\r\n");
                self.close(Close::Quit);
            }
            Command::Rset => {
                self.push("250 2.0.0 Ok\r\n");
                if self.in_transaction {
                    self.end_transaction();
                    return Some(Step::Discard(Discard::Reset));
                }
            }
            Command::Vrfy => self.push("252 2.1.5 Cannot verify, send some mail and see\r\n"),
        }
        None
    }

    fn run_mail<'i>(&mut self, mail: Mail) -> Option<Step<'i>> {
        let Config { messages_max, size_bytes_max, .. } = *self.config;
        if messages_max > 0 && self.transactions >= messages_max {
            self.abort(LocalLimit::TooManyMessages.into());
            return None;
        }
        if size_bytes_max > 0 && mail.size_bytes.is_some_and(|size| size > size_bytes_max) {
            self.push(Error::from(LocalLimit::MessageTooLarge).line());
            return None;
        }
        self.smtputf8 = mail.parameters.smtp_utf8;
        Some(self.ask(Question::Mail, Event::Mail(mail)))
    }

    fn run_rcpt<'i>(&mut self, rcpt: Rcpt) -> Option<Step<'i>> {
        if self.recipients >= self.config.recipients_max {
            self.push(Error::from(LocalLimit::TooManyRecipients).line());
            return None;
        }
        let checked = command::check_utf8(&rcpt.recipient, self.smtputf8, PeerMisbehaved::BadRecipient);
        if let Err(fault) = checked {
            self.bad_command(fault);
            return None;
        }
        Some(self.ask(Question::Rcpt, Event::Rcpt(rcpt)))
    }

    fn bad_command(&mut self, fault: PeerMisbehaved) {
        self.bad_commands += 1;
        if self.bad_commands > BAD_COMMANDS_MAX {
            self.abort(PeerMisbehaved::TooManyBadCommands.into());
        } else {
            self.push(Error::from(fault).line());
        }
    }

    // Messages.

    fn step_data<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        let State::Data(incoming) = &mut self.state else { unreachable!("called in this state only") };
        let available = input.len();
        let decoded = incoming.decoder.next(input);
        if let Some(refusal) = incoming.refusal {
            incoming.discarded_bytes += (available - input.len()) as u64;
            match decoded {
                Decoded::NeedInput => return Some(Step::NeedInput),
                Decoded::End => self.end_refused(refusal),
                _ if incoming.discarded_bytes > DISCARD_BYTES_MAX => {
                    self.abort(PeerMisbehaved::EndlessMessage.into());
                }
                _ => {}
            }
            return None;
        }
        match decoded {
            Decoded::NeedInput => Some(Step::NeedInput),
            Decoded::Bytes(bytes) => Some(match incoming.pass(bytes, self.config.size_bytes_max) {
                Ok(()) => Step::Body(bytes),
                Err(limit) => incoming.discard(limit.into()),
            }),
            Decoded::Bad(fault) => Some(incoming.discard(fault)),
            Decoded::End => {
                let summary = incoming.summary();
                Some(self.ask(Question::EndOfData, Event::EndOfData(summary)))
            }
        }
    }

    fn end_refused(&mut self, refusal: Error) {
        self.push(refusal.line());
        self.end_transaction();
        self.state = State::Command;
        self.mark = self.mark.wrapping_add(1);
    }

    // Answers.

    fn ask<'i>(&mut self, question: Question, event: Event) -> Step<'i> {
        self.state = State::Asked(question);
        Step::Event(event)
    }

    fn question(&self) -> Question {
        match self.state {
            State::Asked(question) => question,
            ref state => panic!("no event is pending: {state:?}"),
        }
    }

    fn answered(&mut self, accepted: bool) {
        let question = self.question();
        self.state = State::Command;
        self.mark = self.mark.wrapping_add(1);
        match question {
            Question::Connect if accepted => self.state = State::Greeting,
            Question::Connect => self.close(Close::HungUp),
            Question::EndOfData => {
                if accepted {
                    self.bad_commands = 0;
                }
                self.end_transaction();
            }
            _ if !accepted => {}
            Question::Hello(verb) => {
                self.verb = Some(verb);
                self.end_transaction();
            }
            Question::Mail => {
                self.in_transaction = true;
                self.transactions = self.transactions.saturating_add(1);
            }
            Question::Rcpt => self.recipients += 1,
            Question::StartTls => self.state = State::Handshake,
            Question::Data => self.state = State::Data(Incoming::new(&self.config)),
        }
    }

    fn end_transaction(&mut self) {
        self.in_transaction = false;
        self.recipients = 0;
        self.smtputf8 = false;
    }

    fn close(&mut self, why: Close) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::Closed(why);
        }
    }

    /// What this connection is offered.
    fn offered(&self) -> Extensions {
        self.config.extensions.on_connection(self.encrypted)
    }

    /// Enhanced codes are for those who know them (RFC 2034 4).
    fn with_enhanced(&self) -> bool {
        self.config.extensions.enhanced_status_codes && self.verb == Some(Verb::Ehlo)
    }

    fn push(&mut self, line: &'static str) {
        let with_enhanced = self.with_enhanced();
        self.output.push_line(line, with_enhanced);
    }

    fn push_banner(&mut self) {
        let buffer = self.output.buffer();
        buffer.extend_from_slice(b"220 ");
        buffer.extend_from_slice(self.config.hostname.as_bytes());
        buffer.extend_from_slice(b" ESMTP\r\n");
    }

    fn push_hello(&mut self, verb: Verb) {
        let lines = match verb {
            Verb::Ehlo => self.offered().lines(&self.config),
            Verb::Helo => Vec::new(),
        };
        let buffer = self.output.buffer();
        buffer.extend_from_slice(if lines.is_empty() { b"250 " } else { b"250-" });
        buffer.extend_from_slice(self.config.hostname.as_bytes());
        buffer.extend_from_slice(b"\r\n");
        for (index, line) in lines.iter().enumerate() {
            buffer.extend_from_slice(if index + 1 < lines.len() { b"250-" } else { b"250 " });
            buffer.extend_from_slice(line.as_bytes());
            buffer.extend_from_slice(b"\r\n");
        }
    }
}

impl Incoming {
    fn new(config: &Config) -> Incoming {
        Incoming {
            decoder: Decoder::new(config.bare_eol),
            header: HeaderScan::new(config.hops_max),
            size_bytes: 0,
            refusal: None,
            discarded_bytes: 0,
        }
    }

    /// Whether `bytes` may pass. What breaks a limit first decides, however the message was cut into slices.
    fn pass(&mut self, bytes: &[u8], size_bytes_max: u64) -> Result<(), LocalLimit> {
        let room = if size_bytes_max == 0 { u64::MAX } else { size_bytes_max - self.size_bytes };
        let fits = room >= bytes.len() as u64;
        self.header.feed(if fits { bytes } else { &bytes[..room as usize] })?;
        if !fits {
            return Err(LocalLimit::MessageTooLarge);
        }
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    fn discard<'i>(&mut self, refusal: Error) -> Step<'i> {
        self.refusal = Some(refusal);
        Step::Discard(Discard::Refused(refusal))
    }

    fn summary(&self) -> Summary {
        Summary {
            size_bytes: self.size_bytes,
            header_bytes: self.header.header_bytes(),
            received: self.header.received(),
            eight_bit: self.decoder.eight_bit(),
        }
    }
}
