//! Envelope addresses between scripts and SMTP: an array with `localpart` (without quotes) and `domain` (reference: hooks 2.2).

use net::smtp::address::Address;
use net::smtp::domain::to_ascii;
use script::value::{Array, Str, Value};

/// The local part as scripts see it: without quotes.
pub fn local_part(address: &Address) -> Value {
    let text = address.local_part();
    if text.starts_with(b"\"") { unquoted(text).into() } else { text.into() }
}

/// `local@domain` in lower case; empty for the null sender.
pub fn lower(address: Option<&Address>) -> Value {
    let text = address.map(|address| address.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    text.into()
}

/// The address that a string or an address object means; `None` for the null sender.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn of_value(value: &Value) -> Result<Option<Address>, String> {
    match value {
        Value::Str(text) => parsed(text.as_bytes()),
        Value::Array(array) => of_parts(array),
        other => Err(format!("expected an address, not a {}", other.type_name())),
    }
}

fn parsed(text: &[u8]) -> Result<Option<Address>, String> {
    if text.is_empty() || text == b"@" {
        return Ok(None);
    }
    let refuse = |_| format!("\"{}\" is not an address", text.escape_ascii());
    Address::parse(text).map(Some).map_err(refuse)
}

/// The address of a local part without quotes and a domain, whose labels may be in other scripts; `None` where both are empty.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn from_parts(local_part: &str, domain: &str) -> Result<Option<Address>, String> {
    let domain = to_ascii(domain).ok_or_else(|| format!("\"{}\" is not a domain", domain.escape_debug()))?;
    if local_part.is_empty() && !domain.is_empty() {
        return Err("the local part is empty".to_owned());
    }
    joined(local_part.as_bytes(), domain.as_bytes())
}

fn of_parts(array: &Array) -> Result<Option<Address>, String> {
    let part = |key: &str| match array.get_str(key) {
        None | Some(Value::None) => Ok(Str::default()),
        Some(Value::Str(text)) => Ok(text),
        Some(other) => Err(format!("{key} is a {}", other.type_name())),
    };
    joined(&part("localpart")?, &part("domain")?)
}

fn joined(local_part: &[u8], domain: &[u8]) -> Result<Option<Address>, String> {
    if local_part.is_empty() && domain.is_empty() {
        return Ok(None);
    }
    if let Some(address) = without_quotes(local_part, domain) {
        return Ok(Some(address));
    }
    let mut text = Vec::with_capacity(local_part.len() + domain.len() + 3);
    put_quoted(local_part, &mut text);
    if !domain.is_empty() {
        text.push(b'@');
        text.extend_from_slice(domain);
    }
    parsed(&text)
}

/// The address of a local part that needs no quotes, as nearly all do not.
fn without_quotes(local_part: &[u8], domain: &[u8]) -> Option<Address> {
    if local_part.starts_with(b"\"") || domain.is_empty() {
        return None;
    }
    let mut text = Vec::with_capacity(local_part.len() + 1 + domain.len());
    text.extend_from_slice(local_part);
    text.push(b'@');
    text.extend_from_slice(domain);
    Address::from_text(text).ok().filter(|address| address.local_part().len() == local_part.len())
}

/// The content of a quoted string (RFC 5321 4.1.2); anything else as it is.
fn unquoted(local_part: &[u8]) -> Vec<u8> {
    let Some(inside) = local_part.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return local_part.to_vec();
    };
    let mut out = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            byte => out.push(byte),
        }
    }
    out
}

/// Adds a local part as it must be written: quoted where it is no dot-string.
fn put_quoted(local_part: &[u8], out: &mut Vec<u8>) {
    let is_dot_string = !local_part.is_empty()
        && local_part
            .split(|&byte| byte == b'.')
            .all(|atom| !atom.is_empty() && atom.iter().all(|&byte| is_atext(byte)));
    if is_dot_string {
        return out.extend_from_slice(local_part);
    }
    out.push(b'"');
    for &byte in local_part {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_way_through_a_script() {
        for text in [
            "John.DOE@X.example",
            "\"two words\"@x.example",
            "\"a\\\"b\\\\c\"@x",
            "postmaster",
            "ü@x.example",
        ] {
            let address = Address::parse(text.as_bytes()).expect("it is one");
            let mut parts = Array::new();
            parts.set_str("localpart", local_part(&address));
            parts.set_str("domain", address.domain());
            let back = of_value(&parts.into()).expect("it still is one");
            assert_eq!(back.expect("not null").as_bytes(), text.as_bytes());
        }
        let mut nobody = Array::new();
        nobody.set_str("localpart", "");
        nobody.set_str("domain", "");
        assert_eq!(of_value(&nobody.into()), Ok(None));
    }

    #[test]
    fn a_local_part_with_anything_special_in_it_is_quoted() {
        let of = |local_part: &str, domain: &str| {
            let mut parts = Array::new();
            parts.set_str("localpart", local_part);
            parts.set_str("domain", domain);
            of_value(&parts.into()).map(|address| address.expect("not null").as_bytes().to_vec())
        };
        for (local_part, text) in [
            ("a.b", &b"a.b@x.example"[..]),
            ("a@b", b"\"a@b\"@x.example"),
            ("a.", b"\"a.\"@x.example"),
            ("", b"\"\"@x.example"),
            ("\"a\"", b"\"\\\"a\\\"\"@x.example"),
            ("\"a@b\"", b"\"\\\"a@b\\\"\"@x.example"),
        ] {
            assert_eq!(of(local_part, "x.example").as_deref(), Ok(text), "{local_part}");
        }
        assert_eq!(of("postmaster", "").as_deref(), Ok(&b"postmaster"[..]));
        for (local_part, domain) in [("a", ""), ("a@b", ""), ("a", "x@y"), ("a", "x y"), ("a\n", "x")] {
            assert!(of(local_part, domain).is_err(), "{local_part:?} {domain:?}");
        }
    }

    #[test]
    fn parts_become_an_address_that_smtp_can_carry() {
        let written = |local_part, domain| {
            let address = from_parts(local_part, domain)?;
            Ok::<_, String>(address.map(|address| String::from_utf8_lossy(address.as_bytes()).into_owned()))
        };
        let ok = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(written("Jo", "X.example"), ok("Jo@X.example"));
        assert_eq!(written("two words", "x.example"), ok("\"two words\"@x.example"));
        assert_eq!(written("a@b", "x.example"), ok("\"a@b\"@x.example"));
        assert_eq!(written("jo", "b\u{fc}cher.example"), ok("jo@xn--bcher-kva.example"));
        assert_eq!(written("j\u{f6}", "x.example"), ok("j\u{f6}@x.example"));
        assert_eq!(written("", ""), Ok(None));
        let wrong: [(&str, &str); 6] =
            [("jo", ""), ("", "x"), ("jo", "x>"), ("jo\r\n", "x"), ("jo", "x y"), ("jo", "b\u{fc}\r\n.x")];
        for (local_part, domain) in wrong {
            assert!(written(local_part, domain).is_err(), "{local_part:?} {domain:?}");
        }
    }

    #[test]
    fn nothing_but_an_address_gets_out() {
        assert!(of_value(&Value::from("a\r\nRCPT TO:<b>@x")).is_err());
        assert!(of_value(&Value::from(5)).is_err());
    }
}
