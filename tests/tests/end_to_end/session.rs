//! What a session offers beyond plain SMTP: extensions, proxies, limits by address.

use std::process::{Command, Stdio};
use std::time::Duration;

use tests::name_server::{NameServer, Record};
use tests::{Client, Sink, Smtpd, wait_until};

/// A header of PROXY version 2 for a client at 198.51.100.9, port 4000, with an extra field.
fn proxy_v2() -> Vec<u8> {
    let addresses = [198, 51, 100, 9, 127, 0, 0, 1, 0x0f, 0xa0, 0, 25];
    let content = [&addresses[..], &[0x02, 0, 3], b"abc"].concat();
    let length = u8::try_from(content.len()).expect("short");
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &[0, length], &content].concat()
}

const BEHIND_PROXY: &str = "openrelay: true";

const AS_CLIENT: &str = "TCP4 192.0.2.9 127.0.0.1 4711 25";

#[test]
fn a_listed_proxy_names_the_client_before_the_greeting() {
    let sink = Sink::start();
    let names = NameServer::start(&[
        ("7.2.0.192.in-addr.arpa", Record::Ptr("client.example.net")),
        ("client.example.net", Record::A("192.0.2.7")),
        ("9.100.51.198.in-addr.arpa", Record::Ptr("forged.example.net")),
        ("forged.example.net", Record::A("192.0.2.1")),
        ("b.example", Record::A("127.0.0.1")),
    ]);
    let server = Smtpd::by_mx(sink.port(), names.port())
        .listen("proxyprotocol: [127.0.0.0/8]")
        .server(BEHIND_PROXY)
        .start();
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 25\r\n";
    for (header, cut) in [(&header[..], 0), (header, 20), (&proxy_v2(), 13)] {
        let mut client = Client::open(server.port());
        client.write(&header[..cut]);
        std::thread::sleep(Duration::from_millis(20));
        client.write(&header[cut..]);
        client.expect("220");
        client.command("EHLO client.test.example\r\n", "250");
        client.send("a@a.example", &["c@b.example"], b"Subject: x\r\n\r\ny\r\n");
    }
    server.wait_for_log("accepted server=default remote=192.0.2.7:4711");
    server.wait_for_log("accepted server=default remote=198.51.100.9:4000");
    let received: Vec<String> =
        sink.wait_for(3).iter().map(|message| String::from_utf8_lossy(&message.data).into_owned()).collect();
    let confirmed = "Received: from client.test.example (client.example.net [192.0.2.7])\r\n";
    assert_eq!(received.iter().filter(|text| text.starts_with(confirmed)).count(), 2, "{received:?}");
    let unconfirmed = "Received: from client.test.example ([198.51.100.9])\r\n";
    assert_eq!(received.iter().filter(|text| text.starts_with(unconfirmed)).count(), 1, "{received:?}");
}

#[test]
fn what_is_no_proxy_header_gets_no_answer() {
    let sink = Sink::start();
    let server =
        Smtpd::relay_to(sink.port()).listen("proxyprotocol: [127.0.0.1]").server(BEHIND_PROXY).start();
    for first in [&b"EHLO x\r\n"[..], b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31"] {
        let mut client = Client::open(server.port());
        client.write(first);
        client.write(&[0; 32]);
        assert_eq!(client.read_to_end(), b"", "{}", first.escape_ascii());
    }
    // SMTP behind the header and before the greeting is no better than without a proxy.
    let mut client = Client::open(server.port());
    client.write(b"PROXY UNKNOWN\r\nEHLO eager\r\n");
    client.expect("554");
    server.wait_for_log("is no PROXY header");
}

#[test]
fn a_listed_peer_speaks_for_others_with_xclient() {
    let sink = Sink::start();
    let server =
        Smtpd::relay_to(sink.port()).server("xclient: [127.0.0.1]").server("openrelay: true").start();
    let mut client = Client::open(server.port());
    client.expect("220");
    let hello = client.command("EHLO proxy.example\r\n", "250");
    assert!(hello.contains("250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"), "{hello}");
    client.command(
        "XCLIENT NAME=spike.example ADDR=IPV6:2001:db8::7 PORT=99 PROTO=ESMTP HELO=there LOGIN=bob\r\n",
        "220",
    );
    client.send("a@a.example", &["c@b.example"], b"Subject: x\r\n\r\ny\r\n");
    server.wait_for_log("remote=[2001:db8::7]:99 helo=there user=bob");
    let message = &sink.wait_for(1)[0];
    let text = String::from_utf8_lossy(&message.data);
    assert!(text.starts_with("Received: from there (spike.example [IPv6:2001:db8::7])\r\n"), "{text}");
    assert!(text.contains(" with ESMTPA id "), "{text}");
}

