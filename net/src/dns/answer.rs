//! Questions and what is known about them.

use std::fmt;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::dns::cache::Keyed;
use crate::dns::{DomainName, RecordData, RecordKind};
use crate::limits;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// Names of an address.
    Ptr,
    /// Records as they are.
    Records(RecordKind),
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Of which name.
    pub name: DomainName,
    /// What.
    pub kind: Kind,
}

impl Question {
    /// A hash that is the same wherever the key is, and cannot be foreseen without it.
    pub fn keyed_hash(&self, key: u64) -> u64 {
        Keyed(key).hash_one(self)
    }
}

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Its host; `None` for `.`: no mail (RFC 7505).
    pub host: Option<DomainName>,
}

/// What came of a question. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Addresses, at least one, without duplicates.
    Addresses(Arc<[IpAddr]>),
    /// Mail exchangers. Empty when there are some and none has a name that can be looked up.
    Mx(Arc<[Mx]>),
    /// Names, at least one, without duplicates.
    Names(Arc<[DomainName]>),
    /// Records as they are, at least one.
    Records(Arc<[RecordData]>),
    /// The name exists and has nothing of this kind.
    NoData,
    /// The name does not exist.
    NoDomain,
    /// Not known now.
    Failed(Failure),
}

/// An answer with what is known about it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What came of the question.
    pub answer: Answer,
    /// A name server that is trusted with it has checked the signatures of all of the answer (AD, RFC 4035 3.2.3).
    pub authentic: bool,
    /// For how long it is good, in milliseconds. 0: for those who asked, and nobody else.
    pub left_ms: u64,
}

impl Answer {
    /// Whether it is of a size that is worth keeping; hostile zones have others.
    pub(crate) fn fits_in_cache(&self) -> bool {
        match self {
            Answer::Records(records) => {
                records.iter().map(RecordData::size_bytes).sum::<usize>() <= limits::DNS_KEPT_BYTES_MAX
            }
            _ => true,
        }
    }
}

impl Resolved {
    /// A failure that is not worth keeping.
    pub fn failed(failure: Failure) -> Resolved {
        Resolved { answer: Answer::Failed(failure), authentic: false, left_ms: 0 }
    }
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No name server answered in time.
    Timeout,
    /// No name server could be reached.
    Unreachable,
    /// No name server has answered anything for some time; this question was not sent.
    AllSilent,
    /// The name servers answered with this response code (2: SERVFAIL, 5: REFUSED).
    ServerFailure(u16),
    /// The name servers gave answers that make no sense.
    Malformed,
    /// The aliases (CNAME) of the name go in a circle or too far.
    AliasLoop,
    /// Too many questions wait on our side.
    Overloaded,
    /// There are no name servers to ask.
    NoServers,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Timeout => f.write_str("no name server answered in time"),
            Failure::Unreachable => f.write_str("no name server could be reached"),
            Failure::AllSilent => f.write_str("no name server has answered for some time"),
            Failure::ServerFailure(2) => f.write_str("the name server answered SERVFAIL"),
            Failure::ServerFailure(5) => f.write_str("the name server answered REFUSED"),
            Failure::ServerFailure(code) => write!(f, "the name server answered with code {code}"),
            Failure::Malformed => f.write_str("the name server's answer is malformed"),
            Failure::AliasLoop => f.write_str("aliases (CNAME) without end"),
            Failure::Overloaded => f.write_str("too many DNS questions are waiting"),
            Failure::NoServers => f.write_str("no name servers are configured"),
        }
    }
}

impl std::error::Error for Failure {}
