//! Which connections a trace shows.

use std::net::IpAddr;

use control::smtpd::{NetworkMatch, StringMatch, TraceRequest};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

use crate::limits;

/// What a connection must be. Several values of one kind: any of them; several kinds: each of them.
#[derive(Clone, Debug)]
pub struct Filter {
    networks: Vec<(IpNet, bool)>,
    domains: Vec<Text>,
    servers: Vec<Text>,
    incoming: bool,
    outgoing: bool,
}

/// A text to match.
#[derive(Clone, Debug)]
struct Text {
    pattern: Pattern,
    negated: bool,
}

#[derive(Clone, Debug)]
enum Pattern {
    Whole(String),
    Part(String),
    Regex(Box<Regex>),
}

/// What is known of a connection from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// To a next hop.
    pub outgoing: bool,
    /// The other end.
    pub remote: IpAddr,
    /// The server; of a connection to a next hop, the name of the host.
    pub name: &'a str,
}

impl Filter {
    /// What a request asks for.
    ///
    /// # Errors
    /// A sentence about the value that cannot be read.
    pub fn of(request: &TraceRequest) -> Result<Filter, String> {
        let both = request.incoming == request.outgoing;
        Ok(Filter {
            networks: request.remoteips.iter().map(network).collect::<Result<_, _>>()?,
            domains: request.recipientdomains.iter().map(Text::of).collect::<Result<_, _>>()?,
            servers: request.serverids.iter().map(Text::of).collect::<Result<_, _>>()?,
            incoming: both || request.incoming,
            outgoing: both || request.outgoing,
        })
    }

    /// Whether a connection may be shown, by what is known of it from its beginning.
    pub(super) fn may_show(&self, who: Who<'_>) -> bool {
        let remote = who.remote.to_canonical();
        let direction = if who.outgoing { self.outgoing } else { self.incoming };
        // Next hops have no server.
        let server = self.servers.is_empty() || !who.outgoing && any(&self.servers, who.name);
        let networks = &self.networks;
        let from = networks.is_empty() || networks.iter().any(|(net, not)| net.contains(&remote) != *not);
        direction && server && from
    }

    /// Whether it waits for a recipient.
    pub(super) fn needs_recipient(&self) -> bool {
        !self.domains.is_empty()
    }

    /// Whether the domain of a recipient is one of those.
    pub(super) fn takes(&self, domain: &str) -> bool {
        any(&self.domains, domain)
    }
}

fn any(texts: &[Text], value: &str) -> bool {
    texts.iter().any(|text| text.matches(value))
}

fn network(wanted: &NetworkMatch) -> Result<(IpNet, bool), String> {
    let value = &wanted.value;
    let parsed = value.parse::<IpNet>().or_else(|_| value.parse::<IpAddr>().map(IpNet::from));
    parsed.map(|net| (net, wanted.neq)).map_err(|_| format!("\"{value}\" is no address or network"))
}

impl Text {
    fn of(wanted: &StringMatch) -> Result<Text, String> {
        let pattern = if wanted.regex.is_empty() {
            let value = wanted.value.to_lowercase();
            if wanted.partial { Pattern::Part(value) } else { Pattern::Whole(value) }
        } else {
            let mut builder = RegexBuilder::new(&wanted.regex);
            builder.case_insensitive(true).size_limit(limits::TRACE_REGEX_BYTES);
            Pattern::Regex(Box::new(
                builder.build().map_err(|error| format!("\"{}\": {error}", wanted.regex))?,
            ))
        };
        Ok(Text { pattern, negated: wanted.neq })
    }

    fn matches(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        let found = match &self.pattern {
            Pattern::Whole(text) => value == *text,
            Pattern::Part(text) => value.contains(text.as_str()),
            Pattern::Regex(regex) => regex.is_match(&value),
        };
        found != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> StringMatch {
        StringMatch { value: value.to_owned(), ..StringMatch::default() }
    }

    #[test]
    fn a_connection_must_be_all_that_is_asked_for() {
        let request = TraceRequest {
            remoteips: vec![NetworkMatch { value: "192.0.2.0/24".to_owned(), neq: false }],
            recipientdomains: vec![text("b.example")],
            serverids: vec![text("in")],
            ..TraceRequest::default()
        };
        let filter = Filter::of(&request).expect("good");
        let who =
            Who { outgoing: false, remote: "::ffff:192.0.2.9".parse().expect("an address"), name: "IN" };
        assert!(filter.may_show(who) && filter.needs_recipient());
        assert!(filter.takes("B.example") && !filter.takes("x.b.example"));
        assert!(!filter.may_show(Who { name: "other", ..who }));
        assert!(!filter.may_show(Who { remote: "198.51.100.1".parse().expect("an address"), ..who }));
        assert!(!filter.may_show(Who { outgoing: true, ..who }), "a next hop is of no server");
    }

    #[test]
    fn nothing_asked_for_is_everything_and_nonsense_is_said() {
        let all = Filter::of(&TraceRequest::default()).expect("good");
        let who = Who { outgoing: true, remote: "192.0.2.9".parse().expect("an address"), name: "mx" };
        assert!(all.may_show(who) && !all.needs_recipient());
        let incoming = Filter::of(&TraceRequest { incoming: true, ..TraceRequest::default() }).expect("good");
        assert!(!incoming.may_show(who));
        let bad = NetworkMatch { value: "example".to_owned(), neq: false };
        let bad = Filter::of(&TraceRequest { remoteips: vec![bad], ..TraceRequest::default() });
        assert_eq!(bad.expect_err("no address"), "\"example\" is no address or network");
    }
}
