//! What is different between two texts of one file, key by key. Values are not shown: some are secrets.

use std::collections::HashMap;
use std::fmt;

use crate::limits::MAX_CHANGES;
use crate::prepare::key_text;
use crate::report::Path;
use crate::yaml::{Node, Position, Value, parse};

/// A key that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stands in the new text, or stood in the old one when it is gone: from 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// The key, as in an error: `servers[0].transport`. Empty: the file as a whole.
    pub path: String,
    /// What has become of it.
    pub kind: ChangeKind,
}

/// What has become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// Its value is another.
    Changed,
}

/// What is different between two texts of a file that have been loaded, in the order of the new one; after the 200th it is
/// no longer looked for. Texts that are no YAML have no keys.
///
/// Items of a list that have an `id` are compared with those that had it before; others with those that had the same place.
/// Files that are named in a text may be different by themselves.
///
/// ```
/// let changes = config::changes("a: 1\nb: [x]\n", "a: 1\nb: [y]\nc: 3\n");
/// let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
/// assert_eq!(text, ["2:5: b[0]: changed", "3:4: c: added"]);
/// ```
#[must_use]
pub fn changes(before: &str, after: &str) -> Vec<Change> {
    let (mut found, mut path) = (Found::default(), Path::default());
    match (parse(before).ok().flatten(), parse(after).ok().flatten()) {
        (Some(before), Some(after)) => found.compare(&mut path, &before, &after),
        (None, Some(after)) => found.add(&path, after.at, ChangeKind::Added),
        (Some(before), None) => found.add(&path, before.at, ChangeKind::Removed),
        (None, None) => {}
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Change>);

impl Found {
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_CHANGES
    }

    fn add(&mut self, path: &Path, at: Position, kind: ChangeKind) {
        if !self.is_full() {
            self.0.push(Change { line: at.line, column: at.column, path: path.as_str().to_owned(), kind });
        }
    }

    fn compare(&mut self, path: &mut Path, before: &Node, after: &Node) {
        match (&before.value, &after.value) {
            (Value::Scalar(one), Value::Scalar(other)) => {
                if (&one.text, &one.style) != (&other.text, &other.style) {
                    self.add(path, after.at, ChangeKind::Changed);
                }
            }
            (Value::Map(one), Value::Map(other)) => self.compare_maps(path, one, other),
            (Value::List(one), Value::List(other)) => self.compare_lists(path, one, other),
            _ => self.add(path, after.at, ChangeKind::Changed),
        }
    }

    fn compare_maps(&mut self, path: &mut Path, before: &[(Node, Node)], after: &[(Node, Node)]) {
        let by_name = |entries: &'_ [(Node, Node)]| -> HashMap<String, usize> {
            entries.iter().zip(0..).map(|((key, _), index)| (key_text(key).to_owned(), index)).collect()
        };
        let (was, is) = (by_name(before), by_name(after));
        for (key, value) in after {
            let name = key_text(key);
            path.with_key(name, |path| match was.get(name) {
                _ if self.is_full() => {}
                Some(index) => self.compare(path, &before[*index].1, value),
                None => self.add(path, value.at, ChangeKind::Added),
            });
        }
        for (key, value) in before.iter().filter(|(key, _)| !is.contains_key(key_text(key))) {
            path.with_key(key_text(key), |path| self.add(path, value.at, ChangeKind::Removed));
        }
    }

    fn compare_lists(&mut self, path: &mut Path, before: &[Node], after: &[Node]) {
        let by_id = |items: &[Node]| -> Option<HashMap<String, usize>> {
            items.iter().zip(0..).map(|(item, index)| Some((id(item)?.to_owned(), index))).collect()
        };
        let ids = by_id(before).zip(by_id(after));
        let of = |all: Option<&HashMap<String, usize>>, items: &[Node], index: usize, item: &Node| match all {
            Some(all) => id(item).and_then(|id| all.get(id).copied()),
            None => (index < items.len()).then_some(index),
        };
        for (index, item) in after.iter().enumerate() {
            let was = of(ids.as_ref().map(|(was, _)| was), before, index, item);
            path.with_index(index, |path| match was {
                _ if self.is_full() => {}
                Some(was) => self.compare(path, &before[was], item),
                None => self.add(path, item.at, ChangeKind::Added),
            });
        }
        for (index, item) in before.iter().enumerate() {
            if of(ids.as_ref().map(|(_, is)| is), after, index, item).is_none() {
                path.with_index(index, |path| self.add(path, item.at, ChangeKind::Removed));
            }
        }
    }
}

/// The `id` of an item of a list.
fn id(item: &Node) -> Option<&str> {
    let Value::Map(entries) = &item.value else { return None };
    let (_, value) = entries.iter().find(|(key, _)| key_text(key) == "id")?;
    if let Value::Scalar(scalar) = &value.value { Some(&scalar.text) } else { None }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { line, column, path, kind } = self;
        let kind = match kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        write!(f, "{line}:{column}: ")?;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        f.write_str(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> Vec<String> {
        changes(before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_are_compared_by_name_and_items_by_id() {
        let before = "a: {x: 1, y: 2}\nlist:\n  - {id: one, port: 25}\n  - {id: two, port: 26}\n";
        let after = "list:\n  - {id: two, port: 27}\n  - {id: three}\na: {y: 2, z: 3}\n";
        let wanted = [
            "2:21: list[0].port: changed",
            "3:5: list[1]: added",
            "3:5: list[0]: removed",
            "4:14: a.z: added",
            "1:8: a.x: removed",
        ];
        assert_eq!(shown(before, after), wanted);
        assert_eq!(shown(before, before), [""; 0]);
    }

    #[test]
    fn items_without_an_id_are_compared_by_their_place() {
        assert_eq!(shown("[a, b, c]", "[a, x]"), ["1:5: [1]: changed", "1:8: [2]: removed"]);
        assert_eq!(shown("a: 1", "a: '1'"), ["1:4: a: changed"], "a number is no text");
        assert_eq!(shown("a: 1", "a: [1]"), ["1:4: a: changed"]);
        assert_eq!(shown("", "a: 1"), ["1:1: added"]);
        assert_eq!(shown("a: 1", "{"), ["1:1: removed"]);
    }

    #[test]
    fn no_more_than_some_are_looked_for() {
        let many = |value: &str| (0..1000).map(|key| format!("k{key}: {value}\n")).collect::<String>();
        assert_eq!(changes(&many("1"), &many("2")).len(), MAX_CHANGES);
    }
}
