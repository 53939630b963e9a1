//! Rows of a listing.

use std::collections::BTreeMap;

use control::smtpd as proto;
use queue::filter::Listed;
use queue::{ItemView, LimitedBy, Link, State, Waiting, Withheld};
use uuid::Uuid;

use super::fields::duration_s;
use super::suspends::SUSPEND;
use super::tags::tags;
use crate::ruleset::Ruleset;
use crate::snapshot::Snapshot;

/// The row of an item.
pub(super) fn row(
    item: &ItemView<'_>,
    snapshot: &Snapshot,
    rules: &Ruleset,
    now_ms: u64,
) -> proto::QueueItem {
    let link = item.link;
    let remote = link.and_then(|link| link.remote.as_ref());
    proto::QueueItem {
        id: Some(id(item)),
        state: state(item).into(),
        ts: seconds(item.received_ms),
        serverid: item.origin.server_id.to_string(),
        sender: lossy(item.sender),
        senderaddress: Some(address(item.sender)),
        recipient: lossy(item.recipient),
        recipientaddress: Some(address(item.recipient)),
        senderip: item.origin.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        senderhelo: item.origin.helo.to_string(),
        saslusername: item.origin.sasl_user.to_string(),
        transportid: item.transport.to_owned(),
        jobid: item.job_id.unwrap_or_default().to_owned(),
        tenantid: item.tenant_id.unwrap_or_default().to_owned(),
        grouping: link.map(|link| link.grouping.to_string()).unwrap_or_default(),
        localips: local_ips(item.transport, snapshot),
        localip: local_ip(link),
        remoteip: remote.map(|remote| remote.address.to_string()).unwrap_or_default(),
        remotemx: remote.map(|remote| remote.name.to_string()).unwrap_or_default(),
        retry: item.attempts,
        retryts: match item.state {
            State::Defer { until_ms } => seconds(until_ms),
            State::Active | State::Hold | State::Sending | State::InHand => 0.0,
        },
        size: item.size_bytes,
        priority: u32::from(item.urgent),
        tags: tags(item, rules).into_iter().collect(),
        metadata: metadata(item),
        quotas: item.quotas.iter().map(str::to_owned).collect(),
        duration: duration_s(item, now_ms).unwrap_or_default(),
        waiting: Some(waiting(item)),
        last: last(item),
        ..proto::QueueItem::default()
    }
}

/// How the documented interface names an item.
pub(super) fn id(item: &ItemView<'_>) -> proto::QueueId {
    proto::QueueId {
        transaction: Uuid::from_bytes(item.transaction).to_string(),
        queue: Some(item.key.recipient.saturating_add(1)),
    }
}

pub(super) fn state(item: &ItemView<'_>) -> proto::QueueState {
    match Listed::of(item) {
        Listed::Active => proto::QueueState::Active,
        Listed::Defer => proto::QueueState::Defer,
        Listed::Hold => proto::QueueState::Hold,
        Listed::Sending => proto::QueueState::Sending,
        Listed::Unknown => proto::QueueState::Unknown,
        Listed::Update => proto::QueueState::Update,
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn address(whole: &[u8]) -> proto::Address {
    match whole.iter().rposition(|byte| *byte == b'@') {
        Some(at) => proto::Address { localpart: lossy(&whole[..at]), domain: lossy(&whole[at + 1..]) },
        None => proto::Address { localpart: lossy(whole), domain: String::new() },
    }
}

fn local_ip(link: Option<&Link>) -> String {
    link.and_then(|link| link.local).map(|local| local.to_string()).unwrap_or_default()
}

/// The addresses that mail of a transport may leave from, where they are configured.
fn local_ips(transport: &str, snapshot: &Snapshot) -> Vec<String> {
    let Some(route) = snapshot.routes.get(transport) else { return Vec::new() };
    route.sources.configured().map(|source| source.address.to_string()).collect()
}

fn metadata(item: &ItemView<'_>) -> BTreeMap<String, String> {
    item.metadata.iter().map(|(key, value)| (lossy(key), lossy(value))).collect()
}

/// What it waits for.
pub(super) fn waiting(item: &ItemView<'_>) -> proto::Waiting {
    use proto::waiting::Kind;
    let (kind, until_ms, text) = match item.waiting() {
        Waiting::Nothing => (Kind::Nothing, 0, String::new()),
        Waiting::Time { until_ms } => (Kind::Time, until_ms, String::new()),
        Waiting::Parked { until_ms } => (Kind::Parked, until_ms, String::new()),
        Waiting::LocalFault { until_ms } => {
            (Kind::Localfault, until_ms, item.reason.map(ToString::to_string).unwrap_or_default())
        }
        Waiting::Suspend { rule: Some(rule) } => (Kind::Suspend, 0, format!("{SUSPEND}{rule}")),
        Waiting::Suspend { rule: None } => (Kind::Suspend, 0, String::new()),
        Waiting::Policy(LimitedBy { key, cause: Withheld::Limit { limit, until_ms }, .. }) => {
            (Kind::Policy, until_ms.unwrap_or_default(), format!("policy {key}: {}", limit.name()))
        }
        Waiting::Policy(LimitedBy { key, cause: Withheld::SilentOwner { shard }, .. }) => {
            let text = format!("policy {key}: shard {shard}, which counts for it, does not answer");
            (Kind::Lease, 0, text)
        }
        Waiting::Attempts => (Kind::Attempts, 0, String::new()),
        Waiting::Release => (Kind::Operator, 0, item.hold_reason.unwrap_or_default().to_owned()),
    };
    proto::Waiting { kind: kind.into(), until: seconds(until_ms), text }
}

/// What its last attempt came to.
fn last(item: &ItemView<'_>) -> Option<proto::LastAttempt> {
    let reason = item.reason?;
    let remote = reason.remote.as_ref();
    Some(proto::LastAttempt {
        ts: seconds(item.tried_ms.unwrap_or_default()),
        code: reason.code.map(u32::from).unwrap_or_default(),
        enhanced: reason.enhanced.map(|code| code.to_string()).unwrap_or_default(),
        text: reason.text.to_string(),
        state: reason.phase.unwrap_or_default().to_owned(),
        remotemx: remote.map(|remote| remote.name.to_string()).unwrap_or_default(),
        remoteip: remote.map(|remote| remote.address.to_string()).unwrap_or_default(),
        localip: local_ip(item.link),
    })
}
