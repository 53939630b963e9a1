//! From bytes to tokens.

use super::token::{Keyword, Kind, Punct, Token};
use crate::diagnostic::Diagnostic;
use crate::limits::MAX_SYNTAX_ERRORS;
use crate::source::{FileId, Span};

/// The tokens of a text.
#[derive(Debug)]
pub(crate) struct Lexed {
    /// The tokens; the last is [`Kind::End`].
    pub(crate) tokens: Vec<Token>,
    /// What is wrong with them.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether the text ends inside a string, regular expression or comment.
    pub(crate) unterminated: bool,
}

/// Splits a text into tokens.
pub(crate) fn lex(source: &[u8], file: FileId) -> Lexed {
    let mut lexer =
        Lexer { source, file, at: 0, tokens: Vec::new(), diagnostics: Vec::new(), unterminated: false };
    if source.starts_with("\u{feff}".as_bytes()) {
        lexer.at = 3;
    }
    while lexer.at < source.len() && lexer.diagnostics.len() < MAX_SYNTAX_ERRORS {
        lexer.token();
    }
    let end = source.len() as u32;
    lexer.tokens.push(Token { kind: Kind::End, start: end, end });
    Lexed { tokens: lexer.tokens, diagnostics: lexer.diagnostics, unterminated: lexer.unterminated }
}

/// Whether a name can begin with this byte.
pub(crate) fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether this byte can stand in a name.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

struct Lexer<'a> {
    source: &'a [u8],
    file: FileId,
    at: usize,
    tokens: Vec<Token>,
    diagnostics: Vec<Diagnostic>,
    unterminated: bool,
}

