//! One event's fields, written straight into a buffer as text or as JSON.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;

use net::smtp::reply::{EnhancedCode, Reply};
use uuid::Uuid;

use super::table::Field;

/// How fields look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `name=value`, for people and their tools: a field without a value is `-`.
    Text,
    /// `"name":value`, as members of an object: a field without a value is left out.
    Json,
}

/// Appends the fields of one event to a buffer. Nothing is allocated but what the buffer itself grows by, and no
/// control character gets in, whatever a peer sent.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut String,
    form: Form,
}

impl<'a> Line<'a> {
    /// A line that is appended to `out`.
    pub fn new(out: &'a mut String, form: Form) -> Line<'a> {
        Line { out, form }
    }

    /// The ids in front, and the name of the event: `[transaction:queue] name`, where there are such ids.
    pub fn begin(&mut self, transaction: Option<&Uuid>, queue_id: Option<u32>, name: &str) {
        let mut buffer = Uuid::encode_buffer();
        let id = transaction.map(|id| &*id.hyphenated().encode_lower(&mut buffer));
        match self.form {
            Form::Text => {
                self.out.push('[');
                self.out.push_str(id.unwrap_or("-"));
                if let Some(queue_id) = queue_id {
                    self.out.push(':');
                    self.integer(u64::from(queue_id));
                }
                self.out.push_str("] ");
                self.out.push_str(name);
            }
            Form::Json => {
                self.out.push_str("\"event\":\"");
                self.out.push_str(name);
                self.out.push('"');
                if let Some(id) = id {
                    self.out.push_str(",\"transaction\":\"");
                    self.out.push_str(id);
                    self.out.push('"');
                }
                if let Some(queue_id) = queue_id {
                    self.out.push_str(",\"queue\":");
                    self.integer(u64::from(queue_id));
                }
            }
        }
    }

    /// All that there is to say, where that is no event: the member `text`.
    pub(super) fn free_text(&mut self, text: &str) {
        self.out.push_str("\"text\":\"");
        self.escaped(text.as_bytes(), "\"");
        self.out.push('"');
    }

    /// A number.
    pub fn number(&mut self, field: Field, value: u64) {
        self.name(field);
        self.integer(value);
    }

    /// A number that may be missing.
    pub fn number_or_none(&mut self, field: Field, value: Option<u64>) {
        match value {
            Some(value) => self.number(field, value),
            None => self.none(field),
        }
    }

    /// A word that needs no escapes: from a table of ours, an address, a code.
    pub fn word(&mut self, field: Field, value: impl Display) {
        self.name(field);
        self.quote_in_json();
        let start = self.out.len();
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
        debug_assert!(!self.out[start..].contains(|c: char| c.is_control() || " \"\\".contains(c)));
        self.quote_in_json();
    }

    /// See [`Line::word`].
    pub fn word_or_none(&mut self, field: Field, value: Option<impl Display>) {
        match value {
            Some(value) => self.word(field, value),
            None => self.none(field),
        }
    }

    /// An address and port.
    pub fn socket(&mut self, field: Field, value: Option<SocketAddr>) {
        self.word_or_none(field, value);
    }

    /// An enhanced status code.
    pub fn enhanced(&mut self, field: Field, value: Option<EnhancedCode>) {
        self.word_or_none(field, value);
    }

    /// Text of somebody else: in quotes where it is more than a plain word.
    pub fn text(&mut self, field: Field, value: &[u8]) {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:/@+[]".contains(byte);
        self.name(field);
        if self.form == Form::Text && !value.is_empty() && value != b"-" && value.iter().all(plain) {
            self.escaped(value, "");
            return;
        }
        self.out.push('"');
        self.escaped(value, "\"");
        self.out.push('"');
    }

    /// See [`Line::text`].
    pub fn text_or_none(&mut self, field: Field, value: Option<&[u8]>) {
        match value {
            Some(value) => self.text(field, value),
            None => self.none(field),
        }
    }

    /// A sentence, always in quotes.
    pub fn sentence(&mut self, field: Field, value: &[u8]) {
        self.name(field);
        self.out.push('"');
        self.escaped(value, "\"");
        self.out.push('"');
    }

    /// A mail address: `<local@domain>`, and `<>` for the null sender; in JSON without the brackets.
    pub fn address(&mut self, field: Field, value: &[u8]) {
        self.name(field);
        match self.form {
            Form::Text => self.bracketed(value),
            Form::Json => {
                self.out.push('"');
                self.escaped(value, "\"");
                self.out.push('"');
            }
        }
    }

    /// Mail addresses: `<a@b>,<c@d>`; in JSON a list.
    pub fn addresses<'b>(&mut self, field: Field, values: impl Iterator<Item = &'b [u8]>) {
        self.name(field);
        if self.form == Form::Json {
            self.out.push('[');
        }
        for (number, value) in values.enumerate() {
            if number > 0 {
                self.out.push(',');
            }
            match self.form {
                Form::Text => self.bracketed(value),
                Form::Json => {
                    self.out.push('"');
                    self.escaped(value, "\"");
                    self.out.push('"');
                }
            }
        }
        if self.form == Form::Json {
            self.out.push(']');
        }
    }

