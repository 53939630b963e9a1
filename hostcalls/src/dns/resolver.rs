//! Asks name servers for what scripts want to know. The wire format is `net::dns`; here are the sockets and the patience.

use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use engine::net::{Conn, Connect, Udp};
use engine::time::{Instant, timeout};
use net::dns::{RANDOM_BYTES, Record, RecordKind, RecordQuery, Records, first_tcp_message, resolv_conf};

use crate::limits;

/// The system's resolver file, read when the configuration names no servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Most bytes of it that are read.
const RESOLV_CONF_BYTES_MAX: usize = 64 * 1024;

/// Datagrams that are not the answer before a try is given up: somebody guesses.
const STRAY_DATAGRAMS_MAX: u32 = 64;

/// How often each server is asked.
const ROUNDS: usize = 2;

/// A server gets at least this long to answer.
const TRY_MIN: Duration = Duration::from_millis(500);

/// A question, and how to ask it.
#[derive(Clone, Debug)]
pub struct DnsQuestion {
    /// Of which name.
    pub name: Vec<u8>,
    /// Records of which type.
    pub kind: RecordKind,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The servers to ask; none: those of the settings, or of the system.
    pub servers: Vec<SocketAddr>,
}

impl DnsQuestion {
    /// With the usual patience and servers.
    pub fn new(name: impl Into<Vec<u8>>, kind: RecordKind) -> DnsQuestion {
        DnsQuestion { name: name.into(), kind, timeout: limits::DNS_TIMEOUT, servers: Vec::new() }
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsReply {
    /// The server vouches for the answer (AD).
    pub dnssec: bool,
    /// At least one record, or why there is none.
    pub records: Result<Vec<Record>, DnsError>,
}

/// Why there are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// The name does not exist.
    NoDomain,
    /// It has no records of this type.
    NoData,
    /// No server answered in time, or none could be reached.
    TryAgain,
    /// The name cannot be asked for, or no answer made sense.
    NoRecovery,
    /// The servers answered with this response code.
    Code(u16),
}

impl DnsError {
    /// Asking again later may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, DnsError::TryAgain | DnsError::Code(_))
    }
}

impl fmt::Display for DnsError {
    /// The words of rcodes and of h_errno.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DnsError::NoDomain => "NXDOMAIN",
            DnsError::NoData => "NO_DATA",
            DnsError::TryAgain => "TRY_AGAIN",
            DnsError::NoRecovery => "NO_RECOVERY",
            DnsError::Code(1) => "FORMERR",
            DnsError::Code(2) => "SERVFAIL",
            DnsError::Code(4) => "NOTIMP",
            DnsError::Code(5) => "REFUSED",
            DnsError::Code(code) => return write!(f, "RCODE{code}"),
        })
    }
}

/// Knows whom to ask. It keeps no answers: `cache` does, where a script wants it, and so do the name servers.
#[derive(Debug)]
pub struct Resolver {
    configured: Vec<SocketAddr>,
    system: OnceCell<Vec<SocketAddr>>,
}

/// What one server made of a question.
enum Outcome {
    Reply(DnsReply),
    /// Ask the next one; with what to say when there is none.
    Next(DnsError),
}

impl Resolver {
    /// Asks these servers; those of the system when there are none.
    pub(crate) fn new(configured: Vec<SocketAddr>) -> Resolver {
        Resolver { configured, system: OnceCell::new() }
    }

