//! The resolver on a real shard, against a name server on loopback.
#![allow(clippy::disallowed_methods)] // the name server of the test has sockets and threads of its own

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use std::rc::Rc;
use std::time::Duration;

use engine::boot::ShardId;
use engine::task::Class;

use super::*;

const KEY: u64 = 7;

/// A name server for `*.test` on one port, UDP and TCP. It writes down what it was asked.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    stop: Arc<AtomicBool>,
}

impl NameServer {
    fn start() -> NameServer {
        let (udp, tcp, address) = bind_both();
        let server = NameServer { address, asked: Arc::default(), stop: Arc::default() };
        udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        tcp.set_nonblocking(true).expect("a listener");
        let (asked, stop) = (Arc::clone(&server.asked), Arc::clone(&server.stop));
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = udp.recv_from(&mut buffer) {
                    for answer in answers(&buffer[..length], false, &asked) {
                        udp.send_to(&answer, from).expect("sent");
                    }
                }
                if let Ok((mut stream, _)) = tcp.accept() {
                    stream.set_nonblocking(false).expect("a stream");
                    let mut length = [0; 2];
                    stream.read_exact(&mut length).expect("a length");
                    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                    stream.read_exact(&mut query).expect("a query");
                    for answer in answers(&query, true, &asked) {
                        let length = u16::try_from(answer.len()).expect("short");
                        // In pieces, as a network may deliver it.
                        stream.write_all(&length.to_be_bytes()[..1]).expect("sent");
                        stream.flush().expect("sent");
                        std::thread::sleep(Duration::from_millis(5));
                        stream.write_all(&[&length.to_be_bytes()[1..], &answer].concat()).expect("sent");
                    }
                }
            }
        });
        server
    }

    fn asked(&self, question: &str) -> u32 {
        self.asked.lock().expect("no panic").get(question).copied().unwrap_or(0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One port that is free for UDP and for TCP: a port that is free for one may be another test's for the other.
fn bind_both() -> (UdpSocket, TcpListener, SocketAddr) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = udp.local_addr().expect("bound");
        if let Ok(tcp) = TcpListener::bind(address) {
            return (udp, tcp, address);
        }
    }
}

/// The datagrams or messages that answer a query.
fn answers(query: &[u8], tcp: bool, asked: &Mutex<BTreeMap<String, u32>>) -> Vec<Vec<u8>> {
    let query = Message::from_vec(query).expect("a well-formed query");
    let question = query.queries[0].clone();
    let name = question.name.to_lowercase().to_ascii();
    let key = format!("{} {name}{}", question.query_type, if tcp { " tcp" } else { "" });
    let times = {
        let mut asked = asked.lock().expect("no panic");
        let times = asked.entry(key).or_default();
        *times += 1;
        *times
    };
    let mut message = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    message.add_query(question.clone());
    let record = |data| Record::from_rdata(question.name.clone(), 300, data);
    let host = name.trim_end_matches('.').to_owned();
    match (host.as_str(), question.query_type) {
        ("silent-once.test", RecordType::A) if times == 1 => return Vec::new(),
        ("silent.test", _) => return Vec::new(),
        ("sick.test", _) => {
            message.metadata.response_code = ResponseCode::ServFail;
        }
        ("big.test", RecordType::MX) if !tcp => message.metadata.truncation = true,
        ("big.test" | "mail.test", RecordType::MX) => {
            for (preference, host) in [(20, "mx2.test."), (10, "mx1.test.")] {
                let host = Name::from_ascii(host).expect("a name");
                message.add_answer(record(RData::MX(MX::new(preference, host))));
            }
        }
        ("forged.test", RecordType::A) => {
            let mut forged = message.clone();
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            forged.add_answer(record(RData::A(A::new(6, 6, 6, 6))));
            message.add_answer(record(RData::A(A::new(127, 0, 0, 7))));
            let packets = [&forged, &message].map(|message| message.to_vec().expect("encodes"));
            return [vec![b"noise".to_vec()], packets.to_vec()].concat();
        }
        (host, RecordType::PTR) => {
            let names: &[&str] = match host.split('.').next() {
                Some("1") => &["mx1.test."],
                Some("2") => &["mx1.test.", "mx2.test."],
                Some("3") => &["mx1.test.", "gone.test."],
                Some("5") => &["sick.test."],
                _ => &[],
            };
            for name in names {
                let name = Name::from_ascii(name).expect("a name");
                message.add_answer(record(RData::PTR(PTR(name))));
            }
        }
        (host, RecordType::A) if host.starts_with("mx") || host.starts_with("silent-once") => {
            let last = if host == "mx2.test" { 2 } else { 1 };
            message.add_answer(record(RData::A(A::new(127, 0, 0, last))));
        }
        ("gone.test", _) => message.metadata.response_code = ResponseCode::NXDomain,
        _ => {}
    }
    vec![message.to_vec().expect("encodes")]
}

