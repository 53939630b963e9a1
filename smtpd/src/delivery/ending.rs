//! What became of a recipient, as its postdelivery script sees it (reference: hooks 4.2).

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use hooks::Reads;
use hooks::queued::{self, Action, Answer, Attempted, DsnFacts, DsnOverrides, Trouble};
use net::smtp::client::{self, Cause};
use net::smtp::error::Error;
use net::smtp::reply::{EnhancedCode, Reply};
use queue::{Change, FailCause, Reason, Recipient};
use spool::Envelope;
use tls::ResultType;
use uuid::Uuid;

use super::facts::AttemptFacts;
use super::policy_facts;
use super::report::Ended;
use super::scripted;
use crate::bounce::{self, Topic};
use crate::shard::Shard;
use crate::snapshot::{Dsn, Snapshot};

/// A recipient whose fate is about to be decided.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its place in the attempt.
    pub(super) index: usize,
    /// What would be done.
    pub(super) change: Change,
    /// There was an attempt, or DNS said that there can be none.
    pub(super) attempted: bool,
    /// The id of the report, if there is to be one.
    pub(super) report: Uuid,
    /// What a script wants to be different in it, if anything.
    pub(super) dsn: Option<Rc<DsnOverrides>>,
}

/// `$arguments` of a case, as far as the script reads them.
pub(super) fn of(
    shard: &Shard,
    ended: &Ended,
    envelope: Option<&Envelope>,
    case: &Case,
    reads: &Reads,
) -> queued::Ending {
    let attempt = &ended.errand.attempt;
    let Some(recipient) = attempt.recipients.get(case.index) else { return queued::Ending::default() };
    let snapshot = shard.snapshot();
    let mut dsn = snapshot.dsn(&attempt.destination.transport);
    if let Some(transport) = case.dsn.as_ref().and_then(|dsn| dsn.transport.as_deref()) {
        Arc::make_mut(&mut dsn).transport = Some(transport.into());
    }
    let grouping = ended.facts.remote.filter(|_| reads.member("grouping").is_some()).map(|remote| {
        let mx = ended.facts.mx.as_deref().unwrap_or_default();
        snapshot.groups.of(&recipient.domain, mx, remote.ip()).to_owned()
    });
    queued::Ending {
        retry: recipient.attempts,
        expired: reads.member("expired").is_some() && has_expired(&snapshot, ended, case, recipient),
        action: action(&case.change, &dsn),
        grouping: grouping.filter(|group| !group.is_empty()),
        policies: (case.attempted && reads.member("policy").is_some())
            .then(|| policy_facts::of(&snapshot, &shard.rules().policies, attempt, &ended.facts)),
        attempt: reads
            .member("attempt")
            .filter(|_| case.attempted)
            .map(|reads| attempted(ended, case, reads)),
        returned: ended.errand.said(case.index).and_then(|said| said.returned.clone()),
        dsn: reads.member("dsn").and_then(|_| report(shard, ended, envelope, case, recipient, &dsn)),
    }
}

/// It was tried often enough, or is too old, whatever became of it (reference: hooks 5.3).
fn has_expired(snapshot: &Snapshot, ended: &Ended, case: &Case, recipient: &Recipient) -> bool {
    let (received_ms, now_ms) = (ended.errand.attempt.received_ms, engine::time::steady_ms());
    // What only waits expires by another clock.
    matches!(case.change, Change::Failed { cause: FailCause::Expired, .. })
        || ended.retry(snapshot).has_expired(recipient.attempts, received_ms, now_ms)
}

/// The default action (reference: hooks 4.2, its table).
fn action(change: &Change, dsn: &Dsn) -> Option<Action> {
    match change {
        Change::Done { .. } => None,
        Change::Removed { .. } => Some(Action::Delete),
        Change::Failed { .. } if dsn.transport.is_some() => Some(Action::Bounce),
        Change::Failed { .. } => Some(Action::Delete),
        Change::RetryAt { .. } | Change::Hold { .. } | Change::Unchanged { .. } => Some(Action::Queue),
    }
}

fn attempted(ended: &Ended, case: &Case, reads: &Reads) -> Attempted {
    let facts = &ended.facts;
    let answer = ended.answers.as_ref().and_then(|answers| answers.get(case.index));
    let (result, error) = match (answer, reason(&case.change)) {
        (Some(outcome), _) => of_outcome(outcome, &case.change),
        (None, Some(reason)) => of_reason(reason, facts, &case.change),
        (None, None) => (None, None),
    };
    let duration_ms = facts.dns_ms + facts.connect_ms + facts.send_ms;
    let met = facts.connects > 0 || facts.local.is_some() || facts.tls_result.is_some();
    Attempted {
        result,
        error,
        connection: (met && reads.member("connection").is_some()).then(|| connection(facts)),
        duration_s: duration_ms as f64 / 1000.0,
    }
}

fn reason(change: &Change) -> Option<&Reason> {
    match change {
        Change::RetryAt { reason, .. }
        | Change::Failed { reason, .. }
        | Change::Removed { reason, .. }
        | Change::Hold { reason, .. } => Some(reason),
        Change::Unchanged { reason, .. } => reason.as_ref(),
        Change::Done { .. } => None,
    }
}

