//! This host among the MX hosts of a domain (RFC 5321 section 5.1): mail goes to better ones and never comes back.

use std::time::Duration;

use tests::peer::{Behaviour, Peer};
use tests::{Builder, Client, NameServer, Record, Smtpd, wait_until};

/// What the servers of these tests call themselves.
const US: &str = "mx.test.example";

/// Where a better and a worse host of the test's domains are.
const BETTER: &str = "127.0.0.9";
const WORSE: &str = "127.0.0.10";

fn zone() -> NameServer {
    NameServer::start(&[
        ("backup.example", Record::Mx(10, "better.example")),
        ("backup.example", Record::Mx(20, "this.example")),
        ("backup.example", Record::Mx(20, "worse.example")),
        ("primary.example", Record::Mx(10, "this.example")),
        ("primary.example", Record::Mx(20, "better.example")),
        ("named.example", Record::Mx(10, US)),
        ("named.example", Record::Mx(20, "better.example")),
        // Without MX records a domain is its own host.
        ("bare.example", Record::A("127.0.0.1")),
        ("better.example", Record::A(BETTER)),
        // What it is, is known by its address.
        ("this.example", Record::A("127.0.0.1")),
        ("worse.example", Record::A(WORSE)),
        // What it is, is known by its name.
        (US, Record::A(WORSE)),
    ])
}

fn at(ip: &str, port: u16) -> Peer {
    Peer::start_at(std::net::SocketAddr::new(ip.parse().expect("an address"), port), Behaviour::new())
}

/// It connects to the port that it listens on itself, as all do that are MX hosts.
fn server(dns: &NameServer) -> Builder {
    let builder = Smtpd::by_mx(1, dns.port());
    let port = builder.port();
    builder.replace_connection(&format!("connection: {{port: {port}}}"))
}

fn send(server: &Smtpd, to: &str) {
    Client::connect(server.port()).send("a@a.example", &[to], b"Subject: x\r\n\r\nx\r\n");
}

#[test]
fn mail_goes_to_hosts_that_are_better_than_this_one_and_fails_where_there_is_none() {
    let dns = zone();
    let builder = server(&dns);
    let (better, worse) = (at(BETTER, builder.port()), at(WORSE, builder.port()));
    let server = builder.start();
    send(&server, "x@backup.example");
    assert_eq!(better.wait_for(1)[0].to, ["x@backup.example"]);
    for (to, host) in [
        ("x@primary.example", "this.example"),
        ("x@named.example", US),
        ("x@bare.example", "bare.example"),
        ("x@[127.0.0.1]", "[127.0.0.1]"),
    ] {
        send(&server, to);
        let why = format!("mail loops back to myself: {host} is this host");
        let failed = || {
            let log = server.log();
            log.iter().any(|line| line.contains(&format!("<{to}>")) && line.contains(&why))
        };
        assert!(wait_until(Duration::from_secs(60), failed), "{to}: {:#?}", server.log());
    }
    assert_eq!((better.message_count(), worse.connection_count()), (1, 0));
    assert!(!server.log().iter().any(|line| line.contains("Too many hops")), "{:#?}", server.log());
}

#[test]
fn mail_waits_for_a_better_host_that_does_not_answer_and_goes_to_no_worse_one() {
    let dns = zone();
    let builder = server(&dns);
    let worse = at(WORSE, builder.port());
    let port = builder.port();
    let server = builder.start();
    send(&server, "x@backup.example");
    server.wait_for_log(&format!("connect to better.example[{BETTER}]:{port}"));
    let better = at(BETTER, port);
    // It may have been left alone for a minute by then.
    assert!(wait_until(Duration::from_secs(240), || better.message_count() == 1), "{:#?}", server.log());
    assert_eq!(worse.connection_count(), 0);
}

#[test]
fn a_fixed_next_hop_is_not_taken_for_this_host_by_its_name() {
    let dns = zone();
    let peer = at(WORSE, 0);
    let connection = format!("connection: {{server: {US}, port: {}}}", peer.port());
    let server = Smtpd::by_mx(1, dns.port()).replace_connection(&connection).start();
    send(&server, "x@named.example");
    peer.wait_for(1);
}
