//! Expressions.

use std::sync::Arc;

use super::operator::{AssignOp, BinaryOp, UnaryOp};
use super::{Function, Name, Symbol};
use crate::source::Span;

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Which.
    pub kind: ExprKind,
    /// All of it; of a parenthesised one what is inside.
    pub span: Span,
}

/// Kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Stands where a syntax error was; a tree with it is never compiled.
    Error,
    /// `none`
    None,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string without interpolation, or a raw string.
    String(Arc<[u8]>),
    /// A string with interpolation.
    Interpolated(Vec<StringPart>),
    /// `#/pattern/flags`; the flags are checked, the pattern is not.
    Regex { pattern: Arc<[u8]>, flags: Arc<str> },
    /// `$name`, also `$this`.
    Variable(Name),
    /// A bare name of a function or class; `builtin name` reaches what the script has overridden.
    Identifier { name: Name, builtin: bool },
    /// `Scope::member`
    Static(Box<StaticMember>),
    /// `[...]`, `array(...)`
    Array(Vec<ArrayItem>),
    /// An anonymous function.
    Function(Box<Function>),
    /// A value and what is done with it from left to right: `$a["x"]->y(1)`.
    Access { base: Box<Expr>, steps: Vec<Step> },
    /// A prefix operator.
    Unary { operator: UnaryOp, operand: Box<Expr> },
    /// Operators of one level from left to right: `a + b - c`. Only left-associative operators have more than one link.
    Binary { first: Box<Expr>, links: Vec<Link> },
    /// `a and b and c` (at least two operands).
    And(Vec<Expr>),
    /// `a or b or c` (at least two operands).
    Or(Vec<Expr>),
    /// `a ?? b ?? c` (at least two operands): the first that is defined and not none, else the last.
    Coalesce(Vec<Expr>),
    /// `c ? a : b`; `c ?: b` has no `then` and yields the value of `c`.
    Ternary { condition: Box<Expr>, then: Option<Box<Expr>>, otherwise: Box<Expr> },
    /// `place op= value`
    Assign { place: Box<Place>, operator: AssignOp, value: Box<Expr> },
    /// `[$a, $b = 1, ...$c] = value`
    Destructure { pattern: Pattern, value: Box<Expr> },
    /// `++place`, `place++` and the same with `--`.
    Step { place: Box<Place>, increment: bool, prefix: bool },
    /// `isset(place)`
    Isset(Box<Place>),
    /// `unset(place)`
    Unset(Box<Place>),
    /// `match (subject) { ... }`
    Match { subject: Box<Expr>, arms: Vec<MatchArm> },
    /// `cache [options] callee(arguments)`
    Cache(Box<CacheCall>),
}

/// A piece of a string with interpolation.
#[derive(Clone, Debug)]
pub enum StringPart {
    /// Bytes as they are.
    Text(Arc<[u8]>),
    /// `$name` or `${name}`
    Variable(Name),
}

/// `Class::fn`, `Class::$x`, `static::$x`, `module::fn`, `module::Class::$x`.
#[derive(Clone, Debug)]
pub struct StaticMember {
    /// The class or module before the last `::`.
    pub scope: Scope,
    /// What is after it.
    pub member: Symbol,
}

/// Where a static member lives.
#[derive(Clone, Debug)]
pub enum Scope {
    /// `static`: the class around.
    Own(Span),
    /// Names from the outside in: a class, a wildcard import, or a class in one. At least one.
    Named(Vec<Name>),
}

/// An item of an array literal.
#[derive(Clone, Debug)]
pub enum ArrayItem {
    /// `value` or `key => value`
    Value { key: Option<Expr>, value: Expr },
    /// `...array`
    Spread(Expr),
}

/// What is done with a value.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub kind: StepKind,
    /// Only this step.
    pub span: Span,
}

/// Kinds of steps.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// `[key]`
    Index(Box<Expr>),
    /// `[]`, only in a [`Place`].
    Append,
    /// `[first:last:step]`
    Slice(Box<Slice>),
    /// `->name`
    Property(Name),
    /// `(arguments)`; after a property it is a method call.
    Call(Vec<Argument>),
}

/// Bounds of a slice.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Before the first colon.
    pub first: Option<Expr>,
    /// After the first colon.
    pub last: Option<Expr>,
    /// After the second colon.
    pub step: Option<Expr>,
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The value.
    pub value: Expr,
    /// `...value`
    pub spread: bool,
}

/// An operator with its right operand.
#[derive(Clone, Debug)]
pub struct Link {
    /// The operator.
    pub operator: BinaryOp,
    /// Where the operator stands.
    pub span: Span,
    /// The right operand.
    pub operand: Expr,
}

/// What can be assigned to: a root and steps without calls.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it begins.
    pub root: PlaceRoot,
    /// [`StepKind::Call`] is not among them; [`StepKind::Append`] is so only where something is assigned.
    /// [`StepKind::Slice`] is only the last one, and only of `=` and `unset`.
    pub steps: Vec<Step>,
    /// All of it.
    pub span: Span,
}

/// Where a place begins.
#[derive(Clone, Debug)]
pub enum PlaceRoot {
    /// `$name`
    Variable(Name),
    /// `Class::$name`
    Static(Box<StaticMember>),
    /// Something computed, such as a call: writing makes sense only through an object. There is at least one step.
    Value(Box<Expr>),
}

/// The left side of a destructuring assignment.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Either all with keys or none.
    pub items: Vec<PatternItem>,
    /// `...$rest`
    pub rest: Option<Name>,
    /// With the brackets.
    pub span: Span,
}

/// A variable in a destructuring assignment.
#[derive(Clone, Debug)]
pub struct PatternItem {
    /// `key =>`
    pub key: Option<Expr>,
    /// The variable.
    pub name: Name,
    /// `= default`
    pub default: Option<Expr>,
}

/// An arm of a `match`.
#[derive(Clone, Debug)]
pub struct MatchArm {
    /// The values; `None` for `default`, of which there is at most one.
    pub values: Option<Vec<Expr>>,
    /// What the match yields.
    pub result: Expr,
    /// All of it.
    pub span: Span,
}

/// `cache [options] callee(arguments)`
#[derive(Clone, Debug)]
pub struct CacheCall {
    /// The options: any expression that yields an array.
    pub options: Expr,
    /// An [`ExprKind::Identifier`] or an [`ExprKind::Static`] function.
    pub callee: Expr,
    /// The arguments.
    pub arguments: Vec<Argument>,
}
