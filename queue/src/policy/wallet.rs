//! What a shard holds of counters that others own: messages that it may send and connections that it may open without
//! asking again.

use rustc_hash::FxHashMap;

use crate::limits;
use crate::policy::{Grant, Key};

/// Tokens and units in hand. Tokens end after [`USE_BY_MS`](crate::policy::USE_BY_MS), units when nobody has wanted one for
/// [`SPARE_IDLE_MS`](limits::SPARE_IDLE_MS); what was not used is given back.
#[derive(Debug, Default)]
pub struct Wallet {
    tokens: FxHashMap<Key, InHand>,
    units: FxHashMap<Key, Spare>,
}

#[derive(Debug)]
struct InHand {
    grant: Grant,
    /// How many were asked for last beyond those that were needed: twice as many the next time when all of them were spent.
    more: u32,
}

/// Units of a counter that is shared out in parts.
#[derive(Debug)]
struct Spare {
    count: u32,
    used_ms: u64,
}

impl Wallet {
    /// Takes up to `count` tokens out, if there are some.
    pub fn take(&mut self, key: &Key, count: u32, now_ms: u64) -> Option<Grant> {
        let hand = self.tokens.get_mut(key)?;
        let taken = hand.grant.tokens.min(count);
        if taken == 0 || hand.grant.use_by_ms < now_ms {
            return None;
        }
        hand.grant.tokens -= taken;
        Some(Grant { tokens: taken, ..hand.grant })
    }

    /// How many to ask for beyond those that are needed.
    pub fn more(&self, key: &Key) -> u32 {
        match self.tokens.get(key) {
            Some(hand) if hand.grant.tokens == 0 => (hand.more * 2 + 1).min(limits::TOKENS_AT_ONCE),
            Some(hand) => hand.more / 2,
            None => 0,
        }
    }

    /// Keeps the tokens of a grant beyond those that the caller spends. Gives what was in hand before and has to go back.
    pub fn keep(&mut self, key: &Key, grant: Grant, spent: u32) -> Option<Grant> {
        let more = self.more(key);
        let rest = Grant {
            unit: false,
            spare: 0,
            interval: false,
            tell: false,
            tokens: grant.tokens.saturating_sub(spent),
            ..grant
        };
        let before = self.tokens.insert(key.clone(), InHand { grant: rest, more });
        before.map(|hand| hand.grant).filter(|grant| grant.tokens > 0)
    }

    /// Takes a unit out, if there is one.
    pub fn take_unit(&mut self, key: &Key, now_ms: u64) -> bool {
        let Some(spare) = self.units.get_mut(key) else { return false };
        spare.used_ms = now_ms;
        let taken = spare.count > 0;
        spare.count = spare.count.saturating_sub(1);
        taken
    }

    /// Keeps units that were granted beyond the one.
    pub fn add_units(&mut self, key: &Key, count: u32, now_ms: u64) {
        if count > 0 {
            let spare = self.units.entry(key.clone()).or_insert(Spare { count: 0, used_ms: now_ms });
            spare.count += count;
        }
    }

    /// Keeps the unit of a connection that was closed, where the counter gives some for later and there are not enough.
    pub fn keep_unit(&mut self, key: &Key) -> bool {
        let room = self.units.get_mut(key).filter(|spare| spare.count < limits::SPARE_UNITS);
        room.map(|spare| spare.count += 1).is_some()
    }

    /// Takes all units of a counter out, since others wait for them: they are to be given back.
    pub fn recall_units(&mut self, key: &Key) -> u32 {
        self.units.remove(key).map_or(0, |spare| spare.count)
    }

    /// Takes out what has ended: what was not spent is to be given back.
    pub fn expire(&mut self, now_ms: u64) -> Vec<(Key, Grant)> {
        let ended = self.tokens.extract_if(|_, hand| hand.grant.use_by_ms < now_ms);
        let mut back: Vec<(Key, Grant)> =
            ended.map(|(key, hand)| (key, hand.grant)).filter(|(_, grant)| grant.tokens > 0).collect();
        let idle = |spare: &Spare| spare.used_ms.saturating_add(limits::SPARE_IDLE_MS) < now_ms;
        let unused = self.units.extract_if(|_, spare| idle(spare));
        let units = |(key, spare): (Key, Spare)| (key, Grant { spare: spare.count, ..Grant::free(now_ms) });
        back.extend(unused.map(units).filter(|(_, grant)| grant.spare > 0));
        back
    }

    /// Nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.units.is_empty()
    }
}
