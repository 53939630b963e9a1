//! The stub resolver: from questions to datagrams and back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::dns::answer::{Answer, Failure, Question};
use crate::dns::cache::{Cache, Keyed};
use crate::dns::message::{self, Asked, RANDOM_BYTES, Response};
use crate::dns::name::DomainName;
use crate::dns::servers::Servers;
use crate::limits;

/// How long an answer without a lifetime of its own is kept, and a failure (RFC 9520: at least one second).
const UNTIMED_TTL_MS: u64 = 5_000;

/// Longest life of a negative answer (RFC 2308 section 5 suggests one to three hours).
const NEGATIVE_TTL_MAX_S: u32 = 3_600;

/// How a [`Stub`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers, the preferred first; those beyond [`limits::DNS_SERVERS_MAX`] are left out.
    pub servers: Vec<SocketAddr>,
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
    Known(Answer),
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
    answers: VecDeque<(QueryId, Answer)>,
    running: usize,
}

#[derive(Debug)]
struct Query {
    question: Question,
    /// What is asked for now: the question's name, or where its aliases led.
    name: DomainName,
    aliases: usize,
    /// Shortest lifetime on the way.
    alias_ttl_ms: u64,
    /// Tries for `name` that came to nothing.
    tries: u32,
    /// Number of the last transmit.
    transmit: u32,
    server: usize,
    /// Servers that answered, without success: no use in asking them again. Bit by number.
    useless: u32,
    tcp: bool,
    edns: bool,
    last_failure: Failure,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    asked: Asked,
    deadline_ms: u64,
}

impl Stub {
    /// With an empty cache. `hash_seed` is a random number.
    pub fn new(settings: Settings, hash_seed: u64) -> Stub {
        Stub {
            cache: Cache::new(settings.cache_entries, hash_seed),
            servers: Servers::new(&settings.servers),
            queries: FxHashMap::default(),
            by_question: HashMap::with_hasher(Keyed(hash_seed)),
            next_id: 0,
            waiting: VecDeque::new(),
            to_send: VecDeque::new(),
            deadlines: BTreeSet::new(),
            answers: VecDeque::new(),
            running: 0,
            settings,
        }
    }

    /// Asks.
    pub fn lookup(&mut self, question: &Question, now_ms: u64) -> Lookup {
        if let Some((answer, _)) = self.cache.get(question, now_ms) {
            return Lookup::Known(answer);
        }
        if let Some(id) = self.by_question.get(question) {
            return Lookup::Wait(*id);
        }
        let Some(server) = self.servers.choose(None, 0, now_ms) else {
            return Lookup::Known(Answer::Failed(Failure::NoServers));
        };
        if self.waiting.len() >= limits::DNS_WAITING_MAX {
            return Lookup::Known(Answer::Failed(Failure::Overloaded));
        }
        let id = QueryId(self.next_id);
        self.next_id += 1;
        let query = Query {
            question: question.clone(),
            name: question.name.clone(),
            aliases: 0,
            alias_ttl_ms: u64::MAX,
            tries: 0,
            transmit: 0,
            server,
            useless: 0,
            tcp: false,
            edns: true,
            last_failure: Failure::Timeout,
            in_flight: None,
        };
        self.queries.insert(id, query);
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
        let question = Question { name: query.name.clone(), kind: query.question.kind };
        let (payload, asked) = message::encode(&question, query.edns, &bits);
        let deadline_ms = now_ms.saturating_add(self.settings.timeout_ms);
        query.transmit += 1;
        query.in_flight = Some(InFlight { asked, deadline_ms });
        self.deadlines.insert((deadline_ms, id));
        Some(Transmit {
            id: TransmitId { query: id, number: query.transmit },
            server: self.servers.address(query.server),
            tcp: query.tcp,
            payload: if query.tcp { message::for_tcp(&payload) } else { payload },
            deadline_ms,
        })
    }

