//! Names of files, and reading pieces of them.

use std::io;
use std::rc::Rc;

use engine::buf::AlignedBuf;
use engine::disk::{Dir, File, OpenOptions};

use crate::format::BLOCK;
use crate::format::segment::Identity;

/// What a file of the spool directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A segment.
    Segment {
        /// Of this log.
        log: u32,
        /// Its number as a file; says nothing about its use.
        slot: u32,
    },
    /// An extent.
    Extent {
        /// Of this log.
        log: u32,
        /// Its number.
        id: u64,
    },
}

impl Name {
    /// Reads a file's name.
    pub fn parse(name: &str) -> Option<Name> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (log, number) = stem.strip_prefix('L')?.split_once('-')?;
        let hex = |text: &str, digits: usize| {
            let valid =
                text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
            if valid { u64::from_str_radix(text, 16).ok() } else { None }
        };
        let log = u32::try_from(hex(log, 8)?).ok()?;
        match extension {
            "seg" => Some(Name::Segment { log, slot: u32::try_from(hex(number, 8)?).ok()? }),
            "ext" => Some(Name::Extent { log, id: hex(number, 16)? }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Segment { log, slot } => write!(f, "L{log:08x}-{slot:08x}.seg"),
            Name::Extent { log, id } => write!(f, "L{log:08x}-{id:016x}.ext"),
        }
    }
}

/// An open segment in one use of it. A clone keeps the use from ending.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) file: File,
    pub(crate) name: Name,
    pub(crate) identity: Identity,
}

pub(crate) type Handle = Rc<SegmentFile>;

/// Opens a segment or extent. Falls back to the page cache where the file system refuses direct I/O or wants another
/// alignment than ours.
pub(crate) async fn open(dir: &Dir, name: &str, create: bool, direct: bool) -> io::Result<File> {
    let options = OpenOptions { write: true, create, exclusive: create, direct, mode: 0 };
    let file = dir.open_file(name, options).await?;
    if file.is_direct() && !BLOCK.is_multiple_of(file.alignment().max(1)) {
        return dir
            .open_file(name, OpenOptions { create: false, exclusive: false, direct: false, ..options })
            .await;
    }
    Ok(file)
}

/// Bytes `offset..offset + len`, wherever they stand; bytes beyond the end are zeros. The second value is where they
/// begin in the buffer.
pub(crate) async fn read_range(file: &File, offset: u64, len: usize) -> io::Result<(AlignedBuf, usize)> {
    let from = offset - offset % BLOCK as u64;
    let to = (offset + len as u64).next_multiple_of(BLOCK as u64);
    let want = usize::try_from(to - from).map_err(|_| io::Error::other("too large a read"))?;
    let mut buf = file.read_at(from, want).await?;
    if buf.len() < want {
        if buf.capacity() < want {
            let mut larger = AlignedBuf::with_capacity(want);
            larger.extend_from_slice(&buf);
            buf = larger;
        }
        buf.resize(want);
    }
    Ok((buf, (offset - from) as usize))
}

/// Writes `bytes` (a multiple of the block size) at `offset`.
pub(crate) async fn write_blocks(
    file: &File,
    offset: u64,
    bytes: &[u8],
    durability: engine::disk::Durability,
) -> io::Result<()> {
    let mut buf = AlignedBuf::with_capacity(bytes.len());
    buf.extend_from_slice(bytes);
    file.write_at(offset, buf, durability).await.0
}
