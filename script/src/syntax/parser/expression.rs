//! Operators: the ladder of precedences, assignments.

use super::{Parse, Parser};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{AssignOp, BinaryOp, Expr, ExprKind, Link, UnaryOp};
use crate::syntax::token::{Keyword, Kind, Punct};

/// Levels of the operators with two operands, from the weakest. `and`, `or`, `??` and `?:` are weaker than all of them.
mod level {
    pub(super) const WEAKEST: u8 = 0;
    pub(super) const EQUALITY: u8 = 3;
    pub(super) const ORDER: u8 = 4;
    pub(super) const POWER: u8 = 9;
}

impl Parser<'_> {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.nested(Self::ternary)
    }

    fn ternary(&mut self) -> Parse<Expr> {
        let condition = self.coalesce()?;
        if !self.take(Punct::Question) {
            return Ok(condition);
        }
        let mut then = None;
        if !self.take(Punct::Colon) {
            then = Some(Box::new(self.expression()?));
            self.expect(Punct::Colon, "of `?:`")?;
        }
        let otherwise = Box::new(self.nested(Self::ternary)?);
        let span = condition.span.to(otherwise.span);
        Ok(Expr { kind: ExprKind::Ternary { condition: Box::new(condition), then, otherwise }, span })
    }

    fn coalesce(&mut self) -> Parse<Expr> {
        self.flat(Kind::Punct(Punct::Coalesce), Self::or, ExprKind::Coalesce)
    }

    fn or(&mut self) -> Parse<Expr> {
        let mut operand = self.flat(Kind::Keyword(Keyword::Or), Self::and, ExprKind::Or)?;
        while self.is(Punct::OrOr) {
            self.advance();
            operand = together(operand, self.and()?, ExprKind::Or);
        }
        Ok(operand)
    }

    fn and(&mut self) -> Parse<Expr> {
        let mut operand = self.flat(Kind::Keyword(Keyword::And), Self::comparison, ExprKind::And)?;
        while self.is(Punct::AndAnd) {
            self.advance();
            operand = together(operand, self.comparison()?, ExprKind::And);
        }
        Ok(operand)
    }

    fn comparison(&mut self) -> Parse<Expr> {
        self.binary(level::WEAKEST)
    }

    /// Operands with the same operator between them.
    fn flat(
        &mut self,
        operator: Kind,
        operand: fn(&mut Self) -> Parse<Expr>,
        node: fn(Vec<Expr>) -> ExprKind,
    ) -> Parse<Expr> {
        let first = operand(self)?;
        if self.kind() != operator {
            return Ok(first);
        }
        let start = first.span;
        let mut operands = vec![first];
        while self.kind() == operator {
            self.advance();
            operands.push(operand(self)?);
        }
        Ok(Expr { kind: node(operands), span: self.since(start) })
    }

    /// Operators of level `weakest` and above.
    fn binary(&mut self, weakest: u8) -> Parse<Expr> {
        let mut left = self.unary()?;
        while let Some((_, level)) = self.binary_operator()
            && level >= weakest
        {
            let links = self.links(level)?;
            let span = links.iter().fold(left.span, |span, link| span.to(link.operand.span));
            left = Expr { kind: ExprKind::Binary { first: Box::new(left), links }, span };
        }
        Ok(left)
    }

    /// The operators of one level that follow, with their right operands.
    fn links(&mut self, level: u8) -> Parse<Vec<Link>> {
        let mut links = Vec::new();
        while let Some((operator, next)) = self.binary_operator()
            && next == level
        {
            let span = self.span();
            if !links.is_empty() && matches!(level, level::EQUALITY | level::ORDER) {
                let error = Diagnostic::error(span, "comparisons cannot be chained");
                self.report(error.with_help("write $a < $b and $b < $c, or use parentheses"));
            }
            self.advance();
            let operand = match level {
                level::POWER => self.nested(|parser| parser.binary(level::POWER))?,
                _ => self.binary(level + 1)?,
            };
            links.push(Link { operator, span, operand });
        }
        Ok(links)
    }

    fn binary_operator(&self) -> Option<(BinaryOp, u8)> {
        let Kind::Punct(punct) = self.kind() else { return None };
        Some(match punct {
            Punct::Pipe => (BinaryOp::BitOr, level::WEAKEST),
            Punct::Caret => (BinaryOp::BitXor, 1),
            Punct::Ampersand => (BinaryOp::BitAnd, 2),
            Punct::Equal => (BinaryOp::Equal, level::EQUALITY),
            Punct::NotEqual => (BinaryOp::NotEqual, level::EQUALITY),
            Punct::Identical => (BinaryOp::Identical, level::EQUALITY),
            Punct::NotIdentical => (BinaryOp::NotIdentical, level::EQUALITY),
            Punct::Matches => (BinaryOp::Matches, level::EQUALITY),
            Punct::MatchesNot => (BinaryOp::MatchesNot, level::EQUALITY),
            Punct::Less => (BinaryOp::Less, level::ORDER),
            Punct::LessEqual => (BinaryOp::LessEqual, level::ORDER),
            Punct::Greater => (BinaryOp::Greater, level::ORDER),
            Punct::GreaterEqual => (BinaryOp::GreaterEqual, level::ORDER),
            Punct::Left => (BinaryOp::ShiftLeft, 5),
            Punct::Right => (BinaryOp::ShiftRight, 5),
            Punct::UnsignedRight => (BinaryOp::ShiftRightZero, 5),
            Punct::Dot => (BinaryOp::Concat, 6),
            Punct::Plus => (BinaryOp::Add, 7),
            Punct::Minus => (BinaryOp::Subtract, 7),
            Punct::Star => (BinaryOp::Multiply, 8),
            Punct::Slash => (BinaryOp::Divide, 8),
            Punct::Percent => (BinaryOp::Modulo, 8),
            Punct::Power => (BinaryOp::Power, level::POWER),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parse<Expr> {
        let start = self.span();
        let operator = match self.kind() {
            Kind::Punct(Punct::Bang) | Kind::Keyword(Keyword::Not) => UnaryOp::Not,
            Kind::Punct(Punct::Minus) => UnaryOp::Negate,
            Kind::Punct(Punct::Plus) => UnaryOp::Plus,
            Kind::Punct(Punct::Tilde) => UnaryOp::BitNot,
            Kind::Punct(Punct::Increment) => return self.prefix_step(true),
            Kind::Punct(Punct::Decrement) => return self.prefix_step(false),
            _ => return self.operand(),
        };
        self.advance();
        let operand = Box::new(self.nested(Self::unary)?);
        let span = self.since(start);
        if operator == UnaryOp::Negate && self.is(Punct::Power) {
            let warning = Diagnostic::warning(span, "the minus belongs to the base of `**`: -2 ** 2 is 4");
            self.report(warning.with_help("write (-2) ** 2 or -(2 ** 2)"));
        }
        Ok(Expr { kind: ExprKind::Unary { operator, operand }, span })
    }

    fn prefix_step(&mut self, increment: bool) -> Parse<Expr> {
        let start = self.span();
        self.advance();
        let operand = self.nested(Self::unary)?;
        let span = self.since(start);
        Ok(self.step(operand, increment, true, span))
    }

    /// A value with what follows it, and the assignment to it if there is one: an assignment may be the right operand of
    /// any operator without parentheses.
    fn operand(&mut self) -> Parse<Expr> {
        let expr = self.postfix()?;
        if let Some(operator) = self.assign_operator() {
            return self.assignment(expr, operator);
        }
        let increment = self.is(Punct::Increment);
        if increment || self.is(Punct::Decrement) {
            self.advance();
            let span = self.since(expr.span);
            return Ok(self.step(expr, increment, false, span));
        }
        self.check_read(&expr);
        Ok(expr)
    }

    fn assignment(&mut self, target: Expr, operator: AssignOp) -> Parse<Expr> {
        let start = target.span;
        let place = self.assigned_place(target, operator);
        self.advance();
        let value = Box::new(self.expression()?);
        let span = self.since(start);
        let Some(place) = place else { return Ok(Expr { kind: ExprKind::Error, span }) };
        Ok(Expr { kind: ExprKind::Assign { place: Box::new(place), operator, value }, span })
    }

    fn step(&mut self, operand: Expr, increment: bool, prefix: bool, span: Span) -> Expr {
        let kind = match self.changed_place(operand, if increment { "++" } else { "--" }) {
            Some(place) => ExprKind::Step { place: Box::new(place), increment, prefix },
            None => ExprKind::Error,
        };
        Expr { kind, span }
    }

    fn assign_operator(&self) -> Option<AssignOp> {
        let Kind::Punct(punct) = self.kind() else { return None };
        Some(match punct {
            Punct::Assign => AssignOp::Set,
            Punct::CoalesceAssign => AssignOp::Coalesce,
            Punct::AddAssign => AssignOp::Compute(BinaryOp::Add),
            Punct::SubtractAssign => AssignOp::Compute(BinaryOp::Subtract),
            Punct::MultiplyAssign => AssignOp::Compute(BinaryOp::Multiply),
            Punct::DivideAssign => AssignOp::Compute(BinaryOp::Divide),
            Punct::ModuloAssign => AssignOp::Compute(BinaryOp::Modulo),
            Punct::PowerAssign => AssignOp::Compute(BinaryOp::Power),
            Punct::ConcatAssign => AssignOp::Compute(BinaryOp::Concat),
            _ => return None,
        })
    }
}

/// Joins what stands around an operator that the language does not have.
fn together(first: Expr, second: Expr, node: fn(Vec<Expr>) -> ExprKind) -> Expr {
    let span = first.span.to(second.span);
    Expr { kind: node(vec![first, second]), span }
}
