//! A queue on disk: items are appended, read in their order, and forgotten once they are acknowledged.
//!
//! A directory holds numbered segments, and the file `position` with the place of the first item that is not
//! acknowledged. An item is its length, the checksum (CRC-32C) of length and bytes, both four bytes, little endian, and its bytes. What is
//! torn at the end of a segment after a crash was never confirmed, and is skipped.

#![allow(clippy::disallowed_methods, reason = "runs on threads of the offload pool")]

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::limits;

const HEAD_BYTES: u64 = 8;
const POSITION: &str = "position";
const SUFFIX: &str = ".items";

/// The queue, open; no other process can open it meanwhile. All calls block.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    /// Oldest first; never empty. Only the last one is appended to.
    segments: VecDeque<Segment>,
    /// Items that are not acknowledged.
    count: u64,
    /// The place in the first segment of the first of them.
    read_at: u64,
    _lock: Flock<File>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    /// The bytes that hold whole items.
    end: u64,
}

/// Items that have been read, and where the next one is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    items: Vec<Vec<u8>>,
    next: Place,
}

impl Batch {
    /// In their order.
    pub(super) fn items(&self) -> &[Vec<u8>] {
        &self.items
    }

    pub(super) fn into_items(self) -> Vec<Vec<u8>> {
        self.items
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u64,
    offset: u64,
}

impl Journal {
    /// Opens a queue, or makes it. Tells `damage` of bytes that are skipped.
    ///
    /// # Errors
    /// The directory cannot be used, or another process does.
    pub(super) fn open(directory: &Path, damage: &mut dyn FnMut(String)) -> io::Result<Journal> {
        if !directory.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
            // Its name has to outlive a crash, too.
            let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(directory.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| io::Error::other("another process uses it"))?;
        let mut journal = Journal {
            directory: directory.to_owned(),
            segments: VecDeque::new(),
            count: 0,
            read_at: 0,
            _lock: lock,
        };
        journal.load(damage)?;
        Ok(journal)
    }

    /// Items that are not acknowledged.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Appends items: they are on disk when this returns.
    ///
    /// # Errors
    /// Nothing was appended: the queue or the disk is full, or the disk fails.
    pub(super) fn append(&mut self, items: &[Vec<u8>]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(items.iter().map(|item| item.len() + HEAD_BYTES as usize).sum());
        for item in items {
            let length = u32::try_from(item.len()).map_err(|_| io::Error::other("an item is too long"))?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&checksum(length, item).to_le_bytes());
            bytes.extend_from_slice(item);
        }
        let held: u64 = self.segments.iter().map(|segment| segment.end).sum();
        if held + bytes.len() as u64 > limits::BULK_QUEUE_BYTES_MAX {
            return Err(io::Error::other(format!("it holds {} bytes already", limits::BULK_QUEUE_BYTES_MAX)));
        }
        if self.last().end >= limits::BULK_SEGMENT_BYTES {
            self.add_segment(self.last().number + 1)?;
        }
        let last = self.segments.back_mut().expect("never empty");
        let written = last.file.write_all_at(&bytes, last.end).and_then(|()| last.file.sync_data());
        if let Err(error) = written {
            // What became of those bytes is unknown: what comes next goes into another file.
            let (cut, next) = (last.file.set_len(last.end), last.number + 1);
            if cut.is_err() || self.add_segment(next).is_err() {
                return Err(io::Error::other(format!("{error}; and the file cannot be left in order")));
            }
            return Err(error);
        }
        last.end += bytes.len() as u64;
        self.count += items.len() as u64;
        Ok(())
    }

    /// Reads the first items: at most `most`, and no more bytes than a request may have.
    ///
    /// # Errors
    /// The disk fails, or holds other bytes than were written.
    pub(super) fn read(&self, most: u64) -> io::Result<Batch> {
        let mut batch =
            Batch { items: Vec::new(), next: Place { segment: self.first().number, offset: self.read_at } };
        let mut bytes = 0;
        for segment in &self.segments {
            if segment.number > batch.next.segment {
                batch.next = Place { segment: segment.number, offset: 0 };
            }
            while batch.next.offset < segment.end && (batch.items.len() as u64) < most {
                let item = segment.read(batch.next.offset)?;
                bytes += item.len();
                if bytes > limits::BULK_REQUEST_BYTES_MAX && !batch.items.is_empty() {
                    return Ok(batch);
                }
                batch.next.offset += HEAD_BYTES + item.len() as u64;
                batch.items.push(item);
            }
            if batch.items.len() as u64 >= most {
                break;
            }
        }
        Ok(batch)
    }

    /// Forgets the items of a batch, which were the first.
    ///
    /// # Errors
    /// That cannot be written: they are read again after a restart.
    pub(super) fn acknowledge(&mut self, batch: &Batch) -> io::Result<()> {
        let Place { segment, offset } = batch.next;
        if (segment, offset) < (self.first().number, self.read_at) {
            return Ok(());
        }
        self.count = self.count.saturating_sub(batch.items.len() as u64);
        self.read_at = offset;
        let mut done = Vec::new();
        while self.first().number < segment {
            done.extend(self.segments.pop_front());
        }
        if self.read_at >= self.first().end && self.segments.len() > 1 {
            done.extend(self.segments.pop_front());
            self.read_at = 0;
        }
        self.write_position()?;
        done.iter().try_for_each(|segment| fs::remove_file(self.path_of(segment.number)))
    }

