//! The side of a shard that owns counters: grants, refuses, remembers who waits, wakes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits;
use crate::policy::bucket::Tokens;
use crate::policy::{Key, Limit, Limits, Policies, Rate, USE_BY_MS};

/// A shard asks for a message, or for a connect and the first message over it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Of which counter.
    pub key: Key,
    /// Who asks.
    pub shard: u16,
    /// A new connection is wanted: a unit of the concurrency, and the time since the last connect.
    pub connect: bool,
    /// Messages that are to be sent at once: recipients of a transaction. Fewer will do, but not none.
    pub tokens: u32,
    /// Messages that are welcome beyond those, for later.
    pub more: u32,
    /// Units that are welcome beyond the one, for further connections.
    pub spare: u32,
    /// When the message was received: the oldest goes first.
    pub received_ms: u64,
}

/// What the owner says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go.
    Granted(Grant),
    /// Not now. The shard will be woken, once, when that may have changed.
    Refused {
        /// By what.
        limit: Limit,
        /// When it will have changed, if nobody goes before; `None`: when a connection ends or the limits change.
        at_ms: Option<u64>,
    },
}

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A unit of the concurrency, until it is given back ([`Counters::closed`]).
    pub unit: bool,
    /// Further units, for later connections; each until it is given back.
    pub spare: u32,
    /// Messages that may be sent.
    pub tokens: u32,
    /// The time since the last connect counts here.
    pub interval: bool,
    /// Messages count here: without that, any number may be sent.
    pub counted: bool,
    /// The owner is to hear when it is used: [`Counters::used`].
    pub tell: bool,
    /// When it was granted.
    pub granted_ms: u64,
    /// Until when connects and messages may be begun.
    pub use_by_ms: u64,
}

/// What the owner tells another shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What this shard was refused may be had now: ask again. A hint.
    Wake {
        /// Whom.
        shard: u16,
        /// Which counter.
        key: Key,
        /// How many may go.
        count: u32,
    },
    /// Others wait for connections that this shard holds: offer those that are idle.
    Recall {
        /// Whom.
        shard: u16,
        /// Which counter.
        key: Key,
    },
}

/// What is to become of an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Nobody waits for it.
    Keep,
    /// The mail that has waited longest for one is there. Who gets it says so: [`Counters::moved`].
    To(u16),
    /// There are more than may be.
    Close,
}

/// How a counter stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which.
    pub key: Key,
    /// Number of its policy.
    pub policy: u32,
    /// What it permits.
    pub limits: Limits,
    /// Open connections.
    pub connections: u32,
    /// Messages that may be sent at once; `None`: they are not counted.
    pub tokens: Option<u32>,
    /// When the next connect may be; `None`: that is not limited.
    pub next_connect_ms: Option<u64>,
    /// What those wait for who wait: each shard counts once for each.
    pub waiting: Vec<Limit>,
}

/// The counters of one owner.
#[derive(Debug, Default)]
pub struct Counters {
    policies: Arc<Policies>,
    counters: FxHashMap<Key, Counter>,
    /// When a counter is to be looked at.
    timers: BTreeSet<(u64, Key)>,
    notices: Vec<Notice>,
}

/// About 400 bytes with its key.
#[derive(Debug, Default)]
struct Counter {
    policy: u32,
    limits: Limits,
    /// Open connections by shard. Below zero: one was closed there of which it is not known yet that it came from another.
    holders: Vec<(u16, i32)>,
    open: u32,
    tokens: Option<Tokens>,
    connects: Connects,
    /// In no order; at most one for each shard and limit.
    waiters: Vec<Waiter>,
    /// Who was woken and has not asked yet.
    hinted: Vec<Hint>,
    timer_ms: Option<u64>,
}

