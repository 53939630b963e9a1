//! Walks that go into the bodies of functions: inclusions, and the names after `global`.

use std::sync::Arc;

use crate::syntax::ast::{
    ArrayItem, Expr, ExprKind, Function, MemberKind, Place, PlaceRoot, Statement, StatementKind, Step,
    StepKind,
};

use super::analyze::{children, for_each_statement, statement_expressions};

/// Calls `visit` with every `include` of a file, those in functions too, in order.
pub(super) fn for_each_include(statements: &mut [Statement], visit: &mut dyn FnMut(&mut Statement)) {
    for statement in statements {
        match &mut statement.kind {
            StatementKind::Include { .. } => visit(statement),
            StatementKind::Block(block) | StatementKind::Barrier { body: block, .. } => {
                for_each_include(&mut block.statements, visit);
            }
            StatementKind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    in_expression(condition, visit);
                    for_each_include(std::slice::from_mut(body), visit);
                }
                if let Some(body) = otherwise {
                    for_each_include(std::slice::from_mut(body), visit);
                }
            }
            StatementKind::For { init, condition, step, body } => {
                init.iter_mut().chain(condition).chain(step).for_each(|expr| in_expression(expr, visit));
                for_each_include(std::slice::from_mut(body), visit);
            }
            StatementKind::Foreach { subject: expr, body, .. }
            | StatementKind::While { condition: expr, body } => {
                in_expression(expr, visit);
                for_each_include(std::slice::from_mut(body), visit);
            }
            StatementKind::Forever { body } => for_each_include(std::slice::from_mut(body), visit),
            StatementKind::Switch { subject, sections } => {
                in_expression(subject, visit);
                for section in sections {
                    section.case.iter_mut().for_each(|case| in_expression(case, visit));
                    for_each_include(&mut section.statements, visit);
                }
            }
            StatementKind::Try { body, handler, .. } => {
                for_each_include(&mut body.statements, visit);
                for_each_include(&mut handler.statements, visit);
            }
            StatementKind::Expression(expr) | StatementKind::Echo(expr) | StatementKind::Throw(expr) => {
                in_expression(expr, visit);
            }
            StatementKind::Return(value) | StatementKind::Yield(value) => {
                value.iter_mut().for_each(|expr| in_expression(expr, visit));
            }
            StatementKind::Function(function) => for_each_include(&mut function.body.statements, visit),
            StatementKind::Class(class) => {
                for member in &mut class.members {
                    match &mut member.kind {
                        MemberKind::Constructor(function) | MemberKind::Method(function) => {
                            for_each_include(&mut function.body.statements, visit);
                        }
                        MemberKind::Variable { value, .. } => in_expression(value, visit),
                    }
                }
            }
            StatementKind::Empty
            | StatementKind::Break
            | StatementKind::Continue
            | StatementKind::Global(_)
            | StatementKind::Import(_)
            | StatementKind::BreakPoint { .. } => {}
        }
    }
}

/// Only functions within an expression can include anything.
fn in_expression(expr: &mut Expr, visit: &mut dyn FnMut(&mut Statement)) {
    let mut go = |expr: &mut Expr| in_expression(expr, visit);
    match &mut expr.kind {
        ExprKind::Function(function) => for_each_include(&mut function.body.statements, visit),
        ExprKind::Array(items) => {
            for item in items {
                match item {
                    ArrayItem::Value { key, value } => {
                        key.iter_mut().for_each(&mut go);
                        go(value);
                    }
                    ArrayItem::Spread(value) => go(value),
                }
            }
        }
        ExprKind::Access { base, steps } => {
            go(base);
            steps.iter_mut().for_each(|step| in_step(step, &mut go));
        }
        ExprKind::Unary { operand, .. } => go(operand),
        ExprKind::Binary { first, links } => {
            go(first);
            links.iter_mut().for_each(|link| go(&mut link.operand));
        }
        ExprKind::And(operands) | ExprKind::Or(operands) | ExprKind::Coalesce(operands) => {
            operands.iter_mut().for_each(go);
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            go(condition);
            then.iter_mut().for_each(|then| go(then));
            go(otherwise);
        }
        ExprKind::Assign { place, value, .. } => {
            in_place(place, &mut go);
            go(value);
        }
        ExprKind::Destructure { pattern, value } => {
            go(value);
            pattern
                .items
                .iter_mut()
                .for_each(|item| item.key.iter_mut().chain(&mut item.default).for_each(&mut go));
        }
        ExprKind::Step { place, .. } | ExprKind::Isset(place) | ExprKind::Unset(place) => {
            in_place(place, &mut go)
        }
        ExprKind::Match { subject, arms } => {
            go(subject);
            for arm in arms {
                arm.values.iter_mut().flatten().for_each(&mut go);
                go(&mut arm.result);
            }
        }
        ExprKind::Cache(call) => {
            go(&mut call.options);
            call.arguments.iter_mut().for_each(|argument| go(&mut argument.value));
        }
        _ => {}
    }
}

fn in_place(place: &mut Place, go: &mut dyn FnMut(&mut Expr)) {
    if let PlaceRoot::Value(value) = &mut place.root {
        go(value);
    }
    place.steps.iter_mut().for_each(|step| in_step(step, go));
}

fn in_step(step: &mut Step, go: &mut dyn FnMut(&mut Expr)) {
    match &mut step.kind {
        StepKind::Index(key) => go(key),
        StepKind::Slice(slice) => {
            slice.first.iter_mut().chain(&mut slice.last).chain(&mut slice.step).for_each(go);
        }
        StepKind::Call(arguments) => arguments.iter_mut().for_each(|argument| go(&mut argument.value)),
        StepKind::Append | StepKind::Property(_) => {}
    }
}

/// The names after `global` in all functions of a file.
pub(super) fn global_names(statements: &[Statement]) -> Vec<Arc<str>> {
    let mut names = Vec::new();
    collect_globals(statements, false, &mut names);
    names
}

fn collect_globals(statements: &[Statement], in_function: bool, names: &mut Vec<Arc<str>>) {
    for_each_statement(statements, &mut |statement| {
        match &statement.kind {
            StatementKind::Global(list) if in_function => {
                names.extend(list.iter().map(|name| name.text.clone()))
            }
            StatementKind::Function(function) => in_body(function, names),
            StatementKind::Class(class) => {
                for member in &class.members {
                    match &member.kind {
                        MemberKind::Constructor(function) | MemberKind::Method(function) => {
                            in_body(function, names)
                        }
                        MemberKind::Variable { value, .. } => in_functions_of(value, names),
                    }
                }
            }
            _ => {}
        }
        statement_expressions(statement, &mut |expr| in_functions_of(expr, names));
    });
}

fn in_body(function: &Function, names: &mut Vec<Arc<str>>) {
    collect_globals(&function.body.statements, true, names);
}

fn in_functions_of(expr: &Expr, names: &mut Vec<Arc<str>>) {
    if let ExprKind::Function(function) = &expr.kind {
        in_body(function, names);
    }
    children(expr, &mut |child| in_functions_of(child, names));
}
