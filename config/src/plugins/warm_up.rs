//! The settings of `warmup`: source addresses that are new, and how much mail they may send by their age.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::civil::Date;

use crate::limits::WARM_UP_ADDRESSES;
use crate::report::{Problem, Report};
use crate::schema::File;
use crate::suspends::property;
use crate::tree::{Checked, Match, Tree};
use crate::{Field, Pattern, Property};

use super::{join, required};

/// The keys that count.
pub(super) const SETTINGS: &[&str] = &["exclude", "schedules", "ips"];

/// The time that a number of messages is for when the file does not say.
const INTERVAL: Duration = Duration::from_secs(3600);

/// New addresses and their schedules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WarmUp {
    /// A new address serves only mail that its schedule is about; `None`: the file does not say.
    pub exclude: Option<bool>,
    /// By class.
    pub schedules: Vec<WarmUpSchedule>,
    /// In the order of the running file.
    pub addresses: Vec<WarmUpAddress>,
}

/// How the mail of an address may grow.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmUpSchedule {
    /// Its name.
    pub class: String,
    /// The fields of the policy whose counters it limits; with a value, only mail that matches that.
    pub fields: Vec<(Field, Option<Pattern>)>,
    /// Rates are counted in windows that open with the first message; else in a bucket of tokens.
    pub fixed_window: bool,
    /// At least one; by ascending day.
    pub steps: Vec<WarmUpStep>,
}

/// What holds up to and with a day.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmUpStep {
    /// Days after the address was added, from 0.
    pub day: u32,
    /// Most messages in `interval`; not 0.
    pub messages: u32,
    /// Not zero.
    pub interval: Duration,
    /// Free data, for scripts.
    pub properties: BTreeMap<String, Property>,
}

/// An address that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmUpAddress {
    /// The address.
    pub ip: IpAddr,
    /// The name that scripts are to give for it.
    pub helo: Option<String>,
    /// Its schedule.
    pub class: String,
    /// Day 0, in the time zone of this host.
    pub added: Date,
}

impl WarmUp {
    /// What the startup file (`self`) and the running file say together.
    pub fn joined(&self, running: &WarmUp) -> WarmUp {
        WarmUp {
            exclude: running.exclude.or(self.exclude),
            schedules: join(&self.schedules, &running.schedules, |schedule| &schedule.class),
            addresses: running.addresses.clone(),
        }
    }

    /// The schedule of a class.
    pub fn schedule(&self, class: &str) -> Option<&WarmUpSchedule> {
        self.schedules.iter().find(|schedule| schedule.class == class)
    }
}

/// What the schema cannot say of `config` (at `path`).
pub(super) fn check(plugin: &Tree, file: File, path: &str, report: &mut Report) {
    if plugin.text("id") != Some("warmup") {
        return;
    }
    if let Some(ips) = plugin.get("config.ips")
        && file != File::Running
    {
        let problem = Problem::new("can be set in the running file only");
        report.error(ips.at, &format!("{path}.ips"), problem);
    }
    let mut classes = Vec::new();
    for (index, schedule) in plugin.items("config.schedules").iter().enumerate() {
        let path = format!("{path}.schedules[{index}]");
        if let Some(class) = schedule.text("class") {
            if classes.contains(&class) {
                let problem = Problem::new(format!("there is another schedule \"{class}\""));
                report.error(schedule.at, &format!("{path}.class"), problem);
            }
            classes.push(class);
        }
        check_schedule(schedule, &path, report);
    }
    if plugin.items("config.ips").len() > WARM_UP_ADDRESSES {
        let problem = Problem::new(format!("more than {WARM_UP_ADDRESSES} addresses"));
        report.error(plugin.at, &format!("{path}.ips"), problem);
        return;
    }
    let mut seen = Vec::new();
    for (index, ip) in plugin.items("config.ips").iter().enumerate() {
        let path = format!("{path}.ips[{index}]");
        if let Some(added) = ip.get("added").filter(|added| date(added).is_none()) {
            let problem = Problem::new("is not a date").hint("write it as \"2026-03-10\"");
            report.error(added.at, &format!("{path}.added"), problem);
        }
        let pair = (address(ip), ip.text("class"));
        if seen.contains(&pair) {
            let problem = Problem::new("the address is in this class already");
            report.error(ip.at, &path, problem);
        }
        seen.push(pair);
    }
}

