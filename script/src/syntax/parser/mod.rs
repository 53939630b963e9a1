//! The parser: recursive descent, with a ladder of precedences for operators.
//!
//! An error unwinds (as [`Reported`]) to the nearest list of statements, which goes on after the statement that is wrong.
//! At one token at most one error is reported, so that one mistake gives one message.

mod declaration;
mod expression;
mod hints;
mod module;
mod place;
mod primary;
#[cfg(test)]
mod printed;
mod recovery;
mod statement;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use hints::advice_for_unknown_name;

use super::ast::{Name, Script};
use super::lexer::lex;
use super::names::Names;
use super::token::{Keyword, Kind, Punct, Token};
use crate::diagnostic::Diagnostic;
use crate::limits::{MAX_NESTING, MAX_SOURCE_BYTES, MAX_SYNTAX_ERRORS};
use crate::source::{FileId, SourceMap, Span};

/// What [`parse`] found.
#[derive(Debug)]
pub struct Parsed {
    /// The tree; to be compiled only if there is no error.
    pub script: Script,
    /// Errors and warnings in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the script does not compile.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Parses one text of `sources`.
pub fn parse(sources: &SourceMap, file: FileId, names: &mut Names) -> Parsed {
    let source = &sources.get(file).bytes;
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the script is longer than {MAX_SOURCE_BYTES} bytes");
        let diagnostics = vec![Diagnostic::error(Span::new(file, 0, 0), message)];
        return Parsed { script: Script::default(), diagnostics };
    }
    let mut parser = Parser::new(source, file, names);
    let statements = parser.statements_until_end();
    let diagnostics = parser.into_diagnostics();
    Parsed { script: Script { statements }, diagnostics }
}

/// The error has been reported; go back to where parsing can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reported;

type Parse<T> = Result<T, Reported>;

/// What is around a statement, which decides what it may be.
#[derive(Clone, Copy, Debug, Default)]
struct Surroundings {
    in_function: bool,
    in_loop: bool,
    in_switch: bool,
    /// Within braces or as the body of a statement.
    nested: bool,
    /// In a class, for `static::`.
    in_class: bool,
}

