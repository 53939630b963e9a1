//! What senders are told: reports of failures, delays and passing on (RFC 3461, 3464).
//!
//! [`Bounces::note`] takes what happened to one recipient. What happens to recipients of one message within a short
//! time makes one report ([`gather`]). [`policy`] says who is told; [`compose`] reads back what is needed of the
//! original and writes the report; [`submit`] makes it durable, *then* settles the recipients as done. A crash in
//! between repeats the attempt and, at worst, the report; it never loses one.
//!
//! Reports have the null sender, so a report that fails is not reported: it is removed with a log line, and counted.

mod compose;
mod gather;
mod overrides;
mod policy;
mod relayed;
mod submit;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use engine::sync::{Notify, Semaphore};
use hooks::GivenParameters;
use hooks::queued::DsnOverrides;
use queue::{Attempt, Change, FailCause, ItemKey, MessageKey, NotifyStep, Reason};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::delivery::{Ended, Order};
use crate::limits;
use crate::shard::Shard;
use crate::snapshot::{Dsn, Snapshot};
use crate::stored;

pub use policy::Topic;
pub use relayed::{PassedOn, passed_on};
pub(crate) use submit::{failure, refusal};

/// Reports of a shard that are being gathered or written, and what became of others.
#[derive(Debug, Default)]
pub struct Bounces {
    groups: RefCell<FxHashMap<gather::GroupKey, gather::Group>>,
    /// Tasks that gather or write, by the order of their beginning.
    open: RefCell<BTreeSet<u64>>,
    begun: Cell<u64>,
    /// Of those, the ones that have their message in memory.
    writing: Writing,
    hurry: Cell<bool>,
    changed: Notify,
    counts: Cell<Counts>,
}

/// Permits to compose and write a report.
#[derive(Debug)]
struct Writing(Semaphore);

impl Default for Writing {
    fn default() -> Writing {
        Writing(Semaphore::new(limits::REPORTS_WRITING))
    }
}

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reports queued.
    pub reports: u64,
    /// Recipients whose failure was reported.
    pub bounced: u64,
    /// Recipients that were removed without anybody being told, since nobody wants to know or may be told.
    pub removed: u64,
    /// Of those, recipients of mail from the null sender: reports that failed themselves, mostly.
    pub null_sender: u64,
}

/// The message that something happened to.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which one.
    pub message: MessageKey,
    /// Uuid of its transaction.
    pub transaction: [u8; 16],
    /// Envelope sender; empty for the null sender.
    pub sender: Arc<[u8]>,
    /// Transport of the recipients.
    pub transport: Arc<str>,
    /// Size of the message.
    pub size_bytes: u64,
    /// When it was received, in milliseconds since the Unix epoch.
    pub received_ms: u64,
}

/// Something that happened to one recipient.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The recipient.
    pub key: ItemKey,
    /// Its address.
    pub address: Box<[u8]>,
    /// Attempts behind it.
    pub attempts: u32,
    /// What happened.
    pub what: What,
    /// Why.
    pub reason: Reason,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Until when it is tried, in the same; `None`: nobody knows, or it is not tried any more.
    pub until_ms: Option<u64>,
    /// What scripts say instead of what MAIL and RCPT said.
    pub given: Rc<GivenParameters>,
    /// What is different in the report.
    pub dsn: Rc<DsnOverrides>,
    /// The report has this id, and is about nothing else; `None`: any, with others.
    pub report: Option<Uuid>,
    /// The sender is told of the delay although it was told of one as long.
    pub even_if_told: bool,
}

/// What happened to a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It has failed for good, and waits in the queue for being finished.
    Failed(FailCause),
    /// It stays queued; this step of the retry schedule tells the sender.
    Delayed(NotifyStep),
}

impl Subject {
    /// Of an attempt.
    pub fn of(attempt: &Attempt) -> Subject {
        Subject {
            message: attempt.message,
            transaction: attempt.transaction,
            sender: Arc::clone(&attempt.sender),
            transport: Arc::clone(&attempt.destination.transport),
            size_bytes: attempt.size_bytes,
            received_ms: attempt.received_ms,
        }
    }
}