impl Lexer<'_> {
    fn token(&mut self) {
        let start = self.at;
        let rest = &self.source[start..];
        match rest[0] {
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            b'/' if rest.starts_with(b"//") => {
                self.at = memchr::memchr(b'\n', rest).map_or(self.source.len(), |end| start + end);
            }
            b'/' if rest.starts_with(b"/*") => self.comment(),
            b'#' if rest.starts_with(b"#/") => self.regex(),
            b'#' => self.hash(),
            b'"' => self.string(start),
            b'\'' => self.raw_string(),
            b'$' => self.variable(),
            b'0'..=b'9' => {
                self.at += number_length(rest);
                self.push(Kind::Number, start);
            }
            byte if is_name_start(byte) => {
                self.at += name_length(rest);
                let kind = match Keyword::from_text(&self.source[start..self.at]) {
                    Some(keyword) => Kind::Keyword(keyword),
                    None => Kind::Ident,
                };
                self.push(kind, start);
            }
            _ => self.punctuation(),
        }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.tokens.push(Token { kind, start: start as u32, end: self.at as u32 });
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.file, start as u32, self.at as u32)
    }

    fn error(&mut self, start: usize, message: impl Into<String>, help: &str) {
        let error = Diagnostic::error(self.span(start), message);
        self.diagnostics.push(if help.is_empty() { error } else { error.with_help(help) });
    }

    /// The text ended inside what began at `start` with `width` bytes: only those are shown.
    fn unterminated(&mut self, start: usize, width: usize, what: &str, help: &str) {
        self.at = start + width;
        self.error(start, format!("{what} is never closed"), help);
        self.at = self.source.len();
        self.unterminated = true;
    }

    fn comment(&mut self) {
        let start = self.at;
        match memchr::memmem::find(&self.source[start + 2..], b"*/") {
            Some(length) => self.at = start + 2 + length + 2,
            None => self.unterminated(start, 2, "this comment", "close it with `*/`"),
        }
    }

    /// `#` as other languages begin a comment: the rest of the line is taken for one.
    fn hash(&mut self) {
        let start = self.at;
        self.at += 1;
        let help = "a comment is `// to the end of the line` or `/* ... */`, a regular expression `#/.../`";
        self.error(start, "`#` begins no comment", help);
        self.at = memchr::memchr(b'\n', &self.source[start..]).map_or(self.source.len(), |end| start + end);
    }

    fn regex(&mut self) {
        let start = self.at;
        match closing(&self.source[start + 2..], b'/') {
            Some(length) => {
                self.at = start + 2 + length + 1;
                self.at += name_length(&self.source[self.at..]);
                self.push(Kind::Regex, start);
            }
            None => {
                self.unterminated(start, 2, "this regular expression", "close it with `/`");
                self.push(Kind::Invalid, start);
            }
        }
    }

    fn string(&mut self, start: usize) {
        let open = self.at;
        match closing(&self.source[open + 1..], b'"') {
            Some(length) => {
                self.at = open + 1 + length + 1;
                self.push(Kind::String, start);
            }
            None => {
                self.unterminated(open, 1, "this string", "close it with `\"`");
                self.push(Kind::Invalid, start);
            }
        }
    }

    fn raw_string(&mut self) {
        let start = self.at;
        let rest = &self.source[start + 1..];
        let length = rest.iter().take_while(|&&byte| matches!(byte, 0x21..=0x7e) && byte != b'\'').count();
        let opener_end = start + 1 + length + 1;
        if rest.get(length) != Some(&b'\'') {
            self.single_quoted(start, length);
            return;
        }
        let opener = &self.source[start..opener_end];
        match memchr::memmem::find(&self.source[opener_end..], opener) {
            Some(length) => {
                self.at = opener_end + length + opener.len();
                self.push(Kind::RawString, start);
            }
            None => {
                let opener = String::from_utf8_lossy(opener).into_owned();
                let help = format!(
                    "a raw string ends as it begins, with {opener}; a string that means its quotes is written \"text\" or ''text''"
                );
                self.unterminated(start, opener.len(), "this raw string", &help);
                self.push(Kind::Invalid, start);
            }
        }
    }

    /// `'` that begins no raw string: taken to be a string in single quotes on one line.
    fn single_quoted(&mut self, start: usize, length: usize) {
        let line = self.source[start + 1..].split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        let close = memchr::memchr(b'\'', line).map_or(length, |at| at + 1);
        self.at = start + 1 + close;
        self.error(
            start,
            "there are no strings in single quotes",
            "write \"text\", or ''text'' for a raw string without escapes and variables",
        );
        self.push(Kind::Invalid, start);
    }

    fn variable(&mut self) {
        let start = self.at;
        let rest = &self.source[start + 1..];
        let length = name_length(rest);
        if length > 0 && is_name_start(rest[0]) {
            self.at += 1 + length;
            self.push(Kind::Variable, start);
            return;
        }
        self.at += 1;
        match rest.first() {
            Some(b'$') => {
                self.error(
                    start,
                    "there are no variable variables",
                    "keep the values in an array: $values[$name]",
                );
                return;
            }
            Some(b'"') => {
                self.error(start, "there is no `$\"...\"`", "variables are replaced in any \"...\"");
                self.string(start);
                return;
            }
            Some(b'{') => {
                self.at += 1 + name_length(&rest[1..]);
                self.at += usize::from(self.source.get(self.at) == Some(&b'}'));
                self.error(start, "`${name}` stands only inside of double quotes", "write $name");
            }
            Some(b'0'..=b'9') => {
                self.at += length;
                self.error(start, "the name of a variable begins with a letter or an underscore", "");
            }
            _ => self.error(start, "`$` without the name of a variable", ""),
        }
        self.push(Kind::Invalid, start);
    }

    fn punctuation(&mut self) {
        let start = self.at;
        let rest = &self.source[start..];
        let found = Punct::ALL.iter().copied().find(|punct| rest.starts_with(punct.text().as_bytes()));
        let Some(punct) = found else {
            self.strange();
            return;
        };
        self.at += punct.text().len();
        match punct {
            Punct::AndAnd => self.error(start, "there is no `&&`", "write `and`"),
            Punct::OrOr => self.error(start, "there is no `||`", "write `or`"),
            _ => {}
        }
        self.push(Kind::Punct(punct), start);
    }

    /// A character that has no place outside of strings and comments.
    fn strange(&mut self) {
        let start = self.at;
        let rest = &self.source[start..];
        let Some(character) = first_character(rest) else {
            self.at += rest.iter().take_while(|byte| !byte.is_ascii()).count();
            let message = format!("the byte 0x{:02x} outside of a string", rest[0]);
            self.error(start, message, "only strings and comments hold anything but ASCII");
            return;
        };
        self.at += character.len_utf8();
        if let Some(close) = closing_quote(character) {
            self.quoted_like(start, character, close);
            return;
        }
        if character.is_alphabetic() {
            // A name in letters that names do not have.
            let rest = &self.source[self.at..];
            self.at += rest.iter().take_while(|&&byte| is_name_byte(byte) || !byte.is_ascii()).count();
        }
        let (message, help, stands_for) = describe_strange(character);
        self.error(start, message, help);
        if let Some(kind) = stands_for {
            self.push(kind, start);
        }
    }

    /// A string in quotes that are none here; to its end, so that what it says is not read as code.
    fn quoted_like(&mut self, start: usize, open: char, close: &[char]) {
        let line = self.source[self.at..].split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        let text = String::from_utf8_lossy(line);
        let quotes_valid = matches!(text, std::borrow::Cow::Borrowed(_));
        if let Some((offset, found)) = text.char_indices().find(|(_, found)| close.contains(found))
            && quotes_valid
        {
            self.at += offset + found.len_utf8();
        }
        let message = match open {
            '`' => "there are no strings in backticks".to_owned(),
            _ => format!("the typographic quote {open} (U+{:04X}) begins no string", open as u32),
        };
        self.error(start, message, "strings stand in straight double quotes: \"text\"");
        self.push(Kind::Invalid, start);
    }
}

