//! `smtpd-suspend.yaml`: what is not picked up from the queue.

use std::collections::BTreeMap;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::tree::{Checked, Tree};
use crate::{Error, Field, Loaded, Options, Pattern, Property, Running, Source, Version, check, matching};

/// The suspend file.
#[derive(Clone, Debug)]
pub struct Suspends {
    /// Version of the file; `None`: there is no file, which means no suspends.
    pub version: Option<Version>,
    /// A recipient that matches any of them is not picked up.
    pub suspends: Vec<Suspend>,
}

/// `suspends[]`: matches when each given field matches; without fields it matches all.
#[derive(Clone, Debug)]
pub struct Suspend {
    /// A field matches when any of its patterns does. `@list`s are resolved.
    pub fields: Vec<(Field, Vec<Pattern>)>,
    /// At most 32 characters.
    pub tag: Option<String>,
    /// Free data.
    pub properties: BTreeMap<String, Property>,
}

impl Suspends {
    /// Nothing is suspended: there is no file.
    pub fn none() -> Suspends {
        Suspends { version: None, suspends: Vec::new() }
    }
}

/// Reads the suspend file; `@name` is looked up in the running file's lists, `&name` in its groupings.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_suspends(
    source: &Source<'_>,
    running: &Running,
    options: &Options<'_>,
) -> Result<Loaded<Suspends>, Vec<Error>> {
    let mut report = Report::new(source.name);
    let read = check::read(File::Suspend, source, options, &mut report);
    let value = read.map(|(tree, version)| {
        let rules = tree.items("suspends").iter().enumerate();
        let suspends = rules.map(|(index, rule)| suspend(rule, index, running, &mut report)).collect();
        Suspends { version: Some(version), suspends }
    });
    report.loaded(value)
}

fn suspend(rule: &Tree, index: usize, running: &Running, report: &mut Report) -> Suspend {
    let fields = matching::fields(rule, &format!("suspends[{index}]"), running, report);
    if fields.is_empty() && !matches!(rule.value, Checked::Opaque) {
        let problem = Problem::new("a rule without fields stops the whole queue");
        report.warning(rule.at, &format!("suspends[{index}]"), problem);
    }
    let properties =
        rule.entries("properties").iter().filter_map(|(name, tree)| Some((name.clone(), property(tree)?)));
    Suspend { fields, tag: rule.text("tag").map(str::to_owned), properties: properties.collect() }
}

pub(crate) fn property(tree: &Tree) -> Option<Property> {
    match &tree.value {
        Checked::Text(text) => Some(Property::Text(text.clone())),
        Checked::Number(number) => Some(Property::Number(*number)),
        Checked::Bool(bool) => Some(Property::Bool(*bool)),
        _ => None,
    }
}
