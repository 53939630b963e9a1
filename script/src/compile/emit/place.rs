//! Assignment targets.

use crate::compile::analyze::assigns;
use crate::compile::op::{CONSTANT, NO_REG, Op, Operator, Reg};
use crate::compile::program::{Constant, PathStep};
use crate::source::Span;
use crate::syntax::ast::{AssignOp, BinaryOp, Expr, ExprKind, Name, Place, PlaceRoot, Slice, Step, StepKind};
use crate::value::Frozen;

use super::binary::operator_of;
use super::{Emitter, Loc, Slot, Want};

/// The machine goes down one level per step of a path.
const MAX_PATH_STEPS: usize = 200;

impl<'a> Emitter<'_, '_, 'a> {
    /// `place operator value`; the value of the assignment is left in the temporary `result`.
    pub(super) fn assign(
        &mut self,
        place: &'a Place,
        operator: AssignOp,
        value: &'a Expr,
        result: Option<Reg>,
        span: Span,
    ) {
        match (&place.root, place.steps.is_empty()) {
            (PlaceRoot::Variable(name), true) => {
                self.check_writable(name);
                self.assign_variable(name, operator, value, result, span);
            }
            _ => self.assign_path(place, operator, value, result, span),
        }
    }

    fn assign_variable(
        &mut self,
        name: &'a Name,
        operator: AssignOp,
        value: &'a Expr,
        result: Option<Reg>,
        span: Span,
    ) {
        let slot = self.slot(name);
        let (operator, value_links) = match operator {
            AssignOp::Set => match self.self_update(name, value) {
                Some((operator, links)) => (AssignOp::Compute(operator), Some(links)),
                None => (AssignOp::Set, None),
            },
            operator => (operator, None),
        };
        let value = value_links.unwrap_or(value);
        match (operator, slot) {
            (AssignOp::Set, Slot::Num(num)) => {
                self.expression(value, Want::Num(num));
            }
            (AssignOp::Set, Slot::Reg(reg)) => {
                self.expression(value, Want::Reg(reg));
            }
            (AssignOp::Set, Slot::Shared(cell)) => {
                let from = self.operand(value);
                if let Some(to) = result {
                    self.emit(Op::Copy { to, from }, span);
                }
                self.emit(Op::CellSet { cell, from }, span);
                return;
            }
            (AssignOp::Compute(operator), Slot::Num(num)) => self.number_update(operator, num, value, span),
            (AssignOp::Compute(operator), Slot::Reg(place) | Slot::Shared(place)) => {
                self.update_variable(operator, place, value, span);
            }
            (AssignOp::Coalesce, _) => {
                let to = result.unwrap_or_else(|| self.code.temp());
                self.quiet_variable(name, to);
                let end = self.code.label();
                self.code.jump(Op::JumpSet { from: to, to: 0 }, end, span);
                self.evaluate_row(value, to);
                if result.is_some() {
                    let from = self.code.temp();
                    self.emit(Op::Copy { to: from, from: to }, span);
                    self.store_variable(name, from);
                } else {
                    self.store_variable(name, to);
                }
                self.code.place(end);
                if result.is_none() {
                    self.emit(Op::Clear { reg: to }, span);
                }
                return;
            }
        }
        if let Some(to) = result {
            self.read_slot(slot, to, span);
        }
    }

    /// A value for an instruction that stores it: a register or a constant.
    pub(super) fn stored(&mut self, value: &'a Expr) -> Reg {
        if let Some(constant) = self.compiler.fold(value) {
            let constant = self.code.constant(constant);
            if constant < NO_REG - CONSTANT {
                return CONSTANT | constant;
            }
        }
        self.operand(value)
    }

    /// The same where the value of the assignment is wanted too, in `result`.
    fn stored_and_kept(&mut self, value: &'a Expr, result: Option<Reg>, span: Span) -> Reg {
        let Some(to) = result else { return self.stored(value) };
        let from = self.operand(value);
        self.emit(Op::Copy { to, from }, span);
        from
    }

    pub(super) fn read_slot(&mut self, slot: Slot, to: Reg, span: Span) {
        match slot {
            Slot::Num(from) => self.emit(Op::Box { to, from }, span),
            Slot::Reg(from) => self.emit(Op::Move { to, from }, span),
            Slot::Shared(cell) => self.emit(Op::CellGet { to, cell }, span),
        }
    }

    /// `$x = $x op value` is `$x op= value`, which works in place.
    fn self_update(&self, name: &Name, value: &'a Expr) -> Option<(BinaryOp, &'a Expr)> {
        let ExprKind::Binary { first, links } = &value.kind else { return None };
        let [link] = &links[..] else { return None };
        let assignable = matches!(
            link.operator,
            BinaryOp::Add
                | BinaryOp::Subtract
                | BinaryOp::Multiply
                | BinaryOp::Divide
                | BinaryOp::Modulo
                | BinaryOp::Power
                | BinaryOp::Concat
        );
        match &first.kind {
            ExprKind::Variable(other) if assignable && other.text == name.text && !assigns(&link.operand) => {
                Some((link.operator, &link.operand))
            }
            _ => None,
        }
    }

