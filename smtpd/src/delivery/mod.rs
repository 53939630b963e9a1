//! Delivery: picks attempts up from the queue, carries them out over connections that are used again, reports.
//!
//! A *lane* is a task with at most one outgoing connection. It takes attempts for its destination as long as some wait,
//! then stands in the pool with its connection for a while, where the next attempt for the destination or for the same
//! host finds it.

pub mod after;
mod attempt;
pub mod conditions;
mod dane;
mod dial;
mod distrust;
mod ending;
mod errand;
pub mod facts;
mod failures;
mod hosts;
mod lane;
mod moving;
mod next_hop;
mod ourselves;
mod parking;
mod paths;
pub mod policies;
mod policy_facts;
mod pool;
mod prepare;
pub mod preview;
mod remembered;
mod rendered;
mod report;
mod routes;
mod rules;
mod scripted;
pub mod settings;
mod source;
mod tell;
mod transaction;
mod wishes;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::sync::Notify;
use engine::task::{Class, Slice, Task};
use queue::ItemKey;
use rustc_hash::FxHashMap;
use spool::Admission;

use crate::limits;
use crate::shard::Shard;
use crate::snapshot::{Route, Snapshot};
use attempt::Connection;
use errand::Errand;
use facts::AttemptFacts;
use lane::Lane;
use pool::{Key, Pool};
use remembered::Remembered;
use report::Report;
use routes::Routes;
use rules::{Host, Rules};
use settings::AttemptSettings;

pub use next_hop::look_up;
pub use ourselves::Ourselves;
pub use paths::parked_until_ms;
pub(crate) use report::{Ended, Order};
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
    routes: Routes,
    /// Recipients whose scripts were asked and who wait.
    remembered: Remembered,
    /// Tasks in which postdelivery scripts decide.
    deciding: Cell<usize>,
}

/// The task that gives attempts to lanes, for the life of the shard.
pub async fn pick_up(shard: Rc<Shard>) {
    loop {
        let (mut taken, mut slice) = (0, Slice::begin(limits::PICK_UP_SLICE));
        while may_pick_up(&shard) {
            let next = shard.queue.borrow_mut().next(engine::time::steady_ms());
            let Some(attempt) = next else {
                shard.stats.pickup.misses.add(1);
                break;
            };
            shard.stats.pickup.count.add(1);
            shard.delivery.give(&shard, Errand::fresh(attempt));
            taken += 1;
            if taken == limits::PICK_UP_BURST || slice.is_over_now() {
                engine::task::yield_now().await;
                (taken, slice) = (0, Slice::begin(limits::PICK_UP_SLICE));
            }
        }
        expire(&shard).await;
        wait_for_work(&shard).await;
    }
}

/// Lets go of some of what has waited too long without being tried.
async fn expire(shard: &Rc<Shard>) {
    for _ in 0..limits::PICK_UP_BURST {
        let expired = shard.queue.borrow_mut().next_expired(engine::time::steady_ms());
        let Some((attempt, outcome)) = expired else { return };
        attempt.recipients.iter().for_each(|recipient| shard.delivery.forget(recipient.key));
        let report = Report::for_all(outcome);
        report::report(shard, Errand::fresh(attempt), report, AttemptFacts::default()).await;
    }
}

