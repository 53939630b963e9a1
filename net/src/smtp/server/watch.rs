//! Lines that the caller sees before they are read, and may answer or replace.
//!
//! A line that announces a chunk (BDAT) is never shown: what follows it is content, whatever becomes of the line.

use super::auth::{Exchange, decode_response};
use super::command;
use super::event::{Event, Step};
use super::line::Line;
use super::session::{Question, Said, Session, State};
use crate::limits::AUTH_LINE_BYTES_MAX;
use crate::smtp::error::PeerMisbehaved;

/// Which lines the caller wants to see.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watching {
    /// Every command.
    all: bool,
    /// The next line, whatever it is.
    next: bool,
}

impl Watching {
    pub(super) fn commands(self) -> bool {
        self.all || self.next
    }

    pub(super) fn next_line(self) -> bool {
        self.next
    }
}

/// A line that is with the caller.
#[derive(Debug)]
pub(super) struct Held {
    /// Up to but without its LF.
    raw: Vec<u8>,
    /// The exchange that it is a response in; a command otherwise.
    exchange: Option<Box<Exchange>>,
}

impl Session {
    /// Every command comes as [`Event::Line`] from now on, before it is read.
    pub fn watch_lines(&mut self) {
        self.watching.all = true;
    }

    /// The next line comes as [`Event::Line`], also where it is a response within AUTH.
    pub fn watch_next_line(&mut self) {
        self.watching.next = true;
    }

    /// The line of a pending [`Event::Line`], without its line end; empty where none is pending.
    pub fn shown_line(&self) -> &[u8] {
        let raw = self.held.as_ref().map_or(&[][..], |held| &held.raw);
        raw.strip_suffix(b"\r").unwrap_or(raw)
    }

    /// Answers [`Event::Line`]: the line is read as if it had not been shown, or this one is in its place, which has
    /// no line end.
    ///
    /// # Panics
    /// When that event is not pending.
    pub fn pass_line(&mut self, replacement: Option<&[u8]>) {
        let mut held = self.take_held();
        if let Some(line) = replacement {
            held.raw.clear();
            // Two lines in the place of one would be two commands, of which the second was never looked at.
            held.raw.extend(line.iter().map(|&byte| if byte == b'\n' { 0 } else { byte }));
            held.raw.push(b'\r');
        }
        self.state = State::Passed(held);
    }

    /// The caller has answered the line.
    pub(super) fn line_answered(&mut self) {
        let held = self.take_held();
        self.mark = self.mark.wrapping_add(1);
        self.state = match held.exchange {
            Some(exchange) => State::Auth(exchange),
            None => State::Command,
        };
    }

    fn take_held(&mut self) -> Box<Held> {
        assert!(matches!(self.question(), Question::Line), "no line is pending");
        self.held.take().expect("held with the question")
    }

