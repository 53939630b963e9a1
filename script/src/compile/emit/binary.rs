//! Operators with two operands.

use crate::compile::analyze::{assigns, is_number};
use crate::compile::op::{Num, Op, Operator, Reg, Relation};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::std::regex::Pattern;
use crate::syntax::ast::{BinaryOp, Expr, Link};
use crate::value::Frozen;

use super::{Emitter, Loc, Want};

impl<'a> Emitter<'_, '_, 'a> {
    pub(super) fn binary(&mut self, first: &'a Expr, links: &'a [Link], want: Want, span: Span) -> Loc {
        if links.len() > 1 && links.iter().all(|link| link.operator == BinaryOp::Concat) {
            return self.concat_row(links.len() + 1, want, span, |this, at, to| {
                let operand = if at == 0 { first } else { &links[at - 1].operand };
                this.evaluate_row(operand, to);
            });
        }
        let mark = self.code.mark();
        let mut left = self.left_operand(first, &links[0].operand);
        for (at, link) in links.iter().enumerate() {
            let last = at + 1 == links.len();
            let right = match self.pattern(link) {
                Some(constant) => self.load(constant, Want::Anywhere, link.operand.span),
                None => self.expression(&link.operand, Want::Anywhere),
            };
            if last {
                return self.operate(link.operator, left, right, mark, want, span);
            }
            left = self.operate(
                link.operator,
                left,
                right,
                mark,
                Want::Anywhere,
                first.span.to(link.operand.span),
            );
        }
        left
    }

    /// The right side of `=~` if it is constant: patterns are compiled once.
    fn pattern(&mut self, link: &'a Link) -> Option<Constant> {
        if !matches!(link.operator, BinaryOp::Matches | BinaryOp::MatchesNot) {
            return None;
        }
        let Some(Constant::Value(Frozen::Str(text))) = self.compiler.fold(&link.operand) else { return None };
        match Pattern::parse(&text) {
            Ok(pattern) => Some(Constant::Value(pattern.freeze())),
            Err(fault) => {
                self.compiler.error(link.operand.span, fault.to_string());
                None
            }
        }
    }

    /// An operand that stays what it is while `later` is evaluated.
    pub(super) fn left_operand(&mut self, expr: &'a Expr, later: &Expr) -> Loc {
        let loc = self.expression(expr, Want::Anywhere);
        if !assigns(later) {
            return loc;
        }
        match loc {
            Loc::Reg(from) if !self.code.is_temp(from) => {
                let to = self.code.temp();
                self.emit(Op::Move { to, from }, expr.span);
                Loc::Reg(to)
            }
            Loc::Num(from) => {
                let to = self.code.num_temp();
                self.emit(Op::NumMove { to, from }, expr.span);
                Loc::Num(to)
            }
            loc => loc,
        }
    }

    /// Applies an operator. The temporaries of the operands are those since `mark`.
    fn operate(
        &mut self,
        operator: BinaryOp,
        left: Loc,
        right: Loc,
        mark: super::registers::Mark,
        want: Want,
        span: Span,
    ) -> Loc {
        match operator {
            BinaryOp::Greater => self.compare(Operator::Less, right, left, mark, want, span),
            BinaryOp::GreaterEqual => self.compare(Operator::LessEqual, right, left, mark, want, span),
            BinaryOp::Less => self.compare(Operator::Less, left, right, mark, want, span),
            BinaryOp::LessEqual => self.compare(Operator::LessEqual, left, right, mark, want, span),
            BinaryOp::Equal | BinaryOp::Identical | BinaryOp::NotEqual | BinaryOp::NotIdentical => {
                self.equality(operator, left, right, mark, want, span)
            }
            _ if stays_number(operator, left, right) => {
                self.arithmetic(operator, left, right, mark, want, span)
            }
            _ => {
                let a = self.boxed(left, span);
                if let (BinaryOp::Add | BinaryOp::Subtract, Some(number)) =
                    (operator, self.constant_of(right))
                {
                    let constant = self.code.constant(Constant::Value(Frozen::Number(number)));
                    self.code.release(mark);
                    let to = self.target(want);
                    self.emit(
                        match operator {
                            BinaryOp::Add => Op::AddConst { to, a, constant },
                            _ => Op::SubtractConst { to, a, constant },
                        },
                        span,
                    );
                    return Loc::Reg(to);
                }
                let b = self.boxed(right, span);
                self.code.release(mark);
                let to = self.target(want);
                self.emit(general(operator, to, a, b), span);
                Loc::Reg(to)
            }
        }
    }

