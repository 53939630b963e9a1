//! The examples of the repository, as they are there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tests::{
    Behaviour, Client, Halonctl, NameServer, Peer, Phase, Record, Rule, Run, Sink, SinkReply, free_port,
    program, wait_until,
};

/// A server with the files of an example. Ends with the test.
struct Example {
    child: Child,
    port: u16,
    dir: TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Example {
    fn start(name: &str, variables: &[(&str, String)]) -> Example {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let spool = dir.path().join("spool");
        std::fs::create_dir(&spool).expect("a temporary directory can be written");
        let port = free_port();
        let mut command = Command::new(program("smtpd"));
        command.arg("-f").arg("-c").arg(directory.join("smtpd.yaml")).arg("--config-env-substitution");
        command.env("PORT", port.to_string()).env("SPOOL", &spool).env("CONF", &directory);
        command.env("CONTROL", dir.path().join("smtpd.ctl"));
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
        let example = Example { child, port, dir, log };
        let up = || example.log().iter().any(|line| line.contains("Started"));
        assert!(wait_until(Duration::from_secs(30), up), "{name}:\n{}", example.log().join("\n"));
        example
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test thread panics while logging").clone()
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Runs `halonctl` for it, as a line of a README has it.
    fn halonctl(&self, line: &str) -> String {
        let words = line.split_whitespace().map(|word| word.trim_matches('\''));
        let words: Vec<&str> = words.skip_while(|word| *word == "halonctl").collect();
        let ended = Halonctl::of(&self.dir.path().join("smtpd.ctl")).run(&words);
        assert_eq!(ended.status, Some(0), "{line}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of a README that has this in it, without remark and the place of the control socket.
fn command_of(readme: &str, with: &str) -> String {
    let line = readme.lines().find(|line| line.starts_with("halonctl ") && line.contains(with));
    let line = line.unwrap_or_else(|| panic!("{readme}: no command has {with:?}"));
    let line = line.split_once(" #").map_or(line, |(command, _)| command);
    line.split_once(" --config ").map_or(line, |(command, _)| command).trim_end().to_owned()
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
        ("nomail.example", Record::Mx(0, ".")),
        ("nomail.example", Record::A("192.0.2.1")),
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
        ("MAIL FROM:<a@nomail.example>", "550 5.1.8"),
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
    // A wrong password, and one of nobody, cannot be told apart, and both are counted.
    for user in ["ida", "nobody"] {
        let answer = "535 5.7.8 User name or password is wrong";
        client.command(&format!("AUTH PLAIN {}\r\n", plain(user, "wrong")), answer);
        let failed = format!("user={user}");
        let is_logged =
            || server.log().iter().any(|line| line.contains("auth_failed") && line.contains(&failed));
        assert!(wait_until(Duration::from_secs(60), is_logged), "{}", server.log().join("\n"));
    }
    client.command(&format!("AUTH PLAIN {}\r\n", plain("ida", "secret")), "235");
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

    // What cannot be delivered now waits as long as its job says.
    there.answer(SinkReply::Rcpt("450 4.2.1 later".into()));
    let before_s = unix_s();
    for from in ["ida@example.org", "news@example.org"] {
        let job = if from.starts_with("news") { "X-Job: Spring\r\n" } else { "" };
        let message = format!("From: {from}\r\n{job}Subject: late\r\n\r\nhello\r\n");
        client.send(from, &["z@there.example"], message.as_bytes());
    }
    let list = command_of(include_str!("../../../examples/outbound/README.md"), "--json");
    let mut waiting: Vec<(String, f64)> = Vec::new();
    let both_wait = wait_until(Duration::from_secs(60), || {
        let rows: serde_json::Value = serde_json::from_str(&server.halonctl(&list)).expect("JSON");
        let row = |row: &serde_json::Value| {
            (row["jobid"].as_str().unwrap_or_default().to_owned(), row["retryts"].as_f64().expect("a time"))
        };
        waiting = rows.as_array().expect("rows").iter().map(row).collect();
        waiting.len() == 2
    });
    assert!(both_wait, "{waiting:?}: {}", server.log().join("\n"));
    let after_s = unix_s();
    for (job, wait_s) in [("", 60.0), ("spring", 900.0)] {
        let (_, at_s) = waiting.iter().find(|(of, _)| of == job).expect("it waits");
        let earliest = before_s + wait_s - 1.0;
        assert!((earliest..=after_s + wait_s + 1.0).contains(at_s), "{job}: {at_s}, from {earliest}");
    }
}

/// The initial response of AUTH PLAIN (RFC 4616).
fn plain(user: &str, password: &str) -> String {
    data_encoding::BASE64.encode(format!("\0{user}\0{password}").as_bytes())
}

fn unix_s() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("it is after 1970").as_secs_f64()
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
        Command::new(program("hqfcat")).arg("--text").arg(server.spool()).output().expect("hqfcat runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("archive@archive.example.org"), "{text}");
    assert_eq!(sink.messages().len(), 1, "the copy stays");

    // The commands of its README, with other ages.
    let readme = include_str!("../../../examples/archive/README.md");
    let list = command_of(readme, "queue list");
    assert!(server.halonctl(&list).contains("archive@archive.example.org"), "{}", server.halonctl(&list));
    let delete = command_of(readme, "--delete");
    assert!(server.halonctl(&delete).contains("0 messages affected"), "it is not 30 days old");
    let delete = delete.replace(">=2592000", ">=0");
    assert!(server.halonctl(&delete).contains("1 messages affected"));
    server.client().send("a@b.example", &["c@d.example"], BODY);
    sink.wait_for(2);
    let rows: serde_json::Value =
        serde_json::from_str(&server.halonctl(&format!("{list} --json"))).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let id = rows[0]["id"]["transaction"].as_str().expect("an id");
    let release = command_of(readme, "--active").replace("ID", id);
    assert!(server.halonctl(&release).contains("1 messages affected"), "{release}");
    assert_eq!(sink.wait_for(3)[2].to, ["archive@archive.example.org"]);
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
        Command::new(program("hqfcat")).arg("--text").arg(server.spool()).output().expect("hqfcat runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "");
}

#[test]
fn minimal_passes_everything_on() {
    let sink = Sink::start();
    let server = Example::start("minimal", &[("SINK_PORT", sink.port().to_string())]);
    server.client().send("a@b.example", &["c@d.example"], BODY);
    assert_eq!(sink.wait_for(1)[0].to, ["c@d.example"]);
}
