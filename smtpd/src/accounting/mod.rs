//! Accounting: what became of each message, as JSON lines with sequence numbers, each at least once whatever ends the
//! process.
//!
//! A shard gathers lines and sends them to the control thread, which numbers and writes them ([`Writer`]); it then says
//! so, and only after that the shard's spool records what the lines tell ([`Accounting::settle`]). So a process that is
//! killed leaves no outcome in the spool that is not in the file: the attempt is made again, and told again. A message
//! that was taken in and is not in the file is found in the spool at the next start, since the file says how far it
//! has come in each log ([`Marks`]). Nothing that a client or a next hop waits for waits for the file.

mod scan;
#[cfg(test)]
mod tests;
mod writer;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use engine::mesh;
use engine::sync::Notify;
use engine::task::Class;
use spool::{ItemId, MessageId, Settle, Store};

use crate::limits;
use crate::log::event::Event;
use crate::log::line::{Form, Line};
use crate::log::{Log, Priority};
pub use scan::Marks;
pub use writer::Writer;

/// The accounting of one shard.
pub struct Accounting {
    /// `None`: there is none.
    gathered: Option<Gathered>,
    store: Rc<Store>,
}

struct Gathered {
    log: Rc<Log>,
    /// How far the file had come in each log when the process started.
    marks: Arc<Marks>,
    lines: RefCell<String>,
    count: Cell<u64>,
    /// Lines that did not fit.
    overflow: Cell<u64>,
    /// Number of lines ever gathered, and of those that are written or given up.
    begun: Cell<u64>,
    ended: Cell<u64>,
    filled: Notify,
    written: Notify,
    /// What the spool is told once so many lines are written.
    waiting: RefCell<VecDeque<(u64, Settled)>>,
}

/// What the spool is told of items.
type Settled = Vec<(ItemId, Settle)>;

impl std::fmt::Debug for Accounting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounting").field("on", &self.gathered.is_some()).finish_non_exhaustive()
    }
}

impl Accounting {
    /// Starts the shard's accounting; `marks` are what [`Writer::open`] found, `None` where there is no file.
    pub fn start(store: Rc<Store>, log: Rc<Log>, marks: Option<Arc<Marks>>) -> Rc<Accounting> {
        let gathered = marks.map(|marks| Gathered {
            log,
            marks,
            lines: RefCell::new(String::new()),
            count: Cell::new(0),
            overflow: Cell::new(0),
            begun: Cell::new(0),
            ended: Cell::new(0),
            filled: Notify::new(),
            written: Notify::new(),
            waiting: RefCell::new(VecDeque::new()),
        });
        let accounting = Rc::new(Accounting { gathered, store });
        if accounting.gathered.is_some() {
            engine::task::spawn(Class::Interactive, Rc::clone(&accounting).forward());
        }
        accounting
    }

    /// Notes an event that belongs in the file. Never waits.
    pub fn record(&self, event: &Event<'_>) {
        if event.kind().row().accounted {
            self.add(None, false, event);
        }
    }

    /// Notes that a message was taken in.
    pub fn record_accepted(&self, message: MessageId, event: &Event<'_>) {
        self.add(Some(message), false, event);
    }

    /// Whether a message that was found in the spool may be missing in the file.
    pub fn may_lack(&self, message: MessageId) -> bool {
        self.gathered.as_ref().is_some_and(|gathered| gathered.marks.may_lack(message))
    }

    /// Notes a message that was found in the spool and may be in the file already.
    pub fn record_accepted_again(&self, message: MessageId, event: &Event<'_>) {
        self.add(Some(message), true, event);
    }

    /// Notes that all messages up to this one, of its log and start of the server, have been told again where they may
    /// have been missing.
    pub fn record_caught_up(&self, last: MessageId) {
        self.add_line(Some(last), false, |lines| lines.push_str("\"event\":\"caught_up\""));
    }

