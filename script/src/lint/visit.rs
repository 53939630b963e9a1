//! Walking the tree.

use crate::syntax::ast::{
    Argument, ArrayItem, Expr, ExprKind, Function, Member, MemberKind, Pattern, Place, PlaceRoot, Script,
    Statement, StatementKind, Step, StepKind,
};

/// Something that looks at each node; what it does not override walks on.
pub(super) trait Visit {
    fn statements(&mut self, statements: &[Statement]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        walk_statement(self, statement);
    }

    fn expr(&mut self, expr: &Expr) {
        walk_expr(self, expr);
    }

    fn place(&mut self, place: &Place) {
        walk_place(self, place);
    }

    fn function(&mut self, function: &Function) {
        walk_function(self, function);
    }

    fn script(&mut self, script: &Script) {
        self.statements(&script.statements);
    }
}

pub(super) fn walk_statement<V: Visit + ?Sized>(visitor: &mut V, statement: &Statement) {
    match &statement.kind {
        StatementKind::Block(block) => visitor.statements(&block.statements),
        StatementKind::Expression(expr) | StatementKind::Echo(expr) | StatementKind::Throw(expr) => {
            visitor.expr(expr)
        }
        StatementKind::Return(expr) | StatementKind::Yield(expr) => optional(visitor, expr.as_ref()),
        StatementKind::If { branches, otherwise } => {
            for (condition, body) in branches {
                visitor.expr(condition);
                visitor.statement(body);
            }
            if let Some(otherwise) = otherwise {
                visitor.statement(otherwise);
            }
        }
        StatementKind::For { init, condition, step, body } => {
            optional(visitor, init.as_ref());
            optional(visitor, condition.as_ref());
            visitor.statement(body);
            optional(visitor, step.as_ref());
        }
        StatementKind::Foreach { subject: condition, body, .. }
        | StatementKind::While { condition, body } => {
            visitor.expr(condition);
            visitor.statement(body);
        }
        StatementKind::Forever { body } => visitor.statement(body),
        StatementKind::Switch { subject, sections } => {
            visitor.expr(subject);
            for section in sections {
                optional(visitor, section.case.as_ref());
                visitor.statements(&section.statements);
            }
        }
        StatementKind::Try { body, handler, .. } => {
            visitor.statements(&body.statements);
            visitor.statements(&handler.statements);
        }
        StatementKind::Barrier { name, body, .. } => {
            visitor.expr(name);
            visitor.statements(&body.statements);
        }
        StatementKind::Function(function) => visitor.function(function),
        StatementKind::Class(class) => class.members.iter().for_each(|member| walk_member(visitor, member)),
        StatementKind::Import(_)
        | StatementKind::Include { .. }
        | StatementKind::Global(_)
        | StatementKind::Empty
        | StatementKind::Break
        | StatementKind::Continue
        | StatementKind::BreakPoint { .. } => {}
    }
}

fn walk_member<V: Visit + ?Sized>(visitor: &mut V, member: &Member) {
    match &member.kind {
        MemberKind::Constructor(function) | MemberKind::Method(function) => visitor.function(function),
        MemberKind::Variable { value, .. } => visitor.expr(value),
    }
}

pub(super) fn walk_function<V: Visit + ?Sized>(visitor: &mut V, function: &Function) {
    for parameter in &function.parameters.list {
        optional(visitor, parameter.default.as_ref());
    }
    visitor.statements(&function.body.statements);
}

fn optional<V: Visit + ?Sized>(visitor: &mut V, expr: Option<&Expr>) {
    if let Some(expr) = expr {
        visitor.expr(expr);
    }
}

pub(super) fn walk_expr<V: Visit + ?Sized>(visitor: &mut V, expr: &Expr) {
    match &expr.kind {
        ExprKind::Array(items) => items.iter().for_each(|item| match item {
            ArrayItem::Value { key, value } => {
                optional(visitor, key.as_ref());
                visitor.expr(value);
            }
            ArrayItem::Spread(value) => visitor.expr(value),
        }),
        ExprKind::Function(function) => visitor.function(function),
        ExprKind::Access { base, steps } => {
            visitor.expr(base);
            walk_steps(visitor, steps);
        }
        ExprKind::Unary { operand, .. } => visitor.expr(operand),
        ExprKind::Binary { first, links } => {
            visitor.expr(first);
            links.iter().for_each(|link| visitor.expr(&link.operand));
        }
        ExprKind::And(operands) | ExprKind::Or(operands) | ExprKind::Coalesce(operands) => {
            operands.iter().for_each(|operand| visitor.expr(operand));
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            visitor.expr(condition);
            optional(visitor, then.as_deref());
            visitor.expr(otherwise);
        }
        ExprKind::Assign { place, value, .. } => {
            visitor.place(place);
            visitor.expr(value);
        }
        ExprKind::Destructure { pattern, value } => {
            walk_pattern(visitor, pattern);
            visitor.expr(value);
        }
        ExprKind::Step { place, .. } | ExprKind::Isset(place) | ExprKind::Unset(place) => {
            visitor.place(place)
        }
        ExprKind::Match { subject, arms } => {
            visitor.expr(subject);
            for arm in arms {
                arm.values.iter().flatten().for_each(|value| visitor.expr(value));
                visitor.expr(&arm.result);
            }
        }
        ExprKind::Cache(call) => {
            visitor.expr(&call.options);
            walk_arguments(visitor, &call.arguments);
        }
        ExprKind::Error
        | ExprKind::None
        | ExprKind::Bool(_)
        | ExprKind::Number(_)
        | ExprKind::String(_)
        | ExprKind::Interpolated(_)
        | ExprKind::Regex { .. }
        | ExprKind::Variable(_)
        | ExprKind::Identifier { .. }
        | ExprKind::Static(_) => {}
    }
}

fn walk_pattern<V: Visit + ?Sized>(visitor: &mut V, pattern: &Pattern) {
    for item in &pattern.items {
        optional(visitor, item.key.as_ref());
        optional(visitor, item.default.as_ref());
    }
}

fn walk_arguments<V: Visit + ?Sized>(visitor: &mut V, arguments: &[Argument]) {
    arguments.iter().for_each(|argument| visitor.expr(&argument.value));
}

pub(super) fn walk_place<V: Visit + ?Sized>(visitor: &mut V, place: &Place) {
    if let PlaceRoot::Value(value) = &place.root {
        visitor.expr(value);
    }
    walk_steps(visitor, &place.steps);
}

pub(super) fn walk_steps<V: Visit + ?Sized>(visitor: &mut V, steps: &[Step]) {
    for step in steps {
        match &step.kind {
            StepKind::Index(index) => visitor.expr(index),
            StepKind::Slice(slice) => {
                for bound in [&slice.first, &slice.last, &slice.step] {
                    optional(visitor, bound.as_ref());
                }
            }
            StepKind::Call(arguments) => walk_arguments(visitor, arguments),
            StepKind::Append | StepKind::Property(_) => {}
        }
    }
}
