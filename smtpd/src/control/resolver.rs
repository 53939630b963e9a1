//! `resolver clear` and its like.

use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use data_encoding::HEXLOWER;
use net::dns::{Lack, MailHosts};
use tls::TlsaRecord;
use uuid::Uuid;

use super::client::Client;
use super::explain::why_none;
use super::shards::{Answer, ask, ask_one, sort_out, without};
use crate::delivery::look_up;
use crate::limits;
use crate::program::Control;
use crate::resolver::Looking;
use net::smtp::domain::normalise;

/// What is done to each shard's resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Forgets all answers.
    Clear,
    /// Reads the system's resolver file again, where that says whom to ask.
    Reload,
}

/// On all shards.
///
/// # Errors
/// A shard does not answer; it does it when it moves again.
pub(super) async fn apply(client: &Client, action: Action) -> Result<Vec<u8>, String> {
    let answers = ask(&client.control, move |shard| {
        match action {
            Action::Clear => shard.resolver.clear(),
            Action::Reload => shard.resolver.reconfigure(&shard.snapshot().resolver),
        }
        std::future::ready(())
    });
    let (done, missing) = sort_out(answers.await);
    let line = match action {
        Action::Clear => "resolver clear",
        Action::Reload => "resolver reload",
    };
    client.log_change(format_args!("{line}: {} shards{}", done.len(), without(&missing)));
    match missing.first() {
        None => Ok(Vec::new()),
        Some(missing) => {
            Err(format!("shard {} stands still, and does it when it moves again", missing.shard))
        }
    }
}

/// Look-ups under way, the longest first.
pub(super) async fn running(control: &Rc<Control>) -> proto::ResolverListResponse {
    let answers = ask(control, |shard| std::future::ready(shard.resolver.looking().0));
    let mut all: Vec<Looking> = sort_out(answers.await).0.into_iter().flatten().collect();
    all.sort_by_key(|looking| std::cmp::Reverse(looking.for_ms));
    all.truncate(limits::CONTROL_LOOKUPS);
    let row = |looking: Looking| proto::ResolverLookup {
        hostname: looking.name,
        duration: looking.for_ms as f64 / 1000.0,
    };
    proto::ResolverListResponse { lookups: all.into_iter().map(row).collect() }
}

/// Look-ups that wait until fewer are under way; each shard has a queue of its own.
pub(super) async fn waiting(control: &Rc<Control>) -> proto::ResolverQueueResponse {
    let answers = ask(control, |shard| std::future::ready(shard.resolver.looking().1));
    let rows = sort_out(answers.await).0.into_iter().flat_map(|of_shard| {
        (1..).zip(of_shard).map(|(position, looking)| proto::ResolverWaiting {
            position,
            hostname: looking.name,
            priority: 0,
            dedups: looking.others,
        })
    });
    let mut lookups: Vec<_> = rows.collect();
    lookups.sort_by_key(|row| row.position);
    lookups.truncate(limits::CONTROL_LOOKUPS);
    proto::ResolverQueueResponse { lookups }
}

/// The host and address that a message would try first, by the MX records of a name.
///
/// # Errors
/// Why there is none.
pub(super) async fn query(
    control: &Rc<Control>,
    request: proto::ResolverQueryRequest,
) -> Result<proto::ResolverQueryResponse, String> {
    let transaction = match request.seed.as_deref().filter(|seed| !seed.is_empty()) {
        None => Uuid::nil(),
        Some(seed) => {
            Uuid::parse_str(seed).map_err(|_| format!("\"{seed}\" is not the id of a transaction"))?
        }
    };
    let name = normalise(request.name.as_bytes()).ok_or("name: is missing")?;
    let retry = request.retry.unwrap_or(0);
    for shard in 0..control.program.shards {
        let name = name.clone();
        let answer = ask_one(control, shard, move |shard| async move {
            let snapshot = shard.snapshot();
            let by_mx = |route: &&Arc<crate::snapshot::Route>| matches!(route.next_hop, config::NextHop::Mx);
            let Some(route) = snapshot.routes.values().find(by_mx) else {
                return (
                    MailHosts::NoMailHost(Lack::Addresses, "no transport goes by MX records".into()),
                    None,
                );
            };
            let hosts = look_up(&shard, route, &name, transaction.as_bytes(), retry).await;
            let first = match &hosts {
                MailHosts::Found { hosts, .. } => hosts.first().map(|host| Arc::clone(&host.name)),
                _ => None,
            };
            let tlsa = match first {
                Some(name) => shard.resolver.tlsa(&name, route.port).await.ok(),
                None => None,
            };
            (hosts, tlsa)
        });
        let (hosts, tlsa) = match answer.await {
            Answer::Here((MailHosts::Found { hosts, .. }, tlsa)) => (hosts, tlsa),
            Answer::Here((other, _)) => return Err(why_none(&other)),
            Answer::Stalled { .. } | Answer::Ended => continue,
        };
        let first = hosts.into_iter().next().ok_or("there is no host")?;
        return Ok(proto::ResolverQueryResponse {
            address: first.addresses.first().map(ToString::to_string).unwrap_or_default(),
            hostname: first.name.to_string(),
            dnssec: first.authentic,
            tlsa: tlsa.filter(|(records, _)| !records.is_empty()).map(|(records, dnssec)| {
                proto::ResolverTlsa { dnssec, rr: records.iter().map(tlsa_text).collect() }
            }),
        });
    }
    Err("no shard answers".to_owned())
}

fn tlsa_text(record: &TlsaRecord) -> String {
    let TlsaRecord { usage, selector, matching, data } = record;
    format!("{usage} {selector} {matching} {}", HEXLOWER.encode(data))
}
