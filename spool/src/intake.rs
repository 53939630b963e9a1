//! A message on its way in.

use std::rc::Rc;

use bytes::Bytes;
use engine::budget::Reservation;
use engine::sync::{Sender, oneshot};

use crate::extent::Extent;
use crate::failure::commit_error;
use crate::files::Handle;
use crate::format::record::{CommitHead, ItemImage, MOVED, Part};
use crate::limits::{CHUNK_FIRST_BYTES, CHUNK_MAX_BYTES, PREFIX_MAX_BYTES};
use crate::recovery::RecoveredItem;
use crate::segments::Purpose;
use crate::state::{Chunks, PartRef};
use crate::store::Store;
use crate::types::{Envelope, MessageId};
use crate::writer::{Body, Commit, Request, Spilled};

/// Announced sizes are a little off: what a first buffer has on top.
const EXPECTED_SLACK_BYTES: usize = 512;

/// Why a message is not taken now. All are temporary but `TooLarge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Free space is below the limit: `452 4.3.1`.
    DiskFull,
    /// Buffers are in use: `451 4.3.2` or wait.
    Memory,
    /// The disk does not take writes: `451 4.3.0`.
    Unhealthy,
    /// The spool was opened read-only, or is closing: `451 4.3.2`.
    ReadOnly,
    /// Larger than any message may be: `552 5.3.4`.
    TooLarge,
}

/// Why a message was not committed. It does not exist: it will not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// No space: `452 4.3.1`.
    DiskFull,
    /// The write failed: `451 4.3.0`.
    Io(String),
    /// The store is unhealthy or closing: `451 4.3.2`.
    Unavailable,
    /// Message or envelope larger than the limits: `552 5.3.4`.
    TooLarge,
}

/// A message on its way in: nobody else sees it before [`Intake::commit`]. Dropping it aborts and gives back
/// what it used.
#[derive(Debug)]
pub struct Intake {
    store: Rc<Store>,
    purpose: Purpose,
    expected: u64,
    len: u64,
    /// Full buffers, then the one that is being filled.
    chunks: Vec<Bytes>,
    current: Vec<u8>,
    memory: Option<Reservation>,
    /// More memory is in use than the budget allows.
    over: bool,
    parts: Vec<PartRef>,
    /// The same, as they are written.
    named: Vec<Part>,
    holds: Vec<Handle>,
    spilled: u64,
    extent: Option<Extent>,
    /// The extent is complete and among the parts.
    sealed: bool,
    error: Option<CommitError>,
}

impl Intake {
    pub(crate) fn new(store: Rc<Store>, purpose: Purpose, expected: Option<u64>) -> Intake {
        Intake {
            store,
            purpose,
            expected: expected.unwrap_or(0),
            len: 0,
            chunks: Vec::new(),
            current: Vec::new(),
            memory: None,
            over: false,
            parts: Vec::new(),
            named: Vec::new(),
            holds: Vec::new(),
            spilled: 0,
            extent: None,
            sealed: false,
            error: None,
        }
    }

    /// Appends body bytes: copies them once. Never waits; after it, [`Intake::ready`] must be awaited before more
    /// is read from the client. An error of spilling shows up in `ready` and `commit`.
    pub fn write(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let max = self.store.options.max_message_bytes;
        if max > 0 && self.len > max {
            self.fail(CommitError::TooLarge);
        }
        if self.error.is_some() {
            return;
        }
        while !bytes.is_empty() {
            if self.current.len() == self.current.capacity() {
                self.next_buffer();
            }
            let fits = (self.current.capacity() - self.current.len()).min(bytes.len());
            let (now, later) = bytes.split_at(fits);
            self.current.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Puts the full buffer away and gets a new one: of the size that was announced, else larger each time.
    fn next_buffer(&mut self) {
        let full = std::mem::take(&mut self.current);
        let size = if full.capacity() > 0 {
            full.capacity() * 4
        } else {
            usize::try_from(self.expected).unwrap_or(usize::MAX).saturating_add(EXPECTED_SLACK_BYTES)
        };
        let first = if self.expected > 0 { EXPECTED_SLACK_BYTES } else { CHUNK_FIRST_BYTES };
        let size = size.clamp(first, CHUNK_MAX_BYTES);
        if !full.is_empty() {
            self.chunks.push(Bytes::from(full));
        }
        self.over |= !self.take_memory(size);
        self.current = Vec::with_capacity(size);
    }

    /// Takes memory from the budget; bodies that are only cached make room.
    fn take_memory(&mut self, bytes: usize) -> bool {
        loop {
            let taken = match &mut self.memory {
                Some(memory) => memory.try_grow(bytes),
                None => {
                    self.memory = self.store.budget.try_reserve(bytes);
                    self.memory.is_some()
                }
            };
            if taken {
                return true;
            }
            if !self.store.state.borrow_mut().evict_one() {
                return false;
            }
        }
    }

    /// Waits until the buffers are within budget, spilling to disk if that helps. Returns at once for small
    /// messages. On an error the message cannot be committed any more; the client's remaining bytes may be
    /// written nonetheless and are dropped.
    pub async fn ready(&mut self) -> Result<(), CommitError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let held = self.held();
        let budget = &self.store.budget;
        let tight = held >= CHUNK_MAX_BYTES && budget.used() > budget.capacity() / 8 * 7;
        if self.over || tight || held >= self.store.sizes.inline_bytes {
            return self.spill().await;
        }
        Ok(())
    }

    /// Writes everything held in memory to disk: for before waiting long (a script's DNS query). Durable only with
    /// the commit.
    pub async fn spill(&mut self) -> Result<(), CommitError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !self.current.is_empty() {
            let last = std::mem::take(&mut self.current);
            self.chunks.push(Bytes::from(last));
        }
        let chunks = std::mem::take(&mut self.chunks);
        let result = self.spill_chunks(chunks).await;
        self.memory = None;
        self.over = false;
        if let Err(error) = &result {
            self.fail(error.clone());
        }
        result
    }