    /// The next line is a command, and to be shown.
    pub(super) fn step_watched_command<'i>(
        &mut self,
        input: &mut &'i [u8],
        line_bytes_max: usize,
    ) -> Option<Step<'i>> {
        match self.line.next(input, line_bytes_max, <[u8]>::to_vec) {
            Line::Partial => Some(Step::NeedInput),
            Line::Endless => {
                self.abort(PeerMisbehaved::CommandWithoutEnd.into());
                None
            }
            Line::TooLong => {
                self.mark = self.mark.wrapping_add(1);
                self.bad_command(PeerMisbehaved::CommandTooLong);
                None
            }
            Line::Complete(raw) if command::is_chunk(&raw) => {
                self.mark = self.mark.wrapping_add(1);
                self.said = command::verb(&raw).map(Said::Command);
                let command = command::parse(&raw, self.offered());
                self.take_command(command)
            }
            Line::Complete(raw) => {
                self.said = command::verb(&raw).map(Said::Command);
                Some(self.show(raw, None))
            }
        }
    }

    /// The next line is a response of the peer to a challenge, and to be shown.
    pub(super) fn step_watched_response<'i>(&mut self, input: &mut &'i [u8]) -> Option<Step<'i>> {
        let raw = match self.line.next(input, AUTH_LINE_BYTES_MAX, <[u8]>::to_vec) {
            Line::Partial => return Some(Step::NeedInput),
            Line::Endless => {
                self.abort(PeerMisbehaved::CommandWithoutEnd.into());
                return None;
            }
            Line::TooLong => None,
            Line::Complete(raw) => Some(raw),
        };
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("called in this state only")
        };
        match raw {
            Some(raw) => Some(self.show(raw, Some(exchange))),
            None => self.take_response(exchange, Err(PeerMisbehaved::AuthLineTooLong)),
        }
    }

    fn show<'i>(&mut self, raw: Vec<u8>, exchange: Option<Box<Exchange>>) -> Step<'i> {
        self.watching.next = false;
        self.held = Some(Box::new(Held { raw, exchange }));
        self.ask(Question::Line, Event::Line)
    }

    /// Reads a line that the caller has passed.
    pub(super) fn step_passed<'i>(&mut self) -> Option<Step<'i>> {
        let State::Passed(held) = std::mem::replace(&mut self.state, State::Command) else {
            unreachable!("called in this state only")
        };
        self.mark = self.mark.wrapping_add(1);
        match held.exchange {
            Some(exchange) => self.take_response(exchange, decode_response(&held.raw)),
            None => {
                self.said = command::verb(&held.raw).map(Said::Command);
                self.take_command(command::parse(&held.raw, self.offered()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::smtp::address::Hostname;
    use crate::smtp::reply::Reply;
    use crate::smtp::server::Config;

    fn watched() -> Session {
        let mut config = Config::new(Hostname::parse(b"mx.example.com").expect("valid"));
        config.extensions.auth = true;
        config.auth.mechanisms = ["LOGIN".into()].into();
        let mut session = Session::new(Arc::new(config));
        session.watch_lines();
        session.step(&mut &b""[..]);
        session.accept();
        session.take_output();
        session
    }

    fn shown(session: &mut Session, input: &mut &[u8]) -> String {
        match session.step(input) {
            Step::Event(Event::Line) => String::from_utf8_lossy(session.shown_line()).into_owned(),
            step => panic!("no line was shown: {step:?}"),
        }
    }

    fn output(session: &mut Session) -> String {
        String::from_utf8_lossy(&session.take_output()).into_owned()
    }

    #[test]
    fn a_line_may_be_answered_replaced_or_passed() {
        let mut session = watched();
        let mut input = &b"PING\r\nHELO other\r\nNOOP\r\n"[..];
        assert_eq!(shown(&mut session, &mut input), "PING");
        session.reply(&Reply::new(250, None, "pong"));
        assert_eq!(shown(&mut session, &mut input), "HELO other");
        session.pass_line(Some(b"HELO fixed"));
        let Step::Event(Event::Hello(hello)) = session.step(&mut input) else { panic!("expected HELO") };
        assert_eq!(&*hello.host, b"fixed");
        session.accept();
        assert_eq!(shown(&mut session, &mut input), "NOOP");
        session.pass_line(None);
        assert!(matches!(session.step(&mut input), Step::NeedInput));
        assert_eq!(output(&mut session), "250 pong\r\n250 mx.example.com\r\n250 Ok\r\n");
    }

    #[test]
    fn a_replacement_is_one_line() {
        let mut session = watched();
        let mut input = &b"X\r\n"[..];
        shown(&mut session, &mut input);
        session.pass_line(Some(b"NOOP\r\nQUIT"));
        assert!(matches!(session.step(&mut input), Step::NeedInput));
        assert!(output(&mut session).starts_with("500 "), "it is no command");
        let mut bare = &b"NOOP\n"[..];
        assert_eq!(shown(&mut session, &mut bare), "NOOP");
        session.pass_line(None);
        assert!(matches!(session.step(&mut bare), Step::NeedInput));
        assert!(output(&mut session).starts_with("500 "), "showing a line does not repair it");
    }

    #[test]
    fn a_chunk_and_its_command_are_not_shown() {
        let mut session = watched();
        let mut input = &b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"[..];
        assert_eq!(shown(&mut session, &mut input), "NOOP");
        assert!(output(&mut session).starts_with("503 "));
        for odd in [&b" BDAT 6\r\n"[..], b"bdat\r\n", b"BDATA 6\r\n"] {
            let mut session = watched();
            let mut input = odd;
            match session.step(&mut input) {
                Step::Event(Event::Line) => {
                    session.pass_line(None);
                    assert!(matches!(session.step(&mut input), Step::NeedInput), "{odd:?} is no chunk");
                }
                step => assert!(matches!(step, Step::Close(_)), "{odd:?} ends the session"),
            }
        }
    }

    #[test]
    fn a_response_within_auth_is_shown_when_asked_for() {
        let mut session = watched();
        let mut input = &b"EHLO a\r\nAUTH LOGIN\r\ndQ==\r\ncA==\r\n"[..];
        shown(&mut session, &mut input);
        session.pass_line(None);
        session.step(&mut input);
        session.accept();
        assert_eq!(shown(&mut session, &mut input), "AUTH LOGIN");
        session.watch_next_line();
        session.pass_line(None);
        assert_eq!(shown(&mut session, &mut input), "dQ==");
        session.pass_line(Some(b"eA=="));
        let Step::Event(Event::Auth(claim)) = session.step(&mut input) else { panic!("expected AUTH") };
        assert!(matches!(claim, crate::smtp::server::Claim::Password { username, .. } if &*username == b"x"));
    }
}
