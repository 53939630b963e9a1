//! Delivery: picks attempts up from the queue, carries them out over connections that are used again, reports.
//!
//! A *lane* is a task with at most one outgoing connection. It takes attempts for its destination as long as some wait,
//! then stands in the pool with its connection for a while, where the next attempt for the destination or for the same
//! host finds it.

mod attempt;
mod chunking;
pub mod conditions;
pub mod facts;
mod hosts;
mod lane;
mod next_hop;
mod parking;
mod paths;
mod pool;
mod rendered;
mod report;
mod routes;
mod rules;
pub mod settings;
mod source;
mod tell;
mod transaction;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::sync::Notify;
use engine::task::{Class, Task};
use queue::Attempt;
use rustc_hash::FxHashMap;
use spool::Admission;

use crate::limits;
use crate::shard::Shard;
use crate::snapshot::{Route, Snapshot};
use attempt::Connection;
use chunking::Chunking;
use facts::AttemptFacts;
use lane::Lane;
use pool::{Key, Pool};
use report::Report;
use routes::Routes;
use rules::{Host, Rules};
use settings::AttemptSettings;

pub use report::{item_id, message_id};
pub use rules::Groups;
pub use source::{Choice, Family, Source, Sources};

/// The outgoing side of a shard.
#[derive(Debug, Default)]
pub struct Delivery {
    lanes: RefCell<FxHashMap<u64, Task<()>>>,
    next: Cell<u64>,
    pool: Pool,
    changed: Notify,
    chunking: Chunking,
    routes: Routes,
}

/// The task that gives attempts to lanes, for the life of the shard.
pub async fn pick_up(shard: Rc<Shard>) {
    loop {
        let mut taken = 0;
        while may_pick_up(&shard) {
            let next = shard.queue.borrow_mut().next(engine::time::steady_ms());
            let Some(attempt) = next else {
                shard.stats.pickup.misses.add(1);
                break;
            };
            shard.stats.pickup.count.add(1);
            shard.delivery.give(&shard, attempt);
            taken += 1;
            if taken == limits::PICK_UP_BURST {
                taken = 0;
                engine::task::yield_now().await;
            }
        }
        expire(&shard);
        wait_for_work(&shard).await;
    }
}

/// Lets go of some of what has waited too long without being tried.
fn expire(shard: &Rc<Shard>) {
    for _ in 0..limits::PICK_UP_BURST {
        let expired = shard.queue.borrow_mut().next_expired(engine::time::steady_ms());
        let Some((attempt, outcome)) = expired else { return };
        report::report(shard, &attempt, Report::for_all(outcome), &AttemptFacts::default());
    }
}

fn may_pick_up(shard: &Shard) -> bool {
    !shard.is_stopping() && !shard.is_frozen() && shard.store.admission() != Admission::Unhealthy
}

/// The task that brings back what waits for the resolver once that answers again, for the life of the shard.
pub async fn wake_with_resolver(shard: Rc<Shard>) {
    let wake = || {
        shard.queue.borrow_mut().local_faults_over();
        shard.due.notify_one();
    };
    loop {
        shard.resolver.recovered().await;
        wake();
        // A question whose last try was under way then fails yet, and what asked it begins its pause only now.
        while engine::time::timeout(limits::RESOLVER_AFTERMATH, shard.resolver.recovered()).await.is_ok() {
            wake();
        }
        wake();
    }
}

/// Waits until something may have become due.
async fn wait_for_work(shard: &Shard) {
    if !may_pick_up(shard) {
        // Stopping, or the disk takes no writes: look again now and then.
        let _ = engine::time::timeout(limits::UNHEALTHY_PAUSE, shard.due.notified()).await;
        return;
    }
    let wakeup = shard.queue.borrow().next_wakeup();
    match wakeup {
        None => shard.due.notified().await,
        Some(at_ms) => {
            let wait_ms = at_ms.saturating_sub(engine::time::steady_ms());
            if wait_ms == 0 {
                engine::task::yield_now().await;
                return;
            }
            let _ = engine::time::timeout(Duration::from_millis(wait_ms), shard.due.notified()).await;
        }
    }
}

