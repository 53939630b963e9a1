//! The scripts of the server: compiled with the configuration, run by each shard.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use config::{Running, Startup};
use hooks::{Notices, Runner, ScriptId, Scripts, TransportNames};
use hostcalls::{Board, Environment, Settings, configured};
use net::smtp::domain::normalise;
use rustc_hash::FxHashMap;
use script::compile::BreakPoints;
use script::machine::Limits;

use crate::daemon::OfShard;
use crate::log::{Log, Priority};
use crate::stage::Stage;
use crate::stage::link::Link;
use crate::stats::Stats;

/// Everything that the scripts of one configuration need. Immutable.
#[derive(Clone)]
pub struct Prepared {
    scripts: Arc<Scripts>,
    settings: Arc<Settings>,
    /// The names of the transports, for scripts that queue.
    pub transports: TransportNames,
    /// Runs before an attempt.
    pub predelivery: Option<ScriptId>,
    /// Runs after an attempt.
    pub postdelivery: Option<ScriptId>,
}

/// A hook of the queue, ready to run.
#[derive(Clone, Debug)]
pub struct QueueHook {
    runner: Rc<Runner>,
    id: ScriptId,
    transports: TransportNames,
}

impl QueueHook {
    /// Tells that what the script has decided cannot be done, as if it had failed.
    pub fn cannot(&self, about: &str, what: &str) {
        self.runner.cannot(self.id, about, what);
    }

    /// What runs it.
    pub fn script(&self) -> hooks::queued::Script<'_> {
        hooks::queued::Script { runner: &self.runner, id: self.id, transports: &self.transports }
    }
}

/// What runs the scripts of one configuration on one shard: the same, counted for each by itself.
#[derive(Debug)]
pub struct Runners {
    /// For each of the startup file's servers, in its order.
    pub servers: Box<[Rc<Runner>]>,
    /// For the hooks of the queue.
    pub queue: Rc<Runner>,
}

/// The scripts of one server.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "named as the phases")]
pub struct ServerHooks {
    pub connect: Option<ScriptId>,
    pub proxy: Option<ScriptId>,
    pub helo: Option<ScriptId>,
    pub auth: Option<ScriptId>,
    pub mailfrom: Option<ScriptId>,
    pub rcptto: RcptHooks,
    pub eod: Option<ScriptId>,
    pub disconnect: Option<ScriptId>,
}

/// The scripts of RCPT, by recipient domain.
#[derive(Clone, Debug, Default)]
pub struct RcptHooks {
    default: Option<ScriptId>,
    domains: FxHashMap<String, ScriptId>,
}

impl Prepared {
    /// Compiles the scripts. Reads the files that they and the configuration name, which blocks.
    ///
    /// # Errors
    /// Every error of every script, with its place; or a root path that cannot be opened.
    pub fn compile(
        startup: &Startup,
        running: &Running,
        break_points: BreakPoints,
        warn: &mut dyn FnMut(String),
    ) -> Result<Prepared, String> {
        let mut note = |text: &str| warn(format!("warning: {text}"));
        let sources = configured::sources(startup, running, None, &mut note)?;
        let pki = configured::pki(startup, running, &mut note);
        let extra_roots = configured::trusted(running, &mut note);
        let plugins = configured::plugins(startup, running, &mut note);
        let compiled = Scripts::compile(&running.scripting, &sources, break_points);
        let compiled = compiled.map_err(|errors| errors.concat())?;
        compiled.warnings.into_iter().for_each(warn);
        let settings = Settings {
            resolvers: running.resolver.servers.clone(),
            sources: Arc::new(sources),
            pki: Arc::new(pki),
            metrics: running.monitor.metrics.clone().into(),
            plugins: Arc::new(plugins),
            extra_roots,
            ..Settings::default()
        };
        let transports = running.transports.iter().map(|transport| transport.id.clone()).collect();
        let of_queue = |hook: &str| compiled.scripts.find(hook, hook);
        Ok(Prepared {
            predelivery: of_queue("predelivery"),
            postdelivery: of_queue("postdelivery"),
            scripts: Arc::new(compiled.scripts),
            settings: Arc::new(settings),
            transports: Arc::new(transports),
        })
    }

