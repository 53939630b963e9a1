//! What a stub does about servers that are silent, or that do not do what they should.

use super::*;

/// Asks one question after the other, each answered or left unanswered at once as `answers` says of the server.
/// Gives the servers in the order in which they were asked.
fn ask(stub: &mut Stub, number: u32, now_ms: u64, answers: impl Fn(&str) -> bool) -> Vec<String> {
    wait(stub, &question(&format!("n{number}.test"), Kind::A), now_ms);
    let mut asked = Vec::new();
    while let Some(transmit) = stub.poll_transmit(now_ms, &mut random()) {
        let server = transmit.server.to_string();
        match answers(&server) {
            true => drop(stub.handle_response(transmit.id, &address(&transmit, 7), now_ms)),
            false => stub.handle_failure(transmit.id, now_ms),
        }
        asked.push(server);
    }
    assert!(stub.poll_answer().is_some());
    asked
}

#[test]
fn a_dead_server_is_probed_beside_a_question_that_does_not_wait_for_it() {
    let mut stub = Stub::new(settings(&[FIRST, SECOND]), 1);
    let second = |server: &str| server == SECOND;
    assert_eq!(ask(&mut stub, 1, 0, second), [FIRST, SECOND]);
    assert_eq!(ask(&mut stub, 2, 0, second), [FIRST, SECOND]);
    assert_eq!(ask(&mut stub, 3, 0, second), [SECOND]);
    assert_eq!(ask(&mut stub, 4, 29_999, second), [SECOND]);
    assert_eq!(ask(&mut stub, 5, 30_000, second), [SECOND, FIRST], "the second answers, the first is probed");
    assert_eq!(ask(&mut stub, 6, 59_999, second), [SECOND]);
    assert_eq!(ask(&mut stub, 7, 60_000, |_| true), [SECOND, FIRST]);
    assert_eq!(ask(&mut stub, 8, 60_000, |_| true), [FIRST], "it lives");
    assert_eq!((stub.poll_timeout(), stub.poll_answer()), (None, None));
}

#[test]
fn a_probe_that_is_not_answered_in_time_leaves_nothing_behind() {
    let mut stub = Stub::new(settings(&[FIRST, SECOND]), 1);
    for number in 0..2 {
        ask(&mut stub, number, 0, |server| server == SECOND);
    }
    wait(&mut stub, &question("a.test", Kind::A), 30_000);
    let own = stub.poll_transmit(30_000, &mut random()).unwrap();
    let probe = stub.poll_transmit(30_000, &mut random()).unwrap();
    assert_eq!((own.server.to_string(), probe.server.to_string()), (SECOND.into(), FIRST.into()));
    stub.handle_response(own.id, &address(&own, 7), 30_000);
    assert!(stub.poll_answer().is_some());
    stub.handle_timeout(35_000);
    assert!(!stub.is_open(probe.id));
    assert_eq!((stub.poll_answer(), stub.poll_timeout()), (None, None));
    assert!(stub.poll_transmit(35_000, &mut random()).is_none());
}

#[test]
fn while_no_server_answers_questions_fail_at_once_and_the_first_answer_ends_that() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let mut now_ms = 0;
    for number in 0..5 {
        assert_eq!(ask(&mut stub, number, now_ms, |_| false).len(), 2);
        now_ms += 5_000;
    }
    // One goes out, the others do not wait for it.
    let open = wait(&mut stub, &question("a.test", Kind::A), now_ms);
    let transmit = stub.poll_transmit(now_ms, &mut random()).expect("one is sent");
    for number in 10..10_000 {
        wait(&mut stub, &question(&format!("n{number}.test"), Kind::A), now_ms);
        let (_, answer) = answered(&mut stub).expect("at once");
        assert_eq!(answer, Answer::Failed(Failure::AllSilent));
    }
    assert!(stub.poll_transmit(now_ms, &mut random()).is_none());
    stub.handle_response(transmit.id, &address(&transmit, 7), now_ms + 1_000);
    assert_eq!(answered(&mut stub), Some((open, found(&["192.0.2.7"]))));
    assert_eq!(
        ask(&mut stub, 10, now_ms + 1_000, |_| true),
        [FIRST],
        "and it is not remembered as a failure"
    );
}

