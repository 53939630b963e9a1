//! `session` of a transport, but for its TLS: what is said to a next hop.

use std::fmt;

use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

/// What is said to a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSession {
    /// LMTP instead of SMTP.
    pub lmtp: bool,
    /// Whom to log in as.
    pub login: Option<TransportLogin>,
    /// XCLIENT attributes: name in upper case, value.
    pub xclient: Vec<(String, String)>,
    /// Use BDAT where it is offered.
    pub chunking: bool,
    /// Send an 8-bit message as it is to a peer without 8BITMIME.
    pub eight_bit_as_is: bool,
}

/// `session.sasl`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TransportLogin {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// The attributes of XCLIENT.
const XCLIENT_ATTRIBUTES: [&str; 8] =
    ["ADDR", "DESTADDR", "DESTPORT", "HELO", "LOGIN", "NAME", "PORT", "PROTO"];

/// What the schema cannot say about the `session` of a transport; before defaults.
pub(crate) fn cross_check(transport: &Tree, path: &str, report: &mut Report) {
    for (name, value) in transport.entries("session.xclient") {
        if !XCLIENT_ATTRIBUTES.contains(&&*name.to_ascii_uppercase()) {
            let problem = Problem::new(format!("\"{name}\" is no attribute of XCLIENT"))
                .hint(format!("there are {}", XCLIENT_ATTRIBUTES.join(", ")));
            report.error(value.at, &format!("{path}.session.xclient"), problem);
        }
    }
    if let (Some(sasl), None) = (transport.get("session.sasl"), transport.text("session.tls.mode")) {
        let problem =
            Problem::new("without TLS the password is not shown, so that PLAIN and LOGIN are not used")
                .hint("set session.tls.mode: require, or to disabled to show it all the same");
        report.warning(sasl.at, &format!("{path}.session.sasl"), problem);
    }
    if let (Some("lmtp"), None) = (transport.text("session.protocol"), transport.get("connection.server")) {
        let problem =
            Problem::new("LMTP is for a server of one's own, not for those that DNS names (RFC 2033)")
                .hint("set connection.server");
        report.warning(transport.at, &format!("{path}.session.protocol"), problem);
    }
}

/// The typed value of a transport, from a tree without errors and with all defaults.
pub(crate) fn of_transport(tree: &Tree) -> TransportSession {
    let login = tree.get("session.sasl").map(|sasl| TransportLogin {
        username: sasl.text("username").expect("required").to_owned(),
        password: sasl.text("password").expect("required").to_owned(),
    });
    let attribute = |(name, value): &(String, Tree)| match &value.value {
        Checked::Text(text) => Some((name.to_ascii_uppercase(), text.clone())),
        _ => None,
    };
    TransportSession {
        lmtp: tree.text("session.protocol") == Some("lmtp"),
        login,
        xclient: tree.entries("session.xclient").iter().filter_map(attribute).collect(),
        chunking: tree.bool("session.chunking").expect("has a default"),
        eight_bit_as_is: tree.text("session.8bitmime") == Some("asis"),
    }
}

/// Without the password.
impl fmt::Debug for TransportLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportLogin").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let login = TransportLogin { username: "u".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{login:?}").contains("secret"));
    }
}
