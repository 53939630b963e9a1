#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use script::native::{Call, Native};
use script::value::Value;

use super::*;
use crate::on_engine::{array, call, function, list, on_a_shard, text};
use crate::testing_tls::{Authority, serve_tls};
use crate::{Execution, Settings};

/// Answers one request on a stream. What it was goes into the answer.
pub(crate) fn answer<S: Read + Write>(mut stream: S) {
    let mut head = Vec::new();
    let mut reader = BufReader::new(&mut stream);
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let end = line == b"\r\n";
        head.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        if end {
            break;
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let target = head[0].split(' ').nth(1).unwrap_or_default().to_owned();
    let response = respond(&target, &head, &body);
    // A client that has seen enough may be gone.
    let _ = stream.write_all(&response);
    let _ = stream.flush();
}

fn respond(target: &str, head: &[String], body: &[u8]) -> Vec<u8> {
    let whole = |status: &str, more: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let path = target.strip_prefix("http://proxied.test").unwrap_or(target);
    match path {
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
                .to_vec()
        }
        "/to-the-end" => b"HTTP/1.0 200 OK\r\n\r\nto the end".to_vec(),
        "/missing" => whole("404 Not Found", "X-One: 1\r\nX-Two: 2\r\n", b"no such page"),
        "/redirect" => whole("302 Found", "Location: ../echo?from=redirect\r\n", b""),
        "/temporary" => whole("307 Temporary Redirect", "Location: /echo\r\n", b""),
        "/loop" => whole("301 Moved Permanently", "Location: /loop\r\n", b""),
        "/elsewhere" => whole("302 Found", "Location: file:///etc/passwd\r\n", b""),
        "/large" => whole("200 OK", "", &vec![b'x'; 100_000]),
        "/garbage" => b"220 mail.example.com ESMTP\r\n".to_vec(),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(3));
            whole("200 OK", "", b"late")
        }
        _ => {
            let text = [head.join("\n").as_bytes(), b"\n", body].concat();
            whole("200 OK", "", &text)
        }
    }
}

/// A server on a thread of its own.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

async fn get(execution: &Rc<Execution>, args: &[Value]) -> Value {
    call(execution, "http", args).await.unwrap()
}

