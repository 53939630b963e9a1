//! Behaviour of the queue, case by case; `model_test` compares it with a naive model.

use std::sync::Arc;

use super::*;
use crate::attempt::{Again, Attempt, Change, FailCause, Outcome};
use crate::details::Details;
use crate::item::State;
use crate::matching::Field;
use crate::suspend::Rule;

pub(super) const NOW_MS: u64 = 1_700_000_000_000;

pub(super) fn item(sequence: u64, recipient: u32, domain: &str) -> Item<'_> {
    Item {
        key: ItemKey::new(1, sequence, recipient),
        transaction: [7; 16],
        sender: b"sender@example.org",
        sender_domain: Some("example.org"),
        recipient: b"someone@example.com",
        domain,
        transport: "mx",
        job_id: None,
        tenant_id: None,
        size_bytes: 2048,
        received_ms: NOW_MS,
        attempts: 0,
        flags: 0,
        priority: 0,
        details: Details::default(),
    }
}

fn transport(name: &str, lines: Lines, concurrency: u32) -> Transport {
    let retry = RetryPolicy::new(Some(2), [60_000, 900_000], None);
    Transport { name: name.into(), lines, concurrency, retry }
}

pub(super) fn queue() -> Queue {
    let mut queue = Queue::new(Options::default());
    queue.set_transports(&[transport("mx", Lines::PerDomain, 2), transport("relay", Lines::Single, 2)]);
    queue
}

pub(super) fn add(queue: &mut Queue, sequence: u64, domain: &str) {
    queue.insert(item(sequence, 0, domain), Entry::Active, NOW_MS).unwrap();
}

fn sequence(attempt: &Attempt) -> u64 {
    attempt.message.sequence
}

fn rules(fields: &[(Field, &str)]) -> Arc<Suspends> {
    let fields = fields.iter().map(|(field, value)| (*field, vec![value.to_string()])).collect();
    Arc::new(Suspends::compile(&[Rule { fields, tag: None }], &[]).unwrap())
}

pub(super) fn temporary() -> Outcome {
    Outcome::Temporary("451 4.3.0 later".into())
}

#[test]
fn a_line_is_first_in_first_out_and_destinations_take_turns() {
    let mut queue = queue();
    for (sequence, domain) in [(1, "a.test"), (2, "a.test"), (3, "b.test"), (4, "a.test"), (5, "b.test")] {
        add(&mut queue, sequence, domain);
    }
    let mut order = Vec::new();
    while let Some(attempt) = queue.next(NOW_MS) {
        order.push(sequence(&attempt));
        queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
    }
    assert_eq!(order, [1, 3, 2, 5, 4]);
    assert_eq!(queue.counts(), Counts::default());
}

#[test]
fn recipients_of_a_message_go_together_up_to_the_limit() {
    let mut queue = queue();
    for recipient in 0..150 {
        queue.insert(item(1, recipient, "a.test"), Entry::Active, NOW_MS).unwrap();
    }
    queue.insert(item(1, 150, "b.test"), Entry::Active, NOW_MS).unwrap();
    let sizes: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).map(|a| a.recipients.len()).collect();
    assert_eq!(sizes, [50, 1, 50], "the line of a.test has two attempts");
}

#[test]
fn recipients_at_different_domains_go_apart_where_that_is_wanted() {
    for (one_domain, expected) in [(false, vec![4]), (true, vec![2, 1])] {
        let mut queue = queue();
        queue.set_options(Options { one_domain, ..Options::default() });
        for (recipient, domain) in ["a.test", "a.test", "b.test", "a.test"].into_iter().enumerate() {
            let item = Item { transport: "relay", ..item(1, recipient as u32, domain) };
            queue.insert(item, Entry::Active, NOW_MS).unwrap();
        }
        let sizes: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).map(|a| a.recipients.len()).collect();
        assert_eq!(sizes, expected, "the line has two attempts");
    }
}

