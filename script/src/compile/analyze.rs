//! What the variables of a function are: which there are, which may be shared, and which hold nothing but numbers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::source::Span;
use crate::syntax::ast::{
    ArrayItem, AssignOp, BinaryOp, Block, Expr, ExprKind, ImportKind, Name, Place, PlaceRoot, Statement,
    StatementKind, StepKind, StringPart, UnaryOp,
};

use super::assigned::Flow;

/// At most this many variables of a function get a number register.
pub(super) const MAX_NUMBER_VARIABLES: usize = 96;

/// A variable of a function.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: Arc<str>,
    /// Captured, `global` or imported.
    pub(super) shared: bool,
    /// Holds nothing but numbers, and is assigned before it is used.
    pub(super) number: bool,
    /// Where it is first mentioned.
    pub(super) span: Span,
}

/// The variables of a function.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) list: Vec<Variable>,
    index: HashMap<Arc<str>, usize>,
    /// Expressions and statements, as a measure of the size of the code.
    pub(super) nodes: usize,
}

impl Variables {
    /// Of the statements of a function. `fixed` are those whose values come from elsewhere: parameters and the like.
    /// `host` are those that the host may set.
    pub(super) fn of<'a>(
        fixed: impl IntoIterator<Item = &'a Name>,
        host: &[String],
        statements: &[Statement],
    ) -> Variables {
        let mut variables = Variables::default();
        for name in fixed {
            variables.mention(name, Use::Assign(None));
        }
        variables.statements(statements);
        for name in host {
            variables.not_a_number(name);
        }
        let mut left = MAX_NUMBER_VARIABLES;
        for variable in &mut variables.list {
            variable.number &= !variable.shared && left > 0;
            left -= usize::from(variable.number);
        }
        while variables.refine(statements) {}
        Flow::new(&mut variables).function(statements);
        // A variable that lost its numbers takes along those that are computed from it.
        while variables.refine(statements) {}
        variables
    }

    /// The number of a variable.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Whether the variable holds nothing but numbers, as far as is known.
    pub(super) fn is_number(&self, name: &str) -> bool {
        self.find(name).is_some_and(|at| self.list[at].number)
    }

    /// Says that a variable is captured or otherwise shared.
    pub(super) fn share(&mut self, name: &str) {
        if let Some(at) = self.find(name) {
            self.list[at].shared = true;
            self.list[at].number = false;
        }
    }

    /// Adds the variables of an expression.
    pub(super) fn add_expression(&mut self, expr: &Expr) {
        self.expression(expr);
        self.list.iter_mut().for_each(|variable| variable.number = false);
    }

    /// Says that a variable may hold anything.
    pub(super) fn not_a_number(&mut self, name: &str) -> bool {
        match self.find(name) {
            Some(at) => std::mem::replace(&mut self.list[at].number, false),
            None => false,
        }
    }

    fn mention(&mut self, name: &Name, how: Use<'_>) {
        let at = *self.index.entry(name.text.clone()).or_insert_with(|| {
            self.list.push(Variable {
                name: name.text.clone(),
                shared: false,
                number: true,
                span: name.span,
            });
            self.list.len() - 1
        });
        let variable = &mut self.list[at];
        match how {
            Use::Read | Use::Step | Use::Assign(Some(_)) | Use::Compute(..) => {}
            Use::Assign(None) | Use::Inside | Use::Other => variable.number = false,
            Use::Share => {
                variable.shared = true;
                variable.number = false;
            }
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        let mut nodes = 0;
        for_each_statement(statements, &mut |statement| {
            nodes += 1;
            statement_uses(statement, &mut |name, how| self.mention(name, how));
            statement_expressions(statement, &mut |expr| self.expression(expr));
        });
        self.nodes += nodes;
    }

    fn expression(&mut self, expr: &Expr) {
        self.nodes += 1;
        uses(expr, &mut |name, how| self.mention(name, how));
        children(expr, &mut |child| self.expression(child));
    }

    /// Takes the numbers from variables that are assigned something else; says whether there were any.
    fn refine(&mut self, statements: &[Statement]) -> bool {
        let mut lost = Vec::new();
        for_each_statement(statements, &mut |statement| {
            statement_expressions(statement, &mut |expr| self.refine_expression(expr, &mut lost));
        });
        let mut changed = false;
        for name in lost {
            changed |= self.not_a_number(&name);
        }
        changed
    }

    fn refine_expression(&self, expr: &Expr, lost: &mut Vec<Arc<str>>) {
        uses(expr, &mut |name, how| {
            let number = match how {
                Use::Assign(Some(value)) => is_number(value, self),
                Use::Compute(operator, value) => {
                    yields_number(operator, self.is_number(&name.text), is_number(value, self))
                }
                _ => true,
            };
            if !number {
                lost.push(name.text.clone());
            }
        });
        children(expr, &mut |child| self.refine_expression(child, lost));
    }
}

