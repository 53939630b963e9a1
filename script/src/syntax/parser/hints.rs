//! What people write who know other languages, and what to write instead.

use super::{Parse, Parser};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::StatementKind;
use crate::syntax::token::{Keyword, Kind, Punct};

/// Words of other languages that make no sense here, with advice.
const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("abstract", "classes have no inheritance; delete `abstract`"),
    ("async", "functions that wait suspend the script by themselves; delete `async`"),
    ("await", "functions that wait suspend the script by themselves; delete `await`"),
    ("const", "assign to a variable, or to a static variable of a class"),
    ("def", "functions are declared with `function`"),
    ("do", "write forever { ... if (!$condition) break; }"),
    ("elif", "write `else if`"),
    ("elseif", "write `else if`"),
    ("elsif", "write `else if`"),
    ("export", "everything in a file can be imported; delete `export`"),
    ("extends", "classes have no inheritance; keep an object of the other class in a variable"),
    ("final", "classes have no inheritance; delete `final`"),
    ("finally", "repeat the statements after the block and in `catch`"),
    ("fn", "an anonymous function is: function ($x) { return $x; }"),
    ("fun", "functions are declared with `function`"),
    ("func", "functions are declared with `function`"),
    ("goto", "leave loops with `break`, functions with `return`"),
    ("implements", "there are no interfaces; delete `implements`"),
    ("interface", "objects need no declared interface; call their functions"),
    ("let", "variables are not declared; assign to them: $x = 1"),
    ("loop", "an endless loop is `forever { ... }`"),
    ("namespace", "a file is a module of its own; there are no namespaces"),
    ("new", "an object is made by calling its class: Name(...)"),
    ("print", "write `echo`"),
    ("protected", "members are public, `private` or `readonly`"),
    ("public", "members are public without a word"),
    ("require", "write `include`, or `import`"),
    ("require_once", "write `include_once`"),
    ("sub", "functions are declared with `function`"),
    ("trait", "share functions by importing them"),
    ("unless", "write if (!...)"),
    ("until", "write while (!...)"),
    (
        "use",
        "modules are read with `import`; what an anonymous function may see is listed by closure ($a, $b)",
    ),
    ("var", "variables are not declared; assign to them: $x = 1"),
];

/// What a bare name that nothing declares was probably meant to be.
pub(crate) fn advice_for_unknown_name(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    match &*lower {
        "null" | "nil" | "undefined" => return Some("no value is written `none`"),
        "true" | "false" | "none" => return Some("it is written in lower case"),
        "empty" => return Some("an empty value is false: if (!$x)"),
        "die" | "exit" => return Some("`return` at the top level ends the script, `throw` from anywhere"),
        "list" => return Some("write [$a, $b] = $array"),
        "eval" => return Some("there is no eval()"),
        "self" | "this" => return Some("write `$this` for the object, `static::` for its class"),
        "__file__" | "__line__" | "__dir__" => {
            return Some("there are no such constants; an Exception tells its file() and line()");
        }
        _ => {}
    }
    FOREIGN_WORDS.iter().find(|(word, _)| *word == name).map(|(_, advice)| *advice)
}

fn advice_for_word(word: &str) -> Option<&'static str> {
    FOREIGN_WORDS.iter().find(|(foreign, _)| *foreign == word).map(|(_, advice)| *advice)
}

