//! `mariadb`.

use super::{check, play_built, settings};

const NONCE: &[u8] = b"abcdefghijklmnopqrst";

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes()[..3], &[sequence], body].concat()
}

fn greeting() -> Vec<u8> {
    let body = [
        b"\x0a10.11\0\x01\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0".as_slice(),
        b"ijklmnopqrst\0mysql_native_password\0",
    ];
    packet(0, &body.concat())
}

/// A login as `u` with the password `secret`, to the database `d`.
fn login() -> Vec<(Vec<u8>, Vec<u8>)> {
    let proof = super::super::mariadb::proof_for_tests("mysql_native_password", b"secret", NONCE);
    let mut body = b"\x09\xa2\x0a\0\0\0\0\x04\x2d".to_vec();
    body.extend([0; 23]);
    body.extend(b"u\0\x14");
    body.extend(proof);
    body.extend(b"d\0mysql_native_password\0");
    vec![(Vec::new(), greeting()), (packet(1, &body), packet(2, b"\0\0\0\x02\0\0\0"))]
}

fn asked(statement: &str) -> Vec<u8> {
    packet(0, &[b"\x03", statement.as_bytes()].concat())
}

#[test]
fn statements_give_rows_or_errors() {
    let place = tempfile::tempdir().unwrap();
    let cnf = place.path().join("my.cnf");
    let rows = [
        packet(1, b"\x02"),
        packet(2, b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0"),
        packet(3, b"\x03def\0\0\0\x01b\0\x0c\x3f\0\x01\0\0\0\x03\x81\0\0\0\0"),
        packet(4, b"\xfe\0\0\x02\0"),
        packet(5, b"\x02hi\xfb"),
        packet(6, b"\xfe\0\0\x02\0"),
    ];
    let mut first = login();
    first.push((asked("SELECT"), rows.concat()));
    first.push((asked("UPDATE"), packet(1, b"\0\x07\0\x02\0\0\0")));
    first.push((asked("SELEC"), packet(1, b"\xff\x28\x04#42000You have an error")));
    // It wants a file, and gets none.
    first.push((asked("LOAD"), packet(1, b"\xfb/etc/passwd")));
    first.push((packet(2, b""), packet(3, b"\xff\x01\x00#HY000no")));
    let refused =
        vec![(Vec::new(), greeting()), (login()[1].0.clone(), packet(2, b"\xff\x15\x04#28000Access denied"))];
    let mut broken = login();
    broken.push((asked("SELECT"), packet(9, b"\x01")));
    let server = play_built(vec![first, refused, broken]);
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(
        &cnf,
        format!("[client]\nhost=127.0.0.1\nport={}\nuser=u\npassword=secret\ndatabase=d\n", server.port()),
    )
    .unwrap();
    check(
        settings(&format!("  - id: mariadb\n    config: {{cnf: {}}}\n", cnf.display())),
        &[
            (
                r#"import { MySQL } from "extras://mariadb"; return MySQL()->query("SELECT");"#,
                r#"["result"=>[0=>["a"=>"hi","b"=>none]],"affected"=>1]"#,
            ),
            (
                r#"import { mysql_query } from "extras://mariadb"; return mysql_query("UPDATE");"#,
                r#"["result"=>[],"affected"=>7]"#,
            ),
            (
                r#"import { MySQL } from "extras://mariadb"; return MySQL()->query("SELEC");"#,
                r#"["errno"=>1064,"error"=>"You have an error","sqlstate"=>"42000"]"#,
            ),
            (r#"import { MySQL } from "extras://mariadb"; return MySQL()->query("LOAD")["error"];"#, "no"),
            (
                r#"import { MySQL } from "extras://mariadb"; return MySQL()->query("SELECT");"#,
                r#"["errno"=>1045,"error"=>"Access denied","sqlstate"=>"28000"]"#,
            ),
            (
                r#"import { MySQL } from "extras://mariadb"; return MySQL()->query("SELECT")["error"];"#,
                "the server breaks the protocol: packets are out of order",
            ),
            (r#"import { MySQL } from "extras://mariadb"; return MySQL::escape_string("it's");"#, "it\\'s"),
            (
                r#"import { MySQL } from "extras://mariadb"; return MySQL("x");"#,
                "error: MySQL(): unknown MySQL profile: plugins[] has no profile \"x\" of mariadb",
            ),
        ],
    );
}

#[test]
fn passwords_are_proven_in_the_way_that_the_server_switches_to() {
    let place = tempfile::tempdir().unwrap();
    let cnf = place.path().join("my.cnf");
    let sha2 =
        super::super::mariadb::proof_for_tests("caching_sha2_password", b"secret", b"ABCDEFGHIJKLMNOPQRST");
    let mut steps = login();
    steps[1].1 = packet(2, b"\xfecaching_sha2_password\0ABCDEFGHIJKLMNOPQRST\0");
    // It knows the password.
    steps.push((packet(3, &sha2), [packet(4, b"\x01\x03"), packet(5, b"\0\0\0\x02\0\0\0")].concat()));
    steps.push((asked("SELECT"), packet(1, b"\0\x07\0\x02\0\0\0")));
    // It ends the session while that rests.
    steps.push((Vec::new(), packet(0, b"\xff\xbf\x0f#HY000too long idle")));
    let mut again = login();
    again.push((asked("SELECT"), packet(1, b"\0\x08\0\x02\0\0\0")));
    // Without TLS the password itself is not told.
    let mut wants_it = login();
    wants_it[1].1 = packet(2, b"\x01\x04");
    let server = play_built(vec![steps, again, wants_it]);
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(
        &cnf,
        format!("[client]\nhost=127.0.0.1\nport={}\nuser=u\npassword=secret\ndatabase=d\n", server.port()),
    )
    .unwrap();
    const QUERY: &str = r#"import { MySQL } from "extras://mariadb"; $answer = MySQL()->query("SELECT");
        return $answer["affected"] ?? $answer["error"];"#;
    check(
        settings(&format!("  - id: mariadb\n    config: {{cnf: {}}}\n", cnf.display())),
        &[
            (QUERY, "7"),
            (QUERY, "8"),
            (QUERY, "the server wants the password itself, which goes over TLS only: set ssl"),
        ],
    );
}
