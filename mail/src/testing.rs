//! Reads the tables of cases that the tests of this crate share: lines of `id | input -> expected`, with the escapes
//! `\r`, `\n`, `\t`, `\xhh` and `\\`; lines that begin with `#` are comments. Blanks around both sides are dropped.

pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) input: Vec<u8>,
    pub(crate) expected: String,
}

pub(crate) fn cases(table: &'static str) -> impl Iterator<Item = Case> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (id, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("no id: {line}"));
        let (input, expected) = rest.rsplit_once(" ->").unwrap_or_else(|| panic!("no result: {line}"));
        let expected = String::from_utf8(unescape(expected.trim())).expect("UTF-8");
        Case { id: id.trim(), input: unescape(input.trim()), expected }
    })
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let (escape, tail) = rest.split_first().expect("something after a backslash");
        rest = tail;
        match escape {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("hexadecimal digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    bytes
}
