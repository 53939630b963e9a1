//! One recorded change, as it was asked for.

use bytes::Bytes;

use super::Place;
use crate::mime::PartId;

/// Fields (`raw`) and parts (`content`) are complete as they will be written; `name` is matched in any case.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    AddHeader {
        part: PartId,
        name: Bytes,
        raw: Bytes,
    },
    SetHeader {
        part: PartId,
        name: Bytes,
        raw: Bytes,
        index: Option<usize>,
    },
    DelHeader {
        part: PartId,
        name: Bytes,
        index: Option<usize>,
    },
    RenameHeader {
        part: PartId,
        name: Bytes,
        new_name: Bytes,
    },
    DateLater {
        part: PartId,
    },
    /// The Date fields that were to come later are this one.
    DateNow {
        field: Bytes,
    },
    SetBody {
        part: PartId,
        body: Bytes,
        encoding: Bytes,
    },
    SetPreamble {
        part: PartId,
        text: Bytes,
    },
    SetEpilogue {
        part: PartId,
        text: Bytes,
    },
    InsertPart {
        part: PartId,
        place: Place,
        content: Bytes,
        wrap_type: Option<Bytes>,
        boundary: Bytes,
    },
    ReplacePart {
        part: PartId,
        content: Bytes,
    },
    RemovePart {
        part: PartId,
    },
    Raw {
        start: u32,
        count: u32,
        data: Bytes,
    },
}

impl Edit {
    /// Memory of the change.
    pub(super) fn size_bytes(&self) -> usize {
        let data = match self {
            Edit::AddHeader { raw, .. } | Edit::SetHeader { raw, .. } => raw.len(),
            Edit::SetBody { body, .. } => body.len(),
            Edit::SetPreamble { text, .. } | Edit::SetEpilogue { text, .. } => text.len(),
            Edit::InsertPart { content, .. } | Edit::ReplacePart { content, .. } => content.len(),
            Edit::Raw { data, .. } => data.len(),
            Edit::DateNow { field } => field.len(),
            Edit::RenameHeader { new_name, .. } => new_name.len(),
            Edit::DelHeader { .. } | Edit::DateLater { .. } | Edit::RemovePart { .. } => 0,
        };
        size_of::<Edit>() + data
    }
}
