//! The tree as text, for tests.

use std::fmt::Write;

use crate::syntax::ast::*;

/// The statements, one space between them.
pub(super) fn script(script: &Script) -> String {
    statements(&script.statements)
}

fn joined<T>(items: &[T], print: impl Fn(&T) -> String) -> String {
    items.iter().map(print).collect::<Vec<_>>().join(" ")
}

fn statements(list: &[Statement]) -> String {
    joined(list, statement)
}

fn block(block: &Block) -> String {
    format!("{{{}}}", statements(&block.statements))
}

fn name(name: &Name) -> String {
    format!("${}", name.text)
}

fn option(value: Option<&Expr>) -> String {
    value.map_or_else(|| "_".to_owned(), expr)
}

fn statement(statement_: &Statement) -> String {
    match &statement_.kind {
        StatementKind::Empty => ";".to_owned(),
        StatementKind::Block(inner) => block(inner),
        StatementKind::Expression(value) => expr(value),
        StatementKind::Echo(value) => format!("(echo {})", expr(value)),
        StatementKind::If { branches, otherwise } => {
            let branches = joined(branches, |(c, s)| format!("[{} {}]", expr(c), statement(s)));
            let otherwise = otherwise.as_ref().map_or_else(String::new, |s| format!(" {}", statement(s)));
            format!("(if {branches}{otherwise})")
        }
        StatementKind::For { init, condition, step, body } => format!(
            "(for {} {} {} {})",
            option(init.as_ref()),
            option(condition.as_ref()),
            option(step.as_ref()),
            statement(body)
        ),
        StatementKind::Foreach { subject, key, value, body } => {
            let key = key.as_ref().map_or_else(String::new, |key| format!("{} ", name(key)));
            format!("(foreach {} {key}{} {})", expr(subject), name(value), statement(body))
        }
        StatementKind::While { condition, body } => {
            format!("(while {} {})", expr(condition), statement(body))
        }
        StatementKind::Forever { body } => format!("(forever {})", statement(body)),
        StatementKind::Switch { subject, sections } => {
            let sections = joined(sections, |section| {
                let label = section.case.as_ref().map_or_else(|| "default".to_owned(), expr);
                format!("[{label}: {}]", statements(&section.statements))
            });
            format!("(switch {} {sections})", expr(subject))
        }
        StatementKind::Break => "break".to_owned(),
        StatementKind::Continue => "continue".to_owned(),
        StatementKind::Return(value) => format!("(return {})", option(value.as_ref())),
        StatementKind::Try { body, variable, handler } => {
            format!("(try {} {} {})", block(body), name(variable), block(handler))
        }
        StatementKind::BreakPoint { stage, id } => format!("(break {stage:?} {id:?})"),
        StatementKind::Throw(value) => format!("(throw {})", expr(value)),
        StatementKind::Yield(value) => format!("(yield {})", option(value.as_ref())),
        StatementKind::Global(names) => format!("(global {})", joined(names, name)),
        StatementKind::Barrier { name: key, variable, body } => {
            let variable =
                variable.as_ref().map_or_else(String::new, |variable| format!(" {}", name(variable)));
            format!("(barrier {}{variable} {})", expr(key), block(body))
        }
        StatementKind::Include { path, once } => {
            format!("(include{} {:?})", if *once { "_once" } else { "" }, path.text)
        }
        StatementKind::Import(import) => {
            format!("(import {} {:?})", import_kind(&import.kind), import.path.text)
        }
        StatementKind::Function(inner) => function(inner),
        StatementKind::Class(class) => {
            format!("(class {} {})", class.name.text, joined(&class.members, member))
        }
    }
}

fn symbol(symbol: &Symbol) -> String {
    format!("{}{}", if symbol.variable { "$" } else { "" }, symbol.name.text)
}

fn import_kind(kind: &ImportKind) -> String {
    match kind {
        ImportKind::Symbols(list) => {
            joined(list, |(there, here)| format!("{}={}", symbol(here), symbol(there)))
        }
        ImportKind::Wildcard(name) => format!("*={}", name.text),
        ImportKind::Data { variable, options } => format!("{} {}", name(variable), option(options.as_ref())),
    }
}

fn function(function: &Function) -> String {
    let kind = if function.generator { "generator" } else { "function" };
    let mut text = format!("({kind} ");
    if let Some(name) = &function.name {
        write!(text, "{} ", name.text).unwrap();
    }
    let mut parameters: Vec<_> = function
        .parameters
        .list
        .iter()
        .map(|parameter| match &parameter.default {
            Some(default) => format!("{}={}", name(&parameter.name), expr(default)),
            None => name(&parameter.name),
        })
        .collect();
    parameters.extend(function.parameters.rest.iter().map(|rest| format!("...{}", name(rest))));
    write!(text, "({})", parameters.join(" ")).unwrap();
    if let Some(closure) = &function.closure {
        write!(text, " closure({})", joined(closure, name)).unwrap();
    }
    write!(text, " {})", block(&function.body)).unwrap();
    text
}

