//! Writes an address list as it was given, in ASCII where that can be: groups, comments and separators stay.

use super::list::{Parser, Token, decoded_name};
use super::{compile_name, one_line, parse_list};

/// The list with encoded words for the names of people and groups, and in comments, where they are not ASCII (RFC 2047 5).
/// Addresses stay as they are: those that are not ASCII need SMTPUTF8. A semicolon between addresses that ends no group
/// becomes a comma. With `spread` a space follows each separator, so that the list can be folded. `None` when the text is no
/// address list.
pub(crate) fn encode_list(text: &str, spread: bool) -> Option<String> {
    parse_list(text.as_bytes())?;
    let mut writer = Writer { output: String::with_capacity(text.len() * 2), entry: Vec::new() };
    let mut parser = Parser::new(text.as_bytes());
    let (mut in_angle, mut in_group) = (false, false);
    loop {
        let start = text.len() - parser.rest.len();
        let Some(token) = parser.token()? else { break };
        let raw = &text[start..text.len() - parser.rest.len()];
        if in_angle {
            in_angle = !matches!(token, Token::Special(b'>'));
            writer.put(raw);
            continue;
        }
        match token {
            Token::Special(mark @ (b'<' | b':')) => {
                writer.end_entry(true);
                writer.put(raw);
                in_angle = mark == b'<';
                in_group |= mark == b':';
            }
            Token::Special(mark @ (b',' | b';')) => {
                writer.end_entry(false);
                let ends_group = mark == b';' && std::mem::take(&mut in_group);
                writer.put(if ends_group { ";" } else { "," });
                if spread && !matches!(parser.rest.first(), None | Some(b' ' | b'\t' | b',' | b';')) {
                    writer.put(" ");
                }
            }
            Token::Special(b' ') => writer.entry.push((Kind::Blank, raw, Vec::new())),
            Token::Comment(text) => writer.entry.push((Kind::Comment, raw, text)),
            Token::Quoted(text) => writer.entry.push((Kind::Word, raw, text)),
            Token::Atom(_) | Token::Literal(_) | Token::Special(_) => {
                writer.entry.push((Kind::Word, raw, raw.as_bytes().to_vec()));
            }
        }
    }
    writer.end_entry(false);
    Some(writer.output)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Word,
    Blank,
    Comment,
}

struct Writer<'a> {
    output: String,
    /// What has come since the last separator: as it stands, and what it says.
    entry: Vec<(Kind, &'a str, Vec<u8>)>,
}

impl Writer<'_> {
    fn put(&mut self, raw: &str) {
        match is_printable(raw) {
            true => self.output.push_str(raw),
            false => self.output.push_str(&one_line(raw)),
        }
    }

    /// Writes what has come; it is a name if an address or a group follows it.
    fn end_entry(&mut self, is_name: bool) {
        let entry = std::mem::take(&mut self.entry);
        let mut rest = &entry[..];
        while let Some((kind, raw, text)) = rest.first() {
            let words = rest.iter().take_while(|(kind, ..)| *kind != Kind::Comment).count();
            let words =
                rest[..words].iter().rposition(|(kind, ..)| *kind == Kind::Word).map_or(0, |last| last + 1);
            match kind {
                Kind::Word if is_name && rest[..words].iter().any(|(_, raw, _)| !is_printable(raw)) => {
                    self.output.push_str(&compile_name(&decoded_name(&said(&rest[..words]))));
                    rest = &rest[words..];
                    continue;
                }
                Kind::Comment if !is_printable(raw) => {
                    self.output.push_str(&format!("({})", compile_name(&decoded_name(text))));
                }
                _ => self.put(raw),
            }
            rest = &rest[1..];
        }
    }
}

/// Words with single spaces where there were blanks.
fn said(words: &[(Kind, &str, Vec<u8>)]) -> Vec<u8> {
    let mut said: Vec<u8> = Vec::new();
    for (kind, _, text) in words {
        match kind {
            Kind::Blank if said.ends_with(b" ") => {}
            Kind::Blank => said.push(b' '),
            _ => said.extend_from_slice(text),
        }
    }
    said
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}
