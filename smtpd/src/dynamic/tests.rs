//! Rules come, change and go.

use queue::policy::{Algorithm, Kind};

use super::wanted::{WantedCondition, WantedThen};
use super::*;
use crate::delivery::Groups;

const NOW_MS: u64 = 1_700_000_000_000;

fn suspend(id: &str, domain: &str, until_ms: Option<u64>) -> Suspend {
    Suspend {
        id: id.to_owned(),
        fields: vec![(Field::RecipientDomain, domain.to_owned())],
        tag: String::new(),
        until_ms,
        properties: BTreeMap::new(),
    }
}

#[test]
fn an_equal_suspend_only_lives_on() {
    let dynamic = Dynamic::default();
    assert_eq!(dynamic.add(suspend("one", "a.example", Some(NOW_MS))), Ok("one".into()));
    assert_eq!(dynamic.add(suspend("two", "a.example", Some(NOW_MS + 5))), Ok("one".into()));
    assert_eq!(dynamic.suspends(), [suspend("one", "a.example", Some(NOW_MS + 5))]);
    assert_eq!(dynamic.add(suspend("two", "b.example", None)), Ok("two".into()));
    let other = suspend("two", "c.example", None);
    assert!(dynamic.add(other).unwrap_err().contains("with other fields"));
}

#[test]
fn what_cannot_be_is_refused_with_the_field() {
    let dynamic = Dynamic::default();
    let bad = dynamic.add(suspend("one", "/(/", None)).unwrap_err();
    assert!(bad.starts_with("recipientdomain: \"/(/\""), "{bad}");
    let long = Suspend { tag: "x".repeat(33), ..suspend("one", "a.example", None) };
    assert_eq!(dynamic.add(long), Err("tag: longer than 32 characters".into()));
    let nameless = suspend("", "a.example", None);
    assert!(dynamic.add(nameless).is_err());
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let dynamic = Dynamic::default();
    dynamic.restore(vec![suspend("one", "a.example", Some(NOW_MS))], Vec::new());
    let tagged = Change { tag: Some("slow".into()), ..Change::default() };
    assert_eq!(dynamic.update("one", tagged, NOW_MS), Ok(true));
    let longer = Change { ttl: Some(Duration::from_secs(9)), ..Change::default() };
    assert_eq!(dynamic.update("one", longer, NOW_MS), Ok(true));
    let now = &dynamic.suspends()[0];
    assert_eq!((now.tag.as_str(), now.until_ms), ("slow", Some(NOW_MS + 9_000)));
    assert_eq!(dynamic.update("none", Change::default(), NOW_MS), Ok(false));
    let forever = Change { ttl: Some(Duration::ZERO), ..Change::default() };
    assert_eq!(dynamic.update("one", forever, NOW_MS), Ok(true));
    assert_eq!(dynamic.suspends()[0].until_ms, None);
    assert_eq!(dynamic.remove(|suspend| suspend.has(&[(Field::RecipientDomain, "a.example".into())])), 1);
}

#[test]
fn an_equal_condition_only_lives_on_with_other_limits() {
    let condition = |id: &str, domain: &str, concurrency| Condition {
        rule: queue::policy::Dynamic {
            id: id.to_owned(),
            fields: queue::policy::FieldSet::new([Field::RecipientDomain]),
            condition: queue::policy::Condition {
                fields: vec![(Field::RecipientDomain, vec![domain.to_owned()])],
                then: queue::policy::Then {
                    limits: queue::policy::Limits { concurrency: Some(concurrency), ..Default::default() },
                    ..Default::default()
                },
            },
            ..Default::default()
        },
        until_ms: Some(NOW_MS),
    };
    let dynamic = Dynamic::default();
    assert_eq!(dynamic.add_condition(condition("one", "a.example", 2)), Ok("one".into()));
    assert_eq!(dynamic.add_condition(condition("two", "a.example", 3)), Ok("one".into()));
    assert_eq!(dynamic.conditions(), [condition("one", "a.example", 3)]);
    assert!(dynamic.add_condition(condition("one", "b.example", 3)).is_err());
    let then = queue::policy::Then::default();
    assert!(dynamic.update_condition("one", then.clone(), Some(Duration::ZERO), NOW_MS));
    assert!(!dynamic.update_condition("none", then, None, NOW_MS));
    assert_eq!(dynamic.conditions()[0].until_ms, None);
    assert_eq!(dynamic.remove_conditions(|condition| condition.rule.id == "one"), 1);
}

#[test]
fn a_condition_that_names_a_member_of_a_group_is_about_the_group() {
    let grouping = config::Grouping {
        id: "big".into(),
        remote_mx: vec![config::Pattern::Subdomains(".mx.big.example".into())],
        recipient_domain: vec![config::Pattern::Exact("big.example".into())],
        remote_ip: Vec::new(),
    };
    let groups = Groups::build(&[grouping], config::DefaultGroup::RemoteMx).unwrap();
    let values = |field: Field, value: &str| {
        let wanted = WantedCondition {
            policy: vec![field.name().to_owned()],
            values: vec![(field, value.to_owned())],
            kind: Kind::BackOff,
            then: WantedThen { rate: Some((5, 0.5, None)), ..WantedThen::default() },
            ttl_s: 2.0,
            id: Some("x".into()),
        };
        let condition = wanted.checked(&groups, Algorithm::TokenBucket, NOW_MS).unwrap();
        assert_eq!(condition.until_ms, Some(NOW_MS + 2000));
        assert_eq!(condition.rule.condition.then.limits.rate.unwrap().interval_ms, 500);
        condition.rule.condition.fields[0].1[0].clone()
    };
    assert_eq!(values(Field::Grouping, "a.mx.big.example"), "&big");
    assert_eq!(values(Field::Grouping, "big.example"), "&big");
    assert_eq!(values(Field::Grouping, "other.example"), "other.example");
    assert_eq!(values(Field::RemoteMx, "a.mx.big.example"), "a.mx.big.example", "no group there");
}

#[test]
fn a_rate_that_does_not_say_how_it_is_counted_is_counted_as_the_file_says() {
    let counted = |said, of_file| {
        let then = WantedThen { rate: Some((5, 1.0, said)), ..WantedThen::default() };
        then.checked(of_file).unwrap().limits.rate.unwrap().algorithm
    };
    for of_file in [Algorithm::FixedWindow, Algorithm::TokenBucket] {
        assert_eq!(counted(None, of_file), of_file);
        assert_eq!(counted(Some(Algorithm::FixedWindow), of_file), Algorithm::FixedWindow);
        assert_eq!(counted(Some(Algorithm::TokenBucket), of_file), Algorithm::TokenBucket);
    }
}
