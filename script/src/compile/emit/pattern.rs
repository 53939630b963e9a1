//! Destructuring assignments.

use crate::compile::op::{Op, Reg};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::syntax::ast::{Expr, Name, Pattern};
use crate::value::Frozen;

use super::{Emitter, Slot};

impl<'a> Emitter<'_, '_, 'a> {
    /// `pattern = value`; the value is left in `result`.
    pub(super) fn destructure(
        &mut self,
        pattern: &'a Pattern,
        value: &'a Expr,
        result: Option<Reg>,
        span: Span,
    ) {
        let mark = self.code.mark();
        let from = result.unwrap_or_else(|| self.code.temp());
        self.evaluate_row(value, from);
        for (position, item) in pattern.items.iter().enumerate() {
            let inner = self.code.mark();
            let to = self.code.temp();
            match &item.key {
                Some(key) => {
                    let key = self.operand(key);
                    self.emit(Op::ItemOf { to, from, key }, item.name.span);
                }
                None => {
                    let position = u16::try_from(position).unwrap_or(u16::MAX);
                    self.emit(Op::ItemAt { to, from, position }, item.name.span);
                }
            }
            let there = self.code.label();
            let test = if crate::compat::DEFAULT_REPLACES_NONE {
                Op::JumpSet { from: to, to: 0 }
            } else {
                Op::JumpDefined { from: to, to: 0 }
            };
            self.code.jump(test, there, item.name.span);
            match &item.default {
                Some(default) => self.evaluate_row(default, to),
                None => {
                    let constant = self.code.constant(Constant::Value(Frozen::None));
                    self.emit(Op::Const { to, constant }, span);
                }
            }
            self.code.place(there);
            self.store_variable(&item.name, to);
            self.code.release(inner);
        }
        if let Some(rest) = &pattern.rest {
            let to = self.code.temp();
            let position = u16::try_from(pattern.items.len()).unwrap_or(u16::MAX);
            self.emit(Op::ItemsFrom { to, from, position }, rest.span);
            self.store_variable(rest, to);
        }
        if result.is_none() {
            self.emit(Op::Clear { reg: from }, span);
        }
        self.code.release(mark);
    }

    /// Assigns a temporary to a variable.
    pub(super) fn store_variable(&mut self, name: &Name, from: Reg) {
        self.check_writable(name);
        match self.slot(name) {
            Slot::Reg(to) => self.emit(Op::Move { to, from }, name.span),
            Slot::Shared(cell) => self.emit(Op::CellSet { cell, from }, name.span),
            Slot::Num(_) => {
                unreachable!("a variable with numbers is only assigned expressions that yield numbers")
            }
        }
    }
}
