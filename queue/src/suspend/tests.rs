use super::*;

fn one(field: Field, value: &str) -> Result<Suspends, RuleError> {
    Suspends::compile(&[Rule { fields: vec![(field, vec![value.into()])], tag: None }], &[])
}

fn facts(field: Field, value: &str) -> Facts<'_> {
    let mut facts = Facts::default();
    match field {
        Field::TenantId => facts.tenant_id = Some(value),
        Field::JobId => facts.job_id = Some(value),
        Field::TransportId => facts.transport_id = Some(value),
        Field::Grouping => facts.grouping = Some(value),
        Field::RemoteMx => facts.remote_mx = Some(value),
        Field::RecipientDomain => facts.recipient_domain = Some(value),
        Field::LocalIp => facts.local_ip = Some(value.parse().unwrap()),
        Field::RemoteIp => facts.remote_ip = Some(value.parse().unwrap()),
    }
    facts
}

#[test]
fn values_match_as_configuration_1_8_says() {
    use Field::*;
    let cases = [
        // field, value in the rule, fact, matches
        (JobId, "Bulk", "Bulk", true),
        (JobId, "Bulk", "bulk", false),
        (JobId, "/^b.*k$/", "bulk", true),
        (JobId, "/^b.*k$/", "Bulk", false),
        (JobId, "/^b.*k$/i", "BULK", true),
        (JobId, "/ul/", "bulk", true),
        (JobId, "*.b", "a.b", false),
        (TenantId, "", "", true),
        (TransportId, "mx", "mx2", false),
        (RecipientDomain, "Example.COM", "example.com", true),
        (RecipientDomain, "example.com.", "example.com", true),
        (RecipientDomain, "example.com", "a.example.com", false),
        (RecipientDomain, "*.example.com", "example.com", false),
        (RecipientDomain, "*.example.com", "a.example.com", true),
        (RecipientDomain, "*.example.com", "a.b.example.com", true),
        (RecipientDomain, "*.example.com", "notexample.com", false),
        (RecipientDomain, "/^GMAIL/", "gmail.com", true),
        (RemoteMx, "*.protection.outlook.com", "a-com.mail.protection.outlook.com", true),
        (Grouping, "&google", "&google", true),
        (Grouping, "&google", "google", false),
        (RemoteIp, "192.0.2.0/24", "192.0.2.77", true),
        (RemoteIp, "192.0.2.0/24", "192.0.3.77", false),
        (RemoteIp, "192.0.2.7", "192.0.2.7", true),
        (RemoteIp, "192.0.2.7", "192.0.2.8", false),
        (LocalIp, "2001:db8::/32", "2001:db8:1::1", true),
        (RemoteIp, "192.0.2.7", "::ffff:192.0.2.7", true),
    ];
    for (field, value, fact, expected) in cases {
        let rules = one(field, value).unwrap();
        assert_eq!(rules.matches(&facts(field, fact)).is_some(), expected, "{field:?} {value} {fact}");
    }
}

#[test]
fn bad_values_are_refused_with_the_cause() {
    use Field::*;
    let cases = [
        (RemoteIp, "192.0.2.0/33", "IPv4 or IPv6"),
        (RemoteIp, "/x/", "IPv4 or IPv6"),
        (JobId, "/x", "ends with '/'"),
        (JobId, "//", "empty"),
        (JobId, "/(/", "unclosed group"),
        (JobId, "/a(?=b)/", "look-around and back-references are not supported"),
        (JobId, r"/(a)\1/", "look-around and back-references are not supported"),
        (JobId, r"/\w{1000}{1000}/", "too large"),
        (RecipientDomain, "*.", "only at the start"),
        (RecipientDomain, "a.*.test", "only at the start"),
        (RecipientDomain, "bücher.test", "xn--"),
        (RemoteMx, "@google", "no list lists.remotemx.google"),
    ];
    for (field, value, problem) in cases {
        let error = one(field, value).unwrap_err();
        assert_eq!((error.rule, error.field, error.value.as_str()), (0, Some(field), value));
        assert!(error.problem.contains(problem), "{value}: {}", error.problem);
    }
}

#[test]
fn lists_belong_to_a_field_and_do_not_nest() {
    let list = |field, values: &[&str]| List {
        field,
        name: "google".into(),
        values: values.iter().map(|value| value.to_string()).collect(),
    };
    let rule = Rule { fields: vec![(Field::RemoteMx, vec!["@google".into()])], tag: None };
    let good = [list(Field::JobId, &["x"]), list(Field::RemoteMx, &["*.google.com", "smtp.test"])];
    let rules = Suspends::compile(std::slice::from_ref(&rule), &good).unwrap();
    for (mx, matches) in [("aspmx.l.google.com", true), ("smtp.test", true), ("x", false)] {
        assert_eq!(rules.matches(&facts(Field::RemoteMx, mx)).is_some(), matches, "{mx}");
    }
    let nested = [list(Field::RemoteMx, &["@other"])];
    assert!(Suspends::compile(&[rule], &nested).unwrap_err().problem.contains("cannot refer"));
}

#[test]
fn all_fields_of_a_rule_must_be_known_and_match_and_the_first_rule_is_named() {
    let rule = |fields: &[(Field, &[&str])]| Rule {
        fields: fields.iter().map(|(f, v)| (*f, v.iter().map(|v| v.to_string()).collect())).collect(),
        tag: None,
    };
    let rules = Suspends::compile(
        &[
            rule(&[(Field::JobId, &["/^b/"]), (Field::RemoteMx, &["mx.test"])]),
            rule(&[(Field::RecipientDomain, &["a.test", "*.b.test"]), (Field::TenantId, &["t"])]),
            rule(&[(Field::RecipientDomain, &["a.test"])]),
        ],
        &[],
    )
    .unwrap();
    let known = Facts { job_id: Some("bulk"), tenant_id: Some(""), ..Facts::default() };
    let cases = [
        (known, None),
        (Facts { remote_mx: Some("mx.test"), ..known }, Some(0)),
        (Facts { remote_mx: Some("other.test"), ..known }, None),
        (Facts { recipient_domain: Some("a.test"), ..known }, Some(2)),
        (Facts { recipient_domain: Some("a.test"), tenant_id: Some("t"), ..known }, Some(1)),
        (Facts { recipient_domain: Some("x.b.test"), tenant_id: Some("t"), ..known }, Some(1)),
        (Facts { recipient_domain: Some("x.b.test"), ..known }, None),
    ];
    for (facts, expected) in cases {
        assert_eq!(rules.matches(&facts), expected, "{facts:?}");
    }
}

#[test]
fn no_rules_match_nothing_and_a_rule_without_fields_matches_everything() {
    let none = Suspends::compile(&[], &[]).unwrap();
    assert!(none.is_empty());
    assert_eq!(none.matches(&facts(Field::JobId, "x")), None);
    let all = Suspends::compile(&[Rule::default()], &[]).unwrap();
    assert_eq!(all.matches(&Facts::default()), Some(0));
}
