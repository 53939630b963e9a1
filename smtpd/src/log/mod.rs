//! Log lines: formatted on the shard, written by the control thread, never waited for.
//!
//! What happens to messages is an [`event::Event`], whose fields the [`table`] documents; the rest is free text. A shard
//! appends lines to a buffer; a task of the shard sends the buffer to the control thread, some milliseconds
//! after its first line or when it has grown; there a writer hands it to the offload pool. A reader that is too slow
//! costs lines, which are counted and reported, never mail.

pub mod event;
pub mod line;
mod output;
pub mod table;
mod target;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::sync::Notify;
use engine::task::Class;

use crate::limits;
use event::Event;
use line::Line;
pub use output::Output;
use target::count;
pub use target::{Priority, Syslog, Target};

/// The log of one shard.
pub struct Log {
    target: Target,
    buffer: RefCell<String>,
    /// The first line is in the buffer.
    filled: Notify,
    /// The buffer is worth sending at once.
    grown: Notify,
    dropped: Dropped,
}

/// Lines that were lost.
#[derive(Debug, Default)]
struct Dropped {
    /// Those that nothing was said of yet.
    untold: Cell<u64>,
    told: Cell<u64>,
}

impl Dropped {
    fn add(&self, lines: u64) {
        self.untold.set(self.untold.get() + lines);
    }

    /// How many there are to tell of; they count as told.
    fn tell(&self) -> u64 {
        let untold = self.untold.take();
        self.told.set(self.told.get() + untold);
        untold
    }

    /// All of them.
    fn total(&self) -> u64 {
        self.untold.get() + self.told.get()
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Log {
    /// Starts the shard's log and the task that empties it.
    pub fn start(target: Target) -> Rc<Log> {
        let log = Rc::new(Log {
            target,
            buffer: RefCell::new(String::new()),
            filled: Notify::new(),
            grown: Notify::new(),
            dropped: Dropped::default(),
        });
        engine::task::spawn(Class::Interactive, Rc::clone(&log).forward());
        log
    }

    /// Adds the line of an event; never waits. One that does not pass costs nothing.
    pub fn event(&self, event: &Event<'_>) {
        let priority = event.priority();
        self.add(priority, |target, out| {
            target.prefix(out, priority);
            event.write(&mut Line::new(out, target.form()));
            target.end(out);
        });
    }

    /// Adds a line of free text; never waits. Takes `format_args!`, so that a line which does not pass costs nothing.
    pub fn line(&self, priority: Priority, text: std::fmt::Arguments<'_>) {
        self.add(priority, |target, out| target.format(out, priority, text));
    }

    fn add(&self, priority: Priority, write: impl FnOnce(&Target, &mut String)) {
        if !self.target.passes(priority) {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        if buffer.len() >= limits::LOG_BUFFER_BYTES {
            self.dropped.add(1);
            return;
        }
        let before = buffer.len();
        write(&self.target, &mut buffer);
        if before == 0 {
            self.filled.notify_one();
        }
        if before < limits::LOG_WRITE_BYTES && buffer.len() >= limits::LOG_WRITE_BYTES {
            self.grown.notify_one();
        }
    }

    /// Sends what is buffered to the control thread. Not each line by itself: waking two threads for it costs more
    /// than the line.
    async fn forward(self: Rc<Self>) {
        loop {
            self.filled.notified().await;
            let _ = engine::time::timeout(limits::LOG_DELAY, self.grown.notified()).await;
            self.flush();
        }
    }

    /// Lines that this shard lost since its start.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped.total()
    }

    /// Bytes that wait to be sent to the control thread.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.borrow().len()
    }

    /// Sends what is buffered now.
    pub fn flush(&self) {
        let dropped = self.dropped.tell();
        if dropped > 0 {
            let mut buffer = self.buffer.borrow_mut();
            self.target.format(
                &mut buffer,
                Priority::Warning,
                format_args!("log: {dropped} lines dropped, its reader is too slow"),
            );
        }
        let lines = std::mem::take(&mut *self.buffer.borrow_mut());
        if lines.is_empty() {
            return;
        }
        if engine::boot::is_control() {
            return Output::push(lines);
        }
        // A full ring to the control thread loses the lines, as a full buffer there does.
        let count = count(&lines);
        if engine::mesh::send(engine::boot::control(), move || Output::push(lines)).is_err() {
            self.dropped.add(count);
        }
    }
}
