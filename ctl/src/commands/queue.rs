//! `halonctl queue`: the commands below it, and the small ones among them.

use control::Command as Letter;
use control::smtpd::reload_check_request::File;
use control::smtpd::{QueueQuotaRequest, QueueQuotaResponse};

use super::{GROUP, Run, explain, groupby, leaf, list, policy, reload, suspend, transfer, update};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Value, operand};
use crate::output::Session;
use crate::table::{Align, Table};

pub(super) const QUEUE: Command<Run> = Command {
    name: "queue",
    summary: "What is queued, and what keeps it there",
    body: Body::Commands(&[
        list::LIST,
        groupby::GROUPBY,
        update::UPDATE,
        explain::EXPLAIN,
        transfer::UNLOAD,
        transfer::LOAD,
        suspend::SUSPEND,
        policy::POLICY,
        Command {
            name: "delivery",
            summary: "Settings of delivery",
            body: Body::Commands(&[Command {
                options: reload::OPTIONS,
                ..leaf("reload", "Read smtpd-delivery.yaml again", |session, arguments| {
                    reload::reload(session, arguments, Letter::DeliveryReload, File::Delivery)
                })
            }]),
            ..GROUP
        },
        QUOTA,
    ]),
    ..GROUP
};

const QUOTA: Command<Run> = Command {
    about: "A quota counts what was queued under its name and is still there.",
    operands: &[operand("NAME", Value::Text("NAME"), "A quota; all when absent").optional()],
    ..leaf("quota", "Use of quotas", quota)
};

fn quota(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = QueueQuotaRequest { name: arguments.one("NAME").map(str::to_owned) };
    let answer: QueueQuotaResponse = session.ask(Letter::QueueQuota, &request, Some("quotas"))?;
    if session.json {
        return Ok(());
    }
    let mut table = Table::new([("Name", Align::Left), ("Count", Align::Right), ("Bytes", Align::Right)]);
    for quota in answer.quotas {
        table.row([quota.name, quota.count.to_string(), quota.bytes.to_string()]);
    }
    session.print(&table.render())
}