#[test]
fn an_attempt_can_be_judged_by_a_schedule_of_its_own() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let attempt = queue.next(NOW_MS).unwrap();
    queue.retry_by(attempt.id, Arc::new(RetryPolicy::new(Some(9), [5_000], None)));
    let changes = queue.report(attempt.id, vec![temporary()], NOW_MS);
    let soon = |change: &Change| matches!(change, Change::RetryAt { at_ms, .. } if *at_ms < NOW_MS + 10_000);
    assert!(soon(&changes[0]), "{changes:?}");
    // The next one has that of its transport again.
    let attempt = queue.next(NOW_MS + 10_000).unwrap();
    let changes = queue.report(attempt.id, vec![temporary()], NOW_MS + 10_000);
    assert!(matches!(&changes[0], Change::RetryAt { .. }) && !soon(&changes[0]), "{changes:?}");
}

#[test]
fn recipients_with_another_sender_go_apart() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let other = Item { sender: b"other@example.org", ..item(1, 1, "a.test") };
    queue.insert(other, Entry::Active, NOW_MS).unwrap();
    assert_eq!(queue.next(NOW_MS).unwrap().recipients.len(), 1);
}

#[test]
fn recipients_that_are_to_be_alone_are() {
    let mut queue = queue();
    for recipient in 0..2 {
        let alone = Item { flags: crate::ALONE, ..item(1, recipient, "a.test") };
        queue.insert(alone, Entry::Active, NOW_MS).unwrap();
    }
    assert_eq!(queue.next(NOW_MS).unwrap().recipients.len(), 1);
}

#[test]
fn a_fixed_next_hop_takes_all_domains_in_one_attempt() {
    let mut queue = queue();
    for (recipient, domain) in ["a.test", "b.test"].into_iter().enumerate() {
        let item = Item { transport: "relay", ..item(1, recipient as u32, domain) };
        queue.insert(item, Entry::Active, NOW_MS).unwrap();
    }
    let attempt = queue.next(NOW_MS).unwrap();
    assert_eq!(attempt.destination.domain, None);
    let domains: Vec<_> = attempt.recipients.iter().map(|recipient| &*recipient.domain).collect();
    assert_eq!(domains, ["a.test", "b.test"]);
}

#[test]
fn limits_per_destination_and_in_total_hold() {
    let mut queue = queue();
    for sequence in 0..10 {
        add(&mut queue, sequence, ["a.test", "b.test"][sequence as usize % 2]);
    }
    let running: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).collect();
    assert_eq!(running.len(), 4, "two for each destination");
    assert_eq!(queue.next_wakeup(), None);

    queue.set_options(Options { total_concurrency: 3, ..Options::default() });
    queue.report(running[0].id, vec![Outcome::Delivered], NOW_MS);
    assert_eq!(queue.next(NOW_MS), None, "three run");
    queue.report(running[1].id, vec![Outcome::Delivered], NOW_MS);
    assert!(queue.next(NOW_MS).is_some());
}

#[test]
fn a_connection_is_used_again_while_messages_wait() {
    let mut queue = queue();
    for sequence in 0..3 {
        add(&mut queue, sequence, "a.test");
    }
    let mut attempt = queue.next(NOW_MS).unwrap();
    let destination = attempt.destination.clone();
    let mut order = vec![sequence(&attempt)];
    loop {
        queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
        let Some(next) = queue.next_for(&destination, NOW_MS) else { break };
        order.push(sequence(&next));
        attempt = next;
    }
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(queue.lines.len(), 1, "the line goes when its place in the ring comes up");
    assert_eq!(queue.next(NOW_MS), None);
    assert_eq!((queue.lines.len(), queue.names.len()), (0, 0), "nothing is left behind");
}

