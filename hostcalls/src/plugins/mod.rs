//! What is a plugin of its own elsewhere and is built in here: modules under `extras://` with settings in `plugins[]`.

mod bounce_list;
mod geoip;
mod interfaces;
mod ip_list;
mod lines;
mod logger;
mod rate;
mod standard;
mod suppression_list;
#[cfg(test)]
mod tests;
mod warm_up;

#[cfg(test)]
pub(crate) use geoip::tests::countries as test_database;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{BulkQueue, LogFile, RateClient};
use script::native::{Native, NativeRun};

use bounce_list::BounceList;
pub(crate) use geoip::GeoIp;
use ip_list::IpList;
use suppression_list::SuppressionList;

use crate::library::{Family, HostFunction};
use crate::numbers;
use crate::services::{kafka, mariadb};

pub(crate) use rate::RateState;

const RATE: u16 = numbers::PLUGINS;
const BOUNCE_LIST: u16 = numbers::PLUGINS + 1;
const SUPPRESSION_LIST: u16 = numbers::PLUGINS + 2;
const IP_LIST: u16 = numbers::PLUGINS + 3;
const LOGGER: u16 = numbers::PLUGINS + 4;
const STDOUT: u16 = numbers::PLUGINS + 5;
const STDERR: u16 = numbers::PLUGINS + 6;
const GEOIP: u16 = numbers::PLUGINS + 7;
const WARMUP_IPS: u16 = numbers::PLUGINS + 8;

/// Where scripts see another name, the module gives it.
pub(crate) static FAMILY: Family = Family {
    natives: &[
        host(
            "rate",
            "string namespace, string entry, number count, number interval [, array options]",
            (4, 5),
            "Asks rated(8) whether an entry has been seen fewer than `count` times in `interval` seconds, and counts it: \
             true, or false at the limit; with a count of 0 how often it has been seen. None if nobody answers. Option: \
             sync (true). Also in extras://rate.",
            RATE,
        ),
        host(
            "ip_list_lookup",
            "string id, string address",
            (2, 2),
            "Whether an address is in an IP list: its tag, true or false. Also in extras://ip-list.",
            IP_LIST,
        ),
        host(
            "__bounce_list",
            "string id, string diagnosticcode [, string grouping [, string state]]",
            (2, 4),
            "What bounce_list of extras://bounce-list runs.",
            BOUNCE_LIST,
        ),
        host(
            "__suppression_list",
            "string id, string email",
            (2, 2),
            "What suppression_list of extras://suppression-list runs.",
            SUPPRESSION_LIST,
        ),
        host(
            "geoip",
            "string address",
            (1, 1),
            "What the database of the plugin geoip has of an address: country and iso_code, or organization and number, \
             if it has them; an array with error if it cannot be asked. Also in extras://geoip.",
            GEOIP,
        ),
        host(
            "warmup_ips",
            "[string class]",
            (0, 1),
            "The addresses of the plugin warmup, or those of a class: a list of arrays with address and, where it is set, helo, \
             as Try takes them for sourceip. Also in extras://warmup.",
            WARMUP_IPS,
        ),
        host("__logger", "string id, string data", (2, 2), "What logger of extras://logger runs.", LOGGER),
        host("__stdout", "string text", (1, 1), "What stdout of extras://stdout runs.", STDOUT),
        host("__stderr", "string text", (1, 1), "What stderr of extras://stdout runs.", STDERR),
        Native::inline(
            "__interfaces",
            "",
            (0, Some(0)),
            "What interfaces of extras://interfaces runs.",
            interfaces::interfaces,
        ),
        Native::inline(
            "__local_ips",
            "[string interface]",
            (0, Some(1)),
            "What local_ips of extras://interfaces runs.",
            interfaces::local_ips,
        ),
    ],
    host: &[
        HostFunction { number: RATE, run: rate::rate },
        HostFunction { number: BOUNCE_LIST, run: bounce_list::bounce_list },
        HostFunction { number: SUPPRESSION_LIST, run: suppression_list::suppression_list },
        HostFunction { number: IP_LIST, run: ip_list::ip_list_lookup },
        HostFunction { number: LOGGER, run: logger::logger },
        HostFunction { number: STDOUT, run: standard::stdout },
        HostFunction { number: STDERR, run: standard::stderr },
        HostFunction { number: GEOIP, run: geoip::geoip },
        HostFunction { number: WARMUP_IPS, run: warm_up::warmup_ips },
    ],
    modules: &[
        ("extras://backoff", include_str!("hsl/backoff.hsl")),
        ("extras://bounce-list", include_str!("hsl/bounce_list.hsl")),
        ("extras://geoip", include_str!("hsl/geoip.hsl")),
        ("extras://http-background", include_str!("hsl/http_background.hsl")),
        ("extras://interfaces", include_str!("hsl/interfaces.hsl")),
        ("extras://ip-list", include_str!("hsl/ip_list.hsl")),
        ("extras://logger", include_str!("hsl/logger.hsl")),
        ("extras://maxmind-geoip", include_str!("hsl/geoip.hsl")),
        ("extras://queue-relinquish", include_str!("hsl/queue_relinquish.hsl")),
        ("extras://rate", include_str!("hsl/rate.hsl")),
        ("extras://sleep-background", include_str!("hsl/sleep_background.hsl")),
        ("extras://stdout", include_str!("hsl/stdout.hsl")),
        ("extras://suppression-list", include_str!("hsl/suppression_list.hsl")),
        ("extras://warmup", include_str!("hsl/warmup.hsl")),
    ],
    ..Family::EMPTY
};

