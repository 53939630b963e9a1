//! What scripts ask of others while a client waits: next hops, name servers, web servers.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::name_server::{Fault, NameServer};
use tests::peer::{Behaviour, Peer, Phase, Rule};
use tests::{Builder, Client, Record, Run, Sink, SinkReply, Smtpd, wait_until};

/// A server with these scripts, by phase.
fn server(port: u16, scripts: &[(&str, &str)]) -> Builder {
    let mut running = "scripting:\n  hooks:\n".to_owned();
    let mut phases = Vec::new();
    for (phase, text) in scripts {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(running, "    {phase}:\n      - id: x\n        data: \"{text}\"\n")
            .expect("a string takes all");
        let more = if *phase == "auth" { ", tls: false" } else { "" };
        phases.push(format!("{phase}: {{hook: x{more}}}"));
    }
    Smtpd::relay_to(port).running(&running).server(&format!("phases: {{{}}}", phases.join(", ")))
}

/// The transport's own settings are used where a script names it.
#[test]
fn a_transport_is_a_server_too() {
    let sink = Sink::start();
    let script = "$r = $arguments[\"mail\"]->send(\"\", \"b@z.example\", \"out\");
        echo \"said \" . $r[\"result\"][\"code\"] . \" \" . $r[\"connection\"][\"remoteip\"]; Accept();";
    let server = server(sink.port(), &[("eod", script)]).start();
    Client::connect(server.port()).send("a@x.example", &["b@z.example"], b"Subject: x\r\n\r\nhi\r\n");
    server.wait_for_log("said 250 127.0.0.1");
    assert_eq!(sink.wait_for(1)[0].from, "");
}

