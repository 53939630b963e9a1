//! Which variables are certainly assigned where they are read: only those may live in number registers.

use crate::syntax::ast::{
    AssignOp, Expr, ExprKind, Name, Place, PlaceRoot, Statement, StatementKind, StepKind, StringPart,
};

use super::analyze::{Variables, children};

/// One bit for each variable with numbers; all are set where control never comes.
type Set = u128;

const UNREACHABLE: Set = Set::MAX;

/// Walks a function in the order of its execution.
pub(super) struct Flow<'v> {
    variables: &'v mut Variables,
    bits: Vec<Option<u32>>,
}

impl<'v> Flow<'v> {
    pub(super) fn new(variables: &'v mut Variables) -> Flow<'v> {
        let mut next = 0;
        let bits = variables.list.iter().map(|variable| {
            variable.number.then(|| {
                next += 1;
                next - 1
            })
        });
        let bits = bits.collect();
        Flow { variables, bits }
    }

    /// Takes the numbers from every variable that may be read before it is assigned.
    pub(super) fn function(&mut self, statements: &[Statement]) {
        self.statements(statements, &mut 0);
    }

    fn bit(&self, name: &Name) -> Option<Set> {
        let at = self.variables.find(&name.text)?;
        self.bits[at].map(|bit| 1 << bit)
    }

    fn read(&mut self, name: &Name, state: Set) {
        if self.bit(name).is_some_and(|bit| state & bit == 0) {
            self.variables.not_a_number(&name.text);
        }
    }

    fn assign(&self, name: &Name, state: &mut Set) {
        *state |= self.bit(name).unwrap_or(0);
    }

    fn statements(&mut self, statements: &[Statement], state: &mut Set) {
        for statement in statements {
            self.statement(statement, state);
        }
    }

    /// A part that may be skipped.
    fn maybe(&mut self, statements: &[Statement], state: Set) -> Set {
        let mut inner = state;
        self.statements(statements, &mut inner);
        inner
    }

    fn statement(&mut self, statement: &Statement, state: &mut Set) {
        match &statement.kind {
            StatementKind::Expression(expr) | StatementKind::Echo(expr) => self.expression(expr, state),
            StatementKind::Block(block) => self.statements(&block.statements, state),
            StatementKind::If { branches, otherwise } => {
                let mut after = UNREACHABLE;
                for (condition, body) in branches {
                    self.expression(condition, state);
                    after &= self.maybe(std::slice::from_ref(body), *state);
                }
                if let Some(body) = otherwise {
                    self.statement(body, state);
                }
                *state &= after;
            }
            StatementKind::For { init, condition, step, body } => {
                init.iter().for_each(|expr| self.expression(expr, state));
                condition.iter().for_each(|expr| self.expression(expr, state));
                self.maybe(std::slice::from_ref(body), *state);
                step.iter().for_each(|expr| self.expression(expr, &mut state.clone()));
            }
            StatementKind::Foreach { subject, body, .. } => {
                self.expression(subject, state);
                self.maybe(std::slice::from_ref(body), *state);
            }
            StatementKind::While { condition, body } => {
                self.expression(condition, state);
                self.maybe(std::slice::from_ref(body), *state);
            }
            StatementKind::Forever { body } => {
                self.maybe(std::slice::from_ref(body), *state);
            }
            StatementKind::Switch { subject, sections } => {
                self.expression(subject, state);
                for section in sections {
                    section.case.iter().for_each(|case| self.expression(case, &mut state.clone()));
                    self.maybe(&section.statements, *state);
                }
            }
            StatementKind::Return(value) => {
                value.iter().for_each(|expr| self.expression(expr, state));
                *state = UNREACHABLE;
            }
            StatementKind::Throw(value) => {
                self.expression(value, state);
                *state = UNREACHABLE;
            }
            StatementKind::Break | StatementKind::Continue => *state = UNREACHABLE,
            StatementKind::Yield(value) => value.iter().for_each(|expr| self.expression(expr, state)),
            StatementKind::Try { body, handler, .. } => {
                let after = self.maybe(&body.statements, *state);
                *state = after & self.maybe(&handler.statements, *state);
            }
            StatementKind::Barrier { name, body, .. } => {
                self.expression(name, state);
                self.statements(&body.statements, state);
            }
            _ => {}
        }
    }

    fn expression(&mut self, expr: &Expr, state: &mut Set) {
        match &expr.kind {
            ExprKind::Variable(name) => self.read(name, *state),
            ExprKind::Interpolated(parts) => {
                for part in parts {
                    if let StringPart::Variable(name) = part {
                        self.read(name, *state);
                    }
                }
            }
            ExprKind::And(operands) | ExprKind::Or(operands) | ExprKind::Coalesce(operands) => {
                let mut skipped = *state;
                for (at, operand) in operands.iter().enumerate() {
                    self.expression(operand, &mut skipped);
                    if at == 0 {
                        *state = skipped;
                    }
                }
            }
            ExprKind::Ternary { condition, then, otherwise } => {
                self.expression(condition, state);
                let mut after = *state;
                then.iter().for_each(|then| self.expression(then, &mut after));
                self.expression(otherwise, state);
                *state &= after;
            }
            ExprKind::Match { subject, arms } => {
                self.expression(subject, state);
                for arm in arms {
                    let mut skipped = *state;
                    arm.values.iter().flatten().for_each(|value| self.expression(value, &mut skipped));
                    self.expression(&arm.result, &mut skipped);
                }
            }
            ExprKind::Assign { place, operator, value } => {
                self.place(place, state);
                match (&place.root, place.steps.is_empty()) {
                    (PlaceRoot::Variable(name), true) => {
                        if *operator != AssignOp::Set {
                            self.read(name, *state);
                        }
                        self.expression(value, state);
                        self.assign(name, state);
                    }
                    _ => self.expression(value, state),
                }
            }
            ExprKind::Step { place, .. } => {
                self.place(place, state);
                if let (PlaceRoot::Variable(name), true) = (&place.root, place.steps.is_empty()) {
                    self.read(name, *state);
                }
            }
            _ => children(expr, &mut |child| self.expression(child, state)),
        }
    }

    fn place(&mut self, place: &Place, state: &mut Set) {
        if let PlaceRoot::Value(value) = &place.root {
            self.expression(value, state);
        }
        for step in &place.steps {
            match &step.kind {
                StepKind::Index(key) => self.expression(key, state),
                StepKind::Slice(slice) => {
                    let bounds = slice.first.iter().chain(&slice.last).chain(&slice.step);
                    bounds.for_each(|bound| self.expression(bound, state));
                }
                _ => {}
            }
        }
    }
}
