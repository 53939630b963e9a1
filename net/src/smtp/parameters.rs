//! Parameters of MAIL and RCPT that travel with a message: what a server was told, a client tells the next one.
//!
//! Each value parses from and encodes to its wire form. None can hold a control character, so none can break a
//! command or a report that it is written into.

use crate::limits::{ENVELOPE_ID_BYTES_MAX, ORIGINAL_RECIPIENT_BYTES_MAX};

/// What MAIL says of a message beside its sender, size and body type. The default says nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MailParameters {
    /// SMTPUTF8 (RFC 6531): addresses or header fields may hold UTF-8.
    pub smtp_utf8: bool,
    /// REQUIRETLS (RFC 8689): only over verified TLS, to servers that keep to that too.
    pub require_tls: bool,
    /// RET= (RFC 3461 4.3).
    pub ret: Option<Ret>,
    /// ENVID= (RFC 3461 4.4).
    pub envelope_id: Option<EnvelopeId>,
}

/// What RCPT says of a recipient. The default says nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RcptParameters {
    /// NOTIFY= (RFC 3461 4.1). Absent means that failures, and perhaps delays, are told.
    pub notify: Option<Notify>,
    /// ORCPT= (RFC 3461 4.2).
    pub original_recipient: Option<OriginalRecipient>,
}

/// RET: what of a message a report gives back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ret {
    /// FULL: all of it.
    Full,
    /// HDRS: its header.
    Headers,
}

/// ENVID: the sender's name for this sending of the message, decoded: printable ASCII and blanks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvelopeId(Box<[u8]>);

/// NOTIFY: what the sender wants to be told about a recipient. All `false` is NEVER.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Notify {
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

/// ORCPT: the recipient as the sender wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginalRecipient {
    kind: Box<[u8]>,
    address: Box<[u8]>,
}

impl Ret {
    /// Reads the value of RET=.
    pub fn parse(value: &[u8]) -> Option<Ret> {
        match value {
            _ if value.eq_ignore_ascii_case(b"full") => Some(Ret::Full),
            _ if value.eq_ignore_ascii_case(b"hdrs") => Some(Ret::Headers),
            _ => None,
        }
    }

    /// `FULL` or `HDRS`.
    pub fn name(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Headers => "HDRS",
        }
    }
}

impl EnvelopeId {
    /// Reads the value of ENVID=, which is xtext of at most
    /// [`ENVELOPE_ID_BYTES_MAX`] bytes.
    pub fn parse(value: &[u8]) -> Option<EnvelopeId> {
        if value.is_empty() || value.len() > ENVELOPE_ID_BYTES_MAX {
            return None;
        }
        decode_xtext(value).map(|text| EnvelopeId(text.into()))
    }

    /// The decoded text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_xtext(&self.0, out);
    }
}

impl Notify {
    /// NEVER.
    pub const NEVER: Notify = Notify { success: false, failure: false, delay: false };

    /// Reads the value of NOTIFY=: `NEVER`, or a list of the others, each at most once.
    pub fn parse(value: &[u8]) -> Option<Notify> {
        if value.eq_ignore_ascii_case(b"never") {
            return Some(Notify::NEVER);
        }
        let mut notify = Notify::NEVER;
        for word in value.split(|&byte| byte == b',') {
            let wanted = match word {
                _ if word.eq_ignore_ascii_case(b"success") => &mut notify.success,
                _ if word.eq_ignore_ascii_case(b"failure") => &mut notify.failure,
                _ if word.eq_ignore_ascii_case(b"delay") => &mut notify.delay,
                _ => return None,
            };
            if std::mem::replace(wanted, true) {
                return None;
            }
        }
        Some(notify)
    }

    /// Whether nothing is to be told.
    pub fn is_never(self) -> bool {
        self == Notify::NEVER
    }

    /// Appends the wire form.
    pub fn encode(self, out: &mut Vec<u8>) {
        if self.is_never() {
            return out.extend_from_slice(b"NEVER");
        }
        let words =
            [(self.success, &b"SUCCESS"[..]), (self.failure, &b"FAILURE"[..]), (self.delay, &b"DELAY"[..])];
        let wanted = words.into_iter().filter(|(wanted, _)| *wanted);
        for (index, (_, word)) in wanted.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(word);
        }
    }
}

