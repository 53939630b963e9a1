//! What the DNS fuzz target checks, shared with the test that replays its corpus. Uses the public interface only.
#![allow(dead_code, unreachable_pub)] // a module of several programs; each uses its own part

use net::dns::{
    Answer, DomainName, Families, Handled, HostSearch, Kind, Lookup, QueryId, Question, RecordData,
    RecordKind, RecordQuery, Records, Resolved, Settings, Step, Stub, Transmit, resolv_conf,
};
use net::limits::{DNS_RECORDS_MAX, DNS_SERVERS_MAX};

/// A stub with one server, and its question for the MX records of example.com: id 0, lower case.
pub struct Asked {
    pub stub: Stub,
    pub query: QueryId,
    pub transmit: Transmit,
}

pub fn ask() -> Asked {
    let server = "192.0.2.53:53".parse().expect("an address");
    let mut stub = Stub::new(Settings { servers: vec![server], ..Settings::default() }, 1);
    let Lookup::Wait(query) = stub.lookup(&question(), 0) else { panic!("the cache is empty") };
    let transmit = send(&mut stub, 0).expect("a query goes out");
    assert!(send(&mut stub, 0).is_none());
    Asked { stub, query, transmit }
}

pub fn question() -> Question {
    Question { name: DomainName::parse("example.com").expect("a name"), kind: Kind::Mx }
}

pub fn send(stub: &mut Stub, now_ms: u64) -> Option<Transmit> {
    stub.poll_transmit(now_ms, &mut |bytes| bytes.fill(0))
}

/// Any bytes in answer to every query: it ends, with an answer, and the search for hosts ends too.
pub fn response(data: &[u8]) {
    let Asked { mut stub, query, mut transmit } = ask();
    let mut now_ms = 0;
    let mut tries = 0;
    let answer = loop {
        tries += 1;
        assert!(tries < 100, "a question comes to an end");
        if stub.handle_response(transmit.id, data, now_ms) == Handled::Ignored {
            now_ms = stub.poll_timeout().expect("an open try has an end");
            assert_eq!(now_ms, transmit.deadline_ms);
            stub.handle_timeout(now_ms);
        }
        assert!(!stub.is_open(transmit.id));
        if let Some((answered, answer)) = stub.poll_answer() {
            assert_eq!(answered, query);
            break answer;
        }
        transmit = send(&mut stub, now_ms).expect("without an answer there is another try");
    };
    assert_eq!((stub.poll_timeout(), send(&mut stub, now_ms)), (None, None), "nothing is left over");
    search(answer);
    if let Ok(text) = std::str::from_utf8(data) {
        assert!((1..=DNS_SERVERS_MAX).contains(&resolv_conf::parse(text).servers.len()));
        let _ = DomainName::parse(text);
        HostSearch::mail(text, Families { ipv4: true, ipv6: true }, 1).step();
    }
}

fn search(mx: Resolved) {
    let mut search = HostSearch::mail("example.com", Families { ipv4: true, ipv6: true }, 7);
    for _ in 0..100 {
        let Step::Ask(questions) = search.step() else { return };
        assert!(!questions.is_empty());
        for question in questions {
            let no_data = Resolved { answer: Answer::NoData, ..mx.clone() };
            let resolved = if question.kind == Kind::Mx { mx.clone() } else { no_data };
            search.answer(&question, resolved);
        }
    }
    panic!("a search comes to an end");
}

/// Any bytes in answer to the questions that scripts may ask: records that are bounded, in order, and with names that can
/// be shown.
pub fn records(data: &[u8]) {
    for kind in [
        RecordKind::A,
        RecordKind::Aaaa,
        RecordKind::Mx,
        RecordKind::Txt,
        RecordKind::Cname,
        RecordKind::Ns,
        RecordKind::Ptr,
        RecordKind::Soa,
        RecordKind::Tlsa,
    ] {
        let query = RecordQuery::new(b"example.com", kind, true, &[0; 34]).expect("a name");
        let Some(Records::Found(found, _)) = query.answer(data, true) else { continue };
        assert!(found.len() <= DNS_RECORDS_MAX);
        let by_udp = query.answer(data, false);
        assert!(matches!(by_udp, Some(Records::Found(_, _) | Records::AskByTcp)), "{by_udp:?}");
        let mut preferences = Vec::new();
        for record in found {
            match record.data {
                RecordData::Name(name) => shown(&name),
                RecordData::Mx { preference, host } => {
                    preferences.push(preference);
                    shown(&host);
                }
                RecordData::Soa { mname, rname, .. } => {
                    shown(&mname);
                    shown(&rname);
                }
                RecordData::Text(text) => assert!(text.len() <= data.len()),
                RecordData::Tlsa { data: association, .. } => assert!(association.len() <= data.len()),
                RecordData::Address(address) => assert_eq!(address.is_ipv4(), kind == RecordKind::A),
            }
        }
        assert!(preferences.is_sorted(), "the first is tried first");
    }
}

fn shown(name: &str) {
    assert!(name == "." || !name.ends_with('.') || name.ends_with("\\."), "{name:?}");
    assert!(!name.is_empty() && name.len() <= 4 * 255);
    assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{name:?}");
}