#[test]
fn responses_of_all_kinds_are_read() {
    let server = server();
    on_a_shard(Settings::default(), move |environment| async move {
        let execution = Execution::begin(&environment);
        let url = |path: &str| Value::from(format!("http://{server}{path}"));
        assert_eq!(text(&get(&execution, &[url("/chunked")]).await), "abcdefg");
        assert_eq!(text(&get(&execution, &[url("/to-the-end")]).await), "to the end");
        let local = Value::from(format!("http://localhost:{}/chunked", server.port()));
        assert_eq!(text(&get(&execution, &[local]).await), "abcdefg");
        assert!(get(&execution, &[url("/missing")]).await.is_none());
        let extended = array(&[("extended_result", true.into())]);
        let value = get(&execution, &[url("/missing"), extended.clone()]).await;
        assert_eq!(text(&value), r#"["status"=>404,"content"=>"no such page"]"#);
        let headers = array(&[("extended_result", true.into()), ("response_headers", true.into())]);
        let value = text(&get(&execution, &[url("/missing"), headers]).await);
        assert!(value.ends_with(r#"1=>[0=>"X-One",1=>"1"],2=>[0=>"X-Two",1=>"2"]]]"#), "{value}");
        // Nothing that is HTTP: none, also in the extended form.
        assert!(get(&execution, &[url("/garbage"), extended.clone()]).await.is_none());
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(get(&execution, &[format!("http://{closed}/").into(), extended.clone()]).await.is_none());
        for bad in ["http://", "ftp://h/", "nonsense", "http://h:99999/", "http://a b/"] {
            assert!(get(&execution, &[bad.into(), extended.clone()]).await.is_none(), "{bad}");
        }
    });
}

/// Gives three pieces, then the end.
static PIECES: Native = Native::inline("pieces", "", (0, None), "", |call: &mut Call<'_>| {
    static LEFT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(3);
    assert!(call.number(0)? > 0.0);
    let left = LEFT.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    Ok(if left > 0 { format!("<{left}>").into() } else { "".into() })
});

#[test]
fn requests_say_what_the_options_ask_for() {
    let server = server();
    on_a_shard(Settings::default(), move |environment| async move {
        let execution = Execution::begin(&environment);
        let url = |path: &str| Value::from(format!("http://{server}{path}"));
        let none = Value::None;
        let items = list(["a b/c".into(), 7.into()]);
        let echo = text(&get(&execution, &[url("/echo?x=$1&y=$2&z=$3$"), none.clone(), items]).await);
        assert!(echo.starts_with("GET /echo?x=a%20b%2Fc&y=7&z=$3$ HTTP/1.1\n"), "{echo}");
        assert!(echo.contains(&format!("\nHost: {server}\n")), "{echo}");
        let form = array(&[("name", "J\u{e9}".into()), ("n", 1.into())]);
        let echo = text(&get(&execution, &[url("/echo"), none.clone(), none.clone(), form]).await);
        assert!(echo.starts_with("POST /echo ") && echo.ends_with("name=J%C3%A9&n=1"), "{echo}");
        assert!(echo.contains("Content-Type: application/x-www-form-urlencoded\n"), "{echo}");
        // Regression: 10 MB were encoded on the shard, for a second.
        let long = "\u{e9}~".repeat(limits::HTTP_FORM_INLINE_BYTES);
        let form = array(&[("a", long.as_str().into()), ("b", 1.into())]);
        assert!(is_long(form.as_array().expect("it is one")));
        let echo = text(&get(&execution, &[url("/echo"), none.clone(), none.clone(), form]).await);
        assert!(echo.ends_with(&format!("a={}&b=1", "%C3%A9~".repeat(limits::HTTP_FORM_INLINE_BYTES))));
        let headers = list(["Content-Type: application/json".into(), "Accept:".into(), "X-A: b".into()]);
        let options = array(&[("headers", headers), ("method", "PUT".into())]);
        let echo = text(&get(&execution, &[url("/echo"), options, none.clone(), "{}".into()]).await);
        assert!(echo.starts_with("PUT /echo ") && echo.ends_with("\n{}"), "{echo}");
        assert!(echo.contains("Content-Type: application/json\n") && echo.contains("X-A: b\n"), "{echo}");
        assert!(!echo.contains("Accept") && !echo.contains("urlencoded"), "{echo}");
        let args = [url("/echo"), none.clone(), none.clone(), function(&PIECES)];
        let echo = text(&get(&execution, &args).await);
        assert!(echo.ends_with("\n<3><2><1>") && echo.contains("Content-Length: 9\n"), "{echo}");
        let login = Value::from(format!("http://user:p%40ss@{server}/echo"));
        let echo = text(&get(&execution, &[login]).await);
        assert!(echo.contains("Authorization: Basic dXNlcjpwQHNz\n"), "{echo}");
        let bad = [
            array(&[("headers", list(["no colon".into()]))]),
            array(&[("sourceip", "nonsense".into())]),
            array(&[("sourceipid", "x".into())]),
            array(&[("background", true.into())]),
            array(&[("timeout", "x".into())]),
        ];
        for options in bad {
            assert!(call(&execution, "http", &[url("/echo"), options]).await.is_err());
        }
        // A header that would be two is not sent at all.
        let split = array(&[("headers", list(["X: a\r\nY: b".into()]))]);
        assert!(get(&execution, &[url("/echo"), split]).await.is_none());
    });
}

#[test]
fn redirects_sizes_and_times_are_bounded() {
    let server = server();
    on_a_shard(Settings::default(), move |environment| async move {
        let execution = Execution::begin(&environment);
        let url = |path: &str| Value::from(format!("http://{server}{path}"));
        let with = |name: &str, value: Value| array(&[(name, value), ("extended_result", true.into())]);
        let status = |value: &Value| text(&value.as_array().unwrap().get_str("status").unwrap());
        let value = get(&execution, &[url("/redirect"), with("redirects", 0.into())]).await;
        assert_eq!(status(&value), "302");
        let args = [url("/redirect"), with("redirects", 1.into()), Value::None, "x".into()];
        let value = text(&get(&execution, &args).await);
        assert!(value.contains("GET /echo?from=redirect "), "{value}");
        let again = [url("/temporary"), with("redirects", 1.into()), Value::None, "body".into()];
        let value = text(&get(&execution, &again).await);
        assert!(value.contains("POST /echo ") && value.contains("\nbody"), "{value}");
        assert!(get(&execution, &[url("/large"), with("max_file_size", 99_999.into())]).await.is_none());
        let value = get(&execution, &[url("/large"), with("max_file_size", 100_000.into())]).await;
        assert_eq!(status(&value), "200");
        let start = engine::time::now_precise();
        assert!(get(&execution, &[url("/slow"), with("timeout", 0.1.into())]).await.is_none());
        assert!((engine::time::now_precise() - start).as_secs_f64() < 2.5);
    });
}

/// They gave none, as if no server had answered.
#[test]
fn a_redirect_that_is_not_followed_is_the_answer() {
    let server = server();
    on_a_shard(Settings::default(), move |environment| async move {
        let execution = Execution::begin(&environment);
        for (path, redirects, expected) in
            [("/loop", 2, "301"), ("/loop", -1, "301"), ("/elsewhere", 3, "302")]
        {
            let url = Value::from(format!("http://{server}{path}"));
            let plain = array(&[("redirects", redirects.into())]);
            assert!(get(&execution, &[url.clone(), plain]).await.is_none(), "{path}");
            let extended = array(&[("redirects", redirects.into()), ("extended_result", true.into())]);
            let value = get(&execution, &[url, extended]).await;
            let status = value.as_array().unwrap().get_str("status").unwrap();
            assert_eq!(text(&status), expected, "{path}");
        }
    });
}

#[test]
fn requests_go_through_proxies_and_to_sockets_of_the_file_system() {
    let server = server();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("socket").to_str().unwrap().to_owned();
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            answer(stream);
        }
    });
    let settings = Settings { http_proxy: Some(format!("http://{server}")), ..Settings::default() };
    on_a_shard(settings, move |environment| {
        let path = path.clone();
        async move {
            let execution = Execution::begin(&environment);
            let url = Value::from("http://proxied.test/chunked");
            assert_eq!(text(&get(&execution, &[url]).await), "abcdefg");
            // An empty proxy is none; this server is reached without.
            let direct = array(&[("proxy", "".into())]);
            let url = Value::from(format!("http://{server}/echo"));
            assert!(text(&get(&execution, &[url, direct]).await).starts_with("GET /echo "));
            let login = array(&[("proxy", format!("a:b@{server}").into())]);
            let echo = text(&get(&execution, &["http://proxied.test/echo".into(), login]).await);
            assert!(echo.starts_with("GET http://proxied.test/echo "), "{echo}");
            assert!(echo.contains("Proxy-Authorization: Basic YTpi\n"), "{echo}");
            let unix = array(&[("unix_socket_path", path.into())]);
            let echo = text(&get(&execution, &["http://daemon/v1".into(), unix]).await);
            assert!(echo.starts_with("GET /v1 ") && echo.contains("Host: daemon\n"), "{echo}");
        }
    });
}