fn check_schedule(schedule: &Tree, path: &str, report: &mut Report) {
    let steps = schedule.items("schedule");
    if let (Some(tree), []) = (schedule.get("schedule"), steps) {
        report.error(tree.at, &format!("{path}.schedule"), Problem::new("has no days"));
    }
    for (index, step) in steps.iter().enumerate() {
        let day = step.integer("day");
        if steps[..index].iter().any(|other| day.is_some() && other.integer("day") == day) {
            let problem = Problem::new("the day is there twice");
            report.error(step.at, &format!("{path}.schedule[{index}].day"), problem);
        }
    }
    let fields = fields_of(schedule);
    let at = schedule.get("fields").map_or(schedule.at, |fields| fields.at);
    if !fields.iter().any(|(field, _)| *field == Field::LocalIp) {
        let problem = Problem::new("localip is missing").hint("it is what the addresses are matched with");
        report.error(at, &format!("{path}.fields"), problem);
    }
    for (index, (field, _)) in fields.iter().enumerate() {
        if fields[..index].iter().any(|(other, _)| other == field) {
            let problem = Problem::new(format!("{} is there twice", field.name()));
            report.error(at, &format!("{path}.fields"), problem);
        }
    }
    for (index, item) in schedule.items("fields").iter().enumerate() {
        let Checked::Map(entries) = &item.value else { continue };
        if entries.len() != 1 {
            let problem = Problem::new("expected one field with its value");
            report.error(item.at, &format!("{path}.fields[{index}]"), problem);
        }
    }
}

/// What the running file (`root`) and the startup file must have for each other.
pub(super) fn check_pair(root: &Tree, startup: &WarmUp, report: &mut Report) {
    let mut plugins = root.items("plugins").iter().enumerate();
    let own = plugins.find(|(_, plugin)| plugin.text("id") == Some("warmup"));
    let (path, plugin) = match own {
        Some((index, plugin)) => (format!("plugins[{index}].config"), Some(plugin)),
        None => ("plugins".to_owned(), None),
    };
    let schedules = plugin.map_or(&[][..], |plugin| plugin.items("config.schedules"));
    let knows_class = |class: &str| {
        startup.schedule(class).is_some()
            || schedules.iter().any(|schedule| schedule.text("class") == Some(class))
    };
    let ips = plugin.map_or(&[][..], |plugin| plugin.items("config.ips"));
    for (index, ip) in ips.iter().enumerate() {
        if let Some(class) = ip.text("class").filter(|class| !knows_class(class)) {
            let problem = Problem::new(format!("there is no schedule \"{class}\""));
            report.error(ip.at, &format!("{path}.ips[{index}].class"), problem);
        }
    }
    let groups = root.items("queues.grouping.groupings");
    let no_group = |pattern: Option<&Pattern>| match pattern {
        Some(Pattern::Group(id)) if groups.iter().all(|group| group.text("id") != Some(id)) => {
            Some(Problem::new(format!("no grouping \"{id}\" under queues.grouping.groupings")))
        }
        _ => None,
    };
    for (index, schedule) in schedules.iter().enumerate() {
        for (_, pattern) in fields_of(schedule) {
            if let Some(problem) = no_group(pattern.as_ref()) {
                report.error(schedule.at, &format!("{path}.schedules[{index}].fields"), problem);
            }
        }
    }
    for schedule in &startup.schedules {
        if let Some(problem) = schedule.fields.iter().find_map(|(_, pattern)| no_group(pattern.as_ref())) {
            let of = format!("{}, for the schedule \"{}\"", File::Startup.file_name(), schedule.class);
            report.error(root.at, "queues.grouping.groupings", problem.hint(format!("named in {of}")));
        }
    }
}

