//! Reads address lists, without recursion and in linear time.

use crate::header::decode_words;
use crate::limits::{ADDRESSES_MAX, COMMENT_DEPTH_MAX};

/// One address of a list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mailbox {
    /// The display name, decoded; empty when there is none.
    pub name: String,
    /// `local@domain` without white space and comments, the local part quoted where it was.
    pub address: String,
}

/// The addresses of From, To and the like, in order; those of groups too. Commas and semicolons separate. `None` when
/// the text is no address list: a quote, comment or angle bracket is not closed, or an entry is no address.
pub fn parse_list(text: &[u8]) -> Option<Vec<Mailbox>> {
    let mut parser = Parser::new(text);
    while let Some(token) = parser.token()? {
        parser.take(token)?;
        if parser.found.len() > ADDRESSES_MAX {
            return None;
        }
    }
    parser.end_entry()?;
    Some(parser.found)
}

/// A lexical piece of an address list; white space is between tokens.
pub(super) enum Token<'a> {
    Atom(&'a [u8]),
    /// Without quotes, and with escapes undone.
    Quoted(Vec<u8>),
    Comment(Vec<u8>),
    /// `[...]` with its brackets.
    Literal(&'a [u8]),
    Special(u8),
}

/// What has come since the last separator.
#[derive(Default)]
struct Entry {
    /// Words outside of angle brackets: the display name, or the address itself.
    words: Vec<Word>,
    /// The words between angle brackets.
    angle: Option<Vec<Word>>,
    in_angle: bool,
    /// A name given as comment, as in `a@example.com (Name)`.
    comment: Option<Vec<u8>>,
    /// White space has come since the last word.
    spaced: bool,
}

struct Word {
    text: Vec<u8>,
    kind: Kind,
    /// White space stood before it.
    spaced: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Atom,
    Quoted,
    /// `.`, `@`, a domain literal: only in addresses.
    Mark,
}

pub(super) struct Parser<'a> {
    pub(super) rest: &'a [u8],
    entry: Entry,
    in_group: bool,
    found: Vec<Mailbox>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Parser<'a> {
        Parser { rest: text, entry: Entry::default(), in_group: false, found: Vec::new() }
    }

    /// The next token. The outer `None` is a syntax error, the inner one the end.
    pub(super) fn token(&mut self) -> Option<Option<Token<'a>>> {
        let Some(&byte) = self.rest.first() else { return Some(None) };
        let token = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => Token::Special(b' '),
            b'"' => return Some(Some(Token::Quoted(self.quoted()?))),
            b'(' => return Some(Some(Token::Comment(self.comment()?))),
            b'[' => return Some(Some(Token::Literal(self.literal()?))),
            _ if is_special(byte) => Token::Special(byte),
            _ => {
                let end = self.rest.iter().position(|byte| is_special(*byte) || b" \t\r\n".contains(byte));
                let (atom, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                return Some(Some(Token::Atom(atom)));
            }
        };
        self.rest = &self.rest[1..];
        Some(Some(token))
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut position = 1;
        loop {
            match *self.rest.get(position)? {
                b'"' => break,
                b'\\' => {
                    position += 1;
                    text.push(*self.rest.get(position)?);
                }
                // Line breaks of folding are no part of it.
                b'\r' | b'\n' => {}
                byte => text.push(byte),
            }
            position += 1;
        }
        self.rest = &self.rest[position + 1..];
        Some(text)
    }

    fn comment(&mut self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let mut depth = 1;
        let mut position = 1;
        loop {
            let byte = *self.rest.get(position)?;
            position += 1;
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    text.push(*self.rest.get(position)?);
                    position += 1;
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth > COMMENT_DEPTH_MAX {
                return None;
            }
            text.push(byte);
        }
        self.rest = &self.rest[position..];
        Some(text)
    }

    fn literal(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b']' || byte.is_ascii_control())?;
        let (literal, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        literal.ends_with(b"]").then_some(literal)
    }

    fn take(&mut self, token: Token<'_>) -> Option<()> {
        if self.entry.in_angle {
            return self.entry.take_in_angle(token);
        }
        match token {
            Token::Special(b',') => self.end_entry()?,
            Token::Special(b';') => {
                self.end_entry()?;
                self.in_group = false;
            }
            Token::Special(b':') => {
                // The words before it name a group. An address cannot stand there, nor a group within a group.
                if self.in_group || self.entry.angle.is_some() || self.entry.has_at() {
                    return None;
                }
                self.entry = Entry::default();
                self.in_group = true;
            }
            Token::Special(b'<') if self.entry.angle.is_none() => {
                self.entry.in_angle = true;
                self.entry.angle = Some(Vec::new());
            }
            token => self.entry.take(token)?,
        }
        Some(())
    }

    fn end_entry(&mut self) -> Option<()> {
        let entry = std::mem::take(&mut self.entry);
        if let Some(mailbox) = entry.mailbox()? {
            self.found.push(mailbox);
        }
        Some(())
    }
}

