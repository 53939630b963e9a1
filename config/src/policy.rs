//! `smtpd-policy.yaml`: limits that hold over all shards.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::report::{Problem, Report};
use crate::scalar::{quoted, seconds};
use crate::schema::File;
use crate::suspends::property;
use crate::tree::{Checked, Tree};
use crate::{Error, Field, Loaded, Options, Pattern, Property, Running, Source, Version, check, matching};

/// The policy file.
#[derive(Clone, Debug)]
pub struct Policies {
    /// Version of the file; `None`: there is no file, which means no policies.
    pub version: Option<Version>,
    /// Rates that do not say how they are counted are counted in windows that open with the first message; else in buckets
    /// of tokens.
    pub fixed_window: bool,
    /// In file order.
    pub policies: Vec<Policy>,
}

/// `policies[]`: a set of counters.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What makes a counter; empty: there is one.
    pub fields: Vec<Field>,
    /// The first that matches decides.
    pub conditions: Vec<PolicyCondition>,
    /// Where none matches; `None`: no limit.
    pub default: Option<PolicyThen>,
}

/// `policies[].conditions[]`.
#[derive(Clone, Debug)]
pub struct PolicyCondition {
    /// `if`: fields of the policy, each of which must match. `@list`s are resolved.
    pub fields: Vec<(Field, Vec<Pattern>)>,
    /// `then`.
    pub then: PolicyThen,
}

/// What a counter permits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyThen {
    /// Open connections.
    pub concurrency: Option<u32>,
    /// Messages in a time.
    pub rate: Option<PolicyRate>,
    /// Between two connects.
    pub connect_interval: Option<Duration>,
    /// At most 32 characters.
    pub tag: Option<String>,
    /// Later policies are not looked at.
    pub stop: bool,
    /// Shared over the cluster.
    pub cluster: bool,
    /// Free data.
    pub properties: BTreeMap<String, Property>,
}

/// `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyRate {
    /// Messages.
    pub count: u32,
    /// In so long; not zero.
    pub interval: Duration,
    /// In windows that open with the first message; else a bucket of tokens.
    pub fixed_window: bool,
}

/// The first version whose rates are buckets of tokens.
const TOKEN_BUCKETS: Version = Version::new(6, 2);

/// Longest time that a rate or an interval can be about.
const LONGEST_S: f64 = 366.0 * 86_400.0;

impl Policies {
    /// Nothing is limited: there is no file.
    pub fn none() -> Policies {
        Policies { version: None, fixed_window: false, policies: Vec::new() }
    }
}

/// Reads the policy file; `@name` is looked up in the running file's lists, `&name` in its groupings.
///
/// # Errors
/// Every problem of the file, in file order.
pub fn load_policies(
    source: &Source<'_>,
    running: &Running,
    options: &Options<'_>,
) -> Result<Loaded<Policies>, Vec<Error>> {
    let mut report = Report::new(source.name);
    let read = check::read(File::Policy, source, options, &mut report);
    let value = read.map(|(tree, version)| {
        let fixed_window = match tree.text("rate.algorithm") {
            Some(algorithm) => algorithm == "fixedwindow",
            None => version < TOKEN_BUCKETS,
        };
        let mut reader = Reader { running, report: &mut report, fixed_window };
        let policies = tree.items("policies").iter().enumerate();
        let policies = policies.map(|(index, policy)| reader.policy(policy, index)).collect();
        Policies { version: Some(version), fixed_window, policies }
    });
    report.loaded(value)
}

struct Reader<'a> {
    running: &'a Running,
    report: &'a mut Report,
    fixed_window: bool,
}

