//! Statements.

use crate::compile::BreakPoints;
use crate::compile::analyze::statement_leaves;
use crate::compile::op::{NO_REG, Op, Reg};
use crate::compile::program::Constant;
use crate::source::Span;
use crate::syntax::ast::{
    AssignOp, BinaryOp, Block, Expr, ExprKind, ImportKind, Name, PlaceRoot, Statement, StatementKind,
    SwitchSection,
};
use crate::value::Frozen;

use super::registers::Label;
use super::{Barrier, Emitter, Frame, Loc, Slot, Want};

/// A step that ends a loop together with its condition, in one instruction.
struct Counter {
    variable: u8,
    step: f64,
    or_equal: bool,
}

impl<'a> Emitter<'_, '_, 'a> {
    /// Statements up to the first that leaves; what comes after it is never reached.
    pub(super) fn statements(&mut self, statements: &'a [Statement]) {
        for statement in statements {
            self.statement(statement);
            if statement_leaves(statement) {
                break;
            }
        }
    }

    fn statement(&mut self, statement: &'a Statement) {
        let span = statement.span;
        match &statement.kind {
            // Functions and classes have their own jobs.
            StatementKind::Empty | StatementKind::Function(_) | StatementKind::Class(_) => {}
            StatementKind::Block(block) => self.statements(&block.statements),
            StatementKind::Expression(expr) => self.effect(expr),
            StatementKind::Echo(expr) => self.with_operand(expr, |from| Op::Echo { from }, span),
            StatementKind::Throw(expr) => self.with_operand(expr, |from| Op::Throw { from }, span),
            StatementKind::If { branches, otherwise } => self.if_statement(branches, otherwise.as_deref()),
            StatementKind::For { init, condition, step, body } => {
                self.for_loop(init.as_ref(), condition.as_ref(), step.as_ref(), body, span);
            }
            StatementKind::Foreach { subject, key, value, body } => {
                self.foreach(subject, key.as_ref(), value, body, span);
            }
            StatementKind::While { condition, body } => {
                self.for_loop(None, Some(condition), None, body, span)
            }
            StatementKind::Forever { body } => self.for_loop(None, None, None, body, span),
            StatementKind::Switch { subject, sections } => self.switch(subject, sections, span),
            StatementKind::Break => self.leave_loop(false, span),
            StatementKind::Continue => self.leave_loop(true, span),
            StatementKind::Return(value) => self.return_statement(value.as_ref(), span),
            StatementKind::Yield(value) => match value {
                Some(value) => self.with_operand(value, |from| Op::Yield { from }, span),
                None => {
                    let mark = self.code.mark();
                    let from = self.code.temp();
                    self.load(Constant::Value(Frozen::None), Want::Reg(from), span);
                    self.emit(Op::Yield { from }, span);
                    self.code.release(mark);
                }
            },
            StatementKind::Try { body, variable, handler } => {
                self.try_statement(body, variable, handler, span)
            }
            StatementKind::Global(names) => self.global(names, span),
            StatementKind::Barrier { name, variable, body } => {
                self.barrier(name, variable.as_ref(), body, span)
            }
            StatementKind::Import(import) => self.import(import, span),
            StatementKind::BreakPoint { stage, id } => self.break_point(stage, id, span),
            StatementKind::Include { path, .. } => {
                // Only an inclusion that could not be loaded is still there, and that is reported.
                debug_assert!(self.compiler.has_errors(), "{} is expanded before", path.text);
            }
        }
    }

    fn break_point(&mut self, stage: &str, id: &str, span: Span) {
        if self.compiler.break_points() == BreakPoints::Refused {
            let message = "breakpoints are only for a live stage, and for hsh -C";
            return self.compiler.error(span, message);
        }
        let (stage, id) = (self.text(stage), self.text(id));
        self.emit(Op::BreakPoint { stage, id }, span);
    }

    fn with_operand(&mut self, expr: &'a Expr, op: impl FnOnce(Reg) -> Op, span: Span) {
        let mark = self.code.mark();
        let from = self.operand(expr);
        self.emit(op(from), span);
        self.code.release(mark);
    }

