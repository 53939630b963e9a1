//! `sqlite`, with a real file.

use super::{check, settings};

#[test]
fn statements_run_on_a_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("test.db");
    let path = path.display();
    let settings = settings(&format!(
        "  - id: sqlite\n    config: {{default_profile: a, profiles: [{{id: a, filename: {path}, foreign_keys: true}}, {{id: r, filename: {path}, readonly: true}}]}}\n"
    ));
    check(
        settings,
        &[
            (
                r#"import { SQLite } from "extras://sqlite"; $db = SQLite();
                   $db->query("CREATE TABLE employee (name VARCHAR(255), salary INT, working BOOLEAN, share REAL)");
                   $db->query("INSERT INTO employee VALUES (?, ?, ?, ?)", ["John Doe", 54321, true, 0.5]);
                   $db->query("INSERT INTO employee VALUES (?, ?, ?, ?)", ["\xff", 54321, false, none]);
                   return $db->query("SELECT * FROM employee WHERE name = ?", ["John Doe"]);"#,
                r#"[0=>["name"=>"John Doe","salary"=>"54321","working"=>"1","share"=>0.5]]"#,
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; $db = SQLite("r");
                   $all = $db->query("SELECT name, share FROM employee WHERE working = ?", [false]);
                   return [length($all[0]["name"]), $all[0]["share"] === none];"#,
                "[0=>1,1=>true]",
            ),
            // What a script begins is undone when it does not end it.
            (
                r#"import { SQLite } from "extras://sqlite"; $db = SQLite(); $db->query("BEGIN");
                   $db->query("DELETE FROM employee"); return $db->query("SELECT count(*) AS n FROM employee");"#,
                r#"[0=>["n"=>"0"]]"#,
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; return SQLite()->query("SELECT count(*) AS n FROM employee");"#,
                r#"[0=>["n"=>"2"]]"#,
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; return SQLite("r")->query("DELETE FROM employee");"#,
                "error: attempt to write a readonly database",
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; return SQLite()->query("SELECT * FROM missing");"#,
                "error: no such table: missing",
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; return SQLite()->query("SELECT 1", [[]]);"#,
                "error: query(): a parameter is a string, number, boolean or none, not array",
            ),
            (
                r#"import { SQLite } from "extras://sqlite"; return SQLite("x");"#,
                "error: SQLite(): plugins[] has no profile \"x\" of sqlite",
            ),
        ],
    );
}
