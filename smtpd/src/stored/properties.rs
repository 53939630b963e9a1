//! What is remembered of a queued recipient beside its state: what has changed since it came.

use bytes::Bytes;
use hooks::Metadata;
use queue::NotifyStep;

use super::{Fields, Ordered, pairs, strings};

const ITEM_TOLD: u16 = 1;
const ITEM_METADATA: u16 = 2;
const ITEM_TRANSPORT: u16 = 3;
const ITEM_JOB_ID: u16 = 4;
const ITEM_TENANT_ID: u16 = 5;
const ITEM_PRIORITY: u16 = 6;
const ITEM_LOADED_FROM: u16 = 7;
const ITEM_UNLOADED_TO: u16 = 8;

/// What is remembered of an item beside its state ([`spool::Settle::Properties`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Steps of the retry schedule that the sender was told of: all below this number.
    told: u32,
    /// Metadata instead of what the recipient came with.
    pub metadata: Option<Metadata>,
    /// Transport instead of the recipient's.
    pub transport: Option<String>,
    /// Job id instead of the recipient's; empty: none.
    pub job_id: Option<String>,
    /// Tenant id instead of the recipient's; empty: none.
    pub tenant_id: Option<String>,
    /// Priority instead of the recipient's.
    pub priority: Option<u8>,
    /// On its way between the queue and a file.
    pub transfer: Option<Transfer>,
    /// Values of tags that this release does not know.
    others: Fields,
}

/// A recipient is on its way between the queue and a file. Known only between two records: a start that finds it finishes
/// the way, in the direction that leaves the recipient in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// It came from this file, which is to go.
    LoadedFrom(String),
    /// It is leaving for this file: once that is there, it has left.
    UnloadedTo(String),
}

impl Properties {
    /// Whether stored properties say that the recipient is on its way.
    pub fn is_moving(mut stored: &[u8]) -> bool {
        while let Some((tag, _, rest)) = split_field(stored) {
            if matches!(tag, ITEM_LOADED_FROM | ITEM_UNLOADED_TO) {
                return true;
            }
            stored = rest;
        }
        false
    }

    /// Reads them; what cannot be read is dropped.
    pub fn decode(mut bytes: &[u8]) -> Properties {
        let mut properties = Properties::default();
        while let Some((tag, value, rest)) = split_field(bytes) {
            match tag {
                ITEM_TOLD => {
                    if let Ok(told) = <[u8; 4]>::try_from(value) {
                        properties.told = u32::from_le_bytes(told);
                    }
                }
                ITEM_METADATA => properties.metadata = Some(pairs(value)),
                ITEM_TRANSPORT => properties.transport = text(value),
                ITEM_JOB_ID => properties.job_id = text(value),
                ITEM_TENANT_ID => properties.tenant_id = text(value),
                ITEM_PRIORITY => properties.priority = value.first().copied(),
                ITEM_LOADED_FROM => properties.transfer = text(value).map(Transfer::LoadedFrom),
                ITEM_UNLOADED_TO => properties.transfer = text(value).map(Transfer::UnloadedTo),
                _ => properties.others.push((tag, Bytes::copy_from_slice(value))),
            }
            bytes = rest;
        }
        properties
    }

