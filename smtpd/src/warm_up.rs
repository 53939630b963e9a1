//! `warmup`: how much mail source addresses that are new may send, by the days since they were added.
//!
//! Each such address is a condition of the policy that its schedule names, and the conditions change at midnight.

use std::net::IpAddr;

use config::{WarmUp, WarmUpAddress, WarmUpSchedule, WarmUpStep};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use queue::policy::{Algorithm, Condition, Dynamic, FieldSet, Kind, Limits, Rate, Then};
use queue::{Facts, Field, Rule, Suspends};
use rustc_hash::FxHashSet;

use crate::ruleset::pattern_text;

/// What holds on one day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfDay {
    /// A condition for each address that a limit holds for.
    pub conditions: Vec<Dynamic>,
    /// Those addresses serve only mail that their conditions are about.
    exclude: bool,
}

impl OfDay {
    /// What `plan` says of `today`.
    pub fn new(plan: &WarmUp, today: Date) -> OfDay {
        let condition = |address: &WarmUpAddress| {
            let schedule = plan.schedule(&address.class)?;
            Some(condition(address, schedule, step(schedule, address.added, today)?))
        };
        let conditions = plan.addresses.iter().filter_map(condition).collect();
        OfDay { conditions, exclude: plan.exclude == Some(true) }
    }

    /// What is different from the day before, a line for each address.
    pub fn changes(&self, before: &OfDay) -> Vec<String> {
        let is_in = |all: &OfDay, condition: &Dynamic| all.conditions.contains(condition);
        let has_id = |all: &OfDay, id: &str| all.conditions.iter().any(|condition| condition.id == id);
        let limited = self.conditions.iter().filter(|condition| !is_in(before, condition)).map(described);
        let over = before.conditions.iter().filter(|condition| !has_id(self, &condition.id));
        limited.chain(over.map(|condition| format!("{}: no limit any more", condition.id))).collect()
    }
}

/// The day in the time zone of this host, by the wall clock.
pub fn date_at(unix_s: i64) -> Date {
    let moment = Timestamp::from_second(unix_s).unwrap_or_default();
    moment.to_zoned_datetime(TimeZone::system()).date()
}

/// The step that holds: that of the first day which is not over. `None`: all are.
fn step(schedule: &WarmUpSchedule, added: Date, today: Date) -> Option<&WarmUpStep> {
    let days = added.until(today).map_or(0, |age| age.get_days().max(0));
    schedule.steps.iter().find(|step| i64::from(step.day) >= i64::from(days))
}

fn condition(address: &WarmUpAddress, schedule: &WarmUpSchedule, step: &WarmUpStep) -> Dynamic {
    let values = schedule.fields.iter().filter_map(|(field, pattern)| Some((*field, pattern.as_ref()?)));
    let values = values.map(|(field, pattern)| (field, vec![pattern_text(pattern)]));
    let own = (Field::LocalIp, vec![address.ip.to_string()]);
    let rate = Rate {
        count: step.messages,
        interval_ms: u64::try_from(step.interval.as_millis()).unwrap_or(u64::MAX),
        algorithm: if schedule.fixed_window { Algorithm::FixedWindow } else { Algorithm::TokenBucket },
    };
    Dynamic {
        id: format!("warmup:{}:{}", address.class, address.ip),
        kind: Kind::WarmUp,
        fields: FieldSet::new(schedule.fields.iter().map(|(field, _)| *field)),
        condition: Condition {
            fields: [own].into_iter().chain(values).collect(),
            then: Then {
                limits: Limits { rate: Some(rate), ..Limits::default() },
                tag: Some(format!("Day_{}", step.day)),
                cluster: true,
                properties: step.properties.clone(),
                ..Then::default()
            },
        },
    }
}

fn described(condition: &Dynamic) -> String {
    let Dynamic { id, condition, .. } = condition;
    let then = &condition.then;
    match then.limits.rate {
        Some(Rate { count, interval_ms, .. }) => {
            let tag = then.tag.as_deref().unwrap_or_default();
            format!("{id}: {tag}: {count} messages in {} s", interval_ms / 1000)
        }
        None => format!("{id}: no limit"),
    }
}

/// The addresses that serve only what their conditions are about. Immutable.
#[derive(Debug, Default)]
pub struct Reserved {
    addresses: FxHashSet<IpAddr>,
    served: Suspends,
}

