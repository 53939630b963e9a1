//! Lines that policies hold back, lines that are split, urgent lines, and what waits too long.

use super::tests::{NOW_MS, add, item, queue};
use super::*;
use crate::attempt::{Again, Attempt, Change, FailCause, Limited, LimitedBy, Outcome, Withheld};
use crate::item::Waiting;
use crate::matching::{Facts, Field};
use crate::policy::{FieldSet, Limit, Policies, Policy, Then};
use crate::suspend::Rule;

fn counter(domain: &str) -> Key {
    let policy = Policy {
        fields: FieldSet::new([Field::RecipientDomain]),
        default: Some(Then::default()),
        ..Policy::default()
    };
    let policies = Policies::compile(&[policy]).unwrap();
    let facts = Facts { recipient_domain: Some(domain), ..Facts::default() };
    policies.applying(&facts).remove(0).key
}

fn refused(key: &Key, limit: Limit) -> Outcome {
    let cause = Withheld::Limit { limit, until_ms: None };
    let by = vec![LimitedBy { key: key.clone(), policy: 0, cause }];
    Outcome::Limited(Limited { by, until_ms: NOW_MS + 30_000 })
}

fn sequence(attempt: &Attempt) -> u64 {
    attempt.message.sequence
}

/// A queue whose lines have room for many attempts.
fn wide() -> Queue {
    let mut queue = queue();
    queue.set_transports(&[Transport { name: "mx".into(), ..Transport::default() }]);
    queue
}

#[test]
fn a_line_that_is_refused_waits_for_its_counter_and_holds_up_no_other() {
    let (mut queue, key) = (wide(), counter("a.test"));
    (1..=6).for_each(|sequence| add(&mut queue, sequence, "a.test"));
    add(&mut queue, 7, "b.test");
    let first = queue.next(NOW_MS).unwrap();
    let changes = queue.report(first.id, vec![refused(&key, Limit::Concurrency)], NOW_MS);
    assert!(matches!(changes[0], Change::Unchanged { again: Again::WhenPermitted, reason: None, .. }));
    assert_eq!(queue.next(NOW_MS).map(|attempt| sequence(&attempt)), Some(7));
    assert_eq!(queue.next(NOW_MS), None);
    assert_eq!((queue.held_lines(), queue.counts().active), (1, 6));
    let waiting = queue.get(ItemKey::new(1, 4, 0)).unwrap().waiting();
    assert!(matches!(waiting, Waiting::Policy(by) if by.key == key && by.limit() == Limit::Concurrency));
    // A new message of the line does not open it.
    add(&mut queue, 8, "a.test");
    assert_eq!((queue.next(NOW_MS), queue.next_wakeup()), (None, Some(NOW_MS + 30_000)));

    // One may go, and what waits behind it is told of.
    assert_eq!(queue.wake(&key, 1), None, "the line is the only one that waits there");
    let second = queue.next(NOW_MS).unwrap();
    assert_eq!((sequence(&second), queue.next(NOW_MS)), (1, None), "in its old place");
    // Each that is permitted lets two more try.
    queue.permitted(second.id);
    let third: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).collect();
    assert_eq!(third.iter().map(sequence).collect::<Vec<_>>(), [2, 3]);
    queue.report(third[1].id, vec![refused(&key, Limit::Rate)], NOW_MS);
    assert_eq!(queue.next(NOW_MS), None);
    // In the end its time comes.
    assert_eq!(queue.next(NOW_MS + 30_000).map(|attempt| sequence(&attempt)), Some(3));
    assert_eq!(queue.next(NOW_MS + 30_000), None);
}

#[test]
fn an_open_connection_takes_what_only_lacks_a_connection() {
    for (limit, expected) in
        [(Limit::Concurrency, Some(2)), (Limit::ConnectInterval, Some(2)), (Limit::Rate, None)]
    {
        let (mut queue, key) = (wide(), counter("a.test"));
        (1..=3).for_each(|sequence| add(&mut queue, sequence, "a.test"));
        let (first, second) = (queue.next(NOW_MS).unwrap(), queue.next(NOW_MS).unwrap());
        queue.report(second.id, vec![refused(&key, limit)], NOW_MS);
        queue.report(first.id, vec![Outcome::Delivered], NOW_MS);
        let next = queue.next_for(&first.destination, NOW_MS);
        assert_eq!(next.map(|attempt| sequence(&attempt)), expected, "{limit:?}");
    }
}

#[test]
fn of_many_lines_the_one_with_the_oldest_mail_is_woken_first_and_the_rest_is_told_of() {
    let (mut queue, key) = (wide(), counter("x.test"));
    for (sequence, domain, age_ms) in [(1, "a.test", 5), (2, "b.test", 900), (3, "c.test", 70)] {
        let item = Item { received_ms: NOW_MS - age_ms, ..item(sequence, 0, domain) };
        queue.insert(item, Entry::Active, NOW_MS).unwrap();
    }
    while let Some(attempt) = queue.next(NOW_MS) {
        queue.report(attempt.id, vec![refused(&key, Limit::Concurrency)], NOW_MS);
    }
    assert_eq!(queue.wake(&key, 1), Some((Limit::Concurrency, NOW_MS - 70)));
    assert_eq!(queue.next(NOW_MS).map(|attempt| sequence(&attempt)), Some(2));
    assert_eq!(queue.next(NOW_MS), None);
    queue.policies_changed();
    assert_eq!(std::iter::from_fn(|| queue.next(NOW_MS)).count(), 2);
}

