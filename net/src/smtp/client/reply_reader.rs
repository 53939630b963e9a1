//! Puts replies together.
//!
//! A bare LF ends a line here, unlike anywhere else: old servers send it, and a peer that lies to us in its replies
//! needs no trick with line ends for that.

use memchr::memchr;

use crate::limits::{REPLY_BYTES_MAX, REPLY_LINE_BYTES_MAX, REPLY_LINES_MAX};
use crate::smtp::error::PeerMisbehaved;
use crate::smtp::reply::Reply;

/// Holds the part of a reply that has arrived; no heap otherwise.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    /// Part of a line.
    partial: Vec<u8>,
    /// Text of the whole lines so far, joined by LF.
    text: Vec<u8>,
    lines: usize,
    code: u16,
}

impl ReplyReader {
    /// Takes input up to the end of the next reply. `None` when the input is used up before.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, PeerMisbehaved> {
        while !input.is_empty() {
            let lf = memchr(b'\n', input);
            let piece = &input[..lf.unwrap_or(input.len())];
            // One more than a line may have, for its CR.
            if self.partial.len() + piece.len() > REPLY_LINE_BYTES_MAX + 1 {
                return Err(PeerMisbehaved::ReplyTooLong);
            }
            *input = &input[lf.map_or(input.len(), |lf| lf + 1)..];
            if lf.is_none() {
                self.partial.extend_from_slice(piece);
                return Ok(None);
            }
            let reply = if self.partial.is_empty() {
                self.take_line(piece)?
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(piece);
                self.take_line(&line)?
            };
            if reply.is_some() {
                return Ok(reply);
            }
        }
        Ok(None)
    }

    /// Whether part of a reply has arrived.
    pub(super) fn is_amid(&self) -> bool {
        self.lines > 0 || !self.partial.is_empty()
    }

    /// Takes a line without its LF; returns the reply when this was its last.
    fn take_line(&mut self, line: &[u8]) -> Result<Option<Reply>, PeerMisbehaved> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, is_last, text) = parse_line(line).ok_or(PeerMisbehaved::ReplyMalformed)?;
        if self.lines == 0 {
            if is_last {
                return Ok(Some(Reply::from_peer(code, text)));
            }
            self.code = code;
        } else {
            if code != self.code {
                return Err(PeerMisbehaved::ReplyMalformed);
            }
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(text);
        self.lines += 1;
        if self.lines > REPLY_LINES_MAX || self.text.len() > REPLY_BYTES_MAX {
            return Err(PeerMisbehaved::ReplyTooLong);
        }
        if !is_last {
            return Ok(None);
        }
        self.lines = 0;
        Ok(Some(Reply::from_peer(code, &std::mem::take(&mut self.text))))
    }
}

/// Code, whether this is the last line, text.
fn parse_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'2'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All replies of `text`, as text, and the fault that ended it.
    fn read(pieces: &[&[u8]]) -> (Vec<String>, Option<PeerMisbehaved>) {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match reader.next(&mut input) {
                    Ok(Some(reply)) => replies.push(reply.to_string()),
                    Ok(None) => break,
                    Err(fault) => return (replies, Some(fault)),
                }
            }
        }
        (replies, None)
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        use PeerMisbehaved::{ReplyMalformed, ReplyTooLong};
        let long_line = format!("250 {}\r\n", "x".repeat(REPLY_LINE_BYTES_MAX));
        let line_that_fits = format!("250 {}\r\n", "x".repeat(REPLY_LINE_BYTES_MAX - 4));
        let fits = format!("250 {}", "x".repeat(REPLY_LINE_BYTES_MAX - 4));
        let many_lines = "250-x\r\n".repeat(REPLY_LINES_MAX + 1);
        let many_bytes = format!("250-{}\r\n", "x".repeat(2000)).repeat(9);
        type Case<'a> = (&'a str, &'a [&'a str], Option<PeerMisbehaved>);
        let cases: &[Case<'_>] = &[
            ("250 Ok\r\n354 go\r\n", &["250 Ok", "354 go"], None),
            ("250\r\n250 \r\n", &["250 ", "250 "], None),
            ("250-a\r\n250-b\r\n250 c\r\n220 x\r\n", &["250 a b c", "220 x"], None),
            ("550-5.1.1 no\r\n550 5.1.1 user\r\n", &["550 5.1.1 no user"], None),
            ("250 bare LF\n250-a\n250 b\r\n", &["250 bare LF", "250 a b"], None),
            ("250 a\rb\0c\r\r\n", &["250 a?b?c?"], None),
            (&line_that_fits, &[&fits], None),
            ("250 Ok", &[], None),
            ("250-a\r\n251 b\r\n", &[], Some(ReplyMalformed)),
            ("hello\r\n", &[], Some(ReplyMalformed)),
            ("\r\n", &[], Some(ReplyMalformed)),
            ("25\r\n", &[], Some(ReplyMalformed)),
            ("25x y\r\n", &[], Some(ReplyMalformed)),
            ("150 y\r\n", &[], Some(ReplyMalformed)),
            ("650 y\r\n", &[], Some(ReplyMalformed)),
            ("250_y\r\n", &[], Some(ReplyMalformed)),
            ("250 a\r\nHTTP/1.1 400 Bad Request\r\n", &["250 a"], Some(ReplyMalformed)),
            (&long_line, &[], Some(ReplyTooLong)),
            (&many_lines, &[], Some(ReplyTooLong)),
            (&many_bytes, &[], Some(ReplyTooLong)),
        ];
        for (text, replies, fault) in cases {
            for cut in (0..=text.len()).step_by(1 + text.len() / 500) {
                let (head, tail) = text.as_bytes().split_at(cut);
                let (seen, seen_fault) = read(&[head, tail]);
                let shown = &text[..text.len().min(50)];
                assert_eq!(
                    (&seen[..], seen_fault),
                    (&replies.iter().map(|reply| reply.to_string()).collect::<Vec<_>>()[..], *fault),
                    "{shown:?} cut at {cut}"
                );
            }
        }
    }
}
