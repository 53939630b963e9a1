//! The test vectors of the library, by the real program.

use std::fmt::Write as _;

use tests::Run;

/// hsl-stdlib 31: id, expression and what `echo` prints.
const VECTORS: &str = include_str!("../../../../script/src/std/vectors.txt");

#[test]
fn each_vector_of_the_library_holds() {
    let mut script = String::new();
    let mut expected = Vec::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (id, rest) = line.split_once(" | ").expect("an id");
        let (expression, value) = rest.rsplit_once(" |").expect("a value");
        let value = value.trim().replace("\\r", "\r").replace("\\n", "\n");
        expected.push(format!("{id} {value}"));
        let _ = writeln!(
            script,
            "try {{ $v = {expression}; echo \"{id} \" . ($v === none ? \"none\" : $v) . \"\\x00\"; }} \
             catch ($e) {{ echo \"{id} failed: \" . (is_object($e) ? $e->message() : $e) . \"\\x00\"; }}"
        );
    }
    assert_eq!(expected.len(), 112);
    let ended = Run::hsh().args(["-B", "-"]).input(script).end();
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    let found: Vec<&str> = ended.stdout.split('\0').collect();
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(found, expected);
    }
}
