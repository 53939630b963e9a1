//! DANE with next hops (RFC 7672): scripted DNS, and a peer that speaks TLS or does not.

use std::time::Duration;

use control::Command;
use control::smtpd::{ResolverQueryRequest, ResolverQueryResponse};
use data_encoding::HEXLOWER;
use tests::name_server::Fault;
use tests::peer::Tls;
use tests::pki::Authority;
use tests::{Behaviour, Client, Halonctl, NameServer, Peer, Record, Smtpd, wait_until};

/// What becomes of a message to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It is delivered over TLS.
    Encrypted,
    /// It is delivered in clear.
    Clear,
    /// It waits, for a reason with this in it.
    Waits(&'static str),
}
use Expected::{Clear, Encrypted, Waits};

/// Domains by what is the matter with their TLSA records.
const DOMAINS: [&str; 10] = [
    "good",
    "anchor",
    "wrong",
    "othername",
    "none",
    "unusable",
    "unsigned",
    "insecuremx",
    "strict",
    "broken",
];

const NO_TLS: Expected = Waits("Peer does not offer STARTTLS");
const MISMATCH: Expected = Waits("none of the TLSA records is for it");
const UNKNOWN: Expected = Waits("its TLSA records are not known now: the name server answered SERVFAIL");

fn leak(text: String) -> &'static str {
    text.leak()
}

/// The zone of all domains, whose hosts show `own`. `strict` has the host of `insecuremx`, found securely.
fn zone(port: u16, authority: &Authority, own: &[u8]) -> NameServer {
    let mut records = Vec::new();
    let record = |usage: u8, data: &[u8]| leak(format!("{usage} 0 0 {}", HEXLOWER.encode(data)));
    let other = record(3, Authority::new().der());
    for domain in DOMAINS {
        let host = if domain == "strict" { "insecuremx" } else { domain };
        let (owner, host) = (leak(format!("{domain}.example")), leak(format!("mx.{host}.example")));
        records.extend([(owner, Record::Mx(10, host)), (host, Record::A("127.0.0.1"))]);
        let tlsa = match domain {
            "good" | "unsigned" | "broken" => record(3, own),
            "anchor" | "othername" => record(2, authority.der()),
            "unusable" => record(1, own),
            "wrong" | "insecuremx" => other,
            _ => continue,
        };
        records.push((leak(format!("_{port}._tcp.{host}")), Record::Tlsa(tlsa)));
    }
    let dns = NameServer::start(&records);
    dns.authentic(true);
    dns.fault("insecuremx.example", Some(Fault::Unsigned));
    dns.fault(&format!("_{port}._tcp.mx.unsigned.example"), Some(Fault::Unsigned));
    dns.fault(&format!("_{port}._tcp.mx.broken.example"), Some(Fault::ServerFailure));
    dns
}

