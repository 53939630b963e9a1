//! What names stand for: functions, classes and globals of the program, and what is not there.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, closest};
use crate::native::Native;
use crate::source::Span;
use crate::syntax;
use crate::syntax::ast::{Name, Parameters};
use crate::value::Frozen;

use super::super::program::{ClassDef, GlobalDef};
use super::super::scope::{Callee, Signature};
use super::Compiler;

impl Compiler<'_> {
    pub(in crate::compile) fn global(&mut self, initial: Option<Frozen>) -> u32 {
        self.known.globals.push(GlobalDef { initial });
        (self.known.globals.len() - 1) as u32
    }

    /// A number for a function to be compiled later.
    pub(in crate::compile) fn reserve(&mut self, name: Arc<str>, parameters: &Parameters, span: Span) -> u32 {
        if self.known.protos.len() >= usize::from(u16::MAX) {
            self.error(span, "the script has too many functions");
            return 0;
        }
        self.known.protos.push(None);
        self.known.signatures.push(Signature::new(name, parameters));
        (self.known.protos.len() - 1) as u32
    }

    /// A number for a class, whose members are declared at once.
    pub(in crate::compile) fn add_class(&mut self, def: ClassDef, signature: Signature) -> u32 {
        self.known.classes.push(Arc::new(def));
        self.known.class_signatures.push(signature);
        (self.known.classes.len() - 1) as u32
    }

    pub(in crate::compile) fn class(&self, id: u32) -> &ClassDef {
        &self.known.classes[id as usize]
    }

    pub(in crate::compile) fn class_name(&self, id: u32) -> Arc<str> {
        self.known.classes[id as usize].name.clone()
    }

    /// What the library has under this name.
    pub(in crate::compile) fn builtin(&self, name: &str) -> Option<Callee> {
        let function = self.library.function(name).map(Callee::Native);
        function.or_else(|| self.library.class(name).map(Callee::NativeClass))
    }

    pub(in crate::compile) fn native(&mut self, native: &'static Native) -> u16 {
        let address = std::ptr::from_ref(native).addr();
        *self.known.native_index.entry(address).or_insert_with(|| {
            self.known.natives.push(native);
            (self.known.natives.len() - 1) as u16
        })
    }

    /// The name of the library that is spelled almost like `text`.
    pub(super) fn meant(&self, text: &str) -> Option<&'static str> {
        let functions = self.library.functions().into_iter().map(|native| native.name);
        closest(text, functions.chain(self.library.classes().into_iter().map(|class| class.name)))
    }

    /// What stands for a name that means nothing here, if the program can run without it; else reports it.
    pub(in crate::compile) fn absent_name(&mut self, name: &Name) -> Option<Callee> {
        let stand_in = self.library.stand_in(&name.text).filter(|_| !self.options.forbid_absent);
        match (stand_in, self.library.why_absent(&name.text)) {
            (Some(native), Some(reason)) => {
                self.report(Diagnostic::warning(
                    name.span,
                    format!("{} is not available: {reason}", name.text),
                ));
                Some(Callee::Native(native))
            }
            _ => {
                self.unknown_name(name);
                None
            }
        }
    }

    /// Whether this stands for a name that means nothing here.
    pub(in crate::compile) fn is_stand_in(&self, native: &'static Native) -> bool {
        self.library.stand_in(native.name).is_some_and(|stand_in| std::ptr::eq(stand_in, native))
    }

    /// Reports a name that means nothing.
    pub(super) fn unknown_name(&mut self, name: &Name) {
        let text = &name.text;
        if self.missing.contains(text) {
            return;
        }
        let diagnostic = match self.library.why_absent(text) {
            Some(reason) => Diagnostic::error(name.span, format!("{text} is not available: {reason}")),
            None => {
                let diagnostic =
                    Diagnostic::error(name.span, format!("there is no function or class {text}"));
                match (syntax::advice_for_unknown_name(text), self.meant(text)) {
                    (Some(advice), _) => diagnostic.with_help(advice),
                    (None, Some(meant)) => diagnostic.with_help(format!("is `{meant}` meant?")),
                    (None, None) => diagnostic,
                }
            }
        };
        self.report(diagnostic);
    }

    /// Reports a wrong number of arguments.
    pub(in crate::compile) fn check_arity(&mut self, callee: Callee, given: usize, span: Span) {
        let result = match callee {
            Callee::Function(id) => match self.known.signatures.get(id as usize) {
                Some(signature) => signature.check(given),
                None => Ok(()),
            },
            Callee::Class(id) => self.known.class_signatures[id as usize].check(given),
            Callee::Native(native) => native.check_arity(given).map_err(|fault| fault.to_string()),
            Callee::NativeClass(class) => match &class.constructor {
                Some(native) => native.check_arity(given).map_err(|fault| fault.to_string()),
                None => Ok(()),
            },
        };
        if let Err(message) = result {
            self.error(span, message);
        }
    }

    pub(in crate::compile) fn export_function(&self, module: usize, name: &str) -> Option<Callee> {
        self.known.modules[module].exports.functions.get(name).copied()
    }

    pub(in crate::compile) fn export_variable(&self, module: usize, name: &str) -> Option<u32> {
        self.known.modules[module].exports.variables.get(name).copied()
    }

    /// The module that an import at this place brings.
    pub(in crate::compile) fn imported(&self, span: Span) -> Option<usize> {
        self.imported.get(&span).copied()
    }

    /// The data that an import at this place brings.
    pub(in crate::compile) fn data(&self, span: Span) -> Option<Frozen> {
        self.data.get(&span).cloned()
    }
}
