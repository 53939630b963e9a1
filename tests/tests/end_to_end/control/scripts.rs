//! What scripts share, as operators see it.

use control::Command;
use control::smtpd as proto;
use tests::{ControlClient, Smtpd};

fn fetch(control: &mut ControlClient, key: &str) -> Result<Option<String>, String> {
    let request = proto::HslMemoryRequest { key: key.into() };
    let answer: proto::HslMemoryResponse = control.ask(Command::MemoryFetch, &request)?;
    Ok(answer.value)
}

fn store(
    control: &mut ControlClient,
    key: &str,
    value: &str,
) -> Result<proto::HslMemoryStoreResponse, String> {
    let request = proto::HslMemoryStoreRequest { key: key.into(), value: value.into(), dryrun: false };
    control.ask(Command::MemoryStore, &request)
}

#[test]
fn values_of_shared_memory_come_and_go() {
    // OPS35
    let server = Smtpd::relay_to(1).shards(3).start();
    let mut control = server.control();
    store(&mut control, "k", "{\"a\":[1,2]}").expect("it is stored");
    store(&mut control, "other", "\"text\"").expect("it is stored");
    assert_eq!(fetch(&mut control, "k"), Ok(Some("{\"a\":[1,2]}".into())));
    let keys: proto::HslMemoryListResponse =
        control.ask(Command::MemoryList, &proto::HslMemoryListRequest::default()).expect("an answer");
    assert_eq!(keys.keys, ["k", "other"]);
    let delete = proto::HslMemoryDeleteRequest { key: "k".into(), dryrun: false };
    let deleted: proto::HslMemoryDeleteResponse =
        control.ask(Command::MemoryDelete, &delete).expect("it is gone");
    assert!(deleted.deleted);
    assert_eq!(fetch(&mut control, "k"), Ok(None));
    let bad = store(&mut control, "k", "{").expect_err("no JSON");
    assert!(bad.contains("not JSON"), "{bad}");
}

#[test]
fn buckets_of_caches_are_listed_and_cleared() {
    // OPS36
    let hook = "scripting:\n  hooks:\n    mailfrom:\n      - id: x\n        data: |\n          \
                function f($x) { return $x; }\n          cache [\"ttl\" => 60] f(1);\n";
    let server = Smtpd::relay_to(1).server("phases: {mailfrom: {hook: x}}").running(hook).start();
    for _ in 0..3 {
        tests::Client::connect(server.port()).command("MAIL FROM:<a@b.example>\r\n", "250");
    }
    let mut control = server.control();
    let list = |control: &mut ControlClient| -> Vec<proto::HslCache> {
        let answer: proto::HslCacheResponse = control.ask_plainly(Command::CacheList).expect("an answer");
        answer.caches
    };
    let caches = list(&mut control);
    assert_eq!((caches.len(), caches[0].function.as_str()), (1, "f"));
    assert_eq!((caches[0].hits, caches[0].misses, caches[0].size), (2, 1, 1));
    let clear = proto::HslCacheClearRequest { function: Some("f".into()), ..Default::default() };
    let cleared: proto::HslCacheClearResponse = control.ask(Command::CacheClear, &clear).expect("an answer");
    assert_eq!(cleared.cleared, 1);
    assert_eq!(list(&mut control).len(), 0);
}

#[test]
fn the_resolver_forgets_and_reads_its_file_again() {
    // OPS38, as far as there are counters
    let server = Smtpd::relay_to(1).start();
    let mut control = server.control();
    assert_eq!(control.order(Command::ResolverClear), Ok(()));
    assert_eq!(control.order(Command::ResolverReload), Ok(()));
    server.wait_for_log("resolver clear");
}