/// When connections may be opened.
#[derive(Clone, Copy, Debug, Default)]
struct Connects {
    /// Not before this time.
    next_ms: u64,
    /// A connect was granted, and it is not known when it was made: it may be until then, and what held before.
    pending: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    shard: u16,
    limit: Limit,
    received_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Hint {
    shard: u16,
    limit: Limit,
    count: u32,
    until_ms: u64,
}

impl Counters {
    /// Puts policies in force. What counters have counted stays, by fields and values; who waits is woken where more is
    /// permitted now, and idle connections are called back where less is.
    pub fn set_policies(&mut self, policies: Arc<Policies>, now_ms: u64) {
        self.policies = policies;
        let keys: Vec<Key> = self.counters.keys().cloned().collect();
        for key in keys {
            let (policy, limits) = self.policies.limits(&key).unwrap_or_default();
            if let Some(counter) = self.counters.get_mut(&key) {
                counter.policy = policy;
                counter.set_limits(limits, now_ms);
                if counter.excess() > 0 {
                    recall(&mut self.notices, &key, counter);
                }
            }
            self.settle(&key, now_ms);
        }
    }

    /// Asks for something. A refusal has the shard woken later.
    pub fn ask(&mut self, ask: &Ask, now_ms: u64) -> Answer {
        let Some((policy, limits)) = self.policies.limits(&ask.key).filter(|(_, limits)| !limits.is_empty())
        else {
            return Answer::Granted(Grant::free(now_ms));
        };
        if !self.counters.contains_key(&ask.key) {
            if self.counters.len() >= limits::COUNTERS {
                let limit = limits.first();
                return Answer::Refused { limit, at_ms: Some(now_ms + limits::COUNTERS_PAUSE_MS) };
            }
            let mut counter = Counter { policy, ..Counter::default() };
            counter.set_limits(limits, now_ms);
            self.counters.insert(ask.key.clone(), counter);
        }
        let counter = self.counters.get_mut(&ask.key).expect("it was just made, if it was not there");
        let answer = counter.ask(ask, now_ms);
        if let Answer::Refused { limit: Limit::Concurrency | Limit::ConnectInterval, .. } = answer {
            recall(&mut self.notices, &ask.key, counter);
        }
        self.settle(&ask.key, now_ms);
        answer
    }

    /// Somebody wants to be woken who has not asked: mail that waits behind what was woken.
    pub fn wait(&mut self, key: &Key, shard: u16, limit: Limit, received_ms: u64, now_ms: u64) {
        match self.counters.get_mut(key) {
            Some(counter) => {
                counter.waits(Waiter { shard, limit, received_ms });
                if limit != Limit::Rate {
                    recall(&mut self.notices, key, counter);
                }
                self.settle(key, now_ms);
            }
            // Nothing is counted there any more.
            None => self.notices.push(Notice::Wake { shard, key: key.clone(), count: u32::MAX }),
        }
    }

    /// Takes back a grant that was not used: unit, connect and tokens.
    pub fn give_back(&mut self, key: &Key, shard: u16, grant: Grant, now_ms: u64) {
        let Some(counter) = self.counters.get_mut(key) else { return };
        counter.release(shard, u32::from(grant.unit) + grant.spare);
        if grant.interval
            && let Some((use_by_ms, before_ms)) = counter.connects.pending
            && use_by_ms == grant.use_by_ms
        {
            counter.connects = Connects { next_ms: before_ms, pending: None };
        }
        if grant.counted
            && let Some(tokens) = &mut counter.tokens
        {
            tokens.give_back(grant.tokens, grant.granted_ms, now_ms);
        }
        self.settle(key, now_ms);
    }

    /// The connect of this grant was made at `at_ms`. `spent`: its tokens, if all of them were spent at once; of others
    /// nothing need be said.
    pub fn used(&mut self, key: &Key, grant: Grant, spent: u32, at_ms: u64, now_ms: u64) {
        let Some(counter) = self.counters.get_mut(key) else { return };
        if let Some(interval_ms) = counter.limits.connect_interval_ms
            && counter.connects.pending.is_some_and(|(use_by_ms, _)| use_by_ms == grant.use_by_ms)
        {
            counter.connects = Connects { next_ms: at_ms.saturating_add(interval_ms), pending: None };
        }
        if let Some(tokens) = &mut counter.tokens
            && spent > 0
        {
            tokens.spent(spent, grant.granted_ms, now_ms);
        }
        self.settle(key, now_ms);
    }

    /// Connections with a unit were closed, or units that were spare are not wanted any more.
    pub fn closed(&mut self, key: &Key, shard: u16, count: u32, now_ms: u64) {
        if let Some(counter) = self.counters.get_mut(key) {
            counter.release(shard, count);
            self.settle(key, now_ms);
        }
    }

