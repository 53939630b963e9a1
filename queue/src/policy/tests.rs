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
    assert_eq!(applying[0].dynamic, ["x".into(), "y".into()]);
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
