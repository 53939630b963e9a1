//! A large body in a file of its own.

use std::io;
use std::rc::Rc;

use engine::buf::AlignedBuf;
use engine::disk::{Durability, File};

use crate::files::{self, Name};
use crate::format::record::{Part, extent_seed};
use crate::format::{BODY_BLOCK, stamp};
use crate::state::PartRef;
use crate::store::Store;

/// Bytes of one write.
const WRITE_BYTES: usize = 4 * BODY_BLOCK;

/// An extent that is being written.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) id: u64,
    spool: [u8; 16],
    log: u32,
    file: File,
    bytes: u64,
    written: u64,
    buf: Option<AlignedBuf>,
    crcs: Vec<u32>,
    /// Checksum of the block that is being filled.
    crc: u32,
}

impl Extent {
    pub(crate) async fn create(store: &Rc<Store>) -> io::Result<Extent> {
        let id = {
            let mut state = store.state.borrow_mut();
            state.sequences += 1;
            stamp(store.epoch, state.sequences)
        };
        let name = Name::Extent { log: store.log, id }.to_string();
        let file = files::open(&store.dir, &name, true, false).await?;
        let spool = store.spool.uuid();
        let crc = extent_seed(&spool, store.log, id, 0);
        let buf = Some(AlignedBuf::with_capacity(WRITE_BYTES));
        Ok(Extent { id, spool, log: store.log, file, bytes: 0, written: 0, buf, crcs: Vec::new(), crc })
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let in_block = BODY_BLOCK - (self.bytes % BODY_BLOCK as u64) as usize;
            let (now, later) = bytes.split_at(in_block.min(bytes.len()));
            self.crc = crc32c::crc32c_append(self.crc, now);
            let buf = self.buf.as_mut().ok_or_else(lost)?;
            buf.extend_from_slice(now);
            let full = buf.remaining() == 0;
            self.bytes += now.len() as u64;
            bytes = later;
            if self.bytes.is_multiple_of(BODY_BLOCK as u64) {
                self.end_block();
            }
            if full {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn end_block(&mut self) {
        self.crcs.push(self.crc);
        self.crc = extent_seed(&self.spool, self.log, self.id, self.crcs.len() as u64);
    }

    async fn flush(&mut self) -> io::Result<()> {
        let buf = self.buf.take().ok_or_else(lost)?;
        let len = buf.len() as u64;
        let (result, mut buf) = self.file.write_at(self.written, buf, Durability::Cached).await;
        result?;
        buf.clear();
        self.buf = Some(buf);
        self.written += len;
        Ok(())
    }

    /// Makes file and name durable; the commit record can name it then.
    pub(crate) async fn finish(&mut self, store: &Rc<Store>) -> io::Result<(PartRef, Part)> {
        if self.written < self.bytes {
            self.flush().await?;
        }
        if !self.bytes.is_multiple_of(BODY_BLOCK as u64) {
            self.end_block();
        }
        if store.options.fsync {
            self.file.sync().await?;
            store.dir.sync().await?;
            store.state.borrow_mut().stats.durable_writes += 2;
        }
        let crcs = std::mem::take(&mut self.crcs);
        let part =
            PartRef::Extent { log: self.log, id: self.id, bytes: self.bytes, crcs: crcs.as_slice().into() };
        Ok((part, Part::Extent { id: self.id, bytes: self.bytes, crcs }))
    }
}

fn lost() -> io::Error {
    io::Error::other("an earlier write of the extent failed")
}
