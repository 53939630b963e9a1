#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};

use crate::Settings;
use crate::on_engine::{on_a_shard, result};
use crate::testing_tls::{Authority, ServerStream, serve_tls};

/// Sends back what it gets, and ends when the peer does.
fn echo<S: Read + Write>(mut stream: S) {
    let mut bytes = [0; 4096];
    while let Ok(length) = stream.read(&mut bytes) {
        if length == 0 || stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// Answers with the suite that was agreed on.
fn tell_the_suite(mut stream: ServerStream) {
    let mut byte = [0];
    if stream.read_exact(&mut byte).is_ok() {
        let suite = stream.conn.negotiated_cipher_suite().expect("there is one").suite();
        let _ = write!(stream, "{suite:?}");
    }
}

fn serve(serve: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// What each script gives, with PORT and PATH filled in.
fn check(settings: Settings, port: u16, path: &str, cases: &[(&'static str, &'static str)]) {
    let filled: Vec<(String, &'static str)> = cases
        .iter()
        .map(|(source, expected)| {
            (source.replace("PORT", &port.to_string()).replace("PATH", path), *expected)
        })
        .collect();
    on_a_shard(settings, move |environment| {
        let filled = filled.clone();
        async move {
            for (source, expected) in filled {
                assert_eq!(result(&environment, &source).await, expected, "{source}");
            }
        }
    });
}

#[test]
fn streams_carry_what_is_sent_and_tell_their_end() {
    let port = serve(echo).port();
    let cases = [
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM"); $s->connect("127.0.0.1", PORT); $n = $s->send("hello");
               $a = $s->recv(3, ["MSG_PEEK"]); $b = $s->recv(2); $c = $s->recv(100);
               $s->shutdown("SHUT_WR"); return [$n, $a, $b, $c, $s->recv(1), $s->recv(1)];"#,
            r#"[0=>5,1=>"hel",2=>"he",3=>"llo",4=>"",5=>""]"#,
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT); $s->send("ab"); sleep(0.02);
               $s->send("cd"); return $s->recv(4, ["MSG_WAITALL"]);"#,
            "abcd",
        ),
        // Nothing comes: none, and errno says that time is up.
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT); $s->settimeout(0.05);
               $a = $s->recv(1) === none; $b = $s->errno(); $c = $s->recv(1, "MSG_DONTWAIT") === none;
               $s->settimeout(10); $s->send("x"); return [$a, $b, $c, $s->recv(1)];"#,
            r#"[0=>true,1=>11,2=>true,3=>"x"]"#,
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->bind("127.0.0.3")->connect("127.0.0.1", PORT);
               $s->send("x"); return $s->recv(1);"#,
            "x",
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM"); $a = $s->send("x") === none; $b = $s->errno(); $s->close();
               return [$a, $b, $s->close() === none, $s->recv(1) === none, $s->errno()];"#,
            "[0=>true,1=>107,2=>true,3=>true,4=>9]",
        ),
        // Names are not looked up, and families must match.
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM");
               return [$s->connect("localhost", PORT) === none, $s->connect("::1", PORT) === none, $s->errno(),
                       $s->bind("::1") === none, $s->connect("127.0.0.1", 70000) === none];"#,
            "[0=>true,1=>true,2=>97,3=>true,4=>true]",
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT); $s->send("x");
               $s->shutdown("SHUT_RD"); return "<" . $s->recv(1) . ">";"#,
            "<>",
        ),
        (
            r#"return [Socket::AF("192.0.2.1"), Socket::AF("2001:db8::1"), Socket::AF("host") === none];"#,
            r#"[0=>"AF_INET",1=>"AF_INET6",2=>true]"#,
        ),
        (r#"try { Socket("AF_X", "SOCK_STREAM"); } catch ($e) { return "caught"; }"#, "caught"),
        (
            r#"try { Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT)->recv(1000000000); } catch ($e) { return "caught"; }"#,
            "caught",
        ),
    ];
    check(Settings::default(), port, "", &cases);
}

