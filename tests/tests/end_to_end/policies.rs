//! `smtpd-policy.yaml`: limits that hold over all shards (cli-and-operations OPS28 to OPS32).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::peer::{Behaviour, Peer, Phase, Rule, Tls};
use tests::pki::Authority;
use tests::{Builder, Client, NameServer, Record, Smtpd, wait_until};

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

fn with_policies(builder: Builder, version: &str, policies: &str) -> Builder {
    let path = builder.dir().join("smtpd-policy.yaml");
    write(&path, version, policies);
    builder.environment(&format!("policyconf: \"{}\"", path.display()))
}

fn write(path: &std::path::Path, version: &str, policies: &str) {
    let text = format!("version: \"{version}\"\npolicies:\n{policies}");
    std::fs::write(path, text).expect("it can be written");
}

/// Each over a connection of its own, so that all shards get some.
fn send(server: &Smtpd, count: usize, domain: &str) {
    for _ in 0..count {
        Client::connect(server.port()).send("a@a.example", &[&format!("x@{domain}")], BODY);
    }
}

fn slow(pause: Duration) -> Behaviour {
    Behaviour::new().rule(Rule::at(Phase::Dot).delay(pause))
}

/// When each message was there, counted from `start`.
fn arrivals(peer: &Peer, count: usize, start: Instant) -> Vec<Duration> {
    let mut seen = Vec::new();
    let all = wait_until(Duration::from_secs(30), || {
        seen.resize(peer.messages().len().max(seen.len()), start.elapsed());
        seen.len() >= count
    });
    assert!(all, "{} of {count} came", seen.len());
    seen
}

#[test]
fn connections_to_a_domain_are_limited_over_all_shards_and_other_domains_are_not_held_up() {
    let peer = Peer::start(Behaviour::new().rule(Rule::at(Phase::Dot).containing("busy.example").hold()));
    let policies = "  - {fields: [recipientdomain], default: {concurrency: 2}}\n";
    let server = with_policies(Smtpd::relay_to(peer.port()).shards(4), "6.10", policies).start();
    send(&server, 24, "busy.example");
    send(&server, 1, "other.example");
    assert_eq!(peer.wait_for(1)[0].to, ["x@other.example"]);
    peer.behave(slow(Duration::from_millis(20)));
    peer.wait_for(25);
    assert!(peer.open_max() <= 3, "{} connections at once", peer.open_max());
}

#[test]
fn a_bucket_of_tokens_lets_a_burst_go_and_then_fills_evenly() {
    let peer = Peer::start(Behaviour::new());
    let policies = "  - {default: {rate: 40/16}}\n";
    let server = with_policies(Smtpd::relay_to(peer.port()).shards(2), "6.10", policies).start();
    let start = Instant::now();
    send(&server, 43, "x.example");
    let arrived = arrivals(&peer, 43, start);
    // Forty at once, then one in 0.4 s.
    for (late, at) in arrived[40..].iter().enumerate() {
        assert!(*at >= Duration::from_millis(395) * (late as u32 + 1), "{arrived:?}");
    }
    assert!(arrived[42] < Duration::from_secs(15), "without a burst it takes 16.8 s: {arrived:?}");
}

#[test]
fn a_file_of_an_old_version_counts_rates_in_windows() {
    let peer = Peer::start(Behaviour::new());
    let policies = "  - {default: {rate: 3/1}}\n";
    let server = with_policies(Smtpd::relay_to(peer.port()).shards(2), "6.1", policies).start();
    let start = Instant::now();
    send(&server, 7, "x.example");
    let arrived = arrivals(&peer, 7, start);
    // Three in each window, of which the first opens with the first message.
    assert!(arrived[3] >= Duration::from_millis(950), "{arrived:?}");
    assert!(arrived[6] >= Duration::from_millis(1950), "{arrived:?}");
    assert!(arrived[6] < Duration::from_secs(20), "{arrived:?}");
}

#[test]
fn mail_flows_at_once_when_a_reload_raises_its_limit() {
    let peer = Peer::start(Behaviour::new());
    let stopped = "  - {fields: [recipientdomain], default: {concurrency: 0}}\n";
    let server = with_policies(Smtpd::relay_to(peer.port()).shards(2), "6.10", stopped).start();
    send(&server, 6, "x.example");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(peer.messages().len(), 0);
    write(&server.dir().join("smtpd-policy.yaml"), "6.10", &stopped.replace(": 0", ": 3"));
    let start = Instant::now();
    server.signal(Signal::SIGHUP);
    let arrived = arrivals(&peer, 6, start);
    assert!(arrived[5] < Duration::from_secs(20), "{arrived:?}");
}

