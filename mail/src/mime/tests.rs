use proptest::prelude::*;

use super::transfer::{self, Encoding};
use super::*;
use crate::limits::{DEPTH_MAX, PARTS_MAX};

/// The tree as text: every part with its type and the text of its body, children in brackets.
fn tree(message: &[u8]) -> String {
    let structure = Structure::parse(message).expect("small");
    show(message, &structure, PartId::ROOT)
}

fn show(message: &[u8], structure: &Structure, id: PartId) -> String {
    let part = structure.get(id);
    match &part.multipart {
        None => {
            let body = &message[part.body.start as usize..part.body.end as usize];
            format!("{:?}", String::from_utf8_lossy(body))
        }
        Some(multipart) => {
            let children: Vec<_> =
                multipart.children.iter().map(|child| show(message, structure, *child)).collect();
            let defects: Vec<_> = part.defects().iter().map(|defect| defect.name()).collect();
            [format!("[{}]", children.join(" ")), defects.join(" ")].join(" ").trim_end().to_owned()
        }
    }
}

fn multipart(boundary: &str, body: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n{body}")
}

#[test]
fn parts_are_what_stands_between_boundaries() {
    for (name, message, expected) in [
        ("two parts", multipart("b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"), r#"["one" "two"]"#),
        ("with preamble", multipart("b", "pre\r\n--b\r\n\r\none\r\n--b--\r\nepilogue"), r#"["one"]"#),
        ("no body", multipart("b", "--b\r\n\r\n--b\r\nA: 1\r\n--b--"), r#"["" ""]"#),
        ("no header and no body", multipart("b", "--b\r\n--b--\r\n"), r#"[""]"#),
        ("line feeds", multipart("b", "--b\n\none\n--b\n\ntwo\n--b--\n"), r#"["one" "two"]"#),
        ("blanks behind", multipart("b", "--b \t\r\n\r\none\r\n--b-- \r\n"), r#"["one"]"#),
        ("not at the start of a line", multipart("b", "--b\r\n\r\nx --b\r\n--b--"), r#"["x --b"]"#),
        ("last line end is of the boundary", multipart("b", "--b\r\n\r\none\r\n\r\n--b--"), r#"["one\r\n"]"#),
        ("after the end", multipart("b", "--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo"), r#"["one"]"#),
        ("unclosed", multipart("b", "--b\r\n\r\none\r\n"), r#"["one\r\n"] unclosed_boundary"#),
        ("never begun", multipart("b", "text\r\n"), "[] unclosed_boundary"),
        ("closed at once", multipart("b", "--b--\r\n"), "[]"),
        ("longer boundary", multipart("b", "--b\r\n\r\n--bb\r\none\r\n--b--"), r#"["--bb\r\none"]"#),
        ("boundary that ends like a close", multipart("b--", "--b--\r\n\r\none\r\n--b----"), r#"["one"]"#),
        ("boundary of two hyphens", multipart("--", "----\r\n\r\none\r\n------"), r#"["one"]"#),
    ] {
        assert_eq!(tree(message.as_bytes()), expected, "{name}");
    }
}

#[test]
fn an_inner_boundary_may_begin_like_the_outer_one() {
    let inner = multipart("outer-inner", "--outer-inner\r\n\r\none\r\n--outer-inner--\r\n");
    let message = multipart("outer", &format!("--outer\r\n{inner}\r\n--outer\r\n\r\ntwo\r\n--outer--"));
    assert_eq!(tree(message.as_bytes()), r#"[["one"] "two"]"#);
    let inner = multipart("out", "--out\r\n\r\none\r\n--out--\r\n");
    let message = multipart("outer", &format!("--outer\r\n{inner}\r\n--outer--"));
    assert_eq!(tree(message.as_bytes()), r#"[["one"]]"#);
}

#[test]
fn an_outer_boundary_ends_inner_parts_that_are_open() {
    let inner = multipart("in", "--in\r\n\r\none");
    let message = multipart("out", &format!("--out\r\n{inner}\r\n--out\r\n\r\ntwo\r\n--out--"));
    assert_eq!(tree(message.as_bytes()), r#"[["one"] unclosed_boundary "two"]"#);
    // In a header too.
    let message = multipart("out", "--out\r\nContent-Type: multipart/mixed; boundary=in\r\n--out--");
    assert_eq!(tree(message.as_bytes()), "[[] unclosed_boundary]");
}

#[test]
fn the_same_boundary_twice_belongs_to_the_inner_one_first() {
    let inner = multipart("b", "--b\r\n\r\none\r\n--b--");
    let message = multipart("b", &format!("--b\r\n{inner}\r\n--b--\r\n"));
    assert_eq!(tree(message.as_bytes()), r#"[["one"]]"#);
}

#[test]
fn a_multipart_without_usable_boundary_has_no_parts() {
    let long = "b".repeat(300);
    for boundary in ["", &long] {
        let message = multipart(boundary, "--\r\n\r\none");
        let structure = Structure::parse(message.as_bytes()).expect("small");
        assert_eq!(structure.part_count(), 1);
        assert_eq!(structure.get(PartId::ROOT).defects(), [Defect::BadHeader]);
    }
    assert_eq!(tree(b"Content-Type: multipart/mixed\r\n\r\n--b"), r#""--b""#);
}

#[test]
fn attached_messages_are_not_taken_apart() {
    let attached = multipart("in", "--in\r\n\r\none\r\n--in--");
    let message = multipart("b", &format!("--b\r\nContent-Type: message/rfc822\r\n\r\n{attached}\r\n--b--"));
    assert_eq!(Structure::parse(message.as_bytes()).expect("small").part_count(), 2);
}

#[test]
fn descendants_follow_their_ancestor() {
    let inner = multipart("in", "--in\r\n\r\n1\r\n--in\r\n\r\n2\r\n--in--");
    let message = multipart("out", &format!("--out\r\n{inner}\r\n--out\r\n\r\n3\r\n--out--"));
    let structure = Structure::parse(message.as_bytes()).expect("small");
    let below = |id| structure.descendants(PartId(id)).map(|id| id.0).collect::<Vec<_>>();
    assert_eq!([below(0), below(1), below(2), below(4)], [vec![1, 2, 3, 4], vec![2, 3], vec![], vec![]]);
}

/// Asserts that parsing looked at each byte at most `factor` times.
fn assert_linear(message: &[u8], factor: u64) -> Structure {
    let structure = Structure::parse(message).expect("small");
    let (examined, len) = (structure.examined_bytes(), message.len() as u64);
    assert!(examined <= factor * len, "{examined} bytes were looked at for {len}");
    structure
}

#[test]
fn ten_thousand_parts_are_bounded_and_cost_what_their_bytes_cost() {
    let parts = "--b\r\n\r\nx\r\n".repeat(PARTS_MAX + 500);
    let structure = assert_linear(multipart("b", &parts).as_bytes(), 3);
    assert_eq!(structure.part_count(), PARTS_MAX);
    assert!(structure.get(PartId::ROOT).defects().contains(&Defect::Limit));
}

#[test]
fn a_thousand_multiparts_within_one_another_are_bounded() {
    let nested = |depth: usize| {
        let mut message = String::new();
        for level in 0..depth {
            message.push_str(&multipart(&format!("b{level}"), &format!("--b{level}\r\n")));
        }
        message
    };
    let structure = assert_linear(nested(1000).as_bytes(), 3);
    assert_eq!(structure.part_count(), DEPTH_MAX + 1);
    assert!(structure.parts.last().expect("parts").limited);
    assert_eq!(Structure::parse(nested(DEPTH_MAX).as_bytes()).expect("small").part_count(), DEPTH_MAX + 1);
}

#[test]
fn lines_that_are_nearly_boundaries_cost_what_their_bytes_cost() {
    let boundaries: String = (0..60)
        .map(|level| {
            multipart(&format!("{}{level}", "b".repeat(200)), &format!("--{}{level}\r\n", "b".repeat(200)))
        })
        .collect();
    let near = format!("--{}\r\n", "b".repeat(200)).repeat(2000);
    assert_linear(format!("{boundaries}\r\n{near}").as_bytes(), 3);
    assert_linear(multipart("b", &"--\r\n".repeat(20_000)).as_bytes(), 3);
    assert_linear(multipart("b", &"\n".repeat(100_000)).as_bytes(), 3);
}

#[test]
fn odd_bytes_are_bytes() {
    let message = b"Content-Type: multipart/x; boundary=\"\xff\x00\"\r\n\r\n--\xff\x00\r\n\0\xff\r\n\r\none\r\n--\xff\x00--";
    let structure = Structure::parse(message).expect("small");
    assert_eq!(structure.part_count(), 2);
    assert!(structure.get(PartId(1)).bad_header);
}

#[test]
fn base64_is_read_leniently() {
    for (text, bytes) in [
        ("Zm9vYmFy", "foobar"),
        ("Zm9v\r\nYmFy\r\n", "foobar"),
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm8", "fo"),
        ("Zg==Zm8=", "ffo"),
        ("Z!m-9_v", "foo"),
        ("Z", ""),
        ("====", ""),
        ("", ""),
    ] {
        assert_eq!(transfer::decode_base64(text.as_bytes()), bytes.as_bytes(), "{text}");
    }
}

#[test]
fn quoted_printable_is_read_leniently() {
    for (text, bytes) in [
        // RFC 2045, section 6.7
        (
            "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
            "Now's the time for all folk to come to the aid of their country.",
        ),
        ("a=3Db", "a=b"),
        ("a=3db", "a=b"),
        ("trailing \t\r\nx", "trailing\r\nx"),
        ("soft= \r\nbreak", "softbreak"),
        ("bad =ZZ = 4", "bad =ZZ = 4"),
        ("end=", "end"),
        ("lf\nx=\ny", "lf\nxy"),
        ("", ""),
    ] {
        assert_eq!(
            String::from_utf8(transfer::decode_quoted_printable(text.as_bytes())).expect("UTF-8"),
            bytes,
            "{text}"
        );
    }
}

#[test]
fn the_most_readable_encoding_is_chosen() {
    let long = "x".repeat(999);
    for (body, encoding) in [
        ("", Encoding::SevenBit),
        ("plain\r\ntext\r\n", Encoding::SevenBit),
        ("bare\nline feed", Encoding::QuotedPrintable),
        ("bare\rreturn", Encoding::QuotedPrintable),
        (&long[..998], Encoding::SevenBit),
        (&long, Encoding::QuotedPrintable),
        ("mostly ASCII, with one é", Encoding::QuotedPrintable),
        ("日本語", Encoding::Base64),
        ("nul\0", Encoding::Base64),
    ] {
        assert_eq!(Encoding::best_for(body.as_bytes()), encoding, "{body}");
    }
}

proptest! {
    #[test]
    fn bodies_come_back_as_they_were(body: Vec<u8>) {
        for encoding in [Encoding::QuotedPrintable, Encoding::Base64, Encoding::best_for(&body)] {
            let text = encoding.encode(&body);
            prop_assert!(text.is_ascii());
            prop_assert!(text.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
            let decoded = transfer::decode(encoding.name().as_bytes(), &text).into_owned();
            prop_assert_eq!(decoded, body.clone());
        }
    }

    #[test]
    fn text_comes_back_as_it_was(body in "[a-z =.é \r\n\t]{0,200}") {
        let text = transfer::encode_quoted_printable(body.as_bytes());
        prop_assert!(text.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
        prop_assert_eq!(transfer::decode_quoted_printable(&text), body.as_bytes());
    }

    #[test]
    fn any_bytes_have_a_structure_within_them(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let message = pieces.concat().into_bytes();
        let structure = Structure::parse(&message).expect("small");
        for part in &structure.parts {
            prop_assert!(part.start <= part.fields_end && part.fields_end <= part.body.start);
            prop_assert!(part.body.start <= part.body.end && part.body.end as usize <= message.len());
            if let Some(parent) = part.parent {
                let parent = structure.get(parent);
                prop_assert!(parent.body.start <= part.start && part.body.end <= parent.body.end);
            }
        }
    }
}

pub(crate) const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "--a",
    "--",
    "--",
    "--a--\r\n",
    "\r\n--a\r\n",
    "\r\n--b\r\n",
    "\r\n--b--\r\n",
    "text",
    " ",
    "Subject: x\r\n",
    "Content-Type: multipart/mixed; boundary=a\r\n\r\n",
    "Content-Type: multipart/x; boundary=b\r\n\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "A: 1",
    "é",
    "\0",
];

/// Scripts saw no parts where others did.
#[test]
fn a_boundary_is_found_in_each_form_of_rfc_2231() {
    for parameter in [
        "boundary*0=a; boundary*1=b",
        "boundary*=us-ascii'en'ab",
        "boundary*0*=''%61; boundary*1=b",
        "boundary=ab; boundary*=''no",
        "(c) boundary=ab",
    ] {
        let message =
            format!("Content-Type: multipart/mixed; {parameter}\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n");
        let structure = Structure::parse(message.as_bytes()).expect("small");
        assert_eq!(structure.children(PartId::ROOT).len(), 1, "{parameter}");
    }
}
