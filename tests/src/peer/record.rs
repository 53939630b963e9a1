//! What a peer has seen.

use std::net::SocketAddr;
use std::time::Instant;

/// Commands kept of one connection; further ones are counted by nobody.
const COMMANDS_MAX: usize = 20_000;

/// A message as the peer took it: with LMTP or BDAT too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Reverse-path without brackets.
    pub from: String,
    /// Forward-paths without brackets. With LMTP those that were taken.
    pub to: Vec<String>,
    /// The message, dots undone.
    pub data: Vec<u8>,
    /// What follows the path of MAIL.
    pub mail_parameters: String,
    /// What follows the path of each RCPT that was taken, as `to`.
    pub rcpt_parameters: Vec<String>,
    /// Which of [`super::Peer::connections`] it came over.
    pub connection: usize,
    /// It came in chunks (RFC 3030), so many.
    pub chunks: usize,
}

impl Message {
    /// What stands behind the server's own Received field, which must be the first and well-formed.
    ///
    /// # Panics
    /// When it is not there.
    pub fn original(&self) -> &[u8] {
        assert!(
            self.data.starts_with(b"Received: from "),
            "no Received field: {:?}",
            String::from_utf8_lossy(&self.data[..self.data.len().min(200)])
        );
        let mut end = 0;
        loop {
            let line =
                self.data[end..].windows(2).position(|pair| pair == b"\r\n").expect("lines end with CRLF");
            end += line + 2;
            if !matches!(self.data.get(end), Some(b' ' | b'\t')) {
                return &self.data[end..];
            }
        }
    }
}

/// A connection that came in.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where it came from.
    pub source: SocketAddr,
    /// When.
    pub at: Instant,
    /// The name it gave at its last EHLO, HELO or LHLO.
    pub hello: Option<String>,
    /// TLS that was agreed on.
    pub tls: Option<TlsSeen>,
    /// Why a handshake failed.
    pub tls_error: Option<String>,
    /// Its commands as they came, without CRLF, `STARTTLS` and those before it too.
    pub commands: Vec<String>,
    /// Credentials of AUTH, decoded: `\0user\0password` for PLAIN.
    pub auth: Option<Vec<u8>>,
    /// Messages that were taken over it.
    pub messages: usize,
    /// It is over.
    pub closed: bool,
}

/// What TLS of a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSeen {
    /// `TLSv1_3` or `TLSv1_2`.
    pub version: String,
    /// The cipher suite, as rustls calls it.
    pub cipher: String,
    /// The name that the client asked for.
    pub sni: Option<String>,
    /// The client showed a certificate.
    pub client_certificate: bool,
    /// It resumes an earlier session.
    pub resumed: bool,
}

impl Connection {
    /// How often a command with this verb came.
    pub fn command_count(&self, verb: &str) -> usize {
        let is_it = |command: &&String| {
            command.get(..verb.len()).is_some_and(|start| start.eq_ignore_ascii_case(verb))
                && matches!(command.as_bytes().get(verb.len()), None | Some(b' '))
        };
        self.commands.iter().filter(is_it).count()
    }
}

#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) messages: Vec<Message>,
    pub(super) connections: Vec<Connection>,
    pub(super) open_max: usize,
}

impl Records {
    pub(super) fn connected(&mut self, source: SocketAddr, open: usize) -> usize {
        self.open_max = self.open_max.max(open);
        self.connections.push(Connection {
            source,
            at: Instant::now(),
            hello: None,
            tls: None,
            tls_error: None,
            commands: Vec::new(),
            auth: None,
            messages: 0,
            closed: false,
        });
        self.connections.len() - 1
    }

    pub(super) fn command(&mut self, connection: usize, text: &str) {
        let commands = &mut self.connections[connection].commands;
        if commands.len() < COMMANDS_MAX {
            commands.push(text.to_owned());
        }
    }

    pub(super) fn taken(&mut self, message: Message) {
        self.connections[message.connection].messages += 1;
        self.messages.push(message);
    }
}
