//! What a person reads when a script is wrong: the whole of standard error.

use tests::Run;

use super::cases::cases;
use super::directory;

/// The script is `main.hsl`; sections `file <name>` are beside it, `stderr` is what is printed.
const CASES: &str = include_str!("errors.txt");

#[test]
fn each_error_is_printed_with_its_place() {
    let mut wrong = String::new();
    for case in cases(CASES) {
        let mut files: Vec<_> = case.files().collect();
        files.push(("main.hsl", case.script));
        let dir = directory(&files);
        let ended = Run::hsh().args(["main.hsl"]).dir(dir.path()).end();
        let expected = case.section("stderr").unwrap_or_default();
        if ended.stderr != expected || ended.status != Some(1) {
            let found = &ended.stderr;
            wrong.push_str(&format!("=== {}\n--- expected\n{expected}--- found\n{found}", case.name));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
