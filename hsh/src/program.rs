//! A run from the options to the exit status.

use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use std::sync::Arc;

use hostcalls::crypto::Pki;
use hostcalls::source::{SourceLoader, Sources};
use hostcalls::{Plugins, Settings, configured};
use script::compile::{self, BreakPoints, CompileOptions, Compiled, SourceText};
use script::lint::{Surroundings, lint};

use crate::args::{Options, Script};
use crate::bounds::Bounds;
use crate::input::Input;
use crate::output::Output;
use crate::server::Place;
use crate::settings::{self, Configuration};
use crate::shard::{self, Work};
use crate::{privdrop, report};

/// Why there are no logs without `-p logger`.
const NOT_LOADED: &str = "the server writes these files; hsh does with --plugin logger";

/// The same for `-p http-bulk`.
const QUEUES_NOT_LOADED: &str =
    "the server has these queues open; without one, hsh does with --plugin http-bulk";

/// Runs, checks or talks; the exit status. The error has a line for each problem.
///
/// # Errors
/// Nothing could be run.
pub fn run(options: &Options, bounds: Bounds, output: &Arc<Output>) -> Result<i32, String> {
    let mut input = Input::new(io::stdin().lock());
    let configuration = settings::load(options, &mut input)?;
    // Nobody asked for what the machine's own configuration names, and users may not read all of it.
    let asked = options.config.is_some() || options.appconf.is_some();
    let mut warn = |warning: &str| {
        if asked {
            output.complain(&format!("hsh: warning: {warning}"));
        }
    };
    let keys = Keys {
        pki: Arc::new(configured::pki(&configuration.startup, &configuration.running, &mut warn)),
        plugins: Arc::default(),
        trusted: configured::trusted(&configuration.running, &mut warn),
    };
    if options.privdrop {
        privdrop::assume(&configuration.startup)?;
    }
    settings::apply(&configuration)?;
    let Configuration { startup, running } = &configuration;
    let sources = configured::sources(startup, running, options.rootpath.as_deref(), &mut warn)?;
    let sources = Arc::new(sources.with_command_line());
    let plugins = configured::plugins(startup, running, &mut warn);
    let loaded = |id: &str| options.plugins.iter().any(|plugin| plugin == id);
    let plugins = if loaded("logger") { plugins } else { plugins.without_logs(NOT_LOADED) };
    let plugins = if loaded("http-bulk") { plugins } else { plugins.without_queues(QUEUES_NOT_LOADED) };
    let keys = Keys { plugins: Arc::new(plugins), ..keys };
    let server = Place::of(startup);
    let Some(main) = main_script(options, &configuration, input)? else {
        if options.syntax {
            return Err("-s: there is no script to check".to_owned());
        }
        if options.debugger.is_some() {
            return Err("-C: there is no script to look at".to_owned());
        }
        let settings = host_settings(&configuration, &sources, keys, bounds);
        return shard::run(Work::Session(sources), settings, bounds.machine, &server, output);
    };
    let compiled = match compile_script(main, &sources, options.debugger.is_some()) {
        Ok(compiled) => compiled,
        Err(text) => {
            output.complain(&text);
            return Ok(1);
        }
    };
    if options.syntax {
        let found = findings(&compiled);
        if !found.is_empty() {
            output.complain(&found);
        }
        return Ok(0);
    }
    let settings = host_settings(&configuration, &sources, keys, bounds);
    let work = Work::Script(compiled.program, options.debugger.clone());
    shard::run(work, settings, bounds.machine, &server, output)
}

/// What is read with the rights that the program was started with.
struct Keys {
    pki: Arc<Pki>,
    plugins: Arc<Plugins>,
    trusted: Vec<Vec<u8>>,
}

/// What there is to run; `None`: whatever somebody types.
fn main_script<R: Read>(
    options: &Options,
    configuration: &Configuration,
    input: Input<R>,
) -> Result<Option<SourceText>, String> {
    let standard_input = |input: Input<R>| {
        let bytes = input.rest().map_err(|error| format!("standard input: {error}"))?;
        Ok(Some(SourceText { name: "stdin".to_owned(), bytes }))
    };
    match (&options.script, &configuration.running.scripting.entrypoint) {
        (Script::File(path), _) => {
            let bytes = settings::read_script(path)?;
            Ok(Some(SourceText { name: name_of(path), bytes }))
        }
        // Debuggers say `-`, too: what is left of standard input is the script's.
        (Script::StandardInput | Script::Unnamed, Some(text)) => {
            Ok(Some(SourceText { name: "__entrypoint".to_owned(), bytes: text.clone().into_bytes() }))
        }
        (Script::StandardInput, None) => standard_input(input),
        (Script::Unnamed, None) if io::stdin().is_terminal() => Ok(None),
        (Script::Unnamed, None) => standard_input(input),
    }
}

/// The name of a script of the command line. One that looks like a path of the configuration gets a directory.
fn name_of(path: &Path) -> String {
    let name = path.to_string_lossy();
    let special = ["file:", "extras:"].iter().any(|scheme| name.starts_with(scheme));
    if special { format!("./{name}") } else { name.into_owned() }
}

fn compile_script(main: SourceText, sources: &Sources, debugged: bool) -> Result<Compiled, String> {
    let library = hostcalls::library();
    let mut loader = SourceLoader::new(sources, &library);
    let break_points = if debugged { BreakPoints::Allowed } else { BreakPoints::Refused };
    let options = CompileOptions { break_points, ..CompileOptions::default() };
    compile::compile(main, &mut loader, &library, &options).map_err(|found| report::diagnostics(&found))
}

/// What can hardly be meant in the script and what it includes and imports, though it compiles.
fn findings(compiled: &Compiled) -> String {
    let sources = compiled.program.sources();
    let library = hostcalls::library();
    let surroundings = Surroundings { library: &library, predefined: Some(&[]), hook: None };
    report::warnings(&compiled.warnings, sources) + &report::warnings(&lint(sources, surroundings), sources)
}

fn host_settings(
    configuration: &Configuration,
    sources: &Arc<Sources>,
    keys: Keys,
    bounds: Bounds,
) -> Settings {
    Settings {
        pki: keys.pki,
        plugins: keys.plugins,
        extra_roots: keys.trusted,
        resolvers: configuration.running.resolver.servers.clone(),
        sources: Arc::clone(sources),
        wall_clock: bounds.time,
        ..Settings::default()
    }
}
