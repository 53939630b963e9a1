//! Stores a report, then settles what it is about. In this order, so that a crash cannot lose it.

use std::rc::Rc;

use bytes::Bytes;
use engine::time;
use hooks::queued::DsnOverrides;
use queue::{FailCause, Settlement};
use spool::{CommitError, Envelope, Intake, MessageId, ReadError, Refused, Settle};
use uuid::Uuid;

use super::overrides;
use super::policy::{Silence, Topic, silence};
use super::{Notice, Subject, What, compose, gather};
use crate::delivery::{item_id, message_id};
use crate::limits;
use crate::log::Priority;
use crate::log::event::{End, Event, Final};
use crate::shard::{Entering, Shard};
use crate::snapshot::Dsn;
use crate::stored;
use hostcalls::ids::transaction_id;
use net::smtp::domain::domain_of;

/// Tells the sender of these notices, all of one kind, or settles them without a word.
pub(super) async fn tell(shard: &Rc<Shard>, subject: &Subject, notices: Vec<Notice>) {
    let dsn = shard.snapshot().dsn(&subject.transport);
    let envelope = match shard.store.envelope(message_id(subject.message)).await {
        Ok(envelope) => Some(envelope),
        // Damaged: what the queue knows is enough, and the sender has to know.
        Err(ReadError::Corrupt) => None,
        Err(ReadError::Gone) => return notices.iter().for_each(|notice| forget(shard, notice)),
        Err(ReadError::Io(error)) => return put_back(shard, subject, &notices, &error.to_string()),
    };
    let mut told = Vec::with_capacity(notices.len());
    for notice in notices {
        let stored = envelope.as_ref().and_then(|all| all.recipients.get(notice.key.recipient as usize));
        let notify = notice.given.rcpt(stored.map(stored::rcpt_parameters).unwrap_or_default()).notify;
        let turned_off = dsn.transport.is_none() && notice.dsn.transport.is_none();
        match silence(topic(notice.what), &subject.sender, turned_off, notify) {
            None => told.push(notice),
            Some(why) => settle_silently(shard, subject, &notice, why),
        }
    }
    let parts = compose::divide(envelope.as_ref(), told, |notice| (notice.key, &notice.given));
    for notices in parts.iter().flat_map(|part| part.chunks(limits::REPORT_RECIPIENTS)) {
        let report = compose::about(shard, &dsn, subject, envelope.as_ref(), notices).await;
        // Those that want something else are gathered apart.
        let Some(first) = notices.first() else { continue };
        let id = first.report.unwrap_or_else(|| new_id(shard));
        let order = Order { id, overrides: &first.dsn, about: first.key.recipient };
        match store(shard, &dsn, subject, envelope.as_ref(), report, order).await {
            Ok(stored) => settle_told(shard, subject, notices, stored),
            Err(why) => put_back(shard, subject, notices, &why),
        }
    }
}

fn topic(what: What) -> Topic {
    match what {
        What::Failed(_) => Topic::Failure,
        What::Delayed(_) => Topic::Delay,
    }
}

/// A report that is durable and not yet queued.
pub(super) struct Stored {
    message: MessageId,
    envelope: Envelope,
    size_bytes: u64,
}

impl Stored {
    pub(super) fn id(&self) -> Uuid {
        Uuid::from_bytes(self.envelope.transaction)
    }

    /// Queues it for its recipient, the sender of what it is about.
    pub(super) fn enqueue(&self, shard: &Rc<Shard>) {
        shard.enqueue(self.message, &self.envelope, self.size_bytes, std::iter::once(Entering::new(0)));
        shard.due.notify_one();
        shard.bounces.count(|counts| counts.reports += 1);
    }
}

/// What is different in one report.
pub(super) struct Order<'o> {
    pub(super) id: Uuid,
    pub(super) overrides: &'o DsnOverrides,
    /// Index of the recipient that it is about, or of the first of them.
    pub(super) about: u32,
}

/// An id for a report.
pub(super) fn new_id(shard: &Shard) -> Uuid {
    transaction_id(shard.program.uuid_version())
}

