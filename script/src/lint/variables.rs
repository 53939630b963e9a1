//! Variables that are read though nothing assigns them, and the reverse.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Surroundings;
use super::visit::{Visit, walk_expr, walk_function, walk_place, walk_statement, walk_steps};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    AssignOp, Expr, ExprKind, Function, ImportKind, Name, Place, PlaceRoot, Script, Statement, StatementKind,
    StringPart,
};

pub(super) fn check(script: &Script, surroundings: Surroundings<'_>, findings: &mut Vec<Diagnostic>) {
    let mut checker = Checker { scope: Scope::default(), globals: HashSet::new(), findings };
    checker.script(script);
    let mut main = std::mem::take(&mut checker.scope);
    main.defined.extend(checker.globals.drain());
    main.defined.extend(surroundings.predefined.into_iter().flatten().map(|&name| Arc::from(name)));
    main.open |= surroundings.predefined.is_none();
    checker.report_undefined(&main);
}

/// What one scope does with its variables.
#[derive(Default)]
struct Scope {
    defined: HashSet<Arc<str>>,
    /// First place where it is read without being allowed to be undefined.
    read: HashMap<Arc<str>, Span>,
    /// Read in any way.
    used: HashSet<Arc<str>>,
    /// Plain assignments: the first of each name, by place.
    assigned: BTreeMap<u32, Name>,
    /// Whether an `include` may do anything to it.
    open: bool,
}

struct Checker<'a> {
    scope: Scope,
    /// Names that functions bind with `global`.
    globals: HashSet<Arc<str>>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn define(&mut self, name: &Name) {
        self.scope.defined.insert(name.text.clone());
    }

    fn read(&mut self, name: &Name) {
        self.scope.read.entry(name.text.clone()).or_insert(name.span);
        self.mention(name);
    }

    /// Uses a variable that may be undefined here.
    fn mention(&mut self, name: &Name) {
        self.scope.used.insert(name.text.clone());
    }

    fn report_undefined(&mut self, scope: &Scope) {
        if scope.open {
            return;
        }
        for (name, &span) in &scope.read {
            if &**name != "this" && !scope.defined.contains(name) {
                let message = format!("`${name}` is read, but nothing assigns it");
                self.findings.push(Diagnostic::warning(span, message));
            }
        }
    }

    fn report_unused(&mut self, scope: &Scope) {
        if scope.open {
            return;
        }
        let mut seen = HashSet::new();
        for name in scope.assigned.values() {
            let unused = !scope.used.contains(&name.text) && !name.text.starts_with('_');
            if unused && seen.insert(&name.text) {
                let message = format!("`${}` is assigned, but never used", name.text);
                self.findings.push(Diagnostic::warning(name.span, message));
            }
        }
    }

    /// An operand of `??` or `isset`, which may be undefined.
    fn lenient(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Variable(name) => self.mention(name),
            ExprKind::Access { base, steps } => {
                self.lenient(base);
                walk_steps(self, steps);
            }
            _ => self.expr(expr),
        }
    }

    fn assign(&mut self, place: &Place, operator: AssignOp) {
        let PlaceRoot::Variable(name) = &place.root else { return };
        if !place.steps.is_empty() {
            // A part of it changes, which is no reason to warn about either.
            self.mention(name);
            self.define(name);
            return;
        }
        match operator {
            AssignOp::Set => {
                self.define(name);
                self.scope.assigned.insert(name.span.start, name.clone());
            }
            AssignOp::Coalesce => {
                self.define(name);
                self.mention(name);
            }
            AssignOp::Compute(_) => self.read(name),
        }
    }

    fn import(&mut self, kind: &ImportKind) {
        match kind {
            ImportKind::Symbols(symbols) => {
                for (_, here) in symbols.iter().filter(|(_, here)| here.variable) {
                    self.define(&here.name);
                }
            }
            ImportKind::Data { variable, .. } => self.define(variable),
            ImportKind::Wildcard(_) => {}
        }
    }
}

impl Visit for Checker<'_> {
    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Foreach { key, value, .. } => {
                key.iter().chain([value]).for_each(|name| self.define(name));
            }
            StatementKind::Try { variable, .. } => self.define(variable),
            StatementKind::Barrier { variable: Some(name), .. } => {
                self.define(name);
                self.mention(name);
            }
            StatementKind::Global(names) => {
                for name in names {
                    self.define(name);
                    self.mention(name);
                    self.globals.insert(name.text.clone());
                }
            }
            StatementKind::Include { .. } => self.scope.open = true,
            StatementKind::Import(import) => self.import(&import.kind),
            _ => {}
        }
        walk_statement(self, statement);
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Variable(name) => self.read(name),
            ExprKind::Interpolated(parts) => {
                for part in parts {
                    if let StringPart::Variable(name) = part {
                        self.read(name);
                    }
                }
            }
            ExprKind::Coalesce(operands) => {
                let (last, first) =
                    operands.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
                first.iter().for_each(|operand| self.lenient(operand));
                last.iter().for_each(|operand| self.expr(operand));
                return;
            }
            ExprKind::Assign { place, operator, .. } => self.assign(place, *operator),
            ExprKind::Step { place, .. } => match &place.root {
                PlaceRoot::Variable(name) if place.steps.is_empty() => self.read(name),
                PlaceRoot::Variable(name) => {
                    self.define(name);
                    self.mention(name);
                }
                _ => {}
            },
            ExprKind::Isset(place) | ExprKind::Unset(place) => {
                if let PlaceRoot::Variable(name) = &place.root {
                    self.mention(name);
                }
                if let PlaceRoot::Value(value) = &place.root {
                    self.lenient(value);
                    walk_steps(self, &place.steps);
                    return;
                }
            }
            ExprKind::Destructure { pattern, .. } => {
                for name in pattern.items.iter().map(|item| &item.name).chain(&pattern.rest) {
                    self.define(name);
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }

    fn place(&mut self, place: &Place) {
        walk_place(self, place);
    }

    fn function(&mut self, function: &Function) {
        for name in function.closure.iter().flatten() {
            self.define(name);
            self.mention(name);
        }
        let outer = std::mem::take(&mut self.scope);
        let parameters = function.parameters.list.iter().map(|parameter| &parameter.name);
        for name in parameters.chain(&function.parameters.rest).chain(function.closure.iter().flatten()) {
            self.define(name);
            self.mention(name);
        }
        walk_function(self, function);
        let scope = std::mem::replace(&mut self.scope, outer);
        self.report_undefined(&scope);
        self.report_unused(&scope);
    }
}
