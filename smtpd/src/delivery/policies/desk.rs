//! What a shard has of the limits: the counters that it owns, what it holds of others', and what it has heard about them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::mesh;
use engine::sync::Notify;
use engine::task::{Class, Slice, spawn};
use queue::policy::{Answer, Ask, Counters, Key, Limit, Notice, Offered, Policies, Usage, Wallet};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Units;
use super::owner::{at_owner, close, give_back, tell_owner};
use crate::delivery::paths::now_ms;
use crate::limits;
use crate::shard::{Shard, Shell};

/// The limits of one shard: counters that it owns, and what it holds of others'. Other shards find it by type.
#[derive(Debug, Default)]
pub struct Desk {
    pub(super) counters: RefCell<Counters>,
    pub(super) wallet: RefCell<Wallet>,
    /// Counters that have promised to wake this shard.
    pub(super) promised: RefCell<FxHashSet<Key>>,
    /// The last wake of a counter, by [`Desk::wakes`]: one that comes while its refusal is not heard yet is not lost.
    woken: RefCell<FxHashMap<Key, u64>>,
    pub(super) wakes: Cell<u64>,
    /// Counters whose connections others wait for.
    recalled: RefCell<FxHashMap<Key, Recalled>>,
    recalls: Cell<u64>,
    pub(super) changed: Notify,
}

/// Others wait for connections here.
#[derive(Clone, Copy, Debug)]
struct Recalled {
    /// Until when connections are not kept idle.
    until_ms: u64,
    /// Which recall it was, by [`Desk::recalls`].
    number: u64,
}

/// What is to become of an idle connection that was called back.
#[derive(Debug)]
pub(in crate::delivery) enum Offer {
    /// Nobody waits for it.
    Keep,
    /// It goes there, for mail that waits by this counter.
    To(ShardId, Key),
    /// There are more than may be.
    Close,
}

impl Desk {
    /// This shard's.
    pub fn here() -> Rc<Desk> {
        mesh::local::get_or_default()
    }

    /// Puts policies in force. Who waits by counters of this shard hears of it in the next turns of the loop.
    pub fn set_policies(self: &Rc<Self>, policies: Arc<Policies>) {
        self.counters.borrow_mut().set_policies(policies, now_ms());
        let desk = Rc::clone(self);
        spawn(Class::Interactive, async move { desk.renew().await });
    }

    /// Looks at all counters after the policies have changed, a slice of them in each turn.
    async fn renew(&self) {
        let mut slice = Slice::begin(limits::COUNTERS_SLICE);
        while self.renew_one() {
            if slice.is_over() {
                self.settled();
                engine::task::yield_now().await;
                slice = Slice::begin(limits::COUNTERS_SLICE);
            }
        }
        self.settled();
    }

    fn renew_one(&self) -> bool {
        self.counters.borrow_mut().renew(now_ms())
    }

    /// How the counters that this shard owns stand: as many as an answer holds, and one more where there are more.
    pub async fn usages(&self) -> Vec<Usage> {
        let mut usages = Vec::new();
        self.for_each(|counters, key| {
            usages.extend(counters.usage(key, now_ms()));
            usages.len() <= limits::CONTROL_COUNTERS
        })
        .await;
        usages
    }

    /// Fills the tokens of the counters that this shard owns of which `is_one` says so. How many there are.
    pub async fn refill(&self, is_one: impl Fn(&Key) -> bool) -> u64 {
        let mut filled = 0;
        self.for_each(|counters, key| {
            filled += u64::from(is_one(key) && counters.refill(key, now_ms()));
            true
        })
        .await;
        self.settled();
        filled
    }

    /// How many [`Desk::refill`] would fill.
    pub async fn rates(&self, is_one: impl Fn(&Key) -> bool) -> u64 {
        let mut rates = 0;
        self.for_each(|counters, key| {
            if is_one(key) {
                let usage = counters.usage(key, now_ms());
                rates += u64::from(usage.is_some_and(|usage| usage.tokens.is_some()));
            }
            true
        })
        .await;
        rates
    }

    /// Looks at the counters that this shard owns until `look` has had enough, a slice of them in each turn.
    async fn for_each(&self, mut look: impl FnMut(&mut Counters, &Key) -> bool) {
        let mut slice = Slice::begin(limits::COUNTERS_SLICE);
        let end = self.counters.borrow().end();
        for number in 0..end {
            if !self.look_at(number, &mut look) {
                return;
            }
            slice.give_way().await;
        }
    }

    fn look_at(&self, number: u32, mut look: impl FnMut(&mut Counters, &Key) -> bool) -> bool {
        let mut counters = self.counters.borrow_mut();
        let Some(key) = counters.key_at(number).cloned() else { return true };
        look(&mut counters, &key)
    }

    /// How one counter stands, if this shard owns it and it is not as if new.
    pub fn usage(&self, key: &Key) -> Option<Usage> {
        self.counters.borrow_mut().usage(key, now_ms())
    }

    /// How many counters with this limit there are that this shard owns.
    pub fn counters(&self, limit: Limit) -> u64 {
        self.counters.borrow().limited_by(limit) as u64
    }

    pub(super) fn ask(&self, ask: &Ask) -> Answer {
        let answer = self.counters.borrow_mut().ask(ask, now_ms());
        self.settled();
        answer
    }

    /// Tells others what a change of counters means for them.
    pub(super) fn settled(&self) {
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
    pub(in crate::delivery) fn recall(&self, key: &Key) {
        let number = self.recalls.get() + 1;
        self.recalls.set(number);
        let recalled = Recalled { until_ms: now_ms() + limits::RECALL_MS, number };
        remember(&mut self.recalled.borrow_mut(), key.clone(), recalled);
        let spare = self.wallet.borrow_mut().recall_units(key);
        close(key, spare);
    }

    /// The owner has promised to wake this shard. `since`: the wakes when it was asked.
    pub(super) fn promise(&self, key: &Key, since: u64) {
        if self.woken.borrow().get(key).is_none_or(|at| *at <= since) {
            self.promised.borrow_mut().insert(key.clone());
        }
    }

    /// Keeps units for later connections, unless others wait for them.
    pub(super) fn keep_units(&self, key: &Key, count: u32) {
        if self.is_wanted(key) {
            close(key, count);
        } else {
            self.wallet.borrow_mut().add_units(key, count, now_ms());
            self.changed.notify_one();
        }
    }

    /// Whether others wait for a connection like this one.
    pub(in crate::delivery) fn is_recalled(&self, units: &Units) -> bool {
        units.held().iter().any(|key| self.is_wanted(key))
    }

    pub(super) fn is_wanted(&self, key: &Key) -> bool {
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
pub(in crate::delivery) fn bring(shard: &Shard, key: &Key) -> bool {
    Desk::here().kept_promise(key);
    let Some(behind) = shard.queue.borrow_mut().brought(key) else { return false };
    if let Some((limit, received_ms)) = behind {
        wait(key, limit, received_ms);
    }
    shard.due.notify_one();
    true
}

/// Asks who waits for an idle connection that was called back.
pub(in crate::delivery) async fn offer(shard: &Shard, units: &Units) -> Offer {
    let desk = Desk::here();
    for key in units.held().iter().filter(|key| desk.is_wanted(key)) {
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
