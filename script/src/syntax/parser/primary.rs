//! Values, and what can follow a value.

use super::{Parse, Parser};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::ast::{
    Argument, ArrayItem, CacheCall, Expr, ExprKind, MatchArm, Name, Pattern, PatternItem, Scope, Slice,
    StaticMember, Step, StepKind, Symbol,
};
use crate::syntax::literal;
use crate::syntax::token::{Keyword, Kind, Punct};

impl Parser<'_> {
    /// A value with its subscripts, properties and calls.
    pub(super) fn postfix(&mut self) -> Parse<Expr> {
        let start = self.span();
        let base = match self.kind() {
            Kind::Keyword(Keyword::Cache) => self.nested(Self::cache_call)?,
            _ => self.primary()?,
        };
        let mut steps = Vec::new();
        while let Kind::Punct(Punct::OpenParen | Punct::OpenBracket | Punct::Arrow) = self.kind() {
            steps.push(self.access_step()?);
        }
        if steps.is_empty() {
            return Ok(base);
        }
        Ok(Expr { kind: ExprKind::Access { base: Box::new(base), steps }, span: self.since(start) })
    }

    fn access_step(&mut self) -> Parse<Step> {
        let start = self.span();
        let kind = match self.kind() {
            Kind::Punct(Punct::OpenParen) => StepKind::Call(self.arguments()?),
            Kind::Punct(Punct::Arrow) => {
                self.advance();
                StepKind::Property(self.property_name()?)
            }
            _ => self.subscript()?,
        };
        Ok(Step { kind, span: self.since(start) })
    }

    fn property_name(&mut self) -> Parse<Name> {
        match self.kind() {
            Kind::Ident | Kind::Keyword(_) => {
                let token = self.advance();
                Ok(self.name_of(token))
            }
            _ => Err(self.unexpected("the name of a property after `->`")),
        }
    }

    fn subscript(&mut self) -> Parse<StepKind> {
        self.expect(Punct::OpenBracket, "of a subscript")?;
        if self.take(Punct::CloseBracket) {
            return Ok(StepKind::Append);
        }
        let first = self.slice_bound()?;
        if let Some(index) = first {
            if !self.is(Punct::Colon) && !self.is(Punct::DoubleColon) {
                self.expect(Punct::CloseBracket, "after the subscript")?;
                return Ok(StepKind::Index(Box::new(index)));
            }
            return self.slice(Some(index));
        }
        self.slice(None)
    }

    /// The rest of a slice, at its first colon.
    fn slice(&mut self, first: Option<Expr>) -> Parse<StepKind> {
        let (mut last, mut step) = (None, None);
        if self.take(Punct::DoubleColon) {
            step = self.slice_bound()?;
        } else {
            self.expect(Punct::Colon, "of a slice")?;
            last = self.slice_bound()?;
            if self.take(Punct::Colon) {
                step = self.slice_bound()?;
            }
        }
        self.expect(Punct::CloseBracket, "after the slice")?;
        Ok(StepKind::Slice(Box::new(Slice { first, last, step })))
    }

    fn slice_bound(&mut self) -> Parse<Option<Expr>> {
        match self.kind() {
            Kind::Punct(Punct::Colon | Punct::DoubleColon | Punct::CloseBracket) => Ok(None),
            _ => self.expression().map(Some),
        }
    }

    /// Arguments in parentheses.
    fn arguments(&mut self) -> Parse<Vec<Argument>> {
        self.expect(Punct::OpenParen, "before the arguments")?;
        self.list(Punct::CloseParen, "after the arguments", |parser| {
            let spread = parser.take(Punct::Spread);
            Ok(Argument { value: parser.expression()?, spread })
        })
    }

    /// Items with commas between them, perhaps one at the end, up to `close`.
    pub(super) fn list<T>(
        &mut self,
        close: Punct,
        place: &str,
        mut item: impl FnMut(&mut Self) -> Parse<T>,
    ) -> Parse<Vec<T>> {
        let mut items = Vec::new();
        while !self.is(close) {
            items.push(item(self)?);
            if !self.take(Punct::Comma) {
                break;
            }
        }
        if self.is(close) {
            self.advance();
            return Ok(items);
        }
        Err(self.unexpected(&format!("`,` or `{}` {place}", close.text())))
    }

    fn primary(&mut self) -> Parse<Expr> {
        let start = self.span();
        let kind = match self.kind() {
            Kind::Number | Kind::String | Kind::RawString | Kind::Regex => self.literal(),
            Kind::Variable => {
                let token = self.advance();
                ExprKind::Variable(self.name_of(token))
            }
            Kind::Ident => return self.identifier(),
            Kind::Invalid => {
                self.advance();
                // What follows fits hardly: enough has been said.
                self.last_error = Some(self.at);
                ExprKind::Error
            }
            Kind::Keyword(keyword) => return self.keyword_expression(keyword),
            Kind::Punct(Punct::OpenParen) => {
                self.advance();
                let inner = self.expression()?;
                self.expect(Punct::CloseParen, "after the expression")?;
                return Ok(inner);
            }
            Kind::Punct(Punct::OpenBracket) if self.begins_destructuring() => self.destructuring()?,
            Kind::Punct(Punct::OpenBracket) => self.array()?,
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr { kind, span: self.since(start) })
    }

    fn literal(&mut self) -> ExprKind {
        let token = self.advance();
        let (text, span) = (self.text_of(token), self.span_of(token));
        let mut found = Vec::new();
        let kind = match token.kind {
            Kind::Number => {
                let (value, finding) = literal::number(text, span);
                found.extend(finding);
                ExprKind::Number(value)
            }
            Kind::Regex => {
                let (kind, finding) = literal::regex(text, span);
                found.extend(finding);
                kind
            }
            Kind::RawString => ExprKind::String(literal::raw_string(text).into()),
            _ => {
                let inner = Span { start: span.start + 1, end: span.end - 1, ..span };
                literal::string(&text[1..text.len() - 1], inner, self.names, &mut found)
            }
        };
        for finding in found {
            self.report(finding);
        }
        kind
    }

    /// A bare name, or a path with `::`.
    fn identifier(&mut self) -> Parse<Expr> {
        if self.word() == "new" && self.kind_after(1) == Kind::Ident {
            let error = Diagnostic::error(self.span(), "there is no `new`");
            self.report(error.with_help("an object is made by calling its class: Name(...)"));
            self.advance();
        }
        let token = self.advance();
        let mut name = self.name_of(token);
        let start = name.span;
        let mut scope = Vec::new();
        let mut variable = false;
        while !variable
            && self.is(Punct::DoubleColon)
            && matches!(self.kind_after(1), Kind::Ident | Kind::Variable)
        {
            self.advance();
            variable = self.kind() == Kind::Variable;
            let token = self.advance();
            let member = self.name_of(token);
            scope.push(std::mem::replace(&mut name, member));
        }
        let kind = if scope.is_empty() {
            ExprKind::Identifier { name, builtin: false }
        } else {
            let member = Symbol { variable, name };
            ExprKind::Static(Box::new(StaticMember { scope: Scope::Named(scope), member }))
        };
        Ok(Expr { kind, span: self.since(start) })
    }

    fn keyword_expression(&mut self, keyword: Keyword) -> Parse<Expr> {
        let start = self.span();
        let kind = match keyword {
            Keyword::True | Keyword::False => {
                self.advance();
                ExprKind::Bool(keyword == Keyword::True)
            }
            Keyword::None => {
                self.advance();
                ExprKind::None
            }
            Keyword::Builtin => {
                self.advance();
                ExprKind::Identifier { name: self.expect_name("after `builtin`")?, builtin: true }
            }
            Keyword::Static => self.own_member()?,
            Keyword::Array => {
                self.advance();
                self.expect(Punct::OpenParen, "after `array`")?;
                ExprKind::Array(self.list(Punct::CloseParen, "after the elements", Self::array_item)?)
            }
            Keyword::Function => ExprKind::Function(Box::new(self.anonymous_function()?)),
            Keyword::Match => self.match_expression()?,
            Keyword::Isset | Keyword::Unset => self.place_question(keyword)?,
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr { kind, span: self.since(start) })
    }

    /// `static::member`
    fn own_member(&mut self) -> Parse<ExprKind> {
        let scope = self.span();
        self.advance();
        self.expect(Punct::DoubleColon, "after `static`")?;
        if !matches!(self.kind(), Kind::Ident | Kind::Variable) {
            return Err(self.unexpected("a static member"));
        }
        if !self.around.in_class {
            self.report(Diagnostic::error(scope, "`static::` outside of a class"));
        }
        let variable = self.kind() == Kind::Variable;
        let token = self.advance();
        let member = Symbol { variable, name: self.name_of(token) };
        Ok(ExprKind::Static(Box::new(StaticMember { scope: Scope::Own(scope), member })))
    }

    fn array(&mut self) -> Parse<ExprKind> {
        self.expect(Punct::OpenBracket, "of an array")?;
        self.list(Punct::CloseBracket, "after the elements", Self::array_item).map(ExprKind::Array)
    }

    fn array_item(&mut self) -> Parse<ArrayItem> {
        if self.take(Punct::Spread) {
            return self.expression().map(ArrayItem::Spread);
        }
        let value = self.expression()?;
        if !self.take(Punct::DoubleArrow) {
            return Ok(ArrayItem::Value { key: None, value });
        }
        Ok(ArrayItem::Value { key: Some(value), value: self.expression()? })
    }

    /// Whether the bracket at hand is the left side of an assignment.
    fn begins_destructuring(&self) -> bool {
        let close = self.partner(self.at);
        close.is_some_and(|close| self.tokens[close + 1].kind == Kind::Punct(Punct::Assign))
    }

    fn destructuring(&mut self) -> Parse<ExprKind> {
        let pattern = self.pattern()?;
        self.expect(Punct::Assign, "after the variables")?;
        let value = Box::new(self.expression()?);
        Ok(ExprKind::Destructure { pattern, value })
    }

    fn pattern(&mut self) -> Parse<Pattern> {
        let start = self.expect(Punct::OpenBracket, "of a destructuring assignment")?;
        let mut rest = None;
        let items = self.list(Punct::CloseBracket, "after the variables", |parser| {
            if let Some(Name { span, .. }) = rest {
                parser.report(Diagnostic::error(span, "the rest variable has to be the last"));
            }
            if parser.take(Punct::Spread) {
                rest = Some(parser.expect_new_variable("after `...`")?);
                return Ok(None);
            }
            parser.pattern_item().map(Some)
        })?;
        let items: Vec<_> = items.into_iter().flatten().collect();
        let span = self.since(start);
        let keyed = items.iter().filter(|item| item.key.is_some()).count();
        if keyed > 0 && (keyed < items.len() || rest.is_some()) {
            let error =
                Diagnostic::error(span, "variables with and without keys in one destructuring assignment");
            self.report(error.with_help("give all of them a key, or none"));
        }
        Ok(Pattern { items, rest, span })
    }

    fn pattern_item(&mut self) -> Parse<PatternItem> {
        let positional = self.kind() == Kind::Variable
            && matches!(self.kind_after(1), Kind::Punct(Punct::Comma | Punct::CloseBracket | Punct::Assign));
        let mut key = None;
        if !positional {
            key = Some(self.expression()?);
            if !self.is(Punct::DoubleArrow) {
                return Err(
                    self.unexpected("a variable, or `=>` and a variable, in a destructuring assignment")
                );
            }
            self.advance();
        }
        let name = self.expect_new_variable("in a destructuring assignment")?;
        let default = if self.take(Punct::Assign) { Some(self.expression()?) } else { None };
        Ok(PatternItem { key, name, default })
    }

    fn match_expression(&mut self) -> Parse<ExprKind> {
        self.advance();
        self.expect(Punct::OpenParen, "after `match`")?;
        let subject = Box::new(self.expression()?);
        self.expect(Punct::CloseParen, "after the subject of `match`")?;
        self.expect(Punct::OpenBrace, "before the arms of `match`")?;
        let mut default = None;
        let arms = self.list(Punct::CloseBrace, "after an arm of `match`", |parser| {
            let arm = parser.match_arm()?;
            if arm.values.is_none() && default.replace(arm.span).is_some() {
                parser.report(Diagnostic::error(arm.span, "a second `default` in one `match`"));
            }
            Ok(arm)
        })?;
        if arms.is_empty() {
            let error = Diagnostic::error(self.previous_span(), "a `match` without arms");
            self.report(error.with_help("an arm is: value, value => result"));
        }
        Ok(ExprKind::Match { subject, arms })
    }

    fn match_arm(&mut self) -> Parse<MatchArm> {
        let start = self.span();
        let mut values = None;
        if !self.take_keyword(Keyword::Default) {
            let mut list = vec![self.expression()?];
            while self.take(Punct::Comma) {
                list.push(self.expression()?);
            }
            values = Some(list);
        }
        self.expect(Punct::DoubleArrow, "after the values of an arm of `match`")?;
        let result = self.expression()?;
        Ok(MatchArm { values, result, span: self.since(start) })
    }

    /// `isset(place)` or `unset(place)`
    fn place_question(&mut self, keyword: Keyword) -> Parse<ExprKind> {
        self.advance();
        let word = keyword.text();
        self.expect(Punct::OpenParen, &format!("after `{word}`"))?;
        let target = self.nested(Self::postfix)?;
        self.expect(Punct::CloseParen, &format!("after what `{word}` is about"))?;
        Ok(match self.named_place(target, word) {
            Some(place) if keyword == Keyword::Isset => ExprKind::Isset(Box::new(place)),
            Some(place) => ExprKind::Unset(Box::new(place)),
            None => ExprKind::Error,
        })
    }

    /// `cache [options] name(arguments)`
    fn cache_call(&mut self) -> Parse<Expr> {
        let start = self.span();
        self.advance();
        let options_start = self.span();
        let options = match self.kind() {
            Kind::Punct(Punct::OpenBracket) => Expr { kind: self.array()?, span: self.since(options_start) },
            Kind::Keyword(Keyword::Array) => self.keyword_expression(Keyword::Array)?,
            _ => return Err(self.unexpected("the array of options after `cache`")),
        };
        let callee = match self.kind() {
            Kind::Ident => self.identifier()?,
            Kind::Keyword(keyword @ (Keyword::Builtin | Keyword::Static)) => {
                self.keyword_expression(keyword)?
            }
            _ => return Err(self.unexpected("the name of the function whose result is cached")),
        };
        if matches!(&callee.kind, ExprKind::Static(member) if member.member.variable) {
            self.report(Diagnostic::error(callee.span, "`cache` calls a function by its name"));
        }
        let arguments = self.arguments()?;
        let kind = ExprKind::Cache(Box::new(CacheCall { options, callee, arguments }));
        Ok(Expr { kind, span: self.since(start) })
    }
}
