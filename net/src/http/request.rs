//! What we send.

use std::fmt;

use super::Url;

/// A request, apart from its body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, ...: a token.
    pub method: &'a str,
    /// Where to: scheme and host must be there.
    pub url: &'a Url,
    /// Further fields, name and value. One of the name `Host`, `User-Agent`, `Accept` or `Connection` takes the place
    /// of ours; with an empty value it is left out.
    pub headers: &'a [(Vec<u8>, Vec<u8>)],
    /// How long the body is.
    pub length: Length,
    /// Sent to a proxy, which wants the whole URL.
    pub to_proxy: bool,
}

/// The body that follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// None.
    None,
    /// So many bytes.
    Known(u64),
    /// In chunks, up to [`LAST_CHUNK`].
    Chunked,
}

/// A request that cannot be sent as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRequest {
    /// The method is not a token (RFC 9110 5.6.2).
    Method,
    /// A field's name is not a token, or its value has a line break or NUL.
    Header,
    /// The URL names no host.
    Host,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidRequest::Method => "the method is not a word",
            InvalidRequest::Header => "a header has a bad name or a line break",
            InvalidRequest::Host => "the URL names no host",
        })
    }
}

impl std::error::Error for InvalidRequest {}

/// Ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One chunk of a body. `data` is not empty: an empty chunk would end the body.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

impl Request<'_> {
    /// The head, with the empty line that ends it.
    pub fn encode(&self) -> Result<Vec<u8>, InvalidRequest> {
        if self.method.is_empty() || !self.method.bytes().all(is_token) {
            return Err(InvalidRequest::Method);
        }
        if self.url.host.as_deref().unwrap_or_default().is_empty() {
            return Err(InvalidRequest::Host);
        }
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        if self.to_proxy {
            out.extend_from_slice(self.url.scheme.as_deref().unwrap_or(b"http"));
            out.extend_from_slice(b"://");
            self.url.authority(&mut out);
        }
        self.url.target(&mut out);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        let mut host = Vec::new();
        self.url.authority(&mut host);
        for (name, value) in
            [("Host", &host[..]), ("User-Agent", b"hsl"), ("Accept", b"*/*"), ("Connection", b"close")]
        {
            if !self.has(name) {
                push_field(&mut out, name.as_bytes(), value)?;
            }
        }
        match self.length {
            Length::None => {}
            Length::Known(bytes) => push_field(&mut out, b"Content-Length", bytes.to_string().as_bytes())?,
            Length::Chunked => push_field(&mut out, b"Transfer-Encoding", b"chunked")?,
        }
        for (name, value) in self.headers {
            // What frames the message is ours to say.
            let framing =
                ["content-length", "transfer-encoding"].iter().any(|ours| is_named(name, ours.as_bytes()));
            if !value.is_empty() && !framing {
                push_field(&mut out, name, value)?;
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// The head of a request for a tunnel through a proxy (RFC 9110 9.3.6).
    pub fn encode_connect(
        host: &[u8],
        port: u16,
        headers: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<Vec<u8>, InvalidRequest> {
        // Named with its port whatever that is.
        let mut target = Vec::new();
        Url { host: Some(host.to_vec()), ..Url::default() }.authority(&mut target);
        target.extend_from_slice(format!(":{port}").as_bytes());
        let mut out = [b"CONNECT ", &target[..], b" HTTP/1.1\r\n"].concat();
        push_field(&mut out, b"Host", &target)?;
        for (name, value) in headers {
            push_field(&mut out, name, value)?;
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| is_named(given, name.as_bytes()))
    }
}

fn is_named(given: &[u8], name: &[u8]) -> bool {
    given.eq_ignore_ascii_case(name)
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), InvalidRequest> {
    let good_name = !name.is_empty() && name.iter().copied().all(is_token);
    if !good_name || value.iter().any(|byte| b"\r\n\0".contains(byte)) {
        return Err(InvalidRequest::Header);
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
