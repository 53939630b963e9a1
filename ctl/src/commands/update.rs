//! `halonctl queue update`.

use control::Command as Letter;
use control::smtpd::queue_update_request::Action;
use control::smtpd::{
    QueueActive, QueueBounce, QueueDelete, QueueHold, QueueProperties, QueueUpdateRequest,
    QueueUpdateResponse,
};

use super::{DRY_RUN, Run, counted, leaf, missing};
use crate::Failure;
use crate::cli::{Arguments, Command, Group, Value, flag, option};
use crate::limits::ANSWER;
use crate::output::Session;
use crate::selectors::{SELECTORS, conditions};

pub(super) const UPDATE: Command<Run> = Command {
    about: "Does one thing to every recipient that matches and is not being delivered. What is being delivered stays as \
            it is, and is not counted.",
    options: &[&ACTIONS, &PROPERTIES, &WHOM, &DRY_RUN, &SELECTORS, &super::JSON],
    examples: &[
        (
            "halonctl queue update --state DEFER --recipientdomain example.com --active",
            "Try a domain again now",
        ),
        ("halonctl queue update --jobid 7 --hold", "Stop a job"),
        (
            "halonctl queue update --state HOLD --age '>604800' --metadata qid=week --delete",
            "Empty a quarantine",
        ),
    ],
    ..leaf("update", "Release, hold, delete, bounce or change queued recipients", run)
};

static ACTIONS: Group = Group {
    title: "Actions",
    note: "",
    options: &[
        flag("active", "To be attempted now; also releases what is held"),
        flag("hold", "Not to be attempted until it is released"),
        flag("delete", "Remove, telling nobody"),
        flag("bounce", "Remove, with a report to the sender"),
        option("reason", Value::Text("TEXT"), "With --bounce: what the report says"),
        option("defer", Value::Text("SECONDS"), "To be attempted when that time is over"),
    ],
};

static PROPERTIES: Group = Group {
    title: "Properties",
    note: "",
    options: &[
        option("set-transportid", Value::Text("ID"), "To go by this transport"),
        option("set-jobid", Value::Text("ID"), "To be of this job"),
        option("set-tenantid", Value::Text("ID"), "To be of this tenant"),
        option("set-priority", Value::Text("NUMBER"), "To be of this priority"),
        option("set-retrycount", Value::Text("NUMBER"), "To have had so many attempts"),
        option("set-metadata", Value::Text("KEY=VALUE"), "To have this pair of metadata").repeated(),
        option("unset-metadata", Value::Text("KEY"), "Not to have it any more").repeated(),
    ],
};

static WHOM: Group = Group {
    title: "Whom",
    note: "",
    options: &[
        flag("all", "The whole queue: instead of selectors"),
        option("limit", Value::Text("RECIPIENTS"), "Recipients at most"),
    ],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let conditions = conditions(arguments)?;
    match (&conditions, arguments.has("all")) {
        (None, false) => {
            let text = "without a selector this would change the whole queue; say --all if you mean it";
            return Err(Failure::Usage(text.to_owned()));
        }
        (Some(_), true) => return Err(Failure::Usage("--all excludes selectors".to_owned())),
        _ => {}
    }
    let request = QueueUpdateRequest {
        conditions,
        action: action(arguments)?,
        properties: properties(arguments)?,
        limit: arguments.number("limit")?.unwrap_or(0),
        dryrun: arguments.has("dry-run"),
    };
    if request.action.is_none() && request.properties.is_none() {
        return Err(Failure::Usage(
            "nothing to do: give an action like --hold, or a --set option".to_owned(),
        ));
    }
    let answer: QueueUpdateResponse = session.ask_within(Letter::QueueUpdate, &request, None, ANSWER)?;
    if !session.json {
        session.print(&counted(answer.affected, "messages", request.dryrun, "affected"))?;
    }
    missing::refuse(&answer.missing)
}

fn action(arguments: &Arguments) -> Result<Option<Action>, Failure> {
    let delay: Option<f64> = arguments.number("defer")?;
    let reason = arguments.one("reason").map(str::to_owned);
    if reason.is_some() && !arguments.has("bounce") {
        return Err(Failure::Usage("--reason goes with --bounce".to_owned()));
    }
    let mut actions: Vec<Action> = [
        ("active", Action::Active(QueueActive::default())),
        ("hold", Action::Hold(QueueHold {})),
        ("delete", Action::Delete(QueueDelete {})),
        ("bounce", Action::Bounce(QueueBounce { reason })),
    ]
    .into_iter()
    .filter_map(|(name, action)| arguments.has(name).then_some(action))
    .collect();
    if let Some(delay) = delay {
        if !(delay.is_finite() && delay >= 0.0) {
            return Err(Failure::Usage("--defer: a time in seconds, from 0".to_owned()));
        }
        actions.push(Action::Active(QueueActive { delay: Some(delay) }));
    }
    match actions.len() {
        0 | 1 => Ok(actions.pop()),
        _ => {
            let text = "only one of --active, --hold, --delete, --bounce and --defer";
            Err(Failure::Usage(text.to_owned()))
        }
    }
}

fn properties(arguments: &Arguments) -> Result<Option<QueueProperties>, Failure> {
    let text = |name: &str| arguments.one(name).map(str::to_owned);
    let mut metadata = std::collections::BTreeMap::new();
    for pair in arguments.all("set-metadata") {
        let Some((key, value)) = pair.split_once('=') else {
            let text = format!("--set-metadata: \"{}\" is not KEY=VALUE", pair.escape_debug());
            return Err(Failure::Usage(text));
        };
        metadata.insert(key.to_owned(), value.to_owned());
    }
    let properties = QueueProperties {
        transportid: text("set-transportid"),
        jobid: text("set-jobid"),
        tenantid: text("set-tenantid"),
        priority: arguments.number("set-priority")?,
        retry: arguments.number("set-retrycount")?,
        metadata,
        metadatadelete: arguments.all("unset-metadata").to_vec(),
    };
    Ok(Some(properties).filter(|properties| *properties != QueueProperties::default()))
}
