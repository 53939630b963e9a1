//! Expressions.

use std::sync::Arc;

use crate::compile::analyze::assigns;
use crate::compile::op::{Num, Op, Operator, Reg};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::syntax::ast::{ArrayItem, Expr, ExprKind, Function, Name, StringPart, UnaryOp};
use crate::value::Frozen;

use super::registers::Label;
use super::{Emitter, Job, JobKind, Loc, Slot, Want};

impl<'a> Emitter<'_, '_, 'a> {
    /// Evaluates, and leaves the result where it is wanted. A register of a variable is written by the last instruction, so
    /// that an error leaves the variable as it was.
    pub(super) fn expression(&mut self, expr: &'a Expr, want: Want) -> Loc {
        let loc = self.evaluate(expr, want);
        self.settle(loc, want, expr.span)
    }

    /// Evaluates into a register: that of a variable, or a temporary.
    pub(super) fn operand(&mut self, expr: &'a Expr) -> Reg {
        match self.expression(expr, Want::Anywhere) {
            Loc::Reg(reg) => reg,
            Loc::Num(from) => {
                let to = self.code.temp();
                self.emit(Op::Box { to, from }, expr.span);
                to
            }
        }
    }

    /// The same, where `later` is evaluated before the operand is used and may assign to its variable.
    pub(super) fn stable_operand(&mut self, expr: &'a Expr, later: bool) -> Reg {
        let reg = self.operand(expr);
        if later && !self.code.is_temp(reg) {
            let to = self.code.temp();
            self.emit(Op::Move { to, from: reg }, expr.span);
            return to;
        }
        reg
    }

    /// Evaluates into a temporary that the caller has.
    pub(super) fn evaluate_to(&mut self, expr: &'a Expr, to: Reg) {
        self.expression(expr, Want::Reg(to));
    }

    /// Evaluates for the effect.
    pub(super) fn effect(&mut self, expr: &'a Expr) {
        let mark = self.code.mark();
        match &expr.kind {
            ExprKind::Assign { place, operator, value } => {
                self.assign(place, *operator, value, None, expr.span)
            }
            ExprKind::Step { place, increment, .. } => self.step(place, *increment, true, None, expr.span),
            ExprKind::Destructure { pattern, value } => self.destructure(pattern, value, None, expr.span),
            _ => match self.expression(expr, Want::Anywhere) {
                Loc::Reg(reg) if self.code.is_temp(reg) => self.emit(Op::Clear { reg }, expr.span),
                Loc::Reg(reg) if matches!(expr.kind, ExprKind::Variable(_)) => {
                    let to = self.code.temp();
                    self.emit(Op::Move { to, from: reg }, expr.span);
                    self.emit(Op::Clear { reg: to }, expr.span);
                }
                _ => {}
            },
        }
        self.code.release(mark);
    }

    /// Moves a result to where it is wanted.
    pub(super) fn settle(&mut self, loc: Loc, want: Want, span: Span) -> Loc {
        match (loc, want) {
            (loc, Want::Anywhere) => loc,
            (Loc::Reg(from), Want::Reg(to)) if from == to => loc,
            (Loc::Num(from), Want::Num(to)) if from == to => loc,
            (Loc::Reg(from), Want::Reg(to)) => {
                self.emit(Op::Move { to, from }, span);
                Loc::Reg(to)
            }
            (Loc::Num(from), Want::Reg(to)) => {
                self.emit(Op::Box { to, from }, span);
                Loc::Reg(to)
            }
            (Loc::Num(from), Want::Num(to)) => {
                self.emit(Op::NumMove { to, from }, span);
                Loc::Num(to)
            }
            (Loc::Reg(from), Want::Num(to)) => {
                self.emit(Op::Unbox { to, operator: Operator::Subtract, from, left: true }, span);
                Loc::Num(to)
            }
        }
    }

    /// The register to write a result to.
    pub(super) fn target(&mut self, want: Want) -> Reg {
        match want {
            Want::Reg(reg) => reg,
            _ => self.code.temp(),
        }
    }

