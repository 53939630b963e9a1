//! What comes in, what is refused, and what is safe once it is answered.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::pki::Authority;
use tests::{Sink, SinkReply, wait_until};

use super::{MESSAGE, Web, form, gzip, head, options, post, secure_submission_to, submission_to, with_eod};

#[test]
fn ops45_a_message_that_comes_by_http_is_queued_and_goes_on() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).start();
    let mut web = Web::connect(server.port());
    let metadata = json!({"campaign": "spring", "n": [1, 2.5, null]});
    let to = ["jo@b.example".to_owned(), "jo@c.example".to_owned()];
    let answer =
        web.submit("/v1/submission", &options(&["b.example", "c.example"], &metadata), MESSAGE.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.json();
    let id = said["transaction"]["id"].as_str().expect("an id");
    assert_eq!(
        said["result"],
        json!({"code": 250, "enhanced": [2, 0, 0], "reason": [format!("Ok: queued as {id}")]})
    );
    assert_eq!(said["metadata"], metadata);
    assert_eq!(answer.body.lines().count(), 1, "{answer:?}");

    let messages = sink.wait_for(1);
    assert_eq!((messages[0].from.as_str(), &messages[0].to[..]), ("me@a.example", &to[..]));
    assert_eq!(messages[0].original(), format!("{MESSAGE}\r\n").as_bytes());
    let received = String::from_utf8_lossy(&messages[0].data).into_owned();
    assert!(received.contains(&format!("by mx.test.example with HTTP id {id}")), "{received}");
    server.wait_for_log(&format!("[{id}] accepted server=default"));

    let pretty =
        web.submit("/v1/submission?pretty=true", &options(&["b.example"], &Value::Null), MESSAGE.as_bytes());
    assert!(pretty.body.starts_with("{\n  \"result\": {\n    \"code\": 250,\n"), "{pretty:?}");
    assert_eq!(pretty.json()["metadata"], Value::Null);
    sink.wait_for(2);
}

#[test]
fn ten_messages_come_over_one_connection_by_any_framing_and_in_packed_parts() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).shards(1).server("phases: {data: {bareeol: convert}}").start();
    let mut web = Web::connect(server.port());
    let options = json!({
        "sender": {"localpart": "", "domain": ""},
        "recipients": [{"localpart": "two words", "domain": "b\u{fc}cher.example"}],
    });
    let options = options.to_string().into_bytes();
    let large =
        format!("Subject: large\n\n{}", "a line of some length without a carriage return\n".repeat(8_000));
    let forms = [
        form(&[("options", &options), ("rfc822", large.as_bytes())]),
        form(&[("rfc822", large.as_bytes()), ("options", &options)]),
        form(&[("options.gzip", &gzip(&options)), ("rfc822.gzip", &gzip(large.as_bytes()))]),
        form(&[("rfc822.gzip", &gzip(large.as_bytes())), ("options", &options)]),
        form(&[("options.gzip", &gzip(&options)), ("rfc822", large.as_bytes())]),
    ];
    for body in &forms {
        web.write(&post("/v1/submission", "", body));
        assert_eq!(web.answer().status, 200);
        let mut chunked = head("/v1/submission", "Transfer-Encoding: chunked\r\n").into_bytes();
        for piece in body.chunks(30_011) {
            chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        // The next request comes right behind it.
        chunked.extend_from_slice(&post("/nothing", "", b""));
        web.write(&chunked);
        assert_eq!(web.answer().status, 200);
        assert_eq!(web.answer().status, 404);
    }
    let expected = large.replace('\n', "\r\n");
    for message in sink.wait_for(10) {
        assert_eq!(
            (message.from.as_str(), message.to[0].as_str()),
            ("", "\"two words\"@xn--bcher-kva.example")
        );
        assert!(message.original() == expected.as_bytes(), "{} bytes came", message.original().len());
    }
}

