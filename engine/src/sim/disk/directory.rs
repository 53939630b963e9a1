//! The names in one simulated directory: what a reader sees, what is durable, and the changes between.

use std::collections::BTreeMap;

use crate::sim::random::Random;

pub(super) type Ino = u64;

#[derive(Debug, Default)]
pub(super) struct Directory {
    visible: BTreeMap<String, Ino>,
    durable: BTreeMap<String, Ino>,
    /// What happened since the last sync, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Link(String, Ino),
    Unlink(String),
    Rename(String, String, Ino),
}

impl Directory {
    /// What a reader sees.
    pub(super) fn names(&self) -> &BTreeMap<String, Ino> {
        &self.visible
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.visible);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.visible.clone();
        self.unsynced.clear();
    }

    pub(super) fn link_durably(&mut self, name: &str, ino: Ino) {
        self.visible.insert(name.to_owned(), ino);
        self.durable.insert(name.to_owned(), ino);
    }

    /// Decides which changes since the last sync survive: all, none, the first few, or any.
    pub(super) fn lose_power(&mut self, all_or_some: u64, random: &mut Random) {
        let count = self.unsynced.len();
        let first = random.index(count + 1);
        for (index, change) in std::mem::take(&mut self.unsynced).into_iter().enumerate() {
            let kept = match all_or_some {
                0 => true,
                1 => false,
                2 => index < first,
                _ => random.flip(),
            };
            if kept {
                change.apply(&mut self.durable);
            }
        }
        self.visible = self.durable.clone();
    }

    /// Everything that a reader, or a crash, can find here.
    pub(super) fn referenced(&self) -> impl Iterator<Item = Ino> {
        let unsynced = self.unsynced.iter().filter_map(|change| match change {
            Change::Link(_, ino) | Change::Rename(_, _, ino) => Some(*ino),
            Change::Unlink(_) => None,
        });
        self.visible.values().chain(self.durable.values()).copied().chain(unsynced)
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Ino>) {
        match self {
            Change::Link(name, ino) => {
                names.insert(name.clone(), *ino);
            }
            Change::Unlink(name) => {
                names.remove(name);
            }
            Change::Rename(from, to, ino) => {
                // The creation before it may have been lost; the rename then stands for both.
                names.retain(|name, found| name != from || found != ino);
                names.insert(to.clone(), *ino);
            }
        }
    }
}