    async fn spill_chunks(&mut self, chunks: Vec<Bytes>) -> Result<(), CommitError> {
        let sizes = self.store.sizes;
        let large = self.expected > sizes.spilled_bytes;
        let total: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if self.extent.is_none() && (large || self.spilled + total > sizes.spilled_bytes) {
            self.extent = Some(Extent::create(&self.store).await.map_err(|error| commit_error(&error))?);
        }
        for mut chunk in chunks {
            if let Some(extent) = &mut self.extent {
                extent.write(&chunk).await.map_err(|error| commit_error(&error))?;
                continue;
            }
            while !chunk.is_empty() {
                let piece = chunk.split_to(chunk.len().min(sizes.body_record_bytes));
                self.spill_piece(piece).await?;
            }
        }
        Ok(())
    }

    async fn spill_piece(&mut self, bytes: Bytes) -> Result<(), CommitError> {
        let len = bytes.len() as u64;
        let (waiter, spilled) = oneshot();
        self.store.enqueue(Request::Body(Body { bytes, purpose: self.purpose, waiter }));
        let Spilled { segment, hold, at } = spilled.await.unwrap_or(Err(CommitError::Unavailable))?;
        self.named.push(Part::Record { segment: hold.identity.sequence, at });
        self.parts.push(PartRef::Record { segment, at });
        self.holds.push(hold);
        self.spilled += len;
        Ok(())
    }

    /// Body bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// True when no byte was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The body so far, in pieces, where it is still in memory, for scripts and checks; none when it was spilled.
    pub fn chunks(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let whole = self.parts.is_empty() && self.extent.is_none() && self.error.is_none();
        let last = Some(&self.current[..]).filter(|last| !last.is_empty());
        whole.then(|| self.chunks.iter().map(|chunk| &chunk[..]).chain(last))
    }

