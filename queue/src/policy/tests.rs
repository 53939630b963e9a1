use super::*;
use crate::matching::{Facts, Field};

fn concurrency(limit: u32) -> Limits {
    Limits { concurrency: Some(limit), ..Limits::default() }
}

fn rate(count: u32, interval_ms: u64, algorithm: Algorithm) -> Limits {
    Limits { rate: Some(Rate { count, interval_ms, algorithm }), ..Limits::default() }
}

fn then(limits: Limits) -> Then {
    Then { limits, ..Then::default() }
}

fn when(field: Field, value: &str, limits: Limits) -> Condition {
    Condition { fields: vec![(field, vec![value.to_owned()])], then: then(limits) }
}

fn facts<'a>(domain: &'a str, mx: &'a str) -> Facts<'a> {
    Facts {
        tenant_id: Some(""),
        job_id: Some("news"),
        transport_id: Some("mx"),
        local_ip: Some([192, 0, 2, 1].into()),
        grouping: Some(mx),
        remote_ip: Some([198, 51, 100, 1].into()),
        remote_mx: Some(mx),
        recipient_domain: Some(domain),
    }
}

fn policy(fields: &[Field], conditions: Vec<Condition>, default: Option<Limits>) -> Policy {
    Policy { fields: FieldSet::new(fields.iter().copied()), conditions, default: default.map(then) }
}

#[test]
fn the_first_condition_that_matches_decides_and_else_the_default_and_stop_ends_the_walk() {
    use Field::*;
    let mut stopping = when(RemoteMx, "*.big.example", concurrency(9));
    stopping.then.stop = true;
    let policies = Policies::compile(&[
        policy(
            &[RecipientDomain],
            vec![
                when(RecipientDomain, "/^a/", concurrency(3)),
                when(RecipientDomain, "a.example", concurrency(4)),
            ],
            Some(concurrency(5)),
        ),
        policy(&[RemoteMx, LocalIp], vec![stopping], None),
        policy(&[], Vec::new(), Some(concurrency(100))),
    ])
    .unwrap();
    let found = |domain, mx| -> Vec<_> {
        let applying = policies.applying(&facts(domain, mx));
        applying
            .iter()
            .map(|found| (found.policy, found.limits.concurrency.unwrap(), found.key.to_string()))
            .collect()
    };
    let all = || (2, 100, "all".to_owned());
    assert_eq!(
        found("a.example", "mx.example"),
        [(0, 3, "recipientdomain=a.example".into()), all()],
        "the first of two, and no entry of the second policy applies"
    );
    assert_eq!(
        found("b.example", "mx1.big.example"),
        [
            (0, 5, "recipientdomain=b.example".into()),
            (1, 9, "localip=192.0.2.1, remotemx=mx1.big.example".into())
        ]
    );
    // The owner of a counter finds the same by its key.
    for applying in policies.applying(&facts("a.example", "mx1.big.example")) {
        assert_eq!(policies.limits(&applying.key), Some((applying.policy, applying.limits)));
    }
}

#[test]
fn dynamic_conditions_go_before_those_of_the_file_limit_by_limit_and_the_stricter_counts() {
    use Field::*;
    let of_file = policy(&[Grouping], Vec::new(), Some(rate(100, 1000, Algorithm::TokenBucket)));
    let dynamic = |id: &str, value: &str, limits| Dynamic {
        id: id.into(),
        fields: FieldSet::new([Grouping]),
        condition: when(Grouping, value, limits),
        ..Dynamic::default()
    };
    let both = Limits { rate: rate(500, 1000, Algorithm::TokenBucket).rate, ..concurrency(7) };
    let policies = Policies::with_dynamic(
        std::slice::from_ref(&of_file),
        &[dynamic("x", "mx.example", concurrency(2)), dynamic("y", "*.example", both)],
    )
    .unwrap();
    let applying = policies.applying(&facts("a.example", "mx.example"));
    assert_eq!(applying[0].limits, Limits { concurrency: Some(2), ..both }, "stricter, and over the file's");
    let ids: Vec<&str> = applying[0].dynamic.iter().map(|of| &*of.id).collect();
    assert_eq!(ids, ["x", "y"]);
    let applying = policies.applying(&facts("a.example", "b.example"));
    assert_eq!(applying[0].limits, both);

    let elsewhere = Dynamic { fields: FieldSet::new([JobId]), ..dynamic("z", "x", both) };
    let error = Policies::with_dynamic(&[of_file], &[elsewhere]).unwrap_err();
    assert_eq!(error.at, PolicyFault::Dynamic("z".into()));
}

