//! Names, static members and chains of subscripts, properties and calls.

use crate::compile::analyze::assigns;
use crate::compile::op::{Op, Operator};
use crate::compile::program::Constant;
use crate::compile::scope::Callee;
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Name, Scope, StaticMember, Step, StepKind};
use crate::value::Frozen;

use super::{Emitter, Loc, Want};

/// What stands before and after `::`.
enum Member {
    Function(Callee),
    Variable(u32),
}

impl<'a> Emitter<'_, '_, 'a> {
    /// A bare name as a value.
    pub(super) fn identifier(&mut self, name: &Name, builtin: bool, want: Want) -> Loc {
        let constant = match self.callee(name, builtin) {
            Some(callee) => constant_of(callee),
            None => Constant::Value(Frozen::None),
        };
        self.load(constant, want, name.span)
    }

    /// What a bare name means; reports it if nothing.
    pub(super) fn callee(&mut self, name: &Name, builtin: bool) -> Option<Callee> {
        let found = if builtin { None } else { self.scope.find(&name.text) };
        let found = found.or_else(|| self.compiler.builtin(&name.text));
        found.or_else(|| self.compiler.absent_name(name))
    }

    /// `Class::name`, `module::name`, ... as a value.
    pub(super) fn static_member(&mut self, member: &StaticMember, want: Want, span: Span) -> Loc {
        match self.resolve(member) {
            Some(Member::Function(callee)) => self.load(constant_of(callee), want, span),
            Some(Member::Variable(index)) => {
                let to = self.scratch(want);
                self.emit(Op::BindGlobal { reg: to, index }, span);
                self.emit(Op::CellGet { to, cell: to }, span);
                Loc::Reg(to)
            }
            None => self.load(Constant::Value(Frozen::None), want, span),
        }
    }

    /// The function behind `Class::name`; reports it if there is none.
    pub(super) fn static_function(&mut self, member: &StaticMember) -> Option<Callee> {
        match self.resolve(member)? {
            Member::Function(callee) => Some(callee),
            Member::Variable(_) => None,
        }
    }

    /// The variable behind `Class::$name`.
    pub(super) fn static_variable(&mut self, member: &StaticMember) -> Option<u32> {
        match self.resolve(member)? {
            Member::Variable(index) => Some(index),
            Member::Function(_) => {
                self.compiler.error(member.member.name.span, "a function cannot be assigned to");
                None
            }
        }
    }

    fn resolve(&mut self, member: &StaticMember) -> Option<Member> {
        match &member.scope {
            Scope::Own(span) => match self.class {
                Some(class) => self.class_member(class, member),
                None => {
                    self.compiler
                        .error(*span, "static:: stands for the class around, and there is none here");
                    None
                }
            },
            Scope::Named(names) => match &names[..] {
                [class] => match self.scope.module(&class.text) {
                    Some(module) if self.scope.find(&class.text).is_none() => {
                        self.module_member(module, member)
                    }
                    _ => {
                        let callee = self.callee(class, false)?;
                        self.member_of(callee, class, member)
                    }
                },
                [module, class] => match self.scope.module(&module.text) {
                    Some(number) => match self.compiler.export_function(number, &class.text) {
                        Some(callee) => self.member_of(callee, class, member),
                        None => {
                            self.compiler
                                .error(class.span, format!("the module has no class {}", class.text));
                            None
                        }
                    },
                    None => {
                        self.compiler.error(module.span, format!("{} is not a wildcard import", module.text));
                        None
                    }
                },
                _ => {
                    self.compiler.error(member.member.name.span, "there are too many :: here");
                    None
                }
            },
        }
    }

    fn module_member(&mut self, module: usize, member: &StaticMember) -> Option<Member> {
        let name = &member.member.name;
        let found = if member.member.variable {
            self.compiler.export_variable(module, &name.text).map(Member::Variable)
        } else {
            self.compiler.export_function(module, &name.text).map(Member::Function)
        };
        if found.is_none() {
            let sign = if member.member.variable { "$" } else { "" };
            self.compiler.error(name.span, format!("the module has no {sign}{}", name.text));
        }
        found
    }

    fn member_of(&mut self, callee: Callee, class: &Name, member: &StaticMember) -> Option<Member> {
        match callee {
            Callee::Class(id) => self.class_member(id, member),
            Callee::NativeClass(native) if !member.member.variable => {
                let found = native.static_function(member.member.name.text.as_bytes());
                if found.is_none() {
                    let name = &member.member.name;
                    self.compiler.error(
                        name.span,
                        format!("class {} has no static function {}", class.text, name.text),
                    );
                }
                found.map(|native| Member::Function(Callee::Native(native)))
            }
            // Whatever a class that is not here may have: a call of it says so.
            Callee::Native(native) if !member.member.variable && self.compiler.is_stand_in(native) => {
                Some(Member::Function(callee))
            }
            _ => {
                self.compiler.error(class.span, format!("{} has no members", class.text));
                None
            }
        }
    }

