//! What became of an attempt: to the queue, the spool and the log.

use std::rc::Rc;

use net::smtp::client::{self, Cause, Phase};
use net::smtp::error::Error;
use queue::{Attempt, Change, Diagnosis, EnhancedCode, ItemKey, MessageKey, Outcome, Reason, Remote};
use spool::{ItemId, MessageId, Settle};

use super::facts::AttemptFacts;
use crate::answers;
use crate::bounce;
use crate::shard::Shard;
use crate::stored;

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Report {
    outcomes: Outcomes,
    /// Whether those who are left over had no turn.
    rest_not_tried: bool,
    /// The peer tells senders what becomes of mail that it has taken over (DSN).
    peer_reports: bool,
}

#[derive(Debug)]
enum Outcomes {
    /// For all recipients alike: there was no transaction.
    All(Outcome),
    /// One for each recipient, as the peer answered.
    Each(Vec<client::Outcome>),
    /// One for each recipient, without a transaction.
    Decided(Vec<Outcome>),
}

impl Report {
    /// The same for all recipients, without a peer's answer.
    pub(super) fn for_all(outcome: Outcome) -> Report {
        Report { outcomes: Outcomes::All(outcome), rest_not_tried: false, peer_reports: false }
    }

    /// One for each recipient, without a peer's answer.
    pub(super) fn decided(outcomes: Vec<Outcome>) -> Report {
        Report { outcomes: Outcomes::Decided(outcomes), rest_not_tried: false, peer_reports: false }
    }

    /// Whether the peer refused MAIL for now, or closed with 421 before it had the message: on a connection that has
    /// served others, that is about the connection.
    pub(super) fn asks_for_a_new_connection(&self) -> bool {
        let Outcomes::Each(outcomes) = &self.outcomes else { return false };
        outcomes.iter().all(|outcome| match &outcome.cause {
            Cause::Reply(reply) => match outcome.phase {
                Phase::Rset | Phase::Mail => reply.is_transient(),
                Phase::Rcpt | Phase::Data => reply.code() == 421,
                _ => false,
            },
            Cause::Error(error) => {
                matches!(error, Error::Network(_)) && matches!(outcome.phase, Phase::Rset | Phase::Mail)
            }
            Cause::Tls(_) => false,
        })
    }

    /// As the peer answered; `peer_reports`: it has taken over what there is to tell the sender.
    pub(super) fn answered(outcomes: Vec<client::Outcome>, peer_reports: bool) -> Report {
        Report { outcomes: Outcomes::Each(outcomes), rest_not_tried: false, peer_reports }
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
    let outcomes: Vec<Outcome> = match &report.outcomes {
        Outcomes::All(outcome) => vec![outcome.clone(); attempt.recipients.len()],
        Outcomes::Decided(outcomes) => outcomes.clone(),
        Outcomes::Each(each) => {
            let remote = facts.remote_host();
            each.iter().map(|outcome| report.outcome_of(outcome, remote.as_ref())).collect()
        }
    };
    let now_ms = engine::time::steady_ms();
    let changes = shard.queue.borrow_mut().report(attempt.id, outcomes, now_ms);
    let answers = match &report.outcomes {
        Outcomes::All(_) | Outcomes::Decided(_) => None,
        Outcomes::Each(each) => Some(each.as_slice()),
    };
    super::tell::tell(shard, attempt, answers, &changes, facts);
    let passed_on = passed_on(attempt, &report, &changes, facts);
    // On disk with the next batch, or after accounting. Until then a crash repeats the attempt: the window that SMTP has anyway.
    let later = |change: &&Change| passed_on.iter().any(|passed| passed.key == change.key());
    let settled: Vec<_> =
        changes.iter().filter(|change| !later(change)).filter_map(|change| settle(change, now_ms)).collect();
    if !settled.is_empty() {
        shard.accounting.settle(settled);
    }
    bounce::note_changes(shard, attempt, &changes, now_ms);
    if !passed_on.is_empty() {
        bounce::passed_on(shard, attempt, passed_on);
    }
    shard.store.release_body(message_id(attempt.message));
}

/// Recipients whose senders may have asked to be told of success, which the peer will not do.
fn passed_on(
    attempt: &Attempt,
    report: &Report,
    changes: &[Change],
    facts: &AttemptFacts,
) -> Vec<bounce::PassedOn> {
    let Outcomes::Each(answers) = &report.outcomes else { return Vec::new() };
    if report.peer_reports || attempt.flags & stored::PARAMETERS == 0 || attempt.sender.is_empty() {
        return Vec::new();
    }
    let remote = facts.remote_host();
    let each = attempt.recipients.iter().zip(changes).zip(answers);
    let done = each.filter(|((_, change), _)| matches!(change, Change::Done { .. }));
    done.map(|((recipient, _), answer)| bounce::PassedOn {
        key: recipient.key,
        address: recipient.address.clone(),
        reason: diagnosis(answer, remote.as_ref()).into(),
    })
    .collect()
}

/// What the spool is told, if anything.
fn settle(change: &Change, now_ms: u64) -> Option<(ItemId, Settle)> {
    let text = |reason: &Reason| answers::encode(reason, now_ms);
    let settle = match change {
        Change::Done { .. } => Settle::Done,
        Change::RetryAt { at_ms, attempts, reason, .. } => {
            Settle::RetryAt { at_ms: *at_ms, attempts: *attempts, reply: text(reason) }
        }
        Change::Hold { reason, .. } => Settle::Hold { reason: text(reason) },
        // A failure is settled when its report is durable.
        Change::Failed { .. } | Change::Unchanged { .. } => return None,
    };
    Some((item_id(change.key()), settle))
}

/// The spool's name of a queued item.
pub fn item_id(key: ItemKey) -> ItemId {
    ItemId { message: message_id(key.message), recipient: key.recipient }
}

/// The spool's name of a queued message.
pub fn message_id(key: MessageKey) -> MessageId {
    MessageId { log: key.log, sequence: key.sequence }
}
