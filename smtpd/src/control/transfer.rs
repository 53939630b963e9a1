//! `queue unload` and `queue load`.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use control::command_line::CommandLine as _;
use control::smtpd as proto;
use control::smtpd::queue_import_request::Source as From;
use engine::sync::Semaphore;
use queue::filter::{Condition, Filter};
use queue::{Cursor, ItemKey, ItemView, State};
use rustc_hash::FxHashSet;
use spool::hqf::Unloaded;
use uuid::Uuid;

use super::client::Client;
use super::conditions;
use super::scan::{self, Scanned, scanned};
use super::shards::{Answer, ask, ask_one, without};
use super::tags::Selection;
use crate::limits;
use crate::program::Control;
use crate::shard::Shard;
use crate::transfer::{Exported, Order, Reader, Source, export, import as import_here};

/// Takes what is selected out of the queue into files, shard by shard.
///
/// # Errors
/// A sentence on what is wrong with the request, or why it ended early and how far it came.
pub(super) async fn unload(
    client: &Client,
    request: proto::QueueUnloadRequest,
) -> Result<proto::QueueUnloadResponse, String> {
    let control = &client.control;
    let filter = Arc::new(conditions::selection(request.conditions.as_ref())?);
    let directory = directory(control, request.path.as_deref())?;
    let mut answer = proto::QueueUnloadResponse::default();
    let (mut answers, mut failed) = (Vec::new(), None);
    let most = if request.limit == 0 { u64::MAX } else { request.limit };
    for shard in 0..control.program.shards {
        let part = Part {
            filter: Arc::clone(&filter),
            directory: directory.clone(),
            dry_run: request.dryrun,
            most: most.saturating_sub(answer.affected),
        };
        let mut part = ask_one(control, shard, move |shard| unload_here(shard, part)).await;
        if let Answer::Here(Scanned { value, .. }) = &mut part {
            answer.affected += value.recipients;
            answer.more |= value.more;
            let room = limits::CONTROL_PATHS.saturating_sub(answer.paths.len());
            answer.paths.extend(value.paths.drain(..).take(room));
            failed = value.failed.take();
        }
        answers.push(part);
        if failed.is_some() {
            break;
        }
    }
    answer.missing = scan::sort_out(answers).1;
    if !request.dryrun {
        let why = failed.as_ref().map(|why| format!("; ended early: {why}")).unwrap_or_default();
        let request = proto::QueueUnloadRequest { path: Some(directory), ..request };
        let (line, count, without) = (request.command_line(), answer.affected, without(&answer.missing));
        client.log_change(format_args!("{line}: {count} recipients{without}{why}"));
    }
    match failed {
        None => Ok(answer),
        Some(why) => Err(format!("{why}; {} recipients were unloaded before that", answer.affected)),
    }
}

/// Where the files go: an absolute path without an end.
fn directory(control: &Control, given: Option<&str>) -> Result<String, String> {
    let Some(given) = given.filter(|path| !path.is_empty()) else {
        let path = control.program.startup.spool.path.join("unload");
        let path = std::path::absolute(path).map_err(|error| format!("spool.path: {error}"))?;
        let path = path.to_str().ok_or("spool.path: is not UTF-8: give a path")?;
        return Ok(path.to_owned());
    };
    match given.starts_with('/') && !given.contains('\0') {
        true => Ok(given.trim_end_matches('/').to_owned()),
        false => Err(format!("path: \"{given}\" is not an absolute path")),
    }
}

/// What a shard is to unload.
struct Part {
    filter: Arc<Selection>,
    directory: String,
    dry_run: bool,
    /// Recipients at most, and what is left of the last message.
    most: u64,
}

/// Some messages at a time: those of a whole queue would be millions to keep in mind.
async fn unload_here(shard: Rc<Shard>, part: Part) -> Scanned<Exported> {
    let Part { filter, directory, dry_run, most } = part;
    let filter = filter.on(&shard);
    let concerns = |item: &ItemView<'_>, now_ms: u64| {
        !matches!(item.state, State::Sending | State::InHand) && filter.matches(item, now_ms)
    };
    let mut all = Exported::default();
    let mut from = Some(Cursor::default());
    // The first recipient of the message that comes next.
    let mut begun: Option<ItemKey> = None;
    while let Some(next) = from.filter(|_| all.failed.is_none() && all.recipients < most) {
        let room = most.saturating_sub(all.recipients).min(limits::UNLOAD_SELECTED as u64) as usize;
        let mut selected: Vec<ItemKey> = begun.take().into_iter().collect();
        from = scan::scan_from(&shard, next, |item, now_ms| {
            if !concerns(&item, now_ms) {
                return true;
            }
            let goes_on = selected.last().is_some_and(|last| last.message == item.key.message);
            selected.push(item.key);
            // A message is not cut: the recipients of one follow each other, mostly.
            goes_on || selected.len() <= room
        })
        .await;
        if from.is_some() {
            begun = selected.pop();
        }
        if dry_run {
            all.recipients += selected.len() as u64;
        } else {
            let exported = export(&shard, selected, &directory, concerns).await;
            all.add(exported);
        }
    }
    all.more = from.is_some() && all.failed.is_none();
    scanned(&shard, all)
}

/// Files that are taken into the queue: one at a time, so that none comes twice.
#[derive(Debug)]
pub struct Imports {
    turn: Semaphore,
    /// Messages so far.
    count: Cell<u64>,
}

