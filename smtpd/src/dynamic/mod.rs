//! Rules that are added while the server runs: suspends with a time to live. On the control thread.
//!
//! They hold beside those of the suspend file, on all shards, without a reload, and survive a restart with the time that
//! they have left: [`file`] keeps them beside the spool.

pub mod file;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use config::Property;
use engine::sync::Notify;
use queue::{Field, Rule, Suspends};

use crate::limits;

/// A suspend that was added while the server runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspend {
    /// Its name; unique.
    pub id: String,
    /// What it matches by: one value for each field that is given. Without fields it matches all.
    pub fields: Vec<(Field, String)>,
    /// Label; empty: none.
    pub tag: String,
    /// When it ends, in milliseconds of the steady clock; `None`: when it is deleted.
    pub until_ms: Option<u64>,
    /// Free data.
    pub properties: BTreeMap<String, Property>,
}

/// What can be changed of a suspend; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// How long it lives from now on; zero: until it is deleted.
    pub ttl: Option<Duration>,
    /// Label.
    pub tag: Option<String>,
    /// All of its data.
    pub properties: Option<BTreeMap<String, Property>>,
}

/// The dynamic rules in force.
#[derive(Debug)]
pub struct Dynamic {
    suspends: RefCell<Vec<Suspend>>,
    /// Says that something has changed, for whoever waits for the next to end.
    changed: Notify,
}

impl Suspend {
    /// Whether all of these fields are equal.
    pub fn has(&self, fields: &[(Field, String)]) -> bool {
        fields.iter().all(|field| self.fields.contains(field))
    }

    /// As the queue compiles it.
    fn rule(&self) -> Rule {
        let fields = self.fields.iter().map(|(field, value)| (*field, vec![value.clone()]));
        Rule { fields: fields.collect(), tag: Some(self.tag.clone()).filter(|tag| !tag.is_empty()) }
    }

    fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }
}

/// When something ends that lives so long from now on; zero: never by itself.
pub fn until(ttl: Duration, now_ms: u64) -> Option<u64> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    (!ttl.is_zero()).then(|| now_ms.saturating_add(ttl_ms.max(1)))
}

impl Dynamic {
    /// With these in force.
    pub fn new(suspends: Vec<Suspend>) -> Dynamic {
        Dynamic { suspends: RefCell::new(suspends), changed: Notify::new() }
    }

    /// Puts these in force, which were kept over a restart.
    pub fn restore(&self, suspends: Vec<Suspend>) {
        self.suspends.replace(suspends);
        self.changed.notify_one();
    }

    /// All, in the order in which they were added.
    pub fn suspends(&self) -> Vec<Suspend> {
        self.suspends.borrow().clone()
    }

    /// As the queue compiles them, in the same order.
    pub fn rules(&self) -> Vec<Rule> {
        self.suspends.borrow().iter().map(Suspend::rule).collect()
    }

    /// Adds one. One with equal fields is there already: it lives on from now, with the new label and data. Gives the id
    /// of the one in force.
    ///
    /// # Errors
    /// A sentence on what cannot be.
    pub fn add(&self, new: Suspend) -> Result<String, String> {
        check(&new)?;
        let mut all = self.suspends.borrow_mut();
        let equal = |old: &&mut Suspend| old.fields.len() == new.fields.len() && old.has(&new.fields);
        if let Some(old) = all.iter_mut().find(equal) {
            let id = old.id.clone();
            *old = Suspend { id: id.clone(), ..new };
            self.changed.notify_one();
            return Ok(id);
        }
        if all.iter().any(|old| old.id == new.id) {
            return Err(format!("id: there is a suspend \"{}\" with other fields", new.id));
        }
        if all.len() >= limits::DYNAMIC_SUSPENDS {
            let most = limits::DYNAMIC_SUSPENDS;
            return Err(format!(
                "there are {most} dynamic suspends already; put lists into the suspend file"
            ));
        }
        let id = new.id.clone();
        all.push(new);
        self.changed.notify_one();
        Ok(id)
    }

    /// Changes one. False: there is none with this id.
    ///
    /// # Errors
    /// A sentence on what cannot be.
    pub fn update(&self, id: &str, change: Change, now_ms: u64) -> Result<bool, String> {
        let mut all = self.suspends.borrow_mut();
        let Some(old) = all.iter_mut().find(|old| old.id == id) else { return Ok(false) };
        let changed = Suspend {
            until_ms: change.ttl.map_or(old.until_ms, |ttl| until(ttl, now_ms)),
            tag: change.tag.unwrap_or_else(|| old.tag.clone()),
            properties: change.properties.unwrap_or_else(|| old.properties.clone()),
            ..old.clone()
        };
        check(&changed)?;
        *old = changed;
        self.changed.notify_one();
        Ok(true)
    }

    /// Removes those that `is_one` says. Gives how many there were.
    pub fn remove(&self, is_one: impl Fn(&Suspend) -> bool) -> usize {
        let mut all = self.suspends.borrow_mut();
        let before = all.len();
        all.retain(|suspend| !is_one(suspend));
        before - all.len()
    }

    /// Waits until some have ended, and removes them.
    pub async fn expired(&self) {
        loop {
            let now_ms = engine::time::steady_ms();
            if self.remove(|suspend| suspend.is_over(now_ms)) > 0 {
                return;
            }
            let first = self.suspends.borrow().iter().filter_map(|suspend| suspend.until_ms).min();
            match first {
                None => self.changed.notified().await,
                Some(at_ms) => {
                    let wait = Duration::from_millis(at_ms.saturating_sub(now_ms) + 1);
                    // What was added in the meantime may end earlier.
                    let _ = engine::time::timeout(wait, self.changed.notified()).await;
                }
            }
        }
    }
}

/// Characters of a label (configuration 6.1).
const TAG_CHARACTERS: usize = 32;

fn check(suspend: &Suspend) -> Result<(), String> {
    if suspend.tag.chars().count() > TAG_CHARACTERS {
        return Err(format!("tag: longer than {TAG_CHARACTERS} characters"));
    }
    if suspend.id.is_empty() || suspend.id.len() > limits::DYNAMIC_ID_BYTES {
        return Err(format!("id: takes 1 to {} bytes", limits::DYNAMIC_ID_BYTES));
    }
    if suspend.properties.len() > limits::DYNAMIC_PROPERTIES {
        return Err(format!("properties: more than {}", limits::DYNAMIC_PROPERTIES));
    }
    Suspends::compile(&[suspend.rule()], &[]).map(drop).map_err(|error| {
        let field = error.field.map(Field::name).unwrap_or_default();
        format!("{field}: \"{}\": {}", error.value, error.problem)
    })
}
