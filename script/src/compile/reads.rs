//! Which members of the host's variables a script reads: the host need not make the others.

use std::collections::HashMap;
use std::sync::Arc;

use crate::syntax::ast::{Expr, ExprKind, Name, Place, PlaceRoot, Statement, Step, StepKind};
use crate::value::FrozenKey;

use super::analyze::{
    children, for_each_statement, statement_expressions, statement_uses, step_children, uses,
};

/// What a script reads of a value that the host gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// All of it, or who knows which parts.
    All,
    /// These members by constant keys that are texts, and what of each.
    Members(Vec<(Arc<str>, Reads)>),
}

impl Reads {
    /// Of nothing so far.
    fn nothing() -> Reads {
        Reads::Members(Vec::new())
    }

    /// What is read of a member; `None`: it is not looked at.
    #[inline]
    pub fn member(&self, key: &str) -> Option<&Reads> {
        match self {
            Reads::All => Some(self),
            Reads::Members(members) => {
                members.iter().find(|(name, _)| **name == *key).map(|(_, reads)| reads)
            }
        }
    }

    fn add(&mut self, path: &[Arc<str>]) {
        match (&mut *self, path) {
            (Reads::All, _) => {}
            (_, []) => *self = Reads::All,
            (Reads::Members(members), [key, rest @ ..]) => {
                match members.iter_mut().find(|(name, _)| name == key) {
                    Some((_, reads)) => reads.add(rest),
                    None => {
                        let mut reads = Reads::nothing();
                        reads.add(rest);
                        members.push((Arc::clone(key), reads));
                    }
                }
            }
        }
    }
}

/// What the statements of a file read of these variables, outside of functions: those share variables only by
/// `closure` and `global`, which count as reading all.
pub(super) fn of_variables<'n>(
    names: impl IntoIterator<Item = &'n str>,
    statements: &[Statement],
) -> HashMap<String, Reads> {
    let mut walk =
        Walk { found: names.into_iter().map(|name| (name.to_owned(), Reads::nothing())).collect() };
    for_each_statement(statements, &mut |statement| {
        statement_uses(statement, &mut |name, _| walk.read(name, &[]));
        statement_expressions(statement, &mut |expr| walk.expression(expr));
    });
    walk.found
}

struct Walk {
    found: HashMap<String, Reads>,
}

impl Walk {
    fn read(&mut self, name: &Name, path: &[Arc<str>]) {
        if let Some(reads) = self.found.get_mut(&*name.text) {
            reads.add(path);
        }
    }

    fn expression(&mut self, expr: &Expr) {
        let (name, steps) = match &expr.kind {
            ExprKind::Access { base, steps } => match &base.kind {
                ExprKind::Variable(name) => (name, steps),
                _ => return self.parts(expr),
            },
            ExprKind::Isset(place) => match &**place {
                Place { root: PlaceRoot::Variable(name), steps, .. } => (name, steps),
                _ => return self.parts(expr),
            },
            _ => return self.parts(expr),
        };
        self.read(name, &path(steps));
        for step in steps {
            step_children(&step.kind, &mut |child| self.expression(child));
        }
    }

    /// An expression that is no path.
    fn parts(&mut self, expr: &Expr) {
        uses(expr, &mut |name, _| self.read(name, &[]));
        children(expr, &mut |child| self.expression(child));
    }
}

/// The keys at the beginning of these steps that are constant texts.
fn path(steps: &[Step]) -> Vec<Arc<str>> {
    let keys = steps.iter().map_while(|step| match &step.kind {
        StepKind::Index(key) => match &key.kind {
            // A text that is a number means an item of a list.
            ExprKind::String(text) if matches!(FrozenKey::text(text), FrozenKey::Str(_)) => {
                std::str::from_utf8(text).ok()
            }
            _ => None,
        },
        _ => None,
    });
    keys.map(Arc::from).collect()
}
