//! The hook postdelivery: scripts decide what becomes of a recipient after an attempt, or when it is to be removed.
//!
//! The attempt has ended by then, and its connection serves others. Until the decision is carried out the recipient is in
//! hand; a crash before that is durable repeats the attempt, as it does without a script.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use engine::task::Class;
use hooks::queued::{DsnOverrides, Postdelivery, Requeue};
use hooks::{Kept, Reads};
use queue::{Attempt, Change, FailCause, ItemKey, NotifyStep, OperationError, Reason, Recipient, Settlement};
use spool::{Envelope, Settle};
use uuid::Uuid;

use super::ending::{self, Case};
use super::errand::{Errand, Said};
use super::report::{self, Ended, Order, item_id, message_id};
use super::scripted::{self, Seen};
use crate::limits;
use crate::scripts::QueueHook;
use crate::shard::Shard;
use crate::stored::Properties;
use hostcalls::ids::transaction_id;

/// How a recipient is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Without a word to its sender.
    Delete,
    /// Its sender is told.
    Bounce,
}

/// Who orders, as the log names them.
const SCRIPT: &str = "script";
const OPERATOR: &str = "operator";

/// What became of a recipient that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, or will be once its report is written.
    Gone,
    /// The postdelivery script has kept it.
    Kept,
}

/// An order to remove a recipient.
#[derive(Clone, Debug)]
pub(super) struct Removal {
    action: Action,
    reason: Reason,
    /// What is different in the report, if anything is.
    dsn: Option<Rc<DsnOverrides>>,
    /// `$context`.
    kept: Kept,
    /// What a script had it given back with.
    returned: Option<Arc<str>>,
    by: &'static str,
}

impl Removal {
    /// A predelivery script wants it.
    pub(super) fn by_script(action: Action, reason: Reason, dsn: DsnOverrides, said: Said) -> Removal {
        let dsn = overrides(dsn);
        Removal { action, reason, dsn, kept: said.kept, returned: said.returned, by: SCRIPT }
    }
}

/// Removes a queued recipient because an operator says so. The postdelivery script runs first, and may want something else.
///
/// # Errors
/// It is gone, or being sent.
pub async fn remove(
    shard: &Rc<Shard>,
    key: ItemKey,
    action: Action,
    reason: Reason,
) -> Result<Removed, OperationError> {
    let attempt = shard.queue.borrow_mut().take(key)?;
    shard.delivery.remembered.take(key);
    let removal = Removal { action, reason, dsn: None, kept: Kept::unset(), returned: None, by: OPERATOR };
    Ok(remove_in_hand(shard, attempt, removal).await)
}

/// Removes the only recipient of an attempt, which is in hand.
pub(super) async fn remove_in_hand(shard: &Rc<Shard>, attempt: Attempt, removal: Removal) -> Removed {
    let Some(recipient) = attempt.recipients.first() else { return Removed::Gone };
    let (key, attempts, reason) = (recipient.key, recipient.attempts, removal.reason);
    // What an operator orders for certain recipients is not softened.
    let soft = removal.by == SCRIPT && shard.snapshot().queue_options.soft_bounce;
    let change = match removal.action {
        Action::Delete => Change::Removed { key, attempts, reason },
        Action::Bounce if soft => softened(shard, &attempt, recipient, reason),
        Action::Bounce => Change::Failed { key, attempts, cause: FailCause::Ordered, reason },
    };
    let said = Said { readdressed: None, kept: removal.kept, returned: removal.returned };
    let errand = Errand { said: vec![said], ..Errand::fresh(attempt) };
    let ended = Ended::without_attempt(errand);
    let dsn = removal.dsn.clone();
    let case = Case { index: 0, change, attempted: false, report: report_id(shard), dsn };
    let report = case.report;
    let mut decided = match shard.postdelivery(&ended.errand.attempt) {
        None => Decided::default_of(case),
        Some(hook) => {
            let envelope = envelope(shard, &hook, &ended).await;
            decide(shard, &hook, &ended, envelope.as_ref(), case, true).await
        }
    };
    if decided.order.by.is_empty() {
        decided.order.by = removal.by;
    }
    if decided.order.dsn.is_none() {
        decided.order = Order { dsn: removal.dsn, report: Some(report), ..decided.order };
    }
    let kept = matches!(decided.change, Change::RetryAt { .. } | Change::Hold { .. });
    carry_out(shard, &ended, decided);
    if kept { Removed::Kept } else { Removed::Gone }
}

