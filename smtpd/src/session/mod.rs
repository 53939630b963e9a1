//! Reception: listeners and the sessions they open.
//!
//! Each connection has a task that drives the machine of [`net::smtp::server`]: [`driver`]. What belongs to one
//! message on its way in is in [`transaction`]. Which shard serves a connection is settled in [`seat`]; who the client is,
//! in [`client`]; what it may be told when the service closes, in [`peer`]; what is counted by address, in [`by_address`]. Servers of type `http` and `https` have their connections in
//! [`http`].

mod auth;
pub mod by_address;
mod client;
mod driver;
mod encryption;
mod ending;
mod hooks;
mod http;
mod lines;
mod peer;
mod refusals;
mod reverse;
mod said;
pub mod seat;

mod transaction;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use engine::boot::ShardId;
use engine::net::{Conn, Listener};
use engine::sync::Notify;
use engine::task::{Class, Task};
use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::limits;
use crate::log::Priority;
use crate::program::Door;
use crate::shard::{Shard, Shell};
use peer::{Peer, Turn};
use seat::Seat;

/// The open sessions of a shard.
#[derive(Debug, Default)]
pub struct Sessions {
    open: RefCell<FxHashMap<u64, Handle>>,
    next: Cell<u64>,
    changed: Notify,
}

/// What the shard holds of a session.
#[derive(Debug)]
struct Handle {
    task: Option<Task<()>>,
    peer: Rc<Peer>,
}

/// Accepts connections of one listener until the shard closes it.
pub async fn accept(shard: Rc<Shard>, listener: Listener, door: Door) {
    loop {
        match accept_or_close(&shard, &listener).await {
            Some(Ok(conn)) => seat_and_open(&shard, conn, door),
            Some(Err(error)) => {
                let address = listener.local_addr();
                shard.log.line(Priority::Error, format_args!("accept: {error} ({address})"));
                let _ = engine::time::timeout(limits::ACCEPT_PAUSE, shard.closing()).await;
            }
            None => break,
        }
    }
    for conn in listener.close().await {
        seat_and_open(&shard, conn, door);
    }
}