#[test]
fn a_condition_on_a_field_that_the_policy_does_not_have_is_refused() {
    let odd = policy(&[Field::JobId], vec![when(Field::RemoteMx, "x.example", concurrency(1))], None);
    let error = Policies::compile(&[odd]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policies[0].conditions[0].if: 'remotemx': the policy does not have this field"
    );
}

#[test]
fn who_gets_a_connection_hears_of_those_who_came_to_wait_while_it_moved() {
    let policies = Policies::compile(&[policy(&[], Vec::new(), Some(concurrency(1)))]).unwrap();
    let key = policies.applying(&facts("a.example", "mx.example"))[0].key.clone();
    let mut counters = Counters::default();
    counters.set_policies(std::sync::Arc::new(policies), 0);
    let ask =
        |shard| Ask { key: key.clone(), shard, connect: true, tokens: 0, more: 0, spare: 0, received_ms: 1 };
    let recall = |shard| Notice::Recall { shard, key: key.clone() };
    assert!(matches!(counters.ask(&ask(0), 1), Answer::Granted(_)));
    assert!(matches!(counters.ask(&ask(1), 2), Answer::Refused { .. }));
    assert_eq!(counters.take_notices(), [recall(0)]);
    assert_eq!(counters.offer(&key, 3), Offered::To(1));
    // It is on its way, and shard 0 is still told.
    assert!(matches!(counters.ask(&ask(2), 4), Answer::Refused { .. }));
    assert_eq!(counters.take_notices(), [recall(0)]);
    counters.moved(&key, 0, 1);
    assert_eq!(counters.take_notices(), [recall(1)]);
    // Nobody waits: nobody is told.
    assert_eq!(counters.offer(&key, 5), Offered::To(2));
    counters.moved(&key, 1, 2);
    assert_eq!(counters.take_notices(), []);
}

/// Counters with one limit for all, and their key.
fn counters(limits: Limits) -> (Counters, Key) {
    let policies = Policies::compile(&[policy(&[], Vec::new(), Some(limits))]).unwrap();
    let key = policies.applying(&facts("a.example", "mx.example"))[0].key.clone();
    let mut counters = Counters::default();
    counters.set_policies(std::sync::Arc::new(policies), 0);
    (counters, key)
}

fn connect(key: &Key, shard: u16, spare: u32) -> Ask {
    Ask { key: key.clone(), shard, connect: true, tokens: 0, more: 0, spare, received_ms: 1 }
}

fn granted(answer: Answer) -> Grant {
    match answer {
        Answer::Granted(grant) => grant,
        Answer::Refused { .. } => panic!("{answer:?}"),
    }
}

#[test]
fn a_large_limit_is_lent_in_parts_which_come_back_and_not_while_others_wait() {
    let limit = 2 * crate::limits::SPARE_PART;
    let (mut counters, key) = counters(concurrency(limit));
    let grant = granted(counters.ask(&connect(&key, 0, 16), 1));
    assert_eq!((grant.unit, grant.spare), (true, 2));
    assert_eq!(counters.usage(&key, 1).unwrap().connections, 3);
    counters.give_back(&key, 0, grant, 2);
    assert_eq!(counters.usage(&key, 2), None, "it is as if new");
    // All but one are taken, and somebody waits for more than that.
    let held: Vec<Grant> = (0..limit).map(|_| granted(counters.ask(&connect(&key, 0, 0), 3))).collect();
    assert!(matches!(
        counters.ask(&connect(&key, 1, 16), 4),
        Answer::Refused { limit: Limit::Concurrency, .. }
    ));
    for grant in held.into_iter().take(limit as usize - 1) {
        counters.give_back(&key, 0, grant, 5);
    }
    assert_eq!(
        granted(counters.ask(&connect(&key, 2, 16), 6)).spare,
        0,
        "shard 1 was woken, and comes first"
    );
    // Its time is over, and it has not come.
    assert_eq!(granted(counters.ask(&connect(&key, 3, 16), 5 + USE_BY_MS + 1)).spare, 1);
}

