//! Recipients of one message that fail together are reported together: a short, bounded wait for the others.

use std::rc::Rc;
use std::sync::Arc;

use engine::sync::Notify;
use engine::task::Class;
use engine::time::{self, Instant};
use queue::MessageKey;
use spool::ItemId;
use uuid::Uuid;

use super::{Notice, Subject, What, submit};
use crate::delivery::{item_id, message_id};
use crate::limits;
use crate::shard::Shard;
use crate::stored::Properties;

/// What one report can be about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    message: MessageKey,
    /// Its settings decide how the report goes out.
    transport: Arc<str>,
    failed: bool,
    /// It goes by itself, under this id.
    apart: Option<Uuid>,
}

/// What is being gathered for one report.
#[derive(Debug)]
pub(super) struct Group {
    subject: Subject,
    notices: Vec<Notice>,
    last: Instant,
    /// Says that it is complete, or that there is no time to wait.
    wake: Rc<Notify>,
}

impl Group {
    pub(super) fn hurry(&self) {
        self.wake.notify_one();
    }
}

/// Adds a notice to the report that is being gathered, or begins one.
pub(super) fn note(shard: &Rc<Shard>, subject: Subject, notice: Notice) {
    if let What::Delayed(step) = notice.what
        && !notice.even_if_told
        && properties(shard, item_id(notice.key)).was_told(step)
    {
        return;
    }
    let failed = matches!(notice.what, What::Failed(_));
    let transport = Arc::clone(&subject.transport);
    let key = GroupKey { message: subject.message, transport, failed, apart: notice.report };
    let mut groups = shard.bounces.groups.borrow_mut();
    if let Some(group) = groups.get_mut(&key) {
        if !failed && group.notices.iter().any(|known| known.key == notice.key) {
            return;
        }
        group.last = time::now();
        group.notices.push(notice);
        if is_complete(shard, group) {
            group.hurry();
        }
        return;
    }
    let group = Group { subject, notices: vec![notice], last: time::now(), wake: Rc::default() };
    groups.insert(key.clone(), group);
    drop(groups);
    let open = Open::new(shard);
    drop(engine::task::spawn(Class::Interactive, gather(open, key)));
}

/// What is remembered of an item.
pub(super) fn properties(shard: &Shard, item: ItemId) -> Properties {
    shard.store.properties(item).map(|bytes| Properties::decode(&bytes)).unwrap_or_default()
}

/// Nobody is missing, or the report is as long as one may be.
fn is_complete(shard: &Shard, group: &Group) -> bool {
    let live = shard.store.live_recipients(message_id(group.subject.message));
    group.notices.len() >= limits::REPORT_RECIPIENTS.min(live as usize)
}

/// Waits for more until nothing has come for a while, nobody is missing, or it has waited long enough.
async fn gather(open: Open, key: GroupKey) {
    let shard = &open.shard;
    let begun = time::now();
    // Others of the same attempt are noted in this very turn.
    engine::task::yield_now().await;
    loop {
        let (until, wake) = {
            let groups = shard.bounces.groups.borrow();
            let Some(group) = groups.get(&key) else { return };
            if is_complete(shard, group)
                // All that it is about came in one turn.
                || key.apart.is_some()
                || shard.bounces.hurry.get()
                || groups.len() > limits::REPORTS_GATHERING
            {
                break;
            }
            let until = (group.last + limits::REPORT_GATHER_QUIET).min(begun + limits::REPORT_GATHER_MAX);
            (until, Rc::clone(&group.wake))
        };
        let now = time::now();
        if until <= now {
            break;
        }
        let _ = time::timeout(until - now, wake.notified()).await;
    }
    let Some(group) = shard.bounces.groups.borrow_mut().remove(&key) else { return };
    let _permit = shard.bounces.writing.0.acquire().await;
    submit::tell(shard, &group.subject, group.notices).await;
}

/// Counts a task that gathers or writes, however it ends.
pub(super) struct Open {
    pub(super) shard: Rc<Shard>,
    number: u64,
}

impl Open {
    pub(super) fn new(shard: &Rc<Shard>) -> Open {
        let bounces = &shard.bounces;
        let number = bounces.begun.get();
        bounces.begun.set(number + 1);
        bounces.open.borrow_mut().insert(number);
        Open { shard: Rc::clone(shard), number }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let bounces = &self.shard.bounces;
        bounces.open.borrow_mut().remove(&self.number);
        bounces.changed.notify_all();
    }
}
