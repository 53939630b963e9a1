//! The policies that apply on the ways that mail could go, with their counters.

use std::rc::Rc;
use std::sync::Arc;

use control::smtpd as proto;
use queue::policy::{Applying, DynamicMatch, Key, Policy, Usage};

use crate::control::policies;
use crate::control::shards::{self, ask};
use crate::delivery::policies::Desk;
use crate::program::Control;
use crate::ruleset::policies_of;

/// The policies that apply, with their counters, which other shards may own.
pub(super) async fn of(control: &Rc<Control>, applying: Vec<Applying>) -> Vec<proto::ExplainPolicy> {
    let keys: Arc<[Key]> = applying.iter().map(|applying| applying.key.clone()).collect();
    let answers = ask(control, move |_| {
        let desk = Desk::here();
        std::future::ready(keys.iter().map(|key| desk.usage(key)).collect::<Vec<Option<Usage>>>())
    });
    let mut usages: Vec<Option<Usage>> = vec![None; applying.len()];
    for of_shard in shards::sort_out(answers.await).0 {
        for (known, here) in usages.iter_mut().zip(of_shard) {
            *known = known.take().or(here);
        }
    }
    let files = control.files();
    let of_file = files.map(|files| policies_of(&files.policies)).unwrap_or_default();
    let row = |(applying, usage): (Applying, Option<Usage>)| {
        // A counter that does not exist is as if new.
        let usage = usage.unwrap_or_else(|| Usage {
            key: applying.key.clone(),
            policy: applying.policy,
            limits: applying.limits,
            connections: 0,
            tokens: applying.limits.rate.map(|rate| rate.count),
            next_token_ms: None,
            next_connect_ms: None,
            waiting: Vec::new(),
        });
        let of_file = of_file.get(applying.policy as usize);
        let (kind, condition) = reason(&applying, of_file);
        proto::ExplainPolicy {
            index: applying.policy,
            fields: applying.key.fields().iter().map(|field| field.name().to_owned()).collect(),
            r#type: kind.into(),
            exhausted: is_exhausted(&usage),
            entry: Some(policies::entry(&usage)),
            condition,
        }
    };
    applying.into_iter().zip(usages).map(row).collect()
}

/// What of a policy applies: ids of dynamic conditions, or the fields of one of the file; nothing for its default. The kind
/// is that of the first.
fn reason(applying: &Applying, of_file: Option<&Policy>) -> (proto::PolicyConditionType, Option<String>) {
    if let Some(first) = applying.dynamic.first() {
        let name = |of: &DynamicMatch| match of.kind == first.kind {
            true => of.id.to_string(),
            false => format!("{} {}", of.kind.name(), of.id),
        };
        let names: Vec<String> = applying.dynamic.iter().map(name).collect();
        return (policies::kind(first.kind), Some(names.join(", ")));
    }
    let matched = of_file.and_then(|policy| {
        let then = applying.then.last()?;
        policy.conditions.iter().find(|condition| condition.then == **then)
    });
    let text = matched.map(|condition| {
        let fields = condition.fields.iter();
        let fields = fields.map(|(field, values)| format!("{}={}", field.name(), values.join(",")));
        fields.collect::<Vec<_>>().join(" ")
    });
    (proto::PolicyConditionType::Config, text)
}

/// Whether it would hold back the next message.
fn is_exhausted(usage: &Usage) -> bool {
    let now_ms = engine::time::now().0 / 1_000_000;
    usage.limits.concurrency.is_some_and(|most| usage.connections >= most)
        || usage.tokens == Some(0)
        || usage.next_connect_ms.is_some_and(|next_ms| next_ms > now_ms)
}
