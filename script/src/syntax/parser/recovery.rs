//! Where to go on after an error.

use super::Parser;
use crate::syntax::token::{Keyword, Kind, Punct, Token};

/// A bracket without its other half.
const NO_PARTNER: u32 = u32::MAX;

/// Pairs brackets. A closing brace also ends round and square brackets that were left open within.
pub(super) fn match_brackets(tokens: &[Token]) -> Vec<u32> {
    let mut partners = vec![NO_PARTNER; tokens.len()];
    let mut open: Vec<(usize, Punct)> = Vec::new();
    let mut braces = 0;
    for (index, token) in tokens.iter().enumerate() {
        let Kind::Punct(punct) = token.kind else { continue };
        let opener = match punct {
            Punct::OpenParen | Punct::OpenBracket | Punct::OpenBrace => {
                braces += usize::from(punct == Punct::OpenBrace);
                open.push((index, punct));
                continue;
            }
            Punct::CloseParen => Punct::OpenParen,
            Punct::CloseBracket => Punct::OpenBracket,
            Punct::CloseBrace => Punct::OpenBrace,
            _ => continue,
        };
        if opener == Punct::OpenBrace && braces > 0 {
            while open.last().is_some_and(|&(_, punct)| punct != opener) {
                open.pop();
            }
            braces -= 1;
        }
        if let Some((start, _)) = open.pop_if(|(_, punct)| *punct == opener) {
            partners[start] = index as u32;
            partners[index] = start as u32;
        }
    }
    partners
}

impl Parser<'_> {
    /// The index of the other half of the bracket at `index`.
    pub(super) fn partner(&self, index: usize) -> Option<usize> {
        match self.partners[index] {
            NO_PARTNER => None,
            partner => Some(partner as usize),
        }
    }

    /// The last bracket before the token at hand that is never closed.
    pub(super) fn innermost_open_bracket(&self) -> Option<Token> {
        let is_open = |index: &usize| {
            let kind = self.tokens[*index].kind;
            let opens =
                [Punct::OpenParen, Punct::OpenBracket, Punct::OpenBrace].map(Kind::Punct).contains(&kind);
            opens && self.partner(*index).is_none()
        };
        (0..self.at).rev().find(is_open).map(|index| self.tokens[index])
    }

    /// Whether the token at `index` is the first of its line.
    pub(super) fn begins_line(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else { return true };
        let gap = self.tokens[before].end as usize..self.tokens[index].start as usize;
        self.source.get(gap).is_some_and(|gap| gap.contains(&b'\n'))
    }

    /// After an error in the statement that began at token `start`: goes to where the next statement of the same list
    /// begins, or to the brace that ends the list.
    pub(super) fn synchronise(&mut self, start: usize) {
        let failed = self.at;
        let mut index = start;
        // From the start, because the error may lie within brackets: those are left as a whole.
        while self.kind() != Kind::End {
            match self.tokens[index].kind {
                Kind::End => break,
                Kind::Punct(Punct::CloseBrace) if self.partner(index).is_none_or(|open| open < start) => {
                    break;
                }
                Kind::Punct(Punct::Semicolon) if index >= failed => {
                    index += 1;
                    break;
                }
                Kind::Punct(Punct::OpenBrace) => {
                    index = self.partner(index).unwrap_or(index) + 1;
                    if index > failed && !self.continues_statement(index) {
                        break;
                    }
                }
                Kind::Punct(Punct::OpenParen | Punct::OpenBracket) => {
                    index = self.partner(index).unwrap_or(index) + 1;
                }
                Kind::Keyword(keyword)
                    if index > start
                        && index >= failed
                        && begins_statement(keyword)
                        && self.begins_line(index) =>
                {
                    break;
                }
                _ => index += 1,
            }
        }
        if self.kind() != Kind::End {
            self.at = index;
        }
    }

    /// Whether what stands at `index`, after a closing brace, belongs to the statement before it.
    fn continues_statement(&self, index: usize) -> bool {
        match self.tokens[index].kind {
            Kind::Keyword(keyword) => {
                matches!(keyword, Keyword::Else | Keyword::Catch | Keyword::And | Keyword::Or)
            }
            Kind::Punct(punct) => !matches!(punct, Punct::CloseBrace | Punct::OpenBracket | Punct::OpenBrace),
            _ => false,
        }
    }
}

fn begins_statement(keyword: Keyword) -> bool {
    use Keyword::{
        Barrier, Break, Class, Continue, Echo, For, Foreach, Forever, Function, Global, If, Import, Include,
        IncludeOnce, Return, Switch, Throw, Try, While, Yield,
    };
    matches!(
        keyword,
        Barrier
            | Break
            | Class
            | Continue
            | Echo
            | For
            | Foreach
            | Forever
            | Function
            | Global
            | If
            | Import
            | Include
            | IncludeOnce
            | Return
            | Switch
            | Throw
            | Try
            | While
            | Yield
    )
}