    /// u16 tag, u16 length, value; again.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        if self.told > 0 {
            put_field(&mut out, ITEM_TOLD, &self.told.to_le_bytes());
        }
        if let Some(metadata) = &self.metadata {
            let all = metadata.iter().flat_map(|(key, value)| [&key[..], &value[..]]);
            put_field(&mut out, ITEM_METADATA, &strings(all));
        }
        let texts = [
            (ITEM_TRANSPORT, &self.transport),
            (ITEM_JOB_ID, &self.job_id),
            (ITEM_TENANT_ID, &self.tenant_id),
        ];
        for (tag, value) in texts {
            if let Some(value) = value {
                put_field(&mut out, tag, value.as_bytes());
            }
        }
        if let Some(priority) = self.priority {
            put_field(&mut out, ITEM_PRIORITY, &[priority]);
        }
        match &self.transfer {
            Some(Transfer::LoadedFrom(path)) => put_field(&mut out, ITEM_LOADED_FROM, path.as_bytes()),
            Some(Transfer::UnloadedTo(path)) => put_field(&mut out, ITEM_UNLOADED_TO, path.as_bytes()),
            None => {}
        }
        self.others.iter().for_each(|(tag, value)| put_field(&mut out, *tag, value));
        out.into()
    }

    /// What has changed instead of what a script has said, and instead of `transport`.
    pub fn overrule<'p>(&'p self, ordered: &mut Ordered<'p>, transport: &'p str) -> &'p str {
        let given = |text: &'p str| Some(text).filter(|text| !text.is_empty());
        if let Some(job_id) = &self.job_id {
            ordered.job_id = given(job_id);
        }
        if let Some(tenant_id) = &self.tenant_id {
            ordered.tenant_id = given(tenant_id);
        }
        if let Some(priority) = self.priority {
            ordered.priority = priority;
        }
        if let Some(metadata) = &self.metadata {
            ordered.metadata = metadata.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        }
        self.transport.as_deref().unwrap_or(transport)
    }

    /// Whether the sender was told at this step, or a later one.
    pub fn was_told(&self, step: NotifyStep) -> bool {
        step.0 < self.told
    }

    /// Remembers that the sender was told at this step.
    pub fn set_told(&mut self, step: NotifyStep) {
        self.told = self.told.max(step.0.saturating_add(1));
    }
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

pub(crate) fn split_field(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
    Some((u16::from_le_bytes(*tag), value, rest))
}

pub(crate) fn put_field(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    let Ok(len) = u16::try_from(value.len()) else { return };
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_remembered_takes_no_space() {
        assert!(Properties::default().encode().is_empty());
    }

    #[test]
    fn what_was_changed_comes_back() {
        let changed = Properties {
            metadata: Some(vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), Vec::new())]),
            transport: Some("out".to_owned()),
            job_id: Some(String::new()),
            tenant_id: Some("t".to_owned()),
            priority: Some(1),
            ..Properties::default()
        };
        assert_eq!(Properties::decode(&changed.encode()), changed);
        assert!(!Properties::is_moving(&changed.encode()));
        let from = Transfer::LoadedFrom("/a/b.hqf".to_owned());
        for transfer in [from, Transfer::UnloadedTo("/c".to_owned())] {
            let moving = Properties { transfer: Some(transfer), ..changed.clone() };
            assert_eq!(Properties::decode(&moving.encode()), moving);
            assert!(Properties::is_moving(&moving.encode()));
        }
        let emptied = Properties { metadata: Some(Vec::new()), ..Properties::default() };
        assert_eq!(Properties::decode(&emptied.encode()), emptied);
    }

    #[test]
    fn properties_of_later_releases_survive() {
        let mut bytes = Vec::new();
        put_field(&mut bytes, 700, b"later");
        put_field(&mut bytes, ITEM_TOLD, &3_u32.to_le_bytes());
        let mut properties = Properties::decode(&bytes);
        assert!(properties.was_told(NotifyStep(2)) && !properties.was_told(NotifyStep(3)));
        properties.set_told(NotifyStep(5));
        properties.set_told(NotifyStep(4));
        let again = Properties::decode(&properties.encode());
        assert_eq!(again, properties);
        assert!(again.was_told(NotifyStep(5)) && !again.was_told(NotifyStep(6)));
        assert_eq!(again.others, [(700, Bytes::from_static(b"later"))]);
    }

    #[test]
    fn bad_properties_are_dropped() {
        for bytes in [&b""[..], b"\x01", b"\x01\0\xff\xff\0", b"\x01\0\x01\0\x07"] {
            assert_eq!(Properties::decode(bytes), Properties::default());
        }
    }
}
