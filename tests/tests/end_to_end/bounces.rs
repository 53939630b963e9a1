//! What senders are told, and what they are not.

use std::time::Duration;

use tests::peer::{Behaviour, Message, Peer, Phase, Rule};
use tests::{Client, Sink, SinkReply, Smtpd};

const MAIL: &[u8] = b"Subject: hello\r\nMessage-ID: <1@a.example>\r\n\r\nworld\r\n";

/// A next hop that refuses recipients whose name begins with `bad`.
fn picky() -> Peer {
    Peer::start(
        Behaviour::new().rule(Rule::at(Phase::Rcpt).containing("<bad").reply("550 5.1.1 no such user")),
    )
}

fn wait_for(what: &str, done: impl FnMut() -> bool) {
    assert!(tests::wait_until(Duration::from_secs(60), done), "{what} did not come");
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.data).into_owned()
}

fn reports(peer: &Peer) -> Vec<Message> {
    peer.messages().into_iter().filter(|message| message.from.is_empty()).collect()
}

/// A server that announces DSN, in front of this peer.
fn server_with_dsn(peer: &Peer) -> Smtpd {
    Smtpd::relay_to(peer.port()).server("extensions: {dsn: true}").start()
}

fn send_with(server: &Smtpd, mail: &str, rcpts: &[&str]) {
    let mut client = Client::connect(server.port());
    client.command(&format!("MAIL FROM:<a@a.example>{mail}\r\n"), "250");
    for rcpt in rcpts {
        client.command(&format!("RCPT TO:{rcpt}\r\n"), "250");
    }
    client.command("DATA\r\n", "354");
    client.write(&[MAIL, b".\r\n"].concat());
    client.expect("250");
}

#[test]
fn a_permanent_failure_is_reported_to_the_sender_and_removed() {
    let peer = picky();
    let server = Smtpd::relay_to(peer.port()).start();
    let mut client = Client::connect(server.port());
    client.send("a@a.example", &["bad@b.example", "good@b.example", "bad2@b.example"], MAIL);
    wait_for("a report", || reports(&peer).len() == 1);
    let report = reports(&peer).remove(0);
    assert_eq!(report.to, ["a@a.example"]);
    let text = text(&report);
    for part in [
        "To: <a@a.example>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "In-Reply-To: <1@a.example>\r\n",
        "Content-Type: multipart/report; report-type=delivery-status;\r\n",
        "Final-Recipient: rfc822; bad@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Final-Recipient: rfc822; bad2@b.example\r\nAction: failed\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "Remote-MTA: dns; 127.0.0.1\r\n",
        "in reply to RCPT TO:\r\n",
        "Subject: hello\r\n",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("world"), "the body is not given back");
    assert!(!text.contains("good@b.example"), "the other one was delivered");
    server.wait_for_log(" bounced ");
    // Nothing is left: a start finds nothing to do.
    let (builder, status) = server.stop();
    assert!(status.success());
    let server = builder.start();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(peer.message_count(), 2, "{:?}", server.log());
}

#[test]
fn a_report_that_fails_is_removed_and_not_reported() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("550 5.7.1 nobody here".into()));
    let server = Smtpd::relay_to(sink.port()).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], MAIL);
    server.wait_for_log("null-sender");
    sink.answer(SinkReply::Accept);
    std::thread::sleep(Duration::from_millis(300));
    assert!(sink.messages().is_empty());
    assert_eq!(server.log().iter().filter(|line| line.contains(" bounced ")).count(), 1);
}

#[test]
fn a_thousand_recipients_that_fail_together_make_few_reports() {
    let peer = picky();
    let server = Smtpd::relay_to(peer.port()).start();
    let to: Vec<String> = (0..1000).map(|number| format!("bad{number}@d{}.example", number % 7)).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    Client::connect(server.port()).send("a@a.example", &to, MAIL);
    let named = |report: &Message| text(report).matches("Final-Recipient:").count();
    wait_for("all reports", || reports(&peer).iter().map(named).sum::<usize>() == 1000);
    assert!(reports(&peer).len() <= 4, "{} reports", reports(&peer).len());
    println!("1,000 recipients that failed together: {} reports", reports(&peer).len());
}