#[test]
fn connects_keep_their_distance_over_all_shards() {
    let peer = Peer::start(Behaviour::new());
    let policies = "  - {fields: [remoteip], default: {connectinterval: 0.4}}\n";
    let builder = Smtpd::relay_to(peer.port()).shards(4).running("queues: {pooling: {size: 0}}\n");
    let server = with_policies(builder, "6.10", policies).start();
    let start = Instant::now();
    send(&server, 4, "x.example");
    let arrived = arrivals(&peer, 4, start);
    // Mail that waits for a connection goes over one that is there.
    let connections = peer.connection_count() as u32;
    assert!(arrived[3] >= Duration::from_millis(390) * (connections - 1), "{connections}: {arrived:?}");
}

#[test]
fn a_group_of_hosts_shares_one_connection_and_idle_ones_make_way() {
    let peer = Peer::start(Behaviour::new());
    let dns = NameServer::start(&[
        ("one.example", Record::Mx(10, "a.mx.example")),
        ("two.example", Record::Mx(10, "b.mx.example")),
        ("a.mx.example", Record::A("127.0.0.1")),
        ("b.mx.example", Record::A("127.0.0.1")),
    ]);
    let running = "queues:\n  pooling: {policy: remotemx}\n  \
        grouping: {groupings: [{id: g, remotemx: [\"*.mx.example\"]}]}\n";
    let policies =
        "  - {fields: [grouping], conditions: [{if: {grouping: \"&g\"}, then: {concurrency: 1}}]}\n";
    let builder = Smtpd::by_mx(peer.port(), dns.port()).shards(4).running(running);
    let server = with_policies(builder, "6.10", policies).start();
    let start = Instant::now();
    for _ in 0..5 {
        send(&server, 1, "one.example");
        send(&server, 1, "two.example");
    }
    let arrived = arrivals(&peer, 10, start);
    assert_eq!(peer.open_max(), 1);
    assert!(arrived[9] < Duration::from_secs(20), "idle connections were waited for: {arrived:?}");
}

#[test]
fn an_idle_connection_goes_to_the_shard_whose_mail_waits_for_one() {
    let tls =
        || Tls { config: Authority::new().issue(&["127.0.0.1"]).server(), implicit: false, fault: None };
    for driver in ["auto", "epoll"] {
        moves(driver, Behaviour::new(), "disabled");
        moves(driver, Behaviour::new().tls(tls()), "require");
    }
}

fn moves(driver: &'static str, behaviour: Behaviour, mode: &str) {
    let peer = Peer::start(behaviour);
    let policies = "  - {fields: [remoteip], default: {concurrency: 1, connectinterval: 600}}\n";
    let builder = Smtpd::relay_to(peer.port()).shards(4).driver(driver);
    let builder = builder.transport(&format!("session: {{tls: {{mode: {mode}}}}}"));
    let server = with_policies(builder, "6.10", policies).start();
    for _ in 0..3 {
        send(&server, 4, "x.example");
    }
    let came = wait_until(Duration::from_secs(120), || peer.message_count() == 12);
    assert!(came, "{driver}, TLS {mode}: {} came; {:#?}", peer.message_count(), server.log());
    assert_eq!(peer.connection_count(), 1, "the next connect is due in ten minutes");
    assert_eq!(peer.connections()[0].tls.is_some(), mode == "require", "{driver}");
}

