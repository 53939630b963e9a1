//! What the log and accounting are told of an attempt.

use net::smtp::client::{self, Cause};
use net::smtp::reply::EnhancedCode;
use queue::{Again, Attempt, Change, Diagnosis, Reason, Recipient};
use uuid::Uuid;

use super::facts::AttemptFacts;
use crate::log::event::{
    Answer, AnswerCause, AttemptResult, Attempted, Delays, End, Event, Final, Peer, Tls, Waiting,
};
use crate::shard::Shard;

/// Tells what became of each recipient. `answers` are the peer's, where there was a transaction.
pub(super) fn tell(
    shard: &Shard,
    attempt: &Attempt,
    answers: Option<&[client::Outcome]>,
    changes: &[Change],
    facts: &AttemptFacts,
) {
    let now_ms = engine::time::steady_ms();
    let mut waiting = None;
    for change in changes {
        let key = change.key();
        let Some(index) = attempt.recipients.iter().position(|recipient| recipient.key == key) else {
            continue;
        };
        let recipient = &attempt.recipients[index];
        let answer = answers.and_then(|answers| answers.get(index));
        match change {
            Change::Done { .. } => {
                attempted(shard, attempt, recipient, facts, AttemptResult::Delivered, answer, None)
            }
            Change::RetryAt { at_ms, reason, .. } => {
                let result = AttemptResult::Deferred { next_s: at_ms.saturating_sub(now_ms) / 1000 };
                attempted(shard, attempt, recipient, facts, result, answer, Some(reason));
            }
            Change::Failed { cause, reason, .. } => {
                let result = AttemptResult::Failed { why: cause.name() };
                attempted(shard, attempt, recipient, facts, result, answer, Some(reason));
            }
            Change::Unchanged { again, reason: Some(reason), .. } => {
                waiting.get_or_insert((again, reason));
            }
            Change::Hold { attempts, reason, .. } => {
                held(shard, attempt, recipient, *attempts, reason, now_ms)
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

fn held(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    attempts: u32,
    reason: &Reason,
    now_ms: u64,
) {
    shard.tell(&Event::Final(&Final {
        transaction: Uuid::from_bytes(attempt.transaction),
        queue_id: recipient.key.recipient + 1,
        end: End::Held,
        from: &attempt.sender,
        to: &recipient.address,
        transport: &attempt.destination.transport,
        size_bytes: attempt.size_bytes,
        retry: attempts,
        age_s: now_ms.saturating_sub(attempt.received_ms) / 1000,
        why: "damaged",
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
