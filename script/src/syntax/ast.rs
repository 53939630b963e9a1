//! The syntax tree.
//!
//! Chains that scripts write at any length are flat here: operands of left-associative operators, steps of a path
//! (`$a["x"]->y(1)`), `else if`, `??`. What nests, nests at most [`MAX_NESTING`](crate::limits::MAX_NESTING) deep, so that
//! a tree may be walked and dropped recursively.
#![expect(missing_docs, reason = "fields of variants are explained by the syntax that their variant shows")]

use std::sync::Arc;

use crate::source::Span;

/// A whole source text.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Its statements in order; declarations of functions and classes are among them and are to be hoisted.
    pub statements: Vec<Statement>,
}

/// A name of a variable (without its `$`), function, class, module or property. Equal names of a program share their text.
#[derive(Clone, Debug)]
pub struct Name {
    /// The text.
    pub text: Arc<str>,
    /// Where it stands; with the `$` of a variable.
    pub span: Span,
}

/// Statements in braces.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// The statements.
    pub statements: Vec<Statement>,
    /// With both braces.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Which.
    pub kind: StatementKind,
    /// All of it, with the semicolon or the closing brace.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `;`
    Empty,
    /// `{ ... }`; no scope of its own.
    Block(Block),
    /// An expression for its effect.
    Expression(Expr),
    /// `echo e;`
    Echo(Expr),
    /// `if (c) s else if (c) s else s`: the branches in order.
    If { branches: Vec<(Expr, Statement)>, otherwise: Option<Box<Statement>> },
    /// `for (init; condition; step) s`
    For { init: Option<Expr>, condition: Option<Expr>, step: Option<Expr>, body: Box<Statement> },
    /// `foreach (subject as key => value) s`
    Foreach { subject: Expr, key: Option<Name>, value: Name, body: Box<Statement> },
    /// `while (c) s`
    While { condition: Expr, body: Box<Statement> },
    /// `forever s`
    Forever { body: Box<Statement> },
    /// `switch (subject) { ... }`
    Switch { subject: Expr, sections: Vec<SwitchSection> },
    /// `break;` The parser has seen to it that there is a loop or switch around.
    Break,
    /// `continue;` The parser has seen to it that there is a loop around.
    Continue,
    /// `return e;`
    Return(Option<Expr>),
    /// `try { } catch ($variable) { }`
    Try { body: Block, variable: Name, handler: Block },
    /// `throw e;`
    Throw(Expr),
    /// `yield e;`
    Yield(Option<Expr>),
    /// `global $a, $b;`
    Global(Vec<Name>),
    /// `barrier name => $variable { }`
    Barrier { name: Expr, variable: Option<Name>, body: Block },
    /// `include "path";` or `include_once "path";`
    Include { path: Path, once: bool },
    /// `import ... from "path";` The parser has seen to it that it is at the top level of its file.
    Import(Import),
    /// `function name(...) { }`
    Function(Box<Function>),
    /// `class name { }`
    Class(Box<Class>),
}

/// The statements after a label of a `switch`; control falls through to the next section.
#[derive(Clone, Debug)]
pub struct SwitchSection {
    /// The `case` expression; `None` for `default`, of which there is at most one.
    pub case: Option<Expr>,
    /// What follows until the next label.
    pub statements: Vec<Statement>,
    /// The label.
    pub span: Span,
}

/// A path in an `include` or `import`: a literal without interpolation.
#[derive(Clone, Debug)]
pub struct Path {
    /// The text.
    pub text: Arc<str>,
    /// The literal.
    pub span: Span,
}

/// An `import`.
#[derive(Clone, Debug)]
pub struct Import {
    /// What is imported.
    pub kind: ImportKind,
    /// From where.
    pub path: Path,
}

/// What an `import` brings.
#[derive(Clone, Debug)]
pub enum ImportKind {
    /// `{ a, $b as $c }`: the symbol in the module and the name here (the same without `as`).
    Symbols(Vec<(Symbol, Symbol)>),
    /// `* as name`
    Wildcard(Name),
    /// `$variable from "path" with options`: data. The options are an array literal.
    Data { variable: Name, options: Option<Expr> },
}

/// A name in the name space of variables or in that of functions and classes.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Whether it is written with `$`.
    pub variable: bool,
    /// The name.
    pub name: Name,
}

/// A function of any kind.
#[derive(Clone, Debug)]
pub struct Function {
    /// `None` for an anonymous one and a constructor.
    pub name: Option<Name>,
    /// Its parameters.
    pub parameters: Parameters,
    /// The variables of `closure (...)`; `None` without that keyword. `$this` may be among them.
    pub closure: Option<Vec<Name>>,
    /// Its statements.
    pub body: Block,
    /// Whether `yield` stands in its body (not in that of a function within).
    pub generator: bool,
    /// From its first keyword to the closing brace.
    pub span: Span,
}

/// Parameters of a function.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// Those with a place of their own; after the first default all have one.
    pub list: Vec<Parameter>,
    /// `...$rest`
    pub rest: Option<Name>,
    /// With the parentheses.
    pub span: Span,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Name,
    /// Its default, which has to be a constant expression (the compiler checks that).
    pub default: Option<Expr>,
}

/// A class.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name.
    pub name: Name,
    /// Its members in order. That names do not clash is the compiler's to check.
    pub members: Vec<Member>,
    /// From `class` to the closing brace.
    pub span: Span,
}

/// A member of a class.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which.
    pub kind: MemberKind,
    /// Who may touch it.
    pub access: Access,
    /// Whether it belongs to the class instead of to its instances.
    pub is_static: bool,
    /// All of it.
    pub span: Span,
}

/// Kinds of members.
#[derive(Clone, Debug)]
pub enum MemberKind {
    /// `constructor (...) { }`
    Constructor(Function),
    /// `function name(...) { }`
    Method(Function),
    /// `$name = value;`
    Variable { name: Name, value: Expr },
}

/// Who may touch a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Functions of the class.
    Private,
    /// Everybody may read it, functions of the class may write it.
    ReadOnly,
}

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

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `!`, `not`
    Not,
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `~`
    BitNot,
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

/// Operators with two operands that are always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `**`
    Power,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `.`
    Concat,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `>>>`
    ShiftRightZero,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `===`
    Identical,
    /// `!==`
    NotIdentical,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `&`
    BitAnd,
    /// `^`
    BitXor,
    /// `|`
    BitOr,
}

/// Assignment operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOp {
    /// `=`
    Set,
    /// `??=`
    Coalesce,
    /// `+=`, `-=`, `*=`, `/=`, `%=`, `**=` or `.=`
    Compute(BinaryOp),
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

impl UnaryOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Negate => "-",
            Self::Plus => "+",
            Self::BitNot => "~",
        }
    }
}

impl BinaryOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Power => "**",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concat => ".",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
            Self::ShiftRightZero => ">>>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Identical => "===",
            Self::NotIdentical => "!==",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
            Self::BitAnd => "&",
            Self::BitXor => "^",
            Self::BitOr => "|",
        }
    }
}

impl AssignOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Set => "=",
            Self::Coalesce => "??=",
            Self::Compute(BinaryOp::Add) => "+=",
            Self::Compute(BinaryOp::Subtract) => "-=",
            Self::Compute(BinaryOp::Multiply) => "*=",
            Self::Compute(BinaryOp::Divide) => "/=",
            Self::Compute(BinaryOp::Modulo) => "%=",
            Self::Compute(BinaryOp::Power) => "**=",
            Self::Compute(_) => ".=",
        }
    }
}
