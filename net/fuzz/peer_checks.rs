//! What the fuzz targets of what stands around SMTP check (PROXY headers, logins, HTTP), shared with the test that replays
//! their corpora. Uses the public interface only.
#![allow(dead_code, unreachable_pub)] // a module of several programs; each uses its own part

use net::http::multipart::{self, Form};
use net::http::server::{BadRequest, BodyReader, Framing, RequestHead};
use net::http::{Error, Length, Progress, Reader, Request, Response, Url};
use net::proxy::{Header, NoHeader, Parsed};
use net::smtp::sasl::{Client, CramMd5, Credentials, Mechanism, ScramFirst, ScramKeys};

/// A PROXY header: cut anywhere, more is wanted or it is refused as it is as a whole; its ends, written by us, are read as
/// the same; and its extra fields lie within it.
pub fn proxy(data: &[u8]) {
    let whole = net::proxy::parse(data);
    for cut in 0..data.len().min(600) {
        match (net::proxy::parse(&data[..cut]), &whole) {
            (Ok(Parsed::Partial), _) | (Err(NoHeader), Err(NoHeader)) => {}
            (part @ Ok(Parsed::Complete(_, used)), whole) => {
                assert!(used <= cut, "more than there is");
                assert_eq!(&part, whole, "what follows a header changes nothing");
            }
            (Err(NoHeader), whole) => panic!("refused at {cut}, and then {whole:?}"),
        }
    }
    let Ok(Parsed::Complete(header, used)) = whole else { return };
    assert!(used <= data.len());
    let fields: usize = header.tlvs().map(|(_, value)| 3 + value.len()).sum();
    assert!(fields <= header.tlv_bytes().len() && fields <= used);
    if let Some(proxied) = header.proxied {
        let written = net::proxy::header(proxied);
        let Ok(Parsed::Complete(Header { proxied: again, .. }, used)) = net::proxy::parse(&written) else {
            panic!("what we write is a header")
        };
        assert_eq!((again, used), (Some(proxied), written.len()));
    }
}

/// Name, password and messages, with a NUL between them. Client and server agree about the password, and about no other one;
/// messages that are anything else do not let anybody in.
pub fn sasl(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (username, password, message) = (part(), part(), part());
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    let credentials = Credentials { username: text(username), password: text(password) };
    for mechanism in Mechanism::ALL {
        let mut client = Client::new(mechanism, &credentials, &[7; 18]);
        client.initial_response();
        // Whatever a server says, it ends, and SCRAM lets no server in that has not proven itself.
        for _ in 0..4 {
            if client.respond(message).is_err() {
                break;
            }
        }
        assert!(mechanism != Mechanism::ScramSha256 || client.succeeded().is_err());
    }
    cram_md5(&credentials, message);
    scram(&credentials, message);
}

fn cram_md5(credentials: &Credentials, message: &[u8]) {
    let server = || CramMd5::new(1, "mx.example.com");
    if let Some(response) = server().respond(message) {
        assert!(!response.is_right(b"a password that nobody has guessed"));
    }
    let mut client = Client::new(Mechanism::CramMd5, credentials, &[7; 18]);
    let response = client.respond(server().challenge()).expect("a challenge");
    let response = server().respond(&response).expect("a response");
    assert_eq!(response.username, credentials.username.as_bytes());
    assert!(response.is_right(credentials.password.as_bytes()));
    // A key is filled up with zeros (RFC 2104), so that another byte must be another one.
    assert!(!response.is_right(&[credentials.password.as_bytes(), b"x"].concat()));
}

fn scram(credentials: &Credentials, message: &[u8]) {
    let keys = |password: &[u8]| ScramKeys::derive(password, b"salt", 2);
    if let Some(first) = ScramFirst::parse(message) {
        assert!(!first.username.is_empty() && !first.nonce().is_empty());
        assert!(first.challenge(keys(b"unknown"), 1).finish(message).is_none(), "a message is no proof");
    }
    let mut client = Client::new(Mechanism::ScramSha256, credentials, &[7; 18]);
    let first = client.initial_response().expect("it begins with the client");
    let Some(first) = ScramFirst::parse(&first) else {
        assert!(credentials.username.is_empty(), "the server reads what the client says");
        return;
    };
    assert_eq!(first.username, credentials.username.as_bytes());
    let server = first.challenge(keys(credentials.password.as_bytes()), 1);
    let last = client.respond(server.challenge()).expect("an honest server");
    let signature = server.finish(&last).expect("the right password");
    client.respond(&signature).expect("the server knows it");
    assert_eq!(client.succeeded(), Ok(()));
}