/// What the peer said, or what happened with it.
fn of_outcome(outcome: &client::Outcome, change: &Change) -> (Option<Answer>, Option<Trouble>) {
    let troubled =
        |kind, message: String| Trouble { temporary: is_temporary(change), message, kind, dns: None };
    match &outcome.cause {
        Cause::Reply(reply) => {
            let lines = lines(reply);
            let state = outcome.phase.name();
            (Some(Answer { code: reply.code(), enhanced: reply.enhanced(), lines, state }), None)
        }
        Cause::Tls(what) => (None, Some(troubled("tls", what.to_string()))),
        Cause::Error(error) => (None, Some(troubled(kind(error), error.to_string()))),
    }
}

/// What went wrong, in a word (reference: hooks 4.2, `error.type`); `None`: a reply said it.
pub(super) fn trouble(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Reply(_) => None,
        Cause::Tls(_) => Some("tls"),
        Cause::Error(error) => Some(kind(error)),
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Network(_) => "network",
        Error::PeerMisbehaved(_) => "protocol",
        Error::PeerIncompatible(_) => "smtp",
        Error::Configuration(_) | Error::LocalLimit(_) | Error::Storage(_) => "config",
    }
}

/// What is known of an attempt that came to no transaction.
fn of_reason(reason: &Reason, facts: &AttemptFacts, change: &Change) -> (Option<Answer>, Option<Trouble>) {
    if let (Some(code), Some(state)) = (reason.code, reason.phase) {
        let enhanced = reason.enhanced.map(|code| EnhancedCode {
            class: code.class,
            subject: code.subject,
            detail: code.detail,
        });
        // The text has the codes in front.
        let text = reason.text.split_once(' ').map_or("", |(_, text)| text);
        let text = match enhanced {
            Some(code) => text
                .strip_prefix(&format!("{}.{}.{} ", code.class, code.subject, code.detail))
                .unwrap_or(text),
            None => text,
        };
        return (Some(Answer { code, enhanced, lines: vec![text.to_owned()], state }), None);
    }
    let is_tls = reason.phase == Some("STARTTLS")
        || reason.enhanced.is_some_and(|code| (code.class, code.subject, code.detail) == (4, 7, 5));
    let (kind, dns) = match facts.dns_trouble {
        Some(what) => ("dns", Some(what)),
        None if facts.dane_failed => ("dane", None),
        None if is_tls => ("tls", None),
        None if facts.connects > 0 => (facts.trouble.unwrap_or("network"), None),
        None => ("config", None),
    };
    let message = reason.to_string();
    (None, Some(Trouble { temporary: is_temporary(change), message, kind, dns }))
}

fn is_temporary(change: &Change) -> bool {
    !matches!(change, Change::Failed { cause: FailCause::Permanent, .. })
}

fn lines(reply: &Reply) -> Vec<String> {
    reply.lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn connection(facts: &AttemptFacts) -> queued::Connection {
    let known = facts.connection.as_deref();
    queued::Connection {
        id: known.map(|connection| connection.id),
        transactions: facts.reused + 1,
        local_ip: facts.local.map(|local| local.ip()).filter(|ip: &IpAddr| !ip.is_unspecified()),
        local_ip_id: facts.source.as_deref().map(str::to_owned),
        helo: facts.helo.as_deref().map(str::to_owned),
        remote_ip: facts.remote.map(|remote| remote.ip()),
        remote_mx: facts.mx.as_deref().map(str::to_owned),
        remote_greeting: known.and_then(|connection| connection.greeting.as_ref().map(lines)),
        tls: facts.tls.as_ref().map(|tls| queued::Tls {
            protocol: tls.version,
            cipher: tls.cipher,
            key_bits: tls.key_bits.into(),
            certificates: known.map(|connection| connection.certificates.clone()).unwrap_or_default(),
            fault: tls.fault(),
        }),
        tls_result: facts.tls_result.map(ResultType::name),
        tlsa: facts.tlsa.clone(),
    }
}

/// The report that the default action writes; of a removal without one, why it was removed.
fn report(
    shard: &Shard,
    ended: &Ended,
    envelope: Option<&Envelope>,
    case: &Case,
    recipient: &Recipient,
    dsn: &Dsn,
) -> Option<DsnFacts> {
    let stored = envelope.and_then(|envelope| envelope.recipients.get(recipient.key.recipient as usize));
    let given = ended.errand.given(case.index);
    let told = |topic| bounce::is_told(topic, &ended.errand.attempt.sender, dsn, &given, stored);
    let success = if ended.errand.wishes.success_is_delivered { "delivered" } else { "relayed" };
    let action = match &case.change {
        Change::Failed { .. } if told(Topic::Failure) => Some("failed"),
        Change::RetryAt { notify: Some(step), .. } => {
            let before = scripted::properties(shard, recipient).was_told(*step);
            (!before && told(Topic::Delay)).then_some(Some("delayed"))?
        }
        Change::Done { .. } if !ended.peer_reports && told(Topic::Success) => Some(success),
        Change::Removed { .. } => None,
        _ => return None,
    };
    let answer = ended.answers.as_ref().and_then(|answers| answers.get(case.index));
    let (kind, text, enhanced) = match (reason(&case.change), answer) {
        (Some(reason), _) => {
            let kind = if reason.code.is_some() { "smtp" } else { "x-error" };
            let enhanced = reason.enhanced.map(|code| (code.class, code.subject, code.detail));
            (kind, reason.text.to_string(), enhanced)
        }
        (None, Some(outcome)) => ("smtp", outcome.cause.to_string(), None),
        (None, None) => ("x-error", String::new(), None),
    };
    Some(DsnFacts {
        report: action.map(|action| (action, case.report)),
        status: enhanced,
        diagnostic_type: kind,
        diagnostic_code: text,
    })
}
