//! Limits that hold over all shards, on the way of an attempt.
//!
//! Each counter has an owner shard, which alone grants (`queue::policy`). Before a connect an attempt asks the owners of all
//! counters that it needs, in the order of the policies, never waiting: on the first refusal it gives back what it has, and
//! its line waits in the queue until that owner wakes this shard. Over an open connection only messages are asked for, a few
//! at a time, which are kept in this shard's wallet.
//!
//! What is given back reaches the owner in any case; wakes are hints, and a line is looked at again without one, too.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;
use engine::sync::{Notify, oneshot};
use engine::task::{Class, spawn};
use queue::policy::{Answer, Applying, Ask, Counters, Grant, Key, Limit, Notice, Policies, Usage, Wallet};
use queue::{Attempt, Facts, Limited, LimitedBy, Outcome};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::paths::now_ms;
use super::rules::Host;
use crate::limits;
use crate::shard::{Shard, Shell};
use crate::snapshot::Snapshot;

/// The limits of one shard: counters that it owns, and what it holds of others'. Other shards find it by type.
#[derive(Debug, Default)]
pub struct Desk {
    counters: RefCell<Counters>,
    wallet: RefCell<Wallet>,
    /// Counters that have promised to wake this shard.
    promised: RefCell<FxHashSet<Key>>,
    /// The last wake of a counter, by [`Desk::wakes`]: one that comes while its refusal is not heard yet is not lost.
    woken: RefCell<FxHashMap<Key, u64>>,
    wakes: Cell<u64>,
    /// Counters whose connections others wait for: until when those here are not kept idle.
    recalled: RefCell<FxHashMap<Key, u64>>,
    changed: Notify,
}

/// What an attempt was granted. Dropped, it goes back.
#[derive(Debug)]
pub(super) struct Permit {
    granted: Vec<(Key, Grant)>,
}

/// A connection's places among those that are counted; given back on drop.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// All counters that apply to its messages, in order.
    keys: Vec<Key>,
    held: Vec<Key>,
}

/// What refused an attempt.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) by: LimitedBy,
    /// When to look again in any case, by [`now_ms`].
    pub(super) at_ms: u64,
}

impl Desk {
    /// This shard's.
    pub fn here() -> Rc<Desk> {
        mesh::local::get::<Desk>().unwrap_or_else(|| {
            let desk = Rc::new(Desk::default());
            mesh::local::set(Rc::clone(&desk));
            desk
        })
    }

    /// Puts policies in force.
    pub fn set_policies(&self, policies: Arc<Policies>) {
        self.counters.borrow_mut().set_policies(policies, now_ms());
        self.settled();
    }

    /// How the counters that this shard owns stand.
    pub fn usages(&self) -> Vec<Usage> {
        self.counters.borrow().usages().collect()
    }

    /// How one counter stands, if this shard owns it and it is not as if new.
    pub fn usage(&self, key: &Key) -> Option<Usage> {
        self.counters.borrow().usage(key)
    }

    /// How many counters with this limit there are that this shard owns.
    pub fn counters(&self, limit: Limit) -> u64 {
        self.counters.borrow().usages().filter(|usage| usage.limits.has(limit)).count() as u64
    }

    /// Fills the tokens of a counter that this shard owns. False: it has none.
    pub fn refill(&self, key: &Key) -> bool {
        let filled = self.counters.borrow_mut().refill(key, now_ms());
        self.settled();
        filled
    }

    fn ask(&self, ask: &Ask) -> Answer {
        let answer = self.counters.borrow_mut().ask(ask, now_ms());
        self.settled();
        answer
    }

    /// Tells others what a change of counters means for them.
    fn settled(&self) {
        let notices = self.counters.borrow_mut().take_notices();
        for notice in notices {
            let (Notice::Wake { shard, .. } | Notice::Recall { shard, .. }) = notice;
            let shard = ShardId(shard);
            if shard == engine::boot::current() {
                Desk::here().noticed(notice);
            } else {
                // A hint: who does not hear it looks again by itself.
                let _ = mesh::send(shard, move || Desk::here().noticed(notice));
            }
        }
        self.changed.notify_one();
    }