    /// The same for code that writes its result in more than one place: never the register of a variable.
    pub(super) fn scratch(&mut self, want: Want) -> Reg {
        match want {
            Want::Reg(reg) if self.code.is_temp(reg) => reg,
            _ => self.code.temp(),
        }
    }

    /// The number register to write a result to.
    pub(super) fn num_target(&mut self, want: Want) -> Num {
        match want {
            Want::Num(num) => num,
            _ => self.code.num_temp(),
        }
    }

    pub(super) fn load(&mut self, constant: Constant, want: Want, span: Span) -> Loc {
        if let (Constant::Value(Frozen::Number(number)), Want::Anywhere | Want::Num(_)) = (&constant, want) {
            return Loc::Num(self.code.number(*number, span));
        }
        let to = self.target(want);
        let constant = self.code.constant(constant);
        self.emit(Op::Const { to, constant }, span);
        Loc::Reg(to)
    }

    fn evaluate(&mut self, expr: &'a Expr, want: Want) -> Loc {
        let span = expr.span;
        if let Some(constant) = self.compiler.fold(expr) {
            return self.load(constant, want, span);
        }
        match &expr.kind {
            ExprKind::Variable(name) => self.variable(name, want),
            ExprKind::Interpolated(parts) => self.interpolated(parts, want, span),
            ExprKind::Identifier { name, builtin } => self.identifier(name, *builtin, want),
            ExprKind::Static(member) => self.static_member(member, want, span),
            ExprKind::Array(items) => self.array(items, want, span),
            ExprKind::Function(function) => self.anonymous(function, want),
            ExprKind::Access { base, steps } => self.access(base, steps, want, span),
            ExprKind::Unary { operator, operand } => self.unary(*operator, operand, want, span),
            ExprKind::Binary { first, links } => self.binary(first, links, want, span),
            ExprKind::And(_) | ExprKind::Or(_) => self.truth(expr, want),
            ExprKind::Coalesce(operands) => self.coalesce(operands, want, span),
            ExprKind::Ternary { condition, then, otherwise } => {
                self.ternary(condition, then.as_deref(), otherwise, want, span)
            }
            ExprKind::Assign { place, operator, value } => {
                self.with_result(want, span, |this, to| this.assign(place, *operator, value, Some(to), span))
            }
            ExprKind::Step { place, increment, prefix } => {
                self.with_result(want, span, |this, to| this.step(place, *increment, *prefix, Some(to), span))
            }
            ExprKind::Destructure { pattern, value } => {
                self.with_result(want, span, |this, to| this.destructure(pattern, value, Some(to), span))
            }
            ExprKind::Isset(place) => self.isset(place, want, span),
            ExprKind::Unset(place) => self.unset(place, want, span),
            ExprKind::Match { subject, arms } => self.match_expression(subject, arms, want, span),
            ExprKind::Cache(call) => self.cache(call, want, span),
            // Constants are folded; a tree with errors is never compiled.
            ExprKind::None
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Regex { .. }
            | ExprKind::Error => self.load(Constant::Value(Frozen::None), want, span),
        }
    }

    /// Runs what leaves its result in a temporary.
    fn with_result(&mut self, want: Want, span: Span, make: impl FnOnce(&mut Self, Reg)) -> Loc {
        let to = self.scratch(want);
        let mark = self.code.mark();
        make(self, to);
        self.code.release(mark);
        self.settle(Loc::Reg(to), want, span)
    }

    fn variable(&mut self, name: &Name, want: Want) -> Loc {
        match self.slot(name) {
            Slot::Num(num) => Loc::Num(num),
            Slot::Reg(from) => match want {
                // The reader checks that the variable is defined.
                Want::Anywhere => Loc::Reg(from),
                _ => self.settle(Loc::Reg(from), want, name.span),
            },
            Slot::Shared(cell) => {
                let to = self.target(want);
                self.emit(Op::CellGet { to, cell }, name.span);
                Loc::Reg(to)
            }
        }
    }

