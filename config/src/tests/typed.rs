//! What comes out of good files.

use std::time::Duration;

use crate::schema::{Default, File, Key};
use crate::{
    Corrupt, DefaultGroup, Facility, Field, FileContent, Loaded, MaxMessages, MetricKind, NextHop, Options,
    Pattern, Pem, Property, Running, Scope, Source, Startup, Suspends, Version, check, load_running,
    load_startup, load_suspends,
};

fn startup(text: &str) -> Startup {
    let source = Source { name: "smtpd", text };
    load_startup(&source, &Options::default()).expect("a good file").value
}

fn running(text: &str) -> Running {
    let source = Source { name: "smtpd_app", text };
    load_running(&source, &startup("version: \"6.10\"\n"), &Options::default()).expect("a good file").value
}

fn suspends(text: &str, running: &Running) -> Loaded<Suspends> {
    load_suspends(&Source { name: "smtpd_suspend", text }, running, &Options::default()).expect("a good file")
}

#[test]
fn an_almost_empty_startup_file_has_the_documented_defaults() {
    let startup = startup("version: \"6.10\"\n");
    assert_eq!(startup.version, Version::new(6, 10));
    assert_eq!(startup.spool.path.to_str(), Some("/var/spool/halon/queue"));
    assert!(startup.spool.fsync);
    assert_eq!(startup.spool.corrupt, Corrupt::Rename);
    assert_eq!(startup.spool.min_free_bytes, None);
    let environment = startup.environment;
    assert_eq!(environment.appconf.to_str(), Some("/etc/halon/smtpd-app.yaml"));
    assert_eq!(environment.umask, None);
    assert_eq!(environment.privdrop, None);
    assert_eq!((environment.syslog_mask, environment.syslog_facility), (255, Facility::Mail));
}

#[test]
fn an_almost_empty_running_file_has_safe_defaults() {
    let running = running("version: \"6.10\"\n");
    assert_eq!(running.queues.pool_size, 1000);
    assert_eq!(running.queues.default_group, DefaultGroup::None);
    assert_eq!(running.resolver.cache_size, 10_000);
    assert_eq!((running.resolver.timeout, running.resolver.trust_ad), (None, None));
    assert!(running.resolver.servers.is_empty());
}

#[test]
fn without_a_retry_block_the_schedule_is_the_queues() {
    let running = running("version: \"6.10\"\ntransportgroups:\n  - id: g\n    transports: [{id: t}]\n");
    assert_eq!(running.transport("t").expect("defined").retry, None);
}

#[test]
fn a_given_retry_block_keeps_its_documented_defaults() {
    let running = running(
        "version: \"6.10\"\ntransportgroups:\n  - id: g\n    transports: [{id: t, retry: {count: 3}}]\n",
    );
    let retry = running.transport("t").expect("defined").retry.as_ref().expect("given");
    assert_eq!((retry.count, retry.during), (3, None));
    assert_eq!(retry.intervals[0].interval, Duration::from_secs(3600));
}

#[test]
fn a_transport_inherits_from_its_group_key_by_key() {
    let running = running(
        "version: \"6.10\"
transportgroups:
  - id: g
    connection: {server: Relay.Example, port: 2526, sourceip: {ipv6: false}}
    session: {helo: out.example}
    retry: {count: 4, intervals: [{interval: 1m}, {interval: 15m}]}
    timeout: {connect: 7, smtp: {EOD: 20m}}
    transports:
      - id: same
      - id: own
        connection: {server: 192.0.2.9}
        retry: {intervals: [{interval: 2m}]}
        timeout: {smtp: {MAIL: 60}}
      - id: v6
        connection: {server: '2001:db8::1', sourceip: {ipv6: true}}
",
    );
    let same = running.transport("same").expect("defined");
    assert_eq!(same.next_hop, NextHop::Host("relay.example".to_owned()));
    assert_eq!((same.port, same.source_ipv4.is_on(), same.source_ipv6.is_on()), (2526, true, false));
    assert_eq!(same.helo.as_deref(), Some("out.example"));
    assert_eq!(same.timeouts.connect, Duration::from_secs(7));
    assert_eq!(same.timeouts.eod, Duration::from_secs(1200));
    assert_eq!(same.timeouts.mail, Duration::from_secs(300));
    let own = running.transport("own").expect("defined");
    assert_eq!(own.next_hop, NextHop::Address("192.0.2.9".parse().expect("an address")));
    assert_eq!((own.port, own.source_ipv6.is_on()), (2526, false));
    let retry = own.retry.as_ref().expect("given");
    assert_eq!(retry.count, 4, "an object is merged key by key");
    assert_eq!(retry.intervals.len(), 1, "a list replaces the list of the group");
    assert_eq!(own.timeouts.mail, Duration::from_secs(60));
    assert_eq!(own.timeouts.eod, Duration::from_secs(1200));
    assert!(running.transport("v6").expect("defined").source_ipv6.is_on());
    assert_eq!(own.group, "g");
}