    fn class_member(&mut self, class: u32, member: &StaticMember) -> Option<Member> {
        let name = &member.member.name;
        let inside = self.class == Some(class);
        let def = self.compiler.class(class);
        let class_name = def.name.clone();
        let (found, private) = if member.member.variable {
            let found = def.variables.get(&name.text).copied();
            (
                found.map(|variable| Member::Variable(variable.global)),
                found.is_some_and(|variable| variable.private),
            )
        } else {
            let found = def.statics.get(&name.text).copied();
            let private = found.is_some_and(|method| method.private);
            (found.map(|method| Member::Function(Callee::Function(method.proto))), private)
        };
        if found.is_none() {
            let what = if member.member.variable { "static variable $" } else { "static function " };
            self.compiler.error(name.span, format!("class {class_name} has no {what}{}", name.text));
        } else if private && !inside {
            self.compiler.error(name.span, format!("{} is private to class {class_name}", name.text));
        }
        found
    }

    /// A value and what is done with it.
    pub(super) fn access(&mut self, base: &'a Expr, steps: &'a [Step], want: Want, span: Span) -> Loc {
        if let Some((Step { kind: StepKind::Call(arguments), span: call }, rest)) = steps.split_first() {
            let callee = match &base.kind {
                ExprKind::Identifier { name, builtin } => Some(self.callee(name, *builtin)),
                ExprKind::Static(member) if !member.member.variable => Some(self.static_function(member)),
                _ => None,
            };
            if let Some(callee) = callee {
                // What does not exist is reported.
                let Some(callee) = callee else {
                    return self.load(Constant::Value(Frozen::None), want, span);
                };
                let want_now = if rest.is_empty() { want } else { Want::Anywhere };
                let loc = self.call(callee, arguments, want_now, base.span.to(*call));
                return if rest.is_empty() { loc } else { self.access_from(loc, rest, want, span) };
            }
        }
        let later = steps.iter().any(|step| step_assigns(&step.kind));
        let mut loc = self.expression(base, Want::Anywhere);
        if let (Loc::Reg(from), true) = (loc, later)
            && !self.code.is_temp(from)
        {
            let to = self.code.temp();
            self.emit(Op::Move { to, from }, base.span);
            loc = Loc::Reg(to);
        }
        self.access_from(loc, steps, want, span)
    }

    /// The steps, from left to right. Results between them go to one temporary.
    pub(super) fn access_from(&mut self, base: Loc, steps: &'a [Step], want: Want, span: Span) -> Loc {
        let mut current = self.boxed(base, span);
        let scratch = if self.code.is_temp(current) { current } else { self.code.temp() };
        let mut at = 0;
        while at < steps.len() {
            let mark = self.code.mark();
            let step = &steps[at];
            let span = span.to(step.span);
            let method = match (&step.kind, steps.get(at + 1)) {
                (StepKind::Property(name), Some(Step { kind: StepKind::Call(arguments), span })) => {
                    Some((name, arguments, *span))
                }
                _ => None,
            };
            let used = if method.is_some() { 2 } else { 1 };
            let last = at + used == steps.len();
            let to = match want {
                Want::Reg(reg) if last => reg,
                _ => scratch,
            };
            match (&step.kind, method) {
                (_, Some((name, arguments, call))) => {
                    self.method_call(current, name, arguments, to, span.to(call));
                }
                (StepKind::Index(key), _) => self.index(current, key, to, step.span),
                (StepKind::Property(name), _) => {
                    let name = self.text(&name.text);
                    self.emit(Op::Property { to, base: current, name }, step.span);
                }
                (StepKind::Slice(slice), _) => {
                    let bounds = self.bounds(slice);
                    self.emit(Op::Slice { to, base: current, bounds }, step.span);
                }
                (StepKind::Call(arguments), _) => self.value_call(current, arguments, to, span),
                (StepKind::Append, _) => {
                    self.compiler.error(step.span, "[] without a key can only be assigned to")
                }
            }
            self.code.release(mark);
            current = to;
            at += used;
        }
        Loc::Reg(current)
    }

    fn index(&mut self, base: u16, key: &'a Expr, to: u16, span: Span) {
        if let Some(constant) = self.compiler.fold(key) {
            let key = self.code.constant(constant);
            self.emit(Op::IndexConst { to, base, key }, span);
        } else if self.is_number(key) {
            let loc = self.expression(key, Want::Anywhere);
            let key = self.unboxed(loc, Operator::Subtract, true, span);
            self.emit(Op::IndexNum { to, base, key }, span);
        } else {
            let key = self.operand(key);
            self.emit(Op::Index { to, base, key }, span);
        }
    }
}

fn step_assigns(step: &StepKind) -> bool {
    match step {
        StepKind::Index(key) => assigns(key),
        StepKind::Slice(slice) => slice.first.iter().chain(&slice.last).chain(&slice.step).any(assigns),
        StepKind::Call(arguments) => arguments.iter().any(|argument| assigns(&argument.value)),
        StepKind::Append | StepKind::Property(_) => false,
    }
}

/// The function value of a name.
pub(in crate::compile) fn constant_of(callee: Callee) -> Constant {
    match callee {
        Callee::Function(id) => Constant::Function(id),
        Callee::Class(id) => Constant::Class(id),
        Callee::Native(native) => Constant::Native(native),
        Callee::NativeClass(class) => Constant::NativeClass(class),
    }
}
