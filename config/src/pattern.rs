//! `match` values: what suspends, groupings and lists compare a field with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;

/// The eight fields of a queued recipient that files can match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as in the files")]
pub enum Field {
    TenantId,
    JobId,
    TransportId,
    LocalIp,
    Grouping,
    RemoteIp,
    RemoteMx,
    RecipientDomain,
}

/// One `match` value, except `@list`, which is resolved while loading.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The value itself; in lower case for domains, whose comparison ignores case.
    Exact(String),
    /// `*.example.com`, kept as `.example.com` in lower case: one or more labels in front, never the bare domain.
    Subdomains(String),
    /// `/…/`, not anchored.
    Regex(Regex),
    /// An address or network; an address is a network of one.
    Network(IpNet),
    /// `&id`: the group of a configured grouping. Kept without the `&`.
    Group(String),
}

/// `lists`: named patterns per field.
pub type Lists = BTreeMap<(Field, String), Vec<Pattern>>;

impl Pattern {
    /// Does `value`, in lower case for domains, match? [`Pattern::Group`] is compared with the value as `&id`.
    pub fn matches(&self, value: &str) -> bool {
        todo!()
    }

    /// Does `address` match? Only a [`Pattern::Network`] can.
    pub fn matches_ip(&self, address: IpAddr) -> bool {
        todo!()
    }
}
