//! From source text to syntax tree.
//!
//! [`parse`] never fails: it returns what it understood and what it has to say about the rest. A tree is to be compiled
//! only if no diagnostic [is an error](crate::diagnostic::Diagnostic::is_error).

pub mod ast;
mod lexer;
mod literal;
mod names;
mod parser;
#[cfg(test)]
pub(crate) mod tables;
mod token;

pub use names::Names;
pub use parser::{Parsed, parse};

use crate::source::FileId;
use token::{Kind, Punct};

/// Whether more lines could complete this text: a bracket, string or comment is still open.
pub fn is_incomplete(source: &[u8]) -> bool {
    let lexed = lexer::lex(source, FileId::default());
    let mut open = Vec::new();
    for token in &lexed.tokens {
        match token.kind {
            Kind::Punct(punct @ (Punct::OpenParen | Punct::OpenBracket | Punct::OpenBrace)) => {
                open.push(punct)
            }
            Kind::Punct(Punct::CloseParen | Punct::CloseBracket | Punct::CloseBrace)
                if open.pop().is_none() =>
            {
                return false;
            }
            _ => {}
        }
    }
    lexed.unterminated || !open.is_empty()
}

/// What a bare name that is neither a function nor a class was probably meant to be.
pub fn advice_for_unknown_name(name: &str) -> Option<&'static str> {
    parser::advice_for_unknown_name(name)
}
