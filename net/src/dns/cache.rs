//! Answers that are still good.

use std::collections::HashMap;
use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

use crate::dns::answer::{Answer, Question};

/// A bounded cache. When it is full, the hand of a clock takes the first entry that has expired or was not used
/// since the hand last passed. An entry costs about 250 bytes.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Vec<Entry>,
    by_question: HashMap<Question, usize, Keyed>,
    hand: usize,
    max_entries: usize,
}

#[derive(Debug)]
struct Entry {
    question: Question,
    answer: Answer,
    expires_ms: u64,
    used: bool,
}

/// Names come from outside, so the hash is keyed against chosen collisions.
#[derive(Clone, Debug)]
pub(crate) struct Keyed(pub(crate) u64);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;
    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, !self.0)
    }
}

impl Cache {
    pub(crate) fn new(max_entries: usize, hash_seed: u64) -> Cache {
        let by_question = HashMap::with_hasher(Keyed(hash_seed));
        Cache { entries: Vec::new(), by_question, hand: 0, max_entries }
    }

    /// The answer and for how long it is good, in milliseconds.
    pub(crate) fn get(&mut self, question: &Question, now_ms: u64) -> Option<(Answer, u64)> {
        let entry = &mut self.entries[*self.by_question.get(question)?];
        let left_ms = entry.expires_ms.checked_sub(now_ms).filter(|left_ms| *left_ms > 0)?;
        entry.used = true;
        Some((entry.answer.clone(), left_ms))
    }

    pub(crate) fn insert(&mut self, question: Question, answer: Answer, ttl_ms: u64, now_ms: u64) {
        if ttl_ms == 0 || self.max_entries == 0 {
            return;
        }
        let expires_ms = now_ms.saturating_add(ttl_ms);
        let entry = Entry { question: question.clone(), answer, expires_ms, used: false };
        if let Some(number) = self.by_question.get(&question) {
            self.entries[*number] = entry;
        } else if self.entries.len() < self.max_entries {
            self.by_question.insert(question, self.entries.len());
            self.entries.push(entry);
        } else {
            let number = self.take_place(now_ms);
            self.by_question.remove(&self.entries[number].question);
            self.by_question.insert(question, number);
            self.entries[number] = entry;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_question.clear();
        self.hand = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The place of an entry that can go. Ends after two rounds at the latest.
    fn take_place(&mut self, now_ms: u64) -> usize {
        loop {
            let number = self.hand;
            self.hand = (number + 1) % self.entries.len();
            let entry = &mut self.entries[number];
            if entry.expires_ms <= now_ms || !std::mem::take(&mut entry.used) {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{DomainName, Kind};

    fn question(number: usize) -> Question {
        Question { name: DomainName::parse(&format!("n{number}.test")).unwrap(), kind: Kind::A }
    }

    #[test]
    fn an_entry_is_good_until_its_time_and_says_how_long() {
        let mut cache = Cache::new(10, 1);
        cache.insert(question(1), Answer::NoData, 5_000, 1_000);
        assert_eq!(cache.get(&question(1), 1_000), Some((Answer::NoData, 5_000)));
        assert_eq!(cache.get(&question(1), 5_999), Some((Answer::NoData, 1)));
        assert_eq!(cache.get(&question(1), 6_000), None);
        assert_eq!(cache.get(&Question { kind: Kind::Mx, ..question(1) }, 1_000), None);
    }

    #[test]
    fn a_full_cache_keeps_what_is_used_and_stays_in_bounds() {
        let mut cache = Cache::new(4, 1);
        for number in 0..100 {
            cache.insert(question(number), Answer::NoData, 60_000, 0);
            assert!(cache.get(&question(0), 0).is_some(), "used all the time, lost after {number}");
        }
        assert!(cache.get(&question(99), 0).is_some(), "the last one is there");
        assert_eq!((cache.len(), cache.by_question.len()), (4, 4));
    }

    #[test]
    fn no_entries_and_no_lifetime_keep_nothing() {
        let mut cache = Cache::new(0, 1);
        cache.insert(question(1), Answer::NoData, 60_000, 0);
        assert_eq!(cache.get(&question(1), 0), None);
        let mut cache = Cache::new(1, 1);
        cache.insert(question(1), Answer::NoData, 0, 0);
        assert_eq!(cache.len(), 0);
    }
}
