//! `dynamic.json` in the spool's directory: the dynamic rules, with the wall clock's time at which they end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use config::Property;
use engine::buf::AlignedBuf;
use engine::disk::{self, Dir, Durability, OpenOptions};
use queue::Field;
use serde::{Deserialize, Serialize};

use super::Suspend;
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
    properties: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Value {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What was in force before. A file that cannot be read is set aside, and the error says so.
///
/// # Errors
/// A sentence for the log.
pub async fn load(directory: &Path) -> Result<Vec<Suspend>, String> {
    let path = directory.join(NAME);
    let bytes = match disk::read_file(&path, limits::DYNAMIC_FILE_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    match decode(&bytes) {
        Ok(suspends) => Ok(suspends),
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
pub async fn save(directory: &Path, suspends: &[Suspend]) -> io::Result<()> {
    let bytes = encode(suspends);
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

fn encode(suspends: &[Suspend]) -> Vec<u8> {
    let stored = suspends.iter().map(|suspend| Stored {
        id: suspend.id.clone(),
        fields: suspend
            .fields
            .iter()
            .map(|(field, value)| (field.name().to_owned(), value.clone()))
            .collect(),
        tag: suspend.tag.clone(),
        until_ms: suspend.until_ms.map(engine::time::steady_to_wall_ms),
        properties: suspend.properties.iter().map(|(key, value)| (key.clone(), value.into())).collect(),
    });
    let content = Content { version: VERSION, suspends: stored.collect() };
    serde_json::to_vec_pretty(&content).expect("strings, numbers and maps by strings have a form in JSON")
}

fn decode(bytes: &[u8]) -> Result<Vec<Suspend>, String> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if content.version != VERSION {
        return Err(format!("version {} is not {VERSION}", content.version));
    }
    let (wall_ms, now_ms) = (engine::time::wall_ms(), engine::time::steady_ms());
    let suspend = |stored: Stored| {
        let fields = stored.fields.into_iter().map(|(name, value)| {
            let field = Field::ALL.into_iter().find(|field| field.name() == name);
            Ok((field.ok_or_else(|| format!("there is no field \"{name}\""))?, value))
        });
        Ok(Suspend {
            id: stored.id,
            fields: fields.collect::<Result<_, String>>()?,
            tag: stored.tag,
            until_ms: stored.until_ms.map(|until_ms| now_ms.saturating_add(until_ms.saturating_sub(wall_ms))),
            properties: stored.properties.into_iter().map(|(key, value)| (key, value.into())).collect(),
        })
    };
    content.suspends.into_iter().map(suspend).collect()
}

impl From<&Property> for Value {
    fn from(property: &Property) -> Value {
        match property {
            Property::Text(text) => Value::Text(text.clone()),
            Property::Number(number) => Value::Number(*number),
            Property::Bool(bool) => Value::Bool(*bool),
        }
    }
}

impl From<Value> for Property {
    fn from(value: Value) -> Property {
        match value {
            Value::Text(text) => Property::Text(text),
            Value::Number(number) => Property::Number(number),
            Value::Bool(bool) => Property::Bool(bool),
        }
    }
}
