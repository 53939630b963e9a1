//! The stub against servers made of values, on a clock that is a number; the search for hosts as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, SOA};
use hickory_proto::rr::{Name, RData, Record};

use super::*;
use crate::limits;

mod servers;

const FIRST: &str = "192.0.2.1:53";
const SECOND: &str = "192.0.2.2:53";

fn settings(servers: &[&str]) -> Settings {
    let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
    Settings { servers, ..Settings::default() }
}

fn question(name: &str, kind: Kind) -> Question {
    Question { name: DomainName::parse(name).unwrap(), kind }
}

/// Random numbers that are not zero.
fn random() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u64;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    }
}

fn wait(stub: &mut Stub, question: &Question, now_ms: u64) -> QueryId {
    match stub.lookup(question, now_ms) {
        Lookup::Wait(query) => query,
        Lookup::Known(answer) => panic!("known: {answer:?}"),
    }
}

fn record(owner: &Name, ttl_s: u32, data: RData) -> Record {
    Record::from_rdata(owner.clone(), ttl_s, data)
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

/// An answer to the query in `transmit`.
fn answer_to(transmit: &Transmit, build: impl FnOnce(&mut Message, &Query)) -> Vec<u8> {
    let payload =
        if transmit.tcp { first_tcp_message(&transmit.payload).unwrap() } else { &transmit.payload };
    let asked = Message::from_vec(payload).unwrap();
    let mut message = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
    let query = asked.queries[0].clone();
    message.add_query(query.clone());
    build(&mut message, &query);
    message.to_vec().unwrap()
}

fn address(transmit: &Transmit, last: u8) -> Vec<u8> {
    answer_to(transmit, |message, query| {
        message.add_answer(record(&query.name, 300, RData::A(A::new(192, 0, 2, last))));
    })
}

fn code(transmit: &Transmit, code: ResponseCode) -> Vec<u8> {
    answer_to(transmit, |message, _| message.metadata.response_code = code)
}

fn resolved(answer: Answer, left_ms: u64) -> Resolved {
    Resolved { answer, authentic: false, left_ms }
}

/// The next answer, alone.
fn answered(stub: &mut Stub) -> Option<(QueryId, Answer)> {
    stub.poll_answer().map(|(query, resolved)| (query, resolved.answer))
}

fn found(addresses: &[&str]) -> Answer {
    Answer::Addresses(addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect())
}

#[test]
fn a_question_goes_out_with_random_id_and_case_and_its_answer_is_kept_for_its_lifetime() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let asked = question("a-rather-long-name.example.com", Kind::A);
    let query = wait(&mut stub, &asked, 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    let message = Message::from_vec(&transmit.payload).unwrap();
    assert!(message.metadata.recursion_desired);
    assert_ne!(message.metadata.id, 0);
    assert_eq!(message.edns.as_ref().unwrap().max_payload(), limits::DNS_UDP_BYTES_MAX);
    let text = message.queries[0].name.to_ascii();
    assert!(text.bytes().any(|byte| byte.is_ascii_uppercase()), "{text}");
    assert!(text.bytes().any(|byte| byte.is_ascii_lowercase()), "{text}");

    assert_eq!(stub.handle_response(transmit.id, &address(&transmit, 7), 1_000), Handled::Closed);
    assert_eq!(answered(&mut stub), Some((query, found(&["192.0.2.7"]))));
    assert_eq!(stub.poll_timeout(), None);
    assert_eq!(stub.lookup(&asked, 300_999), Lookup::Known(resolved(found(&["192.0.2.7"]), 1)));
    wait(&mut stub, &asked, 301_000);
}

#[test]
fn the_same_question_is_in_flight_once() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let first = wait(&mut stub, &question("a.test", Kind::A), 0);
    assert_eq!(wait(&mut stub, &question("A.TEST.", Kind::A), 0), first);
    assert_ne!(wait(&mut stub, &question("a.test", Kind::Mx), 0), first);
    let sent = std::iter::from_fn(|| stub.poll_transmit(0, &mut random())).count();
    assert_eq!(sent, 2);
}