/// How a variable is mentioned.
#[derive(Clone, Copy)]
pub(super) enum Use<'a> {
    Read,
    /// `$v = value`; `None` where the value is not an expression.
    Assign(Option<&'a Expr>),
    /// `$v op= value`
    Compute(BinaryOp, &'a Expr),
    /// `++$v` and the like.
    Step,
    /// `$v[k] = value` and the like.
    Inside,
    /// `isset`, `unset`, `??=`.
    Other,
    /// `closure ($v)`, `global $v`.
    Share,
}

/// Whether an expression certainly yields a number.
pub(super) fn is_number(expr: &Expr, variables: &Variables) -> bool {
    match &expr.kind {
        ExprKind::Number(_) => true,
        ExprKind::Variable(name) => variables.is_number(&name.text),
        ExprKind::Unary { operator: UnaryOp::Negate | UnaryOp::Plus, operand } => {
            is_number(operand, variables)
        }
        ExprKind::Unary { operator: UnaryOp::BitNot, .. } => true,
        ExprKind::Binary { first, links } => {
            let mut number = is_number(first, variables);
            for link in links {
                number = yields_number(link.operator, number, is_number(&link.operand, variables));
            }
            number
        }
        ExprKind::Ternary { condition: _, then: Some(then), otherwise } => {
            is_number(then, variables) && is_number(otherwise, variables)
        }
        ExprKind::Assign { place, operator, value } => match operator {
            AssignOp::Set => is_number(value, variables),
            AssignOp::Compute(operator) => {
                yields_number(*operator, place_is_number(place, variables), is_number(value, variables))
            }
            AssignOp::Coalesce => false,
        },
        ExprKind::Step { place, .. } => place_is_number(place, variables),
        _ => false,
    }
}

/// Whether a place is a variable that holds nothing but numbers.
pub(super) fn place_is_number(place: &Place, variables: &Variables) -> bool {
    match &place.root {
        PlaceRoot::Variable(name) => place.steps.is_empty() && variables.is_number(&name.text),
        _ => false,
    }
}

/// Whether an operator yields a number or an error, given whether its operands certainly are numbers.
pub(super) fn yields_number(operator: BinaryOp, left: bool, right: bool) -> bool {
    match operator {
        // With a number at the left there is nothing but arithmetic.
        BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Modulo => left,
        // A number repeats a string or an array.
        BinaryOp::Multiply => left && right,
        BinaryOp::Divide | BinaryOp::Power => true,
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightZero => true,
        BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor => true,
        _ => false,
    }
}

/// Calls `visit` with the variables that the expression itself mentions, not those of its parts.
pub(super) fn uses<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Name, Use<'a>)) {
    match &expr.kind {
        ExprKind::Variable(name) => visit(name, Use::Read),
        ExprKind::Interpolated(parts) => {
            for part in parts {
                if let StringPart::Variable(name) = part {
                    visit(name, Use::Read);
                }
            }
        }
        ExprKind::Assign { place, operator, value } => place_use(
            place,
            match operator {
                AssignOp::Set => Use::Assign(Some(value)),
                AssignOp::Compute(operator) => Use::Compute(*operator, value),
                AssignOp::Coalesce => Use::Other,
            },
            visit,
        ),
        ExprKind::Destructure { pattern, .. } => {
            pattern
                .items
                .iter()
                .map(|item| &item.name)
                .chain(&pattern.rest)
                .for_each(|name| visit(name, Use::Assign(None)));
        }
        ExprKind::Step { place, .. } => place_use(place, Use::Step, visit),
        ExprKind::Isset(place) | ExprKind::Unset(place) => place_use(place, Use::Other, visit),
        ExprKind::Function(function) => {
            function.closure.iter().flatten().for_each(|name| visit(name, Use::Share));
        }
        _ => {}
    }
}

