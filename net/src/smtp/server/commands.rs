//! Commands: which may come when, and what they ask of the caller.

use super::command::{self, Command};
use super::event::{Close, Discard, Event, Mail, Rcpt, Step, Verb};
use super::line::Line;
use super::session::{Question, Said, Session};
use super::xclient::{Attribute, XClient};
use crate::limits::{AUTH_LINE_BYTES_MAX, BAD_COMMANDS_MAX, COMMAND_LINE_BYTES_MAX};
use crate::smtp::error::{Error, LocalLimit, PeerMisbehaved};

impl Session {
    /// The next line is a command.
    pub(super) fn step_command<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        self.said = None;
        let offered = self.offered();
        let line_bytes_max = if offered.auth { AUTH_LINE_BYTES_MAX } else { COMMAND_LINE_BYTES_MAX };
        if self.watching.commands() {
            return self.step_watched_command(input, line_bytes_max);
        }
        let read = |line: &[u8]| (command::verb(line), command::parse(line, offered));
        let (verb, command) = match self.line.next(input, line_bytes_max, read) {
            Line::Partial => return Some(Step::NeedInput),
            Line::Endless => {
                self.abort(PeerMisbehaved::CommandWithoutEnd.into());
                return None;
            }
            Line::TooLong => (None, Err(PeerMisbehaved::CommandTooLong)),
            Line::Complete(read) => read,
        };
        self.mark = self.mark.wrapping_add(1);
        self.said = verb.map(Said::Command);
        self.take_command(command)
    }

    /// Runs a command that has been read, or says what is wrong with it.
    pub(super) fn take_command<'i>(&mut self, command: Result<Command, PeerMisbehaved>) -> Option<Step<'i>> {
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
            Command::XClient(_) if !self.xclient => Err(PeerMisbehaved::NotImplemented),
            Command::StartTls | Command::XClient(_) if self.in_transaction => {
                Err(PeerMisbehaved::InTransaction)
            }
            Command::Auth { .. } => self.auth_in_sequence().map(|()| command),
            Command::Mail(_) if self.config.tls_required && !self.encrypted => Err(PeerMisbehaved::NeedTls),
            Command::Mail(_) if self.in_transaction && !self.is_chunk_refused() => {
                Err(PeerMisbehaved::NestedMail)
            }
            Command::Mail(_) if self.config.hello_required && self.verb.is_none() => {
                Err(PeerMisbehaved::NeedHello)
            }
            Command::Rcpt(_) | Command::Data if !self.in_transaction => Err(PeerMisbehaved::NeedMail),
            Command::Rcpt(_) | Command::Data if self.message.is_some() => Err(PeerMisbehaved::InChunks),
            Command::Data if self.recipients == 0 => Err(PeerMisbehaved::NeedRecipient),
            command => Ok(command),
        }
    }

    fn auth_in_sequence(&self) -> Result<(), PeerMisbehaved> {
        let offered = self.offered();
        match () {
            () if self.authenticated => Err(PeerMisbehaved::AlreadyAuthenticated),
            () if self.in_transaction => Err(PeerMisbehaved::InTransaction),
            () if offered.auth && self.verb != Some(Verb::Ehlo) => Err(PeerMisbehaved::NeedHello),
            () if offered.auth => Ok(()),
            () if offered.starttls && self.auth_waits_for_tls() => Err(PeerMisbehaved::NeedTls),
            () => Err(PeerMisbehaved::NotImplemented),
        }
    }

    /// Whether the message failed in one of its chunks: the transaction is as good as over.
    fn is_chunk_refused(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.refusal.is_some())
    }

    fn run<'i>(&mut self, command: Command) -> Option<Step<'i>> {
        match command {
            Command::Auth { mechanism, initial } => return self.run_auth(&mechanism, initial),
            Command::Bdat(chunk) => return self.run_bdat(chunk),
            Command::Data => return Some(self.ask(Question::Data, Event::Data)),
            Command::Hello(hello) => return Some(self.ask(Question::Hello(hello.verb), Event::Hello(hello))),
            Command::Mail(mail) => return self.run_mail(mail),
            Command::Rcpt(rcpt) => return self.run_rcpt(rcpt),
            Command::StartTls => return Some(self.ask(Question::StartTls, Event::StartTls)),
            Command::XClient(xclient) => return Some(self.run_xclient(xclient)),
            Command::Help => self.push("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"),
            Command::Noop => self.push("250 2.0.0 Ok\r\n"),
            Command::Quit => {
                self.push("221 2.0.0 Bye\r\n");
                self.close(Close::Quit);
            }
            Command::Rset => {
                self.push("250 2.0.0 Ok\r\n");
                let was_open = self.in_transaction;
                self.end_transaction();
                if was_open {
                    return Some(Step::Discard(Discard::Reset));
                }
            }
            Command::Vrfy => self.push("252 2.1.5 Cannot verify, send some mail and see\r\n"),
        }
        None
    }

    fn run_mail<'i>(&mut self, mail: Mail) -> Option<Step<'i>> {
        let (messages_max, size_bytes_max) = (self.config.messages_max, self.size_bytes_max());
        if messages_max > 0 && self.transactions >= messages_max {
            self.abort(LocalLimit::TooManyMessages.into());
            return None;
        }
        if size_bytes_max > 0 && mail.size_bytes.is_some_and(|size| size > size_bytes_max) {
            self.push(Error::from(LocalLimit::MessageTooLarge).line());
            self.end_transaction();
            self.mail_refused = true;
            return None;
        }
        self.end_transaction();
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

    fn run_xclient<'i>(&mut self, xclient: XClient) -> Step<'i> {
        let verb = match xclient.helo {
            Attribute::Value(_) => Some(xclient.protocol.unwrap_or(Verb::Helo)),
            Attribute::Absent | Attribute::Unavailable => None,
        };
        let authenticated = match xclient.login {
            Attribute::Absent => None,
            Attribute::Unavailable => Some(false),
            Attribute::Value(_) => Some(true),
        };
        self.ask(Question::XClient(verb, authenticated), Event::XClient(Box::new(xclient)))
    }

    /// What follows a refused MAIL in the same packet is no fault of the peer.
    fn is_excused(&mut self, fault: PeerMisbehaved) -> bool {
        let excused = self.mail_refused
            && fault == PeerMisbehaved::NeedMail
            && self.recipients < self.config.recipients_max;
        self.recipients += u32::from(excused);
        excused
    }

    pub(super) fn bad_command(&mut self, fault: PeerMisbehaved) {
        if fault == PeerMisbehaved::BadChunkSize {
            return self.abort(fault.into());
        }
        if self.is_excused(fault) {
            return self.push(Error::from(fault).line());
        }
        self.bad_commands += 1;
        if self.bad_commands > BAD_COMMANDS_MAX {
            self.abort(PeerMisbehaved::TooManyBadCommands.into());
        } else {
            self.push(Error::from(fault).line());
        }
    }
}
