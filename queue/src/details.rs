//! What is known of an item beyond what delivery needs: where its message came from, what scripts attached to it, and
//! what its last attempt came to. For listings and filters.

use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnosis::{Reason, Remote};
use crate::intern::{Interner, Pool};
use crate::packed::names_of;

/// Where a message came from. Equal ones are kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Id of the server that took it.
    pub server_id: Box<str>,
    /// What the client called itself.
    pub helo: Box<str>,
    /// Name that it logged in with; empty: it did not.
    pub sasl_user: Box<str>,
    /// Its address.
    pub peer: Option<IpAddr>,
}

/// Where an attempt went, as far as it came. Equal ones are kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// Our address.
    pub local: Option<IpAddr>,
    /// The host.
    pub remote: Option<Remote>,
    /// The group of destinations that it belongs to; empty: none.
    pub grouping: Arc<str>,
}

/// What an item's last attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// The reply, or what went wrong.
    pub reason: Reason,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What comes with an item beyond what delivery needs.
#[derive(Clone, Debug, Default)]
pub struct Details<'a> {
    /// Where its message came from.
    pub origin: Origin,
    /// Pairs of key and value.
    pub metadata: &'a [(&'a [u8], &'a [u8])],
    /// Quotas that it counts for.
    pub quotas: &'a [&'a str],
    /// What its last attempt came to, where it is known from before a restart.
    pub last: Option<LastAttempt>,
}

/// Metadata of an item, in the order in which it was attached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metadata<'a>(&'a [u8]);

impl<'a> Metadata<'a> {
    pub(crate) fn of(packed: &'a [u8]) -> Metadata<'a> {
        Metadata(packed)
    }

    /// All pairs of key and value.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let key = take(&mut rest)?;
            Some((key, take(&mut rest)?))
        })
    }

    /// The value of a key.
    pub fn get(self, key: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// There is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = after;
    Some(text)
}

/// Quotas of an item.
#[derive(Clone, Copy, Debug)]
pub struct Quotas<'a> {
    names: &'a Interner,
    packed: &'a [u8],
}

impl<'a> Quotas<'a> {
    pub(crate) fn of(names: &'a Interner, packed: &'a [u8]) -> Quotas<'a> {
        Quotas { names, packed }
    }

    /// Their names.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        names_of(self.packed).map(move |name| &**self.names.get(name))
    }
}

/// How much counts for a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// Queued items.
    pub count: u64,
    /// Bytes of their messages, each counted for every item of it.
    pub bytes: u64,
}

/// Values that items share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) origins: Pool<Origin>,
    pub(crate) reasons: Pool<Reason>,
    pub(crate) links: Pool<Link>,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Shared {
        Shared { origins: Pool::new(seed), reasons: Pool::new(seed), links: Pool::new(seed) }
    }
}