/// Length of the text before an unescaped `close`.
fn closing(text: &[u8], close: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(close, b'\\', &text[at..])?;
        if text[at] == close {
            return Some(at);
        }
        at += 2;
        if at > text.len() {
            return None;
        }
    }
}

fn name_length(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| is_name_byte(byte)).count()
}

/// Everything that is glued to a number, so that what is wrong with it is said about all of it.
fn number_length(text: &[u8]) -> usize {
    let mut at = name_length(text);
    while text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at += 1 + name_length(&text[at + 1..]);
    }
    at
}

/// The first character, if the text begins with valid UTF-8.
fn first_character(text: &[u8]) -> Option<char> {
    let head = &text[..text.len().min(4)];
    head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next())
}

/// What people take for the end of a string that begins with `open`.
fn closing_quote(open: char) -> Option<&'static [char]> {
    match open {
        '`' => Some(&['`']),
        '\u{201c}'..='\u{201f}' => Some(&['\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '"']),
        '\u{2018}'..='\u{201b}' => Some(&['\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}', '\'']),
        '\u{ab}' | '\u{bb}' => Some(&['\u{ab}', '\u{bb}']),
        _ => None,
    }
}

/// What is wrong with a character, what to do about it, and what the parser is to see in its place.
fn describe_strange(character: char) -> (String, &'static str, Option<Kind>) {
    let code = character as u32;
    match character {
        '\u{a0}' | '\u{202f}' | '\u{2007}' => {
            let message = format!("a non-breaking space (U+{code:04X}) outside of a string");
            (message, "replace it by a plain space", None)
        }
        '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' => {
            (format!("an invisible character (U+{code:04X}) outside of a string"), "delete it", None)
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' => {
            let message = format!("the dash {character} (U+{code:04X}) is no operator");
            (message, "minus is written `-`", Some(Kind::Punct(Punct::Minus)))
        }
        '@' => ("`@` outside of a string".to_owned(), "errors are handled with try and catch", None),
        '\\' => ("`\\` outside of a string".to_owned(), "", Some(Kind::Invalid)),
        _ if character.is_whitespace() || character.is_control() => {
            let message = format!("the character U+{code:04X} outside of a string");
            (message, "tokens are separated by spaces, tabs and line ends", None)
        }
        _ => {
            let message = format!("the character {character} (U+{code:04X}) outside of a string");
            (message, "only strings and comments hold anything but ASCII", Some(Kind::Invalid))
        }
    }
}