impl Delivery {
    /// Gives an attempt to an idle lane for its line, or to a new one.
    fn give(&self, shard: &Rc<Shard>, attempt: Attempt) {
        let snapshot = shard.snapshot();
        // Where hosts may be suspended, or be served by other settings, the way over DNS finds out.
        let attempt = if !snapshot.suspends.look_at_the_way() && snapshot.conditions.is_empty() {
            let transaction = attempt.transaction;
            let transport = Arc::clone(&attempt.destination.transport);
            self.pool.give_by_line(attempt, |key| fits_route(&snapshot, key, &transport, &transaction))
        } else {
            Some(attempt)
        };
        let Some(attempt) = attempt else {
            shard.stats.pooling.hits.add(1);
            return;
        };
        let number = self.next.get();
        self.next.set(number + 1);
        let lane = Lane { shard: Rc::clone(shard), number };
        let task = engine::task::spawn(Class::Interactive, lane.run(attempt));
        self.lanes.borrow_mut().insert(number, task);
    }

    /// How many connections wait to be used again.
    pub fn idle(&self) -> usize {
        self.pool.len()
    }

    /// Whether a connection to a host of the attempt's line will do for the attempt, without a look at DNS.
    fn fits(&self, shard: &Shard, open: &Connection, attempt: &Attempt) -> bool {
        let (snapshot, key) = (shard.snapshot(), open.key());
        if snapshot.suspends.look_at_the_way() {
            return false;
        }
        if snapshot.conditions.is_empty() {
            return fits_route(&snapshot, key, &attempt.destination.transport, &attempt.transaction);
        }
        let Some(route) = snapshot.routes.get(&*attempt.destination.transport) else { return false };
        let host = Host { mx: open.mx(), address: key.remote.ip() };
        let wanted = self.route_at(&snapshot, attempt, route, host, key.source);
        wanted.is_ok_and(|wanted| Arc::ptr_eq(&wanted, &key.route))
            && leaves_from(route, key, &attempt.transaction)
    }

    /// The route of an attempt to `host` from `local`, with what the delivery file sets for it.
    fn route_at(
        &self,
        snapshot: &Snapshot,
        attempt: &Attempt,
        route: &Arc<Route>,
        host: Host<'_>,
        local: Option<IpAddr>,
    ) -> Result<Arc<Route>, String> {
        match Rules::new(snapshot, attempt).settings(host, local) {
            Some(settings) => self.routes.with(snapshot, route, settings),
            None => Ok(Arc::clone(route)),
        }
    }

    fn forget_lane(&self, number: u64) {
        let task = self.lanes.borrow_mut().remove(&number);
        drop(task);
        self.changed.notify_all();
    }

    /// `route` with an attempt's settings instead of its own: the same for the same, so that connections are used again.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub fn route_with(
        &self,
        snapshot: &Snapshot,
        route: &Arc<Route>,
        settings: &AttemptSettings,
    ) -> Result<Arc<Route>, String> {
        self.routes.with(snapshot, route, settings)
    }

    /// Forgets what was made of the configuration before.
    pub fn reconfigured(&self) {
        self.routes.clear();
    }

    /// Lets idle lanes go; the others end after their attempt.
    pub fn stop(&self) {
        self.pool.close();
    }

    /// Waits until no lane is left.
    pub async fn ended(&self) {
        while !self.lanes.borrow().is_empty() {
            self.changed.notified().await;
        }
    }

    /// Drops all lanes where they stand. What they were sending stays queued as it was.
    pub fn abort(&self) {
        for task in self.lanes.borrow().values() {
            task.abort();
        }
    }
}

/// The connection is one of the transport as it is configured now, and comes from where the message shall leave.
fn fits_route(snapshot: &Snapshot, key: &Key, transport: &str, transaction: &[u8; 16]) -> bool {
    let Some(route) = snapshot.routes.get(transport) else { return false };
    Arc::ptr_eq(route, &key.route) && leaves_from(route, key, transaction)
}

/// The message leaves from where the connection does.
fn leaves_from(route: &Route, key: &Key, transaction: &[u8; 16]) -> bool {
    let source = route.sources.choose(key.remote.is_ipv6(), transaction, |_| true);
    source.is_some_and(|source| source.address() == key.source)
}