    /// A shard that was asked to make way has an idle connection with a unit. Whoever is named for it waits no longer.
    pub fn offer(&mut self, key: &Key, now_ms: u64) -> Offered {
        let Some(counter) = self.counters.get_mut(key) else { return Offered::Keep };
        if counter.excess() > 0 {
            return Offered::Close;
        }
        let waiting = counter.waiters.iter().filter(|waiter| waiter.limit != Limit::Rate);
        let Some(oldest) = waiting.min_by_key(|waiter| (waiter.received_ms, waiter.shard)) else {
            return Offered::Keep;
        };
        let shard = oldest.shard;
        counter.waiters.retain(|waiter| waiter.shard != shard || waiter.limit == Limit::Rate);
        self.settle(key, now_ms);
        Offered::To(shard)
    }

    /// A connection with a unit has moved from one shard to another.
    pub fn moved(&mut self, key: &Key, from: u16, to: u16) {
        if let Some(counter) = self.counters.get_mut(key) {
            counter.hold(from, -1);
            counter.hold(to, 1);
            // Who has come to wait since it left was told to another.
            if counter.waiters.iter().any(|waiter| waiter.limit != Limit::Rate) {
                self.notices.push(Notice::Recall { shard: to, key: key.clone() });
            }
        }
    }

    /// Fills the tokens of a counter at once. False: there is no such counter, or it counts no messages.
    pub fn refill(&mut self, key: &Key, now_ms: u64) -> bool {
        let Some(tokens) = self.counters.get_mut(key).and_then(|counter| counter.tokens.as_mut()) else {
            return false;
        };
        tokens.refill(now_ms);
        self.settle(key, now_ms);
        true
    }

    /// When to call [`Counters::poll`].
    pub fn next_wakeup(&self) -> Option<u64> {
        self.timers.first().map(|(at_ms, _)| *at_ms)
    }

    /// Looks at what is due: wakes those for whom time has brought something, and forgets counters that are idle.
    pub fn poll(&mut self, now_ms: u64) {
        while let Some((at_ms, key)) = self.timers.first().filter(|(at_ms, _)| *at_ms <= now_ms).cloned() {
            self.timers.remove(&(at_ms, key.clone()));
            if let Some(counter) = self.counters.get_mut(&key) {
                counter.timer_ms = None;
            }
            self.settle(&key, now_ms);
        }
    }

    /// What other shards are to be told.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether [`Counters::take_notices`] has something.
    pub fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    /// How many counters there are.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// How one counter stands. `None`: it is as if new.
    pub fn usage(&self, key: &Key) -> Option<Usage> {
        self.counters.get_key_value(key).map(|(key, counter)| counter.usage(key))
    }

    /// How all counters stand.
    pub fn usages(&self) -> impl Iterator<Item = Usage> {
        self.counters.iter().map(|(key, counter)| counter.usage(key))
    }

    /// After a change: wakes who may go, and says when to look again.
    fn settle(&mut self, key: &Key, now_ms: u64) {
        let Some(counter) = self.counters.get_mut(key) else { return };
        counter.wake(key, now_ms, &mut self.notices);
        let timer_ms = counter.look_again_ms(now_ms);
        if let Some(before_ms) = counter.timer_ms.filter(|before_ms| Some(*before_ms) != timer_ms) {
            self.timers.remove(&(before_ms, key.clone()));
        }
        if timer_ms == Some(0) {
            self.counters.remove(key);
            return;
        }
        if let Some(at_ms) = timer_ms.filter(|_| counter.timer_ms != timer_ms) {
            self.timers.insert((at_ms, key.clone()));
        }
        counter.timer_ms = timer_ms;
    }
}

/// Asks all who hold connections to make way with idle ones: [`Counters::offer`].
fn recall(notices: &mut Vec<Notice>, key: &Key, counter: &Counter) {
    let recall = |(shard, _): &(u16, i32)| Notice::Recall { shard: *shard, key: key.clone() };
    notices.extend(counter.holders.iter().filter(|(_, count)| *count > 0).map(recall));
}

impl Grant {
    /// Nothing counts.
    pub fn free(now_ms: u64) -> Grant {
        let use_by_ms = now_ms.saturating_add(USE_BY_MS);
        Grant {
            unit: false,
            spare: 0,
            tokens: 0,
            interval: false,
            counted: false,
            tell: false,
            granted_ms: now_ms,
            use_by_ms,
        }
    }
}

impl Limits {
    /// A limit that there is.
    fn first(&self) -> Limit {
        match self {
            Limits { concurrency: Some(_), .. } => Limit::Concurrency,
            Limits { rate: Some(_), .. } => Limit::Rate,
            _ => Limit::ConnectInterval,
        }
    }
}

impl Counter {
    fn set_limits(&mut self, limits: Limits, now_ms: u64) {
        self.limits = limits;
        match (limits.rate.map(Rate::bounded), &mut self.tokens) {
            (Some(rate), Some(tokens)) if tokens.rate() == rate => {}
            (Some(rate), Some(tokens)) => tokens.set_rate(rate, now_ms),
            (Some(rate), None) => self.tokens = Some(Tokens::new(rate, now_ms)),
            (None, _) => self.tokens = None,
        }
        match limits.connect_interval_ms {
            // A shorter interval counts from the last connect as well as can be told.
            Some(interval_ms) => {
                let latest_ms = now_ms.saturating_add(interval_ms);
                self.connects.next_ms = self.connects.next_ms.min(latest_ms);
            }
            None => self.connects = Connects::default(),
        }
        self.advance(now_ms);
    }

