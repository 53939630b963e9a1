//! The policies that an attempt was held against, as its postdelivery script sees them (reference: hooks 4.2).

use config::Property;
use hooks::queued::{Policies, PolicyFacts};
use queue::policy::Applying;
use queue::{Attempt, Field};

use super::facts::AttemptFacts;
use super::policies;
use super::rules::Host;
use crate::snapshot::Snapshot;

/// None of them: there are no policies, or the attempt did not come to a host.
pub(super) fn of(
    snapshot: &Snapshot,
    policies: &queue::policy::Policies,
    attempt: &Attempt,
    facts: &AttemptFacts,
) -> Policies {
    let Some(remote) = facts.remote.filter(|_| !policies.is_empty()) else { return Policies::default() };
    let host = Host { mx: facts.mx.as_deref().unwrap_or_default(), address: remote.ip() };
    // Before a connect the address is that of no interface.
    let local = facts.local.map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
    let list: Vec<PolicyFacts> =
        policies::applying(policies, snapshot, attempt, host, local).iter().map(policy).collect();
    let mut tags: Vec<String> = Vec::new();
    for tag in list.iter().flat_map(|policy| &policy.tags) {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    Policies { tags, list }
}

fn policy(applying: &Applying) -> PolicyFacts {
    // Dynamic conditions stand before what the file says.
    let of_dynamic = applying.dynamic.iter().zip(&applying.then);
    let mut properties: Vec<(String, Property)> = Vec::new();
    for (name, value) in applying.then.iter().flat_map(|then| &then.properties) {
        if !properties.iter().any(|(known, _)| known == name) {
            properties.push((name.clone(), value.clone()));
        }
    }
    let group = applying.key.values().filter(|(field, _)| *field == Field::Grouping);
    PolicyFacts {
        fields: applying.key.fields().iter().map(Field::name).collect(),
        grouping: group.map(|(field, group)| (field.name(), group)).collect(),
        dynamic: of_dynamic.map(|(of, then)| (of.id.to_string(), then.tag.clone())).collect(),
        properties,
        stop: applying.then.iter().any(|then| then.stop).then_some(true),
        tags: applying.then.iter().filter_map(|then| then.tag.clone()).collect(),
    }
}