#[test]
fn silence_goes_on_to_the_next_server_and_ends_after_the_rounds() {
    let mut stub = Stub::new(settings(&[FIRST, SECOND]), 1);
    let query = wait(&mut stub, &question("a.test", Kind::A), 0);
    let (mut asked, mut now_ms) = (Vec::new(), 0);
    while let Some(transmit) = stub.poll_transmit(now_ms, &mut random()) {
        asked.push(transmit.server.to_string());
        assert_eq!(stub.poll_timeout(), Some(now_ms + 5_000));
        stub.handle_timeout(now_ms + 4_999);
        assert!(stub.is_open(transmit.id));
        now_ms += 5_000;
        stub.handle_timeout(now_ms);
        assert!(!stub.is_open(transmit.id));
        // Too late, from a socket that should be closed.
        assert_eq!(stub.handle_response(transmit.id, &address(&transmit, 7), now_ms), Handled::Closed);
    }
    assert_eq!(asked, [FIRST, SECOND, FIRST, SECOND]);
    assert_eq!(answered(&mut stub), Some((query, Answer::Failed(Failure::Timeout))));
    // RFC 9520: a failure is kept too, for a short time.
    assert!(matches!(stub.lookup(&question("a.test", Kind::A), now_ms + 4_999), Lookup::Known(_)));
    wait(&mut stub, &question("a.test", Kind::A), now_ms + 5_000);
}

#[test]
fn servfail_asks_each_server_once() {
    let mut stub = Stub::new(settings(&[FIRST, SECOND]), 1);
    let query = wait(&mut stub, &question("a.test", Kind::A), 0);
    for server in [FIRST, SECOND] {
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        assert_eq!(transmit.server.to_string(), server);
        stub.handle_response(transmit.id, &code(&transmit, ResponseCode::ServFail), 0);
    }
    assert_eq!(answered(&mut stub), Some((query, Answer::Failed(Failure::ServerFailure(2)))));
}

#[test]
fn a_truncated_answer_is_asked_again_by_tcp_from_the_same_server() {
    let mut stub = Stub::new(settings(&[FIRST, SECOND]), 1);
    let query = wait(&mut stub, &question("a.test", Kind::A), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(
        transmit.id,
        &answer_to(&transmit, |message, _| message.metadata.truncation = true),
        0,
    );
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    assert_eq!((transmit.tcp, transmit.server.to_string().as_str()), (true, FIRST));
    stub.handle_response(transmit.id, &address(&transmit, 7), 0);
    assert_eq!(answered(&mut stub), Some((query, found(&["192.0.2.7"]))));
}

/// A server that writes the question in small letters was taken for a forger, and its mail never left.
#[test]
fn a_server_that_changes_the_case_is_asked_by_tcp_and_believed_there() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    wait(&mut stub, &question("a-long-name.test", Kind::A), 0);
    let lower = |message: &mut Message, query: &Query| {
        message.queries[0].name = query.name.to_lowercase();
        message.add_answer(record(&query.name, 300, RData::A(A::new(192, 0, 2, 7))));
    };
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &answer_to(&transmit, lower), 0);
    assert_eq!(answered(&mut stub), None);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    assert!(transmit.tcp);
    stub.handle_response(transmit.id, &answer_to(&transmit, lower), 0);
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
}

#[test]
fn a_server_without_edns_is_asked_without_it_and_its_code_is_told_as_it_is() {
    for (response, number) in [(ResponseCode::FormErr, 1), (ResponseCode::NotImp, 4)] {
        let mut stub = Stub::new(settings(&[FIRST]), 1);
        wait(&mut stub, &question("a.test", Kind::A), 0);
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        stub.handle_response(transmit.id, &code(&transmit, response), 0);
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        assert_eq!(Message::from_vec(&transmit.payload).unwrap().edns, None);
        stub.handle_response(transmit.id, &code(&transmit, response), 0);
        let Some((_, Answer::Failed(failure))) = answered(&mut stub) else { panic!("not failed") };
        assert_eq!(failure, Failure::ServerFailure(number));
    }
}