    fn noticed(&self, notice: Notice) {
        match notice {
            Notice::Wake { key, count, .. } => {
                self.promised.borrow_mut().remove(&key);
                self.wakes.set(self.wakes.get() + 1);
                remember(&mut self.woken.borrow_mut(), key.clone(), self.wakes.get());
                // The queue may be in use where this came from.
                spawn(Class::Interactive, async move { wake(&key, count) });
            }
            Notice::Recall { key, .. } => {
                remember(&mut self.recalled.borrow_mut(), key.clone(), now_ms() + limits::RECALL_MS);
                if let Some(shard) = Shell::here().shard() {
                    shard.delivery.recall(&key);
                }
            }
        }
    }

    /// The owner has promised to wake this shard. `since`: the wakes when it was asked.
    fn promise(&self, key: &Key, since: u64) {
        if self.woken.borrow().get(key).is_none_or(|at| *at <= since) {
            self.promised.borrow_mut().insert(key.clone());
        }
    }

    /// Whether others wait for a connection like this one, so that it is not kept idle.
    pub(super) fn is_recalled(&self, units: &Units) -> bool {
        let recalled = self.recalled.borrow();
        let now_ms = now_ms();
        units.held.iter().any(|key| recalled.get(key).is_some_and(|until_ms| now_ms < *until_ms))
    }
}

/// What does not fit is forgotten with all the rest: these are hints.
fn remember(hints: &mut FxHashMap<Key, u64>, key: Key, value: u64) {
    if hints.len() >= limits::HINTS_MAX {
        hints.clear();
    }
    hints.insert(key, value);
}

/// Lets lines of this shard try again that a counter held back.
fn wake(key: &Key, count: u32) {
    let Some(shard) = Shell::here().shard() else { return };
    let rest = shard.queue.borrow_mut().wake(key, count);
    if let Some((limit, received_ms)) = rest {
        Desk::here().promised.borrow_mut().insert(key.clone());
        let here = engine::boot::current().0;
        let waits = key.clone();
        tell_owner(key, move |desk| {
            desk.counters.borrow_mut().wait(&waits, here, limit, received_ms, now_ms());
        });
    }
    shard.due.notify_one();
}

/// The task that looks after the time of counters and of tokens in hand, for the life of the shard.
pub async fn tend() {
    let desk = Desk::here();
    loop {
        let due_ms = desk.counters.borrow().next_wakeup();
        let hand_ms = (!desk.wallet.borrow().is_empty()).then(|| now_ms() + queue::policy::USE_BY_MS);
        match due_ms.into_iter().chain(hand_ms).min() {
            None => desk.changed.notified().await,
            Some(at_ms) => {
                let wait = Duration::from_millis(at_ms.saturating_sub(now_ms()).max(1));
                let _ = engine::time::timeout(wait, desk.changed.notified()).await;
            }
        }
        let expired = desk.wallet.borrow_mut().expire(now_ms());
        expired.into_iter().for_each(|(key, grant)| give_back(key, grant));
        desk.counters.borrow_mut().poll(now_ms());
        let notices_are_due = desk.counters.borrow().has_notices();
        if notices_are_due {
            desk.settled();
        }
    }
}

/// The policies that limit a message on a way, with their counters.
pub(super) fn limiting(
    policies: &Policies,
    snapshot: &Snapshot,
    attempt: &Attempt,
    host: Host<'_>,
    local: Option<IpAddr>,
) -> Vec<Applying> {
    if policies.is_idle() {
        return Vec::new();
    }
    let mut applying = applying(policies, snapshot, attempt, host, local);
    applying.retain(|applying| !applying.limits.is_empty());
    applying
}

