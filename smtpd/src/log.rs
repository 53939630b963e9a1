//! Log lines: formatted on the shard, written by the control thread, never waited for.
//!
//! A shard appends lines to a buffer; a task of the shard sends the buffer to the control thread, some milliseconds
//! after its first line or when it has grown; there a writer hands it to the offload pool. A reader that is too slow costs lines, which are counted and
//! reported, never mail.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::sync::Notify;
use engine::task::Class;

use crate::limits;

/// Syslog severities (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Mail or service is at risk until somebody acts.
    Critical = 2,
    /// Something failed.
    Error = 3,
    /// Something is odd but handled.
    Warning = 4,
    /// A change of state of the service.
    Notice = 5,
    /// What happened to a message.
    Info = 6,
}

/// Where the lines of this process go.
#[derive(Clone)]
pub enum Target {
    /// Standard error, each line with the prefix `smtpd: `.
    Stderr,
    /// The local syslog socket.
    Syslog {
        /// `environment.syslog.facility`, as its number.
        facility: u8,
        /// `environment.syslog.mask`: bit n set lets priority n pass.
        mask: u32,
    },
    /// A list in memory, for tests.
    Memory(Arc<Mutex<Vec<String>>>),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Target::Stderr => "Stderr",
            Target::Syslog { .. } => "Syslog",
            Target::Memory(_) => "Memory",
        })
    }
}

impl Target {
    fn passes(&self, priority: Priority) -> bool {
        match self {
            Target::Syslog { mask, .. } => mask & (1 << priority as u32) != 0,
            Target::Stderr | Target::Memory(_) => true,
        }
    }

    /// Appends one finished line, with its end, to `out`.
    fn format(&self, out: &mut String, priority: Priority, text: std::fmt::Arguments<'_>) {
        match self {
            Target::Stderr => out.push_str("smtpd: "),
            Target::Syslog { facility, .. } => {
                let value = u32::from(*facility) * 8 + priority as u32;
                let _ = write!(out, "<{value}>smtpd[{}]: ", std::process::id());
            }
            Target::Memory(_) => {}
        }
        let start = out.len();
        let _ = out.write_fmt(text);
        hide_control_characters(out, start);
        out.push('\n');
    }

    /// Writes finished lines. Blocks: only on the offload pool or before the engine runs.
    fn write(&self, lines: &str) {
        match self {
            // Nobody is left to tell when standard error itself fails.
            Target::Stderr => drop(std::io::stderr().lock().write_all(lines.as_bytes())),
            Target::Syslog { .. } => {
                let Ok(socket) = UnixDatagram::unbound() else { return };
                if socket.connect("/dev/log").is_ok() {
                    for line in lines.lines() {
                        drop(socket.send(line.as_bytes()));
                    }
                }
            }
            Target::Memory(list) => {
                if let Ok(mut list) = list.lock() {
                    list.extend(lines.lines().map(str::to_owned));
                }
            }
        }
    }

    /// Writes one line at once: for the time before and after the engine runs.
    pub fn line(&self, priority: Priority, text: std::fmt::Arguments<'_>) {
        if self.passes(priority) {
            let mut out = String::new();
            self.format(&mut out, priority, text);
            self.write(&out);
        }
    }
}

/// A peer's text must not forge lines or drive a terminal.
fn hide_control_characters(out: &mut String, start: usize) {
    if out[start..].bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        let clean: String = out[start..].chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        out.truncate(start);
        out.push_str(&clean);
    }
}

