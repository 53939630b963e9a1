//! `queue explain`: what would become of a recipient. Sends nothing.

mod applying;
mod hops;
mod sources;
mod waiting;

use std::net::SocketAddr;
use std::rc::Rc;

use control::smtpd as proto;
use net::dns::MailHosts;
use queue::Facts;
use queue::policy::Applying;

use super::shards::{self, Answer, ask, ask_one};
use super::{conditions, list, suspends};
use crate::delivery::look_up;
use crate::program::Control;
use crate::shard::Shard;
use net::smtp::domain::{domain_of, normalise};

/// What is asked about.
#[derive(Clone, Debug)]
struct Question {
    domain: String,
    transport: String,
    job_id: String,
    tenant_id: String,
    transaction: [u8; 16],
    retry: u32,
}

/// What one shard says.
#[derive(Debug, Default)]
struct Found {
    hops: Vec<proto::ExplainHop>,
    sources: Vec<proto::ExplainSource>,
    /// Numbers of the suspends that match, and the notes.
    suspends: Vec<usize>,
    /// Policies by their counters, in the order of the policies for the first hop.
    applying: Vec<Applying>,
    notes: Vec<String>,
}

/// What would become of a recipient, and what those at the same domain wait for.
///
/// # Errors
/// A sentence on what is wrong with the request.
pub(super) async fn explain(
    control: &Rc<Control>,
    request: proto::QueueExplainRequest,
) -> Result<proto::QueueExplainResponse, String> {
    let item = match request.id.clone() {
        Some(id) => Some(item_of(control, id).await?),
        None => None,
    };
    let of_item = |field: fn(&proto::QueueItem) -> &str| item.as_ref().map(field).unwrap_or_default();
    let given = |given: &Option<String>, field: fn(&proto::QueueItem) -> &str| {
        given.clone().unwrap_or_else(|| of_item(field).to_owned())
    };
    let recipient = match request.recipient.as_str() {
        "" => of_item(|item| &item.recipient).to_owned(),
        recipient => recipient.to_owned(),
    };
    let domain = if recipient.contains('@') {
        domain_of(recipient.as_bytes())
    } else {
        normalise(recipient.as_bytes())
    };
    let domain = domain.ok_or("recipient: is neither an address nor a domain")?;
    let transport = given(&request.transportid, |item| &item.transportid);
    let of_first_server =
        || control.files().and_then(|files| files.running.servers.first()?.transport.clone());
    let transport = Some(transport).filter(|transport| !transport.is_empty());
    let question = Question {
        domain,
        transport: transport.or_else(of_first_server).unwrap_or_default(),
        job_id: given(&request.jobid, |item| &item.jobid),
        tenant_id: given(&request.tenantid, |item| &item.tenantid),
        transaction: item
            .as_ref()
            .and_then(|item| conditions::id(item.id.as_ref()?).ok())
            .unwrap_or_default()
            .0,
        retry: item.as_ref().map_or(0, |item| item.retry),
    };
    let mut found = found(control, &question).await;
    count_idle(control, &mut found.hops).await;
    let policies = applying::of(control, std::mem::take(&mut found.applying)).await;
    let all = suspends::list(control, &proto::SuspendRequest::default()).suspends;
    let (mut waiting, missing) = waiting::at(control, &question.domain).await;
    suspends::name_waits(control, waiting.iter_mut().filter_map(|row| row.waiting.as_mut()));
    Ok(proto::QueueExplainResponse {
        recipient,
        grouping: found.hops.first().map(|hop| hop.grouping.clone()).unwrap_or_default(),
        nexthops: found.hops,
        sources: found.sources,
        policies,
        suspends: found.suspends.iter().filter_map(|number| all.get(*number).cloned()).collect(),
        waiting,
        notes: found.notes,
        domain: question.domain,
        transportid: question.transport,
        jobid: question.job_id,
        tenantid: question.tenant_id,
        item,
        missing,
    })
}

async fn item_of(control: &Rc<Control>, id: proto::QueueId) -> Result<proto::QueueItem, String> {
    let name = id.transaction.clone();
    let conditions = Some(proto::Conditions { ids: vec![id], ..proto::Conditions::default() });
    let request = proto::QueueListRequest { conditions, limit: 1, ..proto::QueueListRequest::default() };
    let listed = list::list(control, request).await?;
    listed.queue.into_iter().next().ok_or_else(|| format!("id: nothing of {name} is queued"))
}

/// From the first shard that moves.
async fn found(control: &Rc<Control>, question: &Question) -> Found {
    for shard in 0..control.program.shards {
        let question = question.clone();
        let answer = ask_one(control, shard, move |shard| async move { look(&shard, &question).await });
        if let Answer::Here(found) = answer.await {
            return found;
        }
    }
    Found { notes: vec!["no shard answers".to_owned()], ..Found::default() }
}

async fn look(shard: &Rc<Shard>, question: &Question) -> Found {
    let snapshot = shard.snapshot();
    let mut found = Found::default();
    let Some(route) = snapshot.routes.get(&question.transport) else {
        found.notes.push(format!("there is no transport \"{}\": mail waits for it", question.transport));
        return found;
    };
    let facts = Facts {
        tenant_id: Some(&question.tenant_id),
        job_id: Some(&question.job_id),
        transport_id: Some(&question.transport),
        recipient_domain: Some(&question.domain),
        ..Facts::default()
    };
    let rules = shard.rules();
    found.suspends.extend(rules.suspends.matches(&facts));
    let hosts = look_up(shard, route, &question.domain, &question.transaction, question.retry).await;
    match &hosts {
        MailHosts::Found { hosts, unknown } => {
            found.notes.extend(unknown.as_ref().map(|why| format!("another host is not known now: {why}")));
            hops::Hops { shard, snapshot: &snapshot, route, rules: &rules }
                .look(hosts, &facts, &mut found)
                .await;
            if snapshot.scripts.predelivery.is_some() {
                found.notes.push(ASKS_A_SCRIPT.to_owned());
            }
        }
        none => found.notes.push(why_none(none)),
    }
    found.sources = sources::of(route, &rules, &facts, &found.hops);
    found.suspends.sort_unstable();
    found.suspends.dedup();
    found
}

/// The script is not run.
const ASKS_A_SCRIPT: &str = "the predelivery script is asked before each attempt, and may want other hosts, addresses and TLS than these";

/// Counts the idle connections to each hop, over all shards.
async fn count_idle(control: &Rc<Control>, hops: &mut [proto::ExplainHop]) {
    let answers = ask(control, |shard| std::future::ready(shard.delivery.idle_remotes()));
    let idle: Vec<SocketAddr> = shards::sort_out(answers.await).0.into_iter().flatten().collect();
    for hop in hops {
        let to = |remote: &&SocketAddr| {
            remote.ip().to_string() == hop.address && u32::from(remote.port()) == hop.port
        };
        hop.pooled = u32::try_from(idle.iter().filter(to).count()).unwrap_or(u32::MAX);
    }
}

/// Why a look-up gave no host.
pub(super) fn why_none(hosts: &MailHosts) -> String {
    match hosts {
        MailHosts::Found { .. } => "there is no host".to_owned(),
        MailHosts::NullMx => "the domain takes no mail (null MX): it fails".to_owned(),
        MailHosts::NoDomain { text: why, .. } => format!("{why}: it waits once, then fails"),
        MailHosts::NoMailHost(_, why) => format!("{why}: it waits"),
        MailHosts::OnlyUs(why) => format!("{why}: it fails"),
        MailHosts::Temporary(why) => format!("{why}: it waits until that is known"),
    }
}