/// Whether attempts may begin, by lanes that have a connection, too: what they came to must be kept.
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
    fn give(&self, shard: &Rc<Shard>, errand: Errand) {
        let snapshot = shard.snapshot();
        // Where hosts may be suspended, or be served by other settings, the way over DNS finds out.
        let errand = if !shard.rules().look_at_the_way() && snapshot.conditions.is_empty() {
            self.pool.give_by_line(errand, |key, errand| self.fits_route(&snapshot, key, errand))
        } else {
            Some(errand)
        };
        let Some(errand) = errand else {
            shard.stats.pooling.hits.add(1);
            return;
        };
        self.begin(shard, |lane| lane.run(errand));
    }

    /// Begins a lane.
    fn begin<Fut>(&self, shard: &Rc<Shard>, life: impl FnOnce(Lane) -> Fut)
    where
        Fut: Future<Output = ()> + 'static,
    {
        let number = self.next.get();
        self.next.set(number + 1);
        let lane = Lane { shard: Rc::clone(shard), number };
        let task = engine::task::spawn(Class::Interactive, life(lane));
        self.lanes.borrow_mut().insert(number, task);
    }

    /// How many connections wait to be used again.
    pub fn idle(&self) -> usize {
        self.pool.len()
    }

    /// Whether a connection to a host of the attempt's line will do for the attempt, without a look at DNS.
    fn fits(&self, shard: &Shard, open: &Connection, errand: &Errand) -> bool {
        let (snapshot, key) = (shard.snapshot(), open.key());
        if shard.rules().look_at_the_way() {
            return false;
        }
        if snapshot.conditions.is_empty() {
            return self.fits_route(&snapshot, key, errand);
        }
        let host = Host { mx: open.mx(), address: key.remote.ip() };
        let wanted = self.route_at(&snapshot, errand, host, key.source);
        wanted.is_ok_and(|wanted| serves(&wanted, key, errand))
    }

    /// The same by the transport alone, and what its script wants different.
    fn fits_route(&self, snapshot: &Snapshot, key: &Key, errand: &Errand) -> bool {
        self.route_of(snapshot, errand).is_ok_and(|wanted| serves(&wanted, key, errand))
    }

    /// The transport of an attempt, with what its script wants different.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    fn route_of(&self, snapshot: &Snapshot, errand: &Errand) -> Result<Arc<Route>, String> {
        let transport = transport_of(snapshot, errand)?;
        if errand.wishes.is_empty() {
            return Ok(Arc::clone(transport));
        }
        self.routes.with(snapshot, transport, &errand.wishes.settings)
    }

    /// The same to `host` from `local`, with what the delivery file sets for it below what the script wants.
    fn route_at(
        &self,
        snapshot: &Snapshot,
        errand: &Errand,
        host: Host<'_>,
        local: Option<IpAddr>,
    ) -> Result<Arc<Route>, String> {
        let Some(of_file) = Rules::new(snapshot, &errand.attempt).settings(host, local) else {
            return self.route_of(snapshot, errand);
        };
        let transport = transport_of(snapshot, errand)?;
        if errand.wishes.is_empty() {
            return self.routes.with(snapshot, transport, of_file);
        }
        self.routes.with(snapshot, transport, &errand.wishes.settings.clone().over(of_file))
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

    /// Policies refused this shard a connection that counts for `key`, though some may have been brought for it.
    pub fn refused(&self, key: &queue::policy::Key) {
        self.pool.refuse(key);
    }

    /// Has idle connections that count for `key` make way, since others wait for one.
    pub fn recall(&self, key: &queue::policy::Key) {
        self.pool.recall(key);
    }

    /// Forgets what was made of the configuration before.
    pub fn reconfigured(&self) {
        self.routes.clear();
        self.remembered.clear();
    }

    /// Lets idle lanes go; the others end after their attempt.
    pub fn stop(&self) {
        self.pool.close();
    }

    /// Where the idle connections of this shard lead.
    pub fn idle_remotes(&self) -> Vec<SocketAddr> {
        self.pool.remotes()
    }

    /// Has the predelivery script asked again before the next attempt of a recipient that waits: an operator has changed it.
    pub fn forget(&self, key: ItemKey) {
        self.remembered.take(key);
    }

    /// Waits until no lane is left, and no script decides.
    pub async fn ended(&self) {
        while !self.lanes.borrow().is_empty() || self.deciding.get() > 0 {
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

fn transport_of<'s>(snapshot: &'s Snapshot, errand: &Errand) -> Result<&'s Arc<Route>, String> {
    let transport = &*errand.attempt.destination.transport;
    snapshot.routes.get(transport).ok_or_else(|| format!("there is no transport \"{transport}\""))
}

/// The connection is one of the route as it is configured now, leads where the line does, and comes from where the message
/// shall leave.
fn serves(route: &Arc<Route>, key: &Key, errand: &Errand) -> bool {
    let source = || route.sources.choose(key.remote.is_ipv6(), &errand.attempt.transaction, |_| true);
    Arc::ptr_eq(route, &key.route)
        && errand.wishes.domain.is_none()
        && source().is_some_and(|source| source.address() == key.source)
}
