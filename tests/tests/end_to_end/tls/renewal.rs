//! Keys and certificates that change while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::pki::Authority;
use tests::{SecureClient, Sink, Smtpd, wait_until};

use super::relay_with;

/// How often the certificate is renewed under load, with a new key each time.
const RENEWALS: usize = 10;
const CLIENTS: usize = 4;

fn reloads(server: &Smtpd) -> usize {
    server.log().iter().filter(|line| line.contains("Configuration reloaded")).count()
}

#[test]
fn certificates_renewed_with_new_keys_under_load_fail_no_handshake() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let first = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &first).server("tls: {certs: {cert: mx}}").start();
    let (stop, agreed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut shown = vec![first.der().to_vec()];
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (authority, stop, agreed, port) = (&authority, &stop, &agreed, server.port());
            scope.spawn(move || {
                // Half of them continue sessions where they can.
                let kept = Arc::new(authority.client());
                while !stop.load(Ordering::Relaxed) {
                    let fresh = || Arc::new(authority.client());
                    let config = if client % 2 == 0 { Arc::clone(&kept) } else { fresh() };
                    let mut client =
                        SecureClient::starttls(port, &config, "mx.test.example").expect("no handshake fails");
                    client.send("a@a.example", "b@b.example", "Subject: x\r\n\r\n").expect("takes it");
                    agreed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for renewal in 1..=RENEWALS {
            let issued = authority.issue(&["mx.test.example"]);
            issued.write(server.dir(), "mx");
            server.signal(Signal::SIGHUP);
            assert!(
                wait_until(Duration::from_secs(20), || reloads(&server) == renewal),
                "{:#?}",
                server.log()
            );
            let config = Arc::new(authority.client());
            let client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
            assert_eq!(client.certificate(), issued.der(), "the new one is shown");
            shown.push(issued.der().to_vec());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let agreed = agreed.into_inner();
    println!("{RENEWALS} renewals with new keys, {agreed} handshakes with a message each, 0 failed");
    assert!(agreed > RENEWALS);
    assert!(!server.log().iter().any(|line| line.contains("tls_failed")), "{:#?}", server.log());
    sink.wait_for(agreed);
}

#[test]
fn a_pair_that_does_not_fit_leaves_the_old_one_in_force_and_is_named() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let first = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &first).server("tls: {certs: {cert: mx}}").start();
    let second = authority.issue(&["mx.test.example"]);
    std::fs::write(server.dir().join("mx.crt"), second.certificate_pem()).expect("writes");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("the certificate in force stays");
    let log = server.log();
    let line = log.iter().find(|line| line.contains("the certificate in force stays")).expect("waited for");
    assert!(line.contains("mx.key") && line.contains("mx.crt"), "{line}");
    let config = Arc::new(authority.client());
    let client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
    assert_eq!(client.certificate(), first.der());
    // The key follows.
    second.write(server.dir(), "mx");
    server.signal(Signal::SIGHUP);
    assert!(wait_until(Duration::from_secs(20), || reloads(&server) == 2), "{:#?}", server.log());
    let client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
    assert_eq!(client.certificate(), second.der());
}

#[test]
fn a_certificate_near_its_end_is_warned_of_at_the_start_and_one_that_ended_serves_on() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let issued = authority.issue_until(&["mx.test.example"], 2001);
    let server = relay_with(sink.port(), &issued).server("tls: {certs: {cert: mx}}").start();
    server.wait_for_log("pki.private \"mx\": the certificate of");
    server.wait_for_log("mx.crt has expired");
}

/// Seconds since 1970 of the first of January.
const YEAR_2030_S: f64 = 1_893_456_000.0;
const YEAR_2100_S: f64 = 4_102_444_800.0;

#[test]
fn the_end_of_a_certificate_is_a_metric_that_follows_a_renewal() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let first = authority.issue_until(&["mx.test.example"], 2030);
    let server = relay_with(sink.port(), &first).server("tls: {certs: {cert: mx}}").start();
    let end = || server.control().metric("halon_certificates_not_after{id=\"mx\"}");
    assert_eq!(end(), Some(YEAR_2030_S));
    // What does not come into force does not count.
    let second = authority.issue(&["mx.test.example"]);
    std::fs::write(server.dir().join("mx.crt"), second.certificate_pem()).expect("writes");
    server.signal(Signal::SIGHUP);
    server.wait_for_log("the certificate in force stays");
    assert!(wait_until(Duration::from_secs(20), || reloads(&server) == 1), "{:#?}", server.log());
    assert_eq!(end(), Some(YEAR_2030_S));
    second.write(server.dir(), "mx");
    server.signal(Signal::SIGHUP);
    assert!(wait_until(Duration::from_secs(20), || reloads(&server) == 2), "{:#?}", server.log());
    assert_eq!(end(), Some(YEAR_2100_S));
}

#[test]
fn a_server_without_a_usable_pair_does_not_start_and_says_why() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let issued = authority.issue(&["mx.test.example"]);
    let builder = relay_with(sink.port(), &issued).server("tls: {certs: {cert: mx}}");
    std::fs::remove_file(builder.dir().join("mx.key")).expect("removes");
    let mut server = builder.launch();
    assert!(!server.wait().success());
    server.wait_for_log("pki.private \"mx\": cannot read ");
    server.wait_for_log("mx.key: No such file or directory");
}
