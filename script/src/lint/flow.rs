//! Statements that are never reached, and those that do nothing.

use std::collections::HashSet;
use std::sync::Arc;

use super::visit::{Visit, walk_statement};
use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Script, Statement, StatementKind, StepKind};

pub(super) fn check(
    script: &Script,
    library: &Library,
    own: &HashSet<Arc<str>>,
    findings: &mut Vec<Diagnostic>,
) {
    Checker { library, own, findings }.script(script);
}

struct Checker<'a> {
    library: &'a Library,
    own: &'a HashSet<Arc<str>>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// Whether what stands after the statement is not reached.
    fn ends(&self, statement: &Statement) -> bool {
        match &statement.kind {
            StatementKind::Return(_)
            | StatementKind::Throw(_)
            | StatementKind::Break
            | StatementKind::Continue => true,
            StatementKind::Block(block) => self.any_ends(&block.statements),
            StatementKind::Expression(expr) => self.ends_script(expr),
            StatementKind::If { branches, otherwise: Some(otherwise) } => {
                branches.iter().all(|(_, body)| self.ends(body)) && self.ends(otherwise)
            }
            StatementKind::Try { body, handler, .. } => {
                self.any_ends(&body.statements) && self.any_ends(&handler.statements)
            }
            _ => false,
        }
    }

    fn any_ends(&self, statements: &[Statement]) -> bool {
        statements.iter().any(|statement| self.ends(statement))
    }

    /// A call of a function that does not come back.
    fn ends_script(&self, expr: &Expr) -> bool {
        let ExprKind::Access { base, steps } = &expr.kind else { return false };
        let ExprKind::Identifier { name, builtin } = &base.kind else { return false };
        let called = matches!(steps.first(), Some(step) if matches!(step.kind, StepKind::Call(_)));
        called && (*builtin || !self.own.contains(&name.text)) && self.library.is_terminating(&name.text)
    }
}

impl Visit for Checker<'_> {
    fn statements(&mut self, statements: &[Statement]) {
        let mut ended = false;
        for statement in statements {
            if ended && !is_harmless(statement) {
                self.findings.push(Diagnostic::warning(statement.span, "this is never reached"));
                break;
            }
            ended |= self.ends(statement);
        }
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Statement) {
        if let StatementKind::Expression(expr) = &statement.kind {
            match &expr.kind {
                ExprKind::Binary { links, .. } if links.iter().all(|link| is_comparison(link.operator)) => {
                    let warning = Diagnostic::warning(expr.span, "the result of this comparison is not used");
                    self.findings.push(warning.with_help("`=` assigns"));
                }
                ExprKind::None
                | ExprKind::Bool(_)
                | ExprKind::Number(_)
                | ExprKind::String(_)
                | ExprKind::Interpolated(_)
                | ExprKind::Variable(_)
                | ExprKind::Identifier { .. }
                | ExprKind::Array(_) => {
                    self.findings.push(Diagnostic::warning(expr.span, "this statement does nothing"));
                }
                _ => {}
            }
        }
        walk_statement(self, statement);
    }
}

/// Declarations are hoisted; a `break` after `return` in a `switch` is a habit.
fn is_harmless(statement: &Statement) -> bool {
    use StatementKind::{Break, Class, Empty, Function};
    matches!(statement.kind, Function(_) | Class(_) | Empty | Break)
}

fn is_comparison(operator: BinaryOp) -> bool {
    use BinaryOp::{Equal, Greater, GreaterEqual, Identical, Less, LessEqual, NotEqual, NotIdentical};
    matches!(
        operator,
        Equal | NotEqual | Identical | NotIdentical | Less | LessEqual | Greater | GreaterEqual
    )
}
