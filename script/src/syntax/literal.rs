//! What the literals mean: numbers, strings, regular expressions.

use super::ast::{ExprKind, Name, StringPart};
use super::lexer::{is_name_byte, is_name_start};
use super::names::Names;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The largest number up to which all integers are exact.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// The flags of a regular expression.
const REGEX_FLAGS: &str = "imusxUX";

/// The value of a number, with what is to be said about it.
pub(crate) fn number(text: &[u8], span: Span) -> (f64, Option<Diagnostic>) {
    let text = String::from_utf8_lossy(text);
    match parse_number(&text) {
        Ok(value) if value > MAX_EXACT => {
            let warning = Diagnostic::warning(span, "this number is too large to be exact");
            (value, Some(warning.with_help("integers are exact up to 9007199254740991")))
        }
        Ok(value) => (value, None),
        Err(message) => (0.0, Some(Diagnostic::error(span, message))),
    }
}

fn parse_number(text: &str) -> Result<f64, String> {
    let radix = match text.get(..2) {
        Some("0x") => Some((16, "a hexadecimal")),
        Some("0o") => Some((8, "an octal")),
        Some("0b") => Some((2, "a binary")),
        _ => None,
    };
    if let Some((radix, name)) = radix {
        return parse_radix(&text[2..], radix, name);
    }
    let mut parts = text.split('.');
    let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return Err("a number with two decimal points (an address is written as a string)".to_owned());
    }
    for digits in [Some(whole), fraction].into_iter().flatten() {
        check_digits(digits, 10, "a decimal")?;
    }
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    plain.parse().map_err(|_| "not a number".to_owned())
}

fn parse_radix(digits: &str, radix: u32, name: &str) -> Result<f64, String> {
    if digits.is_empty() {
        return Err(format!("{name} number without digits"));
    }
    check_digits(digits, radix, name)?;
    let digits = digits.chars().filter_map(|c| c.to_digit(radix));
    Ok(digits.fold(0.0, |value, digit| value * f64::from(radix) + f64::from(digit)))
}

fn check_digits(digits: &str, radix: u32, name: &str) -> Result<(), String> {
    if let Some(wrong) = digits.chars().find(|&c| c != '_' && !c.is_digit(radix)) {
        return Err(match wrong {
            'e' | 'E' if radix == 10 => {
                "numbers have no exponent; write the digits, or multiply by a power: 5 * 10 ** 3".to_owned()
            }
            '.' => format!("{name} number has no decimal point"),
            _ => format!("`{wrong}` in {name} number"),
        });
    }
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return Err("`_` stands only between two digits".to_owned());
    }
    Ok(())
}

/// What a string in double quotes means; `text` and `span` are without the quotes. Adds what is to be said about it.
pub(crate) fn string(text: &[u8], span: Span, names: &mut Names, notes: &mut Vec<Diagnostic>) -> ExprKind {
    let mut reader = StringReader { text, span, at: 0, literal: Vec::new(), parts: Vec::new() };
    while let Some(offset) = memchr::memchr2(b'\\', b'$', &text[reader.at..]) {
        reader.literal.extend_from_slice(&text[reader.at..reader.at + offset]);
        reader.at += offset;
        if text[reader.at] == b'\\' {
            reader.escape(notes);
        } else {
            reader.dollar(names, notes);
        }
    }
    reader.literal.extend_from_slice(&text[reader.at..]);
    if reader.parts.is_empty() {
        return ExprKind::String(reader.literal.into());
    }
    reader.end_literal();
    ExprKind::Interpolated(reader.parts)
}

struct StringReader<'a> {
    text: &'a [u8],
    span: Span,
    at: usize,
    literal: Vec<u8>,
    parts: Vec<StringPart>,
}