/// Ids of `addresses` say where scripts connect from.
#[test]
fn scripts_name_the_address_that_they_connect_from() {
    let peer = Peer::start(Behaviour::new());
    let web = TcpListener::bind("127.0.0.1:0").expect("a port");
    let script = format!(
        "$s = [\"host\" => \"127.0.0.1\", \"port\" => {}, \"sourceipid\" => \"two\"];
        echo \"is \" . smtp_lookup_rcpt($s, \"\", \"b@y.example\");
        $t = $s; $t[\"sourceipid\"] = \"nine\";
        try {{ smtp_lookup_rcpt($t, \"\", \"b@y.example\"); }} catch ($e) {{ echo $e->toString(); }}
        foreach ([\"eight\", \"far\"] as $id)
            try {{ http(\"http://127.0.0.1:1/\", [\"sourceipid\" => $id]); }} catch ($e) {{ echo $e->toString(); }}
        http(\"http://127.0.0.1:{}/\", [\"sourceipid\" => \"two\"]);",
        peer.port(),
        web.local_addr().expect("it is bound").port()
    );
    let addresses = "addresses: [{id: two, address: 127.0.0.2}, \
        {id: far, address: 192.0.2.1, proxyprotocol: {server: 127.0.0.1, port: 1}}]\n";
    let server = server(1, &[("mailfrom", &script)]).running(addresses).start();
    let mut client = Client::connect(server.port());
    client.write(b"MAIL FROM:<a@x.example>\r\n");
    let (asking, address) = web.accept().expect("it is asked");
    drop(asking);
    client.expect("250");
    server.wait_for_log("is 1");
    server.wait_for_log("option \"sourceipid\": there is no address \"nine\"");
    server.wait_for_log("http(): option \"sourceipid\": there is no address \"eight\"");
    server.wait_for_log("http(): option \"sourceipid\": \"far\" is behind a proxy");
    assert_eq!(address.ip().to_string(), "127.0.0.2");
    assert!(peer.connections().iter().all(|connection| connection.source.ip().to_string() == "127.0.0.2"));
    assert_eq!(peer.connection_count(), 1);
}

/// With the recipe of section 12.2 of the reference.
#[test]
fn hk58_recipients_are_looked_up_where_their_mail_goes() {
    let directory = Peer::start_at(
        SocketAddr::from(([127, 0, 0, 2], 0)),
        Behaviour::new().rule(Rule::at(Phase::Rcpt).containing("nobody").reply("550 5.1.1 unknown")),
    );
    let script = format!(
        "function knows($addr) {{
            return smtp_lookup_rcpt([\"host\" => \"127.0.0.2\", \"port\" => {}, \"tls\" => \"optional\"], \"\", $addr);
        }}
        $verdict = cache [\"ttl\" => 86400, \"ttl_override\" => [0 => 300, -1 => 15], \"size\" => 50000] knows($arguments[\"recipient\"]);
        if ($verdict === 0) Reject(\"No mailbox here by that name\", [\"reply_codes\" => [\"code\" => 550, \"enhanced\" => [5, 1, 1]]]);
        if ($verdict === -1) Defer(\"Recipient directory is busy\");
        Accept();",
        directory.port()
    );
    let server = server(1, &[("rcptto", &script)]).start();
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@x.example>\r\n", "250");
    client.command("RCPT TO:<nobody@z.example>\r\n", "550 5.1.1 No mailbox");
    client.command("RCPT TO:<somebody@z.example>\r\n", "250");
    let asked = directory.connection_count();
    client.command("RCPT TO:<nobody@z.example>\r\n", "550 5.1.1");
    assert_eq!(directory.connection_count(), asked, "the answer was kept");
    assert!(directory.messages().is_empty());
    drop(directory);
    client.command("RCPT TO:<other@z.example>\r\n", "450");
    client.command("RCPT TO:<nobody@z.example>\r\n", "550 5.1.1");
}

/// One shard; a script waits for somebody who says nothing, for each way of waiting; the shard serves on.
#[test]
fn a_script_that_waits_does_not_hold_up_its_shard() {
    let names = NameServer::start(&[]);
    names.fault("slow.example", Some(Fault::Silence));
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let script = "$ways = [
            \"dns\" => function () { return dns_query(\"slow.example\", [\"timeout\" => 3])[\"error\"]; },
            \"http\" => function () { return http(\"http://127.0.0.1:PORT/\", [\"timeout\" => 3]); },
            \"socket\" => function () {
                $s = Socket(\"AF_INET\", \"SOCK_STREAM\"); $s->settimeout(3); $s->connect(\"127.0.0.1\", PORT); return $s->recv(1);
            },
            \"smtp\" => function () {
                return smtp_lookup_rcpt([\"host\" => \"127.0.0.1\", \"port\" => PORT, \"timeout\" => [\"BANNER\" => 3]], \"\", \"a@b.example\");
            }
        ];
        $way = $arguments[\"address\"][\"localpart\"];
        if (isset($ways[$way])) { $got = $ways[$way](); echo \"way \" . $way . \" \" . json_encode($got); }"
        .replace("PORT", &port.to_string());
    let resolver = format!("resolver: {{servers: [\"127.0.0.1:{}\"]}}\n", names.port());
    let server = server(1, &[("mailfrom", &script)]).running(&resolver).shards(1).start();
    let ways = ["dns", "http", "socket", "smtp"];
    let mut waiting: Vec<Client> = ways.iter().map(|_| Client::connect(server.port())).collect();
    let mut other = Client::connect(server.port());
    let begun = Instant::now();
    for (client, way) in waiting.iter_mut().zip(ways) {
        client.write(format!("MAIL FROM:<{way}@x.example>\r\n").as_bytes());
    }
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        let asked = Instant::now();
        other.command("MAIL FROM:<quick@x.example>\r\n", "250");
        other.command("RSET\r\n", "250");
        slowest = slowest.max(asked.elapsed());
        rounds += 1;
    }
    println!("{rounds} rounds beside four scripts that wait; the slowest took {slowest:?}");
    assert!(rounds > 1 && slowest < Duration::from_secs(2), "{rounds} rounds, slowest {slowest:?}");
    for client in &mut waiting {
        client.expect("250");
    }
    assert!(begun.elapsed() >= Duration::from_secs(2), "they did wait");
    for line in ["way dns \"TRY_AGAIN\"", "way http null", "way socket null", "way smtp -1"] {
        server.wait_for_log(line);
    }
}

/// `$connection` and `$arguments` of connect, as complete as the reference has them.
#[test]
fn scripts_see_proxies_and_certificates() {
    let connect = "echo \"from \" . $arguments[\"remoteip\"] . \" by \" . $arguments[\"proxyip\"] . \" with \" . $arguments[\"proxytlv\"];";
    let server = server(1, &[("connect", connect)])
        .listen("proxyprotocol: [127.0.0.1]")
        .server("openrelay: true")
        .start();
    let mut client = Client::open(server.port());
    let addresses = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 0, 25];
    let fields = [2, 0, 3, b'a', b'b', b'c'];
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12"[..], &addresses, &fields].concat();
    client.write(&header);
    client.expect("220");
    server.wait_for_log("from 192.0.2.7 by 127.0.0.1 with 020003616263");

    let authority = tests::pki::Authority::new();
    let stranger = tests::pki::Authority::new();
    let mail = "$c = $connection[\"tls\"][\"peercert\"];
        echo \"is \" . X509($c[\"x509\"])->subject_alt_name()[\"DNS\"][0] . \" \" . length($c[\"chain\"]) . \" \" . $c[\"error\"];";
    let builder = self::server(1, &[("mailfrom", mail)]);
    let (certificate, key) = authority.issue(&["mx.test.example"]).write(builder.dir(), "mx");
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let path = |path: &std::path::Path| format!("{{path: \"{}\"}}", path.display());
    let (certificate, key, ca) = (path(&certificate), path(&key), path(&ca));
    let server = builder
        .running(&format!(
            "pki: {{private: [{{id: mx, certificate: {certificate}, privatekey: {key}}}], trusted: [{{id: ca, certificate: {ca}}}]}}"
        ))
        .server("tls: {certs: {cert: mx}, clientcert: optional}")
        .start();
    for (issuer, expected) in
        [(&authority, "is client.test.example 0 0"), (&stranger, "is client.test.example 0 20")]
    {
        let config = std::sync::Arc::new(authority.client_with(&issuer.issue(&["client.test.example"])));
        let mut client =
            tests::SecureClient::starttls(server.port(), &config, "mx.test.example").expect("agrees");
        client.command("EHLO a\r\n", "250").expect("answers");
        client.command("MAIL FROM:<a@x.example>\r\n", "250").expect("answers");
        server.wait_for_log(expected);
    }
}

/// What DNS says about the client, for the first hook. The names of this host are not asked for, so a proxy brings others.
#[test]
fn the_first_hook_is_shown_what_dns_says_of_the_client() {
    let names = NameServer::start(&[
        ("7.2.0.192.in-addr.arpa", Record::Ptr("mx.c.example")),
        ("mx.c.example", Record::A("192.0.2.7")),
        ("8.2.0.192.in-addr.arpa", Record::Ptr("liar.example")),
        ("liar.example", Record::A("198.51.100.1")),
    ]);
    let connect = "echo \"ptr \" . json_encode([$arguments[\"remoteptr\"] ?? none, $arguments[\"remoteptrresult\"] ?? none]);";
    let helo = "echo \"later \" . json_encode([isset($arguments[\"remoteptrresult\"]), isset($connection[\"remoteptrresult\"])]);";
    let server = server(1, &[("connect", connect), ("helo", helo)])
        .listen("proxyprotocol: [127.0.0.1]")
        .running(&format!("resolver: {{servers: [\"127.0.0.1:{}\"]}}\n", names.port()))
        .server("openrelay: true")
        .start();
    for (address, said) in [
        (
            "192.0.2.7",
            r#"ptr ["mx.c.example",{"reverse":{"result":["mx.c.example"],"dnssec":false},"forward":{"result":["192.0.2.7"],"dnssec":false}}]"#,
        ),
        (
            "192.0.2.8",
            r#"ptr [null,{"reverse":{"result":["liar.example"],"dnssec":false},"forward":{"result":["198.51.100.1"],"dnssec":false}}]"#,
        ),
        ("192.0.2.9", r#"ptr [null,{"reverse":{"error":"NXDOMAIN","dnssec":false}}]"#),
    ] {
        // An answer that comes too late for one connection is there for the next.
        let told = wait_until(Duration::from_secs(60), || {
            let mut client = Client::open(server.port());
            client.write(format!("PROXY TCP4 {address} 127.0.0.1 1000 25\r\n").as_bytes());
            client.expect("220");
            client.command("EHLO a\r\n", "250");
            server.log().iter().any(|line| line.contains(said))
        });
        assert!(told, "{said}: {:#?}", server.log());
    }
    server.wait_for_log("later [false,false]");
    assert!(server.log().iter().all(|line| !line.contains("later [false,true]")));
}

/// Memory of a process, in KiB.
fn resident_kib(server: &Smtpd) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux says so");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Scripts that wait, one for each session, until the test lets them go on.
struct Waiting {
    server: Smtpd,
    clients: Vec<Client>,
    /// What each script waits for.
    peers: Vec<TcpStream>,
    /// Memory of the server before, and while all wait.
    grown_kib: u64,
}

impl Waiting {
    /// `SESSIONS=1000` for the full measurement. The sender of the first is `first@x.example`.
    fn begin(sink: &Sink, script: &str, message: &[u8]) -> Waiting {
        let sessions = std::env::var("SESSIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(80);
        // The scripts go on when this says so, however slow the machine is.
        let gate = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let script = script.replace("GATE", &gate.local_addr().expect("it is bound").port().to_string());
        let server = server(sink.port(), &[("eod", &script)]).shards(1).start();
        let before = resident_kib(&server);
        let mut clients = Vec::new();
        for number in 0..sessions {
            let mut client = Client::connect(server.port());
            let sender = if number == 0 { "first" } else { "other" };
            client.command(&format!("MAIL FROM:<{sender}@x.example>\r\n"), "250");
            client.command("RCPT TO:<b@z.example>\r\n", "250");
            client.command("DATA\r\n", "354");
            client.write(message);
            client.write(b".\r\n");
            clients.push(client);
        }
        let peers = (0..sessions).map(|_| gate.accept().expect("each script comes").0).collect();
        // They give their messages up one after the other, while they wait. What is free then goes back to the system,
        // although nothing else happens.
        let grown = || resident_kib(&server).saturating_sub(before);
        wait_until(Duration::from_secs(60), || grown() / sessions < 1000);
        let grown_kib = grown();
        println!("{sessions} scripts wait: {} KiB for each", grown_kib / sessions);
        Waiting { server, clients, peers, grown_kib }
    }

    /// All have been answered: they took little memory, and found nothing changed.
    fn end(mut self) {
        for client in &mut self.clients {
            client.expect("250");
        }
        assert!(self.server.log().iter().all(|line| !line.contains("same no")), "{:#?}", self.server.log());
        assert!(self.grown_kib / (self.clients.len() as u64) < 1000, "{} KiB", self.grown_kib);
    }
}

/// A message of 1 MiB.
fn large_message() -> Vec<u8> {
    let line = [b'x'; 998];
    let mut message = b"Subject: x\r\n\r\n".to_vec();
    (0..1048).for_each(|_| message.extend_from_slice(&[&line[..], b"\r\n"].concat()));
    message
}

/// The message of a script that waits is on disk only, and comes back whole.
#[test]
fn scripts_that_wait_pin_no_messages() {
    let sink = Sink::start();
    let script = "$m = $arguments[\"mail\"]; $before = $m->getHeader(\"Subject\");
        $s = Socket(\"AF_INET\", \"SOCK_STREAM\"); $s->settimeout(120); $s->connect(\"127.0.0.1\", GATE); $s->recv(1);
        echo \"same \" . ($m->getHeader(\"Subject\") === $before ? \"yes\" : \"no\");
        $m->addHeader(\"X-Waited\", \"yes\");
        if ($transaction[\"sender\"] == \"first@x.example\") $m->queue(\"\", \"b@z.example\", \"out\");
        Accept();";
    let message = large_message();
    let mut waiting = Waiting::begin(&sink, script, &message);
    waiting.peers.clear();
    let got = sink.wait_for(1).remove(0);
    assert!(got.data.starts_with(b"X-Waited: yes\r\n") && got.data.ends_with(&message), "it came back whole");
    waiting.end();
}

/// A scanner is given a file: that held the whole message for as long as the scanner took.
#[test]
fn files_of_messages_pin_none_while_scripts_wait() {
    let script = "$m = $arguments[\"mail\"]; $whole = $m->toFile(); $m->addHeader(\"X-A\", \"1\"); $changed = $m->toFile();
        $m->addHeader(\"X-B\", \"2\");
        $of = function ($f) { $f->seek(0); $all = $f->read(); 
            return [length($all), str_slice($all, 0, 1000), str_slice($all, -1000), $f->seek(0, \"SEEK_END\")]; };
        $first = [$of($whole), $of($changed)];
        $s = Socket(\"AF_INET\", \"SOCK_STREAM\"); $s->settimeout(120); $s->connect(\"127.0.0.1\", GATE); $s->recv(1);
        $changed->seek(0);
        $same = $changed->readline() === \"X-A: 1\" and [$of($whole), $of($changed)] === $first;
        echo \"same \" . ($same ? \"yes\" : \"no\");
        Accept();";
    let mut waiting = Waiting::begin(&Sink::start(), script, &large_message());
    waiting.peers.clear();
    waiting.server.wait_for_log("same yes");
    waiting.end();
}

/// The message that a script hands on in line is read when the peer wants it, not held until then.
#[test]
fn messages_that_are_sent_in_line_wait_on_disk() {
    let script = "$r = $arguments[\"mail\"]->addHeader(\"X-A\", \"1\");
        $r = $arguments[\"mail\"]->send(\"a@x.example\", \"b@z.example\", [\"host\" => \"127.0.0.1\", \"port\" => GATE]);
        echo \"sent \" . ($r[\"result\"][\"code\"] ?? 0);
        Accept();";
    let sink = Sink::start();
    let message = large_message();
    let mut waiting = Waiting::begin(&sink, script, &message);
    // One gets its answers at last, the others none any more.
    let first = waiting.peers.swap_remove(0);
    waiting.peers.clear();
    let next_hop = TcpStream::connect(("127.0.0.1", sink.port())).expect("it listens");
    let copies = [(&first, &next_hop), (&next_hop, &first)].map(|(from, to)| {
        let (mut from, mut to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        })
    });
    let got = sink.wait_for(1).remove(0);
    assert!(got.data.starts_with(b"X-A: 1\r\n") && got.data.ends_with(&message), "all of it is sent");
    waiting.server.wait_for_log("sent 250");
    waiting.end();
    copies.into_iter().for_each(|copy| copy.join().expect("it ends"));
}

/// What a script suspends is not picked up as long as it said, on no shard.
#[test]
fn a_script_suspends_what_goes_to_a_host() {
    let names = NameServer::start(&[
        ("slow.example", Record::Mx(10, "mx1.q.example")),
        ("mx1.q.example", Record::A("127.0.0.1")),
        ("other.example", Record::Mx(10, "mx.other.example")),
        ("mx.other.example", Record::A("127.0.0.1")),
    ]);
    let sink = Sink::start();
    let script = "$s = queue_suspend([\"remotemx\" => \"*.q.example\"], 3, [\"tag\" => \"busy\"]); echo \"id \" . length($s[\"id\"]);
        echo \"bad \" . json_encode(queue_suspend([\"nofield\" => \"x\"], 3));";
    let running = format!(
        "scripting:\n  hooks:\n    connect:\n      - id: x\n        data: \"{}\"\n",
        script.replace('"', "\\\"").replace('\n', "\\n")
    );
    let server = Smtpd::by_mx(sink.port(), names.port())
        .running(&running)
        .server("phases: {connect: {hook: x}}")
        .shards(2)
        .start();
    let begun = Instant::now();
    let mut client = Client::connect(server.port());
    server.wait_for_log("id 16");
    server.wait_for_log("bad null");
    client.send("a@x.example", &["b@slow.example"], b"Subject: x\r\n\r\nhi\r\n");
    client.send("a@x.example", &["b@other.example"], b"Subject: x\r\n\r\nhi\r\n");
    assert_eq!(sink.wait_for(1)[0].to, ["b@other.example"]);
    assert_eq!(sink.wait_for(2)[1].to, ["b@slow.example"]);
    assert!(begun.elapsed() >= Duration::from_millis(2500), "{:?}", begun.elapsed());
}

/// Quotas, and what counts as open.
#[test]
fn scripts_read_quotas_and_connections() {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("450 later".into()));
    let eod =
        "$arguments[\"mail\"]->queue(\"\", \"b@z.example\", \"out\", [\"quotas\" => [\"q\"]]); Accept();";
    let helo = "$q = queue_quota(\"q\"); echo \"quota \" . $q[\"count\"] . \" \" . ($q[\"bytes\"] > 10);
        echo \"open \" . server_concurrency(\"default\") . \" \" . server_concurrency(\"default\", \"127.0.0.0/8\") . \" \" .
            server_concurrency(\"default\", \"192.0.2.1\") . \" \" . json_encode(server_concurrency(\"nothing\"));";
    let server = server(sink.port(), &[("eod", eod), ("helo", helo)]).shards(2).start();
    let mut client = Client::connect(server.port());
    server.wait_for_log("quota 0 false");
    server.wait_for_log("open 1 1 0 null");
    client.send("a@x.example", &["b@z.example"], b"Subject: x\r\n\r\nhi\r\n");
    client.command("EHLO again\r\n", "250");
    server.wait_for_log("quota 1 true");
    sink.answer(SinkReply::Accept);
    sink.wait_for(1);
    let gone = wait_until(Duration::from_secs(20), || {
        client.command("EHLO again\r\n", "250");
        server.log().iter().filter(|line| line.contains("quota 0 false")).count() > 1
    });
    assert!(gone, "{}", server.log().join("\n"));
}

/// Clients prove that they know the password without showing it: our own, as `smtp_lookup_auth` has it.
#[test]
fn clients_log_in_by_mechanisms_that_a_script_speaks() {
    // One mechanism at a time, named by the client's greeting.
    let helo =
        "Accept([\"extensions\" => [\"AUTH \" . str_upper(str_split($arguments[\"host\"], \".\")[0])]]);";
    let auth = "import { sasl } from \"extras://sasl\";
        $step = sasl($arguments, $context[\"sasl\"] ?? none, function ($user) { return [\"jo\" => \"secret\"][$user]; });
        if (isset($step[\"reply\"])) { $context[\"sasl\"] = $step[\"keep\"]; Reply($step[\"reply\"]); }
        if (isset($step[\"username\"])) { echo \"in by \" . $arguments[\"mechanism\"] . \" as \" . $step[\"username\"]; Accept([\"username\" => $step[\"username\"]]); }
        Reject();";
    let disconnect = "echo \"ended \" . json_encode($connection[\"auth\"] ?? none);";
    let server = server(1, &[("helo", helo), ("auth", auth), ("disconnect", disconnect)]).start();
    for mechanism in ["CRAM-MD5", "SCRAM-SHA-256"] {
        let ask = |user: &str, password: &str| {
            let script = format!(
                "echo smtp_lookup_auth([\"host\" => \"127.0.0.1\", \"port\" => {}, \"helo\" => \"{}.example\"], \"{user}\", \"{password}\");",
                server.port(),
                mechanism.to_ascii_lowercase()
            );
            Run::hsh().args(["-"]).input(script).end().stdout
        };
        assert_eq!(ask("jo", "secret"), "1\n", "{mechanism}");
        assert_eq!(ask("jo", "Secret"), "0\n", "{mechanism}");
        assert_eq!(ask("kim", "secret"), "0\n", "{mechanism}");
        server.wait_for_log(&format!("in by {mechanism} as jo"));
        server.wait_for_log(&format!("ended {{\"mechanism\":\"{mechanism}\",\"username\":\"jo\"}}"));
        let failed = || {
            server
                .log()
                .iter()
                .filter(|line| line.contains("auth_failed") && line.contains(mechanism))
                .count()
        };
        assert!(wait_until(Duration::from_secs(60), || failed() == 2), "{}", server.log().join("\n"));
    }
}
