//! Mail that was passed on to a next hop that does not report: senders who asked for NOTIFY=SUCCESS are told
//! (RFC 3461 5.2.2).

use std::rc::Rc;

use engine::task::Class;
use hooks::GivenParameters;
use hooks::queued::DsnOverrides;
use mail::report::Action;
use queue::{Attempt, ItemKey, Reason};
use spool::{Envelope, Settle};
use uuid::Uuid;

use super::gather::Open;
use super::policy::{Topic, silence};
use super::{Subject, compose, submit};
use crate::delivery::{item_id, message_id};
use crate::log::Priority;
use crate::shard::Shard;
use crate::stored;

/// A recipient whose mail the next hop took over, and what it said.
#[derive(Clone, Debug)]
pub struct PassedOn {
    /// Which one.
    pub key: ItemKey,
    /// Its address.
    pub address: Box<[u8]>,
    /// The reply.
    pub reason: Reason,
    /// What scripts say instead of what MAIL and RCPT said.
    pub given: Rc<GivenParameters>,
    /// Id of the report that a script was told of.
    pub report: Option<Uuid>,
}

/// Settles recipients whose mail was passed on, and tells the sender if it asked for that. The message is needed for
/// the report, so it is settled when that has been read; the report itself may be lost in a crash. `delivered`: it counts as
/// delivered.
pub fn passed_on(shard: &Rc<Shard>, attempt: &Attempt, recipients: Vec<PassedOn>, delivered: bool) {
    let (open, subject) = (Open::new(shard), Subject::of(attempt));
    let now_ms = engine::time::steady_ms();
    let action = if delivered { Action::Delivered } else { Action::Relayed };
    drop(engine::task::spawn(Class::Interactive, async move {
        settle_and_tell(&open.shard, &subject, recipients, action, now_ms).await;
    }));
}

async fn settle_and_tell(
    shard: &Rc<Shard>,
    subject: &Subject,
    recipients: Vec<PassedOn>,
    action: Action,
    now_ms: u64,
) {
    let dsn = shard.snapshot().dsn(&subject.transport);
    let envelope = shard.store.envelope(message_id(subject.message)).await.ok();
    let wants = |passed: &&PassedOn| {
        let stored =
            envelope.as_ref().and_then(|envelope| envelope.recipients.get(passed.key.recipient as usize));
        let notify = passed.given.rcpt(stored.map(stored::rcpt_parameters).unwrap_or_default()).notify;
        silence(Topic::Success, &subject.sender, dsn.transport.is_none(), notify).is_none()
    };
    let told: Vec<_> = recipients.iter().filter(wants).collect();
    let returned = match told.as_slice() {
        [] => None,
        _ => Some(compose::returned(shard, subject, false).await),
    };
    let done = recipients.iter().map(|passed| (item_id(passed.key), Settle::Done));
    shard.accounting.settle(done.collect());
    let Some(returned) = returned else { return };
    for told in compose::divide(envelope.as_ref(), told, |passed| (passed.key, &passed.given)) {
        let Some(first) = told.first() else { continue };
        let said = compose::said(envelope.as_ref(), first.key, &first.given);
        let mut report = compose::skeleton(&dsn, subject, said, returned.clone());
        report.action = action;
        report.recipients = told.iter().map(|passed| recipient(envelope.as_ref(), passed, now_ms)).collect();
        let id = told.iter().find_map(|passed| passed.report).unwrap_or_else(|| submit::new_id(shard));
        let overrides = DsnOverrides::default();
        let order = submit::Order { id, overrides: &overrides, about: first.key.recipient };
        match submit::store(shard, &dsn, subject, envelope.as_ref(), report, order).await {
            Ok(stored) => stored.enqueue(shard),
            Err(why) => {
                let id = Uuid::from_bytes(subject.transaction);
                shard.log.line(Priority::Error, format_args!("[{id}] report of success not stored: {why}"));
            }
        }
    }
}

fn recipient(envelope: Option<&Envelope>, passed: &PassedOn, now_ms: u64) -> mail::report::Recipient {
    let status = passed.reason.enhanced.map_or((2, 0, 0), |code| (2, code.subject, code.detail));
    let (address, reason) = (&passed.address, &passed.reason);
    compose::recipient(envelope, (passed.key, &passed.given), address, status, reason, now_ms)
}