    fn update_variable(&mut self, operator: BinaryOp, place: Reg, value: &'a Expr, span: Span) {
        let shared = self.is_shared(place);
        if let (BinaryOp::Add | BinaryOp::Subtract, false, Some(Constant::Value(Frozen::Number(number)))) =
            (operator, shared, self.compiler.fold(value))
        {
            let constant = self.code.constant(Constant::Value(Frozen::Number(number)));
            self.emit(
                match operator {
                    BinaryOp::Add => Op::AddConst { to: place, a: place, constant },
                    _ => Op::SubtractConst { to: place, a: place, constant },
                },
                span,
            );
            return;
        }
        let from = self.stored(value);
        let op = match operator {
            BinaryOp::Concat => Op::ConcatTo { place, from },
            _ => Op::Update { operator: operator_of(operator), place, from },
        };
        self.emit(op, span);
    }

    fn is_shared(&self, reg: Reg) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Shared(shared) if *shared == reg))
    }

    fn assign_path(
        &mut self,
        place: &'a Place,
        operator: AssignOp,
        value: &'a Expr,
        result: Option<Reg>,
        span: Span,
    ) {
        let unstable = assigns(value);
        let root = self.root(&place.root, unstable, true);
        match operator {
            AssignOp::Set => {
                if let [Step { kind, .. }] = &place.steps[..]
                    && self.assign_step(root, kind, value, result, unstable, span)
                {
                    return;
                }
                let path = self.path(&place.steps, unstable, place.span);
                let from = self.stored_and_kept(value, result, span);
                self.emit(Op::PathSet { root, path, from }, span);
            }
            AssignOp::Compute(operator) => {
                if let ([step], None) = (&place.steps[..], result) {
                    let op = self.step_update(root, &step.kind, operator_of(operator), unstable, |this| {
                        this.stored(value)
                    });
                    if let Some(op) = op {
                        return self.emit(op, span);
                    }
                }
                let path = self.path(&place.steps, unstable, place.span);
                let from = self.operand(value);
                self.emit(Op::PathUpdate { operator: operator_of(operator), root, path, from }, span);
                if let Some(to) = result {
                    self.emit(Op::PathGet { to, root, path }, span);
                }
            }
            AssignOp::Coalesce => {
                let path = self.path(&place.steps, unstable, place.span);
                let to = result.unwrap_or_else(|| self.code.temp());
                self.emit(Op::PathGet { to, root, path }, span);
                let end = self.code.label();
                self.code.jump(Op::JumpSet { from: to, to: 0 }, end, span);
                self.evaluate_row(value, to);
                let from = self.code.temp();
                self.emit(Op::Copy { to: from, from: to }, span);
                self.emit(Op::PathSet { root, path, from }, span);
                self.code.place(end);
                self.emit_clear_unless(result, to, span);
            }
        }
    }

    fn emit_clear_unless(&mut self, result: Option<Reg>, reg: Reg, span: Span) {
        if result.is_none() {
            self.emit(Op::Clear { reg }, span);
        }
    }

    /// The short forms of one step; false if there is none.
    fn assign_step(
        &mut self,
        root: Reg,
        step: &'a StepKind,
        value: &'a Expr,
        result: Option<Reg>,
        unstable: bool,
        span: Span,
    ) -> bool {
        match step {
            StepKind::Index(key) => {
                if let Some(constant) = self.compiler.fold(key) {
                    let from = self.stored_and_kept(value, result, span);
                    let key = self.code.constant(constant);
                    self.emit(Op::IndexSetConst { base: root, key, from }, span);
                    return true;
                }
                if self.is_number(key) && !unstable {
                    let loc = self.expression(key, Want::Anywhere);
                    let key = self.unboxed(loc, Operator::Subtract, true, span);
                    let from = self.stored_and_kept(value, result, span);
                    self.emit(Op::IndexSetNum { key, base: root, from }, span);
                    return true;
                }
                let key = self.stable_operand(key, unstable);
                let from = self.stored_and_kept(value, result, span);
                self.emit(Op::IndexSet { base: root, key, from }, span);
            }
            StepKind::Append => {
                let from = self.stored_and_kept(value, result, span);
                self.emit(Op::Append { base: root, from }, span);
            }
            StepKind::Property(name) => {
                let from = self.stored_and_kept(value, result, span);
                let name = self.text(&name.text);
                self.emit(Op::PropertySet { base: root, name, from }, span);
            }
            StepKind::Slice(_) | StepKind::Call(_) => return false,
        }
        true
    }

    /// The register where a path begins: that of the variable itself, so that changes work in place.
    pub(super) fn root(&mut self, root: &'a PlaceRoot, unstable: bool, write: bool) -> Reg {
        match root {
            PlaceRoot::Variable(name) => {
                // `$this->x = y` changes the object, not the variable.
                if write && name.text.as_ref() != "this" {
                    self.check_writable(name);
                }
                match self.slot(name) {
                    Slot::Reg(reg) | Slot::Shared(reg) => reg,
                    Slot::Num(from) => {
                        // Only where nothing is written: an index of a number is none.
                        let to = self.code.temp();
                        self.emit(Op::Box { to, from }, name.span);
                        to
                    }
                }
            }
            PlaceRoot::Static(member) => match self.static_variable(member) {
                Some(index) => {
                    let reg = self.code.temp();
                    self.emit(Op::BindGlobal { reg, index }, member.member.name.span);
                    reg
                }
                None => self.code.temp(),
            },
            PlaceRoot::Value(value) => {
                let to = self.code.temp();
                self.evaluate_row(value, to);
                let _ = unstable;
                to
            }
        }
    }

    /// The keys are evaluated here, from left to right.
    pub(super) fn path(&mut self, steps: &'a [Step], unstable: bool, span: Span) -> u16 {
        if steps.len() > MAX_PATH_STEPS {
            self.compiler.error(span, format!("an assignment goes at most {MAX_PATH_STEPS} levels deep"));
            return 0;
        }
        let mut path = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let later = unstable || steps[at + 1..].iter().any(step_assigns);
            path.push(match &step.kind {
                StepKind::Index(key) => match self.compiler.fold(key) {
                    Some(constant) => PathStep::IndexConst(self.code.constant(constant)),
                    None => PathStep::Index(self.stable_operand(key, later)),
                },
                StepKind::Property(name) => PathStep::Property(self.text(&name.text)),
                StepKind::Slice(slice) => PathStep::Slice(self.bounds(slice)),
                StepKind::Append | StepKind::Call(_) => PathStep::Append,
            });
        }
        self.code.path(path.into())
    }

    /// The bounds of a slice in three temporaries.
    pub(super) fn bounds(&mut self, slice: &'a Slice) -> Reg {
        let first = self.code.temps(3);
        for (at, bound) in [&slice.first, &slice.last, &slice.step].into_iter().enumerate() {
            let to = first + at as Reg;
            match bound {
                Some(bound) => self.evaluate_row(bound, to),
                None => self.emit(Op::Clear { reg: to }, Span::default()),
            }
        }
        first
    }

    pub(super) fn isset(&mut self, place: &'a Place, want: Want, span: Span) -> Loc {
        let mark = self.code.mark();
        let cell = self.root(&place.root, false, false);
        if place.steps.is_empty() {
            self.code.release(mark);
            let to = self.target(want);
            self.emit(Op::CellIsset { to, cell }, span);
            return Loc::Reg(to);
        }
        let path = self.path(&place.steps, false, place.span);
        self.code.release(mark);
        let to = self.target(want);
        self.emit(Op::PathIsset { to, root: cell, path }, span);
        Loc::Reg(to)
    }

    pub(super) fn unset(&mut self, place: &'a Place, want: Want, span: Span) -> Loc {
        let mark = self.code.mark();
        if let (PlaceRoot::Variable(name), true) = (&place.root, place.steps.is_empty()) {
            self.check_writable(name);
        }
        let cell = self.root(&place.root, false, true);
        if place.steps.is_empty() {
            self.code.release(mark);
            let to = self.target(want);
            self.emit(Op::CellUnset { to, cell }, span);
            return Loc::Reg(to);
        }
        let path = self.path(&place.steps, false, place.span);
        self.code.release(mark);
        let to = self.target(want);
        self.emit(Op::PathUnset { to, root: cell, path }, span);
        Loc::Reg(to)
    }

    /// Evaluates the left side of `??`: what is not defined is none.
    pub(super) fn quiet(&mut self, expr: &'a Expr, to: Reg) {
        match &expr.kind {
            ExprKind::Variable(name) => self.quiet_variable(name, to),
            ExprKind::Access { base, steps } if matches!(base.kind, ExprKind::Variable(_)) => {
                if let ExprKind::Variable(name) = &base.kind {
                    let mark = self.code.mark();
                    let root = self.code.temp();
                    self.quiet_variable(name, root);
                    let loc = self.access_from(Loc::Reg(root), steps, Want::Reg(to), expr.span);
                    self.settle(loc, Want::Reg(to), expr.span);
                    self.code.release(mark);
                }
            }
            ExprKind::Static(member) if member.member.variable => {
                if let Some(index) = self.static_variable(member) {
                    self.emit(Op::BindGlobal { reg: to, index }, expr.span);
                    self.emit(Op::CellQuiet { to, cell: to }, expr.span);
                }
            }
            _ => self.evaluate_row(expr, to),
        }
    }
}

fn step_assigns(step: &Step) -> bool {
    match &step.kind {
        StepKind::Index(key) => assigns(key),
        StepKind::Slice(slice) => slice.first.iter().chain(&slice.last).chain(&slice.step).any(assigns),
        _ => false,
    }
}
