//! `halonctl queue policy`.

use control::Command as Letter;
use control::smtpd::rate::Algorithm;
use control::smtpd::reload_check_request::File;
use control::smtpd::{
    PolicyConditionAddRequest, PolicyConditionAddResponse, PolicyConditionDeleteRequest,
    PolicyConditionDeleteResponse, PolicyConditionResponse, PolicyConditionType,
    PolicyConditionUpdateRequest, PolicyConditionUpdateResponse, PolicyRateRefillRequest,
    PolicyRateRefillResponse, Rate, Then,
};

use super::policy_tables::tables;
use super::{DRY_RUN, GROUP, JSON, Run, counted, leaf, reload, would_be_added};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Opt, Value, flag, option};
use crate::matching::{FIELDS, fields, properties, seconds};
use crate::output::Session;

pub(super) const POLICY: Command<Run> = Command {
    name: "policy",
    summary: "Limits on sending",
    body: Body::Commands(&[
        Command {
            about: "Three tables: the policies with their conditions in order, the counters in use, and what they count.",
            ..leaf("list", "List policies, their conditions and counters", list)
        },
        Command {
            about: "The fields name a policy of smtpd-policy.yaml. The same condition again only renews its time.",
            options: &[&OF_POLICY, &CONDITION, &LIMITS, &FIELDS, &DRY_RUN, &JSON],
            examples: &[(
                "halonctl queue policy add --fields recipientdomain --recipientdomain example.com --rate 10/60 --ttl 3600",
                "Slow a domain down for an hour",
            )],
            ..leaf("add", "Add a condition to a policy, and print its id", add)
        },
        Command {
            about: "The given limits replace all that the condition had.",
            options: &[&UPDATING, &LIMITS, &DRY_RUN, &JSON],
            ..leaf("update", "Change a dynamic condition", update)
        },
        Command {
            options: &[&DELETING, &DRY_RUN, &JSON],
            ..leaf("delete", "Remove dynamic conditions", delete)
        },
        Command {
            about: "Without values all counters of the policy are filled.",
            options: &[&OF_POLICY, &REFILLING, &DRY_RUN, &JSON],
            ..leaf("refill", "Fill a rate, or open its next window, at once", refill)
        },
        Command {
            options: reload::OPTIONS,
            ..leaf("reload", "Read smtpd-policy.yaml again", |session, arguments| {
                reload::reload(session, arguments, Letter::PolicyReload, File::Policy)
            })
        },
    ]),
    ..GROUP
};

const TTL: Opt = option("ttl", Value::Text("SECONDS"), "Until it ends by itself; 0 for never");

static OF_POLICY: Group = Group {
    title: "Policy",
    note: "",
    options: &[option("fields", Value::Text("FIELD,..."), "The fields of the policy, as localip,grouping")],
};
static CONDITION: Group = Group {
    title: "Condition",
    note: "",
    options: &[
        option("id", Value::Text("ID"), "Its id; made when absent"),
        option(
            "type",
            Value::Word("TYPE", &["dynamic", "warmup", "backoff"]),
            "What it is for; dynamic by default",
        ),
        TTL,
    ],
};
static UPDATING: Group =
    Group { title: "Condition", note: "", options: &[option("id", Value::Text("ID"), "The condition"), TTL] };
static DELETING: Group = Group {
    title: "Condition",
    note: "",
    options: &[option("id", Value::Text("ID"), "The condition").repeated()],
};
static LIMITS: Group = Group {
    title: "Limits",
    note: "",
    options: &[
        option("concurrency", Value::Text("CONNECTIONS"), "Connections at once"),
        option("rate", Value::Text("COUNT/SECONDS"), "Messages in a time"),
        option(
            "rate-algorithm",
            Value::Word("ALGORITHM", &["fixedwindow", "tokenbucket"]),
            "How the rate is counted; otherwise as the policy file says",
        ),
        option("connectinterval", Value::Text("SECONDS"), "Time between two connections"),
        option("tag", Value::Text("TEXT"), "Label, at most 32 characters"),
        flag("stop", "Do not look at later policies"),
        flag("no-cluster", "Not to be shared by a cluster"),
        option("property", Value::Text("KEY=VALUE"), "Free data").repeated(),
    ],
};
static REFILLING: Group = Group {
    title: "Counter",
    note: "",
    options: &[option("value", Value::Text("VALUE"), "Value of a field, in the order of --fields").repeated()],
};

fn list(session: &mut Session<'_>, _: &Arguments) -> Result<(), Failure> {
    let answer: PolicyConditionResponse = session.ask(Letter::PolicyList, &(), Some("policies"))?;
    if session.json {
        return Ok(());
    }
    session.print(&tables(&answer.policies))?;
    if answer.truncated {
        session.complain("there are more counters than an answer holds; the rest is left out");
    }
    Ok(())
}

