//! What we receive.

use std::fmt;

use super::chunked::Chunked;
use crate::limits;

/// A header field: name as it was written, and value.
pub type Header = (Vec<u8>, Vec<u8>);

/// A response, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 200 to 999.
    pub status: u16,
    /// Fields in their order.
    pub headers: Vec<Header>,
    /// The body, its transfer coding undone.
    pub body: Vec<u8>,
}

impl Response {
    /// The first field of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        header(&self.headers, name)
    }
}

/// Why there is no response. All of them but `BodyTooLarge` say that the peer does not speak HTTP as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not HTTP; what is wrong.
    Malformed(&'static str),
    /// Status line and fields are larger than [`limits::HTTP_HEAD_BYTES_MAX`] or more than
    /// [`limits::HTTP_HEADERS_MAX`].
    HeadTooLarge,
    /// The body is larger than the caller wants.
    BodyTooLarge,
    /// The stream ended early.
    Truncated,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(what) => write!(f, "the response is malformed: {what}"),
            Error::HeadTooLarge => f.write_str("the response's headers are too large"),
            Error::BodyTooLarge => f.write_str("the response is larger than permitted"),
            Error::Truncated => f.write_str("the connection ended within the response"),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a response is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not yet.
    More,
    /// Yes. What follows on the connection is ignored.
    Done,
}

/// Reads one response.
#[derive(Debug)]
pub struct Reader {
    state: State,
    no_body: bool,
    body_bytes_max: u64,
    /// The head as far as it has come, and how far it was searched for its end.
    head: Vec<u8>,
    searched: usize,
    /// Interim responses (1xx) that were skipped.
    interim: u32,
    status: u16,
    headers: Vec<Header>,
    body: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head,
    Fixed(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

impl Reader {
    /// For the answer to a request; `no_body` when that was HEAD or CONNECT. A longer body than `body_bytes_max` is an
    /// error as soon as it is known.
    pub fn new(no_body: bool, body_bytes_max: u64) -> Reader {
        Reader {
            state: State::Head,
            no_body,
            body_bytes_max,
            head: Vec::new(),
            searched: 0,
            interim: 0,
            status: 0,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Takes bytes of the stream.
    pub fn receive(&mut self, input: &[u8]) -> Result<Progress, Error> {
        if !matches!(self.state, State::Head) {
            return self.receive_body(input);
        }
        self.head.extend_from_slice(input);
        loop {
            // A peer that speaks something else is told apart before it has sent many bytes.
            if !b"HTTP/".starts_with(&self.head[..self.head.len().min(5)]) {
                return Err(Error::Malformed("it does not begin with HTTP/"));
            }
            let Some(end) = self.head_end() else { break };
            let rest = self.head.split_off(end);
            self.parse_head()?;
            self.head.clear();
            self.searched = 0;
            if !matches!(self.state, State::Head) {
                return self.receive_body(&rest);
            }
            // It was an interim response, which the final one may follow at once.
            self.head = rest;
        }
        if self.head.len() > limits::HTTP_HEAD_BYTES_MAX {
            return Err(Error::HeadTooLarge);
        }
        Ok(Progress::More)
    }

    /// The stream has ended.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Error::Truncated),
        }
    }

    /// The response, when it is complete.
    pub fn into_response(self) -> Option<Response> {
        matches!(self.state, State::Done).then_some(Response {
            status: self.status,
            headers: self.headers,
            body: self.body,
        })
    }

    /// Where the head ends: after an empty line.
    fn head_end(&mut self) -> Option<usize> {
        let from = self.searched;
        for line_end in memchr::memchr_iter(b'\n', &self.head[from..]) {
            let after = from + line_end + 1;
            let rest = &self.head[after..];
            if rest.starts_with(b"\n") {
                return Some(after + 1);
            }
            if rest.starts_with(b"\r\n") {
                return Some(after + 2);
            }
        }
        // The last line break may be half of an empty line.
        self.searched = self.head.len().saturating_sub(3);
        None
    }

    fn parse_head(&mut self) -> Result<(), Error> {
        if self.head.len() > limits::HTTP_HEAD_BYTES_MAX {
            return Err(Error::HeadTooLarge);
        }
        let mut fields = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let mut config = httparse::ParserConfig::default();
        config.allow_obsolete_multiline_headers_in_responses(true);
        match config.parse_response(&mut parsed, &self.head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Error::Malformed("the head is not complete")),
            Err(httparse::Error::TooManyHeaders) => return Err(Error::HeadTooLarge),
            Err(_) => return Err(Error::Malformed("the status line or a header")),
        }
        let status = parsed.code.unwrap_or_default();
        if (100..200).contains(&status) && status != 101 {
            self.interim += 1;
            if self.interim > limits::HTTP_INTERIM_MAX {
                return Err(Error::Malformed("interim responses without end"));
            }
            return Ok(());
        }
        if status < 200 {
            return Err(Error::Malformed("a status code that nothing was asked for"));
        }
        self.status = status;
        self.headers = parsed.headers.iter().map(|field| (field.name.into(), unfold(field.value))).collect();
        self.state = self.body_state()?;
        Ok(())
    }

    /// RFC 9112 6.3.
    fn body_state(&mut self) -> Result<State, Error> {
        if self.no_body || matches!(self.status, 204 | 304) {
            return Ok(State::Done);
        }
        let codings = values(&self.headers, "transfer-encoding");
        if !codings.is_empty() {
            return match &codings[..] {
                [coding] if coding.eq_ignore_ascii_case(b"chunked") => Ok(State::Chunked(Chunked::default())),
                _ => Err(Error::Malformed("a transfer coding that was not asked for")),
            };
        }
        let lengths = values(&self.headers, "content-length");
        let Some(first) = lengths.first() else { return Ok(State::UntilClose) };
        let digits = !first.is_empty() && first.len() <= 18 && first.iter().all(u8::is_ascii_digit);
        if !digits || lengths.iter().any(|length| length != first) {
            return Err(Error::Malformed("the content length"));
        }
        match first.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0')) {
            0 => Ok(State::Done),
            length if length > self.body_bytes_max => Err(Error::BodyTooLarge),
            length => Ok(State::Fixed(length)),
        }
    }

    fn receive_body(&mut self, mut input: &[u8]) -> Result<Progress, Error> {
        let (body, most) = (&mut self.body, self.body_bytes_max);
        let mut take = |data: &[u8]| {
            if body.len() as u64 + data.len() as u64 > most {
                return Err(Error::BodyTooLarge);
            }
            body.extend_from_slice(data);
            Ok(())
        };
        match &mut self.state {
            State::Head => unreachable!("the caller has seen the head"),
            State::Fixed(left) => {
                let now = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                take(&input[..now])?;
                *left -= now as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
            }
            State::Chunked(chunked) => {
                if chunked.receive(&mut input, take)? {
                    self.state = State::Done;
                }
            }
            State::UntilClose => take(input)?,
            State::Done => {}
        }
        Ok(if matches!(self.state, State::Done) { Progress::Done } else { Progress::More })
    }
}

fn header<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| &value[..])
}

/// The members of all fields of this name, as a list (RFC 9110 5.6.1).
fn values<'a>(headers: &'a [Header], name: &str) -> Vec<&'a [u8]> {
    let named = headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name.as_bytes()));
    named.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect()
}

/// A value over several lines, on one.
fn unfold(value: &[u8]) -> Vec<u8> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return value.to_vec();
    }
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    lines.join(&b' ')
}