/// The next connection; `None` when the listener is to be closed.
async fn accept_or_close(shard: &Shard, listener: &Listener) -> Option<std::io::Result<Conn>> {
    let mut closing = pin!(shard.closing());
    let mut accepting = pin!(listener.accept());
    poll_fn(|cx| match closing.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => accepting.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Opens a session, here or on the shard that has the fewest.
fn seat_and_open(shard: &Rc<Shard>, conn: Conn, door: Door) {
    let here = engine::boot::current();
    let seat = shard.program.seats.take(here.0);
    let there = ShardId(seat.shard());
    let conn = match there == here || !engine::mesh::can_send(there) {
        true => Err(conn),
        false => conn.hand_over(),
    };
    match conn {
        Ok(handover) => {
            let arrive = move || match Shell::here().shard() {
                Some(shard) => shard.sessions.open(&shard, handover.take_up(), door, seat),
                // It has ended meanwhile: the peer tries again, as after any connection that breaks.
                None => drop(handover),
            };
            // There is room, as asked above; a process that ends closes the connection.
            let _ = engine::mesh::send(there, arrive);
        }
        Err(conn) => shard.sessions.open(shard, conn, door, shard.program.seats.on(here.0)),
    }
}

impl Sessions {
    fn open(&self, shard: &Rc<Shard>, conn: Conn, door: Door, seat: Seat) {
        let number = self.next.get();
        self.next.set(number + 1);
        let peer = Rc::new(Peer::new(conn, door.server));
        self.open.borrow_mut().insert(number, Handle { task: None, peer: Rc::clone(&peer) });
        let settings = Arc::clone(&shard.snapshot().servers[door.server]);
        let place = Place::take(shard, door, number, seat);
        let task = match settings.http {
            None => engine::task::spawn(Class::Interactive, driver::run(place, settings, peer)),
            Some(_) => engine::task::spawn(Class::Interactive, http::run(place, settings, peer)),
        };
        if let Some(handle) = self.open.borrow_mut().get_mut(&number) {
            handle.task = Some(task);
        }
    }

    /// How many of a server are open for clients of a network.
    pub fn count_of(&self, server: usize, from: &IpNet) -> u64 {
        let open = self.open.borrow();
        let is_of =
            |handle: &&Handle| handle.peer.server == server && from.contains(&handle.peer.client.get());
        open.values().filter(is_of).count() as u64
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Tells idle clients that the service closes. The others learn it when their transaction has ended.
    pub fn stop(&self, shard: &Rc<Shard>) {
        let snapshot = shard.snapshot();
        for (&number, handle) in self.open.borrow().iter() {
            let peer = Rc::clone(&handle.peer);
            let words = peer.last_words(&snapshot.servers[peer.server]);
            let Some(words) = words.filter(|_| peer.turn.get() == Turn::Client) else { continue };
            let shard = Rc::clone(shard);
            peer.dismissed.set(true);
            engine::task::spawn(Class::Interactive, async move {
                peer.dismiss(words).await;
                shard.sessions.wake(number);
            });
        }
    }

    /// Drops all sessions where they stand, and says so to clients that wait for an answer or are in the middle of
    /// something. Takes no longer than a goodbye may.
    pub async fn break_off(&self, shard: &Shard) {
        self.abort();
        let snapshot = shard.snapshot();
        let mut farewells = Vec::new();
        for peer in self.open.borrow().values().map(|handle| Rc::clone(&handle.peer)) {
            let words = peer.last_words(&snapshot.servers[peer.server]);
            if let Some(words) = words.filter(|_| !peer.dismissed.get()) {
                // The session goes before this task runs: it was woken first.
                let farewell = async move { peer.break_off(words).await };
                farewells.push(engine::task::spawn(Class::Interactive, farewell));
            }
        }
        for farewell in farewells {
            farewell.await;
        }
    }

    /// Waits until none is open.
    pub async fn ended(&self) {
        while self.count() > 0 {
            self.changed.notified().await;
        }
    }

    /// Drops all sessions where they stand.
    pub fn abort(&self) {
        let open: Vec<u64> = self.open.borrow().keys().copied().collect();
        for number in open {
            self.end(number);
        }
    }

    /// Has a session see what is not an event, if it is still open.
    fn wake(&self, number: u64) {
        if let Some(Handle { task: Some(task), .. }) = self.open.borrow().get(&number) {
            task.wake();
        }
    }

    /// Drops a session where it stands, if it is still open.
    fn end(&self, number: u64) {
        if let Some(Handle { task: Some(task), .. }) = self.open.borrow().get(&number) {
            task.abort();
        }
    }
}

/// A session's place among the open ones; given back on drop, however its task ends.
#[derive(Debug)]
struct Place {
    shard: Rc<Shard>,
    door: Door,
    number: u64,
    /// False: the server has as many connections as it may.
    admitted: bool,
    _seat: Seat,
}

impl Place {
    fn take(shard: &Rc<Shard>, door: Door, number: u64, seat: Seat) -> Place {
        let max = shard.snapshot().servers[door.server].max_connections;
        let admitted = shard.program.connections[door.server].fetch_add(1, Ordering::Relaxed) < max;
        shard.stats.intake.connections.add(1);
        shard.stats.intake.turned_away.add(u64::from(!admitted));
        shard.stats.servers[door.server].connections.raise();
        Place { shard: Rc::clone(shard), door, number, admitted, _seat: seat }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shard.program.connections[self.door.server].fetch_sub(1, Ordering::Relaxed);
        self.shard.stats.servers[self.door.server].connections.lower();
        // The handle may hold the last reference to this very task: drop it outside the borrow.
        let handle = self.shard.sessions.open.borrow_mut().remove(&self.number);
        drop(handle);
        self.shard.sessions.changed.notify_all();
    }
}
