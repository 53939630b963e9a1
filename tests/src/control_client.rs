//! A client of the control socket, which says what the test wants it to.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use control::framing::{self, Response, ResponseDecoder, Status};
use control::smtpd::ProcessStatsResponse;
use control::{Command, Message};

/// A client of the control socket.
#[derive(Debug)]
pub struct ControlClient {
    stream: UnixStream,
    decoder: ResponseDecoder,
    /// Received and not yet looked at.
    input: Vec<u8>,
}

impl ControlClient {
    /// Connects, and says which version it speaks.
    pub fn connect(path: &Path) -> ControlClient {
        let mut client = ControlClient::connect_silently(path);
        let mut wire = Vec::new();
        framing::write_version(&mut wire);
        client.write(&wire);
        client
    }

    /// Connects.
    pub fn connect_silently(path: &Path) -> ControlClient {
        let stream = UnixStream::connect(path).expect("the control socket takes connections");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has a timeout");
        ControlClient { stream, decoder: ResponseDecoder::new(), input: Vec::new() }
    }

    /// Sends these bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    /// The next answer; `None`: the server has closed.
    pub fn read(&mut self) -> Option<Response> {
        loop {
            let mut input = &self.input[..];
            let response = self.decoder.next(&mut input).expect("the server frames its answers");
            self.input = input.to_vec();
            if response.is_some() {
                return response;
            }
            let mut more = [0; 65_536];
            let count = self.stream.read(&mut more).expect("an answer in time");
            if count == 0 {
                return None;
            }
            self.input.extend_from_slice(&more[..count]);
        }
    }

    /// Asks. The error is what the server says.
    pub fn ask<A: Message + Default>(
        &mut self,
        command: Command,
        request: &impl Message,
    ) -> Result<A, String> {
        let mut wire = Vec::new();
        framing::write_request(&mut wire, command, &request.encode_to_vec());
        self.write(&wire);
        let response = self.read().expect("an answer");
        match response.status {
            Status::Success => Ok(A::decode(&response.payload[..]).expect("an answer of its kind")),
            _ => Err(String::from_utf8(response.payload).expect("a text")),
        }
    }

    /// Asks what takes no request.
    pub fn ask_plainly<A: Message + Default>(&mut self, command: Command) -> Result<A, String> {
        self.ask(command, &())
    }

    /// Asks for what has neither request nor answer.
    pub fn order(&mut self, command: Command) -> Result<(), String> {
        self.ask::<()>(command, &())
    }

    /// The value of a metric, by its name in OpenMetrics with its labels: `halon_servers_connections{server="in"}`.
    pub fn metric(&mut self, sample: &str) -> Option<f64> {
        let stats: ProcessStatsResponse = self.ask_plainly(Command::ProcessStats).expect("an answer");
        let text = control::openmetrics::render(&stats.metrics);
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }
}
