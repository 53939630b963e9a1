//! The replies that a decision means where the script says no more: one table (reference: hooks 1.3).

use net::smtp::reply::EnhancedCode;

/// Code and enhanced code of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    pub(crate) code: u16,
    pub(crate) enhanced: Option<EnhancedCode>,
}

/// What a refusal says by default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) codes: Codes,
    pub(crate) text: &'static str,
}

/// The refusals of one hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusals {
    pub(crate) reject: Said,
    pub(crate) defer: Said,
    /// The connection closes after either, whatever the script says.
    pub(crate) closes: bool,
}

const fn codes(code: u16, subject: u16, detail: u16) -> Codes {
    let enhanced = EnhancedCode { class: (code / 100) as u8, subject, detail };
    Codes { code, enhanced: Some(enhanced) }
}

const fn default(codes: Codes, text: &'static str) -> Said {
    Said { codes, text }
}

/// What a client hears of a script that failed.
const TROUBLE: &str = "Try again later";
const NO: &str = "Not accepted";

pub(crate) const CONNECT: Refusals = Refusals {
    reject: default(codes(521, 7, 1), "Service refused"),
    defer: default(codes(421, 3, 2), TROUBLE),
    closes: true,
};
pub(crate) const HELO: Refusals = Refusals {
    reject: default(codes(554, 7, 1), NO),
    defer: default(codes(450, 7, 1), TROUBLE),
    closes: false,
};
pub(crate) const AUTH: Refusals = Refusals {
    reject: default(codes(535, 7, 8), "Authentication failed"),
    defer: default(codes(454, 7, 0), "Temporary authentication failure"),
    closes: false,
};
pub(crate) const MAIL: Refusals = Refusals {
    reject: default(codes(554, 7, 1), NO),
    defer: default(codes(450, 7, 1), TROUBLE),
    closes: false,
};
pub(crate) const RCPT: Refusals = Refusals {
    reject: default(codes(554, 7, 1), NO),
    defer: default(codes(450, 7, 1), TROUBLE),
    closes: false,
};
pub(crate) const EOD: Refusals = Refusals {
    reject: default(codes(550, 7, 1), NO),
    defer: default(codes(421, 3, 2), TROUBLE),
    closes: false,
};

/// The reply of a proxy script, and what the client hears when that script fails.
pub(crate) const PROXY_REPLY: Said = default(Codes { code: 250, enhanced: None }, "Ok");
pub(crate) const PROXY_FAILED: Said = default(codes(421, 3, 2), TROUBLE);

pub(crate) const MAIL_ACCEPTED: Said = default(codes(250, 1, 0), "Ok");
pub(crate) const RCPT_ACCEPTED: Said = default(codes(250, 1, 5), "Ok");
pub(crate) const AUTH_ACCEPTED: Said = default(codes(235, 7, 0), "Authentication successful");
/// The text names the transaction.
pub(crate) const EOD_ACCEPTED: Codes = codes(250, 0, 0);