/// The policies that apply to a message on a way, those without limits too.
pub(super) fn applying(
    policies: &Policies,
    snapshot: &Snapshot,
    attempt: &Attempt,
    host: Host<'_>,
    local: Option<IpAddr>,
) -> Vec<Applying> {
    let domain = attempt.recipients.first().map_or("", |recipient| &*recipient.domain);
    let facts = Facts {
        tenant_id: Some(attempt.tenant_id.as_deref().unwrap_or("")),
        job_id: Some(attempt.job_id.as_deref().unwrap_or("")),
        transport_id: Some(&attempt.destination.transport),
        local_ip: local,
        grouping: Some(snapshot.groups.of(domain, host.mx, host.address)),
        remote_ip: Some(host.address),
        remote_mx: Some(host.mx),
        recipient_domain: Some(domain),
    };
    policies.applying(&facts)
}

/// Asks for a connection and its first message.
pub(super) async fn connect(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
) -> Result<Permit, Refusal> {
    acquire(shard, applying, received_ms, true).await
}

/// Asks for a message over a connection that has its places.
pub(super) async fn message(shard: &Shard, applying: &[Applying], received_ms: u64) -> Result<(), Refusal> {
    loop {
        let permit = acquire(shard, applying, received_ms, false).await?;
        if permit.used(Vec::new()).is_some() {
            return Ok(());
        }
    }
}

async fn acquire(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    connect: bool,
) -> Result<Permit, Refusal> {
    let desk = Desk::here();
    let mut permit = Permit { granted: Vec::with_capacity(applying.len()) };
    for Applying { key, policy, limits, .. } in applying {
        if !connect && limits.rate.is_none() {
            continue;
        }
        let in_hand = if connect { None } else { desk.wallet.borrow_mut().take(key, now_ms()) };
        if let Some(token) = in_hand {
            permit.granted.push((key.clone(), token));
            continue;
        }
        let ask = Ask {
            key: key.clone(),
            shard: engine::boot::current().0,
            connect,
            tokens: desk.wallet.borrow().wanted(key),
            received_ms,
        };
        let since = desk.wakes.get();
        let answer = ask_owner(ask).await;
        if !matches!(answer, Some(Answer::Granted(_))) {
            desk.promise(key, since);
        }
        let (limit, at_ms) = match answer {
            Some(Answer::Granted(grant)) => {
                permit.granted.push((key.clone(), grant));
                continue;
            }
            Some(Answer::Refused { limit, at_ms }) => {
                (limit, at_ms.map_or(limits::LIMITED_LOOK_AGAIN_MS, |at_ms| at_ms.saturating_sub(now_ms())))
            }
            // The owner is stuck.
            None => (Limit::Concurrency, limits::OWNER_STUCK_MS),
        };
        let refused = &shard.stats.policy;
        match limit {
            Limit::Concurrency => refused.concurrency.add(1),
            Limit::Rate => refused.rate.add(1),
            Limit::ConnectInterval => refused.connect_interval.add(1),
        }
        // The wake comes first, if it comes.
        let wait_ms = at_ms.clamp(limits::LIMITED_SHORTEST_MS, limits::LIMITED_LOOK_AGAIN_MS);
        let by = LimitedBy { key: key.clone(), policy: *policy, limit };
        return Err(Refusal { by, at_ms: now_ms() + wait_ms });
    }
    Ok(permit)
}

impl Permit {
    /// Takes the places for a connection that is begun now. `None`: it took too long to get them all, and they are back.
    pub(super) fn connected(self, applying: &[Applying]) -> Option<Units> {
        self.used(applying.iter().map(|applying| applying.key.clone()).collect())
    }

