//! What the log and accounting are told of an attempt.

use net::smtp::client::{self, Cause};
use net::smtp::reply::EnhancedCode;
use queue::{Again, Attempt, Change, Diagnosis, FailCause, ItemKey, Reason, Recipient};
use uuid::Uuid;

use super::facts::AttemptFacts;
use super::report::{Ended, Order};
use crate::log::event::{
    Answer, AnswerCause, AttemptResult, Attempted, Delays, End, Event, Final, Peer, Tls, Waiting,
};
use crate::shard::Shard;

/// Tells what became of recipients of an attempt.
pub(super) fn tell(shard: &Shard, ended: &Ended, changes: &[Change], orders: &[(ItemKey, Order)]) {
    let (attempt, facts) = (&ended.errand.attempt, &ended.facts);
    let order = |key| orders.iter().find(|(ordered, _)| *ordered == key).map(|(_, order)| order);
    let now_ms = engine::time::steady_ms();
    let mut waiting = None;
    for change in changes {
        let key = change.key();
        let Some(index) = attempt.recipients.iter().position(|recipient| recipient.key == key) else {
            continue;
        };
        let recipient = &attempt.recipients[index];
        let answer = ended.answers.as_ref().and_then(|answers| answers.get(index));
        let by = order(key).map(|order| order.by).unwrap_or_default();
        let tried = |result, reason| {
            if ended.tried {
                attempted(shard, attempt, recipient, facts, result, answer, reason);
            }
        };
        match change {
            Change::Done { .. } => tried(AttemptResult::Delivered, None),
            Change::RetryAt { at_ms, reason, .. } if ended.tried => {
                let next_s = at_ms.saturating_sub(now_ms) / 1000;
                tried(AttemptResult::Deferred { next_s }, Some(reason));
            }
            Change::RetryAt { at_ms, reason, .. } => tell_queued(shard, attempt, recipient, *at_ms, reason),
            Change::Failed { cause, reason, .. } => {
                tried(AttemptResult::Failed { why: cause.name() }, Some(reason));
            }
            Change::Removed { attempts, reason, .. } => {
                tried(AttemptResult::Failed { why: FailCause::Ordered.name() }, Some(reason));
                shard.stats.delivery.removed.add(1);
                ended_as(shard, attempt, recipient, (End::Removed, by), *attempts, reason);
            }
            Change::Hold { attempts, reason, .. } if by.is_empty() => {
                ended_as(shard, attempt, recipient, (End::Held, "damaged"), *attempts, reason);
            }
            Change::Hold { attempts, reason, .. } => {
                tried(AttemptResult::Failed { why: "held" }, Some(reason));
                ended_as(shard, attempt, recipient, (End::Held, by), *attempts, reason);
            }
            Change::Unchanged { again, reason: Some(reason), .. } => {
                waiting.get_or_insert((again, reason));
            }
            Change::Unchanged { reason: None, .. } => {}
        }
    }
    if let Some((again, reason)) = waiting {
        tell_waiting(shard, attempt, facts, again, reason, now_ms);
    }
}

fn attempted(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    facts: &AttemptFacts,
    result: AttemptResult<'_>,
    answer: Option<&client::Outcome>,
    reason: Option<&Reason>,
) {
    let answer = match (answer, reason) {
        (Some(client::Outcome { phase, cause: Cause::Reply(reply) }), _) => {
            Answer { state: phase.name(), enhanced: reply.enhanced(), cause: AnswerCause::Reply(reply) }
        }
        (_, Some(reason)) => diagnosed(reason, if facts.connects > 0 { "CONNECT" } else { "DNS" }),
        (_, None) => Answer { state: "EOD", enhanced: None, cause: AnswerCause::Error("") },
    };
    let delivery = &shard.stats.delivery;
    match result {
        AttemptResult::Delivered => delivery.delivered.add(1),
        AttemptResult::Deferred { .. } => delivery.delayed.add(1),
        AttemptResult::Failed { .. } => delivery.failed.add(1),
    }
    shard.tell(&Event::Attempted(&Attempted {
        transaction: Uuid::from_bytes(attempt.transaction),
        queue_id: recipient.key.recipient + 1,
        from: &attempt.sender,
        to: &recipient.address,
        transport: &attempt.destination.transport,
        size_bytes: attempt.size_bytes,
        retry: recipient.attempts,
        peer: Peer {
            mx: facts.mx.as_deref(),
            remote: facts.remote,
            local: facts.local.map(|local| local.ip()),
            tls: facts.tls.as_deref().map(Tls::of),
        },
        delays: Delays {
            queue_ms: facts.queue_ms,
            dns_ms: facts.dns_ms,
            connect_ms: facts.connect_ms,
            send_ms: facts.send_ms,
        },
        result,
        answer,
    }));
}

/// A recipient's end, or its arrest, and who wanted it.
fn ended_as(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    (end, why): (End, &str),
    attempts: u32,
    reason: &Reason,
) {
    let age_ms = engine::time::steady_ms().saturating_sub(attempt.received_ms);
    shard.tell(&Event::Final(&Final {
        transaction: Uuid::from_bytes(attempt.transaction),
        queue_id: recipient.key.recipient + 1,
        end,
        from: &attempt.sender,
        to: &recipient.address,
        transport: &attempt.destination.transport,
        size_bytes: attempt.size_bytes,
        retry: attempts,
        age_s: age_ms / 1000,
        why,
        error: &reason.text,
    }));
}

/// A script has queued a recipient again without an attempt.
fn tell_queued(shard: &Shard, attempt: &Attempt, recipient: &Recipient, at_ms: u64, reason: &Reason) {
    shard.log.event(&Event::Waiting(&Waiting {
        transaction: Uuid::from_bytes(attempt.transaction),
        transport: &attempt.destination.transport,
        to: &recipient.address,
        recipients: 1,
        mx: None,
        next_s: Some(at_ms.saturating_sub(engine::time::steady_ms()) / 1000),
        error: &reason.text,
    }));
}

/// `state`: where it ended, when that was before anything was awaited.
fn diagnosed<'a>(diagnosis: &'a Diagnosis, state: &'a str) -> Answer<'a> {
    let enhanced = diagnosis.enhanced.map(|code| EnhancedCode {
        class: code.class,
        subject: code.subject,
        detail: code.detail,
    });
    let cause = match diagnosis.code {
        Some(_) => AnswerCause::ReplyText(&diagnosis.text),
        None => AnswerCause::Error(&diagnosis.text),
    };
    Answer { state: diagnosis.phase.unwrap_or(state), enhanced, cause }
}

/// What did not count is told once for an attempt: there may be many recipients, and many attempts.
fn tell_waiting(
    shard: &Shard,
    attempt: &Attempt,
    facts: &AttemptFacts,
    again: &Again,
    reason: &Reason,
    now_ms: u64,
) {
    let next_s = match again {
        Again::AtOnce => Some(0),
        Again::At(at_ms) => Some(at_ms.saturating_sub(now_ms) / 1000),
        Again::WhenRulesChange | Again::WhenPermitted => None,
    };
    shard.log.event(&Event::Waiting(&Waiting {
        transaction: Uuid::from_bytes(attempt.transaction),
        transport: &attempt.destination.transport,
        to: attempt.recipients.first().map_or(&[], |recipient| &recipient.address),
        recipients: attempt.recipients.len(),
        mx: facts.mx.as_deref(),
        next_s,
        error: &reason.text,
    }));
}
