//! Files into the queue: `queue load`.

use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use engine::disk::{Dir, File, OpenOptions};
use spool::format::codec::Bad;
use spool::hqf::{Decoder, Part, Unloaded};
use spool::{Intake, ItemId, MessageId, RecoveredItem, Settle};

use super::{parts, remove};
use crate::bounce::{failure, refusal};
use crate::limits;
use crate::shard::{Clock, Entering, Shard};
use crate::stored::{Properties, Transfer};

/// Where a message comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, by its absolute path.
    File(String),
    /// The content of one.
    Content(Bytes),
}

/// What is to be taken into the queue.
#[derive(Clone, Debug)]
pub struct Order {
    /// The message.
    pub source: Source,
    /// What its head was when somebody made sure that none of it is queued.
    pub expected: Box<Unloaded>,
    /// The file goes once its message is safe.
    pub remove: bool,
    /// It is only read.
    pub dry_run: bool,
}

/// Reads a source, part by part.
#[derive(Debug)]
pub struct Reader {
    name: String,
    source: Opened,
    decoder: Decoder,
}

#[derive(Debug)]
enum Opened {
    File(File, u64),
    Content(Bytes),
}

impl Reader {
    /// Opens it.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub async fn open(source: &Source) -> Result<Reader, String> {
        let (name, source) = match source {
            Source::Content(bytes) => ("the message".to_owned(), Opened::Content(bytes.clone())),
            Source::File(path) => {
                let opened = async {
                    let (dir, name) = parts(path)?;
                    Dir::open(Path::new(&dir)).await?.open_file(name, OpenOptions::default()).await
                };
                let file = opened.await.map_err(|error| format!("{path}: {error}"))?;
                (path.clone(), Opened::File(file, 0))
            }
        };
        Ok(Reader { name, source, decoder: Decoder::default() })
    }

    /// What comes first.
    ///
    /// # Errors
    /// As of [`Reader::next`].
    pub async fn head(&mut self) -> Result<Box<Unloaded>, String> {
        match self.next().await? {
            Part::Head(head) => Ok(head),
            Part::Body(_) | Part::End => Err(self.bad(Bad::Value("order of records"))),
        }
    }

    /// The next part.
    ///
    /// # Errors
    /// A sentence that names the file: it cannot be read, or is no unloaded message, or damaged.
    pub async fn next(&mut self) -> Result<Part, String> {
        loop {
            if let Some(part) = self.decoder.next().map_err(|bad| self.bad(bad))? {
                if part == Part::End && !self.read().await?.is_empty() {
                    return Err(self.bad(Bad::Value("length of the file")));
                }
                return Ok(part);
            }
            let more = self.read().await?;
            if more.is_empty() {
                return Err(self.bad(Bad::Short));
            }
            self.decoder.push(&more);
        }
    }

    /// Empty at the end.
    async fn read(&mut self) -> Result<Bytes, String> {
        match &mut self.source {
            Opened::Content(rest) => Ok(rest.split_to(rest.len().min(limits::TRANSFER_BYTES))),
            Opened::File(file, at) => {
                let piece = file.read_at(*at, limits::TRANSFER_BYTES).await;
                let piece = piece.map_err(|error| format!("{}: {error}", self.name))?;
                *at += piece.len() as u64;
                Ok(Bytes::copy_from_slice(&piece))
            }
        }
    }

    fn bad(&self, bad: Bad) -> String {
        let name = &self.name;
        match bad {
            Bad::Magic => format!("{name}: is not an unloaded message"),
            Bad::TooNew => {
                format!("{name}: was written by another release, in a form that this one does not know")
            }
            bad => format!("{name}: is damaged: {bad}"),
        }
    }
}

