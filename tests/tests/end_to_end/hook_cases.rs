//! Acceptance cases of hooks that need more than one script and one next hop, and what `Try` can ask for.

use std::time::Duration;

use tests::peer::Tls;
use tests::pki::Authority;
use tests::{Behaviour, Builder, Client, NameServer, Peer, Record, Sink, Smtpd, wait_until};

use crate::tls::path;

const BODY: &[u8] = b"From: a@a.example\r\nTo: b@b.example\r\nSubject: hi\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\r\nhello\r\n";

/// RFC 8463, appendix A.
const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// With scripts: hook and text.
pub(crate) fn with_hooks(builder: Builder, hooks: &[(&str, &str)]) -> Builder {
    let (mut phases, mut running) = (Vec::new(), "scripting:\n  hooks:\n".to_owned());
    for (hook, text) in hooks {
        let text = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        if hook.ends_with("delivery") {
            running.push_str(&format!("    {hook}: {text}\n"));
        } else {
            let in_clear = if *hook == "auth" { ", tls: false" } else { "" };
            phases.push(format!("{hook}: {{hook: x{in_clear}}}"));
            running.push_str(&format!("    {hook}:\n      - id: x\n        data: {text}\n"));
        }
    }
    let builder = builder.running(&running);
    if phases.is_empty() {
        return builder;
    }
    builder.server(&format!("phases: {{{}}}", phases.join(", ")))
}

fn send(server: &Smtpd, domain: &str) {
    Client::connect(server.port()).send("a@a.example", &[&format!("b@{domain}")], BODY);
}

/// A server that writes into `X-Verified` what each signature of a message is worth, and passes it on.
fn verifier(sink: &Sink, dns: &NameServer) -> Smtpd {
    let verify = r#"$m = $arguments["mail"];
        $results = array_map(function ($field) closure ($m) { return $m->verifyDKIM($field)["result"]; },
            $m->getHeaders("DKIM-Signature", ["field" => true]));
        $m->addHeader("X-Verified", implode(" ", $results));
        $m->queue("", "b@b.example", "out"); Accept();"#;
    let resolver = format!("resolver: {{servers: [\"127.0.0.1:{}\"]}}\n", dns.port());
    with_hooks(Smtpd::relay_to(sink.port()), &[("eod", verify)]).running(&resolver).start()
}

#[test]
fn hk32_a_peer_verifies_what_a_script_has_signed() {
    let sink = Sink::start();
    let dns = NameServer::start(&[("s._domainkey.a.example", Record::Txt(RECORD))]);
    let verifier = verifier(&sink, &dns);
    let sign = format!(
        r#"$m = $arguments["mail"];
        $m->signDKIM("s", "a.example", "-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----\n", ["algorithm" => "ed25519-sha256"]);
        $m->queue("a@a.example", "b@b.example", "out"); Accept();"#
    );
    let signer = with_hooks(Smtpd::relay_to(verifier.port()), &[("eod", &sign)]).start();
    send(&signer, "b.example");
    let message = sink.wait_for(1).remove(0);
    let text = String::from_utf8_lossy(&message.data).into_owned();
    assert!(text.contains("X-Verified: pass\r\n"), "{text}");
    let unfolded = text.replace("\r\n\t", "").replace("\r\n ", "");
    let field = unfolded.lines().find(|line| line.starts_with("DKIM-Signature:")).expect("a signature");
    let names = field.split(';').find_map(|tag| tag.trim().strip_prefix("h=")).expect("a list of names");
    let names: Vec<String> = names.split(':').map(|name| name.trim().to_ascii_lowercase()).collect();
    assert_eq!(names.iter().filter(|name| *name == "from").count(), 2, "{names:?}");
    let mut present: Vec<&str> = names.iter().map(String::as_str).collect();
    present.sort_unstable();
    present.dedup();
    assert_eq!(present, ["date", "from", "subject", "to"]);
}