    /// A peer's reply, word for word: its lines are joined by an escaped line feed.
    pub fn reply(&mut self, field: Field, reply: &Reply) {
        self.name(field);
        self.out.push('"');
        self.integer(u64::from(reply.code()));
        if let Some(enhanced) = reply.enhanced() {
            let _ = write!(self.out, " {enhanced}");
        }
        for (number, line) in reply.lines().enumerate() {
            self.out.push_str(if number == 0 { " " } else { "\\n" });
            self.escaped(line, "\"");
        }
        self.out.push('"');
    }

    /// A field without a value.
    pub fn none(&mut self, field: Field) {
        if self.form == Form::Text {
            self.name(field);
            self.out.push('-');
        }
    }

    fn name(&mut self, field: Field) {
        match self.form {
            Form::Text => {
                self.out.push(' ');
                self.out.push_str(field.name());
                self.out.push('=');
            }
            Form::Json => {
                self.out.push_str(",\"");
                self.out.push_str(field.name());
                self.out.push_str("\":");
            }
        }
    }

    fn quote_in_json(&mut self) {
        if self.form == Form::Json {
            self.out.push('"');
        }
    }

    fn bracketed(&mut self, value: &[u8]) {
        self.out.push('<');
        self.escaped(value, "<>");
        self.out.push('>');
    }

    /// `value` with what cannot stand in a line escaped, and a backslash before each character of `special`. What
    /// runs without escapes is copied whole.
    fn escaped(&mut self, value: &[u8], special: &str) {
        for chunk in value.utf8_chunks() {
            let text = chunk.valid();
            let mut copied = 0;
            let needs_escape = |c: char| c.is_control() || c == '\\' || is_line_end(c) || special.contains(c);
            for (at, character) in text.char_indices().filter(|&(_, c)| needs_escape(c)) {
                self.out.push_str(&text[copied..at]);
                copied = at + character.len_utf8();
                self.escape(character);
            }
            self.out.push_str(&text[copied..]);
            for &byte in chunk.invalid() {
                self.raw_byte(byte);
            }
        }
    }

    fn escape(&mut self, character: char) {
        match (character, self.form) {
            ('\n', _) => self.out.push_str("\\n"),
            ('\r', _) => self.out.push_str("\\r"),
            ('\t', _) => self.out.push_str("\\t"),
            (c, _) if !c.is_control() && !is_line_end(c) => {
                self.out.push('\\');
                self.out.push(c);
            }
            (c, Form::Json) => drop(write!(self.out, "\\u{:04x}", u32::from(c))),
            (c, Form::Text) => drop(write!(self.out, "\\u{{{:x}}}", u32::from(c))),
        }
    }

    /// A byte that is no part of UTF-8. JSON has no way to say it but the replacement character.
    fn raw_byte(&mut self, byte: u8) {
        match self.form {
            Form::Text => drop(write!(self.out, "\\x{byte:02x}")),
            Form::Json => self.out.push_str("\\ufffd"),
        }
    }

    fn integer(&mut self, value: u64) {
        let _ = write!(self.out, "{value}");
    }
}

/// Characters above ASCII that some readers take for the end of a line.
fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = String::new();
        write(&mut Line::new(&mut out, Form::Text));
        out
    }

    fn json(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = String::new();
        write(&mut Line::new(&mut out, Form::Json));
        out
    }

    #[test]
    fn what_a_peer_sent_cannot_forge_a_line_or_a_field() {
        let evil = b"a\r\n[x] delivered to=<y>\x1b[31m\x00\xff\"\\";
        let escaped = r#" helo="a\r\n[x] delivered to=<y>\u{1b}[31m\u{0}\xff\"\\""#;
        assert_eq!(text(|line| line.text(Field::Helo, evil)), escaped);
        let escaped = r#","helo":"a\r\n[x] delivered to=<y>\u001b[31m\u0000\ufffd\"\\""#;
        assert_eq!(json(|line| line.text(Field::Helo, evil)), escaped);
    }

    #[test]
    fn an_address_cannot_end_early() {
        assert_eq!(text(|line| line.address(Field::From, b"\"a> to=<b\"@c")), r#" from=<"a\> to=\<b"@c>"#);
        assert_eq!(text(|line| line.address(Field::From, b"")), " from=<>");
        let two: [&[u8]; 2] = [b"a@b", b"c@d"];
        assert_eq!(text(|line| line.addresses(Field::To, two.into_iter())), " to=<a@b>,<c@d>");
        assert_eq!(json(|line| line.addresses(Field::To, two.into_iter())), r#","to":["a@b","c@d"]"#);
    }

    #[test]
    fn a_plain_word_has_no_quotes_and_nothing_can_pass_for_a_missing_value() {
        assert_eq!(text(|line| line.text(Field::Helo, b"mx.example")), " helo=mx.example");
        assert_eq!(text(|line| line.text(Field::Helo, b"-")), " helo=\"-\"");
        assert_eq!(text(|line| line.text(Field::Helo, b"")), " helo=\"\"");
        assert_eq!(text(|line| line.text_or_none(Field::Helo, None)), " helo=-");
        assert_eq!(json(|line| line.text_or_none(Field::Helo, None)), "");
    }

    #[test]
    fn a_reply_is_there_word_for_word() {
        let code = EnhancedCode { class: 5, subject: 1, detail: 1 };
        let reply = Reply::new(550, Some(code), "no \"such\"\nuser");
        let expected = r#" reply="550 5.1.1 no \"such\"\nuser""#;
        assert_eq!(text(|line| line.reply(Field::Reply, &reply)), expected);
    }
}