    /// `prefix` and all of the body in one piece, from memory or read back and verified: for scripts, once all of it has
    /// come.
    ///
    /// # Errors
    /// The message cannot be committed any more.
    pub async fn content(&mut self, prefix: &[u8]) -> Result<Bytes, CommitError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        self.seal().await?;
        let mut out = Vec::with_capacity(prefix.len() + usize::try_from(self.len).unwrap_or_default());
        out.extend_from_slice(prefix);
        if !self.parts.is_empty() {
            let read = crate::body::read_parts(&self.store, &self.parts, &mut out).await;
            if let Err(error) = read {
                let error = CommitError::Io(error);
                self.fail(error.clone());
                return Err(error);
            }
        }
        self.chunks.iter().for_each(|chunk| out.extend_from_slice(chunk));
        out.extend_from_slice(&self.current);
        Ok(out.into())
    }

    /// Completes the extent, if there is one: nothing is written after that.
    async fn seal(&mut self) -> Result<(), CommitError> {
        if let (Some(extent), false) = (&mut self.extent, self.sealed) {
            let (part, named) = extent.finish(&self.store).await.map_err(|error| commit_error(&error))?;
            self.parts.push(part);
            self.named.push(named);
            self.sealed = true;
        }
        Ok(())
    }

    fn held(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum::<usize>() + self.current.len()
    }

    /// Nothing more is kept of it.
    fn fail(&mut self, error: CommitError) {
        self.error.get_or_insert(error);
        self.chunks = Vec::new();
        self.current = Vec::new();
        self.memory = None;
        self.holds = Vec::new();
    }

    /// Makes the message exist: it is `prefix` (headers added on top, at most [`crate::limits::PREFIX_MAX_BYTES`])
    /// followed by what was written. Returns when it is on stable storage; commits end in the order in which they were
    /// asked for. Dropping the future gives the message up, as far as that is still possible (as after a lost
    /// connection, RFC 1047).
    pub async fn commit(self, envelope: &Envelope, prefix: Bytes) -> Result<MessageId, CommitError> {
        self.commit_with(envelope, prefix, None).await
    }

    /// The same for a message that was queued before, elsewhere: only these of its recipients are queued, in these states,
    /// by one record. They are in the order of their indexes, each below the number of the envelope's recipients.
    pub async fn commit_queued(
        self,
        envelope: &Envelope,
        items: &[RecoveredItem],
    ) -> Result<MessageId, CommitError> {
        let images = items.iter().map(ItemImage::from).collect();
        self.commit_with(envelope, Bytes::new(), Some(images)).await
    }

    async fn commit_with(
        mut self,
        envelope: &Envelope,
        prefix: Bytes,
        items: Option<Vec<ItemImage>>,
    ) -> Result<MessageId, CommitError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let size = self.len + prefix.len() as u64;
        let max = self.store.options.max_message_bytes;
        if prefix.len() > PREFIX_MAX_BYTES || (max > 0 && size > max) || envelope.recipients.is_empty() {
            return Err(CommitError::TooLarge);
        }
        if self.held() + prefix.len() > self.store.sizes.inline_bytes {
            self.spill().await?;
        }
        self.seal().await?;
        let meta = self.meta(envelope, prefix.len(), size, items.as_deref());
        if meta.len() > self.store.sizes.meta_bytes {
            return Err(CommitError::TooLarge);
        }
        let (waiter, result) = oneshot();
        let mut commit = self.request(envelope, meta, prefix, size, waiter);
        if let Some(items) = items {
            commit.items = Some(items);
            commit.flags = MOVED;
        }
        self.store.enqueue(Request::Commit(commit));
        let extent = self.extent.take();
        let result = result.await.unwrap_or(Err(CommitError::Unavailable));
        if result.is_err() {
            self.extent = extent;
        }
        result
    }

    fn meta(
        &self,
        envelope: &Envelope,
        prefix_bytes: usize,
        size: u64,
        items: Option<&[ItemImage]>,
    ) -> Vec<u8> {
        let mut meta = Vec::with_capacity(256 + 64 * envelope.recipients.len());
        let head = CommitHead {
            id: MessageId { log: 0, sequence: 0 },
            recipients: envelope.recipients.len() as u32,
            prefix_bytes: prefix_bytes as u32,
            parts: Vec::new(),
            items: items.map(<[ItemImage]>::to_vec),
        };
        head.encode_with(&mut meta, &self.named);
        crate::format::envelope::encode(&mut meta, envelope, size);
        meta
    }

    fn request(
        &mut self,
        envelope: &Envelope,
        meta: Vec<u8>,
        prefix: Bytes,
        size: u64,
        waiter: Sender<Result<MessageId, CommitError>>,
    ) -> Commit {
        let mut body = Chunks::default();
        for chunk in self.chunks.drain(..) {
            body.push(chunk);
        }
        let last = std::mem::take(&mut self.current);
        if !last.is_empty() {
            body.push(Bytes::from(last));
        }
        let whole = self.parts.is_empty();
        // What is kept for the first attempt has the envelope in it, or nothing is kept.
        let memory = self.memory.take().filter(|_| whole);
        let memory = memory.and_then(|mut memory| memory.try_grow(meta.len()).then_some(memory));
        let parts = std::mem::take(&mut self.parts);
        Commit {
            purpose: self.purpose,
            meta,
            prefix,
            body,
            parts: parts.into_boxed_slice(),
            _holds: std::mem::take(&mut self.holds),
            recipients: envelope.recipients.len() as u32,
            items: None,
            flags: 0,
            size,
            memory,
            waiter,
            since: engine::time::now(),
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        // The keeper removes the file: it needs no settle to be durable before.
        if let Some(extent) = &self.extent
            && let Ok(mut state) = self.store.state.try_borrow_mut()
        {
            state.unlink.push((0, self.store.log, extent.id));
            drop(state);
            self.store.wake_keeper.notify_one();
        }
    }
}
