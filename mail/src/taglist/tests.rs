use super::*;

/// What a list of the cases file parses to, in the notation of that file.
fn show(text: &[u8]) -> String {
    match TagList::parse(text) {
        Ok(list) => list
            .iter()
            .map(|tag| format!("{}={}", tag.name, String::from_utf8_lossy(&tag.value)))
            .collect::<Vec<_>>()
            .join("|"),
        Err(error) => format!("error {error:?}"),
    }
}

#[test]
fn the_cases_of_the_table_hold() {
    for case in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (text, expected) = case.split_once(" -> ").expect("a case is `text -> list`");
        let text = text.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t").replace("\\0", "\0");
        assert_eq!(show(text.trim_matches('`').as_bytes()), expected.trim(), "{case}");
    }
}

#[test]
fn a_span_locates_the_folded_value() {
    let text = b" a=1; b= x\r\n\ty ;c=";
    let list = TagList::parse(text).unwrap();
    let b = list.tag("b").unwrap();
    assert_eq!(&text[b.span.clone()], b" x\r\n\ty ");
    assert_eq!(b.value, b"x\ty");
    assert_eq!(list.tag("c").unwrap().span, text.len()..text.len());
}

#[test]
fn too_many_tags_or_bytes_are_refused() {
    let many: String = (0..=MAX_TAGS).map(|number| format!("t{number}=;")).collect();
    assert_eq!(TagList::parse(many.as_bytes()), Err(TagListError::TooLarge));
    let long = [b"p=".to_vec(), vec![b'x'; MAX_TAG_LIST_BYTES]].concat();
    assert_eq!(TagList::parse(&long), Err(TagListError::TooLarge));
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_list_or_an_error(text: Vec<u8>) {
        if let Ok(list) = TagList::parse(&text) {
            for tag in &list {
                proptest::prop_assert!(text.get(tag.span.clone()).is_some());
            }
        }
    }
}
