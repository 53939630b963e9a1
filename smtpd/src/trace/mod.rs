//! Traces: the live SMTP dialogue of connections that an operator asks for, without secrets and without the messages.
//!
//! - [`Traces`]: those that are on, as a shard knows them. None costs a connection a comparison of two numbers.
//! - [`Tap`]: what a connection says, to the traces that want it. Until a recipient's domain is known it holds a little back.
//! - [`Subscription`]: what one operator gets, on the control thread. An operator who does not keep up loses events, which
//!   are counted, and holds up nobody.

mod dialogue;
mod filter;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd::trace_event::Kind;
use control::smtpd::{TraceEvent, TraceRequest};
use engine::boot::ShardId;
use engine::mesh;
use engine::sync::Notify;
use net::smtp::address::Address;
use rustc_hash::FxHashMap;

use crate::limits;
use crate::log::{Log, Priority};
use crate::shard::Shell;
use crate::stats::Stats;
use dialogue::Lines;
pub use filter::{Filter, Who};

/// The traces that are on, on one shard.
#[derive(Debug, Default)]
pub struct Traces {
    on: RefCell<Vec<Rc<Trace>>>,
    /// Changes with them.
    generation: Cell<u32>,
    connections: Cell<u64>,
}

#[derive(Debug)]
struct Trace {
    id: u64,
    filter: Arc<Filter>,
    /// Events that did not pass.
    lost: Cell<u64>,
}

/// What one connection says, for the traces that want it.
#[derive(Debug, Default)]
pub struct Tap {
    /// That of the traces it was made for.
    generation: u32,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    /// Those that show it.
    shown: Vec<Rc<Trace>>,
    /// Those that wait for a recipient.
    waiting: Vec<Rc<Trace>>,
    /// Where it is logged, whoever watches.
    log: Option<Rc<Log>>,
    /// What happened before a recipient was known; the oldest goes first.
    held: VecDeque<TraceEvent>,
    about: About,
    received: Lines,
    sent: Lines,
}

#[derive(Debug)]
struct About {
    id: String,
    outgoing: bool,
    local: SocketAddr,
    remote: SocketAddr,
    name: String,
}

/// Which end of a connection said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Traces {
    fn start(&self, id: u64, filter: Arc<Filter>) {
        self.on.borrow_mut().push(Rc::new(Trace { id, filter, lost: Cell::new(0) }));
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    fn stop(&self, id: u64) {
        self.on.borrow_mut().retain(|trace| trace.id != id);
        self.generation.set(self.generation.get().wrapping_add(1));
    }
}

impl Tap {
    /// Whether anybody watches.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// The traces are not those any more that it was made for.
    #[inline]
    pub fn is_stale(&self, traces: &Traces) -> bool {
        self.generation != traces.generation.get()
    }

