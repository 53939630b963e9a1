//! Limits that hold over all shards, on the way of an attempt.
//!
//! Each counter has an owner shard, which alone grants (`queue::policy`). Before a connect an attempt asks the owners of all
//! counters that it needs, in the order of the policies, never waiting: on the first refusal it gives back what it has, and
//! its line waits in the queue until that owner wakes this shard. Over an open connection only messages are asked for, one for
//! each recipient, and a busy shard gets more of them and of large limits of connections than it needs at once: those are kept
//! in its wallet. Where the owner has fewer messages than there are recipients, the first go and the others wait.
//!
//! An idle connection that others wait for moves to the shard with the oldest mail ([`super::moving`]).
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
use queue::policy::{
    Answer, Applying, Ask, Counters, Grant, Key, Limit, Notice, Offered, Policies, Usage, Wallet,
};
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
    /// Counters whose connections others wait for.
    recalled: RefCell<FxHashMap<Key, Recalled>>,
    recalls: Cell<u64>,
    changed: Notify,
}

/// Others wait for connections here.
#[derive(Clone, Copy, Debug)]
struct Recalled {
    /// Until when connections are not kept idle.
    until_ms: u64,
    /// Which recall it was, by [`Desk::recalls`].
    number: u64,
}

/// What an attempt was granted. Dropped, it goes back.
#[derive(Debug)]
pub(super) struct Permit {
    granted: Vec<(Key, Grant)>,
    go: Go,
}

/// For how many recipients there are messages.
#[derive(Clone, Debug)]
pub(super) struct Go {
    /// The first so many; at least one.
    pub(super) recipients: usize,
    /// What the others wait for.
    pub(super) short: Option<LimitedBy>,
}

/// What is to become of an idle connection that was called back.
#[derive(Debug)]
pub(super) enum Offer {
    /// Nobody waits for it.
    Keep,
    /// It goes there, for mail that waits by this counter.
    To(ShardId, Key),
    /// There are more than may be.
    Close,
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
                self.kept_promise(&key);
                // The queue may be in use where this came from.
                spawn(Class::Interactive, async move { wake(&key, count) });
            }
            Notice::Recall { key, .. } => {
                self.recall(&key);
                if let Some(shard) = Shell::here().shard() {
                    shard.delivery.recall(&key);
                }
            }
        }
    }

    fn kept_promise(&self, key: &Key) {
        self.promised.borrow_mut().remove(key);
        self.wakes.set(self.wakes.get() + 1);
        remember(&mut self.woken.borrow_mut(), key.clone(), self.wakes.get());
    }

    /// Others wait for connections that count for `key`.
    pub(super) fn recall(&self, key: &Key) {
        let number = self.recalls.get() + 1;
        self.recalls.set(number);
        let recalled = Recalled { until_ms: now_ms() + limits::RECALL_MS, number };
        remember(&mut self.recalled.borrow_mut(), key.clone(), recalled);
        let spare = self.wallet.borrow_mut().recall_units(key);
        close(key, spare);
    }

    /// The owner has promised to wake this shard. `since`: the wakes when it was asked.
    fn promise(&self, key: &Key, since: u64) {
        if self.woken.borrow().get(key).is_none_or(|at| *at <= since) {
            self.promised.borrow_mut().insert(key.clone());
        }
    }

    /// Keeps units for later connections, unless others wait for them.
    fn keep_units(&self, key: &Key, count: u32) {
        if self.is_wanted(key) {
            close(key, count);
        } else {
            self.wallet.borrow_mut().add_units(key, count, now_ms());
            self.changed.notify_one();
        }
    }

    /// Whether others wait for a connection like this one.
    pub(super) fn is_recalled(&self, units: &Units) -> bool {
        units.held.iter().any(|key| self.is_wanted(key))
    }

    fn is_wanted(&self, key: &Key) -> bool {
        self.recalled.borrow().get(key).is_some_and(|recalled| now_ms() < recalled.until_ms)
    }

    /// Nobody waited for a connection when the owner was asked. A recall that came since then holds.
    fn not_wanted(&self, key: &Key, since: u64) {
        let mut recalled = self.recalled.borrow_mut();
        if recalled.get(key).is_some_and(|recalled| recalled.number <= since) {
            recalled.remove(key);
        }
    }
}

/// What does not fit is forgotten with all the rest: these are hints.
fn remember<T>(hints: &mut FxHashMap<Key, T>, key: Key, value: T) {
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
        wait(key, limit, received_ms);
    }
    shard.due.notify_one();
}

