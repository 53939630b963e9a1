//! The resolver of a shard: `net::dns` on the engine's sockets.
//!
//! One question is in flight once, whoever asks. Each try has a connected UDP socket on a random port for itself;
//! a few sockets are kept for the next queries. What is cut short is asked again by TCP.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use engine::net::{Conn, Connect, Udp};
use engine::sync::{Notify, Receiver, Sender, oneshot};
use engine::task::Class;
use net::dns::{
    Answer, Failure, Families, Handled, HostSearch, Lookup, MailHosts, QueryId, Question, Settings, Step,
    Stub, Transmit, first_tcp_message, resolv_conf,
};
use rustc_hash::FxHashMap;

/// The system's resolver file, read when the configuration names no servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Most bytes of it that are read.
const RESOLV_CONF_BYTES_MAX: usize = 64 * 1024;

/// Idle sockets kept for each server.
const IDLE_SOCKETS_MAX: usize = 8;

/// Queries after which a socket, and with it its port, is given up.
const SOCKET_USES_MAX: u32 = 32;

/// Datagrams that are not the answer before a try is given up: somebody guesses.
const STRAY_DATAGRAMS_MAX: u32 = 64;

/// Times that each server is asked before a question fails.
const ROUNDS: u32 = 2;

/// Longest life of a cache entry when the configuration does not say.
const TTL_MAX_S: u32 = 86_400;

/// Looks up mail hosts, with a cache and one question at a time for each name. One per shard.
#[derive(Debug)]
pub struct Resolver {
    /// `None` until the system's resolver file has been read.
    core: RefCell<Option<Rc<Core>>>,
    started: Notify,
    settings: RefCell<config::Resolver>,
    /// Counts reconfigurations, so that a slow reading of the resolver file does not undo a later one.
    generation: Cell<u64>,
}

impl Resolver {
    /// Starts with these settings; the system's resolver file is read when they name no servers.
    pub fn start(settings: &config::Resolver) -> Rc<Resolver> {
        let resolver = Rc::new(Resolver {
            core: RefCell::new(None),
            started: Notify::new(),
            settings: RefCell::new(settings.clone()),
            generation: Cell::new(0),
        });
        resolver.configure();
        resolver
    }

    /// Takes new settings (reload), and reads the system's resolver file again. Questions in flight go on under the
    /// old settings.
    pub fn reconfigure(self: &Rc<Self>, settings: &config::Resolver) {
        let same = *self.settings.borrow() == *settings;
        if same && !settings.servers.is_empty() {
            return;
        }
        self.settings.replace(settings.clone());
        self.configure();
    }

    /// The hosts for mail to `domain` by MX, or by address when it has no MX; also for an address literal
    /// (`[192.0.2.1]`, `[IPv6:2001:db8::1]`). Hosts of equal preference come in random order.
    pub async fn mail_hosts(&self, domain: &str, ipv4: bool, ipv6: bool) -> MailHosts {
        self.search(HostSearch::mail(domain, Families { ipv4, ipv6 }, engine::rng::u64())).await
    }

    /// The addresses of a fixed next hop: a host name, an address (bare or in brackets), or `localhost`.
    pub async fn host(&self, name: &str, ipv4: bool, ipv6: bool) -> MailHosts {
        self.search(HostSearch::host(name, Families { ipv4, ipv6 }, engine::rng::u64())).await
    }

    async fn search(&self, mut search: HostSearch) -> MailHosts {
        loop {
            let questions = match search.step() {
                Step::Done(hosts) => return hosts,
                Step::Ask(questions) => questions,
            };
            let core = self.core().await;
            // All are asked before the first is waited for.
            let pending: Vec<_> = questions.iter().map(|question| core.ask(question)).collect();
            core.pump();
            for (question, pending) in questions.iter().zip(pending) {
                search.answer(question, pending.answer().await);
            }
        }
    }

    async fn core(&self) -> Rc<Core> {
        loop {
            if let Some(core) = &*self.core.borrow() {
                return Rc::clone(core);
            }
            self.started.notified().await;
        }
    }

    fn configure(self: &Rc<Self>) {
        let settings = self.settings.borrow().clone();
        let generation = self.generation.get() + 1;
        self.generation.set(generation);
        if !settings.servers.is_empty() {
            return self.install(settings.servers.clone(), &settings);
        }
        let resolver = Rc::clone(self);
        engine::task::spawn(Class::Interactive, async move {
            let servers = system_servers().await;
            if resolver.generation.get() == generation {
                resolver.install(servers, &settings);
            }
        });
    }

    fn install(&self, servers: Vec<SocketAddr>, settings: &config::Resolver) {
        let unchanged = self.core.borrow().as_ref().is_some_and(|core| core.is_like(&servers, settings));
        if !unchanged {
            self.core.replace(Some(Rc::new(Core::new(servers, settings))));
            self.started.notify_all();
        }
    }
}

/// The servers of the resolver file; without a readable one, a server on this machine.
async fn system_servers() -> Vec<SocketAddr> {
    let text =
        engine::disk::read_file(Path::new(RESOLV_CONF), RESOLV_CONF_BYTES_MAX).await.unwrap_or_default();
    resolv_conf::parse(&String::from_utf8_lossy(&text)).servers
}

/// A stub resolver under one configuration, with its sockets and those who wait.
#[derive(Debug)]
struct Core {
    settings: Settings,
    stub: RefCell<Stub>,
    waiting: RefCell<FxHashMap<QueryId, Vec<Sender<Answer>>>>,
    idle: RefCell<FxHashMap<SocketAddr, Vec<Socket>>>,
}

#[derive(Debug)]
struct Socket {
    udp: Udp,
    uses: u32,
}

