//! What a rule of a suspend, policy or delivery file matches: patterns for the eight fields.

use crate::report::{Problem, Report};
use crate::tree::{Checked, Match, Tree};
use crate::{Field, Pattern, Running};

/// The fields that `rule` (at `path`) gives: each matches when any of its patterns does. `@name` is looked up in the
/// running file's lists, `&name` in its groupings.
pub(crate) fn fields(
    rule: &Tree,
    path: &str,
    running: &Running,
    report: &mut Report,
) -> Vec<(Field, Vec<Pattern>)> {
    let given = Field::ALL.into_iter().filter(|field| rule.get(field.name()).is_some());
    given
        .map(|field| {
            let path = format!("{path}.{}", field.name());
            (field, resolve(rule.items(field.name()), field, running, &path, report))
        })
        .collect()
}

/// The patterns of one field, with what its `@list`s stand for.
fn resolve(items: &[Tree], field: Field, running: &Running, path: &str, report: &mut Report) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for item in items {
        let Checked::Match(value) = &item.value else { continue };
        match value {
            Match::Pattern(pattern) => {
                unknown_group(pattern, item, running, path, report);
                patterns.push(pattern.clone());
            }
            Match::List(name) => match running.lists.get(&(field, name.clone())) {
                Some(list) => patterns.extend(list.iter().cloned()),
                None => {
                    let text = format!("no list \"{name}\" under lists.{}", field.name());
                    report.error(item.at, path, Problem::new(text));
                }
            },
        }
    }
    patterns
}

fn unknown_group(pattern: &Pattern, item: &Tree, running: &Running, path: &str, report: &mut Report) {
    let Pattern::Group(id) = pattern else { return };
    if !running.queues.groupings.iter().any(|grouping| grouping.id == *id) {
        let problem = Problem::new(format!("no grouping \"{id}\" under queues.grouping.groupings"));
        report.error(item.at, path, problem);
    }
}
