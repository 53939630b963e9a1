//! Rules that are added while the server runs: suspends, and conditions of policies, with a time to live. On the control
//! thread.
//!
//! They hold beside those of the files, on all shards, without a reload, and survive a restart with the time that
//! they have left: [`file`] keeps them beside the spool.

pub mod file;
#[cfg(test)]
mod tests;
pub mod wanted;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use config::Property;
use engine::sync::Notify;
use queue::{Field, Rule, Suspends};

use crate::limits;
use crate::relinquish::{Relinquish, Relinquished};

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

/// A condition of a policy that was added while the server runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What it is; its id is unique.
    pub rule: queue::policy::Dynamic,
    /// When it ends, in milliseconds of the steady clock; `None`: when it is deleted.
    pub until_ms: Option<u64>,
}

/// The dynamic rules in force.
#[derive(Debug, Default)]
pub struct Dynamic {
    suspends: RefCell<Vec<Suspend>>,
    conditions: RefCell<Vec<Condition>>,
    relinquished: RefCell<Vec<Relinquish>>,
    /// Says that something has changed, for whoever waits for the next to end.
    changed: Notify,
}

impl Suspend {
    /// Whether all of these fields are equal.
    pub fn has(&self, fields: &[(Field, String)]) -> bool {
        fields.iter().all(|field| self.fields.contains(field))
    }

    /// Whether it matches by these fields and no others.
    pub fn equals(&self, fields: &[(Field, String)]) -> bool {
        self.fields.len() == fields.len() && self.has(fields)
    }

    /// As the queue compiles it.
    fn rule(&self) -> Rule {
        let fields = self.fields.iter().map(|(field, value)| (*field, vec![value.clone()]));
        Rule { fields: fields.collect(), tag: Some(self.tag.clone()).filter(|tag| !tag.is_empty()) }
    }
}

impl Condition {
    /// Whether it is about the same: policy, kind and values.
    pub fn equals(&self, other: &Condition) -> bool {
        (self.rule.kind, self.rule.fields) == (other.rule.kind, other.rule.fields)
            && self.rule.condition.fields == other.rule.condition.fields
    }
}

/// When something ends that lives so long from now on; zero: never by itself.
pub fn until(ttl: Duration, now_ms: u64) -> Option<u64> {
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    (!ttl.is_zero()).then(|| now_ms.saturating_add(ttl_ms.max(1)))
}

impl Dynamic {
    /// Puts these in force, which were kept over a restart.
    pub fn restore(&self, suspends: Vec<Suspend>, conditions: Vec<Condition>) {
        self.suspends.replace(suspends);
        self.conditions.replace(conditions);
        self.changed.notify_one();
    }

