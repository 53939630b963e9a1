//! `postgresql`.

use super::{check, play_built, settings};

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// What a client sends to run a statement with these parameters.
fn asked(statement: &str, params: &[Option<&str>]) -> Vec<u8> {
    let mut bind = b"\0\0\0\0".to_vec();
    bind.extend((params.len() as u16).to_be_bytes());
    for param in params {
        bind.extend(param.map_or(-1, |text| text.len() as i32).to_be_bytes());
        bind.extend(param.unwrap_or_default().as_bytes());
    }
    bind.extend([0, 0]);
    [
        message(b'P', format!("\0{statement}\0\0\0").as_bytes()),
        message(b'B', &bind),
        message(b'D', b"P\0"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
    ]
    .concat()
}

/// No TLS, and no password wanted.
fn login() -> Vec<(Vec<u8>, Vec<u8>)> {
    let startup = b"\0\x03\0\0user\0u\0database\0d\0client_encoding\0UTF8\0\0";
    let startup = [&(startup.len() as u32 + 4).to_be_bytes()[..], startup].concat();
    let welcome =
        [message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), message(b'K', &[0; 8]), ready(b'I')].concat();
    vec![(b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), b"N".to_vec()), (startup, welcome)]
}

fn columns(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, type_oid) in columns {
        body.extend(name.as_bytes());
        body.extend([0; 7]);
        body.extend(type_oid.to_be_bytes());
        body.extend([0; 8]);
    }
    message(b'T', &body)
}

fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        body.extend(value.map_or(-1, |text| text.len() as i32).to_be_bytes());
        body.extend(value.unwrap_or_default().as_bytes());
    }
    message(b'D', &body)
}

const PLUGIN: &str =
    "  - id: postgresql\n    config: {profiles: [{id: a, username: u, password: p, database: d, port: ";

#[test]
fn rows_have_values_of_the_types_of_their_columns() {
    let rows = [
        message(b'1', b""),
        message(b'2', b""),
        columns(&[("b", 16), ("i", 23), ("f", 701), ("big", 20), ("none", 25)]),
        row(&[Some("t"), Some("-7"), Some("1.5"), Some("9007199254740993"), None]),
        message(b'C', b"SELECT 1\0"),
        ready(b'I'),
    ];
    let error = [message(b'E', b"SERROR\0C42601\0Msyntax error\0\0"), ready(b'I')].concat();
    let mut first = login();
    first.push((
        asked("SELECT $1, $2, $3, $4", &[Some("a"), Some("54321"), Some("true"), None]),
        rows.concat(),
    ));
    first.push((asked("SELEC", &[]), error));
    // It closes the connection while it rests; and the next one in the middle of an answer.
    let mut second = login();
    second.push((asked("SELECT 1", &[]), [columns(&[("one", 23)]), row(&[Some("1")]), ready(b'I')].concat()));
    second.push((asked("SELECT 2", &[]), columns(&[("two", 23)])));
    let mut third = login();
    third.push((asked("BEGIN", &[]), ready(b'T')));
    third.push((asked("SELECT 3", &[]), ready(b'T')));
    let server = play_built(vec![first, second, third]);
    check(
        settings(&format!("{PLUGIN}{}}}]}}\n", server.port())),
        &[
            (
                r#"import { PostgreSQL } from "extras://postgresql";
                   return PostgreSQL("a")->query("SELECT $1, $2, $3, $4", ["a", 54321, true, none]);"#,
                r#"[0=>["b"=>true,"i"=>-7,"f"=>1.5,"big"=>"9007199254740993","none"=>none]]"#,
            ),
            (
                r#"import { PostgreSQL } from "extras://postgresql"; return PostgreSQL()->query("SELEC");"#,
                "error: ERROR:  syntax error (42601)",
            ),
            (
                r#"import { PostgreSQL } from "extras://postgresql"; return PostgreSQL()->query("SELECT 1");"#,
                r#"[0=>["one"=>1]]"#,
            ),
            (
                r#"import { PostgreSQL } from "extras://postgresql"; return PostgreSQL()->query("SELECT 2");"#,
                "error: the connection broke: the server closed it",
            ),
            // The object goes, and with it the connection.
            (
                r#"import { PostgreSQL } from "extras://postgresql"; $db = PostgreSQL();
                   return [$db->query("BEGIN"), $db->query("SELECT 3")];"#,
                "[0=>[],1=>[]]",
            ),
        ],
    );
}

#[test]
fn what_a_server_should_not_say_is_an_error() {
    let after_login = |answer: Vec<u8>| {
        let mut steps = login();
        steps.push((asked("SELECT 1", &[]), answer));
        steps
    };
    let server = play_built(vec![
        vec![(b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), b"HTTP/1.1 400".to_vec())],
        vec![
            (b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(), b"N".to_vec()),
            (Vec::new(), message(b'R', b"\0\0\0\x07")),
        ],
        after_login(b"T\x7f\xff\xff\xff".to_vec()),
        after_login(message(b'T', b"\xff\xff")),
        after_login([columns(&[("a", 25)]), message(b'D', b"\0\x01\x7f\xff\xff\xff")].concat()),
        after_login(row(&[Some("more than columns")])),
        after_login(message(b'E', b"S")),
    ]);
    const QUERY: &str = r#"import { PostgreSQL } from "extras://postgresql";
        try { PostgreSQL()->query("SELECT 1"); } catch ($e) { return $e->message() =~ ''^(the server breaks|the connection broke)''; }"#;
    check(settings(&format!("{PLUGIN}{}}}]}}\n", server.port())), &[(QUERY, "true"); 7]);
}

#[test]
fn a_session_that_the_server_has_ended_while_it_rested_is_made_again() {
    let mut first = login();
    first.push((asked("SELECT 1", &[]), [columns(&[("a", 23)]), row(&[Some("1")]), ready(b'I')].concat()));
    // It speaks before it is asked, as PostgreSQL does when it is shut down.
    first.push((Vec::new(), message(b'E', b"SFATAL\0C57P01\0Mgoing\0\0")));
    let mut second = login();
    second.push((asked("SELECT 2", &[]), [columns(&[("a", 23)]), row(&[Some("2")]), ready(b'I')].concat()));
    let server = play_built(vec![first, second]);
    const QUERIES: &str = r#"import { PostgreSQL } from "extras://postgresql"; $db = PostgreSQL();
        return [$db->query("SELECT 1")[0]["a"], $db->query("SELECT 2")[0]["a"]];"#;
    check(settings(&format!("{PLUGIN}{}}}]}}\n", server.port())), &[(QUERIES, "[0=>1,1=>2]")]);
}