    /// Takes a datagram, or a message from a TCP stream, that came for a transmit.
    pub fn handle_response(&mut self, transmit: TransmitId, bytes: &[u8], now_ms: u64) -> Handled {
        let id = transmit.query;
        let Some((query, flight)) = in_flight(&mut self.queries, transmit) else { return Handled::Closed };
        let response = match message::decode(bytes, &flight.asked, !query.tcp) {
            Ok(response) => response,
            Err(message::NotOurs) if query.tcp => Response::Malformed,
            Err(message::NotOurs) => return Handled::Ignored,
        };
        self.land(id);
        let query = self.queries.get_mut(&id).expect("it has just been in flight");
        self.servers.answered(query.server);
        match response {
            Response::Answer(answer, ttl_s) => self.answer(id, answer, ttl_s, now_ms),
            Response::Alias(target, ttl_s) => self.follow(id, target, ttl_s, now_ms),
            Response::Truncated | Response::CaseChanged if !query.tcp => {
                query.tcp = true;
                self.to_send.push_back(id);
            }
            Response::NotUnderstood if query.edns => {
                query.edns = false;
                self.to_send.push_back(id);
            }
            Response::NotUnderstood => self.useless(id, Failure::ServerFailure(1), now_ms),
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
    pub fn poll_answer(&mut self) -> Option<(QueryId, Answer)> {
        self.answers.pop_front()
    }

    /// True while the transmit waits for an answer.
    pub fn is_open(&self, transmit: TransmitId) -> bool {
        self.queries
            .get(&transmit.query)
            .is_some_and(|query| query.in_flight.is_some() && query.transmit == transmit.number)
    }

    /// Empties the cache.
    pub fn clear_cache(&mut self) {
        self.cache.clear();
    }

    /// Entries in the cache.
    pub fn cache_len(&self) -> usize {
        self.cache.len()
    }

    fn start_waiting(&mut self, now_ms: u64) {
        while self.running < self.settings.max_queries.max(1) {
            let Some(id) = self.waiting.pop_front() else { break };
            self.running += 1;
            let query = self.queries.get_mut(&id).expect("what waits is a query");
            query.server = self.servers.choose(None, 0, now_ms).expect("there are servers");
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

    fn silent(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        self.land(id);
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.last_failure = failure;
        // A server that is not reached by TCP may still be a good one by UDP.
        if !query.tcp {
            self.servers.was_silent(query.server, now_ms);
        }
        self.next_try(id, now_ms);
    }

    fn useless(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.useless |= 1 << query.server;
        query.last_failure = failure;
        self.next_try(id, now_ms);
    }

    fn next_try(&mut self, id: QueryId, now_ms: u64) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.tries += 1;
        (query.tcp, query.edns) = (false, true);
        let most = self.settings.rounds.max(1).saturating_mul(self.servers.len() as u32);
        let next = self.servers.choose(Some(query.server), query.useless, now_ms);
        match next.filter(|_| query.tries < most) {
            Some(server) => {
                query.server = server;
                self.to_send.push_back(id);
            }
            None => {
                let failure = query.last_failure;
                self.fail(id, failure, now_ms);
            }
        }
    }

    /// The name is an alias: goes on with its target.
    fn follow(&mut self, id: QueryId, target: DomainName, ttl_s: u32, now_ms: u64) {
        let query = self.queries.get_mut(&id).expect("the caller names a query");
        query.aliases += 1;
        if query.aliases > limits::DNS_ALIASES_MAX {
            return self.fail(id, Failure::AliasLoop, now_ms);
        }
        query.alias_ttl_ms = query.alias_ttl_ms.min(u64::from(ttl_s) * 1_000);
        query.name = target;
        (query.tries, query.useless, query.tcp, query.edns) = (0, 0, false, true);
        let question = Question { name: query.name.clone(), kind: query.question.kind };
        match self.cache.get(&question, now_ms) {
            Some((answer, left_ms)) => self.finish(id, answer, left_ms, now_ms),
            None => self.to_send.push_back(id),
        }
    }

    fn answer(&mut self, id: QueryId, answer: Answer, ttl_s: Option<u32>, now_ms: u64) {
        let negative = matches!(answer, Answer::NoData | Answer::NoDomain);
        let longest_s = if negative { NEGATIVE_TTL_MAX_S } else { u32::MAX };
        let ttl_ms = match ttl_s {
            Some(ttl_s) => {
                let Settings { ttl_min_s, ttl_max_s, .. } = self.settings;
                u64::from(ttl_s.min(longest_s).max(ttl_min_s).min(ttl_max_s)) * 1_000
            }
            None => UNTIMED_TTL_MS,
        };
        self.finish(id, answer, ttl_ms, now_ms);
    }

    fn fail(&mut self, id: QueryId, failure: Failure, now_ms: u64) {
        self.finish(id, Answer::Failed(failure), UNTIMED_TTL_MS, now_ms);
    }

    fn finish(&mut self, id: QueryId, answer: Answer, ttl_ms: u64, now_ms: u64) {
        let query = self.queries.remove(&id).expect("the caller names a query");
        self.by_question.remove(&query.question);
        self.cache.insert(query.question, answer.clone(), ttl_ms.min(query.alias_ttl_ms), now_ms);
        self.answers.push_back((id, answer));
        self.running -= 1;
        self.start_waiting(now_ms);
    }
}

/// The query of a transmit that still waits.
fn in_flight(queries: &mut FxHashMap<QueryId, Query>, transmit: TransmitId) -> Option<(&Query, &InFlight)> {
    let query = queries.get(&transmit.query).filter(|query| query.transmit == transmit.number)?;
    Some((query, query.in_flight.as_ref()?))
}
