//! Queued recipients into files: `queue unload`.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::rc::Rc;

use engine::buf::AlignedBuf;
use engine::disk::{Dir, Durability, File, OpenOptions};
use queue::{ItemKey, ItemView, Settlement, State};
use spool::{MessageId, ReadError, RecoveredItem, Settle, hqf};
use uuid::Uuid;

use crate::delivery::{item_id, message_id};
use crate::limits;
use crate::shard::Shard;
use crate::stored::{Properties, Transfer};

/// What was unloaded.
#[derive(Debug, Default)]
pub struct Exported {
    /// Recipients that are in files now, and no longer queued.
    pub recipients: u64,
    /// The files.
    pub paths: Vec<String>,
    /// Why it ended early.
    pub failed: Option<String>,
    /// There may be more to unload.
    pub more: bool,
}

impl Exported {
    /// With what was unloaded next.
    pub fn add(&mut self, next: Exported) {
        let room = limits::CONTROL_PATHS.saturating_sub(self.paths.len());
        self.recipients += next.recipients;
        self.paths.extend(next.paths.into_iter().take(room));
        self.failed = next.failed;
    }
}

/// Unloads recipients into files below a directory, in the order of their messages. Those that `concerns` does not name any
/// more when their turn comes stay.
pub async fn export(
    shard: &Rc<Shard>,
    mut keys: Vec<ItemKey>,
    directory: &str,
    concerns: impl Fn(&ItemView<'_>, u64) -> bool,
) -> Exported {
    let mut exported = Exported::default();
    keys.sort_unstable();
    let messages: Vec<&[ItemKey]> = keys.chunk_by(|one, other| one.message == other.message).collect();
    for chunk in messages.chunks(limits::UNLOAD_CHUNK) {
        if shard.is_stopping() {
            exported.failed = Some("the server is shutting down".to_owned());
            return exported;
        }
        let mut taken = Vec::with_capacity(chunk.len());
        let mut names = HashSet::new();
        for keys in chunk {
            match take(shard, keys, directory, &mut names, &concerns).await {
                Ok(Some(leaving)) => taken.push(leaving),
                Ok(None) => {}
                Err(why) => {
                    exported.failed = Some(why);
                    break;
                }
            }
        }
        if exported.failed.is_some() {
            taken.into_iter().for_each(|leaving| give_back(shard, leaving));
            return exported;
        }
        let leaving = taken.iter().map(|leaving| leaving.before.len() as u64).sum();
        shard.stats.updating.raise_by(leaving);
        write_all(shard, taken, &mut exported).await;
        shard.stats.updating.lower_by(leaving);
        if exported.failed.is_some() {
            return exported;
        }
    }
    exported
}

/// Recipients of a message, out of the queue's reach.
struct Leaving {
    message: MessageId,
    before: Vec<Before>,
    directory: String,
    name: String,
}

/// A recipient as it was.
struct Before {
    key: ItemKey,
    attempts: u32,
    state: State,
    hold_reason: Option<String>,
    stored: RecoveredItem,
}

impl Leaving {
    fn path(&self) -> String {
        format!("{}/{}", self.directory, self.name)
    }
}

async fn take(
    shard: &Rc<Shard>,
    keys: &[ItemKey],
    directory: &str,
    names: &mut HashSet<String>,
    concerns: impl Fn(&ItemView<'_>, u64) -> bool,
) -> Result<Option<Leaving>, String> {
    let Some(first) = keys.first() else { return Ok(None) };
    let Some(transaction) = shard.queue.borrow().get(*first).map(|item| item.transaction) else {
        return Ok(None);
    };
    let id = Uuid::from_bytes(transaction).to_string();
    let directory = format!("{directory}/{}", &id[..2]);
    let dir = Dir::create(Path::new(&directory)).await.map_err(|error| failed(&directory, &error))?;
    let name = free_name(&dir, &id, names).await?;
    let now_ms = engine::time::steady_ms();
    let mut queue = shard.queue.borrow_mut();
    let mut before = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(item) = queue.get(*key).filter(|item| concerns(item, now_ms)) else { continue };
        // What the spool does not know is about to end.
        let Some(stored) = shard.store.item(item_id(*key)) else { continue };
        let hold_reason = item.hold_reason.map(str::to_owned);
        let as_it_was = Before { key: *key, attempts: item.attempts, state: item.state, hold_reason, stored };
        if queue.take(*key).is_ok() {
            before.push(as_it_was);
        }
    }
    Ok((!before.is_empty()).then(|| Leaving { message: message_id(first.message), before, directory, name }))
}

/// A name that is not taken: there is a second one where the transaction was unloaded in parts.
async fn free_name(dir: &Dir, id: &str, names: &mut HashSet<String>) -> Result<String, String> {
    for number in 0..limits::UNLOAD_FILES {
        let name = if number == 0 { format!("{id}.hqf") } else { format!("{id}.{number}.hqf") };
        if names.contains(&name) {
            continue;
        }
        match dir.open_file(&name, OpenOptions::default()).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                names.insert(name.clone());
                return Ok(name);
            }
            Ok(_) => {}
            Err(error) => return Err(failed(&format!("{}/{name}", dir.path().display()), &error)),
        }
    }
    Err(format!("{}: there are {} files of {id} already", dir.path().display(), limits::UNLOAD_FILES))
}

