//! Answers that are kept for as long as their records say, and questions under way that others join.

use std::collections::HashMap;
use std::time::Duration;

use engine::sync::{Receiver, Sender, oneshot};
use engine::time::Instant;
use net::dns::RecordKind;

use super::{DnsError, DnsReply};
use crate::limits;

/// What is asked for: a name in lower case, and the type of records.
pub(super) type Key = (Vec<u8>, RecordKind);

/// The answers of a shard.
#[derive(Debug, Default)]
pub(super) struct Kept {
    known: HashMap<Key, Known>,
    asked: HashMap<Key, Asked>,
}

#[derive(Debug)]
struct Known {
    reply: DnsReply,
    came: Instant,
    until: Instant,
}

/// A question under way.
#[derive(Debug)]
struct Asked {
    /// When it ends at the latest.
    end: Instant,
    waiting: Vec<Sender<DnsReply>>,
}

/// What there is to do for an answer.
pub(super) enum Found {
    Known(DnsReply),
    /// Somebody asks already.
    Join(Receiver<DnsReply>),
    /// Ask, and [settle](Kept::settle).
    Ask(Receiver<DnsReply>),
    /// Ask for yourself: the one who asks already is less patient.
    Alone,
}

impl Kept {
    /// Looks for the answer to somebody who waits until `end`.
    pub(super) fn find(&mut self, key: &Key, now: Instant, end: Instant) -> Found {
        if let Some(known) = self.known.get(key)
            && now < known.until
        {
            return Found::Known(known.reply.aged(now - known.came));
        }
        match self.asked.get_mut(key) {
            Some(asked) if asked.end < end || asked.waiting.len() >= limits::DNS_WAITING_MAX => Found::Alone,
            Some(asked) => {
                let (sender, receiver) = oneshot();
                asked.waiting.push(sender);
                Found::Join(receiver)
            }
            None => {
                let (sender, receiver) = oneshot();
                self.asked.insert(key.clone(), Asked { end, waiting: vec![sender] });
                Found::Ask(receiver)
            }
        }
    }

    /// The answer to a question under way: for all who wait, and to be kept.
    pub(super) fn settle(&mut self, key: Key, reply: &DnsReply, now: Instant) {
        let asked = self.asked.remove(&key);
        for sender in asked.map(|asked| asked.waiting).unwrap_or_default() {
            // Who has gone meanwhile needs no answer.
            let _ = sender.send(reply.clone());
        }
        let good_for = reply.good_for();
        if good_for.is_zero() || reply.size_bytes() > limits::DNS_KEPT_BYTES_MAX {
            return;
        }
        if self.known.len() >= limits::DNS_KEPT_MAX {
            self.known.retain(|_, known| now < known.until);
        }
        if self.known.len() >= limits::DNS_KEPT_MAX {
            // Whichever: what is in use comes back at once.
            let some = self.known.keys().next().cloned();
            some.map(|key| self.known.remove(&key));
        }
        self.known.insert(key, Known { reply: reply.clone(), came: now, until: now + good_for });
    }
}

impl DnsReply {
    /// How long it may be kept. What is not there says so for a short time only, whatever its zone says of it.
    fn good_for(&self) -> Duration {
        match &self.records {
            Ok(records) => {
                let ttl_s = records.iter().map(|record| record.ttl_s).min().unwrap_or(0);
                Duration::from_secs(ttl_s.into()).min(limits::DNS_KEPT)
            }
            Err(DnsError::NoDomain | DnsError::NoData) => limits::DNS_ABSENT_KEPT,
            Err(_) => Duration::ZERO,
        }
    }

    fn aged(&self, age: Duration) -> DnsReply {
        let mut reply = self.clone();
        for record in reply.records.iter_mut().flatten() {
            record.ttl_s = record.ttl_s.saturating_sub(u32::try_from(age.as_secs()).unwrap_or(u32::MAX));
        }
        reply
    }

    fn size_bytes(&self) -> usize {
        self.records.iter().flatten().map(|record| record.data.size_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use net::dns::{Record, RecordData};

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::default() + Duration::from_secs(seconds)
    }

    fn reply(ttl_s: u32) -> DnsReply {
        let data = RecordData::Text(b"x".to_vec());
        DnsReply { dnssec: true, records: Ok(vec![Record { ttl_s, data }]) }
    }

    #[test]
    fn an_answer_is_kept_as_long_as_it_says_and_ages() {
        let (mut kept, key) = (Kept::default(), (b"a.example".to_vec(), RecordKind::Txt));
        assert!(matches!(kept.find(&key, at(0), at(5)), Found::Ask(_)));
        assert!(matches!(kept.find(&key, at(0), at(5)), Found::Join(_)));
        assert!(matches!(kept.find(&key, at(0), at(6)), Found::Alone));
        kept.settle(key.clone(), &reply(30), at(1));
        let Found::Known(known) = kept.find(&key, at(11), at(20)) else { panic!("it is known") };
        assert_eq!(known, reply(20));
        assert!(matches!(kept.find(&key, at(31), at(40)), Found::Ask(_)));
    }

    #[test]
    fn failures_are_not_kept_and_the_number_of_answers_is_bounded() {
        let mut kept = Kept::default();
        let failed = DnsReply { dnssec: false, records: Err(DnsError::TryAgain) };
        kept.settle((b"f".to_vec(), RecordKind::A), &failed, at(0));
        assert!(kept.known.is_empty());
        for number in 0..limits::DNS_KEPT_MAX + 10 {
            kept.settle((number.to_string().into_bytes(), RecordKind::A), &reply(60), at(0));
        }
        assert_eq!(kept.known.len(), limits::DNS_KEPT_MAX);
    }
}