    /// Forgets all items.
    ///
    /// # Errors
    /// As [`Journal::acknowledge`].
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.add_segment(self.last().number + 1)?;
        let next = Place { segment: self.last().number, offset: 0 };
        self.count = 0;
        self.acknowledge(&Batch { items: Vec::new(), next })
    }

    fn first(&self) -> &Segment {
        self.segments.front().expect("never empty")
    }

    fn last(&self) -> &Segment {
        self.segments.back().expect("never empty")
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:016}{SUFFIX}"))
    }

    /// A new segment, with its name on disk.
    fn add_segment(&mut self, number: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        // A file of that number can only be left over from before anything was acknowledged in it.
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(self.path_of(number))?;
        File::open(&self.directory)?.sync_all()?;
        self.segments.push_back(Segment { number, file, end: 0 });
        Ok(())
    }

    fn write_position(&self) -> io::Result<()> {
        let text = format!("{} {}\n", self.first().number, self.read_at);
        let path = self.directory.join(POSITION);
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_data()?;
        fs::rename(&new, &path)
    }

    /// Finds the segments, and what in them is not acknowledged.
    fn load(&mut self, damage: &mut dyn FnMut(String)) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u64>().ok());
            numbers.extend(number.filter(|number| *number < u64::MAX));
        }
        numbers.sort_unstable();
        let position = self.read_position(damage)?;
        for number in numbers {
            let from = match position {
                Some(place) if number < place.segment => {
                    fs::remove_file(self.path_of(number))?;
                    continue;
                }
                Some(place) if number == place.segment => place.offset,
                _ => 0,
            };
            self.take_up(number, from, damage)?;
        }
        match self.segments.back() {
            None => self.add_segment(position.map_or(1, |place| place.segment.saturating_add(1))),
            // Nothing comes behind what is torn.
            Some(last) if last.end != last.file.metadata()?.len() => self.add_segment(last.number + 1),
            Some(_) => Ok(()),
        }
    }

    /// Adds a segment of a directory that is being loaded. What is before `from` in it is acknowledged.
    fn take_up(&mut self, number: u64, from: u64, damage: &mut dyn FnMut(String)) -> io::Result<()> {
        let path = self.path_of(number);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let length = file.metadata()?.len();
        let mut segment = Segment { number, file, end: length };
        let mut at = from.min(length);
        if self.segments.is_empty() {
            self.read_at = at;
        }
        while at < length {
            match segment.read(at) {
                Ok(item) => {
                    at += HEAD_BYTES + item.len() as u64;
                    self.count += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    damage(format!(
                        "{}: {} bytes at its end are no items, and are skipped",
                        path.display(),
                        length - at
                    ));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        segment.end = at;
        self.segments.push_back(segment);
        Ok(())
    }

    /// `None`: nothing was acknowledged, or that cannot be read, and items may be sent again.
    fn read_position(&self, damage: &mut dyn FnMut(String)) -> io::Result<Option<Place>> {
        let path = self.directory.join(POSITION);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let place =
            text.strip_suffix('\n').and_then(|line| line.split_once(' ')).and_then(|(segment, offset)| {
                Some(Place { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
            });
        if place.is_none() {
            damage(format!("{}: is broken; items may be sent again", path.display()));
        }
        Ok(place)
    }
}

impl Segment {
    /// The item at an offset. `InvalidData`: there is none, or it is not what was written.
    fn read(&self, offset: u64) -> io::Result<Vec<u8>> {
        let broken = || {
            io::Error::new(io::ErrorKind::InvalidData, format!("segment {}: broken at {offset}", self.number))
        };
        if self.end - offset < HEAD_BYTES {
            return Err(broken());
        }
        let mut head = [0; HEAD_BYTES as usize];
        self.file.read_exact_at(&mut head, offset)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if u64::from(length) > self.end - offset - HEAD_BYTES || length as usize > limits::BULK_ITEM_BYTES_MAX
        {
            return Err(broken());
        }
        let mut item = vec![0; length as usize];
        self.file.read_exact_at(&mut item, offset + HEAD_BYTES)?;
        if checksum(length, &item) == sum { Ok(item) } else { Err(broken()) }
    }
}

/// Not 0 for an empty item: a file may end in zeros after a crash.
fn checksum(length: u32, item: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), item)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn items(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    fn open(directory: &Path) -> (Journal, Vec<String>) {
        let mut told = Vec::new();
        let journal = Journal::open(directory, &mut |what| told.push(what)).unwrap();
        (journal, told)
    }

    #[test]
    fn what_is_not_acknowledged_is_read_again_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(directory.path());
        journal.append(&items(&["a", "", "c"])).unwrap();
        journal.append(&items(&["d"])).unwrap();
        let first = journal.read(2).unwrap();
        assert_eq!(first.items, items(&["a", ""]));
        assert_eq!(journal.read(2).unwrap(), first);
        assert!(Journal::open(directory.path(), &mut |_| ()).is_err(), "two may not use it");
        journal.acknowledge(&first).unwrap();
        drop(journal);
        let (mut journal, told) = open(directory.path());
        assert_eq!((journal.count(), told.len()), (2, 0));
        let rest = journal.read(9).unwrap();
        assert_eq!(rest.items, items(&["c", "d"]));
        journal.acknowledge(&rest).unwrap();
        assert_eq!(journal.read(9).unwrap().items, items(&[]));
        journal.append(&items(&["e"])).unwrap();
        drop(journal);
        let (mut journal, _) = open(directory.path());
        assert_eq!(journal.read(9).unwrap().items, items(&["e"]));
        journal.clear().unwrap();
        assert_eq!(journal.count(), 0);
        drop(journal);
        assert_eq!(open(directory.path()).0.count(), 0);
    }

    /// A crash between the word that they are done and their end, and an answer that comes after an operator has cleared.
    #[test]
    fn what_was_acknowledged_stays_so_whatever_comes_late() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(directory.path());
        journal.append(&items(&["a", "b"])).unwrap();
        let both = journal.read(2).unwrap();
        let first = journal.read(1).unwrap();
        let segment = journal.path_of(journal.first().number);
        let old = fs::read(&segment).unwrap();
        journal.acknowledge(&both).unwrap();
        journal.acknowledge(&first).unwrap();
        journal.append(&items(&["c"])).unwrap();
        assert_eq!((journal.count(), journal.read(9).unwrap().items), (1, items(&["c"])));
        journal.clear().unwrap();
        journal.append(&items(&["d"])).unwrap();
        journal.acknowledge(&both).unwrap();
        drop(journal);
        fs::write(&segment, old).unwrap();
        let (journal, told) = open(directory.path());
        assert_eq!((journal.read(9).unwrap().items, told.len()), (items(&["d"]), 0));
        assert!(!segment.exists());
    }

    #[test]
    fn segments_that_are_done_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(directory.path());
        let large = vec![b'x'; limits::BULK_SEGMENT_BYTES as usize / 2];
        for _ in 0..5 {
            journal.append(std::slice::from_ref(&large)).unwrap();
        }
        assert_eq!(journal.segments.len(), 3);
        for left in (0..5).rev() {
            let batch = journal.read(1).unwrap();
            journal.acknowledge(&batch).unwrap();
            assert_eq!(journal.count(), left);
        }
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, 3, "one segment, position, lock");
    }

    /// A crash in the middle of a write, at each byte of it; then a changed bit, at each byte.
    #[test]
    fn a_torn_end_and_rotten_items_are_skipped_and_told() {
        let whole = {
            let directory = tempfile::tempdir().unwrap();
            open(directory.path()).0.append(&items(&["first", "second"])).unwrap();
            fs::read(directory.path().join(format!("{:016}{SUFFIX}", 1))).unwrap()
        };
        let load = |bytes: &[u8]| {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(format!("{:016}{SUFFIX}", 1)), bytes).unwrap();
            let (mut journal, told) = open(directory.path());
            journal.append(&items(&["next"])).unwrap();
            let read = journal.read(9).unwrap().items;
            assert_eq!(read.last().unwrap(), b"next");
            drop(journal);
            assert_eq!(open(directory.path()).0.read(9).unwrap().items, read);
            (read.len() - 1, told.len())
        };
        for cut in 0..=whole.len() {
            let kept = usize::from(cut >= 13) + usize::from(cut >= whole.len());
            assert_eq!(
                load(&whole[..cut]),
                (kept, usize::from(![0, 13, whole.len()].contains(&cut))),
                "{cut}"
            );
        }
        for at in 0..whole.len() {
            let mut rotten = whole.clone();
            rotten[at] ^= 1;
            assert_eq!(load(&rotten), (usize::from(at >= 13), 1), "{at}");
        }
    }

    #[test]
    fn a_batch_has_no_more_bytes_than_a_request() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(directory.path());
        let large = vec![0; limits::BULK_REQUEST_BYTES_MAX / 2 + 1];
        journal.append(&[large.clone(), large]).unwrap();
        assert_eq!(journal.read(9).unwrap().items.len(), 1);
    }

    #[test]
    fn a_broken_position_means_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(directory.path());
        journal.append(&items(&["a"])).unwrap();
        journal.acknowledge(&journal.read(1).unwrap()).unwrap();
        drop(journal);
        for text in ["", "1", "1 x\n", "\u{0}"] {
            fs::write(directory.path().join(POSITION), text).unwrap();
            let (journal, told) = open(directory.path());
            assert_eq!((journal.count(), told.len()), (1, 1), "{text:?}");
        }
        fs::write(directory.path().join(POSITION), "1 99999\n").unwrap();
        assert_eq!(open(directory.path()).0.count(), 0);
    }
}
