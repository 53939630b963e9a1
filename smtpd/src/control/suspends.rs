//! `queue suspend`: listed with those of the file, added, changed, removed.

use control::smtpd as proto;

use super::client::Client;
use super::fields8::{fields, fields8, properties, value_of};
use crate::dynamic::wanted::{id_or_new, seconds};
use crate::dynamic::{Change, Suspend, until};
use crate::program::Control;
use crate::ruleset::suspend_rules;

/// Those of the file, then those that were added, as far as they match.
pub(super) fn list(control: &Control, request: &proto::SuspendRequest) -> proto::SuspendResponse {
    let wanted = fields(request.conditions.as_ref());
    let selected = |suspend: &proto::Suspend| {
        let has = fields(suspend.fields.as_ref());
        (request.ids.is_empty() || request.ids.contains(&suspend.id))
            && (request.tags.is_empty() || request.tags.contains(&suspend.tag))
            && wanted.iter().all(|field| has.contains(field))
    };
    let now_ms = engine::time::steady_ms();
    let dynamic = control.dynamic.suspends();
    let all = of_file(control).into_iter().chain(dynamic.iter().map(|suspend| row(suspend, now_ms)));
    let offset = usize::try_from(request.offset).unwrap_or(usize::MAX);
    let limit = match request.limit {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    proto::SuspendResponse { suspends: all.filter(selected).skip(offset).take(limit).collect() }
}

/// Adds one, or renews an equal one.
///
/// # Errors
/// A sentence on what cannot be.
pub(super) async fn add(
    client: &Client,
    request: proto::SuspendAddRequest,
) -> Result<proto::SuspendAddResponse, String> {
    let ttl = seconds("ttl", request.ttl)?;
    let suspend = Suspend {
        id: id_or_new(request.id),
        fields: fields(request.fields.as_ref()),
        tag: request.tag,
        until_ms: until(ttl, engine::time::steady_ms()),
        properties: properties(request.properties),
    };
    let what = describe(&suspend);
    let id = client.control.dynamic.add(suspend)?;
    client.control.dynamic_changed().await?;
    client.log_change(format_args!("queue suspend add: {id}: {what}, ttl {} s", ttl.as_secs_f64()));
    Ok(proto::SuspendAddResponse { id })
}

/// Changes one.
///
/// # Errors
/// A sentence on what cannot be.
pub(super) async fn update(
    client: &Client,
    request: proto::SuspendUpdateRequest,
) -> Result<proto::SuspendUpdateResponse, String> {
    let change = Change {
        ttl: request.ttl.map(|ttl| seconds("ttl", ttl)).transpose()?,
        tag: request.tag,
        properties: (!request.properties.is_empty()).then(|| properties(request.properties)),
    };
    let updated = client.control.dynamic.update(&request.id, change, engine::time::steady_ms())?;
    if updated {
        client.control.dynamic_changed().await?;
        client.log_change(format_args!("queue suspend update: {}", request.id));
    }
    Ok(proto::SuspendUpdateResponse { updated })
}

/// Removes those with one of the ids, or with all of the fields.
///
/// # Errors
/// Neither is given.
pub(super) async fn delete(
    client: &Client,
    request: proto::SuspendDeleteRequest,
) -> Result<proto::SuspendDeleteResponse, String> {
    let by_fields = request.conditions.as_ref().map(|conditions| fields(Some(conditions)));
    if request.ids.is_empty() && by_fields.is_none() {
        return Err("give ids, or fields".to_owned());
    }
    let is_one = |suspend: &Suspend| {
        request.ids.contains(&suspend.id) || by_fields.as_ref().is_some_and(|fields| suspend.has(fields))
    };
    let dynamic = &client.control.dynamic;
    if request.dryrun {
        let deleted = dynamic.suspends().iter().filter(|suspend| is_one(suspend)).count() as u64;
        return Ok(proto::SuspendDeleteResponse { deleted });
    }
    let deleted = dynamic.remove(is_one) as u64;
    if deleted > 0 {
        client.control.dynamic_changed().await?;
    }
    client.log_change(format_args!("queue suspend delete: {deleted} suspends"));
    Ok(proto::SuspendDeleteResponse { deleted })
}

/// Shards know suspends by their number: says which they are.
pub(super) fn name_waits<'w>(control: &Control, waits: impl Iterator<Item = &'w mut proto::Waiting>) {
    let mut names: Option<Vec<String>> = None;
    for wait in waits {
        let Some(number) = wait.text.strip_prefix(SUSPEND).and_then(|number| number.parse::<usize>().ok())
        else {
            continue;
        };
        let names = names.get_or_insert_with(|| {
            let all = list(control, &proto::SuspendRequest::default()).suspends.into_iter();
            all.map(|suspend| match suspend.tag.as_str() {
                "" => suspend.id,
                tag => format!("{} ({tag})", suspend.id),
            })
            .collect()
        });
        if let Some(name) = names.get(number) {
            wait.text = format!("{SUSPEND}{name}");
        }
    }
}

/// What the text of a wait for a suspend begins with.
pub(super) const SUSPEND: &str = "suspend ";

fn of_file(control: &Control) -> Vec<proto::Suspend> {
    let Some(files) = control.files() else { return Vec::new() };
    let rules = suspend_rules(&files.suspends);
    let row = |(index, (rule, suspend)): (usize, (&queue::Rule, &config::Suspend))| proto::Suspend {
        id: format!("file:{index}"),
        fields: Some(fields8(&rule.fields)),
        tag: suspend.tag.clone().unwrap_or_default(),
        ttl: None,
        dynamic: false,
        properties: suspend.properties.iter().map(|(key, value)| (key.clone(), value_of(value))).collect(),
    };
    rules.iter().zip(&files.suspends.suspends).enumerate().map(row).collect()
}

fn row(suspend: &Suspend, now_ms: u64) -> proto::Suspend {
    let fields: Vec<_> = suspend.fields.iter().map(|(field, value)| (*field, vec![value.clone()])).collect();
    proto::Suspend {
        id: suspend.id.clone(),
        fields: Some(fields8(&fields)),
        tag: suspend.tag.clone(),
        ttl: suspend.until_ms.map(|until_ms| until_ms.saturating_sub(now_ms) as f64 / 1000.0),
        dynamic: true,
        properties: suspend.properties.iter().map(|(key, value)| (key.clone(), value_of(value))).collect(),
    }
}

/// `recipientdomain a.example, jobid x`, or `all`.
fn describe(suspend: &Suspend) -> String {
    let fields: Vec<_> =
        suspend.fields.iter().map(|(field, value)| format!("{} {value}", field.name())).collect();
    if fields.is_empty() { "all".to_owned() } else { fields.join(", ") }
}