fn place_use<'a>(place: &'a Place, how: Use<'a>, visit: &mut dyn FnMut(&'a Name, Use<'a>)) {
    if let PlaceRoot::Variable(name) = &place.root {
        visit(name, if place.steps.is_empty() { how } else { Use::Inside });
    }
}

/// Calls `visit` with the parts of an expression, in the order of evaluation. Bodies of functions are not among them.
pub(super) fn children<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Array(items) => {
            for item in items {
                match item {
                    ArrayItem::Value { key, value } => {
                        key.iter().for_each(&mut *visit);
                        visit(value);
                    }
                    ArrayItem::Spread(value) => visit(value),
                }
            }
        }
        ExprKind::Access { base, steps } => {
            visit(base);
            steps.iter().for_each(|step| step_children(&step.kind, visit));
        }
        ExprKind::Unary { operand, .. } => visit(operand),
        ExprKind::Binary { first, links } => {
            visit(first);
            links.iter().for_each(|link| visit(&link.operand));
        }
        ExprKind::And(operands) | ExprKind::Or(operands) | ExprKind::Coalesce(operands) => {
            operands.iter().for_each(visit)
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            visit(condition);
            then.iter().for_each(|then| visit(then));
            visit(otherwise);
        }
        ExprKind::Assign { place, value, .. } => {
            place_children(place, visit);
            visit(value);
        }
        ExprKind::Destructure { pattern, value } => {
            visit(value);
            for item in &pattern.items {
                item.key.iter().chain(&item.default).for_each(&mut *visit);
            }
        }
        ExprKind::Step { place, .. } | ExprKind::Isset(place) | ExprKind::Unset(place) => {
            place_children(place, visit)
        }
        ExprKind::Match { subject, arms } => {
            visit(subject);
            for arm in arms {
                arm.values.iter().flatten().for_each(&mut *visit);
                visit(&arm.result);
            }
        }
        ExprKind::Cache(call) => {
            visit(&call.options);
            call.arguments.iter().for_each(|argument| visit(&argument.value));
        }
        _ => {}
    }
}

fn place_children<'a>(place: &'a Place, visit: &mut dyn FnMut(&'a Expr)) {
    if let PlaceRoot::Value(value) = &place.root {
        visit(value);
    }
    place.steps.iter().for_each(|step| step_children(&step.kind, visit));
}

/// Calls `visit` with the expressions in a step.
pub(super) fn step_children<'a>(step: &'a StepKind, visit: &mut dyn FnMut(&'a Expr)) {
    match step {
        StepKind::Index(key) => visit(key),
        StepKind::Slice(slice) => slice.first.iter().chain(&slice.last).chain(&slice.step).for_each(visit),
        StepKind::Call(arguments) => arguments.iter().for_each(|argument| visit(&argument.value)),
        StepKind::Append | StepKind::Property(_) => {}
    }
}

