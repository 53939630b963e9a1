//! `queue policy`: policies with their conditions and counters; conditions added, changed, removed; rates filled.

use std::rc::Rc;
use std::sync::Arc;

use control::command_line::{self, CommandLine as _};
use control::smtpd as proto;
use queue::policy::{Algorithm, Key, Kind, Limits, Then, Usage};

use super::client::Client;
use super::fields8::{fields, fields8, properties, value_of};
use super::shards::{ask, sort_out, without};
use super::suspends::named;
use crate::delivery::policies::Desk;
use crate::dynamic::wanted::{WantedCondition, WantedThen, field_set, seconds};
use crate::dynamic::{Condition, Dynamic};
use crate::limits;
use crate::program::Control;
use crate::ruleset::policies_of;

/// Policies of the file in its order, with conditions and counters.
pub(super) async fn list(control: &Rc<Control>) -> proto::PolicyConditionResponse {
    let usages = ask(control, |_| async { Desk::here().usages().await });
    let mut usages: Vec<Usage> = sort_out(usages.await).0.into_iter().flatten().collect();
    let truncated = usages.len() > limits::CONTROL_COUNTERS;
    usages.truncate(limits::CONTROL_COUNTERS);
    let dynamic = control.dynamic.conditions();
    let now_ms = engine::time::steady_ms();
    let files = control.files();
    let warm_up = files.as_ref().map(|files| control.warm_up(files)).unwrap_or_default();
    let warm_up: Vec<_> =
        warm_up.conditions.into_iter().map(|rule| Condition { rule, until_ms: None }).collect();
    let of_file = files.map(|files| policies_of(&files.policies)).unwrap_or_default();
    let policies = (0..).zip(&of_file).map(|(number, policy)| {
        let configured = policy.conditions.iter().map(|condition| proto::PolicyCondition {
            id: None,
            r#type: proto::PolicyConditionType::Config.into(),
            r#if: Some(fields8(&condition.fields)),
            then: Some(then_of(&condition.then)),
            ttl: None,
        });
        let added = dynamic.iter().chain(&warm_up).filter(|condition| condition.rule.fields == policy.fields);
        let added = added.map(|condition| condition_row(condition, now_ms));
        proto::Policy {
            fields: policy.fields.iter().map(|field| field.name().to_owned()).collect(),
            default: policy.default.as_ref().map(then_of),
            conditions: added.chain(configured).collect(),
            entries: usages.iter().filter(|usage| usage.policy == number).map(entry).collect(),
        }
    });
    proto::PolicyConditionResponse { policies: policies.collect(), truncated }
}

/// Adds a condition, or renews an equal one.
///
/// # Errors
/// A sentence on what cannot be.
pub(super) async fn add(
    client: &Client,
    mut request: proto::PolicyConditionAddRequest,
) -> Result<proto::PolicyConditionAddResponse, String> {
    let kind = match request.r#type() {
        proto::PolicyConditionType::Config => Kind::Dynamic,
        proto::PolicyConditionType::Dynamic => Kind::Dynamic,
        proto::PolicyConditionType::Warmup => Kind::WarmUp,
        proto::PolicyConditionType::Backoff => Kind::BackOff,
    };
    let wanted = WantedCondition {
        policy: request.fields.clone(),
        values: fields(request.r#if.as_ref()),
        kind,
        then: then(request.then.as_ref())?,
        ttl_s: request.ttl,
        id: request.id.take(),
    };
    let condition = client.control.condition(wanted)?;
    let before = client.control.dynamic.conditions();
    let is_renewed = |id: &str| before.iter().any(|known| known.rule.id == id);
    if request.dryrun {
        let id = client.control.try_dynamic(|dynamic| dynamic.add_condition(condition)).await?;
        return Ok(proto::PolicyConditionAddResponse { renewed: is_renewed(&id), id });
    }
    let id = client.control.add_condition(condition).await?;
    let renewed = is_renewed(&id);
    request.id = Some(id.clone());
    let outcome = if renewed { "renewed" } else { "added" };
    client.log_change(format_args!("{}: {outcome}", request.command_line()));
    Ok(proto::PolicyConditionAddResponse { id, renewed })
}

