//! How much the disk holds.

use std::collections::BTreeSet;
use std::io;

use super::directory::Ino;
use super::{Disk, Handle, Node};
use crate::sim::image::PAGE_BYTES;

/// What a disk without a limit reports as free.
const UNLIMITED_FREE_BYTES: u64 = 1 << 40;

impl Disk {
    pub(in crate::sim) fn free_bytes(&self) -> u64 {
        match self.faults.capacity_bytes {
            0 => UNLIMITED_FREE_BYTES,
            capacity => capacity.saturating_sub(self.used_bytes()),
        }
    }

    /// Space taken by what has a name or is open.
    fn used_bytes(&self) -> u64 {
        let mut live: BTreeSet<Ino> = self.opened.values().map(|opened| opened.ino).collect();
        for node in self.nodes.values() {
            if let Node::Dir(directory) = node {
                live.extend(directory.names().values());
            }
        }
        live.iter()
            .map(|ino| match self.nodes.get(ino) {
                Some(Node::File { image, .. }) => image.allocated_bytes(),
                _ => 0,
            })
            .sum()
    }

    /// How many of the bytes the disk has room for.
    pub(super) fn fitting(&mut self, handle: Handle, offset: u64, len: usize) -> io::Result<usize> {
        if self.faults.capacity_bytes == 0 {
            return Ok(len);
        }
        let mut free = self.free_bytes();
        let image = self.image(handle)?;
        if image.new_bytes(offset, len) <= free {
            return Ok(len);
        }
        let mut fits = 0;
        while fits < len {
            let to_page_end = PAGE_BYTES - (offset as usize + fits) % PAGE_BYTES;
            let part = to_page_end.min(len - fits);
            let needs = image.new_bytes(offset + fits as u64, part);
            if needs > free {
                break;
            }
            free -= needs;
            fits += part;
        }
        Ok(fits)
    }
}
