//! What the queue knows of transports, under numbers that never change.

use rustc_hash::FxHashMap;
use std::sync::Arc;

use crate::attempt::Lines;
use crate::queue::Transport;
use crate::retry::RetryPolicy;

/// Rules of one transport: the last known ones, when it is gone from the configuration.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) name: Arc<str>,
    pub(crate) lines: Lines,
    pub(crate) concurrency: u32,
    pub(crate) retry: RetryPolicy,
}

/// All transports ever configured or named by an item. Names come from configuration and scripts, so the table
/// stays small and nothing is removed from it.
#[derive(Debug, Default)]
pub(crate) struct Transports {
    rules: Vec<Rules>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Transports {
    pub(crate) fn set(&mut self, transport: &Transport) {
        let number = self.number(&transport.name);
        let rules = &mut self.rules[number as usize];
        rules.lines = transport.lines;
        rules.concurrency = transport.concurrency;
        rules.retry = transport.retry.clone();
    }

    /// The number of a name; a name never heard of gets the default rules.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.rules.len() as u32;
        let name: Arc<str> = name.into();
        let Transport { lines, concurrency, retry, .. } = Transport::default();
        self.rules.push(Rules { name: Arc::clone(&name), lines, concurrency, retry });
        self.numbers.insert(name, number);
        number
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn get(&self, number: u32) -> &Rules {
        &self.rules[number as usize]
    }
}