/// Changes one.
///
/// # Errors
/// A sentence on what cannot be.
pub(super) async fn update(
    client: &Client,
    request: proto::PolicyConditionUpdateRequest,
) -> Result<proto::PolicyConditionUpdateResponse, String> {
    let then = then(request.then.as_ref())?.checked(client.control.rate_algorithm())?;
    let ttl = request.ttl.map(|ttl| seconds("ttl", ttl)).transpose()?;
    let now_ms = engine::time::steady_ms();
    if request.dryrun {
        let change = |dynamic: &Dynamic| Ok(dynamic.update_condition(&request.id, then, ttl, now_ms));
        let updated = client.control.try_dynamic(change).await?;
        return Ok(proto::PolicyConditionUpdateResponse { updated });
    }
    let updated = client.control.dynamic.update_condition(&request.id, then, ttl, now_ms);
    if updated {
        client.control.dynamic_changed().await?;
        client.log_change(format_args!("{}: changed", request.command_line()));
    }
    Ok(proto::PolicyConditionUpdateResponse { updated })
}

/// Removes those with one of the ids.
///
/// # Errors
/// The others do not fit any more.
pub(super) async fn delete(
    client: &Client,
    request: proto::PolicyConditionDeleteRequest,
) -> Result<proto::PolicyConditionDeleteResponse, String> {
    let is_one = |condition: &Condition| request.ids.contains(&condition.rule.id);
    let now_ms = engine::time::steady_ms();
    let dynamic = &client.control.dynamic;
    let gone: Vec<Condition> = dynamic.conditions().into_iter().filter(is_one).collect();
    let deleted = gone.len() as u64;
    if request.dryrun {
        return Ok(proto::PolicyConditionDeleteResponse { deleted });
    }
    if deleted > 0 {
        dynamic.remove_conditions(is_one);
        client.control.dynamic_changed().await?;
    }
    let named = named(gone.iter().map(|gone| command_line::condition(&condition_row(gone, now_ms))));
    client.log_change(format_args!("{}: {deleted} conditions{named}", request.command_line()));
    Ok(proto::PolicyConditionDeleteResponse { deleted })
}

/// Fills the rate of one tuple of a policy, or of all of them.
///
/// # Errors
/// The fields are none, or not as many as the values.
pub(super) async fn refill(
    client: &Client,
    request: proto::PolicyRateRefillRequest,
) -> Result<proto::PolicyRateRefillResponse, String> {
    let set = field_set(&request.fields)?;
    if !request.values.is_empty() && request.values.len() != request.fields.len() {
        return Err("give a value for each field, or none".to_owned());
    }
    let named =
        request.fields.iter().zip(&request.values).map(|(field, value)| (field.clone(), value.clone()));
    let wanted: Arc<[(String, String)]> = named.collect();
    let dry_run = request.dryrun;
    let answers = ask(&client.control, move |_| {
        let wanted = Arc::clone(&wanted);
        let is_wanted = move |key: &Key| {
            key.fields() == set
                && key.values().all(|(field, value)| {
                    let named = wanted.iter().find(|(name, _)| name == field.name());
                    named.is_none_or(|(_, wanted)| wanted.eq_ignore_ascii_case(&value))
                })
        };
        async move {
            let desk = Desk::here();
            if dry_run { desk.rates(is_wanted).await } else { desk.refill(is_wanted).await }
        }
    });
    let (counts, missing) = sort_out(answers.await);
    let refilled = counts.into_iter().sum();
    if !dry_run {
        let (line, without) = (request.command_line(), without(&missing));
        client.log_change(format_args!("{line}: {refilled} counters{without}"));
    }
    Ok(proto::PolicyRateRefillResponse { refilled })
}

