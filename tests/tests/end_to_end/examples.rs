//! The examples of the repository, as they are there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tests::{
    Behaviour, Client, NameServer, Peer, Phase, Record, Rule, Run, Sink, SinkReply, free_port, program,
    wait_until,
};

/// A server of an example, started as its README says. Ends with the test.
struct Example {
    child: Child,
    port: u16,
    readme: String,
    /// The repository's root for what the README says: it has the examples, and the programs where they are built.
    root: TempDir,
    log: Arc<Mutex<Vec<String>>>,
}

impl Example {
    fn start(name: &str, variables: &[(&str, String)]) -> Example {
        let root = tempfile::tempdir().expect("a temporary directory");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let programs = program("smtpd").parent().expect("its directory").to_owned();
        std::fs::create_dir(root.path().join("target")).expect("a temporary directory can be written");
        for (there, here) in [(repository.join("examples"), "examples"), (programs, "target/release")] {
            std::os::unix::fs::symlink(there, root.path().join(here))
                .expect("a temporary directory can be written");
        }
        let readme = repository.join("examples").join(name).join("README.md");
        let readme = std::fs::read_to_string(readme).expect("each example has one");
        builds_what_it_uses(&readme);
        let port = free_port();
        let mut command = shell(&root, &format!("exec env {}", line_of(&readme, "target/release/smtpd ")));
        command.env("PORT", port.to_string());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let made = shell(&root, line_of(&readme, "mkdir ")).status().expect("a shell");
        assert!(made.success());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("smtpd starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                writer.lock().expect("no test thread panics while logging").push(line);
            }
        });
        let example = Example { child, port, readme, root, log };
        let up = || example.log().iter().any(|line| line.contains("Started"));
        assert!(wait_until(Duration::from_secs(60), up), "{name}:\n{}", example.log().join("\n"));
        let of_script = |line: &String| {
            let place = line.split_once(": warning: ").map(|(place, _)| place);
            place.is_some_and(|place| place.ends_with(|last: char| last.is_ascii_digit()))
        };
        assert_eq!(
            example.log().into_iter().find(of_script),
            None,
            "{name}: nothing is odd about its scripts"
        );
        assert!(example.root.path().join("run/smtpd.ctl").exists(), "{name}: it takes commands there");
        example
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test thread panics while logging").clone()
    }

    fn spool(&self) -> PathBuf {
        self.root.path().join("run/spool")
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// The command of the README that has this in it.
    fn command(&self, with: &str) -> &str {
        line_of(&self.readme, with)
    }

    /// Runs a command in the repository's root.
    fn run(&self, line: &str) -> String {
        let ended = shell(&self.root, line).output().expect("a shell");
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{line}: {out}{err}");
        out.into_owned()
    }

    /// What lies in the spool, as `hqfcat` shows it.
    fn stored(&self) -> String {
        self.run("target/release/hqfcat --text run/spool")
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shell(root: &TempDir, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(root.path());
    command
}

/// The line of a README's commands that has this in it.
fn line_of<'r>(readme: &'r str, with: &str) -> &'r str {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let mut lines = blocks.flat_map(|(block, _)| block.lines());
    lines.find(|line| line.contains(with)).unwrap_or_else(|| panic!("{readme}: no command has {with:?}"))
}

