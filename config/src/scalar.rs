//! Scalars to typed values, and the words for what is wrong with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::limits::{MAX_QUOTED_CHARS, MAX_TAG_CHARS};
use crate::pattern;
use crate::report::Problem;
use crate::schema::{Shape, Type};
use crate::tls::{CipherList, TlsVersions};
use crate::tree::Checked;
use crate::yaml::{Kind, Node, Scalar, Value};

/// Reads `scalar` as a value of type `ty`.
pub(crate) fn check(scalar: &Scalar, ty: Type) -> Result<Checked, Problem> {
    match ty {
        Type::Integer { min, max } => integer(scalar, min, max).map(Checked::Integer),
        Type::Bool => boolean(scalar).map(Checked::Bool),
        Type::Time { min_s } => time(scalar, min_s).map(Checked::Time),
        Type::Size => size(scalar).map(Checked::Integer),
        Type::Octal => octal(scalar).map(Checked::Integer),
        Type::Free => Ok(free(scalar)),
        Type::BoolOrHostName => match scalar.retyped() {
            Kind::Bool(bool) => Ok(Checked::Bool(bool)),
            _ => string(scalar).and_then(|text| check_text(text, Type::HostName)),
        },
        _ => string(scalar).and_then(|text| check_text(text, ty)),
    }
}

fn check_text(text: &str, ty: Type) -> Result<Checked, Problem> {
    let text_if = |fine: bool, what: &str| {
        if fine {
            Ok(Checked::Text(text.to_owned()))
        } else {
            Err(Problem::new(format!("{} {what}", quoted(text))))
        }
    };
    match ty {
        Type::Id => {
            text_if(is_id(text), "is not an id: letters, digits and . _ / @ + -, at most 128 characters")
        }
        Type::Choice(choices) | Type::Field(choices) => {
            text_if(choices.contains(&text), &format!("is not one of {}", choices.join(", ")))
        }
        Type::Ip => text.parse().map(Checked::Ip).map_err(|_| Problem::new("not an IPv4 or IPv6 address")),
        // Only keys of features to come have this type.
        Type::Network => network(text).map(Checked::Network),
        Type::Server { port } => server(text, port).map(Checked::Server),
        Type::HostName => text_if(is_host_name(text) || is_literal(text), "is not a host name"),
        Type::Host => text_if(
            is_host_name(text) || text.parse::<IpAddr>().is_ok(),
            "is not a host name or an address without brackets",
        ),
        Type::Tag => text_if(
            text.chars().count() <= MAX_TAG_CHARS && is_printable(text),
            &format!("is longer than {MAX_TAG_CHARS} characters, or not printable"),
        ),
        Type::Match { field, lists } => pattern::parse(text, field, lists).map(Checked::Match),
        Type::TlsVersions => TlsVersions::read(text).map(|_| Checked::Text(text.to_owned())),
        Type::Ciphers => CipherList::read(text).map(|_| Checked::Text(text.to_owned())),
        Type::TextOrEmpty => Ok(Checked::Text(text.to_owned())),
        Type::Text | Type::Path => text_if(!text.is_empty() && !text.contains('\0'), "is empty or has a NUL"),
        Type::Integer { .. }
        | Type::Bool
        | Type::Time { .. }
        | Type::Size
        | Type::Octal
        | Type::Free
        | Type::BoolOrHostName => unreachable!("not read as text"),
    }
}

/// A string: in quotes, or plain and nothing else by the core schema.
fn string(scalar: &Scalar) -> Result<&str, Problem> {
    match scalar.kind() {
        Kind::Text => Ok(&scalar.text),
        kind => Err(not_a_string(scalar, kind)),
    }
}

/// The error for a number, boolean or null where a string is needed.
pub(crate) fn not_a_string(scalar: &Scalar, kind: Kind) -> Problem {
    let found = describe_kind(scalar, kind);
    let problem = Problem::new(format!("expected a string, got {found}"));
    if kind == Kind::Null { problem } else { problem.hint(format!("write \"{}\" in quotes", scalar.text)) }
}