impl StringReader<'_> {
    fn span(&self, length: usize) -> Span {
        let start = self.span.start + self.at as u32;
        Span { start, end: start + length as u32, ..self.span }
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(StringPart::Text(std::mem::take(&mut self.literal).into()));
        }
    }

    /// At a backslash; the lexer has seen that a byte follows.
    fn escape(&mut self, notes: &mut Vec<Diagnostic>) {
        let byte = self.text.get(self.at + 1).copied();
        let mut length = 2;
        match byte {
            Some(byte @ (b'\\' | b'"' | b'$')) => self.literal.push(byte),
            Some(b'n') => self.literal.push(b'\n'),
            Some(b'r') => self.literal.push(b'\r'),
            Some(b't') => self.literal.push(b'\t'),
            Some(b'x') => match self.text.get(self.at + 2..self.at + 4).and_then(hex_byte) {
                Some(byte) => {
                    self.literal.push(byte);
                    length = 4;
                }
                None => {
                    let error = Diagnostic::error(self.span(2), "`\\x` without two hexadecimal digits");
                    notes.push(error.with_help("write \\x0a, or \\\\x for a backslash"));
                }
            },
            other => {
                length = 1 + other.map_or(0, |byte| utf8_length(byte).min(self.text.len() - self.at - 1));
                let kept = &self.text[self.at..self.at + length];
                self.literal.extend_from_slice(kept);
                let shown = match str::from_utf8(&kept[1..]) {
                    Ok(text) if !text.contains(char::is_control) => text.to_owned(),
                    _ => kept[1..].escape_ascii().to_string(),
                };
                let warning = Diagnostic::warning(self.span(length), format!("unknown escape `\\{shown}`"));
                notes.push(warning.with_help("it is kept as it is; write \\\\ for a backslash"));
            }
        }
        self.at += length;
    }

    fn dollar(&mut self, names: &mut Names, notes: &mut Vec<Diagnostic>) {
        let rest = &self.text[self.at + 1..];
        let (name, length) = match rest.first() {
            Some(&byte) if is_name_start(byte) => {
                let length = rest.iter().take_while(|&&byte| is_name_byte(byte)).count();
                (&rest[..length], 1 + length)
            }
            Some(b'{') => {
                let length = rest[1..].iter().take_while(|&&byte| is_name_byte(byte)).count();
                let name = &rest[1..1 + length];
                if rest.get(1 + length) != Some(&b'}')
                    || !name.first().is_some_and(|&byte| is_name_start(byte))
                {
                    let error = Diagnostic::error(self.span(2), "`${` without a name and `}`");
                    notes.push(
                        error.with_help("write ${name} for a variable, \\${ for the characters themselves"),
                    );
                    self.literal.extend_from_slice(b"${");
                    self.at += 2;
                    return;
                }
                (name, length + 3)
            }
            _ => {
                self.literal.push(b'$');
                self.at += 1;
                return;
            }
        };
        let name = Name { text: names.intern(&String::from_utf8_lossy(name)), span: self.span(length) };
        self.end_literal();
        self.parts.push(StringPart::Variable(name));
        self.at += length;
    }
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

fn utf8_length(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

/// What a raw string means: the text between its two delimiters.
pub(crate) fn raw_string(token: &[u8]) -> &[u8] {
    let delimiter = token.iter().skip(1).position(|&byte| byte == b'\'').map_or(0, |at| at + 2);
    token.get(delimiter..token.len() - delimiter).unwrap_or_default()
}

/// The two halves of `#/pattern/flags`.
pub(crate) fn regex(token: &[u8], span: Span) -> (ExprKind, Option<Diagnostic>) {
    let slash = memchr::memrchr(b'/', token).unwrap_or(token.len());
    let pattern = token.get(2..slash).unwrap_or_default();
    let flags = String::from_utf8_lossy(token.get(slash + 1..).unwrap_or_default());
    let error = flags.chars().find(|&flag| !REGEX_FLAGS.contains(flag)).map(|wrong| {
        let start = span.start + slash as u32 + 1;
        let message = format!("`{wrong}` is no flag of a regular expression");
        Diagnostic::error(Span { start, ..span }, message).with_help("the flags are i, m, u, s, x, U and X")
    });
    (ExprKind::Regex { pattern: pattern.into(), flags: (&*flags).into() }, error)
}