/// The typed value of a tree without errors.
pub(super) fn warm_up(plugin: &Tree) -> WarmUp {
    WarmUp {
        exclude: plugin.bool("config.exclude"),
        schedules: plugin.items("config.schedules").iter().map(schedule).collect(),
        addresses: plugin
            .items("config.ips")
            .iter()
            .filter_map(|tree| {
                Some(WarmUpAddress {
                    ip: address(tree)?,
                    helo: tree.text("helo").map(str::to_owned),
                    class: required(tree, "class"),
                    added: date(tree.get("added")?)?,
                })
            })
            .collect(),
    }
}

fn schedule(tree: &Tree) -> WarmUpSchedule {
    let interval = |tree: &Tree| tree.integer("interval").map(Duration::from_secs);
    let properties = |tree: &Tree| -> BTreeMap<String, Property> {
        let entries = tree.entries("properties").iter();
        entries.filter_map(|(name, tree)| Some((name.clone(), property(tree)?))).collect()
    };
    let of_all = properties(tree);
    let step = |step: &Tree| {
        let mut own = of_all.clone();
        own.extend(properties(step));
        WarmUpStep {
            day: step.count("day").expect("required"),
            messages: step.count("messages").expect("required"),
            interval: interval(step).or(interval(tree)).unwrap_or(INTERVAL),
            properties: own,
        }
    };
    let mut steps: Vec<_> = tree.items("schedule").iter().map(step).collect();
    steps.sort_by_key(|step| step.day);
    WarmUpSchedule {
        class: required(tree, "class"),
        fields: fields_of(tree),
        fixed_window: tree.text("ratealgorithm") == Some("fixedwindow"),
        steps,
    }
}

fn fields_of(schedule: &Tree) -> Vec<(Field, Option<Pattern>)> {
    let Some(fields) = schedule.get("fields") else { return vec![(Field::LocalIp, None)] };
    let Checked::List(items) = &fields.value else { return Vec::new() };
    let field = |item: &Tree| match &item.value {
        Checked::Text(name) => Some((Field::parse(name)?, None)),
        Checked::Map(entries) => {
            let (name, value) = entries.first()?;
            let Checked::Match(Match::Pattern(pattern)) = &value.value else { return None };
            Some((Field::parse(name)?, Some(pattern.clone())))
        }
        _ => None,
    };
    items.iter().filter_map(field).collect()
}

fn address(tree: &Tree) -> Option<IpAddr> {
    match tree.get("ip")?.value {
        Checked::Ip(ip) => Some(ip),
        _ => None,
    }
}