#[test]
fn a_script_sees_metadata_and_the_request_and_its_decision_is_the_answer() {
    let sink = Sink::start();
    let script = r#"$m = $arguments["metadata"];
          if ($m["do"] == "reject") Reject(["no", "never"], ["reply_codes" => ["code" => 554, "enhanced" => [5, 7, 0]]]);
          if ($m["do"] == "defer") Defer("later");
          if ($m["do"] == "close") Reject("go away", ["disconnect" => true]);
          if ($m["do"] == "throw") throw Exception("oops");
          $h = $arguments["http"];
          $seen = json_encode(["http" => [$h["method"], $h["path"], $h["query"], $h["remoteip"], $h["headers"]["x-two"], $h["headers"]["x-api-key"]],
              "helo" => isset($connection["helo"]), "from" => $transaction["senderaddress"], "to" => $transaction["recipients"][0]["recipient"],
              "server" => $connection["serverid"], "list" => $m["list"], "keys" => array_keys($arguments)]);
          $arguments["mail"]->addHeader("X-Seen", $seen);
          foreach ($transaction["recipients"] as $r)
              $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"]);
          Accept(["reason" => "thank you"]);"#;
    let builder = with_eod(submission_to(sink.port()), ", disconnect: {hook: y}", script);
    let disconnect =
        "    disconnect: [{id: y, data: 'syslog(\"info\", \"over: \" . json_encode($arguments));'}]\n";
    let server = builder.running(disconnect).start();
    let mut web = Web::connect(server.port());
    let mut submit = |what: &str, target: &str| {
        let options = options(&["b.example"], &json!({"do": what, "list": [1, {"a": true}]})).to_string();
        let body = form(&[("options", options.as_bytes()), ("rfc822", MESSAGE.as_bytes())]);
        web.write(&post(target, "X-Two: 1\r\nX-Two: 2\r\n", &body));
        web.answer()
    };
    let accepted = submit("accept", "/v1/submission?a=b");
    assert_eq!(accepted.status, 200, "{accepted:?}");
    assert_eq!(
        accepted.json()["result"],
        json!({"code": 250, "enhanced": [2, 0, 0], "reason": ["thank you"]})
    );
    let message = String::from_utf8(sink.wait_for(1).remove(0).data).expect("text");
    let unfolded = message.replace("\r\n ", " ").replace("\r\n\t", " ");
    let seen = unfolded.lines().find_map(|line| line.strip_prefix("X-Seen: ")).expect("the script has run");
    let seen: Value = serde_json::from_str(seen).expect("JSON");
    let expected = json!({
        "http": ["POST", "/v1/submission", "a=b", "127.0.0.1", "1, 2", "secret"],
        "helo": false, "from": {"localpart": "me", "domain": "a.example"}, "to": "jo@b.example",
        "server": "default", "list": [1, {"a": true}], "keys": ["mail", "metadata", "http"],
    });
    assert_eq!(seen, expected);

    let rejected = submit("reject", "/v1/submission");
    assert_eq!(rejected.status, 422, "{rejected:?}");
    assert_eq!(
        rejected.json()["result"],
        json!({"code": 554, "enhanced": [5, 7, 0], "reason": ["no", "never"]})
    );
    assert_eq!(rejected.json()["metadata"]["do"], "reject");
    for (what, reason) in [("defer", "later"), ("throw", "Try again later")] {
        let deferred = submit(what, "/v1/submission");
        assert_eq!((deferred.status, deferred.closes()), (503, false), "{deferred:?}");
        assert_eq!(
            deferred.json()["result"],
            json!({"code": 421, "enhanced": [4, 3, 2], "reason": [reason]})
        );
    }
    let last = submit("close", "/v1/submission");
    assert!(last.status == 422 && last.closes(), "{last:?}");
    assert!(web.is_over());
    server.wait_for_log("go away");
    server.wait_for_log(r#"over: {"close":"local","reply":{"code":550"#);
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn what_is_no_submission_is_refused_with_a_reason_and_the_connection_goes_on() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).server("phases: {data: {maxsize: 100KiB}}").start();
    let mut web = Web::connect(server.port());
    let good = options(&["b.example"], &Value::Null).to_string();
    let nobody = options(&[], &Value::Null).to_string();
    let (good, message) = (good.as_bytes(), MESSAGE.as_bytes());
    let whole = form(&[("options", good), ("rfc822", message)]);
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (b"GET /v1/submission HTTP/1.1\r\n\r\n".to_vec(), 401, "X-API-Key is missing"),
        (b"GET /v1/submission HTTP/1.1\r\nX-API-Key: other\r\n\r\n".to_vec(), 405, "only POST"),
        (post("/v1/submission", "", &whole).split_off(0), 200, ""),
        (head("/v1/submission", "").into_bytes(), 411, "Content-Length"),
        (post("/v2/submission", "", &whole), 404, "/v1/submission"),
        (post("/v1/submission", "", &form(&[("options", good)])), 400, "the part rfc822 is missing"),
        (post("/v1/submission", "", &form(&[("rfc822", message)])), 400, "the part options is missing"),
        (
            post("/v1/submission", "", &form(&[("options", good), ("rfc822", message), ("rfc822", message)])),
            400,
            "rfc822 is one too many",
        ),
        (post("/v1/submission", "", &form(&[("body", message)])), 400, "no part \"body\""),
        (
            post("/v1/submission", "", &form(&[("options", good), ("options.gzip", good)])),
            400,
            "options.gzip is one too many",
        ),
        (post("/v1/submission", "", &whole[..whole.len() - 4]), 400, "last boundary is missing"),
        (post("/v1/submission", "", b"nothing"), 400, "last boundary is missing"),
        (post("/v1/submission", "", &form(&[("options", b"{"), ("rfc822", message)])), 400, "options: EOF"),
        (
            post("/v1/submission", "", &form(&[("options", nobody.as_bytes()), ("rfc822", message)])),
            400,
            "recipients is empty",
        ),
        (
            post("/v1/submission", "", &form(&[("options", good), ("rfc822.gzip", message)])),
            400,
            "rfc822.gzip: ",
        ),
        (
            post("/v1/submission", "", &form(&[("options", good), ("rfc822.gzip", &gzip(message)[..30])])),
            400,
            "rfc822.gzip: ",
        ),
        (
            post(
                "/v1/submission",
                "",
                &form(&[("options", &vec![b' '; 600 << 10][..100 << 10]), ("rfc822", message)]),
            ),
            400,
            "options: EOF",
        ),
    ];
    for (request, status, reason) in cases {
        web.write(&request);
        let answer = web.answer();
        let shown = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
        assert_eq!(answer.status, status, "{shown}\n{answer:?}");
        assert!(!answer.closes(), "{shown}\n{answer:?}");
        if status != 200 {
            assert!(answer.error().contains(reason), "{shown}\n{answer:?}");
        }
    }
    // These end with a decision of the server's, as in SMTP.
    let bomb = gzip(&vec![b'\n'; 30 << 20]);
    let bare = form(&[("options", good), ("rfc822", b"Subject: x\n\nx\n")]);
    let large = form(&[
        ("options", good),
        ("rfc822", &[b"Subject: x\r\n\r\n".as_slice(), &[b'x'; 101 << 10]].concat()),
    ]);
    let packed = form(&[("options", good), ("rfc822.gzip", &gzip(&b"\r\n".repeat(15 << 20)))]);
    assert!(bomb.len() < 100 << 10 && packed.len() < 100 << 10);
    for (body, status, code) in [
        (&bare, 422, 550),
        (&large, 413, 552),
        (&packed, 413, 552),
        (&form(&[("options", good), ("rfc822.gzip", &bomb)]), 422, 550),
    ] {
        web.write(&post("/v1/submission", "", body));
        let answer = web.answer();
        assert_eq!((answer.status, answer.closes()), (status, false), "{answer:?}");
        assert_eq!(answer.json()["result"]["code"], code, "{answer:?}");
        assert!(answer.json()["transaction"]["id"].as_str().is_some_and(|id| id.len() > 10), "{answer:?}");
    }
    // A key that is none is logged for fail2ban.
    web.write(b"POST /v1/submission HTTP/1.1\r\nX-API-Key: guess\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!((web.answer().status, web.stream.buffer().len()), (401, 0));
    server.wait_for_log("mechanism=X-API-Key");
    // What ends a connection.
    let too_long = head("/v1/submission", &format!("Content-Length: {}\r\n", 100 << 20));
    for (request, status) in [
        (too_long.as_bytes(), 413),
        (b"EHLO x\r\n\r\n", 400),
        (b"POST /v1/submission HTTP/1.1\r\nX-API-Key: secret\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)).as_bytes(), 431),
        (head("/v1/submission", "Transfer-Encoding: chunked\r\n\r\nzz\r\n").as_bytes(), 400),
    ] {
        let mut web = Web::connect(server.port());
        web.write(request);
        let answer = web.answer();
        assert_eq!((answer.status, answer.closes()), (status, true), "{answer:?}");
        answer.error();
        assert!(web.is_over());
    }
    assert_eq!(sink.wait_for(1).len(), 1);
}

#[test]
fn a_refused_body_is_read_only_if_it_is_small_and_head_is_answered_without_one() {
    let server = submission_to(1).start();
    let chunk = [b"80000\r\n", vec![b'x'; 0x8_0000].as_slice(), b"\r\n"].concat();
    let small = post("/other", "", &vec![b'x'; 1 << 20]);
    let large = post("/other", "", &vec![b'x'; (1 << 20) + 1]);
    let chunks = |count: usize| {
        let head = head("/other", "Transfer-Encoding: chunked\r\n").into_bytes();
        [&head[..], &chunk.repeat(count), b"0\r\n\r\n"].concat()
    };
    for (request, closes) in [(small, false), (chunks(2), false), (large, true), (chunks(4), true)] {
        let mut web = Web::connect(server.port());
        web.write(&request);
        let answer = web.answer();
        assert_eq!((answer.status, answer.closes()), (404, closes), "{} bytes: {answer:?}", request.len());
    }
    let mut web = Web::connect(server.port());
    web.write(b"HEAD /v1/submission HTTP/1.1\r\nX-API-Key: secret\r\nConnection: close\r\n\r\n");
    let mut said = String::new();
    web.stream.read_to_string(&mut said).expect("it closes");
    assert!(said.starts_with("HTTP/1.1 405 ") && said.ends_with("\r\n\r\n"), "{said}");
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_or_not() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).start();
    let body = form(&[
        ("options", options(&["b.example"], &Value::Null).to_string().as_bytes()),
        ("rfc822", MESSAGE.as_bytes()),
    ]);
    let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
    let mut web = Web::connect(server.port());
    web.write(head("/v1/submission", &fields).as_bytes());
    assert_eq!(web.answer().status, 100);
    web.write(&body);
    assert_eq!(web.answer().status, 200);
    // Without a key nothing is read.
    web.write(head("/v1/submission", &fields).replace("secret", "guess").as_bytes());
    let refused = web.answer();
    assert!(refused.status == 401 && refused.closes(), "{refused:?}");
    assert!(web.is_over());
    sink.wait_for(1);
}

