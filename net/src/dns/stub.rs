//! The stub resolver: from questions to datagrams and back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::dns::answer::{Failure, Question, Resolved};
use crate::dns::cache::{Cache, CacheCounts, Keyed};
use crate::dns::message::{self, RANDOM_BYTES, Response};
use crate::dns::query::{InFlight, Query, Way};
use crate::dns::servers::Servers;
use crate::limits;

mod outcome;

/// How a [`Stub`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers, the preferred first; those beyond [`limits::DNS_SERVERS_MAX`] are left out.
    pub servers: Vec<SocketAddr>,
    /// Begin with another server each time.
    pub rotate: bool,
    /// Ask by TCP only.
    pub tcp: bool,
    /// The servers, and the way to them, are trusted to say which answers are authentic (AD).
    pub trust_ad: bool,
    /// How long one server may take to answer, in milliseconds.
    pub timeout_ms: u64,
    /// How often each server is asked before a question fails.
    pub rounds: u32,
    /// Entries in the cache; 0: off.
    pub cache_entries: usize,
    /// Shortest life of a cache entry, in seconds.
    pub ttl_min_s: u32,
    /// Longest life of a cache entry, in seconds.
    pub ttl_max_s: u32,
    /// Most queries at once; further questions wait.
    pub max_queries: usize,
}

impl Default for Settings {
    /// The defaults of the configuration, for one shard, without servers.
    fn default() -> Self {
        Settings {
            servers: Vec::new(),
            rotate: false,
            tcp: false,
            trust_ad: false,
            timeout_ms: 5_000,
            rounds: 2,
            cache_entries: 10_000,
            ttl_min_s: 0,
            ttl_max_s: 86_400,
            max_queries: 1_000,
        }
    }
}

/// A question in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(u64);

/// One try of a query at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransmitId {
    query: QueryId,
    number: u32,
}

/// What became of a question at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Known.
    Known(Resolved),
    /// Will come out of [`Stub::poll_answer`] under this id. Whoever asks the same meanwhile gets the same id.
    Wait(QueryId),
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// For [`Stub::handle_response`] and [`Stub::handle_failure`].
    pub id: TransmitId,
    /// Where to, from a socket that receives from nobody else.
    pub server: SocketAddr,
    /// By TCP (`payload` has the length bytes); else by UDP.
    pub tcp: bool,
    /// The query.
    pub payload: Bytes,
    /// When the try is over. [`Stub::handle_timeout`] at that time goes on to the next.
    pub deadline_ms: u64,
}

/// What a received message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Nothing: it is not the answer. Keep receiving.
    Ignored,
    /// The try is over, its socket is free.
    Closed,
}

/// What a [`Stub`] is doing, and what its cache has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StubCounts {
    /// Queries under way.
    pub running: usize,
    /// Questions that wait until fewer are.
    pub waiting: usize,
    /// Entries of the cache.
    pub entries: usize,
    /// The cache.
    pub cache: CacheCounts,
}

/// A stub resolver without sockets or clock. The caller does, whenever something has happened:
/// [`Stub::poll_transmit`] and [`Stub::poll_answer`] until both are empty, then waits until
/// [`Stub::poll_timeout`].
#[derive(Debug)]
pub struct Stub {
    settings: Settings,
    cache: Cache,
    servers: Servers,
    queries: FxHashMap<QueryId, Query>,
    by_question: HashMap<Question, QueryId, Keyed>,
    next_id: u64,
    /// Not started: `max_queries` run.
    waiting: VecDeque<QueryId>,
    to_send: VecDeque<QueryId>,
    deadlines: BTreeSet<(u64, QueryId)>,
    answers: VecDeque<(QueryId, Resolved)>,
    running: usize,
    /// An outage has ended, and nobody has been told.
    recovered: bool,
}

impl Stub {
    /// With an empty cache. `hash_seed` is a random number.
    pub fn new(settings: Settings, hash_seed: u64) -> Stub {
        Stub {
            cache: Cache::new(settings.cache_entries, hash_seed),
            servers: Servers::new(&settings.servers, settings.rotate),
            queries: FxHashMap::default(),
            by_question: HashMap::with_hasher(Keyed(hash_seed)),
            next_id: 0,
            waiting: VecDeque::new(),
            to_send: VecDeque::new(),
            deadlines: BTreeSet::new(),
            answers: VecDeque::new(),
            running: 0,
            recovered: false,
            settings,
        }
    }