impl Parser<'_> {
    /// A statement of another language, which is reported and read over; `None` if it is none.
    pub(super) fn foreign_statement(&mut self) -> Option<Parse<StatementKind>> {
        let next = self.kind_after(1);
        match (self.word(), next) {
            ("do", Kind::Punct(Punct::OpenBrace)) => Some(self.do_while()),
            ("export" | "async" | "abstract" | "final" | "public", Kind::Keyword(_) | Kind::Variable) => {
                self.foreign_word();
                self.advance();
                Some(Ok(StatementKind::Empty))
            }
            (
                word,
                Kind::Ident
                | Kind::Variable
                | Kind::String
                | Kind::RawString
                | Kind::Number
                | Kind::Keyword(_),
            ) if advice_for_word(word).is_some() && word != "new" && !is_operator(next) => {
                Some(Err(self.foreign_word()))
            }
            ("elseif" | "elsif" | "elif" | "finally", Kind::Punct(Punct::OpenParen | Punct::OpenBrace)) => {
                Some(Err(self.foreign_word()))
            }
            (_, Kind::Punct(Punct::Colon)) => {
                let error = Diagnostic::error(self.span(), "there are no labels");
                Some(Err(self.fail(error)))
            }
            _ => None,
        }
    }

    fn foreign_word(&mut self) -> super::Reported {
        let word = self.word();
        let error = Diagnostic::error(self.span(), format!("there is no `{word}`"));
        let help = advice_for_word(word).unwrap_or_default();
        self.fail(error.with_help(help))
    }

    fn do_while(&mut self) -> Parse<StatementKind> {
        self.foreign_word();
        self.advance();
        let block = self.block("after `do`")?;
        if self.take_keyword(Keyword::While) {
            self.condition("while")?;
            self.take(Punct::Semicolon);
        }
        Ok(StatementKind::Block(block))
    }

    /// Takes `elseif`, with a complaint.
    pub(super) fn take_foreign_else_if(&mut self) -> bool {
        let foreign = self.kind() == Kind::Ident
            && matches!(self.word(), "elseif" | "elsif" | "elif")
            && self.kind_after(1) == Kind::Punct(Punct::OpenParen);
        if foreign {
            self.foreign_word();
            self.advance();
        }
        foreign
    }

    /// Reads over `finally { }`, with a complaint.
    pub(super) fn refuse_finally(&mut self) -> Parse<()> {
        if self.kind() == Kind::Ident
            && self.word() == "finally"
            && self.kind_after(1) == Kind::Punct(Punct::OpenBrace)
        {
            self.foreign_word();
            self.advance();
            self.block("after `finally`")?;
        }
        Ok(())
    }

    /// Advice about the token at hand, which stands where something else was expected.
    pub(super) fn hint(&self, expected: &str) -> Option<&'static str> {
        self.hint_from_context(expected)
            .or_else(|| self.hint_from_punctuation())
            .or_else(|| self.hint_from_words())
    }

    fn hint_from_context(&self, expected: &str) -> Option<&'static str> {
        let Kind::Punct(here) = self.kind() else {
            return match self.kind() {
                Kind::Ident | Kind::Keyword(_)
                    if self.kind_after(1) == Kind::Variable && expected.starts_with("a variable") =>
                {
                    Some("types are not declared; write the variable alone")
                }
                Kind::Ident if self.word() == "in" && expected.starts_with("`as`") => {
                    Some("write foreach ($array as $item)")
                }
                _ => None,
            };
        };
        Some(match here {
            Punct::OpenBrace if expected == "an expression" => "an array is written [\"key\" => value]",
            Punct::OpenBrace if expected == "`;`" && self.kind_before(1) == Kind::Variable => {
                "an element is written $array[0]"
            }
            Punct::OpenBracket if expected == "a variable after `as`" => {
                "take the item apart in the loop: [$a, $b] = $item;"
            }
            Punct::Dot if expected == "an expression" && self.kind_after(1) == Kind::Number => {
                "a number begins with a digit: 0.5"
            }
            Punct::Colon if expected.ends_with("the body of the function") => "types are not declared",
            Punct::Colon if expected.starts_with("`,`") => "a key and its value are joined by `=>`",
            Punct::Colon if self.kind_before(1) == Kind::Punct(Punct::CloseParen) => "blocks stand in braces",
            Punct::Comma if expected == "`;`" => "only one expression stands here; text is joined with `.`",
            Punct::Comma if expected.ends_with("of `for`") => "each part of `for` is one expression",
            Punct::Comma if expected.ends_with("`isset` is about") => {
                "ask one by one: isset($a) and isset($b)"
            }
            Punct::Comma if expected.ends_with("`unset` is about") => "remove one by one",
            _ => return None,
        })
    }

    fn kind_before(&self, count: usize) -> Kind {
        self.at.checked_sub(count).map_or(Kind::End, |index| self.tokens[index].kind)
    }

    fn word_before(&self) -> &str {
        match self.at.checked_sub(1).map(|index| self.tokens[index]) {
            Some(token) if token.kind == Kind::Ident => {
                str::from_utf8(self.text_of(token)).unwrap_or_default()
            }
            _ => "",
        }
    }

    fn hint_from_punctuation(&self) -> Option<&'static str> {
        let Kind::Punct(here) = self.kind() else { return None };
        let before = match self.kind_before(1) {
            Kind::Punct(punct) => Some(punct),
            _ => None,
        };
        let next = match self.kind_after(1) {
            Kind::Punct(punct) => Some(punct),
            _ => None,
        };
        Some(match (before, here) {
            (Some(Punct::LessEqual), Punct::Greater) => "there is no `<=>`; compare with `<` and `>`",
            (Some(Punct::Less), Punct::Greater) => "unequal is written `!=`",
            (Some(Punct::Pipe), Punct::Greater) => "there is no `|>`; call the function: f($x)",
            (Some(Punct::Question), Punct::Arrow | Punct::Dot) => {
                "there is no `?->`; a property of none is none: write `->`"
            }
            (
                Some(Punct::Ampersand | Punct::Pipe | Punct::Caret | Punct::Left | Punct::Right),
                Punct::Assign,
            ) => "bitwise operators have no assignment form: write $x = $x & $y",
            (
                Some(Punct::Identical | Punct::Equal | Punct::NotEqual | Punct::NotIdentical),
                Punct::Assign,
            ) => "equality is `==` or `===`",
            (_, Punct::Left) if next == Some(Punct::Less) => {
                "there is no heredoc; a raw string may span lines: 'EOT'text'EOT'"
            }
            (Some(Punct::Left), Punct::Less) => {
                "there is no heredoc; a raw string may span lines: 'EOT'text'EOT'"
            }
            (_, Punct::Less) if next == Some(Punct::Question) => "a script has no opening tag",
            (_, Punct::Ampersand) => "there are no references; a function returns what it changes",
            (_, Punct::DoubleArrow) => self.hint_for_double_arrow(),
            (_, Punct::OpenBrace) if before == Some(Punct::Arrow) => "write $object[$name]",
            (Some(Punct::Star | Punct::Slash), Punct::Star | Punct::Slash) => {
                "a comment is `// to the end of the line` or `/* ... */`"
            }
            _ => return None,
        })
    }

    fn hint_for_double_arrow(&self) -> &'static str {
        match self.kind_before(1) {
            Kind::Punct(Punct::CloseParen) => {
                "a function has its body in braces: function ($x) { return $x; }"
            }
            _ => "`=>` stands only in arrays, `match`, `foreach` and `barrier`",
        }
    }

    fn hint_from_words(&self) -> Option<&'static str> {
        let here = self.kind();
        if here == Kind::Ident
            && let Some(advice) = advice_for_word(self.word())
        {
            return Some(advice);
        }
        if let Some(advice) = advice_for_word(self.word_before()) {
            return Some(advice);
        }
        Some(match (self.kind_before(1), here) {
            (Kind::Punct(Punct::Arrow), Kind::Variable) => "write $object[$name]",
            (Kind::Punct(Punct::CloseParen), Kind::Variable | Kind::String | Kind::Number) => {
                "there are no casts; call number(), string() or boolean()"
            }
            (_, Kind::Keyword(Keyword::Else)) => {
                "there is no `if` before this `else`; is there a `;` too many?"
            }
            (_, Kind::Keyword(Keyword::Case | Keyword::Default)) => "labels stand only in `switch`",
            (_, Kind::Keyword(Keyword::Catch)) => "there is no `try` before this `catch`",
            (Kind::Keyword(Keyword::Break | Keyword::Continue), Kind::Number) => {
                "it takes no number; leave several loops with a function and `return`"
            }
            (
                Kind::Punct(punct),
                Kind::Keyword(Keyword::Throw | Keyword::Yield | Keyword::Return | Keyword::Echo),
            ) if !matches!(
                punct,
                Punct::Semicolon | Punct::OpenBrace | Punct::CloseBrace | Punct::CloseParen
            ) =>
            {
                "this is a statement; it cannot be a part of an expression"
            }
            (
                Kind::String | Kind::RawString | Kind::Variable | Kind::Number,
                Kind::String | Kind::Variable,
            ) => "texts are joined with `.`",
            _ => return None,
        })
    }
}

fn is_operator(kind: Kind) -> bool {
    matches!(kind, Kind::Keyword(Keyword::And | Keyword::Or | Keyword::As | Keyword::From | Keyword::With))
}