impl Default for Imports {
    fn default() -> Imports {
        Imports { turn: Semaphore::new(1), count: Cell::new(0) }
    }
}

/// Transactions that may be queued. What is not among them is not queued: new mail has new ids.
#[derive(Debug)]
pub(super) struct Known {
    transactions: FxHashSet<[u8; 16]>,
    /// [`Imports::count`] when it was right.
    as_of: u64,
}

/// Takes one unloaded message into the queue.
///
/// # Errors
/// A sentence that names the file; nothing was queued, and it is where it was.
pub(super) async fn import(
    client: &Client,
    request: proto::QueueImportRequest,
) -> Result<proto::QueueImportResponse, String> {
    let control = &client.control;
    let line = request.command_line();
    let (name, source) = match request.source {
        Some(From::Path(path)) => (path.clone(), Source::File(path)),
        Some(From::Data(data)) => ("the message".to_owned(), Source::Content(Bytes::from(data))),
        None => return Err("give a path, or data".to_owned()),
    };
    let _turn = control.imports.turn.acquire().await;
    let expected = Reader::open(&source).await?.head().await?;
    let mut known = match client.known.take() {
        Some(known) if known.as_of == control.imports.count.get() => known,
        _ => known_now(control).await?,
    };
    let transaction = expected.envelope.transaction;
    if known.transactions.contains(&transaction)
        && let Some(queue_id) = already_queued(control, &expected).await?
    {
        client.known.replace(Some(known));
        let id = Uuid::from_bytes(transaction);
        return Err(format!("{name}: {id}:{queue_id} is already queued (a duplicate): not loaded"));
    }
    let order = Order { source, expected, remove: request.remove, dry_run: request.dryrun };
    let imported = import_somewhere(control, order).await?;
    if !request.dryrun {
        control.imports.count.set(control.imports.count.get() + 1);
        known.transactions.insert(transaction);
        known.as_of = control.imports.count.get();
        client.log_change(format_args!("{line}: {imported} recipients"));
    }
    client.known.replace(Some(known));
    Ok(proto::QueueImportResponse { imported })
}

/// On one shard after the other; past those that stand still.
async fn import_somewhere(control: &Rc<Control>, order: Order) -> Result<u64, String> {
    let shards = control.program.shards;
    let first = control.imports.count.get() % u64::from(shards.max(1));
    for number in 0..shards {
        let shard = (number + u16::try_from(first).unwrap_or_default()) % shards;
        // Whether a shard that stands still has begun is not known: only one is asked that was seen to move.
        if !matches!(ask_one(control, shard, async |_| ()).await, Answer::Here(())) {
            continue;
        }
        let order = order.clone();
        return match ask_one(control, shard, move |shard| import_here(shard, order)).await {
            Answer::Here(result) => result,
            Answer::Stalled { .. } => Err(format!(
                "shard {shard} has begun to load it and stands still: whether it is queued will be known when it moves"
            )),
            Answer::Ended => Err("the server is shutting down".to_owned()),
        };
    }
    Err("no shard answers".to_owned())
}

/// Transactions that are gathered together: 16 bytes each.
const PIECE: usize = 4096;

/// The transactions that are queued.
async fn known_now(control: &Rc<Control>) -> Result<Known, String> {
    let as_of = control.imports.count.get();
    let answers = ask(control, |shard| async move {
        // In pieces: a list of a million is not moved while it grows.
        let mut all: Vec<Vec<[u8; 16]>> = Vec::new();
        scan::scan(&shard, |item, _| {
            if all.last().is_none_or(|piece| piece.len() == PIECE) {
                all.push(Vec::with_capacity(PIECE));
            }
            let piece = all.last_mut().expect("pushed where there was none");
            if piece.last() != Some(&item.transaction) {
                piece.push(item.transaction);
            }
            true
        })
        .await;
        scanned(&shard, all)
    });
    let (parts, missing) = scan::sort_out(answers.await);
    refuse_missing(&missing)?;
    Ok(Known { transactions: parts.into_iter().flatten().flatten().collect(), as_of })
}

/// The queue id of a recipient of the message that is queued, if there is one.
async fn already_queued(control: &Rc<Control>, message: &Unloaded) -> Result<Option<u32>, String> {
    let transaction = message.envelope.transaction;
    let ids = message.items.iter().map(|item| (transaction, Some(item.recipient.saturating_add(1))));
    let filter = Arc::new(Filter::new([Condition::Ids(ids.collect())]));
    let answers = ask(control, move |shard| {
        let filter = Arc::clone(&filter);
        async move {
            let mut found = None;
            scan::scan(&shard, |item, now_ms| {
                found = filter.matches(&item, now_ms).then_some(item.key.recipient.saturating_add(1));
                found.is_none()
            })
            .await;
            scanned(&shard, found)
        }
    });
    let (found, missing) = scan::sort_out(answers.await);
    refuse_missing(&missing)?;
    Ok(found.into_iter().flatten().next())
}

fn refuse_missing(missing: &[proto::Missing]) -> Result<(), String> {
    match missing.first() {
        None => Ok(()),
        Some(missing) => {
            let why = match missing.reason() {
                proto::missing::Reason::Loading => "is still reading its queue",
                _ => "does not answer",
            };
            Err(format!(
                "shard {} {why}: whether this is queued already is not known; try again",
                missing.shard
            ))
        }
    }
}
