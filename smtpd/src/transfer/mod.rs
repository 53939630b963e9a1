//! Queued messages into files, and back ([`spool::hqf`]): on the shard that has them, or gets them.
//!
//! A recipient is in one place, whenever the server is killed. What is on its way says so in its properties
//! ([`Transfer`]): [`export`] writes that down before it writes the file, [`import`] in the record that makes the message
//! exist. The way ends when the file is complete, or gone; a start that finds it unfinished looks at the file.

mod export;
mod import;

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use engine::disk::{Dir, OpenOptions};
use spool::{ItemId, ItemState, Recovered, RecoveredItem, Settle};

use crate::log::Priority;
use crate::shard::Shard;
use crate::stored::{Properties, Transfer};

pub use export::{Exported, export};
pub use import::{Order, Reader, Source, import};

/// What becomes of a recipient that was found on its way.
enum Found {
    /// It stays here.
    Here,
    /// It is in the file.
    Gone,
    /// Nobody knows: it is kept from being sent.
    Unknown(String),
}

/// Finishes the way of recipients that were on it when the server ended. Those that have left are taken out of `message`.
pub async fn finish_found(shard: &Rc<Shard>, message: &mut Recovered) {
    let moving = |item: &RecoveredItem| item.properties.as_deref().is_some_and(Properties::is_moving);
    if !message.items.iter().any(moving) {
        return;
    }
    let mut settled = Vec::new();
    let mut kept = Vec::with_capacity(message.items.len());
    for mut item in std::mem::take(&mut message.items) {
        let mut properties = item.properties.as_deref().map(Properties::decode).unwrap_or_default();
        let Some(transfer) = properties.transfer.take() else {
            kept.push(item);
            continue;
        };
        let id = ItemId { message: message.id, recipient: item.recipient };
        match look(&transfer).await {
            Found::Here => {
                let encoded = properties.encode();
                settled.push((id, Settle::Properties(encoded.clone())));
                item.properties = Some(encoded);
                kept.push(item);
            }
            Found::Gone => {
                settled.push((id, Settle::Done));
                tell_gone(shard, message.envelope.transaction, &item, &transfer);
            }
            Found::Unknown(why) => {
                // What is written down stays: the next start looks again.
                item.state = ItemState::Hold { reason: why.into() };
                kept.push(item);
            }
        }
    }
    message.items = kept;
    drop(shard.store.settle(settled));
}

/// Looks at the file.
async fn look(transfer: &Transfer) -> Found {
    let (path, result) = match transfer {
        Transfer::LoadedFrom(path) => (path, remove(path).await.map(|()| Found::Here)),
        Transfer::UnloadedTo(path) => (path, exists(path).await.map(|()| Found::Gone)),
    };
    match result {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Here,
        Err(error) => {
            let what = match transfer {
                Transfer::LoadedFrom(_) => "was loaded from a file that cannot be removed",
                Transfer::UnloadedTo(_) => "was being unloaded to a file that cannot be looked at",
            };
            Found::Unknown(format!("{what}: {path}: {error}"))
        }
    }
}

fn tell_gone(shard: &Shard, transaction: [u8; 16], item: &RecoveredItem, transfer: &Transfer) {
    let (Transfer::LoadedFrom(path) | Transfer::UnloadedTo(path)) = transfer;
    let (id, queue_id) = (uuid::Uuid::from_bytes(transaction), item.recipient + 1);
    shard
        .log
        .line(Priority::Notice, format_args!("[{id}:{queue_id}] had left for {path} before the last stop"));
}

/// Removes a file, durably.
async fn remove(path: &str) -> io::Result<()> {
    let (dir, name) = parts(path)?;
    let dir = Dir::open(&dir).await?;
    dir.remove(name).await?;
    dir.sync().await
}

async fn exists(path: &str) -> io::Result<()> {
    let (dir, name) = parts(path)?;
    Dir::open(&dir).await?.open_file(name, OpenOptions::default()).await.map(drop)
}

/// Directory and name of a file.
fn parts(path: &str) -> io::Result<(PathBuf, &str)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "not the absolute path of a file");
    let (directory, name) = path.rsplit_once('/').ok_or_else(invalid)?;
    if !path.starts_with('/') || name.is_empty() {
        return Err(invalid());
    }
    Ok((Path::new(if directory.is_empty() { "/" } else { directory }).to_owned(), name))
}
