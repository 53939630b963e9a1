//! Policies, compiled: which counters a message needs, and what they permit.

use std::collections::BTreeMap;
use std::sync::Arc;

use fields::Property;
use rustc_hash::FxHashMap;

use crate::limits;
use crate::matching::{Compiler, Facts, Fault, Field, Matcher, all_match};
use crate::policy::{FieldSet, Key, Limits};

/// One policy: its fields, and what its counters permit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// What makes a counter; none: there is one.
    pub fields: FieldSet,
    /// The first that matches decides.
    pub conditions: Vec<Condition>,
    /// What holds where no condition matches.
    pub default: Option<Then>,
}

impl Policy {
    /// Whether it gives what it applies to a label.
    pub fn has_tags(&self) -> bool {
        let then = self.conditions.iter().map(|condition| &condition.then).chain(&self.default);
        then.into_iter().any(|then| then.tag.is_some())
    }
}

/// A condition on the fields of a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Fields with values as they stand in the file; all must match, and no field matches all.
    pub fields: Vec<(Field, Vec<String>)>,
    /// What holds then.
    pub then: Then,
}

/// What holds for a counter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Then {
    /// What is permitted.
    pub limits: Limits,
    /// Label.
    pub tag: Option<String>,
    /// Later policies are not looked at.
    pub stop: bool,
    /// Shared over the cluster. Without a cluster it is the same.
    pub cluster: bool,
    /// Free data, for scripts.
    pub properties: BTreeMap<String, Property>,
}

/// Where a dynamic condition comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// An operator or a script.
    #[default]
    Dynamic,
    /// A plan that lets mail grow slowly.
    WarmUp,
    /// A script that has seen a peer complain.
    BackOff,
}

impl Kind {
    /// As scripts and tools write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dynamic => "dynamic",
            Kind::WarmUp => "warmup",
            Kind::BackOff => "backoff",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Kind> {
        [Kind::Dynamic, Kind::WarmUp, Kind::BackOff].into_iter().find(|kind| kind.name() == name)
    }
}

/// A condition that was added while the server runs. Who adds it takes it away when its time is over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dynamic {
    /// Names it.
    pub id: String,
    /// Where it comes from.
    pub kind: Kind,
    /// The fields of the policy that it belongs to.
    pub fields: FieldSet,
    /// What it is about, and what holds then.
    pub condition: Condition,
}

/// The policies in force: immutable; share them between shards in an `Arc`.
#[derive(Debug, Default)]
pub struct Policies {
    policies: Vec<Compiled>,
    /// Which policy a key belongs to.
    by_fields: FxHashMap<(FieldSet, u8), u32>,
    looked_at: FieldSet,
    limits_anything: bool,
}

#[derive(Debug)]
struct Compiled {
    fields: FieldSet,
    twin: u8,
    conditions: Vec<Rule>,
    default: Option<Arc<Then>>,
    dynamic: Vec<DynamicRule>,
}

#[derive(Debug)]
struct Rule {
    fields: Vec<(Field, Matcher)>,
    then: Arc<Then>,
}

#[derive(Debug)]
struct DynamicRule {
    of: DynamicMatch,
    rule: Rule,
}

/// A dynamic condition that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicMatch {
    /// Names it.
    pub id: Arc<str>,
    /// Where it comes from.
    pub kind: Kind,
}

/// A policy that applies to a message on its way.
#[derive(Clone, Debug)]
pub struct Applying {
    /// Its number in the file.
    pub policy: u32,
    /// The counter.
    pub key: Key,
    /// What that permits, as far as this shard knows.
    pub limits: Limits,
    /// Labels and free data of what matched: dynamic conditions first, then the condition or default of the file.
    pub then: Vec<Arc<Then>>,
    /// The dynamic conditions that matched, in the order of theirs in `then`.
    pub dynamic: Vec<DynamicMatch>,
}

/// What is wrong with a set of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Which policy or dynamic condition.
    pub at: PolicyFault,
    /// The value that is wrong, where it is one.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// In a policy, as a whole.
    Policy(usize),
    /// In a condition of a policy.
    Condition(usize, usize),
    /// In a dynamic condition, by id.
    Dynamic(String),
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.at {
            PolicyFault::Policy(policy) => write!(f, "policies[{policy}]")?,
            PolicyFault::Condition(policy, condition) => {
                write!(f, "policies[{policy}].conditions[{condition}].if")?;
            }
            PolicyFault::Dynamic(id) => write!(f, "dynamic condition {id}")?,
        }
        write!(f, ": '{}': {}", self.value, self.problem)
    }
}

impl std::error::Error for PolicyError {}

