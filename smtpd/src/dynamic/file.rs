//! `dynamic.json` in the spool's directory: the dynamic rules, with the wall clock's time at which they end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use config::Property;
use engine::buf::AlignedBuf;
use engine::disk::{self, Dir, Durability, OpenOptions};
use queue::policy::{self, Algorithm, Kind, Limits, Rate, Then};
use serde::{Deserialize, Serialize};

use super::wanted::{field, field_set};
use super::{Condition, Suspend};
use crate::limits;

/// Its name.
pub const NAME: &str = "dynamic.json";
const NEW_NAME: &str = "dynamic.json.new";
const BAD_NAME: &str = "dynamic.json.bad";
const VERSION: u32 = 1;

#[derive(Debug, Deserialize, Serialize)]
struct Content {
    version: u32,
    suspends: Vec<Stored>,
    #[serde(default)]
    conditions: Vec<StoredCondition>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredCondition {
    id: String,
    kind: String,
    /// Of the policy.
    policy: Vec<String>,
    fields: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<StoredRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connect_interval_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default)]
    stop: bool,
    #[serde(default)]
    cluster: bool,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, Property>,
}

#[derive(Debug, Deserialize, Serialize)]
struct StoredRate {
    count: u32,
    interval_ms: u64,
    fixed_window: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Stored {
    id: String,
    fields: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tag: String,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, Property>,
}

/// What was in force before. A file that cannot be read is set aside, and the error says so.
///
/// # Errors
/// A sentence for the log.
pub async fn load(directory: &Path) -> Result<(Vec<Suspend>, Vec<Condition>), String> {
    let path = directory.join(NAME);
    let bytes = match disk::read_file(&path, limits::DYNAMIC_FILE_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    match decode(&bytes) {
        Ok(rules) => Ok(rules),
        Err(why) => {
            let aside = async { Dir::open(directory).await?.rename(NAME, BAD_NAME).await }.await;
            let aside = aside.map_or_else(
                |error| format!("it stays, as it cannot be renamed: {error}"),
                |()| format!("it is now {BAD_NAME}"),
            );
            Err(format!("{}: {why}; {aside}. No dynamic rules are in force", path.display()))
        }
    }
}

/// Keeps what is in force now. What was kept before stays until all of it is on stable storage.
///
/// # Errors
/// Those of the disk.
pub async fn save(directory: &Path, suspends: &[Suspend], conditions: &[Condition]) -> io::Result<()> {
    let bytes = encode(suspends, conditions);
    let directory = Dir::open(directory).await?;
    let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    let file = directory.open_file(NEW_NAME, options).await?;
    file.set_len(0).await?;
    let mut buffer = AlignedBuf::with_capacity(bytes.len());
    buffer.extend_from_slice(&bytes);
    file.write_at(0, buffer, Durability::Cached).await.0?;
    file.sync().await?;
    directory.rename(NEW_NAME, NAME).await?;
    directory.sync().await
}

fn encode(suspends: &[Suspend], conditions: &[Condition]) -> Vec<u8> {
    let stored = suspends.iter().map(|suspend| Stored {
        id: suspend.id.clone(),
        fields: suspend
            .fields
            .iter()
            .map(|(field, value)| (field.name().to_owned(), value.clone()))
            .collect(),
        tag: suspend.tag.clone(),
        until_ms: suspend.until_ms.map(engine::time::steady_to_wall_ms),
        properties: suspend.properties.clone(),
    });
    let conditions = conditions.iter().map(stored_condition).collect();
    let content = Content { version: VERSION, suspends: stored.collect(), conditions };
    serde_json::to_vec_pretty(&content).expect("strings, numbers and maps by strings have a form in JSON")
}

fn stored_condition(condition: &Condition) -> StoredCondition {
    let policy::Dynamic { id, kind, fields, condition: rule } = &condition.rule;
    let then = &rule.then;
    StoredCondition {
        id: id.clone(),
        kind: kind.name().to_owned(),
        policy: fields.iter().map(|field| field.name().to_owned()).collect(),
        fields: rule.fields.iter().map(|(field, values)| (field.name().to_owned(), values.clone())).collect(),
        concurrency: then.limits.concurrency,
        rate: then.limits.rate.map(|rate| StoredRate {
            count: rate.count,
            interval_ms: rate.interval_ms,
            fixed_window: rate.algorithm == Algorithm::FixedWindow,
        }),
        connect_interval_ms: then.limits.connect_interval_ms,
        tag: then.tag.clone(),
        stop: then.stop,
        cluster: then.cluster,
        until_ms: condition.until_ms.map(engine::time::steady_to_wall_ms),
        properties: then.properties.clone(),
    }
}

fn condition(stored: StoredCondition, until: impl Fn(u64) -> u64) -> Result<Condition, String> {
    let fields = stored.fields.into_iter().map(|(name, values)| Ok((field(&name)?, values)));
    let then = Then {
        limits: Limits {
            concurrency: stored.concurrency,
            rate: stored.rate.map(|rate| Rate {
                count: rate.count,
                interval_ms: rate.interval_ms.max(1),
                algorithm: if rate.fixed_window { Algorithm::FixedWindow } else { Algorithm::TokenBucket },
            }),
            connect_interval_ms: stored.connect_interval_ms,
        },
        tag: stored.tag,
        stop: stored.stop,
        cluster: stored.cluster,
        properties: stored.properties,
    };
    let rule = policy::Dynamic {
        id: stored.id,
        kind: Kind::parse(&stored.kind).ok_or_else(|| format!("there is no kind \"{}\"", stored.kind))?,
        fields: field_set(&stored.policy)?,
        condition: policy::Condition { fields: fields.collect::<Result<_, String>>()?, then },
    };
    Ok(Condition { rule, until_ms: stored.until_ms.map(until) })
}

fn decode(bytes: &[u8]) -> Result<(Vec<Suspend>, Vec<Condition>), String> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if content.version != VERSION {
        return Err(format!("version {} is not {VERSION}", content.version));
    }
    let (wall_ms, now_ms) = (engine::time::wall_ms(), engine::time::steady_ms());
    let until = |until_ms: u64| now_ms.saturating_add(until_ms.saturating_sub(wall_ms));
    let suspend = |stored: Stored| {
        let fields = stored.fields.into_iter().map(|(name, value)| Ok((field(&name)?, value)));
        Ok(Suspend {
            id: stored.id,
            fields: fields.collect::<Result<_, String>>()?,
            tag: stored.tag,
            until_ms: stored.until_ms.map(until),
            properties: stored.properties,
        })
    };
    let suspends = content.suspends.into_iter().map(suspend).collect::<Result<_, String>>()?;
    let conditions = content.conditions.into_iter().map(|stored| condition(stored, until));
    Ok((suspends, conditions.collect::<Result<_, _>>()?))
}
