//! Replays the corpora of the fuzz targets: every input in the tree must pass what its target checks.
#![expect(clippy::disallowed_methods, reason = "reads files of the source tree")]

use super::checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() > 5, "the corpus is there");
    for input in inputs {
        check(&std::fs::read(input).unwrap());
    }
}

#[test]
fn requests_pass() {
    replay("requests", checks::requests);
}

#[test]
fn responses_pass() {
    replay("responses", checks::responses);
}
