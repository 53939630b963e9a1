//! What would become of a recipient, and what stands in its way.

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use tests::{NameServer, Record, Smtpd};

use super::{in_states, send, wait_for_rows};

#[test]
fn hosts_and_suspends_are_explained_and_nothing_is_sent() {
    let names = NameServer::start(&[
        ("a.example", Record::Mx(10, "mx1.a.example")),
        ("a.example", Record::Mx(20, "mx2.a.example")),
        ("mx1.a.example", Record::A("127.0.0.2")),
        ("mx2.a.example", Record::A("127.0.0.3")),
    ]);
    let suspend =
        "version: \"6.10\"\nsuspends:\n  - jobid: x\n  - recipientdomain: a.example\n    tag: slow\n";
    let server = Smtpd::by_mx(1, names.port()).suspends(Some(suspend)).start();
    send(server.port(), &["u@a.example"]);
    let mut control = server.control();
    let queued = wait_for_rows(&mut control, &in_states(&[QueueState::Active]), 1);

    let request = proto::QueueExplainRequest { recipient: "u@A.example".into(), ..Default::default() };
    let answer: proto::QueueExplainResponse =
        control.ask(Command::QueueExplain, &request).expect("an answer");
    assert_eq!((answer.domain.as_str(), answer.transportid.as_str()), ("a.example", "out"));
    let hops: Vec<_> = answer
        .nexthops
        .iter()
        .map(|hop| (hop.preference, hop.hostname.as_str(), hop.address.as_str()))
        .collect();
    assert_eq!(hops, [(10, "mx1.a.example", "127.0.0.2"), (20, "mx2.a.example", "127.0.0.3")]);
    let suspends: Vec<_> = answer.suspends.iter().map(|one| (one.id.as_str(), one.tag.as_str())).collect();
    assert_eq!(suspends, [("file:1", "slow")]);
    assert_eq!((answer.waiting.len(), answer.waiting[0].count), (1, 1));
    assert_eq!(answer.waiting[0].waiting.as_ref().expect("it is said").kind(), proto::waiting::Kind::Suspend);

    let request = proto::QueueExplainRequest { id: queued[0].id.clone(), ..Default::default() };
    let answer: proto::QueueExplainResponse =
        control.ask(Command::QueueExplain, &request).expect("an answer");
    assert_eq!((answer.recipient.as_str(), answer.nexthops.len()), ("u@a.example", 2));
    let request = proto::QueueExplainRequest { recipient: "u@none.example".into(), ..Default::default() };
    let answer: proto::QueueExplainResponse =
        control.ask(Command::QueueExplain, &request).expect("an answer");
    assert!(answer.nexthops.is_empty() && answer.notes.len() == 1, "{:?}", answer.notes);
}

#[test]
fn the_resolver_says_which_host_a_message_would_try() {
    // OPS37
    let names = NameServer::start(&[
        ("a.example", Record::Mx(10, "mx1.a.example")),
        ("a.example", Record::Mx(10, "mx2.a.example")),
        ("a.example", Record::Mx(10, "mx3.a.example")),
        ("mx1.a.example", Record::A("127.0.0.2")),
        ("mx2.a.example", Record::A("127.0.0.3")),
        ("mx3.a.example", Record::A("127.0.0.4")),
    ]);
    let server = Smtpd::by_mx(1, names.port()).start();
    let mut control = server.control();
    let mut query = |retry| {
        let seed = Some("5b1b6c2e-1f6e-4a7d-9f0e-3d2f8a4f1c11".to_owned());
        let request = proto::ResolverQueryRequest { name: "a.example".into(), seed, retry: Some(retry) };
        let answer: proto::ResolverQueryResponse =
            control.ask(Command::ResolverQuery, &request).expect("an answer");
        answer.hostname
    };
    let first = query(0);
    assert_eq!(query(0), first);
    assert!((1..12).any(|retry| query(retry) != first), "all of {first}");
}
