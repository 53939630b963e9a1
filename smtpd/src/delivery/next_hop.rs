//! Where an attempt can connect to.

use std::net::IpAddr;
use std::sync::Arc;

use config::NextHop;
use net::dns::{Families, HostSearch, Lack, MailHost, MailHosts};
use queue::{Diagnosis, Outcome, Reason};

use super::errand::Errand;
use super::ourselves;
use super::source::mix;
use crate::shard::Shard;
use crate::snapshot::Route;

/// How much later than they should the caches of name servers may forget.
const CACHES_FORGET_MS: u64 = 1_000;

/// One address to connect to.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Name of the host, or its address where the configuration has that.
    pub(super) name: Arc<str>,
    /// Its address.
    pub(super) address: IpAddr,
    /// DNS vouches for the way from the domain to it.
    pub(super) authentic: bool,
    /// DNS vouches for the way from the domain to its name.
    pub(super) name_authentic: bool,
}

/// Where an attempt can go.
#[derive(Debug)]
pub(super) struct Candidates {
    /// In the order in which to try them.
    pub(super) known: Vec<Candidate>,
    /// Why there may be others, which are not known now.
    pub(super) unknown: Option<Reason>,
}

/// Why there is nowhere to connect to.
#[derive(Debug)]
pub(super) struct NoCandidates {
    /// For all recipients.
    pub(super) outcome: Outcome,
    /// In a word, for scripts (reference: hooks 4.2).
    pub(super) trouble: &'static str,
}

/// The candidates in the order in which to try them: by preference, and in an order that the message and its number
/// of attempts decide where that is equal.
pub(super) async fn find(shard: &Shard, route: &Route, errand: &Errand) -> Result<Candidates, NoCandidates> {
    let attempt = &errand.attempt;
    let domain = errand.wishes.domain.as_deref().or(attempt.destination.domain.as_deref());
    let retry = attempt.recipients.first().map_or(0, |recipient| recipient.attempts);
    candidates(look_up(shard, route, domain.unwrap_or_default(), &attempt.transaction, retry).await)
}

/// Where a route leads for a domain, in the order in which a message tries it after so many attempts.
pub async fn look_up(
    shard: &Shard,
    route: &Route,
    domain: &str,
    transaction: &[u8; 16],
    retry: u32,
) -> MailHosts {
    let families = Families { ipv4: route.sources.is_on(false), ipv6: route.sources.is_on(true) };
    let seed = seed(transaction);
    let search = match &route.next_hop {
        NextHop::Address(address) => {
            let name = address.to_string().into();
            let hosts = vec![MailHost::insecure(name, vec![*address])];
            return MailHosts::Found { hosts, unknown: None };
        }
        NextHop::Host(name) => {
            return shard
                .resolver
                .search(HostSearch::host(name, families, seed).in_turn(retry), |_| true)
                .await;
        }
        NextHop::Mx => HostSearch::mail(domain, families, seed).in_turn(retry),
    };
    let snapshot = shard.snapshot();
    let search = search.not_to(Arc::clone(&snapshot.ourselves.names));
    let hosts = shard.resolver.search(search, |host| route.mx.permits(host)).await;
    ourselves::leave_out(&snapshot.ourselves, route.port, hosts).await
}

/// The same for the same message.
fn seed(transaction: &[u8; 16]) -> u64 {
    let id = u128::from_be_bytes(*transaction);
    mix(id as u64 ^ (id >> 64) as u64)
}

/// What a look-up means for the mail: only what the domain itself says is final.
fn candidates(hosts: MailHosts) -> Result<Candidates, NoCandidates> {
    let (outcome, trouble) = match hosts {
        MailHosts::Found { hosts, unknown } => {
            return Ok(Candidates {
                known: hosts.into_iter().flat_map(of_host).collect(),
                unknown: unknown.map(|text| not_known_now(&text)),
            });
        }
        // RFC 7505 section 5.
        MailHosts::NullMx => {
            let reason = Diagnosis::new("the domain takes no mail (null MX)").with_enhanced(5, 1, 10);
            (Outcome::Permanent(reason.into()), "nullmx")
        }
        // RFC 3463: 5.1.2 bad destination system address, 4.4.4 unable to route, 5.4.6 routing loop detected.
        MailHosts::NoDomain { text, left_ms } => {
            let reason = Diagnosis::new(&*text).with_enhanced(5, 1, 2).into();
            // An earlier question would get the same answer out of a cache, this one's or another one's.
            let until_ms = engine::time::steady_ms().saturating_add(left_ms).saturating_add(CACHES_FORGET_MS);
            (Outcome::NoDomain { reason, until_ms }, "nxdomain")
        }
        MailHosts::OnlyUs(text) => {
            (Outcome::Permanent(Diagnosis::new(&*text).with_enhanced(5, 4, 6).into()), "other")
        }
        MailHosts::NoMailHost(lack, text) => {
            let trouble = match lack {
                Lack::Addresses => "nodata",
                Lack::Family => "ipfamily",
                Lack::Excluded => "excluded",
            };
            (Outcome::Temporary(Diagnosis::new(&*text).with_enhanced(4, 4, 4).into()), trouble)
        }
        MailHosts::Temporary(text) => (Outcome::LocalFault(not_known_now(&text)), "other"),
    };
    Err(NoCandidates { outcome, trouble })
}

/// RFC 3463: 4.4.3 directory server failure.
fn not_known_now(text: &str) -> Reason {
    Diagnosis::new(text).with_enhanced(4, 4, 3).into()
}

fn of_host(host: MailHost) -> impl Iterator<Item = Candidate> {
    let MailHost { name, addresses, authentic, name_authentic, .. } = host;
    addresses.into_iter().map(move |address| Candidate {
        name: Arc::clone(&name),
        address,
        authentic,
        name_authentic,
    })
}