impl Policies {
    /// Compiles the policies of the file. `@list`s are resolved already.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn compile(policies: &[Policy]) -> Result<Policies, PolicyError> {
        Policies::with_dynamic(policies, &[])
    }

    /// Compiles the policies of the file, and dynamic conditions on them, in order.
    ///
    /// # Errors
    /// The first thing that is wrong, such as a dynamic condition on fields that no policy has.
    pub fn with_dynamic(policies: &[Policy], dynamic: &[Dynamic]) -> Result<Policies, PolicyError> {
        let mut compiler = Compiler::new(&[]);
        let mut set = Policies::default();
        if policies.len() > limits::POLICIES {
            let problem = format!("more than {} policies", limits::POLICIES);
            let at = PolicyFault::Policy(limits::POLICIES);
            return Err(PolicyError { at, value: policies.len().to_string(), problem });
        }
        for (number, policy) in policies.iter().enumerate() {
            set.add(number, policy, &mut compiler)?;
        }
        for condition in dynamic {
            set.add_dynamic(condition, &mut compiler)?;
        }
        set.limits_anything = set.policies.iter().any(Compiled::limits_anything);
        let used = set.policies.iter().map(|policy| policy.fields);
        set.looked_at = used.fold(FieldSet::default(), FieldSet::union);
        Ok(set)
    }

    fn add(
        &mut self,
        number: usize,
        policy: &Policy,
        compiler: &mut Compiler<'_>,
    ) -> Result<(), PolicyError> {
        let mut conditions = Vec::with_capacity(policy.conditions.len());
        for (index, condition) in policy.conditions.iter().enumerate() {
            let at = || PolicyFault::Condition(number, index);
            conditions.push(rule(policy.fields, condition, compiler, at)?);
        }
        let twin = self.policies.iter().filter(|other| other.fields == policy.fields).count();
        let twin = u8::try_from(twin).unwrap_or(u8::MAX);
        self.by_fields.insert((policy.fields, twin), number as u32);
        let default = policy.default.clone().map(Arc::new);
        let fields = policy.fields;
        self.policies.push(Compiled { fields, twin, conditions, default, dynamic: Vec::new() });
        Ok(())
    }

    fn add_dynamic(&mut self, dynamic: &Dynamic, compiler: &mut Compiler<'_>) -> Result<(), PolicyError> {
        let at = || PolicyFault::Dynamic(dynamic.id.clone());
        let Some(number) = self.by_fields.get(&(dynamic.fields, 0)) else {
            let names: Vec<_> = dynamic.fields.iter().map(Field::name).collect();
            let problem =
                "no policy of the configuration has exactly these fields; add one, if need be without limits";
            return Err(PolicyError { at: at(), value: names.join(","), problem: problem.into() });
        };
        let rule = rule(dynamic.fields, &dynamic.condition, compiler, at)?;
        let policy = &mut self.policies[*number as usize];
        let of = DynamicMatch { id: dynamic.id.as_str().into(), kind: dynamic.kind };
        policy.dynamic.push(DynamicRule { of, rule });
        Ok(())
    }

    /// Nothing is limited at all.
    pub fn is_idle(&self) -> bool {
        !self.limits_anything
    }

    /// All fields that some policy has.
    pub fn looked_at(&self) -> FieldSet {
        self.looked_at
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// No policies.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies that apply to a message of which all fields are known, in order. Those without limits are among them.
    pub fn applying(&self, facts: &Facts<'_>) -> Vec<Applying> {
        let mut applying = Vec::new();
        for (number, policy) in (0..).zip(&self.policies) {
            let Some(found) = policy.look_up(facts) else { continue };
            let Some(key) = Key::new(policy.fields, policy.twin, facts) else { continue };
            let stop = found.then.iter().any(|then| then.stop);
            applying.push(Applying {
                policy: number,
                key,
                limits: found.limits,
                then: found.then,
                dynamic: found.dynamic,
            });
            if stop {
                break;
            }
        }
        applying
    }

    /// What a counter permits; `None`: there is no such policy any more.
    pub fn limits(&self, key: &Key) -> Option<(u32, Limits)> {
        let number = *self.by_fields.get(&(key.fields(), key.twin()))?;
        let found = self.policies[number as usize].look_up(&key.facts());
        Some((number, found.map_or_else(Limits::default, |found| found.limits)))
    }
}

/// What matched of a policy.
struct Found {
    limits: Limits,
    then: Vec<Arc<Then>>,
    dynamic: Vec<DynamicMatch>,
}

impl Compiled {
    fn limits_anything(&self) -> bool {
        self.entries().any(|then| !then.limits.is_empty())
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<Then>> {
        let rules = self.conditions.iter().chain(self.dynamic.iter().map(|dynamic| &dynamic.rule));
        rules.map(|rule| &rule.then).chain(&self.default)
    }

    /// Dynamic conditions go before those of the file, limit by limit; of several the stricter. `None`: nothing applies.
    fn look_up(&self, facts: &Facts<'_>) -> Option<Found> {
        let mut found = Found { limits: Limits::default(), then: Vec::new(), dynamic: Vec::new() };
        for dynamic in self.dynamic.iter().filter(|dynamic| all_match(&dynamic.rule.fields, facts)) {
            found.limits = found.limits.stricter(dynamic.rule.then.limits);
            found.then.push(Arc::clone(&dynamic.rule.then));
            found.dynamic.push(dynamic.of.clone());
        }
        let configured = self.conditions.iter().find(|rule| all_match(&rule.fields, facts));
        if let Some(then) = configured.map(|rule| &rule.then).or(self.default.as_ref()) {
            found.limits = found.limits.or(then.limits);
            found.then.push(Arc::clone(then));
        }
        (!found.then.is_empty()).then_some(found)
    }
}

fn rule(
    fields: FieldSet,
    condition: &Condition,
    compiler: &mut Compiler<'_>,
    at: impl Fn() -> PolicyFault,
) -> Result<Rule, PolicyError> {
    if let Some((field, _)) = condition.fields.iter().find(|(field, _)| !fields.contains(*field)) {
        let problem = "the policy does not have this field".to_owned();
        return Err(PolicyError { at: at(), value: field.name().to_owned(), problem });
    }
    let fields = compiler.fields(&condition.fields).map_err(|Fault { field, value, problem }| {
        PolicyError { at: at(), value, problem: format!("{}: {problem}", field.name()) }
    })?;
    Ok(Rule { fields, then: Arc::new(condition.then.clone()) })
}