#[test]
fn aliases_are_followed_across_answers_for_the_shortest_lifetime_and_not_for_ever() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let asked = question("n0.test", Kind::A);
    wait(&mut stub, &asked, 0);
    let alias = |target: String| {
        move |message: &mut Message, query: &Query| {
            message.add_answer(record(&query.name, 60, RData::CNAME(CNAME(name(&target)))));
        }
    };
    for hop in 1..=3 {
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        let expected = format!("n{}.test.", hop - 1);
        let payload = Message::from_vec(&transmit.payload).unwrap();
        assert_eq!(payload.queries[0].name.to_lowercase().to_ascii(), expected);
        stub.handle_response(transmit.id, &answer_to(&transmit, alias(format!("n{hop}.test"))), 0);
    }
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &address(&transmit, 7), 0);
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
    assert!(matches!(stub.lookup(&asked, 59_999), Lookup::Known(_)));
    wait(&mut stub, &asked, 60_000);

    let mut hops = 0;
    while let Some(transmit) = stub.poll_transmit(60_000, &mut random()) {
        hops += 1;
        stub.handle_response(transmit.id, &answer_to(&transmit, alias(format!("m{hops}.test"))), 60_000);
    }
    assert!(matches!(answered(&mut stub), Some((_, Answer::Failed(Failure::AliasLoop)))));
    assert_eq!(hops, limits::DNS_ALIASES_MAX + 1);
}

#[test]
fn no_more_queries_run_than_permitted_and_the_others_follow() {
    let mut stub = Stub::new(Settings { max_queries: 2, ..settings(&[FIRST]) }, 1);
    for number in 0..5 {
        wait(&mut stub, &question(&format!("n{number}.test"), Kind::A), 0);
    }
    let mut answered = 0;
    loop {
        let sent: Vec<_> = std::iter::from_fn(|| stub.poll_transmit(0, &mut random())).collect();
        assert!(sent.len() <= 2);
        if sent.is_empty() {
            break;
        }
        for transmit in sent {
            stub.handle_response(transmit.id, &address(&transmit, 7), 0);
            answered += 1;
        }
    }
    assert_eq!((answered, std::iter::from_fn(|| stub.poll_answer()).count()), (5, 5));
}

#[test]
fn too_many_waiting_questions_and_no_servers_fail_at_once() {
    let mut stub = Stub::new(Settings { max_queries: 1, ..settings(&[FIRST]) }, 1);
    for number in 0..=limits::DNS_WAITING_MAX {
        wait(&mut stub, &question(&format!("n{number}.test"), Kind::A), 0);
    }
    let refused = stub.lookup(&question("x.test", Kind::A), 0);
    assert_eq!(refused, Lookup::Known(Resolved::failed(Failure::Overloaded)));
    let mut stub = Stub::new(settings(&[]), 1);
    let refused = stub.lookup(&question("x.test", Kind::A), 0);
    assert_eq!(refused, Lookup::Known(Resolved::failed(Failure::NoServers)));
}

#[test]
fn the_configured_lifetimes_bound_those_of_answers() {
    let settings = Settings { ttl_min_s: 10, ttl_max_s: 20, ..settings(&[FIRST]) };
    let mut stub = Stub::new(settings, 1);
    for (ttl_s, kept_s) in [(0, 10), (15, 15), (300, 20)] {
        let asked = question(&format!("t{ttl_s}.test"), Kind::Aaaa);
        wait(&mut stub, &asked, 0);
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        let answer = answer_to(&transmit, |message, query| {
            let address = AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            message.add_answer(record(&query.name, ttl_s, RData::AAAA(address)));
        });
        stub.handle_response(transmit.id, &answer, 0);
        assert!(matches!(stub.lookup(&asked, kept_s * 1_000 - 1), Lookup::Known(_)), "{ttl_s}");
        wait(&mut stub, &asked, kept_s * 1_000);
        stub.poll_transmit(0, &mut random());
    }
}

/// A zone for the search: what each question is answered with. Anything else does not exist.
#[derive(Clone, Default)]
struct Zone(BTreeMap<Question, Answer>);

impl Zone {
    fn mx(mut self, domain: &str, exchangers: &[(u16, &str)]) -> Zone {
        let exchanger = |(preference, host): &(u16, &str)| Mx {
            preference: *preference,
            host: (*host != ".").then(|| DomainName::parse(host).unwrap()),
        };
        let answer = Answer::Mx(exchangers.iter().map(exchanger).collect());
        self.0.insert(question(domain, Kind::Mx), answer);
        self
    }