fn then(given: Option<&proto::Then>) -> Result<WantedThen, String> {
    let given = given.ok_or("then: is missing")?;
    let rate = given.rate.as_ref().map(|rate| {
        let algorithm = match rate.algorithm() {
            proto::rate::Algorithm::Default => None,
            proto::rate::Algorithm::Fixedwindow => Some(Algorithm::FixedWindow),
            proto::rate::Algorithm::Tokenbucket => Some(Algorithm::TokenBucket),
        };
        (rate.count, rate.interval, algorithm)
    });
    Ok(WantedThen {
        concurrency: given.concurrency,
        rate,
        connect_interval_s: given.connectinterval,
        tag: given.tag.clone().unwrap_or_default(),
        stop: given.stop,
        cluster: given.cluster.unwrap_or(true),
        properties: properties(given.properties.clone()),
    })
}

fn condition_row(condition: &Condition, now_ms: u64) -> proto::PolicyCondition {
    proto::PolicyCondition {
        id: Some(condition.rule.id.clone()),
        r#type: kind(condition.rule.kind).into(),
        r#if: Some(fields8(&condition.rule.condition.fields)),
        then: Some(then_of(&condition.rule.condition.then)),
        ttl: condition.until_ms.map(|until_ms| until_ms.saturating_sub(now_ms) as f64 / 1000.0),
    }
}

/// Where a condition comes from, as clients know it.
pub(super) fn kind(kind: Kind) -> proto::PolicyConditionType {
    match kind {
        Kind::Dynamic => proto::PolicyConditionType::Dynamic,
        Kind::WarmUp => proto::PolicyConditionType::Warmup,
        Kind::BackOff => proto::PolicyConditionType::Backoff,
    }
}

fn then_of(then: &Then) -> proto::Then {
    proto::Then {
        stop: then.stop,
        cluster: Some(then.cluster),
        tag: then.tag.clone(),
        properties: then.properties.iter().map(|(key, property)| (key.clone(), value_of(property))).collect(),
        ..limits_of(&then.limits)
    }
}

fn limits_of(limits: &Limits) -> proto::Then {
    proto::Then {
        concurrency: limits.concurrency,
        rate: limits.rate.map(|rate| proto::Rate {
            count: rate.count.into(),
            interval: rate.interval_ms as f64 / 1000.0,
            algorithm: match rate.algorithm {
                Algorithm::FixedWindow => proto::rate::Algorithm::Fixedwindow,
                Algorithm::TokenBucket => proto::rate::Algorithm::Tokenbucket,
            }
            .into(),
        }),
        connectinterval: limits.connect_interval_ms.map(|interval_ms| interval_ms as f64 / 1000.0),
        ..proto::Then::default()
    }
}

/// How a counter stands.
pub(super) fn entry(usage: &Usage) -> proto::PolicyEntry {
    let used = usage.limits.rate.zip(usage.tokens).map(|(rate, tokens)| proto::RateUse {
        used: rate.count.saturating_sub(tokens).into(),
        next: usage.next_token_ms.map(at_unix_seconds).unwrap_or_default(),
    });
    proto::PolicyEntry {
        values: usage.key.values().map(|(_, value)| value).collect(),
        concurrency: usage.connections,
        rate: used,
        connectnext: usage.next_connect_ms.map(at_unix_seconds).unwrap_or_default(),
        limits: Some(limits_of(&usage.limits)),
        waiting: usage.waiting.len() as u64,
    }
}

/// Of a time of the engine's clock, which counters go by; 0 when it is over.
pub(super) fn at_unix_seconds(at_ms: u64) -> f64 {
    match at_ms.checked_sub(engine::time::now().0 / 1_000_000) {
        None | Some(0) => 0.0,
        Some(left_ms) => engine::time::steady_ms().saturating_add(left_ms) as f64 / 1000.0,
    }
}