/// The signature was over a Date that delivery then replaced.
#[test]
fn a_signature_over_a_date_that_is_set_later_is_verified_by_a_peer() {
    let sink = Sink::start();
    let dns = NameServer::start(&[("s._domainkey.a.example", Record::Txt(RECORD))]);
    let verifier = verifier(&sink, &dns);
    let sign = format!(
        r#"$m = $arguments["mail"];
        $m->setDateLater();
        $m->signDKIM("s", "a.example", "-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----\n", ["algorithm" => "ed25519-sha256"]);
        $m->queue("a@a.example", "b@b.example", "out", ["delay" => 2]); Accept();"#
    );
    let signer = with_hooks(Smtpd::relay_to(verifier.port()), &[("eod", &sign)]).start();
    send(&signer, "b.example");
    let message = sink.wait_for(1).remove(0);
    let text = String::from_utf8_lossy(&message.data).into_owned();
    assert!(text.contains("X-Verified: pass\r\n") && !text.contains("01 Jan 2026"), "{text}");
}

#[test]
fn each_of_several_signatures_is_verified_by_a_peer() {
    let sink = Sink::start();
    let dns = NameServer::start(&[
        ("s._domainkey.a.example", Record::Txt(RECORD)),
        ("t._domainkey.c.example", Record::Txt(RECORD)),
        // Another key.
        (
            "u._domainkey.c.example",
            Record::Txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp="),
        ),
    ]);
    let verifier = verifier(&sink, &dns);
    let sign = format!(
        r#"$m = $arguments["mail"];
        $key = "-----BEGIN PRIVATE KEY-----\n{PRIVATE}\n-----END PRIVATE KEY-----\n";
        $of_c = function ($selector) closure ($key) {{ return ["selector" => $selector, "domain" => "c.example", "key" => $key]; }};
        $m->signDKIM("s", "a.example", $key, ["algorithm" => "ed25519-sha256", "additional_signatures" => [$of_c("t"), $of_c("u")]]);
        $m->queue("a@a.example", "b@b.example", "out"); Accept();"#
    );
    let signer = with_hooks(Smtpd::relay_to(verifier.port()), &[("eod", &sign)]).start();
    send(&signer, "b.example");
    let message = sink.wait_for(1).remove(0);
    let text = String::from_utf8_lossy(&message.data).into_owned();
    let verdicts =
        text.lines().find_map(|line| line.strip_prefix("X-Verified: ")).expect("they were looked at");
    let mut verdicts: Vec<&str> = verdicts.split(' ').collect();
    verdicts.sort_unstable();
    assert_eq!((verdicts.len(), &verdicts[1..]), (3, &["pass", "pass"][..]), "{text}");
}

