//! Random histories, compared with a model that keeps everything in one map and looks at all of it every time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::attempt::{Again, Attempt, Change, Outcome};
use crate::details::Details;
use crate::item::State;
use crate::matching::{Facts, Field};
use crate::suspend::Rule;

const START_MS: u64 = 1_700_000_000_000;
const DOMAINS: [&str; 4] = ["a.test", "b.test", "c.example", "d.example"];
const TRANSPORTS: [&str; 3] = ["mx", "relay", "unknown"];
const JOBS: [Option<&str>; 3] = [None, Some("bulk"), Some("news")];

#[derive(Clone, Debug)]
enum Op {
    Insert {
        sequence: u64,
        recipients: u32,
        domain: usize,
        transport: usize,
        job: usize,
        entry: u8,
    },
    Advance(u64),
    Pump(usize),
    NextFor(usize),
    Report {
        which: usize,
        outcomes: Vec<u8>,
    },
    Suspends(u8),
    Transports {
        single: [bool; 2],
        limits: [u32; 2],
    },
    Total(u32),
    Remove(u64),
    Hold(u64),
    Activate(u64),
    FaultsOver,
    /// Deal with the first item that has failed: finish it, or put it back.
    DealWithFailed {
        finish: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..40_u64, 1..5_u32, 0..4_usize, 0..3_usize, 0..3_usize, 0..4_u8).prop_map(
            |(sequence, recipients, domain, transport, job, entry)| Op::Insert {
                sequence, recipients, domain, transport, job, entry
            }
        ),
        3 => prop_oneof![0..2_000_u64, Just(60_000), Just(3_600_000)].prop_map(Op::Advance),
        4 => (0..8_usize).prop_map(Op::Pump),
        2 => any::<usize>().prop_map(Op::NextFor),
        6 => (any::<usize>(), prop::collection::vec(0..8_u8, 0..5))
            .prop_map(|(which, outcomes)| Op::Report { which, outcomes }),
        1 => (0..7_u8).prop_map(Op::Suspends),
        1 => (any::<[bool; 2]>(), [0..4_u32, 0..4_u32])
            .prop_map(|(single, limits)| Op::Transports { single, limits }),
        1 => (0..6_u32).prop_map(Op::Total),
        1 => (0..40_u64).prop_map(Op::Remove),
        1 => (0..40_u64).prop_map(Op::Hold),
        1 => (0..40_u64).prop_map(Op::Activate),
        1 => Just(Op::FaultsOver),
        1 => any::<bool>().prop_map(|finish| Op::DealWithFailed { finish }),
    ]
}

