//! The messages of LDAP (RFC 4511) that a client of scripts sends and gets.

use super::ber::{
    BadBer, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, boolean, constructed, element, number,
};

/// The name of the operation that begins TLS (RFC 4511, section 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// How deep a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Base = 0,
    One = 1,
    Sub = 2,
}

/// What a server says about one of our requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// To a bind, a search or an extended operation: that is all.
    Done(Outcome),
    /// An object that a search has found.
    Entry(Entry),
    /// Where else to search.
    Reference,
}

/// A result code, and what the server says to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: i32,
    pub(super) text: Vec<u8>,
}

/// The name of an object, and its attributes with their values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: Vec<u8>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
}

/// Says who we are (section 4.2).
pub(super) fn bind(id: i32, dn: &[u8], password: &[u8]) -> Vec<u8> {
    let parts = [number(INTEGER, 3), element(OCTETS, dn), element(0x80, password)];
    message(id, constructed(0x60, &parts))
}

/// Says goodbye (section 4.3).
pub(super) fn unbind(id: i32) -> Vec<u8> {
    message(id, element(0x42, &[]))
}

/// Asks to begin TLS.
pub(super) fn start_tls(id: i32) -> Vec<u8> {
    message(id, constructed(0x77, &[element(0x80, START_TLS)]))
}

/// Searches (section 4.5.1). `filter` is encoded already; `time_limit_s` 0 is none.
pub(super) fn search(
    id: i32,
    base: &[u8],
    scope: Scope,
    time_limit_s: i32,
    filter: Vec<u8>,
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let attributes: Vec<_> = attributes.iter().map(|name| element(OCTETS, name)).collect();
    let parts = [
        element(OCTETS, base),
        number(ENUMERATED, scope as i32),
        // Aliases stand for themselves.
        number(ENUMERATED, 0),
        number(INTEGER, 0),
        number(INTEGER, time_limit_s),
        boolean(false),
        filter,
        constructed(SEQUENCE, &attributes),
    ];
    message(id, constructed(0x63, &parts))
}

fn message(id: i32, operation: Vec<u8>) -> Vec<u8> {
    constructed(SEQUENCE, &[number(INTEGER, id), operation])
}

/// The number of the request that a message answers, 0 for none, and what it says.
pub(super) fn read(bytes: &[u8]) -> Result<(i32, Response), BadBer> {
    let mut message = Reader::new(bytes).within(SEQUENCE)?;
    let id = message.number(INTEGER)?;
    let (tag, content) = message.element()?;
    let mut content = Reader::new(content);
    let response = match tag {
        // bindResponse, searchResDone, extendedResp
        0x61 | 0x65 | 0x78 => Response::Done(outcome(&mut content)?),
        0x64 => Response::Entry(entry(&mut content)?),
        0x73 => Response::Reference,
        _ => return Err(BadBer),
    };
    Ok((id, response))
}

fn outcome(content: &mut Reader<'_>) -> Result<Outcome, BadBer> {
    let code = content.number(ENUMERATED)?;
    let _matched_dn = content.expect(OCTETS)?;
    Ok(Outcome { code, text: content.expect(OCTETS)?.to_vec() })
}

fn entry(content: &mut Reader<'_>) -> Result<Entry, BadBer> {
    let dn = content.expect(OCTETS)?.to_vec();
    let mut list = content.within(SEQUENCE)?;
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = list.within(SEQUENCE)?;
        let name = attribute.expect(OCTETS)?.to_vec();
        let mut set = attribute.within(SET)?;
        let mut values = Vec::new();
        while set.peek().is_some() {
            values.push(set.expect(OCTETS)?.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_message() -> Vec<u8> {
        let value = |text: &[u8]| element(OCTETS, text);
        let attribute = |name: &[u8], values: &[&[u8]]| {
            let values: Vec<_> = values.iter().map(|text| value(text)).collect();
            constructed(SEQUENCE, &[value(name), constructed(SET, &values)])
        };
        let attributes =
            constructed(SEQUENCE, &[attribute(b"cn", &[b"joe", b"j\0e"]), attribute(b"mail", &[])]);
        message(7, constructed(0x64, &[value(b"cn=joe,dc=a"), attributes]))
    }

    #[test]
    fn entries_and_results_are_read() {
        let (id, response) = read(&entry_message()).unwrap();
        let attributes =
            vec![(b"cn".to_vec(), vec![b"joe".to_vec(), b"j\0e".to_vec()]), (b"mail".to_vec(), Vec::new())];
        assert_eq!((id, response), (7, Response::Entry(Entry { dn: b"cn=joe,dc=a".to_vec(), attributes })));
        let done = b"\x30\x12\x02\x01\x01\x61\x0d\x0a\x01\x31\x04\x00\x04\x06no way";
        let outcome = Outcome { code: 49, text: b"no way".to_vec() };
        assert_eq!(read(done), Ok((1, Response::Done(outcome))));
    }

    #[test]
    fn what_is_cut_or_spoiled_is_an_error() {
        let good = entry_message();
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_err(), "{end}");
        }
        // Each byte, changed to each value: anything but a panic.
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut spoiled = good.clone();
                spoiled[at] = byte;
                let _ = read(&spoiled);
            }
        }
    }

    #[test]
    fn requests_have_the_form_of_the_standard() {
        assert_eq!(bind(1, b"", b""), b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00");
        assert_eq!(unbind(3), b"\x30\x05\x02\x01\x03\x42\x00");
        assert_eq!(start_tls(1), b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
        let filter = element(0x87, b"cn");
        let expected = b"\x30\x1d\x02\x01\x02\x63\x18\x04\x01x\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00\x87\x02cn\x30\x00";
        assert_eq!(search(2, b"x", Scope::Sub, 0, filter, &[])[..], expected[..]);
    }
}