    /// Takes up what is on now. Call it when [`is_stale`](Self::is_stale), and at the start of what is to be logged.
    #[cold]
    pub fn renew(
        &mut self,
        traces: &Traces,
        who: Who<'_>,
        (local, remote): (SocketAddr, SocketAddr),
        log: Option<&Rc<Log>>,
    ) {
        self.generation = traces.generation.get();
        let on = traces.on.borrow();
        let wanted = on.iter().filter(|trace| trace.filter.may_show(who)).map(Rc::clone);
        let (waiting, shown): (Vec<_>, Vec<_>) = wanted.partition(|trace| trace.filter.needs_recipient());
        if waiting.is_empty() && shown.is_empty() && log.is_none() {
            return drop(self.open.take());
        }
        if let Some(open) = &mut self.open {
            // What it was shown to before, it still is, where that trace is still on.
            let before = std::mem::take(&mut open.shown);
            let still = |trace: &Rc<Trace>| before.iter().any(|own| own.id == trace.id);
            let (known, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(still);
            open.shown = shown.into_iter().chain(known).collect();
            open.waiting = waiting;
            return;
        }
        traces.connections.set(traces.connections.get() + 1);
        let id = format!("{}-{}", engine::boot::current().0, traces.connections.get());
        let about = About { id, outgoing: who.outgoing, local, remote, name: who.name.to_owned() };
        let (received, sent) = (Lines::default(), Lines::default());
        let mut open = Box::new(Open {
            shown,
            waiting,
            log: log.cloned(),
            held: VecDeque::new(),
            about,
            received,
            sent,
        });
        open.tell(Kind::Open, b"");
        self.open = Some(open);
    }

    /// Bytes have come in, which are no message.
    #[inline]
    pub fn received(&mut self, bytes: &[u8]) {
        if let Some(open) = &mut self.open {
            open.bytes(bytes, Kind::Received);
        }
    }

    /// Bytes go out, which are no message.
    #[inline]
    pub fn sent(&mut self, bytes: &[u8]) {
        if let Some(open) = &mut self.open {
            open.bytes(bytes, Kind::Sent);
        }
    }

    /// A recipient that no line names.
    #[inline]
    pub fn recipient(&mut self, address: &Address) {
        if let Some(open) = &mut self.open {
            open.recipient(&String::from_utf8_lossy(address.domain()).to_ascii_lowercase());
            open.tell(Kind::Note, format!("to <{address}>").as_bytes());
        }
    }

    /// Something that is no line.
    #[inline]
    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(open) = &mut self.open {
            open.tell(Kind::Note, text.to_string().as_bytes());
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(open) = &mut self.open {
            open.tell(Kind::Close, b"");
        }
    }
}

impl Open {
    fn bytes(&mut self, bytes: &[u8], kind: Kind) {
        let side = if (kind == Kind::Sent) == self.about.outgoing { Side::Client } else { Side::Server };
        let lines = if kind == Kind::Sent { &mut self.sent } else { &mut self.received };
        let mut whole = Vec::new();
        lines.push(bytes, |line, cut| whole.push((line.to_vec(), cut)));
        for (line, cut) in whole {
            let domain = dialogue::recipient_domain(&line).filter(|_| side == Side::Client);
            let mut text = if side == Side::Client { dialogue::masked(&line) } else { line };
            if cut > 0 {
                text.extend_from_slice(format!(" ... ({cut} more bytes)").as_bytes());
            }
            if let Some(domain) = domain {
                self.recipient(&domain);
            }
            self.tell(kind, &text);
        }
    }

    /// A recipient is named: traces that waited for it begin with what was held back.
    fn recipient(&mut self, domain: &str) {
        let waiting = std::mem::take(&mut self.waiting);
        let (matched, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|trace| trace.filter.takes(domain));
        self.waiting = waiting;
        for trace in matched {
            self.held.iter().for_each(|event| trace.send(event.clone()));
            self.shown.push(trace);
        }
        if self.waiting.is_empty() {
            self.held.clear();
        }
    }

