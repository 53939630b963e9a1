//! Replays the corpora of the fuzz targets: every input in the tree must pass what its target checks.
#![allow(clippy::disallowed_methods)] // a test reads its files without an engine

#[path = "../fuzz/codecs_checks.rs"]
mod codecs_checks;
#[path = "../fuzz/run_checks.rs"]
mod run_checks;
#[path = "../fuzz/still.rs"]
mod still;
#[path = "../fuzz/syntax_checks.rs"]
mod syntax_checks;

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
fn the_corpus_of_the_parser_passes() {
    replay("syntax", syntax_checks::parse);
}

#[test]
fn the_corpus_of_the_decoders_passes() {
    replay("codecs", codecs_checks::decode);
}

#[test]
fn the_corpus_of_the_machine_passes() {
    replay("run", run_checks::run);
}
