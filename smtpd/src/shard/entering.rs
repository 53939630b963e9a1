//! Recipients of stored messages on their way into the queue.

use engine::task::Slice;
use queue::{Details, Entry, Item, ItemKey, LastAttempt, Origin};
use rustc_hash::FxHashMap;
use spool::{Envelope, ItemState, MessageId, RecoveredItem};

use super::Shard;
use crate::answers;
use crate::limits;
use crate::log::Priority;
use crate::stored::{self, Properties, Variant};
use net::smtp::domain::domain_of;

/// A recipient of a stored message on its way into the queue.
#[derive(Clone, Debug)]
pub struct Entering {
    /// Index in the envelope.
    pub index: u32,
    /// Attempts behind it.
    pub attempts: u32,
    /// How it enters.
    pub entry: Entry,
    /// What its last attempt came to.
    pub last: Option<LastAttempt>,
    /// What has changed since it came.
    pub properties: Properties,
    /// It comes from a live stage, which lasts.
    pub staged: bool,
}

impl Entering {
    /// One that nothing has happened to yet.
    pub fn new(index: u32) -> Entering {
        let properties = Properties::default();
        Entering { index, attempts: 0, entry: Entry::Active, last: None, properties, staged: false }
    }

    /// One of a message received at `received_ms` that was queued before.
    pub fn stored(item: &RecoveredItem, received_ms: u64, clock: &Clock) -> Entering {
        let last = last(&item.state);
        let touched_ms = last.as_ref().map_or(received_ms, |last| last.at_ms);
        Entering {
            index: item.recipient,
            attempts: item.attempts,
            entry: entry(&item.state, touched_ms, clock),
            last,
            properties: item.properties.as_deref().map(Properties::decode).unwrap_or_default(),
            staged: false,
        }
    }
}

/// The clock of a start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now_ms: u64,
    /// The furthest off that the schedules put a retry.
    latest_ms: u64,
}

impl Clock {
    /// As it is now.
    pub fn now(shard: &Shard) -> Clock {
        let now_ms = engine::time::steady_ms();
        Clock { now_ms, latest_ms: now_ms.saturating_add(shard.snapshot().longest_retry_ms()) }
    }
}

impl Shard {
    /// Queues a few recipients of a message that is in the spool. One that the queue does not take stays in the spool and is
    /// found at the next start.
    pub fn enqueue(
        &self,
        message: MessageId,
        envelope: &Envelope,
        size_bytes: u64,
        items: impl Iterator<Item = Entering>,
    ) {
        let mut entrance = Entrance::of(self, message, envelope, size_bytes);
        items.for_each(|item| entrance.let_in(item));
    }

    /// The same for any number, a slice of them in each turn of the loop. If this is dropped before its end, the others are
    /// found at the next start, too. Nobody is told in between that there is something to do: a list of a thousand would go in
    /// more transactions than it needs.
    pub async fn enqueue_all(
        &self,
        message: MessageId,
        envelope: &Envelope,
        size_bytes: u64,
        items: impl Iterator<Item = Entering>,
    ) {
        let mut entrance = Entrance::of(self, message, envelope, size_bytes);
        let mut slice = Slice::begin(limits::ENQUEUE_SLICE);
        for item in items {
            entrance.let_in(item);
            slice.give_way().await;
        }
    }
}

/// Lets the recipients of a message into the queue.
struct Entrance<'e> {
    shard: &'e Shard,
    message: MessageId,
    envelope: &'e Envelope,
    size_bytes: u64,
    sender_domain: Option<String>,
    origin: Origin,
    flags: u16,
    /// The variants of the message so far, numbered from 1.
    variants: FxHashMap<Variant<'e>, u16>,
    now_ms: u64,
}

