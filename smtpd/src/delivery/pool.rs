//! Idle connections that wait to be used again.
//!
//! Each is held by a lane, which watches it; the pool knows what it is good for and how to wake the lane. It is found by
//! the line that it served last, which needs no look at DNS, or by the host it leads to, which may serve other lines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use engine::sync::{Receiver, Sender, oneshot};
use queue::Destination;
use rustc_hash::FxHashMap;
use tls::Demand;

use super::errand::Errand;
use crate::snapshot::Route;
use crate::stats::Pooling;

/// Everything that two messages must share to use the same connection. The route stands for its transport as
/// configured: TLS policy, credentials, HELO name and time-outs.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) route: Arc<Route>,
    pub(super) remote: SocketAddr,
    pub(super) source: Option<IpAddr>,
    /// What `queues.pooling.policy` and the check of certificates ask for beside: name of the host, domain or group.
    pub(super) share: Option<Arc<str>>,
    /// What DNS asks of TLS with the host: a connection that was held against nothing, or something else, will not do.
    pub(super) demand: Option<Demand>,
}

/// The idle connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// By the order in which they came.
    idle: RefCell<BTreeMap<u64, Idle>>,
    by_key: RefCell<FxHashMap<Key, Vec<u64>>>,
    by_destination: RefCell<FxHashMap<Destination, Vec<u64>>>,
    next: Cell<u64>,
}

/// A lane that waits with an open connection.
#[derive(Debug)]
struct Idle {
    key: Key,
    destination: Destination,
    stay: Stay,
    wake: Sender<Errand>,
}

/// What ends the wait of a lane.
#[derive(Debug)]
pub(super) struct Stay {
    /// It may be closed when the pool is full.
    pub(super) evictable: bool,
    /// Counters of policies in which it holds a place.
    pub(super) counted: Vec<queue::policy::Key>,
    /// It was brought for mail of this shard, and is not called back before that had its turn.
    pub(super) brought: bool,
}

/// A place in the pool.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    pub(super) woken: Receiver<Errand>,
}

impl Pool {
    /// How many are idle.
    pub(super) fn len(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Where they lead.
    pub(super) fn remotes(&self) -> Vec<SocketAddr> {
        self.idle.borrow().values().map(|idle| idle.key.remote).collect()
    }

    /// A lane begins to wait. `None`: the pool is full, and nothing in it may go.
    pub(super) fn enter(
        &self,
        key: Key,
        destination: Destination,
        stay: Stay,
        size: usize,
        stats: &Pooling,
    ) -> Option<Place> {
        while self.idle.borrow().len() >= size {
            let oldest =
                self.idle.borrow().iter().find(|(_, idle)| idle.stay.evictable).map(|(number, _)| *number);
            let Some(oldest) = oldest else {
                stats.skips.add(1);
                return None;
            };
            // Dropping what would wake it ends its wait.
            drop(self.remove(oldest));
            stats.evicts.add(1);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let (wake, woken) = oneshot();
        self.by_key.borrow_mut().entry(key.clone()).or_default().push(number);
        self.by_destination.borrow_mut().entry(destination.clone()).or_default().push(number);
        self.idle.borrow_mut().insert(number, Idle { key, destination, stay, wake });
        Some(Place { number, woken })
    }

    /// Takes a lane out, if it still is there.
    pub(super) fn leave(&self, place: &Place) {
        drop(self.remove(place.number));
    }

    /// Gives an attempt to a lane that served its line last and that `fits`; gives it back when there is none.
    pub(super) fn give_by_line(
        &self,
        mut errand: Errand,
        fits: impl Fn(&Key, &Errand) -> bool,
    ) -> Option<Errand> {
        loop {
            let number = {
                let (lines, idle) = (self.by_destination.borrow(), self.idle.borrow());
                let numbers = lines.get(&errand.attempt.destination);
                // What came last is the freshest.
                numbers
                    .and_then(|all| all.iter().rev().copied().find(|number| fits(&idle[number].key, &errand)))
            };
            let Some(idle) = number.and_then(|number| self.remove(number)) else { return Some(errand) };
            match idle.wake.send(errand) {
                Ok(()) => return None,
                // It gave up waiting meanwhile.
                Err(back) => errand = back,
            }
        }
    }

    /// Takes out a lane whose connection will do for `key`.
    pub(super) fn claim(&self, key: &Key) -> Option<Sender<Errand>> {
        let number = self.by_key.borrow().get(key)?.last().copied()?;
        self.remove(number).map(|idle| idle.wake)
    }

    /// Ends the wait of those that hold a place in this counter, since others wait for one.
    pub(super) fn recall(&self, counter: &queue::policy::Key) {
        self.end(counter, false);
    }

    /// Ends the wait of those that were brought for mail that waits by this counter, which found them of no use.
    pub(super) fn refuse(&self, counter: &queue::policy::Key) {
        self.end(counter, true);
    }

    fn end(&self, counter: &queue::policy::Key, brought: bool) {
        let idle = self.idle.borrow();
        let held = idle
            .iter()
            .filter(|(_, idle)| idle.stay.brought == brought && idle.stay.counted.contains(counter));
        let numbers: Vec<u64> = held.map(|(number, _)| *number).collect();
        drop(idle);
        numbers.into_iter().for_each(|number| drop(self.remove(number)));
    }

    /// Ends all waits.
    pub(super) fn close(&self) {
        let all = self.idle.take();
        self.by_key.take();
        self.by_destination.take();
        drop(all);
    }

    fn remove(&self, number: u64) -> Option<Idle> {
        let idle = self.idle.borrow_mut().remove(&number)?;
        forget(&mut self.by_key.borrow_mut(), &idle.key, number);
        forget(&mut self.by_destination.borrow_mut(), &idle.destination, number);
        Some(idle)
    }
}

fn forget<K: Eq + Hash>(index: &mut FxHashMap<K, Vec<u64>>, key: &K, number: u64) {
    if let Some(numbers) = index.get_mut(key) {
        numbers.retain(|other| *other != number);
        if numbers.is_empty() {
            index.remove(key);
        }
    }
}

impl Key {
    fn parts(&self) -> (*const Route, SocketAddr, Option<IpAddr>, Option<&str>, Option<&Demand>) {
        let share = self.share.as_deref();
        (Arc::as_ptr(&self.route), self.remote, self.source, share, self.demand.as_ref())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}
