//! What operators do with such servers, and what clients do to them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::pki::Authority;
use tests::{Builder, Halonctl, Sink, Smtpd, wait_until};

use super::{MESSAGE, Web, form, head, options, post, secure_submission_to, submission_to, with_eod};

const SAYS_WHO: &str = r#"$h = $arguments["http"];
          Accept(["reason" => "from ".$connection["remoteip"]." ".$h["remoteip"]]);"#;

/// A submission of the usual message, whole.
fn submission() -> Vec<u8> {
    let options = options(&["b.example"], &Value::Null).to_string();
    post("/v1/submission", "", &form(&[("options", options.as_bytes()), ("rfc822", MESSAGE.as_bytes())]))
}

/// A header of PROXY version 2 for a client at 198.51.100.9, port 4000.
fn proxy_v2() -> Vec<u8> {
    let addresses = [198, 51, 100, 9, 127, 0, 0, 1, 0x0f, 0xa0, 0, 25];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

/// Changes the running file and has the server read it.
fn reload(server: &Smtpd, from: &str, to: &str) -> Option<i32> {
    let path = server.dir().join("smtpd-app.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(text.contains(from), "no {from:?} in {text}");
    std::fs::write(&path, text.replace(from, to)).expect("it can be written");
    Halonctl::of(&server.dir().join("smtpd.ctl")).run(&["config", "reload"]).status
}

#[test]
fn a_proxy_in_front_names_the_client() {
    let proxied = |builder: Builder| {
        with_eod(builder.listen("proxyprotocol: [127.0.0.0/8]").server("openrelay: true"), "", SAYS_WHO)
    };
    let server = proxied(submission_to(1)).server("concurrency: {remoteip: 1}").start();
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n".to_vec();
    let mut open = Vec::new();
    for (header, cut, client) in [(header.clone(), 20, "192.0.2.7"), (proxy_v2(), 13, "198.51.100.9")] {
        let mut web = Web::connect(server.port());
        web.write(&header[..cut]);
        std::thread::sleep(Duration::from_millis(20));
        web.write(&[&header[cut..], &submission()].concat());
        let answer = web.answer();
        let reason = answer.json()["result"]["reason"][0].clone();
        assert_eq!(reason, format!("from {client} {client}"), "{answer:?}");
        open.push(web);
    }
    // It is the client that is counted, and not the proxy.
    let mut second = Web::connect(server.port());
    second.write(&header);
    assert_eq!(second.answer().status, 503);
    // A key that is none is the client's fault.
    open[0].write(b"POST / HTTP/1.1\r\nX-API-Key: guess\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(open[0].answer().status, 401);
    server.wait_for_log("auth_failed server=default remote=192.0.2.7:4711");
    let mut unnamed = Web::connect(server.port());
    unnamed.write(&submission()[..60]);
    assert!(unnamed.is_over());
    server.wait_for_log("is no PROXY header");

    let authority = Authority::new();
    let server = proxied(secure_submission_to(1, &authority)).start();
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    tcp.write_all(&proxy_v2()).expect("sent");
    let mut web = Web::over_tls(&authority, tcp);
    web.write(&submission());
    let answer = web.answer();
    assert!(answer.body.contains("from 198.51.100.9 198.51.100.9"), "{answer:?}");
}

#[test]
fn a_trace_shows_requests_to_a_domain_and_no_keys_or_messages() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).start();
    let socket = server.dir().join("smtpd.ctl");
    let traced = std::thread::spawn(move || {
        let words = ["trace", "--incoming", "--recipientdomain", "b.example", "--connections", "1"];
        Halonctl::of(&socket).run(&[&words[..], &["--time", "20"]].concat())
    });
    server.wait_for_log("follows SMTP dialogues");
    for domain in ["c.example", "B.example"] {
        let mut web = Web::connect(server.port());
        let to = options(&[domain], &Value::Null);
        assert_eq!(web.submit("/v1/submission?pretty=true", &to, MESSAGE.as_bytes()).status, 200);
    }
    let traced = traced.join().expect("no panic");
    let shown = &traced.stdout;
    for text in [
        "POST /v1/submission",
        "from <me@a.example>",
        "to <jo@b.example>",
        &format!("message, {} bytes", MESSAGE.len() + 2),
        "answered 200",
    ] {
        assert!(shown.to_lowercase().contains(&text.to_lowercase()), "{text} in {shown}");
    }
    for text in ["secret", "Subject", "c.example"] {
        assert!(!shown.contains(text), "{text} in {shown}");
    }
}

#[test]
fn a_frozen_server_takes_no_message_until_it_is_thawed() {
    let server = submission_to(1).argument("--frozen").launch();
    let socket = server.dir().join("smtpd.ctl");
    let takes_commands = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    assert!(wait_until(Duration::from_secs(20), takes_commands), "{:?}", server.log());
    std::thread::sleep(Duration::from_millis(300));
    TcpStream::connect(("127.0.0.1", server.port())).expect_err("it does not listen yet");
    let thawed = Halonctl::of(&socket).run(&["shard", "thaw"]);
    assert_eq!(thawed.status, Some(0), "{}", thawed.stderr);
    let listens = || TcpStream::connect(("127.0.0.1", server.port())).is_ok();
    assert!(wait_until(Duration::from_secs(20), listens), "{:?}", server.log());
    let mut web = Web::connect(server.port());
    web.write(&submission());
    assert_eq!(web.answer().status, 200);
}

#[test]
fn a_connection_on_the_live_stage_has_its_script_and_its_keys_while_it_lasts() {
    let server = with_eod(submission_to(1), "", r#"Reject("the main one");"#).start();
    let text = std::fs::read_to_string(server.dir().join("smtpd-app.yaml")).expect("it is there");
    let staged =
        text.replace("the main one", "the stage").replace("[other, secret]", "[other, secret, staged]");
    let file = server.dir().join("stage.yaml");
    std::fs::write(&file, staged).expect("it can be written");
    let ctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    let with_key = |web: &mut Web<TcpStream>, key: &str| {
        let request = String::from_utf8(submission()).expect("text");
        web.write(request.replace("X-API-Key: secret", &format!("X-API-Key: {key}")).as_bytes());
        let answer = web.answer();
        let reason = answer.json()["result"]["reason"][0].as_str().unwrap_or_default().to_owned();
        (answer.status, reason, answer.closes())
    };
    let (main, stage) = ("the main one".to_owned(), "the stage".to_owned());
    let mut before = Web::connect(server.port());
    assert_eq!(with_key(&mut before, "secret"), (422, main.clone(), false));
    let path = file.to_str().expect("a plain path");
    let started = ctl.run(&["config", "livestage", "start", "--id", "t1", "--file", path]);
    assert_eq!((started.status, &*started.stderr), (Some(0), ""));
    let mut on_it: Vec<_> = (0..2).map(|_| Web::connect(server.port())).collect();
    for web in &mut on_it {
        assert_eq!(with_key(web, "staged"), (422, stage.clone(), false));
        assert_eq!(with_key(web, "secret"), (422, stage.clone(), false));
    }
    assert_eq!(with_key(&mut before, "secret"), (422, main, false));
    let ended = ctl.run(&["config", "livestage", "cancel"]);
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    // What has begun on it ends there, soon.
    assert_eq!(with_key(&mut on_it[0], "secret"), (422, stage, true));
    assert_eq!(with_key(&mut on_it[1], "staged"), (401, String::new(), true));
}

#[test]
fn a_slow_client_is_told_so_with_408_and_one_that_says_nothing_is_closed() {
    let server = submission_to(1).server("timeout: {idle: 1}").start();
    let begun = Instant::now();
    let whole = submission();
    let body = head("/v1/submission", "Content-Length: 100000\r\n");
    let refused = b"POST /other HTTP/1.1\r\nX-API-Key: secret\r\nContent-Length: 9\r\n\r\nabc";
    let chunked = head("/v1/submission", "Transfer-Encoding: chunked\r\n") + "9\r\nabc";
    let cases: [(&[u8], u16, &str); 6] = [
        (b"POST /v1/subm", 408, "the request did not come in time"),
        (&whole[..100], 408, "the request did not come in time"),
        (body.as_bytes(), 408, "the body did not come in time"),
        (&whole[..whole.len() - 3], 408, "the body did not come in time"),
        (chunked.as_bytes(), 408, "the body did not come in time"),
        (refused, 404, "there is nothing but /v1/submission"),
    ];
    let mut clients: Vec<_> = cases
        .iter()
        .map(|(request, ..)| {
            let mut web = Web::connect(server.port());
            web.write(request);
            web
        })
        .collect();
    let mut silent = Web::connect(server.port());
    for ((_, status, error), web) in cases.iter().zip(&mut clients) {
        let answer = web.answer();
        assert_eq!((answer.status, answer.closes()), (*status, true), "{answer:?}");
        assert_eq!(answer.error(), *error);
        assert!(web.is_over());
    }
    let mut said = Vec::new();
    let _ = silent.stream.read_to_end(&mut said);
    assert_eq!(String::from_utf8_lossy(&said), "");
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(15)).contains(&took), "{took:?}");
    // What has come of a body was given back.
    let mut web = Web::connect(server.port());
    web.write(&whole);
    assert_eq!(web.answer().status, 200);
}

