//! What is kept for listings, over the life of an item.

use super::*;
use crate::amend::{Amendment, MetadataChange};
use crate::attempt::{Change, Outcome};
use crate::details::{Details, LastAttempt, Link, Origin};
use crate::diagnosis::{Diagnosis, Reason, Remote};
use crate::item::{ItemView, State};

const NOW_MS: u64 = 1_700_000_000_000;

fn details() -> Details<'static> {
    Details {
        origin: Origin { server_id: "in".into(), peer: "192.0.2.9".parse().ok(), ..Origin::default() },
        metadata: &[(b"qid", b"week"), (b"user", b"7")],
        quotas: &["q1", "q2"],
        last: None,
    }
}

fn insert(queue: &mut Queue, sequence: u64, details: Details<'_>, entry: Entry) -> ItemKey {
    let key = ItemKey::new(1, sequence, 0);
    let item = Item {
        key,
        transaction: [7; 16],
        sender: b"s@example.org",
        sender_domain: Some("example.org"),
        recipient: b"r@a.test",
        domain: "a.test",
        transport: "mx",
        job_id: None,
        tenant_id: None,
        size_bytes: 100,
        received_ms: NOW_MS,
        attempts: 0,
        flags: 0,
        priority: 0,
        details,
    };
    queue.insert(item, entry, NOW_MS).expect("there is room");
    key
}

fn view(queue: &Queue, key: ItemKey) -> ItemView<'_> {
    queue.get(key).expect("it is queued")
}

fn link(queue: &mut Queue, attempt: &crate::Attempt) {
    queue.note_link(attempt.id, |domain| Link {
        local: "127.0.0.1".parse().ok(),
        remote: Some(Remote { name: "mx.a.test".into(), address: "192.0.2.1".parse().unwrap() }),
        grouping: domain.into(),
    });
}

fn refusal() -> Reason {
    Diagnosis { code: Some(451), phase: Some("RCPT"), ..Diagnosis::new("451 later") }.into()
}

#[test]
fn quotas_count_what_is_queued_and_forget_it_however_it_leaves() {
    let mut queue = Queue::new(Options::default());
    let first = insert(&mut queue, 1, details(), Entry::Hold("why".into()));
    let only_q1 = Details { quotas: &["q1"], ..details() };
    insert(&mut queue, 2, only_q1, Entry::Active);
    assert_eq!(queue.quota("q1"), QuotaUse { count: 2, bytes: 200 });
    assert_eq!(queue.quota("q2"), QuotaUse { count: 1, bytes: 100 });
    assert_eq!(queue.quota("none"), QuotaUse::default());
    assert_eq!(view(&queue, first).quotas.iter().collect::<Vec<_>>(), ["q1", "q2"]);

    queue.remove(first).unwrap();
    let attempt = queue.next(NOW_MS).unwrap();
    queue.report(attempt.id, vec![Outcome::Delivered], NOW_MS);
    assert_eq!(queue.quotas().count(), 0);
    assert_eq!((queue.names.len(), queue.shared.origins.len()), (0, 0), "what they shared is gone with them");
}

/// It was counted as often as it was named.
#[test]
fn a_quota_that_is_named_twice_counts_once() {
    let mut queue = Queue::new(Options::default());
    let key = insert(&mut queue, 1, Details { quotas: &["q", "r", "q"], ..details() }, Entry::Active);
    assert_eq!(queue.quota("q"), QuotaUse { count: 1, bytes: 100 });
    queue.remove(key).unwrap();
    assert_eq!(queue.quotas().count(), 0);
}

