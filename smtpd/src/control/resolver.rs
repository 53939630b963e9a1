//! `resolver clear` and its like.

use std::rc::Rc;

use control::smtpd as proto;
use net::dns::MailHosts;
use uuid::Uuid;

use super::client::Client;
use super::explain::why_none;
use super::shards::{Answer, ask, ask_one, sort_out};
use crate::delivery::look_up;
use crate::domain::normalise;
use crate::program::Control;

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
    let (_, missing) = sort_out(answers.await);
    client.log_change(match action {
        Action::Clear => format_args!("resolver clear"),
        Action::Reload => format_args!("resolver reload"),
    });
    match missing.first() {
        None => Ok(Vec::new()),
        Some(missing) => {
            Err(format!("shard {} stands still, and does it when it moves again", missing.shard))
        }
    }
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
            let by_mx = |route: &&std::sync::Arc<crate::snapshot::Route>| {
                matches!(route.next_hop, config::NextHop::Mx)
            };
            match snapshot.routes.values().find(by_mx) {
                Some(route) => look_up(&shard, route, &name, transaction.as_bytes(), retry).await,
                None => MailHosts::NoMailHost("no transport goes by MX records".into()),
            }
        });
        let hosts = match answer.await {
            Answer::Here(MailHosts::Found { hosts, .. }) => hosts,
            Answer::Here(other) => return Err(why_none(&other)),
            Answer::Stalled { .. } | Answer::Ended => continue,
        };
        let first = hosts.into_iter().next().ok_or("there is no host")?;
        return Ok(proto::ResolverQueryResponse {
            address: first.addresses.first().map(ToString::to_string).unwrap_or_default(),
            hostname: first.name.to_string(),
            dnssec: first.authentic,
            tlsa: None,
        });
    }
    Err("no shard answers".to_owned())
}