fn integer(scalar: &Scalar, min: u64, max: u64) -> Result<u64, Problem> {
    match scalar.retyped() {
        Kind::Integer(integer) => u64::try_from(integer)
            .ok()
            .filter(|integer| (min..=max).contains(integer))
            .ok_or_else(|| Problem::new(format!("{integer} is not in {min}..{max}"))),
        kind => Err(Problem::new(format!("expected a whole number, got {}", describe_kind(scalar, kind)))),
    }
}

fn boolean(scalar: &Scalar) -> Result<bool, Problem> {
    match scalar.retyped() {
        Kind::Bool(bool) => Ok(bool),
        kind => Err(Problem::new(format!("expected true or false, got {}", describe_kind(scalar, kind)))),
    }
}

fn time(scalar: &Scalar, min_s: u64) -> Result<Duration, Problem> {
    let seconds = match scalar.retyped() {
        Kind::Integer(integer) => u64::try_from(integer).ok().filter(|seconds| *seconds <= MAX_TIME_S),
        Kind::Text => time_form(&scalar.text).filter(|seconds| *seconds <= MAX_TIME_S),
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds < min_s => Err(Problem::new(format!("{seconds} is less than {min_s} s"))),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err(Problem::new(format!("{} is not a time", quoted(&scalar.text)))
            .hint("use seconds or a form like 1h30m")),
    }
}

/// A century: far enough, and safe to add to any clock.
const MAX_TIME_S: u64 = 100 * 366 * 86_400;

/// Seconds, maybe with a fraction, or a form like `1h30m`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    text.trim().parse().ok().or_else(|| time_form(text).map(|seconds| seconds as f64))
}

/// `[<n>d][<n>h][<n>m][<n>s]`, at least one part, as seconds.
fn time_form(text: &str) -> Option<u64> {
    let units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
    let mut rest = text;
    let mut seconds: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let position = units.iter().skip(next_unit).position(|(name, _)| *name == unit)? + next_unit;
        seconds = seconds.checked_add(number.checked_mul(units[position].1)?)?;
        next_unit = position + 1;
        rest = &rest[digits + 1..];
    }
    (next_unit > 0).then_some(seconds)
}

fn size(scalar: &Scalar) -> Result<u64, Problem> {
    let bytes = match scalar.retyped() {
        Kind::Integer(integer) => u64::try_from(integer).ok(),
        Kind::Text => size_form(&scalar.text),
        _ => None,
    };
    bytes.ok_or_else(|| {
        Problem::new(format!("{} is not a size", quoted(&scalar.text))).hint("use bytes or a form like 10MiB")
    })
}

/// `<n>` and one of `TiB`, `GiB`, `MiB`, `KiB`, `B`, as bytes.
fn size_form(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let factor = match &text[digits..] {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

fn octal(scalar: &Scalar) -> Result<u64, Problem> {
    if matches!(scalar.kind(), Kind::Integer(_) | Kind::Float(_)) {
        return Err(Problem::new("expected an octal string, got a number")
            .hint(format!("write \"{}\" in quotes", scalar.text)));
    }
    let text = string(scalar)?;
    let digits = text.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) && (1..=5).contains(&text.len());
    let mode = if digits { u64::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        Problem::new(format!("{} is not an octal mode", quoted(text))).hint("use a form like \"0660\"")
    })
}

fn free(scalar: &Scalar) -> Checked {
    match scalar.retyped() {
        Kind::Bool(bool) => Checked::Bool(bool),
        #[expect(clippy::cast_precision_loss, reason = "free numbers are floating point, as in scripts")]
        Kind::Integer(integer) => Checked::Number(integer as f64),
        Kind::Float(number) => Checked::Number(number),
        Kind::Null | Kind::Text => Checked::Text(scalar.text.clone()),
    }
}

/// An address is a network of one.
pub(crate) fn network(text: &str) -> Result<IpNet, Problem> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| Problem::new(format!("{} is not an address or network", quoted(text))))
}

fn server(text: &str, port: u16) -> Result<SocketAddr, Problem> {
    let with_port = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    with_port.or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))).ok_or_else(|| {
        Problem::new(format!("{} is not a name server", quoted(text)))
            .hint("use address, address:port or [v6]:port")
    })
}

