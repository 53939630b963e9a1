//! What is said to a next hop: CHUNKING, LMTP, AUTH, XCLIENT, LIMITS, and what becomes of peers that do not keep to it.

use std::time::Duration;

use tests::peer::{Behaviour, Message, Peer, Phase, Rule};
use tests::{Client, Smtpd, wait_until};

fn send(server: &Smtpd, to: &[&str], body: &[u8]) {
    Client::connect(server.port()).send("a@a.example", to, body);
}

/// All recipients of `messages`, in order.
fn recipients(messages: &[Message]) -> Vec<String> {
    let mut all: Vec<String> = messages.iter().flat_map(|message| message.to.clone()).collect();
    all.sort();
    all
}

fn deferred(server: &Smtpd) -> usize {
    server.log().iter().filter(|line| line.contains("deferred")).count()
}

#[test]
fn a_peer_with_chunking_gets_messages_in_one_chunk_each() {
    let peer = Peer::start(Behaviour::new().extension("CHUNKING"));
    let server = Smtpd::relay_to(peer.port()).shards(1).start();
    let large = b"Subject: large\r\n\r\n"
        .iter()
        .copied()
        .chain(b"0123456789abcdef.\r\n.\r\n".repeat(50_000))
        .collect::<Vec<u8>>();
    let bodies: [&[u8]; 4] =
        [b"Subject: x\r\n\r\n.\r\n..\r\n", b"", b"Subject: \xff\0\r\n\r\n\0\xff\r\n", &large];
    for body in bodies {
        send(&server, &["b@b.example"], body);
    }
    let messages = peer.wait_for(4);
    let mut arrived: Vec<&[u8]> = messages.iter().map(Message::original).collect();
    let mut sent = bodies.to_vec();
    arrived.sort();
    sent.sort();
    assert!(arrived == sent, "changed on the way");
    assert!(messages.iter().all(|message| message.chunks == 1));
    assert_eq!((peer.command_count("DATA"), peer.command_count("BDAT")), (0, 4));
}

#[test]
fn a_peer_that_does_not_know_its_own_bdat_gets_data() {
    let refuses = Rule::at(Phase::Bdat).reply_then_close("500 5.5.1 what?");
    let peer = Peer::start(Behaviour::new().extension("CHUNKING").rule(refuses));
    let server = Smtpd::relay_to(peer.port()).shards(1).start();
    send(&server, &["b@b.example"], b"Subject: one\r\n\r\n.one\r\n");
    peer.wait_for(1);
    send(&server, &["c@b.example"], b"Subject: two\r\n\r\n.two\r\n");
    let messages = peer.wait_for(2);
    assert_eq!(recipients(&messages), ["b@b.example", "c@b.example"]);
    assert!(messages.iter().all(|message| message.chunks == 0));
    assert_eq!(peer.command_count("BDAT"), 1, "it is remembered");
    assert_eq!(deferred(&server), 0, "no attempt is used up");
}

#[test]
fn with_lmtp_each_recipient_has_its_own_reply() {
    let full = Rule::at(Phase::Dot).containing("full@").first(1).reply("452 4.2.2 mailbox full");
    let peer = Peer::start(Behaviour::new().lmtp().rule(full));
    let server = Smtpd::relay_to(peer.port()).transport("session: {protocol: lmtp}").shards(1).start();
    send(&server, &["b@b.example", "full@b.example", "d@b.example"], b"Subject: x\r\n\r\nx\r\n");
    let messages = peer.wait_for(2);
    assert_eq!(messages[0].to, ["b@b.example", "d@b.example"]);
    assert_eq!(messages[1].to, ["full@b.example"], "only the one is tried again");
    assert!(peer.connections().iter().all(|connection| connection.hello.is_some()));
    assert_eq!(peer.command_count("EHLO"), 0);
}

#[test]
fn a_transport_logs_in_before_mail() {
    let peer = Peer::start(Behaviour::new().extension("AUTH LOGIN PLAIN"));
    let session = "session: {tls: {mode: disabled}, sasl: {username: relay, password: secret}}";
    let server = Smtpd::relay_to(peer.port()).transport(session).start();
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    peer.wait_for(1);
    assert_eq!(peer.connections()[0].auth.as_deref(), Some(&b"\0relay\0secret"[..]));
}

#[test]
fn a_password_is_not_shown_in_clear_unless_tls_is_disabled_by_name() {
    let peer = Peer::start(Behaviour::new().extension("AUTH LOGIN PLAIN"));
    let session = "session: {sasl: {username: relay, password: secret}}";
    let server = Smtpd::relay_to(peer.port()).transport(session).start();
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    server.wait_for_log("Peer offers no AUTH mechanism for this connection");
    assert_eq!((peer.command_count("AUTH"), peer.message_count()), (0, 0));
}

#[test]
fn a_refused_login_defers_and_never_bounces() {
    let wrong = Rule::at(Phase::Auth).first(1).reply("535 5.7.8 wrong");
    let peer = Peer::start(Behaviour::new().extension("AUTH PLAIN").rule(wrong));
    let session = "session: {tls: {mode: disabled}, sasl: {username: relay, password: secret}}";
    let server = Smtpd::relay_to(peer.port()).transport(session).start();
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    server.wait_for_log("state=AUTH-PLAIN enhanced=5.7.8");
    peer.wait_for(1);
}

