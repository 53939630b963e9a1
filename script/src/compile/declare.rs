//! Functions and classes are known throughout their scope before anything is compiled.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    Access, Class, Expr, Function, MemberKind, Name, Parameters, Statement, StatementKind,
};
use crate::value::Frozen;

use super::emit::{Job, JobKind};
use super::module::Compiler;
use super::program::{ClassDef, Constant, Method, Restriction, StaticVariable};
use super::scope::{Callee, Scope, Signature};

impl Compiler<'_> {
    /// Registers declared functions and classes in a new scope.
    pub(super) fn declare(
        &mut self,
        statements: &[&Statement],
        parent: Option<Rc<Scope>>,
        class: Option<u32>,
    ) -> Scope {
        let _ = class;
        let mut scope = Scope { parent, ..Scope::default() };
        let mut spans: HashMap<Arc<str>, Span> = HashMap::new();
        for statement in statements {
            let (name, callee) = match &statement.kind {
                StatementKind::Function(function) => {
                    let Some(name) = &function.name else { continue };
                    (
                        name,
                        Callee::Function(self.reserve(
                            name.text.clone(),
                            &function.parameters,
                            function.span,
                        )),
                    )
                }
                StatementKind::Class(class) => (&class.name, Callee::Class(self.declare_class(class))),
                _ => continue,
            };
            // A file shares the scope of its imports.
            let imported = scope
                .parent
                .as_ref()
                .is_some_and(|parent| parent.parent.is_none() && parent.names.contains_key(&name.text));
            if let Some(first) = spans.insert(name.text.clone(), name.span) {
                let diagnostic = Diagnostic::error(name.span, format!("{} is declared twice", name.text));
                self.report(diagnostic.with_related(first, "first here"));
            } else if imported && self.is_file_scope(&scope) {
                self.error(name.span, format!("{} is both imported and declared", name.text));
            }
            scope.names.insert(name.text.clone(), callee);
        }
        scope
    }

    fn is_file_scope(&self, scope: &Scope) -> bool {
        scope.parent.as_ref().is_some_and(|parent| parent.parent.is_none())
    }

    fn declare_class(&mut self, class: &Class) -> u32 {
        let mut def = ClassDef {
            name: class.name.text.clone(),
            constructor: None,
            fields: Vec::new(),
            initializer: None,
            methods: HashMap::new(),
            statics: HashMap::new(),
            variables: HashMap::new(),
            restricted: HashMap::new(),
        };
        let mut signature = Signature::new(class.name.text.clone(), &Parameters::default());
        let mut members = Members::default();
        let mut computed = false;
        for member in &class.members {
            let private = member.access == Access::Private;
            match &member.kind {
                MemberKind::Constructor(function) => {
                    if def.constructor.is_some() {
                        self.error(function.span, "the class has a constructor already");
                    }
                    signature = Signature::new(class.name.text.clone(), &function.parameters);
                    def.constructor =
                        Some(self.reserve(class.name.text.clone(), &function.parameters, function.span));
                }
                MemberKind::Method(function) => {
                    let Some(name) = &function.name else { continue };
                    let clash = members.function(name, member.is_static);
                    self.check_member(clash, name);
                    let full: Arc<str> = format!("{}::{}", class.name.text, name.text).into();
                    let proto = self.reserve(full, &function.parameters, function.span);
                    let list = if member.is_static { &mut def.statics } else { &mut def.methods };
                    list.insert(name.text.clone(), Method { proto, private });
                }
                MemberKind::Variable { name, value } => {
                    let clash = members.variable(name, member.is_static);
                    self.check_member(clash, name);
                    if member.is_static {
                        let initial = self.static_initial(value);
                        let global = self.global(Some(initial));
                        def.variables.insert(name.text.clone(), StaticVariable { global, private });
                        continue;
                    }
                    let restriction = match member.access {
                        Access::Private => Some(Restriction::Private),
                        Access::ReadOnly => Some(Restriction::ReadOnly),
                        Access::Public => None,
                    };
                    def.restricted.extend(restriction.map(|restriction| (name.text.clone(), restriction)));
                    let constant = if computed { None } else { self.fold(value) };
                    match constant {
                        Some(Constant::Value(value)) => def.fields.push((name.text.clone(), value)),
                        _ => computed = true,
                    }
                }
            }
        }
        if computed {
            def.initializer = Some(self.reserve(class.name.text.clone(), &Parameters::default(), class.span));
        }
        self.add_class(def, signature)
    }

    fn static_initial(&mut self, value: &Expr) -> Frozen {
        match self.fold(value) {
            Some(Constant::Value(value)) => value,
            _ => {
                self.error(value.span, "a static variable has to begin with a constant expression");
                Frozen::None
            }
        }
    }

    fn check_member(&mut self, clash: Option<Span>, name: &Name) {
        if let Some(first) = clash {
            let message = format!("the class has a member {} already", name.text);
            self.report(Diagnostic::error(name.span, message).with_related(first, "first here"));
        }
    }

    /// Puts declared functions, and those of declared classes, on the list.
    pub(super) fn queue_declared<'a>(
        &mut self,
        statements: &[&'a Statement],
        scope: &Rc<Scope>,
        class: Option<u32>,
        jobs: &mut Vec<Job<'a>>,
    ) {
        for statement in statements {
            match &statement.kind {
                StatementKind::Function(function) => {
                    let Some(name) = &function.name else { continue };
                    if let Some(Callee::Function(id)) = scope.names.get(&name.text) {
                        jobs.push(function_job(*id, function, false, scope, class));
                    }
                }
                StatementKind::Class(class) => {
                    if let Some(Callee::Class(id)) = scope.names.get(&class.name.text) {
                        self.queue_class(*id, class, scope, jobs);
                    }
                }
                _ => {}
            }
        }
    }

    fn queue_class<'a>(&mut self, id: u32, class: &'a Class, scope: &Rc<Scope>, jobs: &mut Vec<Job<'a>>) {
        let def = self.class(id);
        let constants = def.fields.len();
        let mut fields = Vec::new();
        for member in &class.members {
            match &member.kind {
                MemberKind::Constructor(function) => {
                    jobs.extend(
                        def.constructor.map(|proto| function_job(proto, function, true, scope, Some(id))),
                    );
                }
                MemberKind::Method(function) => {
                    let Some(name) = &function.name else { continue };
                    let list = if member.is_static { &def.statics } else { &def.methods };
                    if let Some(method) = list.get(&name.text) {
                        jobs.push(function_job(method.proto, function, !member.is_static, scope, Some(id)));
                    }
                }
                MemberKind::Variable { name, value } if !member.is_static => fields.push((name, value)),
                MemberKind::Variable { .. } => {}
            }
        }
        if let Some(proto) = def.initializer {
            let fields = fields.split_off(constants.min(fields.len()));
            let kind = JobKind::Initializer { fields, name: class.name.text.clone() };
            jobs.push(Job { id: proto, kind, scope: scope.clone(), class: Some(id) });
        }
    }
}

