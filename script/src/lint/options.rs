//! Options that a function of the library does not know: it ignores them, so that a misspelt one is never noticed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::Surroundings;
use super::visit::{Visit, walk_expr};
use crate::diagnostic::{Diagnostic, closest};
use crate::syntax::ast::{
    Argument, ArrayItem, Expr, ExprKind, ImportKind, Scope, Script, StatementKind, StaticMember, StepKind,
};

/// One line for each who takes options; the head of the file says how.
const TABLE: &str = include_str!("options.txt");

struct Known {
    /// `None`: they are not an argument of a call.
    argument: Option<usize>,
    options: Vec<&'static str>,
}

fn table() -> &'static HashMap<&'static str, Vec<Known>> {
    static KNOWN: OnceLock<HashMap<&'static str, Vec<Known>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut table: HashMap<_, Vec<Known>> = HashMap::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
            let argument = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            table.entry(name).or_default().push(Known { argument, options: words.collect() });
        }
        table
    })
}

/// Who takes options, as the table names them.
pub fn names_with_options() -> impl Iterator<Item = &'static str> {
    table().keys().copied()
}

/// The options of a name of the table, those of all its arguments.
pub fn options_of(name: &str) -> impl Iterator<Item = &'static str> {
    table().get(name).into_iter().flatten().flat_map(|known| known.options.iter().copied())
}

/// Whether the table has this option of a decision, such as `mailfrom:Accept`.
pub fn is_known(decision: &str, option: &str) -> bool {
    options_of(decision).any(|known| known == option)
}

/// Whether a native of this name has this option. That which only modules of the library call, which begins with `__`, is
/// described where the module is.
pub(crate) fn is_option(native: &str, option: &str) -> bool {
    let is_named = |name: &str| {
        let last = name.strip_prefix("->").or(name.rsplit("::").next()).unwrap_or(name);
        last == native
    };
    native.starts_with("__")
        || names_with_options()
            .filter(|name| is_named(name))
            .any(|name| options_of(name).any(|known| known == option))
}

pub(super) fn check(
    script: &Script,
    surroundings: Surroundings<'_>,
    own: &HashSet<Arc<str>>,
    findings: &mut Vec<Diagnostic>,
) {
    Checker { surroundings, own, imported: imported(script), findings }.script(script);
}

/// Names that come from modules of the library, and what the table calls them.
fn imported(script: &Script) -> HashMap<Arc<str>, String> {
    let mut names = HashMap::new();
    for statement in &script.statements {
        let StatementKind::Import(import) = &statement.kind else { continue };
        let ImportKind::Symbols(symbols) = &import.kind else { continue };
        for (symbol, here) in symbols {
            let name = format!("{}::{}", import.path.text, symbol.name.text);
            names.insert(Arc::clone(&here.name.text), name);
        }
    }
    names
}

struct Checker<'a> {
    surroundings: Surroundings<'a>,
    own: &'a HashSet<Arc<str>>,
    imported: HashMap<Arc<str>, String>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    /// A function or class, by the name that it has here.
    fn call_named(&mut self, name: &Arc<str>, builtin: bool, arguments: &[Argument]) {
        if let (Some(imported), false) = (self.imported.get(name).cloned(), builtin) {
            return self.call(&imported, name, arguments);
        }
        if !builtin && self.own.contains(name) {
            return;
        }
        let library = self.surroundings.library;
        if library.is_terminating(name) {
            self.decide(name, arguments);
        } else if library.function(name).is_some() || library.class(name).is_some() {
            self.call(name, name, arguments);
        }
    }

    /// A decision of the hook; of any, where it is not known which the script is for.
    fn decide(&mut self, name: &str, arguments: &[Argument]) {
        let rows = table().iter().filter(|(known_as, _)| {
            known_as.split_once(':').is_some_and(|(hook, decision)| {
                decision == name && self.surroundings.hook.is_none_or(|of| of == hook)
            })
        });
        let rows: Vec<&Known> = rows.flat_map(|(_, rows)| rows).collect();
        let Some(argument) = rows.first().and_then(|row| row.argument) else { return };
        let mut options: Vec<&'static str> =
            rows.iter().flat_map(|row| row.options.iter().copied()).collect();
        options.sort_unstable();
        options.dedup();
        self.argument(name, name, &Known { argument: Some(argument), options }, arguments);
    }

    fn call_static(&mut self, member: &StaticMember, arguments: &[Argument]) {
        let Scope::Named(scope) = &member.scope else { return };
        let [class] = &scope[..] else { return };
        let (class, method) = (&class.text, &member.member.name.text);
        match self.imported.get(class) {
            Some(imported) => self.call(&format!("{imported}::{method}"), method, arguments),
            None if self.own.contains(class) => {}
            None => self.call(&format!("{class}::{method}"), method, arguments),
        }
    }

    /// `known_as` is the name in the table, `name` the one in the script.
    fn call(&mut self, known_as: &str, name: &str, arguments: &[Argument]) {
        for known in table().get(known_as).into_iter().flatten() {
            self.argument(known_as, name, known, arguments);
        }
    }

    /// Looks at the argument that has the options.
    fn argument(&mut self, known_as: &str, name: &str, known: &Known, arguments: &[Argument]) {
        let Some(argument) = known.argument else { return };
        let spread_before = arguments.iter().take(argument + 1).any(|argument| argument.spread);
        if let Some(options) = arguments.get(argument).filter(|_| !spread_before) {
            self.options(known_as, &format!("{name}()"), known, &options.value);
        }
    }

    /// `who` is what errors call it. An array among the options is looked at, too, where the table has a line for it.
    fn options(&mut self, known_as: &str, who: &str, known: &Known, options: &Expr) {
        let ExprKind::Array(items) = &options.kind else { return };
        for item in items {
            let ArrayItem::Value { key: Some(key), value } = item else { continue };
            let ExprKind::String(text) = &key.kind else { continue };
            let text = String::from_utf8_lossy(text);
            if known.options.contains(&&*text) {
                let inner = format!("{known_as}.{text}");
                for known in table().get(&*inner).into_iter().flatten() {
                    self.options(&inner, &format!("option `{text}` of {who}"), known, value);
                }
                continue;
            }
            let warning = Diagnostic::warning(key.span, format!("{who} has no option `{text}`"));
            self.findings.push(match closest(&text, known.options.iter().copied()) {
                Some(option) => warning.with_help(format!("is `{option}` meant?")),
                None => warning.with_help(format!("its options are: {}", known.options.join(", "))),
            });
        }
    }
}

impl Visit for Checker<'_> {
    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Access { base, steps } => {
                if let Some(StepKind::Call(arguments)) = steps.first().map(|step| &step.kind) {
                    match &base.kind {
                        ExprKind::Identifier { name, builtin } => {
                            self.call_named(&name.text, *builtin, arguments);
                        }
                        ExprKind::Static(member) => self.call_static(member, arguments),
                        _ => {}
                    }
                }
                for pair in steps.windows(2) {
                    if let (StepKind::Property(name), StepKind::Call(arguments)) =
                        (&pair[0].kind, &pair[1].kind)
                    {
                        self.call(&format!("->{}", name.text), &name.text, arguments);
                    }
                }
            }
            ExprKind::Cache(call) => {
                let options = Argument { value: call.options.clone(), spread: false };
                self.call("cache", "cache", std::slice::from_ref(&options));
                match &call.callee.kind {
                    ExprKind::Identifier { name, builtin } => {
                        self.call_named(&name.text, *builtin, &call.arguments);
                    }
                    ExprKind::Static(member) => self.call_static(member, &call.arguments),
                    _ => {}
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