/// One message to each domain, one after the other, so that a later one finds the connections of those before.
fn check(mode: &str, offers_tls: bool, expected: [Expected; 10], reports: &[(&str, &str)]) {
    let authority = Authority::new();
    let issued = authority.issue(&["mx.anchor.example"]);
    let behaviour = match offers_tls {
        true => Behaviour::new().tls(Tls { config: issued.server(), implicit: false, fault: None }),
        false => Behaviour::new(),
    };
    let peer = Peer::start(behaviour);
    let dns = zone(peer.port(), &authority, issued.der());
    let script = r#"echo "rpt " . $message["recipient"] . " " . ($arguments["attempt"]["connection"]["tls"]["tlsrpt"] ?? "-"); echo "type " . $message["recipient"] . " " . ($arguments["attempt"]["error"]["type"] ?? "-") . " " . json_encode($arguments["attempt"]["connection"]["tls"]["tlsa"] ?? "-");"#;
    let server = Smtpd::relay_to(1)
        .shards(1)
        .replace_connection(&format!("connection: {{port: {}}}", peer.port()))
        .transport(&format!("session: {{tls: {{mode: {mode}}}}}"))
        .running(&format!(
            "resolver: {{servers: [\"127.0.0.1:{}\"], trustad: true}}\nscripting: {{hooks: {{postdelivery: '{script}'}}}}",
            dns.port()
        ))
        .start();
    for (domain, expected) in DOMAINS.into_iter().zip(expected) {
        let to = format!("x@{domain}.example");
        Client::connect(server.port()).send("a@a.example", &[&to], b"Subject: x\r\n\r\nx\r\n");
        let arrived = || peer.messages().into_iter().find(|message| message.to == [to.clone()]);
        if let Waits(reason) = expected {
            let waits =
                || server.log().iter().any(|line| line.contains(&format!("<{to}>")) && line.contains(reason));
            let does = wait_until(Duration::from_secs(60), waits);
            assert!(does, "{mode}, {domain}: {:#?}", server.log());
            assert_eq!(arrived(), None, "{mode}, {domain}");
            continue;
        }
        assert!(
            wait_until(Duration::from_secs(60), || arrived().is_some()),
            "{mode}, {domain}: {:#?}",
            server.log()
        );
        let connection = arrived().expect("it has come").connection;
        let is_encrypted = peer.connections()[connection].tls.is_some();
        assert_eq!(is_encrypted, expected == Encrypted, "{mode}, {domain}");
    }
    for (domain, result) in reports {
        server.wait_for_log(&format!("rpt x@{domain}.example {result}"));
    }
    if (mode, offers_tls) == ("dane", true) {
        tells(&server, issued.der());
    }
}

/// What scripts and operators hear of it.
fn tells(server: &Smtpd, own: &[u8]) {
    let own = HEXLOWER.encode(own);
    let records = format!("{{\"records\":[{{\"usage\":3,\"selector\":0,\"mtype\":0,\"data\":\"{own}\"}}]}}");
    server.wait_for_log(&format!("type x@good.example - {records}"));
    server.wait_for_log("type x@wrong.example dane {\"records\":[");
    server.wait_for_log("type x@none.example - {\"error\":\"it has no TLSA records\"}");
    let request = ResolverQueryRequest { name: "good.example".to_owned(), ..ResolverQueryRequest::default() };
    let answer = server.control().ask::<ResolverQueryResponse>(Command::ResolverQuery, &request);
    let answer = answer.expect("it is known");
    let tlsa = answer.tlsa.expect("it has records");
    assert!(answer.dnssec && tlsa.dnssec);
    assert_eq!(tlsa.rr, [format!("3 0 0 {own}")]);
    let halonctl = Halonctl::of(&server.dir().join("smtpd.ctl"));
    for (domain, told) in [
        ("good", "its certificate must be one that its TLSA records, 1, vouch for"),
        ("unusable", "none of its TLSA records can be used: TLS with any certificate"),
        ("none", "no secure TLSA records (it has no TLSA records): as optional"),
        ("broken", "its TLSA records are not known now (the name server answered SERVFAIL): its mail waits"),
    ] {
        let ended = halonctl.run(&["queue", "explain", &format!("{domain}.example")]);
        let line = format!("mx.{domain}.example[127.0.0.1]: {told}");
        assert!(ended.stdout.lines().any(|said| said == line), "{line}: {ended:?}");
        assert!(ended.stdout.contains("│ dane "), "{ended:?}");
    }
}

#[test]
fn dane_holds_hosts_against_their_records_and_asks_nothing_of_others() {
    let expected = [
        Encrypted, // good
        Encrypted, // anchor
        MISMATCH,  // wrong
        Waits("it is not for mx.othername.example or othername.example"),
        Encrypted, // none
        Encrypted, // unusable
        Encrypted, // unsigned
        Encrypted, // insecuremx
        MISMATCH,  // strict: the connection that is open to its host was not held against anything
        UNKNOWN,   // broken
    ];
    let reports = [
        ("good", "-"),
        ("wrong", "validation-failure"),
        ("othername", "certificate-host-mismatch"),
        ("none", "-"),
    ];
    check("dane", true, expected, &reports);
    let expected = [NO_TLS, NO_TLS, NO_TLS, NO_TLS, Clear, NO_TLS, Clear, Clear, NO_TLS, UNKNOWN];
    let without = "starttls-not-supported";
    check("dane", false, expected, &[("good", without), ("none", without)]);
}