/// Has the owner wake this shard, since more waits here.
fn wait(key: &Key, limit: Limit, received_ms: u64) {
    Desk::here().promised.borrow_mut().insert(key.clone());
    let (here, waits) = (engine::boot::current().0, key.clone());
    tell_owner(key, move |desk| {
        desk.counters.borrow_mut().wait(&waits, here, limit, received_ms, now_ms());
    });
}

/// A connection is here for mail that waits by `key`: lets an attempt try, which finds it. False: nothing waits.
pub(super) fn bring(shard: &Shard, key: &Key) -> bool {
    Desk::here().kept_promise(key);
    let Some(behind) = shard.queue.borrow_mut().brought(key) else { return false };
    if let Some((limit, received_ms)) = behind {
        wait(key, limit, received_ms);
    }
    shard.due.notify_one();
    true
}

/// Asks who waits for an idle connection that was called back.
pub(super) async fn offer(shard: &Shard, units: &Units) -> Offer {
    let desk = Desk::here();
    for key in units.held.iter().filter(|key| desk.is_wanted(key)) {
        let since = loop {
            let (asked, since) = (key.clone(), desk.recalls.get());
            let offered = at_owner(key, move |desk| desk.counters.borrow_mut().offer(&asked, now_ms())).await;
            match offered {
                // Who is named waits no longer, so that this ends.
                Some(Offered::To(here))
                    if here == engine::boot::current().0 && !shard.queue.borrow().is_held_by(key) => {}
                Some(Offered::To(to)) => return Offer::To(ShardId(to), key.clone()),
                Some(Offered::Keep) => break since,
                Some(Offered::Close) | None => return Offer::Close,
            }
        };
        desk.not_wanted(key, since);
    }
    Offer::Keep
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

/// Asks for a connection and its first messages, for up to so many recipients.
pub(super) async fn connect(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
) -> Result<Permit, Refusal> {
    acquire(shard, applying, received_ms, recipients, true).await
}

/// Asks for messages over a connection that has its places, for up to so many recipients.
pub(super) async fn message(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
) -> Result<Go, Refusal> {
    loop {
        let permit = acquire(shard, applying, received_ms, recipients, false).await?;
        if let Some((_, go)) = permit.used(Vec::new()) {
            return Ok(go);
        }
    }
}

async fn acquire(
    shard: &Shard,
    applying: &[Applying],
    received_ms: u64,
    recipients: usize,
    connect: bool,
) -> Result<Permit, Refusal> {
    let desk = Desk::here();
    let mut permit = Permit {
        granted: Vec::with_capacity(applying.len()),
        go: Go { recipients: recipients.max(1), short: None },
    };
    for Applying { key, policy, limits, .. } in applying {
        let by = |limit| LimitedBy { key: key.clone(), policy: *policy, limit };
        let mut connect = connect;
        if connect
            && limits.connect_interval_ms.is_none()
            && desk.wallet.borrow_mut().take_unit(key, now_ms())
        {
            permit.granted.push((key.clone(), Grant { unit: true, ..Grant::free(now_ms()) }));
            connect = false;
        }
        let wanted = u32::try_from(permit.go.recipients).unwrap_or(u32::MAX);
        let mut tokens = if connect || limits.rate.is_some() { wanted } else { 0 };
        let in_hand = desk.wallet.borrow_mut().take(key, tokens, now_ms());
        if let Some(in_hand) = in_hand {
            tokens -= in_hand.tokens;
            permit.granted.push((key.clone(), in_hand));
        }
        if !connect && tokens == 0 {
            continue;
        }
        let ask = Ask {
            key: key.clone(),
            shard: engine::boot::current().0,
            connect,
            tokens,
            more: desk.wallet.borrow().more(key),
            spare: queue::limits::SPARE_UNITS,
            received_ms,
        };
        let since = desk.wakes.get();
        let asked = ask.clone();
        let answer = ask_owner(ask).await;
        if !matches!(answer, Some(Answer::Granted(_))) {
            desk.promise(key, since);
        }
        let in_hand = wanted - tokens;
        let (limit, at_ms) = match answer {
            Some(Answer::Granted(grant)) => {
                if grant.counted && in_hand + grant.tokens < wanted {
                    permit.fewer(in_hand + grant.tokens, by(Limit::Rate));
                }
                permit.granted.push((key.clone(), grant));
                continue;
            }
            // Those go for whom there is something in hand.
            Some(Answer::Refused { limit: Limit::Rate, .. }) if !asked.connect && in_hand > 0 => {
                permit.fewer(in_hand, by(Limit::Rate));
                continue;
            }
            Some(Answer::Refused { limit, at_ms }) => {
                (limit, at_ms.map_or(limits::LIMITED_LOOK_AGAIN_MS, |at_ms| at_ms.saturating_sub(now_ms())))
            }
            // The owner is stuck.
            None => (Limit::Concurrency, limits::OWNER_STUCK_MS),
        };
        note_refusal(shard, key, limit);
        // The wake comes first, if it comes.
        let wait_ms = at_ms.clamp(limits::LIMITED_SHORTEST_MS, limits::LIMITED_LOOK_AGAIN_MS);
        return Err(Refusal { by: by(limit), at_ms: now_ms() + wait_ms });
    }
    Ok(permit)
}

fn note_refusal(shard: &Shard, key: &Key, limit: Limit) {
    let refused = &shard.stats.policy;
    match limit {
        Limit::Concurrency => refused.concurrency.add(1),
        Limit::Rate => refused.rate.add(1),
        Limit::ConnectInterval => refused.connect_interval.add(1),
    }
    if limit != Limit::Rate {
        // A connection that was brought for this mail is of no use to it.
        shard.delivery.refused(key);
    }
}

impl Permit {
    /// There are messages for fewer recipients.
    fn fewer(&mut self, recipients: u32, short: LimitedBy) {
        self.go = Go { recipients: recipients as usize, short: Some(short) };
    }

    /// Takes the places for a connection that is begun now. `None`: it took too long to get them all, and they are back.
    pub(super) fn connected(self, applying: &[Applying]) -> Option<(Units, Go)> {
        self.used(applying.iter().map(|applying| applying.key.clone()).collect())
    }

    fn used(mut self, keys: Vec<Key>) -> Option<(Units, Go)> {
        let at_ms = now_ms();
        if self.granted.iter().any(|(_, grant)| grant.use_by_ms < at_ms) {
            return None;
        }
        let desk = Desk::here();
        let mut units = Units { keys, held: Vec::new() };
        let recipients = u32::try_from(self.go.recipients).unwrap_or(u32::MAX);
        // What a counter has granted stands together.
        let mut unspent: (Option<Key>, u32) = (None, 0);
        for (key, grant) in std::mem::take(&mut self.granted) {
            if unspent.0.as_ref() != Some(&key) {
                unspent = (Some(key.clone()), recipients);
            }
            if grant.unit {
                units.held.push(key.clone());
            }
            desk.keep_units(&key, grant.spare);
            let spent = if grant.counted { grant.tokens.min(unspent.1) } else { 0 };
            unspent.1 -= spent;
            if grant.counted && (grant.tell || grant.tokens > spent) {
                let back = desk.wallet.borrow_mut().keep(&key, grant, spent);
                if let Some(back) = back {
                    give_back(key.clone(), back);
                }
                desk.changed.notify_one();
            }
            if grant.tell {
                let (used, spent) = (key.clone(), if spent == grant.tokens { spent } else { 0 });
                tell_owner(&key, move |desk| {
                    desk.counters.borrow_mut().used(&used, grant, spent, at_ms, now_ms());
                });
            }
        }
        let go = Go { recipients: self.go.recipients, short: self.go.short.take() };
        Some((units, go))
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

impl Units {
    /// The connection has come from another shard.
    pub(super) fn moved(&self, from: ShardId) {
        let here = engine::boot::current().0;
        for key in &self.held {
            let moved = key.clone();
            tell_owner(key, move |desk| desk.counters.borrow_mut().moved(&moved, from.0, here));
        }
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        let desk = Desk::here();
        for key in std::mem::take(&mut self.held) {
            if desk.is_wanted(&key) || !desk.wallet.borrow_mut().keep_unit(&key) {
                close(&key, 1);
            }
        }
    }
}

/// Gives units back.
fn close(key: &Key, count: u32) {
    if count > 0 {
        let (here, closed) = (engine::boot::current().0, key.clone());
        tell_owner(key, move |desk| desk.counters.borrow_mut().closed(&closed, here, count, now_ms()));
    }
}

/// What the queue is told of recipients for whom there was no message.
pub(super) fn short(by: LimitedBy) -> Outcome {
    let until_ms = engine::time::steady_ms() + limits::LIMITED_LOOK_AGAIN_MS;
    Outcome::Limited(Limited { by: vec![by], until_ms })
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

/// What the owner of a counter says. `None`: it does not answer.
async fn at_owner<T: Send + 'static>(key: &Key, f: impl FnOnce(&Desk) -> T + Send + 'static) -> Option<T> {
    let there = move || {
        let desk = Desk::here();
        let answer = f(&desk);
        desk.settled();
        answer
    };
    let owner = owner(key);
    if owner == engine::boot::current() {
        return Some(there());
    }
    engine::time::timeout(limits::COUNTER_PATIENCE, mesh::call(owner, there)).await.ok()?.ok()
}

fn give_back(key: Key, grant: Grant) {
    if !(grant.unit || grant.spare > 0 || grant.interval || grant.counted && grant.tokens > 0) {
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