/// Calls `visit` with all statements, those within others too, in order. Bodies of functions are not among them.
pub(super) fn for_each_statement<'a>(statements: &'a [Statement], visit: &mut dyn FnMut(&'a Statement)) {
    for statement in statements {
        visit(statement);
        match &statement.kind {
            StatementKind::Block(block) | StatementKind::Barrier { body: block, .. } => {
                for_each_statement(&block.statements, visit);
            }
            StatementKind::If { branches, otherwise } => {
                branches.iter().for_each(|(_, body)| for_each_statement(std::slice::from_ref(body), visit));
                otherwise.iter().for_each(|body| for_each_statement(std::slice::from_ref(body), visit));
            }
            StatementKind::For { body, .. }
            | StatementKind::Foreach { body, .. }
            | StatementKind::While { body, .. }
            | StatementKind::Forever { body } => for_each_statement(std::slice::from_ref(body), visit),
            StatementKind::Switch { sections, .. } => {
                sections.iter().for_each(|section| for_each_statement(&section.statements, visit));
            }
            StatementKind::Try { body, handler, .. } => {
                for_each_statement(&body.statements, visit);
                for_each_statement(&handler.statements, visit);
            }
            _ => {}
        }
    }
}

pub(super) fn statement_uses<'a>(statement: &'a Statement, visit: &mut dyn FnMut(&'a Name, Use<'a>)) {
    match &statement.kind {
        StatementKind::Foreach { key, value, .. } => {
            key.iter().chain([value]).for_each(|name| visit(name, Use::Assign(None)));
        }
        StatementKind::Try { variable, .. } => visit(variable, Use::Assign(None)),
        StatementKind::Barrier { variable, .. } => variable.iter().for_each(|name| visit(name, Use::Other)),
        StatementKind::Global(names) => names.iter().for_each(|name| visit(name, Use::Share)),
        StatementKind::Import(import) => match &import.kind {
            ImportKind::Data { variable, .. } => visit(variable, Use::Assign(None)),
            ImportKind::Symbols(symbols) => {
                symbols
                    .iter()
                    .filter(|(_, here)| here.variable)
                    .for_each(|(_, here)| visit(&here.name, Use::Share));
            }
            ImportKind::Wildcard(_) => {}
        },
        _ => {}
    }
}

/// Calls `visit` with the expressions that stand directly in a statement.
pub(super) fn statement_expressions<'a>(statement: &'a Statement, visit: &mut dyn FnMut(&'a Expr)) {
    match &statement.kind {
        StatementKind::Expression(expr) | StatementKind::Echo(expr) | StatementKind::Throw(expr) => {
            visit(expr)
        }
        StatementKind::If { branches, .. } => branches.iter().for_each(|(condition, _)| visit(condition)),
        StatementKind::For { init, condition, step, .. } => {
            init.iter().chain(condition).chain(step).for_each(visit)
        }
        StatementKind::Foreach { subject, .. } => visit(subject),
        StatementKind::While { condition, .. } => visit(condition),
        StatementKind::Switch { subject, sections } => {
            visit(subject);
            sections.iter().flat_map(|section| &section.case).for_each(visit);
        }
        StatementKind::Return(value) | StatementKind::Yield(value) => value.iter().for_each(visit),
        StatementKind::Barrier { name, .. } => visit(name),
        _ => {}
    }
}

/// Whether evaluating the expression may assign to a variable of the function itself.
pub(super) fn assigns(expr: &Expr) -> bool {
    if matches!(
        expr.kind,
        ExprKind::Assign { .. } | ExprKind::Destructure { .. } | ExprKind::Step { .. } | ExprKind::Unset(_)
    ) {
        return true;
    }
    let mut found = false;
    children(expr, &mut |child| found = found || assigns(child));
    found
}

/// Whether the block certainly does not end by running to its end: a small test that needs no analysis.
pub(super) fn leaves(block: &Block) -> bool {
    block.statements.iter().any(statement_leaves)
}

/// Whether a statement certainly goes elsewhere.
pub(super) fn statement_leaves(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Return(_)
        | StatementKind::Throw(_)
        | StatementKind::Break
        | StatementKind::Continue => true,
        StatementKind::Block(block) => leaves(block),
        _ => false,
    }
}