    fn host(mut self, name: &str, addresses: &[&str]) -> Zone {
        let of = |ipv4: bool| -> Vec<&str> {
            let family = |text: &&&str| text.parse::<IpAddr>().unwrap().is_ipv4() == ipv4;
            addresses.iter().filter(family).copied().collect()
        };
        for (kind, addresses) in [(Kind::A, of(true)), (Kind::Aaaa, of(false))] {
            let answer = if addresses.is_empty() { Answer::NoData } else { found(&addresses) };
            self.0.insert(question(name, kind), answer);
        }
        self.0.entry(question(name, Kind::Mx)).or_insert(Answer::NoData);
        self
    }

    fn fails(mut self, name: &str, kind: Kind) -> Zone {
        self.0.insert(question(name, kind), Answer::Failed(Failure::ServerFailure(2)));
        self
    }

    /// The result in words, and the questions that were asked.
    fn search(&self, mut search: HostSearch) -> (String, usize) {
        let mut asked = 0;
        loop {
            match search.step() {
                Step::Done(MailHosts::Found { hosts, unknown }) => {
                    let host = |host: &MailHost| {
                        let addresses: Vec<_> = host.addresses.iter().map(|ip| ip.to_string()).collect();
                        format!("{} {} {}", host.preference, host.name, addresses.join(" "))
                    };
                    let unknown = unknown.map(|text| format!("unknown: {text}"));
                    let all: Vec<_> = hosts.iter().map(host).chain(unknown).collect();
                    return (all.join("; "), asked);
                }
                Step::Done(MailHosts::NullMx) => return ("null mx".into(), asked),
                Step::Done(MailHosts::NoDomain { text, left_ms }) => {
                    return (format!("no domain for {left_ms} ms: {text}"), asked);
                }
                Step::Done(MailHosts::NoMailHost(_, text)) => return (format!("no host: {text}"), asked),
                Step::Done(MailHosts::OnlyUs(text)) => return (format!("us: {text}"), asked),
                Step::Done(MailHosts::Temporary(text)) => return (format!("later: {text}"), asked),
                Step::Ask(questions) => {
                    assert!(!questions.is_empty() && asked < 1_000);
                    asked += questions.len();
                    for question in questions {
                        let answer = self.0.get(&question).cloned().unwrap_or(Answer::NoDomain);
                        search.answer(&question, resolved(answer, 1));
                    }
                }
            }
        }
    }
}

const BOTH: Families = Families { ipv4: true, ipv6: true };
const IPV4: Families = Families { ipv4: true, ipv6: false };
const IPV6: Families = Families { ipv4: false, ipv6: true };

