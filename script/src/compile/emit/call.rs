//! Calls.

use crate::compile::op::{Op, Reg};
use crate::compile::program::Constant;
use crate::compile::scope::Callee;
use crate::native::NativeRun;
use crate::source::Span;
use crate::syntax::ast::{Argument, CacheCall, ExprKind, Name, Scope};
use crate::value::Frozen;

use super::access::constant_of;
use super::{Emitter, Loc, Want};

/// Calls with more arguments pass them as an array.
const MAX_DIRECT_ARGUMENTS: usize = 200;

impl<'a> Emitter<'_, '_, 'a> {
    /// A call of a known function.
    pub(super) fn call(&mut self, callee: Callee, arguments: &'a [Argument], want: Want, span: Span) -> Loc {
        if must_spread(arguments) {
            let to = self.target(want);
            let mark = self.code.mark();
            let start = self.code.temps(2);
            self.load(constant_of(callee), Want::Reg(start), span);
            self.argument_array(arguments, start + 1, span);
            self.emit(Op::CallSpread { to, start }, span);
            self.code.release(mark);
            return Loc::Reg(to);
        }
        self.compiler.check_arity(callee, arguments.len(), span);
        let mark = self.code.mark();
        if let (Callee::Native(native), [argument]) = (callee, arguments)
            && native.name == "length"
            && matches!(native.run, NativeRun::Inline(_))
        {
            let from = self.operand(&argument.value);
            self.code.release(mark);
            let to = self.target(want);
            self.emit(Op::Length { to, from }, span);
            return Loc::Reg(to);
        }
        // An instance needs a register before the arguments.
        let extra = usize::from(matches!(callee, Callee::Class(_)));
        let start = self.code.temps((arguments.len() + extra).max(1));
        for (at, argument) in arguments.iter().enumerate() {
            self.evaluate_row(&argument.value, start + (at + extra) as Reg);
        }
        self.code.release(mark);
        let to = self.target(want);
        let count = arguments.len() as u8;
        let op = match callee {
            Callee::Function(id) => Op::CallProto { count, to, start, proto: self.index_of(id) },
            Callee::Native(native) => {
                Op::CallNative { count, to, start, native: self.compiler.native(native) }
            }
            Callee::Class(id) => Op::CallClass { count, to, start, class: self.index_of(id) },
            Callee::NativeClass(class) => match &class.constructor {
                Some(native) => Op::CallNative { count, to, start, native: self.compiler.native(native) },
                None => {
                    self.compiler
                        .error(span, format!("class {} cannot be constructed by scripts", class.name));
                    Op::ReturnNone
                }
            },
        };
        self.emit(op, span);
        Loc::Reg(to)
    }

    fn index_of(&mut self, id: u32) -> u16 {
        u16::try_from(id).unwrap_or_else(|_| {
            self.code.overflow = Some("the script has too many functions");
            0
        })
    }

    /// A call of whatever is in a register.
    pub(super) fn value_call(&mut self, callee: Reg, arguments: &'a [Argument], to: Reg, span: Span) {
        let start = self.row(callee, arguments, span);
        if must_spread(arguments) {
            self.argument_array(arguments, start + 1, span);
            self.emit(Op::CallSpread { to, start }, span);
            return;
        }
        self.arguments(arguments, start + 1);
        self.emit(Op::CallValue { count: arguments.len() as u8, to, start }, span);
    }

    /// `object->name(arguments)`.
    pub(super) fn method_call(
        &mut self,
        object: Reg,
        name: &Name,
        arguments: &'a [Argument],
        to: Reg,
        span: Span,
    ) {
        let start = self.row(object, arguments, span);
        let name = self.text(&name.text);
        if must_spread(arguments) {
            self.argument_array(arguments, start + 1, span);
            self.emit(Op::CallMethodSpread { to, start, name }, span);
            return;
        }
        self.arguments(arguments, start + 1);
        self.emit(Op::CallMethod { count: arguments.len() as u8, to, start, name }, span);
    }

    /// Registers for a call, with `first` in the first of them.
    fn row(&mut self, first: Reg, arguments: &[Argument], span: Span) -> Reg {
        let count = if must_spread(arguments) { 2 } else { arguments.len() + 1 };
        let start = self.code.temps(count);
        self.emit(Op::Move { to: start, from: first }, span);
        start
    }

    fn arguments(&mut self, arguments: &'a [Argument], start: Reg) {
        for (at, argument) in arguments.iter().enumerate() {
            self.evaluate_row(&argument.value, start + at as Reg);
        }
    }

    /// The arguments as an array in a temporary.
    fn argument_array(&mut self, arguments: &'a [Argument], array: Reg, span: Span) {
        self.emit(Op::ArrayBegin { to: array, capacity: arguments.len().min(1024) as u16 }, span);
        for argument in arguments {
            let mark = self.code.mark();
            let from = self.operand(&argument.value);
            let op = if argument.spread {
                Op::ArgumentSpread { array, from }
            } else {
                Op::ArrayPush { array, from }
            };
            self.emit(op, argument.value.span);
            self.code.release(mark);
        }
    }

    /// A call of a native by its name, with arguments in a row of temporaries.
    pub(super) fn native_call(&mut self, name: &'static str, count: usize, to: Reg, start: Reg, span: Span) {
        match self.compiler.builtin(name) {
            Some(Callee::Native(native)) => {
                let native = self.compiler.native(native);
                self.emit(Op::CallNative { count: count as u8, to, start, native }, span);
            }
            _ => self.compiler.error(span, "this is not available here"),
        }
    }

    /// `cache options callee(arguments)`.
    pub(super) fn cache(&mut self, call: &'a CacheCall, want: Want, span: Span) -> Loc {
        let (callee, bucket) = match &call.callee.kind {
            ExprKind::Identifier { name, builtin } => (self.callee(name, *builtin), name.text.to_string()),
            ExprKind::Static(member) if !member.member.variable => {
                let scope = match &member.scope {
                    Scope::Own(_) => {
                        self.class.map_or_else(|| "static".into(), |class| self.compiler.class_name(class))
                    }
                    Scope::Named(names) => {
                        names.iter().map(|name| name.text.as_ref()).collect::<Vec<_>>().join("::").into()
                    }
                };
                (self.static_function(member), format!("{scope}::{}", member.member.name.text))
            }
            _ => {
                self.compiler.error(call.callee.span, "cache needs the name of a function");
                (None, String::new())
            }
        };
        let Some(callee) = callee else { return self.load(Constant::Value(Frozen::None), want, span) };
        if !must_spread(&call.arguments) {
            self.compiler.check_arity(callee, call.arguments.len(), span);
        }
        let mark = self.code.mark();
        let start = self.code.temps(4);
        self.evaluate_row(&call.options, start);
        self.load(constant_of(callee), Want::Reg(start + 1), span);
        self.load(Constant::Value(Frozen::str(&bucket)), Want::Reg(start + 2), span);
        self.argument_array(&call.arguments, start + 3, span);
        self.code.release(mark);
        let to = self.target(want);
        self.native_call("__cache", 4, to, start, span);
        Loc::Reg(to)
    }
}

fn must_spread(arguments: &[Argument]) -> bool {
    arguments.len() > MAX_DIRECT_ARGUMENTS || arguments.iter().any(|argument| argument.spread)
}