#[test]
fn a_script_is_told_that_a_proxy_takes_a_login_back() {
    let script = "scripting: {hooks: {auth: [{id: a, data: 'Accept();'}], \
                  helo: [{id: h, data: 'Accept([\"reason\" => $connection[\"auth\"][\"username\"] ?? \"nobody\"]);'}]}}";
    let server = Smtpd::relay_to(1)
        .server("xclient: [127.0.0.1]")
        .server("openrelay: true")
        .server("phases: {auth: {hook: a, tls: false}, helo: {hook: h}}")
        .running(script)
        .start();
    let mut client = Client::open(server.port());
    client.expect("220");
    client.command("EHLO proxy.example\r\n", "250-nobody");
    client.command("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "235");
    client.command("EHLO proxy.example\r\n", "250-bob");
    client.command("XCLIENT ADDR=192.0.2.9 LOGIN=[UNAVAILABLE]\r\n", "220");
    client.command("EHLO proxy.example\r\n", "250-nobody");
}

#[test]
fn the_address_that_a_script_names_is_the_one_that_is_counted() {
    let script = "scripting: {hooks: {connect: [{id: c, data: 'Accept([\"remoteip\" => \"192.0.2.9\"]);'}]}}";
    let server = Smtpd::relay_to(1)
        .server("concurrency: {remoteip: 1}")
        .server("phases: {connect: {hook: c}}")
        .running(script)
        .start();
    let mut first = Client::open(server.port());
    first.expect("220");
    let mut second = Client::open(server.port());
    second.expect("421 Too many connections");
    assert_eq!(second.read_to_end(), b"");
    first.command("QUIT\r\n", "221");
    let is_free = || Client::open(server.port()).reply().starts_with("220");
    assert!(wait_until(Duration::from_secs(10), is_free));
}

#[test]
fn connections_of_one_address_are_limited_over_all_shards() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port())
        .shards(4)
        .listen("proxyprotocol: [127.0.0.1]")
        .server(BEHIND_PROXY)
        .server("concurrency: {remoteip: 3}")
        .start();
    let open = |address: &str| {
        let mut client = Client::open(server.port());
        client.write(format!("PROXY TCP4 {address} 127.0.0.1 1 25\r\n").as_bytes());
        let banner = client.reply();
        (client, banner)
    };
    let mut held: Vec<_> = (0..3).map(|_| open("192.0.2.1")).collect();
    assert!(held.iter().all(|(_, banner)| banner.starts_with("220")), "{held:?}");
    let (mut refused, banner) = open("192.0.2.1");
    assert!(banner.starts_with("421 4.7.0") || banner.starts_with("421 Too many"), "{banner}");
    assert_eq!(refused.read_to_end(), b"");
    assert!(open("192.0.2.2").1.starts_with("220"), "another address");
    held.pop();
    let freed = wait_until(Duration::from_secs(10), || open("192.0.2.1").1.starts_with("220"));
    assert!(freed, "a closed connection no longer counts");
}

#[test]
fn a_message_in_chunks_arrives_as_it_was_sent() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    // What would end the message, and begin another one, were it not counted.
    let inner = "\r\n.\r\nMAIL FROM:<evil@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT 3 LAST\r\nx\r\n";
    let body = format!("Subject: x\r\n\r\n.{inner}{}\r\n", "a longer line of text\r\n".repeat(20_000));
    for pieces in [1, 3, 50] {
        let mut client = Client::connect(server.port());
        let mut wire = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<c@b.example>\r\n".to_vec();
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(body.len().div_ceil(pieces)).collect();
        for chunk in &chunks {
            wire.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
        }
        wire.extend_from_slice(b"BDAT 0 LAST\r\nQUIT\r\n");
        client.write(&wire);
        for _ in 0..chunks.len() + 2 {
            client.expect("250");
        }
        let queued = client.expect("250");
        assert!(queued.contains("queued as"), "{queued}");
        client.expect("221");
    }
    for message in sink.wait_for(3) {
        assert_eq!(message.from, "a@a.example");
        assert!(message.original() == body.as_bytes(), "{} chunks", message.chunks);
    }
}

