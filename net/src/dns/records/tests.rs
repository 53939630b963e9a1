use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{CNAME, MX, TXT};
use proptest::prelude::*;

use super::*;

const RANDOM: [u8; RANDOM_BYTES] = [0xa5; RANDOM_BYTES];

fn query(name: &str, kind: RecordKind) -> RecordQuery {
    RecordQuery::new(name.as_bytes(), kind, true, &RANDOM).unwrap_or_else(|_| panic!("{name}"))
}

/// The server's message to a query: its own words back, with these records.
fn reply(query: &RecordQuery, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::from_vec(&query.datagram()).unwrap();
    message.metadata.message_type = hickory_proto::op::MessageType::Response;
    // The question asks whether the server vouches; it does when it says so.
    message.metadata.authentic_data = false;
    message.edns = None;
    change(&mut message);
    message.to_vec().unwrap()
}

fn record(name: &str, data: RData) -> WireRecord {
    WireRecord::from_rdata(Name::from_ascii(name).unwrap(), 300, data)
}

#[test]
fn names_that_no_host_has_are_asked_for() {
    for name in ["_dmarc.example.com", "0/25.2.0.192.in-addr.arpa", "*.example.com", "a b.example.com", "x."]
    {
        assert!(RecordQuery::new(name.as_bytes(), RecordKind::Txt, true, &RANDOM).is_ok(), "{name}");
    }
    let long = "x".repeat(64);
    let many = vec!["x"; 130].join(".");
    for name in ["", ".", "a..b", ".a", long.as_str(), many.as_str()] {
        assert!(RecordQuery::new(name.as_bytes(), RecordKind::A, true, &RANDOM).is_err(), "{name}");
    }
}

#[test]
fn the_question_asks_whether_the_server_vouches() {
    let query = query("example.com", RecordKind::Mx);
    let message = Message::from_vec(&query.datagram()).unwrap();
    assert!(message.metadata.authentic_data && message.metadata.recursion_desired);
    assert_eq!(query.tcp_message()[2..], query.datagram());
}

#[test]
fn answers_are_read_with_their_aliases_and_order() {
    let asked = query("alias.example", RecordKind::Mx);
    let bytes = reply(&asked, |message| {
        message.metadata.authentic_data = true;
        let target = Name::from_ascii("Target.Example").unwrap();
        message.answers.push(record("alias.example", RData::CNAME(CNAME(target))));
        for (preference, host) in [(20, "b.example"), (10, "A.example"), (0, ".")] {
            let mx = MX::new(preference, Name::from_ascii(host).unwrap());
            message.answers.push(record("target.example", RData::MX(mx)));
        }
        message.answers.push(record("other.example", RData::MX(MX::new(1, Name::root()))));
    });
    let Some(Records::Found(found, true)) = asked.answer(&bytes, false) else { panic!("not found") };
    let hosts: Vec<_> = found
        .iter()
        .map(|record| match &record.data {
            RecordData::Mx { preference, host } => (*preference, host.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hosts, [(0, "."), (10, "a.example"), (20, "b.example")]);
    assert!(found.iter().all(|record| record.ttl_s == 300));

    let asked = query("text.example", RecordKind::Txt);
    let texts = vec!["v=DKIM1; p=".to_owned(), "AAAA".to_owned()];
    let bytes = reply(&asked, |message| {
        message.answers.push(record("text.example", RData::TXT(TXT::new(texts))));
    });
    let Some(Records::Found(found, false)) = asked.answer(&bytes, true) else { panic!("not found") };
    assert_eq!(found[0].data, RecordData::Text(b"v=DKIM1; p=AAAA".to_vec()));
}

#[test]
fn what_is_no_answer_is_told_apart() {
    let asked = query("example.com", RecordKind::A);
    let with = |change: &dyn Fn(&mut Message)| asked.answer(&reply(&asked, change), false);
    let code = |code| with(&move |message| message.metadata.response_code = code);
    assert_eq!(code(ResponseCode::NXDomain), Some(Records::NoDomain(false)));
    assert_eq!(code(ResponseCode::NoError), Some(Records::Found(Vec::new(), false)));
    assert_eq!(code(ResponseCode::ServFail), Some(Records::ServerFailure(2)));
    assert_eq!(code(ResponseCode::FormErr), Some(Records::NotUnderstood(1)));
    assert_eq!(code(ResponseCode::NotImp), Some(Records::NotUnderstood(4)));
    assert_eq!(with(&|message| message.metadata.truncation = true), Some(Records::AskByTcp));
    assert_eq!(with(&|message| message.metadata.id ^= 1), None);
    assert_eq!(with(&|message| message.queries[0].name = Name::from_ascii("other.com").unwrap()), None);
    // The letters in another case: perhaps forged.
    let lower = |message: &mut Message| message.queries[0].name = message.queries[0].name.to_lowercase();
    assert_eq!(with(&lower), Some(Records::AskByTcp));
    assert_eq!(asked.answer(&reply(&asked, lower), true), Some(Records::Found(Vec::new(), false)));
    let circle = with(&|message: &mut Message| {
        let target = CNAME(Name::from_ascii("example.com").unwrap());
        message.answers.push(record("example.com", RData::CNAME(target)));
    });
    assert_eq!(circle, Some(Records::Malformed));
    let many = with(&|message: &mut Message| {
        for number in 0..200u8 {
            message
                .answers
                .push(record("example.com", RData::A(std::net::Ipv4Addr::new(192, 0, 2, number).into())));
        }
    });
    assert!(matches!(many, Some(Records::Found(found, _)) if found.len() == limits::DNS_RECORDS_MAX));
}

#[test]
fn strange_bytes_in_names_are_escaped() {
    let strange = Name::from_labels([&b"a.b\\\x00\xff"[..], b"Example"]).unwrap();
    assert_eq!(text(&strange), "a\\.b\\\\\\000\\255.example");
}

proptest! {
    /// Whatever comes back: no panic.
    #[test]
    fn any_message_is_read_or_refused(
        flips in prop::collection::vec((0..200usize, any::<u8>()), 0..8),
        cut in 0..200usize,
    ) {
        let asked = query("example.com", RecordKind::Soa);
        let mut bytes = reply(&asked, |message| {
            for host in ["a.example.com", "b.example.com"] {
                let mx = MX::new(1, Name::from_ascii(host).unwrap());
                message.answers.push(record("example.com", RData::MX(mx)));
            }
        });
        bytes.truncate(cut.max(12));
        for (place, byte) in flips {
            if let Some(target) = bytes.get_mut(place) {
                *target = byte;
            }
        }
        let _ = asked.answer(&bytes, false);
        let _ = asked.answer(&bytes, true);
    }
}
