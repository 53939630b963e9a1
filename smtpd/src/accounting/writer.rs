//! The accounting file: numbered, appended to, rotated. On the control thread.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::Accounting as Settings;
use engine::buf::AlignedBuf;
use engine::disk::{Dir, Durability, File, OpenOptions};
use engine::sync::Notify;

use super::scan::{Marks, Scan};
use crate::limits;
use crate::log::{Log, Priority};

/// Writes the file. One write at a time, in the order in which they were asked for.
#[derive(Debug)]
pub struct Writer {
    settings: Settings,
    name: String,
    log: Rc<Log>,
    /// `None` while a write is under way.
    open: RefCell<Option<Open>>,
    free: Notify,
    reopen: Cell<bool>,
}

#[derive(Debug)]
struct Open {
    dir: Dir,
    file: File,
    offset: u64,
    /// Sequence numbers of its first line and of the next one.
    first: u64,
    next: u64,
    opened_ms: u64,
    marks: Marks,
}

impl Writer {
    /// Opens the file, or creates it, and goes on where it ends. Gives what it says about the logs of the spool.
    ///
    /// # Errors
    /// A sentence for the log.
    pub async fn open(settings: &Settings, log: Rc<Log>) -> Result<Arc<Marks>, String> {
        let failed = |error: io::Error| format!("accounting.path: {}: {error}", settings.path.display());
        let name = settings.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?.to_owned();
        let open = open(&parent(&settings.path), &name, None).await.map_err(failed)?;
        let marks = Arc::new(open.marks.clone());
        let writer = Rc::new(Writer {
            settings: settings.clone(),
            name,
            log,
            open: RefCell::new(Some(open)),
            free: Notify::new(),
            reopen: Cell::new(false),
        });
        engine::mesh::local::set(writer);
        Ok(marks)
    }

    /// `SIGUSR1`: with the next write, the file is opened anew, as somebody has renamed it.
    pub fn reopen_here() -> bool {
        let writer = engine::mesh::local::get::<Writer>();
        writer.map(|writer| writer.reopen.set(true)).is_some()
    }

    /// Writes lines of a shard, without their beginnings; on the control thread.
    pub(super) async fn write_here(lines: String, count: u64) -> io::Result<()> {
        let writer = engine::mesh::local::get::<Writer>();
        let writer = writer.ok_or_else(|| io::Error::other("there is no accounting file"))?;
        let mut open = writer.take().await;
        let result = writer.write(&mut open, &lines, count).await;
        *writer.open.borrow_mut() = Some(open);
        writer.free.notify_one();
        result
    }

    async fn take(&self) -> Open {
        loop {
            let open = self.open.borrow_mut().take();
            match open {
                Some(open) => return open,
                None => self.free.notified().await,
            }
        }
    }

    async fn write(&self, open: &mut Open, lines: &str, count: u64) -> io::Result<()> {
        self.change_file(open).await;
        let first = open.next;
        // Numbers are used up even if the write fails: a reader sees the gap.
        open.next += count;
        let mut text = String::with_capacity(lines.len() + lines.len() / 8);
        for (sequence, line) in (first..).zip(lines.split_inclusive('\n')) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{{\"seq\":{sequence},{line}");
        }
        append(&open.file, open.offset, &text).await?;
        open.offset += text.len() as u64;
        let mut scan = Scan::default();
        scan.lines(text.as_bytes());
        open.marks.merge(&scan.marks);
        Ok(())
    }

    /// Rotates the file when it is large or old, and opens it anew when asked to. On an error it goes on with the one it
    /// has.
    async fn change_file(&self, open: &mut Open) {
        let age = Duration::from_millis(engine::time::wall_ms().saturating_sub(open.opened_ms));
        let due = open.offset >= self.settings.rotate_size_bytes || age >= self.settings.rotate_interval;
        let reopen = self.reopen.take();
        if !due && !reopen {
            return;
        }
        if let Err(error) = self.next_file(open, due).await {
            self.log.line(Priority::Error, format_args!("accounting: the file was not changed: {error}"));
            open.opened_ms = engine::time::wall_ms();
        }
    }