#[test]
fn domains_lead_to_the_hosts_of_rfc_5321_section_5() {
    let zone = Zone::default()
        .mx("two.test", &[(20, "b.test"), (10, "a.test")])
        .host("a.test", &["192.0.2.1"])
        .host("b.test", &["2001:db8::2", "192.0.2.2"])
        .host("bare.test", &["192.0.2.3"])
        .host("empty.test", &[])
        .mx("null.test", &[(0, ".")])
        .mx("null-and-one.test", &[(0, "."), (10, "a.test")])
        .mx("unusable.test", &[])
        .mx("dangling.test", &[(10, "gone.test"), (20, "empty.test")])
        .mx("half.test", &[(10, "gone.test"), (20, "a.test")])
        .mx("sick.test", &[(10, "sick-host.test"), (20, "gone.test")])
        .mx("half-sick.test", &[(10, "sick-host.test"), (20, "a.test")])
        .mx("twice.test", &[(20, "a.test"), (10, "a.test")])
        .host("sick-host.test", &[])
        .fails("sick-host.test", Kind::A)
        .mx("no-ipv6.test", &[(10, "half-host.test"), (20, "a.test")])
        .host("half-host.test", &["192.0.2.2"])
        .fails("half-host.test", Kind::Aaaa)
        .fails("servfail.test", Kind::Mx);
    let cases = [
        ("two.test", BOTH, "10 a.test 192.0.2.1; 20 b.test 192.0.2.2 2001:db8::2"),
        ("TWO.test", IPV4, "10 a.test 192.0.2.1; 20 b.test 192.0.2.2"),
        ("two.test", IPV6, "20 b.test 2001:db8::2"),
        ("bare.test", BOTH, "0 bare.test 192.0.2.3"),
        ("bare.test", IPV6, "no host: bare.test: no MX record and no usable address"),
        ("empty.test", BOTH, "no host: empty.test: no MX record and no usable address"),
        ("gone.test", BOTH, "no domain for 1 ms: gone.test: no such domain"),
        ("null.test", BOTH, "null mx"),
        ("null-and-one.test", BOTH, "10 a.test 192.0.2.1"),
        ("unusable.test", BOTH, "no host: unusable.test: no MX record names a host"),
        ("dangling.test", BOTH, "no host: dangling.test: no MX host has a usable address"),
        ("half.test", BOTH, "20 a.test 192.0.2.1"),
        ("sick.test", BOTH, "later: sick-host.test: the name server answered SERVFAIL"),
        (
            "half-sick.test",
            BOTH,
            "20 a.test 192.0.2.1; unknown: sick-host.test: the name server answered SERVFAIL",
        ),
        ("no-ipv6.test", BOTH, "10 half-host.test 192.0.2.2; 20 a.test 192.0.2.1"),
        ("twice.test", BOTH, "10 a.test 192.0.2.1"),
        ("servfail.test", BOTH, "later: servfail.test MX: the name server answered SERVFAIL"),
        ("[192.0.2.9]", BOTH, "0 [192.0.2.9] 192.0.2.9"),
        ("[IPv6:2001:db8::9]", BOTH, "0 [2001:db8::9] 2001:db8::9"),
        ("[192.0.2.9]", IPV6, "no host: [192.0.2.9]: its address family is switched off"),
        ("[192.0.2.999]", BOTH, "no host: [192.0.2.999]: not a domain name"),
        ("localhost", BOTH, "0 localhost 127.0.0.1 ::1"),
        ("a b.test", BOTH, "no host: a b.test: not a domain name"),
        ("", BOTH, "no host: : not a domain name"),
    ];
    for (domain, families, expected) in cases {
        assert_eq!(zone.search(HostSearch::mail(domain, families, 1)).0, expected, "{domain} {families:?}");
    }
}

#[test]
fn mail_goes_to_hosts_that_are_better_than_this_one_and_never_to_itself() {
    let zone = Zone::default()
        .mx("backup.test", &[(10, "first.test"), (20, "us.test"), (20, "equal.test"), (30, "worse.test")])
        .mx("primary.test", &[(5, "us.test"), (10, "first.test")])
        .mx("alone.test", &[(10, "also-us.test")])
        .mx("dead.test", &[(10, "gone.test"), (20, "us.test"), (30, "worse.test")])
        .mx("sick.test", &[(10, "sick-host.test"), (20, "us.test")])
        .mx("others.test", &[(10, "first.test"), (20, "equal.test")])
        .host("first.test", &["192.0.2.1"])
        .host("equal.test", &["192.0.2.2"])
        .host("worse.test", &["192.0.2.3"])
        .host("us.test", &["192.0.2.9"])
        .host("sick-host.test", &[])
        .fails("sick-host.test", Kind::A);
    let loops = |host: &str| format!("us: mail loops back to myself: {host} is this host");
    let cases = [
        ("backup.test", "10 first.test 192.0.2.1".to_owned()),
        ("primary.test", loops("us.test")),
        ("alone.test", loops("also-us.test")),
        ("us.test", loops("us.test")),
        ("dead.test", "no host: dead.test: no MX host has a usable address".to_owned()),
        ("sick.test", "later: sick-host.test: the name server answered SERVFAIL".to_owned()),
        ("others.test", "10 first.test 192.0.2.1; 20 equal.test 192.0.2.2".to_owned()),
    ];
    let names: Arc<[DomainName]> =
        ["us.test", "also-us.test"].map(|us| DomainName::parse(us).unwrap()).into();
    for (domain, expected) in cases {
        for seed in 0..8 {
            let search = HostSearch::mail(domain, IPV4, seed).not_to(Arc::clone(&names));
            assert_eq!(zone.search(search).0, expected, "{domain}");
        }
    }
}

