//! The body of a request: how it is framed, and its bytes without that.

use std::fmt;

use super::RequestHead;
use crate::http::Error;
use crate::http::chunked::Chunked;

/// How the end of a body is told (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length in bytes.
    Length(u64),
    /// By a last chunk.
    Chunked,
}

/// Fields that do not tell where a body ends. The connection is of no more use: what follows may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFraming {
    /// They contradict each other or are not numbers: what is wrong.
    Malformed(&'static str),
    /// A transfer coding other than `chunked`.
    UnknownCoding,
}

impl BadFraming {
    /// The status to answer.
    pub fn status(self) -> u16 {
        match self {
            BadFraming::Malformed(_) => 400,
            BadFraming::UnknownCoding => 501,
        }
    }
}

impl fmt::Display for BadFraming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadFraming::Malformed(what) => what,
            BadFraming::UnknownCoding => "of transfer codings only chunked is known",
        })
    }
}

impl RequestHead {
    /// How the body is framed; `None`: there is none, as far as the head says.
    ///
    /// # Errors
    /// Two readers could find its end at different places, or nobody could.
    pub fn framing(&self) -> Result<Option<Framing>, BadFraming> {
        let list =
            |name| self.all(name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let (mut codings, mut lengths) = (list("transfer-encoding"), list("content-length"));
        if let Some(coding) = codings.next() {
            return match () {
                () if lengths.next().is_some() => {
                    Err(BadFraming::Malformed("both Content-Length and Transfer-Encoding"))
                }
                () if !self.is_1_1 => Err(BadFraming::Malformed("Transfer-Encoding in HTTP/1.0")),
                () if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
                    Ok(Some(Framing::Chunked))
                }
                () => Err(BadFraming::UnknownCoding),
            };
        }
        let Some(first) = lengths.next() else { return Ok(None) };
        let is_number = !first.is_empty() && first.len() <= 18 && first.iter().all(u8::is_ascii_digit);
        if !is_number || lengths.any(|length| length != first) {
            return Err(BadFraming::Malformed("Content-Length is not a number"));
        }
        let length = first.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Ok(Some(Framing::Length(length)))
    }
}

/// Takes a body out of its framing.
///
/// ```
/// use net::http::server::{BodyReader, Framing};
///
/// let mut reader = BodyReader::new(Framing::Chunked);
/// let (mut input, mut body) = (&b"3\r\nabc\r\n0\r\n\r\nGET "[..], Vec::new());
/// let done = reader.receive(&mut input, |data| body.extend_from_slice(data))?;
/// assert!(done && body == b"abc" && input == b"GET ");
/// # Ok::<(), net::http::Error>(())
/// ```
#[derive(Debug)]
pub struct BodyReader(State);

#[derive(Debug)]
enum State {
    Left(u64),
    Chunked(Chunked),
}

impl BodyReader {
    /// Of one that begins.
    pub fn new(framing: Framing) -> BodyReader {
        BodyReader(match framing {
            Framing::Length(bytes) => State::Left(bytes),
            Framing::Chunked => State::Chunked(Chunked::default()),
        })
    }

    /// Takes from `input` up to the end of the body, and gives its bytes to `take`. True at the end; what follows stays in
    /// `input`. Not to be called again after that.
    ///
    /// # Errors
    /// The chunks are malformed.
    pub fn receive(&mut self, input: &mut &[u8], mut take: impl FnMut(&[u8])) -> Result<bool, Error> {
        match &mut self.0 {
            State::Left(left) => {
                let now = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (data, rest) = input.split_at(now);
                *input = rest;
                *left -= now as u64;
                if !data.is_empty() {
                    take(data);
                }
                Ok(*left == 0)
            }
            State::Chunked(chunked) => chunked.receive(input, |data| {
                take(data);
                Ok(())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(fields: &str) -> Result<Option<Framing>, BadFraming> {
        let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
        RequestHead::parse(text.as_bytes()).expect("a request").expect("whole").0.framing()
    }

    #[test]
    fn a_body_whose_end_two_readers_could_see_at_different_places_is_refused() {
        let malformed = |what| Err(BadFraming::Malformed(what));
        let number = malformed("Content-Length is not a number");
        let cases = [
            ("", Ok(None)),
            ("Content-Length: 0\r\n", Ok(Some(Framing::Length(0)))),
            ("Content-Length: 17\r\n", Ok(Some(Framing::Length(17)))),
            ("Content-Length: 17\r\nContent-Length: 17\r\n", Ok(Some(Framing::Length(17)))),
            ("Content-Length: 17, 17\r\n", Ok(Some(Framing::Length(17)))),
            ("Transfer-Encoding: Chunked\r\n", Ok(Some(Framing::Chunked))),
            ("Content-Length: 17\r\nContent-Length: 18\r\n", number),
            ("Content-Length: +17\r\n", number),
            ("Content-Length: \r\n", number),
            ("Content-Length: 9999999999999999999\r\n", number),
            ("Content-Length: 0x10\r\n", number),
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                malformed("both Content-Length and Transfer-Encoding"),
            ),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(BadFraming::UnknownCoding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(BadFraming::UnknownCoding)),
            ("Transfer-Encoding: identity\r\n", Err(BadFraming::UnknownCoding)),
        ];
        for (fields, expected) in cases {
            assert_eq!(framing(fields), expected, "{fields}");
        }
    }

    #[test]
    fn a_body_cut_anywhere_is_the_same_and_what_follows_is_left() {
        let wire = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\nnext";
        for (framing, wire, body) in [
            (Framing::Chunked, &wire[..], &b"hello world"[..]),
            (Framing::Length(11), b"hello worldnext", b"hello world"),
            (Framing::Length(0), b"next", b""),
        ] {
            for cut in 0..wire.len() {
                let (mut reader, mut got) = (BodyReader::new(framing), Vec::new());
                let mut input = &wire[..cut];
                let mut done =
                    reader.receive(&mut input, |data| got.extend_from_slice(data)).expect("well-formed");
                let mut rest = [input, &wire[cut..]].concat();
                if !done {
                    let mut input = &rest[..];
                    done =
                        reader.receive(&mut input, |data| got.extend_from_slice(data)).expect("well-formed");
                    rest = input.to_vec();
                }
                assert!(done && got == body && rest == b"next", "{framing:?} cut at {cut}: {got:?}");
            }
        }
        assert!(BodyReader::new(Framing::Chunked).receive(&mut &b"zz\r\n"[..], |_| ()).is_err());
    }
}
