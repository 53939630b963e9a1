//! What became of an attempt: to the queue, the spool and the log.

use std::rc::Rc;
use std::sync::Arc;

use hooks::queued::DsnOverrides;
use net::smtp::client::{self, Cause, Phase};
use net::smtp::error::{Error, PeerIncompatible};
use queue::{
    Change, Diagnosis, EnhancedCode, ItemKey, Limited, MessageKey, Outcome, Reason, Remote, RetryPolicy,
};
use spool::{ItemId, MessageId, Settle};
use uuid::Uuid;

use super::after;
use super::ending::Case;
use super::errand::Errand;
use super::facts::AttemptFacts;
use super::prepare;
use super::remembered::GivenBack;
use crate::answers;
use crate::bounce;
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::Snapshot;
use crate::stored;

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Report {
    outcomes: Outcomes,
    /// Whether those who are left over had no turn.
    rest_not_tried: bool,
    /// The peer tells senders what becomes of mail that it has taken over (DSN).
    peer_reports: bool,
    /// What became of recipients beyond those that it is about.
    beyond: Option<Outcome>,
    /// The recipients, in their order, that go back to their predelivery script; empty: nobody.
    given_back: Vec<Option<GivenBack>>,
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
        Report::of(Outcomes::All(outcome))
    }

    /// One for each recipient, without a peer's answer.
    pub(super) fn decided(outcomes: Vec<Outcome>) -> Report {
        Report::of(Outcomes::Decided(outcomes))
    }

    /// Nobody is tried: those that have an entry go back to their predelivery script, the others come again without it.
    pub(super) fn given_back(given_back: Vec<Option<GivenBack>>) -> Report {
        if given_back.iter().all(Option::is_some) {
            return Report { given_back, ..Report::for_all(Outcome::NotTried) };
        }
        // The others would come again together with them, and be given back no less.
        let until_ms = engine::time::steady_ms() + limits::GIVEN_BACK_MS;
        let outcome = |back: &Option<GivenBack>| match back {
            Some(_) => Outcome::Parked { until_ms },
            None => Outcome::NotTried,
        };
        let outcomes = given_back.iter().map(outcome).collect();
        Report { given_back, ..Report::decided(outcomes) }
    }

    fn of(outcomes: Outcomes) -> Report {
        Report { outcomes, rest_not_tried: false, peer_reports: false, beyond: None, given_back: Vec::new() }
    }

    /// What policies held it back by, if they did.
    pub(super) fn limited(&self) -> Option<&Limited> {
        match (&self.outcomes, &self.beyond) {
            (Outcomes::All(Outcome::Limited(limited)), _) | (_, Some(Outcome::Limited(limited))) => {
                Some(limited)
            }
            _ => None,
        }
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

    /// Whether the peer lacks what REQUIRETLS asks of it: another host of the domain may have it (RFC 8689 section 4.2.1).
    pub(super) fn asks_for_another_host(&self) -> bool {
        let Outcomes::Each(outcomes) = &self.outcomes else { return false };
        let lacks = Cause::Error(Error::PeerIncompatible(PeerIncompatible::RequireTls));
        !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.cause == lacks)
    }

    /// As the peer answered; `peer_reports`: it has taken over what there is to tell the sender.
    pub(super) fn answered(outcomes: Vec<client::Outcome>, peer_reports: bool) -> Report {
        Report { peer_reports, ..Report::of(Outcomes::Each(outcomes)) }
    }

    /// Recipients beyond those that the peer takes at once have had no turn: others had it.
    pub(super) fn rest_not_tried(self) -> Report {
        Report { rest_not_tried: true, ..self }
    }

    /// The same for an attempt with further recipients, who all come to `beyond`; `count` are those that it is about.
    pub(super) fn with_beyond(self, count: usize, beyond: Option<Outcome>) -> Report {
        match (self.outcomes, beyond) {
            (outcomes, None) => Report { outcomes, ..self },
            (Outcomes::All(outcome), beyond) => {
                Report { outcomes: Outcomes::Decided(vec![outcome; count]), beyond, ..self }
            }
            (outcomes, beyond) => Report { outcomes, beyond, ..self },
        }
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

/// An attempt that has ended, or a recipient's wait without one.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What was to be done.
    pub(crate) errand: Errand,
    /// What is known of the way.
    pub(crate) facts: AttemptFacts,
    /// The peer's answers, one for each recipient, where there was a transaction.
    pub(crate) answers: Option<Vec<client::Outcome>>,
    /// The peer tells senders what becomes of mail that it has taken over (DSN).
    pub(crate) peer_reports: bool,
    /// There was an attempt.
    pub(crate) tried: bool,
}