#[test]
fn dane_that_is_required_or_falls_back_has_no_mail_in_clear() {
    let unsigned = Waits("DNSSEC does not secure its TLSA records");
    let insecure = Waits("DNSSEC does not secure the way to it");
    let other = Waits("it is not for mx.othername.example");
    let expected = [
        Encrypted,
        Encrypted,
        MISMATCH,
        other,
        Waits("it has no TLSA records, and the transport requires DANE"),
        Waits("none of its TLSA records can be used"),
        unsigned,
        insecure,
        MISMATCH,
        UNKNOWN,
    ];
    let reports = [
        ("none", "dane-required"),
        ("unsigned", "dane-required"),
        ("insecuremx", "dane-required"),
        ("unusable", "tlsa-invalid"),
    ];
    check("dane_require", true, expected, &reports);
    let fallback = [
        Encrypted, Encrypted, MISMATCH, other, Encrypted, Encrypted, Encrypted, Encrypted, MISMATCH, UNKNOWN,
    ];
    check("dane_fallback_require", true, fallback, &[("none", "-")]);
    let stranger = Waits("no authority that is trusted here has issued it");
    let verify =
        [Encrypted, Encrypted, MISMATCH, other, stranger, stranger, stranger, stranger, MISMATCH, UNKNOWN];
    check("dane_fallback_require_verify", true, verify, &[("none", "certificate-not-trusted")]);
    let in_clear = [NO_TLS, NO_TLS, NO_TLS, NO_TLS, NO_TLS, NO_TLS, NO_TLS, NO_TLS, NO_TLS, UNKNOWN];
    check("dane_fallback_require", false, in_clear, &[("none", "starttls-not-supported")]);
}

/// A zone in which MX hosts are aliases, and what stands at which name: `own` is the peer's certificate.
fn zone_of_aliases(port: u16, own: &[u8]) -> NameServer {
    let record = |data: &[u8]| Record::Tlsa(leak(format!("3 0 0 {}", HEXLOWER.encode(data))));
    let other = Authority::new();
    let at = |name: &str| leak(format!("_{port}._tcp.{name}"));
    let dns = NameServer::start(&[
        ("target.example", Record::Mx(10, "mx.target.example")),
        ("mx.target.example", Record::Cname("host.target.example")),
        ("host.target.example", Record::A("127.0.0.1")),
        (at("host.target.example"), record(own)),
        (at("mx.target.example"), record(other.der())),
        ("wrongtarget.example", Record::Mx(10, "mx.wrongtarget.example")),
        ("mx.wrongtarget.example", Record::Cname("host.wrongtarget.example")),
        ("host.wrongtarget.example", Record::A("127.0.0.1")),
        (at("host.wrongtarget.example"), record(other.der())),
        (at("mx.wrongtarget.example"), record(own)),
        ("alias.example", Record::Mx(10, "mx.alias.example")),
        ("mx.alias.example", Record::Cname("host.alias.example")),
        ("host.alias.example", Record::A("127.0.0.1")),
        (at("mx.alias.example"), record(own)),
        ("wrongalias.example", Record::Mx(10, "mx.wrongalias.example")),
        ("mx.wrongalias.example", Record::Cname("host.wrongalias.example")),
        ("host.wrongalias.example", Record::A("127.0.0.1")),
        (at("mx.wrongalias.example"), record(other.der())),
    ]);
    dns.authentic(true);
    dns
}