#[test]
fn hk49_of_two_source_addresses_the_suspended_one_is_left_out() {
    let peer = Peer::start(Behaviour::new());
    let predelivery = r#"Try(["sourceip" => ["127.0.0.2", "127.0.0.3"], "sourceip_random" => false]);"#;
    let predelivery = predelivery.replace("\"127.0.0.2\"", r#"["address" => "127.0.0.2"]"#);
    let predelivery = predelivery.replace("\"127.0.0.3\"", r#"["address" => "127.0.0.3"]"#);
    let suspend = "version: \"6.10\"\nsuspends:\n  - {localip: 127.0.0.2, recipientdomain: b.example}\n";
    let builder = Smtpd::relay_to(peer.port()).suspends(Some(suspend));
    let server = with_hooks(builder, &[("predelivery", &predelivery)]).start();
    let source = |number: usize| peer.wait_for(number + 1)[number].connection;
    send(&server, "b.example");
    let connection = source(0);
    assert_eq!(peer.connections()[connection].source.ip().to_string(), "127.0.0.3");
    send(&server, "c.example");
    let connection = source(1);
    assert_eq!(peer.connections()[connection].source.ip().to_string(), "127.0.0.2");
}

#[test]
fn hk59_a_return_path_is_rewritten_there_and_back_and_a_forged_one_is_refused() {
    let sink = Sink::start();
    let eod = r#"import { srs_forward } from "extras://srs";
        $from = $transaction["senderaddress"];
        if ($from["domain"] != "")
            $from = ["localpart" => srs_forward($from["localpart"], $from["domain"], ["secret" => "k1"]), "domain" => "fwd.example"];
        foreach ($transaction["recipients"] as $r)
            $arguments["mail"]->queue($from, $r["address"], $r["transportid"]);
        Accept();"#;
    let rcptto = r#"import { srs_reverse } from "extras://srs";
        if ($arguments["address"]["domain"] == "fwd.example") {
            $orig = srs_reverse($arguments["address"]["localpart"], ["secret" => "k1"]);
            if (!$orig) Reject("Not a valid return path", ["reply_codes" => ["code" => 550, "enhanced" => [5, 1, 1]]]);
            Accept(["recipient" => $orig, "transportid" => "out"]);
        }"#;
    let server = with_hooks(Smtpd::relay_to(sink.port()), &[("eod", eod), ("rcptto", rcptto)]).start();
    let mut client = Client::connect(server.port());
    client.send("Joe@a.example", &["b@b.example"], BODY);
    let forwarded = sink.wait_for(1).remove(0).from;
    assert!(
        forwarded.starts_with("SRS0=") && forwarded.ends_with("=a.example=Joe@fwd.example"),
        "{forwarded}"
    );
    client.send("", &[&forwarded], BODY);
    assert_eq!(sink.wait_for(2)[1].to, ["Joe@a.example"]);
    let (head, tail) = forwarded.split_at("SRS0=".len());
    let other = if tail.starts_with('x') { "y" } else { "x" };
    client.command("MAIL FROM:<>\r\n", "250");
    client
        .command(&format!("RCPT TO:<{head}{other}{}>\r\n", &tail[1..]), "550 5.1.1 Not a valid return path");
}

#[test]
fn postdelivery_is_told_the_policies_of_an_attempt() {
    let peer = Peer::start(Behaviour::new());
    let builder = Smtpd::relay_to(peer.port());
    let policies = "version: \"6.10\"\npolicies:\n  - {fields: [recipientdomain, localip], conditions: [{if: {recipientdomain: b.example}, \
                    then: {tag: slow, concurrency: 9, properties: {backoff-ttl: 60, x: true, y: z}}}]}\n  - {fields: [remoteip], default: {stop: true}}\n  - {}\n";
    let file = builder.dir().join("smtpd-policy.yaml");
    std::fs::write(&file, policies).expect("it can be written");
    let builder = builder.environment(&format!("policyconf: \"{}\"", file.display()));
    let postdelivery = r#"echo "policy " . json_encode($arguments["policy"]);"#;
    let server = with_hooks(builder, &[("postdelivery", postdelivery)]).start();
    send(&server, "b.example");
    server.wait_for_log(
        r#"policy {"tags":["slow"],"policies":[{"fields":["localip","recipientdomain"],"grouping":[],"dynamic":[],"properties":{"backoff-ttl":60,"x":true,"y":"z"},"tags":["slow"]},{"fields":["remoteip"],"grouping":[],"dynamic":[],"properties":[],"stop":true}]}"#,
    );
}

#[test]
fn a_script_has_a_proxy_connect() {
    let peer = Peer::start(Behaviour::new());
    // A server that believes PROXY headers stands for the proxy and the host behind it.
    let host =
        Smtpd::relay_to(peer.port()).listen("proxyprotocol: [127.0.0.1]").server("openrelay: true").start();
    let predelivery = format!(
        r#"Try(["host" => "192.0.2.9", "sourceip" => [["address" => "198.51.100.7"]], "proxyprotocol" => ["server" => "127.0.0.1", "port" => {}]]);"#,
        host.port()
    );
    let server = with_hooks(Smtpd::relay_to(1), &[("predelivery", &predelivery)]).start();
    send(&server, "b.example");
    peer.wait_for(1);
    host.wait_for_log("remote=198.51.100.7:0");
    server.wait_for_log("mx=192.0.2.9 remote=192.0.2.9:");
}

/// Regression: a transport that does not check certificates had nobody to trust, and nothing to show.
#[test]
fn a_script_asks_for_checks_and_a_certificate_that_its_transport_does_not_have() {
    let authority = Authority::new();
    let config = authority.server_with_clients(&authority.issue(&["127.0.0.1"]));
    let peer = Peer::start(Behaviour::new().tls(Tls { config, implicit: false, fault: None }));
    let builder = Smtpd::relay_to(peer.port());
    let (certificate, key) = authority.issue(&["us.test.example"]).write(builder.dir(), "us");
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let (certificate, key, ca) = (path(&certificate), path(&key), path(&ca));
    let pki = format!(
        "pki: {{private: [{{id: us, certificate: {certificate}, privatekey: {key}}}], trusted: [{{id: ca, certificate: {ca}}}]}}"
    );
    let predelivery = r#"Try(["tls" => "require_verify", "tls_verify_host" => true, "tls_client_cert" => "us", "tls_default_ca" => true]);"#;
    let server = with_hooks(builder.running(&pki), &[("predelivery", predelivery)]).start();
    send(&server, "b.example");
    let there = wait_until(Duration::from_secs(30), || peer.message_count() == 1);
    assert!(there, "{:#?}", server.log());
    let tls = peer.connections()[0].tls.clone().expect("encrypted");
    assert!(tls.client_certificate, "{tls:?}");
}

/// Regression: a look-up showed a certificate without a word of what is wrong with it, and one that was not checked passed for a
/// good one in postdelivery.
#[test]
fn what_is_wrong_with_the_certificate_of_a_next_hop_is_told_and_what_was_not_checked_is_not_good() {
    let authority = Authority::new();
    let config = authority.issue(&["127.0.0.1", "mx.b.example"]).server();
    let peer = Peer::start(Behaviour::new().tls(Tls { config, implicit: false, fault: None }));
    let builder = Smtpd::relay_to(peer.port());
    let ca = builder.dir().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("writes");
    let pki = format!("pki: {{trusted: [{{id: ca, certificate: {}}}]}}", path(&ca));
    let predelivery = format!(
        r#"foreach (["optional", "require_verify"] as $tls) {{
            $hop = ["host" => "127.0.0.1", "port" => {}, "tls" => $tls, "tls_verify_host" => true, "tls_capture_peer_cert" => true];
            $c = smtp_lookup_rcpt($hop, "", $message["recipientaddress"], ["extended_result" => true])["tls"]["peercert"];
            echo "asked " . $tls . " " . X509($c["x509"])->subject_alt_name()["DNS"][0] . " " . length($c["chain"]) . " " . $c["error"];
        }}
        Try(["tls" => $message["recipientaddress"]["localpart"], "tls_verify_host" => true]);"#,
        peer.port()
    );
    let postdelivery = r#"$tls = $arguments["attempt"]["connection"]["tls"];
        echo "sent " . $message["recipientaddress"]["localpart"] . " " . $tls["peercert"]["error"];"#;
    let server =
        with_hooks(builder.running(&pki), &[("predelivery", &predelivery), ("postdelivery", postdelivery)])
            .start();
    Client::connect(server.port()).send("a@a.example", &["optional@b.example"], BODY);
    Client::connect(server.port()).send("a@a.example", &["require_verify@b.example"], BODY);
    server.wait_for_log("] sent optional 20");
    server.wait_for_log("] sent require_verify 0");
    server.wait_for_log(r#"] asked optional mx.b.example 0 20"#);
    server.wait_for_log(r#"] asked require_verify mx.b.example 0 0"#);
}

/// Scripts ask name servers through the server's resolver: once for all shards, and once for themselves and the delivery.
#[test]
fn what_a_script_asks_of_dns_is_asked_once() {
    let records = [
        ("x.example", Record::Txt("v=x")),
        ("b.example", Record::Mx(10, "mx.b.example")),
        ("mx.b.example", Record::A("127.0.0.1")),
    ];
    let dns = NameServer::start(&records);
    let ask = r#"echo "txt " . json_encode(dns_query("x.example", ["type" => "txt", "extended_result" => true])["result"][0]["value"]);"#;
    let server = with_hooks(Smtpd::by_mx(1, dns.port()).shards(8), &[("helo", ask)]).start();
    // All at once, so that each shard has some.
    let clients: Vec<Client> = (0..24).map(|_| Client::connect(server.port())).collect();
    let told = || server.log().iter().filter(|line| line.contains(r#"] txt "v=x""#)).count();
    assert!(wait_until(Duration::from_secs(60), || told() >= clients.len()), "{:#?}", server.log());
    // A shard that hears nothing of the owner in time asks by itself, on a slow machine.
    let queries = dns.query_count("x.example", "TXT");
    assert!(queries <= 4, "{queries} queries from 8 shards");
    drop(server);

    let peer = Peer::start(Behaviour::new());
    let ask = r#"echo "mx " . implode(",", dns_query("b.example", ["type" => "mx"])["result"]);"#;
    let server = with_hooks(Smtpd::by_mx(peer.port(), dns.port()).shards(1), &[("predelivery", ask)]).start();
    send(&server, "b.example");
    peer.wait_for(1);
    server.wait_for_log("] mx mx.b.example");
    assert_eq!(dns.query_count("b.example", "MX"), 1);
}

#[test]
fn without_a_transport_of_the_server_the_script_names_one_or_the_client_is_told_to_come_back() {
    let sink = Sink::start();
    let eod = r#"foreach ($transaction["recipients"] as $r)
            $arguments["mail"]->queue($transaction["senderaddress"], $r["address"], $r["transportid"]);
        Accept();"#;
    let rcptto = r#"if ($arguments["address"]["domain"] == "b.example") Accept(["transportid" => "out"]);
        echo "nothing: " . ($arguments["transportid"] === none ? "none" : "some"); Accept();"#;
    let builder = Smtpd::relay_to(sink.port()).without_server_transport();
    let server = with_hooks(builder, &[("eod", eod), ("rcptto", rcptto)]).start();
    send(&server, "b.example");
    assert_eq!(sink.wait_for(1)[0].to, ["b@b.example"]);
    let mut client = Client::connect(server.port());
    client.command("MAIL FROM:<a@a.example>\r\n", "250");
    client.command("RCPT TO:<b@c.example>\r\n", "250");
    client.command("DATA\r\n", "354");
    client.command("Subject: x\r\n\r\nx\r\n.\r\n", "4");
    server.wait_for_log("nothing: none");
    server.wait_for_log("script eod:x failed: ");
}

#[test]
fn a_script_says_how_tls_is_spoken() {
    let config = Authority::new().issue(&["127.0.0.1"]).server();
    let peer = Peer::start(Behaviour::new().tls(Tls { config, implicit: false, fault: None }));
    let ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    let predelivery = format!(
        r#"if ($message["recipientaddress"]["domain"] == "b.example")
            Try(["tls" => "require", "tls_protocols" => "!TLSv1.3", "tls_ciphers" => "{ciphers}", "tls_sni" => "sni.example"]);
        Try(["tls" => "require"]);"#
    );
    let server = with_hooks(Smtpd::relay_to(peer.port()), &[("predelivery", &predelivery)]).start();
    for (domain, count) in [("b.example", 1), ("c.example", 2)] {
        send(&server, domain);
        let there = wait_until(Duration::from_secs(30), || peer.message_count() == count);
        assert!(there, "{domain}: {:#?}", server.log());
    }
    let tls: Vec<_> =
        peer.connections().iter().map(|connection| connection.tls.clone().expect("encrypted")).collect();
    assert_eq!((tls[0].version.as_str(), tls[0].sni.as_deref()), ("TLSv1_2", Some("sni.example")), "{tls:?}");
    assert!(tls[0].cipher.contains("CHACHA20_POLY1305"), "{tls:?}");
    assert_eq!((tls[1].version.as_str(), tls[1].sni.as_deref()), ("TLSv1_3", None), "{tls:?}");
}

/// The host lacks the address, so nobody can answer; but binding it is no error any more.
#[test]
fn a_script_binds_an_address_that_the_host_lacks() {
    let peer = Peer::start(Behaviour::new());
    let predelivery = r#"$nonlocal = $message["recipientaddress"]["domain"] == "b.example";
        Try(["sourceip" => [["address" => "192.0.2.77"]], "nonlocal_source" => $nonlocal, "connect_timeout" => 1]);"#;
    let postdelivery = r#"$e = $arguments["attempt"]["error"];
        echo "failed: " . $message["recipientaddress"]["domain"] . " " . $e["type"] . " " . $e["message"];"#;
    let hooks = [("predelivery", predelivery), ("postdelivery", postdelivery)];
    let server = with_hooks(Smtpd::relay_to(peer.port()), &hooks).start();
    send(&server, "b.example");
    send(&server, "c.example");
    server.wait_for_log("to=<b@c.example> recipients=1 mx=127.0.0.1");
    server.wait_for_log("this host does not have the source address 192.0.2.77");
    server.wait_for_log("failed: b.example network");
}
