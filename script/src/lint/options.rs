//! Options that a function of the library does not know: it ignores them, so that a misspelt one is never noticed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::visit::{Visit, walk_expr};
use crate::diagnostic::{Diagnostic, closest};
use crate::native::Library;
use crate::syntax::ast::{Argument, ArrayItem, Expr, ExprKind, Script, StepKind};

/// One line for each function or `->method`: its name, the number of the argument with its options, and the options.
const TABLE: &str = include_str!("options.txt");

struct Known {
    argument: usize,
    options: Vec<&'static str>,
}

fn table() -> &'static HashMap<&'static str, Known> {
    static KNOWN: OnceLock<HashMap<&'static str, Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let entries = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, number) = (words.next()?, words.next()?);
            Some((
                name,
                Known { argument: number.parse::<usize>().ok()?.checked_sub(1)?, options: words.collect() },
            ))
        });
        entries.collect()
    })
}

/// The functions and `->methods` whose options are checked.
pub fn names_with_options() -> impl Iterator<Item = &'static str> {
    table().keys().copied()
}

pub(super) fn check(
    script: &Script,
    library: &Library,
    own: &HashSet<Arc<str>>,
    findings: &mut Vec<Diagnostic>,
) {
    Checker { library, own, findings }.script(script);
}

struct Checker<'a> {
    library: &'a Library,
    own: &'a HashSet<Arc<str>>,
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn call(&mut self, name: &str, arguments: &[Argument]) {
        let Some(known) = table().get(name) else { return };
        let spread_before = arguments.iter().take(known.argument + 1).any(|argument| argument.spread);
        let Some(options) = arguments.get(known.argument).filter(|_| !spread_before) else { return };
        let ExprKind::Array(items) = &options.value.kind else { return };
        for item in items {
            let ArrayItem::Value { key: Some(key), .. } = item else { continue };
            let ExprKind::String(text) = &key.kind else { continue };
            let text = String::from_utf8_lossy(text);
            if known.options.contains(&&*text) {
                continue;
            }
            let name = name.trim_start_matches("->");
            let warning = Diagnostic::warning(key.span, format!("{name}() has no option `{text}`"));
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
                if let ExprKind::Identifier { name, builtin } = &base.kind
                    && let Some(StepKind::Call(arguments)) = steps.first().map(|step| &step.kind)
                    && (*builtin || !self.own.contains(&name.text))
                    && self.library.function(&name.text).is_some()
                {
                    self.call(&name.text, arguments);
                }
                for pair in steps.windows(2) {
                    if let (StepKind::Property(name), StepKind::Call(arguments)) =
                        (&pair[0].kind, &pair[1].kind)
                    {
                        self.call(&format!("->{}", name.text), arguments);
                    }
                }
            }
            ExprKind::Cache(call) => {
                let options = Argument { value: call.options.clone(), spread: false };
                self.call("cache", std::slice::from_ref(&options));
                if let ExprKind::Identifier { name, builtin } = &call.callee.kind
                    && (*builtin || !self.own.contains(&name.text))
                    && self.library.function(&name.text).is_some()
                {
                    self.call(&name.text, &call.arguments);
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