impl Bounces {
    /// Numbers since the start, for the statistics.
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }

    /// Writes what is being gathered without waiting for more, and waits until it is written.
    pub async fn finish(&self) {
        self.hurry.set(true);
        self.groups.borrow().values().for_each(gather::Group::hurry);
        self.written(u64::MAX).await;
    }

    /// Waits until what has happened so far is told, or need not be, and the spool knows that it is over.
    pub async fn finish_begun(&self) {
        self.written(self.begun.get()).await;
    }

    /// Waits until at most `most` reports are being gathered or written.
    pub async fn at_most(&self, most: usize) {
        while self.open.borrow().len() > most {
            self.changed.notified().await;
        }
    }

    /// Waits for those that were begun before this one.
    async fn written(&self, until: u64) {
        while self.open.borrow().first().is_some_and(|first| *first < until) {
            self.changed.notified().await;
        }
    }
}

/// Whether the sender of a recipient's message is told of this: `stored` is what the recipient came with, `given` what scripts
/// say instead.
pub fn is_told(
    topic: Topic,
    sender: &[u8],
    dsn: &Dsn,
    given: &GivenParameters,
    stored: Option<&spool::Recipient>,
) -> bool {
    let notify = given.rcpt(stored.map(stored::rcpt_parameters).unwrap_or_default()).notify;
    policy::silence(topic, sender, dsn.transport.is_none(), notify).is_none()
}

/// Takes note of what an attempt changed, as far as senders may want to know. `orders` are of scripts and operators.
pub(crate) fn note_changes(
    shard: &Rc<Shard>,
    ended: &Ended,
    changes: &[Change],
    orders: &[(ItemKey, Order)],
    now_ms: u64,
) {
    let attempt = &ended.errand.attempt;
    for change in changes {
        let key = change.key();
        let Some(index) = attempt.recipients.iter().position(|recipient| recipient.key == key) else {
            continue;
        };
        let recipient = &attempt.recipients[index];
        let (what, attempts, reason) = match change {
            Change::Failed { attempts, cause, reason, .. } => {
                (What::Failed(*cause), *attempts, reason.clone())
            }
            Change::RetryAt { attempts, reason, notify: Some(step), .. }
            | Change::Hold { attempts, reason, notify: Some(step), .. } => {
                (What::Delayed(*step), *attempts, reason.clone())
            }
            Change::Unchanged { notify: Some(step), reason, .. } => {
                let reason = reason.clone().unwrap_or_else(|| "it has not been tried yet".into());
                (What::Delayed(*step), recipient.attempts, reason)
            }
            _ => continue,
        };
        let order = orders.iter().find(|(ordered, _)| *ordered == key).map(|(_, order)| order.clone());
        let order = order.unwrap_or_default();
        let until_ms = tried_until_ms(&shard.snapshot(), ended, change, order.transport.as_deref());
        let notice = Notice {
            key,
            address: recipient.address.clone(),
            attempts,
            what,
            reason,
            at_ms: now_ms,
            until_ms,
            report: order.report.or_else(|| order.dsn.is_some().then(|| submit::new_id(shard))),
            given: ended.errand.given(index).into(),
            dsn: order.dsn.unwrap_or_default(),
            even_if_told: order.even_if_told,
        };
        gather::note(shard, Subject::of(attempt), notice);
    }
}

/// Until when a recipient is tried, if every attempt fails. `transport` is where it goes from now on, if that is another one.
fn tried_until_ms(
    snapshot: &Snapshot,
    ended: &Ended,
    change: &Change,
    transport: Option<&str>,
) -> Option<u64> {
    if snapshot.queue_options.soft_bounce {
        return None;
    }
    let received_ms = ended.errand.attempt.received_ms;
    let elsewhere = transport.and_then(|transport| snapshot.routes.get(transport));
    let retry = elsewhere.map_or_else(|| ended.retry(snapshot), |route| Arc::clone(&route.retry));
    match change {
        Change::RetryAt { at_ms, attempts, .. } => retry.last_try_ms(*attempts, received_ms, *at_ms),
        Change::Unchanged { .. } => Some(received_ms.saturating_add(retry.longest_wait_ms())),
        _ => None,
    }
}
