//! Constant expressions: folded while compiling; defaults of parameters and static variables have to be such.

use std::sync::Arc;

use crate::fault::Fault;
use crate::ops;
use crate::std::regex::Pattern;
use crate::syntax::ast::{ArrayItem, BinaryOp, Expr, ExprKind, UnaryOp};
use crate::value::{Array, Frozen, Key, Value};

use super::module::Compiler;
use super::program::Constant;
use super::scope::Scope;

/// Larger results are left to run time, so that a short script cannot become a large program.
const MAX_FOLDED_BYTES: usize = 64 << 10;

/// Why an expression has no constant value.
enum NotConstant {
    /// It depends on the execution.
    Depends,
    /// It always fails.
    Fails(Fault),
}

impl From<Fault> for NotConstant {
    fn from(fault: Fault) -> Self {
        NotConstant::Fails(fault)
    }
}

impl Constant {
    /// Truth, as at run time.
    pub(super) fn truthy(&self) -> bool {
        match self {
            Constant::Value(value) => Value::from_frozen(value).truthy(),
            _ => true,
        }
    }
}

impl Compiler<'_> {
    /// The value of an expression, if it is constant. Patterns that do not compile are reported.
    pub(super) fn fold(&mut self, expr: &Expr) -> Option<Constant> {
        match &expr.kind {
            ExprKind::Regex { pattern, flags } => {
                let compiled = Pattern::compile(pattern, flags.as_bytes());
                return match compiled {
                    Ok(pattern) => Some(Constant::Value(pattern.freeze())),
                    Err(fault) => {
                        self.error(expr.span, fault.to_string());
                        Some(Constant::Value(Frozen::None))
                    }
                };
            }
            ExprKind::None => return Some(Constant::Value(Frozen::None)),
            ExprKind::Bool(flag) => return Some(Constant::Value(Frozen::Bool(*flag))),
            ExprKind::Number(number) => return Some(Constant::Value(Frozen::Number(*number))),
            ExprKind::String(text) => return Some(Constant::Value(Frozen::Str(self.intern(text)))),
            ExprKind::Unary { .. }
            | ExprKind::Binary { .. }
            | ExprKind::Array(_)
            | ExprKind::Ternary { .. } => {}
            _ => return None,
        }
        match evaluate(expr, &mut |text| self.intern(text)) {
            Ok(value) => {
                let frozen = value.freeze().ok()?;
                (frozen.size_bytes() <= MAX_FOLDED_BYTES || matches!(expr.kind, ExprKind::Array(_)))
                    .then_some(Constant::Value(frozen))
            }
            Err(NotConstant::Fails(fault)) => {
                self.warn(expr.span, fault.to_string());
                None
            }
            Err(NotConstant::Depends) => None,
        }
    }

    /// The value of an expression that has to be constant; reports it if it is not.
    pub(super) fn constant(&mut self, expr: &Expr, scope: &Scope, class: Option<u32>) -> Option<Constant> {
        let _ = class;
        if let ExprKind::Identifier { name, builtin } = &expr.kind {
            let found = if *builtin { None } else { scope.find(&name.text) };
            if let Some(callee) = found.or_else(|| self.builtin(&name.text)) {
                return Some(super::emit::constant_of(callee));
            }
        }
        let folded = self.fold(expr);
        if folded.is_none() {
            self.error(expr.span, "a constant expression is needed here");
        }
        folded
    }
}

/// Gives equal texts the same bytes.
type Intern<'i> = &'i mut dyn FnMut(&Arc<[u8]>) -> Arc<[u8]>;

fn evaluate(expr: &Expr, intern: Intern<'_>) -> Result<Value, NotConstant> {
    Ok(match &expr.kind {
        ExprKind::None => Value::None,
        ExprKind::Bool(flag) => Value::Bool(*flag),
        ExprKind::Number(number) => Value::Number(*number),
        ExprKind::String(text) => Value::from_frozen(&Frozen::Str(intern(text))),
        ExprKind::Unary { operator, operand } => {
            let operand = evaluate(operand, intern)?;
            match operator {
                UnaryOp::Not => Value::Bool(!operand.truthy()),
                UnaryOp::Negate => ops::neg(&operand)?,
                UnaryOp::Plus => ops::plus(&operand)?,
                UnaryOp::BitNot => ops::bit_not(&operand)?,
            }
        }
        ExprKind::Binary { first, links } => {
            let mut left = evaluate(first, intern)?;
            for link in links {
                let right = evaluate(&link.operand, intern)?;
                left = binary(link.operator, left, &right)?;
            }
            left
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            let condition = evaluate(condition, intern)?;
            match (condition.truthy(), then) {
                (true, Some(then)) => evaluate(then, intern)?,
                (true, None) => condition,
                (false, _) => evaluate(otherwise, intern)?,
            }
        }
        ExprKind::Array(items) => {
            let mut array = Array::new();
            for item in items {
                match item {
                    ArrayItem::Value { key, value } => {
                        let key = key.as_ref().map(|key| evaluate(key, intern)).transpose()?;
                        let value = evaluate(value, intern)?;
                        match key {
                            Some(key) => array.set(Key::from_value(key), value),
                            None => array.push(value),
                        }
                    }
                    ArrayItem::Spread(value) => ops::spread_into(&mut array, &evaluate(value, intern)?)?,
                }
            }
            Value::Array(array)
        }
        _ => return Err(NotConstant::Depends),
    })
}

fn binary(operator: BinaryOp, left: Value, right: &Value) -> Result<Value, NotConstant> {
    // What may become large is left to run time.
    if operator == BinaryOp::Multiply && !matches!((&left, right), (Value::Number(_), Value::Number(_))) {
        let count = ops::numeric(right).or(ops::numeric(&left)).unwrap_or(0.0);
        if count > 1000.0 {
            return Err(NotConstant::Depends);
        }
    }
    Ok(match operator {
        BinaryOp::Power => ops::pow(&left, right)?,
        BinaryOp::Multiply => ops::mul(&left, right)?,
        BinaryOp::Divide => ops::div(&left, right)?,
        BinaryOp::Modulo => ops::rem(&left, right)?,
        BinaryOp::Add => ops::add(left, right.clone())?,
        BinaryOp::Subtract => ops::sub(left, right)?,
        BinaryOp::Concat => ops::concat(left, right)?,
        BinaryOp::ShiftLeft => ops::shift_left(&left, right)?,
        BinaryOp::ShiftRight => ops::shift_right(&left, right)?,
        BinaryOp::ShiftRightZero => ops::shift_right_zero(&left, right)?,
        BinaryOp::Less => Value::Bool(ops::less(&left, right)?),
        BinaryOp::LessEqual => Value::Bool(ops::less_equal(&left, right)?),
        BinaryOp::Greater => Value::Bool(ops::greater(&left, right)?),
        BinaryOp::GreaterEqual => Value::Bool(ops::greater_equal(&left, right)?),
        BinaryOp::Equal => Value::Bool(left.loose_eq(right)?),
        BinaryOp::NotEqual => Value::Bool(!left.loose_eq(right)?),
        BinaryOp::Identical => Value::Bool(left.strict_eq(right)?),
        BinaryOp::NotIdentical => Value::Bool(!left.strict_eq(right)?),
        BinaryOp::BitAnd => ops::bit_and(&left, right)?,
        BinaryOp::BitXor => ops::bit_xor(&left, right)?,
        BinaryOp::BitOr => ops::bit_or(&left, right)?,
        BinaryOp::Matches | BinaryOp::MatchesNot => return Err(NotConstant::Depends),
    })
}