/// Whether the README's build makes the programs that its commands call.
fn builds_what_it_uses(readme: &str) {
    let build = line_of(readme, "cargo build --release ");
    let packages = [("smtpd", "smtpd"), ("sink", "bench"), ("halonctl", "ctl"), ("hqfcat", "spool")];
    for used in readme.split("target/release/").skip(1).filter_map(|rest| rest.split([' ', '`']).next()) {
        let (_, package) = packages.iter().find(|(program, _)| *program == used).expect("a program of ours");
        assert!(build.contains(&format!("-p {package}")), "{build}: no {used}");
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
        ("nomail.example", Record::Mx(0, ".")),
        ("nomail.example", Record::A("192.0.2.1")),
        ("xn--bcher-kva.example", Record::Mx(10, "mx.good.example")),
        ("xn--bcher-kva.example", Record::Txt("v=spf1 ip4:127.0.0.1 -all")),
        ("xn--grn-ioa.example", Record::Mx(10, "mx.good.example")),
        ("xn--grn-ioa.example", Record::Txt("v=spf1 -all")),
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
        // The DNS knows other scripts by their A-labels only.
        (
            "MAIL FROM:<a@gr\u{fc}n.example> SMTPUTF8",
            "550-5.7.23 127.0.0.1 may not send mail for gr\u{fc}n.example",
        ),
        ("MAIL FROM:<a@b\u{fc}cher.example> SMTPUTF8", "250"),
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
    // RFC 5321, section 4.5.1: the postmaster of each domain that is served, and of none.
    client.send("", &["Postmaster", "PostMaster@Example.org", "postmaster@Lists.example.org"], BODY);
    let reached = mailboxes.wait_for(3).remove(2).to;
    assert!(
        reached.len() == 3 && reached.iter().all(|to| to.eq_ignore_ascii_case("postmaster@example.org")),
        "{reached:?}"
    );
    client.command("MAIL FROM:<>\r\n", "250");
    client
        .command("RCPT TO:<postmaster@elsewhere.example>\r\n", "550 5.7.1 We do not take mail for elsewhere");
}

#[test]
fn outbound_lets_users_send_signed_mail_by_job() {
    let names = NameServer::start(&[
        ("there.example", Record::Mx(10, "mx.there.example")),
        ("mx.there.example", Record::A("127.0.0.1")),
        ("example.org", Record::Mx(10, "mx.there.example")),
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
    client.send("ida@example.org", &["postmaster"], b"From: ida@example.org\r\nSubject: hi\r\n\r\nhello\r\n");
    assert_eq!(there.wait_for(3).remove(2).to, ["postmaster@example.org"]);

    // What cannot be delivered now waits as long as its job says.
    there.answer(SinkReply::Rcpt("450 4.2.1 later".into()));
    let before_s = unix_s();
    for from in ["ida@example.org", "news@example.org"] {
        let job = if from.starts_with("news") { "X-Job: Spring\r\n" } else { "" };
        let message = format!("From: {from}\r\n{job}Subject: late\r\n\r\nhello\r\n");
        client.send(from, &["z@there.example"], message.as_bytes());
    }
    let list = server.command("--json");
    let mut waiting: Vec<(String, f64)> = Vec::new();
    let both_wait = wait_until(Duration::from_secs(60), || {
        let rows: serde_json::Value = serde_json::from_str(&server.run(list)).expect("JSON");
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
    client.command("RCPT TO:<postmaster@elsewhere.example>\r\n", "550 5.1.1");
    client.command("RSET\r\n", "250");
    client.send("", &["POSTMASTER", "postmaster@FWD.example.org", "postmaster@example.org"], BODY);
    assert_eq!(sink.wait_for(3).remove(2).to, ["ida@home.example"; 3]);
}

#[test]
fn srs_makes_no_sender_that_is_longer_than_a_local_part_may_be() {
    let sink = Sink::start();
    let server = Example::start("srs", &[("SINK_PORT", sink.port().to_string())]);
    // What comes before the sender's own local part has 23 bytes.
    let [fits, long] = [41, 42].map(|length| format!("{}@b.example", "x".repeat(length)));
    server.client().send(&fits, &["ida@example.org"], BODY);
    let forwarded = sink.wait_for(1).remove(0).from;
    assert_eq!(forwarded.len(), 64 + "@fwd.example.org".len(), "{forwarded}");
    server.client().send(&long, &["ida@example.org"], BODY);
    assert_eq!(sink.wait_for(2).remove(1).from, long);
}

#[test]
fn archive_keeps_a_held_copy_in_the_same_body() {
    let sink = Sink::start();
    let server = Example::start("archive", &[("SINK_PORT", sink.port().to_string())]);
    let body = b"From: a@b.example\r\nSubject: hi\r\n\r\nstored but once\r\n";
    server.client().send("a@b.example", &["c@d.example"], body);
    assert_eq!(sink.wait_for(1)[0].to, ["c@d.example"]);
    assert!(server.stored().contains("archive@archive.example.org"), "{}", server.stored());
    assert_eq!(sink.messages().len(), 1, "the copy stays");
    assert_eq!(crate::hooks::on_disk(&server.spool(), b"stored but once"), 1, "one body for both");
    server.run(server.command("--export"));
    let kept = std::fs::read_dir(server.root.path().join("run/kept")).expect("it was made");
    let mails =
        kept.filter(|entry| entry.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|e| e == "eml")));
    assert_eq!(mails.count(), 1);

    // The commands of its README, the second one with another age.
    let list = server.command("queue list");
    assert!(server.run(list).contains("archive@archive.example.org"), "{}", server.run(list));
    let delete = server.command("--delete");
    assert!(server.run(delete).contains("0 messages affected"), "it is not 30 days old");
    assert!(server.run(&delete.replace(">=2592000", ">=0")).contains("1 messages affected"));
    server.client().send("a@b.example", &["c@d.example"], body);
    sink.wait_for(2);
    let rows: serde_json::Value = serde_json::from_str(&server.run(&format!("{list} --json"))).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let id = rows[0]["id"]["transaction"].as_str().expect("an id");
    let release = server.command("--active").replace("ID", id);
    assert!(server.run(&release).contains("1 messages affected"), "{release}");
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
    assert_eq!(server.stored().trim(), "");
}

#[test]
fn minimal_passes_everything_on() {
    let sink = Sink::start();
    let server = Example::start("minimal", &[("SINK_PORT", sink.port().to_string())]);
    server.client().send("a@b.example", &["c@d.example", "postmaster"], BODY);
    assert_eq!(sink.wait_for(1)[0].to, ["c@d.example", "postmaster"]);
}