#[test]
fn a_busy_connection_gives_way_when_others_wait_for_the_last_attempt() {
    let mut queue = Queue::new(Options { total_concurrency: 1, ..Options::default() });
    for sequence in 0..1000 {
        add(&mut queue, sequence, "busy.test");
    }
    add(&mut queue, 1000, "patient.test");
    let mut attempt = queue.next(NOW_MS).unwrap();
    let mut taken = 1;
    loop {
        queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
        match queue.next_for(&attempt.destination.clone(), NOW_MS) {
            Some(next) => attempt = next,
            None => break,
        }
        taken += 1;
    }
    assert_eq!(taken, 1 + limits::REUSE_BURST);
    assert_eq!(&**queue.next(NOW_MS).unwrap().destination.domain.as_ref().unwrap(), "patient.test");
}

#[test]
fn a_temporary_failure_waits_and_expires_as_the_policy_says() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let (mut now_ms, mut waits) = (NOW_MS, Vec::new());
    loop {
        let attempt = queue.next(now_ms).expect("due");
        assert_eq!(attempt.recipients[0].attempts as usize, waits.len());
        match queue.report(attempt.id, vec![temporary()], now_ms).remove(0) {
            Change::RetryAt { at_ms, attempts, .. } => {
                waits.push((at_ms - now_ms) / 1000);
                assert_eq!(attempts as usize, waits.len());
                assert_eq!(queue.next(at_ms - 1), None, "not before its time");
                assert_eq!(queue.next_wakeup(), Some(at_ms));
                now_ms = at_ms;
            }
            Change::Failed { cause, attempts, reason, .. } => {
                assert_eq!((cause, attempts), (FailCause::Expired, 3));
                assert_eq!(reason.to_string(), "451 4.3.0 later");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [60, 900]);
    assert_eq!(queue.get(ItemKey::new(1, 1, 0)).unwrap().state, State::InHand);
}

#[test]
fn every_recipient_moves_on_by_itself() {
    let mut queue = queue();
    for recipient in 0..5 {
        queue.insert(item(1, recipient, "a.test"), Entry::Active, NOW_MS).unwrap();
    }
    let attempt = queue.next(NOW_MS).unwrap();
    let outcomes = vec![Outcome::Delivered, temporary(), Outcome::Permanent("550 5.1.1 no".into())];
    let changes = queue.report(attempt.id, outcomes, NOW_MS);
    let keys: Vec<_> = changes.iter().map(|change| change.key().recipient).collect();
    assert_eq!(keys, [0, 1, 2, 3, 4]);
    assert!(matches!(changes[0], Change::Done { .. }));
    assert!(matches!(changes[1], Change::RetryAt { .. }));
    assert!(matches!(changes[2], Change::Failed { cause: FailCause::Permanent, .. }));
    // No outcome: not tried.
    assert!(matches!(changes[4], Change::Unchanged { again: Again::AtOnce, .. }));
    let again = queue.next(NOW_MS).unwrap();
    let keys: Vec<_> = again.recipients.iter().map(|recipient| recipient.key.recipient).collect();
    assert_eq!(keys, [3, 4]);
}

#[test]
fn a_second_report_of_an_attempt_changes_nothing() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let attempt = queue.next(NOW_MS).unwrap();
    queue.report(attempt.id, vec![Outcome::NotTried], NOW_MS);
    assert_eq!(queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS), []);
    assert_eq!(queue.counts().active, 1);
}

#[test]
fn not_tried_does_not_spin() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let (mut now_ms, mut attempts) = (NOW_MS, 0);
    while now_ms < NOW_MS + 60_000 {
        match queue.next(now_ms) {
            Some(attempt) => {
                attempts += 1;
                queue.report(attempt.id, vec![Outcome::NotTried], now_ms);
            }
            None => now_ms = queue.next_wakeup().unwrap(),
        }
    }
    assert!(attempts < 10, "{attempts} in a minute");
}

#[test]
fn items_due_in_the_same_second_share_one_entry_per_destination() {
    let mut queue = queue();
    for sequence in 0..1000 {
        let until = Entry::DeferUntil(NOW_MS + 60_000 + sequence % 1000);
        queue.insert(item(sequence, 0, "a.test"), until, NOW_MS).unwrap();
    }
    assert!(queue.schedule.buckets() <= 2, "{}", queue.schedule.buckets());
    assert_eq!(queue.counts().defer, 1000);
    assert_eq!(queue.next(NOW_MS + 59_000), None);
    assert!(queue.next(NOW_MS + 62_000).is_some());
}