#[test]
fn xclient_tells_what_the_transport_says() {
    let peer = Peer::start(Behaviour::new().extension("XCLIENT NAME ADDR"));
    let session = "session: {xclient: {addr: 192.0.2.7, name: '[UNAVAILABLE]', helo: x}}";
    let server = Smtpd::relay_to(peer.port()).transport(session).start();
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    peer.wait_for(1);
    let commands = &peer.connections()[0].commands;
    let xclient: Vec<&String> = commands.iter().filter(|line| line.starts_with("XCLIENT")).collect();
    assert_eq!(xclient, ["XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]"]);
    assert_eq!(peer.command_count("EHLO"), 2, "the session begins anew");
}

#[test]
fn more_recipients_than_a_peer_takes_at_once_go_in_further_transactions() {
    let five = ["b@b.example", "c@b.example", "d@b.example", "e@b.example", "f@b.example"];
    let says_so = Behaviour::new().extension("LIMITS RCPTMAX=2");
    let refuses = Behaviour::new()
        .rule(Rule::at(Phase::Rcpt).on_each_connection().nth(3).reply("452 4.5.3 too many recipients"));
    for (behaviour, transactions) in [(says_so, 3), (refuses, 2)] {
        let peer = Peer::start(behaviour);
        let server = Smtpd::relay_to(peer.port()).shards(1).start();
        send(&server, &five, b"Subject: x\r\n\r\nx\r\n");
        let messages = peer.wait_for(transactions);
        assert_eq!(recipients(&messages), five, "each once");
        assert_eq!((messages.len(), peer.connection_count()), (transactions, 1));
        assert_eq!(deferred(&server), 0, "nobody waits");
    }
}

#[test]
fn a_peer_that_refuses_and_closes_in_the_middle_of_a_message_is_heard() {
    let early = Rule::at(Phase::Body).first(1).reply_then_close("452 4.3.1 no room for that");
    let peer = Peer::start(Behaviour::new().rule(early));
    let server = Smtpd::relay_to(peer.port()).start();
    let large = b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n".repeat(200_000);
    send(&server, &["b@b.example"], &large);
    assert!(
        wait_until(Duration::from_secs(20), || deferred(&server) > 0),
        "it is deferred: {:#?}",
        server.log()
    );
    peer.wait_for(1);
}

fn send_internationalised(server: &Smtpd) {
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example> SMTPUTF8\r\n", "250");
    client.command("RCPT TO:<dømi@b.example>\r\n", "250");
    client.command("DATA\r\n", "354");
    client.command("Subject: x\r\n\r\nx\r\n.\r\n", "250");
}

#[test]
fn a_message_that_needs_smtputf8_is_not_downgraded() {
    let peer = Peer::start(Behaviour::new());
    let server = Smtpd::relay_to(peer.port()).start();
    send_internationalised(&server);
    server.wait_for_log("Peer does not take non-ASCII addresses");
    let find = || peer.messages().into_iter().find(|message| message.to == ["dømi@b.example"]);
    assert!(find().is_none(), "{:?}", peer.messages());
    // A connection that is kept for reuse knows what the peer offered when it began.
    let (server, _) = server.stop();
    peer.behave(Behaviour::new().extension("SMTPUTF8"));
    let server = server.start();
    send_internationalised(&server);
    // The report on the first message comes here too.
    assert!(wait_until(Duration::from_secs(10), || find().is_some()), "{:?}", peer.messages());
    assert!(find().expect("it has come").mail_parameters.contains("SMTPUTF8"));
}

#[test]
fn a_proxy_connects_for_us_and_is_told_from_where_to_where() {
    let peer = Peer::start(Behaviour::new());
    // A server that believes PROXY headers stands for the proxy and the host behind it.
    let host =
        Smtpd::relay_to(peer.port()).listen("proxyprotocol: [127.0.0.1]").server("openrelay: true").start();
    let connection = format!(
        "connection: {{server: 192.0.2.9, port: 2525, sourceip: {{ipv4: [a]}}, \
         proxyprotocol: {{server: 127.0.0.1, port: {}}}}}",
        host.port()
    );
    let addresses = "addresses: [{id: a, address: 198.51.100.7, hostname: a.out.example}]";
    let server = Smtpd::relay_to(1).replace_connection(&connection).running(addresses).start();
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    peer.wait_for(1);
    host.wait_for_log("remote=198.51.100.7:0 helo=a.out.example");
    server.wait_for_log("mx=192.0.2.9 remote=192.0.2.9:2525 local=198.51.100.7");
    // Without the proxy, mail waits and uses up no retry.
    let port = host.port();
    drop(host);
    // The kernel closes the sockets of a ring some time after its process has ended.
    let refused = || std::net::TcpStream::connect(("127.0.0.1", port)).is_err();
    assert!(wait_until(Duration::from_secs(20), refused));
    send(&server, &["b@b.example"], b"Subject: x\r\n\r\nx\r\n");
    server.wait_for_log(" waiting ");
    assert_eq!(deferred(&server), 0);
}