#[test]
fn no_smuggling_variant_gets_out_of_a_chunk() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let evil =
        "MAIL FROM:<evil@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n";
    for end in ["\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r\r\n", "\r\n\0.\r\n", "\r"] {
        let body = format!("Subject: outer\r\n\r\nouter{end}{evil}");
        let first = body.len() / 2;
        let mut client = Client::connect(server.port());
        let wire = format!(
            "MAIL FROM:<a@a.example>\r\nRCPT TO:<c@b.example>\r\nBDAT {first}\r\n{}BDAT {} LAST\r\n{}QUIT\r\n",
            &body[..first],
            body.len() - first,
            &body[first..]
        );
        client.write(wire.as_bytes());
        client.expect("250");
        client.expect("250");
        let clean = !end.replace("\r\n", "").contains(['\r', '\n']);
        let (chunk, last) = (client.reply(), client.reply());
        assert_eq!(last.starts_with("250"), clean, "{end:?}: {chunk} {last}");
        assert!(clean || last.starts_with("550 5.6.11"), "{end:?}: {last}");
        client.expect("221");
        assert_eq!(client.read_to_end(), b"", "{end:?}");
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(sink.messages().iter().all(|message| message.from == "a@a.example"));
}

#[test]
fn extensions_are_offered_as_configured() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let mut client = Client::open(server.port());
    client.expect("220");
    let offered = client.command("EHLO x\r\n", "250");
    let usual = [
        "250-mx.test.example",
        "250-PIPELINING",
        "250-SIZE",
        "250-8BITMIME",
        "250-ENHANCEDSTATUSCODES",
        "250-CHUNKING",
        "250-SMTPUTF8",
        "250 LIMITS RCPTMAX=1000",
    ];
    assert_eq!(offered.lines().collect::<Vec<_>>(), usual);
    client.command("AUTH PLAIN AGEAYg==\r\n", "502");
    client.command("MAIL FROM:<a@a.example> REQUIRETLS\r\n", "555");
    client.command("MAIL FROM:<a@a.example> RET=FULL\r\n", "555");
    client.command("MAIL FROM:<d\u{f8}mi@a.example> SMTPUTF8\r\n", "250");
    let keys = "extensions: {chunking: false, smtputf8: false, limits: false, dsn: true, size: false}";
    let server = Smtpd::relay_to(sink.port()).server(keys).start();
    let mut client = Client::open(server.port());
    client.expect("220");
    let offered = client.command("EHLO x\r\n", "250");
    assert!(offered.ends_with("250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n"), "{offered}");
    client.command("MAIL FROM:<a@a.example> RET=FULL ENVID=x\r\n", "250");
    client.command("RCPT TO:<c@b.example> NOTIFY=NEVER ORCPT=rfc822;c@b.example\r\n", "250");
}