/// Makes a report durable. The error is a sentence.
pub(super) async fn store(
    shard: &Rc<Shard>,
    dsn: &Dsn,
    subject: &Subject,
    original: Option<&Envelope>,
    mut report: mail::report::Report,
    order: Order<'_>,
) -> Result<Stored, String> {
    let Order { id, overrides, about } = order;
    report.id = id.to_string();
    overrides::lay_over(&mut report, overrides);
    let mut written = report.write();
    if let Some(order) = &overrides.dkim
        && let Err(why) = overrides::sign(shard, order, &mut written.bytes).await
    {
        // Another minute brings no other key, and the sender has to know.
        tell_unsigned(shard, subject, id, &why);
    }
    let transport =
        overrides.transport.as_deref().or(dsn.transport.as_deref()).unwrap_or(&*subject.transport);
    let mut fields = stored::report_fields(subject.transaction);
    // RFC 8689 5: a report on what must not travel in clear must not either.
    if original.is_some_and(|original| stored::mail_parameters(original, None).require_tls) {
        fields.extend(stored::require_tls_fields());
    }
    let to = overrides.recipient.as_ref().map_or(&*subject.sender, |recipient| recipient.as_bytes());
    let now_ms = time::steady_ms();
    let options = overrides::options(overrides, subject.transaction, about);
    let of_recipient = stored::ordered_fields(&options, now_ms);
    let envelope = Envelope {
        transaction: *id.as_bytes(),
        received_ms: now_ms,
        eight_bit: written.eight_bit,
        smtputf8: written.smtp_utf8,
        recipients: vec![spool::Recipient {
            address: Bytes::copy_from_slice(to),
            transport: Bytes::copy_from_slice(transport.as_bytes()),
            domain: domain_of(to).unwrap_or_default().into(),
            fields: of_recipient,
        }],
        fields,
        ..Envelope::default()
    };
    let size_bytes = written.bytes.len() as u64;
    let mut intake = begin(shard, size_bytes).await?;
    intake.write(&written.bytes);
    intake.ready().await.map_err(|error| failure(&error))?;
    let message = intake.commit(&envelope, Bytes::new()).await.map_err(|error| failure(&error))?;
    Ok(Stored { message, envelope, size_bytes })
}

fn tell_unsigned(shard: &Shard, subject: &Subject, report: Uuid, why: &str) {
    let id = Uuid::from_bytes(subject.transaction);
    let line = format_args!("[{id}] report {report} goes out without a signature: {why}");
    shard.log.line(Priority::Error, line);
}

/// A place in the buffers of the spool.
async fn begin(shard: &Shard, size_bytes: u64) -> Result<Intake, String> {
    let until = time::now() + limits::REPORT_BUFFER_PATIENCE;
    loop {
        match shard.store.begin_report(size_bytes) {
            Err(Refused::Memory) if time::now() < until => time::sleep(limits::REPORT_BUFFER_PAUSE).await,
            begun => return begun.map_err(|refused| refusal(&refused)),
        }
    }
}

/// Why nothing can be stored, as a sentence.
pub(crate) fn refusal(refused: &Refused) -> String {
    match refused {
        Refused::DiskFull => "the spool is full".to_owned(),
        Refused::Memory => "the buffers of the spool are full".to_owned(),
        Refused::Unhealthy | Refused::ReadOnly => "the spool takes no writes".to_owned(),
        Refused::TooLarge => "it is larger than spool.maxsize".to_owned(),
    }
}

/// Why something was not stored, as a sentence.
pub(crate) fn failure(error: &CommitError) -> String {
    match error {
        CommitError::DiskFull => "the spool is full".to_owned(),
        CommitError::Unavailable => "the spool takes no writes".to_owned(),
        CommitError::TooLarge => "it is larger than the spool takes".to_owned(),
        CommitError::Io(error) => error.to_string(),
    }
}

