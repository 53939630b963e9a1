//! The examples of the repository, as they are there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tests::{
    Behaviour, Client, NameServer, Peer, Phase, Record, Rule, Run, Sink, free_port, program, wait_until,
};

/// A server with the files of an example. Ends with the test.
struct Example {
    child: Child,
    port: u16,
    spool: TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Example {
    fn start(name: &str, variables: &[(&str, String)]) -> Example {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let spool = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let mut command = Command::new(program("smtpd"));
        command.arg("-f").arg("-c").arg(directory.join("smtpd.yaml")).arg("--config-env-substitution");
        command.env("PORT", port.to_string()).env("SPOOL", spool.path()).env("CONF", &directory);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("smtpd starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().expect("no test thread panics while logging").push(line);
            }
        });
        let example = Example { child, port, spool, log };
        let up = || example.log().iter().any(|line| line.contains("Started"));
        assert!(wait_until(Duration::from_secs(30), up), "{name}:\n{}", example.log().join("\n"));
        example
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test thread panics while logging").clone()
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BODY: &[u8] = b"From: a@good.example\r\nSubject: hi\r\n\r\nhello\r\n";

#[test]
fn inbound_takes_what_it_can_deliver_and_says_why_not() {
    let names = NameServer::start(&[
        ("good.example", Record::Mx(10, "mx.good.example")),
        ("good.example", Record::Txt("v=spf1 ip4:127.0.0.1 -all")),
        ("mx.good.example", Record::A("192.0.2.1")),
        ("forged.example", Record::Mx(10, "mx.good.example")),
        ("forged.example", Record::Txt("v=spf1 ip4:192.0.2.7 -all")),
    ]);
    let mailboxes = Peer::start(
        Behaviour::new().rule(Rule::at(Phase::Rcpt).containing("nobody").reply("550 5.1.1 who?")),
    );
    let server = Example::start(
        "inbound",
        &[("DNS", format!("127.0.0.1:{}", names.port())), ("SINK_PORT", mailboxes.port().to_string())],
    );
    let mut client = server.client();
    for (line, answer) in [
        ("MAIL FROM:<a@nothere.example>", "550 5.1.8"),
        ("MAIL FROM:<a@forged.example>", "550-5.7.23 127.0.0.1 may not send mail for forged.example"),
        ("MAIL FROM:<a@good.example>", "250"),
        ("RCPT TO:<b@elsewhere.example>", "550 5.7.1 We do not take mail for elsewhere.example"),
        ("RCPT TO:<nobody@example.org>", "550 5.1.1"),
        ("RCPT TO:<gone@lists.example.org>", "550 5.1.1 There is no list"),
        ("RCPT TO:<Staff@lists.example.org>", "250"),
        ("RSET", "250"),
    ] {
        client.command(&format!("{line}\r\n"), answer);
    }
    client.send("a@good.example", &["somebody@example.org", "staff@lists.example.org"], BODY);
    let got = mailboxes.wait_for(1).remove(0);
    assert_eq!(got.to.len(), 2, "{got:?}");
    let text = String::from_utf8_lossy(&got.data);
    assert!(
        text.starts_with(
            "Received-SPF: pass (mx.example.org: domain of good.example)\r\n client-ip=127.0.0.1\r\n"
        ),
        "{text}"
    );
    client.send("", &["somebody@example.org"], BODY);
}

#[test]
fn outbound_lets_users_send_signed_mail_by_job() {
    let names = NameServer::start(&[
        ("there.example", Record::Mx(10, "mx.there.example")),
        ("mx.there.example", Record::A("127.0.0.1")),
    ]);
    let there = Sink::start();
    let server = Example::start(
        "outbound",
        &[("DNS", format!("127.0.0.1:{}", names.port())), ("MX_PORT", there.port().to_string())],
    );
    let mut client = server.client();
    client.command("MAIL FROM:<ida@example.org>\r\n", "530 5.7.0");
    client.command("AUTH PLAIN AGlkYQB3cm9uZw==\r\n", "535");
    client.command("AUTH PLAIN AGlkYQBzZWNyZXQ=\r\n", "235");
    client.command("MAIL FROM:<olle@example.org>\r\n", "550 5.7.1 ida may not send as olle@example.org");
    client.send(
        "ida@example.org",
        &["x@there.example"],
        b"From: ida@example.org\r\nSubject: hi\r\n\r\nhello\r\n",
    );
    client.send(
        "news@example.org",
        &["y@there.example"],
        b"From: news@example.org\r\nX-Job: Spring\r\nSubject: news\r\n\r\nhello\r\n",
    );
    let by_sender: BTreeMap<String, tests::Message> =
        there.wait_for(2).into_iter().map(|message| (message.from.clone(), message)).collect();
    let sources = |from: &str| there.peer().connections()[by_sender[from].connection].source.ip().to_string();
    assert_eq!([sources("ida@example.org"), sources("news@example.org")], ["127.0.0.2", "127.0.0.3"]);
    let news = String::from_utf8_lossy(&by_sender["news@example.org"].data).into_owned();
    assert!(!news.contains("X-Job") && news.contains("\r\nMessage-ID: <"), "{news}");
    assert!(is_signed(&by_sender["ida@example.org"].data), "{news}");
}

/// Whether the signature passes, with the public half of the example's key that OpenSSL tells.
fn is_signed(message: &[u8]) -> bool {
    let key = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/outbound/dkim.pem");
    let openssl =
        Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(key).output();
    let der = openssl.expect("openssl is there").stdout;
    let script = format!(
        "$mail = MailMessage::String(base64_decode(\"{}\"));
        $field = $mail->getHeader(\"DKIM-Signature\", [\"field\" => true]);
        $dns = function ($host) {{ return [\"result\" => \"v=DKIM1; k=ed25519; p={}\"]; }};
        echo $mail->verifyDKIM($field, [\"dns_function\" => $dns])[\"result\"];",
        data_encoding::BASE64.encode(message),
        data_encoding::BASE64.encode(&der[der.len() - 32..])
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("verify.hsl");
    std::fs::write(&path, script).expect("a temporary directory can be written");
    let ended = Run::hsh().args([path]).end();
    println!("{}{}", ended.stdout, ended.stderr);
    ended.stdout.trim() == "pass"
}

#[test]
fn srs_forwards_and_takes_reports_back() {
    let sink = Sink::start();
    let server = Example::start("srs", &[("SINK_PORT", sink.port().to_string())]);
    let mut client = server.client();
    client.send("a@b.example", &["ida@example.org"], BODY);
    let forwarded = sink.wait_for(1).remove(0);
    assert!(
        forwarded.from.starts_with("SRS0=") && forwarded.from.ends_with("=b.example=a@fwd.example.org"),
        "{forwarded:?}"
    );
    assert_eq!(forwarded.to, ["ida@home.example"]);
    client.send("", &[&forwarded.from], BODY);
    let report = sink.wait_for(2).remove(1);
    assert_eq!((report.from.as_str(), &report.to[..]), ("", &["a@b.example".to_owned()][..]));
    client.command("MAIL FROM:<>\r\n", "250");
    let (head, tail) = forwarded.from.split_at(6);
    let other = if tail.starts_with('x') { "y" } else { "x" };
    client.command(&format!("RCPT TO:<{head}{other}{}>\r\n", &tail[1..]), "550 5.1.1 That is no return path");
    client.command("RCPT TO:<stranger@example.org>\r\n", "550 5.1.1");
}

#[test]
fn archive_keeps_a_held_copy_in_the_same_body() {
    let sink = Sink::start();
    let server = Example::start("archive", &[("SINK_PORT", sink.port().to_string())]);
    server.client().send("a@b.example", &["c@d.example"], BODY);
    assert_eq!(sink.wait_for(1)[0].to, ["c@d.example"]);
    let output =
        Command::new(program("hqfcat")).arg("--text").arg(server.spool.path()).output().expect("hqfcat runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("archive@archive.example.org"), "{text}");
    assert_eq!(sink.messages().len(), 1, "the copy stays");
}

#[test]
fn sink_takes_everything_and_keeps_nothing() {
    let server = Example::start("sink", &[]);
    let mut client = server.client();
    for number in 1..=3 {
        let reply = client.try_send("a@b.example", &["c@d.example", "e@f.example"], BODY);
        assert_eq!(reply.trim_end(), format!("250 2.0.0 Thrown away, as message {number}"));
    }
    let output =
        Command::new(program("hqfcat")).arg("--text").arg(server.spool.path()).output().expect("hqfcat runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "");
}

#[test]
fn minimal_passes_everything_on() {
    let sink = Sink::start();
    let server = Example::start("minimal", &[("SINK_PORT", sink.port().to_string())]);
    server.client().send("a@b.example", &["c@d.example"], BODY);
    assert_eq!(sink.wait_for(1)[0].to, ["c@d.example"]);
}