    /// The value of a variable, or none if it is undefined.
    pub(super) fn quiet_variable(&mut self, name: &Name, to: Reg) {
        match self.slot(name) {
            Slot::Num(from) => self.emit(Op::Box { to, from }, name.span),
            Slot::Reg(from) => self.emit(Op::MoveQuiet { to, from }, name.span),
            Slot::Shared(cell) => self.emit(Op::CellQuiet { to, cell }, name.span),
        }
    }

    fn interpolated(&mut self, parts: &'a [StringPart], want: Want, span: Span) -> Loc {
        self.concat_row(parts.len(), want, span, |this, at, to| match &parts[at] {
            StringPart::Text(text) => {
                let constant = this.code.constant(Constant::Value(Frozen::Str(text.clone())));
                this.emit(Op::Const { to, constant }, span);
            }
            StringPart::Variable(name) => {
                let loc = this.variable(name, Want::Reg(to));
                this.settle(loc, Want::Reg(to), name.span);
            }
        })
    }

    /// Joins values that `load` puts into the registers that it is told.
    pub(super) fn concat_row(
        &mut self,
        count: usize,
        want: Want,
        span: Span,
        mut load: impl FnMut(&mut Self, usize, Reg),
    ) -> Loc {
        const WIDTH: usize = 100;
        let mark = self.code.mark();
        let start = self.code.temps(count.clamp(1, WIDTH));
        let mut used = 0;
        for at in 0..count {
            if used == WIDTH {
                self.emit(Op::ConcatMany { count: used as u8, to: start, start }, span);
                used = 1;
            }
            load(self, at, start + used as Reg);
            used += 1;
        }
        self.code.release(mark);
        let to = self.target(want);
        self.emit(Op::ConcatMany { count: used as u8, to, start }, span);
        Loc::Reg(to)
    }

    fn unary(&mut self, operator: UnaryOp, operand: &'a Expr, want: Want, span: Span) -> Loc {
        if operator == UnaryOp::Not {
            let mark = self.code.mark();
            let from = self.operand(operand);
            self.code.release(mark);
            let to = self.target(want);
            self.emit(Op::Not { to, from }, span);
            return Loc::Reg(to);
        }
        let mark = self.code.mark();
        let loc = self.expression(operand, Want::Anywhere);
        self.code.release(mark);
        match loc {
            Loc::Num(from) => {
                if operator == UnaryOp::Plus {
                    return loc;
                }
                let to = self.num_target(want);
                self.emit(
                    if operator == UnaryOp::Negate {
                        Op::NumNegate { to, from }
                    } else {
                        Op::NumBitNot { to, from }
                    },
                    span,
                );
                Loc::Num(to)
            }
            Loc::Reg(from) => {
                let to = self.target(want);
                let op = match operator {
                    UnaryOp::Negate => Op::Negate { to, from },
                    UnaryOp::Plus => Op::Plus { to, from },
                    UnaryOp::BitNot | UnaryOp::Not => Op::BitNot { to, from },
                };
                self.emit(op, span);
                Loc::Reg(to)
            }
        }
    }

    fn ternary(
        &mut self,
        condition: &'a Expr,
        then: Option<&'a Expr>,
        otherwise: &'a Expr,
        want: Want,
        span: Span,
    ) -> Loc {
        let end = self.code.label();
        let Some(then) = then else {
            let to = self.scratch(want);
            self.evaluate_to(condition, to);
            self.code.jump(Op::JumpIf { when: true, from: to, to: 0 }, end, span);
            self.evaluate_to(otherwise, to);
            self.code.place(end);
            return Loc::Reg(to);
        };
        // Each branch writes its result last, so that it may go to a variable at once.
        let want = match want {
            Want::Anywhere => Want::Reg(self.code.temp()),
            want => want,
        };
        let no = self.code.label();
        let mark = self.code.mark();
        self.jump_if(condition, false, no, false);
        self.code.release(mark);
        self.expression(then, want);
        self.code.jump(Op::Jump { to: 0 }, end, span);
        self.code.place(no);
        self.code.release(mark);
        let loc = self.expression(otherwise, want);
        self.code.place(end);
        self.code.release(mark);
        loc
    }

