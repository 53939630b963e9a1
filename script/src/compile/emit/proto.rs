//! From a job to a finished function.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::compile::BreakPoints;
use crate::compile::analyze::Variables;
use crate::compile::module::Compiler;
use crate::compile::op::{Op, Reg};
use crate::compile::program::{Constant, Input, Proto};
use crate::compile::scope::FileScope;
use crate::source::Span;
use crate::syntax::ast::{self, Expr, Name, Statement};

use super::registers::Code;
use super::{Emitter, Job, JobKind, Slot, Want};

/// Above this many expressions and statements the code uses jumps that reach anywhere.
const LONG_FUNCTION_NODES: usize = 4000;

/// Makes the function of a job, and puts the functions within it on the list.
pub(in crate::compile) fn compile<'a>(
    compiler: &mut Compiler<'_>,
    file: &FileScope,
    job: Job<'a>,
    jobs: &mut Vec<Job<'a>>,
) -> Proto {
    match job.kind {
        JobKind::File { statements, name } => {
            let variables = Variables::of([], &compiler.input_names(), statements);
            let mut emitter = Emitter::new(compiler, jobs, file, job.scope, None, variables);
            emitter.is_file = true;
            emitter.file_function(statements, name)
        }
        JobKind::Function { function, method } => {
            let fixed = function.parameters.list.iter().map(|parameter| &parameter.name);
            let fixed = fixed.chain(&function.parameters.rest);
            let captured = function.closure.iter().flatten();
            let mut variables = Variables::of(fixed.chain(captured), &[], &function.body.statements);
            function.closure.iter().flatten().for_each(|name| variables.share(&name.text));
            let mut emitter = Emitter::new(compiler, jobs, file, job.scope, job.class, variables);
            emitter.has_this =
                method || function.closure.iter().flatten().any(|name| name.text.as_ref() == "this");
            emitter.function(function)
        }
        JobKind::Initializer { fields, name } => {
            let mut emitter = Emitter::new(compiler, jobs, file, job.scope, job.class, Variables::default());
            emitter.has_this = true;
            emitter.initializer(&fields, name)
        }
    }
}

impl<'e, 'c, 'a> Emitter<'e, 'c, 'a> {
    fn new(
        compiler: &'e mut Compiler<'c>,
        jobs: &'e mut Vec<Job<'a>>,
        file: &'e FileScope,
        scope: Rc<super::Scope>,
        class: Option<u32>,
        variables: Variables,
    ) -> Self {
        let mut variables = variables;
        if compiler.break_points() == BreakPoints::Allowed {
            // In number registers they would have no names.
            variables.list.iter_mut().for_each(|variable| variable.number = false);
        }
        let mut code = Code::default();
        code.long = variables.nodes > LONG_FUNCTION_NODES;
        Emitter {
            compiler,
            jobs,
            file,
            scope,
            class,
            is_file: false,
            has_this: false,
            read_only: vec![false; variables.list.len()],
            variables,
            slots: Vec::new(),
            code,
            frames: Vec::new(),
            barriers: Vec::new(),
        }
    }

    /// Gives every variable its register.
    fn place_variables(&mut self) {
        let mut next_reg = Reg::from(self.has_this);
        let mut next_num = 0;
        for variable in &self.variables.list {
            if variable.name.as_ref() == "this" && self.has_this {
                self.slots.push(Slot::Reg(0));
                continue;
            }
            let slot = match (variable.number, variable.shared) {
                (true, _) => {
                    next_num += 1;
                    Slot::Num(next_num - 1)
                }
                (false, true) => Slot::Shared(next_reg),
                (false, false) => Slot::Reg(next_reg),
            };
            if !variable.number {
                next_reg = next_reg.saturating_add(1);
            }
            self.slots.push(slot);
        }
        self.code.begin(usize::from(next_reg), usize::from(next_num));
    }

    fn file_function(mut self, statements: &'a [Statement], name: Arc<str>) -> Proto {
        let file = self.file;
        for at in 0..self.variables.list.len() {
            if let Some(variable) = file.variables.get(&self.variables.list[at].name) {
                self.read_only[at] = variable.read_only;
                self.variables.list[at].shared = true;
                self.variables.list[at].number = false;
            } else if self.compiler.is_read_only(&self.variables.list[at].name) {
                self.read_only[at] = true;
            }
        }
        self.place_variables();
        for at in 0..self.variables.list.len() {
            if let (Some(variable), Slot::Shared(reg)) =
                (file.variables.get(&self.variables.list[at].name), self.slots[at])
            {
                self.emit(Op::BindGlobal { reg, index: variable.global }, Span::default());
            }
        }
        self.declare_inputs();
        self.compiler.note_reads(statements);
        self.statements(statements);
        self.finish(name, None)
    }

