//! The sink: `sink`.

pub mod data;
pub mod dialogue;
pub mod options;
mod seen;
pub mod verify;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use engine::boot::ShardId;
use engine::net::{Conn, Listener};
use engine::task::{self, Class};
use engine::time;

use crate::cli;
use crate::crew::{self, Listening, Stop};
use crate::ident::Parcel;
use crate::json::Object;
use crate::ledger::{Comparison, Ledger};
use crate::limits::SINK_LINGER;
use dialogue::{Dialogue, GREETING, Judge, Next, Searchers, Verdict};
use options::{Command, Mode, Options};
use seen::Seen;
use verify::Content;

/// The program: reads the command line, runs, prints.
pub fn main(parser: lexopt::Parser) -> ExitCode {
    let done = match Command::parse(parser) {
        Ok(Command::Help) => {
            cli::print(options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Check { acknowledged, received, json }) => check(&acknowledged, &received, json),
        Ok(Command::Run(options)) => {
            let json = options.json;
            run(options).map(|counts| {
                cli::print(&if json { counts.json().finish() + "\n" } else { counts.text() });
                counts.corrupt == 0
            })
        }
        Err(error) => return cli::usage("sink", error),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(cli::FAILED),
        Err(error) => {
            cli::complain("sink", error);
            ExitCode::from(cli::FAILED)
        }
    }
}

/// What a sink has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Messages answered 250.
    pub messages: u64,
    /// Recipients of these messages.
    pub recipients: u64,
    /// Octets of these messages.
    pub bytes: u64,
    /// Messages without a mark of the generator.
    pub foreign: u64,
    /// Messages whose checksum did not match, or whose envelope named another message.
    pub corrupt: u64,
    /// Recipients' copies that had come before.
    pub duplicates: u64,
    /// Recipients answered 451.
    pub deferred: u64,
    /// Recipients answered 550.
    pub rejected: u64,
    /// Messages not answered.
    pub dropped: u64,
    /// When the first and the last message ended, microseconds since the epoch; 0 with none.
    pub first_us: u64,
    /// See `first_us`.
    pub last_us: u64,
    /// CPU time of the shards.
    pub cpu_us: u64,
}

impl Counts {
    fn merge(&mut self, other: &Counts) {
        let first = [self.first_us, other.first_us].into_iter().filter(|us| *us > 0).min();
        self.first_us = first.unwrap_or(0);
        self.last_us = self.last_us.max(other.last_us);
        self.connections += other.connections;
        self.messages += other.messages;
        self.recipients += other.recipients;
        self.bytes += other.bytes;
        self.foreign += other.foreign;
        self.corrupt += other.corrupt;
        self.duplicates += other.duplicates;
        self.deferred += other.deferred;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.cpu_us += other.cpu_us;
    }

