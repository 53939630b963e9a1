//! `halonctl hsl`: shared memory and caches of scripts.

use control::Command as Letter;
use control::smtpd::{
    HslCacheClearRequest, HslCacheClearResponse, HslCacheResponse, HslMemoryDeleteRequest,
    HslMemoryDeleteResponse, HslMemoryListRequest, HslMemoryListResponse, HslMemoryRequest,
    HslMemoryResponse, HslMemoryStoreRequest, HslMemoryStoreResponse,
};

use super::{DRY_RUN, GROUP, JSON, Run, counted, leaf};
use crate::Failure;
use crate::cli::{Arguments, Body, Command, Group, Operand, Value, operand, option};
use crate::output::Session;
use crate::table::{Align, Table};
use crate::text::{visible, visible_lines};

pub(super) const HSL: Command<Run> = Command {
    name: "hsl",
    summary: "What scripts keep",
    body: Body::Commands(&[
        Command {
            name: "memory",
            summary: "Shared memory",
            body: Body::Commands(&[
                Command {
                    options: &[&DRY_RUN, &JSON],
                    operands: &[KEY, operand("JSON", Value::Text("JSON"), "The value, as JSON")],
                    examples: &[("halonctl hsl memory store limits '{\"a\":[1,2]}'", "Store an array")],
                    ..leaf("store", "Store a value", store)
                },
                Command { operands: &[KEY], ..leaf("fetch", "Print a value as JSON", fetch) },
                Command { options: &[&KEYS, &JSON], ..leaf("list", "List the keys", keys) },
                Command {
                    options: &[&DRY_RUN, &JSON],
                    operands: &[KEY],
                    ..leaf("delete", "Remove a value", delete)
                },
            ]),
            ..GROUP
        },
        Command {
            name: "cache",
            summary: "Caches of functions",
            body: Body::Commands(&[
                leaf("list", "List the caches and how they do", caches),
                Command {
                    about: "Without options all are cleared.",
                    options: &[&CACHE, &DRY_RUN, &JSON],
                    ..leaf("clear", "Clear caches", clear)
                },
            ]),
            ..GROUP
        },
    ]),
    ..GROUP
};

const KEY: Operand = operand("KEY", Value::Text("KEY"), "The key");

static KEYS: Group = Group {
    title: "Keys",
    note: "",
    options: &[
        option("prefix", Value::Text("TEXT"), "Only keys that begin with it"),
        option("limit", Value::Text("KEYS"), "Keys at most"),
        option("offset", Value::Text("KEYS"), "Keys to leave out first"),
    ],
};
static CACHE: Group = Group {
    title: "Cache",
    note: "",
    options: &[
        option("namespace", Value::Text("NAMESPACE"), "Only of this namespace"),
        option("function", Value::Text("FUNCTION"), "Only of this function"),
    ],
};

fn store(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let value = arguments.operand("JSON").to_owned();
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&value) {
        return Err(Failure::Usage(format!(
            "the value is not JSON: {error}; text stands in quotes: '\"text\"'"
        )));
    }
    let (key, dryrun) = (arguments.operand("KEY").to_owned(), arguments.has("dry-run"));
    let request = HslMemoryStoreRequest { key, value, dryrun };
    let _: HslMemoryStoreResponse = session.ask(Letter::MemoryStore, &request, None)?;
    if dryrun && !session.json { session.print(&counted(1, "keys", dryrun, "stored")) } else { Ok(()) }
}

fn fetch(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let key = arguments.operand("KEY").to_owned();
    let answer: HslMemoryResponse =
        session.ask(Letter::MemoryFetch, &HslMemoryRequest { key: key.clone() }, None)?;
    let value = answer.value.ok_or_else(|| Failure::Failed(format!("there is no value for \"{key}\"")))?;
    if session.json { Ok(()) } else { session.print(&visible_lines(&value)) }
}

fn keys(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = HslMemoryListRequest {
        prefix: arguments.one("prefix").map(str::to_owned),
        limit: arguments.number("limit")?,
        offset: arguments.number("offset")?,
    };
    let answer: HslMemoryListResponse = session.ask(Letter::MemoryList, &request, Some("keys"))?;
    if session.json {
        return Ok(());
    }
    let lines: String = answer.keys.iter().map(|key| format!("{}\n", visible(key))).collect();
    session.print(&lines)
}

fn delete(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let (key, dryrun) = (arguments.operand("KEY").to_owned(), arguments.has("dry-run"));
    let request = HslMemoryDeleteRequest { key, dryrun };
    let answer: HslMemoryDeleteResponse = session.ask(Letter::MemoryDelete, &request, None)?;
    if !dryrun || session.json {
        return Ok(());
    }
    session.print(&counted(answer.deleted.into(), "keys", dryrun, "removed"))
}

fn caches(session: &mut Session<'_>, _: &Arguments) -> Result<(), Failure> {
    let answer: HslCacheResponse = session.ask(Letter::CacheList, &(), Some("caches"))?;
    if session.json {
        return Ok(());
    }
    let numbers = ["Max size", "Size", "Hits", "Misses", "Evicts", "Hit rate"];
    let columns = ["Namespace", "Function"].map(|title| (title, Align::Left)).into_iter();
    let mut table = Table::new(columns.chain(numbers.map(|title| (title, Align::Right))));
    for cache in answer.caches {
        let rate = hit_rate(cache.hits, cache.misses);
        let counts = [cache.maxsize, cache.size, cache.hits, cache.misses, cache.evicts];
        table.row(
            [cache.namespace, cache.function]
                .into_iter()
                .chain(counts.map(|count| count.to_string()))
                .chain([rate]),
        );
    }
    session.print(&table.render())
}

/// Percent, with as many decimals as it takes, four at most.
fn hit_rate(hits: u64, misses: u64) -> String {
    let all = hits.saturating_add(misses).max(1);
    let text = format!("{:.4}", hits as f64 * 100.0 / all as f64);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    format!("{short}%")
}

fn clear(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let request = HslCacheClearRequest {
        namespace: arguments.one("namespace").map(str::to_owned),
        function: arguments.one("function").map(str::to_owned),
        dryrun: arguments.has("dry-run"),
    };
    let answer: HslCacheClearResponse = session.ask(Letter::CacheClear, &request, None)?;
    if session.json {
        return Ok(());
    }
    session.print(&counted(answer.cleared, "buckets", request.dryrun, "cleared"))
}

#[cfg(test)]
mod tests {
    use super::hit_rate;

    #[test]
    fn hit_rates_have_four_decimals_at_most() {
        for (hits, misses, text) in [(0, 0, "0%"), (1, 1, "50%"), (1, 2, "33.3333%"), (7, 0, "100%")] {
            assert_eq!(hit_rate(hits, misses), text);
        }
    }
}
