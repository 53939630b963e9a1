//! `queue update`: a job in the background of each shard. It selects some items, and looks at each again when it changes
//! it: what is being sent by then is left alone. The answer follows the last durable record.

use std::rc::Rc;
use std::sync::Arc;

use control::command_line::CommandLine as _;
use control::smtpd as proto;
use control::smtpd::queue_update_request::Action as Asked;
use queue::{Amendment, Cursor, ItemKey, ItemView, LastAttempt, MetadataChange, Reason, State};
use spool::{ItemId, Settle};

use super::client::Client;
use super::conditions;
use super::scan::{self, Scanned, scanned};
use super::shards::{Answer, ask, ask_one, without};
use super::tags::{Selection, Selector};
use crate::answers;
use crate::delivery::{after, item_id};
use crate::limits::{self, ORDERED_PROPERTIES_BYTES};
use crate::log::Priority;
use crate::shard::Shard;
use crate::stored::Properties;

/// What is done to each item.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// Due at once, or after so many milliseconds.
    Active { delay_ms: Option<u64> },
    /// Held.
    Hold,
    /// Gone: without a word to the sender, or with this.
    Remove(after::Action, Reason),
}

/// What is asked for, ready to be done.
#[derive(Debug)]
struct Order {
    selection: Selection,
    action: Option<Action>,
    amendment: Amendment,
    dry_run: bool,
}

/// Changes what is selected, shard by shard.
///
/// # Errors
/// A sentence on what is wrong with the request.
pub(super) async fn update(
    client: &Client,
    request: proto::QueueUpdateRequest,
) -> Result<proto::QueueUpdateResponse, String> {
    let control = &client.control;
    let order = Arc::new(Order::new(&request)?);
    let answers = match request.limit {
        0 => {
            let order = Arc::clone(&order);
            ask(control, move |shard| apply(shard, Arc::clone(&order), u64::MAX)).await
        }
        limit => one_after_the_other(client, &order, limit).await,
    };
    let (counts, missing) = scan::sort_out(answers);
    let affected: u64 = counts.into_iter().sum();
    if !order.dry_run {
        let (line, without) = (request.command_line(), without(&missing));
        client.log_change(format_args!("{line}: {affected} recipients{without}"));
    }
    Ok(proto::QueueUpdateResponse { affected, missing })
}

/// The shards in turn, so that no more are changed than `left`.
async fn one_after_the_other(
    client: &Client,
    order: &Arc<Order>,
    mut left: u64,
) -> Vec<Answer<Scanned<u64>>> {
    let mut answers = Vec::new();
    for shard in 0..client.control.program.shards {
        let order = Arc::clone(order);
        let answer = ask_one(&client.control, shard, move |shard| apply(shard, order, left)).await;
        if let Answer::Here(Scanned { value, .. }) = &answer {
            left = left.saturating_sub(*value);
        }
        answers.push(answer);
    }
    answers
}

impl Order {
    fn new(request: &proto::QueueUpdateRequest) -> Result<Order, String> {
        let selection = conditions::selection(request.conditions.as_ref())?;
        let action = match &request.action {
            None => None,
            Some(Asked::Active(active)) => Some(Action::Active { delay_ms: delay_ms(active.delay)? }),
            Some(Asked::Hold(_)) => Some(Action::Hold),
            Some(Asked::Delete(_)) => Some(Action::Remove(after::Action::Delete, REMOVED.into())),
            Some(Asked::Bounce(bounce)) => {
                let reason = bounce.reason.clone().filter(|reason| !reason.is_empty());
                let reason = reason.map_or_else(|| REMOVED.into(), Reason::from);
                Some(Action::Remove(after::Action::Bounce, reason))
            }
        };
        let amendment = request.properties.as_ref().map(amendment).transpose()?.unwrap_or_default();
        if action.is_none() && amendment == Amendment::default() {
            return Err("nothing to do: give an action, or a property to change".to_owned());
        }
        Ok(Order { selection, action, amendment, dry_run: request.dryrun })
    }

    /// Whether there is something to change about the item.
    fn concerns(&self, selector: &Selector<'_>, item: &ItemView<'_>, now_ms: u64) -> bool {
        let state = match (&self.action, item.state) {
            (_, State::Sending | State::InHand) => false,
            (None | Some(Action::Active { delay_ms: Some(_) } | Action::Remove(..)), _) => true,
            (Some(Action::Active { delay_ms: None }), State::Active) => {
                self.amendment != Amendment::default()
            }
            (Some(Action::Active { delay_ms: None }), _) => true,
            (Some(Action::Hold), State::Hold) => self.amendment != Amendment::default(),
            (Some(Action::Hold), _) => true,
        };
        state && selector.matches(item, now_ms)
    }
}

fn delay_ms(delay: Option<f64>) -> Result<Option<u64>, String> {
    match delay {
        None => Ok(None),
        Some(delay) if (0.0..1e9).contains(&delay) => Ok(Some((delay * 1000.0) as u64)),
        Some(delay) => Err(format!("{delay} is not a delay in seconds")),
    }
}