fn settings(servers: &[SocketAddr]) -> config::Resolver {
    config::Resolver {
        servers: servers.to_vec(),
        timeout: Some(Duration::from_millis(300)),
        trust_ad: None,
        cache_size: 1_000,
        cache_ttl_min: Duration::ZERO,
        cache_ttl_max: None,
        concurrency: 100,
    }
}

/// Where shards wait for each other.
#[derive(Default)]
struct Meeting(AtomicU32);

impl Meeting {
    /// Waits until all shards have come here for the `time`-th time.
    async fn meet(&self, time: u32) {
        self.0.fetch_add(1, Ordering::SeqCst);
        while self.0.load(Ordering::SeqCst) < time * u32::from(engine::boot::shards()) {
            engine::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Runs `test` on a shard and gives back what it returned.
fn on_a_shard<T, F, Fut>(test: F) -> T
where
    T: Send + 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + 'static,
{
    on_shards(1, move |_, _| test()).remove(0)
}

/// Runs `test` on each of so many shards and gives back what they returned. A shard ends when all have.
fn on_shards<T, F, Fut>(shards: u16, test: F) -> Vec<T>
where
    T: Send + 'static,
    F: Fn(u16, Arc<Meeting>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + 'static,
{
    let results = Arc::new(Mutex::new(BTreeMap::new()));
    let (place, test, meeting, end) =
        (Arc::clone(&results), Arc::new(test), Arc::<Meeting>::default(), Arc::<Meeting>::default());
    let options =
        engine::boot::Options { shards, pin: false, driver: Default::default(), signals: Vec::new() };
    let root = move |id: ShardId| {
        let (place, test) = (Arc::clone(&place), Arc::clone(&test));
        let (meeting, end) = (Arc::clone(&meeting), Arc::clone(&end));
        async move {
            if !engine::boot::is_control() {
                let value = test(id.0, meeting).await;
                place.lock().expect("no panic").insert(id.0, value);
                end.meet(1).await;
            }
        }
    };
    engine::boot::run(options, root).expect("the engine runs here");
    let results = std::mem::take(&mut *results.lock().expect("no panic"));
    results.into_values().collect()
}

fn text(hosts: &MailHosts) -> String {
    match hosts {
        MailHosts::Found { hosts, .. } => {
            let host =
                |host: &net::dns::MailHost| format!("{} {} {:?}", host.preference, host.name, host.addresses);
            hosts.iter().map(host).collect::<Vec<_>>().join("; ")
        }
        // How much of its time is left, the clock decides.
        MailHosts::NoDomain { text, left_ms: 1.. } => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn mail_hosts_are_found_by_udp_and_tcp_through_loss_and_forgery() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_a_shard(move || async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        let mut results = Vec::new();
        for domain in ["mail.test", "big.test", "silent-once.test", "forged.test", "gone.test", "empty.test"]
        {
            results.push(text(&resolver.mail_hosts(domain, true, false, 1).await));
        }
        for name in ["mx1.test", "localhost", "127.0.0.9"] {
            results.push(text(&resolver.host(name, true, false, 1).await));
        }
        results
    });
    let both = "10 mx1.test [127.0.0.1]; 20 mx2.test [127.0.0.2]";
    let expected = [
        both,
        both,
        "0 silent-once.test [127.0.0.1]",
        "0 forged.test [127.0.0.7]",
        "gone.test: no such domain",
        "NoMailHost(Family, \"empty.test: no MX record and no usable address\")",
        "0 mx1.test [127.0.0.1]",
        "0 localhost [127.0.0.1]",
        "0 [127.0.0.9] [127.0.0.9]",
    ];
    assert_eq!(results, expected);
    assert_eq!(server.asked("MX big.test. tcp"), 1);
    assert_eq!(server.asked("A silent-once.test."), 2);
    assert_eq!(server.asked("A mx1.test."), 1, "asked three times, answered twice from the cache");
}

#[test]
fn a_question_is_in_flight_once_whoever_asks() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_a_shard(move || async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        let ask = || {
            let resolver = Rc::clone(&resolver);
            engine::task::spawn(Class::Interactive, async move {
                resolver.mail_hosts("mail.test", true, false, 1).await
            })
        };
        let tasks: Vec<_> = (0..20).map(|_| ask()).collect();
        let mut results = Vec::new();
        for task in tasks {
            results.push(text(&task.await.expect("it has run")));
        }
        results
    });
    assert!(
        results.iter().all(|hosts| hosts == "10 mx1.test [127.0.0.1]; 20 mx2.test [127.0.0.2]"),
        "{results:?}"
    );
    for question in ["MX mail.test.", "A mx1.test.", "A mx2.test."] {
        assert_eq!(server.asked(question), 1, "{question}");
    }
}

#[test]
fn failures_are_temporary_and_end_in_time() {
    let server = NameServer::start();
    let address = server.address;
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port").local_addr().expect("bound");
    let results = on_a_shard(move || async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        let mut results = Vec::new();
        for domain in ["sick.test", "silent.test"] {
            results.push(text(&resolver.mail_hosts(domain, true, false, 1).await));
        }
        // The first server's port is closed: the second one answers.
        resolver.reconfigure(&settings(&[closed, address]));
        results.push(text(&resolver.mail_hosts("mail.test", true, false, 1).await));
        resolver.reconfigure(&settings(&[closed]));
        results.push(text(&resolver.mail_hosts("mail.test", true, false, 1).await));
        results
    });
    let expected = [
        "Temporary(\"sick.test MX: the name server answered SERVFAIL\")",
        "Temporary(\"silent.test MX: no name server answered in time\")",
        "10 mx1.test [127.0.0.1]; 20 mx2.test [127.0.0.2]",
        "Temporary(\"mail.test MX: no name server could be reached\")",
    ];
    assert_eq!(results, expected);
}

#[test]
fn a_question_is_in_flight_once_over_all_shards_and_each_keeps_the_answer() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_shards(4, move |_, meeting| async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        meeting.meet(1).await;
        let ask = |number: u32| {
            let resolver = Rc::clone(&resolver);
            engine::task::spawn(Class::Interactive, async move {
                text(&resolver.host(&format!("mx{}.test", number % 20), true, false, 1).await)
            })
        };
        let mut results = Vec::new();
        for _ in 0..2 {
            let tasks: Vec<_> = (0..40).map(ask).collect();
            for task in tasks {
                results.push(task.await.expect("it has run"));
            }
        }
        results
    });
    for results in results {
        assert_eq!(results.len(), 80);
        assert!(results.iter().all(|hosts| hosts.ends_with("[127.0.0.1]") || hosts.ends_with("[127.0.0.2]")));
    }
    for number in 0..20 {
        assert_eq!(server.asked(&format!("A mx{number}.test.")), 1, "mx{number}.test");
    }
}