struct Parser<'a> {
    source: &'a [u8],
    file: FileId,
    names: &'a mut Names,
    tokens: Vec<Token>,
    /// For each opening bracket the index of its closing one, and the reverse; `NO_PARTNER` without.
    partners: Vec<u32>,
    at: usize,
    depth: u32,
    around: Surroundings,
    /// Whether the function at hand has a `yield`.
    yields: bool,
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    /// Token of the last error.
    last_error: Option<usize>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a [u8], file: FileId, names: &'a mut Names) -> Self {
        let lexed = lex(source, file);
        let end = lexed.tokens.len().checked_sub(1);
        Self {
            source,
            file,
            names,
            partners: recovery::match_brackets(&lexed.tokens),
            tokens: lexed.tokens,
            at: 0,
            depth: 0,
            around: Surroundings::default(),
            yields: false,
            errors: lexed.diagnostics.len(),
            diagnostics: lexed.diagnostics,
            // That the text ends too early has been said where it went wrong.
            last_error: if lexed.unterminated { end } else { None },
        }
    }

    fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
        self.diagnostics
    }

    // Tokens.

    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn kind(&self) -> Kind {
        self.token().kind
    }

    fn kind_after(&self, count: usize) -> Kind {
        self.tokens.get(self.at + count).map_or(Kind::End, |token| token.kind)
    }

    fn span_of(&self, token: Token) -> Span {
        Span::new(self.file, token.start, token.end)
    }

    /// The token at hand.
    fn span(&self) -> Span {
        self.span_of(self.token())
    }

    /// The token before the one at hand.
    fn previous_span(&self) -> Span {
        self.span_of(self.tokens[self.at.saturating_sub(1)])
    }

    /// From `start` to the last token taken.
    fn since(&self, start: Span) -> Span {
        start.to(self.previous_span())
    }

    fn text_of(&self, token: Token) -> &'a [u8] {
        &self.source[token.start as usize..token.end as usize]
    }

    /// The text of the token at hand as a name.
    fn word(&self) -> &'a str {
        str::from_utf8(self.text_of(self.token())).unwrap_or_default()
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn is(&self, punct: Punct) -> bool {
        self.kind() == Kind::Punct(punct)
    }

    fn is_keyword(&self, keyword: Keyword) -> bool {
        self.kind() == Kind::Keyword(keyword)
    }

    fn take(&mut self, punct: Punct) -> bool {
        let found = self.is(punct);
        if found {
            self.at += 1;
        }
        found
    }

    fn take_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.at += 1;
        }
        found
    }

    /// Takes `punct`, or complains that `what` lacks it.
    fn expect(&mut self, punct: Punct, place: &str) -> Parse<Span> {
        if self.is(punct) {
            let token = self.advance();
            return Ok(self.span_of(token));
        }
        Err(self.unexpected(&format!("`{}` {place}", punct.text())))
    }

    fn expect_keyword(&mut self, keyword: Keyword, place: &str) -> Parse<()> {
        if self.take_keyword(keyword) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{}` {place}", keyword.text())))
    }

    // Names.

    fn name_of(&mut self, token: Token) -> Name {
        let text = self.text_of(token);
        let text = str::from_utf8(text).unwrap_or_default().trim_start_matches('$');
        Name { text: self.names.intern(text), span: self.span_of(token) }
    }

    fn expect_variable(&mut self, place: &str) -> Parse<Name> {
        if self.kind() == Kind::Variable {
            let token = self.advance();
            return Ok(self.name_of(token));
        }
        Err(self.unexpected(&format!("a variable {place}")))
    }

    /// A variable that this construct defines: any but `$this`.
    fn expect_new_variable(&mut self, place: &str) -> Parse<Name> {
        let name = self.expect_variable(place)?;
        if &*name.text == "this" {
            self.report(Diagnostic::error(name.span, "`$this` cannot be assigned to"));
        }
        Ok(name)
    }

    // Errors.

    fn report(&mut self, diagnostic: Diagnostic) {
        if !diagnostic.is_error() {
            self.diagnostics.push(diagnostic);
            return;
        }
        if self.errors >= MAX_SYNTAX_ERRORS {
            self.give_up();
            return;
        }
        self.errors += 1;
        self.diagnostics.push(diagnostic);
    }

    /// Goes to the end, so that everything finishes.
    fn give_up(&mut self) {
        self.at = self.tokens.len() - 1;
        self.last_error = Some(self.at);
    }

    /// Reports an error about the token at hand, unless there was one already.
    fn fail(&mut self, diagnostic: Diagnostic) -> Reported {
        let silent = self.last_error == Some(self.at) || self.kind() == Kind::Invalid;
        self.last_error = Some(self.at);
        if !silent {
            self.report(diagnostic);
        }
        Reported
    }

    /// Something else was expected here.
    fn unexpected(&mut self, expected: &str) -> Reported {
        let found = self.kind();
        let mut error =
            Diagnostic::error(self.span(), format!("expected {expected}, found {}", self.describe_token()));
        if let Some(help) = self.hint(expected) {
            error = error.with_help(help);
        }
        if found == Kind::End
            && let Some(open) = self.innermost_open_bracket()
        {
            let message = format!("this `{}` is never closed", String::from_utf8_lossy(self.text_of(open)));
            error = error.with_related(self.span_of(open), message);
        }
        self.fail(error)
    }

    fn describe_token(&self) -> String {
        let token = self.token();
        match token.kind {
            Kind::Variable | Kind::Ident | Kind::Number if token.end - token.start <= 40 => {
                format!("`{}`", String::from_utf8_lossy(self.text_of(token)))
            }
            kind => kind.describe(),
        }
    }

    // Nesting.

    /// Parses something that nests in what is around it.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_NESTING {
            let message = format!("nested more than {MAX_NESTING} levels deep");
            let error = Diagnostic::error(self.span(), message)
                .with_help("move a part into a function or a variable");
            let reported = self.fail(error);
            self.give_up();
            return Err(reported);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn shared_text(&mut self, text: &str) -> Arc<str> {
        self.names.intern(text)
    }
}
