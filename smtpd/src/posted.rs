//! Messages that scripts put into the queue themselves, each in a transaction of its own.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use hostcalls::mail::Posted;

use crate::bounce::{failure, refusal};
use crate::log::event::{Accepted, Event};
use crate::shard::{Entering, Shard};
use hostcalls::ids::transaction_id;

/// Makes a message durable and queues it; the id of its transaction. The error is a sentence.
pub(crate) async fn queue(shard: &Rc<Shard>, posted: Posted) -> Result<String, String> {
    if !shard.snapshot().routes.contains_key(&posted.transport) {
        return Err(format!("there is no transport \"{}\"", posted.transport));
    }
    if shard.queue.borrow().room() == 0 {
        return Err("the queue is full".to_owned());
    }
    let id = transaction_id(shard.program.uuid_version());
    let envelope = posted.envelope(*id.as_bytes(), engine::time::steady_ms());
    let message = posted.message;
    let size_bytes = message.len() as u64;
    let mut intake = shard.store.begin(Some(size_bytes)).map_err(|refused| refusal(&refused))?;
    intake.write(&message);
    intake.ready().await.map_err(|error| failure(&error))?;
    let stored = intake.commit(&envelope, Bytes::new()).await.map_err(|error| failure(&error))?;
    let event = Event::Accepted(&Accepted {
        transaction: id,
        server: "-",
        remote: SocketAddr::from(([0; 4], 0)),
        helo: None,
        user: None,
        tls: None,
        from: &envelope.sender,
        to: &[&envelope.recipients[0].address],
        recipients: 1,
        size_bytes,
        took_ms: 0,
    });
    shard.log.event(&event);
    shard.accounting.record_accepted(stored, &event);
    shard.enqueue(stored, &envelope, size_bytes, std::iter::once(Entering::new(0)));
    shard.due.notify_one();
    Ok(id.to_string())
}
