//! `queue explain`: what would become of a recipient. Sends nothing.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use net::dns::MailHosts;
use queue::Facts;
use queue::filter::{Condition, Filter, TextField, TextMatch};

use super::shards::{Answer, ask, ask_one};
use super::{conditions, list, rows, scan, suspends};
use crate::delivery::{Family, look_up};
use crate::domain::{domain_of, normalise};
use crate::program::Control;
use crate::shard::Shard;
use crate::snapshot::Route;

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
        || control.files().and_then(|files| Some(files.running.servers.first()?.transport.clone()));
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
    let found = found(control, &question).await;
    let all = suspends::list(control, &proto::SuspendRequest::default()).suspends;
    let (waiting, missing) = waiting(control, &question.domain).await;
    Ok(proto::QueueExplainResponse {
        recipient,
        grouping: found.hops.first().map(|hop| hop.grouping.clone()).unwrap_or_default(),
        nexthops: found.hops,
        sources: found.sources,
        policies: Vec::new(),
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
    let suspends = shard.suspends();
    let facts = Facts {
        tenant_id: Some(&question.tenant_id),
        job_id: Some(&question.job_id),
        transport_id: Some(&question.transport),
        recipient_domain: Some(&question.domain),
        ..Facts::default()
    };
    found.suspends.extend(suspends.matches(&facts));
    let hosts = look_up(shard, route, &question.domain, &question.transaction, question.retry).await;
    match &hosts {
        MailHosts::Found { hosts, unknown } => {
            found.notes.extend(unknown.as_ref().map(|why| format!("another host is not known now: {why}")));
            for host in hosts {
                for address in &host.addresses {
                    let grouping = snapshot.groups.of(&question.domain, &host.name, *address);
                    let facts = Facts {
                        remote_mx: Some(&host.name),
                        remote_ip: Some(*address),
                        grouping: Some(grouping),
                        ..facts
                    };
                    found.suspends.extend(suspends.matches(&facts));
                    found.hops.push(proto::ExplainHop {
                        preference: host.preference.into(),
                        hostname: host.name.to_string(),
                        address: address.to_string(),
                        port: route.port.into(),
                        grouping: grouping.to_owned(),
                        dnssec: host.authentic,
                        tls: tls(route).to_owned(),
                        ..proto::ExplainHop::default()
                    });
                }
            }
        }
        none => found.notes.push(why_none(none)),
    }
    found.sources = sources(route);
    found.suspends.sort_unstable();
    found.suspends.dedup();
    found
}

/// Why a look-up gave no host.
pub(super) fn why_none(hosts: &MailHosts) -> String {
    match hosts {
        MailHosts::Found { .. } => "there is no host".to_owned(),
        MailHosts::NullMx => "the domain takes no mail (null MX): it fails".to_owned(),
        MailHosts::NoDomain(why) => format!("{why}: it waits once, then fails"),
        MailHosts::NoMailHost(why) => format!("{why}: it waits"),
        MailHosts::Temporary(why) => format!("{why}: it waits until that is known"),
    }
}

fn tls(route: &Route) -> &'static str {
    match &route.tls {
        None => "none",
        Some(tls) if tls.optional => "optional",
        Some(_) => "required",
    }
}

fn sources(route: &Route) -> Vec<proto::ExplainSource> {
    let pools = route.sources.families.iter().filter_map(|family| match family {
        Family::Pool(sources) => Some(sources),
        Family::Off | Family::System => None,
    });
    let source = |source: &Arc<crate::delivery::Source>| proto::ExplainSource {
        address: source.address.to_string(),
        helo: String::from_utf8_lossy(source.session.hostname.as_bytes()).into_owned(),
        blocked: String::new(),
    };
    pools.flatten().map(source).collect()
}

/// What recipients at the domain wait for, and how many wait for the same.
async fn waiting(control: &Rc<Control>, domain: &str) -> (Vec<proto::ExplainWaiting>, Vec<proto::Missing>) {
    let here = Condition::Text(TextField::RecipientDomain, vec![TextMatch::equal(domain)]);
    let filter = Arc::new(Filter::new([here]));
    let answers = ask(control, move |shard| {
        let filter = Arc::clone(&filter);
        async move {
            let mut counts: BTreeMap<(i32, i32, String), u64> = BTreeMap::new();
            scan::scan(&shard, |item, now_ms| {
                if filter.matches(&item, now_ms) {
                    let waiting = rows::waiting(&item);
                    let state: i32 = rows::state(item.state).into();
                    *counts.entry((state, waiting.kind, waiting.text)).or_default() += 1;
                }
                // What a script or a peer words anew each time must not fill the memory.
                counts.len() < MOST_REASONS
            })
            .await;
            scan::scanned(&shard, counts)
        }
    });
    let (parts, missing) = scan::sort_out(answers.await);
    let mut all: BTreeMap<(i32, i32, String), u64> = BTreeMap::new();
    for (reason, count) in parts.into_iter().flatten() {
        *all.entry(reason).or_default() += count;
    }
    let row = |((state, kind, text), count)| {
        let waiting = Some(proto::Waiting { kind, until: 0.0, text });
        proto::ExplainWaiting { state, waiting, count }
    };
    (all.into_iter().map(row).collect(), missing)
}

/// Different reasons to wait that are counted.
const MOST_REASONS: usize = 1_000;
