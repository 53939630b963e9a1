use super::*;
use crate::testing::cases;

fn show(mailbox: &Mailbox) -> String {
    match mailbox.name.is_empty() {
        true => mailbox.address.clone(),
        false => format!("{} <{}>", mailbox.name, mailbox.address),
    }
}

#[test]
fn lists_have_the_addresses_of_the_table() {
    for case in cases(include_str!("lists.txt")) {
        let shown = match parse_list(&case.input) {
            Some(list) => list.iter().map(show).collect::<Vec<_>>().join("; "),
            None => "none".into(),
        };
        assert_eq!(shown, case.expected, "{}", case.id);
    }
}

#[test]
fn envelope_addresses_are_taken_apart_as_in_the_table() {
    for case in cases(include_str!("envelopes.txt")) {
        let shown = match parse_envelope(&case.input) {
            Some(address) => [&address.local_part[..], b"|", &address.domain].concat(),
            None => b"none".to_vec(),
        };
        assert_eq!(String::from_utf8_lossy(&shown), case.expected, "{}", case.id);
    }
}

#[test]
fn local_parts_are_quoted_where_they_must_be() {
    for (text, expected) in [
        ("user", "user"),
        ("first.last", "first.last"),
        ("two words", "\"two words\""),
        ("", "\"\""),
        ("a..b", "\"a..b\""),
        ("a\"b\\c", "\"a\\\"b\\\\c\""),
        ("a@b", "\"a@b\""),
        ("a\r\nb", "ab"),
        ("a\r\n b", "\"a b\""),
    ] {
        assert_eq!(escape_local_part(text.as_bytes()).as_ref(), expected.as_bytes());
    }
}

#[test]
fn compiled_lists_are_read_back() {
    let mailbox = |name: &str, address: &str| Mailbox { name: name.into(), address: address.into() };
    let list = [
        mailbox("", "a@example.com"),
        mailbox("Al B", "b@example.com"),
        mailbox("C, D \"x\" \\", "\"c d\"@example.com"),
        mailbox("Åsa Öberg", "d@example.com"),
        mailbox("=?utf-8?Q?x?=", "e@example.com"),
    ];
    let text = compile(&list);
    assert!(text.is_ascii());
    assert_eq!(parse_list(text.as_bytes()).as_deref(), Some(&list[..]), "{text}");
}

#[test]
fn names_bring_no_lines_of_their_own() {
    let list = [Mailbox { name: "a\r\nX: y".into(), address: "a@example.com\r\nX: y".into() }];
    assert!(!compile(&list).contains(['\r', '\n']));
}

#[test]
fn comments_within_comments_are_bounded() {
    let nested = |depth: usize| ["(".repeat(depth), ")".repeat(depth), "a@example.com".into()].concat();
    assert_eq!(parse_list(nested(60).as_bytes()).map(|list| list.len()), Some(1));
    assert_eq!(parse_list(nested(100_000).as_bytes()), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_list_or_none(text: Vec<u8>) {
        let _ = parse_list(&text);
        let _ = parse_envelope(&text);
    }

    #[test]
    fn what_is_made_of_marks_is_a_list_or_none(text in "([a@<>,;:()\"\\\\ .\\[\\]é\x00]|=\\?utf-8\\?q\\?_=00a\\?=|a@b|<a@b>){0,20}") {
        let Some(list) = parse_list(text.as_bytes()) else { return Ok(()) };
        // What was read can be written, and says the same then.
        let again = parse_list(compile(&list).as_bytes());
        proptest::prop_assert_eq!(again, Some(list));
    }
}