#[test]
fn connections_beyond_a_limit_that_has_shrunk_are_called_back_and_closed() {
    let (mut counters, key) = counters(concurrency(2));
    for shard in [0, 1] {
        granted(counters.ask(&connect(&key, shard, 0), 1));
    }
    assert_eq!((counters.offer(&key, 2), counters.take_notices()), (Offered::Keep, Vec::new()));
    let fewer = Policies::compile(&[policy(&[], Vec::new(), Some(concurrency(1)))]).unwrap();
    counters.set_policies(std::sync::Arc::new(fewer), 3);
    while counters.renew(3) {}
    let recall = |shard| Notice::Recall { shard, key: key.clone() };
    assert_eq!(counters.take_notices(), [recall(0), recall(1)]);
    assert_eq!(counters.offer(&key, 4), Offered::Close);
    counters.closed(&key, 0, 1, 5);
    assert_eq!(counters.offer(&key, 6), Offered::Keep);
}

#[test]
fn changed_policies_hold_at_once_and_who_waits_is_told_when_the_turn_of_its_counter_comes() {
    let by_domain = |most| policy(&[Field::RecipientDomain], Vec::new(), Some(concurrency(most)));
    let policies = Policies::compile(&[by_domain(1)]).unwrap();
    let [a, b] = ["a.example", "b.example"].map(|domain| {
        let facts = Facts { recipient_domain: Some(domain), ..Facts::default() };
        policies.applying(&facts).remove(0).key
    });
    let mut counters = Counters::default();
    counters.set_policies(std::sync::Arc::new(policies), 0);
    for key in [&a, &b] {
        granted(counters.ask(&connect(key, 0, 0), 1));
        assert!(matches!(counters.ask(&connect(key, 1, 0), 1), Answer::Refused { .. }));
    }
    assert_eq!((counters.limited_by(Limit::Concurrency), counters.limited_by(Limit::Rate)), (2, 0));
    counters.take_notices();
    let more = Policies::compile(&[by_domain(2)]).unwrap();
    counters.set_policies(std::sync::Arc::new(more), 2);
    assert_eq!(counters.take_notices(), [], "nothing was looked at yet");
    let wake = |key: &Key| Notice::Wake { shard: 1, key: key.clone(), count: 1 };
    // Who asks now finds the new limit, and who waits there before it.
    assert!(matches!(counters.ask(&connect(&a, 2, 0), 3), Answer::Refused { .. }));
    assert_eq!(counters.take_notices()[0], wake(&a));
    while counters.renew(4) {}
    assert_eq!(counters.take_notices(), [wake(&b)]);
    let none = Policies::compile(&[]).unwrap();
    counters.set_policies(std::sync::Arc::new(none), 5);
    while counters.renew(5) {}
    assert_eq!(counters.limited_by(Limit::Concurrency), 0);
    for (key, shard) in [(&a, 0), (&b, 0)] {
        counters.closed(key, shard, 1, 6);
    }
    counters.poll(6 + USE_BY_MS);
    assert!(counters.is_empty());
}

#[test]
fn the_next_message_of_a_rate_is_told_with_its_time() {
    for (algorithm, next_ms) in [(Algorithm::TokenBucket, 1_500), (Algorithm::FixedWindow, 2_000)] {
        let (mut counters, key) = counters(rate(2, 1_000, algorithm));
        let ask = Ask { connect: false, tokens: 2, ..connect(&key, 0, 0) };
        let grant = granted(counters.ask(&ask, 1_000));
        counters.used(&key, grant, 2, 1_000, 1_000);
        let usage = counters.usage(&key, 1_001).unwrap();
        assert_eq!((usage.tokens, usage.next_token_ms), (Some(0), Some(next_ms)), "{algorithm:?}");
        let later = counters.usage(&key, 1_999).unwrap();
        let refilled = if algorithm == Algorithm::TokenBucket { 1 } else { 0 };
        assert_eq!(later.tokens, Some(refilled), "time counts, though nobody has asked: {algorithm:?}");
    }
}

