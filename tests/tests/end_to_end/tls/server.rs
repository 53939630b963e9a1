//! Clients.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tests::pki::Authority;
use tests::{Client, SecureClient, Sink, Smtpd, free_port, wait_until};

use super::{path, relay_with};

#[test]
fn mail_comes_in_over_starttls_and_over_a_listener_that_begins_in_tls() {
    for driver in ["uring", "epoll"] {
        let (authority, sink, tls_port) = (Authority::new(), Sink::start(), free_port());
        let issued = authority.issue(&["mx.test.example"]);
        let server = relay_with(sink.port(), &issued)
            .driver(driver)
            .listener(&format!("{{address: 127.0.0.1, port: {tls_port}, id: tls}}"))
            .server("tls: {certs: {cert: mx}, implicit: [tls]}")
            .start();
        let mut plain = Client::open(server.port());
        plain.expect("220");
        assert!(plain.command("EHLO x\r\n", "250").contains("STARTTLS"));
        plain.send("0@a.example", &["b@b.example"], b"Subject: in clear\r\n\r\n");
        let config = Arc::new(authority.client());
        let mut client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
        assert!(!client.command("EHLO x\r\n", "250").expect("answers").contains("STARTTLS"));
        client.command("STARTTLS\r\n", "50").expect("once is enough");
        client.send("1@a.example", "b@b.example", "Subject: starttls\r\n\r\n").expect("takes it");
        let mut client = SecureClient::implicit(tls_port, &config, "mx.test.example").expect("agrees");
        let large = format!("Subject: implicit\r\n\r\n{}", "x".repeat(70) + "\r\n").repeat(20_000);
        client.send("2@a.example", "b@b.example", &large).expect("takes it");
        let arrived = sink.wait_for(3);
        for (from, with) in [("0@a.example", "ESMTP"), ("1@a.example", "ESMTPS"), ("2@a.example", "ESMTPS")] {
            let message = arrived.iter().find(|message| message.from == from).expect("arrived");
            let text = String::from_utf8_lossy(&message.data[..300.min(message.data.len())]).into_owned();
            assert!(text.contains(&format!(" with {with} id ")), "{driver}: {text}");
            if from == "2@a.example" {
                assert!(message.original() == large.as_bytes(), "changed on the way, with {driver}");
            }
        }
        // Lines are written together, and so after the mail has come.
        let all =
            || server.log().iter().filter(|line| line.contains(" accepted server=default")).count() == 3;
        assert!(wait_until(Duration::from_secs(20), all), "{:#?}", server.log());
        let log = server.log();
        let lines = log.iter().filter(|line| line.contains(" accepted server=default"));
        let of_tls = lines.filter(|line| line.contains("tls=TLSv1.3:TLS_AES_256_GCM_SHA384:unverified"));
        assert_eq!(of_tls.count(), 2, "{log:#?}");
    }
}

#[test]
fn what_was_said_in_clear_behind_starttls_is_not_obeyed() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let issued = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &issued).server("tls: {certs: {cert: mx}}").start();
    let config = Arc::new(authority.client());
    let injected = b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@a.example>\r\nRCPT TO:<b@b.example>\r\n";
    let mut client =
        SecureClient::starttls_with(server.port(), &config, "mx.test.example", injected).expect("agrees");
    client.command("MAIL FROM:<good@a.example>\r\n", "250").expect("no MAIL was before");
    client.command("DATA\r\n", "503").expect("no RCPT was before");
    client.command("RSET\r\n", "250").expect("answers");
    client.send("good@a.example", "b@b.example", "Subject: x\r\n\r\n").expect("takes it");
    assert_eq!(sink.wait_for(1)[0].from, "good@a.example");
}

#[test]
fn mail_before_tls_is_refused_where_tls_is_required() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let issued = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &issued).server("tls: {certs: {cert: mx}, required: true}").start();
    let mut plain = Client::connect(server.port());
    assert_eq!(
        plain.command("MAIL FROM:<a@a.example>\r\n", "530"),
        "530 5.7.0 Must issue a STARTTLS command first\r\n"
    );
    let config = Arc::new(authority.client());
    let mut client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
    client.send("a@a.example", "b@b.example", "Subject: x\r\n\r\n").expect("takes it");
    sink.wait_for(1);
}

