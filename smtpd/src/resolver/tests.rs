//! The resolver on a real shard, against a name server on loopback.
#![allow(clippy::disallowed_methods)] // the name server of the test has sockets and threads of its own

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, MX};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::*;

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
        timeout: Duration::from_millis(300),
        cache_size: 1_000,
        cache_ttl_min: Duration::ZERO,
        cache_ttl_max: None,
        concurrency: 100,
    }
}

/// Runs `test` on a shard and gives back what it returned.
fn on_a_shard<T, F, Fut>(test: F) -> T
where
    T: Send + 'static,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = T> + 'static,
{
    let result = Arc::new(Mutex::new(None));
    let place = Arc::clone(&result);
    let test = Arc::new(test);
    let options =
        engine::boot::Options { shards: 1, pin: false, driver: Default::default(), signals: Vec::new() };
    let root = move |_| {
        let (place, test) = (Arc::clone(&place), Arc::clone(&test));
        async move {
            if !engine::boot::is_control() {
                let value = test().await;
                *place.lock().expect("no panic") = Some(value);
            }
        }
    };
    engine::boot::run(options, root).expect("the engine runs here");
    result.lock().expect("no panic").take().expect("the shard has run")
}

fn text(hosts: &MailHosts) -> String {
    match hosts {
        MailHosts::Found(hosts) => {
            let host =
                |host: &net::dns::MailHost| format!("{} {} {:?}", host.preference, host.name, host.addresses);
            hosts.iter().map(host).collect::<Vec<_>>().join("; ")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn mail_hosts_are_found_by_udp_and_tcp_through_loss_and_forgery() {
    let server = NameServer::start();
    let address = server.address;
    let results = on_a_shard(move || async move {
        let resolver = Resolver::start(&settings(&[address]));
        let mut results = Vec::new();
        for domain in ["mail.test", "big.test", "silent-once.test", "forged.test", "gone.test", "empty.test"]
        {
            results.push(text(&resolver.mail_hosts(domain, true, false).await));
        }
        for name in ["mx1.test", "localhost", "127.0.0.9"] {
            results.push(text(&resolver.host(name, true, false).await));
        }
        results
    });
    let both = "10 mx1.test [127.0.0.1]; 20 mx2.test [127.0.0.2]";
    let expected = [
        both,
        both,
        "0 silent-once.test [127.0.0.1]",
        "0 forged.test [127.0.0.7]",
        "NoDomain(\"gone.test: no such domain\")",
        "NoMailHost(\"empty.test: no MX record and no usable address\")",
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
        let resolver = Resolver::start(&settings(&[address]));
        let ask = || {
            let resolver = Rc::clone(&resolver);
            engine::task::spawn(Class::Interactive, async move {
                resolver.mail_hosts("mail.test", true, false).await
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
        let resolver = Resolver::start(&settings(&[address]));
        let mut results = Vec::new();
        for domain in ["sick.test", "silent.test"] {
            results.push(text(&resolver.mail_hosts(domain, true, false).await));
        }
        // The first server's port is closed: the second one answers.
        resolver.reconfigure(&settings(&[closed, address]));
        results.push(text(&resolver.mail_hosts("mail.test", true, false).await));
        resolver.reconfigure(&settings(&[closed]));
        results.push(text(&resolver.mail_hosts("mail.test", true, false).await));
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
fn the_resolver_file_is_read_when_no_server_is_configured() {
    let servers = on_a_shard(|| async {
        let resolver = Resolver::start(&settings(&[]));
        resolver.core().await.settings.servers.clone()
    });
    assert!(!servers.is_empty());
}
