//! `idna_encode` and `idna_decode`: domain names with characters outside of ASCII.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::fault::Fault;
use crate::native::{Call, Native, NativeRun};
use crate::value::Value;

/// The natives of this file. A name is at most 255 bytes long, so both are quick.
pub static NATIVES: &[Native] = &[
    Native {
        name: "idna_encode",
        params: "string domain",
        doc: "The ASCII form of a domain (IDNA 2008: sharp s stays), or none if it has none.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Inline(idna_encode),
    },
    Native {
        name: "idna_decode",
        params: "string domain",
        doc: "The UTF-8 form of a domain, or none if a label is malformed.",
        min_args: 1,
        max_args: Some(1),
        run: NativeRun::Inline(idna_decode),
    },
];

/// Four bytes per character of the longest domain name.
const MAX_INPUT_BYTES: usize = 1024;

fn idna_encode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(encode(call.bytes(0)?).map_or(Value::None, |name| Value::from(&*name)))
}

fn idna_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(decode(call.bytes(0)?).map_or(Value::None, |name| Value::from(&*name)))
}

/// Underscores pass, as names of DNS records have them; white space and the delimiters of URLs do not.
fn encode(domain: &[u8]) -> Option<Cow<'_, str>> {
    if domain.len() > MAX_INPUT_BYTES {
        return None;
    }
    Uts46::new().to_ascii(domain, AsciiDenyList::URL, Hyphens::Allow, DnsLength::VerifyAllowRootDot).ok()
}

fn decode(domain: &[u8]) -> Option<Cow<'_, str>> {
    if domain.len() > MAX_INPUT_BYTES {
        return None;
    }
    let (name, result) = Uts46::new().to_unicode(domain, AsciiDenyList::URL, Hyphens::Allow);
    result.is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (unicode, ascii) in [
            ("bücher.example", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
            ("食狮.中国", "xn--85x722f.xn--fiqs8s"),
            ("plain.example.", "plain.example."),
        ] {
            assert_eq!(encode(unicode.as_bytes()).as_deref(), Some(ascii));
            assert_eq!(decode(ascii.as_bytes()).as_deref(), Some(unicode));
        }
        assert_eq!(encode("BÜCHER.Example".as_bytes()).as_deref(), Some("xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_no_domain_is_none() {
        for bad in ["", "a b", "a..b", "a@b", "xn--zzzzzzz--", &"a".repeat(64), &"ü".repeat(600)] {
            assert_eq!(encode(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(encode(b"b\xfccher"), None);
        assert_eq!(decode(b"xn--zzzzzzz--"), None);
    }
}
