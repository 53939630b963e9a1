use proptest::prelude::*;

use super::*;
use crate::limits::{FIELDS_MAX, FOLD_COLUMNS};
use crate::testing::cases;

fn names(message: &[u8]) -> Vec<String> {
    let mut fields = Vec::new();
    scan(message, 0, &mut fields, FIELDS_MAX, |_| false);
    fields.iter().map(|field| String::from_utf8_lossy(field.name(message)).into_owned()).collect()
}

#[test]
fn values_say_what_the_table_says() {
    for case in cases(include_str!("words.txt")) {
        assert_eq!(decode_value(&case.input, None), case.expected, "{}", case.id);
    }
}

#[test]
fn parameters_say_what_the_table_says() {
    for case in cases(include_str!("parameters.txt")) {
        let value = Parameterised::parse(&case.input).get("name", None);
        assert_eq!(value.as_deref(), Some(&case.expected[..]), "{}", case.id);
    }
}

#[test]
fn the_charset_of_the_part_decides_about_8_bit_text() {
    assert_eq!(decode_value(b"\xf0\xd2\xc9\xd7\xc5\xd4", Some(b"koi8-r")), "Привет");
    assert_eq!(decode_value("é".as_bytes(), Some(b"koi8-r")), "é", "UTF-8 is UTF-8");
    assert_eq!(decode_value(b"caf\xe9", Some(b"utf-8")), "café", "it is not, so it is guessed");
}

#[test]
fn fields_are_found_with_their_folds() {
    let message = b"A: 1\r\nB : 2\r\n folded\r\nc:\r\n\r\nbody: no\r\n";
    let mut fields = Vec::new();
    let section = scan(message, 0, &mut fields, FIELDS_MAX, |_| false);
    assert_eq!(names(message), ["A", "B", "c"]);
    assert_eq!(fields[1].raw(message), b"B : 2\r\n folded\r\n");
    assert_eq!(fields[1].raw_value(message), b"2\r\n folded");
    assert_eq!(&*fields[1].unfolded_value(message), b"2 folded");
    assert_eq!(fields[2].raw_value(message), b"");
    assert_eq!(&message[section.body_start as usize..], b"body: no\r\n");
    assert!(!section.bad_header);
}

#[test]
fn lines_that_are_no_fields_are_marked_and_skipped() {
    for (message, expected) in [
        (&b"From x\r\nA: 1\r\n\r\n"[..], &["A"][..]),
        (b" begins with a fold\r\nA: 1\r\n\r\n", &["A"]),
        (b"A: 1\r\njunk\r\n goes on\r\nB: 2\r\n\r\n", &["A", "B"]),
        (b": no name\r\nA: 1\r\n\r\n", &["A"]),
        (b"caf\xe9: 1\r\nA: 1", &["A"]),
    ] {
        let mut fields = Vec::new();
        let section = scan(message, 0, &mut fields, FIELDS_MAX, |_| false);
        assert!(section.bad_header, "{}", message.escape_ascii());
        assert_eq!(names(message), expected, "{}", message.escape_ascii());
        assert!(
            fields.iter().all(|field| field.raw_value(message) == b"1" || field.raw_value(message) == b"2")
        );
    }
}

#[test]
fn a_header_ends_with_the_message_or_an_empty_line() {
    for (message, body_start) in
        [(&b""[..], 0), (b"\r\nbody", 2), (b"\nbody", 1), (b"A: 1", 4), (b"A: 1\r\n", 6), (b"A: 1\n\nx", 6)]
    {
        let section = scan(message, 0, &mut Vec::new(), FIELDS_MAX, |_| false);
        assert_eq!(section.body_start, body_start, "{}", message.escape_ascii());
    }
}

#[test]
fn a_line_of_a_mebibyte_is_one_field() {
    let message = [b"A: ".to_vec(), vec![b'x'; 1 << 20], b"\r\nB: 2\r\n\r\n".to_vec()].concat();
    assert_eq!(names(&message), ["A", "B"]);
    // A name of more than 64 KiB is none.
    let message = [vec![b'x'; 1 << 20], b": 1\r\nB: 2\r\n\r\n".to_vec()].concat();
    assert_eq!(names(&message), ["B"]);
}

#[test]
fn fields_beyond_the_limit_are_left_alone() {
    let message = b"A: 1\r\nB: 2\r\n folded\r\nC: 3\r\n\r\nbody";
    let mut fields = Vec::new();
    let section = scan(message, 0, &mut fields, 1, |_| false);
    assert!(section.too_many);
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].raw(message), b"A: 1\r\n");
    assert_eq!(&message[section.body_start as usize..], b"body");
}

