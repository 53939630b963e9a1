//! What a shard holds of counters that others own: messages that it may send without asking again.

use rustc_hash::FxHashMap;

use crate::limits;
use crate::policy::{Grant, Key};

/// Tokens in hand. They end after [`USE_BY_MS`](crate::policy::USE_BY_MS); what was not spent is given back.
#[derive(Debug, Default)]
pub struct Wallet {
    tokens: FxHashMap<Key, InHand>,
}

#[derive(Debug)]
struct InHand {
    grant: Grant,
    /// How many were asked for last: twice as many the next time when all of them were spent.
    wanted: u32,
}

impl Wallet {
    /// Takes one token out, if there is one.
    pub fn take(&mut self, key: &Key, now_ms: u64) -> Option<Grant> {
        let hand = self.tokens.get_mut(key)?;
        if hand.grant.tokens == 0 || hand.grant.use_by_ms < now_ms {
            return None;
        }
        hand.grant.tokens -= 1;
        Some(Grant { tokens: 1, ..hand.grant })
    }

    /// How many to ask for.
    pub fn wanted(&self, key: &Key) -> u32 {
        match self.tokens.get(key) {
            Some(hand) if hand.grant.tokens == 0 => (hand.wanted * 2).min(limits::TOKENS_AT_ONCE),
            Some(hand) => (hand.wanted / 2).max(1),
            None => 1,
        }
    }

    /// Keeps the tokens beyond the first, which the caller spends. Gives what was in hand before and has to go back.
    pub fn keep(&mut self, key: &Key, grant: Grant) -> Option<Grant> {
        let wanted = self.wanted(key);
        let rest = Grant {
            unit: false,
            interval: false,
            tell: false,
            tokens: grant.tokens.saturating_sub(1),
            ..grant
        };
        let before = self.tokens.insert(key.clone(), InHand { grant: rest, wanted });
        before.map(|hand| hand.grant).filter(|grant| grant.tokens > 0)
    }

    /// Takes out what has ended: what was not spent is to be given back.
    pub fn expire(&mut self, now_ms: u64) -> Vec<(Key, Grant)> {
        let ended = self.tokens.extract_if(|_, hand| hand.grant.use_by_ms < now_ms);
        ended.map(|(key, hand)| (key, hand.grant)).filter(|(_, grant)| grant.tokens > 0).collect()
    }

    /// Nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}