fn member(member: &Member) -> String {
    let access = match member.access {
        Access::Public => "",
        Access::Private => "private ",
        Access::ReadOnly => "readonly ",
    };
    let is_static = if member.is_static { "static " } else { "" };
    let kind = match &member.kind {
        MemberKind::Constructor(inner) => format!("constructor{}", function(inner)),
        MemberKind::Method(inner) => function(inner),
        MemberKind::Variable { name: variable, value } => format!("({} = {})", name(variable), expr(value)),
    };
    format!("{access}{is_static}{kind}")
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn expr(value: &Expr) -> String {
    match &value.kind {
        ExprKind::Error => "<error>".to_owned(),
        ExprKind::None => "none".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Number(value) => value.to_string(),
        ExprKind::String(bytes) => quoted(bytes),
        ExprKind::Interpolated(parts) => {
            let parts = joined(parts, |part| match part {
                StringPart::Text(bytes) => quoted(bytes),
                StringPart::Variable(variable) => name(variable),
            });
            format!("(text {parts})")
        }
        ExprKind::Regex { pattern, flags } => format!("#/{}/{flags}", pattern.escape_ascii()),
        ExprKind::Variable(variable) => name(variable),
        ExprKind::Identifier { name, builtin } => {
            format!("{}{}", if *builtin { "builtin:" } else { "" }, name.text)
        }
        ExprKind::Static(member) => static_member(member),
        ExprKind::Array(items) => format!("[{}]", joined(items, array_item)),
        ExprKind::Function(inner) => function(inner),
        ExprKind::Access { base, steps: list } => format!("(at {} {})", expr(base), steps(list)),
        ExprKind::Unary { operator, operand } => format!("({} {})", operator.text(), expr(operand)),
        ExprKind::Binary { first, links } => {
            let links = joined(links, |link| format!("{} {}", link.operator.text(), expr(&link.operand)));
            format!("({} {links})", expr(first))
        }
        ExprKind::And(operands) => format!("(and {})", joined(operands, expr)),
        ExprKind::Or(operands) => format!("(or {})", joined(operands, expr)),
        ExprKind::Coalesce(operands) => format!("(?? {})", joined(operands, expr)),
        ExprKind::Ternary { condition, then, otherwise } => {
            format!("(? {} {} {})", expr(condition), option(then.as_deref()), expr(otherwise))
        }
        ExprKind::Assign { place: target, operator, value } => {
            format!("({} {} {})", operator.text(), place(target), expr(value))
        }
        ExprKind::Destructure { pattern: target, value } => {
            format!("(= {} {})", pattern(target), expr(value))
        }
        ExprKind::Step { place: target, increment, prefix } => {
            let operator = if *increment { "++" } else { "--" };
            if *prefix {
                format!("({operator}_ {})", place(target))
            } else {
                format!("(_{operator} {})", place(target))
            }
        }
        ExprKind::Isset(target) => format!("(isset {})", place(target)),
        ExprKind::Unset(target) => format!("(unset {})", place(target)),
        ExprKind::Match { subject, arms } => {
            let arms = joined(arms, |arm| {
                let values =
                    arm.values.as_ref().map_or_else(|| "default".to_owned(), |list| joined(list, expr));
                format!("[{values}: {}]", expr(&arm.result))
            });
            format!("(match {} {arms})", expr(subject))
        }
        ExprKind::Cache(call) => {
            format!("(cache {} {}({}))", expr(&call.options), expr(&call.callee), arguments(&call.arguments))
        }
    }
}

fn static_member(member: &StaticMember) -> String {
    let scope = match &member.scope {
        Scope::Own(_) => "static".to_owned(),
        Scope::Named(names) => names.iter().map(|name| name.text.to_string()).collect::<Vec<_>>().join("::"),
    };
    format!("{scope}::{}", symbol(&member.member))
}

fn array_item(item: &ArrayItem) -> String {
    match item {
        ArrayItem::Value { key: Some(key), value } => format!("{}=>{}", expr(key), expr(value)),
        ArrayItem::Value { key: None, value } => expr(value),
        ArrayItem::Spread(value) => format!("...{}", expr(value)),
    }
}

fn arguments(list: &[Argument]) -> String {
    joined(list, |argument| format!("{}{}", if argument.spread { "..." } else { "" }, expr(&argument.value)))
}

fn steps(list: &[Step]) -> String {
    joined(list, |step| match &step.kind {
        StepKind::Index(index) => format!("[{}]", expr(index)),
        StepKind::Append => "[]".to_owned(),
        StepKind::Slice(slice) => format!(
            "[{}:{}:{}]",
            option(slice.first.as_ref()),
            option(slice.last.as_ref()),
            option(slice.step.as_ref())
        ),
        StepKind::Property(name) => format!("->{}", name.text),
        StepKind::Call(list) => format!("({})", arguments(list)),
    })
}

fn place(place: &Place) -> String {
    let root = match &place.root {
        PlaceRoot::Variable(variable) => name(variable),
        PlaceRoot::Static(member) => static_member(member),
        PlaceRoot::Value(value) => format!("<{}>", expr(value)),
    };
    if place.steps.is_empty() { root } else { format!("{{{root} {}}}", steps(&place.steps)) }
}

fn pattern(pattern: &Pattern) -> String {
    let mut items: Vec<_> = pattern
        .items
        .iter()
        .map(|item| {
            let key = item.key.as_ref().map_or_else(String::new, |key| format!("{}=>", expr(key)));
            let default = item.default.as_ref().map_or_else(String::new, |value| format!("={}", expr(value)));
            format!("{key}{}{default}", name(&item.name))
        })
        .collect();
    items.extend(pattern.rest.iter().map(|rest| format!("...{}", name(rest))));
    format!("[{}]", items.join(" "))
}
