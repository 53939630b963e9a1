use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `scheme|username|password|host|port|path|query|fragment`, `-` for what is not there.
fn parts(url: &Url) -> String {
    let text = |part: &Option<Vec<u8>>| match part {
        Some(part) => String::from_utf8_lossy(part).into_owned(),
        None => "-".into(),
    };
    let port = url.port.map_or("-".into(), |port| port.to_string());
    [
        text(&url.scheme),
        text(&url.username),
        text(&url.password),
        text(&url.host),
        port,
        String::from_utf8_lossy(&url.path).into_owned(),
        text(&url.query),
        text(&url.fragment),
    ]
    .join("|")
}

#[test]
fn urls_come_apart() {
    let cases = [
        ("http://www.example.com", "http|-|-|www.example.com|-||-|-"),
        ("HTTPS://u:p%40@h.example:8443/a/b?c=d&e#f", "https|u|p%40|h.example|8443|/a/b|c=d&e|f"),
        ("http://u@h/", "http|u|-|h|-|/|-|-"),
        ("http://u:a@b@h/", "http|u|a@b|h|-|/|-|-"),
        ("http://[2001:db8::1]:8080/x", "http|-|-|2001:db8::1|8080|/x|-|-"),
        ("http://h:/x", "http|-|-|h|-|/x|-|-"),
        ("http://h?q", "http|-|-|h|-||q|-"),
        ("http://h#f?not", "http|-|-|h|-||-|f?not"),
        ("mailto:someone@example.com", "mailto|-|-|-|-|someone@example.com|-|-"),
        ("file:///etc/x", "file|-|-||-|/etc/x|-|-"),
        ("//h/x", "-|-|-|h|-|/x|-|-"),
        ("/a?b", "-|-|-|-|-|/a|b|-"),
        ("", "-|-|-|-|-||-|-"),
        ("http://h/?", "http|-|-|h|-|/||-"),
    ];
    for (text, expected) in cases {
        assert_eq!(parts(&url(text)), expected, "{text}");
    }
    let bad = [
        ("http://h:65536/", UrlError::Port),
        ("http://h:-1/", UrlError::Port),
        ("http://h:8x/", UrlError::Port),
        ("http://[::1/", UrlError::Host),
        ("http://[::1]x/", UrlError::Host),
        ("http://[zz]/", UrlError::Host),
        ("http://a b/", UrlError::Host),
        ("http://a/\r\nX: y", UrlError::Control),
    ];
    for (text, expected) in bad {
        assert_eq!(Url::parse(text.as_bytes()), Err(expected), "{text}");
    }
}

#[test]
fn references_resolve_as_rfc_3986_5_4_says() {
    let base = url("http://a/b/c/d?q");
    let cases = [
        ("g", "http|-|-|a|-|/b/c/g|-|-"),
        ("./g/", "http|-|-|a|-|/b/c/g/|-|-"),
        ("/g", "http|-|-|a|-|/g|-|-"),
        ("//g", "http|-|-|g|-||-|-"),
        ("?y", "http|-|-|a|-|/b/c/d|y|-"),
        ("g?y#s", "http|-|-|a|-|/b/c/g|y|s"),
        ("", "http|-|-|a|-|/b/c/d|q|-"),
        ("..", "http|-|-|a|-|/b/|-|-"),
        ("../../../g", "http|-|-|a|-|/g|-|-"),
        ("g/./h/../i", "http|-|-|a|-|/b/c/g/i|-|-"),
        ("https://x/../y", "https|-|-|x|-|/y|-|-"),
    ];
    for (reference, expected) in cases {
        assert_eq!(parts(&base.join(reference.as_bytes()).unwrap()), expected, "{reference}");
    }
    assert_eq!(parts(&url("http://u:p@h").join(b"x").unwrap()), "http|u|p|h|-|/x|-|-");
    assert_eq!(parts(&url("http://u:p@h").join(b"//other/x").unwrap()), "http|-|-|other|-|/x|-|-");
}

