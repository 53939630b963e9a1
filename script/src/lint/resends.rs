//! Messages that are deferred after they were queued: what was queued stays, and the client sends the message again.

use std::collections::HashSet;
use std::sync::Arc;

use super::visit::{Visit, walk_expr, walk_function, walk_statement};
use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Function, Script, Statement, StatementKind, StepKind};

const QUEUE: &str = "queue";
const DEFER: &str = "Defer";

pub(super) fn check(
    script: &Script,
    library: &Library,
    own: &HashSet<Arc<str>>,
    findings: &mut Vec<Diagnostic>,
) {
    if !library.is_terminating(DEFER) || own.contains(DEFER) {
        return;
    }
    let mut walk = Walk { queued: false, found: Vec::new() };
    walk.script(script);
    walk.found.sort_by_key(|span| span.start);
    walk.found.dedup();
    let warning = |span| {
        let text = "the client sends a deferred message again, and what is queued by now goes out twice";
        Diagnostic::warning(span, text).with_help("`Reject` keeps what is queued, too")
    };
    findings.extend(walk.found.into_iter().map(warning));
}

/// Follows a script from statement to statement.
struct Walk {
    /// Something has been queued on the way here.
    queued: bool,
    found: Vec<Span>,
}

impl Walk {
    /// Of several ways the state after all of them: queued where each has queued, or all of them begin so.
    fn ways(&mut self, complete: bool, ways: impl IntoIterator<Item = impl FnOnce(&mut Walk)>) {
        let before = self.queued;
        let mut all = complete;
        for way in ways {
            self.queued = before;
            way(self);
            all &= self.queued;
        }
        self.queued = before || all;
    }
}

impl Visit for Walk {
    fn function(&mut self, function: &Function) {
        let before = std::mem::replace(&mut self.queued, false);
        walk_function(self, function);
        self.queued = before;
    }

    fn expr(&mut self, expr: &Expr) {
        walk_expr(self, expr);
        if self.queued && is_defer(expr) {
            self.found.push(expr.span);
        }
        self.queued |= is_queue(expr);
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::If { branches, otherwise } => {
                branches.iter().for_each(|(condition, _)| self.expr(condition));
                let bodies = branches.iter().map(|(_, body)| body).chain(otherwise.as_deref());
                self.ways(otherwise.is_some(), bodies.map(|body| |walk: &mut Walk| walk.statement(body)));
            }
            StatementKind::Switch { subject, sections } => {
                self.expr(subject);
                let sections = sections.iter();
                let way = |section| move |walk: &mut Walk| walk.statements(section);
                self.ways(false, sections.map(|section| way(&section.statements)));
            }
            StatementKind::Try { body, handler, .. } => {
                let before = self.queued;
                self.statements(&body.statements);
                let after = std::mem::replace(&mut self.queued, before);
                self.statements(&handler.statements);
                self.queued = after;
            }
            StatementKind::For { .. }
            | StatementKind::Foreach { .. }
            | StatementKind::While { .. }
            | StatementKind::Forever { .. } => {
                let before = self.queued;
                walk_statement(self, statement);
                // What the first round has queued, the second finds.
                if self.queued && !before {
                    walk_statement(self, statement);
                }
            }
            _ => walk_statement(self, statement),
        }
    }
}

fn is_defer(expr: &Expr) -> bool {
    let ExprKind::Access { base, steps } = &expr.kind else { return false };
    let is_called = matches!(steps.first(), Some(step) if matches!(step.kind, StepKind::Call(_)));
    is_called && matches!(&base.kind, ExprKind::Identifier { name, .. } if &*name.text == DEFER)
}

/// A method call, on whatever object.
fn is_queue(expr: &Expr) -> bool {
    let ExprKind::Access { steps, .. } = &expr.kind else { return false };
    steps.windows(2).any(|pair| {
        let is_named = matches!(&pair[0].kind, StepKind::Property(name) if &*name.text == QUEUE);
        is_named && matches!(pair[1].kind, StepKind::Call(_))
    })
}