    fn if_statement(&mut self, branches: &'a [(Expr, Statement)], otherwise: Option<&'a Statement>) {
        let end = self.code.label();
        for (at, (condition, body)) in branches.iter().enumerate() {
            let next = self.code.label();
            self.jump_if(condition, false, next, false);
            self.statement(body);
            let last = at + 1 == branches.len() && otherwise.is_none();
            if !last && !statement_leaves(body) {
                self.code.jump(Op::Jump { to: 0 }, end, body.span.after());
            }
            self.code.place(next);
        }
        if let Some(body) = otherwise {
            self.statement(body);
        }
        self.code.place(end);
    }

    /// All loops but `foreach`. The condition is tested at the end of a round.
    fn for_loop(
        &mut self,
        init: Option<&'a Expr>,
        condition: Option<&'a Expr>,
        step: Option<&'a Expr>,
        body: &'a Statement,
        span: Span,
    ) {
        if let Some(init) = init {
            self.effect(init);
        }
        let (end, next, test) = (self.code.label(), self.code.label(), self.code.label());
        let condition = condition.filter(|condition| match self.compiler.fold(condition) {
            Some(constant) => !constant.truthy(),
            None => true,
        });
        if condition.is_some() {
            self.code.jump(Op::Jump { to: 0 }, test, span);
        }
        let top = self.code.here();
        self.frames.push(Frame { end, next: Some(next), barriers: self.barriers.len() });
        self.statement(body);
        self.frames.pop();
        self.code.place(next);
        match (step, condition) {
            (Some(step), Some(condition)) if self.counter(step, condition).is_some() => {
                self.counting_loop(step, condition, top, test);
            }
            (step, condition) => {
                if let Some(step) = step {
                    self.effect(step);
                }
                self.code.place(test);
                match condition {
                    Some(condition) => self.jump_if(condition, true, top, true),
                    None => self.code.jump(Op::Loop { to: 0 }, top, span),
                }
            }
        }
        self.code.place(end);
    }

