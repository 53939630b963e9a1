//! `plugins[]` of both files: the settings of the plugins that are built in.

mod http_bulk;
mod warm_up;

use std::path::PathBuf;
use std::time::Duration;

use crate::report::{Problem, Report};
use crate::schema::File;
use crate::services::{self, Services};
use crate::tree::{Checked, Tree};

pub use http_bulk::{BulkFormat, BulkQueue};
pub use warm_up::{WarmUp, WarmUpAddress, WarmUpSchedule, WarmUpStep};

/// Which plugins there are, and the settings that each has; behind a dot those of the items of a list.
const KNOWN: &[(&str, &[&str])] = &[
    ("bounce-list", &["lists"]),
    ("geoip", &["path"]),
    ("hiredis-cluster", &["nodes", "password", "pool_size", "max_retry", "connect_timeout", "timeout"]),
    ("http-background", &[]),
    ("http-bulk", http_bulk::SETTINGS),
    ("interfaces", &[]),
    ("ip-list", &["lists"]),
    ("kafka", &["queues", "queues.id", "queues.config"]),
    ("ldap", &[]),
    ("logger", &["logs"]),
    ("mariadb", services::MARIADB),
    ("maxmind-geoip", &["path"]),
    ("postgresql", services::POSTGRESQL),
    ("queue-relinquish", &[]),
    ("rabbitmq", &[]),
    ("rate", &["path", "port", "address", "badhost", "timeout", "reresolve"]),
    ("redis", services::REDIS),
    ("sleep-background", &[]),
    ("sqlite", services::SQLITE),
    ("stdout", &[]),
    ("suppression-list", &["lists"]),
    ("warmup", warm_up::SETTINGS),
];

/// The ids of the plugins that are built in.
pub const PLUGINS: [&str; KNOWN.len()] = {
    let mut ids = [""; KNOWN.len()];
    let mut at = 0;
    while at < ids.len() {
        ids[at] = KNOWN[at].0;
        at += 1;
    }
    ids
};

/// How long `rate` waits for an answer.
const RATE_TIMEOUT: Duration = Duration::from_secs(5);

/// The plugins of one file, or of both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plugins {
    /// Where `rate` asks; `None`: the file does not say.
    pub rate: Option<RateClient>,
    /// How often the name of that server is resolved again; `None`: never.
    pub rate_reresolve: Option<Duration>,
    /// The lists of `bounce-list`.
    pub bounce_lists: Vec<ListFile>,
    /// The lists of `suppression-list`.
    pub suppression_lists: Vec<ListFile>,
    /// The lists of `ip-list`.
    pub ip_lists: Vec<ListFile>,
    /// The files of `logger`.
    pub logs: Vec<LogFile>,
    /// The servers and databases that scripts may ask.
    pub services: Services,
    /// The database of `geoip`.
    pub geoip: Option<PathBuf>,
    /// The queues of `http-bulk`; only the startup file has some.
    pub bulk_queues: Vec<BulkQueue>,
    /// The addresses and schedules of `warmup`.
    pub warm_up: WarmUp,
}

/// Where the client of `rated` sends its datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateClient {
    /// A socket in the file system.
    Path(PathBuf),
    /// A UDP port.
    Port {
        /// A name or an address.
        host: String,
        /// Not 0.
        port: u16,
        /// Addresses that fail are left out.
        bad_host: bool,
        /// How long to wait for an answer.
        timeout: Duration,
    },
}

/// A file with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFile {
    /// The name in scripts.
    pub id: String,
    /// The file.
    pub path: PathBuf,
}

/// A file that scripts append to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// The name in scripts.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Its mode when it is made.
    pub mode: u32,
    /// What a new file begins with.
    pub header: Option<String>,
    /// Whether `logger` returns only when the text is on disk.
    pub sync: bool,
}

impl Plugins {
    /// What the startup file (`self`) and the running file say together; what both say is taken from the running file.
    pub fn joined(&self, running: &Plugins) -> Plugins {
        let lists = |own: &[ListFile], running: &[ListFile]| join(own, running, |list| &list.id);
        Plugins {
            rate: running.rate.clone().or_else(|| self.rate.clone()),
            rate_reresolve: running.rate_reresolve.or(self.rate_reresolve),
            bounce_lists: lists(&self.bounce_lists, &running.bounce_lists),
            suppression_lists: lists(&self.suppression_lists, &running.suppression_lists),
            ip_lists: lists(&self.ip_lists, &running.ip_lists),
            logs: join(&self.logs, &running.logs, |log| &log.id),
            services: self.services.joined(&running.services),
            geoip: running.geoip.clone().or_else(|| self.geoip.clone()),
            bulk_queues: self.bulk_queues.clone(),
            warm_up: self.warm_up.joined(&running.warm_up),
        }
    }
}

pub(crate) fn join<T: Clone>(own: &[T], running: &[T], id: impl Fn(&T) -> &str) -> Vec<T> {
    let only_own = own.iter().filter(|item| running.iter().all(|other| id(other) != id(item)));
    only_own.chain(running).cloned().collect()
}

