//! What the rules of the queue (suspends, policies, delivery settings) look at and carry, in the files, in scripts, in
//! commands and in the queue alike (configuration 5.2 and 6.1).
//!
//! ```
//! use fields::Field;
//!
//! assert_eq!(Field::parse("remotemx"), Some(Field::RemoteMx));
//! assert!(Field::RemoteMx.is_domain() && Field::RemoteMx.is_of_the_way());
//! ```

use serde::{Deserialize, Serialize};

/// Bytes of a name that an item carries: of a job, a tenant, a transport, a quota.
pub const NAME_BYTES_MAX: usize = 1_024;

/// Quotas that an item counts in.
pub const QUOTAS_MAX: usize = 64;

/// A field that a rule can look at (configuration 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `tenantid`: free text.
    TenantId,
    /// `jobid`: free text.
    JobId,
    /// `transportid`.
    TransportId,
    /// `localip`: known once a source address is chosen.
    LocalIp,
    /// `grouping`: known after DNS, or at pick-up when it is always the domain.
    Grouping,
    /// `remoteip`: known after DNS.
    RemoteIp,
    /// `remotemx`: known after DNS.
    RemoteMx,
    /// `recipientdomain`.
    RecipientDomain,
}

impl Field {
    /// Every field, in the order of the files and of their numbers.
    pub const ALL: [Field; 8] = [
        Field::TenantId,
        Field::JobId,
        Field::TransportId,
        Field::LocalIp,
        Field::Grouping,
        Field::RemoteIp,
        Field::RemoteMx,
        Field::RecipientDomain,
    ];

    /// As it is written in files, scripts and commands.
    pub fn name(self) -> &'static str {
        match self {
            Field::TenantId => "tenantid",
            Field::JobId => "jobid",
            Field::TransportId => "transportid",
            Field::LocalIp => "localip",
            Field::Grouping => "grouping",
            Field::RemoteIp => "remoteip",
            Field::RemoteMx => "remotemx",
            Field::RecipientDomain => "recipientdomain",
        }
    }

    /// The field of this name.
    pub fn parse(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Its values are addresses and networks.
    pub fn is_ip(self) -> bool {
        matches!(self, Field::LocalIp | Field::RemoteIp)
    }

    /// Not known before hosts and addresses are.
    pub fn is_of_the_way(self) -> bool {
        matches!(self, Field::LocalIp | Field::Grouping | Field::RemoteIp | Field::RemoteMx)
    }

    /// Its values are domains: compared without case, `*.domain` permitted.
    pub fn is_domain(self) -> bool {
        matches!(self, Field::Grouping | Field::RemoteMx | Field::RecipientDomain)
    }
}

/// A value of the free data that a rule carries for scripts (`properties`).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Property {
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}
