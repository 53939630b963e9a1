//! A spool written by each released format is read, and `hqfcat` exports it.
//!
//! `SPOOL_WRITE_FIXTURE=1 cargo test -p spool --test it write_the_fixture -- --ignored` writes it anew: only for a
//! new format, into a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::boot;
use spool::{ItemState, Options, Settle};

use crate::support::{accept, done, envelope, item, number, open, options, read, recovered, whole};

const LENGTHS: &[usize] = &[0, 10, 3000, 50_000, 150_000];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

fn run<F, Fut>(part: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let boot_options =
        boot::Options { shards: 1, pin: false, driver: boot::DriverChoice::Auto, signals: Vec::new() };
    let root = move |id| {
        let part = (id != boot::control()).then(&part);
        async move {
            if let Some(part) = part {
                part.await;
            }
        }
    };
    boot::run(boot_options, root).expect("io_uring");
}

fn few(path: &Path) -> Options {
    Options { reserve_segments: 0, direct: false, ..options(&path.to_string_lossy(), 1) }
}

fn copy(name: &str) -> PathBuf {
    let to = std::env::temp_dir().join(format!("spool-fixture-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&to).expect("created");
    for entry in std::fs::read_dir(fixture()).expect("in the repository") {
        let from = entry.expect("listed").path();
        std::fs::copy(&from, to.join(from.file_name().expect("a file"))).expect("copied");
    }
    to
}

#[test]
#[ignore = "writes the fixture"]
fn write_the_fixture() {
    assert!(std::env::var("SPOOL_WRITE_FIXTURE").is_ok(), "would overwrite the fixture");
    run(|| async {
        let store = open(few(&fixture())).await;
        assert!(recovered(&store).await.is_empty());
        for (number, len) in LENGTHS.iter().enumerate() {
            let id = accept(&store, number as u64, 3, *len).await;
            let retry = Settle::RetryAt { at_ms: 1_800_000_000_000, attempts: 2, reply: "450 busy".into() };
            let hold = Settle::Hold { reason: "by hand".into() };
            let properties = Settle::Properties("blob".into());
            let changes =
                vec![done(id, 0), (item(id, 1), retry), (item(id, 2), hold), (item(id, 2), properties)];
            store.settle(changes).await.expect("durable");
            if number == 3 {
                store.close().await.expect("closed");
                return;
            }
        }
    });
    run(|| async {
        let store = open(few(&fixture())).await;
        assert_eq!(recovered(&store).await.len(), 4);
        accept(&store, 4, 3, LENGTHS[4]).await;
    });
}

#[test]
fn a_spool_of_format_1_is_loaded() {
    let path = copy("load");
    let part = path.clone();
    run(move || {
        let path = part.clone();
        async move {
            let store = open(few(&path)).await;
            let mut found = recovered(&store).await;
            found.sort_by_key(|message| number(&message.envelope));
            assert_eq!(found.len(), LENGTHS.len());
            for (at, message) in found.iter().enumerate() {
                assert_eq!(message.envelope, envelope(at as u64, 3));
                assert!(read(&store, message.id).await.expect("readable") == whole(at as u64, LENGTHS[at]));
                let states: Vec<_> =
                    message.items.iter().map(|item| (item.recipient, item.state.clone())).collect();
                if at == 4 {
                    assert_eq!(states.len(), 3);
                    continue;
                }
                let retry = ItemState::RetryAt { at_ms: 1_800_000_000_000, reply: "450 busy".into() };
                assert_eq!(states, [(1, retry), (2, ItemState::Hold { reason: "by hand".into() })]);
                assert_eq!(message.items[0].attempts, 2);
                assert_eq!(message.items[1].properties.as_deref(), Some(&b"blob"[..]));
            }
            store.close().await.expect("closed");
        }
    });
    std::fs::remove_dir_all(path).expect("removed");
}

fn hqfcat(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hqfcat")).args(arguments).output().expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn hqfcat_lists_and_exports_a_dead_spool() {
    let path = copy("export");
    let spool = path.to_string_lossy().into_owned();
    let (good, out, err) = hqfcat(&[&spool]);
    assert!(good, "{err}");
    assert_eq!(out.matches("\"status\": \"QUEUE\"").count(), 4 + 3);
    assert_eq!(out.matches("\"status\": \"HOLD\"").count(), 4);
    assert!(out.contains("\"retryts\": 1800000000"));
    let export = path.join("out");
    let (good, _, err) = hqfcat(&["--export", &export.to_string_lossy(), &spool]);
    assert!(good, "{err}");
    for (at, len) in LENGTHS.iter().enumerate() {
        let name: String =
            envelope(at as u64, 3).transaction.iter().map(|byte| format!("{byte:02x}")).collect();
        #[expect(clippy::disallowed_methods, reason = "a test reads what was exported")]
        let bytes = std::fs::read(export.join(format!("{name}.eml"))).expect("exported");
        assert!(bytes == whole(at as u64, *len));
        assert!(export.join(format!("{name}.json")).exists());
        let id = [&name[..8], &name[8..12], &name[12..16], &name[16..20], &name[20..]].join("-");
        let unloaded = export.join(&name[..2]).join(format!("{id}.hqf"));
        let (good, out, err) = hqfcat(&[&unloaded.to_string_lossy()]);
        assert!(good && out.contains(&format!("\"id\": \"{name}\"")), "{out}{err}");
    }
    let (good, out, _) = hqfcat(&["--text", "--id", "03000000-0000-0000-0000-000000000000", &spool]);
    assert!(good && out.lines().count() == 2, "{out}");
    for entry in std::fs::read_dir(&path).expect("listed") {
        let file = entry.expect("listed").path();
        if file.extension().is_some_and(|extension| extension == "seg") {
            let (good, out, err) = hqfcat(&[&file.to_string_lossy()]);
            assert!(good && out.contains("segment"), "{out}{err}");
            assert!(hqfcat(&["--json", &file.to_string_lossy()]).0);
        }
    }
    assert!(hqfcat(&["--help"]).1.contains("Usage"));
    assert!(!hqfcat(&["--bogus"]).0);
    std::fs::remove_dir_all(path).expect("removed");
}