#[test]
fn recipients_of_a_transaction_are_counted_one_by_one_and_those_for_whom_nothing_is_left_wait() {
    let peer = Peer::start(Behaviour::new());
    let policies = "  - {default: {rate: 3/2}}\n";
    let server = with_policies(Smtpd::relay_to(peer.port()).shards(2), "6.10", policies).start();
    let to: Vec<String> = (0..5).map(|number| format!("x{number}@x.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    Client::connect(server.port()).send("a@a.example", &to, BODY);
    let recipients = || peer.messages().iter().map(|message| message.to.len()).collect::<Vec<_>>();
    assert!(wait_until(Duration::from_secs(30), || recipients().iter().sum::<usize>() == 5));
    assert_eq!(recipients()[0], 3, "as many as the bucket holds go in one transaction: {:?}", recipients());
}

#[test]
fn a_script_limits_a_domain_for_a_while_and_takes_it_back() {
    let peer = Peer::start(Behaviour::new());
    let script = "$p = queue_policy([\"recipientdomain\"], [\"recipientdomain\" => \"slow.example\"], \
                  [\"concurrency\" => 0, \"rate\" => [\"9\", 60]], 60, [\"type\" => \"backoff\"]); \
                  echo \"id \" . length($p[\"id\"]); \
                  echo \"bad \" . json_encode(queue_policy([\"jobid\"], [\"jobid\" => \"x\"], [\"concurrency\" => 1], 3)); \
                  if ($arguments[\"recipient\"] == \"stop@slow.example\") \
                  echo \"gone \" . json_encode([queue_policy_delete($p[\"id\"]), queue_policy_delete($p[\"id\"])]); Accept();";
    let running = format!(
        "scripting:\n  hooks:\n    rcptto:\n      - id: x\n        data: \"{}\"\n",
        script.replace('"', "\\\"")
    );
    let builder =
        Smtpd::relay_to(peer.port()).running(&running).server("phases: {rcptto: {hook: x}}").shards(2);
    let server = with_policies(builder, "6.10", "  - {fields: [recipientdomain]}\n").start();
    send(&server, 1, "slow.example");
    server.wait_for_log("id 16");
    server.wait_for_log("bad null");
    send(&server, 1, "other.example");
    assert_eq!(peer.wait_for(1)[0].to, ["x@other.example"]);
    Client::connect(server.port()).send("a@a.example", &["stop@slow.example"], BODY);
    server.wait_for_log("gone [true,false]");
    let mut to: Vec<String> = peer.wait_for(3).iter().flat_map(|message| message.to.clone()).collect();
    to.sort();
    assert_eq!(to, ["stop@slow.example", "x@other.example", "x@slow.example"]);
}

/// New addresses send as much as their schedule says, only what it is about, and scripts know them.
#[test]
fn a_new_address_is_warmed_up_and_mail_beyond_that_leaves_from_another() {
    // One message for each connection: each asks for its address.
    let rule = Rule::at(Phase::Dot).reply_then_close("250 2.0.0 taken");
    let peer = Peer::start(Behaviour::new().rule(rule));
    let running = "addresses:
  - {id: a, address: 127.0.0.2, hostname: a.example}
  - {id: b, address: 127.0.0.3, hostname: b.example}
plugins:
  - id: warmup
    config:
      exclude: true
      schedules:
        - {class: slow, fields: [localip, {recipientdomain: big.example}], schedule: [{day: 36500, messages: 2}]}
      ips: [{ip: 127.0.0.2, class: slow, added: \"2026-01-02\", helo: a.example}]
scripting:
  hooks:
    predelivery: 'import { warmup_ips } from \"extras://warmup\"; echo json_encode([warmup_ips(), warmup_ips(\"none\")]);'
";
    let connection = format!(
        "connection: {{server: 127.0.0.1, port: {}, sourceip: {{ipv4: [a, b], random: false}}}}",
        peer.port()
    );
    let builder = Smtpd::relay_to(peer.port()).replace_connection(&connection).running(running).shards(2);
    let server = with_policies(builder, "6.10", "  - {fields: [localip, recipientdomain]}\n").start();
    send(&server, 5, "big.example");
    send(&server, 3, "other.example");
    let messages = peer.wait_for(8);
    server.wait_for_log(r#"[[{"address":"127.0.0.2","helo":"a.example"}],[]]"#);
    let from = |domain: &str, source: &str| {
        let of_domain = messages.iter().filter(|message| message.to[0].ends_with(domain));
        let sources = of_domain.map(|message| peer.connections()[message.connection].source.ip().to_string());
        sources.filter(|from| from == source).count()
    };
    let counts = [("big.example", "127.0.0.2"), ("big.example", "127.0.0.3"), ("other.example", "127.0.0.3")];
    assert_eq!(counts.map(|(domain, source)| from(domain, source)), [2, 3, 3]);
    server.wait_for_log("warmup:slow:127.0.0.2: Day_36500: 2 messages in 3600 s");
    let listed = tests::Halonctl::of(&server.dir().join("smtpd.ctl")).run(&["queue", "policy", "list"]);
    assert!(listed.stdout.contains("Day_36500"), "{}", listed.stdout);
}
