//! Which of our addresses an attempt leaves from.
//!
//! A message has one address per family out of those of its transport, found by a hash of its transaction's id with each
//! address (rendezvous hashing). So a retry leaves from where the first attempt did without anything being
//! stored, the messages spread evenly, and an address more or less moves only its share of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use engine::net::Udp;
use net::smtp::client;

/// A configured source address.
#[derive(Debug)]
pub struct Source {
    /// Its id under `addresses`, if it stands there.
    pub id: Option<Arc<str>>,
    /// The address.
    pub address: IpAddr,
    /// Bind it though the host need not have it.
    pub nonlocal: bool,
    /// Who has it, and connects from there on our behalf; `None`: we do.
    pub proxy: Option<SocketAddr>,
    /// Settings of sessions from there: the HELO name is its own.
    pub session: Arc<client::Config>,
}

impl Source {
    /// For people: its id, or the address where it has none.
    pub fn name(&self) -> String {
        self.id.as_deref().map_or_else(|| self.address.to_string(), str::to_owned)
    }
}

/// Where the connections of a transport come from.
#[derive(Debug)]
pub struct Sources {
    /// IPv4, IPv6.
    pub families: [Family; 2],
    /// Spread messages over the addresses; `false`: the first that may be used.
    pub spread: bool,
}

/// Where connections of one family come from.
#[derive(Debug)]
pub enum Family {
    /// It is not used.
    Off,
    /// The system chooses.
    System,
    /// One of these; an address may stand there more than once. Empty when this host defines none of those named.
    Pool(Vec<Arc<Source>>),
}

/// Where an attempt comes from.
#[derive(Clone, Debug)]
pub enum Choice {
    /// From an address that the system chooses.
    System,
    /// From this one.
    From(Arc<Source>),
    /// From nowhere: each address is suspended.
    Suspended,
    /// From nowhere: this host defines none of the addresses named.
    Undefined,
}

impl Choice {
    /// The address, unless the system chooses.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Choice::From(source) => Some(source.address),
            _ => None,
        }
    }

    /// Its id, if it has one.
    pub fn id(&self) -> Option<&Arc<str>> {
        match self {
            Choice::From(source) => source.id.as_ref(),
            _ => None,
        }
    }

    /// Who connects on our behalf; `of_route` where the system chooses.
    pub fn proxy(&self, of_route: Option<SocketAddr>) -> Option<SocketAddr> {
        match self {
            Choice::From(source) => source.proxy,
            _ => of_route,
        }
    }
}

/// The address that the system would choose for a connection to `remote`. No packet is sent.
pub async fn of_system(remote: SocketAddr) -> Option<IpAddr> {
    let socket = Udp::connect(remote).await.ok()?;
    Some(socket.local_addr().ip())
}

impl Sources {
    /// Whether a family is used at all.
    pub fn is_on(&self, ipv6: bool) -> bool {
        !matches!(self.families[usize::from(ipv6)], Family::Off)
    }

    /// The addresses that are configured, IPv4 first.
    pub fn configured(&self) -> impl Iterator<Item = &Arc<Source>> {
        let pools = self.families.iter().filter_map(|family| match family {
            Family::Pool(sources) => Some(sources),
            Family::Off | Family::System => None,
        });
        pools.flatten()
    }

    /// Where the message of `transaction` leaves from, if it goes over this family: the first of its ranking that is
    /// permitted. `None`: the family is not used.
    pub fn choose(
        &self,
        ipv6: bool,
        transaction: &[u8; 16],
        permits: impl Fn(Option<IpAddr>) -> bool,
    ) -> Option<Choice> {
        let pool = match &self.families[usize::from(ipv6)] {
            Family::Off => return None,
            Family::System if permits(None) => return Some(Choice::System),
            Family::System => return Some(Choice::Suspended),
            Family::Pool(pool) if pool.is_empty() => return Some(Choice::Undefined),
            Family::Pool(pool) => pool,
        };
        let permitted = pool.iter().enumerate().filter(|(_, source)| permits(Some(source.address)));
        let chosen = if self.spread {
            permitted.max_by_key(|(place, source)| weight(transaction, source.address, copies(pool, *place)))
        } else {
            permitted.min_by_key(|(place, _)| *place)
        };
        Some(chosen.map_or(Choice::Suspended, |(_, source)| Choice::From(Arc::clone(source))))
    }
}

