//! Rules as scripts and commands want them, checked: the one way from there to a rule.

use std::collections::BTreeMap;
use std::time::Duration;

use config::Property;
use queue::Field;
use queue::policy::{self, Algorithm, FieldSet, Kind, Limits, Rate, Then};

use super::{Condition, TAG_CHARACTERS, until};
use crate::delivery::Groups;
use crate::limits;

/// A condition of a policy. Times are in seconds.
#[derive(Clone, Debug)]
pub struct WantedCondition {
    /// Names of the fields of the policy.
    pub policy: Vec<String>,
    /// What it matches by.
    pub values: Vec<(Field, String)>,
    /// Where it comes from.
    pub kind: Kind,
    /// What holds then.
    pub then: WantedThen,
    /// How long it lives; zero: until it is deleted.
    pub ttl_s: f64,
    /// Its name; `None` or empty: a new one.
    pub id: Option<String>,
}

/// What a condition asks for. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub struct WantedThen {
    /// Most open connections.
    pub concurrency: Option<u32>,
    /// So many messages, in so long, counted so; `None`: as the policy file says.
    pub rate: Option<(u64, f64, Option<Algorithm>)>,
    /// Between two connects.
    pub connect_interval_s: Option<f64>,
    /// Label; empty: none.
    pub tag: String,
    /// Later policies are not looked at.
    pub stop: bool,
    /// Shared over the cluster.
    pub cluster: bool,
    /// Free data.
    pub properties: BTreeMap<String, Property>,
}

impl WantedCondition {
    /// The condition, which begins to live at `now_ms` of the steady clock; `algorithm` is that of the policy file. A group of
    /// hosts or domains that one of its members is named for is meant as a whole (cli-and-operations 14.2).
    ///
    /// # Errors
    /// A sentence that names what cannot be.
    pub fn checked(self, groups: &Groups, algorithm: Algorithm, now_ms: u64) -> Result<Condition, String> {
        let rolled_up = |(field, value): (Field, String)| {
            let group = if field == Field::Grouping { groups.of_member(&value) } else { None };
            (field, vec![group.map_or(value, str::to_owned)])
        };
        let condition = policy::Condition {
            fields: self.values.into_iter().map(rolled_up).collect(),
            then: self.then.checked(algorithm)?,
        };
        let rule = policy::Dynamic {
            id: id_or_new(self.id),
            kind: self.kind,
            fields: field_set(&self.policy)?,
            condition,
        };
        Ok(Condition { rule, until_ms: until(seconds("ttl", self.ttl_s)?, now_ms) })
    }
}

impl WantedThen {
    /// The same with limits that can be counted, by `of_file` where nothing is said.
    ///
    /// # Errors
    /// A sentence that names what cannot be.
    pub fn checked(self, of_file: Algorithm) -> Result<Then, String> {
        let rate = self.rate.map(|(count, interval_s, algorithm)| {
            Ok::<_, String>(Rate {
                count: u32::try_from(count).map_err(|_| format!("rate: {count} is too much"))?,
                interval_ms: milliseconds("rate", interval_s)?.max(1),
                algorithm: algorithm.unwrap_or(of_file),
            })
        });
        let interval = self.connect_interval_s.map(|seconds| milliseconds("connectinterval", seconds));
        if self.tag.chars().count() > TAG_CHARACTERS {
            return Err(format!("tag: longer than {TAG_CHARACTERS} characters"));
        }
        if self.properties.len() > limits::DYNAMIC_PROPERTIES {
            return Err(format!("properties: more than {}", limits::DYNAMIC_PROPERTIES));
        }
        Ok(Then {
            limits: Limits {
                concurrency: self.concurrency,
                rate: rate.transpose()?,
                connect_interval_ms: interval.transpose()?.filter(|interval_ms| *interval_ms > 0),
            },
            tag: Some(self.tag).filter(|tag| !tag.is_empty()),
            stop: self.stop,
            cluster: self.cluster,
            properties: self.properties,
        })
    }
}

/// The given id, or one that nobody has.
pub fn id_or_new(given: Option<String>) -> String {
    given.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{:016x}", engine::rng::u64()))
}

/// The fields of a policy.
///
/// # Errors
/// Which name is none.
pub fn field_set(names: &[String]) -> Result<FieldSet, String> {
    Ok(FieldSet::new(names.iter().map(|name| field(name)).collect::<Result<Vec<_>, _>>()?))
}

/// The field of this name.
///
/// # Errors
/// There is none.
pub fn field(name: &str) -> Result<Field, String> {
    Field::parse(name).ok_or_else(|| format!("there is no field \"{name}\""))
}

/// A time in seconds.
///
/// # Errors
/// It is negative, too long or none; `what` says whose.
pub fn seconds(what: &str, seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{what}: {seconds} is not a time in seconds"))
}

fn milliseconds(what: &str, given: f64) -> Result<u64, String> {
    Ok(u64::try_from(seconds(what, given)?.as_millis()).unwrap_or(u64::MAX))
}
