//! What would become of a recipient, and what stands in its way.

use std::time::Duration;

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use tests::{Halonctl, NameServer, Record, Smtpd, wait_until};

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
fn a_host_that_is_left_alone_is_explained_with_its_time() {
    let names = NameServer::start(&[
        ("a.example", Record::Mx(10, "mx1.a.example")),
        ("mx1.a.example", Record::A("127.0.0.2")),
    ]);
    // Nobody listens there.
    let server = Smtpd::by_mx(1, names.port()).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let new = halonctl.run(&["queue", "explain", "a.example"]);
    assert!(new.stdout.ends_with("Mail for it would be attempted at once.\n"), "{new:?}");
    for _ in 0..3 {
        send(server.port(), &["u@a.example"]);
    }
    let mut control = server.control();
    let request = proto::QueueExplainRequest { recipient: "u@a.example".into(), ..Default::default() };
    let mut hop = proto::ExplainHop::default();
    let parked = wait_until(Duration::from_secs(60), || {
        let answer: proto::QueueExplainResponse =
            control.ask(Command::QueueExplain, &request).expect("an answer");
        hop = answer.nexthops.first().cloned().unwrap_or_default();
        hop.parkeduntil > 0.0
    });
    assert!(parked && hop.parked == "connects have failed", "{hop:?}");
    let mut ended = halonctl.run(&["queue", "explain", "u@a.example"]);
    let said = wait_until(Duration::from_secs(60), || {
        ended = halonctl.run(&["queue", "explain", "u@a.example"]);
        let last = ended.stdout.lines().last().unwrap_or_default();
        last.contains("queued recipients wait for hosts left alone until 20") && last.ends_with("Z.")
    });
    assert!(said, "{ended:?}");
    assert!(ended.stdout.contains("left alone for "), "{ended:?}");
}

#[test]
fn tls_is_what_the_delivery_file_makes_of_it_for_each_host_and_source() {
    let mut records = vec![("mx.example", Record::A("127.0.0.9"))];
    let domains = ["one.example", "two.example", "three.example"];
    records.extend(domains.map(|domain| (domain, Record::Mx(10, "mx.example"))));
    let names = NameServer::start(&records);
    let builder = Smtpd::by_mx(1, names.port());
    let path = builder.dir().join("smtpd-delivery.yaml");
    let delivery = "version: \"6.10\"
delivery:
  conditions:
    - {if: {recipientdomain: one.example, remotemx: mx.example}, then: {tls: {mode: require_verify}}}
    - {if: {recipientdomain: two.example, localip: 127.0.0.2}, then: {tls: {mode: require}}}
  default: {tls: {mode: optional}}
";
    std::fs::write(&path, delivery).expect("it can be written");
    let running = "addresses: [{id: a, address: 127.0.0.2, hostname: a.example}, {id: b, address: 127.0.0.3}]
scripting: {hooks: {predelivery: 'Try([]);'}}
";
    let server = builder
        .replace_connection("connection: {port: 1, sourceip: {ipv4: [a, b]}}")
        .running(running)
        .environment(&format!("deliveryconf: \"{}\"", path.display()))
        .start();
    let mut control = server.control();
    let mut explain = |domain: &str| -> proto::QueueExplainResponse {
        let request = proto::QueueExplainRequest { recipient: domain.into(), ..Default::default() };
        control.ask(Command::QueueExplain, &request).expect("an answer")
    };
    let told = domains.map(|domain| explain(domain).nexthops[0].tls.clone());
    assert_eq!(told, ["require_verify", "require from 127.0.0.2; optional from 127.0.0.3", "optional"]);
    let answer = explain("one.example");
    let sources = answer.sources.iter().filter(|source| source.family == "ipv4");
    let sources: Vec<_> = sources.map(|source| (source.address.as_str(), source.blocked.as_str())).collect();
    assert_eq!(sources, [("127.0.0.2", ""), ("127.0.0.3", "")]);
    assert!(answer.notes.iter().any(|note| note.contains("predelivery script")), "{:?}", answer.notes);
}

#[test]
fn look_ups_under_way_and_waiting_are_listed() {
    // A name server that says nothing.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("it is bound").port();
    let server = Smtpd::by_mx(1, port).start();
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    for command in ["list", "queue"] {
        let ended = halonctl.run(&["resolver", command, "--json"]);
        // The server may be asking for its own name (PTR) still.
        let own = ended.stdout.contains(".in-addr.arpa") || ended.stdout.contains(".ip6.arpa");
        assert!(ended.status == Some(0) && (own || ended.stdout == "[]\n"), "{ended:?}");
    }
    send(server.port(), &["u@slow.example"]);
    let mut ended = halonctl.run(&["resolver", "list"]);
    let listed = wait_until(Duration::from_secs(60), || {
        ended = halonctl.run(&["resolver", "list"]);
        ended.stdout.contains("slow.example")
    });
    assert!(listed && ended.stdout.starts_with("┌"), "{ended:?}");
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
    let mut walked = [first, query(1), query(2)];
    walked.sort();
    assert_eq!(walked, ["mx1.a.example", "mx2.a.example", "mx3.a.example"]);
}
