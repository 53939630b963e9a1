//! Tags: labels of the suspend and the policies that apply to a queued recipient now. They are found out when somebody
//! asks.

use std::collections::BTreeSet;
use std::rc::Rc;

use queue::filter::{Filter, TextMatch};
use queue::{Facts, ItemView};

use crate::ruleset::Ruleset;
use crate::shard::Shard;

/// What selects recipients.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    filter: Filter,
    /// Alternatives; none: any tags will do.
    tags: Vec<TextMatch>,
}

impl Selection {
    pub(super) fn new(filter: Filter, tags: Vec<TextMatch>) -> Selection {
        Selection { filter, tags }
    }

    /// It selects all.
    pub(super) fn is_empty(&self) -> bool {
        self.filter.is_empty() && self.tags.is_empty()
    }

    /// As of now, on a shard.
    pub(super) fn on(&self, shard: &Rc<Shard>) -> Selector<'_> {
        Selector { selection: self, rules: (!self.tags.is_empty()).then(|| shard.rules()) }
    }
}

/// A selection, and the rules that tags come from.
pub(super) struct Selector<'s> {
    selection: &'s Selection,
    rules: Option<Ruleset>,
}

impl Selector<'_> {
    pub(super) fn matches(&self, item: &ItemView<'_>, now_ms: u64) -> bool {
        let Selection { filter, tags: wanted } = self.selection;
        filter.matches(item, now_ms)
            && self.rules.as_ref().is_none_or(|rules| {
                let tags = tags(item, rules);
                // As a field without a value would: what is to be different from something is.
                match tags.is_empty() {
                    true => wanted.iter().any(|wanted| wanted.matches(b"")),
                    false => {
                        tags.iter().any(|tag| wanted.iter().any(|wanted| wanted.matches(tag.as_bytes())))
                    }
                }
            })
    }
}

/// The tags of an item, in order.
pub(super) fn tags(item: &ItemView<'_>, rules: &Ruleset) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    if !rules.has_tags {
        return tags;
    }
    let remote = item.link.and_then(|link| link.remote.as_ref());
    let facts = Facts {
        tenant_id: Some(item.tenant_id.unwrap_or_default()),
        job_id: Some(item.job_id.unwrap_or_default()),
        transport_id: Some(item.transport),
        local_ip: item.link.and_then(|link| link.local),
        grouping: item.link.map(|link| &*link.grouping),
        remote_ip: remote.map(|remote| remote.address),
        remote_mx: remote.map(|remote| &*remote.name),
        recipient_domain: Some(item.domain),
    };
    let suspend = rules.suspends.matches(&facts).and_then(|number| rules.suspend_tags.get(number)?.clone());
    tags.extend(suspend);
    for applying in rules.policies.applying(&facts) {
        tags.extend(applying.then.iter().filter_map(|then| then.tag.clone()));
    }
    tags
}