#[test]
fn values_are_written_as_their_kind_needs() {
    for (name, value, expected) in [
        ("Subject", "plain", "Subject: plain\r\n"),
        ("Subject", "", "Subject: \r\n"),
        ("Subject", "hé", "Subject: =?UTF-8?Q?h=C3=A9?=\r\n"),
        ("Subject", "a é b", "Subject: a =?UTF-8?Q?=C3=A9?= b\r\n"),
        ("Subject", "é  è", "Subject: =?UTF-8?Q?=C3=A9__=C3=A8?=\r\n"),
        ("Subject", "is =?utf-8?Q?=C3=A9?=", "Subject: is =?utf-8?Q?=C3=A9?=\r\n"),
        ("Subject", "日本語", "Subject: =?UTF-8?Q?=E6=97=A5=E6=9C=AC=E8=AA=9E?=\r\n"),
        ("Subject", "no\r\nInjected: header", "Subject: no Injected: header\r\n"),
        ("Subject", "a\r\n b", "Subject: a b\r\n"),
        ("Subject", "nul\0", "Subject: =?UTF-8?Q?nul=00?=\r\n"),
        ("From", "\"Åsa, B\" <a@example.com>", "From: =?UTF-8?Q?=C3=85sa=2C_B?= <a@example.com>\r\n"),
        (
            "To",
            "Å <a@example.com>, b@example.org",
            "To: =?UTF-8?Q?=C3=85?= <a@example.com>, b@example.org\r\n",
        ),
        ("From", "\"A, B\" <a@example.com>", "From: \"A, B\" <a@example.com>\r\n"),
        (
            "Content-Type",
            "text/plain; name=\"é.txt\"",
            "Content-Type: text/plain; name*=utf-8''%C3%A9.txt\r\n",
        ),
    ] {
        let field = encode_field(name.as_bytes(), value.as_bytes());
        assert_eq!(String::from_utf8(field).expect("ASCII"), expected, "{value}");
    }
}

/// Groups, comments and separators went, or became something else.
#[test]
fn address_fields_keep_what_is_no_address() {
    for (value, expected) in [
        ("Empfänger:;", "=?UTF-8?Q?Empf=C3=A4nger?=:;"),
        ("Müller & Co: a@b, c@d;", "=?UTF-8?Q?M=C3=BCller_=26_Co?=: a@b, c@d;"),
        ("Gruppe: Å <a@b>;, x@y", "Gruppe: =?UTF-8?Q?=C3=85?= <a@b>;, x@y"),
        ("Å <a@b>; c@d", "=?UTF-8?Q?=C3=85?= <a@b>, c@d"),
        ("a@b (Åsa)", "a@b (=?UTF-8?Q?=C3=85sa?=)"),
        ("Å (x)  <a@b>,\t\"B, C\" <c@d>", "=?UTF-8?Q?=C3=85?= (x)  <a@b>,\t\"B, C\" <c@d>"),
        ("\"Å\\\"B\" =?utf-8?Q?=C3=A9?= <a@b>", "=?UTF-8?Q?=C3=85=22B_=C3=A9?= <a@b>"),
        ("Å <é@b.example>, ö@c.example", "=?UTF-8?Q?=C3=85?= <é@b.example>, ö@c.example"),
        ("Jürgen", "=?UTF-8?Q?J=C3=BCrgen?="),
        ("Empfaenger:;", "Empfaenger:;"),
    ] {
        let field = encode_field(b"To", value.as_bytes());
        assert_eq!(String::from_utf8(field).expect("UTF-8"), format!("To: {expected}\r\n"));
    }
}

/// They were encoded words, which nobody reads there (RFC 2047 5).
#[test]
fn fields_of_tokens_are_not_encoded() {
    for name in ["Message-ID", "received", "In-Reply-To", "DKIM-Signature"] {
        let field = encode_field(name.as_bytes(), "<é@b>\0".as_bytes());
        assert_eq!(String::from_utf8(field).expect("UTF-8"), format!("{name}: <é@b> \r\n"));
    }
}

/// Lines of 1,893 and 2,507 octets were written; 998 is the limit (RFC 5322 2.1.1).
#[test]
fn no_line_is_longer_than_mail_allows() {
    let list = |separator: &str| {
        (0..100).map(|n| format!("somebody.{n}@b.example")).collect::<Vec<_>>().join(separator)
    };
    let quoted = format!("\"{}\" <a@b.example>,{}", "a,".repeat(100), list(","));
    let words = ["x".repeat(2500), format!("é {}", "x".repeat(2500)), format!("a{}b", " ".repeat(2500))];
    let disposition = format!("attachment; filename=\"{}.txt\"", "x y".repeat(600));
    let cases = [("To", list(",")), ("to", list(";")), ("To", quoted)];
    let texts = words.iter().map(|word| ("X-L", word.clone()));
    for (name, value) in cases.into_iter().chain(texts).chain([("Content-Disposition", disposition.clone())])
    {
        let field = encode_field(name.as_bytes(), value.as_bytes());
        let longest = field.split(|byte| *byte == b'\n').map(<[u8]>::len).max().expect("a line");
        assert!(longest <= if name == "To" { 250 } else { 100 }, "{longest}: {}", field.escape_ascii());
        let read = decode_value(&field[name.len() + 1..], None);
        match name {
            "X-L" => assert_eq!(read, value),
            "Content-Disposition" => {
                let name = |value: &str| Parameterised::parse(value.as_bytes()).get("filename", None);
                assert_eq!(name(&read), name(&value));
            }
            _ => assert_eq!(
                crate::address::parse_list(read.as_bytes()),
                crate::address::parse_list(value.as_bytes())
            ),
        }
    }
    let short = encode_field(b"To", b"a@b,c@d");
    assert_eq!(short, b"To: a@b,c@d\r\n", "it needs no folds");
}

