//! Addresses of the web (RFC 3986), as bytes.

use std::fmt;

use crate::limits;

/// A URL in its parts, as they were written: nothing is decoded, and what was not there is `None`. The path is
/// always there, but may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// `http`; lower case.
    pub scheme: Option<Vec<u8>>,
    /// Before the first `:` of the user information.
    pub username: Option<Vec<u8>>,
    /// After it.
    pub password: Option<Vec<u8>>,
    /// A name or address, without the brackets of an IPv6 address.
    pub host: Option<Vec<u8>>,
    /// The port's number.
    pub port: Option<u16>,
    /// From the slash on.
    pub path: Vec<u8>,
    /// After the question mark.
    pub query: Option<Vec<u8>>,
    /// After the hash.
    pub fragment: Option<Vec<u8>>,
}

/// The text is not a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Longer than [`limits::URL_BYTES_MAX`].
    TooLong,
    /// A control character.
    Control,
    /// The port is not a number up to 65535.
    Port,
    /// The host is empty where there must be one, or has characters that no host has.
    Host,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::TooLong => write!(f, "the URL is longer than {} bytes", limits::URL_BYTES_MAX),
            UrlError::Control => f.write_str("the URL has a control character"),
            UrlError::Port => f.write_str("the URL's port is not a number from 0 to 65535"),
            UrlError::Host => f.write_str("the URL's host is not a host name"),
        }
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Takes a URL apart. A relative one has no scheme, and perhaps no host.
    pub fn parse(text: &[u8]) -> Result<Url, UrlError> {
        if text.len() > limits::URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        if text.iter().any(u8::is_ascii_control) {
            return Err(UrlError::Control);
        }
        let mut url = Url::default();
        let (rest, fragment) = split(text, b'#');
        url.fragment = fragment.map(<[u8]>::to_vec);
        let (rest, query) = split(rest, b'?');
        url.query = query.map(<[u8]>::to_vec);
        let rest = match scheme_of(rest) {
            Some(scheme) => {
                url.scheme = Some(scheme.to_ascii_lowercase());
                &rest[scheme.len() + 1..]
            }
            None => rest,
        };
        let path = match rest.strip_prefix(b"//") {
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                url.set_authority(&rest[..end])?;
                &rest[end..]
            }
            None => rest,
        };
        url.path = path.to_vec();
        Ok(url)
    }

    fn set_authority(&mut self, authority: &[u8]) -> Result<(), UrlError> {
        // The last `@`: a password may have one that is not encoded.
        let host = match memchr::memrchr(b'@', authority) {
            Some(at) => {
                let (username, password) = split(&authority[..at], b':');
                self.username = Some(username.to_vec());
                self.password = password.map(<[u8]>::to_vec);
                &authority[at + 1..]
            }
            None => authority,
        };
        let (host, port) = match host.strip_prefix(b"[") {
            Some(rest) => {
                let end = memchr::memchr(b']', rest).ok_or(UrlError::Host)?;
                let literal = std::str::from_utf8(&rest[..end]).map_err(|_| UrlError::Host)?;
                literal.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
                match &rest[end + 1..] {
                    [] => (&rest[..end], None),
                    [b':', port @ ..] => (&rest[..end], Some(port)),
                    _ => return Err(UrlError::Host),
                }
            }
            None => split(host, b':'),
        };
        if host.iter().any(|byte| b" \"<>\\^`{|}%:[]".contains(byte)) && !host.contains(&b':') {
            return Err(UrlError::Host);
        }
        self.host = Some(host.to_vec());
        self.port = match port {
            None | Some([]) => None,
            Some(digits) if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
                let number = digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
                Some(u16::try_from(number).map_err(|_| UrlError::Port)?)
            }
            Some(_) => return Err(UrlError::Port),
        };
        Ok(())
    }

    /// What `reference` (of a `Location` field) means seen from here (RFC 3986 5.2). Our fragment is not inherited;
    /// nor are user name and password by another host.
    pub fn join(&self, reference: &[u8]) -> Result<Url, UrlError> {
        let mut url = Url::parse(reference)?;
        if url.scheme.is_some() {
            url.path = remove_dot_segments(&url.path);
            return Ok(url);
        }
        url.scheme.clone_from(&self.scheme);
        if url.host.is_some() {
            url.path = remove_dot_segments(&url.path);
            return Ok(url);
        }
        (url.username, url.password) = (self.username.clone(), self.password.clone());
        (url.host, url.port) = (self.host.clone(), self.port);
        if url.path.is_empty() {
            url.path.clone_from(&self.path);
            if url.query.is_none() {
                url.query.clone_from(&self.query);
            }
        } else if url.path.starts_with(b"/") {
            url.path = remove_dot_segments(&url.path);
        } else {
            let end = memchr::memrchr(b'/', &self.path).map_or(0, |slash| slash + 1);
            let mut path = self.path[..end].to_vec();
            if path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&url.path);
            url.path = remove_dot_segments(&path);
        }
        Ok(url)
    }

    /// The port, or that of the scheme (80, or 443 for `https`).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// True for `https`.
    pub fn is_https(&self) -> bool {
        self.scheme.as_deref() == Some(b"https")
    }

    /// Path and query as a request names them: never empty, and no byte in it ends the line or the word.
    pub fn target(&self, out: &mut Vec<u8>) {
        if !self.path.starts_with(b"/") {
            out.push(b'/');
        }
        push_escaped(out, &self.path);
        if let Some(query) = &self.query {
            out.push(b'?');
            push_escaped(out, query);
        }
    }

    /// Host and port as the `Host` field names them; the port only when it is not the scheme's.
    pub fn authority(&self, out: &mut Vec<u8>) {
        let host = self.host.as_deref().unwrap_or_default();
        let literal = host.contains(&b':');
        if literal {
            out.push(b'[');
        }
        push_escaped(out, host);
        if literal {
            out.push(b']');
        }
        let standard = Url { port: None, scheme: self.scheme.clone(), ..Url::default() }.port_or_default();
        if let Some(port) = self.port.filter(|port| *port != standard) {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
    }
}

/// What is not printable ASCII becomes `%XX`.
fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_graphic() {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

/// A letter, then letters, digits, `+`, `-` and `.`, up to a colon.
fn scheme_of(text: &[u8]) -> Option<&[u8]> {
    let scheme = &text[..memchr::memchr(b':', text)?];
    let (first, rest) = scheme.split_first()?;
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    // `host:8080` has no scheme; `mailto:someone` has.
    let is_port = text.get(scheme.len() + 1).is_some_and(u8::is_ascii_digit);
    (first.is_ascii_alphabetic() && rest.iter().all(good) && !is_port).then_some(scheme)
}

/// RFC 3986 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let last = segments.len() - 1;
    for (number, segment) in segments.iter().enumerate() {
        match *segment {
            b"." | b".." => {
                if *segment == b".." && kept.len() > 1 {
                    kept.pop();
                }
                if number == last {
                    kept.push(b"");
                }
            }
            segment => kept.push(segment),
        }
    }
    kept.join(&b'/')
}