    fn fields(&self) -> [(&'static str, u64); 13] {
        [
            ("connections", self.connections),
            ("messages", self.messages),
            ("recipients", self.recipients),
            ("bytes", self.bytes),
            ("foreign", self.foreign),
            ("corrupt", self.corrupt),
            ("duplicates", self.duplicates),
            ("deferred", self.deferred),
            ("rejected", self.rejected),
            ("dropped", self.dropped),
            ("first_us", self.first_us),
            ("last_us", self.last_us),
            ("cpu_us", self.cpu_us),
        ]
    }

    fn text(&self) -> String {
        let lines = self.fields().map(|(name, value)| format!("{name:12}{value:>18}\n"));
        let per_1000_s = self.cpu_us as f64 / 1e3 / self.messages.max(1) as f64;
        format!("{}cpu s per 1000 messages {per_1000_s:.4}\n", lines.concat())
    }

    fn json(&self) -> Object {
        let mut object = Object::default();
        for (name, value) in self.fields() {
            object.number(name, value);
        }
        object
    }
}

/// Runs a sink until it has what it expects or is told to stop.
pub fn run(options: Options) -> Result<Counts, String> {
    let (threads, pin) = (options.threads, options.pin);
    let job = Arc::new(Job::new(options)?);
    let reports = crew::run(threads, pin, move |id, stop| shard(Arc::clone(&job), id, stop))?;
    sum(reports)
}

pub(crate) fn sum(reports: Vec<Result<Counts, String>>) -> Result<Counts, String> {
    let mut all = Counts::default();
    for report in reports {
        all.merge(&report?);
    }
    Ok(all)
}

/// What the shards share.
pub(crate) struct Job {
    options: Options,
    ledger: Option<Ledger>,
    seen: Mutex<Seen>,
    messages: AtomicU64,
    listening: Listening,
}

impl Job {
    pub(crate) fn new(options: Options) -> Result<Job, String> {
        let ledger = match &options.ledger {
            Some(path) => Some(Ledger::open(path).map_err(|error| format!("{}: {error}", path.display()))?),
            None => None,
        };
        Ok(Job {
            options,
            ledger,
            seen: Mutex::default(),
            messages: AtomicU64::new(0),
            listening: Listening::default(),
        })
    }
}

/// What the sessions of a shard share.
struct Shard {
    job: Arc<Job>,
    searchers: Searchers,
    counts: RefCell<Counts>,
    judged: Cell<u64>,
}

pub(crate) async fn shard(job: Arc<Job>, id: ShardId, stop: Stop) -> Result<Counts, String> {
    let listener = match job.listening.bind(job.options.listen, id).await {
        Ok(listener) => listener,
        Err(error) => {
            crew::stop_all();
            return Err(error);
        }
    };
    let shard = Rc::new(Shard {
        job,
        searchers: Searchers::default(),
        counts: RefCell::default(),
        judged: Cell::new(0),
    });
    let accepting = task::spawn(Class::Interactive, accept(Rc::clone(&shard), listener));
    stop.wait().await;
    accepting.abort();
    if shard.job.options.expect.is_some() {
        time::sleep(SINK_LINGER).await;
    }
    let mut counts = *shard.counts.borrow();
    counts.cpu_us = engine::stats::of(id).cpu_us;
    Ok(counts)
}

async fn accept(shard: Rc<Shard>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(conn) => {
                shard.counts.borrow_mut().connections += 1;
                drop(task::spawn(Class::Interactive, session(Rc::clone(&shard), conn)));
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                cli::complain("sink", format_args!("accept: {error}"));
                time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn session(shard: Rc<Shard>, conn: Conn) {
    let delay = shard.job.options.delay;
    let (mut dialogue, mut out) = (Dialogue::default(), BytesMut::new());
    if conn.send(Bytes::from_static(GREETING)).await.is_err() {
        return;
    }
    loop {
        let Ok(input) = conn.recv().await else { return };
        if input.is_empty() {
            return;
        }
        let next = dialogue.feed(&shard.searchers, &input, &mut Clerk(&shard), &mut out);
        drop(input);
        if !delay.is_zero() {
            time::sleep(delay).await;
        }
        if !out.is_empty() && conn.send(out.split().freeze()).await.is_err() {
            return;
        }
        if next == Next::Close {
            return;
        }
    }
}

/// Judges by the options and counts.
struct Clerk<'s>(&'s Shard);

impl Clerk<'_> {
    /// True when the mode applies to this one.
    fn chosen(&self) -> bool {
        let judged = self.0.judged.get() + 1;
        self.0.judged.set(judged);
        judged.is_multiple_of(self.0.job.options.every)
    }
}

impl Judge for Clerk<'_> {
    fn recipient(&mut self) -> Verdict {
        let mut counts = self.0.counts.borrow_mut();
        match self.0.job.options.mode {
            Mode::Defer if self.chosen() => {
                counts.deferred += 1;
                Verdict::Defer
            }
            Mode::Reject if self.chosen() => {
                counts.rejected += 1;
                Verdict::Reject
            }
            _ => Verdict::Accept,
        }
    }

    fn message(&mut self, content: Content, recipients: &[Option<Parcel>], bytes: u64) -> Verdict {
        let job = &self.0.job;
        let mut counts = self.0.counts.borrow_mut();
        if job.options.mode == Mode::Drop && self.chosen() {
            counts.dropped += 1;
            return Verdict::Drop;
        }
        let (id, intact) = match content {
            Content::Intact(id) => (Some(id), recipients.iter().flatten().all(|parcel| parcel.id == id)),
            Content::Corrupt(id) => (Some(id), false),
            // An envelope of ours with a content that is not: corrupt as well.
            Content::Foreign => (None, recipients.iter().all(Option::is_none)),
        };
        if let Some(ledger) = &job.ledger {
            let written = ledger.append(recipients.iter().flatten().copied(), intact);
            written.expect("a ledger that cannot be written makes the run worthless");
        }
        if recipients.iter().any(Option::is_some) {
            let mut seen = job.seen.lock().expect("a panic aborts the process");
            let again = recipients.iter().flatten().filter(|parcel| seen.again(**parcel)).count();
            counts.duplicates += again as u64;
        }
        let now_us = time::wall_us();
        if counts.messages == 0 {
            counts.first_us = now_us;
        }
        counts.last_us = now_us;
        counts.messages += 1;
        counts.recipients += recipients.len() as u64;
        counts.bytes += bytes;
        counts.foreign += u64::from(id.is_none());
        counts.corrupt += u64::from(!intact);
        let all = job.messages.fetch_add(1, Ordering::AcqRel) + 1;
        if job.options.expect == Some(all) {
            crew::stop_all();
        }
        Verdict::Accept
    }
}

/// Compares two ledgers and prints what it finds; true when no mail was lost or damaged.
fn check(acknowledged: &Path, received: &Path, json: bool) -> Result<bool, String> {
    #[expect(clippy::disallowed_methods, reason = "no shard runs in this command")]
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let found = Comparison::of(&read(acknowledged)?, &read(received)?);
    cli::print(&if json {
        found.json().finish() + "\n"
    } else {
        found.fields().map(|(name, value)| format!("{name:16}{value:>12}\n")).concat()
    });
    Ok(found.is_safe())
}
