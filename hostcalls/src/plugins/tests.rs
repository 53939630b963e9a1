#![allow(clippy::disallowed_methods, reason = "the peers of a test are no part of the engine")]

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{ListFile, LogFile, RateClient};

use super::Plugins;
use crate::Settings;
use crate::on_engine::{on_a_shard, result};

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("plugins-{name}-{}", std::process::id()));
    std::fs::remove_dir_all(&path).ok();
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn load(settings: &config::Plugins) -> Settings {
    let plugins = Plugins::load(settings, &|path| std::fs::read(path), &mut |what| panic!("{what}"));
    Settings { plugins: Arc::new(plugins), ..Settings::default() }
}

/// What each script gives.
fn check(settings: Settings, cases: &'static [(&'static str, &'static str)]) {
    on_a_shard(settings, move |environment| async move {
        for (source, expected) in cases {
            assert_eq!(result(&environment, source).await, *expected, "{source}");
        }
    });
}

/// A `rated` that lets two hits pass, answers a stranger's question first, and keeps silent in the namespace "none".
fn answer(question: &[u8]) -> Vec<Vec<u8>> {
    let cookie = &question[2..6];
    let names = if question[1] == 2 { &question[10..] } else { &question[14..] };
    if names.starts_with(b"none") {
        return Vec::new();
    }
    let reply = match question[1] {
        2 => [cookie, &2_u32.to_ne_bytes()].concat(),
        _ => [cookie, &[u8::from(question[13] > 2), 0], &[0; 4]].concat(),
    };
    vec![b"\0\0\0\0\x01\0\0\0\0\0".to_vec(), reply]
}

const RATES: &[(&str, &str)] = &[
    (r#"return rate("ns", "e", 3, 60);"#, "true"),
    (
        r#"import { rate } from "extras://rate"; return rate("ns", "e", "2", "60", ["sync" => false]);"#,
        "false",
    ),
    (r#"return rate("ns", "e", 0, 60);"#, "2"),
    (r#"return rate("none", "e", 3, 60) === none;"#, "true"),
    (
        r#"return rate("ns", "e", "x", 60);"#,
        "error: rate(): argument 3 must be a number from 0 to 4294967295, not string",
    ),
];

#[test]
fn rates_are_asked_for_over_udp() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut question = [0; 1024];
        while let Ok((length, peer)) = server.recv_from(&mut question) {
            assert!(length == 590 || length == 586, "{length}");
            answer(&question).iter().for_each(|reply| _ = server.send_to(reply, peer));
        }
    });
    let client = RateClient::Port {
        host: "localhost".to_owned(),
        port,
        bad_host: false,
        timeout: Duration::from_millis(200),
    };
    check(load(&config::Plugins { rate: Some(client), ..config::Plugins::default() }), &RATES[..1]);
}

/// The answer finds its way: a socket without a name could not be answered.
#[test]
fn rates_are_asked_for_through_a_socket_in_the_file_system() {
    let directory = directory("rate");
    let path = directory.join("rated.sock");
    let server = UnixDatagram::bind(&path).unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 1024];
        while let Ok((_, peer)) = server.recv_from(&mut question) {
            answer(&question).iter().for_each(|reply| _ = server.send_to_addr(reply, &peer));
        }
    });
    let client = RateClient::Path(path);
    check(load(&config::Plugins { rate: Some(client), ..config::Plugins::default() }), &RATES[..3]);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn no_answer_to_a_rate_is_none() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = RateClient::Port {
        host: "127.0.0.1".to_owned(),
        port: closed,
        bad_host: true,
        timeout: Duration::from_millis(100),
    };
    check(load(&config::Plugins { rate: Some(client), ..config::Plugins::default() }), &RATES[3..]);
}