    /// The scripts that a server names, which exist: the configuration was checked.
    pub fn of_server(&self, hooks: &config::Hooks) -> ServerHooks {
        let find = |phase: &str, id: &Option<String>| self.scripts.find(phase, id.as_deref()?);
        let domains = hooks.rcptto.domains.iter();
        ServerHooks {
            connect: find("connect", &hooks.connect),
            proxy: find("proxy", &hooks.proxy),
            helo: find("helo", &hooks.helo),
            auth: find("auth", &hooks.auth),
            mailfrom: find("mailfrom", &hooks.mailfrom),
            rcptto: RcptHooks {
                default: find("rcptto", &hooks.rcptto.id),
                domains: domains
                    .filter_map(|(domain, id)| Some((key(domain), self.scripts.find("rcptto", id)?)))
                    .collect(),
            },
            eod: find("eod", &hooks.eod),
            disconnect: find("disconnect", &hooks.disconnect),
        }
    }

    /// A hook of the queue. `None`: the configuration has no script for it.
    pub fn queue_hook(&self, id: Option<ScriptId>, runner: Option<Rc<Runner>>) -> Option<QueueHook> {
        Some(QueueHook { id: id?, runner: runner?, transports: Arc::clone(&self.transports) })
    }

    /// Runs them on this shard, counted in `stats`, shown on `board`, and sends what scripts have left in queues.
    /// `None`: there are no scripts.
    pub fn start(&self, log: &Rc<Log>, stats: &Stats, board: &Arc<Board>) -> Option<Runners> {
        if self.scripts.is_empty() && !self.settings.plugins.has_queues() {
            return None;
        }
        let notices = Rc::new(ScriptLog { log: Rc::clone(log), link: None });
        let environment = self.environment(&notices, board);
        hostcalls::bulk::attach(&environment);
        self.runners(&environment, notices, stats)
    }

    /// The same for a live stage: a debugger may look at them. Queues that scripts fill are sent as before.
    pub fn start_stage(
        &self,
        stage: &Arc<Stage>,
        log: &Rc<Log>,
        stats: &Stats,
        board: &Arc<Board>,
    ) -> Option<Runners> {
        let link = Link::new(stage);
        let notices = Rc::new(ScriptLog { log: Rc::clone(log), link: Some(Rc::clone(&link)) });
        let environment = self.environment(&notices, board);
        environment.debug_with(link);
        self.runners(&environment, notices, stats)
    }

    fn environment(&self, log: &Rc<ScriptLog>, board: &Arc<Board>) -> Rc<Environment> {
        let log = Rc::clone(log) as Rc<dyn hostcalls::Log>;
        let environment = Environment::start(Arc::clone(&self.settings), log);
        environment.show_on(Arc::clone(board));
        environment.run_within(Rc::new(OfShard));
        environment
    }

    fn runners(
        &self,
        environment: &Rc<Environment>,
        notices: Rc<ScriptLog>,
        stats: &Stats,
    ) -> Option<Runners> {
        if self.scripts.is_empty() {
            return None;
        }
        let runner = Runner::new(Arc::clone(&self.scripts), environment, notices, Limits::default());
        Some(Runners {
            servers: stats.servers.iter().map(|server| runner.counting(&server.scripts)).collect(),
            queue: runner.counting(&stats.queue_scripts),
        })
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("scripts", &self.scripts).finish_non_exhaustive()
    }
}

impl ServerHooks {
    /// Whether any phase has a script.
    pub fn any(&self) -> bool {
        let always =
            [self.connect, self.proxy, self.helo, self.auth, self.mailfrom, self.eod, self.disconnect];
        always.iter().any(Option::is_some) || self.rcptto.any()
    }
}

impl RcptHooks {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.default.is_some() || !self.domains.is_empty()
    }

    /// The script for a recipient domain: that of the domain, of the nearest domain above it (`*.domain`), of all
    /// (`*`), or the default.
    pub fn of_domain(&self, domain: &[u8]) -> Option<ScriptId> {
        if self.domains.is_empty() {
            return self.default;
        }
        let domain = normalise(domain).unwrap_or_default();
        let mut above = domain.as_str();
        let exact = self.domains.get(&domain).copied();
        let wildcard = || loop {
            let Some((_, rest)) = above.split_once('.') else { return self.domains.get("*").copied() };
            if let Some(id) = self.domains.get(&format!("*.{rest}")) {
                return Some(*id);
            }
            above = rest;
        };
        exact.or_else(wildcard).or(self.default)
    }
}

