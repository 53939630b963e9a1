//! A recipient as the scripts of the queue see it: `$message`, its bytes and its metadata (reference: hooks 2.3).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use hooks::Metadata;
use hooks::queued::{Files, Item, Message, Needs};
use hostcalls::file::HostFile;
use mail::delta::{Data, Delta, Now};
use net::smtp::address::Address;
use queue::{Attempt, Recipient};
use spool::{Envelope, MessageId, ReadError, Settle};
use uuid::Uuid;

use super::errand::Said;
use super::report::{item_id, message_id};
use super::wishes::Wishes;
use crate::limits;
use crate::scripts::QueueHook;
use crate::shard::{Shard, Shell};
use crate::stored::{self, Properties};

/// A recipient of an attempt, for its script.
pub(super) struct Seen<'a> {
    shard: &'a Shard,
    attempt: &'a Attempt,
    recipient: &'a Recipient,
    /// What different things are wanted for it.
    wishes: &'a Wishes,
    said: &'a Said,
    /// The envelope of the message; none where it is damaged, or was not [asked for](envelope).
    envelope: Option<&'a Envelope>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        shard: &'a Shard,
        envelope: Option<&'a Envelope>,
        attempt: &'a Attempt,
        recipient: &'a Recipient,
        wishes: &'a Wishes,
        said: &'a Said,
    ) -> Seen<'a> {
        Seen { shard, attempt, recipient, wishes, said, envelope }
    }

    fn stored(&self) -> Option<&'a spool::Recipient> {
        self.envelope?.recipients.get(self.recipient.key.recipient as usize)
    }

    /// What its scripts share, as far as one with these `needs` can tell.
    pub(super) fn item(&self, needs: Needs) -> Item {
        let metadata = if needs == Needs::Nothing { Metadata::default() } else { self.metadata() };
        let transaction = Uuid::from_bytes(self.attempt.transaction);
        let queue = self.recipient.key.recipient + 1;
        Item::new(transaction, queue, metadata, self.said.kept.clone())
    }

    /// As the queue has it; from disk, where that is too much to be kept in memory.
    fn metadata(&self) -> Metadata {
        let queue = self.shard.queue.borrow();
        let Some(kept) = queue.metadata(self.recipient.key) else {
            let changed = properties(self.shard, self.recipient).metadata;
            return changed.or_else(|| self.stored().map(stored::metadata)).unwrap_or_default();
        };
        kept.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    /// The facts of `$message`.
    pub(super) fn message(&self) -> Message {
        let Seen { shard, attempt, recipient, wishes, said, envelope } = self;
        let (stored, changed) = (self.stored(), properties(shard, recipient));
        let mail = envelope.map(|envelope| stored::mail_parameters(envelope, stored)).unwrap_or_default();
        let rcpt = stored.map(stored::rcpt_parameters).unwrap_or_default();
        let given = wishes.given(said.readdressed.as_deref());
        let sender = match &wishes.sender {
            Some((sender, _)) => sender.clone(),
            None => Address::parse(&attempt.sender).ok(),
        };
        let readdressed = said.readdressed.as_ref().map(|readdressed| readdressed.0.clone());
        let delta = stored.and_then(stored::stored_delta).cloned().unwrap_or_default();
        let text = |name: &Option<std::sync::Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
        let file = |delta| StoredFile { message: message_id(attempt.message), delta };
        Message {
            transaction: Uuid::from_bytes(attempt.transaction),
            queue: recipient.key.recipient + 1,
            // As it was counted then: whatever becomes of the clock, it is the same in all scripts.
            received_s: attempt.received_ms as f64 / 1000.0,
            server_id: envelope.map(|envelope| lossy(&envelope.server_id)).unwrap_or_default(),
            sender,
            recipient: readdressed.or_else(|| Address::parse(&recipient.address).ok()),
            transport: attempt.destination.transport.to_string(),
            tenant_id: text(&attempt.tenant_id),
            job_id: wishes.job_id.clone().unwrap_or_else(|| text(&attempt.job_id)),
            priority: changed.priority.or_else(|| stored.map(stored::priority)).unwrap_or_default(),
            size_bytes: modified_bytes(attempt.size_bytes, &delta),
            mail: given.mail(mail),
            rcpt: given.rcpt(rcpt),
            files: Files::new(file(Bytes::new()), file(delta)),
        }
    }
}

