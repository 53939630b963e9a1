//! Jumps, truth and `match`.

use crate::compile::op::{Num, Op, Reg, Relation};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, MatchArm, UnaryOp};
use crate::value::Frozen;

use super::registers::Label;
use super::{Emitter, Loc, Want};

impl<'a> Emitter<'_, '_, 'a> {
    /// Whether the condition ends in a jump that may go backwards.
    pub(super) fn jumps_backwards(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Unary { operator: UnaryOp::Not, operand } => self.jumps_backwards(operand),
            // Each operand finds a way of its own.
            ExprKind::And(_) | ExprKind::Or(_) => true,
            ExprKind::Binary { first, links } => {
                self.is_number_test(first, links.first()) && links.len() == 1
            }
            _ => false,
        }
    }

    fn is_number_test(&self, first: &Expr, link: Option<&crate::syntax::ast::Link>) -> bool {
        let Some(link) = link else { return false };
        let (left, right) = (self.is_number(first), self.is_number(&link.operand));
        match link.operator {
            BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual => {
                left || right
            }
            BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Identical | BinaryOp::NotIdentical => {
                left && right
            }
            _ => false,
        }
    }

    /// The jump itself; `backwards` only where [`Self::jumps_backwards`].
    pub(super) fn conditional_jump(&mut self, expr: &'a Expr, when: bool, target: Label, backwards: bool) {
        let span = expr.span;
        match self.compiler.fold(expr) {
            Some(constant) if !backwards => {
                if constant.truthy() == when {
                    self.code.jump(Op::Jump { to: 0 }, target, span);
                }
                return;
            }
            _ => {}
        }
        match &expr.kind {
            ExprKind::Unary { operator: UnaryOp::Not, operand } => {
                self.conditional_jump(operand, !when, target, backwards);
            }
            ExprKind::And(operands) => self.logic_jump(operands, true, when, target, backwards),
            ExprKind::Or(operands) => self.logic_jump(operands, false, when, target, backwards),
            ExprKind::Binary { first, links } if links.len() == 1 => {
                self.comparison_jump(expr, first, &links[0], when, target, backwards);
            }
            _ => {
                let from = self.operand(expr);
                self.code.jump(Op::JumpIf { when, from, to: 0 }, target, span);
            }
        }
    }

    /// `and` (`all`) or `or`.
    fn logic_jump(&mut self, operands: &'a [Expr], all: bool, when: bool, target: Label, backwards: bool) {
        if all != when {
            // `and` that jumps if false, `or` that jumps if true: any operand decides.
            operands.iter().for_each(|operand| self.jump_if(operand, when, target, backwards));
            return;
        }
        let skip = self.code.label();
        if let Some((last, others)) = operands.split_last() {
            others.iter().for_each(|operand| self.jump_if(operand, !when, skip, false));
            self.jump_if(last, when, target, backwards);
        }
        self.code.place(skip);
    }

    fn comparison_jump(
        &mut self,
        expr: &'a Expr,
        first: &'a Expr,
        link: &'a crate::syntax::ast::Link,
        when: bool,
        target: Label,
        backwards: bool,
    ) {
        let span = expr.span;
        let comparison = matches!(
            link.operator,
            BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
                | BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Identical
                | BinaryOp::NotIdentical
        );
        let numbers = self.is_number_test(first, Some(link));
        if !comparison || (self.code.long && !numbers) {
            let from = self.operand(expr);
            self.code.jump(Op::JumpIf { when, from, to: 0 }, target, span);
            return;
        }
        let left = self.left_operand(first, &link.operand);
        if !numbers && let Some(constant) = self.equality_constant(link) {
            let a = self.boxed(left, span);
            let constant = self.code.constant(constant);
            let when = when != matches!(link.operator, BinaryOp::NotEqual | BinaryOp::NotIdentical);
            let op = match link.operator {
                BinaryOp::Equal | BinaryOp::NotEqual => Op::EqualConstJump { when, a, constant, by: 0 },
                _ => Op::IdenticalConstJump { when, a, constant, by: 0 },
            };
            self.code.jump(op, target, span);
            return;
        }
        let right = self.expression(&link.operand, Want::Anywhere);
        let (left, right) = match link.operator {
            BinaryOp::Greater | BinaryOp::GreaterEqual => (right, left),
            _ => (left, right),
        };
        if matches!((left, right), (Loc::Num(_), _) | (_, Loc::Num(_))) && numbers {
            let operator = super::binary::operator_of(link.operator);
            let a = self.unboxed(left, operator, false, span);
            let b = self.unboxed(right, operator, true, span);
            let relation = relation(link.operator, when);
            self.code.jump(number_jump(relation, a, b, backwards), target, span);
            return;
        }
        let (a, b) = (self.boxed(left, span), self.boxed(right, span));
        let op = match link.operator {
            BinaryOp::Less | BinaryOp::Greater => Op::LessJump { when, a, b, by: 0 },
            BinaryOp::LessEqual | BinaryOp::GreaterEqual => Op::LessEqualJump { when, a, b, by: 0 },
            BinaryOp::Equal => Op::EqualJump { when, a, b, by: 0 },
            BinaryOp::NotEqual => Op::EqualJump { when: !when, a, b, by: 0 },
            BinaryOp::Identical => Op::IdenticalJump { when, a, b, by: 0 },
            _ => Op::IdenticalJump { when: !when, a, b, by: 0 },
        };
        self.emit_test(op, target, backwards, span);
    }

    fn emit_test(&mut self, op: Op, target: Label, backwards: bool, span: Span) {
        debug_assert!(!backwards, "only comparisons of numbers jump backwards");
        self.code.jump(op, target, span);
    }

    /// The right side of an equality if it is a constant that fits into the instruction.
    fn equality_constant(&mut self, link: &'a crate::syntax::ast::Link) -> Option<Constant> {
        match link.operator {
            BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::Identical | BinaryOp::NotIdentical => {
                self.compiler.fold(&link.operand)
            }
            _ => None,
        }
    }

    /// `and` and `or` as a boolean.
    pub(super) fn truth(&mut self, expr: &'a Expr, want: Want) -> Loc {
        let to = self.scratch(want);
        let (no, end) = (self.code.label(), self.code.label());
        self.jump_if(expr, false, no, false);
        self.load_bool(true, to, expr.span);
        self.code.jump(Op::Jump { to: 0 }, end, expr.span);
        self.code.place(no);
        self.load_bool(false, to, expr.span);
        self.code.place(end);
        Loc::Reg(to)
    }

    fn load_bool(&mut self, flag: bool, to: Reg, span: Span) {
        let constant = self.code.constant(Constant::Value(Frozen::Bool(flag)));
        self.emit(Op::Const { to, constant }, span);
    }

    pub(super) fn match_expression(
        &mut self,
        subject: &'a Expr,
        arms: &'a [MatchArm],
        want: Want,
        span: Span,
    ) -> Loc {
        let to = self.scratch(want);
        let mark = self.code.mark();
        let subject_reg = self.code.temp();
        self.evaluate_to(subject, subject_reg);
        let end = self.code.label();
        let labels: Vec<Label> = arms.iter().map(|_| self.code.label()).collect();
        let mut default = None;
        for (arm, label) in arms.iter().zip(&labels) {
            match &arm.values {
                Some(values) => values.iter().for_each(|value| self.case(value, subject_reg, *label)),
                None => default = Some(*label),
            }
        }
        match default {
            Some(label) => self.code.jump(Op::Jump { to: 0 }, label, span),
            None => self.emit(Op::NoMatch { subject: subject_reg }, span),
        }
        for (arm, label) in arms.iter().zip(&labels) {
            self.code.place(*label);
            self.evaluate_row(&arm.result, to);
            self.code.jump(Op::Jump { to: 0 }, end, arm.span);
        }
        self.code.place(end);
        self.code.release(mark);
        Loc::Reg(to)
    }

    /// Jumps if the subject equals the value, as `switch` and `match` compare.
    pub(super) fn case(&mut self, value: &'a Expr, subject: Reg, target: Label) {
        let mark = self.code.mark();
        let span = value.span;
        let strict = crate::compat::SWITCH_IS_STRICT;
        if self.code.long {
            let b = self.operand(value);
            let to = self.code.temp();
            let a = subject;
            self.emit(
                if strict {
                    Op::Identical { negate: false, to, a, b }
                } else {
                    Op::Equal { negate: false, to, a, b }
                },
                span,
            );
            self.code.jump(Op::JumpIf { when: true, from: to, to: 0 }, target, span);
        } else if let Some(constant) = self.compiler.fold(value) {
            let (a, constant) = (subject, self.code.constant(constant));
            let op = if strict {
                Op::IdenticalConstJump { when: true, a, constant, by: 0 }
            } else {
                Op::EqualConstJump { when: true, a, constant, by: 0 }
            };
            self.code.jump(op, target, span);
        } else {
            let (a, b) = (subject, self.operand(value));
            let op = if strict {
                Op::IdenticalJump { when: true, a, b, by: 0 }
            } else {
                Op::EqualJump { when: true, a, b, by: 0 }
            };
            self.code.jump(op, target, span);
        }
        self.code.release(mark);
    }
}