#[test]
fn failures_reach_the_shards_that_asked_others_too() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_shards(3, move |_, meeting| async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        meeting.meet(1).await;
        let mut results = Vec::new();
        for domain in ["sick.test", "gone.test", "silent.test"] {
            results.push(text(&resolver.mail_hosts(domain, true, false, 1).await));
        }
        results
    });
    let expected = [
        "Temporary(\"sick.test MX: the name server answered SERVFAIL\")",
        "gone.test: no such domain",
        "Temporary(\"silent.test MX: no name server answered in time\")",
    ];
    assert_eq!(results, [expected; 3]);
    assert_eq!((server.asked("MX sick.test."), server.asked("MX silent.test.")), (1, 2));
}

/// Asks for 20 names on shard 0 while shard 1 does what `other` says. Gives how long that took.
fn asked_beside(other: fn(&Rc<Resolver>)) -> Duration {
    let server = NameServer::start();
    let address = server.address;
    let results = on_shards(2, move |number, meeting| async move {
        let resolver = (number == 0).then(|| Resolver::start(&settings(&[address]), KEY));
        if let Some(resolver) = resolver {
            meeting.meet(1).await;
            engine::time::sleep(Duration::from_millis(100)).await;
            let began = engine::time::now_precise();
            let names: Vec<Question> = (0..20)
                .map(|number| Question {
                    name: DomainName::parse(&format!("mx{number}.test")).expect("a name"),
                    kind: Kind::A,
                })
                .collect();
            let answers = resolver.ask_all(&names).await;
            assert!(answers.iter().all(|resolved| matches!(resolved.answer, Answer::Addresses(_))));
            return engine::time::now_precise() - began;
        }
        let resolver = Resolver::start(&settings(&[address]), KEY);
        other(&resolver);
        meeting.meet(1).await;
        Duration::ZERO
    });
    results[0]
}

