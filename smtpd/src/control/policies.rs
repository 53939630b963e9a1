//! `queue policy`: policies with their conditions and counters; conditions added, changed, removed; rates filled.

use std::rc::Rc;

use control::smtpd as proto;
use queue::Field;
use queue::policy::{Algorithm, FieldSet, Key, Kind, Limits, Property, Rate, Then, Usage};

use super::client::Client;
use super::fields8::{fields, fields8, ttl};
use super::shards::{ask, sort_out};
use crate::delivery::policies::Desk;
use crate::dynamic::{Condition, TAG_CHARACTERS, until};
use crate::limits;
use crate::program::Control;
use crate::snapshot::policies_of;

/// Policies of the file in its order, with conditions and counters.
pub(super) async fn list(control: &Rc<Control>) -> proto::PolicyConditionResponse {
    let usages = ask(control, |_| std::future::ready(Desk::here().usages()));
    let mut usages: Vec<Usage> = sort_out(usages.await).0.into_iter().flatten().collect();
    let truncated = usages.len() > limits::CONTROL_COUNTERS;
    usages.truncate(limits::CONTROL_COUNTERS);
    let dynamic = control.dynamic.conditions();
    let now_ms = engine::time::steady_ms();
    let files = control.files();
    let of_file = files.map(|files| policies_of(&files.policies)).unwrap_or_default();
    let policies = (0..).zip(&of_file).map(|(number, policy)| {
        let configured = policy.conditions.iter().map(|condition| proto::PolicyCondition {
            id: None,
            r#type: proto::PolicyConditionType::Config.into(),
            r#if: Some(fields8(&condition.fields)),
            then: Some(then_of(&condition.then)),
            ttl: None,
        });
        let added = dynamic.iter().filter(|condition| condition.rule.fields == policy.fields);
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
    request: proto::PolicyConditionAddRequest,
) -> Result<proto::PolicyConditionAddResponse, String> {
    let kind = match request.r#type() {
        proto::PolicyConditionType::Config => Kind::Dynamic,
        proto::PolicyConditionType::Dynamic => Kind::Dynamic,
        proto::PolicyConditionType::Warmup => Kind::WarmUp,
        proto::PolicyConditionType::Backoff => Kind::BackOff,
    };
    let ttl = ttl(request.ttl)?;
    let given = request.id.filter(|id| !id.is_empty());
    let values = fields(request.r#if.as_ref()).into_iter().map(|(field, value)| (field, vec![value]));
    let condition = Condition {
        rule: queue::policy::Dynamic {
            id: given.unwrap_or_else(|| format!("{:016x}", engine::rng::u64())),
            kind,
            fields: field_set(&request.fields)?,
            condition: queue::policy::Condition {
                fields: values.collect(),
                then: then(request.then.as_ref())?,
            },
        },
        until_ms: until(ttl, engine::time::steady_ms()),
    };
    let id = client.control.add_condition(condition).await?;
    let policy = request.fields.join(",");
    client.log_change(format_args!("queue policy add: {id}: policy {policy}, ttl {} s", ttl.as_secs_f64()));
    Ok(proto::PolicyConditionAddResponse { id })
}

/// Changes one.
///
/// # Errors
/// A sentence on what cannot be.
pub(super) async fn update(
    client: &Client,
    request: proto::PolicyConditionUpdateRequest,
) -> Result<proto::PolicyConditionUpdateResponse, String> {
    let (then, ttl) = (then(request.then.as_ref())?, request.ttl.map(ttl).transpose()?);
    let now_ms = engine::time::steady_ms();
    let updated = client.control.dynamic.update_condition(&request.id, then, ttl, now_ms);
    if updated {
        client.control.dynamic_changed().await?;
        client.log_change(format_args!("queue policy update: {}", request.id));
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
    let dynamic = &client.control.dynamic;
    if request.dryrun {
        let deleted = dynamic.conditions().iter().filter(|condition| is_one(condition)).count() as u64;
        return Ok(proto::PolicyConditionDeleteResponse { deleted });
    }
    let deleted = dynamic.remove_conditions(is_one) as u64;
    if deleted > 0 {
        client.control.dynamic_changed().await?;
    }
    client.log_change(format_args!("queue policy delete: {deleted} conditions"));
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
    let wanted: Vec<(String, String)> = named.collect();
    let answers = ask(&client.control, move |_| {
        let desk = Desk::here();
        let is_wanted = |key: &Key| {
            key.fields() == set
                && key.values().all(|(field, value)| {
                    let named = wanted.iter().find(|(name, _)| name == field.name());
                    named.is_none_or(|(_, wanted)| wanted.eq_ignore_ascii_case(&value))
                })
        };
        let keys = desk.usages().into_iter().map(|usage| usage.key).filter(is_wanted);
        std::future::ready(keys.filter(|key| desk.refill(key)).count() as u64)
    });
    let refilled = sort_out(answers.await).0.into_iter().sum();
    let policy = request.fields.join(",");
    client.log_change(format_args!("queue policy refill: policy {policy}; {refilled} counters"));
    Ok(proto::PolicyRateRefillResponse { refilled })
}

fn field_set(names: &[String]) -> Result<FieldSet, String> {
    let field = |name: &String| {
        let found = Field::ALL.into_iter().find(|field| field.name() == name);
        found.ok_or_else(|| format!("fields: there is no field \"{name}\""))
    };
    Ok(FieldSet::new(names.iter().map(field).collect::<Result<Vec<_>, _>>()?))
}

fn then(given: Option<&proto::Then>) -> Result<Then, String> {
    let given = given.ok_or("then: is missing")?;
    let rate = given.rate.as_ref().map(|rate| {
        Ok::<_, String>(Rate {
            count: u32::try_from(rate.count).map_err(|_| format!("rate: {} is too much", rate.count))?,
            interval_ms: milliseconds("rate", rate.interval)?.max(1),
            algorithm: match rate.algorithm() {
                proto::rate::Algorithm::Fixedwindow => Algorithm::FixedWindow,
                proto::rate::Algorithm::Default | proto::rate::Algorithm::Tokenbucket => {
                    Algorithm::TokenBucket
                }
            },
        })
    });
    let interval = given.connectinterval.map(|seconds| milliseconds("connectinterval", seconds));
    let tag = given.tag.clone().filter(|tag| !tag.is_empty());
    if tag.as_ref().is_some_and(|tag| tag.chars().count() > TAG_CHARACTERS) {
        return Err(format!("tag: longer than {TAG_CHARACTERS} characters"));
    }
    let properties = super::suspends::properties(given.properties.clone()).into_iter();
    Ok(Then {
        limits: Limits {
            concurrency: given.concurrency,
            rate: rate.transpose()?,
            connect_interval_ms: interval.transpose()?.filter(|interval_ms| *interval_ms > 0),
        },
        tag,
        stop: given.stop,
        cluster: given.cluster.unwrap_or(true),
        properties: properties.map(|(key, value)| (key, property(value))).collect(),
    })
}

fn property(value: config::Property) -> Property {
    match value {
        config::Property::Text(text) => Property::Text(text),
        config::Property::Number(number) => Property::Number(number),
        config::Property::Bool(bool) => Property::Bool(bool),
    }
}

fn milliseconds(what: &str, seconds: f64) -> Result<u64, String> {
    let time = ttl(seconds).map_err(|_| format!("{what}: {seconds} is not a time in seconds"))?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn condition_row(condition: &Condition, now_ms: u64) -> proto::PolicyCondition {
    let kind = match condition.rule.kind {
        Kind::Dynamic => proto::PolicyConditionType::Dynamic,
        Kind::WarmUp => proto::PolicyConditionType::Warmup,
        Kind::BackOff => proto::PolicyConditionType::Backoff,
    };
    proto::PolicyCondition {
        id: Some(condition.rule.id.clone()),
        r#type: kind.into(),
        r#if: Some(fields8(&condition.rule.condition.fields)),
        then: Some(then_of(&condition.rule.condition.then)),
        ttl: condition.until_ms.map(|until_ms| until_ms.saturating_sub(now_ms) as f64 / 1000.0),
    }
}

fn then_of(then: &Then) -> proto::Then {
    let value = |value: &Property| proto::PropertyValue {
        value: Some(match value {
            Property::Text(text) => proto::property_value::Value::String(text.clone()),
            Property::Number(number) => proto::property_value::Value::Number(*number),
            Property::Bool(bool) => proto::property_value::Value::Boolean(*bool),
        }),
    };
    proto::Then {
        stop: then.stop,
        cluster: Some(then.cluster),
        tag: then.tag.clone(),
        properties: then.properties.iter().map(|(key, property)| (key.clone(), value(property))).collect(),
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

fn entry(usage: &Usage) -> proto::PolicyEntry {
    let used = usage
        .limits
        .rate
        .zip(usage.tokens)
        .map(|(rate, tokens)| proto::RateUse { used: rate.count.saturating_sub(tokens).into(), next: 0.0 });
    proto::PolicyEntry {
        values: usage.key.values().map(|(_, value)| value).collect(),
        concurrency: usage.connections,
        rate: used,
        // The counters have a clock of their own.
        connectnext: 0.0,
        limits: Some(limits_of(&usage.limits)),
        waiting: usage.waiting.len() as u64,
    }
}