/// A domain of the configuration, or `*.domain`, as it is compared.
fn key(domain: &str) -> String {
    let (wildcard, domain) = match domain.strip_prefix("*.") {
        Some(above) => ("*.", above),
        None => ("", domain),
    };
    format!("{wildcard}{}", normalise(domain.as_bytes()).unwrap_or_default())
}

/// Loads the public suffix list that the startup file names, and notes the form of ids: both hold for the whole process.
///
/// # Errors
/// The list cannot be read.
pub fn apply(startup: &Startup) -> Result<(), String> {
    let environment = &startup.environment;
    script::std::uuid::set_by_time(environment.uuid == config::UuidVersion::Time);
    let Some(path) = &environment.publicsuffix else { return Ok(()) };
    let failed = |error: String| format!("environment.publicsuffix: {}: {error}", path.display());
    let list = read_file(path).map_err(|error| failed(error.to_string()))?;
    script::std::domain::set_public_suffix_list(&list).map_err(failed)
}

#[expect(clippy::disallowed_methods, reason = "the engine does not run yet")]
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// What scripts say, in the log; those of a live stage tell a debugger, too.
struct ScriptLog {
    log: Rc<Log>,
    link: Option<Rc<Link>>,
}

impl ScriptLog {
    fn show(&self, transaction: &str, text: &[u8]) {
        if let Some(link) = &self.link {
            link.print(transaction, text);
        }
    }
}

impl Notices for ScriptLog {
    fn echo(&self, transaction: &str, text: &[u8]) {
        self.show(transaction, text);
        let text = String::from_utf8_lossy(text);
        self.log.line(Priority::Debug, format_args!("[{transaction}] {text}"));
    }

    fn syslog(&self, transaction: &str, priority: u32, text: &[u8]) {
        self.show(transaction, text);
        hostcalls::Log::syslog(self, priority, text);
    }

    fn failed(&self, transaction: &str, script: &str, what: &str) {
        let text = format!("script {script} failed: {what}");
        self.show(transaction, text.as_bytes());
        self.log.line(Priority::Error, format_args!("[{transaction}] {text}"));
    }
}

impl hostcalls::Log for ScriptLog {
    fn echo(&self, text: &[u8]) {
        self.log.line(Priority::Debug, format_args!("{}", String::from_utf8_lossy(text)));
    }

    fn syslog(&self, priority: u32, text: &[u8]) {
        self.log.line(Priority::of_syslog(priority), format_args!("{}", String::from_utf8_lossy(text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_domain_decides_which_script_runs() {
        let scripting = config::Scripting {
            hooks: ["a", "b", "c", "d"]
                .map(|id| config::HookScript { phase: "rcptto", id: id.to_owned(), data: String::new() })
                .to_vec(),
            ..config::Scripting::default()
        };
        let scripts = Scripts::compile(&scripting, &Default::default(), BreakPoints::Refused)
            .expect("they are empty")
            .scripts;
        let id = |id: &str| scripts.find("rcptto", id);
        let domains = [
            ("z.example", "a"),
            ("*.z.example", "b"),
            ("*", "c"),
            ("xn--bcher-kva.example", "a"),
            ("*.B\u{fc}cher.example", "b"),
        ];
        let hooks = RcptHooks {
            default: id("d"),
            domains: domains.iter().map(|(domain, name)| (key(domain), id(name).expect("there"))).collect(),
        };
        for (domain, expected) in [
            ("Z.example", "a"),
            ("x.z.example", "b"),
            ("y.x.z.example", "b"),
            ("example", "c"),
            ("", "c"),
            ("[127.0.0.1]", "c"),
            ("z.example.", "a"),
            // Regression: a domain was not found in its other form.
            ("xn--bcher-kva.example", "a"),
            ("b\u{fc}cher.example", "a"),
            ("B\u{dc}CHER.example", "a"),
            ("x.b\u{fc}cher.example", "b"),
            ("x.XN--bcher-kva.example", "b"),
        ] {
            assert_eq!(hooks.of_domain(domain.as_bytes()), id(expected), "{domain}");
        }
        let only_default = RcptHooks { default: id("d"), ..RcptHooks::default() };
        assert_eq!(only_default.of_domain(b"z.example"), id("d"));
    }
}
