//! How much there is to look at, so that what takes long can be left to another thread.

use std::sync::Arc;

use super::Message;
use crate::mime::PartId;

/// What a field counts beside its bytes: it is compared, and its value handed on by itself.
const FIELD_BYTES: usize = 16;
/// What a change of a field, or a new field, counts.
const CHANGE_BYTES: usize = 32;
/// What a recorded change counts.
const EDIT_BYTES: usize = 64;

impl Message {
    /// The bytes of a part's header, and as many for its fields as are read in the time that they take. Where the parts of the
    /// message are [not found at once](Self::look), there is no saying.
    pub fn header_weight(&self, part: PartId) -> usize {
        if !self.look() {
            return usize::MAX;
        }
        let Some(data) = self.structure().part(part) else { return 0 };
        (data.fields_end - data.start) as usize + self.structure().fields(part).len() * FIELD_BYTES
    }

    /// The same for a part with all that are below it, up to about `most`.
    pub fn headers_weight(&self, part: PartId, most: usize) -> usize {
        let mut weight = self.header_weight(part);
        if weight > most {
            return weight;
        }
        for below in self.structure().descendants(part) {
            weight += self.header_weight(below) + EDIT_BYTES;
            if weight > most {
                break;
            }
        }
        weight
    }

    /// The same for what was changed in a part's header.
    pub fn header_changes_weight(&self, part: PartId) -> usize {
        let state = self.changes.state.parts.get(&part);
        state.map_or(0, |state| (state.fields.len() + state.added.len()) * CHANGE_BYTES)
    }

    /// The same for all changes, as they are written or dropped.
    pub fn changes_weight(&self) -> usize {
        let parts = self.changes.state.parts.values();
        let fields: usize = parts.map(|state| state.fields.len() + state.added.len()).sum();
        self.changes.edits.len() * EDIT_BYTES + fields * CHANGE_BYTES
    }

    /// The same for doing all changes anew.
    pub fn replay_weight(&self) -> usize {
        let fields = self.structure.get().map_or(0, |structure| structure.fields.len());
        self.changes.edits.len() * (EDIT_BYTES + fields)
    }

    /// A part with its header and all changes of the message, in bytes.
    pub fn content_weight(&self, part: PartId) -> usize {
        let size = match part {
            PartId::ROOT => self.original.len(),
            _ if !self.look() => return usize::MAX,
            part => self.part(part).map_or(0, |part| part.size_bytes()),
        };
        size + self.edit_bytes() + self.changes_weight()
    }

    /// Takes the changes of a copy, and gives it those that this message had. False: the copy was not changed.
    pub fn swap_changes(&mut self, copy: &mut Message) -> bool {
        std::mem::swap(&mut self.changes, &mut copy.changes);
        !Arc::ptr_eq(&self.changes, &copy.changes)
    }
}
