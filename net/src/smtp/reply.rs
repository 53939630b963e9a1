//! Replies: code, enhanced code, text lines.

use std::fmt;

use crate::limits::REPLY_TEXT_BYTES_MAX;

/// An enhanced status code (RFC 3463), such as 5.1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EnhancedCode {
    /// 2 success, 4 transient failure, 5 permanent failure.
    pub class: u8,
    /// Which part of the system, 0 to 999.
    pub subject: u16,
    /// What is the matter with it, 0 to 999.
    pub detail: u16,
}

impl EnhancedCode {
    /// The code at the start of `text` where a blank or the end follows it, and what comes after that.
    pub fn parse_prefix(text: &[u8]) -> Option<(EnhancedCode, &[u8])> {
        let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
        let rest = text.get(end + 1..).unwrap_or_default();
        let mut parts = text[..end].split(|&byte| byte == b'.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !matches!(class, b"2" | b"4" | b"5") {
            return None;
        }
        let code = EnhancedCode {
            class: class[0] - b'0',
            subject: number_to_999(subject)?,
            detail: number_to_999(detail)?,
        };
        Some((code, rest))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply: one code and at least one line of text. No text can hold CR, LF or another control character.
#[derive(Clone, Eq, PartialEq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    /// Lines, joined by LF.
    text: Box<[u8]>,
}

impl Reply {
    /// A reply of ours. A line feed (or CRLF) in `text` begins a further line, other control characters become
    /// `?`. `code` outside 200 to 599 becomes 451.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Reply {
        let code = if (200..600).contains(&code) { code } else { 451 };
        let mut clean = Vec::with_capacity(text.len());
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            clean.extend(line.bytes().map(printable));
            clean.push(b'\n');
        }
        clean.pop();
        Reply { code, enhanced, text: clean.into() }
    }

    /// A reply of a peer: the text of each line without its code and CRLF, joined by LF. Takes out the enhanced
    /// code where the class agrees with `code` (RFC 2034).
    pub(crate) fn from_peer(code: u16, text: &[u8]) -> Reply {
        let agrees = |parsed: &(EnhancedCode, &[u8])| u16::from(parsed.0.class) == code / 100;
        let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let enhanced = EnhancedCode::parse_prefix(first).filter(agrees).map(|(enhanced, _)| enhanced);
        let mut clean = Vec::with_capacity(text.len());
        for line in text.split(|&byte| byte == b'\n') {
            let line = match EnhancedCode::parse_prefix(line) {
                Some((code, rest)) if Some(code) == enhanced => rest,
                _ => line,
            };
            clean.extend(line.iter().copied().map(printable));
            clean.push(b'\n');
        }
        clean.pop();
        Reply { code, enhanced, text: clean.into() }
    }

    /// The code, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, if the reply has one.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The same without an enhanced code.
    #[must_use]
    pub fn without_enhanced(self) -> Reply {
        Reply { enhanced: None, ..self }
    }

    /// The lines without codes. What a peer wrote may be in any encoding.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|&byte| byte == b'\n')
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the reply in wire form, with or without its enhanced code. A line longer than a reply may have
    /// goes on in a further one.
    pub fn encode(&self, with_enhanced: bool, out: &mut Vec<u8>) {
        let enhanced = self.enhanced.filter(|_| with_enhanced);
        let mut lines = self.lines().flat_map(pieces).peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { b'-' } else { b' ' };
            push_code(self.code, out);
            out.push(separator);
            if let Some(enhanced) = enhanced {
                out.extend_from_slice(format!("{enhanced} ").as_bytes());
            }
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// One line for the log: `550 5.1.1 no such user`, lines joined by a space, bytes above ASCII as `?`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines() {
            let text: String =
                line.iter().map(|&byte| if byte < 0x80 { byte as char } else { '?' }).collect();
            write!(f, " {text}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

/// A control character would end the line, or confuse a terminal.
pub(crate) fn printable(byte: u8) -> u8 {
    match byte {
        b'\t' => b' ',
        byte if byte.is_ascii_control() => b'?',
        byte => byte,
    }
}

/// `line` in pieces that fit a reply line; an empty line is one empty piece.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = line.is_empty().then_some(line);
    line.chunks(REPLY_TEXT_BYTES_MAX).chain(empty)
}

fn push_code(code: u16, out: &mut Vec<u8>) {
    let digit = |value: u16| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[digit(code / 100), digit(code / 10), digit(code)]);
}

fn number_to_999(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_USER: EnhancedCode = EnhancedCode { class: 5, subject: 1, detail: 1 };

    fn wire(reply: &Reply, with_enhanced: bool) -> String {
        let mut out = Vec::new();
        reply.encode(with_enhanced, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn a_reply_has_its_codes_on_every_line() {
        let reply = Reply::new(550, Some(NO_USER), "one\ntwo\r\n");
        assert_eq!(wire(&reply, true), "550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1 \r\n");
        assert_eq!(wire(&reply, false), "550-one\r\n550-two\r\n550 \r\n");
        assert_eq!(reply.to_string(), "550 5.1.1 one two ");
    }

    #[test]
    fn control_characters_cannot_get_into_a_reply() {
        let reply = Reply::new(250, None, "a\rb\0c\x1b[31m\td");
        assert_eq!(wire(&reply, true), "250 a?b?c?[31m d\r\n");
    }

    #[test]
    fn an_impossible_code_becomes_a_transient_failure() {
        assert_eq!(Reply::new(99, None, "").code(), 451);
        assert_eq!(Reply::new(600, None, "").code(), 451);
    }

    #[test]
    fn a_long_text_goes_on_in_a_further_line() {
        let text = wire(&Reply::new(554, Some(NO_USER), &"x".repeat(1000)), true);
        assert!(text.split("\r\n").all(|line| line.len() + 2 <= 512));
        assert_eq!(text.matches('x').count(), 1000);
        assert_eq!(text.lines().map(|line| &line[..4]).collect::<Vec<_>>(), ["554-", "554-", "554 "]);
    }

    #[test]
    fn the_enhanced_code_of_a_peer_is_taken_out_where_it_agrees() {
        let reply = Reply::from_peer(550, b"5.1.1 no such\n5.1.1 user\n5.1.2 x");
        assert_eq!(reply.enhanced(), Some(NO_USER));
        assert_eq!(reply.lines().collect::<Vec<_>>(), [&b"no such"[..], b"user", b"5.1.2 x"]);
        for text in ["2.1.1 ok", "5.1 x", "5.1.1.1 x", "5.1.1234 x", "6.1.1 x", "5..1 x", "5.1.1x", ""] {
            assert_eq!(Reply::from_peer(550, text.as_bytes()).enhanced(), None, "{text}");
        }
    }
}
