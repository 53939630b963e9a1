//! One counter: what is used of it, who waits for it.

use crate::limits;
use crate::policy::bucket::Tokens;
use crate::policy::counters::{Answer, Ask, Grant, Notice, Usage};
use crate::policy::{Key, Limit, Limits, Rate, USE_BY_MS};

/// About 400 bytes with its key.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub(super) policy: u32,
    pub(super) limits: Limits,
    /// Open connections by shard. Below zero: one was closed there of which it is not known yet that it came from another.
    pub(super) holders: Vec<(u16, i32)>,
    pub(super) open: u32,
    pub(super) tokens: Option<Tokens>,
    pub(super) connects: Connects,
    /// In no order; at most one for each shard and limit.
    pub(super) waiters: Vec<Waiter>,
    /// Who was woken and has not asked yet.
    pub(super) hinted: Vec<Hint>,
    pub(super) timer_ms: Option<u64>,
    /// Its number among all counters.
    pub(super) number: u32,
    /// Of the policies that its limits are from.
    pub(super) generation: u32,
}

/// When connections may be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connects {
    /// Not before this time.
    pub(super) next_ms: u64,
    /// A connect was granted, and it is not known when it was made: it may be until then, and what held before.
    pub(super) pending: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) shard: u16,
    pub(super) limit: Limit,
    pub(super) received_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    pub(super) shard: u16,
    pub(super) limit: Limit,
    pub(super) count: u32,
    pub(super) until_ms: u64,
}

impl Counter {
    pub(super) fn set_limits(&mut self, limits: Limits, now_ms: u64) {
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
    pub(super) fn excess(&self) -> u32 {
        self.limits.concurrency.map_or(0, |limit| self.open.saturating_sub(limit))
    }

    pub(super) fn ask(&mut self, ask: &Ask, now_ms: u64) -> Answer {
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

    pub(super) fn release(&mut self, shard: u16, count: u32) {
        self.open = self.open.saturating_sub(count);
        self.hold(shard, -(count as i32));
    }

    pub(super) fn hold(&mut self, shard: u16, change: i32) {
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

    pub(super) fn waits(&mut self, new: Waiter) {
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
    pub(super) fn wake(&mut self, key: &Key, now_ms: u64, notices: &mut Vec<Notice>) {
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
    pub(super) fn look_again_ms(&self, now_ms: u64) -> Option<u64> {
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

    /// How it stands now.
    pub(super) fn usage(&mut self, key: &Key, now_ms: u64) -> Usage {
        self.advance(now_ms);
        Usage {
            key: key.clone(),
            policy: self.policy,
            limits: self.limits,
            connections: self.open,
            tokens: self.tokens.as_ref().map(Tokens::available),
            next_token_ms: self.next_ms(Limit::Rate),
            next_connect_ms: self.limits.connect_interval_ms.map(|_| self.connects.next_ms),
            waiting: self.waiters.iter().map(|waiter| waiter.limit).collect(),
        }
    }
}
