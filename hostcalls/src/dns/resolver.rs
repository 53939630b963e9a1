//! Asks name servers for what scripts want to know. The wire format is `net::dns`; here are the sockets and the patience.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use engine::net::{Conn, Connect, Udp};
use engine::task::Class;
use engine::time::{Instant, timeout};
use net::dns::{
    Answer, DomainName, Failure, HostSearch, Kind, MailHosts, Mx, Question, RANDOM_BYTES, Record, RecordData,
    RecordKind, RecordQuery, Records, Resolved, Step, first_tcp_message, resolv_conf,
};

use super::kept::{Found, Kept};
use super::shared;
use crate::daemon::Daemon;
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
    /// Of which name, as the DNS has it; empty where it can have none like it.
    pub name: Vec<u8>,
    /// Records of which type.
    pub kind: RecordKind,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The servers to ask; none: those of the settings, or of the system.
    pub servers: Vec<SocketAddr>,
}

impl DnsQuestion {
    /// With the usual patience and servers. Labels of the name may be in other scripts.
    pub fn new(name: impl AsRef<[u8]>, kind: RecordKind) -> DnsQuestion {
        let name = in_dns(name.as_ref());
        DnsQuestion { name, kind, timeout: limits::DNS_TIMEOUT, servers: Vec::new() }
    }
}

