//! Suspends: rules that stop pick-up (configuration 6.1, cli-and-operations 14.1).

use std::net::IpAddr;

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

/// One rule: every field given must match; a field matches when any of its values does. A rule without fields
/// matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Fields with the values as they stand in the file (configuration 1.8): `name`, `*.domain`, `/regex/i`,
    /// an address or network, `@list`, `&group`.
    pub fields: Vec<(Field, Vec<String>)>,
    /// Label for log lines and listings.
    pub tag: Option<String>,
}

/// Values of a named list: `lists.<field>.<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// For which field.
    pub field: Field,
    /// Its name, without `@`.
    pub name: String,
    /// Values; none of them may be a list.
    pub values: Vec<String>,
}

/// Why a set of rules was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Index of the rule in the set.
    pub rule: usize,
    /// The field.
    pub field: Option<Field>,
    /// The value as given.
    pub value: String,
    /// What is wrong with it and what to do.
    pub problem: String,
}

/// What is known about an item or attempt. A rule that needs a field that is `None` does not match yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Tenant id; empty when the item has none.
    pub tenant_id: Option<&'a str>,
    /// Job id; empty when the item has none.
    pub job_id: Option<&'a str>,
    /// Transport.
    pub transport_id: Option<&'a str>,
    /// Source address.
    pub local_ip: Option<IpAddr>,
    /// Group.
    pub grouping: Option<&'a str>,
    /// Address of the next hop.
    pub remote_ip: Option<IpAddr>,
    /// Host name of the next hop, lower case, no trailing dot.
    pub remote_mx: Option<&'a str>,
    /// Recipient domain, lower case, A-labels.
    pub recipient_domain: Option<&'a str>,
}

/// A compiled set of rules. Immutable; share it between shards in an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct Suspends {}

impl Suspends {
    /// Compiles rules. Empty `rules` give a set that matches nothing.
    pub fn compile(rules: &[Rule], lists: &[List]) -> Result<Suspends, RuleError> {
        todo!()
    }

    /// The index of the first rule that matches what is known, if any.
    pub fn matches(&self, facts: &Facts<'_>) -> Option<usize> {
        todo!()
    }

    /// True when there are no rules.
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
