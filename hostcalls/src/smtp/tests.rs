//! Against peers that answer as told.
#![expect(clippy::disallowed_methods, reason = "the peers of these tests are threads")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::Settings;
use crate::on_engine::{on_a_shard, result};

/// What a peer has been told, a line each.
type Heard = Arc<Mutex<Vec<String>>>;

/// A peer: for what begins like this it answers that; else 250. The greeting is what begins with "greeting".
fn peer(answers: &'static [(&'static str, &'static str)]) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let heard = Heard::default();
    let told = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            talk(stream.expect("a connection"), answers, &told);
        }
    });
    (port, heard)
}

fn talk(stream: TcpStream, answers: &[(&str, &str)], heard: &Heard) {
    let mut writer = stream.try_clone().expect("a socket");
    let answer = |line: &str| {
        let found = answers.iter().find(|(start, _)| line.starts_with(start));
        found.map_or("250 ok", |(_, answer)| answer).to_owned() + "\r\n"
    };
    let greeting = answers.iter().find(|(start, _)| *start == "greeting");
    writer
        .write_all(format!("{}\r\n", greeting.map_or("220 x", |(_, text)| text)).as_bytes())
        .expect("writes");
    let mut in_data = false;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        heard.lock().expect("no panic").push(line.clone());
        in_data = match (in_data, line.as_str()) {
            (true, ".") => false,
            (true, _) => continue,
            (false, "DATA") => {
                writer.write_all(b"354 go\r\n").expect("writes");
                true
            }
            (false, _) => false,
        };
        if !in_data {
            let _ = writer.write_all(answer(&line).as_bytes());
        }
    }
}

/// Runs scripts, with `PORT` for the peer's port.
fn expect(port: u16, cases: &'static [(&'static str, &'static str)]) {
    on_a_shard(
        Settings { hostname: Some("us.example".into()), ..Settings::default() },
        move |environment| async move {
            for (script, expected) in cases {
                let script = script.replace("PORT", &port.to_string());
                assert_eq!(result(&environment, &script).await, *expected, "{script}");
            }
        },
    );
}

const SERVER: &str = r#"["host" => "127.0.0.1", "port" => PORT]"#;