fn date(added: &Tree) -> Option<Date> {
    match &added.value {
        Checked::Text(text) => Date::strptime("%Y-%m-%d", text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Scope, Source, load_running, load_startup};

    /// What both files say together, or the errors of the running one.
    fn both(startup: &str, running: &str) -> Result<WarmUp, String> {
        let options = Options { scope: Scope::Scripts, ..Options::default() };
        let startup = load_startup(&Source { name: "smtpd", text: startup }, &options);
        let startup = startup.expect("a good file").value.plugins.warm_up;
        let of_startup =
            crate::Startup { plugins: crate::Plugins { warm_up: startup, ..Default::default() }, ..empty() };
        match load_running(&Source { name: "smtpd_app", text: running }, &of_startup, &options) {
            Ok(running) => Ok(of_startup.plugins.warm_up.joined(&running.value.plugins.warm_up)),
            Err(errors) => Err(errors.iter().map(|error| format!("{error}\n")).collect()),
        }
    }

    fn empty() -> crate::Startup {
        let options = Options { scope: Scope::Scripts, ..Options::default() };
        load_startup(&Source { name: "smtpd", text: "version: \"6.0\"" }, &options)
            .expect("a good file")
            .value
    }

    const STARTUP: &str = "plugins: [{id: warmup, config: {exclude: true, schedules: [{class: slow, schedule: [{day: 1, messages: 7}]}, \
                           {class: other, schedule: [{day: 0, messages: 1}]}]}}]";

    #[test]
    fn schedules_of_both_files_hold_and_days_are_in_order() {
        let running = "plugins: [{id: warmup, config: {
            schedules: [{class: slow, fields: [localip, {remotemx: '*.a.example'}], interval: 60, properties: {a: 1, b: x},
                schedule: [{day: 3, messages: 40, interval: 5, properties: {a: 2}}, {day: 0, messages: 10}]}],
            ips: [{ip: 192.0.2.1, class: slow, added: 2026-03-10, helo: mx.example}, {ip: 192.0.2.1, class: other, added: '2026-03-11'}]}}]";
        let joined = both(STARTUP, running).unwrap();
        assert_eq!(joined.exclude, Some(true));
        let classes: Vec<_> = joined.schedules.iter().map(|schedule| &*schedule.class).collect();
        assert_eq!(classes, ["other", "slow"]);
        let slow = joined.schedule("slow").unwrap();
        let mx = Pattern::Subdomains(".a.example".into());
        assert_eq!(slow.fields, [(Field::LocalIp, None), (Field::RemoteMx, Some(mx))]);
        let steps: Vec<_> =
            slow.steps.iter().map(|step| (step.day, step.messages, step.interval.as_secs())).collect();
        assert_eq!(steps, [(0, 10, 60), (3, 40, 5)]);
        assert_eq!(slow.steps[1].properties["a"], Property::Number(2.0));
        assert_eq!(slow.steps[0].properties["a"], Property::Number(1.0));
        assert_eq!(joined.schedule("other").unwrap().fields, [(Field::LocalIp, None)]);
        let first = &joined.addresses[0];
        assert_eq!((first.added, first.helo.as_deref()), (Date::constant(2026, 3, 10), Some("mx.example")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let schedule = "class: slow, schedule: [{day: 0, messages: 1}]";
        for (config, expected) in [
            (
                "ips: [{ip: 192.0.2.1, class: fast, added: 2026-03-10}]",
                "ips[0].class: there is no schedule \"fast\"",
            ),
            ("ips: [{ip: 192.0.2.1, class: slow, added: 10.3.2026}]", "ips[0].added: is not a date"),
            (
                "ips: [{ip: 192.0.2.1, class: slow, added: 2026-03-10}, {ip: 192.0.2.1, class: slow, added: 2026-03-10}]",
                "ips[1]: the address is in this class already",
            ),
            ("schedules: [{class: a, schedule: []}]", "schedules[0].schedule: has no days"),
            ("schedules: [{class: a, schedule: [{day: 0, messages: 0}]}]", "schedule[0].messages"),
            (
                "schedules: [{class: a, schedule: [{day: 0, messages: 1}, {day: 0, messages: 1}]}]",
                "the day is there twice",
            ),
            (&format!("schedules: [{{fields: [grouping], {schedule}}}]"), "fields: localip is missing"),
            (&format!("schedules: [{{fields: [localip, localip], {schedule}}}]"), "localip is there twice"),
            (
                &format!("schedules: [{{fields: [localip, {{grouping: '&g'}}], {schedule}}}]"),
                "no grouping \"g\"",
            ),
            (
                &format!("schedules: [{{fields: [localip, {{localip: 192.0.2.1}}], {schedule}}}]"),
                "unknown property",
            ),
            (&format!("schedules: [{{{schedule}}}, {{{schedule}}}]"), "there is another schedule \"slow\""),
            ("lists: []", "is no setting of warmup"),
        ] {
            let error =
                both(STARTUP, &format!("plugins: [{{id: warmup, config: {{{config}}}}}]")).unwrap_err();
            assert!(error.contains(expected), "{config}: {error}");
        }
    }
}