    fn advance(&mut self, now_ms: u64) {
        if let Some(tokens) = &mut self.tokens {
            tokens.advance(now_ms);
        }
    }

    /// Connections beyond what is permitted.
    fn excess(&self) -> u32 {
        self.limits.concurrency.map_or(0, |limit| self.open.saturating_sub(limit))
    }

    fn ask(&mut self, ask: &Ask, now_ms: u64) -> Answer {
        self.hinted.retain(|hint| hint.until_ms > now_ms && hint.shard != ask.shard);
        self.advance(now_ms);
        let checks = [
            (ask.connect, Limit::Concurrency),
            (ask.connect, Limit::ConnectInterval),
            (ask.tokens > 0, Limit::Rate),
        ];
        for limit in checks.into_iter().filter(|(wanted, _)| *wanted).map(|(_, limit)| limit) {
            // What others were woken for is theirs.
            if self.free(limit, now_ms) <= self.hints(limit) {
                self.waits(Waiter { shard: ask.shard, limit, received_ms: ask.received_ms });
                return Answer::Refused { limit, at_ms: self.next_ms(limit) };
            }
        }
        Answer::Granted(self.grant(ask, now_ms))
    }

    fn grant(&mut self, ask: &Ask, now_ms: u64) -> Grant {
        let mut grant = Grant::free(now_ms);
        let reserved = self.hints(Limit::Rate);
        if ask.connect {
            grant.unit = true;
            grant.spare = self.spare(ask.spare);
            self.open += 1 + grant.spare;
            self.hold(ask.shard, 1 + grant.spare as i32);
        }
        if ask.tokens > 0
            && let Some((taken, use_by_ms)) =
                self.tokens.as_mut().and_then(|tokens| tokens.take(ask.tokens, ask.more, reserved, now_ms))
        {
            grant =
                Grant { counted: true, tokens: taken, use_by_ms: use_by_ms.min(grant.use_by_ms), ..grant };
        }
        if ask.connect
            && let Some(interval_ms) = self.limits.connect_interval_ms
        {
            grant.interval = true;
            let next_ms = grant.use_by_ms.saturating_add(interval_ms);
            self.connects = Connects { next_ms, pending: Some((grant.use_by_ms, self.connects.next_ms)) };
        }
        grant.tell = grant.interval || (grant.counted && grant.tokens <= ask.tokens);
        grant
    }

    /// Units for later: a part of what is left of a large limit, and none while others wait.
    fn spare(&self, wanted: u32) -> u32 {
        let left = self.limits.concurrency.map_or(0, |limit| limit.saturating_sub(self.open));
        match self.waiters.is_empty() && self.hinted.is_empty() {
            true => wanted.min(left / limits::SPARE_PART),
            false => 0,
        }
    }

    fn release(&mut self, shard: u16, count: u32) {
        self.open = self.open.saturating_sub(count);
        self.hold(shard, -(count as i32));
    }

