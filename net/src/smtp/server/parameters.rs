//! The parameters behind the path of MAIL and RCPT: only those of extensions that are offered are known.

use super::Extensions;
use super::event::BodyType;
use crate::smtp::error::PeerMisbehaved;
use crate::smtp::parameters::{
    EnvelopeId, MailParameters, Notify, OriginalRecipient, RcptParameters, Ret, decode_xtext,
};

/// What MAIL says besides the sender.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct OfMail {
    pub(super) size_bytes: Option<u64>,
    pub(super) body: BodyType,
    pub(super) auth: Option<Box<[u8]>>,
    pub(super) parameters: MailParameters,
}

/// Parses what follows the path of MAIL: ` KEYWORD=VALUE KEYWORD ...`.
pub(super) fn parse_mail(text: &[u8], offered: Extensions) -> Result<OfMail, PeerMisbehaved> {
    let mut parsed = OfMail::default();
    let mut seen = Seen::default();
    for (keyword, value) in split(text)? {
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        if offered.size && is("size") {
            seen.once(0)?;
            parsed.size_bytes = Some(parse_size(required(value)?)?);
        } else if offered.eight_bit_mime && is("body") {
            seen.once(1)?;
            parsed.body = parse_body_type(required(value)?)?;
        } else if offered.smtputf8 && is("smtputf8") {
            seen.once(2)?;
            parsed.parameters.smtp_utf8 = without_value(value)?;
        } else if offered.require_tls && is("requiretls") {
            seen.once(3)?;
            parsed.parameters.require_tls = without_value(value)?;
        } else if offered.dsn && is("ret") {
            seen.once(4)?;
            parsed.parameters.ret = Some(Ret::parse(required(value)?).ok_or(BAD)?);
        } else if offered.dsn && is("envid") {
            seen.once(5)?;
            parsed.parameters.envelope_id = Some(EnvelopeId::parse(required(value)?).ok_or(BAD)?);
        } else if offered.auth && is("auth") {
            seen.once(6)?;
            parsed.auth = Some(parse_auth(required(value)?)?);
        } else {
            return Err(PeerMisbehaved::UnknownParameter);
        }
    }
    Ok(parsed)
}

/// Parses what follows the path of RCPT.
pub(super) fn parse_rcpt(text: &[u8], offered: Extensions) -> Result<RcptParameters, PeerMisbehaved> {
    let mut parsed = RcptParameters::default();
    let mut seen = Seen::default();
    for (keyword, value) in split(text)? {
        if offered.dsn && keyword.eq_ignore_ascii_case(b"notify") {
            seen.once(0)?;
            parsed.notify = Some(Notify::parse(required(value)?).ok_or(BAD)?);
        } else if offered.dsn && keyword.eq_ignore_ascii_case(b"orcpt") {
            seen.once(1)?;
            parsed.original_recipient = Some(OriginalRecipient::parse(required(value)?).ok_or(BAD)?);
        } else {
            return Err(PeerMisbehaved::UnknownParameter);
        }
    }
    Ok(parsed)
}

const BAD: PeerMisbehaved = PeerMisbehaved::BadParameter;

/// Which parameters have come.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, number: u8) -> Result<(), PeerMisbehaved> {
        if self.0 & 1 << number != 0 {
            return Err(BAD);
        }
        self.0 |= 1 << number;
        Ok(())
    }
}

/// Keywords and values; `None` where there is no equals sign.
pub(super) fn split(text: &[u8]) -> Result<impl Iterator<Item = (&[u8], Option<&[u8]>)>, PeerMisbehaved> {
    if !text.is_empty() && text[0] != b' ' {
        return Err(PeerMisbehaved::Syntax);
    }
    let words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    Ok(words.map(|word| match word.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    }))
}

fn required(value: Option<&[u8]>) -> Result<&[u8], PeerMisbehaved> {
    value.ok_or(BAD)
}

/// The parameter is there, which is all it can be.
fn without_value(value: Option<&[u8]>) -> Result<bool, PeerMisbehaved> {
    if value.is_none() { Ok(true) } else { Err(BAD) }
}