#[test]
fn a_host_that_is_this_one_by_its_address_ends_the_list() {
    let host = |preference, name: &str, last| MailHost {
        preference,
        ..MailHost::insecure(name.into(), vec![IpAddr::from([192, 0, 2, last])])
    };
    let is_us = |host: &MailHost| host.addresses == [IpAddr::from([192, 0, 2, 9])];
    let before = |hosts: &[MailHost], unknown: Option<&str>| {
        let found = MailHosts::Found { hosts: hosts.to_vec(), unknown: unknown.map(Arc::from) };
        found.before_us(is_us)
    };
    let all = [host(10, "a", 1), host(20, "b", 2), host(20, "us", 9), host(30, "c", 3)];
    let found = |hosts: &[MailHost]| MailHosts::Found { hosts: hosts.to_vec(), unknown: None };
    assert_eq!(before(&all, None), found(&all[..1]));
    assert_eq!(before(&all[..2], None), found(&all[..2]));
    assert!(matches!(before(&all[1..], None), MailHosts::OnlyUs(_)));
    // One of which no address is known now may go before us.
    assert_eq!(before(&all[1..], Some("sick")), MailHosts::Temporary("sick".into()));
    assert_eq!(MailHosts::NullMx.before_us(is_us), MailHosts::NullMx);
}

#[test]
fn why_there_is_no_host_is_told_apart() {
    let zone = Zone::default().host("six.test", &["2001:db8::1"]).mx("filtered.test", &[(10, "six.test")]);
    let lack = |domain: &str, families| {
        let mut search = HostSearch::mail(domain, families, 1);
        loop {
            match search.step() {
                Step::Done(MailHosts::NoMailHost(lack, _)) => return lack,
                Step::Done(other) => panic!("{domain}: {other:?}"),
                Step::Ask(questions) => questions.iter().for_each(|question| {
                    let answer = zone.0.get(question).cloned().unwrap_or(Answer::NoDomain);
                    search.answer(question, resolved(answer, 1));
                    search.retain(|host| domain != "filtered.test" || host != "six.test");
                }),
            }
        }
    };
    assert_eq!(lack("six.test", IPV4), Lack::Family);
    assert_eq!(lack("[192.0.2.1]", IPV6), Lack::Family);
    assert_eq!(lack("filtered.test", BOTH), Lack::Excluded);
    assert_eq!(lack("a b.test", BOTH), Lack::Addresses);
}

#[test]
fn a_fixed_next_hop_is_a_name_or_an_address_and_has_no_mx() {
    let zone = Zone::default()
        .mx("relay.test", &[(10, "other.test")])
        .host("relay.test", &["192.0.2.1"])
        .host("empty.test", &[])
        .fails("sick.test", Kind::A)
        .fails("sick.test", Kind::Aaaa);
    let cases = [
        ("relay.test", BOTH, "0 relay.test 192.0.2.1"),
        ("192.0.2.5", BOTH, "0 [192.0.2.5] 192.0.2.5"),
        ("2001:db8::5", BOTH, "0 [2001:db8::5] 2001:db8::5"),
        ("[192.0.2.5]", BOTH, "0 [192.0.2.5] 192.0.2.5"),
        ("localhost", IPV6, "0 localhost ::1"),
        ("gone.test", BOTH, "no domain for 1 ms: gone.test: no such domain"),
        ("empty.test", BOTH, "no host: empty.test: no MX record and no usable address"),
        ("sick.test", BOTH, "later: sick.test: the name server answered SERVFAIL"),
    ];
    for (name, families, expected) in cases {
        assert_eq!(zone.search(HostSearch::host(name, families, 1)).0, expected, "{name} {families:?}");
    }
}