#[test]
fn nobody_waits_for_a_shard_that_is_stuck() {
    let stuck = |_: &Rc<Resolver>| {
        engine::task::spawn(Class::Interactive, async {
            engine::time::sleep(Duration::from_millis(20)).await;
            std::thread::sleep(Duration::from_millis(2980));
        });
    };
    let took = asked_beside(stuck);
    assert!(took < Duration::from_millis(2400), "{took:?}");
}

#[test]
fn a_shard_without_a_resolver_says_so_at_once() {
    let took = asked_beside(|resolver| drop(resolver.core.take()));
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn a_changed_resolver_file_is_found_without_a_reload() {
    let dir = std::env::temp_dir().join(format!("resolv-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("resolv.conf");
    std::fs::write(&path, "nameserver 192.0.2.1\noptions attempts:3 timeout:2 rotate trust-ad\n")
        .expect("written");
    let file = path.clone();
    let settings = on_a_shard(move || {
        let file = file.clone();
        async move {
            let settings = config::Resolver { timeout: None, ..settings(&[]) };
            let resolver = Resolver::with_file(&settings, KEY, SystemFile::at(file.clone()));
            let before = resolver.core().await.settings().clone();
            std::fs::write(&file, "nameserver 192.0.2.2\n").expect("written");
            resolver.look_at_system_file();
            engine::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(*resolver.core().await.settings(), before, "it is not looked at all the time");
            resolver.system.looked_long_ago();
            let mut after = before.clone();
            for _ in 0..100 {
                resolver.look_at_system_file();
                engine::time::sleep(Duration::from_millis(5)).await;
                after = resolver.core().await.settings().clone();
                if after != before {
                    break;
                }
            }
            (before, after)
        }
    });
    std::fs::remove_dir_all(&dir).expect("removed");
    let (before, after) = settings;
    let server = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
    assert_eq!((before.servers, before.rounds, before.timeout_ms), (server("192.0.2.1:53"), 3, 2_000));
    assert!(before.rotate && before.trust_ad);
    assert_eq!((after.servers, after.rounds, after.timeout_ms), (server("192.0.2.2:53"), 2, 5_000));
    assert!(!after.rotate && !after.trust_ad);
}

#[test]
fn a_name_of_an_address_counts_when_it_leads_back() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_a_shard(move || async move {
        let resolver = Resolver::start(&settings(&[address]), KEY);
        let mut results = Vec::new();
        for last in [1, 2, 3, 4, 5] {
            let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
            results.push(match resolver.reverse(address).await.name {
                Reverse::Confirmed(name) => format!("is {name}"),
                Reverse::Unconfirmed(name) => format!("claims {name}"),
                Reverse::None => "none".to_owned(),
                Reverse::Unknown(failure) => failure.to_string(),
            });
        }
        results
    });
    let expected =
        ["is mx1.test", "is mx2.test", "claims mx1.test", "none", "the name server answered SERVFAIL"];
    assert_eq!(results, expected);
}
