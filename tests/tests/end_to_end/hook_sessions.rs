//! What hooks of a session are told, and what becomes of what they say, where that takes more than one client or the queue.

use std::sync::Arc;

use tests::pki::Authority;
use tests::{Client, SecureClient, Smtpd};

use crate::hook_cases::with_hooks;
use crate::hooks::sum;
use crate::tls::relay_with;

const BODY: &[u8] = b"Subject: hi\r\n\r\nhello\r\n";

const RELAY: &str = r#"foreach ($transaction["recipients"] as $r)
    $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"]);
    Accept();"#;

/// Says of whom RCPT said what, held in the queue.
const TELL_DSN: &str =
    r#"echo "dsn " . $message["id"]["queue"] . " " . json_encode($message["dsn"]); Queue(["hold" => true]);"#;

/// Runs a transaction with these recipients and parameters through an `eod` script; all become one address.
fn one_address(eod: &str, recipients: &[&str]) -> Smtpd {
    let hooks = [
        ("helo", r#"$e = $arguments["extensions"] ?? []; $e[] = "DSN"; Accept(["extensions" => $e]);"#),
        ("rcptto", r#"Accept(["recipient" => "Box@z.example"]);"#),
        ("eod", eod),
        ("predelivery", TELL_DSN),
    ];
    let server = with_hooks(Smtpd::relay_to(1), &hooks).start();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@x.example>\r\n", "250");
    for recipient in recipients {
        client.command(&format!("RCPT TO:{recipient}\r\n"), "250");
    }
    client.command("DATA\r\n", "354");
    client.write(&[BODY, b".\r\n"].concat());
    client.expect("250");
    server
}

/// Regression: of recipients that a script had given one address all got the parameters of the last one, so that a
/// `NOTIFY=NEVER` became a bounce.
#[test]
fn each_recipient_keeps_what_its_own_rcpt_said_where_several_have_one_address() {
    let recipients = [
        "<a1@y.example> NOTIFY=NEVER ORCPT=rfc822;a1@y.example",
        "<a2@y.example> NOTIFY=SUCCESS ORCPT=rfc822;a2@y.example",
        "<a3@y.example>",
    ];
    let [first, second] = [
        r#"{"notify":["NEVER"],"orcpt":"rfc822;a1@y.example"}"#,
        r#"{"notify":["SUCCESS"],"orcpt":"rfc822;a2@y.example"}"#,
    ];
    let server = one_address(RELAY, &recipients);
    server.wait_for_log(&format!("dsn 1 {first}"));
    server.wait_for_log(&format!("dsn 2 {second}"));
    server.wait_for_log("dsn 3 []");

    // The script says which one by its address object, in any order and as often as it wants.
    let backwards = r#"$m = $arguments["mail"];
        foreach (array_reverse($transaction["recipients"]) as $r) {
            $m->queue("", $r["address"], "out");
            $m->queue("", $r["address"], "out");
        }
        Accept();"#;
    let server = one_address(backwards, &recipients);
    for (numbers, said) in [([1, 2], "[]"), ([3, 4], second), ([5, 6], first)] {
        for number in numbers {
            server.wait_for_log(&format!("dsn {number} {said}"));
        }
    }

    // Or only by the text: each gets the next one, and then the last.
    let by_text = r#"foreach (["box@z.example", "BOX@z.example", "box@Z.example", "box@z.example"] as $to)
            $arguments["mail"]->queue("", $to, "out");
        Accept();"#;
    let server = one_address(by_text, &recipients[..2]);
    for (number, said) in [(1, first), (2, second), (3, second), (4, second)] {
        server.wait_for_log(&format!("dsn {number} {said}"));
    }
}

/// Regression: after XCLIENT with LOGIN scripts saw the user of the connection's own AUTH, or nobody.
#[test]
fn scripts_see_the_user_that_xclient_names() {
    let tell = r#"echo "auth " . $arguments["address"]["localpart"] . " " . json_encode($connection["auth"] ?? none);"#;
    let hooks = [("auth", "Accept();"), ("mailfrom", tell)];
    let builder = with_hooks(Smtpd::relay_to(1), &hooks).server("xclient: [127.0.0.1]");
    let server = builder.server("openrelay: true").start();
    let mut client = Client::connect(server.port());
    client.command("AUTH PLAIN AHUAcA==\r\n", "235");
    for (number, xclient, seen) in [
        (1, "LOGIN=joe", r#"{"mechanism":"XCLIENT","username":"joe"}"#),
        (2, "ADDR=192.0.2.7", r#"{"mechanism":"XCLIENT","username":"joe"}"#),
        (3, "LOGIN=[UNAVAILABLE]", "null"),
    ] {
        client.command(&format!("XCLIENT {xclient}\r\n"), "220");
        client.command("EHLO b\r\n", "250");
        client.command(&format!("MAIL FROM:<{number}@x.example>\r\n"), "250");
        server.wait_for_log(&format!("auth {number} {seen}"));
        client.command("RSET\r\n", "250");
    }
    // What AUTH said stays where XCLIENT is about somebody's address only.
    let mut client = Client::connect(server.port());
    client.command("AUTH PLAIN AHUAcA==\r\n", "235");
    client.command("XCLIENT ADDR=192.0.2.7\r\n", "220");
    client.command("EHLO b\r\n", "250");
    client.command("MAIL FROM:<4@x.example>\r\n", "250");
    server.wait_for_log(r#"auth 4 {"mechanism":"PLAIN","username":"u"}"#);
}

/// Regression: the log had no id for what a script refused at the end of a message or at MAIL.
#[test]
fn the_log_names_what_a_script_refuses_by_the_id_that_the_script_saw() {
    let tell = r#"echo "id " . $transaction["id"]; Reject("no");"#;
    for hook in ["mailfrom", "eod"] {
        let server = with_hooks(Smtpd::relay_to(1), &[(hook, tell)]).start();
        let mut client = Client::connect(server.port());
        client.write(b"MAIL FROM:<a@x.example>\r\n");
        if hook == "eod" {
            client.expect("250");
            client.command("RCPT TO:<b@y.example>\r\n", "250");
            client.command("DATA\r\n", "354");
            client.write(b"x: y\r\n\r\n.\r\n");
        }
        client.expect("55");
        server.wait_for_log("] id ");
        let log = server.log();
        let line = log.iter().find(|line| line.contains("] id ")).expect("it was waited for");
        let id = line.rsplit(' ').next().expect("it ends in the id");
        server.wait_for_log(&format!("[{id}] refused"));
    }
}

/// Regression: a connection over the limit was logged and counted twice where a script had said whose it is.
#[test]
fn a_connection_that_is_one_too_many_is_told_once() {
    let connect = r#"Accept(["remoteip" => "192.0.2.1"]);"#;
    let builder = with_hooks(Smtpd::relay_to(1), &[("connect", connect)]);
    let server = builder.server("concurrency: {remoteip: 1}").start();
    let mut first = Client::open(server.port());
    first.expect("220");
    let mut second = Client::open(server.port());
    second.expect("421");
    assert_eq!(second.read_to_end(), b"");
    first.command("NOOP\r\n", "250");
    assert_eq!(sum(&server, "halon_intake_refused_total"), 1.0);
    server.wait_for_log("action=connection");
    let log = server.log();
    assert_eq!(log.iter().filter(|line| line.contains("] refused ")).count(), 1, "{log:#?}");
}

/// Regression: whoever closed a connection in a TLS handshake, it was us; who broke the rules of TLS had closed it; and there was
/// no `code`.
#[test]
fn the_last_hook_knows_who_ended_a_connection_around_tls() {
    let tell = r#"$e = $arguments["error"]; echo "ended " . $arguments["close"] . " " . $e["type"] . " " . $e["code"];"#;
    let authority = Authority::new();
    let issued = authority.issue(&["mx.test.example"]);
    let begin = || {
        let builder = with_hooks(relay_with(1, &issued), &[("disconnect", tell)]);
        builder.server("tls: {certs: {cert: mx}}").start()
    };
    let in_handshake = |server: &Smtpd| {
        let mut client = Client::connect(server.port());
        client.command("STARTTLS\r\n", "220");
        client
    };

    let server = begin();
    drop(in_handshake(&server));
    server.wait_for_log("ended remote socket 0");
    in_handshake(&server).reset();
    server.wait_for_log("ended remote socket 104");
    let mut garbage = in_handshake(&server);
    garbage.write(b"EHLO again\r\nMAIL FROM:<a@a.example>\r\n");
    server.wait_for_log("ended local tls 1");

    let server = begin();
    let config = Arc::new(authority.client());
    let mut client = SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
    client.write_past_tls(b"this is no record of TLS").expect("the server reads");
    server.wait_for_log("ended local tls 1");
    drop(Client::connect(server.port()));
    server.wait_for_log("ended remote socket 0");
}
