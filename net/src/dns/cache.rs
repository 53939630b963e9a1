//! Answers that are still good.

use std::collections::HashMap;
use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;

use crate::dns::answer::{Answer, Failure, Question, Resolved};

/// How long a failure is kept the first time (RFC 9520 section 3.2: at least a second).
const FAILURE_TTL_MS: u64 = 5_000;

/// How long a failure is kept that has come again and again (RFC 9520: at most five minutes). Mail waits longer than
/// that between two tries anyway, and finds the name again soon after it has been repaired.
const FAILURE_TTL_MAX_MS: u64 = 30_000;

/// A bounded cache. When it is full, the hand of a clock takes the first entry that has expired or was not used
/// since the hand last passed. An entry costs about 250 bytes, one of records as they are up to
/// [`limits::DNS_KEPT_BYTES_MAX`](crate::limits::DNS_KEPT_BYTES_MAX) more.
#[derive(Debug)]
pub struct Cache {
    entries: Vec<Entry>,
    by_question: HashMap<Question, usize, Keyed>,
    hand: usize,
    max_entries: usize,
    counts: CacheCounts,
}

/// What a cache has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Questions that it could answer.
    pub hits: u64,
    /// Questions that it could not.
    pub misses: u64,
    /// Entries found after their time.
    pub expires: u64,
    /// Entries that were still good and made room for another one.
    pub evicts: u64,
    /// Answers that may not be kept.
    pub skips: u64,
}

#[derive(Debug)]
struct Entry {
    question: Question,
    answer: Answer,
    authentic: bool,
    /// How long it was good when it came.
    ttl_ms: u64,
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
    /// An empty one. 0 entries: it keeps nothing. `hash_seed` is a random number.
    pub fn new(max_entries: usize, hash_seed: u64) -> Cache {
        let by_question = HashMap::with_hasher(Keyed(hash_seed));
        Cache { entries: Vec::new(), by_question, hand: 0, max_entries, counts: CacheCounts::default() }
    }

    /// What is still good.
    pub fn get(&mut self, question: &Question, now_ms: u64) -> Option<Resolved> {
        let Some(number) = self.by_question.get(question) else {
            self.counts.misses += 1;
            return None;
        };
        let entry = &mut self.entries[*number];
        let Some(left_ms) = entry.expires_ms.checked_sub(now_ms).filter(|left_ms| *left_ms > 0) else {
            self.counts.misses += 1;
            self.counts.expires += 1;
            return None;
        };
        self.counts.hits += 1;
        entry.used = true;
        Some(Resolved { answer: entry.answer.clone(), authentic: entry.authentic, left_ms })
    }

    /// How long a failure of this question is to be kept: longer each time in a row, where the name is to blame and not
    /// the way to the name servers.
    pub(crate) fn failure_ttl_ms(&self, question: &Question, failure: Failure) -> u64 {
        if matches!(failure, Failure::Timeout | Failure::Unreachable) {
            return FAILURE_TTL_MS;
        }
        let last = self.by_question.get(question).map(|number| &self.entries[*number]);
        match last.filter(|last| last.answer == Answer::Failed(failure)) {
            Some(last) => (last.ttl_ms * 2).min(FAILURE_TTL_MAX_MS),
            None => FAILURE_TTL_MS,
        }
    }

    /// Keeps an answer for as long as it is good.
    pub fn insert(&mut self, question: Question, resolved: &Resolved, now_ms: u64) {
        let Resolved { answer, authentic, left_ms: ttl_ms } = resolved.clone();
        if ttl_ms == 0 || self.max_entries == 0 || !answer.fits_in_cache() {
            self.counts.skips += 1;
            return;
        }
        let expires_ms = now_ms.saturating_add(ttl_ms);
        let entry = Entry { question: question.clone(), answer, authentic, ttl_ms, expires_ms, used: false };
        if let Some(number) = self.by_question.get(&question) {
            self.entries[*number] = entry;
        } else if self.entries.len() < self.max_entries {
            self.by_question.insert(question, self.entries.len());
            self.entries.push(entry);
        } else {
            let number = self.take_place(now_ms);
            match self.entries[number].expires_ms > now_ms {
                true => self.counts.evicts += 1,
                false => self.counts.expires += 1,
            }
            self.by_question.remove(&self.entries[number].question);
            self.by_question.insert(question, number);
            self.entries[number] = entry;
        }
    }

    /// Makes all failures good no longer.
    pub fn forget_failures(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| matches!(entry.answer, Answer::Failed(_))) {
            entry.expires_ms = 0;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_question.clear();
        self.hand = 0;
    }

    /// What it has done.
    pub fn counts(&self) -> CacheCounts {
        self.counts
    }

    /// Entries, those that are good no longer too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
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

    fn nothing(left_ms: u64) -> Resolved {
        Resolved { answer: Answer::NoData, authentic: true, left_ms }
    }

    #[test]
    fn a_name_that_fails_again_is_left_alone_for_longer_and_a_dead_name_server_is_not() {
        let mut cache = Cache::new(10, 1);
        let mut kept = |failure: Failure, now_ms: u64| {
            let left_ms = cache.failure_ttl_ms(&question(1), failure);
            let resolved = Resolved { left_ms, ..Resolved::failed(failure) };
            cache.insert(question(1), &resolved, now_ms);
            left_ms
        };
        let sick = Failure::ServerFailure(2);
        let times: Vec<u64> = (0..6).map(|number| kept(sick, number * 100_000)).collect();
        assert_eq!(times, [5_000, 10_000, 20_000, 30_000, 30_000, 30_000]);
        assert_eq!([kept(Failure::Timeout, 0), kept(Failure::Timeout, 9_000), kept(sick, 0)], [5_000; 3]);
    }

    #[test]
    fn an_entry_is_good_until_its_time_and_says_how_long() {
        let mut cache = Cache::new(10, 1);
        cache.insert(question(1), &nothing(5_000), 1_000);
        assert_eq!(cache.get(&question(1), 1_000), Some(nothing(5_000)));
        assert_eq!(cache.get(&question(1), 5_999), Some(nothing(1)));
        assert_eq!(cache.get(&question(1), 6_000), None);
        assert_eq!(cache.get(&Question { kind: Kind::Mx, ..question(1) }, 1_000), None);
        assert_eq!(cache.counts(), CacheCounts { hits: 2, misses: 2, expires: 1, ..CacheCounts::default() });
    }

    #[test]
    fn a_full_cache_keeps_what_is_used_and_stays_in_bounds() {
        let mut cache = Cache::new(4, 1);
        for number in 0..100 {
            cache.insert(question(number), &nothing(60_000), 0);
            assert!(cache.get(&question(0), 0).is_some(), "used all the time, lost after {number}");
        }
        assert!(cache.get(&question(99), 0).is_some(), "the last one is there");
        let counts = CacheCounts { hits: 101, evicts: 96, ..CacheCounts::default() };
        assert_eq!(cache.counts(), counts, "each but the last four made room");
        assert_eq!((cache.len(), cache.by_question.len()), (4, 4));
    }

    #[test]
    fn no_entries_and_no_lifetime_keep_nothing() {
        let mut cache = Cache::new(0, 1);
        cache.insert(question(1), &nothing(60_000), 0);
        assert_eq!(cache.get(&question(1), 0), None);
        let mut cache = Cache::new(1, 1);
        cache.insert(question(1), &nothing(0), 0);
        assert_eq!(cache.len(), 0);
    }
}
