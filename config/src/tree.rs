//! A file after checking: known keys, typed values, and where each stood.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::Pattern;
use crate::yaml::Position;

/// A value that the schema has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Where it stands; the start of the file for what comes from a default.
    pub(crate) at: Position,
    pub(crate) value: Checked,
}

/// Typed as the schema says.
#[derive(Clone, Debug)]
pub(crate) enum Checked {
    Text(String),
    /// Integers, sizes in bytes, octal modes.
    Integer(u64),
    Number(f64),
    Bool(bool),
    Time(Duration),
    Ip(IpAddr),
    Network(IpNet),
    Server(SocketAddr),
    Match(Match),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
    /// Not looked at.
    Opaque,
}

/// A `match` value before `@list` is resolved.
#[derive(Clone, Debug)]
pub(crate) enum Match {
    Pattern(Pattern),
    /// `@name`.
    List(String),
}

impl Tree {
    /// The value at a path of keys such as `syslog.mask`. None of the keys asked for contains a dot.
    pub(crate) fn get(&self, path: &str) -> Option<&Tree> {
        path.split('.').try_fold(self, |tree, key| match &tree.value {
            Checked::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        })
    }

    /// The items at `path`; empty when there is nothing. A lone scalar counts as a list of one.
    pub(crate) fn items(&self, path: &str) -> &[Tree] {
        match self.get(path) {
            Some(Tree { value: Checked::List(items), .. }) => items,
            Some(tree) => std::slice::from_ref(tree),
            None => &[],
        }
    }

    /// The entries at `path`; empty when there is nothing.
    pub(crate) fn entries(&self, path: &str) -> &[(String, Tree)] {
        match self.get(path) {
            Some(Tree { value: Checked::Map(entries), .. }) => entries,
            _ => &[],
        }
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        match &self.get(path)?.value {
            Checked::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, path: &str) -> Option<u64> {
        match self.get(path)?.value {
            Checked::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// An integer that the schema bounds to 32 bits.
    pub(crate) fn count(&self, path: &str) -> Option<u32> {
        self.integer(path).map(|integer| u32::try_from(integer).expect("bounded by the schema"))
    }

    pub(crate) fn bool(&self, path: &str) -> Option<bool> {
        match self.get(path)?.value {
            Checked::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    pub(crate) fn time(&self, path: &str) -> Option<Duration> {
        match self.get(path)?.value {
            Checked::Time(time) => Some(time),
            _ => None,
        }
    }

    pub(crate) fn ip(&self, path: &str) -> Option<IpAddr> {
        match self.get(path)?.value {
            Checked::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    /// The networks of a list.
    pub(crate) fn networks(&self, path: &str) -> Vec<IpNet> {
        let network = |tree: &Tree| match tree.value {
            Checked::Network(network) => Some(network),
            _ => None,
        };
        self.items(path).iter().filter_map(network).collect()
    }

    /// Adds what `self` lacks and `other` has: mappings key by key, everything else as a whole.
    pub(crate) fn inherit(&mut self, other: &Tree) {
        let (Checked::Map(entries), Checked::Map(inherited)) = (&mut self.value, &other.value) else {
            return;
        };
        for (name, value) in inherited {
            match entries.iter_mut().find(|(own, _)| own == name) {
                Some((_, own)) => own.inherit(value),
                None => entries.push((name.clone(), value.clone())),
            }
        }
    }
}
