//! What rules look at, and how values are compared: shared by suspends and policies (configuration 1.8 and 5.2).

mod compile;
mod matcher;

use std::net::IpAddr;

pub(crate) use compile::{Compiler, Fault};
pub use fields::Field;
pub(crate) use matcher::{Matcher, parents};

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

impl<'a> Facts<'a> {
    pub(crate) fn get(&self, field: Field) -> Option<Fact<'a>> {
        match field {
            Field::TenantId => self.tenant_id.map(Fact::Text),
            Field::JobId => self.job_id.map(Fact::Text),
            Field::TransportId => self.transport_id.map(Fact::Text),
            Field::LocalIp => self.local_ip.map(Fact::Ip),
            Field::Grouping => self.grouping.map(Fact::Text),
            Field::RemoteIp => self.remote_ip.map(Fact::Ip),
            Field::RemoteMx => self.remote_mx.map(Fact::Text),
            Field::RecipientDomain => self.recipient_domain.map(Fact::Text),
        }
    }
}

/// What is known of one field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    Text(&'a str),
    Ip(IpAddr),
}

/// Whether all matchers of a rule match what is known.
pub(crate) fn all_match(fields: &[(Field, Matcher)], facts: &Facts<'_>) -> bool {
    fields.iter().all(|(field, matcher)| facts.get(*field).is_some_and(|fact| matcher.matches(fact)))
}