fn is_id(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._/@+-".contains(c);
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(fine)
        && !text.split('/').any(|part| part == "..")
}

/// Letters, digits, hyphens, underscores in labels of at most 63; at most 253 in all.
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]`, as SMTP names a host without a name.
fn is_literal(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inside.is_some_and(|address| match address.strip_prefix("IPv6:") {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => address.parse::<Ipv4Addr>().is_ok(),
    })
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// May `node` be a value of `shape`, as far as a choice is concerned?
pub(crate) fn is_choice(node: &Node, shape: Shape) -> bool {
    match (shape, &node.value) {
        (Shape::One(Type::Choice(choices) | Type::Field(choices)), Value::Scalar(scalar)) => {
            choices.contains(&scalar.text.as_str())
        }
        (Shape::One(Type::Bool), Value::Scalar(scalar)) => boolean(scalar).is_ok(),
        _ => true,
    }
}

/// What `ty` is called in errors.
pub(crate) fn name_of(ty: Type) -> &'static str {
    match ty {
        Type::Integer { .. } => "a whole number",
        Type::Bool => "true or false",
        Type::Time { .. } => "a time",
        Type::Size => "a size",
        Type::Octal => "an octal string",
        Type::Free => "a string, number or boolean",
        Type::Field(_) => "the name of a field",
        Type::BoolOrHostName => "true, false or a host name",
        Type::Text
        | Type::TextOrEmpty
        | Type::Id
        | Type::Choice(_)
        | Type::Ip
        | Type::Network
        | Type::Server { .. }
        | Type::HostName
        | Type::Host
        | Type::Path
        | Type::Tag
        | Type::TlsVersions
        | Type::Ciphers
        | Type::Match { .. } => "a string",
    }
}

/// What `node` is, for errors.
pub(crate) fn describe(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => describe_kind(scalar, scalar.kind()),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// The value of a scalar in quotes; what another node is.
pub(crate) fn quoted_node(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => quoted(&scalar.text),
        _ => describe(node),
    }
}

fn describe_kind(scalar: &Scalar, kind: Kind) -> String {
    match kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Bool(bool) => format!("{bool}"),
        Kind::Integer(integer) => format!("number {integer}"),
        Kind::Float(number) => format!("number {number}"),
        Kind::Text => quoted(&scalar.text),
    }
}

/// `text` in quotes, on one line, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_ordered_parts() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("1d12h", Some(129_600)),
            ("1h30m", Some(5400)),
            ("0s", Some(0)),
            ("1m1h", None),
            ("1h1h", None),
            ("5 minutes", None),
            ("h", None),
            ("90", None),
            ("", None),
            ("1.5h", None),
            ("-1s", None),
            ("99999999999999999999d", None),
            ("1µ", None),
        ] {
            assert_eq!(time_form(text), seconds, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("1B", Some(1)),
            ("10KiB", Some(10_240)),
            ("40MiB", Some(41_943_040)),
            ("2GiB", Some(2_147_483_648)),
            ("1TiB", Some(1_099_511_627_776)),
            ("1kib", None),
            ("1 MiB", None),
            ("MiB", None),
            ("1MB", None),
            ("1", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(size_form(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn ids_do_not_climb_directories() {
        for (text, fine) in [
            ("in", true),
            ("a/b.c@d+e-f_g", true),
            ("0", true),
            ("a/../b", false),
            ("..", false),
            ("-a", false),
            ("", false),
            ("a b", false),
            (&"x".repeat(129), false),
        ] {
            assert_eq!(is_id(text), fine, "{text:?}");
        }
    }

    #[test]
    fn host_names_cannot_carry_line_ends_or_spaces() {
        for (text, fine) in [
            ("mx.example.com", true),
            ("localhost", true),
            ("a_b.example", true),
            ("a..b", false),
            ("a b", false),
            ("a\r\nb", false),
            ("", false),
            ("mx.example.com.", false),
        ] {
            assert_eq!(is_host_name(text), fine, "{text:?}");
        }
    }
}
