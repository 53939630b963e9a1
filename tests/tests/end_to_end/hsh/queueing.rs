//! `queue()` from `hsh`: the running server takes the message (reference: hsl-stdlib 13).

use std::path::Path;

use serde_json::Value;
use tests::{Builder, Ended, Halonctl, Run, Sink, Smtpd, free_port, pki};

use super::{directory, write};

/// `hsh` beside the server of this directory.
fn hsh(dir: &Path, script: &str) -> Ended {
    Run::of("hsh").arg_path("-c", &dir.join("smtpd.yaml")).dir(dir).input(script).end()
}

fn printed(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{ended:?}");
    ended.stdout.lines().collect()
}

fn listed(server: &Smtpd) -> Vec<Value> {
    let ended = Halonctl::of(&server.dir().join("smtpd.ctl")).run(&["queue", "list", "--json"]);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn the_server_delivers_and_holds_what_hsh_queues() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let script = r#"
        $m = MIME()->addHeader("Subject", "one")->setBody("x");
        $one = $m->queue("from@s.example", "to@A.example", "out");
        $r = MailMessage::String("Subject: two\r\n\r\ny\r\n");
        $two = $r->queue("", ["localpart" => "held", "domain" => "b.example"], "out",
            ["hold" => true, "jobid" => "j", "metadata" => ["k" => "v"], "quotas" => ["q"]]);
        echo $one["transaction"] . ":" . $one["queue"];
        echo $two["transaction"] . ":" . $two["queue"];
        try { $m->queue("", "to@a.example", "nowhere"); } catch ($e) { echo $e->message(); }
        try { $m->queue("", "", "out"); } catch ($e) { echo $e->message(); }
        $m->queue("from@s.example", "again@a.example", "out");
    "#;
    let ended = hsh(server.dir(), script);
    let lines = printed(&ended);
    let [one, two, no_transport, no_recipient] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(no_transport, r#"queue(): the message: there is no transport "nowhere""#);
    assert_eq!(no_recipient, "queue(): the recipient: it is empty");
    let messages = sink.wait_for(2);
    let to: Vec<&String> = messages.iter().flat_map(|message| &message.to).collect();
    assert_eq!(to, ["to@A.example", "again@a.example"]);
    assert_eq!(messages[0].from, "from@s.example");
    let text = String::from_utf8_lossy(&messages[0].data).into_owned();
    assert!(text.contains("Subject: one\r\n") && text.ends_with("\r\n\r\nx\r\n"), "{text}");
    server.wait_for_log(one);
    let rows = listed(&server);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let id = format!("{}:{}", row["id"]["transaction"].as_str().unwrap_or(""), row["id"]["queue"]);
    assert_eq!((id.as_str(), row["state"].as_str(), row["jobid"].as_str()), (two, Some("HOLD"), Some("j")));
    assert_eq!((&row["metadata"]["k"], &row["quotas"][0]), (&Value::from("v"), &Value::from("q")));
}

#[test]
fn without_a_server_queue_throws_and_the_script_goes_on() {
    let dir = directory(&[]);
    let socket = dir.path().join("smtpd.ctl");
    let startup =
        format!("version: \"6.10\"\nenvironment: {{controlsocket: {{path: \"{}\"}}}}\n", socket.display());
    write(dir.path(), "smtpd.yaml", &startup);
    let script = r#"
        $m = MIME()->setBody("x");
        try { $m->queue("", "to@a.example", "out"); } catch ($e) { echo $e->message(); }
        echo "end";
    "#;
    let ended = hsh(dir.path(), script);
    let lines = printed(&ended);
    let said = format!(
        "queue(): no connection to the mail server at {}: No such file or directory; is smtpd running?",
        socket.display()
    );
    assert_eq!(lines, [&*said, "end"]);
}

#[test]
fn a_server_that_was_started_again_is_connected_to_again() {
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let dir = server.dir().to_owned();
    let script = r#"
        $m = MIME()->setBody("x");
        $m->queue("", "one@a.example", "out");
        while (File::read("file://go") === none) sleep(0.05);
        // It says so while it is still reading its queue.
        for ($queued = false; !$queued; )
            try { $m->queue("", "two@a.example", "out"); $queued = true; }
            catch ($e) { if (str_find($e->message(), "still reading") < 0) throw $e; sleep(0.05); }
    "#;
    let beside = dir.clone();
    let running = std::thread::spawn(move || {
        let run = Run::of("hsh").arg_path("-c", &beside.join("smtpd.yaml")).arg_path("-R", &beside);
        run.input(script).end()
    });
    sink.wait_for(1);
    let (builder, _) = server.stop();
    let _server: Smtpd = builder.start();
    write(&dir, "go", "");
    assert_eq!(printed(&running.join().expect("no panic")), [""; 0]);
    assert_eq!(sink.wait_for(2)[1].to, ["two@a.example"]);
}

#[test]
fn a_port_with_tls_takes_messages_unless_it_asks_who_the_client_is() {
    let sink = Sink::start();
    let authority = pki::Authority::new();
    let issued = authority.issue(&["mx.test.example"]);
    let certificates = directory(&[("clients.pem", &authority.pem())]);
    let (certificate, key) = issued.write(certificates.path(), "server");
    let clients = certificates.path().join("clients.pem");
    let start = |port: u16, more: &str| {
        let (certificate, key) = (certificate.display(), key.display());
        let tls = format!(
            "tls: {{server: {{certificate: {{path: \"{certificate}\"}}, privatekey: {{path: \"{key}\"}}{more}}}}}"
        );
        let builder: Builder = Smtpd::relay_to(sink.port());
        builder.replace_control_socket(&format!("{{address: 127.0.0.1, port: {port}, {tls}}}")).start()
    };
    let script = r#"try { MIME()->setBody("x")->queue("", "to@a.example", "out"); } catch ($e) { echo $e->message(); }"#;
    let server = start(free_port(), "");
    assert_eq!(printed(&hsh(server.dir(), script)), [""; 0]);
    sink.wait_for(1);
    let strict = start(free_port(), &format!(", clientcerts: [{{path: \"{}\"}}]", clients.display()));
    let ended = hsh(strict.dir(), script);
    assert!(printed(&ended)[0].contains("asks clients for a certificate"), "{ended:?}");
    assert_eq!(sink.messages().len(), 1);
}
