//! A name server that knows the records of one test, and fails as the test says.
//!
//! ```no_run
//! use tests::name_server::{Fault, NameServer, Record};
//! let dns = NameServer::start(&[
//!     ("b.example", Record::Mx(10, "mx.b.example")),
//!     ("mx.b.example", Record::A("127.0.0.1")),
//!     ("*.many.example", Record::A("127.0.0.2")), // every name below
//! ]);
//! dns.fault("b.example", Some(Fault::ServerFailure));
//! // Later: everything answers again.
//! dns.fault("*", None);
//! ```

mod answer;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

/// Queries that are remembered; further ones are only counted.
const QUERIES_MAX: usize = 200_000;

/// A record of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Preference and host.
    Mx(u16, &'static str),
    /// An IPv4 address.
    A(&'static str),
    /// An IPv6 address.
    Aaaa(&'static str),
    /// The name is an alias of this one.
    Cname(&'static str),
    /// A text.
    Txt(&'static str),
    /// The name of an address (owner: `1.0.0.127.in-addr.arpa`).
    Ptr(&'static str),
    /// What a certificate must be equal to, as zone files have it: `3 1 1 0123...`.
    Tlsa(&'static str),
    /// The name exists, with nothing else.
    Nothing,
}

/// What goes wrong with the queries for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// No answer at all.
    Silence,
    /// The answer comes late.
    Delay(Duration),
    /// Cut short by UDP; TCP works.
    Truncated,
    /// Cut short by UDP, and TCP is refused.
    TruncatedWithoutTcp,
    /// FORMERR to everything with EDNS.
    NoEdns,
    /// An answer with another id first, then one with a lie for another name, then nothing.
    Forged,
    /// The letters of the question come back in lower case.
    LowerCase,
    /// Bytes that are no DNS.
    Garbage,
    /// The last byte of the last record is missing.
    CutRecord,
    /// The answer is not signed: never AD.
    Unsigned,
    /// NXDOMAIN to one query, then no fault any more.
    MissingOnce,
}

/// A query that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The name, in lower case, without the last dot.
    pub name: String,
    /// The name with its letters as they came.
    pub name_as_sent: String,
    /// `A`, `MX` and so on.
    pub kind: String,
    /// By TCP.
    pub tcp: bool,
    /// With EDNS; the UDP payload size it offers.
    pub edns: Option<u16>,
    /// Its random number.
    pub id: u16,
    /// Where it came from.
    pub source: SocketAddr,
    /// When.
    pub at: Instant,
}

/// A name server on loopback, by UDP and TCP. Ends with the test.
#[derive(Debug)]
pub struct NameServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    zone: Mutex<Zone>,
    queries: Mutex<Vec<Query>>,
    stopped: AtomicBool,
}

/// What it knows.
#[derive(Clone, Debug)]
struct Zone {
    records: Vec<(&'static str, Record)>,
    /// The last one for a name counts; `*` is for all others.
    faults: Vec<(String, Fault)>,
    ttl_s: u32,
    negative_ttl_s: Option<u32>,
    authentic: bool,
}

impl NameServer {
    /// Starts one that knows these records. An owner `*.x` stands for all names below x that have no records of their
    /// own; other names do not exist.
    pub fn start(records: &[(&'static str, Record)]) -> NameServer {
        NameServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), records)
    }

    /// Starts one at this address; port 0 stands for a free one.
    ///
    /// # Panics
    /// When the address cannot be had.
    pub fn start_at(address: SocketAddr, records: &[(&'static str, Record)]) -> NameServer {
        let (udp, tcp) = sockets(address);
        let port = udp.local_addr().expect("a bound socket has an address").port();
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let zone = Zone {
            records: records.to_vec(),
            faults: Vec::new(),
            ttl_s: 60,
            negative_ttl_s: Some(60),
            authentic: false,
        };
        let shared = Arc::new(Shared {
            zone: Mutex::new(zone),
            queries: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let by_udp = Arc::clone(&shared);
        std::thread::spawn(move || by_udp.serve_udp(&Arc::new(udp)));
        let by_tcp = Arc::clone(&shared);
        std::thread::spawn(move || by_tcp.serve_tcp(&tcp));
        NameServer { port, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it knows from now on, instead of what it knew.
    pub fn set_records(&self, records: &[(&'static str, Record)]) {
        self.zone().records = records.to_vec();
    }

    /// What goes wrong with queries for this name from now on; `*`: for all names without a fault of their own. `None`
    /// makes them work again.
    pub fn fault(&self, name: &str, fault: Option<Fault>) {
        let mut zone = self.zone();
        zone.faults.retain(|(owner, _)| owner != name);
        zone.faults.extend(fault.map(|fault| (name.to_owned(), fault)));
    }

    /// The lifetime of its records: 60 seconds unless this is called.
    pub fn ttl_s(&self, ttl_s: u32) {
        self.zone().ttl_s = ttl_s;
    }

    /// The lifetime of "no such thing" (RFC 2308): 60 seconds unless this is called; `None`: no SOA record says any.
    pub fn negative_ttl_s(&self, ttl_s: Option<u32>) {
        self.zone().negative_ttl_s = ttl_s;
    }

    /// Claims to have checked the signatures of its answers (AD).
    pub fn authentic(&self, authentic: bool) {
        self.zone().authentic = authentic;
    }

    /// The queries so far.
    pub fn queries(&self) -> Vec<Query> {
        lock(&self.shared.queries).clone()
    }

    /// How many queries for this name came so far; `kind` is `MX`, `A` and so on.
    pub fn query_count(&self, name: &str, kind: &str) -> usize {
        let queries = lock(&self.shared.queries);
        queries.iter().filter(|query| query.name == name && query.kind == kind).count()
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        lock(&self.shared.zone)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, which then ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// UDP and TCP on the same port.
fn sockets(address: SocketAddr) -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind(address).expect("a loopback address with a free port");
        let bound = udp.local_addr().expect("a bound socket has an address");
        match TcpListener::bind(bound) {
            Ok(tcp) => return (udp, tcp),
            Err(error) => assert!(address.port() == 0, "TCP on {bound}: {error}"),
        }
    }
    panic!("no port is free for both UDP and TCP");
}

impl Shared {
    fn serve_udp(self: &Arc<Self>, socket: &Arc<UdpSocket>) {
        let mut query = [0u8; 4096];
        while !self.stopped.load(Ordering::SeqCst) {
            let Ok((len, source)) = socket.recv_from(&mut query) else { continue };
            let Some(reply) = self.answer(&query[..len], source, false) else { continue };
            let send = move |socket: &UdpSocket, reply: &answer::Reply| {
                for datagram in &reply.messages {
                    let _ = socket.send_to(datagram, source);
                }
            };
            if reply.delay.is_zero() {
                send(socket, &reply);
                continue;
            }
            let socket = Arc::clone(socket);
            std::thread::spawn(move || {
                std::thread::sleep(reply.delay);
                send(&socket, &reply);
            });
        }
    }

    fn serve_tcp(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let shared = Arc::clone(self);
            std::thread::spawn(move || {
                // A client that goes away ends its connection.
                let _ = shared.serve_stream(stream);
            });
        }
    }

    fn serve_stream(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let source = stream.peer_addr()?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query)?;
            let Some(reply) = self.answer(&query, source, true) else { return Ok(()) };
            std::thread::sleep(reply.delay);
            for message in &reply.messages {
                let length = u16::try_from(message.len()).expect("answers of a test are short");
                stream.write_all(&[&length.to_be_bytes()[..], message].concat())?;
            }
        }
    }

    /// None: no answer.
    fn answer(&self, bytes: &[u8], source: SocketAddr, tcp: bool) -> Option<answer::Reply> {
        let query = hickory_proto::op::Message::from_vec(bytes).ok()?;
        let question = query.queries.first()?;
        let name_as_sent = question.name().to_ascii().trim_end_matches('.').to_owned();
        let seen = Query {
            name: name_as_sent.to_ascii_lowercase(),
            name_as_sent,
            kind: question.query_type().to_string(),
            tcp,
            edns: query.edns.as_ref().map(hickory_proto::op::Edns::max_payload),
            id: query.metadata.id,
            source,
            at: Instant::now(),
        };
        let zone = {
            let mut zone = lock(&self.zone);
            let asked = zone.clone();
            zone.faults.retain(|fault| *fault != (seen.name.clone(), Fault::MissingOnce));
            asked
        };
        let reply = zone.answer(&query, &seen);
        let mut queries = lock(&self.queries);
        if queries.len() < QUERIES_MAX {
            queries.push(seen);
        }
        reply
    }
}

impl Record {
    fn kind(self) -> Option<RecordType> {
        Some(match self {
            Record::Mx(..) => RecordType::MX,
            Record::A(_) => RecordType::A,
            Record::Aaaa(_) => RecordType::AAAA,
            Record::Cname(_) => RecordType::CNAME,
            Record::Txt(_) => RecordType::TXT,
            Record::Ptr(_) => RecordType::PTR,
            Record::Tlsa(_) => RecordType::TLSA,
            Record::Nothing => return None,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test thread panics while it holds a lock")
}
