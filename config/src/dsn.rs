//! `dsn` of a transport: whether and how senders are told what became of their mail.

use crate::report::{Problem, Report};
use crate::tree::Tree;

/// Reports on the mail of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// What carries them.
    pub transport: DsnTransport,
    /// Address of their From field; `None`: `MAILER-DAEMON` at this host.
    pub from: Option<String>,
    /// Name of their From field.
    pub from_name: String,
    /// What of the original they give back when the sender does not say (RET of RFC 3461).
    pub returns: DsnReturns,
}

/// `dsn.transport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DsnTransport {
    /// Absent: the transport of the message.
    OfTheMessage,
    /// Empty: there are no reports.
    Off,
    /// The one with this id.
    Named(String),
}

/// `dsn.format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnReturns {
    /// Its header.
    Headers,
    /// All of it.
    Full,
}

/// What the schema cannot say; `path` is the transport's, `transports` the ids of all.
pub(crate) fn cross_check(transport: &Tree, path: &str, transports: &[&str], report: &mut Report) {
    if let Some(id) = transport.text("dsn.transport").filter(|id| !id.is_empty() && !transports.contains(id))
    {
        let at = transport.get("dsn.transport").map_or(transport.at, |tree| tree.at);
        let hint = format!("known: {}; empty for no notifications", transports.join(", "));
        let problem = Problem::new(format!("unknown transport \"{id}\"")).hint(hint);
        report.error(at, &format!("{path}.dsn.transport"), problem);
    }
    if let Some(from) = transport.text("dsn.from").filter(|from| !looks_like_an_address(from)) {
        let at = transport.get("dsn.from").map_or(transport.at, |tree| tree.at);
        let problem = Problem::new(format!("\"{from}\" is not an address"))
            .hint("write it as mailer-daemon@example.org; the name is dsn.fromname");
        report.error(at, &format!("{path}.dsn.from"), problem);
    }
}

fn looks_like_an_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"<>,;:\"@".contains(c))
    };
    text.split_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain))
}

/// From a transport's tree without errors and with all defaults.
pub(crate) fn dsn(transport: &Tree) -> Dsn {
    Dsn {
        transport: match transport.text("dsn.transport") {
            None => DsnTransport::OfTheMessage,
            Some("") => DsnTransport::Off,
            Some(id) => DsnTransport::Named(id.to_owned()),
        },
        from: transport.text("dsn.from").map(str::to_owned),
        from_name: transport.text("dsn.fromname").expect("has a default").to_owned(),
        returns: match transport.text("dsn.format") {
            Some("full") => DsnReturns::Full,
            _ => DsnReturns::Headers,
        },
    }
}
