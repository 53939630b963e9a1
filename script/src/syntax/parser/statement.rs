//! Statements.

use std::sync::Arc;

use super::{Parse, Parser, Surroundings};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Block, Expr, ExprKind, Statement, StatementKind, SwitchSection};
use crate::syntax::token::{Keyword, Kind, Punct};

impl Parser<'_> {
    /// The statements of the whole text.
    pub(super) fn statements_until_end(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        loop {
            self.statements(&mut statements, |_| false);
            if self.kind() == Kind::End {
                return statements;
            }
            let error = Diagnostic::error(self.span(), "this `}` closes nothing");
            self.fail(error);
            self.advance();
        }
    }

    /// Statements up to a closing brace, the end, or where `stop` says.
    fn statements(&mut self, into: &mut Vec<Statement>, stop: impl Fn(&Self) -> bool) {
        while self.kind() != Kind::End && !self.is(Punct::CloseBrace) && !stop(self) {
            let start = self.at;
            let (around, depth) = (self.around, self.depth);
            match self.statement() {
                Ok(statement) => into.push(statement),
                Err(_) => {
                    (self.around, self.depth) = (around, depth);
                    self.synchronise(start);
                }
            }
        }
    }

    /// Statements in braces.
    pub(super) fn block(&mut self, place: &str) -> Parse<Block> {
        let start = self.expect(Punct::OpenBrace, place)?;
        let mut statements = Vec::new();
        self.within(Surroundings { nested: true, ..self.around }, |parser| {
            parser.statements(&mut statements, |_| false);
        });
        self.expect(Punct::CloseBrace, "at the end of the block")?;
        Ok(Block { statements, span: self.since(start) })
    }

    /// Parses with other surroundings.
    pub(super) fn within<T>(&mut self, around: Surroundings, parse: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.around, around);
        let result = parse(self);
        self.around = before;
        result
    }

    fn statement(&mut self) -> Parse<Statement> {
        let start = self.span();
        let kind = self.nested(Self::statement_kind)?;
        Ok(Statement { kind, span: self.since(start) })
    }

    fn statement_kind(&mut self) -> Parse<StatementKind> {
        match self.kind() {
            Kind::Punct(Punct::OpenBrace) => self.block("of a block").map(StatementKind::Block),
            Kind::Punct(Punct::Semicolon) => {
                self.advance();
                Ok(StatementKind::Empty)
            }
            Kind::Keyword(keyword) => self.keyword_statement(keyword),
            Kind::Ident => match self.word_statement() {
                Some(statement) => statement,
                None => self.expression_statement(),
            },
            _ => self.expression_statement(),
        }
    }

    /// A statement that begins with a word which is no keyword, and is no expression; kept out of the function above, whose
    /// frame is on the stack at each level of nesting.
    fn word_statement(&mut self) -> Option<Parse<StatementKind>> {
        if self.at_break_point() { Some(self.break_point()) } else { self.foreign_statement() }
    }

    /// Debuggers write `__debug ["stage", "id"]` in front of a line: what follows on it is one statement with that.
    fn at_break_point(&self) -> bool {
        let literal = |kind| matches!(kind, Kind::String | Kind::RawString);
        self.word() == "__debug"
            && self.kind_after(1) == Kind::Punct(Punct::OpenBracket)
            && literal(self.kind_after(2))
            && self.kind_after(3) == Kind::Punct(Punct::Comma)
    }

    fn break_point(&mut self) -> Parse<StatementKind> {
        let start = self.span();
        self.advance();
        self.expect(Punct::OpenBracket, "after `__debug`")?;
        let stage = self.break_point_text()?;
        self.expect(Punct::Comma, "after the name of the stage")?;
        let id = self.break_point_text()?;
        self.expect(Punct::CloseBracket, "after the id of the breakpoint")?;
        let before = StatementKind::BreakPoint { stage, id };
        let ends = matches!(
            self.kind(),
            Kind::End | Kind::Punct(Punct::CloseBrace) | Kind::Keyword(Keyword::Case | Keyword::Default)
        );
        if ends {
            return Ok(before);
        }
        let next = self.statement()?;
        let before = Statement { kind: before, span: next.span };
        Ok(StatementKind::Block(Block { statements: vec![before, next], span: self.since(start) }))
    }

    fn break_point_text(&mut self) -> Parse<Arc<str>> {
        let expr = self.expression()?;
        match &expr.kind {
            ExprKind::String(bytes) => Ok(self.shared_text(&String::from_utf8_lossy(bytes))),
            _ => {
                let error = Diagnostic::error(expr.span, "what `__debug` names are literal strings");
                Err(self.fail(error))
            }
        }
    }

    fn keyword_statement(&mut self, keyword: Keyword) -> Parse<StatementKind> {
        match keyword {
            Keyword::Echo => self.simple(Self::expression, StatementKind::Echo),
            Keyword::Throw => self.simple(Self::expression, StatementKind::Throw),
            Keyword::Return => self.simple(Self::optional_expression, StatementKind::Return),
            Keyword::Yield => self.yield_statement(),
            Keyword::If => self.if_statement(),
            Keyword::For => self.for_statement(),
            Keyword::Foreach => self.foreach_statement(),
            Keyword::While => {
                self.advance();
                let condition = self.condition("while")?;
                Ok(StatementKind::While { condition, body: self.loop_body()? })
            }
            Keyword::Forever => {
                self.advance();
                Ok(StatementKind::Forever { body: self.loop_body()? })
            }
            Keyword::Switch => self.switch_statement(),
            Keyword::Break | Keyword::Continue => self.jump(keyword),
            Keyword::Try => self.try_statement(),
            Keyword::Global => self.global_statement(),
            Keyword::Barrier => self.barrier_statement(),
            Keyword::Include | Keyword::IncludeOnce => self.include_statement(),
            Keyword::Import => self.import_statement(),
            Keyword::Function if self.kind_after(1) != Kind::Punct(Punct::OpenParen) => {
                self.named_function().map(|function| StatementKind::Function(Box::new(function)))
            }
            Keyword::Class => self.class().map(|class| StatementKind::Class(Box::new(class))),
            _ => self.expression_statement(),
        }
    }

    fn expression_statement(&mut self) -> Parse<StatementKind> {
        let expr = self.expression()?;
        self.end_of_statement()?;
        Ok(StatementKind::Expression(expr))
    }

    /// A keyword, an operand and a semicolon.
    fn simple<T>(
        &mut self,
        operand: fn(&mut Self) -> Parse<T>,
        node: fn(T) -> StatementKind,
    ) -> Parse<StatementKind> {
        self.advance();
        let operand = operand(self)?;
        self.end_of_statement()?;
        Ok(node(operand))
    }

    fn optional_expression(&mut self) -> Parse<Option<Expr>> {
        if self.is(Punct::Semicolon) { Ok(None) } else { self.expression().map(Some) }
    }

    /// The semicolon. Where a line or a block ends without it, the statement is taken to end nevertheless.
    pub(super) fn end_of_statement(&mut self) -> Parse<()> {
        if self.take(Punct::Semicolon) {
            return Ok(());
        }
        let next_line = self.begins_line(self.at) && !matches!(self.kind(), Kind::Punct(_));
        if next_line || matches!(self.kind(), Kind::End | Kind::Punct(Punct::CloseBrace)) {
            let error = Diagnostic::error(
                self.previous_span().after(),
                "a `;` is missing at the end of the statement",
            );
            self.fail(error);
            return Ok(());
        }
        Err(self.unexpected("`;`"))
    }

    fn yield_statement(&mut self) -> Parse<StatementKind> {
        if !self.around.in_function {
            self.report(Diagnostic::error(self.span(), "`yield` outside of a function"));
        }
        self.yields = true;
        self.simple(Self::optional_expression, StatementKind::Yield)
    }

    /// A condition in parentheses.
    pub(super) fn condition(&mut self, word: &str) -> Parse<Expr> {
        self.expect(Punct::OpenParen, &format!("after `{word}`"))?;
        let condition = self.expression()?;
        self.expect(Punct::CloseParen, &format!("after the condition of `{word}`"))?;
        Ok(condition)
    }

    /// The statement that a condition or loop governs.
    pub(super) fn body(&mut self) -> Parse<Statement> {
        self.within(Surroundings { nested: true, ..self.around }, Self::statement)
    }

    fn loop_body(&mut self) -> Parse<Box<Statement>> {
        let around = Surroundings { nested: true, in_loop: true, ..self.around };
        self.within(around, Self::statement).map(Box::new)
    }

    fn if_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        let mut branches = vec![(self.condition("if")?, self.body()?)];
        loop {
            if self.take_foreign_else_if() {
                branches.push((self.condition("else if")?, self.body()?));
                continue;
            }
            if !self.take_keyword(Keyword::Else) {
                return Ok(StatementKind::If { branches, otherwise: None });
            }
            if !self.take_keyword(Keyword::If) {
                let otherwise = Some(Box::new(self.body()?));
                return Ok(StatementKind::If { branches, otherwise });
            }
            branches.push((self.condition("else if")?, self.body()?));
        }
    }

    fn for_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        self.expect(Punct::OpenParen, "after `for`")?;
        let init = self.optional_expression()?;
        self.expect(Punct::Semicolon, "after the first part of `for`")?;
        let condition = self.optional_expression()?;
        self.expect(Punct::Semicolon, "after the condition of `for`")?;
        let step = if self.is(Punct::CloseParen) { None } else { Some(self.expression()?) };
        self.expect(Punct::CloseParen, "after the last part of `for`")?;
        Ok(StatementKind::For { init, condition, step, body: self.loop_body()? })
    }

    fn foreach_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        self.expect(Punct::OpenParen, "after `foreach`")?;
        let subject = self.expression()?;
        self.expect_keyword(Keyword::As, "after what `foreach` goes through")?;
        let mut key = None;
        let mut value = self.expect_new_variable("after `as`")?;
        if self.take(Punct::DoubleArrow) {
            key = Some(value);
            value = self.expect_new_variable("after `=>`")?;
        }
        self.expect(Punct::CloseParen, "after the variables of `foreach`")?;
        Ok(StatementKind::Foreach { subject, key, value, body: self.loop_body()? })
    }

    fn switch_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        let subject = self.condition("switch")?;
        self.expect(Punct::OpenBrace, "before the cases of `switch`")?;
        let around = Surroundings { nested: true, in_switch: true, ..self.around };
        let sections = self.within(around, Self::switch_sections)?;
        self.expect(Punct::CloseBrace, "after the cases of `switch`")?;
        Ok(StatementKind::Switch { subject, sections })
    }

    fn switch_sections(&mut self) -> Parse<Vec<SwitchSection>> {
        let mut sections: Vec<SwitchSection> = Vec::new();
        while !self.is(Punct::CloseBrace) {
            let start = self.span();
            let case = if self.take_keyword(Keyword::Case) {
                Some(self.expression()?)
            } else if self.take_keyword(Keyword::Default) {
                None
            } else {
                return Err(self.unexpected("`case` or `default`"));
            };
            self.expect(Punct::Colon, "after the label")?;
            let span = self.since(start);
            if case.is_none()
                && let Some(first) = sections.iter().find(|section| section.case.is_none())
            {
                let error = Diagnostic::error(span, "a second `default` in one `switch`");
                self.report(error.with_related(first.span, "the first"));
            }
            let mut statements = Vec::new();
            let is_label =
                |parser: &Self| matches!(parser.kind(), Kind::Keyword(Keyword::Case | Keyword::Default));
            self.statements(&mut statements, is_label);
            sections.push(SwitchSection { case, statements, span });
        }
        Ok(sections)
    }

    fn jump(&mut self, keyword: Keyword) -> Parse<StatementKind> {
        let span = self.span();
        self.advance();
        let is_break = keyword == Keyword::Break;
        if is_break && !self.around.in_loop && !self.around.in_switch {
            self.report(Diagnostic::error(span, "`break` outside of a loop or `switch`"));
        }
        if !is_break && !self.around.in_loop {
            self.report(Diagnostic::error(span, "`continue` outside of a loop"));
        }
        self.end_of_statement()?;
        Ok(if is_break { StatementKind::Break } else { StatementKind::Continue })
    }

    fn try_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        let body = self.block("after `try`")?;
        self.expect_keyword(Keyword::Catch, "after the block of `try`")?;
        self.expect(Punct::OpenParen, "after `catch`")?;
        let variable = self.expect_new_variable("for what is caught")?;
        self.expect(Punct::CloseParen, "after the variable of `catch`")?;
        let handler = self.block("after `catch ($variable)`")?;
        self.refuse_finally()?;
        Ok(StatementKind::Try { body, variable, handler })
    }

    fn global_statement(&mut self) -> Parse<StatementKind> {
        let start = self.span();
        self.advance();
        let mut names = vec![self.expect_new_variable("after `global`")?];
        while self.take(Punct::Comma) {
            names.push(self.expect_new_variable("after `,`")?);
        }
        self.end_of_statement()?;
        if !self.around.in_function {
            let error = Diagnostic::error(start, "`global` outside of a function");
            self.report(error.with_help("variables of the main script are global already"));
        }
        Ok(StatementKind::Global(names))
    }

    fn barrier_statement(&mut self) -> Parse<StatementKind> {
        self.advance();
        let name = self.expression()?;
        let mut variable = None;
        if self.take(Punct::DoubleArrow) {
            variable = Some(self.expect_new_variable("for the shared value")?);
        }
        let body = self.block("of the barrier")?;
        Ok(StatementKind::Barrier { name, variable, body })
    }
}
