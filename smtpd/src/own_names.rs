//! Whether the names under which we leave are those that DNS has for our addresses: receivers look.
//!
//! At start and at each reload the PTR records of each source address are asked for, and a HELO name that is not among
//! them is warned of, once. Nothing depends on it. Addresses of which the Internet knows nothing (loopback, private
//! ones behind a translation) are left out.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

use net::dns::DomainName;

use crate::delivery::{Family, Source};
use crate::log::Priority;
use crate::shard::Shard;
use crate::snapshot::Snapshot;

/// Looks at the addresses of the configuration in force.
pub(crate) async fn check(shard: Rc<Shard>) {
    for Name { address, helo, id } in names(&shard.snapshot()) {
        // What DNS does not say now is asked for again at the next reload.
        let Ok(known) = shard.resolver.names(address).await else { continue };
        if let Some(what) = mismatch(&helo, &known) {
            let text = format_args!(
                "addresses \"{id}\": mail from {address} says EHLO {helo}, but {what}; receivers may refuse it"
            );
            shard.log.line(Priority::Warning, text);
        }
    }
}

/// A name that an address goes by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    address: IpAddr,
    helo: String,
    id: String,
}

fn names(snapshot: &Snapshot) -> BTreeSet<Name> {
    let families = snapshot.routes.values().flat_map(|route| &route.sources.families);
    let pools = families.filter_map(|family| match family {
        Family::Pool(pool) => Some(pool),
        Family::Off | Family::System => None,
    });
    pools.flatten().filter(|source| is_public(source.address)).map(|source| name(source)).collect()
}

fn name(source: &Source) -> Name {
    let helo = String::from_utf8_lossy(source.session.hostname.as_bytes()).into_owned();
    Name { address: source.address.to_canonical(), helo, id: source.id.to_string() }
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
    fn addresses_that_the_internet_does_not_see_are_left_out() {
        let public = ["192.0.2.1", "2001:db8::1"];
        let not = ["127.0.0.21", "10.0.0.1", "192.168.1.1", "169.254.0.1", "::1", "fd00::1", "fe80::1"];
        assert!(public.iter().all(|address| is_public(address.parse().unwrap())));
        assert!(!not.iter().any(|address| is_public(address.parse().unwrap())));
    }
}
