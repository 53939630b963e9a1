//! What became of an attempt: to the queue, the spool and the log.

use std::rc::Rc;

use bytes::Bytes;
use net::smtp::client::{self, Cause};
use net::smtp::error::Error;
use queue::{
    Attempt, Change, Diagnosis, EnhancedCode, FailCause, ItemKey, MessageKey, Outcome, Reason, Remote,
};
use spool::{ItemId, MessageId, Settle};
use uuid::Uuid;

use super::facts::AttemptFacts;
use crate::log::Priority;
use crate::shard::Shard;

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Report {
    outcomes: Outcomes,
    /// Whether those who are left over had no turn.
    rest_not_tried: bool,
    /// The peer that answered: `mx.example.net[192.0.2.1]:25`, where there was one.
    peer: Option<Rc<str>>,
}

#[derive(Debug)]
enum Outcomes {
    /// For all recipients alike: there was no transaction.
    All(Outcome),
    /// One for each recipient, as the peer answered.
    Each(Vec<client::Outcome>),
}

impl Report {
    /// The same for all recipients, without a peer's answer.
    pub(super) fn for_all(outcome: Outcome) -> Report {
        Report { outcomes: Outcomes::All(outcome), rest_not_tried: false, peer: None }
    }

    /// As the peer answered.
    pub(super) fn answered(outcomes: Vec<client::Outcome>, peer: Rc<str>) -> Report {
        Report { outcomes: Outcomes::Each(outcomes), rest_not_tried: false, peer: Some(peer) }
    }

    /// Recipients beyond those that the peer takes at once have had no turn: others had it.
    pub(super) fn rest_not_tried(self) -> Report {
        Report { rest_not_tried: true, ..self }
    }

    fn outcome_of(&self, outcome: &client::Outcome, remote: Option<&Remote>) -> Outcome {
        // What refuses BDAT gets DATA, by and by.
        if outcome.is_bdat_refused() || (self.rest_not_tried && outcome.is_left_over()) {
            Outcome::NotTried
        } else {
            outcome_of(outcome, remote)
        }
    }
}

/// What a client outcome means for the queue. A refusal before MAIL is about the peer, not about the message, and
/// never final.
pub(super) fn outcome_of(outcome: &client::Outcome, remote: Option<&Remote>) -> Outcome {
    match &outcome.cause {
        Cause::Reply(reply) if reply.is_positive() => Outcome::Delivered,
        Cause::Reply(reply) => {
            let reason = diagnosis(outcome, remote).into();
            if reply.is_permanent() && outcome.phase.is_about_message() {
                Outcome::Permanent(reason)
            } else {
                Outcome::Temporary(reason)
            }
        }
        Cause::Tls(_) => Outcome::Temporary(diagnosis(outcome, remote).into()),
        Cause::Error(error) => {
            let reason = diagnosis(outcome, remote).into();
            match error {
                Error::PeerIncompatible(_) if !error.is_transient() => Outcome::Permanent(reason),
                Error::PeerIncompatible(_) | Error::Network(_) | Error::PeerMisbehaved(_) => {
                    Outcome::Temporary(reason)
                }
                Error::Configuration(_) | Error::LocalLimit(_) | Error::Storage(_) => {
                    Outcome::LocalFault(reason)
                }
            }
        }
    }
}

fn diagnosis(outcome: &client::Outcome, remote: Option<&Remote>) -> Diagnosis {
    let (code, enhanced) = match &outcome.cause {
        Cause::Reply(reply) => (Some(reply.code()), reply.enhanced()),
        Cause::Error(_) | Cause::Tls(_) => (None, None),
    };
    Diagnosis {
        text: outcome.cause.to_string().into(),
        code,
        enhanced: enhanced.map(|code| EnhancedCode {
            class: code.class,
            subject: code.subject,
            detail: code.detail,
        }),
        phase: Some(outcome.phase.name()),
        remote: remote.cloned(),
    }
}

/// Reports an attempt: the queue decides, the spool makes it durable, the log tells.
pub(super) fn report(shard: &Rc<Shard>, attempt: &Attempt, report: Report, facts: &AttemptFacts) {
    let peer = report.peer.as_deref().unwrap_or("-");
    let outcomes: Vec<Outcome> = match &report.outcomes {
        Outcomes::All(outcome) => vec![outcome.clone(); attempt.recipients.len()],
        Outcomes::Each(each) => {
            let remote = facts.remote_host();
            each.iter().map(|outcome| report.outcome_of(outcome, remote.as_ref())).collect()
        }
    };
    log_delivered(shard, attempt, &report, &outcomes, facts, peer);
    let fault = first_fault(&outcomes);
    let now_ms = engine::time::wall_ms();
    let changes = shard.queue.borrow_mut().report(attempt.id, outcomes, now_ms);
    for change in &changes {
        log_change(shard, attempt, change, peer, now_ms);
    }
    if let Some(reason) = fault {
        log_local_fault(shard, attempt, &reason);
    }
    // On disk with the next batch. Until then a crash repeats the attempt: the window that SMTP has anyway.
    let settled: Vec<_> = changes.into_iter().filter_map(|change| settle(shard, change)).collect();
    if !settled.is_empty() {
        drop(shard.store.settle(settled));
    }
    shard.store.release_body(message_id(attempt.message));
}