/// Two bytes that say how it is read, then a response of a server: pieces make no difference, no more is kept than
/// permitted, and what was read comes out again when it is sent in chunks.
pub fn http_response(data: &[u8]) {
    const BODY_BYTES_MAX: u64 = 1000;
    let (&no_body, rest) = data.split_first().unwrap_or((&0, b""));
    let (&piece, stream) = rest.split_first().unwrap_or((&1, b""));
    let read = |stream: &[u8], piece: usize| -> Result<Response, Error> {
        let mut reader = Reader::new(no_body & 1 != 0, BODY_BYTES_MAX);
        for piece in stream.chunks(piece.max(1)) {
            if reader.receive(piece)? == Progress::Done {
                return Ok(reader.into_response().expect("it said so"));
            }
        }
        reader.end()?;
        Ok(reader.into_response().expect("it has ended"))
    };
    let whole = read(stream, stream.len());
    assert_eq!(read(stream, usize::from(piece)), whole);
    assert_eq!(read(stream, 1), whole);
    let Ok(response) = whole else { return };
    assert!(response.body.len() as u64 <= BODY_BYTES_MAX);
    assert!(response.headers.iter().all(|(_, value)| !value.contains(&b'\n')));
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in response.body.chunks(usize::from(piece).max(1)) {
        chunked.extend_from_slice(&net::http::chunk(piece));
    }
    chunked.extend_from_slice(net::http::LAST_CHUNK);
    let mut reader = Reader::new(false, BODY_BYTES_MAX);
    assert_eq!(reader.receive(&chunked), Ok(Progress::Done));
    assert_eq!(reader.into_response().map(|again| again.body), Some(response.body));
}

/// Any bytes to the side that is asked; and as what scripts ask for, method, address, name and value of a field a line each:
/// what is sent is one request with these fields, whatever stands in them.
pub fn http_request(data: &[u8]) {
    if let Ok(Some((head, used))) = RequestHead::parse(data) {
        assert!(used <= data.len());
        submission(&head, &data[used..]);
        assert_eq!(RequestHead::parse(&data[..used]), Ok(Some((head, used))));
        assert!(matches!(RequestHead::parse(&data[..used - 1]), Ok(None) | Err(BadRequest::Malformed)));
    }
    let mut parts = data.splitn(4, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (method, address, name, value) = (part(), part(), part(), part());
    let (Ok(method), Ok(url)) = (std::str::from_utf8(method), Url::parse(address)) else { return };
    let headers = [(name.to_vec(), value.to_vec())];
    for (length, to_proxy) in [(Length::None, false), (Length::Known(3), true)] {
        let request = Request { method, url: &url, headers: &headers, length, to_proxy };
        let Ok(bytes) = request.encode() else { continue };
        one_request(&bytes, method, &headers[0]);
    }
    if let Ok(joined) = url.join(value)
        && joined.scheme.is_some()
        && joined.path != url.path
    {
        let segments: Vec<&[u8]> = joined.path.split(|&byte| byte == b'/').collect();
        assert!(!segments.iter().any(|segment| matches!(*segment, b"." | b"..")), "dots lead somewhere");
    }
}

/// A body and the form in it are the same however they are cut.
fn submission(head: &RequestHead, body: &[u8]) {
    let Ok(Some(framing)) = head.framing() else { return };
    let boundary = head.header("content-type").and_then(multipart::boundary).unwrap_or(b"b".to_vec());
    let whole = form(framing, &boundary, [body, b""]);
    for cut in 0..body.len().min(200) {
        let (one, other) = body.split_at(cut);
        assert_eq!(form(framing, &boundary, [one, other]), whole, "cut at {cut}");
    }
}

/// Name and content of a part.
type NamedPart = (String, Vec<u8>);

/// The parts, and what followed the body; or that it is none.
fn form(framing: Framing, boundary: &[u8], pieces: [&[u8]; 2]) -> Option<(Vec<NamedPart>, Vec<u8>)> {
    let (mut reader, mut form) = (BodyReader::new(framing), Form::new(boundary));
    let mut parts: Vec<NamedPart> = Vec::new();
    let (mut rest, mut done, mut good) = (Vec::new(), false, true);
    for mut piece in pieces {
        if !done {
            let take = |data: &[u8]| {
                let seen = form.receive(data, |event| match event {
                    multipart::Event::Part(part) => parts.push((part.name, Vec::new())),
                    multipart::Event::Data(data) => {
                        parts.last_mut().expect("begun").1.extend_from_slice(data)
                    }
                    multipart::Event::PartEnd => {}
                });
                good &= seen.is_ok();
            };
            done = reader.receive(&mut piece, take).ok()?;
        }
        rest.extend_from_slice(piece);
    }
    (done && good && form.finish().is_ok()).then_some((parts, rest))
}

fn one_request(bytes: &[u8], method: &str, (name, value): &(Vec<u8>, Vec<u8>)) {
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let (last, lines) = lines.split_last().expect("at least one");
    assert!(
        last.is_empty()
            && lines.iter().all(|line| line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r'))
    );
    assert_eq!(lines.iter().filter(|line| line.len() == 1).count(), 1, "one empty line, at the end");
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert_eq!(lines[0].iter().filter(|&&byte| byte == b' ').count(), 2, "method, target and version");
    assert!(lines[0].starts_with(method.as_bytes()) && lines[0].is_ascii());
    let framing =
        ["content-length", "transfer-encoding"].iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
    if !value.is_empty() && !framing {
        let field = [name, &b": "[..], value, b"\r"].concat();
        assert!(lines[1..].contains(&&field[..]), "the field is there as it was given");
    }
    let lengths =
        lines.iter().filter(|line| line.to_ascii_lowercase().starts_with(b"content-length:")).count();
    assert!(lengths <= 1, "how long it is, is said once");
}