/// An answer that is known or will come.
enum Pending {
    Known(Answer),
    Wait(Receiver<Answer>),
}

impl Pending {
    async fn answer(self) -> Answer {
        match self {
            Pending::Known(answer) => answer,
            Pending::Wait(receiver) => receiver.await.unwrap_or(Answer::Failed(Failure::Overloaded)),
        }
    }
}

impl Core {
    fn new(servers: Vec<SocketAddr>, settings: &config::Resolver) -> Core {
        let settings = stub_settings(servers, settings);
        Core {
            stub: RefCell::new(Stub::new(settings.clone(), engine::rng::u64())),
            settings,
            waiting: RefCell::default(),
            idle: RefCell::default(),
        }
    }

    fn is_like(&self, servers: &[SocketAddr], settings: &config::Resolver) -> bool {
        self.settings == stub_settings(servers.to_vec(), settings)
    }

    fn ask(&self, question: &Question) -> Pending {
        match self.stub.borrow_mut().lookup(question, now_ms()) {
            Lookup::Known(answer) => Pending::Known(answer),
            Lookup::Wait(query) => {
                let (sender, receiver) = oneshot();
                self.waiting.borrow_mut().entry(query).or_default().push(sender);
                Pending::Wait(receiver)
            }
        }
    }

    /// Sends what is to be sent and hands out what is known.
    fn pump(self: &Rc<Self>) {
        loop {
            let transmit = self.stub.borrow_mut().poll_transmit(now_ms(), &mut engine::rng::fill);
            let Some(transmit) = transmit else { break };
            engine::task::spawn(Class::Interactive, Rc::clone(self).exchange(transmit));
        }
        loop {
            let answer = self.stub.borrow_mut().poll_answer();
            let Some((query, answer)) = answer else { break };
            for sender in self.waiting.borrow_mut().remove(&query).unwrap_or_default() {
                // Who has gone meanwhile needs no answer.
                let _ = sender.send(answer.clone());
            }
        }
    }

    /// One try, to its end.
    async fn exchange(self: Rc<Self>, transmit: Transmit) {
        let left = Duration::from_millis(transmit.deadline_ms.saturating_sub(now_ms()));
        let attempt =
            async { if transmit.tcp { self.by_tcp(&transmit).await } else { self.by_udp(&transmit).await } };
        match engine::time::timeout(left, attempt).await {
            Ok(Ok(())) => {}
            Ok(Err(Lost)) => self.stub.borrow_mut().handle_failure(transmit.id, now_ms()),
            Err(engine::time::Elapsed) => {
                self.stub.borrow_mut().handle_timeout(now_ms().max(transmit.deadline_ms));
            }
        }
        self.pump();
    }

    async fn by_udp(&self, transmit: &Transmit) -> Result<(), Lost> {
        let mut socket = match self.take_idle(transmit.server) {
            Some(socket) => socket,
            None => Socket { udp: Udp::connect(transmit.server).await.map_err(|_| Lost)?, uses: 0 },
        };
        socket.uses += 1;
        socket.udp.send(transmit.payload.clone()).await.map_err(|_| Lost)?;
        for _ in 0..STRAY_DATAGRAMS_MAX {
            let datagram = socket.udp.recv().await.map_err(|_| Lost)?;
            let handled = self.stub.borrow_mut().handle_response(transmit.id, &datagram, now_ms());
            if handled == Handled::Closed {
                self.keep_idle(transmit.server, socket);
                return Ok(());
            }
        }
        Err(Lost)
    }

    async fn by_tcp(&self, transmit: &Transmit) -> Result<(), Lost> {
        let to = Connect { remote: transmit.server, local: None };
        let connection = Conn::connect(to).await.map_err(|_| Lost)?;
        connection.send(transmit.payload.clone()).await.map_err(|_| Lost)?;
        // Never more than one message and one buffer: a message ends after 64 KiB.
        let mut stream = Vec::new();
        loop {
            let bytes = connection.recv().await.map_err(|_| Lost)?;
            if bytes.is_empty() {
                return Err(Lost);
            }
            stream.extend_from_slice(&bytes);
            if let Some(message) = first_tcp_message(&stream) {
                self.stub.borrow_mut().handle_response(transmit.id, message, now_ms());
                return Ok(());
            }
        }
    }

    fn take_idle(&self, server: SocketAddr) -> Option<Socket> {
        self.idle.borrow_mut().get_mut(&server)?.pop()
    }

    fn keep_idle(&self, server: SocketAddr, socket: Socket) {
        let mut idle = self.idle.borrow_mut();
        let sockets = idle.entry(server).or_default();
        if socket.uses < SOCKET_USES_MAX && sockets.len() < IDLE_SOCKETS_MAX {
            sockets.push(socket);
        }
    }
}

/// A try came to nothing: not sent, refused, or the stream ended.
struct Lost;

/// The share of this shard.
fn stub_settings(servers: Vec<SocketAddr>, settings: &config::Resolver) -> Settings {
    let shards = usize::from(engine::boot::shards()).max(1);
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    Settings {
        servers,
        timeout_ms: u64::try_from(settings.timeout.as_millis()).unwrap_or(u64::MAX).max(1),
        rounds: ROUNDS,
        cache_entries: (settings.cache_size as usize).div_ceil(shards),
        ttl_min_s: seconds(settings.cache_ttl_min),
        ttl_max_s: settings.cache_ttl_max.map_or(TTL_MAX_S, seconds),
        max_queries: (settings.concurrency as usize).div_ceil(shards),
    }
}

fn now_ms() -> u64 {
    engine::time::now().0 / 1_000_000
}