impl Reserved {
    /// Compiles what holds.
    ///
    /// # Errors
    /// A sentence that names the value which cannot be used.
    pub fn compile(of_day: &OfDay) -> Result<Reserved, String> {
        if !of_day.exclude {
            return Ok(Reserved::default());
        }
        let rule = |dynamic: &Dynamic| Rule { fields: dynamic.condition.fields.clone(), tag: None };
        let rules: Vec<_> = of_day.conditions.iter().map(rule).collect();
        let address = |(field, values): &(Field, Vec<String>)| match field {
            Field::LocalIp => values.first()?.parse().ok(),
            _ => None,
        };
        let fields = of_day.conditions.iter().flat_map(|dynamic| &dynamic.condition.fields);
        let addresses = fields.filter_map(address).collect();
        let served = Suspends::compile(&rules, &[])
            .map_err(|error| format!("warmup: \"{}\": {}", error.value, error.problem))?;
        Ok(Reserved { addresses, served })
    }

    /// All addresses serve all mail.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Whether mail of these facts must not leave from its local address.
    pub fn excludes(&self, facts: &Facts<'_>) -> bool {
        facts.local_ip.is_some_and(|local| self.addresses.contains(&local))
            && self.served.matches(facts).is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use config::Pattern;

    use super::*;

    fn plan(exclude: bool) -> WarmUp {
        let step = |day, messages| WarmUpStep {
            day,
            messages,
            interval: Duration::from_secs(3600),
            properties: Default::default(),
        };
        let schedule = WarmUpSchedule {
            class: "slow".into(),
            fields: vec![(Field::LocalIp, None), (Field::Grouping, Some(Pattern::Group("g".into())))],
            fixed_window: false,
            steps: vec![step(0, 10), step(1, 20), step(4, 30)],
        };
        let address = |ip: &str, day| WarmUpAddress {
            ip: ip.parse().unwrap(),
            helo: None,
            class: "slow".into(),
            added: Date::constant(2026, 3, day),
        };
        let addresses = vec![address("192.0.2.1", 10), address("192.0.2.2", 12)];
        WarmUp { exclude: Some(exclude), schedules: vec![schedule], addresses }
    }

    fn of(day: i8) -> OfDay {
        OfDay::new(&plan(true), Date::constant(2026, 3, day))
    }

    /// What is said of the first address, from one day to the other.
    fn told(before: i8, day: i8) -> Vec<String> {
        let all = of(day).changes(&of(before));
        all.into_iter().filter(|line| line.starts_with("warmup:slow:192.0.2.1:")).collect()
    }

    #[test]
    fn each_day_has_its_limit_until_the_last_one_is_over() {
        for (day, expected) in [(1, 10), (10, 10), (11, 20), (12, 30), (13, 30), (14, 30)] {
            let of_day = of(day);
            let rate = of_day.conditions[0].condition.then.limits.rate.unwrap();
            assert_eq!((rate.count, rate.interval_ms), (expected, 3_600_000), "March {day}");
        }
        assert_eq!(of(15).conditions.len(), 1, "the other address is younger");
        assert_eq!(of(17).conditions, []);
    }

    #[test]
    fn what_changes_at_midnight_is_told_once() {
        assert_eq!(told(9, 10), [""; 0]);
        assert_eq!(told(10, 11), ["warmup:slow:192.0.2.1: Day_1: 20 messages in 3600 s"]);
        assert_eq!(told(12, 13), [""; 0], "the step is the same");
        assert_eq!(told(14, 15), ["warmup:slow:192.0.2.1: no limit any more"]);
    }

    #[test]
    fn an_excluded_address_serves_only_what_its_schedule_is_about() {
        let facts = |local: &str, grouping| Facts {
            local_ip: Some(local.parse().unwrap()),
            grouping: Some(grouping),
            ..Facts::default()
        };
        let reserved = Reserved::compile(&of(10)).unwrap();
        assert!(reserved.excludes(&facts("192.0.2.1", "mx.example")));
        assert!(!reserved.excludes(&facts("192.0.2.1", "&g")));
        assert!(!reserved.excludes(&facts("192.0.2.9", "mx.example")), "an address without a schedule");
        let later = Reserved::compile(&of(15)).unwrap();
        assert!(!later.excludes(&facts("192.0.2.1", "mx.example")), "its schedule is over");
        let open = Reserved::compile(&OfDay::new(&plan(false), Date::constant(2026, 3, 10))).unwrap();
        assert!(open.is_empty() && !open.excludes(&facts("192.0.2.1", "mx.example")));
    }
}
