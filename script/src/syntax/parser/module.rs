//! `include` and `import`.

use super::{Parse, Parser};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{ExprKind, Import, ImportKind, Name, Path, StatementKind, Symbol};
use crate::syntax::literal;
use crate::syntax::token::{Keyword, Kind, Punct};

impl Parser<'_> {
    /// `include "path";`
    pub(super) fn include_statement(&mut self) -> Parse<StatementKind> {
        let once = self.is_keyword(Keyword::IncludeOnce);
        let word = if once { "include_once" } else { "include" };
        self.advance();
        let path = self.path(word)?;
        self.end_of_statement()?;
        Ok(StatementKind::Include { path, once })
    }

    /// A literal string without interpolation.
    fn path(&mut self, word: &str) -> Parse<Path> {
        let span = self.span();
        let token = self.token();
        let mut found = Vec::new();
        let kind = match token.kind {
            Kind::RawString => ExprKind::String(literal::raw_string(self.text_of(token)).into()),
            Kind::String => {
                let text = self.text_of(token);
                let inner = Span { start: span.start + 1, end: span.end - 1, ..span };
                literal::string(&text[1..text.len() - 1], inner, self.names, &mut found)
            }
            _ => return Err(self.unexpected(&format!("a literal string as the path of `{word}`"))),
        };
        self.advance();
        for finding in found {
            self.report(finding);
        }
        let bytes = match &kind {
            ExprKind::String(bytes) => &**bytes,
            _ => {
                let message = format!("the path of `{word}` is a literal string without variables");
                let help = "files are found when the script is compiled; choose between functions at run time instead";
                self.report(Diagnostic::error(span, message).with_help(help));
                &[]
            }
        };
        let Ok(text) = str::from_utf8(bytes) else {
            self.report(Diagnostic::error(span, "this path is not UTF-8"));
            return Ok(Path { text: self.shared_text(""), span });
        };
        Ok(Path { text: self.shared_text(text), span })
    }

    /// `import ... from "path";`
    pub(super) fn import_statement(&mut self) -> Parse<StatementKind> {
        let start = self.span();
        if self.around.nested || self.around.in_function {
            let error = Diagnostic::error(start, "`import` has to be at the top level of its file");
            self.report(error.with_help("move it out of the block"));
        }
        self.advance();
        let mut kind = self.import_kind()?;
        self.expect_keyword(Keyword::From, "after what is imported")?;
        let path = self.path("import")?;
        if let ImportKind::Data { options, .. } = &mut kind {
            if self.take_keyword(Keyword::With) {
                *options = Some(self.expression()?);
            }
        } else if self.is_keyword(Keyword::With) {
            let error = Diagnostic::error(self.span(), "only data are imported with options");
            return Err(self.fail(error));
        }
        self.end_of_statement()?;
        Ok(StatementKind::Import(Import { kind, path }))
    }

    fn import_kind(&mut self) -> Parse<ImportKind> {
        match self.kind() {
            Kind::Punct(Punct::OpenBrace) => {
                let start = self.span();
                self.advance();
                let symbols =
                    self.list(Punct::CloseBrace, "after the imported names", Self::imported_symbol)?;
                if symbols.is_empty() {
                    self.report(Diagnostic::error(self.since(start), "an `import` of nothing"));
                }
                Ok(ImportKind::Symbols(symbols))
            }
            Kind::Punct(Punct::Star) => {
                self.advance();
                self.expect_keyword(Keyword::As, "after `*`")?;
                self.expect_new_name("for the module").map(ImportKind::Wildcard)
            }
            Kind::Variable => {
                let variable = self.expect_new_variable("for the data")?;
                Ok(ImportKind::Data { variable, options: None })
            }
            _ => Err(self.unexpected("`{`, `*` or a variable after `import`")),
        }
    }

    /// `name`, `$name`, each perhaps with `as` and another one.
    fn imported_symbol(&mut self) -> Parse<(Symbol, Symbol)> {
        let there = self.symbol("to import")?;
        if !self.take_keyword(Keyword::As) {
            return Ok((there.clone(), there));
        }
        let here = self.symbol("after `as`")?;
        if here.variable != there.variable {
            let message = "a variable can be renamed to a variable only, a function or class to a name";
            self.report(Diagnostic::error(here.name.span, message));
        }
        Ok((there, here))
    }

    fn symbol(&mut self, place: &str) -> Parse<Symbol> {
        let variable = self.kind() == Kind::Variable;
        let name: Name = if variable { self.expect_new_variable(place)? } else { self.expect_name(place)? };
        Ok(Symbol { variable, name })
    }
}