impl Reader<'_> {
    fn policy(&mut self, tree: &Tree, index: usize) -> Policy {
        let path = format!("policies[{index}]");
        let mut fields = Vec::new();
        for (number, item) in tree.items("fields").iter().enumerate() {
            let Checked::Text(name) = &item.value else { continue };
            match Field::parse(name) {
                Some(field) if fields.contains(&field) => {
                    let problem = Problem::new(format!("{name} is there twice"));
                    self.report.error(item.at, &format!("{path}.fields[{number}]"), problem);
                }
                field => fields.extend(field),
            }
        }
        let conditions = tree.items("conditions").iter().enumerate();
        let conditions = conditions
            .map(|(number, tree)| self.condition(tree, &fields, &format!("{path}.conditions[{number}]")))
            .collect();
        let default = tree.get("default").map(|tree| self.then(tree, &format!("{path}.default")));
        Policy { fields, conditions, default }
    }

    fn condition(&mut self, tree: &Tree, of_policy: &[Field], path: &str) -> PolicyCondition {
        for (name, value) in tree.entries("if") {
            if !of_policy.iter().any(|field| field.name() == name) {
                let names: Vec<_> = of_policy.iter().map(|field| field.name()).collect();
                let of_path = path.split('.').next().unwrap_or_default();
                let text = format!("field is not in {of_path}.fields ({})", names.join(", "));
                let problem = Problem::new(text)
                    .hint("a condition can only look at what makes the counter; add it there");
                self.report.error(value.at, &format!("{path}.if.{name}"), problem);
            }
        }
        let fields = match tree.get("if") {
            Some(given) => matching::fields(given, &format!("{path}.if"), self.running, self.report),
            None => Vec::new(),
        };
        if fields.is_empty() && tree.entries("if").is_empty() {
            let problem = Problem::new("a condition without fields matches everything")
                .hint("what is for everything belongs into default");
            self.report.warning(tree.at, path, problem);
        }
        let then = tree.get("then").map(|tree| self.then(tree, &format!("{path}.then")));
        PolicyCondition { fields, then: then.unwrap_or_default() }
    }

    fn then(&mut self, tree: &Tree, path: &str) -> PolicyThen {
        let fixed_window = match tree.text("ratealgorithm") {
            Some(algorithm) => algorithm == "fixedwindow",
            None => self.fixed_window,
        };
        let properties = tree.entries("properties").iter();
        PolicyThen {
            concurrency: tree.count("concurrency"),
            rate: self.value(tree, "rate", path, rate).map(|(count, interval)| PolicyRate {
                count,
                interval,
                fixed_window,
            }),
            connect_interval: self.value(tree, "connectinterval", path, |value| match value {
                Checked::Number(number) => duration(*number),
                Checked::Text(text) => duration(seconds(text)?),
                _ => None,
            }),
            tag: tree.text("tag").map(str::to_owned),
            stop: tree.bool("stop").unwrap_or(false),
            cluster: tree.bool("cluster").unwrap_or(true),
            properties: properties.filter_map(|(name, tree)| Some((name.clone(), property(tree)?))).collect(),
        }
    }

    fn value<T>(
        &mut self,
        tree: &Tree,
        key: &str,
        path: &str,
        read: impl Fn(&Checked) -> Option<T>,
    ) -> Option<T> {
        let found = tree.get(key)?;
        let value = read(&found.value);
        if value.is_none() {
            let expected = match key {
                "rate" => "expected <messages>/<seconds>, for example 100/60",
                _ => "expected seconds, or a time such as 1m30s",
            };
            let given = match &found.value {
                Checked::Text(text) => format!("; got {}", quoted(text)),
                Checked::Number(number) => format!("; got {number}"),
                _ => String::new(),
            };
            let problem = Problem::new(format!("{expected}{given}"));
            self.report.error(found.at, &format!("{path}.{key}"), problem);
        }
        value
    }
}

/// `messages/seconds`, or a number of messages per second.
fn rate(value: &Checked) -> Option<(u32, Duration)> {
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
    };
    match value {
        Checked::Number(number) => Some((whole(*number)?, Duration::from_secs(1))),
        Checked::Text(text) => match text.split_once('/') {
            Some((count, time)) => {
                let interval = duration(time.trim().parse().ok()?)?;
                let count = count.trim().parse().ok()?;
                (!interval.is_zero()).then_some((count, interval))
            }
            None => Some((text.trim().parse().ok()?, Duration::from_secs(1))),
        },
        _ => None,
    }
}

/// Seconds, in whole milliseconds.
fn duration(seconds: f64) -> Option<Duration> {
    (0.0..=LONGEST_S).contains(&seconds).then(|| Duration::from_millis((seconds * 1000.0).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_messages_in_seconds_or_in_one_second() {
        let text = |text: &str| rate(&Checked::Text(text.to_owned()));
        let some = |count, ms| Some((count, Duration::from_millis(ms)));
        assert_eq!(text("120/60"), some(120, 60_000));
        assert_eq!(text("1/0.5"), some(1, 500));
        assert_eq!(text("7"), some(7, 1000));
        assert_eq!(rate(&Checked::Number(30.0)), some(30, 1000));
        for bad in ["", "/", "5/", "/5", "5/0", "-1/5", "a/b", "5/1e99", "1.5/2", "5/nan"] {
            assert_eq!(text(bad), None, "{bad}");
        }
        assert_eq!(rate(&Checked::Number(0.1)), None);
    }
}