#[test]
fn a_key_that_was_taken_away_is_none_on_connections_that_are_open() {
    let server = with_eod(submission_to(1), "", r#"Reject("first");"#).start();
    let mut open: Vec<_> = (0..3).map(|_| Web::connect(server.port())).collect();
    for web in &mut open {
        web.write(&submission());
        assert_eq!(web.answer().status, 422);
    }
    // A type cannot be changed: nothing happens.
    assert_eq!(reload(&server, "type: http", "type: smtp"), Some(1));
    open[0].write(&submission());
    let answer = open[0].answer();
    assert!(answer.status == 422 && !answer.closes(), "{answer:?}");
    let mut slow = Web::connect(server.port());
    let request = submission();
    slow.write(&request[..request.len() - 10]);

    let path = server.dir().join("smtpd-app.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there").replace("type: smtp", "type: http");
    std::fs::write(&path, text.replace("first", "second")).expect("it can be written");
    assert_eq!(reload(&server, "[other, secret]", "[other, new]"), Some(0));
    open[0].write(&submission());
    let refused = open[0].answer();
    assert_eq!((refused.status, refused.closes()), (401, true), "{refused:?}");
    for (web, key) in open[1..].iter_mut().zip(["other", "new"]) {
        let request = String::from_utf8(submission()).expect("text");
        web.write(request.replace("X-API-Key: secret", &format!("X-API-Key: {key}")).as_bytes());
        let last = web.answer();
        assert!(last.status == 422 && last.closes() && last.body.contains("first"), "{last:?}");
    }
    // What was let in before stays.
    slow.write(&request[request.len() - 10..]);
    let last = slow.answer();
    assert!(last.status == 422 && last.closes(), "{last:?}");
    let mut web = Web::connect(server.port());
    web.write(String::from_utf8(submission()).expect("text").replace("secret", "new").as_bytes());
    let answer = web.answer();
    assert!(!answer.closes() && answer.body.contains("second"), "{answer:?}");
}

#[test]
fn wrong_keys_are_logged_each_time_and_block_nobody() {
    let server = submission_to(1).start();
    for _ in 0..3 {
        let mut web = Web::connect(server.port());
        for _ in 0..10 {
            web.write(b"POST /v1/submission HTTP/1.1\r\nX-API-Key: guess\r\nContent-Length: 0\r\n\r\n");
            let answer = web.answer();
            assert_eq!((answer.status, answer.closes()), (401, false), "{answer:?}");
        }
        web.write(&submission());
        assert_eq!(web.answer().status, 200);
    }
    let logged = || server.log().iter().filter(|line| line.contains("auth_failed server=default")).count();
    assert!(wait_until(Duration::from_secs(20), || logged() == 30), "{}", logged());
}

#[test]
fn what_has_not_come_when_a_stop_may_take_no_longer_is_answered_with_503() {
    let script = r#"if (count($transaction["recipients"]) == 2) sleep(60); Reject("no");"#;
    let server = with_eod(submission_to(1), "", script).environment("drain: 1").start();
    let whole = submission();
    let two = options(&["b.example", "c.example"], &Value::Null).to_string();
    let two =
        post("/v1/submission", "", &form(&[("options", two.as_bytes()), ("rfc822", MESSAGE.as_bytes())]));
    let mut clients: Vec<_> = [&whole[..40], &whole[..whole.len() - 9], &two]
        .into_iter()
        .map(|request| {
            let mut web = Web::connect(server.port());
            web.write(request);
            web
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    server.signal(Signal::SIGTERM);
    for web in &mut clients {
        let answer = web.answer();
        assert_eq!((answer.status, answer.closes()), (503, true), "{answer:?}");
        assert_eq!(answer.error(), "Service shutting down, closing connection");
        assert!(web.is_over());
    }
    let mut server = server;
    assert!(server.wait().success());
    assert_eq!(
        server.into_builder().start().log().iter().filter(|line| line.contains("accepted")).count(),
        0
    );
}
