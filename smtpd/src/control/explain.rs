//! `queue explain`: what would become of a recipient. Sends nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use net::dns::MailHosts;
use queue::Facts;
use queue::filter::{Condition, Filter, TextField, TextMatch};
use queue::policy::{Applying, Key, Policy, Usage};

use super::shards::{self, Answer, ask, ask_one};
use super::{conditions, list, policies, rows, scan, suspends};
use crate::delivery::policies::Desk;
use crate::delivery::{Family, Source, look_up, parked_until_ms};
use crate::program::Control;
use crate::ruleset::policies_of;
use crate::shard::Shard;
use crate::snapshot::Route;
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
    let mut found = found(control, &question).await;
    count_idle(control, &mut found.hops).await;
    let policies = applying_policies(control, std::mem::take(&mut found.applying)).await;
    let all = suspends::list(control, &proto::SuspendRequest::default()).suspends;
    let (mut waiting, missing) = waiting(control, &question.domain).await;
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
    found.match_suspends(shard, &facts);
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
                    let parked_until_ms = found.way(shard, route, &facts, *address);
                    found.hops.push(proto::ExplainHop {
                        preference: host.preference.into(),
                        hostname: host.name.to_string(),
                        address: address.to_string(),
                        port: route.port.into(),
                        grouping: grouping.to_owned(),
                        dnssec: host.authentic,
                        tls: tls(route).to_owned(),
                        parkeduntil: parked_until_ms.map(policies::at_unix_seconds).unwrap_or_default(),
                        parked: parked_until_ms.map(|_| PARKED.to_owned()).unwrap_or_default(),
                        ..proto::ExplainHop::default()
                    });
                }
            }
        }
        none => found.notes.push(why_none(none)),
    }
    found.sources = sources(shard, route, &facts);
    found.suspends.sort_unstable();
    found.suspends.dedup();
    found
}

/// Why a host is left alone.
const PARKED: &str = "connects have failed";

impl Found {
    fn match_suspends(&mut self, shard: &Shard, facts: &Facts<'_>) {
        self.suspends.extend(shard.suspends().matches(facts));
    }

    /// Looks at the ways to an address, from each of ours. `Some`: all of them are left alone, at least until then.
    fn way(&mut self, shard: &Shard, route: &Route, facts: &Facts<'_>, address: IpAddr) -> Option<u64> {
        self.match_suspends(shard, facts);
        let ours = pool(route).filter(|source| source.address.is_ipv4() == address.is_ipv4());
        let mut ours: Vec<_> = ours.map(|source| Some(source.address)).collect();
        if ours.is_empty() {
            ours.push(None);
        }
        let policies = shard.rules().policies;
        for local_ip in &ours {
            for applying in policies.applying(&Facts { local_ip: *local_ip, ..*facts }) {
                if self.applying.iter().all(|known| known.key != applying.key) {
                    self.applying.push(applying);
                }
            }
        }
        let remote = SocketAddr::new(address, route.port);
        let parked: Option<Vec<u64>> = ours.iter().map(|local| parked_until_ms(*local, remote)).collect();
        parked.and_then(|until_ms| until_ms.into_iter().min())
    }
}

/// The policies that apply, with their counters, which other shards may own.
async fn applying_policies(control: &Rc<Control>, applying: Vec<Applying>) -> Vec<proto::ExplainPolicy> {
    let keys: Arc<[Key]> = applying.iter().map(|applying| applying.key.clone()).collect();
    let answers = ask(control, move |_| {
        let desk = Desk::here();
        std::future::ready(keys.iter().map(|key| desk.usage(key)).collect::<Vec<Option<Usage>>>())
    });
    let mut usages: Vec<Option<Usage>> = vec![None; applying.len()];
    for of_shard in shards::sort_out(answers.await).0 {
        for (known, here) in usages.iter_mut().zip(of_shard) {
            *known = known.take().or(here);
        }
    }
    let files = control.files();
    let of_file = files.map(|files| policies_of(&files.policies)).unwrap_or_default();
    let row = |(applying, usage): (Applying, Option<Usage>)| {
        // A counter that does not exist is as if new.
        let usage = usage.unwrap_or_else(|| Usage {
            key: applying.key.clone(),
            policy: applying.policy,
            limits: applying.limits,
            connections: 0,
            tokens: applying.limits.rate.map(|rate| rate.count),
            next_connect_ms: None,
            waiting: Vec::new(),
        });
        let of_file = of_file.get(applying.policy as usize);
        let (kind, condition) = reason(&applying, of_file);
        proto::ExplainPolicy {
            index: applying.policy,
            fields: applying.key.fields().iter().map(|field| field.name().to_owned()).collect(),
            r#type: kind.into(),
            exhausted: is_exhausted(&usage),
            entry: Some(policies::entry(&usage)),
            condition,
        }
    };
    applying.into_iter().zip(usages).map(row).collect()
}

