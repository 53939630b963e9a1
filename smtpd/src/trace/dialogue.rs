//! One connection's bytes as lines to show: split, cut, and without secrets.

/// Bytes of a line that are shown; what is longer is cut.
const LINE_BYTES_MAX: usize = 1024;

/// What clients say. Any other word may be a secret, such as an answer within AUTH.
const VERBS: [&str; 20] = [
    "AUTH", "BDAT", "DATA", "EHLO", "ETRN", "EXPN", "HELO", "HELP", "LHLO", "MAIL", "NOOP", "PROXY", "QUIT",
    "RCPT", "RSET", "SEND", "STARTTLS", "VRFY", "XCLIENT", "XFORWARD",
];

/// The lines of one direction.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What has come of a line without its end.
    begun: Vec<u8>,
    /// Bytes of it beyond those that are kept.
    cut: usize,
}

impl Lines {
    /// Gives each whole line to `show`, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut show: impl FnMut(&[u8], usize)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.begun);
            show(line.strip_suffix(b"\r").unwrap_or(&line), std::mem::take(&mut self.cut));
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.begun.len());
        let kept = bytes.len().min(room);
        self.begun.extend_from_slice(&bytes[..kept]);
        self.cut += bytes.len() - kept;
    }
}

/// A line of the client as it may be shown.
pub(super) fn masked(line: &[u8]) -> Vec<u8> {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b':')).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let is = |verb: &str| word.eq_ignore_ascii_case(verb.as_bytes());
    if !VERBS.iter().any(|verb| is(verb)) {
        // The dot that ends a message is no secret.
        return if line == b"." { line.to_vec() } else { format!("*** ({} bytes)", line.len()).into_bytes() };
    }
    if is("AUTH") {
        return without_response(line);
    }
    if is("XCLIENT") || is("XFORWARD") {
        return [word, &without_login(rest)].concat();
    }
    line.to_vec()
}

/// `AUTH mechanism ***`.
fn without_response(line: &[u8]) -> Vec<u8> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let mut out: Vec<u8> = words.next().unwrap_or_default().to_vec();
    for (number, word) in words.enumerate() {
        out.push(b' ');
        out.extend_from_slice(if number == 0 { word } else { b"***" });
    }
    out
}

/// The value of LOGIN is who authenticated.
fn without_login(rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rest.len());
    for (number, word) in rest.split(|byte| *byte == b' ').enumerate() {
        if number > 0 {
            out.push(b' ');
        }
        match word.get(..6) {
            Some(name) if name.eq_ignore_ascii_case(b"LOGIN=") => {
                out.extend_from_slice(name);
                out.extend_from_slice(b"***");
            }
            _ => out.extend_from_slice(word),
        }
    }
    out
}

/// The domain of the recipient that a client's line names, in lower case.
pub(super) fn recipient_domain(line: &[u8]) -> Option<String> {
    let path = line.get(..8).filter(|verb| verb.eq_ignore_ascii_case(b"RCPT TO:")).map(|_| &line[8..])?;
    let path = path.trim_ascii_start().strip_prefix(b"<")?;
    let end = path.iter().rposition(|byte| *byte == b'>')?;
    let at = path[..end].iter().rposition(|byte| *byte == b'@')?;
    Some(String::from_utf8_lossy(&path[at + 1..end]).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        String::from_utf8(masked(line.as_bytes())).expect("text")
    }

    #[test]
    fn secrets_are_masked_wherever_a_client_may_say_them() {
        let cases = [
            ("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH PLAIN ***"),
            ("auth login", "auth login"),
            ("AUTH LOGIN YWxpY2U=", "AUTH LOGIN ***"),
            ("AUTH  PLAIN  x", "AUTH PLAIN ***"),
            ("c2VjcmV0", "*** (8 bytes)"),
            ("=", "*** (1 bytes)"),
            ("*", "*** (1 bytes)"),
            (".", "."),
            ("XCLIENT NAME=a LOGIN=alice ADDR=192.0.2.1", "XCLIENT NAME=a LOGIN=*** ADDR=192.0.2.1"),
            ("XCLIENT login=alice", "XCLIENT login=***"),
            ("MAIL FROM:<a@b.example> SIZE=3", "MAIL FROM:<a@b.example> SIZE=3"),
            ("MAIL:x", "MAIL:x"),
            ("QUIT", "QUIT"),
            ("", "*** (0 bytes)"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn lines_are_whole_however_they_come_and_long_ones_are_cut() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["EH", "LO x\r", "\nMAIL FROM:<>\r\nRC"] {
            lines.push(piece.as_bytes(), |line, cut| seen.push((line.to_vec(), cut)));
        }
        assert_eq!(seen, [(b"EHLO x".to_vec(), 0), (b"MAIL FROM:<>".to_vec(), 0)]);
        seen.clear();
        lines.push(&[b"x".repeat(5000), b"\r\n".to_vec()].concat(), |line, cut| {
            seen.push((line.to_vec(), cut))
        });
        assert_eq!((seen[0].0.len(), seen[0].1), (LINE_BYTES_MAX, 5000 + 3 - LINE_BYTES_MAX));
    }

    #[test]
    fn the_recipients_domain_is_found_in_the_line() {
        let cases = [
            ("RCPT TO:<a@B.Example>", Some("b.example")),
            ("rcpt to: <\"a@x\"@b.example> NOTIFY=NEVER", Some("b.example")),
            ("RCPT TO:<postmaster>", None),
            ("RCPT TO:", None),
            ("MAIL FROM:<a@b.example>", None),
        ];
        for (line, expected) in cases {
            assert_eq!(recipient_domain(line.as_bytes()).as_deref(), expected, "{line}");
        }
    }
}