#[test]
fn https_speaks_tls_from_the_first_byte() {
    let sink = Sink::start();
    let authority = Authority::new();
    let script = r#"$arguments["mail"]->addHeader("X-TLS", $connection["tls"]["protocol"]);
          $arguments["mail"]->queue($transaction["senderaddress"], $transaction["recipients"][0]["address"], "out");
          Accept();"#;
    let server = with_eod(secure_submission_to(sink.port(), &authority), "", script).start();
    let tcp = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
    let mut web = Web::over_tls(&authority, tcp);
    for count in 1..=2 {
        let answer = web.submit("/v1/submission", &options(&["b.example"], &Value::Null), MESSAGE.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let data = String::from_utf8(sink.wait_for(count).remove(0).data).expect("text");
        assert!(data.contains("with HTTPS id ") && data.contains("X-TLS: TLSv1.3"), "{data}");
    }
    let mut plain = Web::connect(server.port());
    plain.write(b"GET / HTTP/1.1\r\n\r\n");
    let mut said = Vec::new();
    let _ = plain.stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[test]
fn what_was_answered_with_200_survives_a_kill() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("450 4.0.0 later".to_owned()));
    let server = submission_to(sink.port()).start();
    let port = server.port();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            std::thread::spawn(move || {
                let mut web = Web::connect(port);
                (0..10)
                    .map(|number| {
                        let name = format!("{client}-{number}");
                        let options = json!({
                            "sender": {"localpart": name, "domain": "a.example"},
                            "recipients": [{"localpart": "jo", "domain": "b.example"}],
                        });
                        assert_eq!(web.submit("/v1/submission", &options, MESSAGE.as_bytes()).status, 200);
                        format!("{name}@a.example")
                    })
                    .collect::<Vec<String>>()
            })
        })
        .collect();
    let sent: Vec<String> = clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect();
    let builder = server.kill();
    sink.answer(SinkReply::Accept);
    let server = builder.start();
    let has_come = |name: &String| sink.messages().iter().any(|message| message.from == *name);
    let all = wait_until(Duration::from_secs(60), || sent.iter().all(has_come));
    assert!(all, "of {} came {}:\n{}", sent.len(), sink.messages().len(), server.log().join("\n"));
}

