//! `halonctl queue groupby`.

use control::Command as Letter;
use control::smtpd::{GroupBy, QueueGroupByRequest, QueueGroupByResponse};

use super::list::sort;
use super::{Run, leaf, missing};
use crate::Failure;
use crate::cli::{Arguments, Command, Group, Value, option};
use crate::limits::ANSWER;
use crate::output::Session;
use crate::selectors::{SELECTORS, conditions};
use crate::table::{Align, Table};

pub(super) const GROUPBY: Command<Run> = Command {
    about: "Without a field to group by it is one row: the total.",
    options: &[&GROUPING, &SELECTORS, &super::JSON],
    examples: &[
        ("halonctl queue groupby -G recipientdomain --limit 10", "The domains with most recipients"),
        ("halonctl queue groupby -G state --age-interval 60,3600,86400", "How old is what waits"),
    ],
    ..leaf("groupby", "Count recipients by what they have in common", run)
};

static GROUPING: Group = Group {
    title: "Grouping",
    note: "",
    options: &[
        option(
            "group",
            Value::Text("FIELD"),
            "recipientdomain, senderdomain, transportid, jobid, tenantid, grouping, state, remotemx, remoteip, \
             localip, metadata:KEY and other fields of queue list",
        )
        .short('G')
        .repeated(),
        option("age-interval", Value::Text("SECONDS,..."), "Split by age at these bounds"),
        option("retrydelay-interval", Value::Text("SECONDS,..."), "Split by time until the next attempt"),
        option("limit", Value::Text("GROUPS"), "Groups at most"),
        option("sort", Value::Text("FIELD"), "Sort by count, bytes or a grouping field; largest count first"),
        option("order", Value::Word("ORDER", &["asc", "desc"]), "Smallest or largest first"),
    ],
};

fn run(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let groupby = groups(arguments)?;
    let titles: Vec<String> = groupby.iter().map(title).collect();
    let mut sort = sort(arguments);
    if arguments.one("order").is_none() {
        // What is asked for by number is asked for because it is large.
        sort.iter_mut().for_each(|sort| sort.desc = matches!(sort.field.as_str(), "count" | "bytes"));
    }
    let request = QueueGroupByRequest {
        conditions: conditions(arguments)?,
        groupby,
        limit: arguments.number("limit")?.unwrap_or(0),
        sort,
    };
    let answer: QueueGroupByResponse =
        session.ask_within(Letter::QueueGroupBy, &request, Some("groups"), ANSWER)?;
    if !session.json {
        let columns = titles.into_iter().map(|title| (title, Align::Left));
        let counts = ["Count", "Bytes"].map(|title| (title.to_owned(), Align::Right));
        let mut table = Table::new(columns.chain(counts));
        for group in answer.groups {
            table.row(group.values.into_iter().chain([group.count.to_string(), group.bytes.to_string()]));
        }
        session.print(&table.render())?;
    }
    missing::mention(session, &answer.missing);
    Ok(())
}

fn groups(arguments: &Arguments) -> Result<Vec<GroupBy>, Failure> {
    let mut groups: Vec<GroupBy> = arguments.all("group").iter().map(|name| plain(name)).collect();
    for field in ["age", "retrydelay"] {
        let option = format!("{field}-interval");
        if let Some(bounds) = arguments.one(&option) {
            let intervals = intervals(bounds).ok_or_else(|| {
                Failure::Usage(format!(
                    "--{option}: \"{}\" is not a list of ascending numbers",
                    bounds.escape_debug()
                ))
            })?;
            groups.push(GroupBy { field: field.to_owned(), key: None, intervals });
        }
    }
    Ok(groups)
}

fn plain(name: &str) -> GroupBy {
    match name.split_once(':') {
        Some((field, key)) => {
            GroupBy { field: field.to_owned(), key: Some(key.to_owned()), intervals: Vec::new() }
        }
        None => GroupBy { field: name.to_owned(), ..GroupBy::default() },
    }
}

fn intervals(text: &str) -> Option<Vec<f64>> {
    let bounds: Vec<f64> = text.split(',').map(|bound| bound.trim().parse().ok()).collect::<Option<_>>()?;
    bounds.is_sorted_by(|low, high| low < high).then_some(bounds)
}

fn title(group: &GroupBy) -> String {
    match &group.key {
        Some(key) => key.clone(),
        None => super::fields::field(&group.field)
            .map_or_else(|| group.field.clone(), |field| field.title.to_owned()),
    }
}
