//! The program `smtpd`. See [`smtpd::args::USAGE`] and the operator's guide.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use config::{Driver, Startup};
use engine::boot::DriverChoice;
use script::compile::BreakPoints;
use smtpd::args::{self, Command, Options};
use smtpd::check;
use smtpd::log::{Priority, Syslog, Target};
use smtpd::pki::Keyring;
use smtpd::pki::expiry::ExpiryWatch;
use smtpd::process;
use smtpd::program::{self, Process, Program};
use smtpd::ruleset::{Added, Ruleset};
use smtpd::scripts;
use smtpd::snapshot::Snapshot;
use smtpd::warm_up::{self, OfDay};

#[global_allocator]
static ALLOCATOR: engine::memory::Allocator = engine::memory::Allocator;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => match run(&options) {
            Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
            Err(()) => ExitCode::FAILURE,
        },
        Ok(Command::Check(options)) => check(&options),
        Ok(Command::Version) => print(&format!("smtpd {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Help) => print(args::USAGE),
        Err(reason) => {
            complain(&reason);
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to standard output")]
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn complain(text: &str) {
    for line in text.lines() {
        Target::Stderr.line(Priority::Error, format_args!("{line}"));
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no engine yet")]
fn unix_seconds() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// `-t`.
fn check(options: &Options) -> ExitCode {
    let warn = |text: std::fmt::Arguments<'_>| complain(&text.to_string());
    let checked = load_startup(options, &warn).and_then(|startup| {
        let warn = |warning: &config::Error| complain(&format!("warning: {warning}"));
        let files = program::load_running_files(&startup, &read, options.env_substitution, &warn)?;
        scripts::apply(&startup)?;
        let (keyring, notices) = Keyring::at_start(&startup).renewed(&startup, &files)?;
        let expiring = ExpiryWatch::default().look(&keyring.status(), unix_seconds());
        notices.iter().chain(&expiring).for_each(|(_, text)| complain(&format!("warning: {text}")));
        let mut warn = |warning: String| complain(&warning);
        Snapshot::build(
            &startup,
            &files,
            &process::hostname(),
            1,
            &Arc::new(keyring),
            BreakPoints::Refused,
            &mut warn,
        )?;
        let plan = startup.plugins.warm_up.joined(&files.running.plugins.warm_up);
        let warm_up = OfDay::new(&plan, warm_up::date_at(unix_seconds()));
        Ruleset::compile(&files, Added { warm_up, ..Added::default() })?;
        check::check(&startup, &files, &|text| complain(&format!("warning: {text}")))
    });
    match checked {
        Ok(()) => print("configuration ok\n"),
        Err(reason) => {
            complain(&reason);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<i32, ()> {
    engine::memory::set_up();
    let stderr = Target::Stderr;
    let refuse = |target: &Target, reason: &str| {
        for line in reason.lines() {
            let text = format_args!("Could not load configuration: {line}");
            target.line(Priority::Error, text);
            // Somebody who starts it by hand without -f must see it too.
            if !options.foreground {
                stderr.line(Priority::Error, text);
            }
        }
    };
    let early = if options.foreground { Target::Stderr } else { Target::Syslog(Syslog::new(2, 255)) };
    let startup = load_startup(options, &|text| early.line(Priority::Warning, text))
        .map_err(|reason| refuse(&early, &reason))?;
    let environment = &startup.environment;
    let target = match early {
        Target::Syslog(_) => {
            Target::Syslog(Syslog::new(environment.syslog_facility as u8, u32::from(environment.syslog_mask)))
        }
        foreground => foreground,
    };
    let target = if environment.log_json { Target::Json(Box::new(target)) } else { target };
    let fail = |reason: String| refuse(&target, &reason);
    scripts::apply(&startup).map_err(fail)?;
    process::raise_limits(environment.rlimit_nofile).map_err(fail)?;
    let identity = environment.privdrop.as_ref().map(process::find_identity).transpose().map_err(fail)?;
    let shards = match environment.shards {
        Some(shards) => u16::try_from(shards).unwrap_or(u16::MAX),
        None => engine::boot::default_shards(),
    };
    let becomes = Process { identity, umask: environment.umask };
    let engine_options = engine::boot::Options {
        shards,
        // More shards than CPUs cannot have one each.
        pin: shards <= engine::boot::default_shards(),
        driver: match environment.driver {
            Driver::Auto => DriverChoice::Auto,
            Driver::Uring => DriverChoice::Uring,
            Driver::Epoll => DriverChoice::Epoll,
        },
        signals: vec![libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2],
    };
    let mut program = Program::new(
        startup,
        options.env_substitution,
        target.clone(),
        process::hostname(),
        shards,
        Some(becomes),
    );
    program.frozen = options.frozen;
    let program = Arc::new(program);
    let root = Arc::clone(&program);
    engine::boot::run(engine_options, move |id| Arc::clone(&root).run(id))
        .map_err(|error| fail(format!("engine: {error}")))?;
    Ok(program.exit_status())
}

/// `warn` is told what is odd about the file: keys without effect, mostly.
fn load_startup(options: &Options, warn: &dyn Fn(std::fmt::Arguments<'_>)) -> Result<Startup, String> {
    let lookup = |name: &str| std::env::var(name).ok();
    let mut settings = config::Options::default();
    if options.env_substitution {
        settings.env = Some(&lookup);
    }
    match config::load_startup_file(&options.config, &read, &settings) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| warn(format_args!("warning: {warning}")));
            Ok(loaded.value)
        }
        Err(errors) => Err(program::lines(&errors)),
    }
}

/// Reads a file before the engine runs.
#[expect(clippy::disallowed_methods, reason = "the engine does not run yet")]
fn read(path: &Path) -> std::io::Result<String> {
    program::into_text(std::fs::read(path)?)
}
