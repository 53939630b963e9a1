//! What the scripts of this shard add to one queue. While one write is under way, what comes meanwhile is gathered for
//! the next.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::boot::ShardId;
use engine::sync::{Sender, oneshot};
use engine::task::Class;

use super::{Bulk, limits};

/// One for each queue, on each shard.
pub(super) struct Outbox {
    queue: String,
    owner: ShardId,
    waiting: RefCell<Waiting>,
    writing: Cell<bool>,
}

#[derive(Default)]
struct Waiting {
    items: Vec<Vec<u8>>,
    bytes: usize,
    told: Vec<Sender<bool>>,
}

impl Outbox {
    pub(super) fn new(queue: &str, owner: ShardId) -> Outbox {
        Outbox { queue: queue.to_owned(), owner, waiting: RefCell::default(), writing: Cell::new(false) }
    }

    /// True when it is on disk.
    pub(super) async fn add(self: &Rc<Self>, item: Vec<u8>) -> bool {
        let (tell, told) = oneshot();
        {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.bytes + item.len() > limits::BULK_WAITING_BYTES_MAX {
                drop(waiting);
                self.complain("items come faster than they are written");
                return false;
            }
            waiting.bytes += item.len();
            waiting.items.push(item);
            waiting.told.push(tell);
        }
        if !self.writing.replace(true) {
            drop(engine::task::spawn(Class::Interactive, Rc::clone(self).write()));
        }
        told.await.unwrap_or(false)
    }

    /// Until nothing waits.
    async fn write(self: Rc<Self>) {
        loop {
            let Waiting { items, told, .. } = self.waiting.take();
            if items.is_empty() {
                break;
            }
            let id = self.queue.clone();
            let written = engine::mesh::call_task(self.owner, move || async move {
                let queue = Bulk::here().and_then(|bulk| bulk.queues.get(&id).cloned());
                queue.ok_or("its shard does not work on it")?.append(items).await
            });
            let written = written.await.unwrap_or_else(|error| Err(error.to_string()));
            if let Err(what) = &written {
                self.complain(what);
            }
            // A script that was given up does not listen.
            told.into_iter().for_each(|tell| _ = tell.send(written.is_ok()));
        }
        self.writing.set(false);
    }

    fn complain(&self, what: &str) {
        if let Some(bulk) = Bulk::here() {
            bulk.complain(&self.queue, what);
        }
    }
}
