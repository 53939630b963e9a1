//! XCLIENT (as Postfix's XCLIENT_README has it): a listed peer says for whom it speaks.

use std::net::IpAddr;

use super::event::Verb;
use crate::limits::DOMAIN_BYTES_MAX;
use crate::smtp::error::PeerMisbehaved;
use crate::smtp::parameters::decode_xtext;

/// What EHLO announces to a listed peer.
pub(super) const KEYWORD: &str = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

/// The XCLIENT command. What is not in it stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct XClient {
    /// NAME: the reverse name of the client.
    pub name: Attribute<Box<[u8]>>,
    /// ADDR: its address.
    pub address: Attribute<IpAddr>,
    /// PORT: its port.
    pub port: Attribute<u16>,
    /// PROTO: which greeting it used.
    pub protocol: Option<Verb>,
    /// HELO: the name it gave with it.
    pub helo: Attribute<Box<[u8]>>,
    /// LOGIN: whom it authenticated as.
    pub login: Attribute<Box<[u8]>>,
    /// DESTADDR: the address that it connected to.
    pub destination_address: Attribute<IpAddr>,
    /// DESTPORT: the port that it connected to.
    pub destination_port: Attribute<u16>,
}

/// One attribute of [`XClient`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Attribute<T> {
    /// Not said.
    #[default]
    Absent,
    /// `[UNAVAILABLE]` or `[TEMPUNAVAIL]`: there is none, or it is not known.
    Unavailable,
    /// This.
    Value(T),
}

impl<T> Attribute<T> {
    /// Puts what was said in the place of what was known; `none` where there is none.
    pub fn apply(self, known: &mut T, none: T) {
        match self {
            Attribute::Absent => {}
            Attribute::Unavailable => *known = none,
            Attribute::Value(value) => *known = value,
        }
    }

    /// The same for something that may be unknown.
    pub fn apply_option(self, known: &mut Option<T>) {
        match self {
            Attribute::Absent => {}
            Attribute::Unavailable => *known = None,
            Attribute::Value(value) => *known = Some(value),
        }
    }
}

/// Parses what follows the verb.
pub(super) fn parse(text: &[u8]) -> Result<XClient, PeerMisbehaved> {
    let mut parsed = XClient::default();
    let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).peekable();
    if words.peek().is_none() {
        return Err(PeerMisbehaved::Syntax);
    }
    for word in words {
        let equals = word.iter().position(|&byte| byte == b'=').ok_or(PeerMisbehaved::Syntax)?;
        let (name, value) = (&word[..equals], &word[equals + 1..]);
        match &*name.to_ascii_uppercase() {
            b"NAME" => parsed.name = attribute(value, text_value)?,
            b"ADDR" => parsed.address = attribute(value, address_value)?,
            b"PORT" => parsed.port = attribute(value, port_value)?,
            b"PROTO" => parsed.protocol = Some(protocol_value(value).ok_or(PeerMisbehaved::BadParameter)?),
            b"HELO" => parsed.helo = attribute(value, text_value)?,
            b"LOGIN" => parsed.login = attribute(value, text_value)?,
            b"DESTADDR" => parsed.destination_address = attribute(value, address_value)?,
            b"DESTPORT" => parsed.destination_port = attribute(value, port_value)?,
            _ => return Err(PeerMisbehaved::Syntax),
        }
    }
    Ok(parsed)
}

fn attribute<T>(value: &[u8], parse: fn(&[u8]) -> Option<T>) -> Result<Attribute<T>, PeerMisbehaved> {
    match value {
        _ if value.eq_ignore_ascii_case(b"[UNAVAILABLE]") || value.eq_ignore_ascii_case(b"[TEMPUNAVAIL]") => {
            Ok(Attribute::Unavailable)
        }
        _ => parse(value).map(Attribute::Value).ok_or(PeerMisbehaved::BadParameter),
    }
}

fn text_value(value: &[u8]) -> Option<Box<[u8]>> {
    let text = decode_xtext(value)?;
    (!text.is_empty() && text.len() <= DOMAIN_BYTES_MAX).then(|| text.into())
}

/// `192.0.2.1`, or `IPV6:2001:db8::1`; also without the tag.
fn address_value(value: &[u8]) -> Option<IpAddr> {
    let text = String::from_utf8(decode_xtext(value)?).ok()?;
    let untagged = match text.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPV6:") => rest,
        _ => &text,
    };
    untagged.parse().ok()
}

fn port_value(value: &[u8]) -> Option<u16> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

fn protocol_value(value: &[u8]) -> Option<Verb> {
    match value {
        _ if value.eq_ignore_ascii_case(b"ESMTP") => Some(Verb::Ehlo),
        _ if value.eq_ignore_ascii_case(b"SMTP") => Some(Verb::Helo),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_understood() {
        let text =
            b"NAME=spike.example ADDR=168.100.189.2 port=4711 PROTO=ESMTP HELO=a+2Bb LOGIN=[UNAVAILABLE] \
                     DESTADDR=IPV6:2001:db8::1 DESTPORT=25";
        let parsed = parse(text).expect("valid");
        assert_eq!(parsed.name, Attribute::Value(b"spike.example"[..].into()));
        assert_eq!(parsed.address, Attribute::Value("168.100.189.2".parse().expect("an address")));
        assert_eq!(parsed.port, Attribute::Value(4711));
        assert_eq!(parsed.protocol, Some(Verb::Ehlo));
        assert_eq!(parsed.helo, Attribute::Value(b"a+b"[..].into()));
        assert_eq!(parsed.login, Attribute::Unavailable);
        assert_eq!(parsed.destination_address, Attribute::Value("2001:db8::1".parse().expect("an address")));
        assert_eq!(parsed.destination_port, Attribute::Value(25));
        assert_eq!(parse(b"NAME=[tempunavail]").expect("valid").address, Attribute::Absent);
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for text in [
            "",
            "NAME",
            "NAME=",
            "ADDR=example",
            "ADDR=1.2.3",
            "PORT=65536",
            "PORT=+5",
            "PROTO=LMTP",
            "FOO=x",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"HELO=a+0D+0Ab").is_err());
    }
}
