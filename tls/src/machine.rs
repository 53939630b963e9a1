//! A TLS session as a byte machine: ciphertext in, plain bytes out, and the other way. No I/O.
//!
//! The library's unbuffered interface leaves all buffers to its caller: an idle session holds none.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};

use crate::limits::{INCOMING_BYTES, RECORD_BYTES};

/// One session.
pub(crate) struct Machine {
    side: Side,
    /// The beginning of a record, or of a handshake message, that has not come whole.
    incoming: Vec<u8>,
    /// Decrypted, and not taken yet.
    plain: Vec<u8>,
    /// Records that go before everything else that is sent.
    outgoing: Vec<u8>,
    /// The peer has said that it has said all.
    ended: bool,
    /// The session is over for this reason. The library must not be asked again: it would try to say so twice.
    failed: Option<Error>,
}

enum Side {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What a pass through the session is for.
enum Job<'d> {
    /// To see what has come.
    Read,
    /// To encrypt this.
    Write(&'d [u8]),
    /// To say that all is said.
    Close,
}

/// Where a pass ended.
enum Turn {
    /// There is more to do.
    Again,
    /// The handshake waits for the peer.
    Blocked,
    /// Everything that came is taken, and the job is done.
    Open,
    /// The session is closed on both sides.
    Closed,
}

impl Machine {
    pub(crate) fn server(session: UnbufferedServerConnection) -> Machine {
        Machine::new(Side::Server(session))
    }

    pub(crate) fn client(session: UnbufferedClientConnection) -> Machine {
        Machine::new(Side::Client(session))
    }

    fn new(side: Side) -> Machine {
        Machine {
            side,
            incoming: Vec::new(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            ended: false,
            failed: None,
        }
    }

    /// Takes what the peer has sent. On an error what there is [to send](Machine::take_outgoing) is an alert.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.incoming.len() + bytes.len() > INCOMING_BYTES {
            let error = Error::General("the peer sends a handshake message without end".to_owned());
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.incoming.extend_from_slice(bytes);
        self.run(&Job::Read)
    }

    /// Goes on as far as it can without the peer.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        self.run(&Job::Read)
    }

    /// Encrypts into what there is to send.
    pub(crate) fn encrypt(&mut self, data: &[u8]) -> Result<(), Error> {
        if data.is_empty() { Ok(()) } else { self.run(&Job::Write(data)) }
    }

    /// Says that all is said, unless the handshake is not over or the session has failed.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if self.failed.is_some() { Ok(()) } else { self.run(&Job::Close) }
    }

    /// What there is to send.
    pub(crate) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// What was decrypted.
    pub(crate) fn take_plain(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain)
    }

    pub(crate) fn has_plain(&self) -> bool {
        !self.plain.is_empty()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What the library knows of the session.
    pub(crate) fn state(&self) -> &CommonState {
        match &self.side {
            Side::Server(session) => session,
            Side::Client(session) => session,
        }
    }

    fn run(&mut self, job: &Job<'_>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut used = 0;
        let result = loop {
            let (discard, turn) = self.turn(used, job);
            used += discard;
            match turn {
                Ok(Turn::Again) => {}
                Ok(Turn::Blocked | Turn::Open | Turn::Closed) => break Ok(()),
                Err(error) => {
                    // The alert that tells the peer, if there is one.
                    let (discard, _) = self.turn(used, &Job::Read);
                    used += discard;
                    self.failed = Some(error.clone());
                    break Err(error);
                }
            }
        };
        if used >= self.incoming.len() {
            // Memory is given back: the session may be idle for long.
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..used);
        }
        result
    }

    /// One pass: how much of `incoming` behind `used` is done with, and where it ended.
    fn turn(&mut self, used: usize, job: &Job<'_>) -> (usize, Result<Turn, Error>) {
        let Machine { side, incoming, plain, outgoing, ended, .. } = self;
        let rest = &mut incoming[used..];
        match side {
            Side::Server(session) => advance(session.process_tls_records(rest), job, plain, outgoing, ended),
            Side::Client(session) => advance(session.process_tls_records(rest), job, plain, outgoing, ended),
        }
    }
}

fn advance<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    job: &Job<'_>,
    plain: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
    ended: &mut bool,
) -> (usize, Result<Turn, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let turn = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Turn::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => fill(outgoing, 0, |out| match data.encode(out) {
            Ok(written) => Ok(written),
            Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
            Err(EncodeError::AlreadyEncoded) => Err(None),
        })
        .map(|()| Turn::Again),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Turn::Again)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => do_job(traffic, job, outgoing).map(|()| Turn::Open),
        Ok(ConnectionState::BlockedHandshake) => Ok(Turn::Blocked),
        Ok(ConnectionState::PeerClosed) => {
            *ended = true;
            Ok(Turn::Again)
        }
        Ok(ConnectionState::Closed) => Ok(Turn::Closed),
        // Early data is off, and there are no other states.
        Ok(_) => Err(Error::General("a state of the TLS library that was not asked for".to_owned())),
    };
    (discard, turn)
}

fn do_job<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    job: &Job<'_>,
    outgoing: &mut Vec<u8>,
) -> Result<(), Error> {
    let size_of = |error| match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    };
    match job {
        Job::Read => Ok(()),
        Job::Write(data) => {
            let records = data.len().div_ceil(RECORD_BYTES);
            let likely = data.len() + records * RECORD_OVERHEAD_BYTES;
            fill(outgoing, likely, |out| traffic.encrypt(data, out).map_err(size_of))
        }
        Job::Close => {
            fill(outgoing, RECORD_OVERHEAD_BYTES, |out| traffic.queue_close_notify(out).map_err(size_of))
        }
    }
}

/// Header, explicit nonce, content type, tag: what most ciphers add to a record.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// Appends what `write` makes, after giving it as much room as it says that it needs.
fn fill(
    outgoing: &mut Vec<u8>,
    likely_bytes: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Error> {
    let start = outgoing.len();
    let mut room = likely_bytes;
    // A second answer of the same kind would be a fault of the library.
    for _ in 0..2 {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(written) => {
                outgoing.truncate(start + written);
                return Ok(());
            }
            Err(Some(required)) => room = required,
            Err(None) => break,
        }
    }
    outgoing.truncate(start);
    Err(Error::EncryptError)
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.side {
            Side::Server(_) => "Server",
            Side::Client(_) => "Client",
        };
        f.debug_struct("Machine").field("side", &side).field("ended", &self.ended).finish_non_exhaustive()
    }
}