#[test]
fn a_lookup_tells_accepted_refused_and_unknown_apart() {
    let (port, heard) = peer(&[
        ("RCPT TO:<no@", "550 5.1.1 nobody"),
        ("RCPT TO:<busy@", "450 later"),
        ("MAIL FROM:<bad@", "550 not from you"),
    ]);
    let ask = |from: &str, to: &str| format!(r#"return smtp_lookup_rcpt({SERVER}, "{from}", "{to}");"#);
    let cases: Vec<(String, &str)> = vec![
        (ask("", "yes@x.example"), "1"),
        (ask("", "no@x.example"), "0"),
        (ask("", "busy@x.example"), "-1"),
        (ask("bad@x.example", "yes@x.example"), "0"),
        (
            format!(
                r#"$r = smtp_lookup_rcpt({SERVER}, "", ["localpart" => "no", "domain" => "x.example"], ["extended_result" => true]);
                   return json_encode($r);"#
            ),
            r#"{"result":0,"error_code":550,"error_message":"nobody","on_rcptto":true,"tls":{"started":false}}"#,
        ),
        (
            r#"return smtp_lookup_rcpt("out", "", "a@x.example");"#.into(),
            "error: smtp_lookup_rcpt(): transports are known only inside the mail server: name a host",
        ),
    ];
    expect(port, leaked(cases));
    let heard = heard.lock().expect("no panic");
    assert!(heard.iter().all(|line| !line.starts_with("DATA")), "{heard:?}");
    assert!(heard.contains(&"EHLO us.example".to_owned()) && heard.contains(&"QUIT".to_owned()), "{heard:?}");
}

fn leaked(cases: Vec<(String, &'static str)>) -> &'static [(&'static str, &'static str)] {
    let cases: Vec<(&str, &str)> =
        cases.into_iter().map(|(script, expected)| (&*script.leak(), expected)).collect();
    cases.leak()
}

#[test]
fn a_host_that_refuses_us_says_nothing_about_the_recipient() {
    let (port, _) = peer(&[("greeting", "554 go away")]);
    let script = format!(r#"return smtp_lookup_rcpt({SERVER}, "", "a@x.example");"#);
    expect(port, leaked(vec![(script, "-1")]));
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let script = format!(
        r#"return smtp_lookup_rcpt({SERVER}, "", "a@x.example", ["extended_result" => true])["error_code"];"#
    );
    expect(closed, leaked(vec![(script, "0")]));
}

#[test]
fn a_login_is_right_wrong_or_unknown() {
    let (port, heard) = peer(&[
        ("EHLO", "250-x\r\n250 AUTH PLAIN"),
        ("AUTH PLAIN AHUAcA==", "235 welcome"),
        ("AUTH PLAIN AGQAcA==", "454 later"),
        ("AUTH PLAIN", "535 5.7.8 no"),
    ]);
    let ask = |user: &str| format!(r#"return smtp_lookup_auth({SERVER}, "{user}", "p");"#);
    expect(port, leaked(vec![(ask("u"), "1"), (ask("x"), "0"), (ask("d"), "-1")]));
    let (without, _) = peer(&[]);
    expect(without, leaked(vec![(ask("u"), "-1")]));
    assert!(heard.lock().expect("no panic").iter().all(|line| !line.starts_with("MAIL")));
}

const MESSAGE: &str = r#"$m = MailMessage::String("Subject: a\r\n\r\n.x\r\n"); "#;

#[test]
fn a_message_is_sent_as_it_is_now_and_the_answer_is_told() {
    let (port, heard) = peer(&[(".", "250 2.0.0 taken as 7")]);
    let script = format!(
        r#"{MESSAGE} $m->addHeader("X-A", "1");
        $r = $m->send("a@x.example", ["b@y.example", "c@y.example"], {SERVER});
        return json_encode([$r["result"], $r["error"], $r["connection"]["remoteip"], $r["tls"]]);"#
    );
    let answer = r#"[{"code":250,"enhanced":[2,0,0],"reason":["taken as 7"],"state":"EOD"},null,"127.0.0.1",{"started":false}]"#;
    expect(port, leaked(vec![(script, answer)]));
    let heard = heard.lock().expect("no panic").join("\n");
    assert!(heard.contains("MAIL FROM:<a@x.example>\nRCPT TO:<b@y.example>\nRCPT TO:<c@y.example>\nDATA\nX-A: 1\nSubject: a\n\n..x\n.\n"), "{heard}");
}

#[test]
fn what_addresses_say_beside_themselves_is_told_to_the_server() {
    let (port, heard) = peer(&[("EHLO", "250-x\r\n250 DSN")]);
    let sender = r#"["localpart" => "a", "domain" => "x.example", "params" => ["RET" => "HDRS", "ENVID" => "e+2B1", "SIZE" => "9"]]"#;
    let to = |name: &str, notify: &str| {
        format!(
            r#"["localpart" => "{name}", "domain" => "y.example", "params" => ["NOTIFY" => "{notify}", "ORCPT" => "rfc822;o@y.example"]]"#
        )
    };
    let (b, bad) = (to("b", "never"), to("b", "FOO"));
    let send = |to: &str| {
        format!(r#"{MESSAGE} return $m->send({sender}, [{to}, "c@y.example"], {SERVER})["result"]["code"];"#)
    };
    let ask = |to: &str| format!(r#"return smtp_lookup_rcpt({SERVER}, {sender}, {to});"#);
    let wrong = "notify is \"FOO\", and must be NEVER, or some of SUCCESS, FAILURE, DELAY";
    let cases = vec![
        (send(&b), "250"),
        (ask(&b), "1"),
        (send(&bad), &*format!("error: send(): {wrong}").leak()),
        (ask(&bad), &*format!("error: smtp_lookup_rcpt(): {wrong}").leak()),
    ];
    expect(port, leaked(cases));
    let heard = heard.lock().expect("no panic").join("\n");
    let mail = "MAIL FROM:<a@x.example> RET=HDRS ENVID=e+2B1\nRCPT TO:<b@y.example> NOTIFY=NEVER ORCPT=rfc822;o@y.example\n";
    assert_eq!(heard.matches(mail).count(), 2, "{heard}");
    assert!(heard.contains("RCPT TO:<c@y.example>\n"), "{heard}");
}

#[test]
fn one_refused_recipient_keeps_the_message_from_all() {
    let (port, heard) = peer(&[("EHLO", "250-x\r\n250 PIPELINING"), ("RCPT TO:<c@", "550 5.1.1 nobody\r\n")]);
    let script = format!(
        r#"{MESSAGE} $r = $m->send("", ["b@y.example", "c@y.example", "d@y.example"], {SERVER});
        return $r["result"]["code"] . $r["result"]["state"] . $r["result"]["reason"][0];"#
    );
    expect(port, leaked(vec![(script, "550RCPTnobody")]));
    let heard = heard.lock().expect("no panic");
    assert!(
        !heard.contains(&"DATA".to_owned()) && !heard.iter().any(|line| line.contains("d@y")),
        "{heard:?}"
    );
}

#[test]
fn what_cannot_be_sent_or_reached_is_an_error_of_ours_or_of_the_network() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let cases = vec![
        (
            format!(
                r#"{MESSAGE} $r = $m->send("", "b@y.example", {SERVER}); return $r["error"]["temporary"] . isset($r["result"]);"#
            ),
            "truefalse",
        ),
        // What is not there is no error of the script: a hook would answer 421 for it.
        (
            format!(
                r#"{MESSAGE} $r = $m->send("", [], {SERVER}); return [$r["error"], $r["tls"]["started"]];"#
            ),
            r#"[0=>["temporary"=>false,"message"=>"there is no recipient"],1=>false]"#,
        ),
        (
            format!(r#"{MESSAGE} return $m->send("", "b@y.example", ["port" => 25])["error"]["message"];"#),
            "the server needs a host: send() asks no mail exchangers",
        ),
        (
            format!(r#"return MailMessage::String("a: b\n\nx")->send("", "b@y.example", {SERVER});"#),
            "error: send(): the message has a CR or LF that is not part of a line end (CRLF)",
        ),
        (
            format!(
                r#"{MESSAGE} return $m->send("", "b@y.example", ["host" => "h.example", "tls" => "danish"]);"#
            ),
            "error: send(): option \"tls\": there is no mode \"danish\"",
        ),
        (
            format!(
                r#"{MESSAGE} return $m->send("", "b@y.example", ["host" => "h.example", "timeout" => ["X" => 1]]);"#
            ),
            "error: send(): option \"timeout\": there is no state \"X\"",
        ),
    ];
    expect(closed, leaked(cases));
}

#[test]
fn a_message_in_the_making_is_sent_too() {
    let (port, heard) = peer(&[(".", "452 full")]);
    let script = format!(
        r#"$r = MIME()->addHeader("Subject", "s")->setDate(0)->setBody("hi")->send("", ["localpart" => "b", "domain" => "y.example"], {SERVER});
        return $r["result"]["code"];"#
    );
    expect(port, leaked(vec![(script, "452")]));
    assert!(heard.lock().expect("no panic").contains(&"Subject: s".to_owned()));
}