#[test]
fn an_attempt_leaves_its_way_and_its_answer() {
    let mut queue = Queue::new(Options::default());
    let key = insert(&mut queue, 1, details(), Entry::Active);
    assert_eq!(view(&queue, key).tried_ms, None);
    let attempt = queue.next(NOW_MS + 5_000).unwrap();
    assert_eq!(view(&queue, key).tried_ms, Some(NOW_MS + 5_000), "it began then");
    link(&mut queue, &attempt);
    link(&mut queue, &attempt);
    queue.report(attempt.id, vec![Outcome::Temporary(refusal())], NOW_MS + 9_000);
    let item = view(&queue, key);
    assert_eq!((item.reason, item.tried_ms), (Some(&refusal()), Some(NOW_MS + 9_000)));
    let link = item.link.unwrap();
    assert_eq!((&*link.grouping, &*link.remote.as_ref().unwrap().name), ("a.test", "mx.a.test"));
    assert_eq!(item.origin.peer, "192.0.2.9".parse().ok());

    queue.remove(key).unwrap();
    assert_eq!((queue.shared.reasons.len(), queue.shared.links.len()), (0, 0));
}

#[test]
fn the_answer_from_before_a_restart_is_shown() {
    let mut queue = Queue::new(Options::default());
    let last = Some(LastAttempt { reason: refusal(), at_ms: NOW_MS - 60_000 });
    let key = insert(&mut queue, 1, Details { last, ..details() }, Entry::DeferUntil(NOW_MS + 1));
    assert_eq!(view(&queue, key).reason, Some(&refusal()));
    assert_eq!(view(&queue, key).tried_ms, Some(NOW_MS - 60_000));
}

#[test]
fn properties_change_and_the_state_stays() {
    let mut queue = Queue::new(Options::default());
    let metadata = MetadataChange {
        set: vec![(b"qid"[..].into(), b"month"[..].into())],
        remove: vec![b"user"[..].into()],
    };
    let change = Amendment {
        transport: Some("slow".into()),
        job_id: Some("j".into()),
        tenant_id: None,
        attempts: Some(4),
        priority: Some(1),
        metadata,
    };
    let later = NOW_MS + 60_000;
    for (sequence, entry) in
        [(1, Entry::Active), (2, Entry::DeferUntil(later)), (3, Entry::Hold("why".into()))]
    {
        let key = insert(&mut queue, sequence, details(), entry);
        let before = view(&queue, key).state;
        queue.amend(key, &change).unwrap();
        let item = view(&queue, key);
        assert_eq!(
            (item.state, item.transport, item.job_id, item.attempts, item.urgent),
            (before, "slow", Some("j"), 4, true)
        );
        assert_eq!(item.metadata.iter().collect::<Vec<_>>(), [(&b"qid"[..], &b"month"[..])]);
        assert_eq!(item.hold_reason, (before == State::Hold).then_some("why"));
    }
    let attempt = queue.next(NOW_MS).unwrap();
    assert_eq!(&*attempt.destination.transport, "slow");
    let none = Amendment { job_id: Some("".into()), ..Amendment::default() };
    assert_eq!(queue.amend(attempt.recipients[0].key, &none), Err(OperationError::Sending));
    let held = ItemKey::new(1, 3, 0);
    queue.amend(held, &none).unwrap();
    assert_eq!(view(&queue, held).job_id, None);
    let Ok(Change::Done { .. }) = queue.remove(held) else { panic!("it is there") };
}

#[test]
fn metadata_of_which_some_is_not_kept_is_not_given_as_all() {
    let mut queue = Queue::new(Options::default());
    let whole = insert(&mut queue, 1, details(), Entry::Active);
    let value = vec![b'v'; limits::METADATA_BYTES / 2];
    let metadata: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"b", &value), (b"c", &value)];
    let cut = insert(&mut queue, 2, Details { metadata, ..details() }, Entry::Active);
    let pairs = |queue: &Queue, key| Some(queue.metadata(key)?.iter().count());
    assert_eq!((pairs(&queue, whole), pairs(&queue, cut)), (Some(2), None));
    queue.replace_metadata(cut, &[(b"k".to_vec(), b"v".to_vec())]);
    assert_eq!(pairs(&queue, cut), Some(1));
    assert_eq!(pairs(&queue, ItemKey::new(1, 3, 0)), None);
}