/// Decides about recipients of an attempt that has ended: at once where the script does not wait, else beside the lane as
/// long as few are at it. When many are, the lane waits, and so do further attempts.
pub(super) async fn attempted(shard: &Rc<Shard>, hook: QueueHook, ended: Rc<Ended>, cases: Vec<Case>) {
    let mut all = Box::pin(decide_all(Rc::clone(shard), hook, ended, cases));
    let first = poll_fn(|cx| Poll::Ready(all.as_mut().poll(cx))).await;
    if first.is_ready() {
        return;
    }
    if shard.delivery.deciding.get() >= limits::POSTDELIVERY_BESIDE {
        return all.await;
    }
    let counted = Deciding::new(shard);
    drop(engine::task::spawn(Class::Interactive, async move {
        all.await;
        drop(counted);
    }));
}

/// Counts a task that decides, however it ends.
struct Deciding(Rc<Shard>);

impl Deciding {
    fn new(shard: &Rc<Shard>) -> Deciding {
        let deciding = &shard.delivery.deciding;
        deciding.set(deciding.get() + 1);
        Deciding(Rc::clone(shard))
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        let delivery = &self.0.delivery;
        delivery.deciding.set(delivery.deciding.get() - 1);
        delivery.changed.notify_all();
    }
}

async fn decide_all(shard: Rc<Shard>, hook: QueueHook, ended: Rc<Ended>, mut cases: Vec<Case>) {
    let envelope = envelope(&shard, &hook, &ended).await;
    match cases.pop() {
        Some(only) if cases.is_empty() => {
            let decided = decide(&shard, &hook, &ended, envelope.as_ref(), only, true).await;
            carry_out(&shard, &ended, decided);
        }
        last => {
            cases.extend(last);
            Box::pin(decide_each(&shard, &hook, &ended, envelope, cases)).await;
        }
    }
    shard.store.release_body(message_id(ended.errand.attempt.message));
    shard.due.notify_one();
}

/// Scripts that wait do so beside each other.
async fn decide_each(
    shard: &Rc<Shard>,
    hook: &QueueHook,
    ended: &Rc<Ended>,
    envelope: Option<Envelope>,
    cases: Vec<Case>,
) {
    let envelope = Rc::new(envelope);
    let deciding = cases.into_iter().map(|case| {
        let (shard, hook) = (Rc::clone(shard), hook.clone());
        let (ended, envelope) = (Rc::clone(ended), Rc::clone(&envelope));
        let deciding = async move { decide(&shard, &hook, &ended, (*envelope).as_ref(), case, false).await };
        engine::task::spawn(Class::Interactive, deciding)
    });
    let tasks: Vec<_> = deciding.collect();
    let mut decided = Vec::with_capacity(tasks.len());
    for task in tasks {
        decided.extend(task.await);
    }
    carry_out_all(shard, ended, decided);
}

/// The envelope of the message, where it can be read and the script can tell what it says.
async fn envelope(shard: &Rc<Shard>, hook: &QueueHook, ended: &Ended) -> Option<Envelope> {
    scripted::envelope(shard, hook, &ended.errand.attempt).await.ok().flatten()
}

/// What is done with a recipient.
struct Decided {
    change: Change,
    /// Another transport from now on.
    transport: Option<String>,
    order: Order,
}

impl Decided {
    fn default_of(case: Case) -> Decided {
        let order = Order { report: Some(case.report), ..Order::default() };
        Decided { change: case.change, transport: None, order }
    }
}