#[test]
fn a_suspend_stops_what_it_matches_and_nothing_is_polled_meanwhile() {
    type Fields<'a> = &'a [(Field, &'a str)];
    let cases: [(Fields<'_>, &[u64]); 6] = [
        (&[], &[]),
        (&[(Field::TransportId, "mx")], &[]),
        (&[(Field::RecipientDomain, "*.test")], &[]),
        (&[(Field::RecipientDomain, "a.test")], &[2, 3]),
        (&[(Field::JobId, "bulk")], &[1, 3]),
        (&[(Field::JobId, "bulk"), (Field::RemoteMx, "mx.b.test")], &[1, 2, 3]),
    ];
    for (fields, expected) in cases {
        let mut queue = queue();
        queue.set_suspends(rules(fields));
        add(&mut queue, 1, "a.test");
        queue.insert(Item { job_id: Some("bulk"), ..item(2, 0, "b.test") }, Entry::Active, NOW_MS).unwrap();
        add(&mut queue, 3, "b.test");
        let mut picked: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS)).map(|a| sequence(&a)).collect();
        picked.sort_unstable();
        assert_eq!(picked, expected, "{fields:?}");
        assert_eq!(queue.next_wakeup(), None, "{fields:?}");
        assert!(queue.rings.iter().all(|ring| ring.is_empty()), "{fields:?}");

        queue.set_suspends(Arc::default());
        assert!(picked.len() == 3 || queue.next_wakeup() == Some(0), "{fields:?}");
        let rest = std::iter::from_fn(|| queue.next(NOW_MS)).count();
        assert_eq!(picked.len() + rest, 3, "{fields:?}");
    }
}

/// A line stopped as a whole under one set of rules was forgotten when the next set stopped it too.
#[test]
fn a_line_stopped_by_two_sets_in_a_row_comes_back_after_both() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    for value in ["a.test", "*.test", "/test/"] {
        queue.set_suspends(rules(&[(Field::RecipientDomain, value)]));
        assert_eq!(queue.next(NOW_MS), None);
    }
    queue.set_suspends(Arc::default());
    assert!(queue.next(NOW_MS).is_some());
}

#[test]
fn parked_items_come_back_in_their_order() {
    let mut queue = queue();
    queue.set_suspends(rules(&[(Field::JobId, "bulk")]));
    for sequence in 0..5 {
        let item = Item { job_id: Some("bulk"), ..item(sequence, 0, "a.test") };
        queue.insert(item, Entry::Active, NOW_MS).unwrap();
    }
    assert_eq!(queue.next(NOW_MS), None);
    assert_eq!(queue.counts().active, 5);
    queue.set_suspends(Arc::default());
    let first = queue.next(NOW_MS).unwrap();
    assert_eq!((sequence(&first), sequence(&queue.next(NOW_MS).unwrap())), (0, 1));
}

#[test]
fn an_item_suspended_at_connect_time_waits_for_new_rules() {
    let mut queue = queue();
    queue.set_suspends(rules(&[(Field::RemoteMx, "mx.a.test")]));
    add(&mut queue, 1, "a.test");
    let attempt = queue.next(NOW_MS).unwrap();
    let changes = queue.report(attempt.id, vec![Outcome::Suspended], NOW_MS);
    assert!(matches!(changes[0], Change::Unchanged { again: Again::WhenRulesChange, .. }));
    assert_eq!((queue.next(NOW_MS), queue.next_wakeup()), (None, None));
    queue.set_suspends(Arc::default());
    assert!(queue.next(NOW_MS).is_some());
}

#[test]
fn an_item_suspended_by_rules_that_have_changed_meanwhile_is_due_at_once() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    let attempt = queue.next(NOW_MS).unwrap();
    queue.set_suspends(Arc::default());
    let changes = queue.report(attempt.id, vec![Outcome::Suspended], NOW_MS);
    assert!(matches!(changes[0], Change::Unchanged { again: Again::AtOnce, .. }));
    assert!(queue.next(NOW_MS).is_some());
}

