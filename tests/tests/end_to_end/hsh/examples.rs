//! The examples print what stands beside them.

use std::path::Path;

use tests::Run;

#[test]
fn each_example_prints_what_stands_beside_it() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scripts");
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).expect("the examples are there") {
        let path = entry.expect("a readable directory").path();
        if path.extension().is_some_and(|extension| extension == "hsl") {
            let expected = std::fs::read_to_string(path.with_extension("out")).expect("its output");
            let ended = Run::hsh().args([&path]).end();
            assert_eq!((ended.status, ended.stdout, &*ended.stderr), (Some(0), expected, ""), "{path:?}");
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}