impl Ended {
    /// Nothing was tried.
    pub(crate) fn without_attempt(errand: Errand) -> Ended {
        let facts = AttemptFacts::default();
        Ended { errand, facts, answers: None, peer_reports: false, tried: false }
    }

    /// By what rule it is tried again.
    pub(crate) fn retry(&self, snapshot: &Snapshot) -> Arc<RetryPolicy> {
        let by_route = || snapshot.routes.get(&*self.errand.attempt.destination.transport);
        let found = self.facts.retry.as_ref().or_else(|| by_route().map(|route| &route.retry));
        found.cloned().unwrap_or_default()
    }
}

/// What a script or an operator has ordered about one recipient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// Who: `script`, `operator`; empty: nobody.
    pub(crate) by: &'static str,
    /// What is different in the report, if anything is.
    pub(crate) dsn: Option<Rc<DsnOverrides>>,
    /// Id of the report that the script was told of.
    pub(crate) report: Option<Uuid>,
    /// The sender is told of the delay although it was told of one as long.
    pub(crate) even_if_told: bool,
    /// Its transport from now on, where that is another one.
    pub(crate) transport: Option<String>,
}

/// Reports an attempt: the queue decides, and the postdelivery script where there is one; the spool makes it durable, the
/// log tells.
pub(super) async fn report(shard: &Rc<Shard>, errand: Errand, report: Report, facts: AttemptFacts) {
    let attempt = &errand.attempt;
    let mut outcomes: Vec<Outcome> = match &report.outcomes {
        Outcomes::All(outcome) => vec![outcome.clone(); attempt.recipients.len()],
        Outcomes::Decided(outcomes) => outcomes.clone(),
        Outcomes::Each(each) => {
            let remote = facts.remote_host();
            each.iter().map(|outcome| report.outcome_of(outcome, remote.as_ref())).collect()
        }
    };
    if let Some(beyond) = &report.beyond {
        outcomes.resize(attempt.recipients.len().max(outcomes.len()), beyond.clone());
    }
    let answers = match report.outcomes {
        Outcomes::All(_) | Outcomes::Decided(_) => None,
        Outcomes::Each(each) => Some(each),
    };
    let (id, message, now_ms) = (attempt.id, attempt.message, engine::time::steady_ms());
    let ended = Ended { errand, facts, answers, peer_reports: report.peer_reports, tried: true };
    let Some(hook) = shard.postdelivery(&ended.errand.attempt) else {
        let changes = shard.queue.borrow_mut().report(id, outcomes, now_ms);
        remember_uncounted(shard, &ended.errand, &changes, &report.given_back);
        follow(shard, &ended, &changes, &[]);
        return shard.store.release_body(message_id(message));
    };
    let attempted: Vec<bool> = outcomes.iter().map(is_attempt).collect();
    let changes = shard.queue.borrow_mut().propose(id, outcomes, now_ms);
    remember_uncounted(shard, &ended.errand, &changes, &report.given_back);
    let report_id = after::report_id(shard);
    let (mut cases, mut uncounted) = (Vec::with_capacity(changes.len()), Vec::new());
    for (index, change) in changes.into_iter().enumerate() {
        if is_proposed(&change) {
            let attempted = attempted.get(index).copied().unwrap_or(false);
            cases.push(Case { index, change, attempted, report: report_id, dsn: None });
        } else {
            uncounted.push(change);
        }
    }
    if !uncounted.is_empty() {
        follow(shard, &ended, &uncounted, &[]);
    }
    if cases.is_empty() {
        return shard.store.release_body(message_id(message));
    }
    after::attempted(shard, hook, Rc::new(ended), cases).await;
}

/// Something was tried, or DNS said that there is nothing to try.
fn is_attempt(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Delivered | Outcome::Temporary(_) | Outcome::Permanent(_) | Outcome::NoDomain { .. }
    )
}

