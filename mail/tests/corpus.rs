//! Replays the corpora of the fuzz targets: every input in the tree must pass what its target checks.
#![allow(clippy::disallowed_methods)] // a test reads its files without an engine

#[path = "../fuzz/message_checks.rs"]
mod message_checks;
#[path = "../fuzz/signature_checks.rs"]
mod signature_checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("readable").path();
        let input = std::fs::read(&path).expect("readable");
        assert!(std::panic::catch_unwind(|| check(&input)).is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count > 0, "an empty corpus checks nothing");
}

#[test]
fn the_corpus_of_messages_passes() {
    replay("message", message_checks::message);
}

#[test]
fn the_corpus_of_header_values_passes() {
    replay("header", message_checks::header);
}

#[test]
fn the_corpus_of_signed_messages_passes() {
    replay("dkim", signature_checks::dkim);
}

#[test]
fn the_corpus_of_spf_records_passes() {
    replay("spf", signature_checks::spf);
}