/// How many of the same address stand before it: each has a weight of its own.
fn copies(pool: &[Arc<Source>], place: usize) -> u64 {
    pool[..place].iter().filter(|other| other.address == pool[place].address).count() as u64
}

fn weight(transaction: &[u8; 16], address: IpAddr, copy: u64) -> u64 {
    let id = u128::from_be_bytes(*transaction);
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let halves = |value: u128| [value as u64, (value >> 64) as u64];
    let words = [halves(id), halves(bits)].concat();
    words.into_iter().chain([copy]).fold(0, |state, word| mix(state ^ word))
}

/// The output function of splitmix64.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use net::smtp::address::Hostname;

    use super::*;

    fn sources(addresses: &[&str], spread: bool) -> Sources {
        let source = |address: &&str| {
            let hostname = Hostname::parse(b"a.example").unwrap();
            let session = Arc::new(client::Config::new(hostname));
            Arc::new(Source {
                id: Some((*address).into()),
                address: address.parse().unwrap(),
                nonlocal: false,
                proxy: None,
                session,
            })
        };
        Sources { families: [Family::Pool(addresses.iter().map(source).collect()), Family::Off], spread }
    }

    fn transaction(number: u128) -> [u8; 16] {
        (number << 64 | 7).to_be_bytes()
    }

    fn chosen(sources: &Sources, number: u128, not: Option<&str>) -> String {
        let not: Option<IpAddr> = not.map(|text| text.parse().unwrap());
        let choice = sources.choose(false, &transaction(number), |address| not.is_none() || address != not);
        choice.unwrap().address().unwrap().to_string()
    }

    fn shares(sources: &Sources) -> BTreeMap<String, u32> {
        let mut shares = BTreeMap::new();
        (0..3000).for_each(|number| *shares.entry(chosen(sources, number, None)).or_default() += 1);
        shares
    }

    #[test]
    fn messages_are_spread_evenly_and_a_repeated_address_gets_a_share_for_each() {
        let even = shares(&sources(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], true));
        assert!(even.values().all(|share| (900..1100).contains(share)), "{even:?}");
        let weighted = shares(&sources(&["192.0.2.1", "192.0.2.2", "192.0.2.1"], true));
        assert!((1900..2100).contains(&weighted["192.0.2.1"]), "{weighted:?}");
    }

    #[test]
    fn a_retry_keeps_its_address_unless_that_is_suspended_or_gone() {
        let (three, two) = (
            sources(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], true),
            sources(&["192.0.2.3", "192.0.2.1"], true),
        );
        for number in 0..1000 {
            let first = chosen(&three, number, None);
            assert_eq!(chosen(&three, number, None), first);
            if first != "192.0.2.2" {
                assert_eq!(chosen(&two, number, None), first, "another address went, this one stays");
                assert_eq!(chosen(&three, number, Some("192.0.2.2")), first);
            }
            assert_ne!(chosen(&three, number, Some(&first)), first);
        }
    }

    #[test]
    fn in_order_the_first_that_is_permitted_is_taken() {
        let sources = sources(&["192.0.2.9", "192.0.2.1"], false);
        assert!((0..50).all(|number| chosen(&sources, number, None) == "192.0.2.9"));
        assert!((0..50).all(|number| chosen(&sources, number, Some("192.0.2.9")) == "192.0.2.1"));
    }

    #[test]
    fn nothing_permitted_nothing_defined_and_a_family_that_is_off_are_told_apart() {
        let choose =
            |sources: &Sources, ipv6, permitted| sources.choose(ipv6, &transaction(1), |_| permitted);
        let some = sources(&["192.0.2.1"], true);
        assert!(matches!(choose(&some, false, false), Some(Choice::Suspended)));
        assert!(choose(&some, true, true).is_none());
        assert!(matches!(choose(&sources(&[], true), false, true), Some(Choice::Undefined)));
    }
}