#[test]
fn plugins_of_both_files_are_joined() {
    let startup = "plugins:
  - {id: rate, config: {reresolve: 30}}
  - {id: bounce-list, config: {lists: [{id: a, path: /a}, {id: b, path: /b}]}}
  - {id: logger, config: {logs: [{id: l, path: /l, fsync: false, header: 'h'}]}}
  - {id: http-bulk, config: {queues: [{id: q, path: /q, url: 'http://h/', preamble: \"a\\n\", username: u, aws_sigv4: \"aws:amz\"}]}}
";
    let running = "plugins:
  - {id: rate, config: {port: 9000, address: rated.example, badhost: true}}
  - {id: bounce-list, config: {lists: [{id: b, path: /other}]}}
";
    let options = Options { scope: Scope::Scripts, ..Options::default() };
    let startup =
        load_startup(&Source { name: "smtpd", text: startup }, &options).expect("a good file").value;
    let running = load_running(&Source { name: "smtpd_app", text: running }, &startup, &options)
        .expect("a good file")
        .value;
    let joined = startup.plugins.joined(&running.plugins);
    let port = crate::RateClient::Port {
        host: "rated.example".into(),
        port: 9000,
        bad_host: true,
        timeout: Duration::from_secs(5),
    };
    assert_eq!((joined.rate, joined.rate_reresolve), (Some(port), Some(Duration::from_secs(30))));
    let lists: Vec<_> =
        joined.bounce_lists.iter().map(|list| (&*list.id, list.path.to_str().expect("text"))).collect();
    assert_eq!(lists, [("a", "/a"), ("b", "/other")]);
    let log = &joined.logs[0];
    assert_eq!((log.mode, log.sync, log.header.as_deref()), (0o640, false, Some("h")));
    let queue = &joined.bulk_queues[0];
    assert_eq!((queue.format, queue.max_items, queue.max_interval), (crate::BulkFormat::JsonArray, 1, None));
    assert_eq!((queue.timeout, queue.preamble.as_str()), (Duration::from_secs(300), "a\n"));
    assert_eq!(queue.aws_sigv4.as_deref(), Some("aws:amz"));
    assert_eq!(queue.credentials, Some(("u".to_owned(), String::new())));
}

const PACKED: &str = "version: \"6.10\"
servers: [{id: in, transport: mx, phases: {eod: {hook: scan}}}]
plugins: [{id: rate}, {id: cassandra, path: /x.so, config: {brokers: [a]}}]
__entrypoint: include \"main\";
scripting:
  hooks: {eod: [{id: scan, data: 'Accept();'}], predelivery: 'Try();'}
  files:
    - {id: main, data: \"echo 1;\\n\"}
    - {id: blob, data: \"AAH/\\nAA==\", binary: true}
    - {id: disk, path: /srv/list.txt}
pki:
  private: [{id: k, certificate: {data: new}}, {id: other, privatekey: {path: /o}}]
";

#[test]
fn a_program_that_only_runs_scripts_reads_past_what_the_server_does_not_do_yet() {
    let options = Options { scope: Scope::Scripts, ..Options::default() };
    let startup = load_startup(
        &Source {
            name: "smtpd",
            text: "plugins: [{id: rate}]\nscripting: {rootpath: /srv}\nenvironment: {publicsuffix: /p}\n\
                   pki: {private: [{id: k, privatekey: {path: /k}, certificate: {data: old}}]}\n",
        },
        &options,
    )
    .expect("a good file");
    assert!(startup.warnings.is_empty(), "{:?}", startup.warnings);
    let startup = startup.value;
    assert_eq!(startup.scripting.rootpath, Some("/srv".into()));
    assert_eq!(startup.environment.publicsuffix, Some("/p".into()));
    let loaded = load_running(&Source { name: "smtpd_app", text: PACKED }, &startup, &options);
    let loaded = loaded.expect("a good file");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let scripting = loaded.value.scripting;
    assert_eq!(scripting.entrypoint.as_deref(), Some("include \"main\";"));
    assert_eq!((scripting.hooks[0].phase, &*scripting.hooks[0].id), ("eod", "scan"));
    assert_eq!(scripting.predelivery.as_deref(), Some("Try();"));
    let content: Vec<FileContent> = scripting.files.into_iter().map(|file| file.content).collect();
    let expected = [
        FileContent::Data(b"echo 1;\n".to_vec()),
        FileContent::Data(vec![0, 1, 255, 0]),
        FileContent::Path("/srv/list.txt".into()),
    ];
    assert_eq!(content[..], expected);
    let pki = startup.pki.joined(&loaded.value.pki);
    let texts: Vec<_> =
        pki.private.iter().map(|entry| (&*entry.id, &entry.key, &entry.certificate)).collect();
    let path = |text: &str| Some(Pem::Path(text.into()));
    assert_eq!(
        texts,
        [("k", &path("/k"), &Some(Pem::Data("new".to_owned()))), ("other", &path("/o"), &None)]
    );
}

#[test]
fn for_scripts_a_typing_error_at_the_root_is_still_found() {
    let options = Options { scope: Scope::Scripts, ..Options::default() };
    let errors =
        load_startup(&Source { name: "smtpd", text: "scriptin: {}\n" }, &options).expect_err("refused");
    assert_eq!(errors[0].hint.as_deref(), Some("did you mean \"scripting\"?"));
}

#[test]
fn suspends_resolve_lists_of_their_own_field() {
    let running = running(
        "version: \"6.10\"
lists:
  recipientdomain:
    slow: [slow.example, '*.slow.example']
",
    );
    let loaded = suspends(
        "version: \"6.10\"
suspends:
  - recipientdomain: ['@slow', other.example]
    tag: maintenance
    properties: {ticket: 4711, open: true, by: ops}
  - {}
",
        &running,
    );
    let rule = &loaded.value.suspends[0];
    let domains = &rule.fields.iter().find(|(field, _)| *field == Field::RecipientDomain).expect("given").1;
    let expected = [
        Pattern::Exact("slow.example".to_owned()),
        Pattern::Subdomains(".slow.example".to_owned()),
        Pattern::Exact("other.example".to_owned()),
    ];
    assert_eq!(domains[..], expected);
    assert_eq!(rule.properties["ticket"], Property::Number(4711.0));
    assert_eq!(rule.properties["open"], Property::Bool(true));
    assert_eq!(rule.properties["by"], Property::Text("ops".to_owned()));
    assert!(loaded.value.suspends[1].fields.is_empty());
    assert_eq!(loaded.warnings.len(), 1, "a rule without fields is worth a warning");
}

#[test]
fn every_default_of_the_tables_passes_its_own_check() {
    fn walk(keys: &'static [Key], path: &str, checked: &mut usize) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            if let Default::Value(text) = key.default {
                assert!(check::default_of(key).is_some(), "{path}: {text}");
                *checked += 1;
            }
            walk(key.shape.keys(), &path, checked);
        }
    }
    let mut checked = 0;
    for file in File::ALL {
        walk(file.keys(Scope::Server), file.file_name(), &mut checked);
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn no_damage_to_a_file_makes_the_loader_panic() {
    let bare = startup("version: \"6.10\"\n");
    let load = |text: &str| {
        let _ = load_startup(&Source { name: "smtpd", text }, &Options::default());
        let _ = load_running(&Source { name: "smtpd_app", text }, &bare, &Options::default());
    };
    let rich = include_str!("rich.txt");
    for (part, text) in rich.split("--- ").enumerate().filter(|(_, text)| text.starts_with("smtpd")) {
        let good = text.split_once('\n').expect("a file").1;
        for end in (0..good.len()).step_by(5).filter(|end| good.is_char_boundary(*end)) {
            load(&good[..end]);
        }
        for (place, with) in (part..good.len()).step_by(7).zip(":{}[]-\t!&*'\"\u{0}9~#|>,\n ".chars().cycle())
        {
            if good.is_char_boundary(place) && good.is_char_boundary(place + 1) {
                load(&format!("{}{with}{}", &good[..place], &good[place + 1..]));
            }
        }
    }
}

#[test]
fn a_password_is_shown_in_clear_only_where_tls_is_disabled_by_name() {
    let login = |tls: &str| {
        let text = format!(
            "version: \"6.10\"
transportgroups:
  - id: g
    session: {{{tls}sasl: {{username: u, password: p}}, xclient: {{name: x}}}}
    transports: [{{id: t, session: {{protocol: lmtp}}}}]
"
        );
        running(&text).transports[0].clone()
    };
    let plain = login("");
    let said = &plain.session;
    assert!(said.lmtp && said.chunking && said.eight_bit_as_is && said.login.is_some());
    assert_eq!(said.xclient, [("NAME".to_owned(), "x".to_owned())]);
    assert!(!plain.shows_password());
    assert!(login("tls: {mode: disabled}, ").shows_password());
    assert!(!login("tls: {mode: optional}, ").shows_password());
}

#[test]
fn the_monitor_of_both_files_has_what_they_say() {
    let startup = startup("version: \"6.10\"\nmonitor: {listener: {address: 127.0.0.1, port: 8080}}\n");
    let listener = startup.monitor.as_ref().expect("there");
    assert_eq!((listener.port, listener.https), (8080, false));
    let text = concat!(
        "version: \"6.10\"\nmonitor:\n  apikeys: [one, two]\n  healthy: {maxmessages: {upper: 9}}\n  metrics:\n",
        "    - {name: seen, type: counter, help: Seen}\n    - {name: took, type: histogram, buckets: [0.5, 1]}\n",
    );
    let source = Source { name: "smtpd_app", text };
    let monitor = load_running(&source, &startup, &Options::default()).expect("a good file").value.monitor;
    assert_eq!(monitor.api_keys, ["one", "two"]);
    assert_eq!(monitor.max_messages, Some(MaxMessages { upper: 9, lower: 9 }));
    assert_eq!(monitor.metrics[0].help, "Seen");
    assert_eq!(monitor.metrics[1].kind, MetricKind::Histogram { bounds: vec![0.5, 1.0] });
}