#[test]
fn an_attempt_that_came_to_nothing_before_policies_were_asked_lets_another_one_try() {
    let (mut queue, key) = (wide(), counter("a.test"));
    (1..=3).for_each(|sequence| add(&mut queue, sequence, "a.test"));
    let first = queue.next(NOW_MS).unwrap();
    queue.report(first.id, vec![refused(&key, Limit::Concurrency)], NOW_MS);
    queue.wake(&key, 1);
    let second = queue.next(NOW_MS).unwrap();
    queue.report(second.id, vec![Outcome::LocalFault("no resolver".into())], NOW_MS);
    assert_eq!(queue.next(NOW_MS).map(|attempt| sequence(&attempt)), Some(2));
}

#[test]
fn a_job_that_is_held_back_holds_up_no_other_of_its_domain_and_they_share_the_limit_of_the_destination() {
    let (mut queue, key) = (queue(), counter("a.test"));
    queue.set_options(Options { split: Split { job_id: true, ..Split::default() }, ..queue.options.clone() });
    let with_job = |sequence, job| Item { job_id: job, ..item(sequence, 0, "a.test") };
    for sequence in 1..=4 {
        queue.insert(with_job(sequence, Some("bulk")), Entry::Active, NOW_MS).unwrap();
    }
    (5..=8).for_each(|sequence| queue.insert(with_job(sequence, None), Entry::Active, NOW_MS).unwrap());
    let bulk = queue.next(NOW_MS).unwrap();
    assert_eq!(bulk.destination.job_id.as_deref(), Some("bulk"));
    queue.report(bulk.id, vec![refused(&key, Limit::Rate)], NOW_MS);
    let others: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).collect();
    assert_eq!(others.iter().map(sequence).collect::<Vec<_>>(), [5, 6], "the transport permits two at once");
    queue.wake(&key, 9);
    assert_eq!(queue.next(NOW_MS), None);
    queue.report(others[0].id, vec![Outcome::Delivered], NOW_MS);
    assert!(queue.next(NOW_MS).is_some(), "a line that waited for the limit goes on");
    // Lines are put together again.
    queue.set_options(Options { split: Split::default(), ..queue.options.clone() });
    queue.report(others[1].id, vec![Outcome::Delivered], NOW_MS);
    let rest: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).collect();
    assert!(rest.iter().all(|attempt| attempt.destination.job_id.is_none()), "{rest:?}");
}

#[test]
fn urgent_mail_goes_first_and_others_get_a_turn_now_and_then() {
    let mut queue = wide();
    for sequence in 1..=12 {
        let priority = u8::from(sequence > 4);
        let item = Item { priority, ..item(sequence, 0, "a.test") };
        queue.insert(item, Entry::Active, NOW_MS).unwrap();
    }
    let mut picked = Vec::new();
    let mut last = queue.next(NOW_MS);
    while let Some(attempt) = last {
        picked.push(sequence(&attempt));
        queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
        // Over a connection it is the same.
        last = match picked.len() % 2 {
            0 => queue.next(NOW_MS),
            _ => queue.next_for(&attempt.destination, NOW_MS),
        };
    }
    assert_eq!(picked, [5, 6, 7, 8, 1, 9, 10, 11, 12, 2, 3, 4]);
}

#[test]
fn suspended_mail_expires_like_the_rest() {
    let (mut queue, key) = (wide(), counter("c.test"));
    let rule = |field, value: &str| Rule { fields: vec![(field, vec![value.to_owned()])], tag: None };
    let rules = [rule(Field::RecipientDomain, "a.test"), rule(Field::JobId, "bulk")];
    queue.set_suspends(Arc::new(Suspends::compile(&rules, &[]).unwrap()));
    add(&mut queue, 1, "a.test");
    queue.insert(Item { job_id: Some("bulk"), ..item(2, 0, "b.test") }, Entry::Active, NOW_MS).unwrap();
    add(&mut queue, 3, "c.test");
    let limited = queue.next(NOW_MS).unwrap();
    queue.report(limited.id, vec![refused(&key, Limit::Concurrency)], NOW_MS);
    assert_eq!(queue.next(NOW_MS), None);
    assert_eq!(queue.next_expired(NOW_MS), None);

    let later_ms = NOW_MS + RetryPolicy::default().longest_wait_ms() + 1;
    let mut expired = Vec::new();
    while let Some((attempt, outcome)) = queue.next_expired(later_ms) {
        let changes = queue.report(attempt.id, vec![outcome], later_ms);
        assert!(matches!(changes[0], Change::Failed { cause: FailCause::Expired, .. }), "{changes:?}");
        expired.push(sequence(&attempt));
        queue.finish(attempt.recipients[0].key);
    }
    assert_eq!(expired, [1, 2, 3]);
    assert_eq!(queue.counts().total(), 0);
}