    fn constant_of(&self, loc: Loc) -> Option<f64> {
        match loc {
            Loc::Num(num) => self.code.number_of(num),
            Loc::Reg(_) => None,
        }
    }

    /// A value register with the value.
    pub(super) fn boxed(&mut self, loc: Loc, span: Span) -> Reg {
        match loc {
            Loc::Reg(reg) => reg,
            Loc::Num(from) => {
                let to = self.code.temp();
                self.emit(Op::Box { to, from }, span);
                to
            }
        }
    }

    /// A number register with the value; the error is that of `operator`.
    pub(super) fn unboxed(&mut self, loc: Loc, operator: Operator, left: bool, span: Span) -> Num {
        match loc {
            Loc::Num(num) => num,
            Loc::Reg(from) => {
                let to = self.code.num_temp();
                self.emit(Op::Unbox { to, operator, from, left }, span);
                to
            }
        }
    }

    fn arithmetic(
        &mut self,
        operator: BinaryOp,
        left: Loc,
        right: Loc,
        mark: super::registers::Mark,
        want: Want,
        span: Span,
    ) -> Loc {
        let code = operator_of(operator);
        let a = self.unboxed(left, code, false, span);
        let b = self.unboxed(right, code, true, span);
        self.code.release(mark);
        let to = self.num_target(want);
        let op = match operator {
            BinaryOp::Add => Op::NumAdd { to, a, b },
            BinaryOp::Subtract => Op::NumSubtract { to, a, b },
            BinaryOp::Multiply => Op::NumMultiply { to, a, b },
            BinaryOp::Divide => Op::NumDivide { to, a, b },
            BinaryOp::Modulo => Op::NumModulo { to, a, b },
            BinaryOp::Power => Op::NumPower { to, a, b },
            _ => Op::NumBits { to, a, b, operator: code },
        };
        self.emit(op, span);
        Loc::Num(to)
    }

    fn compare(
        &mut self,
        operator: Operator,
        left: Loc,
        right: Loc,
        mark: super::registers::Mark,
        want: Want,
        span: Span,
    ) -> Loc {
        if matches!(left, Loc::Num(_)) || matches!(right, Loc::Num(_)) {
            let a = self.unboxed(left, operator, false, span);
            let b = self.unboxed(right, operator, true, span);
            self.code.release(mark);
            let to = self.target(want);
            let relation = if operator == Operator::Less { Relation::Less } else { Relation::LessEqual };
            self.emit(Op::NumCompare { to, a, b, relation }, span);
            return Loc::Reg(to);
        }
        let (a, b) = (self.boxed(left, span), self.boxed(right, span));
        self.code.release(mark);
        let to = self.target(want);
        self.emit(
            if operator == Operator::Less { Op::Less { to, a, b } } else { Op::LessEqual { to, a, b } },
            span,
        );
        Loc::Reg(to)
    }

