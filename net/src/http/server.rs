//! The side that is asked: reads the head of a request and its body, writes the head of an answer.

mod body;

use std::fmt::Write as _;

pub use body::{BadFraming, BodyReader, Framing};

/// Header fields of a request, at most.
const HEADERS_MAX: usize = 64;
/// Bytes of the head of a request, at most.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The head of a request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path, without a query.
    pub path: String,
    /// What stands behind the `?`; empty: nothing.
    pub query: String,
    /// The client speaks HTTP/1.1, not 1.0.
    pub is_1_1: bool,
    /// Names in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Another request may come on this connection.
    pub keep_alive: bool,
    /// A body follows.
    pub has_body: bool,
}

/// A request that cannot be read. The connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// It is not HTTP/1.x.
    Malformed,
    /// Its head is larger than [`HEAD_BYTES_MAX`], or has too many fields.
    TooLarge,
}

impl BadRequest {
    /// The status to answer.
    pub fn status(self) -> u16 {
        match self {
            BadRequest::Malformed => 400,
            BadRequest::TooLarge => 431,
        }
    }
}

impl RequestHead {
    /// The head at the beginning of `bytes`, and its length; `None`: more bytes are needed.
    ///
    /// # Errors
    /// It is no request.
    pub fn parse(bytes: &[u8]) -> Result<Option<(RequestHead, usize)>, BadRequest> {
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let used = match request.parse(bytes) {
            Ok(httparse::Status::Complete(used)) if used <= HEAD_BYTES_MAX => used,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::TooLarge),
            Err(_) => return Err(BadRequest::Malformed),
        };
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Err(BadRequest::Malformed);
        };
        let headers: Vec<(String, Vec<u8>)> = request
            .headers
            .iter()
            .map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec()))
            .collect();
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = RequestHead {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            is_1_1: version == 1,
            headers,
            keep_alive: false,
            has_body: false,
        };
        let says = |name: &str, word: &str| {
            let words = head.all(name).flat_map(|value| value.split(|byte| *byte == b','));
            words.into_iter().any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        let (close, keep) = (says("connection", "close"), says("connection", "keep-alive"));
        let has_length = head.all("content-length").any(|value| value.trim_ascii() != b"0");
        let has_body = has_length || head.all("transfer-encoding").next().is_some();
        head.keep_alive = !close && (version == 1 || keep);
        head.has_body = has_body;
        Ok(Some((head, used)))
    }

    /// The value of the field of this name (in lower case), the first one.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// The client wants to hear that its body is welcome before it sends it (RFC 9110 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.is_1_1
            && self.all("expect").any(|value| value.trim_ascii().eq_ignore_ascii_case(b"100-continue"))
    }

    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_slice())
    }
}

/// What tells a client that its body is welcome.
pub const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// The head of an answer, with its empty line.
pub fn response_head(status: u16, headers: &[(&str, &str)], body_bytes: usize, keep_alive: bool) -> String {
    let mut out = format!("HTTP/1.1 {status} {}\r\nContent-Length: {body_bytes}\r\n", reason(status));
    for (name, value) in headers {
        // Writing to a string cannot fail.
        let _ = write!(out, "{name}: {value}\r\n");
    }
    out.push_str(if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" });
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> RequestHead {
        RequestHead::parse(text.as_bytes()).expect("a request").expect("whole").0
    }

    #[test]
    fn a_request_says_what_it_wants_and_whether_more_come() {
        let text = "GET /metrics?all=1 HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n\r\nrest";
        let (head, used) = RequestHead::parse(text.as_bytes()).expect("a request").expect("whole");
        assert_eq!(
            (head.method.as_str(), head.path.as_str(), head.query.as_str()),
            ("GET", "/metrics", "all=1")
        );
        assert_eq!(head.header("x-api-key"), Some(&b"k"[..]));
        assert_eq!(&text[used..], "rest");
        assert!(head.keep_alive && !head.has_body);
    }

    #[test]
    fn connections_are_kept_as_the_version_and_the_client_say() {
        assert!(!head("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
        assert!(!head("GET / HTTP/1.1\r\nConnection: x, close\r\n\r\n").keep_alive);
        assert!(head("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n").has_body);
        assert!(head("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").has_body);
        assert!(!head("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").has_body);
    }

    #[test]
    fn what_is_no_request_or_too_large_is_refused_and_half_of_one_is_not() {
        assert_eq!(RequestHead::parse(b"GET / HTTP/1.1\r\nHo"), Ok(None));
        assert_eq!(RequestHead::parse(b""), Ok(None));
        assert_eq!(RequestHead::parse(b"\x16\x03\x01\x02"), Err(BadRequest::Malformed));
        assert_eq!(RequestHead::parse(b"EHLO x\r\n\r\n"), Err(BadRequest::Malformed));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(RequestHead::parse(long.as_bytes()), Err(BadRequest::TooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(RequestHead::parse(many.as_bytes()), Err(BadRequest::TooLarge));
    }

    #[test]
    fn an_answer_has_its_length_and_says_when_it_is_the_last() {
        let kept = response_head(200, &[("Content-Type", "text/plain")], 3, true);
        assert_eq!(kept, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\n");
        assert!(response_head(503, &[], 0, false).ends_with("Connection: close\r\n\r\n"));
    }
}
