//! The control socket: acceptance cases of the reference (OPS), with raw requests.

use std::time::Duration;

use control::Command;
use control::smtpd as proto;
use tests::{Client, ControlClient, Sink, SinkReply, Smtpd, wait_until};

mod framing;
mod queue;
mod reload;

const NOTHING: proto::QueueQuotaRequest = proto::QueueQuotaRequest { name: None };

/// A next hop that answers 451 to RCPT.
fn busy_sink() -> Sink {
    Sink::start_with(SinkReply::Temporary)
}

/// Conditions on states.
fn in_state(state: proto::QueueState) -> proto::Conditions {
    let queues = vec![proto::QueueMatch { queue: state.into(), neq: false }];
    proto::Conditions { queues, ..Default::default() }
}

fn text(value: &str) -> proto::StringMatch {
    proto::StringMatch { value: value.to_owned(), ..Default::default() }
}

/// The rows that the conditions select.
fn rows(control: &mut ControlClient, conditions: proto::Conditions) -> Vec<proto::QueueItem> {
    let request = proto::QueueListRequest { conditions: Some(conditions), ..Default::default() };
    let answer: proto::QueueListResponse = control.ask(Command::QueueList, &request).expect("it is listed");
    assert_eq!((answer.total, answer.missing.len()), (answer.queue.len() as u64, 0));
    answer.queue
}

fn wait_for_rows(control: &mut ControlClient, conditions: &proto::Conditions, count: usize) {
    let mut seen = 0;
    let come = wait_until(Duration::from_secs(20), || {
        seen = rows(control, conditions.clone()).len();
        seen == count
    });
    assert!(come, "{seen} rows instead of {count}");
}
