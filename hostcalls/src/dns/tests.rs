#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engine::task::{Class, spawn};

use super::*;
use crate::on_engine::{array, call, list, on_a_shard, text};
use crate::{Execution, Settings};

/// A name in wire form.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// What the server says to a question: flags (AD, TC, rcode) and records of type, data.
struct Says {
    flags: u16,
    answers: Vec<(u16, Vec<u8>)>,
}

const AD: u16 = 0x0020;
const TC: u16 = 0x0200;

fn says(name: &str, kind: u16, tcp: bool) -> Option<Says> {
    let with = |answers: Vec<(u16, Vec<u8>)>| Some(Says { flags: 0, answers });
    let failed = |code| Some(Says { flags: code, answers: Vec::new() });
    match (name, kind) {
        ("a.test", 1) => with(vec![(1, vec![192, 0, 2, 1]), (1, vec![192, 0, 2, 2])]),
        ("a.test", 28) => with(vec![(28, [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat())]),
        ("signed.test", 1) => Some(Says { flags: AD, answers: vec![(1, vec![192, 0, 2, 3])] }),
        ("alias.test", 1) => with(vec![(5, wire("a.test"))]).map(|mut says| {
            says.answers.push((1, vec![192, 0, 2, 9]));
            says
        }),
        ("alias.test", 5) => with(vec![(5, wire("A.test"))]),
        ("mx.test", 15) => {
            let mx = |preference: u8, host| (15, [&[0, preference][..], &wire(host)].concat());
            with(vec![mx(20, "b.mx.test"), mx(10, "a.mx.test")])
        }
        ("_x.txt.test", 16) => {
            with(vec![(16, b"\x06v=spf1\x05 -all".to_vec()), (16, b"\x02\xff\x00".to_vec())])
        }
        ("ns.test", 2) => with(vec![(2, wire("ns1.ns.test"))]),
        ("1.2.0.192.in-addr.arpa", 12) => with(vec![(12, wire("host.test"))]),
        ("soa.test", 6) => {
            let numbers: Vec<u8> = [7u32, 1, 2, 3, 4].iter().flat_map(|it| it.to_be_bytes()).collect();
            with(vec![(6, [wire("ns.test"), wire("hostmaster.test"), numbers].concat())])
        }
        ("long.test", 16) if !tcp => Some(Says { flags: TC, answers: Vec::new() }),
        ("long.test", 16) => with(vec![(16, [&[255][..], &[b'x'; 255]].concat()); 20]),
        ("nothing.test", _) => with(Vec::new()),
        ("broken.test", _) => failed(2),
        ("refused.test", _) => failed(5),
        ("simple.test", _) => failed(4),
        ("_x.xn--bcher-kva.test", 1) => with(vec![(1, vec![192, 0, 2, 8])]),
        ("silent.test", _) => None,
        ("slow.test", 1) => {
            std::thread::sleep(Duration::from_millis(300));
            with(vec![(1, vec![192, 0, 2, 4])])
        }
        _ => failed(3),
    }
}

fn respond(query: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut name = Vec::new();
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let says = says(&name.join("."), kind, tcp)?;
    let mut out = query[..2].to_vec();
    out.extend_from_slice(&(0x8180 | says.flags).to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, says.answers.len() as u8, 0, 0, 0, 0]);
    out.extend_from_slice(&query[12..at + 5]);
    for (number, (kind, data)) in says.answers.iter().enumerate() {
        // The second record of a chain belongs to the alias's target.
        let chained = name == ["alias", "test"] && number == 1;
        out.extend_from_slice(&if chained { wire("a.test") } else { vec![0xc0, 12] });
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 1, 0x2c]);
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    Some(out)
}

/// A name server on a thread of its own; counts the datagrams it got.
fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The same port may be taken for TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, peer)) = udp.recv_from(&mut query) {
            counter.fetch_add(1, Ordering::SeqCst);
            if let Some(response) = respond(&query[..length], false) {
                udp.send_to(&response, peer).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            if let Some(response) = respond(&query, true) {
                stream.write_all(&(response.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&response).unwrap();
            }
        }
    });
    (address, count)
}