    fn coalesce(&mut self, operands: &'a [Expr], want: Want, span: Span) -> Loc {
        let to = self.scratch(want);
        let end = self.code.label();
        for (at, operand) in operands.iter().enumerate() {
            let mark = self.code.mark();
            if at + 1 == operands.len() {
                self.evaluate_to(operand, to);
            } else {
                self.quiet(operand, to);
                self.code.jump(Op::JumpSet { from: to, to: 0 }, end, span);
            }
            self.code.release(mark);
        }
        self.code.place(end);
        Loc::Reg(to)
    }

    fn array(&mut self, items: &'a [ArrayItem], want: Want, span: Span) -> Loc {
        let plain = items.iter().all(|item| matches!(item, ArrayItem::Value { key: None, .. }));
        if plain && items.len() <= 64 {
            let mark = self.code.mark();
            let start = self.code.temps(items.len().max(1));
            for (at, item) in items.iter().enumerate() {
                if let ArrayItem::Value { value, .. } = item {
                    self.evaluate_row(value, start + at as Reg);
                }
            }
            self.code.release(mark);
            let to = self.target(want);
            self.emit(Op::NewArray { count: items.len() as u8, to, start }, span);
            return Loc::Reg(to);
        }
        let array = self.scratch(want);
        self.emit(
            Op::ArrayBegin { to: array, capacity: items.len().min(usize::from(u16::MAX)) as u16 },
            span,
        );
        for item in items {
            let mark = self.code.mark();
            match item {
                ArrayItem::Value { key: Some(key), value } => {
                    let key = self.stable_operand(key, assigns(value));
                    let from = self.operand(value);
                    self.emit(Op::ArrayPut { array, key, from }, span);
                }
                ArrayItem::Value { key: None, value } => {
                    let from = self.operand(value);
                    self.emit(Op::ArrayPush { array, from }, span);
                }
                ArrayItem::Spread(value) => {
                    let from = self.operand(value);
                    self.emit(Op::ArraySpread { array, from }, value.span);
                }
            }
            self.code.release(mark);
        }
        Loc::Reg(array)
    }

    /// Evaluates into a temporary of a row; temporaries taken meanwhile are given back.
    pub(super) fn evaluate_row(&mut self, expr: &'a Expr, to: Reg) {
        let mark = self.code.mark();
        self.evaluate_to(expr, to);
        self.code.release(mark);
    }

    fn anonymous(&mut self, function: &'a Function, want: Want) -> Loc {
        let id = self.compiler.reserve(Arc::from("function"), &function.parameters, function.span);
        self.jobs.push(Job {
            id,
            kind: JobKind::Function { function, method: false },
            scope: self.scope.clone(),
            class: self.class,
        });
        let to = self.target(want);
        let Some(captured) = &function.closure else {
            let constant = self.code.constant(Constant::Function(id));
            self.emit(Op::Const { to, constant }, function.span);
            return Loc::Reg(to);
        };
        let mut registers = Vec::new();
        for name in captured {
            if name.text.as_ref() == "this" {
                if !self.has_this {
                    self.compiler.error(name.span, "there is no $this here to capture");
                }
            } else if let Slot::Shared(reg) | Slot::Reg(reg) = self.slot(name) {
                registers.push(reg);
            }
        }
        let captures = self.code.capture_list(registers.into());
        match u16::try_from(id) {
            Ok(proto) => self.emit(Op::Closure { to, proto, captures }, function.span),
            Err(_) => self.code.overflow = Some("the script has too many functions"),
        }
        Loc::Reg(to)
    }

    /// A jump that is taken when the truth of `expr` is `when`.
    pub(super) fn jump_if(&mut self, expr: &'a Expr, when: bool, target: Label, backwards: bool) {
        if backwards && !self.jumps_backwards(expr) {
            let skip = self.code.label();
            self.jump_if(expr, !when, skip, false);
            self.code.jump(Op::Loop { to: 0 }, target, expr.span);
            self.code.place(skip);
            return;
        }
        let mark = self.code.mark();
        self.conditional_jump(expr, when, target, backwards);
        self.code.release(mark);
    }
}