#[test]
fn lists_answer_by_their_ids() {
    let directory = directory("lists");
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        vec![ListFile { id: "a".to_owned(), path }]
    };
    let settings = load(&config::Plugins {
        bounce_lists: file("bounces", "/full/,quota,&g\n"),
        suppression_lists: file("addresses", "@gone.example\n/^x/\n"),
        ip_lists: file("ips", "192.0.2.0/24 doc\n10.0.0.0/8\n"),
        ..config::Plugins::default()
    });
    check(
        settings,
        &[
            (
                r#"import { bounce_list } from "extras://bounce-list"; return bounce_list("a", "552 Full", "&g");"#,
                r#"["pattern"=>"/full/","value"=>"quota"]"#,
            ),
            (
                r#"import { bounce_list } from "extras://bounce-list"; return bounce_list("a", "552 Full", none, "EOD") === none;"#,
                "true",
            ),
            (
                r#"import { bounce_list } from "extras://bounce-list"; return bounce_list("b", "552 Full");"#,
                "error: bounce_list(): there is no list \"b\" in plugins",
            ),
            (
                r#"import { suppression_list } from "extras://suppression-list";
                   return array_map(function ($of) { return suppression_list($of[0], $of[1]); },
                       [["a", "u@GONE.example"], ["a", "xy@ok.example"], ["a", "u@ok.example"], ["b", "u@x"]]);"#,
                "[0=>true,1=>true,2=>false,3=>none]",
            ),
            (
                r#"return array_map(function ($ip) { return ip_list_lookup("a", $ip); },
                       ["192.0.2.9", "10.1.2.3", "11.0.0.1", "junk"]);"#,
                r#"[0=>"doc",1=>true,2=>false,3=>false]"#,
            ),
        ],
    );
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn addresses_are_found_in_a_database() {
    let directory = directory("geoip");
    let path = directory.join("countries.mmdb");
    std::fs::write(&path, super::geoip::tests::countries()).unwrap();
    check(
        load(&config::Plugins { geoip: Some(path), ..config::Plugins::default() }),
        &[
            (
                r#"import { geoip } from "extras://maxmind-geoip"; return geoip("1.2.3.4");"#,
                r#"["country"=>"Sweden","iso_code"=>"SE"]"#,
            ),
            (
                r#"import { geoip } from "extras://geoip"; return geoip("no address");"#,
                r#"["error"=>"not an IP address"]"#,
            ),
        ],
    );
    check(
        Settings::default(),
        &[(r#"return geoip("1.2.3.4");"#, "error: geoip(): there is no database in plugins")],
    );
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn logs_are_appended_to_and_made_again_when_they_were_moved_away() {
    let directory = directory("logs");
    let log = |id: &str, path: PathBuf| LogFile {
        id: id.to_owned(),
        path,
        mode: 0o600,
        header: Some("a,b".to_owned()),
        sync: true,
    };
    let path = directory.join("log");
    let logs = vec![log("a", path.clone()), log("bad", directory.join("no/log"))];
    let settings = load(&config::Plugins { logs, ..config::Plugins::default() });
    let moved = path.clone();
    on_a_shard(settings, move |environment| {
        let moved = moved.clone();
        async move {
            let write = r#"import { logger } from "extras://logger"; return logger("a", "1,2\n");"#;
            assert_eq!(result(&environment, write).await, "true");
            assert_eq!(result(&environment, write).await, "true");
            std::fs::rename(&moved, moved.with_extension("1")).unwrap();
            assert_eq!(result(&environment, write).await, "true");
            let bad = r#"import { logger } from "extras://logger"; return logger("bad", "x") === none;"#;
            assert_eq!(result(&environment, bad).await, "true");
            let unknown = r#"import { logger } from "extras://logger"; return logger("c", "x");"#;
            let expected = "error: logger(): no log \"c\": there is none of that id in plugins";
            assert_eq!(result(&environment, unknown).await, expected);
        }
    });
    assert_eq!(std::fs::read_to_string(path.with_extension("1")).unwrap(), "a,b\n1,2\n1,2\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\n1,2\n");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn every_module_compiles_and_what_needs_no_setting_works() {
    check(
        Settings::default(),
        &[
            (
                r#"import { interfaces, local_ips } from "extras://interfaces";
                   return array_includes("lo", array_map(function ($i) { return $i["name"]; }, interfaces()))
                       and is_array(local_ips()) and local_ips("lo") === [] and local_ips("none") === [];"#,
                "true",
            ),
            (
                r#"import { sleep_background } from "extras://sleep-background"; return is_number(sleep_background(0));"#,
                "true",
            ),
            (r#"import { stderr } from "extras://stdout"; return stderr("");"#, "0"),
            (
                r#"import { http_background } from "extras://http-background";
                   return http_background("default", "http://127.0.0.1:1/", ["timeout" => 2]);"#,
                r#"["error"=>"no connection, or it broke"]"#,
            ),
            (
                r#"import { ip_list_lookup } from "extras://ip-list"; return is_function(ip_list_lookup);"#,
                "true",
            ),
            (r#"import { stdout } from "extras://stdout"; return is_function(stdout);"#, "true"),
        ],
    );
}

const BACKOFF: &str = r#"
import { enable_backoff } from "extras://backoff";
function back($properties, $dynamic, $retry, $code = "450 slow", $ratefn = none) {
    $arguments = [
        "retry" => $retry,
        "grouping" => "&g",
        "dsn" => ["diagnosticcode" => $code],
        "attempt" => ["result" => ["code" => number($code[0:3])], "connection" => ["localip" => "192.0.2.1"]],
        "policy" => ["policies" => [["fields" => ["localip", "grouping"], "properties" => $properties, "dynamic" => $dynamic]]]
    ];
    return enable_backoff($arguments, ["recipientaddress" => ["domain" => "d"]], "a", [], $ratefn);
}
$waits = ["backoff-retry-intervals" => "60s, 15m", "backoff-retry-count" => 4];
"#;

#[test]
fn back_off_says_how_messages_wait() {
    let directory = directory("backoff");
    let path = directory.join("list");
    std::fs::write(&path, "/^450/,tag=t\n/^451/,\"tag=t,events=10/60\"\n").unwrap();
    let lists = vec![ListFile { id: "a".to_owned(), path }];
    let settings = load(&config::Plugins { bounce_lists: lists, ..config::Plugins::default() });
    on_a_shard(settings, |environment| async move {
        for (expression, expected) in [
            ("back([], [], 0)", r#"["pattern"=>"/^450/"]"#),
            ("back([], [], 0, \"250 fine\")", "[]"),
            ("back($waits, [], 0)", r#"["pattern"=>"/^450/","delay"=>60]"#),
            (
                "back($waits, [[\"id\" => \"x\", \"tag\" => \"backoff-t\"]], 1)",
                r#"["pattern"=>"/^450/","delay"=>900]"#,
            ),
            (
                "back($waits, [[\"id\" => \"x\", \"tag\" => \"other\"]], 9)",
                r#"["pattern"=>"/^450/","bounce"=>true]"#,
            ),
            (
                "back($waits, [[\"id\" => \"x\", \"tag\" => \"backoff\"]], 3, \"452 other\")",
                r#"["delay"=>900]"#,
            ),
            (
                "back($waits, [], 0, \"451 x\", function ($ns, $entry, $count, $seconds) { return $count == 9 and $seconds == 60; })",
                r#"["pattern"=>"/^451/"]"#,
            ),
            (
                "back($waits, [], 0, \"451 x\", function ($ns, $entry, $count, $seconds) { return false; })",
                r#"["pattern"=>"/^451/","delay"=>60]"#,
            ),
            (
                "back([\"backoff-rate\" => \"1/60\", \"backoff-ttl\" => 60], [], 0)",
                "error: queue_policy(): not inside the mail server",
            ),
        ] {
            let found = result(&environment, &format!("{BACKOFF} return {expression};")).await;
            if expected.starts_with("error") {
                assert!(found.starts_with("error: queue_policy()"), "{found}");
            } else {
                assert_eq!(found, expected, "{expression}");
            }
        }
    });
    std::fs::remove_dir_all(directory).unwrap();
}