/// Asks the script. `alone`: the report that it was told of can be about nobody else.
async fn decide(
    shard: &Shard,
    hook: &QueueHook,
    ended: &Ended,
    envelope: Option<&Envelope>,
    case: Case,
    alone: bool,
) -> Decided {
    let errand = &ended.errand;
    let Some(recipient) = errand.attempt.recipients.get(case.index) else {
        return Decided::default_of(case);
    };
    let unasked = Said { kept: Kept::unset(), ..Said::default() };
    let said = errand.said(case.index).unwrap_or(&unasked);
    let seen = Seen::new(shard, envelope, &errand.attempt, recipient, &errand.wishes, said);
    let script = hook.script();
    let mut item = seen.item(script.needs());
    let delivered = matches!(case.change, Change::Done { .. });
    let ending = |reads: &Reads| ending::of(shard, ended, envelope, &case, reads);
    let decision = item.after(script, delivered, || seen.message(), ending).await;
    scripted::keep_metadata(shard, recipient, &item);
    match decision {
        Postdelivery::Default => Decided::default_of(case),
        decision => decided(shard, &errand.attempt, recipient, &case, alone, decision),
    }
}

/// What follows from what the script wants.
fn decided(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    case: &Case,
    alone: bool,
    decision: Postdelivery,
) -> Decided {
    let plain = Order { by: SCRIPT, report: Some(case.report), ..Order::default() };
    // A report of its own has an id of its own, unless nobody else was told of this one.
    let own = |dsn: DsnOverrides| {
        let dsn = overrides(dsn);
        Order { report: plain.report.filter(|_| alone || dsn.is_none()), dsn, ..plain.clone() }
    };
    let (key, attempts) = (recipient.key, recipient.attempts.saturating_add(u32::from(case.attempted)));
    match decision {
        Postdelivery::Default => Decided::default_of(case.clone()),
        Postdelivery::Delete => {
            let reason = reason_of(&case.change, "removed by a script");
            Decided { change: Change::Removed { key, attempts, reason }, transport: None, order: plain }
        }
        Postdelivery::Bounce(dsn) => {
            let reason = reason_of(&case.change, "a script returned it");
            let change = if shard.snapshot().queue_options.soft_bounce {
                softened(shard, attempt, recipient, reason)
            } else {
                let cause = match &case.change {
                    Change::Failed { cause, .. } => *cause,
                    _ => FailCause::Ordered,
                };
                Change::Failed { key, attempts, cause, reason }
            };
            Decided { change, transport: None, order: own(*dsn) }
        }
        Postdelivery::Queue(requeue) => {
            let reason = reason_of(&case.change, "queued again by a script");
            let change = requeued(shard, attempt, recipient, &requeue, reason);
            let order = Order { even_if_told: requeue.dsn_delayed == Some(true), ..own(requeue.dsn) };
            Decided { change, transport: requeue.transport, order }
        }
    }
}

/// `None`: they ask for nothing.
fn overrides(dsn: DsnOverrides) -> Option<Rc<DsnOverrides>> {
    (!dsn.is_empty()).then(|| Rc::new(dsn))
}

fn reason_of(change: &Change, otherwise: &str) -> Reason {
    match change {
        Change::RetryAt { reason, .. } | Change::Failed { reason, .. } | Change::Removed { reason, .. } => {
            reason.clone()
        }
        _ => otherwise.into(),
    }
}

/// What a script's bounce becomes under `queues.softbounce`: it counts, and is tried again.
fn softened(shard: &Shard, attempt: &Attempt, recipient: &Recipient, reason: Reason) -> Change {
    let requeue = Requeue { delay_s: None, increment_retry: true, reason: None, ..Requeue::after_failure() };
    requeued(shard, attempt, recipient, &requeue, reason)
}