fn add(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let kind = match arguments.one("type") {
        Some("warmup") => PolicyConditionType::Warmup,
        Some("backoff") => PolicyConditionType::Backoff,
        _ => PolicyConditionType::Dynamic,
    };
    let request = PolicyConditionAddRequest {
        id: arguments.one("id").map(str::to_owned),
        r#type: kind.into(),
        fields: policy_fields(arguments)?,
        r#if: fields(arguments),
        then: Some(then(arguments)?),
        ttl: seconds(arguments, "ttl")?.unwrap_or(0.0),
        dryrun: arguments.has("dry-run"),
    };
    let answer: PolicyConditionAddResponse = session.ask(Letter::PolicyAdd, &request, None)?;
    let would = would_be_added(request.dryrun, answer.renewed);
    if session.json { Ok(()) } else { session.print(&format!("{}{would}\n", answer.id)) }
}

fn update(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let id = arguments.one("id").ok_or_else(|| Failure::Usage("--id is missing".to_owned()))?;
    let request = PolicyConditionUpdateRequest {
        id: id.to_owned(),
        then: Some(then(arguments)?),
        ttl: seconds(arguments, "ttl")?,
        dryrun: arguments.has("dry-run"),
    };
    let answer: PolicyConditionUpdateResponse = session.ask(Letter::PolicyUpdate, &request, None)?;
    if answer.updated && request.dryrun && !session.json {
        return session.print(&format!("{id} would be changed\n"));
    }
    if answer.updated { Ok(()) } else { Err(Failure::Failed(format!("there is no dynamic condition {id}"))) }
}

fn delete(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let dryrun = arguments.has("dry-run");
    let request = PolicyConditionDeleteRequest { ids: arguments.all("id").to_vec(), dryrun };
    if request.ids.is_empty() {
        return Err(Failure::Usage("--id is missing".to_owned()));
    }
    let answer: PolicyConditionDeleteResponse = session.ask(Letter::PolicyDelete, &request, None)?;
    if session.json {
        return Ok(());
    }
    session.print(&counted(answer.deleted, "conditions", dryrun, "removed"))
}

fn refill(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = PolicyRateRefillRequest {
        fields: policy_fields(arguments)?,
        values: arguments.all("value").to_vec(),
        dryrun: arguments.has("dry-run"),
    };
    if !request.values.is_empty() && request.values.len() != request.fields.len() {
        return Err(Failure::Usage("as many --value as there are --fields, or none".to_owned()));
    }
    let answer: PolicyRateRefillResponse = session.ask(Letter::PolicyRefill, &request, None)?;
    if session.json {
        return Ok(());
    }
    session.print(&counted(answer.refilled, "rates", request.dryrun, "refilled"))
}

fn policy_fields(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    let text = arguments
        .one("fields")
        .ok_or_else(|| Failure::Usage("--fields is missing: the fields of the policy".to_owned()))?;
    Ok(text.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect())
}

fn then(arguments: &Arguments) -> Result<Then, Failure> {
    let then = Then {
        concurrency: arguments.number("concurrency")?,
        rate: rate(arguments)?,
        connectinterval: seconds(arguments, "connectinterval")?,
        tag: arguments.one("tag").map(str::to_owned),
        stop: arguments.has("stop"),
        cluster: arguments.has("no-cluster").then_some(false),
        properties: properties(arguments)?,
    };
    if then == Then::default() {
        return Err(Failure::Usage("no limit is given, as --concurrency or --rate".to_owned()));
    }
    Ok(then)
}

fn rate(arguments: &Arguments) -> Result<Option<Rate>, Failure> {
    let algorithm = match arguments.one("rate-algorithm") {
        Some("fixedwindow") => Algorithm::Fixedwindow,
        Some(_) => Algorithm::Tokenbucket,
        None => Algorithm::Default,
    };
    let Some(text) = arguments.one("rate") else {
        return match algorithm {
            Algorithm::Default => Ok(None),
            _ => Err(Failure::Usage("--rate-algorithm goes with --rate".to_owned())),
        };
    };
    let parsed = text.split_once('/').and_then(|(count, interval)| {
        let interval =
            interval.parse().ok().filter(|interval: &f64| interval.is_finite() && *interval > 0.0)?;
        Some(Rate { count: count.parse().ok()?, interval, algorithm: algorithm.into() })
    });
    match parsed {
        Some(rate) => Ok(Some(rate)),
        None => {
            let text = format!("--rate: \"{}\" is not COUNT/SECONDS, as 600/60", text.escape_debug());
            Err(Failure::Usage(text))
        }
    }
}
