//! Reads SMTP replies on the client side. Written apart from the server's own codec on purpose, so that a fault
//! in one does not hide in the other.

use std::collections::VecDeque;

use crate::limits::MAX_REPLY_BYTES;

/// One reply, all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The text of the lines without codes, joined by LF.
    pub text: Vec<u8>,
}

/// What the server sent is not a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Turns bytes into replies.
#[derive(Debug, Default)]
pub struct Replies {
    line: Vec<u8>,
    text: Vec<u8>,
    code: Option<u16>,
    ready: VecDeque<Reply>,
}

impl Replies {
    /// Takes bytes as they come.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), Malformed> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            if self.line.is_empty() {
                self.take_line(&input[..end])?;
            } else {
                self.line.extend_from_slice(&input[..end]);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line)?;
            }
            input = &input[end + 1..];
        }
        self.line.extend_from_slice(input);
        if self.line.len() + self.text.len() > MAX_REPLY_BYTES { Err(Malformed) } else { Ok(()) }
    }

    /// The next complete reply.
    pub fn pop(&mut self) -> Option<Reply> {
        self.ready.pop_front()
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let digits = line.get(..3).ok_or(Malformed)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Malformed);
        }
        let code = digits.iter().fold(0u16, |code, digit| code * 10 + u16::from(digit - b'0'));
        if !(200..600).contains(&code) || self.code.is_some_and(|first| first != code) {
            return Err(Malformed);
        }
        let more = match line.get(3) {
            None | Some(b' ') => false,
            Some(b'-') => true,
            Some(_) => return Err(Malformed),
        };
        if self.code.is_some() {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(line.get(4..).unwrap_or(b""));
        if more {
            self.code = Some(code);
        } else {
            self.code = None;
            self.ready.push_back(Reply { code, text: std::mem::take(&mut self.text) });
        }
        Ok(())
    }
}

impl Reply {
    /// True for 2xx.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// True when one of the lines after the first is the capability `name`, with or without a parameter.
    pub fn announces(&self, name: &str) -> bool {
        self.text.split(|byte| *byte == b'\n').skip(1).any(|line| {
            let word = line.split(|byte| *byte == b' ').next().unwrap_or(line);
            word.eq_ignore_ascii_case(name.as_bytes())
        })
    }

    /// Code, enhanced code when there is one, and the start of the text: what failures are grouped by. Digits
    /// beyond the codes are left out, so that a queue id does not make every reply a kind of its own.
    pub fn summary(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        let first = text.lines().next().unwrap_or("");
        let (enhanced, rest) = first.split_once(' ').unwrap_or((first, ""));
        let is_enhanced =
            enhanced.split('.').count() == 3 && enhanced.split('.').all(|part| part.parse::<u16>().is_ok());
        let (enhanced, rest) = if is_enhanced { (enhanced, rest) } else { ("", first) };
        let words: Vec<&str> =
            rest.split_whitespace().take_while(|word| !word.contains(|c: char| c.is_ascii_digit())).collect();
        let mut out = self.code.to_string();
        for part in [enhanced, &words.join(" ")] {
            if !part.is_empty() {
                out.push(' ');
                out.extend(part.chars().take(60));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], cut: usize) -> Result<Vec<Reply>, Malformed> {
        let mut replies = Replies::default();
        for piece in input.chunks(cut) {
            replies.feed(piece)?;
        }
        Ok(std::iter::from_fn(|| replies.pop()).collect())
    }

    #[test]
    fn replies_are_the_same_however_the_bytes_are_cut() {
        let input = b"220 x ESMTP\r\n250-x\r\n250-PIPELINING\r\n250-SIZE 100\r\n250 8BITMIME\r\n354\r\n";
        let whole = all(input, input.len()).unwrap();
        assert_eq!(whole.iter().map(|reply| reply.code).collect::<Vec<_>>(), [220, 250, 354]);
        assert!(whole[1].announces("pipelining") && whole[1].announces("SIZE"));
        assert!(!whole[1].announces("x") && !whole[1].announces("CHUNKING"));
        for cut in 1..input.len() {
            assert_eq!(all(input, cut).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn what_is_not_a_reply_is_refused() {
        for input in ["hello\r\n", "25\r\n", "2500 x\r\n", "250-a\r\n251 b\r\n", "099 x\r\n", "\r\n"] {
            assert_eq!(all(input.as_bytes(), 100), Err(Malformed), "{input}");
        }
        assert_eq!(all(&vec![b'2'; MAX_REPLY_BYTES + 1], 1000), Err(Malformed));
    }

    #[test]
    fn a_summary_leaves_queue_ids_out() {
        let summary = |text: &str| all(text.as_bytes(), 100).unwrap()[0].summary();
        assert_eq!(
            summary("451 4.3.0 Mail server temporarily rejected\r\n"),
            "451 4.3.0 Mail server temporarily rejected"
        );
        assert_eq!(summary("550 no such user 12345\r\n"), "550 no such user");
        assert_eq!(summary("452\r\n"), "452");
    }
}
