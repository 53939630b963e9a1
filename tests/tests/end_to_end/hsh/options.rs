//! The command line: options, files of the configuration, exit status (reference: cli-and-operations 5.3).

use std::process::Stdio;

use tests::{Ended, Run};

use super::{directory, write};

fn prints(ended: &Ended, stdout: &str) {
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(0), stdout, ""));
}

#[test]
fn ops49_standard_input_is_a_script() {
    prints(&Run::hsh().args(["-"]).input("echo 1 + 2;").end(), "3\n");
    prints(&Run::hsh().input("echo 1 + 2;").end(), "3\n");
    prints(&Run::hsh().args(["-B", "-"]).input("echo 1 + 2;").end(), "3");
    prints(&Run::hsh().args(["--binary"]).input(r#"echo "a\xff"; echo "b";"#).end(), "a\u{fffd}b");
}

#[test]
fn text_is_made_valid_utf8_unless_it_is_binary() {
    let script = r#"echo "\xff\x00";"#;
    let raw = |args: &[&str]| {
        let mut command = std::process::Command::new(tests::program("hsh"));
        command.args(["-c", "/dev/null"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("hsh can be started");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), script.as_bytes())
            .expect("it reads");
        child.wait_with_output().expect("our own child").stdout
    };
    assert_eq!(raw(&[]), b"\xef\xbf\xbd\0\n");
    assert_eq!(raw(&["-B"]), b"\xff\0");
}

#[test]
fn ops50_a_check_runs_nothing() {
    let dir = directory(&[("good.hsl", "echo 1; exit_is_no_function_but_this_is_a_comment();")]);
    write(dir.path(), "good.hsl", "echo 1;");
    write(dir.path(), "bad.hsl", "echo 1;\necho (2;\n");
    prints(&Run::hsh().args(["-s", "good.hsl"]).dir(dir.path()).end(), "");
    let bad = Run::hsh().args(["--syntax", "bad.hsl"]).dir(dir.path()).end();
    assert_eq!((bad.status, &*bad.stdout), (Some(1), ""));
    assert!(bad.stderr.starts_with("bad.hsl:2:8: error: "), "{}", bad.stderr);
    prints(&Run::hsh().args(["-s", "-"]).input("echo 1;").end(), "");
    assert_eq!(Run::hsh().args(["-s", "-"]).input("echo").end().status, Some(1));
}

#[test]
fn a_check_warns_of_what_can_hardly_be_meant() {
    let ended = Run::hsh().args(["-s", "-"]).input("$unused = 1;\nreturn;\necho 2;\n").end();
    assert_eq!((ended.status, &*ended.stdout), (Some(0), ""));
    assert!(ended.stderr.contains("stdin:3:1: warning: "), "{}", ended.stderr);
}

#[test]
fn the_exit_status_tells() {
    let status = |script: &str| Run::hsh().input(script).end().status;
    assert_eq!(status(""), Some(0));
    assert_eq!(status("return 5;"), Some(0));
    assert_eq!(status("throw 1;"), Some(1));
    assert_eq!(status("echo $undefined;"), Some(1));
    assert_eq!(status("}"), Some(1));
    let missing = Run::hsh().args(["/nonexistent/x.hsl"]).end();
    assert_eq!(missing.status, Some(1));
    assert!(missing.stderr.contains("/nonexistent/x.hsl: No such file"), "{}", missing.stderr);
}

#[test]
fn what_was_printed_before_an_error_comes_first_and_is_all_there() {
    let ended = Run::hsh().input("for ($i = 0; $i < 20000; $i++) echo \"line $i\"; throw \"end\";").end();
    assert_eq!(ended.stdout.lines().count(), 20000);
    assert_eq!(ended.stdout.lines().last(), Some("line 19999"));
    assert!(ended.stderr.contains("end"), "{}", ended.stderr);
}

#[test]
fn a_wrong_command_line_is_explained() {
    for (args, words) in [
        (&["--frobnicate"][..], "--frobnicate"),
        (&["-F"], "native library calls"),
        (&["-p", "frobnicator"], "native plugins"),
        (&["--limit", "colour=red"], "colour"),
        (&["--limit", "memory=lots"], "lots"),
    ] {
        let ended = Run::of("hsh").args(args).end();
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{args:?}");
        assert!(ended.stderr.starts_with("hsh: ") && ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = Run::of("hsh").args(["--help"]).end();
    assert!(help.status == Some(0) && help.stdout.contains("--appconf") && help.stdout.contains("memory"));
    let version = Run::of("hsh").args(["-v"]).end();
    assert!(version.status == Some(0) && version.stdout.starts_with("hsh "));
}

const APP: &str = "version: \"6.10\"\nscripting:\n  files:\n    - {id: lib, data: 'echo \"lib\";'}\n    \
                   - {id: blob.txt, binary: true, data: aGVsbG8=}\n";

#[test]
fn a_running_configuration_gives_its_files() {
    let dir = directory(&[("app.yaml", APP)]);
    let run = |script: &str| Run::hsh().args(["-A", "app.yaml"]).dir(dir.path()).input(script).end();
    prints(&run("include \"lib\"; include \"file:lib\";"), "lib\nlib\n");
    prints(&run("import $text from \"blob.txt\"; echo $text;"), "hello\n");
    let missing = run("include \"other\";");
    assert_eq!(missing.status, Some(1));
    assert!(
        missing.stderr.contains("other") && missing.stderr.contains("scripting.files"),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_startup_configuration_names_the_running_one() {
    let dir = directory(&[("app.yaml", APP), ("root/x.hsl", "echo \"x\";")]);
    let startup = format!(
        "version: \"6.10\"\nscripting: {{rootpath: \"{root}\"}}\nenvironment: {{appconf: \"{app}\"}}\n",
        root = dir.path().join("root").display(),
        app = dir.path().join("app.yaml").display()
    );
    let startup = write(dir.path(), "smtpd.yaml", &startup);
    let run = |script: &str| Run::of("hsh").arg_path("-c", &startup).input(script).end();
    prints(&run("include \"lib\"; include \"file://x.hsl\";"), "lib\nx\n");
    let other =
        Run::of("hsh").arg_path("-c", &startup).args(["-R", "/"]).input("include \"file://x.hsl\";").end();
    assert!(other.status == Some(1) && other.stderr.contains("file://x.hsl"), "{}", other.stderr);
}

#[test]
fn a_file_of_the_command_line_finds_its_neighbours() {
    let dir = directory(&[
        ("sub/main.hsl", "import { f } from \"./lib.hsl\"; import { g } from \"mod\"; echo f() . g();"),
        ("sub/lib.hsl", "function f() { return \"f\"; }"),
        ("sub/mod/main.hsl", "function g() { return \"g\"; }"),
    ]);
    prints(&Run::hsh().args(["sub/main.hsl"]).dir(dir.path()).end(), "fg\n");
}

#[test]
fn the_configuration_may_come_before_the_script() {
    let both = format!("{APP}\x04include \"lib\";");
    prints(&Run::hsh().args(["-A", "-"]).input(both.clone()).end(), "lib\n");
    prints(&Run::hsh().args(["-A", "-", "-"]).input(both).end(), "lib\n");
    let entry = format!("{APP}__entrypoint: include \"lib\";\n");
    prints(&Run::hsh().args(["-A", "-"]).input(entry.clone()).end(), "lib\n");
    let dir = directory(&[("main.hsl", "echo \"main\";")]);
    prints(&Run::hsh().args(["-A", "-", "main.hsl"]).dir(dir.path()).input(entry).end(), "main\n");
}

#[test]
fn a_wrong_configuration_is_reported_with_its_lines() {
    let ended =
        Run::hsh().args(["-A", "-"]).input("scripting: {files: [{id: x}]}\nresolver: {cach: 1}\n\x04").end();
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("smtpd_app:1:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("smtpd_app:2:"), "{}", ended.stderr);
    // What only the server needs is none of its business.
    prints(
        &Run::hsh().args(["-A", "-"]).input("servers: [{id: 5}]\nplugins: [{id: rate}]\n\x04echo 1;").end(),
        "1\n",
    );
}

#[test]
fn syslog_goes_to_standard_error() {
    let ended = Run::hsh().input("echo \"a\"; syslog(\"info\", \"hello\\nworld\"); echo \"b\";").end();
    assert_eq!((ended.status, &*ended.stdout), (Some(0), "a\nb\n"));
    assert!(ended.stderr.contains("info") && ended.stderr.contains("hello"), "{}", ended.stderr);
}
