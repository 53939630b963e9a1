//! Suspends that are added while the server runs.

use std::time::{Duration, Instant};

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use tests::{ControlClient, Sink, Smtpd};

use super::{in_states, send, wait_for_rows};

fn to_domain(domain: &str) -> proto::Fields8 {
    proto::Fields8 { recipientdomain: Some(domain.to_owned()), ..Default::default() }
}

fn add(control: &mut ControlClient, fields: proto::Fields8, ttl: f64) -> Result<String, String> {
    let request = proto::SuspendAddRequest { fields: Some(fields), ttl, ..Default::default() };
    let answer: proto::SuspendAddResponse = control.ask(Command::SuspendAdd, &request)?;
    Ok(answer.id)
}

fn list(control: &mut ControlClient) -> Vec<proto::Suspend> {
    let answer: proto::SuspendResponse =
        control.ask(Command::SuspendList, &proto::SuspendRequest::default()).expect("an answer");
    answer.suspends
}

fn delete(control: &mut ControlClient, id: &str) -> u64 {
    let request = proto::SuspendDeleteRequest { ids: vec![id.to_owned()], ..Default::default() };
    let answer: proto::SuspendDeleteResponse =
        control.ask(Command::SuspendDelete, &request).expect("an answer");
    answer.deleted
}

#[test]
fn a_suspend_holds_mail_back_until_its_time_is_over() {
    // OPS25
    let sink = Sink::start();
    let server = Smtpd::relay_to(sink.port()).start();
    let mut control = server.control();
    let begun = Instant::now();
    let id = add(&mut control, to_domain("a.example"), 5.0).expect("it is added");
    send(server.port(), &["a@a.example"]);
    send(server.port(), &["b@b.example"]);
    sink.wait_for(1);
    let waiting = wait_for_rows(&mut control, &in_states(&[QueueState::Active]), 1);
    assert_eq!(waiting[0].waiting.as_ref().expect("it is said").kind(), proto::waiting::Kind::Suspend);
    let listed = list(&mut control);
    assert_eq!((listed.len(), &listed[0].id, listed[0].dynamic), (1, &id, true));
    assert!(listed[0].ttl.is_some_and(|ttl| ttl > 0.0 && ttl <= 5.0));
    sink.wait_for(2);
    assert!(begun.elapsed() >= Duration::from_millis(4900), "{:?}", begun.elapsed());
    assert_eq!(list(&mut control), []);
    assert_eq!(delete(&mut control, &id), 0);
}

#[test]
fn suspends_survive_restarts_beside_those_of_the_file() {
    // OPS26, OPS76
    let sink = Sink::start();
    let file = "version: \"6.10\"\nsuspends:\n  - jobid: x\n    tag: slow\n";
    let server = Smtpd::relay_to(sink.port()).suspends(Some(file)).start();
    let mut control = server.control();
    let all = add(&mut control, proto::Fields8::default(), 60.0).expect("it is added");
    assert_eq!(add(&mut control, proto::Fields8::default(), 50.0), Ok(all.clone()), "it lives on");
    let forever = add(&mut control, to_domain("*.b.example"), 0.0).expect("it is added");
    let bad = proto::Fields8 { remoteip: Some("192.0.2.0/40".into()), ..Default::default() };
    assert!(add(&mut control, bad, 0.0).expect_err("no network").starts_with("remoteip: \"192.0.2.0/40\""));
    send(server.port(), &["a@a.example"]);

    let server = server.kill().start();
    let mut control = server.control();
    let listed = list(&mut control);
    let found: Vec<_> = listed.iter().map(|one| (one.id.as_str(), one.dynamic, one.tag.as_str())).collect();
    assert_eq!(found, [("file:0", false, "slow"), (&all, true, ""), (&forever, true, "")]);
    assert!(listed[1].ttl.is_some_and(|ttl| (30.0..50.0).contains(&ttl)), "{:?}", listed[1].ttl);
    assert_eq!(listed[2].ttl, None);
    // A reload leaves them in force.
    assert_eq!(control.order(Command::ConfigReload), Ok(()));
    wait_for_rows(&mut control, &in_states(&[QueueState::Active]), 1);
    assert_eq!(sink.messages().len(), 0);
    let request =
        proto::SuspendUpdateRequest { id: all.clone(), tag: Some("t".into()), ..Default::default() };
    let updated: proto::SuspendUpdateResponse = control.ask(Command::SuspendUpdate, &request).expect("it is");
    assert!(updated.updated && list(&mut control)[1].tag == "t");
    assert_eq!(delete(&mut control, &all), 1);
    sink.wait_for(1);
}
