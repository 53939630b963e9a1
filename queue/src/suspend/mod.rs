//! Suspends: rules that stop pick-up (configuration 6.1, cli-and-operations 14.1).

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::limits;
use crate::matching::{Compiler, Fact, Facts, Fault, Field, List, Matcher, all_match, parents};

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
    /// Compiles rules. Empty `rules` give a set that matches nothing.
    pub fn compile(rules: &[Rule], lists: &[List]) -> Result<Suspends, RuleError> {
        let mut compiler = Compiler::new(lists);
        let mut set = Suspends::default();
        if rules.len() > limits::SUSPEND_RULES {
            let problem = format!("more than {} rules; use @lists", limits::SUSPEND_RULES);
            let rule = limits::SUSPEND_RULES;
            return Err(RuleError { rule, field: None, value: rules.len().to_string(), problem });
        }
        for (number, rule) in rules.iter().enumerate() {
            let compiled = compiler.fields(&rule.fields).map_err(|Fault { field, value, problem }| {
                RuleError { rule: number, field: Some(field), value, problem }
            })?;
            set.add(compiled);
        }
        Ok(set)
    }

    fn add(&mut self, rule: Vec<(Field, Matcher)>) {
        let number = self.rules.len() as u32;
        self.looks_at_the_way |= rule.iter().any(|(field, _)| field.is_of_the_way());
        match rule.iter().find(|(_, matcher)| matcher.is_indexable()) {
            Some((field, matcher)) => {
                let by_value = &mut self.by_value[*field as usize];
                for value in &matcher.exact {
                    by_value.exact.entry(value.clone()).or_default().push(number);
                }
                for value in &matcher.below {
                    by_value.below.entry(value.clone()).or_default().push(number);
                }
            }
            None => self.scan.push(number),
        }
        self.rules.push(rule);
    }
}

impl Suspends {
    /// True when there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many rules are compared with everything, one by one.
    pub(crate) fn gone_through(&self) -> usize {
        self.scan.len()
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
                parents(text)
                    .filter_map(|parent| by_value.below.get(parent))
                    .for_each(|rules| consider(rules));
            }
        }
        first.map(|rule| rule as usize)
    }

    fn rule_matches(&self, rule: u32, facts: &Facts<'_>) -> bool {
        all_match(&self.rules[rule as usize], facts)
    }
}