fn asking(server: SocketAddr) -> Settings {
    Settings { resolvers: vec![server], ..Settings::default() }
}

#[test]
fn records_of_all_types_are_found() {
    let (server, _) = server();
    on_a_shard(asking(server), move |environment| async move {
        let execution = Execution::begin(&environment);
        let cases = [
            ("a.test", "a", r#"["result"=>[0=>"192.0.2.1",1=>"192.0.2.2"],"dnssec"=>false]"#),
            ("A.Test.", "AAAA", r#"["result"=>[0=>"2001:db8::1"],"dnssec"=>false]"#),
            ("signed.test", "a", r#"["result"=>[0=>"192.0.2.3"],"dnssec"=>true]"#),
            ("alias.test", "a", r#"["result"=>[0=>"192.0.2.9"],"dnssec"=>false]"#),
            ("alias.test", "cname", r#"["result"=>[0=>"a.test"],"dnssec"=>false]"#),
            ("mx.test", "mx", r#"["result"=>[0=>"a.mx.test",1=>"b.mx.test"],"dnssec"=>false]"#),
            ("ns.test", "ns", r#"["result"=>[0=>"ns1.ns.test"],"dnssec"=>false]"#),
            ("1.2.0.192.in-addr.arpa", "ptr", r#"["result"=>[0=>"host.test"],"dnssec"=>false]"#),
            ("soa.test", "soa", r#"["result"=>[0=>"ns.test hostmaster.test 7 1 2 3 4"],"dnssec"=>false]"#),
            ("unknown.test", "a", r#"["error"=>"NXDOMAIN","dnssec"=>false]"#),
            ("nothing.test", "a", r#"["error"=>"NO_DATA","dnssec"=>false]"#),
            ("broken.test", "a", r#"["error"=>"SERVFAIL","dnssec"=>false]"#),
            ("refused.test", "a", r#"["error"=>"REFUSED","dnssec"=>false]"#),
            ("bad..name", "a", r#"["error"=>"NO_RECOVERY","dnssec"=>false]"#),
            ("", "a", r#"["error"=>"NO_RECOVERY","dnssec"=>false]"#),
            ("simple.test", "a", r#"["error"=>"NOTIMP","dnssec"=>false]"#),
        ];
        for (host, kind, expected) in cases {
            let options = array(&[("type", kind.into())]);
            let value = call(&execution, "dns_query", &[host.into(), options]).await.unwrap();
            assert_eq!(text(&value), expected, "{host} {kind}");
        }
        let txt = array(&[("type", "txt".into())]);
        let value = call(&execution, "dns_query", &["_x.txt.test".into(), txt.clone()]).await.unwrap();
        let result = value.as_array().unwrap().get_str("result").unwrap();
        let result = result.as_array().unwrap();
        assert_eq!(result.get_index(0).unwrap().as_bytes(), Some(&b"v=spf1 -all"[..]));
        assert_eq!(result.get_index(1).unwrap().as_bytes(), Some(&b"\xff\x00"[..]));
        // Cut short over UDP: asked again by TCP.
        let value = call(&execution, "dns_query", &["long.test".into(), txt]).await.unwrap();
        let result = value.as_array().unwrap().get_str("result").unwrap();
        assert_eq!(result.as_array().unwrap().len(), 20);
    });
}

/// Whoever asks, and also of servers of its own.
#[test]
fn labels_in_other_scripts_are_asked_for_as_a_labels() {
    let (server, _) = server();
    on_a_shard(asking(server), move |environment| async move {
        let execution = Execution::begin(&environment);
        let servers =
            array(&[("servers", list(["127.0.0.1".into()])), ("port", u32::from(server.port()).into())]);
        for options in [array(&[]), servers] {
            let value =
                call(&execution, "dns_query", &["_x.B\u{fc}cher.test".into(), options]).await.unwrap();
            assert_eq!(text(&value), r#"["result"=>[0=>"192.0.2.8"],"dnssec"=>false]"#);
        }
        let found = addresses(&environment, "_x.b\u{fc}cher.test".as_bytes(), None).await;
        assert_eq!(found, [IpAddr::from([192, 0, 2, 8])]);
    });
    for name in [&b"b\xfccher.test"[..], "b\u{fc}/cher.test".as_bytes()] {
        assert_eq!(DnsQuestion::new(name, RecordKind::A).name, name, "no domain: as it is");
    }
}

/// It was copied and looked through several times, while everything else on the shard waited.
#[test]
fn a_name_that_is_too_long_is_not_even_copied() {
    for name in [vec![b'x'; 10_000_000], "\u{fc}".repeat(5_000_000).into_bytes()] {
        assert_eq!(DnsQuestion::new(name, RecordKind::A).name, b"");
    }
}

#[test]
fn options_say_whom_to_ask_and_how_to_answer() {
    let (server, count) = server();
    on_a_shard(Settings::default(), move |environment| {
        let count = count.clone();
        async move {
            let execution = Execution::begin(&environment);
            let to_server =
                [("servers", list(["127.0.0.1".into()])), ("port", u32::from(server.port()).into())];
            let extended =
                [&to_server[..], &[("extended_result", true.into()), ("type", "mx".into())]].concat();
            let value = call(&execution, "dns_query", &["mx.test".into(), array(&extended)]).await.unwrap();
            let first =
                r#"["result"=>[0=>["ttl"=>300,"preference"=>10,"host"=>"a.mx.test","value"=>"a.mx.test"],"#;
            assert!(text(&value).starts_with(first), "{}", text(&value));
            // Nobody answers: asked twice, then given up.
            let before = count.load(Ordering::SeqCst);
            let silent = [&to_server[..], &[("timeout", 1.into())]].concat();
            let value = call(&execution, "dns_query", &["silent.test".into(), array(&silent)]).await.unwrap();
            assert_eq!(text(&value), r#"["error"=>"TRY_AGAIN","dnssec"=>false]"#);
            assert_eq!(count.load(Ordering::SeqCst) - before, 2);
            let bad = [
                array(&[("type", "srv".into())]),
                array(&[("servers", list(["ns.example.com".into()]))]),
                array(&[("port", 70_000.into())]),
                array(&[("timeout", "x".into())]),
            ];
            for options in bad {
                assert!(call(&execution, "dns_query", &["a.test".into(), options]).await.is_err());
            }
            let older = array(&to_server);
            let legacy = async |name: &str, host: &str| {
                text(&call(&execution, name, &[host.into(), older.clone()]).await.unwrap())
            };
            assert_eq!(legacy("dns", "a.test").await, r#"[0=>"192.0.2.1",1=>"192.0.2.2"]"#);
            assert_eq!(legacy("dns6", "a.test").await, r#"[0=>"2001:db8::1"]"#);
            assert_eq!(legacy("dnsptr", "192.0.2.1").await, r#"[0=>"host.test"]"#);
            assert_eq!(legacy("dnsmx", "mx.test").await, r#"[0=>"a.mx.test",1=>"b.mx.test"]"#);
            assert_eq!(legacy("dnstxt", "unknown.test").await, "[]");
        }
    });
}

#[test]
fn others_run_while_one_waits_for_a_slow_answer() {
    let (server, _) = server();
    on_a_shard(asking(server), move |environment| async move {
        let waiting = spawn(Class::Interactive, {
            let environment = environment.clone();
            async move {
                let execution = Execution::begin(&environment);
                text(&call(&execution, "dns_query", &["slow.test".into()]).await.unwrap())
            }
        });
        let execution = Execution::begin(&environment);
        let mut rounds = 0;
        while !waiting.is_finished() {
            call(&execution, "memory_inc", &["rounds".into()]).await.unwrap();
            call(&execution, "sleep", &[0.002.into()]).await.unwrap();
            rounds += 1;
        }
        assert!(rounds > 3, "{rounds}");
        assert!(waiting.await.unwrap().contains("192.0.2.4"));
    });
}
