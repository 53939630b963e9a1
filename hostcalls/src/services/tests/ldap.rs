//! `ldap`.

use super::{check, play_built, settings};

/// An element with a short length.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&[tag, content.len() as u8][..], &content].concat()
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id], operation])
}

fn done(id: u8, tag: u8, code: u8, text: &str) -> Vec<u8> {
    message(id, &element(tag, &[&[10, 1, code], b"\x04\0", &element(4, &[text.as_bytes()])]))
}

fn bind(id: u8, dn: &str, password: &str) -> Vec<u8> {
    let parts = [&[2, 1, 3][..], &element(4, &[dn.as_bytes()]), &element(0x80, &[password.as_bytes()])];
    message(id, &element(0x60, &parts))
}

fn search(id: u8, base: &str, scope: u8, filter: &[u8], attributes: &[u8]) -> Vec<u8> {
    let parts = [
        &element(4, &[base.as_bytes()])[..],
        &[10, 1, scope, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0],
        filter,
        &element(0x30, &[attributes]),
    ];
    message(id, &element(0x63, &parts))
}

fn entry(id: u8, dn: &str, name: &str, values: &[&str]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| element(4, &[value.as_bytes()])).collect();
    let attribute = element(0x30, &[&element(4, &[name.as_bytes()]), &element(0x31, &[&values])]);
    message(id, &element(0x64, &[&element(4, &[dn.as_bytes()]), &element(0x30, &[&attribute])]))
}

#[test]
fn a_directory_is_searched() {
    let present = b"\x87\x0bobjectclass";
    let server = play_built(vec![vec![
        (bind(1, "cn=a", "bad"), done(1, 0x61, 49, "try again")),
        (bind(2, "cn=a", "pw"), done(2, 0x61, 0, "")),
        (
            search(3, "dc=x", 2, b"\xa3\x0b\x04\x03uid\x04\x04jane", b"\x04\x04mail"),
            [
                entry(3, "uid=jane", "mail", &["a@x", "b@x"]),
                // Where else to look, which nobody does.
                message(3, &element(0x73, &[b"\x04\x08ldap://y"])),
                done(3, 0x65, 0, ""),
            ]
            .concat(),
        ),
        // Two at once: each gets its own.
        (search(4, "one", 1, present, b""), Vec::new()),
        (
            search(5, "two", 0, present, b""),
            [
                entry(4, "four", "n", &[]),
                entry(5, "five", "n", &["v"]),
                done(4, 0x65, 0, ""),
                done(5, 0x65, 32, "gone"),
            ]
            .concat(),
        ),
        (search(6, "cut", 2, present, b""), b"\x30\x84\xff\xff\xff\xff".to_vec()),
    ]]);
    let port = server.port();
    let source = r#"import { LDAP } from "extras://ldap";
        $ldap = LDAP("ldap://127.0.0.1:PORT");
        $all = [];
        $all[] = $ldap->bind("cn=a", "bad") === none and $ldap->errno() == 49;
        $all[] = $ldap->getoption("diagnostic_message") . ", " . LDAP::err2string(49);
        $all[] = $ldap->bind("cn=a", "") === none and $ldap->errno() == 53;
        $all[] = is_object($ldap->bind("cn=a", "pw"));
        $found = $ldap->search("dc=x", ["filter" => "(uid=" . LDAP::filter_escape("jane") . ")", "attributes" => ["mail"]]);
        $all[] = $found->next();
        $all[] = $found->next() === false and $found->next() === false;
        $one = $ldap->search("one", ["scope" => "one"]);
        $two = $ldap->search("two", ["scope" => "base"]);
        $all[] = $two->next()["dn"] . $one->next()["dn"];
        $all[] = $one->next() === false and $two->next() === none and $ldap->errno() == 32;
        $all[] = $ldap->search("x", ["filter" => "(("]) === none and LDAP::err2string($ldap->errno()) == "Bad search filter";
        $all[] = $ldap->search("cut")->next() === none and LDAP::err2string($ldap->errno()) == "Decoding error";
        $all[] = $ldap->search("x") === none and $ldap->unbind() === none;
        $nobody = LDAP("ldap://127.0.0.1:1");
        $all[] = $nobody->setoption("network_timeout", 3) !== none and $nobody->bind() === none;
        $all[] = LDAP::err2string($nobody->errno());
        $all[] = LDAP::dn2str(LDAP::str2dn("cn=admin, dc=example"));
        $all[] = $nobody->setoption("referrals", true) === none and LDAP("http://x")->bind() === none;
        return $all;"#;
    let source: &'static str = source.replace("PORT", &port.to_string()).leak();
    let expected = r#"[0=>true,1=>"try again, Invalid credentials",2=>true,3=>true,4=>["dn"=>"uid=jane","mail"=>[0=>"a@x",1=>"b@x"]],5=>true,6=>"fivefour",7=>true,8=>true,9=>true,10=>true,11=>true,12=>"Can't contact LDAP server",13=>"cn=admin,dc=example",14=>true]"#;
    check(settings("  - id: ldap\n"), vec![(source, expected)].leak());
}