#[test]
fn waiting_questions_fail_too_when_no_server_answers() {
    let mut stub = Stub::new(Settings { max_queries: 1, rounds: 10, ..settings(&[FIRST]) }, 1);
    for number in 0..limits::DNS_WAITING_MAX {
        wait(&mut stub, &question(&format!("n{number}.test"), Kind::A), 0);
    }
    let mut now_ms = 0;
    while stub.poll_transmit(now_ms, &mut random()).is_some() {
        now_ms += 5_000;
        stub.handle_timeout(now_ms);
    }
    // The first one ran out of tries, the second was let through in that second; the others were not sent at all.
    let failures: Vec<Answer> =
        std::iter::from_fn(|| answered(&mut stub)).map(|(_, answer)| answer).collect();
    assert_eq!(failures.len(), limits::DNS_WAITING_MAX);
    let silent = failures.iter().filter(|answer| **answer == Answer::Failed(Failure::AllSilent)).count();
    assert_eq!(failures.len() - silent, 2);
}

fn lower_case(message: &mut Message, query: &Query) {
    message.queries[0].name = query.name.to_lowercase();
    message.add_answer(record(&query.name, 300, RData::A(A::new(192, 0, 2, 7))));
}

fn has_capitals(transmit: &Transmit) -> bool {
    let message = Message::from_vec(&transmit.payload).unwrap();
    message.queries[0].name.to_ascii().bytes().any(|byte| byte.is_ascii_uppercase())
}

#[test]
fn a_server_that_changed_the_case_over_tcp_too_is_asked_in_lower_case_for_a_while() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    wait(&mut stub, &question("a-long-name.test", Kind::A), 0);
    for tcp in [false, true] {
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        assert_eq!(transmit.tcp, tcp);
        stub.handle_response(transmit.id, &answer_to(&transmit, lower_case), 0);
    }
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
    wait(&mut stub, &question("another-long-name.test", Kind::A), 599_999);
    let transmit = stub.poll_transmit(599_999, &mut random()).unwrap();
    assert!(!has_capitals(&transmit));
    stub.handle_response(transmit.id, &answer_to(&transmit, lower_case), 599_999);
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
    wait(&mut stub, &question("a-third-long-name.test", Kind::A), 600_000);
    assert!(has_capitals(&stub.poll_transmit(600_000, &mut random()).unwrap()));
}

#[test]
fn a_server_that_changes_the_case_and_has_no_tcp_is_asked_in_lower_case() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    wait(&mut stub, &question("a-long-name.test", Kind::A), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &answer_to(&transmit, lower_case), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    assert!(transmit.tcp);
    stub.handle_failure(transmit.id, 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    assert!(!transmit.tcp && !has_capitals(&transmit));
    stub.handle_response(transmit.id, &answer_to(&transmit, lower_case), 0);
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
    // It was no proof: a forger can do that.
    wait(&mut stub, &question("another-long-name.test", Kind::A), 0);
    assert!(has_capitals(&stub.poll_transmit(0, &mut random()).unwrap()));
}

#[test]
fn a_server_that_makes_every_letter_a_capital_is_no_use_and_no_endless_work() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    wait(&mut stub, &question("a-long-name.test", Kind::A), 0);
    let mut tries = 0;
    while let Some(transmit) = stub.poll_transmit(0, &mut random()) {
        tries += 1;
        let capitals = |message: &mut Message, query: &Query| {
            message.queries[0].name = Name::from_ascii(query.name.to_ascii().to_uppercase()).unwrap();
        };
        match transmit.tcp {
            true => stub.handle_failure(transmit.id, 0),
            false => drop(stub.handle_response(transmit.id, &answer_to(&transmit, capitals), 0)),
        }
    }
    assert!(tries < 10, "{tries}");
    assert!(matches!(answered(&mut stub), Some((_, Answer::Failed(Failure::Malformed)))));
}

#[test]
fn a_server_that_answered_without_edns_only_is_asked_without_it_for_a_while() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let has_edns = |transmit: &Transmit| Message::from_vec(&transmit.payload).unwrap().edns.is_some();
    wait(&mut stub, &question("a.test", Kind::A), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &code(&transmit, ResponseCode::FormErr), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &address(&transmit, 7), 0);
    assert!(matches!(answered(&mut stub), Some((_, Answer::Addresses(_)))));
    wait(&mut stub, &question("b.test", Kind::A), 599_999);
    assert!(!has_edns(&stub.poll_transmit(599_999, &mut random()).unwrap()));
    wait(&mut stub, &question("c.test", Kind::A), 600_000);
    assert!(has_edns(&stub.poll_transmit(600_000, &mut random()).unwrap()));
}

