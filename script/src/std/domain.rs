//! Domain names: hsl-stdlib 10 without DNS.

use std::sync::OnceLock;

use psl::Psl;

use crate::fault::Fault;
use crate::limits::OFFLOAD_ABOVE_BYTES;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// The natives of this file.
pub static NATIVES: &[Native] = &[
    Native {
        name: "domain_includes",
        params: "string sub, string domain [, array options]",
        doc: "Whether sub is the domain or below it, in any case. A leading dot on the domain leaves out the domain itself.",
        min_args: 2,
        max_args: Some(3),
        run: NativeRun::Sized { above_bytes: OFFLOAD_ABOVE_BYTES, run: domain_includes },
    },
    Native {
        name: "is_subdomain",
        params: "string sub, string domain",
        doc: "Old name of domain_includes.",
        min_args: 2,
        max_args: Some(3),
        run: NativeRun::Sized { above_bytes: OFFLOAD_ABOVE_BYTES, run: domain_includes },
    },
    Native {
        name: "domain_publicsuffix",
        params: "string domain",
        doc: "The public suffix of a domain in lower case, or none if its top level is not on the Public Suffix List.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Inline(domain_publicsuffix),
    },
];

/// A list that takes the place of the built-in one.
static REPLACEMENT: OnceLock<publicsuffix::List> = OnceLock::new();

/// Uses a Public Suffix List from a file instead of the built-in one, for the rest of the process.
///
/// An error says what is wrong with the text; a second call changes nothing.
pub fn set_public_suffix_list(text: &[u8]) -> Result<(), String> {
    let _ = REPLACEMENT.set(read_list(text)?);
    Ok(())
}

/// The format of publicsuffix.org; the marks of its two sections may be missing.
fn read_list(text: &[u8]) -> Result<publicsuffix::List, String> {
    const MARK: &[u8] = b"// ===BEGIN ICANN DOMAINS===\n";
    let list = match memchr::memmem::find(text, b"// ===BEGIN") {
        Some(_) => publicsuffix::List::from_bytes(text),
        None => publicsuffix::List::from_bytes(&[MARK, text].concat()),
    };
    list.map_err(|error| error.to_string())
}

fn domain_includes(call: &mut Call<'_>) -> Result<Value, Fault> {
    call.options(2)?;
    Ok(Value::from(includes(call.bytes(0)?, call.bytes(1)?)))
}

/// Whether `sub` is `domain` or, without its leading dot, below it. One trailing dot on either means nothing.
pub fn includes(sub: &[u8], domain: &[u8]) -> bool {
    let sub = sub.strip_suffix(b".").unwrap_or(sub);
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    let (strict, domain) = match domain {
        [b'.', domain @ ..] => (true, domain),
        domain => (false, domain),
    };
    let Some(above) = sub.len().checked_sub(domain.len()).filter(|_| !domain.is_empty()) else {
        return false;
    };
    let same_end = sub[above..].eq_ignore_ascii_case(domain);
    same_end && if above == 0 { !strict } else { above > 1 && sub[above - 1] == b'.' }
}

fn domain_publicsuffix(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(public_suffix(call.bytes(0)?, REPLACEMENT.get()).map_or(Value::None, Value::from))
}

/// The longest public suffix, in lower case and without a trailing dot.
fn public_suffix(domain: &[u8], list: Option<&publicsuffix::List>) -> Option<String> {
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    // Longer than any domain; an empty label is none.
    if domain.len() > 255 || domain.split(|&byte| byte == b'.').any(<[u8]>::is_empty) {
        return None;
    }
    let domain = std::str::from_utf8(domain).ok()?.to_lowercase();
    let suffix = match list {
        Some(list) => list.suffix(domain.as_bytes()),
        None => psl::List.suffix(domain.as_bytes()),
    }?;
    suffix.is_known().then(|| String::from_utf8_lossy(suffix.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_includes_itself_and_what_is_below() {
        let cases = [
            ("example.org", "example.org", true),
            ("a.b.example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("org", "example.org", false),
            (".example.org", "example.org", false),
            ("a.example.org", ".example.org", true),
            ("example.org", ".example.org", false),
            ("A.Example.ORG.", "example.org", true),
            ("a.example.org", "example.org.", true),
            ("example.org", "", false),
            ("", "", false),
            ("a", ".", false),
        ];
        for (sub, domain, expected) in cases {
            assert_eq!(includes(sub.as_bytes(), domain.as_bytes()), expected, "{sub} {domain}");
        }
    }

    #[test]
    fn suffixes_are_those_of_the_list() {
        let cases = [
            ("www.example.co.uk", Some("co.uk")),
            ("co.uk", Some("co.uk")),
            ("WWW.Example.COM.", Some("com")),
            ("a.b.kawasaki.jp", Some("b.kawasaki.jp")),
            ("city.kawasaki.jp", Some("kawasaki.jp")),
            ("example.github.io", Some("github.io")),
            ("www.食狮.中国", Some("中国")),
            ("www.xn--85x722f.xn--fiqs8s", Some("xn--fiqs8s")),
            ("example.invalid-tld", None),
            ("localhost", None),
            ("", None),
            (".", None),
            ("a..com", None),
            (".com", None),
        ];
        for (domain, expected) in cases {
            assert_eq!(public_suffix(domain.as_bytes(), None).as_deref(), expected, "{domain}");
        }
    }

    #[test]
    fn a_list_of_ones_own_takes_its_place() {
        let list = read_list(b"// comment\ncorp\n*.lab\n!www.lab\n").unwrap();
        assert_eq!(public_suffix(b"a.corp", Some(&list)).as_deref(), Some("corp"));
        assert_eq!(public_suffix(b"a.b.lab", Some(&list)).as_deref(), Some("b.lab"));
        assert_eq!(public_suffix(b"www.lab", Some(&list)).as_deref(), Some("lab"));
        assert_eq!(public_suffix(b"a.com", Some(&list)), None);
        let marked = b"// ===BEGIN PRIVATE DOMAINS===\nmine.example\n// ===END PRIVATE DOMAINS===\n";
        assert_eq!(
            public_suffix(b"a.mine.example", Some(&read_list(marked).unwrap())).as_deref(),
            Some("mine.example")
        );
        assert!(read_list(b"").is_err());
        assert!(read_list(b"\xff").is_err());
    }
}