#[test]
fn grouping_is_the_domain_only_when_the_caller_says_so() {
    for (grouping, stopped) in [(GroupingAtPickup::Unknown, false), (GroupingAtPickup::RecipientDomain, true)]
    {
        let mut queue = Queue::new(Options { grouping, ..Options::default() });
        queue.set_suspends(rules(&[(Field::Grouping, "a.test")]));
        add(&mut queue, 1, "a.test");
        assert_eq!(queue.next(NOW_MS).is_none(), stopped);
    }
}

#[test]
fn a_transport_that_gets_a_fixed_next_hop_moves_its_items() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    add(&mut queue, 2, "b.test");
    let deferred = Entry::DeferUntil(NOW_MS + 5_000);
    queue.insert(item(3, 0, "c.test"), deferred, NOW_MS).unwrap();
    queue.set_transports(&[transport("mx", Lines::Single, 5)]);
    let attempts: Vec<_> = std::iter::from_fn(|| queue.next(NOW_MS + 5_000)).collect();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt.destination.domain.is_none()));
}

#[test]
fn a_higher_limit_lets_waiting_items_go() {
    let mut queue = queue();
    queue.set_transports(&[transport("mx", Lines::PerDomain, 0)]);
    add(&mut queue, 1, "a.test");
    assert_eq!((queue.next(NOW_MS), queue.next_wakeup()), (None, None));
    queue.set_transports(&[transport("mx", Lines::PerDomain, 1)]);
    assert_eq!(queue.next_wakeup(), Some(0));
    assert!(queue.next(NOW_MS).is_some());
}

#[test]
fn a_second_insert_is_refused_and_a_full_index_takes_what_is_durable() {
    let mut queue = Queue::new(Options { max_items: 2, ..Options::default() });
    add(&mut queue, 1, "a.test");
    assert_eq!(queue.insert(item(1, 0, "a.test"), Entry::Active, NOW_MS), Err(Refused::Duplicate));
    let long = "a".repeat(limits::NAME_BYTES + 1);
    assert_eq!(queue.insert(item(2, 0, &long), Entry::Active, NOW_MS), Err(Refused::TooLong));
    add(&mut queue, 2, "a.test");
    assert_eq!(queue.room(), 0);
    add(&mut queue, 3, "a.test");
    assert_eq!((queue.room(), queue.counts().active), (0, 3));
}

/// A script had named a job after a header of a stranger: the message was acknowledged, and in no list.
#[test]
fn a_job_with_too_long_a_name_is_queued_under_a_part_of_it() {
    let mut queue = queue();
    let name = format!("{}é{}", "j".repeat(limits::NAME_BYTES - 1), "k".repeat(10));
    let quota = "q".repeat(limits::NAME_BYTES + 1);
    let quotas = [&*quota];
    let details = Details { quotas: &quotas, ..Details::default() };
    let item = Item { job_id: Some(&name), tenant_id: Some(&name), details, ..item(1, 0, "a.test") };
    queue.insert(item, Entry::Active, NOW_MS).unwrap();
    let kept = queue.get(ItemKey::new(1, 1, 0)).unwrap();
    assert_eq!(kept.job_id, Some(&name[..limits::NAME_BYTES - 1]));
    assert_eq!(kept.tenant_id, kept.job_id);
}

#[test]
fn operators_hold_release_and_remove_what_is_not_being_sent() {
    let mut queue = queue();
    let key = ItemKey::new(1, 1, 0);
    add(&mut queue, 1, "a.test");
    assert!(matches!(queue.hold(key, "look"), Ok(Change::Hold { .. })));
    assert_eq!(queue.next(NOW_MS), None);
    assert!(queue.activate(key, NOW_MS).is_ok());
    let attempt = queue.next(NOW_MS).unwrap();
    assert_eq!(queue.remove(key), Err(OperationError::Sending));
    queue.report(attempt.id, vec![temporary()], NOW_MS);
    assert_eq!(queue.remove(key), Ok(Change::Done { key }));
    assert_eq!(queue.remove(key), Err(OperationError::NotFound));
    assert_eq!(queue.next_wakeup(), None);
    assert_eq!((queue.lines.len(), queue.names.len()), (0, 0), "nothing is left behind");
}