    /// Asks.
    pub fn lookup(&mut self, question: &Question, now_ms: u64) -> Lookup {
        if let Some(resolved) = self.cache.get(question, now_ms) {
            return Lookup::Known(resolved);
        }
        if let Some(id) = self.by_question.get(question) {
            return Lookup::Wait(*id);
        }
        if self.servers.len() == 0 {
            return Lookup::Known(Resolved::failed(Failure::NoServers));
        }
        if self.waiting.len() >= limits::DNS_WAITING_MAX {
            return Lookup::Known(Resolved::failed(Failure::Overloaded));
        }
        let id = self.add(question.clone(), 0, false, now_ms);
        self.by_question.insert(question.clone(), id);
        self.waiting.push_back(id);
        self.start_waiting(now_ms);
        Lookup::Wait(id)
    }

    /// The next thing to send. `random` fills its argument with bytes that nobody can guess.
    pub fn poll_transmit(&mut self, now_ms: u64, random: &mut dyn FnMut(&mut [u8])) -> Option<Transmit> {
        let id = self.to_send.pop_front()?;
        let query = self.queries.get_mut(&id).expect("what is to be sent is a query");
        let mut bits = [0; RANDOM_BYTES];
        random(&mut bits);
        let Way { tcp, manner, .. } = query.way;
        if !manner.mixed_case {
            message::in_lower_case(&mut bits);
        }
        let (payload, asked) = message::encode(&query.current(), manner.edns, self.settings.trust_ad, &bits);
        let deadline_ms = now_ms.saturating_add(self.settings.timeout_ms);
        query.transmit += 1;
        query.in_flight = Some(InFlight { asked, deadline_ms });
        self.deadlines.insert((deadline_ms, id));
        Some(Transmit {
            id: TransmitId { query: id, number: query.transmit },
            server: self.servers.address(query.server),
            tcp,
            payload: if tcp { message::for_tcp(&payload) } else { payload },
            deadline_ms,
        })
    }

    /// Takes a datagram, or a message from a TCP stream, that came for a transmit.
    pub fn handle_response(&mut self, transmit: TransmitId, bytes: &[u8], now_ms: u64) -> Handled {
        let id = transmit.query;
        let Some((query, flight)) = in_flight(&mut self.queries, transmit) else { return Handled::Closed };
        let tcp = query.way.tcp;
        let response = match message::decode(bytes, &flight.asked, !tcp) {
            Ok(response) => response,
            Err(message::NotOurs) if tcp => Response::Malformed,
            Err(message::NotOurs) => return Handled::Ignored,
        };
        // Nobody else can have changed it on a TCP connection.
        let changes_case = tcp && query.way.case_changed && !message::repeats_case(bytes, &flight.asked);
        let server = query.server;
        self.land(id);
        self.servers.answered(server);
        if changes_case {
            self.servers.changes_case(server, now_ms);
        }
        let query = self.queries.get_mut(&id).expect("it has just been in flight");
        if query.is_probe {
            self.queries.remove(&id);
            return Handled::Closed;
        }
        match response {
            Response::Answer(answer, found) => {
                if self.servers.was_useful(now_ms) {
                    self.recovered = true;
                    self.cache.forget_failures();
                }
                if query.way.edns_refused {
                    self.servers.knows_no_edns(server, now_ms);
                }
                self.answer(id, answer, found, now_ms);
            }
            Response::Alias(target, found) => self.follow(id, target, found, now_ms),
            Response::Truncated if !tcp => {
                query.way.tcp = true;
                self.to_send.push_back(id);
            }
            Response::CaseChanged if !tcp && query.way.manner.mixed_case => {
                (query.way.tcp, query.way.case_changed) = (true, true);
                self.to_send.push_back(id);
            }
            Response::NotUnderstood(_) if query.way.manner.edns => {
                (query.way.manner.edns, query.way.edns_refused) = (false, true);
                self.to_send.push_back(id);
            }
            Response::NotUnderstood(code) => self.useless(id, Failure::ServerFailure(code), now_ms),
            Response::ServerFailure(code) => self.useless(id, Failure::ServerFailure(code), now_ms),
            Response::AliasLoop => self.fail(id, Failure::AliasLoop, now_ms),
            Response::Malformed | Response::Truncated | Response::CaseChanged => {
                self.useless(id, Failure::Malformed, now_ms);
            }
        }
        Handled::Closed
    }

