//! What an attempt would ask of TLS with a host, told without connecting: for `queue explain`. Only DNS is asked.

use std::net::{IpAddr, Ipv4Addr};

use hooks::queued::Tlsa;
use net::dns::MailHost;
use tls::Demand;

use super::dane::{self, Refused};
use super::distrust::Distrust;
use super::next_hop::Candidate;
use crate::shard::Shard;
use crate::snapshot::Route;

pub use super::source::of_system;

/// The mode of a route, by its name.
pub fn tls_mode(route: &Route) -> String {
    let begins_in_tls = route.tls.as_ref().is_some_and(|tls| tls.implicit);
    let beginning = if begins_in_tls { ", from the first byte" } else { "" };
    format!("{}{beginning}", route.tls_mode.name())
}

/// Whether hosts are asked for TLSA records.
pub fn is_under_dane(route: &Route) -> bool {
    route.tls.as_ref().is_some_and(|tls| tls.dane.is_some())
}

/// Whether TLS is not tried with an address because it has failed there lately, and need not be.
pub fn goes_in_clear(route: &Route, address: IpAddr) -> bool {
    route.tls.as_ref().is_some_and(|tls| tls.optional) && Distrust::here().tls_fails(address).is_some()
}

/// What the TLSA records of a host mean for its mail.
#[derive(Clone, Debug)]
pub struct Records {
    /// In words.
    pub text: String,
    /// No mail in clear, whatever the route says.
    pub demand_tls: bool,
}

/// Asks for the TLSA records of a host.
pub async fn dane(shard: &Shard, route: &Route, host: &MailHost, domain: &str) -> Records {
    let candidate = Candidate {
        name: host.name.clone(),
        // Nothing is asked of it.
        address: host.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        authentic: host.authentic,
        name_authentic: host.name_authentic,
    };
    let mut found = None;
    let demand = dane::demand(shard, route, &candidate, Some(domain), &mut found).await;
    let why = match &found {
        Some(Tlsa::Error(why)) => format!(" ({why})"),
        _ => String::new(),
    };
    let text = match &demand {
        Ok(Some(Demand::Certificate(_))) => {
            let count = match &found {
                Some(Tlsa::Records(records)) => records.len(),
                _ => 0,
            };
            format!("its certificate must be one that its TLSA records, {count}, vouch for")
        }
        Ok(Some(Demand::Encryption)) => {
            "none of its TLSA records can be used: TLS with any certificate".to_owned()
        }
        Ok(None) => {
            let instead = match route.tls_mode {
                config::TlsMode::DaneFallbackRequire => config::TlsMode::Require,
                config::TlsMode::DaneFallbackRequireVerify => config::TlsMode::RequireVerify,
                _ => config::TlsMode::Optional,
            };
            format!("no secure TLSA records{why}: as {}", instead.name())
        }
        Err(Refused::NotKnown(_)) => format!("its TLSA records are not known now{why}: its mail waits"),
        Err(Refused::Missing(..)) => format!("no secure TLSA records{why}: it gets no mail"),
    };
    Records { text, demand_tls: !matches!(demand, Ok(None)) }
}
