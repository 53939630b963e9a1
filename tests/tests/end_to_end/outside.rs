//! Judgement from outside: what other software says of ours. `scripts/outside/install.sh` fetches it.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use tests::program;

/// dkimpy signs and hsh verifies, and the other way round; the same with ARC chains.
#[test]
fn dkimpy_and_hsh_verify_what_the_other_has_signed() {
    let hsh = program("hsh");
    let target = hsh.ancestors().nth(2).expect("target/debug/hsh");
    // The stamp is written when all of it is there.
    if !target.join("outside/stamp").exists() {
        let why = format!(
            "SKIPPED: dkimpy is not in {}; scripts/outside/install.sh fetches it\n",
            target.join("outside").display()
        );
        assert!(std::env::var("OUTSIDE").as_deref() != Ok("required"), "{why}");
        // Past what keeps the output of tests that pass.
        std::io::stderr().write_all(why.as_bytes()).expect("there is an output");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/outside/dkim_interop.py");
    let output = Command::new(target.join("outside/venv/bin/python"))
        .args([script.as_os_str(), hsh.as_os_str()])
        .output()
        .expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((out.trim(), err.trim()), ("368 verifications, 0 failed", ""));
}