/// Takes a message into this shard's queue: durable when it returns. Gives the number of recipients.
///
/// # Errors
/// A sentence. Nothing was queued, and the file is where it was.
pub async fn import(shard: Rc<Shard>, order: Order) -> Result<u64, String> {
    let mut reader = Reader::open(&order.source).await?;
    let head = reader.head().await?;
    if head != order.expected {
        return Err(format!("{}: has changed while it was read", reader.name));
    }
    if let (Source::Content(_), Some(transport)) = (&order.source, unknown_transport(&shard, &head)) {
        return Err(format!("{}: there is no transport \"{transport}\"", reader.name));
    }
    let count = head.items.len();
    if shard.queue.borrow().room() < count {
        return Err(format!("{}: the queue is full", reader.name));
    }
    if order.dry_run {
        while reader.next().await? != Part::End {}
        return Ok(count as u64);
    }
    let said = |why: String| format!("{}: {why}", reader.name);
    let begun = shard.store.begin(Some(head.size_bytes));
    let mut intake = begun.map_err(|refused| said(refusal(&refused)))?;
    fill(&mut reader, &mut intake).await?;
    let name = reader.name;
    let from = match order.source {
        Source::File(path) if order.remove => Some(path),
        Source::File(_) | Source::Content(_) => None,
    };
    let items: Vec<_> = head.items.iter().map(|item| arriving(item, from.as_deref())).collect();
    let committed = intake.commit_queued(&head.envelope, &items).await;
    let message = committed.map_err(|error| format!("{name}: {}", failure(&error)))?;
    if let Some(path) = &from {
        leave(&shard, message, &head.items, path).await?;
    }
    let (clock, received_ms) = (Clock::now(&shard), head.envelope.received_ms);
    let entering = head.items.iter().map(|item| Entering::stored(item, received_ms, &clock));
    shard.enqueue_all(message, &head.envelope, head.size_bytes, entering).await;
    shard.due.notify_one();
    Ok(count as u64)
}

/// A transport of the message that this server does not have. A file may come from a server that had others, and waits; who
/// has made a message for this server is told.
fn unknown_transport(shard: &Shard, head: &Unloaded) -> Option<String> {
    let snapshot = shard.snapshot();
    let transport = |item: &RecoveredItem| {
        let changed = item.properties.as_deref().map(Properties::decode).unwrap_or_default().transport;
        let recipient = head.envelope.recipients.get(item.recipient as usize)?;
        Some(changed.unwrap_or_else(|| String::from_utf8_lossy(&recipient.transport).into_owned()))
    };
    head.items.iter().filter_map(transport).find(|transport| !snapshot.routes.contains_key(transport))
}

/// Reads the message to its end.
async fn fill(reader: &mut Reader, intake: &mut Intake) -> Result<(), String> {
    loop {
        match reader.next().await? {
            Part::Body(bytes) => {
                intake.write(&bytes);
                let ready = intake.ready().await;
                ready.map_err(|error| format!("{}: {}", reader.name, failure(&error)))?;
            }
            Part::End => return Ok(()),
            Part::Head(_) => return Err(reader.bad(Bad::Value("a second envelope"))),
        }
    }
}

/// With what a start must know when it finds the message and the file.
fn arriving(item: &RecoveredItem, from: Option<&str>) -> RecoveredItem {
    let Some(path) = from else { return item.clone() };
    let mut properties = item.properties.as_deref().map(Properties::decode).unwrap_or_default();
    properties.transfer = Some(Transfer::LoadedFrom(path.to_owned()));
    RecoveredItem { properties: Some(properties.encode()), ..item.clone() }
}

/// The message is safe: its file goes. If that fails the message goes, which nobody has seen yet.
async fn leave(shard: &Shard, message: MessageId, items: &[RecoveredItem], path: &str) -> Result<(), String> {
    let id = |item: &RecoveredItem| ItemId { message, recipient: item.recipient };
    match remove(path).await {
        Ok(()) => {
            let settled = items.iter().map(|item| {
                let properties = item.properties.clone().unwrap_or_default();
                (id(item), Settle::Properties(properties))
            });
            drop(shard.store.settle(settled.collect()));
            Ok(())
        }
        Err(error) => {
            let gone = items.iter().map(|item| (id(item), Settle::Done));
            let _ = shard.store.settle(gone.collect()).await;
            Err(format!("{path}: is not loaded, as it cannot be removed: {error}"))
        }
    }
}