/// Rule sets to choose from.
fn rule_set(number: u8) -> Suspends {
    let rule = |fields: &[(Field, &str)]| Rule {
        fields: fields.iter().map(|(field, value)| (*field, vec![value.to_string()])).collect(),
        tag: None,
    };
    let rules = match number {
        0 => vec![],
        1 => vec![rule(&[])],
        2 => vec![rule(&[(Field::TransportId, "mx")])],
        3 => vec![rule(&[(Field::RecipientDomain, "*.test")]), rule(&[(Field::JobId, "news")])],
        4 => vec![rule(&[(Field::JobId, "/./")])],
        5 => vec![rule(&[(Field::RecipientDomain, "a.test"), (Field::JobId, "")])],
        _ => vec![rule(&[(Field::RemoteMx, "mx.test")])],
    };
    Suspends::compile(&rules, &[]).unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Where {
    Active,
    /// Reported suspended under the rules with this number.
    Parked(u32),
    Until(u64),
    /// For a fault of ours to be over, at the latest until then.
    ForUs(u64),
    Hold,
    Sending,
    /// Failed for good.
    Failing,
}

#[derive(Clone, Debug)]
struct Known {
    domain: &'static str,
    transport: &'static str,
    job: Option<&'static str>,
    attempts: u32,
    domain_missing: bool,
    received_ms: u64,
    place: Where,
}

/// The queue beside its model.
struct Pair {
    queue: Queue,
    now_ms: u64,
    items: BTreeMap<ItemKey, Known>,
    running: Vec<Attempt>,
    single: [bool; 2],
    limits: [u32; 2],
    total: u32,
    rules: Suspends,
    rules_number: u32,
    delivered: BTreeSet<ItemKey>,
    removed: BTreeSet<ItemKey>,
    /// Faults were over once more while items still came back: then what fails meanwhile may come back with them.
    woken_twice: bool,
    /// Items tried again under the rules that they were reported suspended by: see `due`.
    looked_again: BTreeSet<(ItemKey, u32)>,
}

impl Pair {
    fn new() -> Pair {
        let mut queue = Queue::new(Options { max_attempt_recipients: 3, ..Options::default() });
        queue.next_budget = 5; // every chunk boundary is crossed all the time
        let mut pair = Pair {
            queue,
            now_ms: START_MS,
            items: BTreeMap::new(),
            running: Vec::new(),
            single: [false, true],
            limits: [2, 2],
            total: 5,
            rules: Suspends::default(),
            rules_number: 0,
            delivered: BTreeSet::new(),
            removed: BTreeSet::new(),
            woken_twice: false,
            looked_again: BTreeSet::new(),
        };
        pair.configure();
        pair
    }

    fn configure(&mut self) {
        let transports = [0, 1].map(|number| Transport {
            name: TRANSPORTS[number].into(),
            lines: if self.single[number] { Lines::Single } else { Lines::PerDomain },
            concurrency: self.limits[number],
            retry: RetryPolicy::new(Some(3), [60_000, 900_000], None),
        });
        self.queue.set_transports(&transports);
        let options =
            Options { total_concurrency: self.total, max_attempt_recipients: 3, ..Options::default() };
        self.queue.set_options(options);
    }

    fn limit_of(&self, transport: &str) -> u32 {
        match TRANSPORTS.iter().position(|name| *name == transport) {
            Some(number @ (0 | 1)) => self.limits[number],
            _ => limits::DESTINATION_CONCURRENCY,
        }
    }

    fn is_single(&self, transport: &str) -> bool {
        TRANSPORTS.iter().position(|name| *name == transport).is_some_and(|n| n < 2 && self.single[n])
    }

    fn suspended(&self, item: &Known) -> bool {
        let facts = Facts {
            tenant_id: Some(""),
            job_id: Some(item.job.unwrap_or("")),
            transport_id: Some(item.transport),
            recipient_domain: Some(item.domain),
            ..Facts::default()
        };
        self.rules.matches(&facts).is_some()
    }

    fn due(&self, item: &Known) -> bool {
        match item.place {
            Where::Active => true,
            Where::Parked(rules) => rules != self.rules_number,
            Where::Until(at_ms) | Where::ForUs(at_ms) => at_ms <= self.now_ms,
            Where::Hold | Where::Sending | Where::Failing => false,
        }
    }

    fn running_for(&self, destination: &Destination) -> u32 {
        self.running.iter().filter(|attempt| attempt.destination == *destination).count() as u32
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert { sequence, recipients, domain, transport, job, entry } => {
                for recipient in 0..recipients {
                    self.insert(ItemKey::new(1, sequence, recipient), domain, transport, job, entry);
                }
            }
            Op::Advance(by_ms) => self.now_ms += by_ms,
            Op::Pump(most) => self.pump(most),
            Op::NextFor(which) => {
                let Some(attempt) = pick(&self.running, which) else { return };
                if let Some(next) = self.queue.next_for(&attempt.destination.clone(), self.now_ms) {
                    assert_eq!(next.destination, attempt.destination);
                    self.started(next);
                }
            }
            Op::Report { which, outcomes } => {
                if !self.running.is_empty() {
                    let attempt = self.running.swap_remove(which % self.running.len());
                    self.report(attempt, &outcomes);
                }
            }
            Op::Suspends(number) => self.set_rules(number),
            Op::Transports { single, limits } => {
                (self.single, self.limits) = (single, limits);
                self.configure();
            }
            Op::Total(total) => {
                self.total = total;
                self.configure();
            }
            Op::Remove(sequence) => {
                let key = ItemKey::new(1, sequence, 0);
                let known = self.items.get(&key).map(|item| item.place.clone());
                match self.queue.remove(key) {
                    Ok(change) => {
                        assert_eq!(change, Change::Done { key });
                        assert!(matches!(known, Some(place) if !is_sending(&place)));
                        self.items.remove(&key);
                        self.removed.insert(key);
                    }
                    Err(OperationError::Sending) => assert!(known.is_some_and(|place| is_sending(&place))),
                    Err(OperationError::NotFound) => assert_eq!(known, None),
                }
            }
            Op::Hold(sequence) => {
                let key = ItemKey::new(1, sequence, 0);
                if self.queue.hold(key, "operator").is_ok() {
                    self.items.get_mut(&key).unwrap().place = Where::Hold;
                }
            }
            Op::FaultsOver => {
                self.woken_twice |= self.queue.waits.is_emptying();
                self.queue.local_faults_over();
                for item in self.items.values_mut() {
                    if let Where::ForUs(at_ms) = &mut item.place {
                        *at_ms = self.now_ms.min(*at_ms);
                    }
                }
            }
            Op::Activate(sequence) => {
                let key = ItemKey::new(1, sequence, 0);
                if self.queue.activate(key, self.now_ms).is_ok() {
                    self.items.get_mut(&key).unwrap().place = Where::Active;
                }
            }
            Op::DealWithFailed { finish } => {
                self.deal_with_failed(finish);
            }
        }
    }

    fn deal_with_failed(&mut self, finish: bool) -> bool {
        let failed = self.items.iter().find(|(_, item)| item.place == Where::Failing).map(|(key, _)| *key);
        let Some(key) = failed else { return false };
        if finish {
            assert!(self.queue.finish(key));
            self.items.remove(&key);
        } else {
            assert!(self.queue.put_back(key, self.now_ms + 60_000));
            let at_ms = (self.now_ms + 60_000).div_ceil(1000) * 1000;
            self.items.get_mut(&key).unwrap().place = Where::Until(at_ms);
        }
        assert!(!self.queue.finish(key) && !self.queue.put_back(key, self.now_ms), "only once");
        true
    }

    fn insert(&mut self, key: ItemKey, domain: usize, transport: usize, job: usize, entry: u8) {
        let known = Known {
            domain: DOMAINS[domain],
            transport: TRANSPORTS[transport],
            job: JOBS[job],
            attempts: 0,
            domain_missing: false,
            received_ms: self.now_ms,
            place: match entry {
                0 | 1 => Where::Active,
                2 => Where::Until((self.now_ms + 5_500).div_ceil(1000) * 1000),
                _ => Where::Hold,
            },
        };
        let how = match entry {
            0 | 1 => Entry::Active,
            2 => Entry::DeferUntil(self.now_ms + 5_500),
            _ => Entry::Hold("test".into()),
        };
        let item = Item {
            key,
            transaction: [0; 16],
            sender: b"s@example.org",
            sender_domain: None,
            recipient: b"r",
            domain: known.domain,
            transport: known.transport,
            job_id: known.job,
            tenant_id: None,
            size_bytes: 1,
            received_ms: self.now_ms,
            attempts: 0,
            flags: 0,
            priority: 0,
            details: Details::default(),
        };
        let inserted = self.queue.insert(item, how, self.now_ms);
        if self.items.contains_key(&key) {
            assert_eq!(inserted, Err(Refused::Duplicate));
        } else {
            assert_eq!(inserted, Ok(()));
            self.delivered.remove(&key);
            self.removed.remove(&key);
            self.items.insert(key, known);
        }
    }

    /// Picks up to `most` attempts. When the queue says that there is nothing more, the model must agree.
    fn pump(&mut self, most: usize) {
        for _ in 0..most {
            match self.next() {
                Some(attempt) => self.started(attempt),
                None => return self.nothing_is_permitted(),
            }
        }
    }

    /// `next`, called again while it asks to be.
    fn next(&mut self) -> Option<Attempt> {
        for _ in 0..100_000 {
            if let Some(attempt) = self.queue.next(self.now_ms) {
                return Some(attempt);
            }
            if self.queue.next_wakeup().is_none_or(|at_ms| at_ms > self.now_ms) {
                return None;
            }
        }
        panic!("the queue always asks to be called again: {:?}", self.queue);
    }

    fn nothing_is_permitted(&self) {
        if self.running.len() as u32 >= self.total {
            return;
        }
        for (key, item) in &self.items {
            if !self.due(item) || self.suspended(item) {
                continue;
            }
            let destination = Destination {
                transport: item.transport.into(),
                domain: (!self.is_single(item.transport)).then(|| item.domain.into()),
                job_id: None,
                tenant_id: None,
            };
            let running = self.running_for(&destination);
            assert!(running >= self.limit_of(item.transport), "{key:?} waits though it may go: {item:?}");
        }
    }

    /// Checks an attempt against everything that must hold.
    fn started(&mut self, attempt: Attempt) {
        assert!((self.running.len() as u32) < self.total, "total limit");
        let limit = self.limit_of(&attempt.destination.transport);
        assert!(self.running_for(&attempt.destination) < limit, "limit of the destination");
        assert!((1..=3).contains(&attempt.recipients.len()));
        for recipient in &attempt.recipients {
            let item = &self.items[&recipient.key];
            // While a line's items come back after a change of rules, one that is reported suspended by the
            // new rules may come back with them, once.
            let due = self.due(item)
                || matches!(item.place, Where::ForUs(_)) && self.woken_twice
                || matches!(item.place, Where::Parked(rules) if self.looked_again.insert((recipient.key, rules)));
            assert!(due, "{:?} was picked though it is not due: {item:?}", recipient.key);
            assert!(!self.suspended(item), "{:?} was picked though it is suspended", recipient.key);
            assert_eq!(recipient.key.message, attempt.message);
            assert_eq!(&*attempt.destination.transport, item.transport);
            assert_eq!(attempt.destination.domain.is_none(), self.is_single(item.transport));
            assert!(attempt.destination.domain.as_ref().is_none_or(|domain| **domain == *item.domain));
            assert_eq!((recipient.attempts, &*recipient.domain), (item.attempts, item.domain));
            assert_eq!(attempt.job_id.as_deref(), item.job);
            self.items.get_mut(&recipient.key).unwrap().place = Where::Sending;
        }
        self.running.push(attempt);
    }

    fn report(&mut self, attempt: Attempt, outcomes: &[u8]) {
        let outcome = |number: &u8| match number {
            0 | 1 => Outcome::Delivered,
            2 => Outcome::Temporary("4".into()),
            3 => Outcome::Permanent("5".into()),
            4 => Outcome::NoDomain { reason: "n".into(), until_ms: 0 },
            5 => Outcome::NotTried,
            6 => Outcome::LocalFault("l".into()),
            _ => Outcome::Suspended,
        };
        let changes = self.queue.report(attempt.id, outcomes.iter().map(outcome).collect(), self.now_ms);
        assert_eq!(changes.len(), attempt.recipients.len());
        for (number, (change, recipient)) in changes.into_iter().zip(&attempt.recipients).enumerate() {
            let key = recipient.key;
            assert_eq!(change.key(), key);
            let outcome = outcomes.get(number).copied().unwrap_or(5);
            let item = self.items.get_mut(&key).unwrap();
            match change {
                Change::Done { .. } => {
                    assert!(outcome < 2);
                    self.items.remove(&key);
                    assert!(self.delivered.insert(key), "{key:?} delivered twice");
                }
                Change::RetryAt { at_ms, attempts, .. } => {
                    assert!(outcome == 2 || outcome == 4 && !item.domain_missing);
                    item.domain_missing = outcome == 4;
                    let wait_ms = [60_000, 900_000, 900_000].get(item.attempts as usize);
                    let expected = wait_ms.map(|wait_ms| (self.now_ms + wait_ms).div_ceil(1000) * 1000);
                    if item.transport != "unknown" {
                        assert_eq!(Some(at_ms), expected);
                    }
                    item.attempts += 1;
                    assert_eq!(attempts, item.attempts);
                    item.place = Where::Until(at_ms);
                }
                Change::Removed { .. } => panic!("{key:?}: nobody has removed it"),
                Change::Failed { attempts, .. } => {
                    item.attempts += 1;
                    assert_eq!(attempts, item.attempts);
                    let too_old = self.now_ms - item.received_ms > RetryPolicy::default().longest_wait_ms();
                    let spent = matches!(outcome, 2 | 4) && attempts == 4;
                    assert!(outcome == 3 || outcome == 4 && item.domain_missing || spent || too_old);
                    item.place = Where::Failing;
                }
                Change::Hold { .. } => panic!("a report puts nothing on hold"),
                Change::Unchanged { again, .. } => {
                    item.place = match again {
                        Again::AtOnce => Where::Active,
                        Again::At(at_ms) if outcome == 6 => Where::ForUs(at_ms),
                        Again::At(at_ms) => Where::Until(at_ms),
                        Again::WhenRulesChange => Where::Parked(self.rules_number),
                        Again::WhenPermitted => panic!("no outcome says so"),
                    };
                    assert!(outcome >= 5);
                }
            }
        }
    }

    fn set_rules(&mut self, number: u8) {
        self.rules = rule_set(number);
        self.rules_number += 1;
        self.queue.set_suspends(Arc::new(rule_set(number)));
    }

    /// What is shown is what is there.
    fn compare(&self) {
        let counts = self.queue.counts();
        assert_eq!(counts.total(), self.items.len());
        let mut shown = BTreeMap::new();
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            cursor = self.queue.scan(from, |view| assert!(shown.insert(view.key, view.state).is_none()));
        }
        let mut counted = Counts::default();
        for (key, item) in &self.items {
            let state = shown[key];
            match state {
                State::Active => counted.active += 1,
                State::Defer { .. } => counted.defer += 1,
                State::Hold => counted.hold += 1,
                State::Sending | State::InHand => counted.sending += 1,
            }
            let right = match (state, &item.place) {
                (State::Active, Where::Active | Where::Parked(_)) => true,
                // Due items are moved when `next` is called.
                (State::Active, Where::Until(at_ms)) => *at_ms <= self.now_ms,
                (State::Active, Where::ForUs(at_ms)) => *at_ms <= self.now_ms || self.woken_twice,
                (State::Defer { until_ms }, Where::Until(at_ms)) => until_ms == *at_ms,
                // Woken items keep what they show until `next` is called.
                (State::Defer { until_ms }, Where::ForUs(at_ms)) => until_ms >= *at_ms,
                (State::Hold, Where::Hold) => true,
                (State::Sending | State::InHand, place) => is_sending(place),
                _ => false,
            };
            assert!(right, "{key:?} is shown as {state:?} and is {:?}", item.place);
        }
        assert_eq!(counted, counts);
    }

    /// Lifts every restriction and delivers what is left: everything must go, once.
    fn drain(&mut self) {
        self.set_rules(0);
        (self.limits, self.total) = ([1, 1], 3);
        self.configure();
        let held: Vec<_> =
            self.items.iter().filter(|(_, item)| item.place == Where::Hold).map(|(k, _)| *k).collect();
        for key in held {
            self.queue.activate(key, self.now_ms).unwrap();
            self.items.get_mut(&key).unwrap().place = Where::Active;
        }
        while self.deal_with_failed(true) {}
        while !self.items.is_empty() {
            self.pump(usize::MAX);
            match self.running.pop() {
                Some(attempt) => {
                    let recipients = attempt.recipients.len();
                    self.report(attempt, &vec![0; recipients]);
                }
                None => {
                    let at_ms = self.queue.next_wakeup().expect("items are left, so one comes due");
                    assert!(at_ms > self.now_ms);
                    self.now_ms = at_ms;
                }
            }
        }
        self.pump(1);
        assert_eq!(self.queue.counts(), Counts::default());
        assert_eq!((self.queue.lines.len(), self.queue.names.len()), (0, 0), "nothing is left behind");
        assert_eq!((self.queue.schedule.buckets(), self.queue.blocked.len()), (0, 0));
        assert_eq!((self.queue.waiting_for_us(), self.queue.waits.is_emptying()), (0, false));
    }
}