/// What `Queue` means (reference: hooks 4.1.2): it may exceed what the transport permits.
fn requeued(
    shard: &Shard,
    attempt: &Attempt,
    recipient: &Recipient,
    requeue: &Requeue,
    reason: Reason,
) -> Change {
    let (key, before) = (recipient.key, recipient.attempts);
    let attempts = match (requeue.reset_retry, requeue.increment_retry) {
        (true, _) => 0,
        (false, true) => before.saturating_add(1),
        (false, false) => before,
    };
    let reason = requeue.reason.as_deref().map_or(reason, Reason::from);
    if requeue.hold {
        let notify = (requeue.dsn_delayed == Some(true)).then_some(NotifyStep(before));
        return Change::Hold { key, attempts, reason, notify };
    }
    let now_ms = engine::time::steady_ms();
    let snapshot = shard.snapshot();
    let transport = requeue.transport.as_deref().unwrap_or(&attempt.destination.transport);
    let policy = snapshot.routes.get(transport).map(|route| Arc::clone(&route.retry));
    let policy = policy.unwrap_or_default();
    let at_ms = match requeue.delay_s {
        Some(delay_s) => now_ms.saturating_add((delay_s * 1000.0) as u64),
        None => policy.next_try_ms(before, now_ms),
    };
    let notify = match requeue.dsn_delayed {
        Some(true) => Some(NotifyStep(before)),
        Some(false) => None,
        None => policy.notify_after(before),
    };
    Change::RetryAt { key, at_ms, attempts, reason, notify }
}

/// A predelivery script wants a recipient, which is in hand, to wait.
pub(super) fn requeue_untried(
    shard: &Rc<Shard>,
    attempt: &Attempt,
    recipient: &Recipient,
    requeue: &Requeue,
) {
    let alone = Attempt { recipients: vec![recipient.clone()], ..attempt.clone() };
    let change = requeued(shard, attempt, recipient, requeue, "queued by a script".into());
    let even_if_told = requeue.dsn_delayed == Some(true);
    let order = Order { by: SCRIPT, dsn: overrides(requeue.dsn.clone()), even_if_told, ..Order::default() };
    let transport = requeue.transport.clone();
    let ended = Ended::without_attempt(Errand::fresh(alone));
    carry_out(shard, &ended, Decided { change, transport, order });
}

/// Carries out what was decided of the only recipient that there was something to decide of.
fn carry_out(shard: &Rc<Shard>, ended: &Ended, decided: Decided) {
    let (change, order) = put(shard, decided);
    follow(shard, ended, &[change], &[order]);
}

/// The same for any number: first the queue, then the disk, the log and the sender.
fn carry_out_all(shard: &Rc<Shard>, ended: &Ended, decided: Vec<Decided>) {
    let (changes, orders): (Vec<_>, Vec<_>) = decided.into_iter().map(|decided| put(shard, decided)).unzip();
    follow(shard, ended, &changes, &orders);
}

fn follow(shard: &Rc<Shard>, ended: &Ended, changes: &[Change], orders: &[(ItemKey, Order)]) {
    report::follow(shard, ended, changes, orders);
    shard.due.notify_one();
}

/// Into the queue, from where the rest follows.
fn put(shard: &Shard, decided: Decided) -> (Change, (ItemKey, Order)) {
    let Decided { change, transport, mut order } = decided;
    order.transport.clone_from(&transport);
    settle(shard, &change, transport.as_deref());
    let key = change.key();
    if let Some(transport) = transport {
        keep_transport(shard, key, transport);
    }
    (change, (key, order))
}

fn settle(shard: &Shard, change: &Change, transport: Option<&str>) {
    let (settlement, attempts) = match change {
        // It never was in hand.
        Change::Unchanged { .. } => return,
        Change::Done { .. } => (Settlement::Done, 0),
        Change::Removed { attempts, .. } => (Settlement::Done, *attempts),
        Change::Failed { attempts, .. } => (Settlement::Fail, *attempts),
        Change::RetryAt { at_ms, attempts, .. } => (Settlement::Retry { at_ms: *at_ms }, *attempts),
        Change::Hold { attempts, reason, .. } => (Settlement::Hold { reason: &reason.text }, *attempts),
    };
    shard.queue.borrow_mut().settle(change.key(), &settlement, attempts, transport);
}

fn keep_transport(shard: &Shard, key: ItemKey, transport: String) {
    let item = item_id(key);
    let stored = shard.store.properties(item).map(|bytes| Properties::decode(&bytes));
    let mut changed = stored.unwrap_or_default();
    changed.transport = Some(transport);
    drop(shard.store.settle(vec![(item, Settle::Properties(changed.encode()))]));
}

pub(super) fn report_id(shard: &Shard) -> Uuid {
    transaction_id(shard.program.uuid_version())
}
