//! The syntax tree.
//!
//! Chains that scripts write at any length are flat here: operands of left-associative operators, steps of a path
//! (`$a["x"]->y(1)`), `else if`, `??`. What nests, nests at most [`MAX_NESTING`](crate::limits::MAX_NESTING) deep, so that
//! a tree may be walked and dropped recursively.
#![expect(missing_docs, reason = "fields of variants are explained by the syntax that their variant shows")]

mod expression;
mod operator;

use std::sync::Arc;

use crate::source::Span;

pub use expression::{
    Argument, ArrayItem, CacheCall, Expr, ExprKind, Link, MatchArm, Pattern, PatternItem, Place, PlaceRoot,
    Scope, Slice, StaticMember, Step, StepKind, StringPart,
};
pub use operator::{AssignOp, BinaryOp, UnaryOp};

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
    /// `__debug ["stage", "id"]`, in a block with the statement that follows, whose span it has.
    BreakPoint { stage: Arc<str>, id: Arc<str> },
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