#[test]
fn a_scan_visits_every_item_once_in_chunks() {
    let mut queue = queue();
    let items = limits::SCAN_CHUNK as u64 * 2 + 5;
    for sequence in 0..items {
        queue.insert(item(sequence, 0, "a.test"), Entry::Hold("x".into()), NOW_MS).unwrap();
    }
    let (mut seen, mut chunks, mut cursor) = (Vec::new(), 0, Some(Cursor::default()));
    while let Some(from) = cursor {
        cursor = queue.scan(from, |view| seen.push(view.key.message.sequence));
        chunks += 1;
    }
    assert_eq!(chunks, 3);
    assert_eq!(seen, (0..items).collect::<Vec<_>>());
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let mut queue = queue();
    add(&mut queue, 1, "a.test");
    queue.hold(ItemKey::new(1, 1, 0), &"é".repeat(1000)).unwrap();
    let view = queue.get(ItemKey::new(1, 1, 0)).unwrap();
    assert_eq!(view.hold_reason.unwrap().len(), limits::REASON_BYTES);
}

#[test]
fn an_attempt_can_be_sent_to_another_shard() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Attempt>();
    is_send::<Vec<Change>>();
}

/// Lines that the walk had passed before the limits changed again were forgotten.
#[test]
fn limits_changed_during_the_walk_over_all_lines_reach_every_line() {
    let mut queue = queue();
    queue.next_budget = 6;
    queue.set_transports(&[transport("mx", Lines::PerDomain, 0)]);
    for sequence in 0..10 {
        add(&mut queue, sequence, &format!("d{sequence}.test"));
    }
    queue.set_transports(&[transport("mx", Lines::PerDomain, 0)]);
    assert_eq!(queue.next(NOW_MS), None);
    queue.set_transports(&[transport("mx", Lines::PerDomain, 1)]);
    let mut started = 0;
    for _ in 0..100 {
        started += u32::from(queue.next(NOW_MS).is_some());
    }
    assert_eq!((started, queue.next_wakeup()), (10, None));
}

/// A line that was in the ring and among those to be looked at again was left out of both.
#[test]
fn a_line_stopped_before_its_parked_items_are_back_comes_back_later() {
    let mut queue = Queue::new(Options { total_concurrency: 1, ..Options::default() });
    queue.next_budget = 6;
    queue.set_suspends(rules(&[(Field::JobId, "bulk")]));
    let bulk = |sequence, domain| Item { job_id: Some("bulk"), ..item(sequence, 0, domain) };
    for sequence in 0..20 {
        queue.insert(bulk(sequence, "a.test"), Entry::Active, NOW_MS).unwrap();
    }
    queue.insert(bulk(20, "b.test"), Entry::Active, NOW_MS).unwrap();
    add(&mut queue, 21, "b.test");
    add(&mut queue, 22, "b.test");
    let attempt = std::iter::from_fn(|| Some(queue.next(NOW_MS))).take(50).flatten().next().unwrap();
    queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
    queue.set_suspends(rules(&[(Field::RecipientDomain, "b.test"), (Field::TransportId, "mx")]));
    let mut left = 20;
    for _ in 0..200 {
        if let Some(attempt) = queue.next(NOW_MS) {
            assert_eq!(attempt.destination.domain.as_deref(), Some("a.test"));
            queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
            left -= 1;
        }
    }
    assert_eq!((left, queue.next_wakeup()), (0, None));
    queue.set_suspends(Arc::default());
    for _ in 0..200 {
        if let Some(attempt) = queue.next(NOW_MS) {
            queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
        }
    }
    assert_eq!(queue.counts().total(), 0);
}