#[test]
fn a_request_cannot_be_split_by_what_is_put_into_it() {
    let target = url("http://h.example:8080/a b\u{e9}?x=%20");
    let headers = [(b"X-One".to_vec(), b"1".to_vec()), (b"accept".to_vec(), Vec::new())];
    let request =
        Request { method: "PUT", url: &target, headers: &headers, length: Length::Known(3), to_proxy: false };
    let expected = "PUT /a%20b%C3%A9?x=%20 HTTP/1.1\r\nHost: h.example:8080\r\nUser-Agent: hsl\r\nConnection: close\r\n\
        Content-Length: 3\r\nX-One: 1\r\n\r\n";
    assert_eq!(String::from_utf8(request.encode().unwrap()).unwrap(), expected);
    for (name, value) in [("X: y\r\nZ", "1"), ("X", "1\r\nZ: 2"), ("X", "1\n"), ("", "1"), ("a b", "1")] {
        let headers = [(name.into(), value.into())];
        assert_eq!(
            Request { headers: &headers, ..request }.encode(),
            Err(InvalidRequest::Header),
            "{name:?}"
        );
    }
    assert_eq!(Request { method: "GET /", ..request }.encode(), Err(InvalidRequest::Method));
    assert_eq!(Request { url: &url("http:///x"), ..request }.encode(), Err(InvalidRequest::Host));

    let proxied = Request { to_proxy: true, length: Length::Chunked, ..request }.encode().unwrap();
    assert!(proxied.starts_with(b"PUT http://h.example:8080/a%20b%C3%A9?x=%20 HTTP/1.1\r\n"));
    let tunnel = Request::encode_connect(b"2001:db8::1", 443, &[]).unwrap();
    assert_eq!(tunnel, b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The whole of `stream`, in pieces of `piece` bytes, then its end.
fn read(stream: &[u8], no_body: bool, most: u64, piece: usize) -> Result<Response, Error> {
    let mut reader = Reader::new(no_body, most);
    for piece in stream.chunks(piece) {
        if reader.receive(piece)? == Progress::Done {
            return Ok(reader.into_response().expect("it said so"));
        }
    }
    reader.end()?;
    Ok(reader.into_response().expect("it has ended"))
}

#[test]
fn responses_are_framed_as_rfc_9112_6_3_says() {
    type Expected = Result<(u16, &'static str), Error>;
    let cases: [(String, Expected); 18] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, more".into(), Ok((200, "hello"))),
        ("HTTP/1.0 200\r\n\r\nto the end".into(), Ok((200, "to the end"))),
        ("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello".into(), Ok((204, ""))),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".into(), Ok((404, ""))),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok".into(), Ok((200, "ok"))),
        (format!("{CHUNKED}5\r\nhello\r\n6;x=y\r\n there\r\n0\r\nT: 1\r\n\r\n"), Ok((200, "hello there"))),
        (format!("{CHUNKED}5\r\nhello\r\n"), Err(Error::Truncated)),
        (format!("{CHUNKED}5\r\nhelloX\r\n"), Err(Error::Malformed("a chunk is longer than it said"))),
        (format!("{CHUNKED}-5\r\nhello\r\n"), Err(Error::Malformed("a chunk's size is not a number"))),
        (format!("{CHUNKED}ffffffffffffffff\r\n"), Err(Error::Malformed("a chunk's size is not a number"))),
        (format!("{CHUNKED}fffffffff\r\n{}", "x".repeat(101)), Err(Error::BodyTooLarge)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n".into(), Err(Error::BodyTooLarge)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell".into(), Err(Error::Truncated)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n".into(),
            Err(Error::Malformed("the content length")),
        ),
        (format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(101)), Err(Error::BodyTooLarge)),
        ("SSH-2.0-x\r\n".into(), Err(Error::Malformed("it does not begin with HTTP/"))),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(17), Err(Error::Malformed("interim responses without end"))),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70_000)), Err(Error::HeadTooLarge)),
    ];
    for (stream, expected) in cases {
        for piece in [1, 3, 1 << 20] {
            let got = read(stream.as_bytes(), false, 100, piece);
            let got = got.as_ref().map(|it| (it.status, std::str::from_utf8(&it.body).unwrap()));
            assert_eq!(got.map_err(|error| *error), expected, "{piece}: {stream:.80}");
        }
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(129));
    assert_eq!(read(many.as_bytes(), false, 100, 1000), Err(Error::HeadTooLarge));
    let head = read(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", true, 100, 1000).unwrap();
    assert_eq!(head.header("content-LENGTH"), Some(&b"500"[..]));
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and the pieces make no difference.
    #[test]
    fn pieces_make_no_difference(
        start in prop_oneof![Just("HTTP/1.1 200 OK\r\n\r\n"), Just(CHUNKED), Just("HTTP/1.1 "), Just("")],
        rest in prop::collection::vec(prop::sample::select(&b"\r\n0158aF;: xHTP/.-"[..]), 0..60),
        piece in 1..9usize,
    ) {
        let stream = [start.as_bytes(), &rest].concat();
        prop_assert_eq!(read(&stream, false, 50, piece), read(&stream, false, 50, usize::MAX));
    }

    #[test]
    fn any_url_parses_or_is_refused(text in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(url) = Url::parse(&text) {
            let _ = url.join(b"../x");
            let _ = Request { method: "GET", url: &url, headers: &[], length: Length::None, to_proxy: true }.encode();
        }
    }
}