    /// Whether step and condition are `$i++` or `$i += constant` and `$i < variable or constant`, all numbers.
    fn counter(&mut self, step: &Expr, condition: &Expr) -> Option<Counter> {
        let (place, amount) = match &step.kind {
            ExprKind::Step { place, increment, .. } => (place, if *increment { 1.0 } else { -1.0 }),
            ExprKind::Assign { place, operator: AssignOp::Compute(BinaryOp::Add), value } => {
                match self.compiler.fold(value) {
                    Some(Constant::Value(Frozen::Number(number))) => (place, number),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let PlaceRoot::Variable(name) = &place.root else { return None };
        if !place.steps.is_empty() {
            return None;
        }
        let Slot::Num(variable) = self.slot(name) else { return None };
        let ExprKind::Binary { first, links } = &condition.kind else { return None };
        let [link] = &links[..] else { return None };
        let or_equal = match link.operator {
            BinaryOp::Less => false,
            BinaryOp::LessEqual => true,
            _ => return None,
        };
        let counts = matches!(&first.kind, ExprKind::Variable(other) if other.text == name.text);
        let simple = match &link.operand.kind {
            ExprKind::Variable(limit) => match self.slot(limit) {
                Slot::Num(_) => true,
                Slot::Reg(_) => !self.code.long,
                Slot::Shared(_) => false,
            },
            _ => matches!(self.compiler.fold(&link.operand), Some(Constant::Value(Frozen::Number(_)))),
        };
        (counts && simple).then_some(Counter { variable, step: amount, or_equal })
    }

    fn counting_loop(&mut self, step: &'a Expr, condition: &'a Expr, top: Label, test: Label) {
        let Some(counter) = self.counter(step, condition) else { return };
        let ExprKind::Binary { links, .. } = &condition.kind else { return };
        let span = condition.span;
        let mark = self.code.mark();
        let amount = self.code.number(counter.step, span);
        let loc = self.expression(&links[0].operand, Want::Anywhere);
        let a = counter.variable;
        let op = match loc {
            Loc::Reg(limit) => Op::NumForReg { a, step: amount, or_equal: counter.or_equal, limit, by: 0 },
            Loc::Num(limit) if counter.or_equal => Op::NumForLessEqual { a, step: amount, limit, to: 0 },
            Loc::Num(limit) => Op::NumForLess { a, step: amount, limit, to: 0 },
        };
        self.code.jump(op, top, span);
        // The first test comes without a step.
        let end = self.code.label();
        self.code.jump(Op::Jump { to: 0 }, end, span);
        self.code.place(test);
        self.jump_if(condition, true, top, true);
        self.code.place(end);
        self.code.release(mark);
    }

    fn foreach(
        &mut self,
        subject: &'a Expr,
        key: Option<&'a Name>,
        value: &'a Name,
        body: &'a Statement,
        span: Span,
    ) {
        let mark = self.code.mark();
        let iterator = self.code.temps(3);
        let from = self.operand(subject);
        self.emit(Op::ForeachBegin { iterator, from }, subject.span);
        // Shared variables are assigned from temporaries.
        let (value_reg, value_cell) = self.foreach_variable(value);
        let (key_reg, key_cell) = match key {
            Some(key) => self.foreach_variable(key),
            None => (NO_REG, None),
        };
        let (end, next) = (self.code.label(), self.code.label());
        self.code.jump(Op::Jump { to: 0 }, next, span);
        let top = self.code.here();
        for (cell, from) in [(value_cell, value_reg), (key_cell, key_reg)] {
            if let Some(cell) = cell {
                self.emit(Op::CellSet { cell, from }, value.span);
            }
        }
        self.frames.push(Frame { end, next: Some(next), barriers: self.barriers.len() });
        self.statement(body);
        self.frames.pop();
        self.code.place(next);
        self.emit(Op::ForeachNext { iterator, value: value_reg, key: key_reg }, subject.span);
        self.code.jump(Op::Loop { to: 0 }, top, span);
        self.code.place(end);
        self.emit(Op::Clear { reg: iterator }, span);
        self.code.release(mark);
    }

    fn foreach_variable(&mut self, name: &Name) -> (Reg, Option<Reg>) {
        self.check_writable(name);
        match self.slot(name) {
            Slot::Reg(reg) => (reg, None),
            Slot::Shared(cell) => (self.code.temp(), Some(cell)),
            Slot::Num(_) => unreachable!("variables of foreach may hold anything"),
        }
    }

    fn switch(&mut self, subject: &'a Expr, sections: &'a [SwitchSection], span: Span) {
        let mark = self.code.mark();
        let subject_reg = self.code.temp();
        self.evaluate_row(subject, subject_reg);
        let end = self.code.label();
        let labels: Vec<Label> = sections.iter().map(|_| self.code.label()).collect();
        let mut default = end;
        for (section, label) in sections.iter().zip(&labels) {
            match &section.case {
                Some(case) => self.case(case, subject_reg, *label),
                None => default = *label,
            }
        }
        self.code.jump(Op::Jump { to: 0 }, default, span);
        self.frames.push(Frame { end, next: None, barriers: self.barriers.len() });
        for (section, label) in sections.iter().zip(&labels) {
            self.code.place(*label);
            self.statements(&section.statements);
        }
        self.frames.pop();
        self.code.place(end);
        self.emit(Op::Clear { reg: subject_reg }, span);
        self.code.release(mark);
    }

    fn leave_loop(&mut self, next: bool, span: Span) {
        let found = self.frames.iter().rev().find(|frame| !next || frame.next.is_some());
        let Some(frame) = found else { return };
        let (target, barriers) =
            (if next { frame.next.unwrap_or(frame.end) } else { frame.end }, frame.barriers);
        self.leave_barriers(barriers);
        self.code.jump(Op::Jump { to: 0 }, target, span);
    }

    fn return_statement(&mut self, value: Option<&'a Expr>, span: Span) {
        let mark = self.code.mark();
        match value {
            Some(value) => {
                let mut from = self.operand(value);
                if !self.barriers.is_empty() && !self.code.is_temp(from) {
                    let to = self.code.temp();
                    self.emit(Op::Move { to, from }, span);
                    from = to;
                }
                self.leave_barriers(0);
                self.emit(Op::Return { from }, span);
            }
            None => {
                self.leave_barriers(0);
                self.emit(Op::ReturnNone, span);
            }
        }
        self.code.release(mark);
    }

    fn try_statement(&mut self, body: &'a Block, variable: &'a Name, handler: &'a Block, span: Span) {
        self.check_writable(variable);
        let (caught, after) = (self.code.label(), self.code.label());
        let mark = self.code.mark();
        let (register, cell) = self.foreach_variable(variable);
        let start = self.code.ops.len();
        self.statements(&body.statements);
        self.code.handle(start, caught, register);
        self.code.jump(Op::Jump { to: 0 }, after, span);
        self.code.place(caught);
        if let Some(cell) = cell {
            self.emit(Op::CellSet { cell, from: register }, variable.span);
        }
        self.code.release(mark);
        self.statements(&handler.statements);
        self.code.place(after);
    }

    fn global(&mut self, names: &'a [Name], span: Span) {
        if self.is_file {
            // At the top level the variables are the global ones already.
            return;
        }
        let file = self.file;
        for name in names {
            let parameter = self.variables.find(&name.text).is_some_and(|at| {
                let variable = &self.variables.list[at];
                variable.span.file == name.span.file && variable.span.start < name.span.start
            });
            if parameter {
                let message = format!("${} is a variable of this function already", name.text);
                self.compiler.error(name.span, message);
                continue;
            }
            let (Some(variable), Slot::Shared(reg)) = (file.variables.get(&name.text), self.slot(name))
            else {
                continue;
            };
            if let Some(at) = self.variables.find(&name.text) {
                self.read_only[at] = variable.read_only;
            }
            self.emit(Op::BindGlobal { reg, index: variable.global }, span);
        }
    }

    fn barrier(&mut self, name: &'a Expr, variable: Option<&'a Name>, body: &'a Block, span: Span) {
        let mark = self.code.mark();
        let name_reg = self.code.temp();
        self.evaluate_row(name, name_reg);
        let start = self.code.temp();
        self.emit(Op::Copy { to: start, from: name_reg }, span);
        self.native_call("__barrier_enter", 1, start, start, name.span);
        let variable = variable.map(|variable| {
            self.check_writable(variable);
            let (Slot::Reg(reg) | Slot::Shared(reg)) = self.slot(variable) else {
                unreachable!("the variable of a barrier may be undefined")
            };
            self.emit(Op::CellSet { cell: reg, from: start }, variable.span);
            reg
        });
        let barrier = Barrier { name: name_reg, variable, span: name.span };
        let (failed, after) = (self.code.label(), self.code.label());
        self.barriers.push(barrier);
        let from = self.code.ops.len();
        self.statements(&body.statements);
        self.code.handle(from, failed, start);
        self.barriers.pop();
        self.leave_barrier(barrier);
        self.code.jump(Op::Jump { to: 0 }, after, span);
        self.code.place(failed);
        let to = self.code.temp();
        self.emit(Op::Copy { to, from: name_reg }, span);
        self.native_call("__barrier_leave", 1, to, to, name.span);
        self.emit(Op::Rethrow { from: start }, span);
        self.code.place(after);
        self.code.release(mark);
    }

    /// Releases the barriers that were entered since there were `keep` of them.
    fn leave_barriers(&mut self, keep: usize) {
        for at in (keep..self.barriers.len()).rev() {
            self.leave_barrier(self.barriers[at]);
        }
    }

    fn leave_barrier(&mut self, barrier: Barrier) {
        let mark = self.code.mark();
        let start = self.code.temps(2);
        self.emit(Op::Copy { to: start, from: barrier.name }, barrier.span);
        let mut count = 1;
        if let Some(cell) = barrier.variable {
            self.emit(Op::CellRaw { to: start + 1, cell }, barrier.span);
            count = 2;
        }
        self.native_call("__barrier_leave", count, start, start, barrier.span);
        self.code.release(mark);
    }

    fn import(&mut self, import: &'a crate::syntax::ast::Import, span: Span) {
        if !self.is_file {
            self.compiler.error(span, "import is only possible at the top level of a script");
            return;
        }
        match &import.kind {
            ImportKind::Data { variable, .. } => {
                let Some(value) = self.compiler.data(import.path.span) else { return };
                let mark = self.code.mark();
                let from = self.code.temp();
                self.load(Constant::Value(value), Want::Reg(from), span);
                self.store_variable(variable, from);
                self.code.release(mark);
            }
            ImportKind::Symbols(_) | ImportKind::Wildcard(_) => {
                if let Some(module) = self.compiler.imported(import.path.span) {
                    self.emit(Op::RunModule { module: module as u16 }, span);
                }
            }
        }
    }
}