/// RFC 5322 3.2.3 `specials`, without `.` within atoms, and what may not stand anywhere.
fn is_special(byte: u8) -> bool {
    b"()<>[]:;@\\,\"".contains(&byte) || (byte.is_ascii_control() && !b"\t\r\n".contains(&byte))
}

impl Entry {
    fn take(&mut self, token: Token<'_>) -> Option<()> {
        match token {
            Token::Special(b' ') => self.spaced = true,
            Token::Comment(text) => {
                self.spaced = true;
                self.comment.get_or_insert(text);
            }
            // Nothing else may follow the closing bracket.
            _ if self.angle.is_some() => return None,
            token => {
                let spaced = std::mem::take(&mut self.spaced);
                self.words.push(Word::of(token, spaced)?);
            }
        }
        Some(())
    }

    fn take_in_angle(&mut self, token: Token<'_>) -> Option<()> {
        let words = self.angle.as_mut()?;
        let has_route = words.first().is_some_and(Word::is_at);
        match token {
            Token::Special(b'>') => self.in_angle = false,
            // Source routes (obs-route) end with a colon and are dropped.
            Token::Special(b':') if has_route => words.clear(),
            Token::Special(b',') if has_route => {}
            Token::Special(b' ') | Token::Comment(_) => {}
            token => words.push(Word::of(token, false)?),
        }
        Some(())
    }

    fn has_at(&self) -> bool {
        self.words.iter().any(Word::is_at)
    }

    /// The address that the entry is; the inner `None` when it is empty.
    fn mailbox(self) -> Option<Option<Mailbox>> {
        if self.in_angle {
            return None;
        }
        let words = self.angle.as_ref().unwrap_or(&self.words);
        // `<>` is a null address: parsable, and no address.
        if words.is_empty() {
            return Some(None);
        }
        let address = address_of(words)?;
        let name = match self.angle {
            Some(_) => self.name(),
            None => self.comment.as_deref().map(decoded_name).unwrap_or_default(),
        };
        Some(Some(Mailbox { name, address }))
    }

    /// The display name: words with single spaces between them, encoded words decoded.
    fn name(&self) -> String {
        let mut name = Vec::new();
        for word in &self.words {
            if word.spaced && !name.is_empty() {
                name.push(b' ');
            }
            name.extend_from_slice(&word.text);
        }
        if name.is_empty() {
            name = self.comment.clone().unwrap_or_default();
        }
        decoded_name(&name)
    }
}

/// A name as text on one line, whatever its encoded words hold.
pub(super) fn decoded_name(name: &[u8]) -> String {
    super::one_line(&decode_words(name, None)).trim_matches(' ').to_owned()
}

impl Word {
    /// The word that a token is; `None` for what is none.
    fn of(token: Token<'_>, spaced: bool) -> Option<Word> {
        let (text, kind) = match token {
            Token::Atom(text) => (text.to_vec(), Kind::Atom),
            Token::Quoted(text) => (text, Kind::Quoted),
            Token::Literal(text) => (text.to_vec(), Kind::Mark),
            Token::Special(b'@') => (b"@".to_vec(), Kind::Mark),
            Token::Special(_) | Token::Comment(_) => return None,
        };
        Some(Word { text, kind, spaced })
    }

    fn is_at(&self) -> bool {
        self.kind == Kind::Mark && self.text == b"@"
    }

    /// Whether the word, which ends or begins with `edge`, belongs to its neighbour there.
    fn joins(&self, edge: Option<&u8>) -> bool {
        self.is_at() || (self.kind == Kind::Atom && edge == Some(&b'.'))
    }
}

/// The address that the words are: joined by dots and `@`, beside which alone white space may stand (obs-local-part,
/// obs-domain), with something on both sides of the `@`.
fn address_of(words: &[Word]) -> Option<String> {
    let joined = words.windows(2).all(|pair| {
        let (left, right) = (&pair[0], &pair[1]);
        left.joins(left.text.last()) || right.joins(right.text.first())
    });
    let mut address = String::new();
    for word in words {
        match word.kind {
            Kind::Quoted => push_quoted(&mut address, &word.text),
            _ => address.push_str(&String::from_utf8_lossy(&word.text)),
        }
    }
    let at = address.rfind('@')?;
    (joined && at > 0 && at + 1 < address.len()).then_some(address)
}

/// A quoted string as part of an address: without quotes where it does not need them.
fn push_quoted(address: &mut String, text: &[u8]) {
    address.push_str(&String::from_utf8_lossy(&super::escape_local_part(text)));
}
