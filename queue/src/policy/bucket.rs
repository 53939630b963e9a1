//! Tokens for messages: one for each, as many as the rate permits.
//!
//! A token that was granted counts against the capacity until it is known to be spent or the time to hear of it is over,
//! since nobody can know when it was spent. So what is seen on the wire never exceeds the rate, however late grants
//! arrive. What comes back after that time is lost: a bucket that has been full since cannot tell what it is worth.

use std::collections::VecDeque;

use crate::policy::{Algorithm, Rate, USE_BY_MS};

/// How long what was not used may take to come back.
const RETURN_MS: u64 = 100;

/// The tokens of one counter.
#[derive(Debug)]
pub(super) struct Tokens {
    rate: Rate,
    state: State,
}

#[derive(Debug)]
enum State {
    Bucket {
        /// In parts of a token: `interval_ms` of them are one, and `count` come in each millisecond.
        level: u128,
        at_ms: u64,
        /// Granted, and nothing is known of them: until when that holds them back, how many.
        leased: VecDeque<(u64, u32)>,
        leased_count: u32,
    },
    /// The window that is open: since when, how many were granted in it.
    Window(Option<(u64, u32)>),
}

impl Tokens {
    /// All there.
    pub(super) fn new(rate: Rate, now_ms: u64) -> Tokens {
        let state = match rate.algorithm {
            Algorithm::TokenBucket => State::Bucket {
                level: u128::from(rate.count) * u128::from(rate.interval_ms),
                at_ms: now_ms,
                leased: VecDeque::new(),
                leased_count: 0,
            },
            Algorithm::FixedWindow => State::Window(None),
        };
        Tokens { rate, state }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Another rate: what there is stays, up to the new capacity. Another way of counting begins with nothing.
    pub(super) fn set_rate(&mut self, rate: Rate, now_ms: u64) {
        self.advance(now_ms);
        let before = std::mem::replace(&mut self.rate, rate);
        match &mut self.state {
            State::Bucket { level, .. } if rate.algorithm == before.algorithm => {
                *level = *level * u128::from(rate.interval_ms) / u128::from(before.interval_ms.max(1));
            }
            State::Window(_) if rate.algorithm == before.algorithm => {}
            _ => {
                *self = Tokens::new(rate, now_ms);
                match &mut self.state {
                    State::Bucket { level, .. } => *level = 0,
                    State::Window(window) => *window = Some((now_ms, rate.count)),
                }
            }
        }
        self.advance(now_ms);
    }

    /// Fills it at once: what an operator can order.
    pub(super) fn refill(&mut self, now_ms: u64) {
        self.advance(now_ms);
        match &mut self.state {
            State::Bucket { level, .. } => *level = u128::MAX,
            State::Window(window) => *window = None,
        }
        self.advance(now_ms);
    }

    /// Up to `wanted`, and up to `more` for later out of a part of what is left then; `reserved` are for others. Gives
    /// how many, and until when they may be spent. `None`: there is none.
    pub(super) fn take(&mut self, wanted: u32, more: u32, reserved: u32, now_ms: u64) -> Option<(u32, u64)> {
        self.advance(now_ms);
        let free = self.available().saturating_sub(reserved);
        let needed = wanted.min(free);
        let taken = needed + more.min((free - needed) / 4);
        if taken == 0 {
            return None;
        }
        let Rate { interval_ms, .. } = self.rate;
        match &mut self.state {
            State::Bucket { level, leased, leased_count, .. } => {
                let use_by_ms = now_ms.saturating_add(USE_BY_MS);
                *level -= u128::from(taken) * u128::from(interval_ms);
                *leased_count += taken;
                let until_ms = use_by_ms.saturating_add(RETURN_MS);
                match leased.back_mut() {
                    Some((last_ms, count)) if *last_ms == until_ms => *count += taken,
                    _ => leased.push_back((until_ms, taken)),
                }
                Some((taken, use_by_ms))
            }
            State::Window(window) => {
                let (opened_ms, used) = window.get_or_insert((now_ms, 0));
                *used += taken;
                let last_ms = opened_ms.saturating_add(interval_ms) - 1;
                Some((taken, last_ms.min(now_ms.saturating_add(USE_BY_MS))))
            }
        }
    }

    /// Takes back what was granted at `granted_ms` and not spent.
    pub(super) fn give_back(&mut self, count: u32, granted_ms: u64, now_ms: u64) {
        self.advance(now_ms);
        let ended = self.end_lease(count, granted_ms);
        match &mut self.state {
            State::Bucket { level, .. } => *level += u128::from(ended) * u128::from(self.rate.interval_ms),
            State::Window(window) => {
                if let Some((_, used)) = window.as_mut().filter(|(opened_ms, _)| *opened_ms <= granted_ms) {
                    *used = used.saturating_sub(count);
                }
                *window = window.filter(|(_, used)| *used > 0);
            }
        }
        self.advance(now_ms);
    }

    /// Takes note that so many that were granted at `granted_ms` were spent.
    pub(super) fn spent(&mut self, count: u32, granted_ms: u64, now_ms: u64) {
        self.advance(now_ms);
        self.end_lease(count, granted_ms);
    }

    /// Up to `count` of those granted at that time hold nothing back any more; how many did.
    fn end_lease(&mut self, count: u32, granted_ms: u64) -> u32 {
        let State::Bucket { leased, leased_count, .. } = &mut self.state else { return 0 };
        let held_until_ms = granted_ms.saturating_add(USE_BY_MS + RETURN_MS);
        let Some(place) = leased.iter().position(|(until_ms, _)| *until_ms == held_until_ms) else {
            return 0;
        };
        let ended = count.min(leased[place].1);
        leased[place].1 -= ended;
        *leased_count -= ended;
        if leased[place].1 == 0 {
            leased.remove(place);
        }
        ended
    }

    /// Tokens there are at the time of the last call.
    pub(super) fn available(&self) -> u32 {
        match &self.state {
            State::Bucket { level, .. } => {
                u32::try_from(level / u128::from(self.rate.interval_ms)).unwrap_or(u32::MAX)
            }
            State::Window(window) => self.rate.count.saturating_sub(window.map_or(0, |(_, used)| used)),
        }
    }

    /// When there will be one, if nothing is taken. `None`: never.
    pub(super) fn next_ms(&self) -> Option<u64> {
        if self.rate.count == 0 {
            return None;
        }
        match &self.state {
            State::Bucket { level, at_ms, leased, leased_count } => {
                let missing = u128::from(self.rate.interval_ms).saturating_sub(*level);
                let wait_ms = missing.div_ceil(u128::from(self.rate.count));
                let filled_ms = at_ms.saturating_add(u64::try_from(wait_ms).unwrap_or(u64::MAX));
                // Nothing comes while the capacity is out.
                let out = *leased_count >= self.rate.count;
                let freed_ms =
                    leased.front().filter(|_| out).map(|(until_ms, _)| until_ms + 1 + wait_ms as u64);
                Some(freed_ms.unwrap_or(filled_ms))
            }
            State::Window(Some((opened_ms, used))) if *used >= self.rate.count => {
                Some(opened_ms.saturating_add(self.rate.interval_ms))
            }
            State::Window(_) => Some(0),
        }
    }

    /// When it will be as if new, if nothing is taken.
    pub(super) fn idle_ms(&self) -> u64 {
        match &self.state {
            State::Bucket { level, at_ms, leased, .. } => {
                let capacity = u128::from(self.rate.count) * u128::from(self.rate.interval_ms);
                let wait_ms = capacity.saturating_sub(*level).div_ceil(u128::from(self.rate.count.max(1)));
                let filled_ms = at_ms.saturating_add(u64::try_from(wait_ms).unwrap_or(u64::MAX));
                filled_ms.max(leased.back().map_or(0, |(until_ms, _)| until_ms + 1))
            }
            State::Window(Some((opened_ms, _))) => opened_ms.saturating_add(self.rate.interval_ms),
            State::Window(None) => 0,
        }
    }

    pub(super) fn advance(&mut self, now_ms: u64) {
        let Rate { count, interval_ms, .. } = self.rate;
        match &mut self.state {
            State::Bucket { level, at_ms, leased, leased_count } => {
                let mut fill = |to_ms: u64, leased: u32| {
                    let capacity = u128::from(count.saturating_sub(leased)) * u128::from(interval_ms);
                    let come = u128::from(to_ms.saturating_sub(*at_ms)) * u128::from(count);
                    *level = level.saturating_add(come).min(capacity);
                    *at_ms = to_ms.max(*at_ms);
                };
                while let Some((until_ms, ended)) = leased.pop_front_if(|(until_ms, _)| *until_ms < now_ms) {
                    fill(until_ms, *leased_count);
                    *leased_count -= ended;
                }
                fill(now_ms, *leased_count);
            }
            State::Window(window) => {
                if window.is_some_and(|(opened_ms, _)| now_ms >= opened_ms.saturating_add(interval_ms)) {
                    *window = None;
                }
            }
        }
    }
}
