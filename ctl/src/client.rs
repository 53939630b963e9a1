//! A connection to the control socket, for a program that has nothing else to do meanwhile.

mod socket;
mod tls;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use config::ControlSocket;
use control::framing::{self, Response, ResponseDecoder, Status};
use control::{Command, Message};

use crate::{Failure, limits};
use socket::Stream;

/// A connection to the control socket.
pub struct Client {
    stream: Stream,
    decoder: ResponseDecoder,
    received: Vec<u8>,
    /// What of `received` has been taken.
    taken: usize,
    /// Whether the version was sent.
    greeted: bool,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// It cannot be reached; the text says where and what to look at.
    pub fn connect(to: &ControlSocket) -> Result<Self, Failure> {
        let stream = Stream::connect(to)?;
        Ok(Self { stream, decoder: ResponseDecoder::new(), received: Vec::new(), taken: 0, greeted: false })
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The text of the server when it refuses; ours when it does not answer within `wait`, or makes no sense.
    pub fn call(&mut self, command: Command, body: &[u8], wait: Duration) -> Result<Vec<u8>, Failure> {
        self.send(command, body)?;
        loop {
            let response = self.receive(Some(wait))?;
            match response.status {
                Status::Success => return Ok(response.payload),
                Status::Error => return Err(refusal(&response)),
                Status::Asynchronous => {}
            }
        }
    }

    /// Sends a request, and gives what comes before its answer to `each`. Waits forever.
    ///
    /// # Errors
    /// As [`Client::call`], and what `each` fails with.
    pub fn follow(
        &mut self,
        command: Command,
        body: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        self.send(command, body)?;
        loop {
            let response = self.receive(None)?;
            match response.status {
                Status::Success => return Ok(response.payload),
                Status::Error => return Err(refusal(&response)),
                Status::Asynchronous => each(&response.payload)?,
            }
        }
    }

    /// [`Client::call`] with messages.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn ask<A: Message + Default>(
        &mut self,
        command: Command,
        request: &impl Message,
        wait: Duration,
    ) -> Result<A, Failure> {
        let answer = self.call(command, &request.encode_to_vec(), wait)?;
        decode(&answer)
    }

    fn send(&mut self, command: Command, body: &[u8]) -> Result<(), Failure> {
        let mut wire = Vec::with_capacity(body.len() + 16);
        if !self.greeted {
            framing::write_version(&mut wire);
            self.greeted = true;
        }
        framing::write_request(&mut wire, command, body);
        // A server that refuses may close before it has read all; what it says comes first.
        match self.stream.write_all(&wire).and_then(|()| self.stream.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::Failed(format!("cannot send to the server: {error}")))
            }
            _ => Ok(()),
        }
    }

    fn receive(&mut self, wait: Option<Duration>) -> Result<Response, Failure> {
        let mut silent_since = now();
        loop {
            let mut rest = &self.received[self.taken..];
            let response =
                self.decoder.next(&mut rest).map_err(|error| Failure::Failed(error.to_string()))?;
            self.taken = self.received.len() - rest.len();
            if let Some(response) = response {
                return Ok(response);
            }
            self.received.resize(limits::READ_BYTES, 0);
            self.taken = 0;
            let left = wait.map(|wait| wait.saturating_sub(silent_since.elapsed()));
            let got = self.read(left, wait)?;
            self.received.truncate(got);
            silent_since = now();
        }
    }

    fn read(&mut self, left: Option<Duration>, wait: Option<Duration>) -> Result<usize, Failure> {
        let silent = || {
            let seconds = wait.unwrap_or_default().as_secs_f64();
            Failure::Failed(format!("the server has said nothing for {seconds} s"))
        };
        if left.is_some_and(|left| left.is_zero()) {
            return Err(silent());
        }
        self.stream.wait(left).map_err(|error| Failure::Failed(format!("cannot wait: {error}")))?;
        loop {
            match self.stream.read(&mut self.received) {
                Ok(0) => {
                    return Err(Failure::Failed("the server has closed the connection".to_owned()));
                }
                Ok(got) => return Ok(got),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(silent()),
                Err(error) => {
                    return Err(Failure::Failed(format!("the connection to the server broke: {error}")));
                }
            }
        }
    }
}

/// An answer as a message.
///
/// # Errors
/// It is none.
pub(crate) fn decode<A: Message + Default>(payload: &[u8]) -> Result<A, Failure> {
    A::decode(payload).map_err(|error| {
        Failure::Failed(format!("the server's answer makes no sense; is it of another version? {error}"))
    })
}

/// What time it is for this process.
#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn refusal(response: &Response) -> Failure {
    let text = String::from_utf8_lossy(&response.payload);
    let text = if text.is_empty() { "the server refused without saying why" } else { text.trim_end() };
    Failure::Failed(text.to_owned())
}

#[cfg(test)]
mod tests;