#[test]
fn equal_preference_is_shuffled_by_the_seed_and_by_nothing_else() {
    let hosts = ["a.test", "b.test", "c.test"];
    let forward: Vec<_> = hosts.iter().map(|host| (10, *host)).collect();
    let backward: Vec<_> = hosts.iter().rev().map(|host| (10, *host)).collect();
    let mut zone = Zone::default().mx("forward.test", &forward).mx("backward.test", &backward);
    for (number, host) in hosts.iter().enumerate() {
        zone = zone.host(host, &[&format!("192.0.2.{number}")]);
    }
    let mut orders = BTreeMap::<String, u32>::new();
    for seed in 0..600 {
        let (order, _) = zone.search(HostSearch::mail("forward.test", BOTH, seed));
        assert_eq!(zone.search(HostSearch::mail("backward.test", BOTH, seed)).0, order);
        *orders.entry(order).or_default() += 1;
    }
    assert_eq!(orders.len(), 6, "every order comes up");
    assert!(orders.values().all(|count| (60..140).contains(count)), "{orders:?}");
}

#[test]
fn each_turn_begins_with_the_next_host_and_then_with_the_next_of_its_addresses() {
    let zone = Zone::default()
        .mx("three.test", &[(10, "a.test"), (10, "b.test"), (10, "c.test"), (20, "z.test"), (20, "a.test")])
        .mx("two.test", &[(10, "d.test"), (10, "d.test"), (10, "e.test")])
        .host("a.test", &["192.0.2.1"])
        .host("b.test", &["192.0.2.2"])
        .host("c.test", &["192.0.2.3"])
        .host("z.test", &["192.0.2.9"])
        .host("d.test", &["192.0.2.4", "192.0.2.5"])
        .host("e.test", &["192.0.2.6", "192.0.2.7"]);
    let order = |domain: &str, seed, turn| zone.search(HostSearch::mail(domain, BOTH, seed).in_turn(turn)).0;
    let first = |order: String| order.split(' ').take(3).collect::<Vec<_>>().join(" ");
    for seed in 0..300 {
        let firsts: Vec<String> = (0..4).map(|turn| first(order("three.test", seed, turn))).collect();
        assert_eq!(BTreeSet::from_iter(&firsts[..3]).len(), 3, "seed {seed}: {firsts:?}");
        assert_eq!(firsts[3], firsts[0], "seed {seed}");
        assert!(order("three.test", seed, 1).ends_with("; 20 z.test 192.0.2.9"), "equals only change places");
        let firsts = BTreeSet::from_iter((0..4).map(|turn| first(order("two.test", seed, turn))));
        assert_eq!(firsts.len(), 4, "two hosts with two addresses each, seed {seed}: {firsts:?}");
        let alone: Vec<String> =
            (0..3).map(|turn| zone.search(HostSearch::host("d.test", BOTH, seed).in_turn(turn)).0).collect();
        assert!(alone[0] != alone[1] && alone[0] == alone[2], "seed {seed}: {alone:?}");
    }
}

#[test]
fn hosts_are_asked_for_only_while_addresses_are_wanted() {
    let mut zone = Zone::default();
    let names: Vec<_> = (0..40).map(|number| format!("h{number}.test")).collect();
    let exchangers: Vec<_> =
        names.iter().enumerate().map(|(number, name)| (number as u16, name.as_str())).collect();
    zone = zone.mx("many.test", &exchangers);
    let (_, asked) = zone.clone().search(HostSearch::mail("many.test", BOTH, 1));
    assert_eq!(asked, 1 + 2 * limits::MX_HOSTS_MAX, "none has an address");
    for name in &names {
        zone = zone.host(name, &["192.0.2.1", "192.0.2.2"]);
    }
    let (hosts, asked) = zone.search(HostSearch::mail("many.test", BOTH, 1));
    assert_eq!((asked, hosts.split("; ").count()), (1 + 2 * 4, 4));
}

#[test]
fn domain_names_are_read_in_any_case_and_bad_ones_are_refused() {
    let long_label = "a".repeat(64);
    let long_name = ["a".repeat(63).as_str(); 4].join(".");
    let cases = [
        ("Example.COM", Some("example.com")),
        ("example.com.", Some("example.com")),
        ("_dmarc.x-y.test", Some("_dmarc.x-y.test")),
        ("test", Some("test")),
        ("", None),
        (".", None),
        ("example.com..", None),
        ("a..b", None),
        (".a", None),
        ("a b", None),
        ("bücher.test", None),
        (long_label.as_str(), None),
        (long_name.as_str(), None),
    ];
    for (text, expected) in cases {
        let parsed = DomainName::parse(text).ok();
        assert_eq!(parsed.as_ref().map(DomainName::as_str), expected, "{text}");
    }
}