impl OriginalRecipient {
    /// Reads the value of ORCPT=, `TYPE;ADDRESS`, of at most
    /// [`ORIGINAL_RECIPIENT_BYTES_MAX`] bytes. The address is xtext, or for
    /// the type `utf-8` what RFC 6533 section 3 says. An address of another
    /// type that is UTF-8 in xtext becomes one of type `utf-8`: Postfix
    /// writes `rfc822;` before every address.
    pub fn parse(value: &[u8]) -> Option<OriginalRecipient> {
        if value.len() > ORIGINAL_RECIPIENT_BYTES_MAX {
            return None;
        }
        let semicolon = value.iter().position(|&byte| byte == b';')?;
        let (kind, address) = (&value[..semicolon], &value[semicolon + 1..]);
        let is_atom = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*-/?^_`{|}~.".contains(byte);
        if kind.is_empty() || address.is_empty() || !kind.iter().all(is_atom) {
            return None;
        }
        if kind.eq_ignore_ascii_case(b"utf-8") {
            return Some(OriginalRecipient {
                kind: kind.into(),
                address: decode_unicode_text(address)?.into(),
            });
        }
        let address = decode_xtext_bytes(address)?;
        if address.iter().all(|byte| is_printable(*byte)) {
            return Some(OriginalRecipient { kind: kind.into(), address: address.into() });
        }
        let is_text = !std::str::from_utf8(&address).ok()?.chars().any(char::is_control);
        is_text.then(|| OriginalRecipient { kind: (*b"utf-8").into(), address: address.into() })
    }

    /// The type of address, such as `rfc822`, as written.
    pub fn kind(&self) -> &[u8] {
        &self.kind
    }

    /// The decoded address: printable ASCII and blanks, or UTF-8 without control characters where the type is
    /// `utf-8`.
    pub fn address(&self) -> &[u8] {
        &self.address
    }

    /// Appends the wire form, which is ASCII whatever the address is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.kind);
        out.push(b';');
        if self.kind.eq_ignore_ascii_case(b"utf-8") {
            encode_unicode_text(&self.address, out);
        } else {
            encode_xtext(&self.address, out);
        }
    }
}

/// Decodes xtext (RFC 3461 4). `None` when it is none, or hides anything but printable ASCII and blanks.
pub fn decode_xtext(text: &[u8]) -> Option<Vec<u8>> {
    decode_xtext_bytes(text).filter(|decoded| decoded.iter().all(|byte| is_printable(*byte)))
}

fn decode_xtext_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let byte = match byte {
            b'+' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                hex_digit(digits[0])? * 16 + hex_digit(digits[1])?
            }
            b'=' | b' ' => return None,
            plain => plain,
        };
        decoded.push(byte);
    }
    Some(decoded)
}

/// Appends `text` as xtext (RFC 3461 4).
pub fn encode_xtext(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=' {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("+{byte:02X}").as_bytes());
        }
    }
}

/// Decodes an address of type `utf-8` (RFC 6533 3): UTF-8 or `\x{HEX}`.
fn decode_unicode_text(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = std::str::from_utf8(text).ok()?;
    while let Some(character) = rest.chars().next() {
        let (character, taken) = match character {
            '\\' => {
                let digits = rest.strip_prefix("\\x{")?.split_once('}')?.0;
                if digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                (char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, "\\x{}".len() + digits.len())
            }
            '+' | '=' | ' ' => return None,
            plain => (plain, plain.len_utf8()),
        };
        if character.is_control() {
            return None;
        }
        decoded.push(character);
        rest = &rest[taken..];
    }
    Some(decoded.into_bytes())
}

/// The ASCII form of an address of type `utf-8`.
fn encode_unicode_text(text: &[u8], out: &mut Vec<u8>) {
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '!'..='~' if !matches!(character, '+' | '=' | '\\') => out.push(character as u8),
            _ => out.extend_from_slice(format!("\\x{{{:X}}}", u32::from(character)).as_bytes()),
        }
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Hexadecimal digits of xtext are upper case; lower case is understood as well.
fn hex_digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_never_or_a_list_without_repetition() {
        let all = Notify { success: true, failure: true, delay: true };
        let cases: &[(&str, Option<Notify>)] = &[
            ("NEVER", Some(Notify::NEVER)),
            ("success,Failure,DELAY", Some(all)),
            ("delay", Some(Notify { delay: true, ..Notify::NEVER })),
            ("", None),
            ("NEVER,DELAY", None),
            ("SUCCESS,SUCCESS", None),
            ("SUCCESS,", None),
            ("WHEN", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Notify::parse(text.as_bytes()), *expected, "{text}");
        }
        for notify in [all, Notify::NEVER, Notify { success: true, delay: true, failure: false }] {
            let mut out = Vec::new();
            notify.encode(&mut out);
            assert_eq!(Notify::parse(&out), Some(notify));
        }
    }

    #[test]
    fn xtext_hides_no_control_character() {
        for (text, expected) in [
            (&b"a+2Bb+3Dc"[..], Some(&b"a+b=c"[..])),
            (b"a+20b", Some(b"a b")),
            (b"+2b", Some(b"+")),
            (b"", Some(b"")),
            (b"a+0D+0Ab", None),
            (b"a+00", None),
            (b"a+7F", None),
            (b"a+C3+A9", None),
            (b"a=b", None),
            (b"a b", None),
            (b"a+2", None),
            (b"a+", None),
            (b"a+GG", None),
            (b"caf\xc3\xa9", None),
        ] {
            assert_eq!(decode_xtext(text).as_deref(), expected, "{}", text.escape_ascii());
        }
        let mut out = Vec::new();
        encode_xtext(b"a+b=c d\xe9", &mut out);
        assert_eq!(out, b"a+2Bb+3Dc+20d+E9");
    }

    #[test]
    fn original_recipients_come_back_as_they_were() {
        let cases: &[(&str, &str, &str, &str)] = &[
            ("rfc822;a+2Bb@c.example", "rfc822", "a+b@c.example", "rfc822;a+2Bb@c.example"),
            ("x400;/S=+20x", "", "", ""),
            // From Postfix 3.7 with SMTPUTF8: mail with such an address was refused for good.
            ("rfc822;+C3+B8+40x.example", "utf-8", "ø@x.example", "utf-8;\\x{F8}@x.example"),
            ("rfc822;ø@x.example", "utf-8", "ø@x.example", "utf-8;\\x{F8}@x.example"),
            ("rfc822;+C3@x.example", "", "", ""),
            ("rfc822;+C2+85@x.example", "", "", ""),
            ("X400;/S+3Dx", "X400", "/S=x", "X400;/S+3Dx"),
            ("utf-8;d\\x{F8}mi@x.example", "utf-8", "dømi@x.example", "utf-8;d\\x{F8}mi@x.example"),
            ("UTF-8;dømi@x.example", "UTF-8", "dømi@x.example", "UTF-8;d\\x{F8}mi@x.example"),
            ("utf-8;a\\x{5C}\\x{2b}", "utf-8", "a\\+", "utf-8;a\\x{5C}\\x{2B}"),
            ("utf-8;a\\x{A}b", "", "", ""),
            ("utf-8;a\\x{D800}", "", "", ""),
            ("utf-8;a\\x{1234567}", "", "", ""),
            ("utf-8;a\\b", "", "", ""),
            ("rfc822;", "", "", ""),
            (";a@b.example", "", "", ""),
            ("rfc 822;a", "", "", ""),
            ("rfc822", "", "", ""),
            ("rfc822;a+0D+0Ab@c.example", "", "", ""),
        ];
        for (text, kind, address, again) in cases {
            let parsed = OriginalRecipient::parse(text.as_bytes());
            assert_eq!(parsed.is_some(), !kind.is_empty(), "{text}");
            let Some(parsed) = parsed else { continue };
            assert_eq!((parsed.kind(), parsed.address()), (kind.as_bytes(), address.as_bytes()));
            let mut out = Vec::new();
            parsed.encode(&mut out);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(*again));
        }
        let long = format!("rfc822;{}", "x".repeat(ORIGINAL_RECIPIENT_BYTES_MAX));
        assert_eq!(OriginalRecipient::parse(long.as_bytes()), None);
    }

    #[test]
    fn envelope_ids_and_ret_are_read_and_written() {
        let id = EnvelopeId::parse(b"QQ+2B314159").expect("valid");
        assert_eq!(id.as_bytes(), b"QQ+314159");
        let mut out = Vec::new();
        id.encode(&mut out);
        assert_eq!(out, b"QQ+2B314159");
        for text in [&b""[..], b"a b", b"a+0A", &[b'x'; ENVELOPE_ID_BYTES_MAX + 1]] {
            assert_eq!(EnvelopeId::parse(text), None);
        }
        assert_eq!(
            (Ret::parse(b"full"), Ret::parse(b"HDRS"), Ret::parse(b"")),
            (Some(Ret::Full), Some(Ret::Headers), None)
        );
    }
}