/// The log of one shard.
pub struct Log {
    target: Target,
    buffer: RefCell<String>,
    /// The first line is in the buffer.
    filled: Notify,
    /// The buffer is worth sending at once.
    grown: Notify,
    dropped: Cell<u64>,
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
            dropped: Cell::new(0),
        });
        engine::task::spawn(Class::Interactive, Rc::clone(&log).forward());
        log
    }

    /// Adds a line; never waits. Takes `format_args!`, so that a line which does not pass costs nothing.
    pub fn line(&self, priority: Priority, text: std::fmt::Arguments<'_>) {
        if !self.target.passes(priority) {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        if buffer.len() >= limits::LOG_BUFFER_BYTES {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        let before = buffer.len();
        self.target.format(&mut buffer, priority, text);
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

    /// Sends what is buffered now.
    pub fn flush(&self) {
        let dropped = self.dropped.take();
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
        let count = lines.lines().count() as u64;
        if engine::mesh::send(engine::boot::control(), move || Output::push(lines)).is_err() {
            self.dropped.set(self.dropped.get() + count);
        }
    }
}

/// The control thread's end of all shards' logs.
pub struct Output {
    target: Target,
    queue: RefCell<VecDeque<String>>,
    queued_bytes: Cell<usize>,
    filled: Notify,
    drained: Notify,
    dropped: Cell<u64>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("queued_bytes", &self.queued_bytes.get()).finish_non_exhaustive()
    }
}

impl Output {
    /// Starts the writer; on the control thread, before any shard logs.
    pub fn start(target: Target) -> Rc<Output> {
        let output = Rc::new(Output {
            target,
            queue: RefCell::new(VecDeque::new()),
            queued_bytes: Cell::new(0),
            filled: Notify::new(),
            drained: Notify::new(),
            dropped: Cell::new(0),
        });
        engine::mesh::local::set(Rc::clone(&output));
        engine::task::spawn(Class::Interactive, Rc::clone(&output).write_all());
        output
    }

    fn push(lines: String) {
        let Some(output) = engine::mesh::local::get::<Output>() else { return };
        if output.queued_bytes.get() >= limits::LOG_QUEUE_BYTES {
            output.dropped.set(output.dropped.get() + lines.lines().count() as u64);
            return;
        }
        output.queued_bytes.set(output.queued_bytes.get() + lines.len());
        output.queue.borrow_mut().push_back(lines);
        output.filled.notify_one();
    }

    async fn write_all(self: Rc<Self>) {
        loop {
            let Some(mut lines) = self.next() else {
                self.drained.notify_all();
                self.filled.notified().await;
                continue;
            };
            let len_bytes = lines.len();
            let dropped = self.dropped.take();
            if dropped > 0 {
                let text = format_args!("log: {dropped} lines dropped, its reader is too slow");
                self.target.format(&mut lines, Priority::Warning, text);
            }
            let target = self.target.clone();
            // However long the reader takes, this waits: the bound is on what queues up meanwhile.
            let _ = engine::offload::run(limits::LOG_WRITE_DEADLINE, move || target.write(&lines)).await;
            self.queued_bytes.set(self.queued_bytes.get().saturating_sub(len_bytes));
        }
    }

    fn next(&self) -> Option<String> {
        let mut queue = self.queue.borrow_mut();
        let mut first = queue.pop_front()?;
        while first.len() < limits::LOG_WRITE_BYTES {
            let Some(more) = queue.pop_front() else { break };
            first.push_str(&more);
        }
        Some(first)
    }

    /// Waits until everything pushed so far is written, at most `deadline`.
    pub async fn drain(&self, deadline: Duration) {
        let _ = engine::time::timeout(deadline, async {
            while self.queued_bytes.get() > 0 {
                self.drained.notified().await;
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_cannot_forge_a_line() {
        let list = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Memory(Arc::clone(&list));
        target.line(Priority::Info, format_args!("helo {}", "a\r\nsmtpd: forged\x1b[31m"));
        assert_eq!(*list.lock().unwrap(), ["helo a??smtpd: forged?[31m"]);
    }

    #[test]
    fn the_syslog_mask_drops_by_priority() {
        let target = Target::Syslog { facility: 2, mask: 191 };
        assert!(!target.passes(Priority::Info));
        assert!(target.passes(Priority::Notice));
        let mut out = String::new();
        target.format(&mut out, Priority::Notice, format_args!("x"));
        assert!(out.starts_with("<21>smtpd["));
    }
}
