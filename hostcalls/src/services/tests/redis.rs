//! `redis`, `hiredis-cluster`, `rate-redis`.

use std::io::{Read as _, Write as _};

use super::{check, play, play_built, settings};
use crate::testing_tls::{Authority, ServerStream, serve_tls};

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

#[test]
fn commands_go_over_one_connection_which_is_replaced_when_the_server_closes_it() {
    let server = play(&[
        &[
            (b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n", b"+OK\r\n"),
            (b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", b"+OK\r\n"),
            (b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n", b"+OK\r\n"),
            (GET, b"$5\r\nvalue\r\n"),
            (b"*1\r\n$5\r\nWRONG\r\n", b"-ERR unknown command\r\n"),
        ],
        &[
            (b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n", b"+OK\r\n"),
            (b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", b"+OK\r\n"),
            (GET, b"*2\r\n:1\r\n$-1\r\n"),
        ],
        &[(b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n", b"-WRONGPASS no\r\n")],
        &[
            (b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n", b"+OK\r\n"),
            (b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", b"+OK\r\n"),
            (GET, b"$99\r\ncut"),
        ],
    ]);
    let port = server.port();
    let settings = settings(&format!(
        "  - id: redis\n    config: {{profiles: [{{id: a, port: {port}, user: u, password: p, db: 3}}]}}\n"
    ));
    check(
        settings,
        &[
            (
                r#"import { Redis } from "extras://redis"; $redis = Redis("a");
                   return $redis->command("SET", "key", "value") . $redis->command("GET", "key");"#,
                "OKvalue",
            ),
            (
                r#"import { Redis } from "extras://redis";
                   try { Redis()->command("WRONG"); } catch ($e) { return $e->message(); }"#,
                "ERR unknown command",
            ),
            (
                r#"import { Redis as R } from "extras://redis"; return R()->command("GET", "key");"#,
                "[0=>1,1=>none]",
            ),
            (
                r#"import { Redis } from "extras://redis"; return Redis()->command("GET", "key");"#,
                "error: command(): WRONGPASS no",
            ),
            (
                r#"import { Redis } from "extras://redis"; return Redis()->command("GET", "key");"#,
                "error: command(): the connection broke: the server closed it",
            ),
            (
                r#"import { Redis } from "extras://redis"; return Redis()->command("GET", 7);"#,
                "error: command(): argument 2 must be a string, not number",
            ),
            (
                r#"import { Redis } from "extras://redis"; return Redis("b");"#,
                "error: Redis(): invalid profile: plugins[] has no profile \"b\" of redis",
            ),
        ],
    );
}

#[test]
fn a_cluster_says_which_node_has_a_key() {
    let second = play(&[&[(GET, b"$1\r\n2\r\n"), (GET, b"-ERR broken\r\n")]]);
    let moved: &'static [u8] = format!("-MOVED 12539 127.0.0.1:{}\r\n", second.port()).into_bytes().leak();
    let steps: &'static [super::Step] = vec![(GET, moved)].leak();
    let first = play(vec![steps].leak());
    let settings = settings(&format!(
        "  - id: hiredis-cluster\n    config: {{nodes: \"127.0.0.1:{}\"}}\n",
        first.port()
    ));
    check(
        settings,
        &[
            (
                r#"import { redisClusterCommand as ask } from "extras://hiredis-cluster"; return ask("GET", "key");"#,
                r#"["reply"=>"2"]"#,
            ),
            // It is known now; what a server says is an error is its reply.
            (
                r#"import { redisClusterCommand as ask } from "extras://hiredis-cluster"; return ask("GET", "key");"#,
                r#"["reply"=>"ERR broken"]"#,
            ),
        ],
    );
}

#[test]
fn sentinels_know_the_master() {
    let master =
        play(&[&[(b"*1\r\n$4\r\nROLE\r\n", b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), (GET, b"+hi\r\n")]]);
    let port = master.port().to_string();
    let known: &'static [u8] =
        format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.len()).into_bytes().leak();
    const ASKED: &[u8] = b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$1\r\nm\r\n";
    let steps: &'static [super::Step] = vec![(ASKED, known)].leak();
    let sentinel = play(vec![steps].leak());
    let settings = settings(&format!(
        "  - id: redis\n    config: {{profiles: [{{id: a, type: sentinel, master_name: m, hosts: [{{host: 127.0.0.1, port: {}}}]}}]}}\n",
        sentinel.port()
    ));
    check(
        settings,
        &[(r#"import { Redis } from "extras://redis"; return Redis()->command("GET", "key");"#, "hi")],
    );
}

/// Answers `PING` over TLS.
fn pong(mut stream: ServerStream) {
    let mut heard = [0; 14];
    while stream.read_exact(&mut heard).is_ok() {
        assert_eq!(&heard, b"*1\r\n$4\r\nPING\r\n");
        stream.write_all(b"+PONG\r\n").unwrap();
    }
}

#[test]
fn certificates_are_verified_unless_the_profile_says_otherwise() {
    let authority = Authority::new();
    let (good, other) =
        (serve_tls(authority.issue("localhost"), pong), serve_tls(authority.issue("other.test"), pong));
    let profile = |id: &str, port: u16, more: &str| {
        format!("{{id: {id}, host: localhost, port: {port}, tls_enabled: true{more}}}")
    };
    let profiles = [
        profile("good", good.port(), ""),
        profile("other", other.port(), ""),
        profile("any", other.port(), ", tls_verify_host: false"),
    ];
    let mut settings =
        settings(&format!("  - id: redis\n    config: {{profiles: [{}]}}\n", profiles.join(", ")));
    settings.extra_roots = vec![authority.certificate()];
    check(
        settings,
        &[(
            r#"import { Redis } from "extras://redis"; $said = [];
               foreach (["good", "other", "any"] as $profile)
                   try { $said[] = Redis($profile)->command("PING"); } catch ($e) { $said[] = $e->message() =~ ''no TLS''; }
               return $said;"#,
            r#"[0=>"PONG",1=>true,2=>"PONG"]"#,
        )],
    );
}

#[test]
fn a_fixed_window_looks_and_counts_in_one_step() {
    let module = include_str!("../hsl/rate_redis.hsl");
    let script = module.split("''").nth(1).unwrap();
    let asked = |count: &str| {
        let words = ["EVAL", script, "1", "ns:e:count", count, "60", "0"];
        let mut bytes = b"*7\r\n".to_vec();
        words.iter().for_each(|word| bytes.extend(format!("${}\r\n{word}\r\n", word.len()).as_bytes()));
        bytes
    };
    let server = play_built(vec![vec![
        (asked("2"), b":1\r\n".to_vec()),
        (asked("2"), b":-1\r\n".to_vec()),
        (asked("0"), b":2\r\n".to_vec()),
        (asked("2"), b"-ERR no scripts here\r\n".to_vec()),
    ]]);
    let settings =
        settings(&format!("  - id: redis\n    config: {{profiles: [{{id: a, port: {}}}]}}\n", server.port()));
    check(
        settings,
        &[
            (
                r#"import { rate_fixed_window as rate } from "extras://rate-redis";
                   return [rate("ns", "e", 2, 60), rate("ns", "e", 2, 60, ["profile" => "a"]), rate("ns", "e", 0, 60)];"#,
                "[0=>true,1=>false,2=>2]",
            ),
            (
                r#"import { rate_fixed_window as rate } from "extras://rate-redis"; return rate("ns", "e", 2, 60);"#,
                "error: ERR no scripts here",
            ),
        ],
    );
}

#[test]
fn a_cluster_that_sends_in_circles_or_to_nobody_is_given_up() {
    let nobody: &'static [u8] = b"-MOVED 12539 127.0.0.1:1\r\n";
    let steps: &'static [super::Step] = vec![(GET, nobody)].leak();
    // It is asked again when the node that it named is not there, over the connection that it has.
    let first = play(vec![steps].leak());
    let circle = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = circle.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = circle.accept().unwrap();
        let mut heard = [0; 22];
        while stream.read_exact(&mut heard).is_ok() {
            let again = format!("-MOVED 12539 127.0.0.1:{port}\r\n");
            stream.write_all(again.as_bytes()).unwrap();
        }
    });
    let cluster = |id: &str, port: u16| {
        format!("{{id: {id}, type: cluster, hosts: [{{host: 127.0.0.1, port: {port}}}]}}")
    };
    let settings = settings(&format!(
        "  - id: redis\n    config: {{profiles: [{}, {}]}}\n",
        cluster("nobody", first.port()),
        cluster("circle", port)
    ));
    check(
        settings,
        &[
            (
                r#"import { Redis } from "extras://redis"; return Redis("nobody")->command("GET", "key");"#,
                "error: command(): no connection to 127.0.0.1:1: Connection refused (os error 111)",
            ),
            (
                r#"import { Redis } from "extras://redis"; return Redis("circle")->command("GET", "key");"#,
                "error: command(): the server breaks the protocol: there were more than 5 redirections",
            ),
        ],
    );
}