/// What the spool is told, if anything.
fn settle(shard: &Shard, change: Change) -> Option<(ItemId, Settle)> {
    let key = change.key();
    let text = |reason: Reason| Bytes::from(reason.to_string());
    let settle = match change {
        Change::Done { .. } => Settle::Done,
        Change::RetryAt { at_ms, attempts, reason, .. } => {
            Settle::RetryAt { at_ms, attempts, reply: text(reason) }
        }
        // There are no bounces yet: it is kept on disk, out of the queue.
        Change::Failed { reason, .. } => {
            shard.queue.borrow_mut().finish(key);
            Settle::Hold { reason: text(reason) }
        }
        Change::Hold { reason, .. } => Settle::Hold { reason: text(reason) },
        Change::Unchanged { .. } => return None,
    };
    Some((item_id(key), settle))
}

/// The spool's name of a queued item.
pub fn item_id(key: ItemKey) -> ItemId {
    ItemId { message: message_id(key.message), recipient: key.recipient }
}

/// The spool's name of a queued message.
pub fn message_id(key: MessageKey) -> MessageId {
    MessageId { log: key.log, sequence: key.sequence }
}

fn log_delivered(
    shard: &Shard,
    attempt: &Attempt,
    report: &Report,
    outcomes: &[Outcome],
    facts: &AttemptFacts,
    peer: &str,
) {
    let Outcomes::Each(answers) = &report.outcomes else { return };
    let id = Uuid::from_bytes(attempt.transaction);
    let sender = String::from_utf8_lossy(&attempt.sender);
    for ((recipient, outcome), answer) in attempt.recipients.iter().zip(outcomes).zip(answers) {
        let (Outcome::Delivered, Cause::Reply(reply)) = (outcome, &answer.cause) else { continue };
        let address = String::from_utf8_lossy(&recipient.address);
        shard.log.line(
            Priority::Info,
            format_args!(
                "[{id}:{}] delivered from=<{sender}> to=<{address}> transport={} peer={peer} size={} retry={} \
                 queue={}ms dns={}ms connect={}ms send={}ms reply=\"{reply}\"",
                recipient.key.recipient + 1,
                attempt.destination.transport,
                attempt.size_bytes,
                recipient.attempts,
                facts.queue_ms,
                facts.dns_ms,
                facts.connect_ms,
                facts.send_ms,
            ),
        );
    }
}

fn first_fault(outcomes: &[Outcome]) -> Option<Reason> {
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::LocalFault(reason) => Some(reason.clone()),
        _ => None,
    })
}

/// A fault of ours stops mail without using up a retry, and changes nothing on disk: say so once per attempt.
fn log_local_fault(shard: &Shard, attempt: &Attempt, reason: &Reason) {
    let id = Uuid::from_bytes(attempt.transaction);
    let transport = &attempt.destination.transport;
    shard.log.line(
        Priority::Warning,
        format_args!("[{id}] waiting, no retry used up: transport={transport}: {reason}"),
    );
}

fn log_change(shard: &Shard, attempt: &Attempt, change: &Change, peer: &str, now_ms: u64) {
    let key = change.key();
    let id = Uuid::from_bytes(attempt.transaction);
    let address = attempt.recipients.iter().find(|recipient| recipient.key == key);
    let address = address.map(|recipient| String::from_utf8_lossy(&recipient.address)).unwrap_or_default();
    let queue_id = key.recipient + 1;
    let transport = &attempt.destination.transport;
    match change {
        Change::Done { .. } | Change::Unchanged { .. } => {}
        Change::RetryAt { at_ms, attempts, reason, .. } => {
            let wait_s = at_ms.saturating_sub(now_ms) / 1000;
            shard.log.line(
                Priority::Info,
                format_args!(
                    "[{id}:{queue_id}] deferred to=<{address}> transport={transport} peer={peer} \
                     retry={attempts} next={wait_s}s: {reason}"
                ),
            );
        }
        Change::Hold { .. } => {}
        Change::Failed { attempts, cause, reason, .. } => {
            let why = match cause {
                FailCause::Permanent => "failed permanently",
                FailCause::Expired => "expired",
            };
            shard.log.line(
                Priority::Warning,
                format_args!(
                    "[{id}:{queue_id}] hold to=<{address}> transport={transport} peer={peer} \
                     retry={attempts}: {why}: {reason}"
                ),
            );
        }
    }
}
