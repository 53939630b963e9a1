//! `halonctl config`.

use std::path::Path;

use control::Command as Letter;
use control::smtpd::reload_check_request::File;
use control::smtpd::{ConfigGreenConditions, ConfigGreenDeployRequest, ConfigGreenStatusResponse};

use super::{DRY_RUN, GROUP, JSON, Run, leaf, reload};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Value, option};
use crate::matching::seconds;
use crate::output::Session;
use crate::settings;

pub(super) const CONFIG: Command<Run> = Command {
    name: "config",
    summary: "The running configuration",
    body: Body::Commands(&[
        Command {
            about: "Everything is read, checked and compiled before anything changes; on an error what is in force stays.",
            options: reload::OPTIONS,
            examples: &[(
                "halonctl config reload --dry-run",
                "Check smtpd-app.yaml, and see which keys would change",
            )],
            ..leaf("reload", "Read the running configuration again", |session, arguments| {
                reload::reload(session, arguments, Letter::ConfigReload, File::Running)
            })
        },
        Command {
            name: "livestage",
            summary: "A second configuration for a share of new connections",
            body: Body::Commands(&[
                Command {
                    about: "New connections that match run the scripts of another running configuration, and what they queue its \
                            queue scripts, until the time is over, as many connections as were asked for have closed, or it is \
                            cancelled. Transports and all else stay those of the configuration in force.",
                    options: &[&STAGE, &DRY_RUN, &JSON],
                    examples: &[(
                        "halonctl config livestage start --id new --file new.yaml --probability 0.1 --time 600",
                        "A tenth of the connections of the next ten minutes",
                    )],
                    ..leaf("start", "Run a second configuration", start)
                },
                leaf("status", "Say how the second configuration is doing", status),
                leaf("cancel", "End it; connections that are on it finish", |session, _| {
                    session.order(Letter::StageCancel)
                }),
            ]),
            ..GROUP
        },
    ]),
    ..GROUP
};

static STAGE: Group = Group {
    title: "Stage",
    note: "All conditions that are given must match.",
    options: &[
        option("id", Value::Text("ID"), "Its name"),
        option("file", Value::Path("FILE"), "A complete running configuration"),
        option("probability", Value::Text("P"), "Share of the connections that match, 0 to 1"),
        option("time", Value::Text("SECONDS"), "How long at most"),
        option("count", Value::Text("CONNECTIONS"), "How many at most"),
        option("remoteip", Value::Text("NETWORK"), "Only clients of this network").repeated(),
        option("serverid", Value::Text("ID"), "Only this server").repeated(),
    ],
};

fn start(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let needed =
        |name: &str| arguments.one(name).ok_or_else(|| Failure::Usage(format!("--{name} is missing")));
    let id = needed("id")?.to_owned();
    let file = needed("file")?;
    let probability: Option<f64> = arguments.number("probability")?;
    if probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
        return Err(Failure::Usage("--probability: a number from 0 to 1".to_owned()));
    }
    let conditions = ConfigGreenConditions {
        remoteips: arguments.all("remoteip").to_vec(),
        serverids: arguments.all("serverid").to_vec(),
        probability,
        time: seconds(arguments, "time")?,
        count: arguments.number("count")?,
    };
    let config = String::from_utf8(settings::read(Path::new(file))?)
        .map_err(|_| Failure::Failed(format!("{file} is not UTF-8")))?;
    let conditions = Some(conditions);
    let (file, dryrun) = (file.to_owned(), arguments.has("dry-run"));
    let request = ConfigGreenDeployRequest { id, config, conditions, connectionbound: false, file, dryrun };
    session.ask(Letter::StageStart, &request, None)
}

fn status(session: &mut Session<'_>, _: &Arguments) -> Result<(), Failure> {
    let answer: ConfigGreenStatusResponse = session.ask(Letter::StageStatus, &(), None)?;
    if session.json || answer.id.is_empty() {
        return Ok(());
    }
    let time = answer.time.map_or_else(|| "∞".to_owned(), |time| format!("{time:.0}"));
    session.print(&format!(
        "{}: {} connections(s), {:.0}/{time} runtime\n",
        answer.id, answer.connections, answer.elapsed
    ))
}