/// Says of the messages where they go, writes their files, ends them here.
async fn write_all(shard: &Rc<Shard>, taken: Vec<Leaving>, exported: &mut Exported) {
    let said = taken.iter().flat_map(|leaving| {
        let transfer = Some(Transfer::UnloadedTo(leaving.path()));
        leaving.before.iter().map(move |before| {
            let stored = before.stored.properties.as_deref().map(Properties::decode);
            let mut properties = stored.unwrap_or_default();
            properties.transfer = transfer.clone();
            (item_id(before.key), Settle::Properties(properties.encode()))
        })
    });
    // What was told of them before must be on disk before they end.
    shard.accounting.flush().await;
    let said = said.collect();
    if shard.store.settle(said).await.is_err() {
        exported.failed.get_or_insert_with(|| "the spool takes no writes".to_owned());
    }
    let mut written = Vec::with_capacity(taken.len());
    for leaving in taken {
        if exported.failed.is_some() {
            give_back(shard, leaving);
            continue;
        }
        match write(shard, &leaving).await {
            Ok(()) => written.push(leaving),
            Err(why) => {
                exported.failed = Some(why);
                give_back(shard, leaving);
            }
        }
    }
    let gone = written.iter().flat_map(|leaving| &leaving.before);
    let gone = gone.map(|before| (item_id(before.key), Settle::Done)).collect();
    if shard.store.settle(gone).await.is_err() {
        exported.failed.get_or_insert_with(|| "the spool takes no writes; the last files count".to_owned());
    }
    let mut queue = shard.queue.borrow_mut();
    for leaving in written {
        for before in &leaving.before {
            queue.finish(before.key);
            shard.delivery.forget(before.key);
        }
        exported.recipients += leaving.before.len() as u64;
        exported.paths.push(leaving.path());
    }
}

/// As it was before.
fn give_back(shard: &Shard, leaving: Leaving) {
    let now_ms = engine::time::steady_ms();
    let mut settled = Vec::with_capacity(leaving.before.len());
    let mut queue = shard.queue.borrow_mut();
    for before in leaving.before {
        let settlement = match before.state {
            State::Hold => Settlement::Hold { reason: before.hold_reason.as_deref().unwrap_or_default() },
            State::Defer { until_ms } => Settlement::Retry { at_ms: until_ms },
            State::Active | State::Sending | State::InHand => Settlement::Retry { at_ms: now_ms },
        };
        queue.settle(before.key, &settlement, before.attempts, None);
        let properties = before.stored.properties.unwrap_or_default();
        settled.push((item_id(before.key), Settle::Properties(properties)));
    }
    drop(queue);
    drop(shard.store.settle(settled));
    shard.due.notify_one();
}

/// Writes a file, which has its name when it is complete.
async fn write(shard: &Rc<Shard>, leaving: &Leaving) -> Result<(), String> {
    let id = leaving.message;
    let path = leaving.path();
    let unread = |error: ReadError| match error {
        ReadError::Gone => format!("{path}: its message is not in the spool any more"),
        ReadError::Corrupt => format!("{path}: its message is damaged in the spool"),
        ReadError::Io(error) => format!("the spool cannot be read: {error}"),
    };
    let envelope = shard.store.envelope(id).await.map_err(unread)?;
    let mut body = shard.store.body(id);
    let items: Vec<_> = leaving.before.iter().map(|before| before.stored.clone()).collect();
    let dir = Dir::open(Path::new(&leaving.directory)).await.map_err(|error| failed(&path, &error))?;
    let temporary = format!("{}.part", leaving.name);
    let written = async {
        let mut out = Output::create(&dir, &temporary).await.map_err(|error| failed(&path, &error))?;
        out.held = hqf::head(&envelope, body.len(), &items);
        while let Some(bytes) = body.next().await.map_err(unread)? {
            hqf::put_piece(&mut out.held, &bytes);
            if out.held.len() >= limits::TRANSFER_BYTES {
                out.flush().await.map_err(|error| failed(&path, &error))?;
            }
        }
        hqf::put_end(&mut out.held, body.len(), items.len() as u32);
        out.finish().await.map_err(|error| failed(&path, &error))?;
        dir.rename(&temporary, &leaving.name).await.map_err(|error| failed(&path, &error))?;
        dir.sync().await.map_err(|error| failed(&path, &error))
    };
    let result = written.await;
    if result.is_err() {
        // A complete file under its name would count; what is left of it besides is nothing.
        for name in [&temporary, &leaving.name] {
            let _ = dir.remove(name).await;
        }
    }
    result
}

struct Output {
    file: File,
    at: u64,
    held: Vec<u8>,
}

impl Output {
    async fn create(dir: &Dir, name: &str) -> io::Result<Output> {
        let options = OpenOptions { write: true, create: true, mode: 0o600, ..OpenOptions::default() };
        let file = dir.open_file(name, options).await?;
        // Of an unload that was cut off.
        file.set_len(0).await?;
        Ok(Output { file, at: 0, held: Vec::new() })
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut buf = AlignedBuf::with_capacity(self.held.len());
        buf.extend_from_slice(&self.held);
        self.file.write_at(self.at, buf, Durability::Cached).await.0?;
        self.at += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.file.sync().await
    }
}

fn failed(path: &str, error: &io::Error) -> String {
    format!("{path}: {error}")
}
