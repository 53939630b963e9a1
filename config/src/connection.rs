//! `connection.sourceip` and `connection.mx` of transports: from which addresses, and to which hosts.

use std::net::SocketAddr;

use crate::report::{Problem, Report};
use crate::scalar::{is_host_name, quoted};
use crate::tree::{Checked, Tree};

/// `connection.sourceip.ipv4` and `.ipv6`: where connections of one family come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceIp {
    /// The family is not used.
    Off,
    /// The system chooses.
    System,
    /// These ids of `addresses`, which may repeat; a host need not have all of them.
    Addresses(Vec<String>),
}

/// `connection.mx`: which of a domain's hosts may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MxFilter {
    /// Only those that match one of these; empty: all.
    pub include: Vec<MxPattern>,
    /// None that matches one of these.
    pub exclude: Vec<MxPattern>,
}

/// A host name in lower case whose labels may be `*`, which stands for one whole label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MxPattern(String);

impl SourceIp {
    /// The family may be used.
    pub fn is_on(&self) -> bool {
        *self != SourceIp::Off
    }
}

impl MxFilter {
    /// Whether a host may be used; `host` in lower case, without trailing dot.
    pub fn permits(&self, host: &str) -> bool {
        let any = |patterns: &[MxPattern]| patterns.iter().any(|pattern| pattern.matches(host));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

impl MxPattern {
    /// `None`: it is not a host name.
    pub fn parse(text: &str) -> Option<MxPattern> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let plain: Vec<&str> = text.split('.').map(|label| if label == "*" { "x" } else { label }).collect();
        is_host_name(&plain.join(".")).then_some(MxPattern(text))
    }

    fn matches(&self, host: &str) -> bool {
        let (mut pattern, mut labels) = (self.0.split('.'), host.split('.'));
        loop {
            match (pattern.next(), labels.next()) {
                (None, None) => return true,
                (Some(expected), Some(label)) if expected == "*" || expected == label => {}
                _ => return false,
            }
        }
    }
}

/// The two families of a transport, IPv4 first. A family about which nothing is said is not used when the other one
/// has a list: mail whose addresses were chosen leaves from no others.
pub(crate) fn source_ips(transport: &Tree) -> [SourceIp; 2] {
    let families = ["ipv4", "ipv6"].map(|family| transport.get(&format!("connection.sourceip.{family}")));
    let is_list = |tree: &Option<&Tree>| matches!(tree, Some(Tree { value: Checked::List(_), .. }));
    let any_list = families.iter().any(is_list);
    families.map(|tree| match tree.map(|tree| &tree.value) {
        Some(Checked::List(items)) => SourceIp::Addresses(items.iter().filter_map(text_of).collect()),
        Some(Checked::Bool(false)) => SourceIp::Off,
        None if any_list => SourceIp::Off,
        _ => SourceIp::System,
    })
}

/// The proxy at `path`: address and port.
pub(crate) fn proxy(tree: &Tree, path: &str) -> Option<SocketAddr> {
    let proxy = tree.get(path)?;
    let port = proxy.integer("port").and_then(|port| u16::try_from(port).ok())?;
    Some(SocketAddr::new(proxy.ip("server")?, port))
}

/// `connection.mx`, once checked.
pub(crate) fn mx_filter(transport: &Tree) -> MxFilter {
    let patterns = |key: &str| {
        let items = transport.items(&format!("connection.mx.{key}")).iter();
        items.filter_map(|item| MxPattern::parse(&text_of(item)?)).collect()
    };
    MxFilter { include: patterns("include"), exclude: patterns("exclude") }
}

/// What the schema cannot say, for one transport at `path`. `addresses` is the running file's list.
pub(crate) fn cross_check(transport: &Tree, addresses: &[Tree], path: &str, report: &mut Report) {
    let [ipv4, ipv6] = source_ips(transport);
    if !ipv4.is_on() && !ipv6.is_on() {
        let problem = Problem::new("neither IPv4 nor IPv6 may be used").hint("set one of them to true");
        report.error(transport.at, &format!("{path}.connection.sourceip"), problem);
    }
    for family in ["ipv4", "ipv6"] {
        let key = format!("connection.sourceip.{family}");
        let Some(Tree { value: Checked::List(items), at }) = transport.get(&key) else { continue };
        if items.is_empty() {
            let problem = Problem::new("the list is empty").hint("`false` switches the family off");
            report.error(*at, &format!("{path}.{key}"), problem);
        }
        for (index, item) in items.iter().enumerate() {
            check_source(item, family, addresses, &format!("{path}.{key}[{index}]"), report);
        }
    }
    for key in ["connection.mx.include", "connection.mx.exclude"] {
        for (index, item) in transport.items(key).iter().enumerate() {
            let Some(text) = text_of(item).filter(|text| MxPattern::parse(text).is_none()) else { continue };
            let problem = Problem::new(format!("{} is not a host name", quoted(&text)))
                .hint("* stands for one whole label, as in *.mail.example.com");
            report.error(item.at, &format!("{path}.{key}[{index}]"), problem);
        }
    }
}

/// A name that this host does not define is an error only when it is used; one of the wrong family is a mistake.
fn check_source(item: &Tree, family: &str, addresses: &[Tree], path: &str, report: &mut Report) {
    let Some(id) = text_of(item) else { return };
    let named = addresses.iter().find(|address| address.text("id") == Some(&id));
    match named.and_then(|address| address.ip("address")) {
        Some(address) if address.is_ipv4() != (family == "ipv4") => {
            let text = format!("the address of {} is {address}, which is of the other family", quoted(&id));
            report.error(item.at, path, Problem::new(text));
        }
        Some(_) => {}
        None => {
            let text = format!("no address {} under addresses: it is left out", quoted(&id));
            report.warning(item.at, path, Problem::new(text));
        }
    }
}

fn text_of(tree: &Tree) -> Option<String> {
    match &tree.value {
        Checked::Text(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_label() {
        let cases = [
            ("mx.example.com", "mx.example.com", true),
            ("*.example.com", "mx.example.com", true),
            ("*.example.com", "a.mx.example.com", false),
            ("*.example.com", "example.com", false),
            ("mx.*.com", "mx.example.com", true),
            ("MX.Example.com.", "mx.example.com", true),
        ];
        for (pattern, host, expected) in cases {
            assert_eq!(MxPattern::parse(pattern).unwrap().matches(host), expected, "{pattern} {host}");
        }
        for bad in ["", "mx*.example.com", "a..b", "a b.example"] {
            assert_eq!(MxPattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_excluded_is_not_used_even_when_included() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| MxPattern::parse(text).unwrap()).collect();
        let filter = MxFilter { include: patterns(&["*.a.example"]), exclude: patterns(&["bad.a.example"]) };
        let permitted = ["mx.a.example", "bad.a.example", "mx.b.example"].map(|host| filter.permits(host));
        assert_eq!(permitted, [true, false, false]);
        assert!(MxFilter::default().permits("anything.example"));
    }
}
