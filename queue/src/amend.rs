//! Properties of queued items that operators change.

use std::sync::Arc;

/// Properties to change; absent ones stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Transport.
    pub transport: Option<Arc<str>>,
    /// Job id; empty: it has none any more.
    pub job_id: Option<Arc<str>>,
    /// Tenant id, likewise.
    pub tenant_id: Option<Arc<str>>,
    /// Attempts behind the item.
    pub attempts: Option<u32>,
    /// 1: goes before those with 0. Higher ones count as 1.
    pub priority: Option<u8>,
    /// Metadata.
    pub metadata: MetadataChange,
}

/// A key or a value.
type Bytes = Box<[u8]>;

/// Pairs of metadata to set and to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataChange {
    /// Keys with their new values.
    pub set: Vec<(Bytes, Bytes)>,
    /// Keys to remove.
    pub remove: Vec<Bytes>,
}

impl MetadataChange {
    /// Nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// What becomes of these pairs.
    pub fn applied_to<'a>(
        &'a self,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        let set = self.set.iter().map(|(key, value)| (&**key, &**value));
        pairs.filter(|(key, _)| !self.concerns(key)).chain(set)
    }

    /// Whether a pair with this key does not stay as it is.
    fn concerns(&self, key: &[u8]) -> bool {
        let set = self.set.iter().map(|(key, _)| key);
        set.chain(&self.remove).any(|other| **other == *key)
    }
}
