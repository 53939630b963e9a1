//! What is held against queued mail: suspends and policies, those of the files and those that were added since. It changes
//! more often than the rest of the configuration, and so stands beside the [snapshot](crate::snapshot).

use std::sync::Arc;

use config::{Pattern, Reloadable};
use queue::policy::{Algorithm, Dynamic, FieldSet, Policies, Policy};
use queue::{Field, Suspends};

use crate::relinquish::{Relinquish, Relinquished};
use crate::warm_up::{OfDay, Reserved};

/// The suspends and policies in force. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    /// What is not picked up.
    pub suspends: Arc<Suspends>,
    /// Limits over all shards.
    pub policies: Arc<Policies>,
    /// Labels of the suspends, in their order.
    pub suspend_tags: Arc<[Option<String>]>,
    /// Any suspend or policy has a label.
    pub has_tags: bool,
    /// What is given back to predelivery scripts.
    pub relinquished: Arc<Relinquished>,
    /// Addresses that serve some mail only.
    pub reserved: Arc<Reserved>,
}

/// What holds beside the files.
#[derive(Debug, Default)]
pub struct Added {
    /// Suspends that were added while the server runs.
    pub suspends: Vec<queue::Rule>,
    /// Conditions of policies, the same.
    pub conditions: Vec<Dynamic>,
    /// Ways that scripts want attempts back from.
    pub relinquished: Vec<Relinquish>,
    /// What new addresses may send today.
    pub warm_up: OfDay,
}

impl Ruleset {
    /// Compiles what the files say, and what holds beside them.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub fn compile(files: &Reloadable, added: Added) -> Result<Ruleset, String> {
        let Added { suspends, mut conditions, relinquished, warm_up } = added;
        let of_file = suspend_rules(&files.suspends);
        let in_file = of_file.len();
        let rules: Vec<_> = of_file.into_iter().chain(suspends).collect();
        let suspends = Suspends::compile(&rules, &[]).map_err(|error| {
            let at = match error.rule.checked_sub(in_file) {
                None => format!("smtpd_suspend: suspends[{}]", error.rule),
                Some(number) => format!("dynamic suspend {number}"),
            };
            format!("{at}: \"{}\": {}", error.value, error.problem)
        })?;
        let of_policies = policies_of(&files.policies);
        conditions.extend_from_slice(&warm_up.conditions);
        let policies = Policies::with_dynamic(&of_policies, &conditions)
            .map_err(|error| format!("smtpd_policy: {error}"))?;
        let suspend_tags: Arc<[_]> = rules.iter().map(|rule| rule.tag.clone()).collect();
        let has_tags = suspend_tags.iter().any(Option::is_some)
            || of_policies.iter().any(Policy::has_tags)
            || conditions.iter().any(|dynamic| dynamic.condition.then.tag.is_some());
        Ok(Ruleset {
            suspends: Arc::new(suspends),
            policies: Arc::new(policies),
            suspend_tags,
            has_tags,
            relinquished: Arc::new(Relinquished::compile(&relinquished)?),
            reserved: Arc::new(Reserved::compile(&warm_up)?),
        })
    }

    /// What the queue does for their sake: `options`, with lines split so that what policies hold back holds up nothing
    /// else.
    pub fn queue_options(&self, options: &queue::Options) -> queue::Options {
        let looked_at = if self.policies.is_idle() { FieldSet::default() } else { self.policies.looked_at() };
        let split = queue::Split {
            domain: looked_at.contains(Field::RecipientDomain) || looked_at.contains(Field::Grouping),
            job_id: looked_at.contains(Field::JobId),
            tenant_id: looked_at.contains(Field::TenantId),
        };
        queue::Options { split, ..options.clone() }
    }

    /// Whether policies that limit something look at our address.
    pub fn policies_look_at_source(&self) -> bool {
        !self.policies.is_idle() && self.policies.looked_at().contains(Field::LocalIp)
    }

    /// Whether an attempt must be held against them once its host and addresses are known.
    pub fn look_at_the_way(&self) -> bool {
        self.suspends.look_at_the_way() || !self.relinquished.is_empty() || !self.reserved.is_empty()
    }
}

/// The rules of the suspend file as the queue compiles them.
pub fn suspend_rules(suspends: &config::Suspends) -> Vec<queue::Rule> {
    suspends.suspends.iter().map(|suspend| rule(&suspend.fields, suspend.tag.clone())).collect()
}

/// A rule of a file as the queue compiles it.
pub fn rule(fields: &[(Field, Vec<Pattern>)], tag: Option<String>) -> queue::Rule {
    queue::Rule { fields: as_text(fields), tag }
}

/// The policies of the file as the queue compiles them.
pub fn policies_of(file: &config::Policies) -> Vec<Policy> {
    file.policies.iter().map(policy).collect()
}

fn policy(policy: &config::Policy) -> Policy {
    let condition = |condition: &config::PolicyCondition| queue::policy::Condition {
        fields: as_text(&condition.fields),
        then: policy_then(&condition.then),
    };
    Policy {
        fields: FieldSet::new(policy.fields.iter().copied()),
        conditions: policy.conditions.iter().map(condition).collect(),
        default: policy.default.as_ref().map(policy_then),
    }
}

fn policy_then(then: &config::PolicyThen) -> queue::policy::Then {
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    queue::policy::Then {
        limits: queue::policy::Limits {
            concurrency: then.concurrency,
            rate: then.rate.map(|rate| queue::policy::Rate {
                count: rate.count,
                interval_ms: milliseconds(rate.interval),
                algorithm: rate_algorithm(rate.fixed_window),
            }),
            connect_interval_ms: then.connect_interval.map(milliseconds).filter(|interval| *interval > 0),
        },
        tag: then.tag.clone(),
        stop: then.stop,
        cluster: then.cluster,
        properties: then.properties.clone(),
    }
}

/// How a rate is counted.
pub fn rate_algorithm(fixed_window: bool) -> Algorithm {
    if fixed_window { Algorithm::FixedWindow } else { Algorithm::TokenBucket }
}

fn as_text(fields: &[(Field, Vec<Pattern>)]) -> Vec<(Field, Vec<String>)> {
    fields.iter().map(|(field, patterns)| (*field, patterns.iter().map(pattern_text).collect())).collect()
}

/// The pattern as it stands in a file, which is what the queue compiles.
pub fn pattern_text(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => text.clone(),
        Pattern::Subdomains(suffix) => format!("*{suffix}"),
        Pattern::Regex(regex) => format!("/{}/", regex.as_str()),
        Pattern::Network(network) => network.to_string(),
        Pattern::Group(id) => format!("&{id}"),
    }
}