    /// Asks one server after the other, twice, until one knows.
    pub async fn ask(&self, question: &DnsQuestion) -> DnsReply {
        let servers = match &question.servers[..] {
            [] => self.servers().await,
            servers => servers,
        };
        let servers = &servers[..servers.len().min(net::limits::DNS_SERVERS_MAX)];
        let deadline = engine::time::now() + question.timeout;
        let tries = (servers.len() * ROUNDS).max(1);
        let patience = (question.timeout / tries as u32).max(TRY_MIN);
        let mut error = DnsError::TryAgain;
        // Servers that answered, without success: no use in asking them again.
        let mut useless = vec![false; servers.len()];
        for number in 0..tries {
            let place = number % servers.len().max(1);
            if useless.get(place).is_none_or(|useless| *useless) {
                continue;
            }
            let end = deadline.min(engine::time::now() + patience);
            match ask_one(question, servers[place], end).await {
                Some(Outcome::Reply(reply)) => return reply,
                Some(Outcome::Next(why)) => {
                    useless[place] = true;
                    error = why;
                }
                None => {}
            }
            if engine::time::now() >= deadline {
                break;
            }
        }
        DnsReply { dnssec: false, records: Err(error) }
    }

    async fn servers(&self) -> &[SocketAddr] {
        if !self.configured.is_empty() {
            return &self.configured;
        }
        if self.system.get().is_none() {
            let text = engine::disk::read_file(Path::new(RESOLV_CONF), RESOLV_CONF_BYTES_MAX).await;
            let text = text.unwrap_or_default();
            // Another question may have read it meanwhile: the same.
            let _ = self.system.set(resolv_conf::parse(&String::from_utf8_lossy(&text)).servers);
        }
        self.system.get().map_or(&[], Vec::as_slice)
    }
}

/// Asks one server. None when it does not answer.
async fn ask_one(question: &DnsQuestion, server: SocketAddr, end: Instant) -> Option<Outcome> {
    let mut edns = true;
    loop {
        let mut random = [0; RANDOM_BYTES];
        engine::rng::fill(&mut random);
        let Ok(query) = RecordQuery::new(&question.name, question.kind, edns, &random) else {
            let reply = DnsReply { dnssec: false, records: Err(DnsError::NoRecovery) };
            return Some(Outcome::Reply(reply));
        };
        let mut records = within(end, by_udp(&query, server)).await?;
        if records == Records::AskByTcp {
            records = within(end, by_tcp(&query, server)).await?;
        }
        return Some(match records {
            Records::Found(records, dnssec) if records.is_empty() => {
                Outcome::Reply(DnsReply { dnssec, records: Err(DnsError::NoData) })
            }
            Records::Found(records, dnssec) => Outcome::Reply(DnsReply { dnssec, records: Ok(records) }),
            Records::NoDomain(dnssec) => {
                Outcome::Reply(DnsReply { dnssec, records: Err(DnsError::NoDomain) })
            }
            Records::NotUnderstood(_) if edns => {
                edns = false;
                continue;
            }
            Records::NotUnderstood(code) | Records::ServerFailure(code) => {
                Outcome::Next(DnsError::Code(code))
            }
            Records::Malformed | Records::AskByTcp => Outcome::Next(DnsError::NoRecovery),
        });
    }
}

async fn within<T>(end: Instant, asking: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(end - engine::time::now(), asking).await.ok().flatten()
}

async fn by_udp(query: &RecordQuery, server: SocketAddr) -> Option<Records> {
    let udp = Udp::connect(server).await.ok()?;
    udp.send(query.datagram()).await.ok()?;
    for _ in 0..STRAY_DATAGRAMS_MAX {
        let datagram = udp.recv().await.ok()?;
        if let Some(records) = query.answer(&datagram, false) {
            return Some(records);
        }
    }
    None
}

async fn by_tcp(query: &RecordQuery, server: SocketAddr) -> Option<Records> {
    let connection = Conn::connect(Connect { remote: server, local: None }).await.ok()?;
    connection.send(query.tcp_message()).await.ok()?;
    // Never more than one message and one buffer: a message ends after 64 KiB.
    let mut stream = Vec::new();
    loop {
        let bytes = connection.recv().await.ok()?;
        if bytes.is_empty() {
            return None;
        }
        stream.extend_from_slice(&bytes);
        if let Some(message) = first_tcp_message(&stream) {
            return Some(query.answer(message, true).unwrap_or(Records::Malformed));
        }
    }
}