fn is_proposed(change: &Change) -> bool {
    matches!(change, Change::Done { .. } | Change::RetryAt { .. } | Change::Failed { .. })
}

/// Whoever waits without having been tried is not asked again, unless that is what it waits for.
fn remember_uncounted(shard: &Shard, errand: &Errand, changes: &[Change], given_back: &[Option<GivenBack>]) {
    for (index, change) in changes.iter().enumerate() {
        if let Change::Unchanged { .. } = change {
            let back = given_back.get(index).cloned().flatten();
            prepare::remember(shard, errand, index, back);
        }
    }
}

/// What follows from what the queue has changed: for the log, the disk and the senders.
pub(super) fn follow(shard: &Rc<Shard>, ended: &Ended, changes: &[Change], orders: &[(ItemKey, Order)]) {
    let now_ms = engine::time::steady_ms();
    super::tell::tell(shard, ended, changes, orders);
    let passed_on = passed_on(ended, changes, orders);
    // On disk with the next batch, or after accounting. Until then a crash repeats the attempt: the window that SMTP has anyway.
    let later = |change: &&Change| passed_on.iter().any(|passed| passed.key == change.key());
    let settled = changes.iter().filter(|change| !later(change));
    let settled: Vec<_> = settled.flat_map(|change| settle(change, now_ms)).collect();
    if !settled.is_empty() {
        shard.accounting.settle(settled);
    }
    bounce::note_changes(shard, ended, changes, orders, now_ms);
    if !passed_on.is_empty() {
        let delivered = ended.errand.wishes.success_is_delivered;
        bounce::passed_on(shard, &ended.errand.attempt, passed_on, delivered);
    }
}

/// Recipients whose senders may have asked to be told of success, which the peer will not do.
fn passed_on(ended: &Ended, changes: &[Change], orders: &[(ItemKey, Order)]) -> Vec<bounce::PassedOn> {
    let attempt = &ended.errand.attempt;
    let Some(answers) = &ended.answers else { return Vec::new() };
    let may_ask = attempt.flags & stored::PARAMETERS != 0 || !ended.errand.wishes.is_empty();
    if ended.peer_reports || !may_ask || attempt.sender.is_empty() {
        return Vec::new();
    }
    let remote = ended.facts.remote_host();
    let is_done =
        |key| changes.iter().any(|change| matches!(change, Change::Done { key: done } if *done == key));
    let each = attempt.recipients.iter().zip(answers).enumerate();
    let each = each.filter(|(_, (recipient, _))| is_done(recipient.key));
    each.map(|(index, (recipient, answer))| bounce::PassedOn {
        key: recipient.key,
        address: recipient.address.clone(),
        reason: diagnosis(answer, remote.as_ref()).into(),
        given: ended.errand.given(index).into(),
        report: orders.iter().find(|(key, _)| *key == recipient.key).and_then(|(_, order)| order.report),
    })
    .collect()
}

/// What the spool is told, if anything.
fn settle(change: &Change, now_ms: u64) -> impl Iterator<Item = (ItemId, Settle)> {
    let text = |reason: &Reason| answers::encode(reason, now_ms);
    let retry = |at_ms, attempts, reason| Settle::RetryAt { at_ms, attempts, reply: text(reason) };
    let settled = match change {
        Change::Done { .. } | Change::Removed { .. } => [Some(Settle::Done), None],
        Change::RetryAt { at_ms, attempts, reason, .. } => [Some(retry(*at_ms, *attempts, reason)), None],
        // Attempts are counted by a retry only.
        Change::Hold { attempts, reason, .. } => {
            [Some(retry(now_ms, *attempts, reason)), Some(Settle::Hold { reason: text(reason) })]
        }
        // A failure is settled when its report is durable.
        Change::Failed { .. } | Change::Unchanged { .. } => [None, None],
    };
    let item = item_id(change.key());
    settled.into_iter().flatten().map(move |settle| (item, settle))
}

/// The spool's name of a queued item.
pub fn item_id(key: ItemKey) -> ItemId {
    ItemId { message: message_id(key.message), recipient: key.recipient }
}

/// The spool's name of a queued message.
pub fn message_id(key: MessageKey) -> MessageId {
    MessageId { log: key.log, sequence: key.sequence }
}