fn amendment(given: &proto::QueueProperties) -> Result<Amendment, String> {
    let name = |text: &Option<String>, what: &str| match text {
        Some(text) if text.len() > queue::limits::NAME_BYTES => {
            Err(format!("{what}: longer than {} bytes", queue::limits::NAME_BYTES))
        }
        text => Ok(text.as_deref().map(Arc::from)),
    };
    let priority = match given.priority {
        Some(priority @ 2..) => return Err(format!("priority: {priority} is neither 0 nor 1")),
        priority => priority.map(|priority| u8::from(priority > 0)),
    };
    if given.transportid.as_deref() == Some("") {
        return Err("transportid: is empty".to_owned());
    }
    let set_bytes: usize = given.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if set_bytes > ORDERED_PROPERTIES_BYTES {
        return Err(format!("metadata: {set_bytes} bytes, at most {ORDERED_PROPERTIES_BYTES}"));
    }
    let bytes = |text: &String| text.as_bytes().into();
    Ok(Amendment {
        transport: name(&given.transportid, "transportid")?,
        job_id: name(&given.jobid, "jobid")?,
        tenant_id: name(&given.tenantid, "tenantid")?,
        attempts: given.retry,
        priority,
        metadata: MetadataChange {
            set: given.metadata.iter().map(|(key, value)| (bytes(key), bytes(value))).collect(),
            remove: given.metadatadelete.iter().map(bytes).collect(),
        },
    })
}

/// On a shard: how many were changed, or would be. What has come in since it began is left alone: reports on what it removes,
/// above all.
async fn apply(shard: Rc<Shard>, order: Arc<Order>, most: u64) -> Scanned<u64> {
    let began_ms = engine::time::steady_ms();
    let selector = order.selection.on(&shard);
    let (mut selected, mut affected) = (Vec::new(), 0);
    let mut from = Some(Cursor::default());
    while let Some(next) = from.filter(|_| affected < most) {
        let room = (limits::CONTROL_UPDATE_CHUNK as u64).min(most - affected);
        let mut found = 0;
        from = scan::scan_from(&shard, next, |item, now_ms| {
            let came_since = item.received_ms > began_ms && item.received_ms <= now_ms;
            if !came_since && order.concerns(&selector, &item, now_ms) {
                found += 1;
                if !order.dry_run {
                    selected.push(item.key);
                }
            }
            found < room
        })
        .await;
        affected += match order.dry_run {
            true => found,
            false => {
                let writing = selected.len() as u64;
                shard.stats.updating.raise_by(writing);
                let changed = change_all(&shard, &order, &selected).await;
                shard.stats.updating.lower_by(writing);
                changed
            }
        };
        selected.clear();
    }
    scanned(&shard, affected)
}

/// Changes those of the items that still are as they were selected, a slice of them in each turn of the loop.
async fn change_all(shard: &Rc<Shard>, order: &Order, mut keys: &[ItemKey]) -> u64 {
    if let Some(Action::Remove(action, reason)) = &order.action {
        return remove(shard, order, keys, *action, reason).await;
    }
    let mut written = Written { shard: Rc::clone(shard), keys: Vec::new() };
    while !keys.is_empty() {
        let (settled, left) = change(shard, order, keys, &mut written.keys);
        keys = left;
        let durable = shard.store.settle(settled);
        shard.due.notify_one();
        if keys.is_empty() {
            // Waiting for the disk keeps the job behind what is coming in.
            let _ = durable.await;
        } else {
            engine::task::yield_now().await;
        }
    }
    written.keys.len() as u64
}

/// Items that are listed as being written; dropped, they are not any more.
struct Written {
    shard: Rc<Shard>,
    keys: Vec<ItemKey>,
}

impl Drop for Written {
    fn drop(&mut self) {
        let mut queue = self.shard.queue.borrow_mut();
        self.keys.iter().for_each(|key| queue.end_writing(*key));
    }
}

