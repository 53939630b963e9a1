//! The addresses that mail may leave from.

use std::net::IpAddr;
use std::sync::Arc;

use control::smtpd as proto;
use queue::Facts;

use crate::delivery::{Family, Source};
use crate::ruleset::Ruleset;
use crate::snapshot::Route;

/// Those of a route, by family, with what keeps them from being used for mail to the hops.
pub(super) fn of(
    route: &Route,
    rules: &Ruleset,
    facts: &Facts<'_>,
    hops: &[proto::ExplainHop],
) -> Vec<proto::ExplainSource> {
    let families = ["ipv4", "ipv6"].into_iter().zip(&route.sources.families);
    let rows = families.flat_map(|(family, of_family)| match of_family {
        Family::Off => Vec::new(),
        Family::System => vec![proto::ExplainSource {
            helo: lossy(route.session.hostname.as_bytes()),
            family: family.to_owned(),
            ..proto::ExplainSource::default()
        }],
        Family::Pool(pool) if pool.is_empty() => vec![proto::ExplainSource {
            blocked: "this host defines none of the addresses that the transport names".to_owned(),
            family: family.to_owned(),
            ..proto::ExplainSource::default()
        }],
        Family::Pool(pool) => pool.iter().map(|source| row(source, family, rules, facts, hops)).collect(),
    });
    rows.collect()
}

fn row(
    source: &Arc<Source>,
    family: &str,
    rules: &Ruleset,
    facts: &Facts<'_>,
    hops: &[proto::ExplainHop],
) -> proto::ExplainSource {
    let own = Facts { local_ip: Some(source.address), ..*facts };
    // What is suspended as a whole is not for the sake of its address.
    let suspended = rules.suspends.matches(&own).is_some() && rules.suspends.matches(facts).is_none();
    let blocked = match () {
        () if suspended => "suspended",
        () if is_kept_for_others(rules, &own, hops) => "warming up: it serves other mail only",
        () => "",
    };
    proto::ExplainSource {
        address: source.address.to_string(),
        helo: lossy(source.session.hostname.as_bytes()),
        blocked: blocked.to_owned(),
        family: family.to_owned(),
    }
}

/// Whether an address must not be used for mail to any of the hops of its family.
fn is_kept_for_others(rules: &Ruleset, facts: &Facts<'_>, hops: &[proto::ExplainHop]) -> bool {
    let of_family =
        |address: &IpAddr| facts.local_ip.is_some_and(|local| local.is_ipv4() == address.is_ipv4());
    let addresses = hops.iter().filter_map(|hop| Some((hop.address.parse::<IpAddr>().ok()?, hop)));
    let mut hops = addresses.filter(|(address, _)| of_family(address)).peekable();
    !rules.reserved.is_empty()
        && hops.peek().is_some()
        && hops.all(|(address, hop)| {
            rules.reserved.excludes(&Facts {
                remote_ip: Some(address),
                remote_mx: Some(&hop.hostname),
                grouping: Some(&hop.grouping),
                ..*facts
            })
        })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
