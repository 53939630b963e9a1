//! The floor: `floor`.

mod log;
pub mod options;
mod relay;

use std::cell::Cell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::boot::ShardId;
use engine::buf::RecvBuf;
use engine::net::{Conn, Listener};
use engine::task::{self, Class};

use crate::cli;
use crate::crew::{self, Listening, Stop};
use crate::json::Object;
use crate::message::{self, Frame};
use log::Log;
use options::Options;
use relay::Backlog;

/// The program: reads the command line, runs, prints.
pub fn main(parser: lexopt::Parser) -> ExitCode {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => {
            cli::print(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return cli::usage("floor", error),
    };
    let json = options.json;
    match run(options) {
        Ok(counts) => {
            cli::print(&if json { counts.json().finish() + "\n" } else { counts.text() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            cli::complain("floor", error);
            ExitCode::from(cli::FAILED)
        }
    }
}

/// What a floor has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages stored.
    pub messages: u64,
    /// Durable writes.
    pub batches: u64,
    /// CPU time of the shards.
    pub cpu_us: u64,
}

impl Counts {
    fn json(&self) -> Object {
        let mut object = Object::default();
        object
            .number("messages", self.messages)
            .number("batches", self.batches)
            .number("cpu_us", self.cpu_us);
        object
    }

    fn text(&self) -> String {
        let per_1000_s = self.cpu_us as f64 / 1e3 / self.messages.max(1) as f64;
        format!(
            "messages {}  durable writes {}  cpu s per 1000 messages {per_1000_s:.4}\n",
            self.messages, self.batches
        )
    }
}

/// Runs a floor until a signal stops it.
pub fn run(options: Options) -> Result<Counts, String> {
    let (threads, pin) = (options.threads, options.pin);
    let job = Arc::new(Job::new(options));
    sum(crew::run(threads, pin, move |id, stop| shard(Arc::clone(&job), id, stop))?)
}

pub(crate) fn sum(reports: Vec<Result<Counts, String>>) -> Result<Counts, String> {
    let mut all = Counts::default();
    for report in reports {
        let counts = report?;
        all.messages += counts.messages;
        all.batches += counts.batches;
        all.cpu_us += counts.cpu_us;
    }
    Ok(all)
}

pub(crate) struct Job {
    options: Options,
    frames: Vec<Frame>,
    listening: Listening,
}

impl Job {
    pub(crate) fn new(options: Options) -> Job {
        let frames = message::frames(options.shape, options.size_bytes, options.pipelining);
        Job { frames, options, listening: Listening::default() }
    }
}

struct Shard {
    job: Arc<Job>,
    log: Rc<Log>,
    backlog: Rc<Backlog>,
    messages: Cell<u64>,
}

pub(crate) async fn shard(job: Arc<Job>, id: ShardId, stop: Stop) -> Result<Counts, String> {
    let started = start(&job, id).await;
    let (shard, listener) = match started {
        Ok(started) => started,
        Err(error) => {
            crew::stop_all();
            return Err(error);
        }
    };
    start_forwarding(&shard, id);
    let accepting = task::spawn(Class::Interactive, accept(Rc::clone(&shard), listener));
    stop.wait().await;
    accepting.abort();
    let removed = shard.log.remove().await;
    removed.map_err(|error| format!("{}: {error}", job.options.dir.display()))?;
    Ok(Counts {
        messages: shard.messages.get(),
        batches: shard.log.batches(),
        cpu_us: engine::stats::of(id).cpu_us,
    })
}

async fn start(job: &Arc<Job>, id: ShardId) -> Result<(Rc<Shard>, Listener), String> {
    let options = &job.options;
    let log = Log::create(&options.dir, format!("floor-{}-{}.log", std::process::id(), id.0))
        .await
        .map_err(|error| format!("{}: {error}", options.dir.display()))?;
    let log = Rc::new(log);
    let writer = Rc::clone(&log);
    drop(task::spawn(Class::Commit, async move {
        if let Err(error) = writer.write().await {
            cli::complain("floor", format_args!("disk: {error}"));
            crew::stop_all();
        }
    }));
    let listener = job.listening.bind(options.listen, id).await?;
    let shard = Shard { job: Arc::clone(job), log, backlog: Rc::new(Backlog::new()), messages: Cell::new(0) };
    Ok((Rc::new(shard), listener))
}

fn start_forwarding(shard: &Rc<Shard>, id: ShardId) {
    let options = &shard.job.options;
    let Some(to) = options.relay else { return };
    let (threads, mine) = (u32::from(options.threads), u32::from(id.0));
    let connections = (options.out / threads + u32::from(mine < options.out % threads)).max(1);
    // MAIL, every RCPT, DATA.
    let replies = 2 + usize::from(options.shape.recipients);
    for _ in 0..connections {
        let (backlog, log) = (Rc::clone(&shard.backlog), Rc::clone(&shard.log));
        drop(task::spawn(Class::Interactive, async move {
            let error = relay::forward(backlog, log, to, replies).await;
            cli::complain("floor", format_args!("next hop: {error}"));
            crew::stop_all();
        }));
    }
}

async fn accept(shard: Rc<Shard>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(conn) => drop(task::spawn(Class::Interactive, session(Rc::clone(&shard), conn))),
            Err(error) => {
                cli::complain("floor", format_args!("accept: {error}"));
                engine::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn session(shard: Rc<Shard>, conn: Conn) {
    // The peer has gone or the disk has failed: in both cases there is nobody to tell.
    let _ = talk(&shard, Reader { conn, input: None }).await;
}

/// A dialogue by byte counts alone. `None` when it ends.
async fn talk(shard: &Shard, mut reader: Reader) -> Option<()> {
    reader.reply(b"220 floor\r\n").await?;
    reader.line().await?;
    let hello: &[u8] = if shard.job.options.pipelining {
        b"250-floor\r\n250-PIPELINING\r\n250 SIZE\r\n"
    } else {
        b"250-floor\r\n250 SIZE\r\n"
    };
    reader.reply(hello).await?;
    let (message_frame, envelope_frames) = shard.job.frames.split_last()?;
    loop {
        let mut envelope = Vec::new();
        for (at, frame) in envelope_frames.iter().enumerate() {
            let bytes = reader.frame(frame.len_bytes, &mut envelope).await?;
            if bytes == Got::Farewell {
                return reader.reply(b"221\r\n").await;
            }
            let last = at + 1 == envelope_frames.len();
            let mut replies = b"250\r\n".repeat(frame.replies - usize::from(last));
            if last {
                replies.extend_from_slice(b"354\r\n");
            }
            reader.reply(&replies).await?;
        }
        let mut message = Vec::with_capacity(message_frame.len_bytes);
        reader.frame(message_frame.len_bytes, &mut message).await?;
        store(shard, Bytes::from(envelope), Bytes::from(message)).await?;
        reader.reply(b"250\r\n").await?;
    }
}

async fn store(shard: &Shard, envelope: Bytes, message: Bytes) -> Option<()> {
    if shard.job.options.relay.is_none() {
        shard.log.append(message).await.then_some(())?;
    } else {
        let space = shard.backlog.room(message.len()).await;
        shard.log.append(message.clone()).await.then_some(())?;
        shard.backlog.push(envelope, message, space);
    }
    shard.messages.set(shard.messages.get() + 1);
    Some(())
}

struct Reader {
    conn: Conn,
    input: Option<(RecvBuf, usize)>,
}

#[derive(PartialEq, Eq)]
enum Got {
    Frame,
    /// The frame began with a Q: the one byte that the floor looks at.
    Farewell,
}

impl Reader {
    /// Appends exactly `len` bytes to `frame`.
    async fn frame(&mut self, len: usize, frame: &mut Vec<u8>) -> Option<Got> {
        let end = frame.len() + len;
        let start = frame.len();
        while frame.len() < end {
            let (input, at) = match self.input.take() {
                Some(input) => input,
                None => (self.conn.recv().await.ok()?, 0),
            };
            if input.is_empty() {
                return None;
            }
            let taken = (end - frame.len()).min(input.len() - at);
            frame.extend_from_slice(&input[at..at + taken]);
            if frame[start] == b'Q' {
                return Some(Got::Farewell);
            }
            if at + taken < input.len() {
                self.input = Some((input, at + taken));
            }
        }
        Some(Got::Frame)
    }

    /// Skips a line.
    async fn line(&mut self) -> Option<()> {
        loop {
            let input = self.conn.recv().await.ok()?;
            if input.is_empty() {
                return None;
            }
            if input.ends_with(b"\n") {
                return Some(());
            }
        }
    }

    async fn reply(&mut self, text: &[u8]) -> Option<()> {
        self.conn.send(Bytes::copy_from_slice(text)).await.ok()
    }
}