    fn tell(&mut self, kind: Kind, text: &[u8]) {
        let About { id, outgoing, local, remote, name } = &self.about;
        if let Some(log) = &self.log {
            let mark = match kind {
                Kind::Open => "opened",
                Kind::Close => "closed",
                Kind::Received => "<",
                Kind::Sent => ">",
                Kind::Note | Kind::Unspecified => "-",
            };
            let text = text.escape_ascii();
            let line = format_args!("[-] protocol server={name} remote={remote} session={id} {mark} {text}");
            log.line(Priority::Info, line);
        }
        let event = TraceEvent {
            ts: engine::time::wall_us() as f64 / 1e6,
            connection: id.clone(),
            outgoing: *outgoing,
            kind: kind.into(),
            localip: local.ip().to_canonical().to_string(),
            remoteip: remote.ip().to_canonical().to_string(),
            name: name.clone(),
            transaction: String::new(),
            text: text.to_vec(),
        };
        self.shown.iter().for_each(|trace| trace.send(event.clone()));
        if !self.waiting.is_empty() {
            if self.held.len() == limits::TRACE_HELD {
                self.held.pop_front();
            }
            self.held.push_back(event);
        }
    }
}

impl Trace {
    /// To the control thread, unless that has too much to do.
    fn send(&self, event: TraceEvent) {
        let (id, lost) = (self.id, self.lost.take());
        let from = engine::boot::current();
        if mesh::send(engine::boot::control(), move || Hub::here().take(id, from, event, lost)).is_err() {
            self.lost.set(lost + 1);
        }
    }
}

/// The operators who watch, on the control thread.
#[derive(Debug, Default)]
struct Hub {
    watched: RefCell<FxHashMap<u64, Rc<Queue>>>,
    next: Cell<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    events: RefCell<VecDeque<TraceEvent>>,
    filled: Notify,
    lost: Cell<u64>,
    connections: Cell<u64>,
}

/// One operator's trace; it is off when this is dropped. On the control thread.
#[derive(Debug)]
pub struct Subscription {
    id: u64,
    shards: u16,
    queue: Rc<Queue>,
}

impl Hub {
    fn here() -> Rc<Hub> {
        mesh::local::get_or_default()
    }

    fn take(&self, id: u64, from: ShardId, event: TraceEvent, lost: u64) {
        let Some(queue) = self.watched.borrow().get(&id).cloned() else {
            // It did not hear of the end, or not yet.
            return tell(from, move |stats| stats.traces.stop(id));
        };
        queue.lost.set(queue.lost.get() + lost);
        let mut events = queue.events.borrow_mut();
        if events.len() >= limits::TRACE_EVENTS {
            return queue.lost.set(queue.lost.get() + 1);
        }
        let opened = u64::from(event.kind() == Kind::Open);
        queue.connections.set(queue.connections.get() + opened);
        events.push_back(event);
        drop(events);
        queue.filled.notify_one();
    }
}

impl Subscription {
    /// Turns a trace on, on all shards.
    ///
    /// # Errors
    /// A sentence about what cannot be asked for.
    pub fn start(request: &TraceRequest, shards: u16) -> Result<Subscription, String> {
        let filter = Arc::new(Filter::of(request)?);
        let hub = Hub::here();
        if hub.watched.borrow().len() >= limits::TRACES {
            return Err(format!("{} traces are on already", limits::TRACES));
        }
        let id = hub.next.get();
        hub.next.set(id + 1);
        let queue = Rc::new(Queue::default());
        hub.watched.borrow_mut().insert(id, Rc::clone(&queue));
        tell_shards(shards, move |stats| stats.traces.start(id, Arc::clone(&filter)));
        Ok(Subscription { id, shards, queue })
    }

    /// The next event; waits for one.
    pub async fn next(&self) -> TraceEvent {
        loop {
            if let Some(event) = self.queue.events.borrow_mut().pop_front() {
                return event;
            }
            self.queue.filled.notified().await;
        }
    }

    /// Events that were lost so far.
    pub fn lost(&self) -> u64 {
        self.queue.lost.get()
    }

    /// Connections that were shown so far.
    pub fn connections(&self) -> u64 {
        self.queue.connections.get()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        Hub::here().watched.borrow_mut().remove(&self.id);
        let id = self.id;
        tell_shards(self.shards, move |stats| stats.traces.stop(id));
    }
}

fn tell_shards(shards: u16, what: impl Fn(&Stats) + Clone + Send + 'static) {
    (0..shards).for_each(|shard| tell(ShardId(shard), what.clone()));
}

fn tell(shard: ShardId, what: impl FnOnce(&Stats) + Send + 'static) {
    // Where its ring is full it stands still, and is told when it shows something again.
    let _ = mesh::send(shard, move || {
        if let Some(shard) = Shell::here().shard() {
            what(&shard.stats);
        }
    });
}
