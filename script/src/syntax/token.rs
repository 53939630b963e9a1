//! The tokens of the language.

/// A token: its kind and its bytes `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Kinds of tokens. What a name, number or string means is read from its bytes when the parser takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    End,
    /// Something that the lexer has complained about and that stands where an expression may.
    Invalid,
    Variable,
    Ident,
    Number,
    String,
    RawString,
    Regex,
    Keyword(Keyword),
    Punct(Punct),
}

/// Declares an enum of words together with their texts.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident $text:literal)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant,)* }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// The words that cannot be names of functions and classes.
    Keyword {
        And "and" Array "array" As "as" Barrier "barrier" Break "break" Builtin "builtin" Cache "cache" Case "case"
        Catch "catch" Class "class" Closure "closure" Constructor "constructor" Continue "continue"
        Default "default" Echo "echo" Else "else" False "false" For "for" Foreach "foreach" Forever "forever"
        From "from" Function "function" Global "global" If "if" Import "import" Include "include"
        IncludeOnce "include_once" Isset "isset" Match "match" None "none" Not "not" Object "object" Or "or"
        Private "private" Readonly "readonly" Return "return" Static "static" Switch "switch" Throw "throw"
        True "true" Try "try" Unset "unset" While "while" With "with" Yield "yield"
    }
}

words! {
    /// Operators and separators, longer ones before those that they begin with.
    Punct {
        UnsignedRight ">>>" Spread "..." PowerAssign "**=" Identical "===" NotIdentical "!==" CoalesceAssign "??="
        Coalesce "??" DoubleColon "::" Arrow "->" DoubleArrow "=>" AddAssign "+=" SubtractAssign "-="
        MultiplyAssign "*=" DivideAssign "/=" ModuloAssign "%=" ConcatAssign ".=" Power "**" Increment "++"
        Decrement "--" Equal "==" NotEqual "!=" LessEqual "<=" GreaterEqual ">=" Matches "=~" MatchesNot "!~"
        Left "<<" Right ">>" AndAnd "&&" OrOr "||"
        OpenParen "(" CloseParen ")" OpenBracket "[" CloseBracket "]" OpenBrace "{" CloseBrace "}"
        Semicolon ";" Comma "," Dot "." Colon ":" Question "?" Assign "=" Plus "+" Minus "-" Star "*" Slash "/"
        Percent "%" Bang "!" Ampersand "&" Pipe "|" Caret "^" Tilde "~" Less "<" Greater ">"
    }
}

/// Words that the language keeps for itself without using them.
const RESERVED: &[&str] = &[
    "assert",
    "clone",
    "const",
    "destroy",
    "export",
    "extends",
    "final",
    "finally",
    "goto",
    "in",
    "interface",
    "lambda",
    "namespace",
    "new",
    "pass",
    "print",
    "protected",
    "public",
    "self",
    "struct",
    "this",
    "trait",
    "use",
];

impl Keyword {
    /// The keyword that is spelled so.
    pub(crate) fn from_text(text: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.text().as_bytes() == text)
    }
}

/// Whether a function or class may not be called so although it is no keyword.
pub(crate) fn is_reserved(text: &str) -> bool {
    RESERVED.contains(&text)
}

impl Kind {
    /// How messages call it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::End => "the end of the script".to_owned(),
            Self::Invalid => "this".to_owned(),
            Self::Variable => "a variable".to_owned(),
            Self::Ident => "a name".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::String | Self::RawString => "a string".to_owned(),
            Self::Regex => "a regular expression".to_owned(),
            Self::Keyword(word) => format!("`{}`", word.text()),
            Self::Punct(punct) => format!("`{}`", punct.text()),
        }
    }
}
