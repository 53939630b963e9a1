//! A stub resolver under one configuration, with its sockets and those who wait.
//!
//! Each try has a connected UDP socket on a random port for itself; a few sockets are kept for the next queries. What
//! is cut short is asked again by TCP.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::net::{Conn, Connect, Udp};
use engine::sync::{Receiver, Sender, oneshot};
use engine::task::Class;
use net::dns::{
    Failure, Handled, Lookup, QueryId, Question, Resolved, Settings, Stub, StubCounts, Transmit,
    first_tcp_message,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{now_ms, shared};

/// Idle sockets kept for each server.
const IDLE_SOCKETS_MAX: usize = 8;

/// Queries after which a socket, and with it its port, is given up.
const SOCKET_USES_MAX: u32 = 32;

/// Datagrams that are not the answer before a try is given up: somebody guesses.
const STRAY_DATAGRAMS_MAX: u32 = 64;

#[derive(Debug)]
pub(super) struct Core {
    settings: Settings,
    stub: RefCell<Stub>,
    waiting: RefCell<FxHashMap<QueryId, Asked>>,
    idle: RefCell<FxHashMap<SocketAddr, Vec<Socket>>>,
}

/// A question without an answer yet.
#[derive(Debug)]
struct Asked {
    question: Question,
    since_ms: u64,
    waiters: Vec<Waiter>,
}

/// A look-up under way, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looking {
    /// The name.
    pub name: String,
    /// Since when it was asked for.
    pub for_ms: u64,
    /// Others that wait for the same answer.
    pub others: u64,
}

/// Who waits for an answer.
#[derive(Debug)]
enum Waiter {
    Here(Sender<Resolved>),
    /// Another shard.
    There(ShardId),
}

#[derive(Debug)]
struct Socket {
    udp: Udp,
    uses: u32,
}

/// An answer that is known or will come.
pub(super) enum Pending {
    Known(Resolved),
    Wait(Receiver<Resolved>),
}

impl Pending {
    pub(super) async fn answer(self) -> Resolved {
        match self {
            Pending::Known(resolved) => resolved,
            Pending::Wait(receiver) => receiver.await.unwrap_or(Resolved::failed(Failure::Overloaded)),
        }
    }
}

/// A try came to nothing: not sent, refused, or the stream ended.
struct Lost;

impl Core {
    pub(super) fn new(settings: Settings) -> Core {
        Core {
            stub: RefCell::new(Stub::new(settings.clone(), engine::rng::u64())),
            settings,
            waiting: RefCell::default(),
            idle: RefCell::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long a question may take before it fails, most of the time: aliases can make it longer.
    pub(super) fn patience(&self) -> Duration {
        let tries = u64::from(self.settings.rounds) * self.settings.servers.len() as u64;
        Duration::from_millis(self.settings.timeout_ms.saturating_mul(tries.max(1)))
    }

    pub(super) fn counts(&self) -> StubCounts {
        self.stub.borrow().counts()
    }

    /// Questions that servers are asked, the oldest first; then those that wait until fewer are, in their order.
    pub(super) fn looking(&self) -> (Vec<Looking>, Vec<Looking>) {
        let (waiting, now_ms) = (self.waiting.borrow(), now_ms());
        let looking = |asked: &Asked| Looking {
            name: asked.question.name.to_string(),
            for_ms: now_ms.saturating_sub(asked.since_ms),
            others: asked.waiters.len().saturating_sub(1) as u64,
        };
        let unstarted: Vec<QueryId> = self.stub.borrow().unstarted().collect();
        let set: FxHashSet<&QueryId> = unstarted.iter().collect();
        let mut running: Vec<&Asked> =
            waiting.iter().filter(|(id, _)| !set.contains(id)).map(|(_, asked)| asked).collect();
        running.sort_by_key(|asked| asked.since_ms);
        let queued = unstarted.iter().filter_map(|id| waiting.get(id));
        (running.into_iter().map(looking).collect(), queued.map(looking).collect())
    }

    /// Forgets all answers.
    pub(super) fn clear(&self) {
        self.stub.borrow_mut().clear_cache();
    }

    /// What failed may work now.
    pub(super) fn forget_failures(&self) {
        self.stub.borrow_mut().forget_failures();
    }

    /// Asks for somebody on this shard. [`Core::pump`] must follow.
    pub(super) fn ask(&self, question: &Question) -> Pending {
        match self.stub.borrow_mut().lookup(question, now_ms()) {
            Lookup::Known(resolved) => Pending::Known(resolved),
            Lookup::Wait(query) => {
                let (sender, receiver) = oneshot();
                self.wait(query, question, Waiter::Here(sender));
                Pending::Wait(receiver)
            }
        }
    }

    /// Asks for another shard, which is told when the answer comes unless it is known. [`Core::pump`] must follow.
    pub(super) fn ask_for(&self, shard: ShardId, question: &Question) -> Option<Resolved> {
        match self.stub.borrow_mut().lookup(question, now_ms()) {
            Lookup::Known(resolved) => Some(resolved),
            Lookup::Wait(query) => {
                self.wait(query, question, Waiter::There(shard));
                None
            }
        }
    }

    fn wait(&self, query: QueryId, question: &Question, waiter: Waiter) {
        let mut waiting = self.waiting.borrow_mut();
        let new = || Asked { question: question.clone(), since_ms: now_ms(), waiters: Vec::new() };
        waiting.entry(query).or_insert_with(new).waiters.push(waiter);
    }

    /// Sends what is to be sent and hands out what is known.
    pub(super) fn pump(self: &Rc<Self>) {
        loop {
            let transmit = self.stub.borrow_mut().poll_transmit(now_ms(), &mut engine::rng::fill);
            let Some(transmit) = transmit else { break };
            engine::task::spawn(Class::Interactive, Rc::clone(self).exchange(transmit));
        }
        loop {
            let answer = self.stub.borrow_mut().poll_answer();
            let Some((query, resolved)) = answer else { break };
            let waiting = self.waiting.borrow_mut().remove(&query);
            let Some(Asked { question, waiters, .. }) = waiting else { continue };
            for waiter in waiters {
                match waiter {
                    // Who has gone meanwhile needs no answer.
                    Waiter::Here(sender) => drop(sender.send(resolved.clone())),
                    Waiter::There(shard) => shared::tell(shard, &question, &resolved),
                }
            }
        }
        if self.stub.borrow_mut().take_recovery() {
            shared::tell_all_of_recovery();
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