/// The report is durable: its recipients are done, or remembered as told of the delay.
fn settle_told(shard: &Rc<Shard>, subject: &Subject, notices: &[Notice], stored: Stored) {
    let settled = notices.iter().map(|notice| {
        let item = item_id(notice.key);
        let settle = match notice.what {
            What::Failed(_) => Settle::Done,
            What::Delayed(step) => {
                let mut properties = gather::properties(shard, item);
                properties.set_told(step);
                Settle::Properties(properties.encode())
            }
        };
        (item, settle)
    });
    let settled = settled.collect();
    for notice in notices {
        let end = match notice.what {
            What::Failed(_) => {
                shard.queue.borrow_mut().finish(notice.key);
                shard.bounces.count(|counts| counts.bounced += 1);
                End::Bounced(stored.id())
            }
            What::Delayed(_) => End::Delayed(stored.id()),
        };
        tell_end(shard, subject, notice, end, why(notice.what));
    }
    shard.accounting.settle(settled);
    // Only now: what has just been finished makes room for it.
    stored.enqueue(shard);
}

/// Nobody is told. A failed recipient is removed, and the log says why.
fn settle_silently(shard: &Rc<Shard>, subject: &Subject, notice: &Notice, silence: Silence) {
    if let What::Failed(_) = notice.what {
        shard.queue.borrow_mut().finish(notice.key);
        shard.bounces.count(|counts| {
            counts.removed += 1;
            counts.null_sender += u64::from(silence == Silence::NullSender);
        });
        tell_end(shard, subject, notice, End::Removed, silence.name());
        shard.accounting.settle(vec![(item_id(notice.key), Settle::Done)]);
    }
}

/// The message has gone meanwhile.
fn forget(shard: &Shard, notice: &Notice) {
    if let What::Failed(_) = notice.what {
        shard.queue.borrow_mut().finish(notice.key);
    }
}

/// The report could not be stored: nothing has changed on disk, and the attempt is repeated. What somebody wanted gone is
/// held: they do not want it delivered.
fn put_back(shard: &Rc<Shard>, subject: &Subject, notices: &[Notice], why: &str) {
    let at_ms = time::steady_ms().saturating_add(limits::REPORT_RETRY.as_millis() as u64);
    let mut held = 0;
    for notice in notices {
        match notice.what {
            What::Failed(FailCause::Ordered) => {
                hold(shard, notice, why);
                held += 1;
            }
            What::Failed(_) => {
                shard.queue.borrow_mut().put_back(notice.key, at_ms);
            }
            What::Delayed(_) => {}
        }
    }
    shard.due.notify_one();
    let id = Uuid::from_bytes(subject.transaction);
    let tell = |what: &str| {
        shard.log.line(Priority::Error, format_args!("[{id}] report not stored: {why}; {what}"));
    };
    if held > 0 {
        tell(&format!("{held} recipients are held"));
    }
    let again = notices.len() - held;
    if again > 0 {
        tell(&format!("{again} recipients are tried again in {} s", limits::REPORT_RETRY.as_secs()));
    }
}

fn hold(shard: &Shard, notice: &Notice, why: &str) {
    let reason = format!("to be returned to its sender, and the report was not stored: {why}");
    let settlement = Settlement::Hold { reason: &reason };
    shard.queue.borrow_mut().settle(notice.key, &settlement, notice.attempts, None);
    drop(shard.store.settle(vec![(item_id(notice.key), Settle::Hold { reason: reason.into() })]));
}

fn why(what: What) -> &'static str {
    match what {
        What::Failed(cause) => cause.name(),
        What::Delayed(_) => "delayed",
    }
}

fn tell_end(shard: &Shard, subject: &Subject, notice: &Notice, end: End, why: &str) {
    let error = notice.reason.to_string();
    shard.tell(&Event::Final(&Final {
        transaction: Uuid::from_bytes(subject.transaction),
        queue_id: notice.key.recipient + 1,
        end,
        from: &subject.sender,
        to: &notice.address,
        transport: &subject.transport,
        size_bytes: subject.size_bytes,
        retry: notice.attempts,
        age_s: notice.at_ms.saturating_sub(subject.received_ms) / 1000,
        why,
        error: &error,
    }));
}
