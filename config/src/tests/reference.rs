//! The reference document is what the tables say.

use crate::reference::reference;

/// Rewrites the document when `UPDATE_DOCS` is set.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may touch the repository it belongs to")]
fn the_reference_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference"))
            .expect("the repository is writable");
        std::fs::write(path, reference()).expect("the repository is writable");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == reference(),
        "docs/reference/configuration.md is stale: run UPDATE_DOCS=1 cargo test -p config"
    );
}

#[test]
fn every_key_says_what_it_means() {
    for line in reference().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        assert!(cells.len() == 6 && !cells[4].trim().is_empty(), "{line}");
    }
}
