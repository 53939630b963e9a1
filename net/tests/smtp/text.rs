//! The text form of transcripts.

/// The transcripts of a folder: where, title, lines. A file holds several, each after a line `== TITLE`; lines that
/// begin with `#` are comments.
pub(crate) fn split_titles(folder: &str) -> Vec<(String, &'static str, Vec<&'static str>)> {
    let folder = format!("{}/tests/smtp/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let mut transcripts = Vec::new();
    for path in paths {
        // Kept for the rest of the test: a transcript is made of slices of it.
        let text: &'static str = std::fs::read_to_string(&path).expect("readable").leak();
        for (index, line) in text.lines().enumerate() {
            if let Some(title) = line.strip_prefix("== ") {
                transcripts.push((format!("{}:{}", path.display(), index + 1), title, Vec::new()));
            } else if !line.is_empty() && !line.starts_with('#') {
                transcripts.last_mut().expect("a title comes first").2.push(line);
            }
        }
    }
    assert!(!transcripts.is_empty());
    transcripts
}

pub(crate) fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Bytes from text with `\r`, `\n`, `\0`, `\xHH`, `\\`; `*N` at the very end repeats the whole, with `end`, N times.
pub(crate) fn unescape(text: &str, end: &[u8]) -> Option<Vec<u8>> {
    let (text, times) = match text.rsplit_once('*') {
        Some((text, times)) if times.parse::<usize>().is_ok() => (text, times.parse().ok()?),
        _ => (text, 1),
    };
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, tail) = rest.split_first()?;
        rest = tail;
        bytes.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    bytes.extend_from_slice(end);
    Some(bytes.repeat(times))
}
