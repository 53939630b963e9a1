//! Replays the corpora of the fuzz targets, those of HTTP too: every input in the tree must pass what its target checks.

use crate::{body_checks, checks, peer_checks};

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("readable").path();
        let input = std::fs::File::options().read(true).open(&path).and_then(|mut file| {
            let mut input = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut input).map(|_| input)
        });
        let input = input.expect("readable");
        assert!(std::panic::catch_unwind(|| check(&input)).is_ok(), "{} fails", path.display());
        count += 1;
    }
    assert!(count > 0, "an empty corpus checks nothing");
}

#[test]
fn the_corpus_of_server_bytes_passes() {
    replay("smtp_server", checks::server_bytes);
}

#[test]
fn the_corpus_of_client_replies_passes() {
    replay("smtp_client", checks::client_replies);
}

#[test]
fn the_corpus_of_paths_passes() {
    replay("smtp_path", checks::path);
}

#[test]
fn the_corpus_of_bodies_passes() {
    replay("body", body_checks::body);
}

#[test]
fn the_corpus_of_proxy_headers_passes() {
    replay("proxy", peer_checks::proxy);
}

#[test]
fn the_corpus_of_logins_passes() {
    replay("sasl", peer_checks::sasl);
}

#[test]
fn the_corpora_of_http_pass() {
    replay("http_request", peer_checks::http_request);
    replay("http_response", peer_checks::http_response);
}
