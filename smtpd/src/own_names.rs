//! Whether the names under which we leave are those that DNS has for our addresses: receivers look.
//!
//! At start and at each reload the PTR records of each source address are asked for, and a HELO name that is not among
//! them is warned of, once. Where the system chooses the address, it is the one that it would choose now. Nothing depends
//! on it. Addresses of which the Internet knows nothing (loopback, private ones behind a translation) are left out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use config::NextHop;
use net::dns::{DomainName, MailHosts};

use crate::delivery::preview::of_system;
use crate::delivery::{Family, Source};
use crate::log::Priority;
use crate::shard::Shard;
use crate::snapshot::Route;

/// Stands for the hosts of the Internet where it is asked which address the system would choose: a root name server. It
/// gets no packet.
const FAR_AWAY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30)),
];

/// Looks at the addresses of the configuration in force.
pub(crate) async fn check(shard: Rc<Shard>) {
    let snapshot = shard.snapshot();
    let mut names = BTreeMap::new();
    for (Leaving { from, helo }, whose) in leavings(snapshot.routes.values().map(|route| &**route)) {
        let address = match from {
            Origin::Configured(address) => Some(address),
            Origin::Towards(remote) => of_system(SocketAddr::new(remote, 25)).await,
            Origin::TowardsHost { name, ipv6 } => match shard.resolver.host(&name, !ipv6, ipv6, 0).await {
                MailHosts::Found { hosts, .. } => {
                    let first = hosts.iter().flat_map(|host| &host.addresses).next();
                    match first {
                        Some(remote) => of_system(SocketAddr::new(*remote, 25)).await,
                        None => None,
                    }
                }
                _ => None,
            },
        };
        if let Some(address) = address.filter(|address| is_public(*address)) {
            names.entry((address.to_canonical(), helo)).or_insert(whose);
        }
    }
    for ((address, helo), whose) in names {
        // What DNS does not say now is asked for again at the next reload.
        let Ok(known) = shard.resolver.names(address).await else { continue };
        if let Some(what) = mismatch(&helo, &known) {
            let text = format_args!(
                "{whose}: mail from {address} says EHLO {helo}, but {what}; receivers may refuse it"
            );
            shard.log.line(Priority::Warning, text);
        }
    }
}

/// A name that mail leaves under, and from where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Leaving {
    from: Origin,
    helo: String,
}

/// Where mail leaves from.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// An entry of `addresses`.
    Configured(IpAddr),
    /// The address that the system chooses towards this one.
    Towards(IpAddr),
    /// The same towards an address of this host.
    TowardsHost { name: String, ipv6: bool },
}

/// Each once, with the entry of the configuration that says so.
fn leavings<'r>(routes: impl Iterator<Item = &'r Route>) -> BTreeMap<Leaving, String> {
    let mut routes: Vec<&Route> = routes.collect();
    routes.sort_by(|one, other| one.id.cmp(&other.id));
    let mut leavings = BTreeMap::new();
    for route in routes {
        for (family, far_away) in route.sources.families.iter().zip(FAR_AWAY) {
            match family {
                Family::Off => {}
                Family::Pool(pool) => leavings.extend(pool.iter().map(|source| configured(source))),
                // Where somebody else connects, the address is not ours.
                Family::System if route.proxy.is_some() => {}
                Family::System => {
                    if let Some(from) = towards(&route.next_hop, far_away) {
                        let leaving = Leaving { from, helo: text(&route.session) };
                        leavings.entry(leaving).or_insert_with(|| format!("transport \"{}\"", route.id));
                    }
                }
            }
        }
    }
    leavings
}

fn configured(source: &Source) -> (Leaving, String) {
    let leaving = Leaving { from: Origin::Configured(source.address), helo: text(&source.session) };
    (leaving, format!("addresses \"{}\"", source.name()))
}

fn text(session: &net::smtp::client::Config) -> String {
    String::from_utf8_lossy(session.hostname.as_bytes()).into_owned()
}

/// `None`: the next hop is not of the family of `far_away`.
fn towards(next_hop: &NextHop, far_away: IpAddr) -> Option<Origin> {
    match next_hop {
        NextHop::Mx => Some(Origin::Towards(far_away)),
        NextHop::Address(address) => {
            (address.is_ipv6() == far_away.is_ipv6()).then_some(Origin::Towards(*address))
        }
        NextHop::Host(name) => Some(Origin::TowardsHost { name: name.clone(), ipv6: far_away.is_ipv6() }),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_private() && !address.is_link_local(),
        IpAddr::V6(address) => {
            !address.is_loopback() && !address.is_unique_local() && !address.is_unicast_link_local()
        }
    }
}

/// What is wrong with a HELO name for an address that has these names in DNS.
fn mismatch(helo: &str, known: &[DomainName]) -> Option<String> {
    let helo = DomainName::parse(helo);
    match known {
        [] => Some("the address has no name in DNS (PTR)".to_owned()),
        known if helo.is_ok_and(|helo| known.contains(&helo)) => None,
        [first, ..] => Some(format!("its name in DNS (PTR) is {first}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_among_those_of_the_address_is_good_in_any_case() {
        let known = ["mx1.example", "mx2.example"].map(|name| DomainName::parse(name).unwrap());
        assert_eq!(mismatch("MX2.example", &known), None);
        assert_eq!(mismatch("mx3.example", &known).unwrap(), "its name in DNS (PTR) is mx1.example");
        assert_eq!(mismatch("[192.0.2.1]", &known).unwrap(), "its name in DNS (PTR) is mx1.example");
        assert_eq!(mismatch("mx1.example", &[]).unwrap(), "the address has no name in DNS (PTR)");
    }

    #[test]
    fn where_the_system_chooses_it_is_asked_towards_the_next_hop() {
        let [far4, far6] = FAR_AWAY;
        let near: IpAddr = "192.0.2.1".parse().unwrap();
        let host = |ipv6| Origin::TowardsHost { name: "hub.example".to_owned(), ipv6 };
        let cases = [
            (NextHop::Mx, [Some(Origin::Towards(far4)), Some(Origin::Towards(far6))]),
            (NextHop::Address(near), [Some(Origin::Towards(near)), None]),
            (NextHop::Host("hub.example".to_owned()), [Some(host(false)), Some(host(true))]),
        ];
        for (next_hop, expected) in cases {
            assert_eq!(FAR_AWAY.map(|far_away| towards(&next_hop, far_away)), expected, "{next_hop:?}");
        }
    }

    #[test]
    fn addresses_that_the_internet_does_not_see_are_left_out() {
        let public = ["192.0.2.1", "2001:db8::1"];
        let not = ["127.0.0.21", "10.0.0.1", "192.168.1.1", "169.254.0.1", "::1", "fd00::1", "fe80::1"];
        assert!(public.iter().all(|address| is_public(address.parse().unwrap())));
        assert!(!not.iter().any(|address| is_public(address.parse().unwrap())));
    }
}