/// What of a policy applies: ids of dynamic conditions, or the fields of one of the file; nothing for its default.
fn reason(applying: &Applying, of_file: Option<&Policy>) -> (proto::PolicyConditionType, Option<String>) {
    if !applying.dynamic.is_empty() {
        return (proto::PolicyConditionType::Dynamic, Some(applying.dynamic.join(", ")));
    }
    let matched = of_file.and_then(|policy| {
        let then = applying.then.last()?;
        policy.conditions.iter().find(|condition| condition.then == **then)
    });
    let text = matched.map(|condition| {
        let fields = condition.fields.iter();
        let fields = fields.map(|(field, values)| format!("{}={}", field.name(), values.join(",")));
        fields.collect::<Vec<_>>().join(" ")
    });
    (proto::PolicyConditionType::Config, text)
}

/// Whether it would hold back the next message.
fn is_exhausted(usage: &Usage) -> bool {
    let now_ms = engine::time::now().0 / 1_000_000;
    usage.limits.concurrency.is_some_and(|most| usage.connections >= most)
        || usage.tokens == Some(0)
        || usage.next_connect_ms.is_some_and(|next_ms| next_ms > now_ms)
}

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
        MailHosts::NoDomain(why) => format!("{why}: it waits once, then fails"),
        MailHosts::NoMailHost(_, why) => format!("{why}: it waits"),
        MailHosts::OnlyUs(why) => format!("{why}: it fails"),
        MailHosts::Temporary(why) => format!("{why}: it waits until that is known"),
    }
}

fn tls(route: &Route) -> &'static str {
    match &route.tls {
        None => "none",
        Some(tls) if tls.dane.is_some() => "dane",
        Some(tls) if tls.optional => "optional",
        Some(_) => "required",
    }
}

/// The addresses that are configured.
fn pool(route: &Route) -> impl Iterator<Item = &Arc<Source>> {
    let pools = route.sources.families.iter().filter_map(|family| match family {
        Family::Pool(sources) => Some(sources),
        Family::Off | Family::System => None,
    });
    pools.flatten()
}

fn sources(shard: &Shard, route: &Route, facts: &Facts<'_>) -> Vec<proto::ExplainSource> {
    let suspends = shard.suspends();
    let any = suspends.matches(facts).is_some();
    let source = |source: &Arc<Source>| {
        let own = suspends.matches(&Facts { local_ip: Some(source.address), ..*facts }).is_some();
        proto::ExplainSource {
            address: source.address.to_string(),
            helo: String::from_utf8_lossy(source.session.hostname.as_bytes()).into_owned(),
            blocked: if own && !any { "suspended".to_owned() } else { String::new() },
        }
    };
    pool(route).map(source).collect()
}

/// State, kind and words of a wait.
type Wait = (i32, i32, String);

/// What recipients at the domain wait for, how many wait for the same, and until when the first of them does.
async fn waiting(control: &Rc<Control>, domain: &str) -> (Vec<proto::ExplainWaiting>, Vec<proto::Missing>) {
    let here = Condition::Text(TextField::RecipientDomain, vec![TextMatch::equal(domain)]);
    let filter = Arc::new(Filter::new([here]));
    let answers = ask(control, move |shard| {
        let filter = Arc::clone(&filter);
        async move {
            let mut counts: BTreeMap<Wait, (u64, f64)> = BTreeMap::new();
            scan::scan(&shard, |item, now_ms| {
                if filter.matches(&item, now_ms) {
                    let waiting = rows::waiting(&item);
                    let state: i32 = rows::state(item.state).into();
                    let same = counts.entry((state, waiting.kind, waiting.text)).or_default();
                    *same = (same.0 + 1, first_of(same.1, waiting.until));
                }
                // What a script or a peer words anew each time must not fill the memory.
                counts.len() < MOST_REASONS
            })
            .await;
            scan::scanned(&shard, counts)
        }
    });
    let (parts, missing) = scan::sort_out(answers.await);
    let mut all: BTreeMap<Wait, (u64, f64)> = BTreeMap::new();
    for (reason, (count, until)) in parts.into_iter().flatten() {
        let same = all.entry(reason).or_default();
        *same = (same.0 + count, first_of(same.1, until));
    }
    let row = |((state, kind, text), (count, until))| {
        let waiting = Some(proto::Waiting { kind, until, text });
        proto::ExplainWaiting { state, waiting, count }
    };
    (all.into_iter().map(row).collect(), missing)
}

/// The earlier of two times; 0 is none.
fn first_of(one: f64, other: f64) -> f64 {
    if one == 0.0 || other == 0.0 { one.max(other) } else { one.min(other) }
}

/// Different reasons to wait that are counted.
const MOST_REASONS: usize = 1_000;