/// The relation that holds when the comparison is `when`; operands of `>` and `>=` are swapped already.
fn relation(operator: BinaryOp, when: bool) -> Relation {
    match (operator, when) {
        (BinaryOp::Less | BinaryOp::Greater, true) => Relation::Less,
        (BinaryOp::Less | BinaryOp::Greater, false) => Relation::NotLess,
        (BinaryOp::LessEqual | BinaryOp::GreaterEqual, true) => Relation::LessEqual,
        (BinaryOp::LessEqual | BinaryOp::GreaterEqual, false) => Relation::NotLessEqual,
        (BinaryOp::Equal | BinaryOp::Identical, true)
        | (BinaryOp::NotEqual | BinaryOp::NotIdentical, false) => Relation::Equal,
        _ => Relation::NotEqual,
    }
}

fn number_jump(relation: Relation, a: Num, b: Num, backwards: bool) -> Op {
    let to = 0;
    match (relation, backwards) {
        (Relation::Less, false) => Op::NumJumpLess { a, b, to },
        (Relation::Less, true) => Op::NumLoopLess { a, b, to },
        (Relation::LessEqual, false) => Op::NumJumpLessEqual { a, b, to },
        (Relation::LessEqual, true) => Op::NumLoopLessEqual { a, b, to },
        (Relation::Equal, false) => Op::NumJumpEqual { a, b, to },
        (Relation::Equal, true) => Op::NumLoopEqual { a, b, to },
        (Relation::NotLess, false) => Op::NumJumpNotLess { a, b, to },
        (Relation::NotLess, true) => Op::NumLoopNotLess { a, b, to },
        (Relation::NotLessEqual, false) => Op::NumJumpNotLessEqual { a, b, to },
        (Relation::NotLessEqual, true) => Op::NumLoopNotLessEqual { a, b, to },
        (Relation::NotEqual, false) => Op::NumJumpNotEqual { a, b, to },
        (Relation::NotEqual, true) => Op::NumLoopNotEqual { a, b, to },
    }
}