#[test]
fn certificates_are_verified_as_asked() {
    let authority = Authority::new();
    let (trusted, wrong_name) = (authority.issue("localhost"), authority.issue("other.test"));
    let settings = Settings { extra_roots: vec![authority.certificate()], ..Settings::default() };
    let (trusted, wrong_name) = (serve_tls(trusted, answer), serve_tls(wrong_name, answer));
    let unknown = serve_tls(Authority::new().issue("localhost"), answer);
    on_a_shard(settings, move |environment| async move {
        let execution = Execution::begin(&environment);
        let get = async |server: SocketAddr, options: &[(&str, Value)]| {
            let url = Value::from(format!("https://localhost:{}/chunked", server.port()));
            let value = call(&execution, "http", &[url, array(options)]).await.unwrap();
            !value.is_none()
        };
        let verify_host = ("tls_verify_host", true.into());
        let verify_nothing = ("tls_verify_peer", false.into());
        assert!(get(trusted, &[]).await && get(trusted, std::slice::from_ref(&verify_host)).await);
        assert!(get(wrong_name, &[]).await, "the host is verified only when asked for");
        assert!(!get(wrong_name, &[verify_host]).await);
        assert!(!get(unknown, &[]).await);
        assert!(get(unknown, &[verify_nothing]).await);
        assert!(get(unknown, &[("ssl_verify_peer", false.into())]).await, "the older name");
        let plain = server();
        let quick = [("tls_verify_peer", false.into()), ("connect_timeout", 0.2.into())];
        assert!(!get(plain, &quick).await, "no TLS there");
    });
}

#[test]
fn a_tunnel_leads_through_a_proxy_to_tls() {
    let authority = Authority::new();
    let target = serve_tls(authority.issue("secret.test"), answer);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut head = BufReader::new(client.try_clone().unwrap());
        let mut lines = Vec::new();
        while !lines.ends_with(&["\r\n".to_owned()]) {
            let mut line = String::new();
            head.read_line(&mut line).unwrap();
            lines.push(line);
        }
        assert_eq!(lines[0], "CONNECT secret.test:443 HTTP/1.1\r\n");
        let server = std::net::TcpStream::connect(target).unwrap();
        (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        let _ = std::io::copy(&mut &client, &mut &server);
    });
    let settings = Settings { extra_roots: vec![authority.certificate()], ..Settings::default() };
    on_a_shard(settings, move |environment| async move {
        let execution = Execution::begin(&environment);
        let options = array(&[("proxy", proxy.to_string().into()), ("tls_verify_host", true.into())]);
        let args = ["https://secret.test/echo".into(), options];
        let echo = text(&call(&execution, "http", &args).await.unwrap());
        assert!(echo.starts_with("GET /echo ") && echo.contains("Host: secret.test\n"), "{echo}");
    });
}
