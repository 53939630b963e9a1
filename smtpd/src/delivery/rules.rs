//! What is known of an attempt once hosts and addresses are: its group, and whether a suspend stops it there.

use std::net::IpAddr;
use std::sync::Arc;

use config::{DefaultGroup, Grouping, Pattern};
use queue::{Attempt, Facts, Field, Recipient, Rule, Suspends};

use super::remembered::GivenBack;
use super::settings::AttemptSettings;
use crate::relinquish::Relinquished;
use crate::ruleset::{Ruleset, pattern_text};
use crate::snapshot::Snapshot;
use crate::warm_up::Reserved;

/// `queues.grouping`, compiled.
#[derive(Clone, Debug)]
pub struct Groups {
    /// A rule for each list of each grouping, in order.
    rules: Suspends,
    /// The group that each rule stands for, as `&id`.
    of_rule: Vec<Arc<str>>,
    default: DefaultGroup,
}

impl Groups {
    /// Compiles the groupings.
    ///
    /// # Errors
    /// A sentence that names the value.
    pub fn build(groupings: &[Grouping], default: DefaultGroup) -> Result<Groups, String> {
        let (mut rules, mut of_rule) = (Vec::new(), Vec::new());
        for grouping in groupings {
            let texts = |patterns: &[Pattern]| patterns.iter().map(pattern_text).collect::<Vec<_>>();
            let lists = [
                (Field::RemoteMx, texts(&grouping.remote_mx)),
                (Field::RecipientDomain, texts(&grouping.recipient_domain)),
                (Field::RemoteIp, grouping.remote_ip.iter().map(ToString::to_string).collect()),
            ];
            for (field, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
                rules.push(Rule { fields: vec![(field, values)], tag: None });
                of_rule.push(format!("&{}", grouping.id).into());
            }
        }
        let rules = Suspends::compile(&rules, &[])
            .map_err(|error| format!("queues.grouping: \"{}\": {}", error.value, error.problem))?;
        Ok(Groups { rules, of_rule, default })
    }

    /// The configured group, as `&id`, that a host or domain of this name or address belongs to.
    pub fn of_member(&self, name: &str) -> Option<&str> {
        let ip = name.parse().ok();
        let name = Some(name).filter(|_| ip.is_none());
        let facts = |remote_mx, recipient_domain| Facts {
            remote_mx,
            recipient_domain,
            remote_ip: ip,
            ..Facts::default()
        };
        let rule = [facts(name, None), facts(None, name)].iter().find_map(|facts| self.rules.matches(facts));
        rule.map(|rule| &*self.of_rule[rule])
    }

    /// The group of mail for `domain` at a host: the first grouping that matches, or the default.
    pub fn of<'a>(&'a self, domain: &'a str, mx: &'a str, ip: IpAddr) -> &'a str {
        let facts = Facts {
            remote_mx: Some(mx),
            recipient_domain: Some(domain),
            remote_ip: Some(ip),
            ..Facts::default()
        };
        match (self.rules.matches(&facts), self.default) {
            (Some(rule), _) => &self.of_rule[rule],
            (None, DefaultGroup::RemoteMx) => mx,
            (None, DefaultGroup::RecipientDomain) => domain,
            (None, DefaultGroup::None) => "",
        }
    }
}

/// Holds what is in force against the recipients of an attempt, at a host.
pub(super) struct Rules<'a> {
    snapshot: &'a Snapshot,
    attempt: &'a Attempt,
    /// `None`: they are not asked for.
    in_force: Option<InForce>,
}

/// What is looked at once the way is known.
struct InForce {
    suspends: Arc<Suspends>,
    relinquished: Arc<Relinquished>,
    reserved: Arc<Reserved>,
}

/// A host, and the name that it was found by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    pub(super) mx: &'a str,
    pub(super) address: IpAddr,
}