#[test]
fn notify_decides_what_is_told() {
    let peer = picky();
    let server = server_with_dsn(&peer);
    send_with(&server, "", &["<bad1@b.example> NOTIFY=NEVER", "<bad2@b.example> NOTIFY=SUCCESS,DELAY"]);
    send_with(
        &server,
        " RET=FULL ENVID=id+2B7",
        &["<bad3@b.example> NOTIFY=FAILURE ORCPT=rfc822;x+2By@c.example"],
    );
    wait_for("a report", || reports(&peer).len() == 1);
    let report = text(&reports(&peer)[0]);
    for part in [
        "Original-Envelope-Id: id+7\r\n",
        "Original-Recipient: rfc822; x+y@c.example\r\n",
        "world\r\n",
        "bad3",
    ] {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
    let removed = || server.log().iter().filter(|line| line.contains(" removed ")).count();
    wait_for("two removals in the log", || removed() == 2);
    assert_eq!(reports(&peer).len(), 1);
}

#[test]
fn success_is_told_where_the_next_hop_does_not_and_handed_on_where_it_does() {
    let peer = Peer::start(Behaviour::new());
    let server = server_with_dsn(&peer);
    send_with(&server, " ENVID=x1", &["<b@b.example> NOTIFY=SUCCESS", "<c@b.example>"]);
    wait_for("a report", || reports(&peer).len() == 1);
    let report = text(&reports(&peer)[0]);
    for part in ["Action: relayed\r\n", "Status: 2.", "Original-Envelope-Id: x1\r\n", "rfc822; b@b.example"] {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
    assert!(!report.contains("c@b.example"));

    let peer = Peer::start(Behaviour::new().extension("DSN"));
    let server = server_with_dsn(&peer);
    send_with(
        &server,
        " RET=HDRS ENVID=x2",
        &["<b@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@c.example"],
    );
    let message = peer.wait_for(1).remove(0);
    assert!(message.mail_parameters.contains("RET=HDRS") && message.mail_parameters.contains("ENVID=x2"));
    assert!(message.rcpt_parameters[0].contains("NOTIFY=SUCCESS,FAILURE"), "{message:?}");
    assert!(message.rcpt_parameters[0].contains("ORCPT=rfc822;b@c.example"), "{message:?}");
    server.wait_for_log("delivered");
    std::thread::sleep(Duration::from_millis(200));
    assert!(reports(&peer).is_empty());
}

#[test]
fn a_delay_is_told_once_also_over_a_restart() {
    let sink = Sink::start();
    let elsewhere = Sink::start();
    sink.answer(SinkReply::Rcpt("450 4.2.2 full".into()));
    let transports = format!(
        "retry: {{intervals: [{{interval: 1}}, {{interval: 1, notify: true}}, {{interval: 1}}]}}\n        \
         dsn: {{transport: reports, from: desk@x.example, fromname: The Desk}}\n      \
         - id: reports\n        connection: {{server: 127.0.0.1, port: {}}}",
        elsewhere.port()
    );
    let server = Smtpd::relay_to(sink.port()).transport(&transports).start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], MAIL);
    let report = text(&elsewhere.wait_for(1)[0]);
    for part in [
        "Action: delayed\r\n",
        "Status: 4.2.2\r\n",
        "Will-Retry-Until: ",
        "From: \"The Desk\" <desk@x.example>",
    ] {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
    server.wait_for_log("delayed");
    // That the sender was told is on disk within 20 ms.
    std::thread::sleep(Duration::from_millis(300));
    let server = server.kill().start();
    server.wait_for_log("deferred");
    sink.answer(SinkReply::Accept);
    sink.wait_for(1);
    assert_eq!(elsewhere.messages().len(), 1);
}

#[test]
fn an_empty_dsn_transport_turns_reports_off() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("550 5.1.1 no".into()));
    let server = Smtpd::relay_to(sink.port()).transport("dsn: {transport: \"\"}").start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], MAIL);
    server.wait_for_log("dsn-off");
    assert!(!server.log().iter().any(|line| line.contains(" bounced ")));
}

#[test]
fn soft_bounce_turns_failures_into_delays() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("550 5.1.1 no".into()));
    let server = Smtpd::relay_to(sink.port()).running("queues: {softbounce: true}\n").start();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], MAIL);
    server.wait_for_log("deferred");
    sink.answer(SinkReply::Accept);
    assert_eq!(sink.wait_for(1)[0].to, ["b@b.example"]);
}

#[test]
fn another_implementation_reads_the_recorded_reports() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../mail/src/report/cases");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/reports.py");
    let output = std::process::Command::new("python3").args([script, cases]).output().expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}

#[test]
fn waits_follow_the_intervals_and_the_last_failure_bounces() {
    // OPS68, with shorter waits: 1, 2 and 2 s, and the fourth failure is the last.
    let sink = Sink::start();
    let elsewhere = Sink::start();
    sink.answer(SinkReply::Rcpt("451 4.2.2 later".into()));
    let transports = format!(
        "retry: {{count: 3, intervals: [{{interval: 1}}, {{interval: 2}}]}}\n        \
         dsn: {{transport: reports}}\n      \
         - id: reports\n        connection: {{server: 127.0.0.1, port: {}}}",
        elsewhere.port()
    );
    let server = Smtpd::relay_to(sink.port()).without_retry().transport(&transports).start();
    let begun = std::time::Instant::now();
    Client::connect(server.port()).send("a@a.example", &["b@b.example"], MAIL);
    let report = text(&elsewhere.wait_for(1)[0]);
    // Retries come with the second, so each may be a little early.
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(report.contains("Action: failed\r\n") && report.contains("451 4.2.2 later"), "{report}");
    server.wait_for_log("expired");
    let attempts = server.log().iter().filter(|line| line.contains("451 4.2.2 later")).count();
    assert!(attempts >= 4, "{}", server.log().join("\n"));
}