#[test]
fn mail_that_waits_behind_what_was_woken_calls_idle_connections_back() {
    let (mut counters, key) = counters(concurrency(1));
    granted(counters.ask(&connect(&key, 0, 0), 1));
    counters.wait(&key, 1, Limit::Concurrency, 7, 2);
    assert_eq!(counters.take_notices(), [Notice::Recall { shard: 0, key: key.clone() }]);
    assert_eq!(counters.offer(&key, 3), Offered::To(1));
}

#[test]
fn an_idle_connection_is_offered_to_the_oldest_mail_first() {
    let (mut counters, key) = counters(concurrency(1));
    granted(counters.ask(&connect(&key, 0, 0), 1));
    for (shard, received_ms) in [(1, 30), (2, 10), (3, 20)] {
        assert!(matches!(
            counters.ask(&Ask { received_ms, ..connect(&key, shard, 0) }, 2),
            Answer::Refused { .. }
        ));
    }
    let offered: Vec<Offered> = (0..4).map(|_| counters.offer(&key, 3)).collect();
    assert_eq!(offered, [Offered::To(2), Offered::To(3), Offered::To(1), Offered::Keep]);
}

#[test]
fn a_connect_that_was_not_made_leaves_the_interval_as_it_was_and_a_shorter_one_counts_at_once() {
    let interval = |ms| Limits { connect_interval_ms: Some(ms), ..Limits::default() };
    let (mut counters, key) = counters(interval(10_000));
    let unused = granted(counters.ask(&connect(&key, 0, 0), 1_000));
    let next_ms =
        |counters: &mut Counters| counters.usage(&key, 2_000).and_then(|usage| usage.next_connect_ms);
    assert_eq!(next_ms(&mut counters), Some(1_000 + USE_BY_MS + 10_000));
    counters.give_back(&key, 0, unused, 1_010);
    let used = granted(counters.ask(&connect(&key, 0, 0), 1_020));
    counters.used(&key, used, 0, 1_040, 1_041);
    assert_eq!(next_ms(&mut counters), Some(11_040));
    let shorter = Policies::compile(&[policy(&[], Vec::new(), Some(interval(500)))]).unwrap();
    counters.set_policies(std::sync::Arc::new(shorter), 2_000);
    assert_eq!(next_ms(&mut counters), Some(2_500));
}

#[test]
fn what_is_in_hand_is_bounded_ends_in_time_and_is_given_back() {
    use crate::limits::{SPARE_IDLE_MS, SPARE_UNITS};
    let (_, key) = counters(concurrency(1));
    let mut wallet = Wallet::default();
    assert!(!wallet.keep_unit(&key), "nothing was lent");
    wallet.add_units(&key, SPARE_UNITS - 1, 0);
    assert!(wallet.keep_unit(&key) && !wallet.keep_unit(&key), "no more than may be kept");
    // Who wants one keeps all of them from ending, for as long again.
    assert!(wallet.take_unit(&key, SPARE_IDLE_MS));
    assert!(wallet.expire(2 * SPARE_IDLE_MS).is_empty());
    let ended = wallet.expire(2 * SPARE_IDLE_MS + 1);
    assert_eq!(
        ended.iter().map(|(_, grant)| (grant.unit, grant.spare)).collect::<Vec<_>>(),
        [(false, SPARE_UNITS - 1)]
    );
    wallet.add_units(&key, 3, 0);
    assert_eq!(
        (wallet.recall_units(&key), wallet.recall_units(&key), wallet.take_unit(&key, 0)),
        (3, 0, false)
    );

    let tokens = |tokens| Grant { tokens, counted: true, use_by_ms: 50, ..Grant::free(0) };
    assert_eq!(wallet.keep(&key, tokens(5), 2), None);
    assert_eq!(wallet.take(&key, 1, 50).map(|grant| grant.tokens), Some(1));
    assert_eq!(wallet.keep(&key, tokens(1), 1).map(|before| before.tokens), Some(2), "what goes back");
    wallet.keep(&key, tokens(4), 0);
    assert!(wallet.take(&key, 1, 51).is_none(), "their time is over");
    assert_eq!(wallet.expire(51).iter().map(|(_, grant)| grant.tokens).collect::<Vec<_>>(), [4]);
    assert!(wallet.is_empty());
}