/// Names of the members of a class. `$o->name` may be a variable or a function, so that these must not share a name;
/// static variables are always written with a `$`.
#[derive(Default)]
struct Members {
    functions: HashMap<Arc<str>, Span>,
    variables: HashMap<Arc<str>, Span>,
    static_functions: HashMap<Arc<str>, Span>,
    static_variables: HashMap<Arc<str>, Span>,
}

impl Members {
    /// Adds a function; the member that has its name already.
    fn function(&mut self, name: &Name, is_static: bool) -> Option<Span> {
        let text = &name.text;
        let list = if is_static { &mut self.static_functions } else { &mut self.functions };
        let clash = list.insert(text.clone(), name.span);
        let others = if is_static {
            [&self.functions, &self.functions]
        } else {
            [&self.static_functions, &self.variables]
        };
        clash.or_else(|| others.iter().find_map(|names| names.get(text)).copied())
    }

    /// The same for a variable.
    fn variable(&mut self, name: &Name, is_static: bool) -> Option<Span> {
        let text = &name.text;
        if is_static {
            return self.static_variables.insert(text.clone(), name.span);
        }
        let clash = self.variables.insert(text.clone(), name.span);
        clash.or_else(|| self.functions.get(text).copied())
    }
}

fn function_job<'a>(
    id: u32,
    function: &'a Function,
    method: bool,
    scope: &Rc<Scope>,
    class: Option<u32>,
) -> Job<'a> {
    Job { id, kind: JobKind::Function { function, method }, scope: scope.clone(), class }
}
