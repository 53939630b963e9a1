//! The control socket: acceptance cases of the reference (OPS), with raw requests.

use std::time::Duration;

use control::Command;
use control::smtpd as proto;
use proto::QueueState;
use tests::{Client, ControlClient, Sink, SinkReply, wait_until};

mod changes;
mod dry_run;
mod explain;
mod framing;
mod policies;
mod queue;
mod reload;
mod scripts;
mod stage;
mod suspends;
mod transfer;

const BODY: &[u8] = b"Subject: x\r\n\r\nx\r\n";

/// A next hop that answers 451 to RCPT.
fn busy_sink() -> Sink {
    let sink = Sink::start();
    sink.answer(SinkReply::Rcpt("451 4.3.0 come back later".to_owned()));
    sink
}

fn send(port: u16, to: &[&str]) {
    Client::connect(port).send("news@sender.example", to, BODY);
}

/// Conditions on states.
fn in_states(states: &[QueueState]) -> proto::Conditions {
    let state = |state: &QueueState| proto::QueueMatch { queue: (*state).into(), neq: false };
    proto::Conditions { queues: states.iter().map(state).collect(), ..Default::default() }
}

fn text(value: &str) -> proto::StringMatch {
    proto::StringMatch { value: value.to_owned(), ..Default::default() }
}

fn to_domains(domains: &[&str]) -> Vec<proto::AddressMatch> {
    let to = |domain: &&str| proto::AddressMatch { domain: Some(text(domain)), ..Default::default() };
    domains.iter().map(to).collect()
}

/// The rows that the conditions select.
fn rows(control: &mut ControlClient, conditions: &proto::Conditions) -> Vec<proto::QueueItem> {
    let request = proto::QueueListRequest { conditions: Some(conditions.clone()), ..Default::default() };
    let mut answer = proto::QueueListResponse::default();
    let whole = wait_until(Duration::from_secs(20), || {
        answer = control.ask(Command::QueueList, &request).expect("it is listed");
        // After a start, what is not read yet is missing.
        answer.missing.iter().all(|missing| missing.reason() != proto::missing::Reason::Loading)
    });
    assert!(whole && answer.missing.is_empty(), "{:?}", answer.missing);
    answer.queue
}

fn wait_for_rows(
    control: &mut ControlClient,
    conditions: &proto::Conditions,
    count: usize,
) -> Vec<proto::QueueItem> {
    let mut seen = Vec::new();
    let come = wait_until(Duration::from_secs(20), || {
        seen = rows(control, conditions);
        seen.len() == count
    });
    assert!(come, "{count} rows are expected: {seen:#?}");
    seen
}

/// The recipients of rows, sorted.
fn recipients(rows: &[proto::QueueItem]) -> Vec<&str> {
    let mut all: Vec<_> = rows.iter().map(|row| row.recipient.as_str()).collect();
    all.sort_unstable();
    all
}

fn update(
    control: &mut ControlClient,
    conditions: proto::Conditions,
    action: proto::queue_update_request::Action,
) -> u64 {
    let request = proto::QueueUpdateRequest {
        conditions: Some(conditions),
        action: Some(action),
        ..Default::default()
    };
    let answer: proto::QueueUpdateResponse = control.ask(Command::QueueUpdate, &request).expect("it is done");
    answer.affected
}