    /// The same rules once more, to try something with.
    pub fn copy(&self) -> Dynamic {
        let copy = Dynamic::default();
        copy.restore(self.suspends(), self.conditions());
        copy.relinquished.replace(self.relinquished());
        copy
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
        if let Some(old) = all.iter_mut().find(|old| old.equals(&new.fields)) {
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

    /// All conditions of policies, in the order in which they were added.
    pub fn conditions(&self) -> Vec<Condition> {
        self.conditions.borrow().clone()
    }

    /// As the policies are compiled with them, in the same order.
    pub fn condition_rules(&self) -> Vec<queue::policy::Dynamic> {
        self.conditions.borrow().iter().map(|condition| condition.rule.clone()).collect()
    }

    /// Adds a condition. One of the same policy, kind and values is there already: it lives on from now, with the new
    /// limits. Gives the id of the one in force. Whether the policy exists is for who compiles them to say.
    ///
    /// # Errors
    /// A sentence on what cannot be.
    pub fn add_condition(&self, new: Condition) -> Result<String, String> {
        check_id(&new.rule.id)?;
        let mut all = self.conditions.borrow_mut();
        if let Some(old) = all.iter_mut().find(|old| old.equals(&new)) {
            let id = old.rule.id.clone();
            *old = new;
            old.rule.id.clone_from(&id);
            self.changed.notify_one();
            return Ok(id);
        }
        if all.iter().any(|old| old.rule.id == new.rule.id) {
            return Err(format!("id: there is a condition \"{}\" with other values", new.rule.id));
        }
        if all.len() >= limits::DYNAMIC_CONDITIONS {
            return Err(format!("there are {} dynamic conditions already", limits::DYNAMIC_CONDITIONS));
        }
        let id = new.rule.id.clone();
        all.push(new);
        self.changed.notify_one();
        Ok(id)
    }

    /// Replaces what a condition asks for, and how long it lives where that is given. False: there is none with this id.
    pub fn update_condition(
        &self,
        id: &str,
        then: queue::policy::Then,
        ttl: Option<Duration>,
        now_ms: u64,
    ) -> bool {
        let mut all = self.conditions.borrow_mut();
        let Some(old) = all.iter_mut().find(|old| old.rule.id == id) else { return false };
        old.rule.condition.then = then;
        old.until_ms = ttl.map_or(old.until_ms, |ttl| until(ttl, now_ms));
        self.changed.notify_one();
        true
    }

    /// Removes those that `is_one` says. Gives how many there were.
    pub fn remove_conditions(&self, is_one: impl Fn(&Condition) -> bool) -> usize {
        let mut all = self.conditions.borrow_mut();
        let before = all.len();
        all.retain(|condition| !is_one(condition));
        before - all.len()
    }

    /// Ways that scripts want attempts back from, in the order in which they were added.
    pub fn relinquished(&self) -> Vec<Relinquish> {
        self.relinquished.borrow().clone()
    }

    /// Adds one. Where one with equal fields is there already, that lives as long as the new one if `update` says so. Whether
    /// there is one more now.
    ///
    /// # Errors
    /// A sentence on what cannot be.
    pub fn relinquish(&self, new: Relinquish, update: bool) -> Result<bool, String> {
        let mut all = self.relinquished.borrow_mut();
        if let Some(old) = all.iter_mut().find(|old| old.equals(&new.fields)) {
            if update {
                old.until_ms = new.until_ms;
                self.changed.notify_one();
            }
            return Ok(false);
        }
        if all.len() >= limits::RELINQUISHED {
            return Err(format!("there are {} already", limits::RELINQUISHED));
        }
        if new.value.as_ref().is_some_and(|value| value.len() > limits::RELINQUISH_VALUE_BYTES) {
            return Err(format!("return: longer than {} bytes as JSON", limits::RELINQUISH_VALUE_BYTES));
        }
        Relinquished::compile(std::slice::from_ref(&new))?;
        all.push(new);
        self.changed.notify_one();
        Ok(true)
    }

    /// Waits until some have ended, and removes them.
    pub async fn expired(&self) {
        loop {
            let now_ms = engine::time::steady_ms();
            let over = |until_ms: Option<u64>| until_ms.is_some_and(|until_ms| until_ms <= now_ms);
            let suspends = self.remove(|suspend| over(suspend.until_ms));
            let conditions = self.remove_conditions(|condition| over(condition.until_ms));
            if suspends + conditions + self.relinquish_no_more(now_ms) > 0 {
                return;
            }
            let suspends = self.suspends.borrow().iter().filter_map(|suspend| suspend.until_ms).min();
            let conditions = self.conditions.borrow().iter().filter_map(|condition| condition.until_ms).min();
            let relinquished = self.relinquished.borrow().iter().map(|way| way.until_ms).min();
            match [suspends, conditions, relinquished].into_iter().flatten().min() {
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

impl Dynamic {
    /// Removes what is over. Gives how many there were.
    fn relinquish_no_more(&self, now_ms: u64) -> usize {
        let mut all = self.relinquished.borrow_mut();
        let before = all.len();
        all.retain(|way| way.until_ms > now_ms);
        before - all.len()
    }
}

/// Characters of a label (configuration 6.1).
pub const TAG_CHARACTERS: usize = 32;

fn check_id(id: &str) -> Result<(), String> {
    if id.is_empty() || id.len() > limits::DYNAMIC_ID_BYTES {
        return Err(format!("id: takes 1 to {} bytes", limits::DYNAMIC_ID_BYTES));
    }
    Ok(())
}

fn check(suspend: &Suspend) -> Result<(), String> {
    if suspend.tag.chars().count() > TAG_CHARACTERS {
        return Err(format!("tag: longer than {TAG_CHARACTERS} characters"));
    }
    check_id(&suspend.id)?;
    if suspend.properties.len() > limits::DYNAMIC_PROPERTIES {
        return Err(format!("properties: more than {}", limits::DYNAMIC_PROPERTIES));
    }
    Suspends::compile(&[suspend.rule()], &[]).map(drop).map_err(|error| {
        let field = error.field.map(Field::name).unwrap_or_default();
        format!("{field}: \"{}\": {}", error.value, error.problem)
    })
}
