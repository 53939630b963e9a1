//! Durable appends by group commit: a batch forms while the one before is being written.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::rc::Rc;

use bytes::{Buf, Bytes};
use engine::buf::AlignedBuf;
use engine::disk::{Dir, Durability, File, OpenOptions};
use engine::sync::{Notify, Sender, oneshot};

use crate::limits::{FLOOR_BATCH_BYTES, FLOOR_FILE_BYTES};

/// The log of one shard: a file of zeros that is overwritten from beginning to end, again and again.
#[derive(Debug)]
pub(super) struct Log {
    dir: Dir,
    name: String,
    file: File,
    pending: RefCell<VecDeque<Entry>>,
    filled: Notify,
    batches: Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    rest: Bytes,
    done: Option<Sender<()>>,
}

impl Log {
    /// Makes the file and fills it.
    pub(super) async fn create(dir: &Path, name: String) -> io::Result<Log> {
        let dir = Dir::open(dir).await?;
        let options = OpenOptions { write: true, create: true, direct: true, ..OpenOptions::default() };
        let file = dir.open_file(&name, options).await?;
        let mut zeros = AlignedBuf::with_capacity(FLOOR_BATCH_BYTES);
        zeros.resize(FLOOR_BATCH_BYTES);
        for at in (0..FLOOR_FILE_BYTES).step_by(FLOOR_BATCH_BYTES) {
            let (written, buffer) = file.write_at(at, zeros, Durability::Cached).await;
            written?;
            zeros = buffer;
        }
        file.sync().await?;
        dir.sync().await?;
        Ok(Log { dir, name, file, pending: RefCell::default(), filled: Notify::new(), batches: Cell::new(0) })
    }

    /// Appends and waits until it is on stable storage. False when the disk failed.
    pub(super) async fn append(&self, data: Bytes) -> bool {
        let (done, written) = oneshot();
        self.pending.borrow_mut().push_back(Entry { rest: data, done: Some(done) });
        self.filled.notify_one();
        written.await.is_some()
    }

    /// Appends with the next batch that something waits for.
    pub(super) fn note(&self, data: Bytes) {
        self.pending.borrow_mut().push_back(Entry { rest: data, done: None });
    }

    /// Durable writes so far.
    pub(super) fn batches(&self) -> u64 {
        self.batches.get()
    }

    /// Writes batch after batch, until the disk fails.
    pub(super) async fn write(self: Rc<Log>) -> io::Result<()> {
        let (mut buffer, mut offset) = (AlignedBuf::with_capacity(FLOOR_BATCH_BYTES), 0);
        let mut done = Vec::new();
        loop {
            while self.pending.borrow().is_empty() {
                self.filled.notified().await;
            }
            buffer.clear();
            self.fill(&mut buffer, &mut done);
            buffer.pad_to(self.file.alignment());
            let len = buffer.len() as u64;
            if offset + len > FLOOR_FILE_BYTES {
                offset = 0;
            }
            let (written, returned) = self.file.write_at(offset, buffer, Durability::Durable).await;
            written?;
            (buffer, offset) = (returned, offset + len);
            self.batches.set(self.batches.get() + 1);
            for done in done.drain(..) {
                // A session that went away needs no answer.
                let _ = Sender::send(done, ());
            }
        }
    }

    /// Removes the file.
    pub(super) async fn remove(&self) -> io::Result<()> {
        self.dir.remove(&self.name).await
    }

    /// Moves what is pending into the buffer, as much as fits; `done` gets those whose last byte went in.
    fn fill(&self, buffer: &mut AlignedBuf, done: &mut Vec<Sender<()>>) {
        let mut pending = self.pending.borrow_mut();
        while let Some(entry) = pending.front_mut() {
            let len = entry.rest.len().min(buffer.remaining());
            buffer.extend_from_slice(&entry.rest[..len]);
            entry.rest.advance(len);
            if !entry.rest.is_empty() {
                return;
            }
            done.extend(pending.pop_front().and_then(|entry| entry.done));
        }
    }
}