/// As far as a slice goes: what the spool is to be told, and the keys that are left. What was changed goes to `written`.
fn change<'k>(
    shard: &Rc<Shard>,
    order: &Order,
    keys: &'k [ItemKey],
    written: &mut Vec<ItemKey>,
) -> (Vec<(ItemId, Settle)>, &'k [ItemKey]) {
    let now_ms = engine::time::steady_ms();
    let selector = order.selection.on(shard);
    let mut queue = shard.queue.borrow_mut();
    let (mut settled, mut too_large, mut left) = (Vec::new(), 0, &keys[keys.len()..]);
    let mut slice = scan::slice();
    for (at, key) in keys.iter().enumerate() {
        if at > 0 && slice.is_over() {
            left = &keys[at..];
            break;
        }
        let still_so = |item: &ItemView<'_>| order.concerns(&selector, item, now_ms);
        let Some(item) = queue.get(*key).filter(still_so) else { continue };
        let id = item_id(*key);
        let properties = properties(shard, id, &item, &order.amendment).map(|properties| properties.encode());
        if properties.as_ref().is_some_and(|properties| properties.len() > ORDERED_PROPERTIES_BYTES) {
            too_large += 1;
            continue;
        }
        let amended = order.amendment == Amendment::default() || queue.amend(*key, &order.amendment).is_ok();
        let moved = match &order.action {
            None => amended,
            Some(Action::Active { delay_ms }) => {
                queue.reschedule(*key, now_ms.saturating_add(delay_ms.unwrap_or(0)), now_ms).is_ok()
            }
            Some(Action::Hold) => queue.hold(*key, HELD).is_ok(),
            Some(Action::Remove(..)) => false,
        };
        if !(amended && moved) {
            continue;
        }
        queue.begin_writing(*key);
        written.push(*key);
        shard.delivery.forget(*key);
        if let Some(item) = queue.get(*key)
            && (order.action.is_some() || order.amendment.attempts.is_some())
        {
            let counted = order.amendment.attempts.is_some();
            settled.extend(states(&item, now_ms, counted).map(|settle| (id, settle)));
        }
        settled.extend(properties.map(|properties| (id, Settle::Properties(properties))));
    }
    if too_large > 0 {
        let what = format_args!(
            "queue update: {too_large} left as they are: with this, their metadata would be larger than \
             {ORDERED_PROPERTIES_BYTES} bytes"
        );
        shard.log.line(Priority::Warning, what);
    }
    (settled, left)
}

/// Removes those of the items that still are as they were selected, one after the other: each may run a script and write
/// a report, which must not come ahead of what is taken in. When it returns they are gone for good, and their senders' reports
/// are on disk.
async fn remove(
    shard: &Rc<Shard>,
    order: &Order,
    keys: &[ItemKey],
    action: after::Action,
    reason: &Reason,
) -> u64 {
    let (mut count, mut slice) = (0, scan::slice());
    for key in keys {
        if slice.is_over_now() {
            engine::task::yield_now().await;
            shard.bounces.at_most(limits::CONTROL_REPORTS).await;
            slice = scan::slice();
        }
        let now_ms = engine::time::steady_ms();
        let selector = order.selection.on(shard);
        let item_is_still_so = |item: ItemView<'_>| order.concerns(&selector, &item, now_ms);
        let is_still_so = shard.queue.borrow().get(*key).is_some_and(item_is_still_so);
        if is_still_so && after::remove(shard, *key, action, reason.clone()).await.is_ok() {
            count += 1;
        }
    }
    shard.bounces.finish_begun().await;
    shard.accounting.settled().await;
    count
}

/// Why it is removed, as the log and reports say it.
const REMOVED: &str = "removed by an operator";

/// Why it is held, as listings show it.
const HELD: &str = "held by an operator";

/// The item's state for the spool. A held one keeps its count of attempts from before, unless that has changed (`counted`).
fn states(item: &ItemView<'_>, now_ms: u64, counted: bool) -> impl Iterator<Item = Settle> {
    let last = item
        .reason
        .map(|reason| LastAttempt { reason: reason.clone(), at_ms: item.tried_ms.unwrap_or_default() });
    let retry = |at_ms| Settle::RetryAt {
        at_ms,
        attempts: item.attempts,
        reply: last.as_ref().map(|last| answers::encode(&last.reason, last.at_ms)).unwrap_or_default(),
    };
    let states = match item.state {
        State::Hold => {
            let reason = item.hold_reason.unwrap_or_default();
            [
                counted.then(|| retry(now_ms)),
                Some(Settle::Hold { reason: answers::encode_note(reason, last.as_ref()) }),
            ]
        }
        State::Defer { until_ms } => [Some(retry(until_ms)), None],
        State::Active => [Some(retry(now_ms)), None],
        State::Sending | State::InHand => [None, None],
    };
    states.into_iter().flatten()
}

/// What is remembered of the item once it is changed; `None`: nothing new.
fn properties(shard: &Shard, id: ItemId, item: &ItemView<'_>, change: &Amendment) -> Option<Properties> {
    if *change == (Amendment { attempts: change.attempts, ..Amendment::default() }) {
        return None;
    }
    let stored = shard.store.properties(id);
    let mut properties = stored.as_deref().map(Properties::decode).unwrap_or_default();
    let text = |text: &Arc<str>| text.to_string();
    if change.priority.is_some() {
        properties.priority = change.priority;
    }
    if change.transport.is_some() {
        properties.transport = change.transport.as_ref().map(text);
    }
    if change.job_id.is_some() {
        properties.job_id = change.job_id.as_ref().map(text);
    }
    if change.tenant_id.is_some() {
        properties.tenant_id = change.tenant_id.as_ref().map(text);
    }
    if !change.metadata.is_empty() {
        let all = change.metadata.applied_to(item.metadata.iter());
        let all = all.map(|(key, value)| (key.to_vec(), value.to_vec()));
        properties.metadata = Some(all.collect());
    }
    Some(properties)
}