    fn add(&self, message: Option<MessageId>, again: bool, event: &Event<'_>) {
        self.add_line(message, again, |lines| event.write(&mut Line::new(lines, Form::Json)));
    }

    fn add_line(&self, message: Option<MessageId>, again: bool, write: impl FnOnce(&mut String)) {
        let Some(gathered) = &self.gathered else { return };
        let mut lines = gathered.lines.borrow_mut();
        if lines.len() >= limits::ACCOUNTING_BUFFER_BYTES {
            return gathered.overflow.set(gathered.overflow.get() + 1);
        }
        // The writer puts the sequence number in front. Writing to a string cannot fail.
        let _ = write!(lines, "\"time_ms\":{},", engine::time::wall_ms());
        if let Some(MessageId { log, sequence }) = message {
            let _ = write!(lines, "\"spool\":\"{log}.{sequence}\",");
        }
        if again {
            lines.push_str("\"again\":true,");
        }
        write(&mut lines);
        lines.push_str("}\n");
        gathered.count.set(gathered.count.get() + 1);
        gathered.begun.set(gathered.begun.get() + 1);
        gathered.filled.notify_one();
    }

    /// Tells the spool what became of items, once all that was noted so far is written. In the order of the calls.
    pub fn settle(&self, settled: Settled) {
        match &self.gathered {
            Some(gathered) if gathered.ended.get() < gathered.begun.get() => {
                gathered.waiting.borrow_mut().push_back((gathered.begun.get(), settled));
            }
            // On disk with the next batch.
            _ => drop(self.store.settle(settled)),
        }
    }

    /// Waits until what was settled so far is on disk.
    pub async fn settled(&self) {
        self.flush().await;
        // A store that is closed or cannot be written says so by itself.
        let _ = self.store.settled().await;
    }

    /// Waits while much waits for the disk: for the load of a large queue, which need not hurry.
    pub async fn ready(&self) {
        let Some(gathered) = &self.gathered else { return };
        while gathered.lines.borrow().len() > limits::ACCOUNTING_BUFFER_BYTES / 2 {
            gathered.written.notified().await;
        }
    }

    /// Waits until all that was noted so far is written, and the spool has been told; for at most as long as a write may take.
    pub async fn flush(&self) {
        let Some(gathered) = &self.gathered else { return };
        let until = gathered.begun.get();
        while gathered.ended.get() < until {
            gathered.written.notified().await;
        }
    }

    /// Sends what was gathered, some milliseconds after the first line, and waits until it is written.
    async fn forward(self: Rc<Self>) {
        let Some(gathered) = &self.gathered else { return };
        loop {
            gathered.filled.notified().await;
            engine::time::sleep(limits::ACCOUNTING_DELAY).await;
            let (lines, count) = (gathered.lines.take(), gathered.count.take());
            if count == 0 {
                continue;
            }
            let write = mesh::call_task(engine::boot::control(), move || Writer::write_here(lines, count));
            match engine::time::timeout(limits::ACCOUNTING_WRITE_DEADLINE, write).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => gathered.complain(count, &error.to_string()),
                Ok(Err(error)) => gathered.complain(count, &error.to_string()),
                Err(engine::time::Elapsed) => gathered.complain(count, "the disk does not answer"),
            }
            match gathered.overflow.take() {
                0 => {}
                lost => gathered.complain(lost, "too many wait for the disk"),
            }
            gathered.ended.set(gathered.ended.get() + count);
            self.release(gathered);
            gathered.written.notify_all();
        }
    }

    /// Mail goes before accounting: what could not be written does not keep the spool from being told.
    fn release(&self, gathered: &Gathered) {
        let mut waiting = gathered.waiting.borrow_mut();
        while let Some((_, settled)) = waiting.pop_front_if(|(until, _)| *until <= gathered.ended.get()) {
            drop(self.store.settle(settled));
        }
    }
}

impl Gathered {
    fn complain(&self, count: u64, why: &str) {
        self.log.line(Priority::Error, format_args!("accounting: {count} events lost: {why}"));
    }
}