    async fn next_file(&self, open: &mut Open, rotate: bool) -> io::Result<()> {
        if rotate {
            open.dir.rename(&self.name, &format!("{}.{:0ROTATED_DIGITS$}", self.name, open.first)).await?;
        }
        let parent = parent(&self.settings.path);
        let state = (open.next, open.marks.clone());
        *open = self::open(&parent, &self.name, Some(state)).await?;
        Ok(())
    }
}

fn parent(path: &std::path::Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Opens a file and goes on where it ends. `state`: the next sequence number and the marks of the file before it.
async fn open(parent: &std::path::Path, name: &str, state: Option<(u64, Marks)>) -> io::Result<Open> {
    let dir = Dir::open(parent).await?;
    let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    let file = dir.open_file(name, options).await?;
    let mut scan = scan(&file).await?;
    // A line that was cut off by the end of the process was not acknowledged: its event is told again.
    file.set_len(scan.whole_bytes).await?;
    let (mut next, marks) = match state {
        Some(state) => state,
        // The process ended while it changed the file, or somebody took the file away: go on after the one before it.
        None if scan.last == 0 => before(&dir, name).await?,
        None => (1, Marks::default()),
    };
    next = next.max(scan.last + 1);
    scan.marks.merge(&marks);
    let opened_ms = engine::time::wall_ms();
    let mut line = format!("{{\"seq\":{next},\"time_ms\":{opened_ms},\"marks\":\"");
    scan.marks.write(&mut line);
    line.push_str("\",\"event\":\"opened\"}\n");
    append(&file, scan.whole_bytes, &line).await?;
    let offset = scan.whole_bytes + line.len() as u64;
    Ok(Open {
        dir,
        file,
        offset,
        first: scan.first.unwrap_or(next),
        next: next + 1,
        opened_ms,
        marks: scan.marks,
    })
}

/// Where the last file that was rotated ends.
async fn before(dir: &Dir, name: &str) -> io::Result<(u64, Marks)> {
    let rotated = |entry: &str| -> Option<u64> {
        let number = entry.strip_prefix(name)?.strip_prefix('.')?;
        if number.len() < ROTATED_DIGITS { None } else { number.parse().ok() }
    };
    let entries = dir.list().await?;
    let last = entries.iter().filter_map(|entry| Some((rotated(&entry.name)?, &entry.name))).max();
    let Some((_, last)) = last else { return Ok((1, Marks::default())) };
    let found = scan(&dir.open_file(last, OpenOptions::default()).await?).await?;
    Ok((found.last + 1, found.marks))
}

/// Digits of the sequence number at the end of a rotated file's name; logrotate uses fewer.
const ROTATED_DIGITS: usize = 12;

async fn scan(file: &File) -> io::Result<Scan> {
    let len = file.len().await?;
    let mut scan = Scan::default();
    let (mut offset, mut rest) = (0, Vec::new());
    while offset < len {
        let piece = file.read_at(offset, limits::ACCOUNTING_READ_BYTES).await?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        rest.extend_from_slice(&piece);
        let whole = memchr::memrchr(b'\n', &rest).map_or(0, |end| end + 1);
        scan.lines(&rest[..whole]);
        rest.drain(..whole);
        if rest.len() > limits::ACCOUNTING_READ_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not an accounting file: a line without end",
            ));
        }
    }
    Ok(scan)
}

/// In the cache of the kernel, where the end of this process does not touch it.
async fn append(file: &File, offset: u64, text: &str) -> io::Result<()> {
    let mut buffer = AlignedBuf::with_capacity(text.len());
    buffer.extend_from_slice(text.as_bytes());
    file.write_at(offset, buffer, Durability::Cached).await.0
}
