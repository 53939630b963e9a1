//! Next hops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tests::peer::{Tls, TlsFault};
use tests::pki::Authority;
use tests::{
    Behaviour, Builder, Client, NameServer, Peer, Phase, Record, Rule, SecureClient, Smtpd, wait_until,
};

use super::path;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It is delivered over TLS.
    Encrypted,
    /// It is delivered in clear.
    Clear,
    /// It waits, for a reason with this in it.
    Deferred(&'static str),
}
use Expected::{Clear, Deferred, Encrypted};

fn over_tls(config: Arc<rustls::ServerConfig>, fault: Option<TlsFault>) -> Behaviour {
    Behaviour::new().tls(Tls { config, implicit: false, fault })
}

/// A relay to a peer under a TLS mode, which trusts `authority` and nobody else.
fn relay(peer: &Peer, authority: &Authority, session: &str) -> Builder {
    let builder = Smtpd::relay_to(peer.port());
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    builder
        .transport(&format!("session: {{tls: {{{session}}}}}"))
        .running(&format!("pki: {{trusted: [{{id: ca, certificate: {}}}]}}", path(&ca)))
}

/// One message after the other against a peer that is in each of these states; who waits is delivered once the peer is
/// well again.
fn check(mode: &str, cases: [(&str, Expected); 9]) {
    let authority = Authority::new();
    let good = authority.issue(&["127.0.0.1"]).server();
    let states = |name: &str| match name {
        "good" => over_tls(Arc::clone(&good), None),
        "no STARTTLS" => Behaviour::new(),
        "refused" => {
            over_tls(Arc::clone(&good), None).rule(Rule::at(Phase::StartTls).reply("454 4.7.0 not now"))
        }
        "another name" => over_tls(authority.issue(&["mx.other.example"]).server(), None),
        "stranger" => over_tls(Authority::new().issue(&["127.0.0.1"]).server(), None),
        "expired" => over_tls(authority.issue_until(&["127.0.0.1"], 2001).server(), None),
        "garbage" => over_tls(Arc::clone(&good), Some(TlsFault::Garbage)),
        "closes" => over_tls(Arc::clone(&good), Some(TlsFault::Close)),
        "plaintext behind" => over_tls(Arc::clone(&good), Some(TlsFault::PlaintextBehind)),
        other => panic!("{other} is no state"),
    };
    let peer = Peer::start(states("good"));
    let verify = if mode.ends_with("_verify") { ", verify: {defaultca: false}" } else { "" };
    let server = relay(&peer, &authority, &format!("mode: {mode}{verify}")).start();
    for (number, (state, expected)) in cases.into_iter().enumerate() {
        // A connection of the case before must not serve this one.
        peer.behave(states(state).rule(Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken")));
        let from = format!("{number}@a.example");
        let id = Client::connect(server.port()).send(&from, &["b@b.example"], b"Subject: x\r\n\r\n");
        if let Deferred(reason) = expected {
            server.wait_for_log(&format!("[{id}:1] deferred"));
            let log = server.log();
            let line =
                log.iter().find(|line| line.contains(&format!("[{id}:1] deferred"))).expect("waited for");
            assert!(line.contains(reason), "{mode}, {state}: {line}");
            assert_eq!(peer.message_count(), number, "{mode}, {state}: nothing was sent");
            peer.behave(states("good").rule(Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken")));
        }
        let arrived = peer.wait_for(number + 1);
        let message = arrived.last().expect("waited for");
        assert_eq!(message.from, from, "{mode}, {state}");
        let encrypted = peer.connections()[message.connection].tls.is_some();
        assert_eq!(encrypted, expected != Clear, "{mode}, {state}");
    }
}

#[test]
fn optional_tls_goes_on_in_clear_within_the_same_attempt() {
    check(
        "optional",
        [
            ("good", Encrypted),
            ("no STARTTLS", Clear),
            ("refused", Clear),
            ("another name", Encrypted),
            ("stranger", Encrypted),
            ("expired", Encrypted),
            ("garbage", Clear),
            ("closes", Clear),
            ("plaintext behind", Clear),
        ],
    );
}

#[test]
fn optional_tls_that_verifies_takes_a_bad_certificate_for_no_tls() {
    check(
        "optional_verify",
        [
            ("good", Encrypted),
            ("no STARTTLS", Clear),
            ("refused", Clear),
            ("another name", Clear),
            ("stranger", Clear),
            ("expired", Clear),
            ("garbage", Clear),
            ("closes", Clear),
            ("plaintext behind", Clear),
        ],
    );
}

#[test]
fn required_tls_waits_where_there_is_none_and_asks_nothing_of_certificates() {
    check(
        "require",
        [
            ("good", Encrypted),
            ("no STARTTLS", Deferred("Peer does not offer STARTTLS")),
            ("refused", Deferred("454 4.7.0 not now")),
            ("another name", Encrypted),
            ("stranger", Encrypted),
            ("expired", Encrypted),
            ("garbage", Deferred("what it sent is no TLS")),
            ("closes", Deferred("TLS: the ")),
            ("plaintext behind", Deferred("state=STARTTLS")),
        ],
    );
}

#[test]
fn required_tls_that_verifies_waits_for_a_good_certificate() {
    check(
        "require_verify",
        [
            ("good", Encrypted),
            ("no STARTTLS", Deferred("Peer does not offer STARTTLS")),
            ("refused", Deferred("454 4.7.0 not now")),
            ("another name", Deferred("it is for mx.other.example, not for 127.0.0.1")),
            ("stranger", Deferred("no authority that is trusted here has issued it")),
            ("expired", Deferred("it has expired")),
            ("garbage", Deferred("what it sent is no TLS")),
            ("closes", Deferred("TLS: the ")),
            ("plaintext behind", Deferred("state=STARTTLS")),
        ],
    );
}

#[test]
fn a_client_shows_who_it_is_asks_for_a_name_and_resumes() {
    let authority = Authority::new();
    let config = authority.server_with_clients(&authority.issue(&["relay.other.example"]));
    let closing = Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken");
    let peer = Peer::start(Behaviour::new().tls(Tls { config, implicit: true, fault: None }).rule(closing));
    let builder = Smtpd::relay_to(peer.port());
    let (certificate, key) = authority.issue(&["us.test.example"]).write(builder.dir(), "us");
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let private =
        format!("private: [{{id: us, certificate: {}, privatekey: {}}}]", path(&certificate), path(&key));
    let trusted = format!("trusted: [{{id: ca, certificate: {}}}]", path(&ca));
    let server = builder
        .shards(1)
        .transport(
            "session: {tls: {mode: require_verify, implicit: true, sni: sni.other.example, clientcert: us, \
             verify: {names: [relay.other.example], defaultca: false}}}",
        )
        .running(&format!("pki: {{{private}, {trusted}}}"))
        .start();
    for number in 1..=3 {
        Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\n");
        peer.wait_for(number);
    }
    for (number, connection) in peer.connections().iter().enumerate() {
        let tls = connection.tls.as_ref().expect("encrypted");
        assert_eq!(tls.sni.as_deref(), Some("sni.other.example"));
        assert!(tls.client_certificate, "{tls:?}");
        assert_eq!(tls.resumed, number > 0, "{tls:?}");
    }
}

#[test]
fn a_peer_whose_tls_fails_gets_its_mail_in_clear_at_once_for_a_while() {
    let authority = Authority::new();
    let broken = over_tls(authority.issue(&["127.0.0.1"]).server(), Some(TlsFault::Garbage));
    let peer = Peer::start(broken.rule(Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken")));
    let script = r#"echo "rpt " . $arguments["attempt"]["connection"]["tls"]["tlsrpt"];"#;
    let server = relay(&peer, &authority, "mode: optional")
        .running(&format!("scripting: {{hooks: {{postdelivery: '{script}'}}}}\n"))
        .start();
    for number in 1..=8 {
        Client::connect(server.port()).send("a@a.example", &["b@b.example"], b"Subject: x\r\n\r\n");
        peer.wait_for(number);
    }
    server.wait_for_log("fails in TLS, its mail goes in clear for 60 min");
    let explained =
        tests::Halonctl::of(&server.dir().join("smtpd.ctl")).run(&["queue", "explain", "b.example"]);
    let told = "127.0.0.1[127.0.0.1]: its TLS has failed lately, so its mail goes in clear for a while";
    assert!(explained.stdout.lines().any(|line| line == told), "{explained:?}");
    // Why it did, scripts are told of the messages too for which it was not tried again.
    let told = || server.log().iter().filter(|line| line.ends_with("rpt validation-failure")).count();
    assert!(wait_until(Duration::from_secs(60), || told() == 8), "{:#?}", server.log());
    let connections = peer.connection_count();
    assert!(connections <= 10, "{connections} connections for 8 messages on two shards");
}

#[test]
fn what_may_not_travel_in_clear_goes_to_the_exchanger_that_keeps_to_that_and_else_to_none() {
    let authority = Authority::new();
    let tls = |name: &str| over_tls(authority.issue(&[name]).server(), None);
    let second = Peer::start(tls("second.b.example").extension("REQUIRETLS"));
    let first = SocketAddr::from(([127, 0, 0, 9], second.port()));
    let first = Peer::start_at(first, tls("first.b.example"));
    let dns = NameServer::start(&[
        ("b.example", Record::Mx(10, "first.b.example")),
        ("b.example", Record::Mx(20, "second.b.example")),
        ("c.example", Record::Mx(10, "first.b.example")),
        ("first.b.example", Record::A("127.0.0.9")),
        ("second.b.example", Record::A("127.0.0.1")),
    ]);
    let builder = Smtpd::by_mx(second.port(), dns.port());
    let (certificate, key) = authority.issue(&["mx.test.example"]).write(builder.dir(), "mx");
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let (private, trusted) = (path(&certificate), path(&ca));
    let server = builder
        .startup(&format!("pki: {{private: [{{id: mx, privatekey: {}}}]}}", path(&key)))
        .running(&format!(
            "pki: {{private: [{{id: mx, certificate: {private}}}], trusted: [{{id: ca, certificate: {trusted}}}]}}"
        ))
        .server("tls: {certs: {cert: mx}}")
        .transport("session: {tls: {mode: require_verify, verify: {defaultca: false}}}")
        .start();
    let config = Arc::new(authority.client());
    for to in ["x@b.example", "x@c.example"] {
        let mut client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
        client.command("EHLO client.test.example\r\n", "250").expect("it greets");
        client.command("MAIL FROM:<a@a.example> REQUIRETLS\r\n", "250").expect("takes it");
        client.command(&format!("RCPT TO:<{to}>\r\n"), "250").expect("takes it");
        client.command("DATA\r\n", "354").expect("takes it");
        client.command("Subject: x\r\n\r\nx\r\n.\r\n", "250").expect("takes it");
    }
    second.wait_for(1);
    server.wait_for_log("to=<x@c.example> transport=out size=");
    server.wait_for_log("Peer does not keep to REQUIRETLS");
    assert_eq!((first.message_count(), second.message_count()), (0, 1));
}