/// It only noted the address, and the connect that followed told.
#[test]
fn bind_takes_the_address_or_says_that_it_cannot() {
    let port = serve(echo).port();
    let cases = [
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM"); return [$s->bind("127.0.0.1", PORT) === none, $s->errno()];"#,
            "[0=>true,1=>98]",
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_DGRAM"); return [$s->bind("192.0.2.1") === none, $s->errno()];"#,
            "[0=>true,1=>99]",
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->bind("127.0.0.1"); $a = $s->bind("127.0.0.1") === none; $b = $s->errno();
               $c = $s->send("x") === none; return [$a, $b, $c, $s->errno(), $s->connect("127.0.0.1", PORT)->send("x")];"#,
            "[0=>true,1=>22,2=>true,3=>107,4=>1]",
        ),
        (r#"$s = Socket("AF_UNIX", "SOCK_DGRAM"); return $s->bind("/tmp/x") === none;"#, "true"),
        // A connect that fails gives the address back.
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM")->bind("127.0.0.1"); $a = $s->connect("127.0.0.1", 1) === none; $b = $s->errno();
               return [$a, $b, $s->bind("127.0.0.1")->connect("127.0.0.1", PORT)->send("x")];"#,
            "[0=>true,1=>111,2=>1]",
        ),
        (
            r#"$s = Socket("AF_INET", "SOCK_STREAM"); $s->close(); return [$s->bind("127.0.0.1") === none, $s->errno()];"#,
            "[0=>true,1=>9]",
        ),
    ];
    check(Settings::default(), port, "", &cases);
}

/// It could not receive before it was connected.
#[test]
fn a_bound_datagram_socket_receives_from_whoever_sends() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = r#"
        $s = Socket("AF_INET", "SOCK_DGRAM")->bind("127.0.0.1", PORT); $s->settimeout(10);
        $a = Socket("AF_INET", "SOCK_DGRAM")->connect("127.0.0.1", PORT); $a->send("one");
        $b = Socket("AF_INET", "SOCK_DGRAM")->bind("127.0.0.1")->connect("127.0.0.1", PORT); $b->send("two");
        $got = [$s->recv(100), $s->recv(100)];
        $unknown = [$s->send("x") === none, $s->errno()];
        $s->close();
        $again = Socket("AF_INET", "SOCK_DGRAM")->bind("127.0.0.1", PORT) !== none;
        return [...$got, ...$unknown, $s->recv(1) === none, $again];"#;
    check(Settings::default(), free, "", &[(source, r#"[0=>"one",1=>"two",2=>true,3=>89,4=>true,5=>true]"#)]);
}

#[test]
fn a_script_has_so_many_sockets_and_no_more() {
    let port = serve(echo).port();
    let source = r#"
        $open = []; $refused = 0;
        for ($i = 0; $i < 110; $i += 1) {
            $s = Socket("AF_INET", "SOCK_STREAM");
            if ($s->connect("127.0.0.1", PORT)) $open[] = $s; else $refused += 1;
        }
        $open = [];
        $s = Socket("AF_INET", "SOCK_STREAM");
        return [$refused, $s->connect("127.0.0.1", PORT) !== none];"#;
    check(Settings::default(), port, "", &[(source, "[0=>10,1=>true]")]);
}

#[test]
fn datagrams_and_sockets_of_the_file_system_work_alike() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut bytes = [0; 100];
        while let Ok((length, peer)) = udp.recv_from(&mut bytes) {
            udp.send_to(&bytes[..length], peer).unwrap();
        }
    });
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap().to_owned();
    let stream = UnixListener::bind(place.path().join("stream")).unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = stream.accept() {
            std::thread::spawn(move || echo(stream));
        }
    });
    let datagrams = UnixDatagram::bind(place.path().join("log")).unwrap();
    let cases = [
        (
            r#"$s = Socket("AF_INET", "SOCK_DGRAM")->connect("127.0.0.1", PORT); $s->send("one"); $s->send("two");
               return [$s->recv(2), $s->recv(10)];"#,
            r#"[0=>"on",1=>"two"]"#,
        ),
        (
            r#"$s = Socket("AF_UNIX", "SOCK_STREAM")->connect("PATH/stream"); $s->send("x"); return $s->recv(9);"#,
            "x",
        ),
        (r#"return Socket("AF_UNIX", "SOCK_DGRAM")->connect("PATH/log")->send("<22>hello");"#, "9"),
        (
            r#"$s = Socket("AF_UNIX", "SOCK_STREAM"); return [$s->connect("PATH/none") === none, $s->errno()];"#,
            "[0=>true,1=>2]",
        ),
    ];
    check(Settings::default(), port, &path, &cases);
    let mut bytes = [0; 16];
    assert_eq!(datagrams.recv(&mut bytes).unwrap(), 9);
}