    /// Tells the compiler where the variables of the host live that the script mentions.
    fn declare_inputs(&mut self) {
        for (name, variable) in &self.file.variables {
            self.compiler.place_input(name, Input::Global(variable.global));
        }
        for (at, variable) in self.variables.list.iter().enumerate() {
            if let (Slot::Reg(reg) | Slot::Shared(reg), None) =
                (self.slots[at], self.file.variables.get(&variable.name))
            {
                self.compiler.place_input(&variable.name, Input::Register(reg));
            }
        }
    }

    /// Each parameter and captured variable has a register of its own, which takes names that differ.
    fn check_parameters(&mut self, function: &'a ast::Function) {
        let mut seen = HashSet::new();
        let parameters = function.parameters.list.iter().map(|parameter| &parameter.name);
        for name in parameters.chain(&function.parameters.rest) {
            if name.text.as_ref() == "this" {
                self.compiler.error(name.span, "$this cannot be a parameter");
            }
            if !seen.insert(&name.text) {
                self.compiler.error(name.span, format!("${} is a parameter already", name.text));
            }
        }
        for name in function.closure.iter().flatten() {
            if !seen.insert(&name.text) {
                self.compiler.error(name.span, format!("${} is a parameter or captured already", name.text));
            }
        }
    }

    fn function(mut self, function: &'a ast::Function) -> Proto {
        self.check_parameters(function);
        self.place_variables();
        self.declare(&function.body.statements);
        self.statements(&function.body.statements);
        let name = match (&function.name, self.class) {
            (Some(name), Some(class)) => format!("{}::{}", self.compiler.class_name(class), name.text).into(),
            (Some(name), None) => name.text.clone(),
            (None, Some(class)) if self.has_this && function.closure.is_none() => {
                self.compiler.class_name(class)
            }
            (None, _) => "function".into(),
        };
        self.finish(name, Some(function))
    }

    fn initializer(mut self, fields: &[(&'a Name, &'a Expr)], name: Arc<str>) -> Proto {
        let mut variables = Variables::default();
        for (_, value) in fields {
            variables.add_expression(value);
        }
        self.read_only = vec![false; variables.list.len()];
        self.variables = variables;
        self.place_variables();
        for (field, value) in fields {
            let mark = self.code.mark();
            let from = self.code.temp();
            self.expression(value, Want::Reg(from));
            let name = self.text(&field.text);
            self.emit(Op::PropertySet { base: 0, name, from }, field.span);
            self.code.release(mark);
        }
        self.finish(name, None)
    }

    fn finish(mut self, name: Arc<str>, function: Option<&'a ast::Function>) -> Proto {
        self.emit(Op::ReturnNone, function.map_or(Span::default(), |function| function.span));
        let mut defaults = Vec::new();
        for parameter in function.iter().flat_map(|function| &function.parameters.list) {
            if let Some(default) = &parameter.default {
                let value = self.compiler.constant(default, &self.scope, self.class);
                defaults
                    .push(self.code.constant(value.unwrap_or(Constant::Value(crate::value::Frozen::None))));
            }
        }
        let code = &mut self.code;
        code.finish();
        if let Some(message) = code.overflow {
            let span = function
                .map_or_else(|| code.spans.first().copied().unwrap_or_default(), |function| function.span);
            self.compiler.error(span, message);
        }
        let names =
            self.variables.list.iter().zip(&self.slots).filter(|(_, slot)| !matches!(slot, Slot::Num(_)));
        let mut names: Vec<Arc<str>> = names
            .filter(|(variable, _)| !self.has_this || variable.name.as_ref() != "this")
            .map(|(variable, _)| variable.name.clone())
            .collect();
        if self.has_this {
            names.insert(0, "this".into());
        }
        let code = self.code;
        Proto {
            name,
            number_registers: (code.numbers.len() + code.max_num) as u16,
            code: code.ops.into(),
            spans: code.spans.into(),
            constants: code.constants.into(),
            numbers: code.numbers.into(),
            more_numbers: code.more_numbers.into(),
            paths: code.paths.into(),
            handlers: code.handlers.into(),
            capture_lists: code.capture_lists.into(),
            params: function.map_or(0, |function| function.parameters.list.len()) as u16,
            defaults: defaults.into(),
            variadic: function.is_some_and(|function| function.parameters.rest.is_some()),
            has_this: self.has_this,
            generator: function.is_some_and(|function| function.generator),
            class: self.class,
            locals: code.locals as Reg,
            registers: code.max_reg as Reg,
            names: names.into(),
        }
    }
}