/// One to twenty digits (RFC 1870); a number beyond 64 bits is as good as the largest.
fn parse_size(digits: &[u8]) -> Result<u64, PeerMisbehaved> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    Ok(digits
        .iter()
        .fold(0u64, |size, digit| size.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// BINARYMIME (RFC 3030) is not offered.
fn parse_body_type(value: &[u8]) -> Result<BodyType, PeerMisbehaved> {
    match value {
        _ if value.eq_ignore_ascii_case(b"7bit") => Ok(BodyType::SevenBit),
        _ if value.eq_ignore_ascii_case(b"8bitmime") => Ok(BodyType::EightBitMime),
        _ => Err(BAD),
    }
}

fn parse_auth(value: &[u8]) -> Result<Box<[u8]>, PeerMisbehaved> {
    if value == b"<>" {
        return Ok(Box::default());
    }
    decode_xtext(value).filter(|name| !name.is_empty()).map(Box::from).ok_or(BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Result<OfMail, PeerMisbehaved> {
        parse_mail(text.as_bytes(), Extensions::ALL)
    }

    fn rcpt(text: &str) -> Result<RcptParameters, PeerMisbehaved> {
        parse_rcpt(text.as_bytes(), Extensions::ALL)
    }

    #[test]
    fn all_parameters_of_mail_are_understood_in_any_case_and_order() {
        let text =
            " smtputf8 RET=hdrs ENVID=QQ+2B314 body=8bitmime REQUIRETLS auth=e+3Dmc2@example.com  SIZE=7";
        let parameters = MailParameters {
            smtp_utf8: true,
            require_tls: true,
            ret: Some(Ret::Headers),
            envelope_id: EnvelopeId::parse(b"QQ+2B314"),
        };
        let expected = OfMail {
            size_bytes: Some(7),
            body: BodyType::EightBitMime,
            auth: Some(b"e=mc2@example.com"[..].into()),
            parameters,
        };
        assert_eq!(mail(text), Ok(expected));
        assert_eq!(mail(" AUTH=<>").expect("valid").auth.as_deref(), Some(&b""[..]));
        assert_eq!(mail(""), Ok(OfMail::default()));
    }

    #[test]
    fn all_parameters_of_rcpt_are_understood() {
        let parsed = rcpt(" NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@Example.COM").expect("valid");
        assert_eq!(parsed.notify, Some(Notify { success: true, failure: false, delay: true }));
        let original = parsed.original_recipient.expect("given");
        assert_eq!((original.kind(), original.address()), (&b"rfc822"[..], &b"Bob+x@Example.COM"[..]));
    }

    #[test]
    fn wrong_values_and_repetitions_are_refused() {
        let bad_mail = [
            " SIZE=",
            " SIZE",
            " SIZE=-1",
            " SIZE=1 SIZE=1",
            " BODY=BINARYMIME",
            " BODY",
            " SMTPUTF8=1",
            " SMTPUTF8 smtputf8",
            " REQUIRETLS=",
            " RET=ALL",
            " RET",
            " ENVID=",
            " ENVID=a+0D+0Ab",
            " AUTH=",
            " AUTH=a+00b",
        ];
        for text in bad_mail {
            assert_eq!(mail(text), Err(BAD), "{text}");
        }
        for text in
            [" NOTIFY=", " NOTIFY", " NOTIFY=SOON", " NOTIFY=DELAY NOTIFY=DELAY", " ORCPT=a@b.example"]
        {
            assert_eq!(rcpt(text), Err(BAD), "{text}");
        }
        assert_eq!(mail("SIZE=1"), Err(PeerMisbehaved::Syntax));
    }

    #[test]
    fn what_is_not_offered_is_not_known() {
        let unknown = PeerMisbehaved::UnknownParameter;
        for text in [" SIZE=1", " BODY=7BIT", " SMTPUTF8", " REQUIRETLS", " RET=FULL", " ENVID=x", " AUTH=<>"]
        {
            assert_eq!(parse_mail(text.as_bytes(), Extensions::NONE), Err(unknown), "{text}");
        }
        for text in [" NOTIFY=NEVER", " ORCPT=rfc822;x"] {
            assert_eq!(parse_rcpt(text.as_bytes(), Extensions::NONE), Err(unknown), "{text}");
        }
    }
}
