//! Replays the corpora of the fuzz targets: every input in the tree must pass what its target checks.
#![allow(clippy::disallowed_methods, reason = "a test reads its files without an engine")]

#[path = "../../fuzz/extras_checks.rs"]
mod extras_checks;
#[path = "../../../script/fuzz/still.rs"]
mod still;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        assert!(std::panic::catch_unwind(|| check(&input)).is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count > 0, "an empty corpus checks nothing");
}

#[test]
fn the_corpora_of_what_servers_say_pass() {
    replay("services", super::services);
    replay("geoip", super::geoip);
}

#[test]
fn the_corpus_of_the_extras_passes() {
    replay("extras", extras_checks::extras);
}
