//! The instructions of one function.

mod access;
mod binary;
mod call;
mod control;
mod expression;
mod fuse;
mod pattern;
mod place;
mod proto;
mod registers;
mod statement;
mod update;

use std::rc::Rc;
use std::sync::Arc;

use crate::source::Span;
use crate::syntax::ast::{self, Expr, Name, Statement};
use crate::value::Frozen;

use super::analyze::{Variables, for_each_statement};
use super::module::Compiler;
use super::op::{Num, Op, Reg};
use super::program::Constant;
use super::scope::{FileScope, Scope};
use registers::{Code, Label};

pub(super) use access::constant_of;
pub(super) use proto::compile;

/// A function whose instructions are still to be made.
pub(super) struct Job<'a> {
    pub(super) id: u32,
    pub(super) kind: JobKind<'a>,
    pub(super) scope: Rc<Scope>,
    /// The class around.
    pub(super) class: Option<u32>,
}

/// What the function is.
pub(super) enum JobKind<'a> {
    /// The statements of a file.
    File { statements: &'a [Statement], name: Arc<str> },
    /// A function; `method` if it has `$this` from its object.
    Function { function: &'a ast::Function, method: bool },
    /// Sets instance variables that are not constants.
    Initializer { fields: Vec<(&'a Name, &'a Expr)>, name: Arc<str> },
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Reg(Reg),
    /// In a register that may hold a cell.
    Shared(Reg),
    Num(Num),
}

/// Where a result is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Want {
    Anywhere,
    Reg(Reg),
    Num(Num),
}

/// Where a result is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loc {
    Reg(Reg),
    Num(Num),
}

/// A loop or `switch` around.
struct Frame {
    end: Label,
    /// `None` for a `switch`.
    next: Option<Label>,
    /// Barriers that were open when it began.
    barriers: usize,
}

/// An open `barrier`.
#[derive(Clone, Copy)]
struct Barrier {
    name: Reg,
    variable: Option<Reg>,
    span: Span,
}

/// Makes the instructions of one function.
pub(super) struct Emitter<'e, 'c, 'a> {
    compiler: &'e mut Compiler<'c>,
    jobs: &'e mut Vec<Job<'a>>,
    file: &'e FileScope,
    scope: Rc<Scope>,
    class: Option<u32>,
    /// Whether these are the statements of a file.
    is_file: bool,
    has_this: bool,
    variables: Variables,
    slots: Vec<Slot>,
    /// Variables that must not be assigned to.
    read_only: Vec<bool>,
    code: Code,
    frames: Vec<Frame>,
    barriers: Vec<Barrier>,
}

impl<'a> Emitter<'_, '_, 'a> {
    fn emit(&mut self, op: Op, span: Span) {
        self.code.emit(op, span);
    }

    /// The index of a text among the constants.
    fn text(&mut self, text: &str) -> u16 {
        let bytes = self.compiler.intern(&Arc::from(text.as_bytes()));
        self.code.constant(Constant::Value(Frozen::Str(bytes)))
    }

    /// Where the variable lives.
    fn slot(&mut self, name: &Name) -> Slot {
        if name.text.as_ref() == "this" && self.has_this {
            return Slot::Reg(0);
        }
        let at =
            self.variables.find(&name.text).expect("the analysis has seen every variable of the function");
        self.slots[at]
    }

    /// Whether the variable may be assigned to; reports it if not.
    fn check_writable(&mut self, name: &Name) {
        if name.text.as_ref() == "this" && self.has_this {
            self.compiler.error(name.span, "$this cannot be assigned to");
        }
        if self.variables.find(&name.text).is_some_and(|at| self.read_only[at]) {
            self.compiler.error(name.span, format!("${} is read-only", name.text));
        }
    }

    /// Registers the functions and classes that are declared among the statements of this function, and puts them on the list.
    fn declare(&mut self, statements: &'a [Statement]) {
        let mut found = Vec::new();
        for_each_statement(statements, &mut |statement| match &statement.kind {
            ast::StatementKind::Function(_) | ast::StatementKind::Class(_) => found.push(statement),
            _ => {}
        });
        if found.is_empty() {
            return;
        }
        let scope = self.compiler.declare(&found, Some(self.scope.clone()), self.class);
        self.scope = Rc::new(scope);
        self.compiler.queue_declared(&found, &self.scope, self.class, self.jobs);
    }
}
