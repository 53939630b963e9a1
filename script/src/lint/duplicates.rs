//! The same key twice in an array, the same value twice in a `switch` or `match`.

use std::collections::HashMap;

use super::visit::{Visit, walk_expr, walk_statement};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{ArrayItem, Expr, ExprKind, Script, Statement, StatementKind};

pub(super) fn check(script: &Script, findings: &mut Vec<Diagnostic>) {
    Checker { findings }.script(script);
}

struct Checker<'a> {
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn repeated<'e>(&mut self, values: impl Iterator<Item = &'e Expr>, message: &str, integer_keys: bool) {
        let mut seen: HashMap<Literal, Span> = HashMap::new();
        for value in values {
            let Some(literal) = literal(value, integer_keys) else { continue };
            if let Some(first) = seen.insert(literal, value.span) {
                self.findings.push(Diagnostic::warning(value.span, message).with_related(first, "the first"));
            }
        }
    }
}

impl Visit for Checker<'_> {
    fn statement(&mut self, statement: &Statement) {
        if let StatementKind::Switch { sections, .. } = &statement.kind {
            let cases = sections.iter().filter_map(|section| section.case.as_ref());
            self.repeated(cases, "this case stands above already", false);
        }
        walk_statement(self, statement);
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Array(items) => {
                let keys = items.iter().filter_map(|item| match item {
                    ArrayItem::Value { key, .. } => key.as_ref(),
                    ArrayItem::Spread(_) => None,
                });
                self.repeated(keys, "this key is in the array already; the last value stays", true);
            }
            ExprKind::Match { arms, .. } => {
                let values = arms.iter().filter_map(|arm| arm.values.as_ref()).flatten();
                self.repeated(values, "this value stands above already", false);
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Literal {
    Text(Vec<u8>),
    Number(u64),
}

/// The value of a literal; of a key as arrays keep it, so that `"7"` is 7.
fn literal(expr: &Expr, integer_keys: bool) -> Option<Literal> {
    match &expr.kind {
        ExprKind::String(text) if integer_keys => {
            let number = str::from_utf8(text).ok().and_then(|text| {
                let number: i64 = text.parse().ok()?;
                (number.to_string() == text).then_some(number)
            });
            Some(number.map_or_else(
                || Literal::Text(text.to_vec()),
                |number| Literal::Number((number as f64).to_bits()),
            ))
        }
        ExprKind::String(text) => Some(Literal::Text(text.to_vec())),
        ExprKind::Number(number) if integer_keys => Some(Literal::Number(number.trunc().to_bits())),
        ExprKind::Number(number) => Some(Literal::Number(number.to_bits())),
        ExprKind::Bool(value) if integer_keys => Some(Literal::Number(f64::from(u8::from(*value)).to_bits())),
        _ => None,
    }
}