    fn equality(
        &mut self,
        operator: BinaryOp,
        left: Loc,
        right: Loc,
        mark: super::registers::Mark,
        want: Want,
        span: Span,
    ) -> Loc {
        let negate = matches!(operator, BinaryOp::NotEqual | BinaryOp::NotIdentical);
        if let (Loc::Num(a), Loc::Num(b)) = (left, right) {
            self.code.release(mark);
            let to = self.target(want);
            let relation = if negate { Relation::NotEqual } else { Relation::Equal };
            self.emit(Op::NumCompare { to, a, b, relation }, span);
            return Loc::Reg(to);
        }
        let (a, b) = (self.boxed(left, span), self.boxed(right, span));
        self.code.release(mark);
        let to = self.target(want);
        self.emit(
            match operator {
                BinaryOp::Equal | BinaryOp::NotEqual => Op::Equal { negate, to, a, b },
                _ => Op::Identical { negate, to, a, b },
            },
            span,
        );
        Loc::Reg(to)
    }

    /// Applies an operator to a variable with numbers and a value: `$i += value`.
    pub(super) fn number_update(&mut self, operator: BinaryOp, variable: Num, value: &'a Expr, span: Span) {
        let mark = self.code.mark();
        let right = self.expression(value, Want::Anywhere);
        let loc = self.operate(operator, Loc::Num(variable), right, mark, Want::Num(variable), span);
        self.settle(loc, Want::Num(variable), span);
        self.code.release(mark);
    }

    /// Whether the expression certainly yields a number.
    pub(super) fn is_number(&self, expr: &Expr) -> bool {
        is_number(expr, &self.variables)
    }
}

/// Whether the result is a number or an error, so that it is computed in number registers.
fn stays_number(operator: BinaryOp, left: Loc, right: Loc) -> bool {
    let (left, right) = (matches!(left, Loc::Num(_)), matches!(right, Loc::Num(_)));
    match operator {
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Modulo => left,
        BinaryOp::Multiply => left && right,
        BinaryOp::Divide
        | BinaryOp::Power
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight
        | BinaryOp::ShiftRightZero
        | BinaryOp::BitAnd
        | BinaryOp::BitOr
        | BinaryOp::BitXor => left || right,
        _ => false,
    }
}

/// The instruction for values of any type.
fn general(operator: BinaryOp, to: Reg, a: Reg, b: Reg) -> Op {
    match operator {
        BinaryOp::Add => Op::Add { to, a, b },
        BinaryOp::Subtract => Op::Subtract { to, a, b },
        BinaryOp::Multiply => Op::Multiply { to, a, b },
        BinaryOp::Divide => Op::Divide { to, a, b },
        BinaryOp::Concat => Op::Concat { to, a, b },
        BinaryOp::Matches => Op::Matches { negate: false, to, a, b },
        BinaryOp::MatchesNot => Op::Matches { negate: true, to, a, b },
        _ => Op::Binary { operator: operator_of(operator), to, a, b },
    }
}

/// The operator as instructions carry it. Those with an instruction of their own in both directions are not asked for.
pub(super) fn operator_of(operator: BinaryOp) -> Operator {
    match operator {
        BinaryOp::Power => Operator::Power,
        BinaryOp::Multiply => Operator::Multiply,
        BinaryOp::Divide => Operator::Divide,
        BinaryOp::Modulo => Operator::Modulo,
        BinaryOp::Add => Operator::Add,
        BinaryOp::Subtract => Operator::Subtract,
        BinaryOp::Concat => Operator::Concat,
        BinaryOp::ShiftLeft => Operator::ShiftLeft,
        BinaryOp::ShiftRight => Operator::ShiftRight,
        BinaryOp::ShiftRightZero => Operator::ShiftRightZero,
        BinaryOp::Less | BinaryOp::Greater => Operator::Less,
        BinaryOp::LessEqual | BinaryOp::GreaterEqual => Operator::LessEqual,
        BinaryOp::Equal | BinaryOp::NotEqual => Operator::Equal,
        BinaryOp::Identical | BinaryOp::NotIdentical => Operator::Identical,
        BinaryOp::Matches | BinaryOp::MatchesNot => unreachable!("they have an instruction of their own"),
        BinaryOp::BitAnd => Operator::BitAnd,
        BinaryOp::BitXor => Operator::BitXor,
        BinaryOp::BitOr => Operator::BitOr,
    }
}
