//! Replies: code, enhanced code, text lines.

use std::fmt;

/// An enhanced status code (RFC 3463), such as 5.1.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EnhancedCode {
    /// 2 success, 4 transient failure, 5 permanent failure.
    pub class: u8,
    /// Which part of the system, 0 to 999.
    pub subject: u16,
    /// What is the matter with it, 0 to 999.
    pub detail: u16,
}

/// A reply: one code and at least one line of text. No text can hold CR, LF or another control character.
#[derive(Clone, Eq, PartialEq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    /// Lines, joined by LF.
    text: Box<[u8]>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Reply {
    /// A reply of ours. A line feed (or CRLF) in `text` begins a further line, other control characters become
    /// `?`, and a long line is cut into several. `code` outside 200 to 599 becomes 451.
    pub fn new(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Reply {
        todo!()
    }
    /// The code, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }
    /// The enhanced code, if the reply has one.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }
    /// The lines without codes. What a peer wrote may be in any encoding.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split(|&byte| byte == b'\n')
    }
    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }
    /// 4xx.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }
    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }
    /// Appends the reply in wire form, with or without its enhanced code.
    pub fn encode(&self, with_enhanced: bool, out: &mut Vec<u8>) {
        todo!()
    }
}

/// One line for the log: `550 5.1.1 no such user`, lines joined by a space, bytes above ASCII as `?`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
