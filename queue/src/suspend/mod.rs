//! Suspends: rules that stop pick-up (configuration 6.1, cli-and-operations 14.1).

mod compile;
mod matcher;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use matcher::Matcher;

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
    /// Every field, in the order of their numbers.
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

    /// As it is written in files.
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

    /// Its values are addresses and networks.
    fn is_ip(self) -> bool {
        matches!(self, Field::LocalIp | Field::RemoteIp)
    }

    /// Not known before hosts and addresses are.
    fn is_of_the_way(self) -> bool {
        matches!(self, Field::LocalIp | Field::Grouping | Field::RemoteIp | Field::RemoteMx)
    }

    /// Its values are domains: compared without case, `*.domain` permitted.
    fn is_domain(self) -> bool {
        matches!(self, Field::Grouping | Field::RemoteMx | Field::RecipientDomain)
    }
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

impl std::fmt::Display for RuleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "suspends[{}]", self.rule)?;
        if let Some(field) = self.field {
            write!(f, ".{}", field.name())?;
        }
        write!(f, ": '{}': {}", self.value, self.problem)
    }
}

impl std::error::Error for RuleError {}

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
    fn get(&self, field: Field) -> Option<Fact<'a>> {
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
enum Fact<'a> {
    Text(&'a str),
    Ip(IpAddr),
}

/// A compiled set of rules. Immutable; share it between shards in an `Arc`.
///
/// Rules with exact names or `*.domain` in some field are found through hash tables; only rules that have
/// nothing but expressions and networks are gone through one by one.
#[derive(Clone, Debug, Default)]
pub struct Suspends {
    rules: Vec<Vec<(Field, Matcher)>>,
    /// For each field, rules by an exact value or by the domain of a `*.domain`.
    by_value: [ByValue; Field::ALL.len()],
    /// Rules to be gone through.
    scan: Vec<u32>,
    looks_at_the_way: bool,
}

#[derive(Clone, Debug, Default)]
struct ByValue {
    exact: FxHashMap<Box<str>, Vec<u32>>,
    below: FxHashMap<Box<str>, Vec<u32>>,
}

impl Suspends {
    /// True when there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// True when some rule looks at what is known only once hosts and addresses are: the way that a message takes.
    pub fn look_at_the_way(&self) -> bool {
        self.looks_at_the_way
    }

    /// The index of the first rule that matches what is known, if any.
    pub fn matches(&self, facts: &Facts<'_>) -> Option<usize> {
        let mut first: Option<u32> = None;
        let mut consider = |candidates: &[u32]| {
            let earlier = candidates.iter().copied().filter(|rule| first.is_none_or(|first| *rule < first));
            if let Some(rule) = earlier.into_iter().find(|rule| self.rule_matches(*rule, facts)) {
                first = Some(rule);
            }
        };
        consider(&self.scan);
        for (by_value, field) in self.by_value.iter().zip(Field::ALL) {
            let Some(Fact::Text(text)) = facts.get(field) else { continue };
            if let Some(rules) = by_value.exact.get(text) {
                consider(rules);
            }
            if !by_value.below.is_empty() {
                matcher::parents(text)
                    .filter_map(|parent| by_value.below.get(parent))
                    .for_each(|rules| consider(rules));
            }
        }
        first.map(|rule| rule as usize)
    }

    fn rule_matches(&self, rule: u32, facts: &Facts<'_>) -> bool {
        let fields = &self.rules[rule as usize];
        fields.iter().all(|(field, matcher)| facts.get(*field).is_some_and(|fact| matcher.matches(fact)))
    }
}