impl<'e> Entrance<'e> {
    fn of(shard: &'e Shard, message: MessageId, envelope: &'e Envelope, size_bytes: u64) -> Entrance<'e> {
        Entrance {
            shard,
            message,
            envelope,
            size_bytes,
            sender_domain: domain_of(&envelope.sender),
            origin: origin(envelope),
            flags: stored::flags(envelope),
            variants: FxHashMap::default(),
            now_ms: engine::time::steady_ms(),
        }
    }

    fn let_in(&mut self, entering: Entering) {
        let Entering { index, attempts, entry, last, properties, staged } = entering;
        let Entrance { shard, message, envelope, size_bytes, now_ms, .. } = *self;
        let Some(recipient) = envelope.recipients.get(index as usize) else { return };
        let ordered = stored::ordered(recipient);
        let variant = variant_of(&mut self.variants, ordered.variant);
        let mut ordered = ordered;
        let transport = std::str::from_utf8(&recipient.transport).unwrap_or_default();
        let transport = properties.overrule(&mut ordered, transport);
        let (sender, sender_domain) = match ordered.sender {
            Some(own) => (own, domain_of(own)),
            None => (&*envelope.sender, self.sender_domain.clone()),
        };
        let entry = match (entry, attempts, ordered.entry) {
            (Entry::Active, 0, Some(first)) => first,
            (entry, ..) => entry,
        };
        let item = Item {
            key: ItemKey::new(message.log, message.sequence, index),
            transaction: envelope.transaction,
            sender,
            sender_domain: sender_domain.as_deref(),
            recipient: &recipient.address,
            domain: std::str::from_utf8(&recipient.domain).unwrap_or_default(),
            transport,
            job_id: ordered.job_id,
            tenant_id: ordered.tenant_id,
            size_bytes,
            received_ms: envelope.received_ms,
            attempts,
            flags: self.flags | ordered.flags | variant | if staged { stored::STAGED } else { 0 },
            priority: ordered.priority,
            details: Details {
                origin: self.origin.clone(),
                metadata: &ordered.metadata,
                quotas: &ordered.quotas,
                last,
            },
        };
        shard.stats.loader.count.add(1);
        let queued = shard.queue.borrow_mut().insert(item, entry, now_ms);
        if let Err(error) = queued {
            let id = uuid::Uuid::from_bytes(envelope.transaction);
            let queue_id = index + 1;
            shard.log.line(
                Priority::Error,
                format_args!("[{id}:{queue_id}] not queued until the next start: {error}"),
            );
        }
    }
}

/// The queue flags that keep other variants of a message apart. `variants`: those so far, numbered from 1.
fn variant_of<'e>(variants: &mut FxHashMap<Variant<'e>, u16>, variant: Variant<'e>) -> u16 {
    if variant == Variant::default() {
        return 0;
    }
    let next = variants.len() as u16 + 1;
    match variants.get(&variant) {
        Some(number) => number << stored::VARIANT_SHIFT,
        None if usize::from(next) <= stored::VARIANTS_MAX => {
            variants.insert(variant, next);
            next << stored::VARIANT_SHIFT
        }
        None => queue::ALONE,
    }
}

/// What was stored before the start. An attempt that lies ahead says that the clock was set back: then no retry is further off
/// than the schedules allow. What an operator or a script has put off for longer stays so.
fn entry(state: &ItemState, touched_ms: u64, clock: &Clock) -> Entry {
    match state {
        ItemState::Active => Entry::Active,
        ItemState::RetryAt { at_ms, .. } if touched_ms > clock.now_ms => {
            Entry::DeferUntil((*at_ms).min(clock.latest_ms))
        }
        ItemState::RetryAt { at_ms, .. } => Entry::DeferUntil(*at_ms),
        ItemState::Hold { reason } => Entry::Hold(answers::text(reason).into()),
    }
}

/// What its last attempt came to, as stored.
fn last(state: &ItemState) -> Option<LastAttempt> {
    match state {
        ItemState::Active => None,
        ItemState::RetryAt { reply: stored, .. } | ItemState::Hold { reason: stored } => {
            answers::decode(stored)
        }
    }
}

fn origin(envelope: &Envelope) -> Origin {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
    Origin {
        server_id: text(&envelope.server_id),
        helo: text(&envelope.helo),
        sasl_user: text(envelope.auth_user.as_deref().unwrap_or_default()),
        peer: envelope.peer.map(|peer| peer.ip()),
    }
}
