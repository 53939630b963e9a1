//! The side of a shard that owns counters: grants, refuses, remembers who waits, wakes them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tables::slab::Slab;

use crate::limits;
use crate::policy::counter::{Connects, Counter, Waiter};
use crate::policy::{Key, Limit, Limits, Policies, USE_BY_MS};

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
    /// When the next message may be sent; `None`: they are not counted, or none ever may.
    pub next_token_ms: Option<u64>,
    /// When the next connect may be; `None`: that is not limited.
    pub next_connect_ms: Option<u64>,
    /// What those wait for who wait: each shard counts once for each.
    pub waiting: Vec<Limit>,
}

/// The counters of one owner.
#[derive(Debug, Default)]
pub struct Counters {
    policies: Arc<Policies>,
    /// Number of the policies in force, and since when they are.
    generation: u32,
    since_ms: u64,
    counters: FxHashMap<Key, Counter>,
    /// Their keys by number.
    numbered: Slab<Key>,
    /// Those that have not been looked at since the policies changed, by number.
    outdated: Range<u32>,
    /// How many have each limit.
    limited: [usize; 3],
    /// When a counter is to be looked at.
    timers: BTreeSet<(u64, Key)>,
    notices: Vec<Notice>,
}

impl Counters {
    /// Puts policies in force. What counters have counted stays, by fields and values. From now on they hold for whoever
    /// asks; who waits hears of it by [`Counters::renew`].
    pub fn set_policies(&mut self, policies: Arc<Policies>, now_ms: u64) {
        self.policies = policies;
        self.generation = self.generation.wrapping_add(1);
        self.since_ms = now_ms;
        self.outdated = 0..self.numbered.end();
    }

    /// Looks at one more counter after the policies have changed: who waits is woken where more is permitted now, and idle
    /// connections are called back where less is. False: there is none left.
    pub fn renew(&mut self, now_ms: u64) -> bool {
        let Some(number) = self.outdated.next() else { return false };
        if let Some(key) = self.numbered.get(number).cloned() {
            self.settle(&key, now_ms);
        }
        true
    }

    /// Asks for something. A refusal has the shard woken later.
    pub fn ask(&mut self, ask: &Ask, now_ms: u64) -> Answer {
        let Some((policy, limits)) = self.policies.limits(&ask.key).filter(|(_, limits)| !limits.is_empty())
        else {
            return Answer::Granted(Grant::free(now_ms));
        };
        if !self.outdated.is_empty() {
            // Who waits comes before who asks now.
            self.settle(&ask.key, now_ms);
        }
        if !self.counters.contains_key(&ask.key) {
            if self.counters.len() >= limits::COUNTERS {
                let limit = limits.first();
                return Answer::Refused { limit, at_ms: Some(now_ms + limits::COUNTERS_PAUSE_MS) };
            }
            let (number, generation) = (self.numbered.insert(ask.key.clone()), self.generation);
            let mut counter = Counter { policy, number, generation, ..Counter::default() };
            counter.set_limits(limits, now_ms);
            Counters::note_limits(&mut self.limited, Limits::default(), limits);
            self.counters.insert(ask.key.clone(), counter);
        }
        let counter = self.current(&ask.key).expect("it was just made, if it was not there");
        let answer = counter.ask(ask, now_ms);
        if let Answer::Refused { limit: Limit::Concurrency | Limit::ConnectInterval, .. } = answer {
            self.recall(&ask.key);
        }
        self.settle(&ask.key, now_ms);
        answer
    }

    /// Somebody wants to be woken who has not asked: mail that waits behind what was woken.
    pub fn wait(&mut self, key: &Key, shard: u16, limit: Limit, received_ms: u64, now_ms: u64) {
        match self.current(key) {
            Some(counter) => {
                counter.waits(Waiter { shard, limit, received_ms });
                if limit != Limit::Rate {
                    self.recall(key);
                }
                self.settle(key, now_ms);
            }
            // Nothing is counted there any more.
            None => self.notices.push(Notice::Wake { shard, key: key.clone(), count: u32::MAX }),
        }
    }

    /// Takes back a grant that was not used: unit, connect and tokens.
    pub fn give_back(&mut self, key: &Key, shard: u16, grant: Grant, now_ms: u64) {
        let Some(counter) = self.current(key) else { return };
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
        let Some(counter) = self.current(key) else { return };
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
        if let Some(counter) = self.current(key) {
            counter.release(shard, count);
            self.settle(key, now_ms);
        }
    }

    /// A shard that was asked to make way has an idle connection with a unit. Whoever is named for it waits no longer.
    pub fn offer(&mut self, key: &Key, now_ms: u64) -> Offered {
        let Some(counter) = self.current(key) else { return Offered::Keep };
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
        let Some(tokens) = self.current(key).and_then(|counter| counter.tokens.as_mut()) else {
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
    pub fn usage(&mut self, key: &Key, now_ms: u64) -> Option<Usage> {
        self.current(key).map(|counter| counter.usage(key, now_ms))
    }

    /// The counter of a number, so that all can be looked at in parts; a number may be that of none.
    pub fn key_at(&self, number: u32) -> Option<&Key> {
        self.numbered.get(number)
    }

    /// One above the highest number of a counter.
    pub fn end(&self) -> u32 {
        self.numbered.end()
    }

    /// How many have this limit.
    pub fn limited_by(&self, limit: Limit) -> usize {
        self.limited[limit as usize]
    }

    fn note_limits(limited: &mut [usize; 3], before: Limits, now: Limits) {
        for limit in [Limit::Concurrency, Limit::Rate, Limit::ConnectInterval] {
            let count = &mut limited[limit as usize];
            *count = (*count + usize::from(now.has(limit))).saturating_sub(usize::from(before.has(limit)));
        }
    }

    /// A counter with the limits that are in force. Every way to one goes through here, so that nothing is counted by limits
    /// from before.
    fn current(&mut self, key: &Key) -> Option<&mut Counter> {
        let counter = self.counters.get_mut(key)?;
        if counter.generation != self.generation {
            let (policy, limits) = self.policies.limits(key).unwrap_or_default();
            (counter.policy, counter.generation) = (policy, self.generation);
            Counters::note_limits(&mut self.limited, counter.limits, limits);
            counter.set_limits(limits, self.since_ms);
            if counter.excess() > 0 {
                recall(&mut self.notices, key, counter);
            }
        }
        Some(counter)
    }

    fn recall(&mut self, key: &Key) {
        if let Some(counter) = self.counters.get(key) {
            recall(&mut self.notices, key, counter);
        }
    }

    /// After a change: wakes who may go, and says when to look again.
    fn settle(&mut self, key: &Key, now_ms: u64) {
        if self.current(key).is_none() {
            return;
        }
        let Some(counter) = self.counters.get_mut(key) else { return };
        counter.wake(key, now_ms, &mut self.notices);
        let timer_ms = counter.look_again_ms(now_ms);
        if let Some(before_ms) = counter.timer_ms.filter(|before_ms| Some(*before_ms) != timer_ms) {
            self.timers.remove(&(before_ms, key.clone()));
        }
        if timer_ms == Some(0) {
            self.numbered.remove(counter.number);
            Counters::note_limits(&mut self.limited, counter.limits, Limits::default());
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
