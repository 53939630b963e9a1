//! What was queued before the start comes into the queue again, beside everything else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use engine::task::Slice;
use spool::{MessageId, Recovered};

use super::{Clock, Entering, Shard};
use crate::limits;
use crate::log::event::{Accepted, Event};
use crate::transfer;

/// Queues it, as the spool finds it.
pub(super) async fn run(shard: Rc<Shard>) {
    let mut recovery = shard.store.recovery();
    shard.stats.loader.active.raise();
    let clock = Clock::now(&shard);
    let mut slice = Slice::begin(limits::LOAD_SLICE);
    let mut told_again = BTreeMap::new();
    while let Some(mut message) = recovery.next().await {
        transfer::finish_found(&shard, &mut message).await;
        // The index is full: wait for deliveries to make room. The rest is safe on disk meanwhile.
        while shard.queue.borrow().room() == 0 && !shard.is_stopping() {
            engine::time::sleep(limits::LOAD_PAUSE).await;
        }
        if shard.accounting.may_lack(message.id) {
            tell_again(&shard, &message);
            let epoch = spool::format::epoch_of(message.id.sequence);
            let last = told_again.entry((message.id.log, epoch)).or_insert(message.id.sequence);
            *last = message.id.sequence.max(*last);
        }
        let received_ms = message.envelope.received_ms;
        let items = message.items.iter().map(|item| Entering::stored(item, received_ms, &clock));
        shard.enqueue_all(message.id, &message.envelope, message.size_bytes, items).await;
        // A step for each of its recipients.
        if message.items.iter().any(|_| slice.is_over()) {
            shard.due.notify_one();
            shard.accounting.ready().await;
            engine::task::yield_now().await;
            slice = Slice::begin(limits::LOAD_SLICE);
        }
    }
    shard.stats.loader.active.lower();
    shard.shown().loaded.store(true, Ordering::Release);
    for ((log, _), sequence) in told_again.into_iter().filter(|_| !shard.is_stopping()) {
        shard.accounting.record_caught_up(MessageId { log, sequence });
    }
    shard.due.notify_one();
}

/// A crash may have come between the `250` and the accounting file.
fn tell_again(shard: &Shard, message: &Recovered) {
    let envelope = &message.envelope;
    let mut to = [&[][..]; limits::LOG_RECIPIENTS];
    let named = to.iter_mut().zip(&envelope.recipients);
    let named = named.map(|(place, recipient)| *place = &*recipient.address).count();
    let event = Event::Accepted(&Accepted {
        transaction: uuid::Uuid::from_bytes(envelope.transaction),
        server: std::str::from_utf8(&envelope.server_id).unwrap_or_default(),
        remote: envelope.peer.unwrap_or_else(|| SocketAddr::from(([0; 4], 0))),
        helo: Some(&*envelope.helo).filter(|helo| !helo.is_empty()),
        user: envelope.auth_user.as_deref(),
        tls: None,
        from: &envelope.sender,
        to: &to[..named],
        recipients: envelope.recipients.len(),
        size_bytes: message.size_bytes,
        took_ms: 0,
    });
    shard.accounting.record_accepted_again(message.id, &event);
}
