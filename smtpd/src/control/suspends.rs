//! `queue suspend`: listed with those of the file, added, changed, removed.

use control::command_line::{self, CommandLine as _};
use control::smtpd as proto;

use super::client::Client;
use super::fields8::{fields, fields8, properties, value_of};
use crate::dynamic::wanted::{id_or_new, seconds};
use crate::dynamic::{Change, Suspend, until};
use crate::limits;
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
    mut request: proto::SuspendAddRequest,
) -> Result<proto::SuspendAddResponse, String> {
    let ttl = seconds("ttl", request.ttl)?;
    let suspend = Suspend {
        id: id_or_new(request.id.take()),
        fields: fields(request.fields.as_ref()),
        tag: request.tag.clone(),
        until_ms: until(ttl, engine::time::steady_ms()),
        properties: properties(request.properties.clone()),
    };
    let dynamic = &client.control.dynamic;
    let before = dynamic.suspends();
    let is_renewed = |id: &str| before.iter().any(|suspend| suspend.id == id);
    if request.dryrun {
        let id = client.control.try_dynamic(|dynamic| dynamic.add(suspend)).await?;
        return Ok(proto::SuspendAddResponse { renewed: is_renewed(&id), id });
    }
    let id = dynamic.add(suspend)?;
    client.control.dynamic_changed().await?;
    let renewed = is_renewed(&id);
    request.id = Some(id.clone());
    let outcome = if renewed { "renewed" } else { "added" };
    client.log_change(format_args!("{}: {outcome}", request.command_line()));
    Ok(proto::SuspendAddResponse { id, renewed })
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
        tag: request.tag.clone(),
        properties: (!request.properties.is_empty()).then(|| properties(request.properties.clone())),
    };
    let now_ms = engine::time::steady_ms();
    if request.dryrun {
        let updated =
            client.control.try_dynamic(|dynamic| dynamic.update(&request.id, change, now_ms)).await?;
        return Ok(proto::SuspendUpdateResponse { updated });
    }
    let updated = client.control.dynamic.update(&request.id, change, now_ms)?;
    if updated {
        client.control.dynamic_changed().await?;
        client.log_change(format_args!("{}: changed", request.command_line()));
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
    let now_ms = engine::time::steady_ms();
    let dynamic = &client.control.dynamic;
    let gone: Vec<Suspend> = dynamic.suspends().into_iter().filter(is_one).collect();
    let deleted = gone.len() as u64;
    if request.dryrun {
        return Ok(proto::SuspendDeleteResponse { deleted });
    }
    if deleted > 0 {
        dynamic.remove(is_one);
        client.control.dynamic_changed().await?;
    }
    let named = named(gone.iter().map(|suspend| command_line::suspend(&row(suspend, now_ms))));
    client.log_change(format_args!("{}: {deleted} suspends{named}", request.command_line()));
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

/// What a log line says of rules that are gone: some of them.
pub(super) fn named(gone: impl ExactSizeIterator<Item = String>) -> String {
    let (all, most) = (gone.len(), limits::CONTROL_RULES_NAMED);
    let mut text: String = gone.take(most).map(|rule| format!("; {rule}")).collect();
    if all > most {
        text.push_str(&format!("; and {} more", all - most));
    }
    text
}
