//! A name server that knows one domain and those below it, in as few bytes as the protocol allows.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

const A: u16 = 1;
const MX: u16 = 15;
const HEADER_BYTES: usize = 12;

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Answers,
    Silent,
    /// SERVFAIL to everything.
    Fails,
    /// SERVFAIL to questions about the second host.
    LosesSecond,
}

/// Answers for `sink.test`: MX 10 a.sink.test (`first`), MX 20 b.sink.test (`second`); and so for `x.sink.test`.
pub(crate) fn service(
    first: IpAddr,
    second: IpAddr,
    health: Rc<Cell<Health>>,
) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    move |query| {
        let good = answer(query, first, second);
        match health.get() {
            Health::Answers => good.into_iter().collect(),
            Health::Silent => Vec::new(),
            Health::LosesSecond if !is_about_second(query) => good.into_iter().collect(),
            Health::Fails | Health::LosesSecond => {
                good.and_then(|good| server_failure(query, &good)).into_iter().collect()
            }
        }
    }
}

fn is_about_second(query: &[u8]) -> bool {
    query.get(HEADER_BYTES..HEADER_BYTES + 2).is_some_and(|label| label.eq_ignore_ascii_case(b"\x01b"))
}

/// The head and the question of an answer, with the code for a failure.
fn server_failure(query: &[u8], good: &[u8]) -> Option<Vec<u8>> {
    let question = good.get(HEADER_BYTES..)?;
    let end = question.iter().position(|&byte| byte == 0)? + 5;
    let head = [query[0], query[1], 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0];
    Some([&head, &question[..end]].concat())
}

fn answer(query: &[u8], first: IpAddr, second: IpAddr) -> Option<Vec<u8>> {
    let mut end = HEADER_BYTES;
    let mut name = Vec::new();
    while *query.get(end)? != 0 {
        let len = usize::from(query[end]);
        name.push(query.get(end + 1..end + 1 + len)?.to_ascii_lowercase());
        end += 1 + len;
    }
    let kind = u16::from_be_bytes([*query.get(end + 1)?, *query.get(end + 2)?]);
    let question = query.get(HEADER_BYTES..end + 5)?;
    let name: Vec<&[u8]> = name.iter().map(Vec::as_slice).collect();
    let records: Vec<Vec<u8>> = match (&name[..], kind) {
        ([b"a", .., b"sink", b"test"], A) => vec![octets(first)],
        ([b"b", .., b"sink", b"test"], A) => vec![octets(second)],
        ([.., b"sink", b"test"], MX) => vec![exchange(10, b'a'), exchange(20, b'b')],
        _ => Vec::new(),
    };
    // The same id, an answer, recursion as asked; one question, the answers, nothing else.
    let mut out = vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    out.extend_from_slice(question);
    for data in records {
        out.extend_from_slice(&[0xC0, HEADER_BYTES as u8]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        out.extend_from_slice(&data);
    }
    Some(out)
}

/// `<host>.<question>` with this preference.
fn exchange(preference: u8, host: u8) -> Vec<u8> {
    vec![0, preference, 1, host, 0xC0, HEADER_BYTES as u8]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
