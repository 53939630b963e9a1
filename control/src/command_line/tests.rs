//! What options cannot say; what they can say is compared with the parser, in `ctl`.

use super::*;
use crate::smtpd::number_match::Operator;
use crate::smtpd::{
    AddressMatch, Conditions, MetadataMatch, NumberMatch, QueueDelete, QueueId, QueueMatch, StringMatch,
};

fn text(value: &str) -> StringMatch {
    StringMatch { value: value.into(), ..StringMatch::default() }
}

fn delete(conditions: Conditions) -> String {
    let action = Some(Action::Delete(QueueDelete {}));
    let request =
        QueueUpdateRequest { conditions: Some(conditions), action, ..QueueUpdateRequest::default() };
    request.command_line()
}

#[test]
fn without_a_selector_it_is_all() {
    assert_eq!(delete(Conditions::default()), "queue update --delete --all");
    assert_eq!(QueueUnloadRequest::default().command_line(), "queue unload --all");
}

#[test]
fn values_with_commas_blanks_and_quotes_stay_whole() {
    let jobids = vec![text("a, b"), text("it's"), text("line\nbreak"), text("")];
    let line = delete(Conditions { jobids, ..Conditions::default() });
    let wanted = r"queue update --delete --jobid 'a, b' --jobid 'it'\''s' --jobid 'line\nbreak' --jobid ''";
    assert_eq!(line, wanted);
}

#[test]
fn what_only_the_protocol_can_say_is_in_parentheses() {
    let conditions = Conditions {
        queues: vec![QueueMatch { queue: 3, neq: true }],
        jobids: vec![
            StringMatch { neq: true, casesensitive: true, ..text("x") },
            StringMatch { regex: "^a+$".into(), ..StringMatch::default() },
            StringMatch { partial: true, ..text("y") },
        ],
        recipients: vec![
            AddressMatch { localpart: Some(text("kim")), ..AddressMatch::default() },
            AddressMatch { domain: Some(text("a.example")), ..AddressMatch::default() },
        ],
        ages: vec![
            NumberMatch { min: Some(3.0), ..NumberMatch::default() },
            NumberMatch { value: Some(1.5), operator: Operator::Neq.into(), ..NumberMatch::default() },
        ],
        metadata: vec![
            MetadataMatch { key: "there".into(), ..MetadataMatch::default() },
            MetadataMatch { key: "qid".into(), value: Some(text("Week")), number: None },
        ],
        ..Conditions::default()
    };
    let wanted = "queue update --delete --state 'HOLD(not)' --jobid 'x(not,case)' --jobid '^a+$(regex)' \
                  --jobid 'y(part)' --recipient '(localpart kim)' --recipient '(domain a.example)' --age 3.. --age '!=1.5' \
                  --metadata there --metadata 'qid=Week(any case)'";
    assert_eq!(delete(conditions), wanted);
}

#[test]
fn a_thousand_ids_are_counted_and_a_long_value_is_cut() {
    let id = |number: u32| QueueId { transaction: format!("{number:036}"), queue: None };
    let line = delete(Conditions { ids: (0..1000).map(id).collect(), ..Conditions::default() });
    assert!(line.len() < COMMAND_LINE_BYTES + 30, "{}", line.len());
    let shown = line.matches("--id").count();
    assert!(line.starts_with("queue update --delete --id ") && shown > 10, "{line}");
    assert!(line.ends_with(&format!(" (and {} more)", 1000 - shown)), "{line}");
    let long = delete(Conditions { jobids: vec![text(&"x".repeat(5000))], ..Conditions::default() });
    assert!(long.ends_with("xxx...") && long.len() < 400, "{long}");
}