    fn hold(&mut self, shard: u16, change: i32) {
        if change == 0 {
            return;
        }
        match self.holders.iter().position(|(holder, _)| *holder == shard) {
            Some(place) => {
                self.holders[place].1 += change;
                if self.holders[place].1 == 0 {
                    self.holders.swap_remove(place);
                }
            }
            None => self.holders.push((shard, change)),
        }
    }

    fn waits(&mut self, new: Waiter) {
        let same = |waiter: &&mut Waiter| waiter.shard == new.shard && waiter.limit == new.limit;
        match self.waiters.iter_mut().find(same) {
            Some(waiter) => waiter.received_ms = waiter.received_ms.min(new.received_ms),
            None => self.waiters.push(new),
        }
    }

    /// How many may go now, as far as this limit is concerned.
    fn free(&self, limit: Limit, now_ms: u64) -> u32 {
        match limit {
            Limit::Concurrency => {
                self.limits.concurrency.map_or(u32::MAX, |limit| limit.saturating_sub(self.open))
            }
            Limit::Rate => self.tokens.as_ref().map_or(u32::MAX, Tokens::available),
            Limit::ConnectInterval if self.limits.connect_interval_ms.is_none() => u32::MAX,
            Limit::ConnectInterval => u32::from(now_ms >= self.connects.next_ms),
        }
    }

    fn hints(&self, limit: Limit) -> u32 {
        let counts = self.hinted.iter().filter(|hint| hint.limit == limit).map(|hint| hint.count);
        counts.fold(0, u32::saturating_add)
    }

    /// When this limit permits something by itself.
    fn next_ms(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Concurrency => None,
            Limit::Rate => self.tokens.as_ref().and_then(Tokens::next_ms),
            Limit::ConnectInterval => Some(self.connects.next_ms),
        }
    }

    /// Wakes those who may go, oldest first.
    fn wake(&mut self, key: &Key, now_ms: u64, notices: &mut Vec<Notice>) {
        self.hinted.retain(|hint| hint.until_ms > now_ms);
        if self.waiters.is_empty() {
            return;
        }
        self.advance(now_ms);
        for limit in [Limit::Concurrency, Limit::Rate, Limit::ConnectInterval] {
            let mut free = self.free(limit, now_ms).saturating_sub(self.hints(limit));
            while free > 0 {
                let waiting = self.waiters.iter().enumerate().filter(|(_, waiter)| waiter.limit == limit);
                let count = waiting.clone().count() as u32;
                let Some((place, _)) = waiting.min_by_key(|(_, waiter)| (waiter.received_ms, waiter.shard))
                else {
                    break;
                };
                let Waiter { shard, .. } = self.waiters.swap_remove(place);
                let share = free.div_ceil(count);
                free -= share;
                let until_ms = now_ms.saturating_add(USE_BY_MS);
                self.hinted.push(Hint { shard, limit, count: share, until_ms });
                notices.push(Notice::Wake { shard, key: key.clone(), count: share });
            }
        }
    }

    /// When to look at it again. `Some(0)`: it can be forgotten; `None`: when something happens.
    fn look_again_ms(&self, now_ms: u64) -> Option<u64> {
        let hint_ms = self.hinted.iter().map(|hint| hint.until_ms).min();
        // Where others were woken, what they leave is known when their time is over.
        let alone = self.waiters.iter().filter(|waiter| self.hints(waiter.limit) == 0);
        let waited_ms = alone.filter_map(|waiter| self.next_ms(waiter.limit)).min();
        if hint_ms.is_some() || !self.waiters.is_empty() {
            return [hint_ms, waited_ms].into_iter().flatten().min().map(|at_ms| at_ms.max(now_ms + 1));
        }
        if self.open > 0 {
            return None;
        }
        let idle_ms = self.tokens.as_ref().map_or(0, Tokens::idle_ms).max(self.connects.next_ms);
        if idle_ms <= now_ms { Some(0) } else { Some(idle_ms) }
    }

    fn usage(&self, key: &Key) -> Usage {
        Usage {
            key: key.clone(),
            policy: self.policy,
            limits: self.limits,
            connections: self.open,
            tokens: self.tokens.as_ref().map(Tokens::available),
            next_connect_ms: self.limits.connect_interval_ms.map(|_| self.connects.next_ms),
            waiting: self.waiters.iter().map(|waiter| waiter.limit).collect(),
        }
    }
}