/// Runs swaks, where it is installed, and gives its exit status and what was said.
fn swaks(port: u16, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("swaks")
        .args(["--server", "127.0.0.1", "--port", &port.to_string(), "--to", "c@b.example"])
        .args(["--from", "a@a.example", "--helo", "client.test.example"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn swaks_is_served_with_the_options_it_has() {
    let sink = Sink::start();
    let direct =
        Smtpd::relay_to(sink.port()).server("xclient: [127.0.0.1]").server("openrelay: true").start();
    let proxied =
        Smtpd::relay_to(sink.port()).listen("proxyprotocol: [127.0.0.1]").server(BEHIND_PROXY).start();
    let logins = with_logins(&sink);
    let cases: [(u16, &[&str]); 8] = [
        (direct.port(), &[]),
        (direct.port(), &["--pipeline"]),
        (direct.port(), &["--protocol", "SMTP"]),
        (
            logins.port(),
            &["--auth", "PLAIN", "--auth-user", "bob", "--auth-password", "secret", "--proxy", AS_CLIENT],
        ),
        (
            logins.port(),
            &["--auth", "LOGIN", "--auth-user", "bob", "--auth-password", "secret", "--proxy", AS_CLIENT],
        ),
        (direct.port(), &["--xclient", "NAME=spike.example ADDR=192.0.2.9 HELO=there"]),
        (proxied.port(), &["--proxy", AS_CLIENT]),
        (
            proxied.port(),
            &[
                "--proxy-version",
                "2",
                "--proxy-family",
                "AF_INET",
                "--proxy-source",
                "192.0.2.9",
                "--proxy-source-port",
                "4711",
                "--proxy-dest",
                "127.0.0.1",
                "--proxy-dest-port",
                "25",
            ],
        ),
    ];
    for (index, (port, arguments)) in cases.into_iter().enumerate() {
        let Some((accepted, said)) = swaks(port, arguments) else {
            return println!("swaks is not installed: not tried");
        };
        assert!(accepted, "{arguments:?}:\n{said}");
        println!("swaks {arguments:?}: accepted");
        sink.wait_for(index + 1);
    }
    proxied.wait_for_log("remote=192.0.2.9:4711");
}

/// A server whose script knows one user, in clear, behind a proxy that names the clients.
fn with_logins(sink: &Sink) -> Smtpd {
    let script = "if ($arguments[\\\"username\\\"] == \\\"bob\\\" and $arguments[\\\"password\\\"] == \\\"secret\\\") Accept();";
    Smtpd::relay_to(sink.port())
        .shards(4)
        .listen("proxyprotocol: [127.0.0.1]")
        .server("openrelay: true")
        .server("phases: {auth: {hook: check, tls: false}}")
        .running(&format!("scripting: {{hooks: {{auth: [{{id: check, data: \"{script}\"}}]}}}}\n"))
        .start()
}

/// Connects as this client, up to EHLO.
fn connect_as(server: &Smtpd, address: &str) -> Client {
    let mut client = Client::open(server.port());
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    let ours = if address.contains(':') { "::1" } else { "127.0.0.1" };
    client.write(format!("PROXY {family} {address} {ours} 7 25\r\n").as_bytes());
    client.expect("220");
    client.command("EHLO client.test.example\r\n", "250");
    client
}

#[test]
fn who_logs_in_is_named_and_who_fails_thrice_is_gone() {
    let sink = Sink::start();
    let server = with_logins(&sink);
    let mut client = connect_as(&server, "192.0.2.1");
    client.command("AUTH PLAIN AGJvYgB3cm9uZw==\r\n", "535 5.7.8");
    // Bob's password, to act as alice.
    client.command("AUTH PLAIN YWxpY2UAYm9iAHNlY3JldA==\r\n", "535 5.7.8");
    server.wait_for_log("remote=192.0.2.1:7 mechanism=PLAIN user=bob why=\"asks to act as somebody else\"");
    client.command("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "235 2.7.0");
    client.send("a@a.example", &["c@b.example"], b"Subject: x\r\n\r\ny\r\n");
    server.wait_for_log("helo=client.test.example user=bob");
    let message = &sink.wait_for(1)[0];
    assert!(String::from_utf8_lossy(&message.data).contains(" with ESMTPA id "));
    let mut client = connect_as(&server, "192.0.2.2");
    for _ in 0..3 {
        client.command("AUTH LOGIN\r\n", "334");
        client.command("Ym9i\r\n", "334");
        client.command("d3Jvbmc=\r\n", "535");
    }
    client.expect("421 4.7.0");
    assert_eq!(client.read_to_end(), b"");
    server.wait_for_log("[-] auth_failed server=default remote=192.0.2.2:7 mechanism=LOGIN user=bob why=");
}

#[test]
fn an_address_that_fails_twenty_times_may_not_log_in_for_a_while() {
    let sink = Sink::start();
    let server = with_logins(&sink);
    for number in 0..10 {
        let mut client = connect_as(&server, &format!("2001:db8::{number}"));
        client.command("AUTH PLAIN AGJvYgB3cm9uZw==\r\n", "535");
        client.command("AUTH PLAIN YWxpY2UAYm9iAHNlY3JldA==\r\n", "535");
    }
    connect_as(&server, "2001:db8::ffff").command("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "454 4.7.0");
    connect_as(&server, "2001:db8:0:1::").command("AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n", "235");
    let failures = || server.log().iter().filter(|line| line.contains("[-] auth_failed ")).count();
    let logged = wait_until(Duration::from_secs(10), || failures() >= 20);
    assert!(logged && failures() == 20, "one line for each");
}

/// The line of the reference, which a golden test keeps as the server writes it, through the filter's expression.
#[test]
fn the_fail2ban_filter_finds_failed_logins_and_no_forged_ones() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).expect("a file of the tree");
    let filter = read("packaging/fail2ban/halon-smtpd.conf");
    let expression =
        filter.lines().find_map(|line| line.strip_prefix("failregex = ")).expect("an expression");
    // What fail2ban puts in the place of its own words, in short.
    let expression = expression
        .replace("%(__prefix_line)s", "(?:smtpd(?:\\[\\d+\\])?: )?")
        .replace("<HOST>", "(?P<host>[0-9A-Fa-f.:]+)");
    let expression = regex::Regex::new(&expression).expect("an expression");
    let host = |line: &str| expression.captures(line).map(|found| found["host"].to_owned());
    let reference = read("docs/reference/log-events.md");
    let line = reference.lines().find(|line| line.contains("] auth_failed ")).expect("an example");
    assert_eq!(host(line).as_deref(), Some("2001:db8::7"));
    assert_eq!(host(&format!("smtpd[17]: {line}")).as_deref(), Some("2001:db8::7"));
    assert_eq!(host(&line.replace("[2001:db8::7]", "192.0.2.7")).as_deref(), Some("192.0.2.7"));
    let forged = format!("[-] refused server=in remote=192.0.2.9:1 action=command code=500 text=\"{line}\"");
    assert_eq!(host(&forged), None);
}
