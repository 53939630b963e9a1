//! What a command writes, and how it asks the server.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use control::{Command, Message};

use crate::client::{Client, decode};
use crate::text::visible;
use crate::{Failure, Settings, json, limits};

/// One run of `halonctl`: the connection, and where its output goes.
pub struct Session<'o> {
    settings: Settings,
    client: Option<Client>,
    /// `--json`.
    pub(crate) json: bool,
    /// `--json-request`.
    pub(crate) json_request: bool,
    out: &'o mut dyn Write,
    errors: &'o mut dyn Write,
}

impl<'o> Session<'o> {
    pub(crate) fn new(settings: Settings, out: &'o mut dyn Write, errors: &'o mut dyn Write) -> Self {
        Self { settings, client: None, json: false, json_request: false, out, errors }
    }

    /// Writes to standard output.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(unwritten)
    }

    /// Writes a line to standard error. What cannot be said is not said.
    pub(crate) fn complain(&mut self, text: &str) {
        let _ = writeln!(self.errors, "halonctl: {}", visible(text));
    }

    /// Overwrites the line of a terminal that says how far long work is.
    pub(crate) fn progress(&mut self, text: &str) {
        if io::stderr().is_terminal() {
            let _ = write!(self.errors, "\r\x1b[K{text}").and_then(|()| self.errors.flush());
        }
    }

    /// The connection, made on first use.
    pub(crate) fn client(&mut self) -> Result<&mut Client, Failure> {
        Self::connected(&mut self.client, &self.settings)
    }

    fn connected<'c>(client: &'c mut Option<Client>, settings: &Settings) -> Result<&'c mut Client, Failure> {
        let connected = match client.take() {
            Some(client) => client,
            None => Client::connect(&settings.socket)?,
        };
        Ok(client.insert(connected))
    }

    /// Sends a request, shown first where that was asked for, and gives the encoded answer.
    pub(crate) fn call(
        &mut self,
        command: Command,
        request: &impl Message,
        wait: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let body = request.encode_to_vec();
        self.show_request(command, &body)?;
        self.client()?.call(command, &body, wait)
    }

    pub(crate) fn show_request(&mut self, command: Command, body: &[u8]) -> Result<(), Failure> {
        if self.json_request {
            self.print(&json::request(command, body)?)?;
        }
        Ok(())
    }

    /// The same for a command that answers within a second: the answer, which is printed as JSON when that was asked for.
    /// `list` names the field that a list command prints instead of the whole.
    pub(crate) fn ask<A: Message + Default>(
        &mut self,
        command: Command,
        request: &impl Message,
        list: Option<&str>,
    ) -> Result<A, Failure> {
        self.ask_within(command, request, list, limits::QUICK_ANSWER)
    }

    /// The same, and it may take long.
    pub(crate) fn ask_within<A: Message + Default>(
        &mut self,
        command: Command,
        request: &impl Message,
        list: Option<&str>,
        wait: Duration,
    ) -> Result<A, Failure> {
        let answer = self.call(command, request, wait)?;
        if self.json {
            let text = json::response(command, &answer, list)?;
            self.print(&text)?;
        }
        decode(&answer)
    }

    /// Sends a request and prints what `shown` makes of each frame that comes before its answer, which may be long in coming.
    pub(crate) fn follow(
        &mut self,
        command: Command,
        body: &[u8],
        shown: impl Fn(bool, &[u8]) -> Result<String, Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let client = Self::connected(&mut self.client, &self.settings)?;
        let (out, json) = (&mut *self.out, self.json);
        client.follow(command, body, |payload| {
            let text = shown(json, payload)?;
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unwritten)
        })
    }

    /// Runs a command that has neither request nor answer.
    pub(crate) fn order(&mut self, command: Command) -> Result<(), Failure> {
        self.call(command, &(), limits::ANSWER)?;
        if self.json {
            self.print("{}\n")?;
        }
        Ok(())
    }
}

pub(crate) fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Failed(format!("cannot write: {error}")),
    }
}