#[test]
fn a_client_that_stalls_holds_up_nobody_and_a_stop_lets_a_message_come_in_whole() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).shards(1).start();
    let options = options(&["b.example"], &Value::Null);
    let body = form(&[("options", options.to_string().as_bytes()), ("rfc822", MESSAGE.as_bytes())]);
    let request = post("/v1/submission", "", &body);
    let (first, rest) = request.split_at(request.len() - 20);
    let mut slow = Web::connect(server.port());
    slow.write(first);
    let mut half_a_head = Web::connect(server.port());
    half_a_head.write(b"POST /v1/subm");
    let mut idle = Web::connect(server.port());
    assert_eq!(idle.submit("/v1/submission", &options, MESSAGE.as_bytes()).status, 200);
    sink.wait_for(1);

    server.signal(Signal::SIGTERM);
    server.wait_for_log("Stopping");
    // One that waits for nothing is closed without a word.
    let mut said = Vec::new();
    let _ = idle.stream.read_to_end(&mut said);
    assert!(said.is_empty(), "{said:?}");
    slow.write(rest);
    let answer = slow.answer();
    assert!(answer.status == 200 && answer.closes(), "{answer:?}");
    drop(half_a_head);
    let mut server = server;
    assert!(server.wait().success());
    let server = server.into_builder().start();
    sink.wait_for(2);
    drop(server);
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).server("concurrency: {remoteip: 1}").start();
    let mut first = Web::connect(server.port());
    first.write(&post("/", "", b""));
    assert_eq!(first.answer().status, 404);
    let mut second = Web::connect(server.port());
    let answer = second.answer();
    assert!(answer.status == 503 && answer.closes(), "{answer:?}");
    assert_eq!(answer.error(), "Too many connections");
    assert!(second.is_over());
}

