//! `smtpd-delivery.yaml`: settings for what is matched once the host is known.

use std::time::Duration;

use nix::sys::signal::Signal;
use tests::peer::{Behaviour, Peer, Phase, Rule, Tls};
use tests::pki::Authority;
use tests::{Client, NameServer, Record, Smtpd, wait_until};

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// Both domains have their mail taken on loopback.
fn two_domains() -> NameServer {
    NameServer::start(&[
        ("one.example", Record::Mx(10, "mx.one.example")),
        ("two.example", Record::Mx(10, "mx.two.example")),
        ("mx.one.example", Record::A("127.0.0.1")),
        ("mx.two.example", Record::A("127.0.0.1")),
    ])
}

fn server(peer: &Peer, dns: &NameServer, delivery: &str) -> tests::Builder {
    let builder = Smtpd::by_mx(peer.port(), dns.port()).shards(1);
    let path = builder.dir().join("smtpd-delivery.yaml");
    write(&path, delivery);
    builder.environment(&format!("deliveryconf: \"{}\"", path.display()))
}

fn write(path: &std::path::Path, delivery: &str) {
    std::fs::write(path, format!("version: \"6.10\"\ndelivery:\n{delivery}")).expect("it can be written");
}

fn send(server: &Smtpd, domain: &str) {
    Client::connect(server.port()).send("a@a.example", &[&format!("x@{domain}.example")], BODY);
}

#[test]
fn tls_can_be_asked_of_some_destinations_and_a_reload_changes_that() {
    let (peer, dns) = (Peer::start(Behaviour::new()), two_domains());
    let delivery = "  conditions:\n    - {if: {remotemx: mx.one.example}, then: {tls: {mode: require}}}\n";
    let server = server(&peer, &dns, delivery).start();
    send(&server, "one");
    server.wait_for_log("STARTTLS");
    send(&server, "two");
    peer.wait_for(1);
    assert_eq!(peer.messages()[0].to, ["x@two.example"], "the peer has no TLS");
    write(&server.dir().join("smtpd-delivery.yaml"), "  default: {tls: {mode: optional}}\n");
    server.signal(Signal::SIGHUP);
    peer.wait_for(2);
}

/// A connection in clear is not for mail that wants TLS, nor the other way round, though both lead to the same address.
#[test]
fn a_connection_serves_only_mail_that_asks_the_same_of_tls() {
    let config = Authority::new().issue(&["mx.one.example"]).server();
    let tls = Tls { config, implicit: false, fault: None };
    let (peer, dns) = (Peer::start(Behaviour::new().tls(tls)), two_domains());
    let mode = |domain: &str, mode: &str| {
        format!("    - {{if: {{recipientdomain: {domain}.example}}, then: {{tls: {{mode: {mode}}}}}}}\n")
    };
    let delivery = format!("  conditions:\n{}{}", mode("one", "require"), mode("two", "disabled"));
    let server = server(&peer, &dns, &delivery).start();
    for (number, domain) in ["one", "two", "one", "two"].into_iter().enumerate() {
        send(&server, domain);
        peer.wait_for(number + 1);
    }
    let connections = peer.connections();
    let seen: Vec<_> = peer
        .messages()
        .into_iter()
        .map(|message| (message.to[0].clone(), connections[message.connection].tls.is_some()))
        .collect();
    let (one, two) = (("x@one.example".to_owned(), true), ("x@two.example".to_owned(), false));
    assert_eq!(seen, [one.clone(), two.clone(), one, two]);
    assert_eq!(connections.len(), 2, "each was used again: {connections:#?}");
}

#[test]
fn connections_are_used_again_as_often_as_the_delivery_file_says() {
    let cases = [
        ("{default: {pooling: {enabled: false}}}", 6),
        ("{default: {pooling: {transactions: 2}}}", 3),
        ("{conditions: [{if: {remoteip: 127.0.0.1}, then: {pooling: {transactions: 3}}}]}", 2),
        ("{conditions: [{if: {remoteip: 127.0.0.2}, then: {pooling: {transactions: 3}}}]}", 1),
    ];
    for (delivery, connections) in cases {
        let (peer, dns) = (Peer::start(Behaviour::new().forget_data()), two_domains());
        let server = server(&peer, &dns, &format!("  {delivery}\n")).start();
        for number in 0..6 {
            send(&server, "one");
            peer.wait_for(number + 1);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(peer.connection_count(), connections, "{delivery}");
    }
}

#[test]
fn one_destination_is_tried_again_by_a_schedule_of_its_own_and_waited_for_as_long_as_is_said() {
    let busy = Rule::at(Phase::Rcpt).containing("x@one.example").reply("450 4.2.1 later");
    let (peer, dns) = (Peer::start(Behaviour::new().rule(busy)), two_domains());
    let delivery = "  conditions:\n    - {if: {recipientdomain: one.example}, then: {retry: {count: 0}}}\n";
    let server = server(&peer, &dns, delivery).start();
    send(&server, "one");
    server.wait_for_log("why=expired");
    drop(server);

    let silent = Rule::at(Phase::Banner).first(1).stall();
    let (peer, dns) = (Peer::start(Behaviour::new().rule(silent)), two_domains());
    let delivery = "  default: {timeout: {smtp: {BANNER: 1}}}\n";
    let server = self::server(&peer, &dns, delivery).start();
    send(&server, "one");
    assert!(wait_until(Duration::from_secs(20), || peer.message_count() == 1), "{:#?}", server.log());
}