#[test]
fn the_records_of_a_host_that_is_an_alias_stand_where_it_leads_or_else_at_its_own_name() {
    let issued = Authority::new().issue(&["mx.example"]);
    let peer =
        Peer::start(Behaviour::new().tls(Tls { config: issued.server(), implicit: false, fault: None }));
    let dns = zone_of_aliases(peer.port(), issued.der());
    let server = Smtpd::by_mx(peer.port(), dns.port())
        .transport("session: {tls: {mode: dane_require}}")
        .replace_running(&format!("resolver: {{servers: [\"127.0.0.1:{}\"], trustad: true}}\n", dns.port()))
        .start();
    for domain in ["target", "wrongtarget", "alias", "wrongalias"] {
        let to = format!("x@{domain}.example");
        Client::connect(server.port()).send("a@a.example", &[&to], b"Subject: x\r\n\r\nx\r\n");
        if domain.starts_with("wrong") {
            let refused = || {
                let log = server.log();
                log.iter()
                    .any(|line| line.contains(&to) && line.contains("none of the TLSA records is for it"))
            };
            assert!(wait_until(Duration::from_secs(60), refused), "{domain}: {:#?}", server.log());
            continue;
        }
        let came = || peer.messages().into_iter().find(|message| message.to == [to.clone()]);
        assert!(wait_until(Duration::from_secs(60), || came().is_some()), "{domain}: {:#?}", server.log());
        let connection = came().expect("it has come").connection;
        let seen = peer.connections()[connection].tls.clone().expect("it is encrypted");
        let base = if domain == "target" { "host.target.example" } else { "mx.alias.example" };
        assert_eq!(seen.sni.as_deref(), Some(base), "it is asked for by the name that its records are of");
    }
    assert_eq!(peer.message_count(), 2);
}

#[test]
fn sessions_of_scripts_hold_hosts_against_their_records_too() {
    let authority = Authority::new();
    let issued = authority.issue(&["mx.anchor.example"]);
    let peer =
        Peer::start(Behaviour::new().tls(Tls { config: issued.server(), implicit: false, fault: None }));
    let dns = zone(peer.port(), &authority, issued.der());
    // Each domain with the mode as a list, and with the transport, which has it too.
    let script = format!(
        r#"foreach (["good", "anchor", "wrong", "none"] as $domain) {{
          foreach ([["port" => {port}, "tls" => "dane_require"], "out"] as $way => $server) {{
            $r = smtp_lookup_rcpt($server, "", "x@$domain.example", ["extended_result" => true]);
            echo "asked $domain $way " . $r["result"] . " " . $r["tls"]["started"] . " " . $r["error_message"];
          }}
          $r = MailMessage::String("Subject: x\r\n\r\nx\r\n")->send("", ["x@$domain.example"], ["host" => "mx.$domain.example", "port" => {port}, "tls" => "dane"]);
          echo "sent $domain " . ($r["result"]["code"] ?? "-") . " " . $r["tls"]["started"];
        }}
        Accept();"#,
        port = peer.port()
    );
    let running = format!(
        "resolver: {{servers: [\"127.0.0.1:{}\"], trustad: true}}\nscripting:\n  hooks:\n    mailfrom:\n      - id: x\n        data: |\n          {}\n",
        dns.port(),
        script.replace('\n', "\n          ")
    );
    let server = Smtpd::by_mx(peer.port(), dns.port())
        .transport("session: {tls: {mode: dane_require}}")
        .replace_running(&running)
        .server("phases: {mailfrom: {hook: x}}")
        .start();
    Client::connect(server.port()).command("MAIL FROM:<a@a.example>\r\n", "250");
    for domain in ["good", "anchor"] {
        for way in [0, 1] {
            server.wait_for_log(&format!("asked {domain} {way} 1 true"));
        }
        server.wait_for_log(&format!("sent {domain} 250 true"));
    }
    for way in [0, 1] {
        server.wait_for_log(&format!("asked wrong {way} -1 false"));
        server.wait_for_log(&format!(
            "asked none {way} -1 false mx.none.example[127.0.0.1]: it has no TLSA records"
        ));
    }
    server.wait_for_log("sent wrong - false");
    server.wait_for_log("sent none 250 true");
}