    /// The transmit could not be sent, or its socket reported an error, or the stream ended without an answer.
    pub fn handle_failure(&mut self, transmit: TransmitId, now_ms: u64) {
        if in_flight(&mut self.queries, transmit).is_some() {
            self.silent(transmit.query, Failure::Unreachable, now_ms);
        }
    }

    /// When to call [`Stub::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Goes on to the next server where the time is up.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        while let Some((_, id)) =
            self.deadlines.first().copied().filter(|(deadline_ms, _)| *deadline_ms <= now_ms)
        {
            self.silent(id, Failure::Timeout, now_ms);
        }
    }

    /// The next question that has come to an end.
    pub fn poll_answer(&mut self) -> Option<(QueryId, Resolved)> {
        self.answers.pop_front()
    }

    /// True while the transmit waits for an answer.
    pub fn is_open(&self, transmit: TransmitId) -> bool {
        self.queries
            .get(&transmit.query)
            .is_some_and(|query| query.in_flight.is_some() && query.transmit == transmit.number)
    }

    /// Once after a time in which no server answered anything of use: the first answer has come. What failed meanwhile
    /// is forgotten.
    pub fn take_recovery(&mut self) -> bool {
        std::mem::take(&mut self.recovered)
    }

    /// What it is doing, and what its cache has done.
    pub fn counts(&self) -> StubCounts {
        StubCounts {
            running: self.running,
            waiting: self.waiting.len(),
            entries: self.cache.len(),
            cache: self.cache.counts(),
        }
    }

    /// The queries that wait until fewer run, the next one first.
    pub fn unstarted(&self) -> impl Iterator<Item = QueryId> {
        self.waiting.iter().copied()
    }

    /// Forgets failures: what failed may work now.
    pub fn forget_failures(&mut self) {
        self.cache.forget_failures();
    }

    /// Empties the cache.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
    }

    /// Entries in the cache.
    pub fn cache_len(&self) -> usize {
        self.cache.len()
    }

    /// Takes in a query of this server.
    fn add(&mut self, question: Question, server: usize, is_probe: bool, now_ms: u64) -> QueryId {
        let id = QueryId(self.next_id);
        self.next_id += 1;
        let way = self.way(server, now_ms);
        self.queries.insert(id, Query::new(question, server, way, is_probe));
        id
    }

    /// How a server is asked first.
    fn way(&self, server: usize, now_ms: u64) -> Way {
        Way::new(self.settings.tcp, self.servers.manner(server, now_ms))
    }

    /// Starts what waits, as far as there is room; nothing waits for servers that do not answer anybody.
    fn start_waiting(&mut self, now_ms: u64) {
        loop {
            let has_room = self.running < self.settings.max_queries.max(1);
            if !has_room && !self.servers.all_silent(now_ms) {
                break;
            }
            let Some(id) = self.waiting.pop_front() else { break };
            self.running += 1;
            if !has_room || !self.servers.permits(now_ms) {
                self.close(id, Resolved::failed(Failure::AllSilent));
                continue;
            }
            let server = self.servers.first();
            self.ask(id, server, now_ms);
            let question = self.queries[&id].question.clone();
            self.probe(&question, now_ms);
        }
    }

    /// Asks a dead server whether it is alive, if it is time for that.
    fn probe(&mut self, question: &Question, now_ms: u64) {
        if let Some(server) = self.servers.take_probe(now_ms) {
            let id = self.add(question.clone(), server, true, now_ms);
            self.to_send.push_back(id);
        }
    }

    /// Ends the try of a query that is in flight.
    fn land(&mut self, id: QueryId) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        if let Some(flight) = query.in_flight.take() {
            self.deadlines.remove(&(flight.deadline_ms, id));
        }
    }
}

/// The query of a transmit that still waits.
fn in_flight(queries: &mut FxHashMap<QueryId, Query>, transmit: TransmitId) -> Option<(&Query, &InFlight)> {
    let query = queries.get(&transmit.query).filter(|query| query.transmit == transmit.number)?;
    Some((query, query.in_flight.as_ref()?))
}