/// The name with its U-labels as A-labels (RFC 5891). What is no domain in another script is asked for as it is: the DNS
/// takes any bytes (RFC 2181, section 11). Nothing longer than a name is looked at, or copied.
fn in_dns(name: &[u8]) -> Vec<u8> {
    if name.len() > net::limits::DNS_UNICODE_NAME_BYTES_MAX {
        return Vec::new();
    }
    let text = std::str::from_utf8(name).ok().filter(|text| !text.is_ascii());
    match text.map(DomainName::from_unicode) {
        Some(Ok(name)) => name.as_str().as_bytes().to_vec(),
        _ => name.to_vec(),
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

/// Asks for the scripts of a shard, once for all who want to know the same, and keeps answers as long as they say: itself, or
/// through the mail server around, which does so for all shards. What names its own servers is asked for by itself.
pub struct Resolver {
    daemon: OnceCell<Rc<dyn Daemon>>,
    asker: Rc<Asker>,
    kept: Rc<RefCell<Kept>>,
}

/// Knows whom to ask.
#[derive(Debug)]
struct Asker {
    configured: Vec<SocketAddr>,
    system: OnceCell<Vec<SocketAddr>>,
}

const NOT_KNOWN: DnsReply = DnsReply { dnssec: false, records: Err(DnsError::TryAgain) };

/// What one server made of a question.
enum Outcome {
    Reply(DnsReply),
    /// Ask the next one; with what to say when there is none.
    Next(DnsError),
}

impl Resolver {
    /// Asks these servers; those of the system when there are none.
    pub(crate) fn new(configured: Vec<SocketAddr>) -> Resolver {
        let asker = Rc::new(Asker { configured, system: OnceCell::new() });
        Resolver { daemon: OnceCell::new(), asker, kept: Rc::default() }
    }

    /// From now on the mail server around asks.
    pub(crate) fn ask_through(&self, daemon: Rc<dyn Daemon>) {
        let _ = self.daemon.set(daemon);
    }

    /// The answer to a question, within its time.
    pub async fn ask(&self, question: &DnsQuestion) -> DnsReply {
        if !question.servers.is_empty() {
            return self.asker.ask(question).await;
        }
        if let (Some(daemon), Some(wanted)) = (self.daemon.get(), shared::question(question)) {
            let resolved = timeout(question.timeout, daemon.look_up(wanted)).await;
            return resolved.map_or(NOT_KNOWN, |resolved| shared::reply(&resolved));
        }
        let key = (question.name.to_ascii_lowercase(), question.kind);
        let now = engine::time::now();
        let found = self.kept.borrow_mut().find(&key, now, now + question.timeout);
        let answer = match found {
            Found::Known(reply) => return reply,
            Found::Alone => return self.asker.ask(question).await,
            Found::Join(answer) => answer,
            Found::Ask(answer) => {
                let (asker, kept, question) =
                    (Rc::clone(&self.asker), Rc::clone(&self.kept), question.clone());
                // A task of its own: others wait too, whatever becomes of the script that was first.
                engine::task::spawn(Class::Interactive, async move {
                    let reply = asker.ask(&question).await;
                    kept.borrow_mut().settle(key, &reply, engine::time::now());
                });
                answer
            }
        };
        let answer = timeout(question.timeout, answer).await.ok().flatten();
        answer.unwrap_or(NOT_KNOWN)
    }

    /// Carries out a search for hosts, without the MX hosts that `permits` does not want.
    pub(crate) async fn mail_hosts(
        &self,
        mut search: HostSearch,
        permits: impl Fn(&str) -> bool,
    ) -> MailHosts {
        loop {
            let questions = match search.step() {
                Step::Done(hosts) => return hosts,
                Step::Ask(questions) => questions,
            };
            for question in questions {
                let resolved = self.look_up(question.clone()).await;
                search.answer(&question, resolved);
                search.retain(&permits);
            }
        }
    }

    /// What DNS says to a question of a search.
    pub(crate) async fn look_up(&self, question: Question) -> Resolved {
        if let Some(daemon) = self.daemon.get() {
            let wait = timeout(limits::DNS_TIMEOUT, daemon.look_up(question));
            return wait.await.unwrap_or(Resolved::failed(Failure::Timeout));
        }
        let (kind, as_they_are) = match question.kind {
            Kind::A => (RecordKind::A, false),
            Kind::Aaaa => (RecordKind::Aaaa, false),
            Kind::Mx => (RecordKind::Mx, false),
            Kind::Ptr => (RecordKind::Ptr, false),
            Kind::Records(kind) => (kind, true),
        };
        let reply = self.ask(&DnsQuestion::new(question.name.as_str(), kind)).await;
        match &reply.records {
            Ok(records) if as_they_are => {
                let data = records.iter().map(|record| record.data.clone()).collect();
                Resolved { answer: Answer::Records(data), authentic: reply.dnssec, left_ms: 0 }
            }
            _ => resolved(reply),
        }
    }
}

/// A reply as the search for hosts takes it.
fn resolved(reply: DnsReply) -> Resolved {
    let answer = match reply.records {
        Err(DnsError::NoDomain) => Answer::NoDomain,
        Err(DnsError::NoData) => Answer::NoData,
        Err(DnsError::TryAgain) => Answer::Failed(Failure::Timeout),
        Err(DnsError::NoRecovery) => Answer::Failed(Failure::Malformed),
        Err(DnsError::Code(code)) => Answer::Failed(Failure::ServerFailure(code)),
        Ok(records) => answer(&records),
    };
    Resolved { answer, authentic: reply.dnssec, left_ms: 0 }
}

fn answer(records: &[Record]) -> Answer {
    let (mut addresses, mut exchangers, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        match &record.data {
            RecordData::Address(address) => addresses.push(*address),
            RecordData::Mx { preference, host } => {
                let host = host.trim_end_matches('.');
                let name = DomainName::parse(host).ok();
                // One whose name cannot be looked up is none; an empty one says that there is no mail.
                if host.is_empty() || name.is_some() {
                    exchangers.push(Mx { preference: *preference, host: name });
                }
            }
            RecordData::Name(name) => names.extend(DomainName::parse(name).ok()),
            RecordData::Text(_) | RecordData::Soa { .. } | RecordData::Tlsa { .. } => {}
        }
    }
    match () {
        () if !addresses.is_empty() => Answer::Addresses(addresses.into()),
        () if !names.is_empty() => Answer::Names(names.into()),
        () => Answer::Mx(exchangers.into()),
    }
}

impl Asker {
    /// Asks one server after the other, twice, until one knows.
    async fn ask(&self, question: &DnsQuestion) -> DnsReply {
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
