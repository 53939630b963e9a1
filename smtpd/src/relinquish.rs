//! `queue_relinquish()`: ways on which attempts are given back to the predelivery script, which may want another one (reference:
//! hooks 5.6).

use std::sync::Arc;

use queue::{Facts, Field, Rule, Suspends};

/// A way on which attempts are given back.
#[derive(Clone, Debug, PartialEq)]
pub struct Relinquish {
    /// What it matches by: one value for each field that is given. Without fields it matches all.
    pub fields: Vec<(Field, String)>,
    /// What the script finds in `$arguments["queue"]["plugin"]["return"]`, as JSON; `None`: nothing.
    pub value: Option<Arc<str>>,
    /// When it ends, in milliseconds of the steady clock.
    pub until_ms: u64,
}

impl Relinquish {
    /// Whether it matches by these fields and no others.
    pub fn equals(&self, fields: &[(Field, String)]) -> bool {
        self.fields.len() == fields.len() && fields.iter().all(|field| self.fields.contains(field))
    }

    fn rule(&self) -> Rule {
        let fields = self.fields.iter().map(|(field, value)| (*field, vec![value.clone()]));
        Rule { fields: fields.collect(), tag: None }
    }
}

/// All that are in force, compiled. Immutable.
#[derive(Debug, Default)]
pub struct Relinquished {
    ways: Vec<Relinquish>,
    matcher: Suspends,
}

impl Relinquished {
    /// Compiles them.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub fn compile(ways: &[Relinquish]) -> Result<Relinquished, String> {
        let rules: Vec<_> = ways.iter().map(Relinquish::rule).collect();
        let matcher = Suspends::compile(&rules, &[]).map_err(|error| {
            let field = error.field.map(Field::name).unwrap_or_default();
            format!("{field}: \"{}\": {}", error.value, error.problem)
        })?;
        Ok(Relinquished { ways: ways.to_vec(), matcher })
    }

    /// Nothing is given back.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// In the order in which they were added.
    pub fn ways(&self) -> &[Relinquish] {
        &self.ways
    }

    /// The first that matches.
    pub fn find(&self, facts: &Facts<'_>) -> Option<&Relinquish> {
        self.ways.get(self.matcher.matches(facts)?)
    }
}