#[test]
fn names_in_unicode_become_those_of_dns() {
    let cases = [
        ("Example.COM.", Some("example.com")),
        ("B\u{fc}cher.test", Some("xn--bcher-kva.test")),
        ("bu\u{308}cher.test.", Some("xn--bcher-kva.test")),
        ("\u{4f8b}\u{3002}test", Some("xn--fsq.test")),
        ("stra\u{df}e.test", Some("xn--strae-oqa.test")),
        ("xn--bcher-kva.test", Some("xn--bcher-kva.test")),
        ("b\u{fc}cher test", None),
        ("\u{200d}.test", None),
        ("\u{fc}..test", None),
    ];
    for (text, expected) in cases {
        let parsed = DomainName::from_unicode(text).ok();
        assert_eq!(parsed.as_ref().map(DomainName::as_str), expected, "{text}");
    }
}

#[test]
fn addresses_are_reversed_for_their_names() {
    let reverse = |address: &str| DomainName::reverse(address.parse().unwrap()).to_string();
    assert_eq!(reverse("192.0.2.1"), "1.2.0.192.in-addr.arpa");
    assert_eq!(reverse("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
    let name = reverse("2001:db8::1");
    assert!(name.starts_with("1.0.0.0.0.") && name.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{name}");
    assert!(DomainName::parse(&name).is_ok());
}

#[test]
fn hosts_are_authentic_when_every_step_to_them_is() {
    let cases = [
        // MX, A, AAAA; the host is.
        ([true, true, true], true),
        ([false, true, true], false),
        ([true, false, true], false),
        ([true, true, false], false),
    ];
    for (authentic, expected) in cases {
        let [mx, a, aaaa] = authentic;
        let exchanger = Mx { preference: 10, host: Some(DomainName::parse("mx.test").unwrap()) };
        let mut search = HostSearch::mail("a.test", BOTH, 1);
        let hosts = loop {
            match search.step() {
                Step::Done(hosts) => break hosts,
                Step::Ask(questions) => questions.iter().for_each(|question| {
                    let (answer, authentic) = match question.kind {
                        Kind::Mx => (Answer::Mx([exchanger.clone()].into()), mx),
                        Kind::A => (found(&["192.0.2.1"]), a),
                        _ => (Answer::NoData, aaaa),
                    };
                    search.answer(question, Resolved { authentic, ..resolved(answer, 1) });
                }),
            }
        };
        let MailHosts::Found { hosts, .. } = hosts else { panic!("{hosts:?}") };
        assert_eq!(hosts[0].authentic, expected, "{authentic:?}");
        assert_eq!(hosts[0].name_authentic, mx, "{authentic:?}");
    }
}

#[test]
fn a_tcp_message_is_complete_when_its_length_is_there() {
    let cases: [(&[u8], Option<&[u8]>); 6] = [
        (b"", None),
        (b"\0", None),
        (b"\0\0", Some(b"")),
        (b"\0\x03ab", None),
        (b"\0\x03abc", Some(b"abc")),
        (b"\0\x03abcd", Some(b"abc")),
    ];
    for (stream, expected) in cases {
        assert_eq!(first_tcp_message(stream), expected);
    }
}

#[test]
fn an_answer_with_mx_and_soa_records_from_a_message_builder_is_understood() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    wait(&mut stub, &question("a.test", Kind::Mx), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    let answer = answer_to(&transmit, |message, query| {
        message.add_answer(record(&query.name, 300, RData::MX(MX::new(10, name("MX.a.test")))));
        let soa = SOA::new(name("ns.test"), name("root.test"), 1, 2, 3, 4, 5);
        message.add_authority(record(&query.name, 300, RData::SOA(soa)));
    });
    stub.handle_response(transmit.id, &answer, 0);
    let expected = Mx { preference: 10, host: Some(DomainName::parse("mx.a.test").unwrap()) };
    assert_eq!(answered(&mut stub).unwrap().1, Answer::Mx([expected].into()));
}