impl<'a> Rules<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, attempt: &'a Attempt) -> Rules<'a> {
        Rules { snapshot, attempt, in_force: None }
    }

    /// With these in force.
    pub(super) fn under(self, rules: &Ruleset) -> Rules<'a> {
        let in_force = InForce {
            suspends: Arc::clone(&rules.suspends),
            relinquished: Arc::clone(&rules.relinquished),
            reserved: Arc::clone(&rules.reserved),
        };
        Rules { in_force: Some(in_force), ..self }
    }

    /// Whether there is nothing to hold against: what is known at pick-up was looked at there.
    fn is_empty(&self) -> bool {
        !self.in_force.as_ref().is_some_and(|in_force| in_force.suspends.look_at_the_way())
    }

    /// Whether a rule stops each recipient from going to `host` from `local`.
    pub(super) fn stop_all(&self, host: Host<'_>, local: Option<IpAddr>) -> bool {
        !self.is_empty() && self.attempt.recipients.iter().all(|recipient| self.stop(recipient, host, local))
    }

    /// Whether the address `local` is kept for other mail than that to any of the recipients.
    pub(super) fn exclude_all(&self, host: Host<'_>, local: Option<IpAddr>) -> bool {
        let Some(in_force) = self.in_force.as_ref().filter(|in_force| !in_force.reserved.is_empty()) else {
            return false;
        };
        let excludes = |recipient| in_force.reserved.excludes(&self.facts(recipient, host, local));
        self.attempt.recipients.iter().all(excludes)
    }

    /// Which recipients go back to their predelivery script instead of to `host` from `local`; `None`: none.
    pub(super) fn given_back(&self, host: Host<'_>, local: Option<IpAddr>) -> Option<Vec<Option<GivenBack>>> {
        let relinquished = &self.in_force.as_ref()?.relinquished;
        if relinquished.is_empty() {
            return None;
        }
        let back = |recipient| {
            let way = relinquished.find(&self.facts(recipient, host, local))?;
            Some(GivenBack { value: way.value.clone() })
        };
        let back: Vec<_> = self.attempt.recipients.iter().map(back).collect();
        back.iter().any(Option::is_some).then_some(back)
    }

    /// Which recipients a rule stops from going to `host` from `local`; `None`: none.
    pub(super) fn stopped(&self, host: Host<'_>, local: Option<IpAddr>) -> Option<Vec<bool>> {
        if self.is_empty() {
            return None;
        }
        let recipients = self.attempt.recipients.iter();
        let stopped: Vec<bool> = recipients.map(|recipient| self.stop(recipient, host, local)).collect();
        stopped.contains(&true).then_some(stopped)
    }

    /// What the delivery file sets for the attempt, whose recipients are alike in what its conditions look at.
    pub(super) fn settings(&self, host: Host<'_>, local: Option<IpAddr>) -> Option<&'a AttemptSettings> {
        let conditions = &self.snapshot.conditions;
        if conditions.is_empty() {
            return None;
        }
        conditions.of(&self.facts(self.attempt.recipients.first()?, host, local))
    }

    fn stop(&self, recipient: &Recipient, host: Host<'_>, local: Option<IpAddr>) -> bool {
        let facts = self.facts(recipient, host, local);
        self.in_force.as_ref().is_some_and(|in_force| in_force.suspends.matches(&facts).is_some())
    }

    fn facts<'f>(&'f self, recipient: &'f Recipient, host: Host<'f>, local: Option<IpAddr>) -> Facts<'f> {
        Facts {
            tenant_id: Some(self.attempt.tenant_id.as_deref().unwrap_or("")),
            job_id: Some(self.attempt.job_id.as_deref().unwrap_or("")),
            transport_id: Some(&self.attempt.destination.transport),
            local_ip: local,
            grouping: Some(self.snapshot.groups.of(&recipient.domain, host.mx, host.address)),
            remote_ip: Some(host.address),
            remote_mx: Some(host.mx),
            recipient_domain: Some(&recipient.domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_grouping_that_matches_gives_the_group_and_else_the_default() {
        let grouping = |id: &str, mx: &str, domain: &str, ip: &str| Grouping {
            id: id.into(),
            remote_mx: vec![Pattern::Subdomains(mx.into())],
            recipient_domain: vec![Pattern::Exact(domain.into())],
            remote_ip: vec![ip.parse().unwrap()],
        };
        let groupings = [
            grouping("a", ".a.example", "a.test", "192.0.2.0/28"),
            grouping("b", ".b.example", "a.test", "192.0.2.0/24"),
        ];
        let groups = Groups::build(&groupings, DefaultGroup::RemoteMx).unwrap();
        let of = |domain, mx, ip: &str| groups.of(domain, mx, ip.parse().unwrap()).to_owned();
        assert_eq!(of("x.test", "mx.a.example", "198.51.100.1"), "&a");
        assert_eq!(of("a.test", "mx.b.example", "198.51.100.1"), "&a", "the order of the file decides");
        assert_eq!(of("x.test", "mx.example", "192.0.2.99"), "&b");
        assert_eq!(of("x.test", "mx.example", "198.51.100.1"), "mx.example");
        let member = |name| groups.of_member(name);
        assert_eq!(
            ["mx.a.example", "a.test", "192.0.2.99", "mx.example", "&a"].map(member),
            [Some("&a"), Some("&a"), Some("&b"), None, None]
        );
        let of_domain = Groups::build(&[], DefaultGroup::RecipientDomain).unwrap();
        assert_eq!(of_domain.of("x.test", "mx", "::1".parse().unwrap()), "x.test");
    }
}