const fn host(
    name: &'static str,
    params: &'static str,
    args: (u8, u8),
    doc: &'static str,
    number: u16,
) -> Native {
    Native { name, params, doc, min_args: args.0, max_args: Some(args.1), run: NativeRun::Host(number) }
}

/// The settings of the plugins, with the lists that they name. Immutable.
#[derive(Debug, Default)]
pub struct Plugins {
    rate: Option<RateClient>,
    rate_reresolve: Option<Duration>,
    bounce_lists: HashMap<String, Arc<BounceList>>,
    suppression_lists: HashMap<String, Arc<SuppressionList>>,
    ip_lists: HashMap<String, Arc<IpList>>,
    logs: HashMap<String, Arc<LogFile>>,
    /// The servers and databases that scripts may ask.
    pub(crate) services: config::Services,
    /// Where the databases of `mariadb` are, by profile.
    pub(crate) mariadb: HashMap<String, Arc<mariadb::Options>>,
    /// The producers of `kafka`.
    pub(crate) kafka: HashMap<String, Arc<kafka::Settings>>,
    geoip: Option<Arc<GeoIp>>,
    /// The addresses of `warmup`.
    warm_up: config::WarmUp,
    /// Why there are no logs although the configuration has some.
    no_logs: Option<&'static str>,
    pub(crate) bulk: Arc<[BulkQueue]>,
    /// Why there are no queues although the configuration has some.
    pub(crate) no_bulk: Option<&'static str>,
}

impl Plugins {
    /// Reads the lists, which blocks. `warn` hears of lists that cannot be read, and of lines that are wrong; a script
    /// that names such a list fails.
    pub fn load(
        settings: &config::Plugins,
        read: &dyn Fn(&Path) -> std::io::Result<Vec<u8>>,
        warn: &mut dyn FnMut(&str),
    ) -> Plugins {
        let text = |plugin: &str, list: &config::ListFile, warn: &mut dyn FnMut(&str)| {
            read(&list.path)
                .map_err(|error| warn(&format!("{plugin} \"{}\": {}: {error}", list.id, list.path.display())))
                .ok()
        };
        let mut plugins = Plugins {
            rate: settings.rate.clone(),
            rate_reresolve: settings.rate_reresolve,
            services: settings.services.clone(),
            logs: settings.logs.iter().map(|log| (log.id.clone(), Arc::new(log.clone()))).collect(),
            bulk: settings.bulk_queues.clone().into(),
            warm_up: settings.warm_up.clone(),
            ..Plugins::default()
        };
        for profile in &settings.services.mariadb.list {
            let path = profile.cnf.display();
            match read(&profile.cnf) {
                Ok(text) => {
                    let wrong = &mut |line: usize, what: &str| {
                        warn(&format!("mariadb \"{}\": {path}:{line}: {what}", profile.id));
                    };
                    let options = Arc::new(mariadb::Options::read(&text, wrong));
                    plugins.mariadb.insert(profile.id.clone(), options);
                }
                Err(error) => warn(&format!("mariadb \"{}\": {path}: {error}", profile.id)),
            }
        }
        for queue in &settings.services.kafka {
            let mut told = Vec::new();
            match kafka::Settings::read(queue, &mut |what| told.push(what.to_owned())) {
                Ok(settings) => _ = plugins.kafka.insert(queue.id.clone(), Arc::new(settings)),
                Err(what) => told.push(what),
            }
            told.iter().for_each(|what| warn(&format!("kafka \"{}\": {what}", queue.id)));
        }
        if let Some(path) = &settings.geoip {
            let database = read(path).map_err(|error| error.to_string()).and_then(GeoIp::read);
            match database {
                Ok(database) => plugins.geoip = Some(Arc::new(database)),
                Err(error) => warn(&format!("geoip: {}: {error}", path.display())),
            }
        }
        for list in &settings.bounce_lists {
            let Some(text) = text("bounce-list", list, warn) else { continue };
            let wrong = &mut |line: usize, what: &str| complain("bounce-list", list, line, what, warn);
            plugins.bounce_lists.insert(list.id.clone(), Arc::new(BounceList::read(&text, wrong)));
        }
        for list in &settings.suppression_lists {
            let Some(text) = text("suppression-list", list, warn) else { continue };
            let wrong = &mut |line: usize, what: &str| complain("suppression-list", list, line, what, warn);
            plugins.suppression_lists.insert(list.id.clone(), Arc::new(SuppressionList::read(&text, wrong)));
        }
        for list in &settings.ip_lists {
            let Some(text) = text("ip-list", list, warn) else { continue };
            let wrong = &mut |line: usize, what: &str| complain("ip-list", list, line, what, warn);
            plugins.ip_lists.insert(list.id.clone(), Arc::new(IpList::read(&text, wrong)));
        }
        plugins
    }

    /// Whether `http-bulk` has queues.
    pub fn has_queues(&self) -> bool {
        !self.bulk.is_empty()
    }

    /// Without `logger`: another program writes those files.
    #[must_use]
    pub fn without_logs(self, why: &'static str) -> Plugins {
        Plugins { logs: HashMap::new(), no_logs: Some(why), ..self }
    }

    /// Without `http-bulk`: another program has those queues open.
    #[must_use]
    pub fn without_queues(self, why: &'static str) -> Plugins {
        Plugins { bulk: Arc::default(), no_bulk: Some(why), ..self }
    }
}

fn complain(plugin: &str, list: &config::ListFile, line: usize, what: &str, warn: &mut dyn FnMut(&str)) {
    warn(&format!("{plugin} \"{}\": {}:{line}: {what}", list.id, list.path.display()));
}