/// The usual clients, where there are any.
#[test]
fn curl_and_python_can_submit() {
    let sink = Sink::start();
    let server = submission_to(sink.port()).start();
    let dir = server.dir();
    let options = options(&["b.example"], &json!({"by": "a client"})).to_string();
    std::fs::write(dir.join("options.json"), &options).expect("written");
    std::fs::write(dir.join("mail.eml"), MESSAGE).expect("written");
    std::fs::write(dir.join("mail.gz"), gzip(MESSAGE.as_bytes())).expect("written");
    let url = format!("http://127.0.0.1:{}/v1/submission?pretty=true", server.port());
    let mut come = 0;
    for part in ["rfc822=@mail.eml;type=message/rfc822", "rfc822.gzip=@mail.gz"] {
        let curl = Command::new("curl")
            .args(["-sS", "-H", "X-API-Key: secret", "-H", "Expect: 100-continue"])
            .args(["-F", "options=@options.json;type=application/json", "-F", part, &url])
            .current_dir(dir)
            .output();
        let Ok(curl) = curl else {
            println!("SKIPPED: there is no curl");
            break;
        };
        let said = String::from_utf8_lossy(&curl.stdout).into_owned();
        assert!(said.contains("\"code\": 250") && said.contains("\"by\": \"a client\""), "{curl:?}");
        come += 1;
    }
    let script = r#"
import http.client, sys
port, options, mail = int(sys.argv[1]), open("options.json").read(), open("mail.eml", newline="").read()
part = '--b\r\nContent-Disposition: form-data; name="%s"\r\nContent-Type: %s\r\n\r\n%s\r\n'
body = part % ("options", "application/json", options) + part % ("rfc822", "message/rfc822", mail) + "--b--\r\n"
client = http.client.HTTPConnection("127.0.0.1", port)
headers = {"X-API-Key": "secret", "Content-Type": "multipart/form-data; boundary=b"}
for encode in (False, True):
    payload = iter([body[:100].encode(), body[100:].encode()]) if encode else body
    client.request("POST", "/v1/submission", payload, headers, encode_chunked=encode)
    answer = client.getresponse()
    print(answer.status, answer.read().decode())
"#;
    let python =
        Command::new("python3").args(["-c", script, &server.port().to_string()]).current_dir(dir).output();
    match python {
        Ok(python) => {
            let said = String::from_utf8_lossy(&python.stdout).into_owned();
            assert_eq!(said.matches("200 {\"result\":{\"code\":250").count(), 2, "{python:?}");
            come += 2;
        }
        Err(_) => println!("SKIPPED: there is no python3"),
    }
    sink.wait_for(come);
}
