//! Replays the corpus of the fuzz target: every input in the tree must pass what it checks.
#![expect(clippy::disallowed_methods, reason = "reads files of the source tree")]

use super::fuzz_checks;

#[test]
fn the_corpus_of_files_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/files");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("readable").path();
        let input = std::fs::read(&path).expect("readable");
        assert!(std::panic::catch_unwind(|| fuzz_checks::files(&input)).is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count > 0, "an empty corpus checks nothing");
}