#[test]
fn each_name_has_its_certificate_and_clients_show_theirs_where_they_must() {
    let (authority, stranger, sink) = (Authority::new(), Authority::new(), Sink::start());
    let issued = authority.issue(&["mx.test.example", "other.test.example"]);
    let named = authority.issue(&["named.test.example"]);
    let builder = Smtpd::relay_to(sink.port());
    let pair = |id: &str, (certificate, key): (std::path::PathBuf, std::path::PathBuf)| {
        format!("{{id: {id}, certificate: {}, privatekey: {}}}", path(&certificate), path(&key))
    };
    let mx = pair("mx", issued.write(builder.dir(), "mx"));
    let other = pair("named", named.write(builder.dir(), "named"));
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let trusted = format!("trusted: [{{id: ca, certificate: {}}}]", path(&ca));
    let server = builder
        .running(&format!("pki: {{private: [{mx}, {other}], {trusted}}}"))
        .server(
            "tls: {certs: {cert: mx, sni: [{hostname: named.test.example, cert: named}]}, clientcert: require}",
        )
        .start();
    let good = Arc::new(authority.client_with(&authority.issue(&["client.test.example"])));
    for (name, der) in [("other.test.example", issued.der()), ("named.test.example", named.der())] {
        let mut client = SecureClient::starttls(server.port(), &good, name).expect("agrees");
        assert_eq!(client.certificate(), der, "{name}");
        client.send("a@a.example", "b@b.example", "Subject: x\r\n\r\n").expect("takes it");
    }
    server.wait_for_log(":verified");
    for bad in [authority.client(), authority.client_with(&stranger.issue(&["client.test.example"]))] {
        let client = SecureClient::starttls(server.port(), &Arc::new(bad), "mx.test.example");
        let said = client.and_then(|mut client| client.command("EHLO x\r\n", "250"));
        said.expect_err("has nothing to show that passes");
    }
    server.wait_for_log("tls_failed server=default");
    server.wait_for_log("the peer sent none");
    server.wait_for_log("no authority that is trusted here has issued it");
}

#[test]
fn a_client_that_speaks_no_tls_after_starttls_costs_a_line_in_the_log_and_nobody_else() {
    let (authority, sink) = (Authority::new(), Sink::start());
    let issued = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &issued).server("tls: {certs: {cert: mx}}").start();
    let mut garbage = Client::connect(server.port());
    garbage.command("STARTTLS\r\n", "220");
    garbage.write(b"EHLO again\r\nMAIL FROM:<a@a.example>\r\n");
    // An alert, and the end.
    assert!(!garbage.read_to_end().starts_with(b"2"));
    server.wait_for_log("the peer cannot agree: what it sent is no TLS");
    let config = Arc::new(authority.client());
    SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
}

/// Runs `openssl s_client` with these arguments, waits until it has shown `sign`, says `input`, and gives all that it
/// shows.
fn s_client(port: u16, arguments: &[&str], sign: &str, input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-crlf", "-ign_eof"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl is installed");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
    let mut said = false;
    loop {
        if !said && String::from_utf8_lossy(&shown).contains(sign) {
            said = true;
            child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        }
        match stdout.read(&mut piece).expect("a pipe") {
            0 => break,
            len => shown.extend_from_slice(&piece[..len]),
        }
    }
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&shown).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What it shows once the handshake is over, with STARTTLS.
const STARTED: &str = "Verify return code";

#[test]
fn openssl_agrees_over_starttls_and_implicit_tls_and_resumes_in_both_versions() {
    let (authority, sink, tls_port) = (Authority::new(), Sink::start(), free_port());
    let issued = authority.issue(&["mx.test.example"]);
    let server = relay_with(sink.port(), &issued)
        .listener(&format!("{{address: 127.0.0.1, port: {tls_port}, id: tls}}"))
        .server("tls: {certs: {cert: mx}, implicit: [tls]}")
        .start();
    let ca = server.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let ca = ca.to_str().expect("a path of ours");
    let verify = ["-CAfile", ca, "-verify_return_error", "-verify_hostname", "mx.test.example"];
    let starttls = ["-starttls", "smtp", "-servername", "mx.test.example"];
    for version in ["-tls1_3", "-tls1_2"] {
        let session = server.dir().join("session.pem");
        let session = session.to_str().expect("a path of ours");
        let first = [&starttls[..], &verify, &[version, "-sess_out", session]].concat();
        let shown = s_client(server.port(), &first, STARTED, "EHLO x\nQUIT\n");
        assert!(shown.contains("Verify return code: 0 (ok)"), "{version}: {shown}");
        assert!(shown.contains("New, TLSv1.") && shown.contains("250 "), "{version}: {shown}");
        let again = [&starttls[..], &verify, &[version, "-sess_in", session]].concat();
        let shown = s_client(server.port(), &again, STARTED, "EHLO x\nQUIT\n");
        assert!(shown.contains("Reused, TLSv1."), "{version}: {shown}");
        // Sessions that are kept by the server, for clients without tickets.
        if version == "-tls1_2" {
            let first = [&starttls[..], &verify, &[version, "-no_ticket", "-sess_out", session]].concat();
            s_client(server.port(), &first, STARTED, "EHLO x\nQUIT\n");
            let again = [&starttls[..], &verify, &[version, "-no_ticket", "-sess_in", session]].concat();
            let shown = s_client(server.port(), &again, STARTED, "EHLO x\nQUIT\n");
            assert!(shown.contains("Reused, TLSv1."), "without tickets: {shown}");
        }
        let shown = s_client(tls_port, &[&verify[..], &[version]].concat(), "220 ", "EHLO x\nQUIT\n");
        assert!(shown.contains("220 ") && shown.contains("221 "), "{version}: {shown}");
    }
    let shown = s_client(server.port(), &[&starttls[..], &["-tls1_1"]].concat(), "CONNECTED", "");
    assert!(shown.contains("Cipher is (NONE)"), "versions before 1.2 are not spoken: {shown}");
}
