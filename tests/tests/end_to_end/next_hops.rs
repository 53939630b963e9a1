//! Hosts that are dead, hosts that refuse, connections that end, addresses to leave from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tests::peer::{Behaviour, Peer, Phase, Rule};
use tests::{Client, NameServer, Record, Smtpd, wait_until};

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// Messages of the tests that are about many: a few hundred, or as many as SHOW_MESSAGES says.
fn many() -> usize {
    std::env::var("SHOW_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Sends numbered messages to recipients at `domain` over a few connections, as fast as they are taken.
fn flood(port: u16, domain: &'static str, messages: usize) {
    let clients = 8;
    let tasks: Vec<_> = (0..clients)
        .map(|first| {
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for number in (first..messages).step_by(clients) {
                    client.send(&format!("{number}@a.example"), &[&format!("x@{domain}")], BODY);
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().expect("it sends"));
}

/// Waits until each of so many numbered messages has come; says how often those came that came more than once.
fn duplicates(peer: &Peer, messages: usize) -> usize {
    let mut count = 0;
    let came = wait_until(Duration::from_secs(120), || {
        count = peer.message_count();
        count >= messages
    });
    assert!(came, "{count} of {messages} messages came");
    std::thread::sleep(Duration::from_millis(300));
    let all = peer.messages();
    let different: BTreeSet<&str> = all.iter().map(|message| message.from.as_str()).collect();
    assert_eq!(different.len(), messages, "some came twice and others not at all");
    all.len() - different.len()
}

fn lines_with(server: &Smtpd, text: &str) -> usize {
    server.log().iter().filter(|line| line.contains(text)).count()
}

fn assert_none_deferred(server: &Smtpd) {
    let log = server.log();
    let deferred: Vec<&String> = log.iter().filter(|line| line.contains("deferred")).take(3).collect();
    assert!(deferred.is_empty(), "{deferred:#?}");
}

/// A peer at this address, which is another one of this machine, and the same port.
fn peer_at(ip: &str, port: u16, behaviour: Behaviour) -> Peer {
    Peer::start_at(SocketAddr::new(ip.parse().expect("an address"), port), behaviour)
}

fn two_exchangers(first: &'static str, second: &'static str) -> NameServer {
    NameServer::start(&[
        ("b.example", Record::Mx(10, "first.b.example")),
        ("b.example", Record::Mx(20, "second.b.example")),
        ("first.b.example", Record::A(first)),
        ("second.b.example", Record::A(second)),
    ])
}

#[test]
fn a_dead_first_exchanger_costs_ten_connects_at_most_and_does_not_slow_the_second() {
    let dead = [
        ("closes", Behaviour::new().rule(Rule::at(Phase::Connect).close())),
        ("says nothing", Behaviour::new().rule(Rule::at(Phase::Banner).stall())),
    ];
    for (how, behaviour) in dead {
        let live = Peer::start(Behaviour::new().forget_data());
        let dead = peer_at("127.0.0.9", live.port(), behaviour);
        let dns = two_exchangers("127.0.0.9", "127.0.0.1");
        // The connects that find out wait no longer than this; all other mail waits for none of them.
        let server = Smtpd::by_mx(live.port(), dns.port()).transport("timeout: {smtp: {BANNER: 4}}").start();
        let begun = std::time::Instant::now();
        flood(server.port(), "b.example", many());
        assert_eq!(duplicates(&live, many()), 0);
        println!(
            "first exchanger {how}: {} messages in {:.1} s, {} connects to it",
            many(),
            begun.elapsed().as_secs_f64(),
            dead.connection_count()
        );
        assert!(dead.connection_count() <= 10, "{} connects to the dead host", dead.connection_count());
        assert_none_deferred(&server);
    }
}

#[test]
fn a_next_hop_that_refuses_at_the_banner_gets_few_connects_and_nothing_bounces() {
    let peer =
        Peer::start(Behaviour::new().rule(Rule::at(Phase::Banner).reply_then_close("554 5.7.1 go away")));
    let server = Smtpd::relay_to(peer.port()).start();
    flood(server.port(), "b.example", many());
    server.wait_for_log("does not serve us, no connects for 1 min: BANNER: 554 5.7.1 go away");
    std::thread::sleep(Duration::from_secs(1));
    println!("{} messages, {} connects", many(), peer.connection_count());
    assert!(peer.connection_count() <= 10, "{} connects", peer.connection_count());
    for final_word in [" bounced ", " hold ", " expired ", "failed permanently"] {
        assert_eq!(lines_with(&server, final_word), 0, "{final_word}");
    }
    assert_eq!(peer.message_count(), 0);
}

#[test]
fn a_sink_that_closes_after_twenty_messages_costs_neither_deferral_nor_duplicate() {
    let rule = Rule::at(Phase::Dot).on_each_connection().nth(20).reply_then_close("250 2.0.0 taken");
    take_all(Behaviour::new().rule(rule), "closes after 20");
}

#[test]
fn a_sink_that_answers_421_after_ten_messages_costs_neither_deferral_nor_duplicate() {
    let rule =
        Rule::at(Phase::Mail).on_each_connection().after(10).reply("421 4.7.0 enough on this connection");
    take_all(Behaviour::new().rule(rule), "421 after 10");
}

#[test]
fn a_sink_that_drops_idle_connections_costs_neither_deferral_nor_duplicate() {
    let behaviour = Behaviour::new().drop_idle(IDLE, Some("421 4.4.2 idle"));
    take_all(behaviour, "drops idle ones");
    take_all(Behaviour::new().drop_idle(IDLE, None), "drops idle ones without a word");
}

/// How many messages come with a pause before them.
const PAUSES: usize = 10;

/// After which a sink drops idle connections.
const IDLE: Duration = Duration::from_millis(400);

fn take_all(behaviour: Behaviour, what: &str) {
    let peer = Peer::start(behaviour.forget_data());
    let server = Smtpd::relay_to(peer.port()).start();
    flood(server.port(), "b.example", many());
    // And some with pauses in which connections stand idle.
    let mut client = Client::connect(server.port());
    for number in many()..many() + PAUSES {
        // About when a sink drops it.
        std::thread::sleep(IDLE - Duration::from_millis(2) + Duration::from_millis(number as u64 % 5));
        client.send(&format!("{number}@a.example"), &["x@b.example"], BODY);
    }
    let duplicates = duplicates(&peer, many() + PAUSES);
    println!(
        "{what}: {} messages, {} connections, {} deferred, {duplicates} duplicates",
        many() + PAUSES,
        peer.connection_count(),
        lines_with(&server, "deferred")
    );
    assert_none_deferred(&server);
    assert_eq!(duplicates, 0);
}

#[test]
fn a_list_of_a_thousand_recipients_at_one_domain_takes_twenty_transactions() {
    let peer = Peer::start(Behaviour::new().forget_data());
    let server = Smtpd::relay_to(peer.port()).server("phases: {rcptto: {maxrecipients: 1000}}").start();
    let to: Vec<String> = (0..1000).map(|number| format!("{number}@b.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let body =
        [&b"Subject: list\r\n\r\n"[..], &b"0123456789abcdef0123456789abcdef\r\n".repeat(30_840)].concat();
    Client::connect(server.port()).send("a@a.example", &to, &body);
    let mut got = BTreeSet::new();
    let came = wait_until(Duration::from_secs(120), || {
        got = peer.messages().into_iter().flat_map(|message| message.to).collect();
        got.len() == 1000
    });
    assert!(came, "{} of 1000 recipients were served", got.len());
    let transactions = peer.messages().len();
    println!("1000 recipients of {} bytes: {transactions} transactions", body.len());
    assert!(transactions <= 20, "{transactions} transactions");
}

#[test]
fn domains_with_the_same_exchanger_share_its_connections() {
    let peer = Peer::start(Behaviour::new().forget_data());
    let dns = NameServer::start(&[
        ("one.example", Record::Mx(10, "mx.one.example")),
        ("two.example", Record::Mx(10, "mx.two.example")),
        ("mx.one.example", Record::A("127.0.0.1")),
        ("mx.two.example", Record::A("127.0.0.1")),
    ]);
    let server = Smtpd::by_mx(peer.port(), dns.port()).shards(1).start();
    let mut client = Client::connect(server.port());
    for number in 0..20 {
        let domain = ["one", "two"][number % 2];
        client.send("a@a.example", &[&format!("x@{domain}.example")], BODY);
        peer.wait_for(number + 1);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(peer.connection_count(), 1);
}

/// A server whose mail leaves from `ids` out of three addresses of loopback with names of their own.
fn from_addresses(peer: &Peer, ids: &str) -> tests::Builder {
    let dns = "addresses:\n  \
               - {id: a, address: 127.0.0.21, hostname: a.out.example}\n  \
               - {id: b, address: 127.0.0.22, hostname: b.out.example}\n  \
               - {id: gone, address: 192.0.2.77, hostname: gone.out.example}\n";
    Smtpd::relay_to(peer.port())
        .replace_connection(&format!(
            "connection: {{server: 127.0.0.1, port: {}, sourceip: {{ipv4: {ids}}}}}",
            peer.port()
        ))
        .running(dns)
}

/// HELO names by the address that they came from.
fn names(peer: &Peer) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for connection in peer.connections() {
        let hello = connection.hello.unwrap_or_default();
        names.entry(connection.source.ip().to_string()).or_default().insert(hello);
    }
    names
}

#[test]
fn mail_is_spread_over_its_source_addresses_each_under_its_own_name() {
    let peer = Peer::start(Behaviour::new().forget_data());
    let server = from_addresses(&peer, "[a, b]").start();
    flood(server.port(), "b.example", 200);
    assert_eq!(duplicates(&peer, 200), 0);
    let expected = [("127.0.0.21", "a.out.example"), ("127.0.0.22", "b.out.example")]
        .map(|(address, name)| (address.to_owned(), BTreeSet::from([name.to_owned()])));
    assert_eq!(names(&peer), BTreeMap::from(expected));
}

#[test]
fn a_retry_leaves_from_the_address_of_the_first_attempt() {
    let rule = Rule::at(Phase::Rcpt).first(40).reply("450 4.2.1 later");
    let peer = Peer::start(Behaviour::new().rule(rule));
    let server = from_addresses(&peer, "[a, b]").start();
    flood(server.port(), "b.example", 20);
    assert_eq!(duplicates(&peer, 20), 0);
    let mut addresses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for connection in peer.connections() {
        for command in connection.commands.iter().filter(|command| command.starts_with("MAIL")) {
            addresses.entry(command.clone()).or_default().insert(connection.source.ip().to_string());
        }
    }
    assert_eq!(addresses.len(), 20);
    assert!(addresses.values().all(|from| from.len() == 1), "{addresses:#?}");
}

#[test]
fn a_host_that_refuses_does_not_count_while_our_address_for_another_one_is_missing() {
    let at = "[::1]:0".parse().expect("an address");
    if std::net::TcpListener::bind::<SocketAddr>(at).is_err() {
        return println!("SKIPPED: this machine has no IPv6");
    }
    let peer = Peer::start_at(at, Behaviour::new().rule(Rule::at(Phase::Banner).reply("554 5.7.1 no")));
    let dns = NameServer::start(&[
        ("b.example", Record::Mx(10, "six.b.example")),
        ("b.example", Record::Mx(20, "four.b.example")),
        ("six.b.example", Record::Aaaa("::1")),
        ("four.b.example", Record::A("127.0.0.1")),
    ]);
    let connection = format!("connection: {{port: {}, sourceip: {{ipv4: [gone], ipv6: true}}}}", peer.port());
    // What counts is final.
    let server = Smtpd::by_mx(peer.port(), dns.port())
        .without_retry()
        .replace_connection(&connection)
        .transport("retry: {count: 0}")
        .running("addresses:\n  - {id: gone, address: 192.0.2.77, hostname: gone.out.example}\n")
        .start();
    Client::connect(server.port()).send("a@a.example", &["x@b.example"], BODY);
    server.wait_for_log("this host does not have the source address 192.0.2.77");
    assert!(peer.connection_count() > 0, "the first was asked");
    let over = |line: &String| line.contains(" failed ") || line.contains(" bounced ");
    assert!(!server.log().iter().any(over), "{:#?}", server.log());
}

#[test]
fn an_address_that_the_host_does_not_have_defers_and_says_so() {
    let peer = Peer::start(Behaviour::new());
    let server = from_addresses(&peer, "[gone]").start();
    Client::connect(server.port()).send("a@a.example", &["x@b.example"], BODY);
    server.wait_for_log("this host does not have the source address 192.0.2.77");
    assert_eq!(peer.connection_count(), 0);
    // The address goes while mail flows: what is under way ends, and nothing leaves from elsewhere.
    let server = from_addresses(&peer, "[a, gone]").start();
    flood(server.port(), "b.example", 100);
    assert!(wait_until(Duration::from_secs(20), || peer.message_count() > 30));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(names(&peer).keys().map(String::as_str).collect::<Vec<_>>(), ["127.0.0.21"]);
    assert!(peer.message_count() < 80, "those of the missing address wait");
}

#[test]
fn suspends_stop_what_is_known_only_once_host_and_address_are() {
    let suspends = [
        ("remoteip: 127.0.0.1", 0),
        ("remotemx: \"*.b.example\"", 0),
        ("grouping: \"&big\"", 0),
        ("remoteip: 127.0.0.5", 1),
        ("{remotemx: first.b.example, recipientdomain: c.example}", 1),
    ];
    for (rule, expected) in suspends {
        let peer = Peer::start(Behaviour::new());
        let dns = NameServer::start(&[
            ("b.example", Record::Mx(10, "first.b.example")),
            ("first.b.example", Record::A("127.0.0.1")),
        ]);
        let rules = format!("version: \"6.10\"\nsuspends:\n  - {rule}\n");
        let groups = "queues: {grouping: {groupings: [{id: big, remotemx: \"*.b.example\"}]}}\n";
        let server = Smtpd::by_mx(peer.port(), dns.port()).running(groups).suspends(Some(&rules)).start();
        Client::connect(server.port()).send("a@a.example", &["x@b.example"], BODY);
        wait_until(Duration::from_millis(500), || peer.message_count() > 0);
        assert_eq!(peer.connection_count(), expected, "{rule}");
        if expected == 0 {
            std::fs::remove_file(server.dir().join("smtpd-suspend.yaml")).expect("it was written");
            server.signal(nix::sys::signal::Signal::SIGHUP);
            peer.wait_for(1);
        }
    }
}

#[test]
fn a_suspended_source_address_leaves_the_mail_to_the_others() {
    let peer = Peer::start(Behaviour::new());
    let rules = "version: \"6.10\"\nsuspends:\n  - localip: 127.0.0.21\n";
    let server = from_addresses(&peer, "[a, b]").suspends(Some(rules)).start();
    flood(server.port(), "b.example", 50);
    assert_eq!(duplicates(&peer, 50), 0);
    assert_eq!(names(&peer).keys().map(String::as_str).collect::<Vec<_>>(), ["127.0.0.22"]);
}

#[test]
fn excluded_exchangers_are_not_used() {
    let peer = Peer::start(Behaviour::new());
    let other = peer_at("127.0.0.9", peer.port(), Behaviour::new());
    let dns = two_exchangers("127.0.0.9", "127.0.0.1");
    let server = Smtpd::by_mx(peer.port(), dns.port())
        .replace_connection(&format!(
            "connection: {{port: {}, mx: {{exclude: [first.*.example]}}}}",
            peer.port()
        ))
        .start();
    Client::connect(server.port()).send("a@a.example", &["x@b.example"], BODY);
    peer.wait_for(1);
    assert_eq!(other.connection_count(), 0);
}
