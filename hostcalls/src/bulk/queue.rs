//! One queue, on the shard that works on it. Its files are touched on threads of the offload pool, one call after the other.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use config::BulkQueue;
use engine::sync::{Notify, Semaphore};
use engine::time::Instant;

use super::Bulk;
use super::journal::{Batch, Journal};
use crate::limits;

/// Whether batches are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    Started {
        /// Each item by itself, and at once.
        one: bool,
    },
    /// As soon as the request under way has its answer.
    Stopping,
    Stopped,
}

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    StartOne,
    Stop,
    Status,
    Count,
    Head,
    Pop,
    Clear,
    LastError,
}

impl Verb {
    pub(super) fn from_name(name: &str) -> Option<Verb> {
        Some(match name {
            "start" => Verb::Start,
            "start-one" => Verb::StartOne,
            "stop" => Verb::Stop,
            "status" => Verb::Status,
            "count" => Verb::Count,
            "head" => Verb::Head,
            "pop" => Verb::Pop,
            "clear" => Verb::Clear,
            "last-error" => Verb::LastError,
            _ => return None,
        })
    }
}

pub(super) struct Queue {
    pub(super) id: String,
    pub(super) settings: Arc<BulkQueue>,
    path: PathBuf,
    /// Locked on threads of the pool only; `None`: not open.
    journal: Arc<Mutex<Option<Journal>>>,
    /// Who may ask the pool.
    turn: Semaphore,
    /// Items in it; `None`: it has not been opened.
    pub(super) count: Cell<Option<u64>>,
    pub(super) state: Cell<RunState>,
    /// An item has come, or the state is another one.
    pub(super) changed: Notify,
    /// Since when a request is under way.
    pub(super) sending: Cell<Option<Instant>>,
    pub(super) last_error: RefCell<String>,
    pub(super) requests_sent: Cell<u64>,
    pub(super) requests_failed: Cell<u64>,
    pub(super) items_sent: Cell<u64>,
}

impl Queue {
    pub(super) fn new(id: String, path: PathBuf, settings: Arc<BulkQueue>) -> Queue {
        Queue {
            id,
            settings,
            path,
            journal: Arc::default(),
            turn: Semaphore::new(1),
            count: Cell::new(None),
            state: Cell::new(RunState::Started { one: false }),
            changed: Notify::new(),
            sending: Cell::new(None),
            last_error: RefCell::default(),
            requests_sent: Cell::new(0),
            requests_failed: Cell::new(0),
            items_sent: Cell::new(0),
        }
    }

    /// Adds items. When this returns they are on disk.
    pub(super) async fn append(&self, items: Vec<Vec<u8>>) -> Result<(), String> {
        self.on_disk(move |journal| journal.append(&items)).await?;
        self.changed.notify_one();
        Ok(())
    }

    pub(super) async fn open(&self) -> Result<(), String> {
        self.on_disk(|_| Ok(())).await
    }

    pub(super) async fn read(&self, most: u64) -> Result<Batch, String> {
        self.on_disk(move |journal| journal.read(most)).await
    }

    pub(super) async fn acknowledge(&self, batch: Batch) -> Result<(), String> {
        self.on_disk(move |journal| journal.acknowledge(&batch)).await
    }

    pub(super) fn complain(&self, what: &str) {
        if let Some(bulk) = Bulk::here() {
            bulk.complain(&self.id, what);
        }
    }

    /// Opens the files if need be. After an error for which a new look at them may help, the next call opens them again.
    async fn on_disk<T, F>(&self, f: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: FnOnce(&mut Journal) -> io::Result<T> + Send + 'static,
    {
        let _turn = self.turn.acquire().await;
        let (journal, path) = (Arc::clone(&self.journal), self.path.clone());
        let work = move || {
            let mut damage = Vec::new();
            let mut place = journal.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = match place.take() {
                Some(open) => Ok(open),
                None => Journal::open(&path, &mut |what| damage.push(what)),
            };
            let result = opened.and_then(|mut open| {
                let result = f(&mut open);
                let count = open.count();
                let broken = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData);
                if !broken {
                    *place = Some(open);
                }
                result.map(|value| (value, count))
            });
            (result, damage)
        };
        let done = engine::offload::run(limits::OFFLOAD, work).await;
        let (result, damage) = done.map_err(|error| error.to_string())?;
        damage.iter().for_each(|what| self.complain(what));
        let (value, count) = result.map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.count.set(Some(count));
        Ok(value)
    }

    /// Does what an operator asks.
    pub(super) async fn obey(&self, verb: Verb) -> Result<Vec<u8>, String> {
        match verb {
            Verb::Start => self.enter(RunState::Started { one: false }),
            Verb::StartOne => self.enter(RunState::Started { one: true }),
            Verb::Stop if self.state.get() == RunState::Stopped => {}
            Verb::Stop => self.enter(RunState::Stopping),
            Verb::Status => return Ok(self.status().into_bytes()),
            Verb::LastError if self.last_error.borrow().is_empty() => return Err("No last error".to_owned()),
            Verb::LastError => return Ok(self.last_error.borrow().clone().into_bytes()),
            Verb::Count | Verb::Head | Verb::Pop | Verb::Clear if self.state.get() != RunState::Stopped => {
                return Err("Queue must be stopped".to_owned());
            }
            Verb::Count => return self.on_disk(|journal| Ok(journal.count().to_string().into_bytes())).await,
            Verb::Head => return self.first().await?.into_items().pop().ok_or("Queue is empty".to_owned()),
            Verb::Pop => {
                let first = self.first().await?;
                if first.items().is_empty() {
                    return Err("Queue is empty".to_owned());
                }
                self.acknowledge(first).await?;
            }
            Verb::Clear => self.on_disk(Journal::clear).await?,
        }
        Ok(b"OK".to_vec())
    }

    async fn first(&self) -> Result<Batch, String> {
        self.read(1).await
    }

    fn enter(&self, state: RunState) {
        self.state.set(state);
        self.changed.notify_one();
    }

    fn status(&self) -> String {
        let state = match self.state.get() {
            RunState::Started { .. } => "running",
            RunState::Stopping => "stopping",
            RunState::Stopped => "stopped",
        };
        let status = match self.sending.get() {
            Some(since) => format!("sending ({:.6}s)", (engine::time::now_precise() - since).as_secs_f64()),
            None => "idle".to_owned(),
        };
        let mut text = format!("state: {state}\nstatus: {status}\n");
        let error = self.last_error.borrow();
        if !error.is_empty() {
            let _ = writeln!(text, "error: {error}");
        }
        let (sent, failed) = (self.requests_sent.get(), self.requests_failed.get());
        let items = self.items_sent.get();
        let _ = write!(text, "requests-sent: {sent}\nrequests-failed: {failed}\nitem-sent: {items}");
        text
    }
}