fn is_sending(place: &Where) -> bool {
    matches!(place, Where::Sending | Where::Failing)
}

fn pick(running: &[Attempt], which: usize) -> Option<&Attempt> {
    (!running.is_empty()).then(|| &running[which % running.len()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_agree_with_the_model(ops in prop::collection::vec(op(), 0..150)) {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op);
            pair.compare();
        }
        pair.drain();
    }

    /// With one attempt at a time and connections used again, no destination waits for more attempts than its
    /// share and the bursts of the others.
    #[test]
    fn no_destination_waits_longer_than_its_turn(
        waiting in prop::collection::vec(1..80_u64, 2..6),
        reuse in any::<bool>(),
    ) {
        let mut queue = Queue::new(Options { total_concurrency: 1, ..Options::default() });
        for (number, items) in waiting.iter().enumerate() {
            let domain = format!("d{number}.test");
            for sequence in 0..*items {
                let item = Item {
                    key: ItemKey::new(number as u32, sequence, 0),
                    transaction: [0; 16],
                    sender: b"",
                    sender_domain: None,
                    recipient: b"r",
                    domain: &domain,
                    transport: "mx",
                    job_id: None,
                    tenant_id: None,
                    size_bytes: 1,
                    received_ms: START_MS,
                    attempts: 0,
                    flags: 0,
                    priority: 0,
                    details: Details::default(),
                };
                queue.insert(item, Entry::Active, START_MS).unwrap();
            }
        }
        let mut left = waiting.clone();
        let mut since = vec![0_u64; waiting.len()];
        let burst = if reuse { u64::from(limits::REUSE_BURST) + 1 } else { 1 };
        let bound = burst * waiting.len() as u64;
        while let Some(mut attempt) = queue.next(START_MS) {
            loop {
                let served = attempt.message.log as usize;
                left[served] -= 1;
                since[served] = 0;
                for other in (0..waiting.len()).filter(|other| *other != served && left[*other] > 0) {
                    since[other] += 1;
                    prop_assert!(since[other] <= bound, "{other} has waited for {bound} attempts");
                }
                queue.report(attempt.id, vec![Outcome::Delivered], START_MS);
                let next = reuse.then(|| queue.next_for(&attempt.destination, START_MS)).flatten();
                match next {
                    Some(next) => attempt = next,
                    None => break,
                }
            }
        }
        prop_assert_eq!(left.iter().sum::<u64>(), 0);
    }
}