#[test]
fn tls_runs_on_a_socket_and_verifies_what_it_is_told_to() {
    let authority = Authority::new();
    let port = serve_tls(authority.issue("mail.test"), echo::<ServerStream>).port();
    let settings = Settings { extra_roots: vec![authority.certificate()], ..Settings::default() };
    let cases = [
        (
            r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT));
               $n = $t->send("hello"); return [$n, $t->recv(2), $t->recv(100), $t->shutdown(), $t->errno()];"#,
            r#"[0=>5,1=>"he",2=>"llo",3=>1,4=>0]"#,
        ),
        (
            r#"$x = ["tls_verify_ca" => true, "tls_verify_name" => ["other.test", "mail.test"], "tls_sni" => "mail.test"];
               $t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT), $x);
               return [$t->handshake() !== none, $t->getpeerx509()->subject_alt_name()["DNS"][0],
                       $t->toSocket() !== none];"#,
            r#"[0=>true,1=>"mail.test",2=>true]"#,
        ),
        (
            r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT), ["tls_verify_name" => ["x.test"]]);
               return [$t->handshake() === none, $t->errno(), $t->send("x") === none];"#,
            "[0=>true,1=>1,2=>true]",
        ),
        (
            r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT), ["tls_protocols" => "!TLSv1.3"]);
               $t->send("x"); return $t->recv(1);"#,
            "x",
        ),
        (
            r#"try { TLSSocket(Socket("AF_INET", "SOCK_STREAM"))->handshake(); } catch ($e) { return "caught"; }"#,
            "caught",
        ),
        (r#"try { TLSSocket(1); } catch ($e) { return "caught"; }"#, "caught"),
    ];
    check(settings, port, "", &cases);
    // Nobody knows this one's issuer.
    let port = serve_tls(Authority::new().issue("mail.test"), echo::<ServerStream>).port();
    let source = r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT), ["tls_verify_ca" => true]);
        return $t->handshake() === none;"#;
    let settings = Settings { extra_roots: vec![authority.certificate()], ..Settings::default() };
    check(settings, port, "", &[(source, "true")]);
}

#[test]
fn tls_speaks_only_the_ciphers_of_the_list() {
    let port = serve_tls(Authority::new().issue("mail.test"), tell_the_suite).port();
    let cases = [
        (
            r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT),
                   ["tls_ciphers" => "TLS_CHACHA20_POLY1305_SHA256"]);
               $t->send("x"); return $t->recv(100);"#,
            "TLS13_CHACHA20_POLY1305_SHA256",
        ),
        (
            r#"$t = TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT),
                   ["tls_ciphers" => "ECDHE+AESGCM:!AES256", "tls_protocols" => "!TLSv1.3"]);
               $t->send("x"); return $t->recv(100);"#,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            r#"try { TLSSocket(Socket("AF_INET", "SOCK_STREAM")->connect("127.0.0.1", PORT), ["tls_ciphers" => "RC4"])->handshake(); }
               catch ($e) { return $e->message()[0:35]; }"#,
            r#"TLSSocket(): option "tls_ciphers": "#,
        ),
    ];
    check(Settings::default(), port, "", &cases);
}

#[test]
fn what_only_a_foreign_function_interface_could_use_says_so() {
    let cases = [
        (
            r#"try { Socket("AF_INET", "SOCK_STREAM")->toFFIValue(); } catch ($e) { return $e->message(); }"#,
            "toFFIValue(): there is no foreign function interface",
        ),
        (
            r#"try { File::String("x")->toFFIValue(); } catch ($e) { return $e->message(); }"#,
            "toFFIValue(): there is no foreign function interface",
        ),
        (
            r#"try { Socket::Resource("x"); } catch ($e) { return $e->message(); }"#,
            "Resource(): argument 1 must be a SocketResource, not string",
        ),
    ];
    check(Settings::default(), 0, "", &cases);
}