#[test]
fn only_a_trusted_server_can_say_that_an_answer_is_authentic() {
    let signed = |transmit: &Transmit, target: Option<&str>| {
        answer_to(transmit, |message, query| {
            message.metadata.authentic_data = true;
            let data = match target {
                Some(target) => RData::CNAME(CNAME(name(target))),
                None => RData::A(A::new(192, 0, 2, 7)),
            };
            message.add_answer(record(&query.name, 300, data));
        })
    };
    for trust_ad in [false, true] {
        let mut stub = Stub::new(Settings { trust_ad, ..settings(&[FIRST]) }, 1);
        let asked = question("a.test", Kind::A);
        wait(&mut stub, &asked, 0);
        let transmit = stub.poll_transmit(0, &mut random()).unwrap();
        // RFC 6840 5.7: the bit in a query asks for it in the answer.
        assert_eq!(Message::from_vec(&transmit.payload).unwrap().metadata.authentic_data, trust_ad);
        stub.handle_response(transmit.id, &signed(&transmit, None), 0);
        assert_eq!(stub.poll_answer().unwrap().1.authentic, trust_ad);
        let Lookup::Known(known) = stub.lookup(&asked, 0) else { panic!("not kept") };
        assert_eq!(known.authentic, trust_ad);
    }
    // One link of a chain that nobody vouches for is enough.
    let mut stub = Stub::new(Settings { trust_ad: true, ..settings(&[FIRST]) }, 1);
    wait(&mut stub, &question("b.test", Kind::A), 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    let alias = answer_to(&transmit, |message, query| {
        message.add_answer(record(&query.name, 300, RData::CNAME(CNAME(name("c.test")))));
    });
    stub.handle_response(transmit.id, &alias, 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    stub.handle_response(transmit.id, &signed(&transmit, None), 0);
    assert!(!stub.poll_answer().unwrap().1.authentic);
}

#[test]
fn names_of_an_address_are_found() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    let asked = Question { name: DomainName::reverse("192.0.2.1".parse().unwrap()), kind: Kind::Ptr };
    wait(&mut stub, &asked, 0);
    let transmit = stub.poll_transmit(0, &mut random()).unwrap();
    let answer = answer_to(&transmit, |message, query| {
        // RFC 2317: through an alias whose name is no host name.
        let delegated = Name::from_labels([&b"1"[..], b"0/25", b"test"]).unwrap();
        message.add_answer(record(&query.name, 300, RData::CNAME(CNAME(delegated.clone()))));
        for host in ["mx.test", "MX.test", "other.test", "no host.test"] {
            let host = Name::from_labels(host.split('.').map(str::as_bytes)).unwrap();
            message.add_answer(record(&delegated, 300, RData::PTR(hickory_proto::rr::rdata::PTR(host))));
        }
    });
    stub.handle_response(transmit.id, &answer, 0);
    let names = ["mx.test", "other.test"].map(|name| DomainName::parse(name).unwrap());
    assert_eq!(answered(&mut stub).unwrap().1, Answer::Names(names.into()));
}

#[test]
fn a_stub_that_may_only_use_tcp_does() {
    let mut stub = Stub::new(Settings { tcp: true, ..settings(&[FIRST, SECOND]) }, 1);
    wait(&mut stub, &question("a.test", Kind::A), 0);
    let mut tries = Vec::new();
    while let Some(transmit) = stub.poll_transmit(0, &mut random()) {
        tries.push(transmit.tcp);
        stub.handle_failure(transmit.id, 0);
    }
    assert_eq!(tries, [true; 4]);
}

/// Asks for a name, which is answered with SERVFAIL.
fn ask_in_vain(stub: &mut Stub, name: &str, now_ms: u64) {
    wait(stub, &question(name, Kind::A), now_ms);
    let transmit = stub.poll_transmit(now_ms, &mut random()).expect("it is asked for");
    stub.handle_response(transmit.id, &code(&transmit, ResponseCode::ServFail), now_ms);
    assert_eq!(answered(stub).unwrap().1, Answer::Failed(Failure::ServerFailure(2)));
}

#[test]
fn an_upstream_that_fails_everything_is_an_outage_and_what_failed_is_asked_again_when_it_is_over() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    for second in 0..=10 {
        ask_in_vain(&mut stub, &format!("n{second}.test"), second * 1_000);
        assert!(!stub.take_recovery());
    }
    let known =
        |stub: &mut Stub| matches!(stub.lookup(&question("n10.test", Kind::A), 10_001), Lookup::Known(_));
    assert!(known(&mut stub), "it is known to fail");
    ask(&mut stub, 99, 10_000, |_| true);
    assert!(stub.take_recovery());
    assert!(!stub.take_recovery(), "once");
    assert!(!known(&mut stub), "it may work now");
}

#[test]
fn a_name_that_fails_among_others_that_do_not_is_no_outage() {
    let mut stub = Stub::new(settings(&[FIRST]), 1);
    for minute in 0..10 {
        ask_in_vain(&mut stub, "sick.test", minute * 60_000);
        ask(&mut stub, minute as u32, minute * 60_000, |_| true);
        assert!(!stub.take_recovery());
    }
}
