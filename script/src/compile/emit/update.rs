//! `++`, `--`, and the short forms of `op=`.

use crate::compile::op::{CONSTANT, NO_REG, Op, Operator, Reg};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::syntax::ast::{Place, PlaceRoot, StepKind};
use crate::value::Frozen;

use super::{Emitter, Slot, Want};

impl<'a> Emitter<'_, '_, 'a> {
    /// `++place` and the like; the value is left in the temporary `result`.
    pub(super) fn step(
        &mut self,
        place: &'a Place,
        increment: bool,
        prefix: bool,
        result: Option<Reg>,
        span: Span,
    ) {
        let by = if increment { 1 } else { -1 };
        if let (PlaceRoot::Variable(name), true) = (&place.root, place.steps.is_empty()) {
            self.check_writable(name);
            let slot = self.slot(name);
            if let (Some(to), false) = (result, prefix) {
                self.read_slot(slot, to, span);
            }
            match slot {
                Slot::Num(num) => {
                    let one = self.code.number(1.0, span);
                    let (to, a, b) = (num, num, one);
                    self.emit(
                        if increment { Op::NumAdd { to, a, b } } else { Op::NumSubtract { to, a, b } },
                        span,
                    );
                }
                Slot::Reg(place) | Slot::Shared(place) => self.emit(Op::Increment { place, by }, span),
            }
            if let (Some(to), true) = (result, prefix) {
                self.read_slot(slot, to, span);
            }
            return;
        }
        let root = self.root(&place.root, false, true);
        if place.steps.is_empty() {
            // A static variable: the temporary holds its cell.
            if let (Some(to), false) = (result, prefix) {
                self.emit(Op::CellGet { to, cell: root }, span);
            }
            self.emit(Op::Increment { place: root, by }, span);
            if let (Some(to), true) = (result, prefix) {
                self.emit(Op::CellGet { to, cell: root }, span);
            }
            return;
        }
        if let ([step], None) = (&place.steps[..], result) {
            let one = Constant::Value(Frozen::Number(f64::from(by)));
            let op = self.step_update(root, &step.kind, Operator::Step, false, |this| {
                let constant = this.code.constant(one);
                if constant < NO_REG - CONSTANT {
                    return CONSTANT | constant;
                }
                let (to, span) = (this.code.temp(), span);
                this.emit(Op::Const { to, constant }, span);
                to
            });
            if let Some(op) = op {
                return self.emit(op, span);
            }
        }
        let path = self.path(&place.steps, false, place.span);
        if let (Some(to), false) = (result, prefix) {
            self.emit(Op::PathGet { to, root, path }, span);
        }
        let from = self.code.temp();
        self.load(Constant::Value(Frozen::Number(f64::from(by))), Want::Reg(from), span);
        self.emit(Op::PathUpdate { operator: Operator::Step, root, path, from }, span);
        if let (Some(to), true) = (result, prefix) {
            self.emit(Op::PathGet { to, root, path }, span);
        }
    }

    /// The short form of an update of one step, if there is one.
    pub(super) fn step_update(
        &mut self,
        base: Reg,
        step: &'a StepKind,
        operator: Operator,
        unstable: bool,
        value: impl FnOnce(&mut Self) -> Reg,
    ) -> Option<Op> {
        match step {
            StepKind::Property(name) => {
                let name = self.text(&name.text);
                Some(Op::PropertyUpdate { operator, base, name, from: value(self) })
            }
            StepKind::Index(key) => Some(match self.compiler.fold(key) {
                Some(constant) => {
                    let key = self.code.constant(constant);
                    Op::IndexUpdateConst { operator, base, key, from: value(self) }
                }
                None => {
                    let key = self.stable_operand(key, unstable);
                    Op::IndexUpdate { operator, base, key, from: value(self) }
                }
            }),
            _ => None,
        }
    }
}