/// The envelope of an attempt's message, where its script can tell something that only that says.
pub(super) async fn envelope(
    shard: &Rc<Shard>,
    hook: &QueueHook,
    attempt: &Attempt,
) -> Result<Option<Envelope>, ReadError> {
    let is_asked_for = match hook.script().needs() {
        Needs::Nothing => false,
        Needs::Metadata => {
            let queue = shard.queue.borrow();
            attempt.recipients.iter().any(|recipient| queue.metadata(recipient.key).is_none())
        }
        Needs::Envelope => true,
    };
    if is_asked_for { shard.store.envelope(message_id(attempt.message)).await.map(Some) } else { Ok(None) }
}

/// What has changed of a recipient since it came.
pub(super) fn properties(shard: &Shard, recipient: &Recipient) -> Properties {
    let stored = shard.store.properties(item_id(recipient.key));
    stored.map(|bytes| Properties::decode(&bytes)).unwrap_or_default()
}

/// Makes metadata that a script has replaced durable.
pub(super) fn keep_metadata(shard: &Shard, recipient: &Recipient, item: &Item) {
    let Some(metadata) = item.take_metadata() else { return };
    shard.queue.borrow_mut().replace_metadata(recipient.key, &metadata);
    let mut changed = properties(shard, recipient);
    changed.metadata = Some(metadata);
    drop(shard.store.settle(vec![(item_id(recipient.key), Settle::Properties(changed.encode()))]));
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Size of a message with its changes.
fn modified_bytes(stored_bytes: u64, delta: &Bytes) -> u64 {
    let Ok(delta) = Delta::decode(delta) else { return stored_bytes };
    let inserted = |data: &Data| match data {
        Data::Bytes(bytes) => bytes.len() as u64,
        Data::DateField => mail::delta::date_field(Now::default()).len() as u64,
    };
    let splices = delta.splices().iter();
    splices.fold(stored_bytes, |bytes, splice| {
        (bytes + inserted(&splice.data)).saturating_sub(u64::from(splice.count))
    })
}

/// The bytes of a stored message, read when a script opens them.
struct StoredFile {
    message: MessageId,
    /// The stored form of the changes to apply; empty: none.
    delta: Bytes,
}

impl HostFile for StoredFile {
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, String>>>> {
        let (message, delta) = (self.message, self.delta.clone());
        Box::pin(async move {
            let shard = Shell::here().shard().ok_or("the message is not of this thread")?;
            let whole = whole(&shard, message).await?;
            if delta.is_empty() {
                return Ok(whole);
            }
            let delta = Delta::decode(&delta).map_err(|error| error.to_string())?;
            let now = Now { unix_s: (engine::time::wall_ms() / 1000) as i64, offset_min: 0 };
            Ok(delta.apply(&whole, now).into())
        })
    }
}

async fn whole(shard: &Shard, message: MessageId) -> Result<Bytes, String> {
    let mut body = shard.store.body(message);
    if body.len() > limits::SCRIPT_MESSAGE_BYTES {
        return Err(format!("it is larger than {} bytes", limits::SCRIPT_MESSAGE_BYTES));
    }
    let mut whole = BytesMut::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => whole.extend_from_slice(&chunk),
            Ok(None) => return Ok(whole.freeze()),
            Err(ReadError::Gone) => return Err("the message is gone".to_owned()),
            Err(ReadError::Corrupt) => return Err("the stored message is damaged".to_owned()),
            Err(ReadError::Io(error)) => return Err(error.to_string()),
        }
    }
}