/// A type with a comment was none.
#[test]
fn comments_are_no_part_of_a_value() {
    for (text, value, boundary) in [
        ("(x) Base64 (y)", "base64", None),
        ("(a (b) \\) c;d)text/plain", "text/plain", None),
        ("multipart/mixed (c; boundary=no); (d=e) boundary=b", "multipart/mixed", Some("b")),
        ("multipart/mixed (not closed; boundary=b", "multipart/mixed", Some("b")),
        ("", "", None),
    ] {
        let parsed = Parameterised::parse(text.as_bytes());
        assert_eq!(parsed.value, value, "{text}");
        assert_eq!(parsed.get("boundary", None).as_deref(), boundary, "{text}");
    }
    // Looking for the end of each took long.
    let hostile = "(;".repeat(500_000);
    assert_eq!(Parameterised::parse(hostile.as_bytes()).value, "");
}

#[test]
fn long_values_are_folded_at_white_space() {
    let value = ["word"; 40].join(" ");
    let field = encode_field(b"Subject", value.as_bytes());
    assert!(
        field.split(|byte| *byte == b'\n').all(|line| line.len() <= FOLD_COLUMNS + 1),
        "{}",
        field.escape_ascii()
    );
    assert_eq!(decode_value(&field[8..], None), value);
    // What has no white space cannot be folded.
    let field = encode_field(b"X", &[b'x'; 500]);
    assert_eq!(field.len(), 505);
}

#[test]
fn long_encoded_values_come_in_short_words() {
    let value = "Öl & Essig, ".repeat(40);
    let field = encode_field(b"Subject", value.as_bytes());
    let text = String::from_utf8(field).expect("ASCII");
    assert!(text.lines().all(|line| line.len() <= FOLD_COLUMNS), "{text}");
    assert_eq!(decode_value(&text.as_bytes()[8..], None), value.trim());
    let all = encode_all(&value, 0);
    assert!(all.split(' ').all(|word| word.starts_with("=?UTF-8?Q?") && word.len() <= 75), "{all}");
    assert_eq!(decode_value(all.as_bytes(), None), value);
}

#[test]
fn verbatim_values_bring_no_fields_of_their_own() {
    for (value, expected) in [
        ("a\r\n\tb", "X: a\r\n\tb\r\n"),
        ("a\r\n", "X: a\r\n"),
        ("a\nb\r\n\r\nc", "X: a\r\n b\r\n c\r\n"),
        ("a\rb", "X: a b\r\n"),
        ("a\r\n\r\n b", "X: a\r\n b\r\n"),
        ("\r\n", "X: \r\n"),
    ] {
        let field = fold_verbatim(b"X", value.as_bytes());
        assert_eq!(String::from_utf8(field).expect("ASCII"), expected, "{value:?}");
    }
}

#[test]
fn names_are_printable_without_colon() {
    assert!(["Subject", "X-1_!"].iter().all(|name| check_name(name.as_bytes()).is_ok()));
    assert!(["", "a b", "a:", "a\r\n", "é"].iter().all(|name| check_name(name.as_bytes()).is_err()));
    assert!(check_name(&[b'x'; 257]).is_err());
}

#[test]
fn parameters_are_written_so_that_they_are_read_back() {
    for value in
        ["x.txt", "two words", "qu\"ote\\", "", "é.txt", &"ü".repeat(100), "semi;colon=", "=?utf-8?Q?a?="]
    {
        let text = format!("a/b{}", format_parameter("name", value));
        assert!(text.is_ascii());
        let parsed = Parameterised::parse(text.as_bytes());
        let read = parsed.get("name", None).expect("it is there");
        let expected = if value.starts_with("=?") { "a" } else { value };
        assert_eq!(read, expected, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_back_as_it_was_written(value in "[ -~é日🎈]{0,300}") {
        // White space at both ends is not part of a value, and what looks encoded is decoded.
        let value = value.trim_matches([' ', '\t']);
        let field = encode_field(b"Subject", value.as_bytes());
        prop_assert!(field.is_ascii());
        prop_assert_eq!(decode_value(&field[8..], None), value);
    }

    #[test]
    fn any_bytes_are_a_value(value: Vec<u8>) {
        let _ = decode_value(&value, None);
        let _ = Parameterised::parse(&value).get("name", None);
        for field in [encode_field(b"From", &value), encode_field(b"X", &value), fold_verbatim(b"X", &value)] {
            let message = [&field[..], b"\r\nbody"].concat();
            let mut fields = Vec::new();
            let section = scan(&message, 0, &mut fields, FIELDS_MAX, |_| false);
            prop_assert_eq!(fields.len(), 1, "{}", field.escape_ascii());
            prop_assert_eq!(&message[section.body_start as usize..], b"body");
        }
    }
}
