//! Functions and classes.

use super::{Parse, Parser, Surroundings};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{Access, Class, Function, Member, MemberKind, Name, Parameter, Parameters};
use crate::syntax::token::{Keyword, Kind, Punct, is_reserved};

impl Parser<'_> {
    /// The name of a function or class that is referred to.
    pub(super) fn expect_name(&mut self, place: &str) -> Parse<Name> {
        if self.kind() == Kind::Ident {
            let token = self.advance();
            return Ok(self.name_of(token));
        }
        Err(self.unexpected(&format!("a name {place}")))
    }

    /// The name of a function or class that is declared.
    pub(super) fn expect_new_name(&mut self, place: &str) -> Parse<Name> {
        if let Kind::Keyword(keyword) = self.kind() {
            let message = format!("`{}` is a keyword and cannot be a name", keyword.text());
            let error = Diagnostic::error(self.span(), message);
            return Err(self.fail(error));
        }
        let name = self.expect_name(place)?;
        if is_reserved(&name.text) {
            let message = format!("`{}` is reserved and cannot be a name", name.text);
            self.report(Diagnostic::error(name.span, message));
        }
        Ok(name)
    }

    /// `function name(...) { }`
    pub(super) fn named_function(&mut self) -> Parse<Function> {
        let start = self.span();
        self.advance();
        let name = self.expect_new_name("after `function`")?;
        self.function(start, Some(name), false)
    }

    /// `function (...) closure (...) { }`
    pub(super) fn anonymous_function(&mut self) -> Parse<Function> {
        let start = self.span();
        self.advance();
        self.function(start, None, true)
    }

    /// A function from its parameters on.
    fn function(&mut self, start: Span, name: Option<Name>, anonymous: bool) -> Parse<Function> {
        let parameters = self.parameters()?;
        let mut closure = None;
        if self.is_keyword(Keyword::Closure) {
            if !anonymous {
                let error = Diagnostic::error(self.span(), "only anonymous functions can be closures");
                self.report(
                    error.with_help("assign it to a variable: $f = function (...) closure (...) { ... };"),
                );
            }
            self.advance();
            closure = Some(self.captures()?);
        }
        let outer_yields = std::mem::replace(&mut self.yields, false);
        let around =
            Surroundings { in_function: true, in_loop: false, in_switch: false, nested: true, ..self.around };
        let body = self.within(around, |parser| parser.block("before the body of the function"));
        let generator = std::mem::replace(&mut self.yields, outer_yields);
        Ok(Function { name, parameters, closure, body: body?, generator, span: self.since(start) })
    }

    fn captures(&mut self) -> Parse<Vec<Name>> {
        self.expect(Punct::OpenParen, "after `closure`")?;
        let names = self.list(Punct::CloseParen, "after the variables of the closure", |parser| {
            parser.expect_variable("in the list of the closure")
        })?;
        self.refuse_duplicates(&names, "variable of the closure");
        Ok(names)
    }

    fn parameters(&mut self) -> Parse<Parameters> {
        let start = self.expect(Punct::OpenParen, "before the parameters")?;
        let mut list: Vec<Parameter> = Vec::new();
        let mut rest: Option<Name> = None;
        let mut defaults = false;
        self.list(Punct::CloseParen, "after the parameters", |parser| {
            if let Some(name) = &rest {
                parser.report(Diagnostic::error(name.span, "the variadic parameter has to be the last"));
            }
            if parser.take(Punct::Spread) {
                rest = Some(parser.expect_new_variable("after `...`")?);
                return Ok(());
            }
            let name = parser.expect_new_variable("as parameter")?;
            let default = if parser.take(Punct::Assign) { Some(parser.expression()?) } else { None };
            if defaults && default.is_none() {
                let message = "a parameter without a default after one with a default";
                parser.report(Diagnostic::error(name.span, message));
            }
            defaults |= default.is_some();
            list.push(Parameter { name, default });
            Ok(())
        })?;
        let names: Vec<_> = list.iter().map(|parameter| parameter.name.clone()).chain(rest.clone()).collect();
        self.refuse_duplicates(&names, "parameter");
        Ok(Parameters { list, rest, span: self.since(start) })
    }

    fn refuse_duplicates(&mut self, names: &[Name], what: &str) {
        let mut seen = std::collections::HashMap::new();
        for name in names {
            if let Some(first) = seen.insert(&name.text, name.span) {
                let error = Diagnostic::error(name.span, format!("a second {what} `${}`", name.text));
                self.report(error.with_related(first, "the first"));
            }
        }
    }

    /// `class name { }`
    pub(super) fn class(&mut self) -> Parse<Class> {
        let start = self.span();
        self.advance();
        let name = self.expect_new_name("after `class`")?;
        self.expect(Punct::OpenBrace, "before the members of the class")?;
        let around = Surroundings { in_class: true, nested: true, ..self.around };
        let members = self.within(around, Self::members);
        self.expect(Punct::CloseBrace, "after the members of the class")?;
        Ok(Class { name, members, span: self.since(start) })
    }

    fn members(&mut self) -> Vec<Member> {
        let mut members = Vec::new();
        while self.kind() != Kind::End && !self.is(Punct::CloseBrace) {
            if self.take(Punct::Semicolon) {
                continue;
            }
            let start = self.at;
            let (around, depth) = (self.around, self.depth);
            match self.nested(Self::member) {
                Ok(member) => members.push(member),
                Err(_) => {
                    (self.around, self.depth) = (around, depth);
                    self.synchronise(start);
                }
            }
        }
        members
    }

    fn member(&mut self) -> Parse<Member> {
        let start = self.span();
        let mut access = Access::Public;
        let mut is_static = false;
        loop {
            let span = self.span();
            let repeated = match self.kind() {
                Kind::Keyword(Keyword::Static) => std::mem::replace(&mut is_static, true),
                Kind::Keyword(Keyword::Private) => {
                    std::mem::replace(&mut access, Access::Private) != Access::Public
                }
                Kind::Keyword(Keyword::Readonly) => {
                    std::mem::replace(&mut access, Access::ReadOnly) != Access::Public
                }
                _ => break,
            };
            self.advance();
            if repeated {
                self.report(Diagnostic::error(
                    span,
                    "one of `private` and `readonly`, and one `static`, is enough",
                ));
            }
        }
        let kind = self.member_kind(start, access, is_static)?;
        Ok(Member { kind, access, is_static, span: self.since(start) })
    }

    fn member_kind(&mut self, start: Span, access: Access, is_static: bool) -> Parse<MemberKind> {
        let span = self.span();
        match self.kind() {
            Kind::Keyword(Keyword::Constructor) => {
                if access != Access::Public || is_static {
                    self.report(Diagnostic::error(start, "a constructor is neither private nor static"));
                }
                self.advance();
                self.function(span, None, false).map(MemberKind::Constructor)
            }
            Kind::Keyword(Keyword::Function) => {
                if access == Access::ReadOnly {
                    self.report(Diagnostic::error(start, "only variables can be `readonly`"));
                }
                self.named_function().map(MemberKind::Method)
            }
            Kind::Variable => {
                if is_static && access == Access::ReadOnly {
                    self.report(Diagnostic::error(start, "a static variable cannot be `readonly`"));
                }
                let name = self.expect_new_variable("of the class")?;
                self.expect(Punct::Assign, "and the first value of the variable")?;
                let value = self.expression()?;
                self.end_of_statement()?;
                Ok(MemberKind::Variable { name, value })
            }
            _ => Err(self.unexpected("`function`, `constructor` or a variable in a class")),
        }
    }
}