    fn used(mut self, keys: Vec<Key>) -> Option<Units> {
        let at_ms = now_ms();
        if self.granted.iter().any(|(_, grant)| grant.use_by_ms < at_ms) {
            return None;
        }
        let desk = Desk::here();
        let mut units = Units { keys, held: Vec::new() };
        for (key, grant) in std::mem::take(&mut self.granted) {
            if grant.unit {
                units.held.push(key.clone());
            }
            if grant.counted && grant.tokens > 1 {
                let back = desk.wallet.borrow_mut().keep(&key, grant);
                if let Some(back) = back {
                    give_back(key.clone(), back);
                }
                desk.changed.notify_one();
            }
            if grant.tell {
                let used = key.clone();
                tell_owner(&key, move |desk| {
                    desk.counters.borrow_mut().used(&used, grant, at_ms, now_ms());
                });
            }
        }
        Some(units)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        std::mem::take(&mut self.granted).into_iter().for_each(|(key, grant)| give_back(key, grant));
    }
}

impl Units {
    /// Whether these are the counters of the message, too.
    pub(super) fn fit(&self, applying: &[Applying]) -> bool {
        applying.iter().map(|applying| &applying.key).eq(&self.keys)
    }

    /// Counters in which it holds a place.
    pub(super) fn held(&self) -> &[Key] {
        &self.held
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        let here = engine::boot::current().0;
        for key in std::mem::take(&mut self.held) {
            let closed = key.clone();
            tell_owner(&key, move |desk| desk.counters.borrow_mut().closed(&closed, here, now_ms()));
        }
    }
}

/// What the queue is told of an attempt that was refused on every way.
pub(super) fn outcome(refusals: Vec<Refusal>) -> Outcome {
    let at_ms = refusals.iter().map(|refusal| refusal.at_ms).min().unwrap_or_default();
    let until_ms = engine::time::steady_ms() + at_ms.saturating_sub(now_ms());
    let mut by: Vec<LimitedBy> = Vec::new();
    for refusal in refusals {
        if !by.contains(&refusal.by) {
            by.push(refusal.by);
        }
    }
    Outcome::Limited(Limited { by, until_ms })
}

/// After an attempt was reported as limited: a wake that came before that was too early, and is made good.
pub(super) fn reported(shard: &Shard, limited: &Limited) {
    let desk = Desk::here();
    for by in &limited.by {
        if !desk.promised.borrow().contains(&by.key) {
            shard.queue.borrow_mut().wake(&by.key, 1);
        }
    }
}

/// The shard that owns a counter.
pub fn owner(key: &Key) -> ShardId {
    // The upper half: hash tables use the lower bits.
    let hash = FxBuildHasher.hash_one(key) >> 32;
    ShardId((hash % u64::from(engine::boot::shards().max(1))) as u16)
}

/// `None`: the owner does not answer. What it grants later goes back.
async fn ask_owner(ask: Ask) -> Option<Answer> {
    let owner = owner(&ask.key);
    if owner == engine::boot::current() {
        return Some(Desk::here().ask(&ask));
    }
    let (send, receive) = oneshot();
    spawn(Class::Interactive, async move {
        let key = ask.key.clone();
        let answer = mesh::call(owner, move || Desk::here().ask(&ask)).await.ok();
        if let Err(Some(Answer::Granted(grant))) = send.send(answer) {
            give_back(key, grant);
        }
    });
    engine::time::timeout(limits::COUNTER_PATIENCE, receive).await.ok().flatten().flatten()
}

fn give_back(key: Key, grant: Grant) {
    if !(grant.unit || grant.interval || grant.counted && grant.tokens > 0) {
        return;
    }
    let here = engine::boot::current().0;
    let back = key.clone();
    tell_owner(&key, move |desk| desk.counters.borrow_mut().give_back(&back, here, grant, now_ms()));
}

/// Reaches the owner in any case.
fn tell_owner(key: &Key, what: impl FnOnce(&Desk) + Send + 'static) {
    let owner = owner(key);
    let there = move || {
        let desk = Desk::here();
        what(&desk);
        desk.settled();
    };
    if owner == engine::boot::current() {
        there();
    } else if mesh::can_send(owner) {
        let _ = mesh::send(owner, there);
    } else {
        // With a place in the ring of its own, once there is one.
        spawn(Class::Interactive, async move {
            let _ = mesh::call(owner, there).await;
        });
    }
}