/// What the schema cannot say: which plugins there are, and whose settings are whose.
pub(crate) fn cross_check(root: &Tree, file: File, report: &mut Report) {
    for (index, plugin) in root.items("plugins").iter().enumerate() {
        // What is no mapping, or has no id, has had its error.
        let Some(id) = plugin.text("id") else { continue };
        let path = format!("plugins[{index}]");
        let Some((_, settings)) = KNOWN.iter().find(|(known, _)| *known == id) else {
            let problem = Problem::new(format!("{id} is not built in, and libraries are not loaded"))
                .hint(format!("there are {}; modules in HSL need no entry", PLUGINS.join(", ")));
            report.error(plugin.at, &format!("{path}.id"), problem);
            continue;
        };
        for (key, value) in plugin.entries("config") {
            if !settings.contains(&key.as_str()) {
                let problem = Problem::new(format!("is no setting of {id}"));
                report.error(value.at, &format!("{path}.config.{key}"), problem);
            } else if id == "http-bulk" && file != File::Startup {
                let problem = Problem::new("can be set in the startup file only")
                    .hint("the server opens its queues once, when it starts");
                report.error(value.at, &format!("{path}.config.{key}"), problem);
            }
            check_items(id, key, value, settings, &format!("{path}.config.{key}"), report);
        }
        check_settings(plugin, &format!("{path}.config"), report);
        warm_up::check(plugin, file, &format!("{path}.config"), report);
    }
}

/// What the plugins of the running file and those of the startup file must have for each other.
pub(crate) fn check_pair(root: &Tree, startup: &Plugins, report: &mut Report) {
    warm_up::check_pair(root, &startup.warm_up, report);
}

/// The same for the items of a list that several plugins have, each with settings of its own.
fn check_items(id: &str, list: &str, value: &Tree, settings: &[&str], path: &str, report: &mut Report) {
    let Checked::List(items) = &value.value else { return };
    let own: Vec<_> =
        settings.iter().filter_map(|setting| setting.strip_prefix(list)?.strip_prefix('.')).collect();
    if own.is_empty() {
        return;
    }
    for (index, item) in items.iter().enumerate() {
        let Checked::Map(entries) = &item.value else { continue };
        for (key, value) in entries.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            let problem = Problem::new(format!("is no setting of {id}"));
            report.error(value.at, &format!("{path}[{index}].{key}"), problem);
        }
    }
}

fn check_settings(plugin: &Tree, path: &str, report: &mut Report) {
    if let (Some(_), Some(port)) = (plugin.get("config.path"), plugin.get("config.port")) {
        report.error(port.at, &format!("{path}.port"), Problem::new("excludes path"));
    }
    services::check(plugin, path, report);
    http_bulk::check(plugin, path, report);
    if plugin.text("id") != Some("rate") {
        return;
    }
    for key in ["address", "badhost", "timeout"] {
        if let Some(value) = plugin.get(&format!("config.{key}"))
            && plugin.get("config.port").is_none()
        {
            report.error(value.at, &format!("{path}.{key}"), Problem::new("needs port"));
        }
    }
}

/// The typed value of a tree without errors.
pub(crate) fn plugins(root: &Tree) -> Plugins {
    let find = |id: &str| root.items("plugins").iter().find(|plugin| plugin.text("id") == Some(id));
    let lists = |id: &str| -> Vec<ListFile> {
        let items = find(id).map_or(&[][..], |plugin| plugin.items("config.lists"));
        items
            .iter()
            .map(|item| ListFile { id: required(item, "id"), path: required(item, "path").into() })
            .collect()
    };
    let logs = find("logger").map_or(&[][..], |plugin| plugin.items("config.logs"));
    let queues = find("http-bulk").map_or(&[][..], |plugin| plugin.items("config.queues"));
    Plugins {
        rate: find("rate").and_then(rate),
        rate_reresolve: find("rate").and_then(|plugin| plugin.time("config.reresolve")),
        bounce_lists: lists("bounce-list"),
        suppression_lists: lists("suppression-list"),
        ip_lists: lists("ip-list"),
        logs: logs.iter().map(log).collect(),
        services: Services::of(&find),
        geoip: find("geoip")
            .or(find("maxmind-geoip"))
            .and_then(|plugin| plugin.text("config.path"))
            .map(PathBuf::from),
        bulk_queues: queues.iter().map(http_bulk::queue).collect(),
        warm_up: find("warmup").map(warm_up::warm_up).unwrap_or_default(),
    }
}

fn rate(plugin: &Tree) -> Option<RateClient> {
    if let Some(port) = plugin.count("config.port") {
        return Some(RateClient::Port {
            host: plugin.text("config.address").unwrap_or("127.0.0.1").to_owned(),
            port: u16::try_from(port).expect("bounded by the schema"),
            bad_host: plugin.bool("config.badhost").unwrap_or(false),
            timeout: plugin.integer("config.timeout").map_or(RATE_TIMEOUT, Duration::from_millis),
        });
    }
    plugin.text("config.path").map(|path| RateClient::Path(path.into()))
}

fn log(item: &Tree) -> LogFile {
    LogFile {
        id: required(item, "id"),
        path: required(item, "path").into(),
        mode: item.count("chmod").expect("has a default"),
        header: item.text("header").map(str::to_owned),
        sync: item.bool("fsync").expect("has a default"),
    }
}

pub(crate) fn required(tree: &Tree, key: &str) -> String {
    match tree.get(key).map(|tree| &tree.value) {
        Some(Checked::Text(text)) => text.clone(),
        _ => unreachable!("the schema requires {key}"),
    }
}
